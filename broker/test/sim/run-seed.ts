/**
 * One seed from beginning to end:
 *
 *   found    the nodes meet and elect, without faults
 *   safety   all drawn faults at once, clients at work; the checker looks after every step of every node
 *   idle     less load, so that timeouts and retention end by themselves
 *   liveness faults off for a random majority: it must elect, serve and agree, within stated times
 *   whole    everybody comes back and agrees
 *   topics   fresh messages reach who can take them, whatever waits is pushed; then everybody unsubscribes
 *   drain    every message is received and deleted; the books must come out even
 */
import { Buffer } from "node:buffer"
import { ClientCalls } from "./client-calls.ts"
import { Nemesis } from "./nemesis.ts"
import { REGISTER_QUEUE } from "./queue-books.ts"
import { SimCluster } from "./sim-cluster.ts"
import type { Mutation, SimNode } from "./sim-cluster.ts"
import { drawSwarm } from "./swarm.ts"
import type { Swarm, SwarmOverride } from "./swarm.ts"
import { TopicWorkload } from "./topic-workload.ts"
import { Workload } from "./workload.ts"
import { chance, shuffled, Violation, World } from "./world.ts"

export interface SeedOptions {
  readonly seed: number
  readonly override?: SwarmOverride
  readonly mutation?: Mutation
  readonly onLine?: (line: string) => void
}

export interface SeedResult {
  readonly seed: number
  readonly swarm: Swarm
  readonly traceHash: string
  readonly violation: Violation | undefined
  readonly phase: string
  readonly simulatedMs: number
  readonly events: number
  readonly commands: number
  readonly entries: number
  readonly messages: number
  readonly deliveries: number
  readonly checks: number
  readonly terms: number
  readonly faults: number
  readonly frames: number
  readonly calls: ReadonlyMap<string, number>
  readonly world: World
  readonly lastLines: readonly string[]
}

/** A leader within this time after the faults ended, and fresh sends within it again. */
/** For all of the core to read their disks. */
const START_MS = 3_000
const ELECTION_MS = 5000
const SERVE_MS = 15_000
const AGREE_MS = 60_000
const RUNAWAY_MS = 12_000
const FOUND_MS = 30_000
/** Longest delay, visibility and retention of the workload, and some time to work it off. */
const DRAIN_MS = 20 * 60_000
/** For a slow address to take all that can wait for it. */
const SETTLE_MS = 2 * 60_000

export function runSeed(options: SeedOptions): SeedResult {
  const world = new World(options.seed)
  world.onLine = options.onLine
  const swarm = drawSwarm(world, options.override)
  const cluster = new SimCluster(world, swarm, options.mutation)
  const run = new SeedRun(cluster)
  let violation: Violation | undefined
  try {
    run.all()
  } catch (error) {
    if (!(error instanceof Violation)) throw error
    violation = error
  }
  return {
    seed: options.seed,
    swarm,
    traceHash: world.traceHash,
    violation,
    phase: run.phase,
    simulatedMs: world.nowMs,
    events: world.executedCount,
    commands: cluster.oracle.commandCount,
    entries: cluster.raft.committedIndex,
    messages: cluster.oracle.sentCount,
    deliveries: cluster.oracle.deliveryCount,
    checks: cluster.raft.checkCount,
    terms: cluster.raft.leaderCount,
    faults: run.nemesis.faultCount,
    frames: cluster.network.framesSent,
    calls: run.calls.counts,
    world,
    lastLines: violation === undefined ? [] : world.lastLines(),
  }
}

class SeedRun {
  readonly nemesis: Nemesis
  readonly calls: ClientCalls
  phase = "found"
  readonly #cluster: SimCluster
  readonly #world: World
  readonly #workload: Workload
  readonly #topics: TopicWorkload | undefined
  readonly #random

  constructor(cluster: SimCluster) {
    this.#cluster = cluster
    this.#world = cluster.world
    this.calls = new ClientCalls(cluster)
    this.nemesis = new Nemesis(cluster)
    this.#workload = new Workload(cluster, this.calls)
    this.#topics = cluster.swarm.workload.topics ? new TopicWorkload(cluster, this.calls) : undefined
    this.#random = cluster.world.fork("phases")
  }

  all(): void {
    this.#found()
    this.#safety()
    const core = this.#liveness()
    this.#whole(core)
    this.#drain()
  }

  #begin(phase: string): void {
    this.phase = phase
    this.#world.note(() => `=== ${phase}`)
  }

  #found(): void {
    const { nodes } = this.#cluster
    for (const node of nodes) this.#cluster.start(node)
    this.#demand(() => this.#cluster.leader() !== undefined, {
      withinMs: FOUND_MS,
      rule: "a new cluster elects a leader",
    })
  }

  #safety(): void {
    this.#begin("safety")
    const { swarm } = this.#cluster
    this.nemesis.begin()
    this.#workload.begin()
    this.#topics?.begin()
    this.#world.runUntil(this.#world.nowMs + swarm.safetyMs)
    if (swarm.idleMs > 0) {
      this.#begin("idle")
      this.#workload.setIntensity(0.05)
      this.#topics?.setIntensity(0.05)
      this.#world.runUntil(this.#world.nowMs + swarm.idleMs)
    }
    this.#workload.end()
    this.#topics?.end()
  }

  /** Returns the nodes outside the core. */
  #liveness(): readonly SimNode[] {
    this.#begin("liveness")
    const { nodes, majority, network } = this.#cluster
    this.nemesis.end()
    for (const node of nodes) node.clock.setRate(1)
    const order = shuffled(this.#random, nodes)
    const core = order.slice(0, majority)
    const others = order.slice(majority)
    for (const node of others) {
      if (chance(this.#random, 0.5)) {
        node.isHeldDown = true
        this.#cluster.crash(node, "kill")
      } else {
        for (const other of nodes) {
          if (other === node) continue
          network.setBlocked(node.nodeId, other.nodeId, true)
          network.setBlocked(other.nodeId, node.nodeId, true)
        }
      }
    }
    for (const node of core) this.#cluster.start(node)
    if (this.#isInDoubt(core)) {
      this.#world.marks.hit("liveness: a majority is not enough, one of it lost a part of its log")
      this.#heal(others)
      return []
    }
    this.#demand(() => this.#cluster.leader(core) !== undefined, {
      withinMs: ELECTION_MS,
      rule: "a healthy majority elects in 5 s",
    })
    this.#serve(core)
    this.#agree(core)
    // Long enough for a node that is cut off to run away with the term, were it not for the pre-vote.
    this.#world.runUntil(this.#world.nowMs + RUNAWAY_MS)
    return others
  }

  #whole(others: readonly SimNode[]): void {
    this.#begin("whole")
    const termBefore = this.#cluster.raft.highestTerm
    this.#heal(others)
    this.#agree(this.#cluster.nodes)
    this.#world.runUntil(this.#world.nowMs + 100)
    const rise = Math.max(...this.#cluster.nodes.map((node) => node.broker?.replica.status.term ?? 0)) - termBefore
    if (rise > 2) this.#world.fail(new Violation("a returning node deposes nobody", `the term rose by ${String(rise)}`))
  }

  #heal(others: readonly SimNode[]): void {
    this.#cluster.network.healAll()
    for (const node of others) {
      node.isHeldDown = false
      this.#cluster.start(node)
    }
  }

  /** A node that may have forgotten what it acknowledged does not vote until the others have told it (ADR 0015). */
  #isInDoubt(core: readonly SimNode[]): boolean {
    const isUp = (node: SimNode): boolean => node.broker !== undefined
    this.#world.runWhile(() => !core.every(isUp), this.#world.nowMs + START_MS)
    return core.some((node) => node.broker?.replica.raft.status().mayVote === false)
  }

  #serve(core: readonly SimNode[]): void {
    let served = 0
    for (const node of core) {
      const send = (attempt: number): void => {
        this.calls.call({
          client: "probe",
          nodeId: node.nodeId,
          name: "sendMessages",
          request: { queueName: "orders", messages: [probe(node.nodeId, attempt)] },
          timeoutMs: 3000,
          patienceMs: 1000,
          cancels: false,
          done: (end) => {
            this.#world.note(
              () =>
                `probe at n${String(node.nodeId)}: ${end.kind === "reply" ? (end.reply.ok ? "ok" : end.reply.error) : end.kind}`,
            )
            if (end.kind === "reply" && end.reply.ok) served++
            else
              this.#world.after(100, () => {
                send(attempt + 1)
              })
          },
        })
      }
      send(0)
    }
    if (!this.#cluster.oracle.queueNames().includes("orders")) return
    this.#demand(() => served === core.length, { withinMs: SERVE_MS, rule: "a healthy majority serves fresh sends" })
  }

  #agree(nodes: readonly SimNode[]): void {
    const { raft } = this.#cluster
    const isEqual = (): boolean =>
      nodes.every((node) => node.process.state === "up" && node.broker?.replica.appliedIndex === raft.committedIndex)
    this.#demand(isEqual, { withinMs: AGREE_MS, rule: "healthy nodes agree" })
    for (const node of nodes) this.#cluster.compareState(node)
    if (this.#world.violation !== undefined) throw this.#world.violation
  }

  /** Whatever can be delivered is; what cannot waits, as the books say. A dead address has held up nobody. */
  #endTopics(topics: TopicWorkload): void {
    this.#begin("topics")
    const { receivers, oracle } = this.#cluster
    const taken = new Set<string>()
    let fresh: string | undefined
    receivers.onTaken = (receiver, push) => {
      if (receiver === "prompt") taken.add(Buffer.from(push.body).toString())
    }
    topics.publishFresh((body) => {
      fresh = body
    })
    const isHere = (): boolean => fresh !== undefined && taken.has(fresh)
    this.#demand(isHere, { withinMs: SERVE_MS, rule: "an address that is well gets fresh messages at once" })
    const isSettled = (): boolean =>
      oracle.topics.subscriptions().every(({ model: { endpoint, isPausing, waiting } }) => {
        const isIdle = endpoint.kind === "queue" || isPausing || waiting.length === 0
        return isIdle || endpoint.url === receivers.urlOf("dead")
      })
    this.#demand(isSettled, { withinMs: SETTLE_MS, rule: "what waits for an address that is well is pushed" })
    oracle.topics.checkWaiting()
    let isEnded = false
    topics.unsubscribeAll(() => {
      isEnded = true
    })
    this.#demand(() => isEnded, { withinMs: SETTLE_MS, rule: "subscriptions can be taken away" })
  }

  #drain(): void {
    if (this.#topics !== undefined) this.#endTopics(this.#topics)
    this.#begin("drain")
    const drain = new Drain(this.#cluster, this.calls)
    drain.begin()
    this.#demand(() => drain.isEmpty, { withinMs: DRAIN_MS, rule: "the queues can be drained" })
    this.#agree(this.#cluster.nodes)
    this.#cluster.oracle.checkDrained()
    this.#world.runUntil(this.#world.nowMs + 70_000)
    const overdue = this.calls.overdue()
    if (overdue.length > 0) this.#world.fail(new Violation("every request is answered", overdue.slice(0, 3).join("; ")))
    if (this.#world.violation !== undefined) throw this.#world.violation
  }

  #demand(condition: () => boolean, demand: { readonly withinMs: number; readonly rule: string }): void {
    if (this.#world.runWhile(() => !condition(), this.#world.nowMs + demand.withinMs)) return
    const states = this.#cluster.nodes.map((node) => {
      const status = node.broker?.replica.raft.status()
      if (status === undefined) return `n${String(node.nodeId)} ${node.process.state}`
      const { role, term, commitIndex, appliedIndex, lastIndex, mayVote, isRestoring } = status
      return `n${String(node.nodeId)} ${node.process.state} ${role} t${String(term)} commit ${String(commitIndex)} applied ${String(appliedIndex)} last ${String(lastIndex)}${mayVote ? "" : " MAY-NOT-VOTE"}${isRestoring ? " restoring" : ""}`
    })
    this.#world.fail(new Violation(demand.rule, `not within ${String(demand.withinMs)} ms: ${states.join(", ")}`))
    throw this.#world.violation ?? new Error("unreachable")
  }
}

function probe(
  nodeId: number,
  attempt: number,
): {
  readonly body: Uint8Array
  readonly delayMs: number
  readonly clientMessageId: string
  readonly attributes: readonly never[]
} {
  const name = `probe-${String(nodeId)}-${String(attempt)}`
  return { body: new TextEncoder().encode(name), delayMs: 0, clientMessageId: name, attributes: [] }
}

/** Receives and deletes everything, until every queue says that it is empty. */
class Drain {
  isEmpty = false
  readonly #cluster: SimCluster
  readonly #calls: ClientCalls
  #turn = 0

  constructor(cluster: SimCluster, calls: ClientCalls) {
    this.#cluster = cluster
    this.#calls = calls
  }

  begin(): void {
    const names = this.#cluster.oracle.queueNames().filter((name) => name !== REGISTER_QUEUE)
    if (names.length === 0) {
      this.isEmpty = true
      return
    }
    this.#round(names, new Set())
  }

  /** Goes through the queues; those found empty stay so, because nobody sends any more. Dead letters come last. */
  #round(names: readonly string[], empty: Set<string>): void {
    const left = names.filter((name) => !empty.has(name))
    if (left.length === 0) {
      if (empty.has("checked twice")) this.isEmpty = true
      else this.#round(names, new Set(["checked twice"]))
      return
    }
    let waiting = left.length
    for (const name of left) {
      this.#drainQueue(name, (isEmpty) => {
        if (isEmpty) empty.add(name)
        waiting--
        if (waiting > 0) return
        this.#cluster.world.after(1000, () => {
          this.#round(names, empty)
        })
      })
    }
  }

  #drainQueue(queueName: string, done: (isEmpty: boolean) => void): void {
    const common = { client: "drain", timeoutMs: 5000, patienceMs: 10_000, cancels: false } as const
    const nodeId = 1 + (this.#turn++ % this.#cluster.nodes.length)
    const request = { queueName, maxCount: 16, pollingWaitMs: 0, visibilityTimeoutMs: 30_000 }
    this.#calls.call({
      ...common,
      nodeId,
      name: "receiveMessages",
      request,
      done: (end) => {
        if (end.kind !== "reply" || !end.reply.ok) {
          this.#askIfEmpty(queueName, done)
          return
        }
        const handles = end.reply.value.messages.map((message) => message.deliveryHandle)
        this.#calls.call({
          ...common,
          nodeId,
          name: "deleteMessages",
          request: { queueName, handles },
          done: () => {
            this.#drainQueue(queueName, done)
          },
        })
      },
    })
  }

  #askIfEmpty(queueName: string, done: (isEmpty: boolean) => void): void {
    this.#calls.call({
      client: "drain",
      nodeId: 1 + (this.#turn++ % this.#cluster.nodes.length),
      name: "getQueueAttributes",
      request: { queueName },
      timeoutMs: 5000,
      patienceMs: 10_000,
      cancels: false,
      done: (end) => {
        if (end.kind !== "reply" || !end.reply.ok) {
          done(end.kind === "reply" && !end.reply.ok && end.reply.error === "queueNotFound")
          return
        }
        const { activeCount, inactiveCount, delayedCount } = end.reply.value
        done(activeCount + inactiveCount + delayedCount === 0)
      },
    })
  }
}
