/**
 * A leader reads a message of its own term, and keeps its authority only as long as a quorum answers (Raft §5.2, §5.3; thesis
 * §3.10, §6.2, §6.4).
 */
import { assert, AssertionFailed } from "../assert.ts"
import { voteResult } from "./quorum.ts"
import { send } from "./outbox.ts"
import { maybeCommit } from "./commit.ts"
import type { Progress } from "./progress.ts"
import { appendOwn } from "./proposals.ts"
import { becomeFollower, becomeLeader, isOwnTermCommitted } from "./state.ts"
import type { Leadership, RaftState } from "./state.ts"
import { abdicate, continueTransfer } from "./transfer.ts"
import { NO_NODE } from "./types.ts"
import type { AppendEntriesReply, HeartbeatReply, Message, NodeId } from "./types.ts"

/**
 * A leader whose disk completes nothing for this many election timeouts gives its leadership away: its followers could go
 * on without it, but it cannot (pitfall 16). Long, so that a set whose disks are all slow keeps its leader.
 */
export const STALLED_DISK_ELECTION_TIMEOUTS = 8

/** Data of the entry that begins a leadership. */
const NO_COMMANDS = new Uint8Array(0)

/** Takes the lead: an empty entry of the own term commits all older ones with it (Raft §8). */
export function becomeLeadingNode(state: RaftState): void {
  const leadership = becomeLeader(state)
  appendOwn(state, leadership, { kind: "commands", data: [NO_COMMANDS] })
}

/** Reads answers of peers. */
export function stepLeader(state: RaftState, leadership: Leadership, message: Message): void {
  const progress = leadership.progress.get(message.from)
  switch (message.kind) {
    case "appendEntriesReply":
      if (progress !== undefined) readAppendReply({ state, leadership, progress }, message)
      return
    case "heartbeatReply":
      if (progress !== undefined) readHeartbeatReply({ state, leadership, progress }, message)
      return
    case "appendEntries":
    case "heartbeat":
    case "installSnapshot":
      throw new AssertionFailed("there is one leader in a term")
    case "requestVote":
    case "requestVoteReply":
    case "timeoutNow":
      // Votes that came after the majority.
      return
  }
}

/** Time passes on a leader: heartbeats, the check of its quorum, and the end of a transfer that takes too long. */
export function tickLeader(state: RaftState, leadership: Leadership): void {
  const { electionTicks, heartbeatTicks } = state.options
  state.electionElapsed++
  state.heartbeatElapsed++
  leadership.stalledTicks = state.writes.isEmpty ? 0 : leadership.stalledTicks + 1
  if (leadership.stalledTicks >= STALLED_DISK_ELECTION_TIMEOUTS * electionTicks) {
    abdicate(state, leadership)
    return
  }
  if (state.electionElapsed >= electionTicks) {
    state.electionElapsed = 0
    leadership.transferTarget = NO_NODE
    if (!isQuorumActive(state, leadership) && !state.faults.has("noCheckQuorum")) {
      becomeFollower(state, state.currentTerm, NO_NODE)
      return
    }
  }
  if (state.heartbeatElapsed >= heartbeatTicks) broadcastHeartbeat(state, leadership)
}

/** Ticks until `tickLeader` may do more than count. */
export function ticksUntilLeaderDue(state: RaftState): number {
  // While a write is under way, ticks are counted against the disk.
  if (!state.writes.isEmpty) return 1
  const { electionTicks, heartbeatTicks } = state.options
  return Math.min(heartbeatTicks - state.heartbeatElapsed, electionTicks - state.electionElapsed)
}

/** Keeps the followers quiet, tells them what is committed, and carries the newest round of reads. */
export function broadcastHeartbeat(state: RaftState, leadership: Leadership): void {
  state.heartbeatElapsed = 0
  for (const [nodeId, progress] of leadership.progress) {
    send(state, {
      kind: "heartbeat",
      from: state.nodeId,
      to: nodeId,
      term: state.currentTerm,
      // Not beyond what the peer is known to have: its log may differ behind that (pitfall 4).
      leaderCommit: Math.min(progress.matchIndex, state.log.commitIndex),
      readRound: leadership.reads.newestRound,
    })
  }
}

/** Starts a round for the reads that wait, if one is due. A single voter confirms it by itself. */
export function startReadRound(state: RaftState, leadership: Leadership): void {
  if (!leadership.reads.isRoundDue) return
  leadership.reads.startRound(state.log.commitIndex)
  broadcastHeartbeat(state, leadership)
  takeConfirmedReads(state, leadership)
}

/** Takes a read in; its round starts with the next `Ready`. */
export function addRead(state: RaftState, leadership: Leadership, context: number): void {
  const isOwnTerm = isOwnTermCommitted(state) || state.faults.has("readIndexBeforeNoOp")
  if (isOwnTerm && state.faults.has("readIndexWithoutRound")) {
    state.outbox.reads.push({ context, index: state.log.commitIndex })
  } else leadership.reads.add(context, isOwnTerm)
}

interface PeerAnswer {
  readonly state: RaftState
  readonly leadership: Leadership
  readonly progress: Progress
}

function readAppendReply(context: PeerAnswer, reply: AppendEntriesReply): void {
  const { state, leadership, progress } = context
  progress.recentActive = true
  if (!reply.success) {
    const guess =
      reply.hintTerm > 0 ? state.log.lastIndexWithTermAtMost(reply.hintIndex, reply.hintTerm) : reply.hintIndex
    if (progress.maybeBackOff(reply.index, guess)) oweAppend(leadership, progress)
    return
  }
  assert(reply.index <= state.log.lastIndex, "nobody acknowledges entries that the leader does not have")
  if (state.faults.has("matchLoweredByLateReply")) progress.matchIndex = Math.min(progress.matchIndex, reply.index)
  const isNews = progress.maybeAdvance(reply.index)
  if (!isNews && !(progress.state === "probe" && progress.matchIndex === reply.index)) return
  advancePeer(state, progress, reply.index)
  leadership.isReplicationDue = true
  maybeCommit(state, leadership)
  if (state.leadership === leadership) continueTransfer(state, leadership, reply.from)
}

function advancePeer(state: RaftState, progress: Progress, index: number): void {
  if (progress.state === "replicate") progress.freeInflightUpTo(index)
  // Out of a snapshot as soon as the log can serve the rest, also when the driver's report is still under way.
  else if (progress.state === "probe" || progress.matchIndex >= state.log.baseIndex) progress.becomeReplicate()
}

function readHeartbeatReply(context: PeerAnswer, reply: HeartbeatReply): void {
  const { state, leadership, progress } = context
  progress.recentActive = true
  if (progress.isPaused) leadership.isReplicationDue = true
  progress.resume()
  if (progress.matchIndex < state.log.lastIndex || progress.state === "probe") oweAppend(leadership, progress)
  leadership.reads.acknowledge(reply.from, reply.readRound)
  takeConfirmedReads(state, leadership)
}

function oweAppend(leadership: Leadership, progress: Progress): void {
  progress.appendDue = true
  leadership.isReplicationDue = true
}

function isQuorumActive(state: RaftState, leadership: Leadership): boolean {
  const active = new Map<NodeId, boolean>([[state.nodeId, true]])
  for (const [nodeId, progress] of leadership.progress) {
    active.set(nodeId, progress.recentActive)
    progress.recentActive = false
  }
  return voteResult(state.configurations.latest.configuration, active) === "won"
}

function takeConfirmedReads(state: RaftState, leadership: Leadership): void {
  const { configuration } = state.configurations.latest
  state.outbox.reads.push(...leadership.reads.takeConfirmed(configuration, state.nodeId))
}
