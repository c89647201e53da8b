/**
 * What one seed looks like: which faults are on, how hard, how long, and what the clients do. Drawn from the seed and
 * from nothing else. A quarter of the seeds has no fault at all: a checker that has never been quiet proves nothing.
 */
import type { RaftOptions } from "../../src/core/raft/options.ts"
import type { Random } from "../../src/core/random.ts"
import { HEALTHY_DISK } from "./sim-disk.ts"
import type { DiskSettings } from "./sim-disk.ts"
import { QUIET_NETWORK } from "./sim-network.ts"
import type { NetworkSettings } from "./sim-network.ts"
import { between, chance, pick } from "./world.ts"
import type { World } from "./world.ts"

export const FAULT_CLASSES = [
  "network",
  "partitions",
  "kills",
  "powerCuts",
  "killAll",
  "pauses",
  "syncErrors",
  "slowDisk",
  "fullDisk",
  "clocks",
  "gracefulStops",
  "clientDeaths",
] as const
export type FaultClass = (typeof FAULT_CLASSES)[number]

/** Of the seeds: topics are dear, and what they share with queues is shown by every seed. */
const TOPICS_SHARE = 0.12

export interface Swarm {
  readonly nodeCount: number
  readonly faults: ReadonlySet<FaultClass>
  /** Length of the phase with faults, in simulated milliseconds. */
  readonly safetyMs: number
  /** Quiet time behind it with faults on and little load: visibility and retention end by themselves. */
  readonly idleMs: number
  readonly tickMs: number
  readonly electionTicks: number
  readonly heartbeatTicks: number
  readonly segmentBytes: number
  readonly checkpointBytes: number
  readonly checkpointTicks: number
  readonly keptForFollowersBytes: number
  readonly network: NetworkSettings
  readonly disk: DiskSettings
  /** Limits of the core, often far smaller than in production, so that their edges are met. */
  readonly raft: Pick<
    RaftOptions,
    | "maxAppendBytes"
    | "maxInflightMessages"
    | "maxInflightEntriesBytes"
    | "cacheBytes"
    | "maxApplyBytes"
    | "maxUncommittedBytes"
  >
  /** Mean time between two faults of one class. */
  readonly faultEveryMs: number
  readonly workload: WorkloadSettings
}

export interface WorkloadSettings {
  readonly producers: number
  readonly consumers: number
  readonly admins: number
  /** Mean time between two things that one client does. */
  readonly thinkMs: number
  /** Share of messages with a client message id. */
  readonly withClientId: number
  readonly longPoll: number
  /** Share of batches among sends and receives. */
  readonly batch: number
  /** Topics, subscriptions and pushes beside the queues. */
  readonly topics: boolean
}

/** What a caller fixes instead of drawing it (tests of one fault, mutants). */
export type SwarmOverride = Partial<Omit<Swarm, "faults" | "workload">> & {
  readonly faults?: ReadonlySet<FaultClass>
  readonly workload?: Partial<WorkloadSettings>
}

export function drawSwarm(world: World, override: SwarmOverride = {}): Swarm {
  const random = world.fork("swarm")
  const faults = override.faults ?? drawFaults(random)
  const drawn = drawSizes(random)
  // A stream of its own: seeds without topics are what they were before there were any.
  const workload = { ...drawWorkload(random), topics: chance(world.fork("topics"), TOPICS_SHARE) }
  const network = faults.has("network")
    ? drawNetwork(random)
    : { ...QUIET_NETWORK, meanDelayMs: between(random, 0.2, 5) }
  const disk = drawDisk(random, faults)
  return { ...drawn, network, disk, ...override, faults, workload: { ...workload, ...override.workload } }
}

function drawFaults(random: Random): Set<FaultClass> {
  if (chance(random, 0.25)) return new Set()
  const share = between(random, 0.15, 0.6)
  return new Set(FAULT_CLASSES.filter(() => chance(random, share)))
}

function drawSizes(random: Random): Omit<Swarm, "faults" | "network" | "disk" | "workload"> {
  const tickMs = pick(random, [50, 100, 100, 200])
  return {
    nodeCount: chance(random, 0.15) ? 5 : 3,
    safetyMs: between(random, 60_000, 150_000),
    idleMs: chance(random, 0.6) ? between(random, 60_000, 600_000) : 0,
    tickMs,
    // 0.8 to 1.4 s, whatever a tick is: the liveness phase demands a leader within 5 s.
    electionTicks: Math.max(4, Math.round(between(random, 800, 1400) / tickMs)),
    heartbeatTicks: tickMs === 50 ? pick(random, [2, 4]) : 1,
    segmentBytes: pick(random, [256 << 10, 256 << 10, 512 << 10]),
    checkpointBytes: pick(random, [4 << 10, 32 << 10, 128 << 10]),
    checkpointTicks: pick(random, [20, 100, 400]),
    keptForFollowersBytes: pick(random, [0, 64 << 10, 1 << 20]),
    raft: drawRaftLimits(random),
    faultEveryMs: pick(random, [5_000, 10_000, 20_000, 40_000]),
  }
}

function drawRaftLimits(random: Random): Swarm["raft"] {
  return {
    maxAppendBytes: pick(random, [1, 512, 4096, 2 << 20]),
    maxInflightMessages: pick(random, [1, 4, 256]),
    maxInflightEntriesBytes: pick(random, [1024, 64 << 10, 16 << 20]),
    cacheBytes: pick(random, [0, 4096, 24 << 20]),
    maxApplyBytes: pick(random, [1, 1024, 8 << 20]),
    maxUncommittedBytes: pick(random, [8 << 10, 64 << 20, 64 << 20]),
  }
}

function drawWorkload(random: Random): Omit<WorkloadSettings, "topics"> {
  return {
    producers: 1 + random.nextInt(4),
    consumers: 1 + random.nextInt(4),
    admins: random.nextInt(2),
    thinkMs: pick(random, [200, 500, 1000, 2000]),
    withClientId: pick(random, [0, 0.5, 1]),
    longPoll: pick(random, [0, 0.5, 1]),
    batch: pick(random, [0, 0.3, 0.8]),
  }
}

function drawNetwork(random: Random): NetworkSettings {
  const some = (share: number, most: number): number => (chance(random, share) ? between(random, 0, most) : 0)
  return {
    meanDelayMs: pick(random, [1, 5, 20, 100]),
    loss: some(0.6, chance(random, 0.3) ? 0.3 : 0.05),
    reset: some(0.4, 0.01),
    duplicate: some(0.5, 0.5),
    reorder: some(0.5, 0.3),
    clog: some(0.3, 0.005),
  }
}

function drawDisk(random: Random, faults: ReadonlySet<FaultClass>): DiskSettings {
  return {
    ...HEALTHY_DISK,
    meanSyncMs: faults.has("slowDisk") ? pick(random, [5, 20, 60]) : pick(random, [0.3, 1, 4]),
    slowSync: faults.has("slowDisk") ? between(random, 0, 0.05) : 0,
  }
}
