/**
 * The brokers of one world: each with its own disk, checkpoint table and clocks, started, killed, paused and started
 * again. What runs inside is the production code, put together as the process puts it together; only the ports are ours.
 */
import { createRandom } from "../../src/core/random.ts"
import { Raft } from "../../src/core/raft/raft.ts"
import { QueueMachine } from "../../src/core/queue/queue-machine.ts"
import type { MachineLimits } from "../../src/core/queue/machine-limits.ts"
import type { MachineMutant } from "../../src/core/queue/machine-mutant.ts"
import { verifyRecord } from "../../src/codec/message-record.ts"
import { startBrokerNode } from "../../src/node/broker-node.ts"
import type { BrokerNode, BrokerNodeParts } from "../../src/node/broker-node.ts"
import { machineLimits } from "../../src/node/node-boot.ts"
import { NODE_DEFAULTS } from "../../src/node/node-options.ts"
import type { NodeOptions } from "../../src/node/node-options.ts"
import type { Metrics } from "../../src/node/metrics.ts"
import { openSegmentedLog } from "../../src/adapters/log/segmented-log.ts"
import type { OpenedLog } from "../../src/adapters/log/segmented-log.ts"
import type { SegmentedLogSetup } from "../../src/adapters/log/log-options.ts"
import type { Done, Logger, LogEvents, LogRecovery, LogStore, NodeId, PeerEvents } from "../../src/ports.ts"
import { PushReceivers } from "./push-receivers.ts"
import { QueueOracle } from "./queue-oracle.ts"
import { RaftChecker } from "./raft-checker.ts"
import { SimCheckpoint } from "./sim-checkpoint.ts"
import { SimClock, SimTimers } from "./sim-clock.ts"
import { SimDisk } from "./sim-disk.ts"
import type { PowerCutMode } from "./sim-disk.ts"
import { SimNetwork } from "./sim-network.ts"
import { describe, SimProcess } from "./sim-process.ts"
import type { Incarnation } from "./sim-process.ts"
import type { Swarm } from "./swarm.ts"
import { watchedLog } from "./watched-log.ts"
import { between, chance, Violation } from "./world.ts"
import type { World } from "./world.ts"

/** A bug put back on purpose. Each field replaces one part of the node; see mutants.ts. */
export interface Mutation {
  readonly createRaft?: NonNullable<BrokerNodeParts["createRaft"]>
  readonly machine?: MachineMutant
  readonly openLog?: OpenLog
  readonly wrapLog?: (log: LogStore, events: LogEvents) => LogStore
  readonly wrapParts?: (parts: BrokerNodeParts) => BrokerNodeParts
}

export type OpenLog = (setup: SegmentedLogSetup, done: Done<OpenedLog>) => void

export type CrashKind = "kill" | "powerCut"

/** How long a supervisor waits before it starts a node that ended by itself. */
const SUPERVISOR_MS = { least: 100, most: 3000 }
/** As the process does it. */
const LOG_TICK_MS = 1000
/** So often, in world time, the state of a node that has applied something is compared with the books. */
const COMPARE_EVERY_MS = 5000

export class SimNode {
  readonly nodeId: NodeId
  readonly process: SimProcess
  readonly disk: SimDisk
  readonly checkpoint: SimCheckpoint
  readonly clock: SimClock
  broker: BrokerNode | undefined
  /** Injected errors that this disk had when the process started. */
  errorsAtStart = 0
  /** Nobody starts it until the liveness phase is over. */
  isHeldDown = false
  comparedIndex = 0
  compareAfterMs = 0
  /** Log time of the machine when it was last looked at, in this life. */
  seenNowMs = 0

  constructor(world: World, nodeId: NodeId) {
    this.nodeId = nodeId
    this.process = new SimProcess(world, nodeId)
    this.disk = new SimDisk(world, nodeId)
    this.checkpoint = new SimCheckpoint(world, nodeId)
    this.clock = new SimClock(world, 1_000_000 * nodeId)
  }
}

export class SimCluster {
  readonly world: World
  readonly swarm: Swarm
  readonly network: SimNetwork
  readonly nodes: readonly SimNode[]
  readonly raft: RaftChecker
  readonly oracle: QueueOracle
  readonly receivers: PushReceivers
  /** Called when a process has ended, for the clients that wait for it. */
  onEnd: ((nodeId: NodeId) => void) | undefined
  readonly #mutation: Mutation
  readonly #random
  #startCount = 0

  constructor(world: World, swarm: Swarm, mutation: Mutation = {}) {
    this.world = world
    this.swarm = swarm
    this.#mutation = mutation
    this.#random = world.fork("cluster")
    this.network = new SimNetwork(world)
    this.network.isRaft = (frame) => frame[0] === RAFT_FRAME
    const voters = Array.from({ length: swarm.nodeCount }, (_, i) => i + 1)
    this.nodes = voters.map((nodeId) => new SimNode(world, nodeId))
    this.oracle = new QueueOracle(world, narrowed(machineLimits(this.#options(1))), mutation.machine)
    this.receivers = new PushReceivers(world, this.oracle.topics)
    this.raft = new RaftChecker(world, {
      voters,
      committed: (entry) => {
        this.oracle.apply(entry)
      },
    })
    this.network.onSend = (from, _to, frame) => {
      this.raft.sent(from, frame)
    }
    for (const node of this.nodes) {
      node.disk.settings = swarm.disk
      node.process.afterStep = () => {
        this.#afterStep(node)
      }
    }
    world.afterEvent = undefined
  }

  get majority(): number {
    return Math.floor(this.nodes.length / 2) + 1
  }

  node(nodeId: NodeId): SimNode {
    const node = this.nodes[nodeId - 1]
    if (node === undefined) throw new RangeError(`no node ${String(nodeId)}`)
    return node
  }

  /** The node that leads and may answer, if there is one. */
  leader(among: readonly SimNode[] = this.nodes): SimNode | undefined {
    return among.find((node) => node.process.state === "up" && node.broker?.replica.leaderReady === true)
  }

  start(node: SimNode): void {
    if (node.process.state !== "down") return
    node.errorsAtStart = node.disk.injectedErrorCount
    node.comparedIndex = 0
    node.seenNowMs = 0
    const incarnation = node.process.start()
    this.#startCount++
    this.world.note(() => `n${String(node.nodeId)} starts (life ${String(incarnation.number)})`)
    node.process.run(() => {
      this.#boot(node, incarnation)
    })
  }

  crash(node: SimNode, kind: CrashKind, mode: PowerCutMode = "some"): void {
    if (node.process.state === "down") return
    this.world.note(() => `n${String(node.nodeId)} ${kind} ${kind === "kill" ? "" : mode}`)
    this.world.marks.hit(`process: ${kind}`)
    if (node.broker?.replica.leaderReady === true) this.world.marks.hit(`process: ${kind} of the leader`)
    this.#end(node, kind === "powerCut")
    node.checkpoint.crashed()
    if (kind === "powerCut") node.disk.powerCut(mode)
    else node.disk.processKilled()
  }

  /** SIGTERM: the node hands over, answers, closes. */
  stop(node: SimNode, done: () => void): void {
    const { broker } = node
    if (node.process.state !== "up" || broker === undefined) return
    this.world.note(() => `n${String(node.nodeId)} is asked to stop`)
    this.world.marks.hit("process: graceful stop")
    node.process.run(() => {
      broker.stop(() => {
        this.world.note(() => `n${String(node.nodeId)} stopped`)
        this.world.after(0, () => {
          if (node.broker !== broker) return
          this.#end(node, false)
          node.checkpoint.crashed()
          node.disk.processKilled()
          done()
        })
      })
    })
  }

  pause(node: SimNode, durationMs: number): void {
    if (node.process.state !== "up") return
    this.world.marks.hit("process: paused")
    if (node.broker?.replica.leaderReady === true) this.world.marks.hit("process: leader paused")
    this.world.note(() => `n${String(node.nodeId)} paused for ${durationMs.toFixed(0)} ms`)
    node.process.pause()
    const life = node.process.incarnationNumber
    this.world.after(durationMs, () => {
      if (node.process.incarnationNumber === life) node.process.resume()
    })
  }

  /** Compares the state of a node with the books, when both are at the same entry. */
  compareState(node: SimNode): boolean {
    const replica = node.broker?.replica
    if (replica === undefined || replica.appliedIndex !== this.raft.committedIndex) return false
    if (replica.machine.stateHash() !== this.oracle.stateHash()) {
      this.world.fail(
        new Violation(
          "equal index, equal state",
          `node ${String(node.nodeId)} differs at index ${String(replica.appliedIndex)}`,
        ),
      )
    }
    return true
  }

  /** Brings the checker up to date with a node in the middle of one of its steps. */
  observe(node: SimNode): void {
    const replica = node.broker?.replica
    if (replica !== undefined && node.process.state !== "down") this.raft.observe(replica.raft)
  }

  /** Whether the node has applied everything that anybody knows to be committed. Brings the books up to date. */
  #isCurrent(node: SimNode): boolean {
    this.observe(node)
    return node.broker?.replica.appliedIndex === this.raft.committedIndex
  }

  #options(nodeId: NodeId): NodeOptions {
    const { swarm } = this
    return {
      ...NODE_DEFAULTS,
      readyLagEntries: 10,
      clusterId: "sim",
      nodeId,
      voters: Array.from({ length: swarm.nodeCount }, (_, i) => i + 1),
      httpAddress: `127.0.0.1:${String(7070 + 100 * nodeId)}`,
      tickMs: swarm.tickMs,
      electionTicks: swarm.electionTicks,
      heartbeatTicks: swarm.heartbeatTicks,
      checkpoint: {
        everyBytes: swarm.checkpointBytes,
        everyTicks: swarm.checkpointTicks,
        keptForFollowersBytes: swarm.keptForFollowersBytes,
        cleanBelowLiveShare: 0.4,
      },
    }
  }

  #boot(node: SimNode, incarnation: Incarnation): void {
    const options = this.#options(node.nodeId)
    const timers = new SimTimers(incarnation, node.clock)
    const isCurrent = (): boolean => incarnation.isAlive()
    const createRaft = this.#mutation.createRaft ?? ((raftOptions) => new Raft(raftOptions))
    const parts: BrokerNodeParts = {
      options,
      clock: node.clock,
      timers,
      logger: this.#logger(node),
      metrics: NO_METRICS,
      random: createRandom(
        this.world.fork(`node ${String(node.nodeId)} life ${String(incarnation.number)}`).nextUint32(),
      ),
      openLog: (events, done) => {
        this.#openLog({ node, incarnation, timers }, events, done)
      },
      checkpoint: node.checkpoint.port(incarnation),
      pushTransport: this.receivers.transport(incarnation, () => this.#isCurrent(node)),
      connect: (events) => this.network.attach(incarnation, this.#watchedPeers(events)),
      fatal: (error) => {
        this.#endedByItself(node, incarnation, error)
      },
      createRaft: (raftOptions) => createRaft({ ...raftOptions, ...this.swarm.raft }),
      createMachine: (limits) => new QueueMachine(narrowed(limits), this.#mutation.machine),
    }
    startBrokerNode(this.#mutation.wrapParts?.(parts) ?? parts, (error, broker) => {
      if (!isCurrent()) return
      if (error !== undefined) {
        this.#endedByItself(node, incarnation, error)
        return
      }
      node.broker = broker
      this.world.note(() => `n${String(node.nodeId)} serves`)
    })
  }

  #openLog(
    home: { readonly node: SimNode; readonly incarnation: Incarnation; readonly timers: SimTimers },
    events: LogEvents,
    done: Done<{ readonly log: LogStore; readonly recovery: LogRecovery }>,
  ): void {
    const { node, incarnation, timers } = home
    const watchedEvents: LogEvents = {
      persisted: (sequence) => {
        if (!incarnation.isAlive()) return
        this.raft.persisted(node.nodeId, sequence)
        events.persisted(sequence)
      },
      failed: (error) => {
        if (incarnation.isAlive()) events.failed(error)
      },
      spaceChanged: (space) => {
        this.world.marks.hit(space.low ? "log: disk space low" : "log: disk space back")
        events.spaceChanged(space)
      },
    }
    const setup: SegmentedLogSetup = {
      options: {
        directory: "log",
        identity: { clusterId: "sim", nodeId: node.nodeId, setId: 0, incarnation: 1 },
        segmentBytes: this.swarm.segmentBytes,
        reserveSegments: 1,
        cacheBytes: 64 << 10,
        flushBytes: 64 << 10,
        verifyRecord,
        defer: (run) => {
          timers.soon(run)
        },
      },
      disk: node.disk.port(incarnation),
      events: watchedEvents,
    }
    const open: OpenLog = this.#mutation.openLog ?? openSegmentedLog
    open(setup, (error, opened) => {
      if (error !== undefined) {
        done(error, undefined as never)
        return
      }
      timers.every(LOG_TICK_MS, () => {
        opened.log.tick()
      })
      this.raft.opened(node.nodeId, opened.recovery)
      this.world.note(() => {
        const { baseIndex, lastIndex, damaged, ambiguousTail, hardState } = opened.recovery
        return `n${String(node.nodeId)} recovered ${String(baseIndex)}..${String(lastIndex)} ${JSON.stringify(hardState)} damaged ${String(damaged.length)}${ambiguousTail ? " DOUBTFUL TAIL" : ""}`
      })
      if (opened.recovery.lastIndex > 0) this.world.marks.hit("log: recovered")
      if (opened.recovery.ambiguousTail) this.world.marks.hit("log: doubtful tail")
      if (opened.recovery.damaged.length > 0) this.world.marks.hit("log: damaged entries found")
      const log = this.#mutation.wrapLog?.(opened.log, watchedEvents) ?? opened.log
      done(undefined, { recovery: opened.recovery, log: watchedLog(log, { nodeId: node.nodeId, checker: this.raft }) })
    })
  }

  #watchedPeers(events: PeerEvents): PeerEvents {
    return events
  }

  #logger(node: SimNode): Logger {
    const say = (level: string) => (fields: Readonly<Record<string, unknown>>, text: string) => {
      this.world.marks.hit(`said: ${text}`)
      this.world.note(() => `n${String(node.nodeId)} ${level} ${text} ${JSON.stringify(fields)}`)
    }
    return { debug: () => undefined, info: say("info"), warn: say("warn"), error: say("error") }
  }

  /** The node gave up. Rightly so when its disk failed; otherwise it is a bug. */
  #endedByItself(node: SimNode, incarnation: Incarnation, error: Error): void {
    if (!incarnation.isAlive()) return
    const because = describe(error.cause ?? error)
    this.world.note(() => `n${String(node.nodeId)} ends: ${error.message} (${because})`)
    this.world.marks.hit("process: ended by itself after a disk error")
    if (node.disk.injectedErrorCount === node.errorsAtStart && node.disk.capacityBytes === Number.POSITIVE_INFINITY) {
      this.world.fail(
        new Violation(
          "a node ends only when its disk failed",
          `node ${String(node.nodeId)}: ${error.message}: ${because}`,
        ),
      )
      return
    }
    this.#end(node, false)
    node.checkpoint.crashed()
    node.disk.processKilled()
    if (chance(this.#random, 0.3)) node.disk.powerCut("some")
    this.world.after(between(this.#random, SUPERVISOR_MS.least, SUPERVISOR_MS.most), () => {
      if (!node.isHeldDown) this.start(node)
    })
  }

  #end(node: SimNode, silent: boolean): void {
    node.process.end()
    node.broker = undefined
    this.network.detach(node.nodeId, silent)
    this.onEnd?.(node.nodeId)
  }

  #afterStep(node: SimNode): void {
    const replica = node.broker?.replica
    if (replica === undefined || node.process.state === "down") return
    this.raft.observe(replica.raft)
    this.#checkLogTime(node, replica.machine.nowMs)
    if (this.world.nowMs < node.compareAfterMs || replica.appliedIndex === node.comparedIndex) return
    if (!this.compareState(node)) return
    node.comparedIndex = replica.appliedIndex
    node.compareAfterMs = this.world.nowMs + COMPARE_EVERY_MS
  }

  /** Entries of a leader whose clock is behind, a checkpoint and an installed snapshot may not turn it back either. */
  #checkLogTime(node: SimNode, nowMs: number): void {
    if (nowMs < node.seenNowMs) {
      const what = `node ${String(node.nodeId)}: ${String(node.seenNowMs)} to ${String(nowMs)}`
      this.world.fail(new Violation("log time never falls", what))
    }
    node.seenNowMs = nowMs
  }
}

/** So few messages wait for a subscription that some get lost. */
const WAITING_MAX = 40

function narrowed(limits: MachineLimits): MachineLimits {
  return { ...limits, waitingPerSubscription: WAITING_MAX }
}

/** First byte of a frame with Raft messages (codec/peer-codec.ts). */
const RAFT_FRAME = 1

const CELL = { add: () => undefined, set: () => undefined, observe: () => undefined }
const NO_METRICS: Metrics = {
  counter: () => CELL,
  gauge: () => CELL,
  histogram: () => CELL,
  clear: () => undefined,
  onScrape: () => undefined,
  setQueues: () => undefined,
  setSubscriptions: () => undefined,
}
