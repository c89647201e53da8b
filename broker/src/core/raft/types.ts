/**
 * The words of consensus: what goes into the Raft core and what comes out of it.
 *
 * Plain data only. The core is told everything (ticks, messages, completed writes) and answers with
 * a `Ready`; it never reads a clock, a file or a socket. The order in which a driver must carry out a
 * `Ready` is written once, in `node/raft-driver.ts`.
 */

/** A member of a set's Raft group: an integer from 1. 0 means "nobody". */
export type NodeId = number
export const NO_NODE: NodeId = 0

/** Raft term, from 1 (0 = before any election). Rises only. */
export type Term = number

/** Position in the Raft log, from 1 (0 = before the first entry). At most 2^40 - 1: it is part of message ids. */
export type LogIndex = number

/** `commands` is opaque to consensus; an empty one is the no-op a new leader appends. */
export type EntryKind = "commands" | "configuration"

export interface Entry {
  readonly index: LogIndex
  readonly term: Term
  readonly kind: EntryKind
  /** Opaque bytes: a batch of commands, or an encoded `Configuration`. Never changed after it was proposed. */
  readonly data: Uint8Array
}

/** What must survive a crash besides the log. `commitIndex` is a hint and needs no sync of its own. */
export interface HardState {
  readonly currentTerm: Term
  readonly votedFor: NodeId
  readonly commitIndex: LogIndex
}

/**
 * Members in force. `votersOutgoing` is empty except in a joint configuration, when an election and a
 * commit need a majority of `voters` *and* of `votersOutgoing` (Raft paper, section 6).
 * All lists are sorted ascending, without repeats. `learnersNext` are outgoing voters that become learners
 * when the joint configuration is left.
 */
export interface Configuration {
  readonly voters: readonly NodeId[]
  readonly votersOutgoing: readonly NodeId[]
  readonly learners: readonly NodeId[]
  readonly learnersNext: readonly NodeId[]
}

/** The point up to which the log is replaced by a state-machine snapshot. The data travels outside the core. */
export interface SnapshotMeta {
  readonly lastIncludedIndex: LogIndex
  readonly lastIncludedTerm: Term
  readonly configuration: Configuration
}

interface Envelope {
  readonly from: NodeId
  readonly to: NodeId
  readonly term: Term
}

export interface RequestVote extends Envelope {
  readonly kind: "requestVote"
  /** A pre-vote asks "would you vote for me in `term`?" and changes nobody's term (thesis 9.6). */
  readonly preVote: boolean
  /** True when the leader asked for this election by `timeoutNow`: voters then ignore that a leader is alive. */
  readonly leadershipTransfer: boolean
  readonly lastLogIndex: LogIndex
  readonly lastLogTerm: Term
}

export interface RequestVoteReply extends Envelope {
  readonly kind: "requestVoteReply"
  readonly preVote: boolean
  readonly voteGranted: boolean
}

export interface AppendEntries extends Envelope {
  readonly kind: "appendEntries"
  readonly prevLogIndex: LogIndex
  readonly prevLogTerm: Term
  readonly entries: readonly Entry[]
  readonly leaderCommit: LogIndex
}

export interface AppendEntriesReply extends Envelope {
  readonly kind: "appendEntriesReply"
  readonly success: boolean
  /** success: the follower's log matches the leader's, durably, up to here. Else: the rejected `prevLogIndex`. */
  readonly index: LogIndex
  /** Only when rejected: the follower's best guess where the logs agree, and the term there (fast back-off). */
  readonly hintIndex: LogIndex
  readonly hintTerm: Term
}

/** Keeps authority, spreads the commit index (never beyond the follower's match) and carries ReadIndex rounds. */
export interface Heartbeat extends Envelope {
  readonly kind: "heartbeat"
  readonly leaderCommit: LogIndex
  /** Number of the newest ReadIndex round this heartbeat confirms; 0 = none. Unique within a term. */
  readonly readRound: number
}

export interface HeartbeatReply extends Envelope {
  readonly kind: "heartbeatReply"
  readonly readRound: number
}

/** Announces a snapshot; the driver streams the data and then steps this message into the follower's core. */
export interface InstallSnapshot extends Envelope {
  readonly kind: "installSnapshot"
  readonly snapshot: SnapshotMeta
}

/** The leader tells a caught-up follower to start an election at once (thesis 3.10). */
export interface TimeoutNow extends Envelope {
  readonly kind: "timeoutNow"
}

export type Message =
  | RequestVote
  | RequestVoteReply
  | AppendEntries
  | AppendEntriesReply
  | Heartbeat
  | HeartbeatReply
  | InstallSnapshot
  | TimeoutNow

export type Role = "follower" | "preCandidate" | "candidate" | "leader"

/** One durable write: carried out in the order of `sequence`, each whole write before the next. */
export interface LogWrite {
  /** Rises by one with each write. Given back by `Raft.persisted(sequence)`. */
  readonly sequence: number
  /** Present when term or vote changed (or commitIndex rode along); must be durable before the entries are. */
  readonly hardState: HardState | undefined
  /**
   * Consecutive. The log is first cut back to `entries[0].index - 1`, if it is longer. May be empty: then the write has only
   * to be reported in its turn (messages wait behind earlier writes).
   */
  readonly entries: readonly Entry[]
  /** Sent only after this write is durable: vote requests, vote replies, append replies, and whatever tells a new term. */
  readonly messages: readonly Message[]
}

/** Entries that the leader has no longer in memory and needs from the disk for a slow follower. */
export interface EntriesFetch {
  readonly peer: NodeId
  /** The leader's term when it asked; an answer from another term is ignored. */
  readonly term: Term
  readonly fromIndex: LogIndex
  /** Inclusive upper bound; the answer may stop earlier (size), never later. */
  readonly toIndex: LogIndex
  readonly maxBytes: number
}

/** A ReadIndex request that was confirmed: serve the read once everything up to `index` is applied. */
export interface ReadState {
  readonly context: number
  readonly index: LogIndex
}

/**
 * What has to be done now. Plain lists; empty lists when there is nothing of that kind.
 * Carried out in this order: `restore`, then start `write` (asynchronous, in order of sequence), send `messages`
 * at once, apply committed entries, answer `reads`.
 */
export interface Ready {
  /** Present when role, term or known leader changed. */
  readonly status: RaftStatusChange | undefined
  /** The follower's core accepted a snapshot: state machine and log now begin behind it. */
  readonly restore: SnapshotMeta | undefined
  readonly write: LogWrite | undefined
  /** Safe to send before `write` is durable (appends, heartbeats, vote requests whose term is durable or pre-vote). */
  readonly messages: readonly Message[]
  /**
   * Entries to apply, consecutive, all of them committed AND durable on this node. They come in pieces of at most
   * `maxApplyBytes`; the next piece comes after `applied(lastIndex)`. Entries that are no longer in memory are
   * asked for by `applyFetch` instead.
   */
  readonly committedEntries: readonly Entry[]
  readonly applyFetch:
    { readonly fromIndex: LogIndex; readonly toIndex: LogIndex; readonly maxBytes: number } | undefined
  readonly reads: readonly ReadState[]
  /** Contexts of reads that will never be confirmed (leadership lost). */
  readonly readsAborted: readonly number[]
  readonly fetches: readonly EntriesFetch[]
}

export interface RaftStatusChange {
  readonly role: Role
  readonly term: Term
  /** `NO_NODE` when unknown. */
  readonly leaderId: NodeId
}

export type ProposeRefusal =
  | "notLeader"
  /** Too many bytes are waiting for the quorum (`maxUncommittedBytes`). */
  | "overloaded"
  /** A leadership transfer is under way. */
  | "transferring"

export type ConfigurationRefusal =
  | ProposeRefusal
  /** A configuration change is still uncommitted, or a joint configuration has not been left. */
  | "changePending"
  /** No entry of this leader's own term is committed yet (Ongaro 2015). */
  | "termNotCommitted"
  /** The change names unknown nodes, removes every voter, or changes nothing. */
  | "invalidChange"

/** One step of a membership change; a list of them is made at once, through a joint configuration when needed. */
export interface ConfigurationChange {
  readonly kind: "addVoter" | "addLearner" | "remove"
  readonly nodeId: NodeId
}

export type ProposeResult =
  | { readonly ok: true; readonly firstIndex: LogIndex; readonly term: Term }
  | { readonly ok: false; readonly refusal: ProposeRefusal; readonly leaderId: NodeId }
