/**
 * Bugs put back on purpose, each of which some seed has to notice (reliability.md 4.1). None of them is in `src/` as
 * something that can be switched on: they come in through the seams that only tests reach, or as wrappers made here.
 *
 * The focused swarm of a mutant draws the faults that bring it out, so that few seeds are enough.
 */
import type { RaftFault } from "../../src/core/raft/faults.ts"
import type { MachineLimits } from "../../src/core/queue/machine-limits.ts"
import type { MachineMutant } from "../../src/core/queue/machine-mutant.ts"
import { QueueMachine } from "../../src/core/queue/queue-machine.ts"
import type { Command } from "../../src/core/queue/command.ts"
import type { Outcome } from "../../src/core/queue/outcome.ts"
import type { Clock, LogEvents, LogStore, PushResult, PushTransport } from "../../src/ports.ts"
import type { LogMutation } from "../../src/adapters/log/log-options.ts"
import { openMutantLog } from "../../src/adapters/log/mutant-log.ts"
import { createMutantRaft } from "../paper/kit/mutant-raft.ts"
import { QUIET_NETWORK } from "./sim-network.ts"
import type { NetworkSettings } from "./sim-network.ts"
import type { Mutation } from "./sim-cluster.ts"
import { HEALTHY_DISK } from "./sim-disk.ts"
import type { FaultClass, SwarmOverride } from "./swarm.ts"

export interface Mutant {
  readonly name: string
  /** Made anew for each seed, because a wrapper may remember things. */
  readonly mutation: () => Mutation
  readonly override: SwarmOverride
  /** Seeds tried before the mutant counts as alive: a few times what was measured (docs/simulation.md). */
  readonly maxSeeds: number
}

interface Focus extends SwarmOverride {
  readonly maxSeeds?: number
}

const BUSY = { producers: 3, consumers: 3, admins: 1, thinkMs: 200, batch: 0.3, topics: false } as const
const SHORT = { safetyMs: 60_000, idleMs: 0, nodeCount: 3, faultEveryMs: 4000 } as const

function faults(...classes: readonly FaultClass[]): ReadonlySet<FaultClass> {
  return new Set(classes)
}

function network(settings: Partial<NetworkSettings>): NetworkSettings {
  return { ...QUIET_NETWORK, ...settings }
}

const LOSSY = network({ meanDelayMs: 20, loss: 0.1, duplicate: 0.3, reorder: 0.2 })

function mutant(name: string, mutation: () => Mutation, { maxSeeds = 20, ...focus }: Focus): Mutant {
  return { name, mutation, maxSeeds, override: { ...SHORT, workload: BUSY, ...focus } }
}

function raftMutant(fault: RaftFault, focus: Focus): Mutant {
  return mutant(fault, () => ({ createRaft: (options) => createMutantRaft(options, new Set([fault])) }), focus)
}

function machineMutant(name: MachineMutant, focus: Focus): Mutant {
  return mutant(name, () => ({ machine: name }), focus)
}

/** Topics and little else. */
const TOPICS = {
  faults: faults("kills"),
  safetyMs: 30_000,
  workload: { producers: 1, consumers: 1, admins: 0, thinkMs: 2000, batch: 0, topics: true },
} as const
const CRASHES = { faults: faults("kills", "powerCuts", "killAll") }
const CUTS = { faults: faults("network", "partitions"), network: LOSSY }

function logMutant(name: LogMutation, focus: Focus): Mutant {
  return mutant(
    `log: ${name}`,
    () => ({
      openLog: (setup, done) => {
        openMutantLog({ setup, mutations: [name] }, done)
      },
    }),
    focus,
  )
}

export const MUTANTS: readonly Mutant[] = [
  // --- consensus
  raftMutant("selfCountBeforeSync", { faults: faults("slowDisk") }),
  raftMutant("replyBeforeSync", { faults: faults("slowDisk") }),
  raftMutant("voteNotPersisted", CRASHES),
  raftMutant("termNotPersisted", CRASHES),
  raftMutant("upToDateOffByOne", { ...CUTS, maxSeeds: 50 }),
  raftMutant("truncateWithoutConflict", CUTS),
  raftMutant("matchLoweredByLateReply", CUTS),
  raftMutant("readIndexWithoutRound", { faults: faults("partitions", "pauses") }),
  raftMutant("readIndexBeforeNoOp", { faults: faults("partitions", "kills", "pauses"), maxSeeds: 80 }),
  raftMutant("noPreVote", { faults: faults() }),
  raftMutant("noCheckQuorum", { faults: faults("partitions"), maxSeeds: 30 }),

  // --- the queue machine; the oracle's own machine has the bug too, so that only the automaton can notice
  machineMutant("staleHandleDeletes", { faults: faults() }),
  machineMutant("receiveCountNotInLog", { faults: faults() }),
  machineMutant("deadLetterMoveAsTwoEntries", { faults: faults("kills") }),
  machineMutant("batchHalfApplied", { faults: faults() }),
  machineMutant("visibilityEndsEarly", { faults: faults() }),
  machineMutant("rewindDropsFront", { faults: faults() }),
  machineMutant("deliveryNumberReused", { faults: faults() }),
  machineMutant("deduplicationMissingInSnapshot", { faults: faults("kills"), workload: { ...BUSY, withClientId: 1 } }),

  // --- topics and pushes (the other mutants of the machine's topics: topic-oracle.test.ts, machine-mutant.test.ts)
  machineMutant("backlogMissingInSnapshot", TOPICS),
  mutant("failedPushIsDelivered", () => pushResults((result) => (result === "failed" ? "delivered" : result)), TOPICS),
  mutant("noRoomIsFailure", () => pushResults((result) => (result === "busy" ? "failed" : result)), TOPICS),

  // --- the log
  logMutant("ackBeforeSync", { faults: faults("kills", "powerCuts"), maxSeeds: 20 }),
  logMutant("retrySyncAfterEio", { faults: faults("syncErrors", "powerCuts"), faultEveryMs: 1500, maxSeeds: 40 }),

  logMutant("shortWriteIgnored", {
    faults: faults("kills", "powerCuts"),
    disk: { ...HEALTHY_DISK, shortWrite: 0.02 },
    maxSeeds: 10,
  }),

  // --- wrappers
  mutant("ackBeforeSync wrapper", () => ({ wrapLog: ackAtOnce }), { faults: faults("kills", "powerCuts") }),
  mutant("leaseByLocalClock", () => localClock("receiveMessages"), { faults: faults("clocks") }),
  mutant("retentionByWallClock", () => localClock("expire"), { faults: faults("clocks") }),
  mutant(
    "canary",
    () => ({ wrapParts: (parts) => ({ ...parts, createMachine: (limits) => new ForgetfulMachine(limits) }) }),
    { faults: faults(), maxSeeds: 1 },
  ),
]

export function findMutant(name: string): Mutant {
  const found = MUTANTS.find((each) => each.name === name)
  if (found === undefined) throw new RangeError(`no mutant is called ${name}`)
  return found
}

/** Says "durable" as soon as it is told to write. */
function ackAtOnce(log: LogStore, events: LogEvents): LogStore {
  return {
    ...bound(log),
    write: (write) => {
      log.write(write)
      queueMicrotaskFree(() => {
        events.persisted(write.sequence)
      }, log)
    },
  }
}

/** Something that ends at once, to call back a little later: every port does so. */
function queueMicrotaskFree(run: () => void, log: LogStore): void {
  log.readRecords({ count: 0, entryIndexes: [], offsets: [], lengths: [] }, run)
}

function bound(log: LogStore): LogStore {
  return {
    write: log.write.bind(log),
    readEntries: log.readEntries.bind(log),
    readRecords: log.readRecords.bind(log),
    segments: log.segments.bind(log),
    compact: log.compact.bind(log),
    drop: log.drop.bind(log),
    rewrite: log.rewrite.bind(log),
    stageEntries: log.stageEntries.bind(log),
    sealStaged: log.sealStaged.bind(log),
    discardStaged: log.discardStaged.bind(log),
    reset: log.reset.bind(log),
    repair: log.repair.bind(log),
    space: log.space.bind(log),
    close: log.close.bind(log),
  }
}

/** A transport that says something else of what became of a push. */
function pushResults(told: (result: PushResult) => PushResult): Mutation {
  const wrap = (inner: PushTransport): PushTransport => ({
    push: (push, done) => {
      inner.push(push, (result) => {
        done(told(result))
      })
    },
  })
  return { wrapParts: (parts) => ({ ...parts, pushTransport: wrap(parts.pushTransport) }) }
}

/** A machine that looks at the clock of its own node when it meets such a command. */
function localClock(kind: Command["kind"]): Mutation {
  return {
    wrapParts: (parts) => ({ ...parts, createMachine: (limits) => new LocalClockMachine(limits, kind, parts.clock) }),
  }
}

class LocalClockMachine extends QueueMachine {
  readonly #kind: Command["kind"]
  readonly #clock: Clock
  #lead = 0

  constructor(limits: MachineLimits, kind: Command["kind"], clock: Clock) {
    super(limits)
    this.#kind = kind
    this.#clock = clock
  }

  override beginEntry(index: number, stampMs: number): void {
    super.beginEntry(index, Math.max(stampMs, this.#lead))
  }

  override apply(command: Command, outcome: Outcome): void {
    super.apply(command, outcome)
    if (command.kind === this.#kind) this.#lead = this.#clock.wallMs()
  }
}

/** The canary: a machine that forgets one delete in a hundred. If nobody notices this, nothing is noticed. */
class ForgetfulMachine extends QueueMachine {
  #deletes = 0

  override apply(command: Command, outcome: Outcome): void {
    if (command.kind === "deleteMessages" && ++this.#deletes % 100 === 0) command.count = 0
    super.apply(command, outcome)
  }
}
