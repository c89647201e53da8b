/**
 * Elections: when a node campaigns, and how any node answers a request for its vote (Raft §5.2, §5.4.1; thesis §4.2.3, §9.6).
 *
 * Pre-vote first, always: only a node that could win raises the term. Voters that hear a leader ignore requests, so that a node
 * that was cut off, or removed, disturbs nobody.
 */
import { unreachable } from "../assert.ts"
import { allVoters } from "./configuration.ts"
import { becomeLeadingNode } from "./leader.ts"
import { send } from "./outbox.ts"
import { voteResult } from "./quorum.ts"
import { becomeCandidate, becomeFollower, becomePreCandidate, hasLiveLeader, isPromotable } from "./state.ts"
import type { RaftState } from "./state.ts"
import { NO_NODE } from "./types.ts"
import type { NodeId, RequestVote } from "./types.ts"

/** Ticks that a voter leaves to each one before it, when there is a reason to campaign before the timeout. */
export const EARLY_CAMPAIGN_TICKS_PER_RANK = 3

/** Two pre-votes that begin within so many ticks are a tie; an older one must not hold up the rest. */
const TIE_TICKS = 1

/** `transfer`: the leader asked for it, so voters do not protect the leader, and no pre-vote is needed (thesis §3.10). */
export type CampaignKind = "preVote" | "election" | "transfer"

/** Starts an election, if this node may. */
export function campaign(state: RaftState, kind: CampaignKind): void {
  if (!isPromotable(state)) return
  switch (kind) {
    case "preVote":
      if (state.faults.has("noPreVote")) {
        campaign(state, "election")
        return
      }
      becomePreCandidate(state)
      requestVotes(state)
      // Nothing is promised by a pre-vote, so the own one counts at once.
      recordVote(state, state.nodeId, true)
      return
    case "election":
    case "transfer":
      becomeCandidate(state)
      state.isTransferElection = kind === "transfer"
      // The own vote counts when it is durable (`Raft.persisted`); the requests leave then too.
      requestVotes(state)
      return
    default:
      unreachable(kind)
  }
}

/** Counts a vote and draws the consequence. */
export function recordVote(state: RaftState, voter: NodeId, isGranted: boolean): void {
  if (!state.votes.has(voter)) state.votes.set(voter, isGranted)
  switch (voteResult(state.configurations.latest.configuration, state.votes)) {
    case "won":
      if (state.role === "preCandidate") campaign(state, "election")
      else becomeLeadingNode(state)
      return
    case "lost":
      // The next attempt comes with the next timeout; until then others may try.
      becomeFollower(state, state.currentTerm, NO_NODE)
      return
    case "pending":
      return
  }
}

/** Time passes on a node that does not lead. */
export function tickElection(state: RaftState): void {
  state.electionElapsed++
  if (state.earlyCampaignTicks !== undefined) {
    state.earlyCampaignTicks--
    if (state.earlyCampaignTicks <= 0) {
      state.earlyCampaignTicks = undefined
      campaign(state, "preVote")
      return
    }
  }
  if (state.electionElapsed >= state.electionTimeout && isPromotable(state)) {
    state.electionElapsed = 0
    campaign(state, "preVote")
    return
  }
  repeatRequests(state)
}

/** Ticks until `tickElection` may do more than count. */
export function ticksUntilElection(state: RaftState): number {
  if (state.role !== "follower") return 1
  return Math.min(state.electionTimeout - state.electionElapsed, state.earlyCampaignTicks ?? Number.POSITIVE_INFINITY)
}

/**
 * The connection to the leader broke: a reason to ask for pre-votes now and not after a timeout. The survivors take turns, by their
 * rank among the other voters rotated by the term, so that they do not split the vote.
 */
export function leaderUnreachable(state: RaftState): void {
  const deadLeader = state.leaderId
  state.leaderId = NO_NODE
  if (!isPromotable(state)) return
  campaignInTurn(
    state,
    allVoters(state.configurations.latest.configuration).filter((voter) => voter !== deadLeader),
  )
}

/**
 * A member can be reached now. The one that makes a majority of them is a reason to ask for pre-votes without waiting for a timeout,
 * if nobody leads: so nodes that were all started together have a leader as soon as they see each other.
 */
export function memberReachable(state: RaftState, nodeId: NodeId): void {
  const hadMajority = reachesMajority(state)
  state.reachable.add(nodeId)
  if (hadMajority || !reachesMajority(state)) return
  if (state.role !== "follower" || state.leaderId !== NO_NODE || !isPromotable(state)) return
  campaignInTurn(state, allVoters(state.configurations.latest.configuration))
}

function reachesMajority(state: RaftState): boolean {
  const reached = new Map([...state.reachable, state.nodeId].map((nodeId) => [nodeId, true]))
  return voteResult(state.configurations.latest.configuration, reached) === "won"
}

function campaignInTurn(state: RaftState, survivors: readonly NodeId[]): void {
  const place = survivors.indexOf(state.nodeId)
  // Who is a voter no more (but must still campaign) comes last.
  const rank = place < 0 ? survivors.length : (place + state.currentTerm) % survivors.length
  if (rank === 0) campaign(state, "preVote")
  else state.earlyCampaignTicks = rank * EARLY_CAMPAIGN_TICKS_PER_RANK
}

/**
 * Answers a request of this term, or a pre-vote for a later one. Also learners answer: by a configuration that they have not seen yet
 * they may be voters (pitfall 14).
 */
export function answerRequestVote(state: RaftState, request: RequestVote): void {
  const isFree =
    state.votedFor === request.from ||
    (state.votedFor === NO_NODE && state.leaderId === NO_NODE) ||
    (request.preVote && request.term > state.currentTerm)
  const mayVote = state.mayVote || state.faults.has("wipedNodeVotes")
  const voteGranted = mayVote && isFree && isUpToDate(state, request) && !keepsOn(state, request)
  if (voteGranted && isTie(state, request)) withdraw(state)
  if (voteGranted && !request.preVote) {
    state.votedFor = request.from
    state.electionElapsed = 0
    state.earlyCampaignTicks = undefined
  }
  send(state, {
    kind: "requestVoteReply",
    from: state.nodeId,
    to: request.from,
    // A granted pre-vote repeats the term that was asked for; nobody enters it by that.
    term: voteGranted ? request.term : state.currentTerm,
    preVote: request.preVote,
    voteGranted,
  })
}

/**
 * Two nodes ask for pre-votes at the same time. If each granted the other's, both would campaign and split the vote, and all would
 * wait for another timeout; so the one with the longer log, or of equal ones the greater id, keeps on, and the other withdraws.
 */
function isTie(state: RaftState, request: RequestVote): boolean {
  const isJustBegun = state.role === "preCandidate" && state.electionElapsed <= TIE_TICKS
  return isJustBegun && request.preVote && request.term === state.currentTerm + 1
}

function keepsOn(state: RaftState, request: RequestVote): boolean {
  const { lastIndex, lastTerm } = state.log
  const isSameLog = request.lastLogTerm === lastTerm && request.lastLogIndex === lastIndex
  return isTie(state, request) && isSameLog && request.from < state.nodeId
}

/** For a moment only: the other one may not be able to win. */
function withdraw(state: RaftState): void {
  becomeFollower(state, state.currentTerm, NO_NODE)
  state.earlyCampaignTicks = EARLY_CAMPAIGN_TICKS_PER_RANK
}

/** True when a request must not even be looked at: the leader is alive and did not ask for it (thesis §4.2.3). */
export function isDisturbance(state: RaftState, request: RequestVote): boolean {
  return !request.leadershipTransfer && hasLiveLeader(state)
}

/** Raft §5.4.1: the later last term wins, then the longer log. */
function isUpToDate(state: RaftState, request: RequestVote): boolean {
  const { lastIndex, lastTerm } = state.log
  if (request.lastLogTerm !== lastTerm) return request.lastLogTerm > lastTerm
  const slack = state.faults.has("upToDateOffByOne") ? 1 : 0
  return request.lastLogIndex + slack >= lastIndex
}

/** Asks those again that have not answered, unless the requests are still waiting for the disk (Raft §5.1: servers retry). */
function repeatRequests(state: RaftState): void {
  if (state.role !== "candidate" && state.role !== "preCandidate") return
  if (state.electionElapsed % state.options.heartbeatTicks === 0 && state.writes.isEmpty) requestVotes(state)
}

/** Asks every voter that has not answered. */
function requestVotes(state: RaftState): void {
  const preVote = state.role === "preCandidate"
  for (const voter of allVoters(state.configurations.latest.configuration)) {
    if (voter === state.nodeId || state.votes.has(voter)) continue
    send(state, {
      kind: "requestVote",
      from: state.nodeId,
      to: voter,
      term: preVote ? state.currentTerm + 1 : state.currentTerm,
      preVote,
      leadershipTransfer: state.isTransferElection,
      lastLogIndex: state.log.lastIndex,
      lastLogTerm: state.log.lastTerm,
    })
  }
}
