/** A replica as operators and tests see it: a copy, never used to decide anything. */
import type { ProgressState } from "./progress.ts"
import type { RaftState } from "./state.ts"
import type { Configuration, LogIndex, NodeId, Role, Term } from "./types.ts"

/** What a leader knows of one peer. */
export interface PeerStatus {
  readonly nodeId: NodeId
  readonly matchIndex: LogIndex
  readonly nextIndex: LogIndex
  readonly state: ProgressState
  readonly isPaused: boolean
  readonly recentActive: boolean
  /** Messages with entries under way. */
  readonly inflightMessages: number
  /** Bytes of entries under way. */
  readonly inflightBytes: number
  /** Last index of the snapshot under way; 0 when there is none. */
  readonly pendingSnapshotIndex: LogIndex
}

/** Everything about one replica at one moment. */
export interface RaftStatus {
  readonly nodeId: NodeId
  readonly role: Role
  readonly term: Term
  readonly votedFor: NodeId
  readonly leaderId: NodeId
  readonly commitIndex: LogIndex
  readonly appliedIndex: LogIndex
  readonly lastIndex: LogIndex
  readonly lastTerm: Term
  /** The log is on this node's disk up to here (while `isRestoring`: it will be). */
  readonly durableIndex: LogIndex
  /** The entry before the first one of the log. */
  readonly baseIndex: LogIndex
  readonly configuration: Configuration
  /** Where the configuration stands in the log. Greater than `commitIndex`: the change is pending. */
  readonly configurationIndex: LogIndex
  readonly mayVote: boolean
  readonly isRestoring: boolean
  /** 0: no transfer under way. */
  readonly transferTarget: NodeId
  /** Bytes of proposed data that wait for a quorum. */
  readonly uncommittedBytes: number
  /** Bytes of entries held in memory. */
  readonly cachedBytes: number
  /** Ticks; this node's present draw. */
  readonly electionTimeout: number
  /** One for each other member, ascending; empty unless this node leads. */
  readonly peers: readonly PeerStatus[]
}

/** O(members). */
export function statusOf(state: RaftState): RaftStatus {
  const { log, leadership } = state
  const { index, configuration } = state.configurations.latest
  return {
    nodeId: state.nodeId,
    role: state.role,
    term: state.currentTerm,
    votedFor: state.votedFor,
    leaderId: state.leaderId,
    commitIndex: log.commitIndex,
    appliedIndex: log.appliedIndex,
    lastIndex: log.lastIndex,
    lastTerm: log.lastTerm,
    durableIndex: log.durableIndex,
    baseIndex: log.baseIndex,
    configuration,
    configurationIndex: index,
    mayVote: state.mayVote,
    isRestoring: state.restoring !== undefined,
    transferTarget: leadership?.transferTarget ?? 0,
    uncommittedBytes: leadership?.uncommitted.bytes ?? 0,
    cachedBytes: log.cachedBytes,
    electionTimeout: state.electionTimeout,
    peers: peersOf(state),
  }
}

function peersOf(state: RaftState): readonly PeerStatus[] {
  if (state.leadership === undefined) return []
  const peers = [...state.leadership.progress].sort(([left], [right]) => left - right)
  return peers.map(([nodeId, progress]) => ({
    nodeId,
    matchIndex: progress.matchIndex,
    nextIndex: progress.nextIndex,
    state: progress.state,
    isPaused: progress.isPaused,
    recentActive: progress.recentActive,
    inflightMessages: progress.inflightMessages,
    inflightBytes: progress.inflightBytes,
    pendingSnapshotIndex: progress.pendingSnapshotIndex,
  }))
}
