/**
 * A broker node put together: one replica of the set, the services around it and the frames of its peers. It is built
 * from ports only, so the process (cli/server.ts) and the simulator run the very same thing.
 */
import type { QueueId } from "../core/queue/command.ts"
import type { Random } from "../core/random.ts"
import { Raft } from "../core/raft/raft.ts"
import type { Entry, NodeId, SnapshotMeta } from "../core/raft/types.ts"
import { QueueMachine } from "../core/queue/queue-machine.ts"
import type { SenderFacts } from "../codec/peer-codec.ts"
import type {
  CheckpointStore,
  Clock,
  Done,
  KeyVault,
  Logger,
  LogEvents,
  LogRecovery,
  LogStore,
  PeerEvents,
  PeerTransport,
  PushTransport,
  Timers,
} from "../ports.ts"
import { AccessControl } from "./access-control.ts"
import { Checkpointer } from "./checkpointer.ts"
import { ClusterSpace } from "./cluster-space.ts"
import { clusterStatusOf } from "./cluster-view.ts"
import { EntryRepair } from "./entry-repair.ts"
import { Founding } from "./founding.ts"
import { CLOSED_VAULT, KeyMint } from "./key-mint.ts"
import type { MintCall } from "./key-mint.ts"
import { LeaderService } from "./leader-service.ts"
import type { Metrics } from "./metrics.ts"
import { bootReplica, installSnapshot, isEmptyMember, openSnapshotView } from "./node-boot.ts"
import type { CreateMachine, CreateRaft } from "./node-boot.ts"
import { NodeMetrics } from "./node-metrics.ts"
import type { NodeOptions } from "./node-options.ts"
import { PeerLink } from "./peer-link.ts"
import type { Hello, PeerLinkUser } from "./peer-link.ts"
import { pusherOf, type Pusher } from "./pusher.ts"
import { RequestRouter } from "./request-router.ts"
import type { BrokerService, ClusterStatus, RequestOf, UseCaseName } from "./service-types.ts"
import type { SetReplica, SetReplicaUser } from "./set-replica.ts"
import { SnapshotReceiver } from "./snapshot-receiver.ts"
import { SnapshotSender } from "./snapshot-sender.ts"
import { Ticker } from "./ticker.ts"

export interface BrokerNodeParts {
  readonly options: NodeOptions
  readonly clock: Clock
  readonly timers: Timers
  readonly logger: Logger
  readonly metrics: Metrics
  readonly random: Random
  readonly openLog: (events: LogEvents, done: Done<{ readonly log: LogStore; readonly recovery: LogRecovery }>) => void
  readonly checkpoint: CheckpointStore
  /** Peers may be met from this call on. */
  readonly connect: (events: PeerEvents) => PeerTransport
  /** Where subscriptions' messages go. */
  readonly pushTransport: PushTransport
  /** Absent: no key pairs but those of the options. */
  readonly vault?: KeyVault
  /** The node cannot go on (failed sync, unreadable checkpoint): the process must end with an error. Called once. */
  readonly fatal: (error: Error) => void
  /** Tests build their Rafts otherwise. */
  readonly createRaft?: CreateRaft
  /** The same for queue machines. */
  readonly createMachine?: CreateMachine
}

/** Longest wait for the new leader and for open requests at a clean stop. */
const STOP_PATIENCE_MS = 3000

/** Boots from the disk, meets the peers and starts to tick. */
export function startBrokerNode(parts: BrokerNodeParts, done: Done<BrokerNode>): void {
  const late: { node?: BrokerNode } = {}
  const fail = (error: Error): void => {
    if (late.node === undefined) parts.fatal(error)
    else late.node.fail(error)
  }
  const user: SetReplicaUser = {
    sendToPeers: (messages) => late.node?.link.sendMessages(messages),
    statusChanged: () => late.node?.statusChanged(),
    applied: (wakened, entries) => late.node?.applied(wakened, entries),
    proposalCommitted: (waitedMs) => late.node?.proposalCommitted(waitedMs),
    restoreSnapshot: (meta, restored) => late.node?.restoreSnapshot(meta, restored),
    entriesDamaged: (range, retry) => late.node?.repair.found(range, retry),
  }
  const events: LogEvents = {
    persisted: (sequence) => late.node?.replica.persisted(sequence),
    failed: (error) => {
      fail(new Error("the log failed; nothing more can be acknowledged", { cause: error }))
    },
    spaceChanged: (space) => {
      parts.logger.warn({ low: space.low, usedBytes: space.usedBytes }, "disk space of the log changed")
    },
  }
  const createRaft: CreateRaft = parts.createRaft ?? ((options) => new Raft(options))
  const createMachine = parts.createMachine ?? newMachine
  bootReplica({ ...parts, user, events, createRaft, createMachine }, (error, booted) => {
    if (error !== undefined) {
      done(error, undefined as never)
      return
    }
    const node = new BrokerNode(parts, booted.replica, booted.recovery)
    late.node = node
    node.start()
    done(undefined, node)
  })
}

export class BrokerNode implements BrokerService {
  readonly replica: SetReplica
  readonly link: PeerLink
  readonly repair: EntryRepair
  readonly leader: LeaderService
  readonly checkpointer: Checkpointer
  readonly router: RequestRouter
  readonly #mint: KeyMint
  readonly #space: ClusterSpace
  readonly pusher: Pusher
  readonly #parts: BrokerNodeParts
  readonly #metrics: NodeMetrics
  readonly #sender: SnapshotSender
  readonly #receiver: SnapshotReceiver
  readonly #founding: Founding
  readonly #ticker: Ticker
  readonly #peerAddresses = new Map<NodeId, string>()
  /** Committed somewhere: the greatest that a peer told when it was met. Raft itself tells no follower more than it has. */
  #knownCommitIndex = 0
  #transport: PeerTransport | undefined
  #stopping = false
  #dead = false

  constructor(parts: BrokerNodeParts, replica: SetReplica, recovery: LogRecovery) {
    const { options, logger, clock, timers } = parts
    this.#parts = parts
    this.replica = replica
    this.#metrics = new NodeMetrics(parts.metrics)
    this.link = new PeerLink({ setId: options.setId, user: this.#linkUser(), logger, transport: () => this.#peers() })
    const send = this.link.send.bind(this.link)
    const { vault = CLOSED_VAULT } = parts
    const control = new AccessControl({ findKey: (secretId) => replica.machine.findKey(secretId), vault })
    this.#space = new ClusterSpace(replica)
    const { sendRefusal } = this.#space
    this.leader = new LeaderService({
      ...parts,
      replica,
      link: this.link,
      metrics: this.#metrics,
      control,
      sendRefusal,
    })
    this.pusher = pusherOf(replica, parts.pushTransport)
    this.router = new RequestRouter({
      nodeId: options.nodeId,
      clock,
      timers,
      leader: this.leader,
      leaderReady: () => replica.leaderReady,
      leaderId: () => replica.status.leaderId,
      clusterStatus: () => this.clusterStatus(),
      control,
      sendCall: (peer, call) => this.link.sendCall(peer, call),
      sendCancel: (peer, callId) => {
        this.link.sendCancel(peer, callId)
      },
      maxRequests: options.maxRequests,
    })
    this.#mint = new KeyMint({ vault, logger, timers, carrier: this.router })
    this.checkpointer = new Checkpointer({
      replica,
      store: parts.checkpoint,
      logger,
      options: options.checkpoint,
      compactionLimit: () => this.#sender.compactionLimit(),
      fatal: (error) => {
        this.fail(error)
      },
    })
    this.#sender = new SnapshotSender({
      replica,
      logger,
      send,
      openView: (opened) => {
        openSnapshotView(this.#installParts(), opened)
      },
    })
    this.#receiver = new SnapshotReceiver({ replica, store: parts.checkpoint, logger, send })
    const peers = options.voters.filter((nodeId) => nodeId !== options.nodeId)
    this.#founding = new Founding({ isEmpty: isEmptyMember(options, recovery), others: peers })
    this.repair = new EntryRepair({
      replica,
      logger,
      peers,
      recovery,
      send,
      whole: () => {
        if (!this.#founding.isOpen) replica.raft.allowVoting()
      },
    })
    this.#ticker = this.#makeTicker(parts)
  }

  #makeTicker({ clock, timers, options }: BrokerNodeParts): Ticker {
    return new Ticker({
      clock,
      timers,
      tickMs: options.tickMs,
      tick: () => {
        this.#tick()
      },
      ticksUntilDue: () => this.#ticksUntilDue(),
    })
  }

  start(): void {
    this.#transport = this.#parts.connect({
      frame: (peer, bytes) => {
        if (this.#dead) return
        this.#ticker.catchUp()
        this.link.receive(peer, bytes)
        this.#ticker.rest()
      },
      connected: (peer) => {
        this.#peerConnected(peer)
      },
      disconnected: (peer) => {
        this.#peerDisconnected(peer)
      },
    })
    this.#ticker.start()
    this.replica.wake()
  }

  // ------------------------------------------------------------------------------------------ BrokerService

  execute<K extends UseCaseName>(name: K, request: RequestOf<K>, call: MintCall<K>): void {
    this.#mint.execute(name, request, call)
    this.#ticker.rest()
  }

  leaderHint(): string | undefined {
    const { leaderId } = this.replica.status
    if (leaderId === this.#parts.options.nodeId) return this.#parts.options.httpAddress || undefined
    return this.#peerAddresses.get(leaderId)
  }

  notReadyReason(): string | undefined {
    const status = this.replica.raft.status()
    if (this.#stopping) return "stopping"
    if (this.#founding.isRecovering) return "the disk was empty: fetching everything from the other nodes"
    if (!this.repair.isWhole) return `${String(this.repair.damagedCount)} damaged log entries are being repaired`
    if (status.leaderId === 0) return "no leader is known"
    if (status.isRestoring) return "catching up: a snapshot is being installed"
    const missing = Math.max(status.commitIndex, this.#knownCommitIndex) - this.replica.appliedIndex
    if (missing > this.#parts.options.readyLagEntries) return `catching up: ${String(missing)} entries are missing`
    return undefined
  }

  clusterStatus(): ClusterStatus {
    return clusterStatusOf({
      options: this.#parts.options,
      replica: this.replica,
      addressOf: (nodeId) => this.#peerAddresses.get(nodeId) ?? "",
      isConnected: (nodeId) => this.#transport?.connected(nodeId) === true,
    })
  }

  // ------------------------------------------------------------------------------------------ stopping

  /** Hands the lead over, answers what waits, makes a checkpoint and closes. New requests are refused from now on. */
  stop(done: () => void): void {
    if (this.#stopping) return
    this.#stopping = true
    this.router.beginStop()
    this.leader.answerPolls()
    this.#ticker.catchUp()
    this.#handOver()
    this.#ticker.rest()
    const startedMs = this.#parts.clock.monotonicMs()
    const waitForRest = (): void => {
      const waitedMs = this.#parts.clock.monotonicMs() - startedMs
      const isAlone = this.#parts.options.voters.length === 1
      const isQuiet = this.router.inFlightCount === 0 && (isAlone || this.replica.status.role !== "leader")
      if (isQuiet || waitedMs >= STOP_PATIENCE_MS) this.#close(done)
      else this.#parts.timers.after(STOP_POLL_MS, waitForRest)
    }
    waitForRest()
  }

  /** Something failed that must not be survived: nothing is sent, acknowledged or applied any more. */
  fail(error: Error): void {
    if (this.#dead) return
    this.#dead = true
    this.#ticker.stop()
    this.checkpointer.stop()
    this.replica.stop()
    this.#parts.fatal(error)
  }

  #handOver(): void {
    const status = this.replica.raft.status()
    if (status.role !== "leader") return
    const heirs = status.peers.filter((peer) => this.#transport?.connected(peer.nodeId) === true)
    const heir = heirs.sort((left, right) => right.matchIndex - left.matchIndex)[0]
    if (heir === undefined) return
    this.replica.raft.transferLeadership(heir.nodeId)
    this.replica.wake()
  }

  #close(done: () => void): void {
    this.router.finishStop()
    this.checkpointer.finish(() => {
      this.#dead = true
      this.#ticker.stop()
      this.checkpointer.stop()
      this.replica.stop()
      this.replica.log.close(() => {
        this.#parts.checkpoint.close(done)
      })
    })
  }

  // ------------------------------------------------------------------------------------------ from the replica

  statusChanged(): void {
    const { role, term, leaderId } = this.replica.status
    this.#parts.logger.info({ role, term, leaderId, ready: this.replica.leaderReady }, "raft status")
    if (role === "candidate") this.#metrics.elections.add(1)
    if (this.replica.leaderReady) this.pusher.start()
    if (role !== "leader") {
      this.pusher.stop()
      this.leader.releasePolls()
      this.#sender.stopAll()
    }
    // At the end of the turn: whoever waits for the old leader's answer is told first.
    this.#parts.timers.soon(() => {
      if (!this.#dead) this.router.dispatchWaiting()
    })
  }

  applied(wakened: readonly QueueId[], entries: readonly Entry[]): void {
    let bytes = 0
    for (const entry of entries) bytes += entry.data.length
    if (this.replica.leaderReady && wakened.length > 0) {
      this.leader.wakePolls(wakened)
      this.pusher.wake(wakened)
    }
    this.checkpointer.applied(bytes)
  }

  proposalCommitted(waitedMs: number): void {
    this.#metrics.appendSeconds.observe(Math.max(0, waitedMs) / 1000)
  }

  restoreSnapshot(meta: SnapshotMeta, restored: (machine: QueueMachine) => void): void {
    installSnapshot(this.#installParts(), meta, (error, machine) => {
      if (error === undefined) restored(machine)
      else this.fail(new Error("a snapshot could not be installed", { cause: error }))
    })
  }

  #installParts(): Parameters<typeof installSnapshot>[0] {
    const { options, checkpoint, createMachine = newMachine } = this.#parts
    return { options, checkpoint, replica: this.replica, checkpointer: this.checkpointer, createMachine }
  }

  // ------------------------------------------------------------------------------------------ peers

  #peers(): PeerTransport {
    return this.#transport ?? NO_PEERS
  }

  #peerConnected(peer: NodeId): void {
    if (this.#dead) return
    const { httpAddress } = this.#parts.options
    const { lastIndex, commitIndex } = this.replica.raft.status()
    this.link.sendHello(peer, { httpAddress, lastIndex, commitIndex })
    this.#ticker.catchUp()
    this.replica.raft.peerReachable(peer)
    this.#sender.connected(peer)
    this.router.dispatchWaiting()
    this.replica.wake()
    this.#ticker.rest()
  }

  #peerDisconnected(peer: NodeId): void {
    if (this.#dead) return
    this.#ticker.catchUp()
    this.replica.raft.peerUnreachable(peer)
    this.router.peerLost(peer)
    this.replica.wake()
    this.#ticker.rest()
  }

  #helloReceived(peer: NodeId, hello: Hello): void {
    this.#peerAddresses.set(peer, hello.httpAddress)
    this.#founding.met(peer, hello.commitIndex)
    this.#knownCommitIndex = Math.max(this.#knownCommitIndex, hello.commitIndex)
    const known = this.replica.raft.status().peers.find((each) => each.nodeId === peer)
    // It had more once: it came back without its disk, and what it acknowledged before counts no longer.
    if (known !== undefined && hello.lastIndex < known.matchIndex) this.replica.raft.peerReset(peer)
    this.replica.wake()
  }

  #linkUser(): PeerLinkUser {
    return {
      facts: () => this.#facts(),
      factsReceived: (peer, facts) => {
        this.#factsReceived(peer, facts)
      },
      raftMessage: (message) => {
        this.replica.step(message)
      },
      snapshotWanted: (message) => {
        this.#sender.start(message)
      },
      helloReceived: (peer, hello) => {
        this.#helloReceived(peer, hello)
      },
      callReceived: (peer, call) => {
        this.router.carryOut(peer, call, (reply) => {
          this.link.sendAnswer(peer, call.callId, reply)
        })
      },
      answerReceived: (callId, reply) => {
        this.router.answerCame(callId, reply)
      },
      cancelReceived: (peer, callId) => {
        this.router.cancelCarried(peer, callId)
      },
      snapshotBegin: (peer, transferId, message) => {
        this.#receiver.begin(peer, transferId, message)
      },
      snapshotChunk: (peer, frame) => {
        this.#receiver.chunk(peer, frame)
      },
      snapshotEnd: (peer, transferId, chunkCount) => {
        this.#receiver.end(peer, transferId, chunkCount)
      },
      snapshotAck: (peer, ack) => {
        this.#sender.ackReceived(peer, ack)
      },
      repairRequested: (peer, request) => {
        this.repair.requested(peer, request)
      },
      repairReplied: (peer, requestId, entries) => {
        this.repair.replied(peer, requestId, entries)
      },
    }
  }

  #facts(): SenderFacts {
    const clockMs = this.replica.leaderReady ? this.replica.logClock.nowMs() : 0
    return { clockMs, diskLow: this.replica.log.space().low, stateHash: undefined }
  }

  #factsReceived(peer: NodeId, facts: SenderFacts): void {
    this.#space.heard(peer, facts.diskLow)
    const { role, leaderId } = this.replica.status
    if (facts.clockMs > 0 && role !== "leader" && leaderId === peer) this.replica.logClock.follow(facts.clockMs)
  }

  #tick(): void {
    if (this.#dead) return
    this.replica.tick()
    this.leader.expirePolls()
    this.router.tick()
    this.pusher.tick()
    this.checkpointer.tick()
    this.repair.tick()
    this.#sender.tick()
    this.#receiver.tick()
    this.#settleFounding()
  }

  /** Requests, repairs and transfers are looked after at each tick; consensus and the machine say when they are due. */
  #ticksUntilDue(): number {
    const isAtWork = this.router.inFlightCount > 0 || this.pusher.isBusy
    const isBusy = isAtWork || !this.repair.isWhole || this.#founding.isOpen || this.#stopping
    if (isBusy) return 1
    const { tickMs } = this.#parts.options
    return Math.max(1, Math.min(this.replica.raft.ticksUntilDue(), Math.floor(this.replica.msUntilDeadline() / tickMs)))
  }

  #settleFounding(): void {
    if (!this.#founding.isOpen) return
    const { commitIndex, durableIndex } = this.replica.raft.status()
    if (this.#founding.settled(Math.min(commitIndex, durableIndex)) && this.repair.isWhole)
      this.replica.raft.allowVoting()
  }
}

const STOP_POLL_MS = 10

const NO_PEERS: PeerTransport = { send: () => false, connected: () => false }

const newMachine: CreateMachine = (limits) => new QueueMachine(limits)
