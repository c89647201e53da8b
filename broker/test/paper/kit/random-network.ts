/**
 * A small simulator for the core alone: everything that can happen to a few nodes, drawn from one seed, with the invariants checked
 * after each step; then the faults stop and the cluster must come to agreement.
 *
 * The full simulator (driver, log files, queue machine) is in `broker/test/sim`.
 */
import { createRandom } from "../../../src/core/random.ts"
import type { Random } from "../../../src/core/random.ts"
import { simpleConfiguration } from "../../../src/core/raft/configuration.ts"
import type { RaftFault } from "../../../src/core/raft/faults.ts"
import type { ConfigurationChange, Message, NodeId } from "../../../src/core/raft/types.ts"
import { InvariantBroken, Invariants } from "./invariants.ts"
import { bytes, TestCluster } from "./test-cluster.ts"
import type { TestNode } from "./test-node.ts"

export interface RandomNetworkOptions {
  readonly seed: number
  readonly count: number
  readonly steps: number
  readonly faults?: readonly RaftFault[]
  /** Also change the membership: voters are then the first three. */
  readonly membership?: boolean
  /** Once, a node loses its disk. */
  readonly wipe?: boolean
}

export interface RandomNetworkReport {
  readonly committed: number
  readonly terms: number
  readonly reads: number
  readonly crashes: number
  readonly snapshots: number
  readonly changes: number
  readonly trace: number
}

interface Action {
  readonly weight: number
  readonly run: () => void
}

const MAX_MESSAGES = 200

export class RandomNetwork {
  readonly cluster: TestCluster
  readonly invariants: Invariants
  private readonly options: RandomNetworkOptions
  private readonly random: Random
  private readonly actions: readonly Action[]
  private readonly totalWeight: number
  private readonly loss: number
  private readonly duplication: number
  private readonly reorder: boolean
  private readonly readFloors = new Map<number, number>()
  private cutOff = new Set<NodeId>()
  private isOneWay = false
  private nextValue = 1
  private wiped: NodeId = 0
  private readonly counts = { reads: 0, crashes: 0, snapshots: 0, changes: 0, terms: 0 }
  private trace = 17

  constructor(options: RandomNetworkOptions) {
    this.options = options
    this.random = createRandom(options.seed)
    const { random } = this
    this.cluster = new TestCluster({
      count: options.count,
      seed: options.seed,
      faults: options.faults ?? [],
      ...(options.membership === true ? { configuration: simpleConfiguration([1, 2, 3]) } : {}),
      settings: {
        electionTicks: 5,
        heartbeatTicks: 1 + random.nextInt(2),
        maxInflightMessages: 1 + random.nextInt(4),
        maxInflightEntriesBytes: 100 + random.nextInt(400),
        maxAppendBytes: 40 + random.nextInt(200),
        maxApplyBytes: 40 + random.nextInt(200),
        cacheBytes: random.nextInt(3) === 0 ? 1 << 20 : random.nextInt(400),
      },
    })
    this.invariants = new Invariants(this.cluster)
    // Swarm: each seed has its own mixture of faults, a quarter of them none.
    const isCalm = random.nextInt(4) === 0
    this.loss = isCalm ? 0 : random.nextFloat() * 0.3
    this.duplication = isCalm ? 0 : random.nextFloat() * 0.3
    this.reorder = !isCalm && random.nextInt(3) > 0
    this.actions = this.chooseActions(isCalm)
    this.totalWeight = this.actions.reduce((sum, action) => sum + action.weight, 0)
  }

  /** Runs the faulty phase, then the calm one. Throws `InvariantBroken` or `AssertionFailed`. */
  run(): RandomNetworkReport {
    for (let step = 0; step < this.options.steps; step++) {
      this.runAction()
      if (step % 50 === 0) this.invariants.checkLogMatching()
    }
    this.invariants.checkLogMatching()
    this.converge()
    return { ...this.counts, committed: this.invariants.lastCommitted, trace: this.trace >>> 0 }
  }

  private chooseActions(isCalm: boolean): readonly Action[] {
    const { random } = this
    const sometimes = (weight: number): number => (!isCalm && random.nextInt(2) === 0 ? weight : 0)
    return [
      { weight: 400, run: () => this.deliver() },
      { weight: 400, run: () => this.process(this.anyNode()) },
      { weight: 200 + random.nextInt(200), run: () => this.persist(this.anyNode()) },
      { weight: 60, run: () => this.tick(this.anyNode()) },
      { weight: 30, run: () => this.tickAll() },
      { weight: 60, run: () => this.anyNode()?.serveFetch() },
      { weight: 60, run: () => this.propose(this.anyNode()) },
      { weight: 20, run: () => this.read(this.anyNode()) },
      { weight: sometimes(8), run: () => this.crash(this.anyNode()) },
      { weight: 10, run: () => this.restart() },
      { weight: sometimes(4), run: () => this.partition() },
      { weight: 2, run: () => (this.cutOff = new Set()) },
      { weight: sometimes(6), run: () => this.anyNode()?.raft.peerUnreachable(this.anyId()) },
      { weight: sometimes(6), run: () => this.anyNode()?.raft.peerReachable(this.anyId()) },
      { weight: sometimes(4), run: () => this.anyNode()?.raft.transferLeadership(this.anyId()) },
      { weight: sometimes(50), run: () => this.compact(this.anyNode()) },
      { weight: this.options.membership === true ? 15 : 0, run: () => this.change(this.anyNode()) },
      { weight: this.options.wipe === true ? 1 : 0, run: () => this.wipe(this.anyNode()) },
    ].filter((action) => action.weight > 0)
  }

  private runAction(): void {
    let draw = this.random.nextInt(this.totalWeight)
    for (const action of this.actions) {
      draw -= action.weight
      if (draw >= 0) continue
      action.run()
      return
    }
  }

  private anyId(): NodeId {
    return 1 + this.random.nextInt(this.options.count)
  }

  private anyNode(): TestNode | undefined {
    const node = this.cluster.node(this.anyId())
    return node.isUp ? node : undefined
  }

  private process(node: TestNode | undefined): void {
    if (node === undefined) return
    const ready = node.process()
    if (ready?.status?.role === "leader") this.counts.terms++
    if (ready?.restore !== undefined) {
      const { lastIncludedIndex, lastIncludedTerm } = ready.restore
      const committed = this.invariants.history.get(lastIncludedIndex)
      if (committed !== undefined && committed.entryTerm !== lastIncludedTerm)
        throw new InvariantBroken("snapshot term")
      this.counts.snapshots++
    }
    this.takeReads(node)
    this.settleNode(node)
  }

  private persist(node: TestNode | undefined): void {
    if (node?.persist() === undefined) return
    // What the completed write allows shows only when it is handed out.
    this.process(node)
  }

  private settleNode(node: TestNode): void {
    this.invariants.check(node)
    for (const message of node.outbox) {
      this.invariants.checkSent(node, message)
      this.note(message)
      if (this.cluster.network.length < MAX_MESSAGES) this.cluster.network.push(message)
    }
    node.outbox = []
  }

  private deliver(): void {
    const { network } = this.cluster
    if (network.length === 0) return
    const place = this.reorder ? this.random.nextInt(network.length) : 0
    const message = network[place]
    if (message === undefined) return
    if (this.random.nextFloat() >= this.duplication) network.splice(place, 1)
    const isLost = this.random.nextFloat() < this.loss || this.isCut(message) || !this.cluster.node(message.to).isUp
    if (message.kind === "installSnapshot") {
      const sender = this.cluster.node(message.from)
      if (sender.isUp && (isLost || this.random.nextInt(3) === 0)) sender.raft.snapshotSent(message.to, !isLost)
    }
    if (!isLost) this.cluster.deliver(message)
  }

  private isCut(message: Message): boolean {
    const isFromCut = this.cutOff.has(message.from)
    const isToCut = this.cutOff.has(message.to)
    return this.isOneWay ? isToCut && !isFromCut : isFromCut !== isToCut
  }

  private partition(): void {
    this.isOneWay = this.random.nextInt(3) === 0
    this.cutOff = new Set()
    for (let nodeId = 1; nodeId <= this.options.count; nodeId++) {
      if (this.random.nextInt(2) === 0) this.cutOff.add(nodeId)
    }
  }

  private tick(node: TestNode | undefined): void {
    if (node === undefined) return
    const { raft } = node
    const isDue = raft.ticksUntilDue() === 1 || raft.hasReady()
    raft.tick()
    // Ready or not is the same as before: the driver sleeps through such ticks.
    if (!isDue && raft.hasReady()) throw new Error("a tick that was not due did something")
  }

  private tickAll(): void {
    for (const node of this.cluster.nodes.values()) if (node.isUp) this.tick(node)
  }

  private propose(node: TestNode | undefined): void {
    const values = Array.from({ length: 1 + this.random.nextInt(3) }, () => bytes(`value ${this.nextValue++}`))
    node?.raft.propose(values)
  }

  private read(node: TestNode | undefined): void {
    if (node === undefined) return
    const context = this.nextValue++
    if (node.raft.readIndex(context)) this.readFloors.set(context, this.invariants.lastCommitted)
  }

  /** Linearizable: a read sees at least what anybody knew to be committed when it was asked. */
  private takeReads(node: TestNode): void {
    for (const { context, index } of node.reads) {
      const floor = this.readFloors.get(context) ?? 0
      if (index < floor) throw new InvariantBroken(`read at ${index}, but ${floor} was committed before it was asked`)
      this.counts.reads++
    }
    node.reads = []
    node.readsAborted = []
  }

  private crash(node: TestNode | undefined): void {
    if (node === undefined) return
    this.counts.crashes++
    node.crash(this.random.nextInt(node.storage.length + 1))
    this.invariants.forget(node.nodeId)
  }

  private restart(): void {
    const down = [...this.cluster.nodes.values()].filter((node) => !node.isUp)
    const node = down[this.random.nextInt(Math.max(1, down.length))]
    if (node === undefined) return
    node.restart()
    if (node.mayVote) return
    for (const other of this.cluster.nodes.values()) if (other.isUp) other.raft.peerReset(node.nodeId)
  }

  private wipe(node: TestNode | undefined): void {
    if (node === undefined || this.wiped !== 0) return
    this.wiped = node.nodeId
    this.invariants.hasWipedNode = true
    node.wipe()
    this.invariants.forget(node.nodeId)
    // Its connections are gone, and what was on them with them.
    this.cluster.network = this.cluster.network.filter((message) => message.from !== node.nodeId)
    if (this.options.faults?.includes("wipedNodeVotes") === true) node.restart()
  }

  private compact(node: TestNode | undefined): void {
    if (node === undefined || node.storage.length > 0) return
    const { appliedIndex, baseIndex, durableIndex } = node.raft.status()
    const limit = Math.min(appliedIndex, durableIndex)
    if (limit > baseIndex) node.compact(baseIndex + 1 + this.random.nextInt(limit - baseIndex))
  }

  private change(node: TestNode | undefined): void {
    const kinds = ["addVoter", "addLearner", "remove"] as const
    const changes = Array.from({ length: 1 + this.random.nextInt(2) }, (): ConfigurationChange => {
      return { kind: kinds[this.random.nextInt(3)] ?? "addVoter", nodeId: this.anyId() }
    })
    if (node?.raft.proposeConfiguration(changes).ok === true) this.counts.changes++
  }

  /** The faults stop. Within a bounded time there is a leader, and all its members hold and apply the same log. */
  private converge(): void {
    const { cluster, invariants } = this
    this.cutOff = new Set()
    for (const node of cluster.nodes.values()) {
      if (!node.isUp) this.restartCalmly(node)
      for (const message of node.raft.status().peers) {
        if (message.state === "snapshot") node.raft.snapshotSent(message.nodeId, false)
      }
    }
    for (let round = 0; round < 400; round++) {
      cluster.run(1)
      for (const node of cluster.nodes.values()) {
        this.takeReads(node)
        invariants.check(node)
      }
      if (round % 20 === 19 && this.isConverged()) return
    }
    throw new InvariantBroken("no agreement although the faults have stopped")
  }

  private restartCalmly(node: TestNode): void {
    node.restart()
    if (node.mayVote) return
    for (const other of this.cluster.nodes.values()) if (other.isUp) other.raft.peerReset(node.nodeId)
  }

  private isConverged(): boolean {
    const leader = this.cluster.leader()?.raft.status()
    if (leader === undefined || leader.commitIndex !== leader.lastIndex) return false
    const { voters, learners, votersOutgoing } = leader.configuration
    if (votersOutgoing.length > 0) return false
    return [...voters, ...learners].every((nodeId) => {
      const status = this.cluster.node(nodeId).raft.status()
      return status.lastIndex === leader.lastIndex && status.appliedIndex === leader.lastIndex
    })
  }

  private note(message: Message): void {
    for (const part of [message.kind.length, message.from, message.to, message.term]) {
      this.trace = Math.imul(this.trace ^ part, 0x01000193)
    }
  }
}
