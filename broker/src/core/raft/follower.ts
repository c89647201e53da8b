/**
 * A follower reads a message of its own term: it takes entries, commit indexes and snapshots from the leader (Raft figure 2, §5.3,
 * §7), and an order to campaign (thesis §3.10).
 *
 * Acknowledgements go through the outbox, which holds them back until what they acknowledge is durable.
 */
import { decodeConfiguration } from "./configuration-codec.ts"
import { campaign } from "./election.ts"
import { assert } from "../assert.ts"
import { send } from "./outbox.ts"
import type { RaftState } from "./state.ts"
import type {
  AppendEntries,
  Entry,
  Heartbeat,
  InstallSnapshot,
  LogIndex,
  Message,
  NodeId,
  SnapshotMeta,
} from "./types.ts"
import { NO_NODE } from "./types.ts"

/** Obeys the leader of the current term. */
export function stepFollower(state: RaftState, message: Message): void {
  switch (message.kind) {
    case "appendEntries":
      hearLeader(state, message.from)
      appendFromLeader(state, message)
      return
    case "heartbeat":
      hearLeader(state, message.from)
      hearHeartbeat(state, message)
      return
    case "installSnapshot":
      hearLeader(state, message.from)
      installSnapshot(state, message)
      return
    case "timeoutNow":
      // The leader sees to it that this log is as long as its own; the voters check it again.
      campaign(state, "transfer")
      return
    case "requestVote":
    case "requestVoteReply":
    case "appendEntriesReply":
    case "heartbeatReply":
      // Late replies to something that this node has given up.
      return
  }
}

/** The log of this node changed by an entry: a configuration is in force from here on (Raft §6). */
export function noteConfigurations(state: RaftState, entries: readonly Entry[]): void {
  for (const entry of entries) {
    if (entry.kind !== "configuration") continue
    state.configurations.append({ index: entry.index, configuration: decodeConfiguration(entry.data) })
  }
}

/**
 * The driver finished carrying out `Ready.restore`: state machine and log begin behind the snapshot, durably. Only now does the leader
 * hear of it.
 */
export function finishRestore(state: RaftState, meta: SnapshotMeta): void {
  assert(state.restoring !== undefined, "a restore was asked for")
  assert(state.restoring.lastIncludedIndex === meta.lastIncludedIndex, "the restore that was asked for is reported")
  state.restoring = undefined
  if (state.role === "follower" && state.leaderId !== NO_NODE)
    acknowledge(state, state.leaderId, meta.lastIncludedIndex)
}

function hearLeader(state: RaftState, leaderId: NodeId): void {
  assert(state.leaderId === NO_NODE || state.leaderId === leaderId, "there is one leader in a term")
  state.leaderId = leaderId
  state.electionElapsed = 0
  state.earlyCampaignTicks = undefined
}

function appendFromLeader(state: RaftState, message: AppendEntries): void {
  const { log } = state
  // The log is being replaced; the leader sends again.
  if (state.restoring !== undefined) return
  if (message.prevLogIndex < log.commitIndex) {
    // Old news: what is committed here equals the leader's log, whatever the message says.
    acknowledge(state, message.from, log.commitIndex)
    return
  }
  if (!log.matches(message.prevLogIndex, message.prevLogTerm)) {
    reject(state, message)
    return
  }
  const lastNewIndex = message.prevLogIndex + message.entries.length
  appendUnknown(state, message)
  const commitBound = state.faults.has("commitBeyondLastNew") ? log.lastIndex : lastNewIndex
  log.commitTo(Math.min(message.leaderCommit, commitBound))
  acknowledge(state, message.from, lastNewIndex)
}

/** Appends what is new. The log is cut only at a real conflict: a late or short message removes nothing (pitfall 3). */
function appendUnknown(state: RaftState, message: AppendEntries): void {
  const { log } = state
  const conflict = state.faults.has("truncateWithoutConflict") ? message.entries[0] : log.firstConflict(message.entries)
  if (conflict === undefined) return
  if (conflict.index <= log.lastIndex) truncate(state, conflict.index - 1)
  const fresh = message.entries.filter((entry) => entry.index >= conflict.index)
  log.append(fresh)
  noteConfigurations(state, fresh)
}

function truncate(state: RaftState, lastIndex: LogIndex): void {
  state.log.truncate(lastIndex)
  if (!state.faults.has("lateWriteAcknowledgesOverwritten")) state.writes.clip(lastIndex)
  if (!state.faults.has("configurationNotRolledBack")) state.configurations.truncate(lastIndex)
}

function acknowledge(state: RaftState, leaderId: NodeId, index: LogIndex): void {
  send(state, {
    kind: "appendEntriesReply",
    from: state.nodeId,
    to: leaderId,
    term: state.currentTerm,
    success: true,
    index,
    hintIndex: 0,
    hintTerm: 0,
  })
}

/**
 * Says where the logs may agree at best, so that the leader skips whole terms: our last entry whose term is not above the leader's term
 * at the place that did not match (Raft §5.3, last paragraphs).
 */
function reject(state: RaftState, message: AppendEntries): void {
  const { log } = state
  const hintIndex = log.lastIndexWithTermAtMost(Math.min(message.prevLogIndex, log.lastIndex), message.prevLogTerm)
  send(state, {
    kind: "appendEntriesReply",
    from: state.nodeId,
    to: message.from,
    term: state.currentTerm,
    success: false,
    index: message.prevLogIndex,
    hintIndex,
    hintTerm: log.termAt(hintIndex) ?? 0,
  })
}

function hearHeartbeat(state: RaftState, message: Heartbeat): void {
  const { log } = state
  // The leader bounds the index by what this node acknowledged. A node that lost its disk may have less than it acknowledged.
  const leaderCommit = state.mayVote ? message.leaderCommit : Math.min(message.leaderCommit, log.lastIndex)
  if (state.restoring === undefined) log.commitTo(leaderCommit)
  send(state, {
    kind: "heartbeatReply",
    from: state.nodeId,
    to: message.from,
    term: state.currentTerm,
    readRound: message.readRound,
  })
}

/** Raft §7: a snapshot that this log already contains is used as news of the commit index only; its suffix stays. */
function installSnapshot(state: RaftState, message: InstallSnapshot): void {
  const { log } = state
  const { snapshot } = message
  if (state.restoring !== undefined) return
  if (snapshot.lastIncludedIndex <= log.commitIndex) {
    acknowledge(state, message.from, log.commitIndex)
    return
  }
  const isContained = log.matches(snapshot.lastIncludedIndex, snapshot.lastIncludedTerm)
  if (isContained && !state.faults.has("suffixDroppedOnInstall")) {
    log.commitTo(snapshot.lastIncludedIndex)
    acknowledge(state, message.from, snapshot.lastIncludedIndex)
    return
  }
  // Acknowledgements of entries that are thrown away unwritten; the one after the restore covers them.
  state.outbox.gated = state.outbox.gated.filter((each) => each.kind !== "appendEntriesReply")
  state.writes.clip(0)
  log.reset(snapshot.lastIncludedIndex, snapshot.lastIncludedTerm)
  state.configurations.reset({ index: snapshot.lastIncludedIndex, configuration: snapshot.configuration })
  state.latestSnapshot = snapshot
  state.restoring = snapshot
  state.outbox.restore = snapshot
  state.applyFetchIndex = undefined
  state.outbox.applicable = []
}
