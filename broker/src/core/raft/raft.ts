/**
 * One replica of a Raft group: the doors of the core.
 *
 * Everything comes in through methods that return at once, and everything goes out through `ready()`: what to write, send, apply and
 * answer, as plain data. No clock, disk, network, promise or random of its own. The order in which a driver carries out a `Ready` is
 * written at `Ready` in `types.ts`; `DESIGN.md` beside this file has the pictures.
 */
import { assert, unreachable } from "../assert.ts"
import { stepCandidate } from "./candidate.ts"
import { maybeCommit, proposeChange } from "./commit.ts"
import type { ConfigurationResult } from "./commit.ts"
import { ConfigurationHistory } from "./configuration-history.ts"
import {
  answerRequestVote,
  isDisturbance,
  leaderUnreachable,
  memberReachable,
  recordVote,
  tickElection,
  ticksUntilElection,
} from "./election.ts"
import { NO_FAULTS } from "./faults.ts"
import { finishRestore, stepFollower } from "./follower.ts"
import { addRead, stepLeader, tickLeader, ticksUntilLeaderDue } from "./leader.ts"
import { checkOptions } from "./options.ts"
import type { RaftOptions } from "./options.ts"
import { send } from "./outbox.ts"
import { OutstandingWrites } from "./outstanding-writes.ts"
import { proposeCommands } from "./proposals.ts"
import { RaftLog } from "./raft-log.ts"
import { hasReady, takeReady } from "./ready.ts"
import { sendFetched } from "./replication.ts"
import { becomeFollower, newProgress } from "./state.ts"
import type { RaftState } from "./state.ts"
import { statusOf } from "./status.ts"
import type { RaftStatus } from "./status.ts"
import { startTransfer } from "./transfer.ts"
import { NO_NODE } from "./types.ts"
import type {
  ConfigurationChange,
  EntriesFetch,
  Entry,
  LogIndex,
  Message,
  NodeId,
  ProposeResult,
  Ready,
  SnapshotMeta,
  Term,
} from "./types.ts"

/** See the head of this file. Methods assert what callers must keep; nothing here throws for what a peer or the network does. */
export class Raft {
  /** Only for the mutants of the tests (`faults.ts`). */
  protected readonly state: RaftState

  constructor(options: RaftOptions) {
    checkOptions(options)
    this.state = initialState(options)
    becomeFollower(this.state, options.hardState.currentTerm, NO_NODE)
  }

  /** One tick has passed. */
  tick(): void {
    const { state } = this
    if (state.leadership !== undefined) tickLeader(state, state.leadership)
    else tickElection(state)
  }

  /**
   * At least 1: when the tick of this number from now comes, `tick` may do something; those before it only count. So a driver may
   * sleep and catch up, as long as it does so before it hands in anything else. O(1).
   */
  ticksUntilDue(): number {
    const { state } = this
    return Math.max(1, state.leadership === undefined ? ticksUntilElection(state) : ticksUntilLeaderDue(state))
  }

  /** A message of another member came in. Any order, any number of copies, any delay. */
  step(message: Message): void {
    const { state } = this
    assert(message.to === state.nodeId, "a message reaches the node that it is for")
    if (message.kind === "requestVote" && isDisturbance(state, message) && message.term > state.currentTerm) return
    if (message.term > state.currentTerm) followNewerTerm(state, message)
    else if (message.term < state.currentTerm) {
      answerOlderTerm(state, message)
      return
    }
    if (message.kind === "requestVote") {
      answerRequestVote(state, message)
      return
    }
    stepRole(state, message)
  }

  /**
   * Appends one `commands` entry for each of `data` (not empty), all or none. "ok" says only that this leader has them in
   * memory; they hold when they come back in `committedEntries` with the same index and term.
   */
  propose(data: readonly Uint8Array[]): ProposeResult {
    assert(data.length > 0, "something is proposed")
    return proposeCommands(this.state, data)
  }

  /** Changes the membership. In force at once on this leader; complete when its last entry is committed. */
  proposeConfiguration(changes: readonly ConfigurationChange[]): ConfigurationResult {
    return proposeChange(this.state, changes)
  }

  /** Asks for a linearizable read. False when not leader; else `context` comes back in `Ready.reads` or `readsAborted`. */
  readIndex(context: number): boolean {
    if (this.state.leadership === undefined) return false
    addRead(this.state, this.state.leadership, context)
    return true
  }

  /** Hands the lead over. False when this node does not lead or `target` cannot. Proposals are refused until it ends. */
  transferLeadership(target: NodeId): boolean {
    return startTransfer(this.state, target)
  }

  /** The driver has a connection to `peer`, both ways. If nobody leads, it may be time to campaign. */
  peerReachable(peer: NodeId): void {
    memberReachable(this.state, peer)
  }

  /** The driver's connection to `peer` broke: messages to it may be lost, and if it was the leader, it may be dead. */
  peerUnreachable(peer: NodeId): void {
    const { state } = this
    state.reachable.delete(peer)
    const progress = state.leadership?.progress.get(peer)
    if (progress?.state === "replicate") progress.becomeProbe()
    if (state.role === "follower" && peer !== NO_NODE && peer === state.leaderId) leaderUnreachable(state)
  }

  /**
   * `peer` came back without (all of) its disk: what it acknowledged before counts no longer. The driver learns it from the peer's
   * hello. Acknowledgements from before must not be stepped in after this.
   */
  peerReset(peer: NodeId): void {
    const { leadership } = this.state
    if (leadership?.progress.has(peer) !== true) return
    leadership.progress.set(peer, newProgress(this.state))
    leadership.isReplicationDue = true
  }

  /** All writes up to `sequence` are durable. Late or repeated reports change nothing. */
  persisted(sequence: number): void {
    const { state } = this
    const completed = state.writes.complete(sequence)
    if (completed === undefined) return
    if (completed.lastIndex > 0) state.log.markDurable(completed.lastIndex)
    const { vote } = completed
    if (vote !== undefined) {
      state.durableTerm = vote.currentTerm
      const isOwnVote = vote.votedFor === state.nodeId && vote.currentTerm === state.currentTerm
      if (isOwnVote && state.role === "candidate") recordVote(state, state.nodeId, true)
    }
    const { leadership } = state
    if (leadership === undefined) return
    leadership.stalledTicks = 0
    maybeCommit(state, leadership)
  }

  /** The answer to one of `Ready.fetches`: entries from `fetch.fromIndex` on, or "compacted" when the disk has them no longer. */
  entriesFetched(fetch: EntriesFetch, entries: readonly Entry[] | "compacted"): void {
    sendFetched(this.state, fetch, entries)
  }

  /** The answer to `Ready.applyFetch`: entries from `fromIndex` on, at least one. They come back in `committedEntries`. */
  applyFetched(fromIndex: LogIndex, entries: readonly Entry[]): void {
    const { state } = this
    if (state.applyFetchIndex !== fromIndex) return
    state.applyFetchIndex = undefined
    assert(entries[0]?.index === fromIndex, "the disk answers with what was asked for")
    state.outbox.applicable = entries
  }

  /** The state machine holds everything up to `index`. */
  applied(index: LogIndex): void {
    this.state.log.markApplied(index)
  }

  /** The snapshot for `peer` was delivered, or given up. Reports for a peer that needs none are ignored. */
  snapshotSent(peer: NodeId, ok: boolean): void {
    const progress = this.state.leadership?.progress.get(peer)
    if (progress?.state === "snapshot") progress.snapshotEnded(ok)
  }

  /**
   * A snapshot up to `index` (applied, durable) exists here: consensus asks no more for entries up to there. A peer that needs
   * them gets `installSnapshot`. Lower values than before are ignored.
   */
  compact(index: LogIndex): void {
    const { log, configurations } = this.state
    if (index <= log.baseIndex) return
    const { configuration } = configurations.at(index)
    log.compact(index)
    configurations.compact(index)
    this.state.latestSnapshot = { lastIncludedIndex: index, lastIncludedTerm: log.termAt(index) ?? 0, configuration }
  }

  /** `Ready.restore` was carried out: state machine and log begin behind the snapshot, durably. */
  restored(meta: SnapshotMeta): void {
    finishRestore(this.state, meta)
  }

  /** A node that was recovering has everything back that it ever promised to keep: it votes from now on. */
  allowVoting(): void {
    this.state.mayVote = true
  }

  /** True when `ready()` may have work. O(1). */
  hasReady(): boolean {
    return hasReady(this.state)
  }

  /** Takes the work that is due, or undefined. What it returns is considered handed over. */
  ready(): Ready | undefined {
    return takeReady(this.state)
  }

  /** Term of the entry at `index`; undefined when the log neither holds it nor begins right behind it. */
  termAt(index: LogIndex): Term | undefined {
    return this.state.log.termAt(index)
  }

  /** A copy for metrics and tests. O(members). */
  status(): RaftStatus {
    return statusOf(this.state)
  }
}

/** Raft §5.1: whoever sees a higher term enters it, except for pre-votes, which are only questions about it (thesis §9.6). */
function followNewerTerm(state: RaftState, message: Message): void {
  if (message.kind === "requestVote" && message.preVote) return
  if (message.kind === "requestVoteReply" && message.preVote && message.voteGranted) return
  const isFromLeader =
    message.kind === "appendEntries" || message.kind === "heartbeat" || message.kind === "installSnapshot"
  becomeFollower(state, message.term, isFromLeader ? message.from : NO_NODE)
}

/**
 * Raft §5.1: requests of an older term are answered with the current one. That also frees a node whose term ran away while it was cut
 * off: the leader learns of it, steps down, and the next election includes the node (pitfall 13). Old replies are dropped.
 */
function answerOlderTerm(state: RaftState, message: Message): void {
  const envelope = { from: state.nodeId, to: message.from, term: state.currentTerm }
  switch (message.kind) {
    case "appendEntries":
    case "heartbeat":
    case "installSnapshot":
      send(state, { kind: "appendEntriesReply", ...envelope, success: false, index: 0, hintIndex: 0, hintTerm: 0 })
      return
    case "requestVote":
      send(state, { kind: "requestVoteReply", ...envelope, preVote: message.preVote, voteGranted: false })
      return
    case "requestVoteReply":
    case "appendEntriesReply":
    case "heartbeatReply":
    case "timeoutNow":
      return
    default:
      unreachable(message)
  }
}

function stepRole(state: RaftState, message: Message): void {
  switch (state.role) {
    case "follower":
      stepFollower(state, message)
      return
    case "preCandidate":
    case "candidate":
      stepCandidate(state, message)
      return
    case "leader":
      assert(state.leadership !== undefined, "a leader has a leadership")
      stepLeader(state, state.leadership, message)
      return
    default:
      unreachable(state.role)
  }
}

function initialState(options: RaftOptions): RaftState {
  const { hardState, log } = options
  const base = { index: log.baseIndex, configuration: options.configuration }
  // The persisted commit index is a hint; what is applied or in a snapshot was committed in any case.
  const commitIndex = Math.max(Math.min(hardState.commitIndex, log.lastIndex), options.appliedIndex)
  return {
    nodeId: options.nodeId,
    options,
    faults: NO_FAULTS,
    role: "follower",
    currentTerm: hardState.currentTerm,
    votedFor: hardState.votedFor,
    leaderId: NO_NODE,
    mayVote: options.mayVote,
    log: new RaftLog({ ...log, commitIndex, appliedIndex: options.appliedIndex, cacheBytes: options.cacheBytes }),
    configurations: new ConfigurationHistory(base, log.configurations),
    latestSnapshot: {
      lastIncludedIndex: log.baseIndex,
      lastIncludedTerm: log.baseTerm,
      configuration: options.configuration,
    },
    restoring: undefined,
    electionElapsed: 0,
    heartbeatElapsed: 0,
    electionTimeout: 0,
    earlyCampaignTicks: undefined,
    reachable: new Set(),
    votes: new Map(),
    isTransferElection: false,
    leadership: undefined,
    writes: new OutstandingWrites(),
    handedHardState: hardState,
    durableTerm: hardState.currentTerm,
    outbox: { messages: [], gated: [], restore: undefined, reads: [], readsAborted: [], fetches: [], applicable: [] },
    applyFetchIndex: undefined,
    reportedStatus: { role: "follower", term: hardState.currentTerm, leaderId: NO_NODE },
  }
}
