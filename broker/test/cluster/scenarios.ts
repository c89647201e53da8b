/**
 * The faults, one table. A scenario is a round that is repeated while the load runs; a round begins on a healthy cluster,
 * reports each fault when it is really there, and leaves healing what it did not heal to `recover`.
 */
import { closeSync, openSync, readFileSync, readSync, rmSync, writeSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import type { LocalCluster, NodeExit } from "@opencmq/bench/harness"
import type { Random } from "../../src/core/random.ts"
import { SmallDisk, filesBelow, limitFileSize, mountUnavailableReason, prlimitUnavailableReason } from "./small-disk.ts"

export interface RoundContext {
  readonly cluster: LocalCluster
  readonly random: Random
  /** Says that a fault is in place; told to nobody, a fault does not count. */
  readonly injected: (text: string) => void
  /** Something that must not be was seen; the run fails. */
  readonly broken: (text: string) => void
  /** The node will begin again from nothing, its term too. */
  readonly wiped: (nodeId: number) => void
  readonly disks: ReadonlyMap<number, SmallDisk>
}

export interface Scenario {
  readonly name: string
  readonly summary: string
  readonly hasProxies?: boolean
  /** A topic with a queue and an address behind it, too. */
  readonly hasTopic?: boolean
  /** Every node's data on a tmpfs of so many bytes. */
  readonly smallDiskBytes?: number
  readonly extraArguments?: readonly string[]
  /** Why it cannot run on this computer; undefined when it can. */
  readonly unavailable?: (folder: string) => string | undefined
  /** Nothing is torn away: receive counts must be exact, as nobody has to repeat anything. Default false. */
  readonly isGentle?: boolean
  readonly round: (context: RoundContext) => Promise<void>
}

const MIB = 1_048_576
/** Longer than the longest election timeout (750 ms and two thirds of it) and some: the others must have elected somebody. */
const LONG_PAUSE_MS = 2_000
const READY_TIMEOUT_MS = 30_000
const SMALL_SEGMENTS = ["--segment-bytes", String(4 * MIB)]

/** Makes everything well again: processes run, wires pass, limits are gone, disks have space. */
export async function recover({ cluster, disks }: Pick<RoundContext, "cluster" | "disks">): Promise<void> {
  for (const disk of disks.values()) disk.free()
  cluster.proxies?.healAll()
  for (const { id } of cluster.nodes) {
    cluster.continue(id)
    if (cluster.pidOf(id) === undefined) cluster.start(id)
  }
  await Promise.all(cluster.nodes.map(({ id }) => cluster.waitReady(id, READY_TIMEOUT_MS)))
}

function between(random: Random, low: number, high: number): number {
  return low + random.nextInt(high - low + 1)
}

function shuffled<T>(random: Random, list: readonly T[]): readonly T[] {
  const copy = [...list]
  for (let last = copy.length - 1; last > 0; last -= 1) {
    const other = random.nextInt(last + 1)
    const [a, b] = [copy[last], copy[other]]
    if (a === undefined || b === undefined) continue
    copy[last] = b
    copy[other] = a
  }
  return copy
}

function idsOf(cluster: LocalCluster): readonly number[] {
  return cluster.nodes.map(({ id }) => id)
}

async function chooseFollower({ cluster, random }: RoundContext): Promise<number> {
  const leader = await cluster.waitLeader()
  return shuffled(random, idsOf(cluster)).find((id) => id !== leader) ?? leader
}

async function killAndReturn(context: RoundContext, nodeIds: readonly number[], what: string): Promise<void> {
  const { cluster, random, injected } = context
  await Promise.all(nodeIds.map((id) => cluster.kill(id)))
  injected(`killed ${what}: ${nodeIds.join(", ")}`)
  await sleep(between(random, 200, 1_500))
  for (const id of shuffled(random, nodeIds)) {
    cluster.start(id)
    await sleep(random.nextInt(300))
  }
  await recover(context)
}

async function pause(context: RoundContext, nodeId: number, what: string): Promise<void> {
  const { cluster, random, injected } = context
  cluster.pause(nodeId)
  injected(`paused ${what} ${String(nodeId)}`)
  await sleep(between(random, LONG_PAUSE_MS, LONG_PAUSE_MS + 1_000))
  cluster.continue(nodeId)
}

const killLeader: Scenario = {
  name: "kill-leader",
  summary: "kill -9 the leader",
  round: async (context) => killAndReturn(context, [await context.cluster.waitLeader()], "leader"),
}

const killFollower: Scenario = {
  name: "kill-follower",
  summary: "kill -9 a follower",
  round: async (context) => killAndReturn(context, [await chooseFollower(context)], "follower"),
}

const killTwo: Scenario = {
  name: "kill-two",
  summary: "kill -9 two nodes at once",
  round: (context) => killAndReturn(context, shuffled(context.random, idsOf(context.cluster)).slice(0, 2), "two"),
}

const killAll: Scenario = {
  name: "kill-all",
  summary: "kill -9 all three at once",
  round: (context) => killAndReturn(context, idsOf(context.cluster), "all"),
}

const publish: Scenario = {
  name: "publish",
  summary: "kill -9 the leader while a topic delivers into a queue and to an address",
  hasTopic: true,
  round: killLeader.round,
}

const pauseLeader: Scenario = {
  name: "pause-leader",
  summary: "SIGSTOP the leader beyond the election timeout, then SIGCONT",
  round: async (context) => pause(context, await context.cluster.waitLeader(), "leader"),
}

const pauseFollower: Scenario = {
  name: "pause-follower",
  summary: "SIGSTOP a follower, then SIGCONT",
  round: async (context) => pause(context, await chooseFollower(context), "follower"),
}

const cutLeader: Scenario = {
  name: "cut-leader",
  summary: "the leader's peer connections fall silent, then heal",
  hasProxies: true,
  round: async ({ cluster, random, injected }) => {
    const leader = await cluster.waitLeader()
    cluster.proxies?.cut(leader)
    injected(`cut off leader ${String(leader)}`)
    await sleep(between(random, LONG_PAUSE_MS, LONG_PAUSE_MS + 1_000))
    cluster.proxies?.healAll()
  },
}

const flapping: Scenario = {
  name: "flapping",
  summary: "the wires between two nodes go silent and heal, again and again",
  hasProxies: true,
  round: async ({ cluster, random, injected }) => {
    const [one = 1, other = 2] = shuffled(random, idsOf(cluster))
    injected(`wires between ${String(one)} and ${String(other)} flap`)
    for (let time = 0; time < 5; time += 1) {
      cluster.proxies?.cutBetween(one, other)
      await sleep(between(random, 100, 600))
      cluster.proxies?.healAll()
      await sleep(between(random, 50, 300))
    }
  },
}

const restartRandomly: Scenario = {
  name: "restart-random",
  summary: "all nodes end (SIGTERM or SIGKILL) and start in random order, overlapping",
  round: async (context) => {
    const { cluster, random, injected } = context
    const restarts = shuffled(random, idsOf(cluster)).map(async (id) => {
      await sleep(random.nextInt(800))
      const isKill = random.nextInt(2) === 0
      await (isKill ? cluster.kill(id) : cluster.stop(id))
      injected(`${isKill ? "killed" : "stopped"} ${String(id)}`)
      await sleep(random.nextInt(1_200))
      cluster.start(id)
    })
    await Promise.all(restarts)
    await recover(context)
  },
}

const rollingRestart: Scenario = {
  name: "rolling-sigterm",
  summary: "SIGTERM one node after the other, each back before the next",
  isGentle: true,
  round: async ({ cluster, random, injected, broken }) => {
    for (const id of shuffled(random, idsOf(cluster))) {
      const { code, signal } = await cluster.stop(id)
      injected(`stopped ${String(id)}`)
      if (code !== 0) broken(`node ${String(id)} ended with ${String(code ?? signal)} after SIGTERM, not with 0`)
      cluster.start(id)
      await cluster.waitReady(id, READY_TIMEOUT_MS)
    }
  },
}

const diskFull: Scenario = {
  name: "disk-full",
  summary: "one node's disk, then all nodes' disks have no byte left; then there is space again",
  smallDiskBytes: 48 * MIB,
  extraArguments: SMALL_SEGMENTS,
  unavailable: mountUnavailableReason,
  round: async (context) => {
    const { cluster, disks, random, injected } = context
    const one = random.nextInt(2) === 0 ? await cluster.waitLeader() : await chooseFollower(context)
    for (const full of [[one], idsOf(cluster)]) {
      for (const id of full) disks.get(id)?.fill()
      injected(`no space left on ${full.join(", ")}`)
      await sleep(between(random, 1_500, 2_500))
      for (const id of full) disks.get(id)?.free()
      await sleep(500)
      await awaitEndsAndRecover(context, full)
    }
  },
}

const fileSizeLimit: Scenario = {
  name: "file-size-limit",
  summary: "writes of one node fail with EFBIG for a while (prlimit --fsize)",
  extraArguments: SMALL_SEGMENTS,
  unavailable: prlimitUnavailableReason,
  round: async (context) => {
    const { cluster, random, injected } = context
    const id = random.nextInt(2) === 0 ? await cluster.waitLeader() : await chooseFollower(context)
    const pid = cluster.pidOf(id)
    if (pid === undefined) return
    limitFileSize(pid, 4_096)
    injected(`files of node ${String(id)} may not grow beyond 4 KiB`)
    await sleep(between(random, 1_000, 2_000))
    if (cluster.pidOf(id) === pid) limitFileSize(pid, undefined)
    await sleep(500)
    await awaitEndsAndRecover(context, [id])
  },
}

/** A node that could not write may end itself; that is its right, and it must come back. */
async function awaitEndsAndRecover(context: RoundContext, nodeIds: readonly number[]): Promise<void> {
  for (const id of nodeIds) takeExit(context.cluster, id)
  await recover(context)
}

/** An end that was to be expected is no surprise. */
function takeExit(cluster: LocalCluster, nodeId: number): NodeExit | undefined {
  const at = cluster.unexpectedExits.findIndex((each) => each.nodeId === nodeId)
  return at < 0 ? undefined : cluster.unexpectedExits.splice(at, 1)[0]?.exit
}

const wipedFollower: Scenario = {
  name: "wiped-follower",
  summary: "a follower that holds the newest entries loses its data; it must not help to elect somebody without them",
  round: async (context) => {
    const { cluster, random, injected, broken } = context
    const leader = await cluster.waitLeader()
    const [wiped = 0, behind = 0] = shuffled(random, idsOf(cluster)).filter((id) => id !== leader)
    // What is acknowledged now is on the leader and on the one that will be wiped, and nowhere else.
    cluster.pause(behind)
    await sleep(700)
    await Promise.all([cluster.kill(leader), cluster.kill(wiped)])
    rmSync(cluster.node(wiped).dataDir, { recursive: true })
    context.wiped(wiped)
    cluster.continue(behind)
    cluster.start(wiped)
    injected(`wiped ${String(wiped)}; ${String(behind)} is behind; ${String(leader)} is down`)
    const untilMs = performance.now() + 2_500
    while (performance.now() < untilMs) {
      const elected = await cluster.findLeader()
      if (elected !== undefined) {
        broken(`node ${String(elected)} was elected with the vote of wiped node ${String(wiped)}`)
        break
      }
      await sleep(100)
    }
    await recover(context)
  },
}

const damagedFile: Scenario = {
  name: "damaged-file",
  summary: "bits of a node's data files are flipped while it is down; it must repair itself or refuse to start",
  extraArguments: SMALL_SEGMENTS,
  round: async (context) => {
    const { cluster, random, injected } = context
    const id = shuffled(random, idsOf(cluster))[0] ?? 1
    await cluster.kill(id)
    const file = chooseDataFile(cluster.node(id).dataDir, random)
    if (file === undefined) return
    const offset = flipBits(file.path, random, file.bytes)
    injected(`damaged ${file.path.slice(cluster.folder.length + 1)} at ${String(offset)} of ${String(file.bytes)}`)
    cluster.start(id)
    const exit = await exitBeforeReady(cluster, id)
    if (exit !== undefined) {
      injected(`node ${String(id)} refused to start (${String(exit.code ?? exit.signal)})`)
      rmSync(cluster.node(id).dataDir, { recursive: true })
      context.wiped(id)
    }
    await recover(context)
  },
}

/** How a node ended that was just started; undefined when it serves. */
async function exitBeforeReady(cluster: LocalCluster, nodeId: number): Promise<NodeExit | undefined> {
  const untilMs = performance.now() + READY_TIMEOUT_MS
  while (performance.now() < untilMs) {
    const exit = (await cluster.waitExit(nodeId, 100)) ?? takeExit(cluster, nodeId)
    if (exit !== undefined) return exit
    if (await cluster.isReady(nodeId)) return undefined
  }
  throw new Error(`node ${String(nodeId)} neither serves nor ends: ${cluster.lastLines(nodeId, 5)}`)
}

/** Files without which nothing is lost: spares, locks, and what LevelDB tells of itself. */
const NO_DATA = /\.spare$|\/LOCK$|\/LOG(\.old)?$/

/**
 * Every second time a segment of the log, else any other file that holds data.
 *
 * @returns `bytes` without the zeros behind what was written.
 */
function chooseDataFile(folder: string, random: Random): { readonly path: string; readonly bytes: number } | undefined {
  const isSegment = random.nextInt(2) === 0
  const files = filesBelow(folder)
    .filter(({ path }) => !NO_DATA.test(path) && path.endsWith(".seg") === isSegment)
    .map(({ path }) => ({ path, bytes: writtenBytes(path) }))
    .filter(({ bytes }) => bytes > 0)
  return files[random.nextInt(Math.max(1, files.length))]
}

function writtenBytes(path: string): number {
  const content = readFileSync(path)
  let bytes = content.length
  while (bytes > 0 && content[bytes - 1] === 0) bytes -= 1
  return bytes
}

/** Flips a bit in each of eight neighbouring bytes. @returns where. */
function flipBits(path: string, random: Random, bytes: number): number {
  const length = Math.min(8, bytes)
  const offset = random.nextInt(bytes - length + 1)
  const file = openSync(path, "r+")
  try {
    const piece = Buffer.alloc(length)
    readSync(file, piece, 0, length, offset)
    writeSync(
      file,
      piece.map((byte) => byte ^ 0x10),
      0,
      length,
      offset,
    )
  } finally {
    closeSync(file)
  }
  return offset
}

const foreignData: Scenario = {
  name: "foreign-data",
  summary: "a node is started with another node's data directory; it must refuse",
  round: async (context) => {
    const { cluster, random, injected, broken } = context
    const [one = 1, other = 2] = shuffled(random, idsOf(cluster))
    await Promise.all([cluster.stop(one), cluster.stop(other)])
    cluster.start(one, ["--data-dir", cluster.node(other).dataDir])
    injected(`started ${String(one)} with the data of ${String(other)}`)
    const exit = await cluster.waitExit(one, 10_000)
    if (exit === undefined) {
      broken(`node ${String(one)} runs with the data of node ${String(other)}`)
      await cluster.kill(one)
    } else if (exit.code === 0 || exit.code === null) {
      broken(
        `node ${String(one)} refused foreign data with ${String(exit.code ?? exit.signal)}: no exit code of an error`,
      )
    }
    await recover(context)
  },
}

const calm: Scenario = {
  name: "calm",
  summary: "no fault at all: half of what Jepsen found needed none",
  isGentle: true,
  round: async ({ injected }) => {
    await sleep(1_000)
    injected("none")
  },
}

const mixed: Scenario = {
  name: "mixed",
  summary: "kills, pauses and cuts of any node, in any order",
  hasProxies: true,
  round: async (context) => {
    const kinds = [killLeader, killFollower, killTwo, killAll, pauseLeader, pauseFollower, cutLeader, flapping]
    const scenario = kinds[context.random.nextInt(kinds.length)] ?? calm
    await scenario.round(context)
    await recover(context)
  },
}

export const SCENARIOS: readonly Scenario[] = [
  calm,
  killLeader,
  killFollower,
  killTwo,
  killAll,
  publish,
  pauseLeader,
  pauseFollower,
  cutLeader,
  flapping,
  restartRandomly,
  rollingRestart,
  diskFull,
  fileSizeLimit,
  wipedFollower,
  damagedFile,
  foreignData,
  mixed,
]

/** Several scenarios on one cluster, one round of each: what they need is taken from all of them. */
export function inTurn(name: string, names: readonly string[]): Scenario {
  const parts = names.map((each) => SCENARIOS.find((scenario) => scenario.name === each))
  const known = parts.filter((scenario) => scenario !== undefined)
  if (known.length < names.length) throw new Error(`one of ${names.join(", ")} is no scenario`)
  const smallDiskBytes = Math.max(0, ...known.map((scenario) => scenario.smallDiskBytes ?? 0))
  return {
    name,
    summary: names.join(", "),
    hasProxies: known.some(({ hasProxies }) => hasProxies === true),
    hasTopic: known.some(({ hasTopic }) => hasTopic === true),
    isGentle: known.every(({ isGentle }) => isGentle === true),
    ...(smallDiskBytes === 0 ? {} : { smallDiskBytes }),
    extraArguments: known.find(({ extraArguments }) => extraArguments !== undefined)?.extraArguments ?? [],
    unavailable: (folder) =>
      known.map((scenario) => scenario.unavailable?.(folder)).find((reason) => reason !== undefined),
    round: async (context) => {
      for (const scenario of known) {
        await scenario.round(context)
        await recover(context)
      }
    },
  }
}
