/**
 * The memory of one replica, and the transitions between roles.
 *
 *               timeout           quorum would vote        quorum votes
 *     follower ---------> preCandidate ---------> candidate ---------> leader
 *        ^                    |                       |                  |
 *        +--------------------+-----------------------+------------------+
 *            a leader of this term, a higher term, a lost vote, no quorum heard
 *
 * One mutable record for all files of this folder: each file holds the functions of one chapter of the paper over it. It is never
 * seen outside `Raft`.
 */
import { assert } from "../assert.ts"
import { allMembers, isVoter } from "./configuration.ts"
import type { ConfigurationHistory } from "./configuration-history.ts"
import type { FaultSwitches } from "./faults.ts"
import type { RaftOptions } from "./options.ts"
import type { OutstandingWrites } from "./outstanding-writes.ts"
import { Progress } from "./progress.ts"
import type { RaftLog } from "./raft-log.ts"
import { ReadIndexQueue } from "./read-index.ts"
import { NO_NODE } from "./types.ts"
import type {
  EntriesFetch,
  Entry,
  HardState,
  LogIndex,
  Message,
  NodeId,
  RaftStatusChange,
  ReadState,
  Role,
  SnapshotMeta,
  Term,
} from "./types.ts"
import { UncommittedBytes } from "./uncommitted-bytes.ts"

/** What only a leader has. */
export interface Leadership {
  /** One for each other member; also for members that are leaving, until their removal is committed. */
  readonly progress: Map<NodeId, Progress>
  readonly reads: ReadIndexQueue
  readonly uncommitted: UncommittedBytes
  /** Index of the empty entry that began this leadership. */
  readonly firstIndex: LogIndex
  /** The node that is to lead next, while a transfer is under way. */
  transferTarget: NodeId
  /** Something may have to be sent to peers: looked at when the driver takes the next `Ready`. */
  isReplicationDue: boolean
  /** Ticks since the disk completed a write, while writes are outstanding (pitfall 16). */
  stalledTicks: number
}

/** What is handed out with the next `Ready`. */
export interface Outbox {
  /** May leave at once. */
  messages: Message[]
  /** May leave when everything written so far is durable. */
  gated: Message[]
  restore: SnapshotMeta | undefined
  reads: ReadState[]
  readsAborted: number[]
  fetches: EntriesFetch[]
  /** The answer to an `applyFetch`. */
  applicable: readonly Entry[]
}

/** Everything a replica knows. Which function may change a field is said in the file that owns it. */
export interface RaftState {
  readonly nodeId: NodeId
  readonly options: RaftOptions
  faults: FaultSwitches
  role: Role
  currentTerm: Term
  votedFor: NodeId
  leaderId: NodeId
  mayVote: boolean
  readonly log: RaftLog
  readonly configurations: ConfigurationHistory
  /** What a peer gets that needs entries below the base. */
  latestSnapshot: SnapshotMeta
  /** A snapshot was accepted and the driver has not finished with it. The log behind it is not durable yet. */
  restoring: SnapshotMeta | undefined
  /** Ticks: on a leader since the last check of the quorum; else since a leader was heard, a vote given, or a role taken. */
  electionElapsed: number
  heartbeatElapsed: number
  /** Ticks to wait this time; drawn anew with each change of role. */
  electionTimeout: number
  /** Ticks until an election that does not wait for the timeout (`election.ts` has the reasons); undefined without a reason. */
  earlyCampaignTicks: number | undefined
  /** Members that the driver has connections to. Only a hint: it decides when to campaign, never who wins. */
  readonly reachable: Set<NodeId>
  readonly votes: Map<NodeId, boolean>
  /** The leader asked for the election under way (`timeoutNow`). */
  isTransferElection: boolean
  leadership: Leadership | undefined
  readonly writes: OutstandingWrites
  /** As of the last write handed over. */
  handedHardState: HardState
  /** Term on the disk. Messages that say a higher one are held back. */
  durableTerm: Term
  readonly outbox: Outbox
  /** First index of the `applyFetch` that is not answered. */
  applyFetchIndex: LogIndex | undefined
  reportedStatus: RaftStatusChange
}

/**
 * True when this node may start an election: a voter (of either half) with nothing unfinished (Raft §6).
 *
 * Also a voter that removed itself, until that is committed: it may hold the only log that can win, and then it leads a group that
 * does not count it (thesis §4.2.2).
 */
export function isPromotable(state: RaftState): boolean {
  const mayVote = state.mayVote || state.faults.has("wipedNodeVotes")
  if (!mayVote || state.restoring !== undefined) return false
  const { latest, previous } = state.configurations
  if (isVoter(latest.configuration, state.nodeId)) return true
  const isPending = latest.index > state.log.commitIndex
  return isPending && previous !== undefined && isVoter(previous.configuration, state.nodeId)
}

/** True when it would be wrong to disturb the leader: it was heard within the shortest election timeout (thesis §4.2.3). */
export function hasLiveLeader(state: RaftState): boolean {
  if (state.faults.has("noCheckQuorum")) return false
  return state.leaderId !== NO_NODE && state.electionElapsed < state.options.electionTicks
}

/** Follows `leaderId` (or nobody known) in `term`, which is not lower than the current one. */
export function becomeFollower(state: RaftState, term: Term, leaderId: NodeId): void {
  assert(leaderId !== state.nodeId, "nobody follows itself")
  enterTerm(state, term)
  enterRole(state, "follower")
  state.leaderId = leaderId
}

/** Asks whether an election could be won, without touching the term (thesis §9.6). */
export function becomePreCandidate(state: RaftState): void {
  assert(state.role !== "leader", "a leader does not campaign")
  enterRole(state, "preCandidate")
}

/** Begins a new term with a vote for itself (Raft §5.2). The vote counts when it is durable. */
export function becomeCandidate(state: RaftState): void {
  assert(state.role !== "leader", "a leader does not campaign")
  enterTerm(state, state.currentTerm + 1)
  enterRole(state, "candidate")
  state.votedFor = state.nodeId
}

/** Won the election. The caller appends the entry that begins the leadership, at `firstIndex` (Raft §8). */
export function becomeLeader(state: RaftState): Leadership {
  assert(state.role === "candidate", "only a candidate becomes leader")
  enterRole(state, "leader")
  state.leaderId = state.nodeId
  const leadership: Leadership = {
    progress: new Map(),
    reads: new ReadIndexQueue(),
    uncommitted: new UncommittedBytes(),
    firstIndex: state.log.lastIndex + 1,
    transferTarget: NO_NODE,
    isReplicationDue: true,
    stalledTicks: 0,
  }
  state.leadership = leadership
  syncProgress(state, leadership)
  // Nobody has answered this leader yet.
  for (const progress of leadership.progress.values()) progress.recentActive = false
  return leadership
}

/**
 * Makes the table of peers follow the configuration in force. Who leaves stays until the removal is committed, to learn of it:
 * a node that knows that it was removed disturbs nobody (pitfall 9).
 */
export function syncProgress(state: RaftState, leadership: Leadership): void {
  const { latest, previous } = state.configurations
  const wanted = new Set(allMembers(latest.configuration))
  if (previous !== undefined && latest.index > state.log.commitIndex) {
    for (const nodeId of allMembers(previous.configuration)) wanted.add(nodeId)
  }
  wanted.delete(state.nodeId)
  for (const nodeId of leadership.progress.keys()) {
    if (!wanted.has(nodeId)) leadership.progress.delete(nodeId)
  }
  for (const nodeId of wanted) {
    if (!leadership.progress.has(nodeId)) leadership.progress.set(nodeId, newProgress(state))
  }
  leadership.isReplicationDue = true
}

/** What is known of a peer that was just added, or came back without its disk: nothing. The first message finds out. */
export function newProgress(state: RaftState): Progress {
  const progress = new Progress({
    nextIndex: state.log.lastIndex + 1,
    // It is given until the next check to answer.
    recentActive: true,
    limits: {
      maxMessages: state.options.maxInflightMessages,
      maxBytes: state.options.maxInflightEntriesBytes,
    },
  })
  progress.appendDue = true
  return progress
}

/** True when an entry of this leader's own term is committed: it then knows everything that is committed (Raft §8). */
export function isOwnTermCommitted(state: RaftState): boolean {
  return state.leadership !== undefined && state.log.commitIndex >= state.leadership.firstIndex
}

function enterTerm(state: RaftState, term: Term): void {
  assert(term >= state.currentTerm, "a term never falls")
  if (term === state.currentTerm) return
  state.currentTerm = term
  state.votedFor = NO_NODE
  // What was said in former terms is of no use to anybody, and what it promises may be overwritten before it leaves.
  state.outbox.gated = state.outbox.gated.filter((message) => message.term >= term)
  state.outbox.messages = state.outbox.messages.filter((message) => message.term >= term)
}

function enterRole(state: RaftState, role: Role): void {
  if (state.leadership !== undefined) {
    state.outbox.readsAborted.push(...state.leadership.reads.takeAll())
    state.leadership = undefined
  }
  state.role = role
  state.leaderId = NO_NODE
  state.votes.clear()
  state.isTransferElection = false
  state.electionElapsed = 0
  state.heartbeatElapsed = 0
  state.earlyCampaignTicks = undefined
  state.electionTimeout = state.options.electionTicks + state.options.random.nextInt(electionSpreadTicks(state.options))
}

function electionSpreadTicks(options: RaftOptions): number {
  return Math.ceil((options.electionTicks * 2) / 3)
}
