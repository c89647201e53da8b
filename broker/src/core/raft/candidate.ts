/** A candidate (before or after the pre-vote) reads a message of its own term (Raft §5.2, thesis §9.6). */
import { recordVote } from "./election.ts"
import { stepFollower } from "./follower.ts"
import { becomeFollower } from "./state.ts"
import type { RaftState } from "./state.ts"
import type { Message, RequestVoteReply } from "./types.ts"

/** Counts votes; follows the leader of its term when one shows up. */
export function stepCandidate(state: RaftState, message: Message): void {
  switch (message.kind) {
    case "appendEntries":
    case "heartbeat":
    case "installSnapshot":
      becomeFollower(state, message.term, message.from)
      stepFollower(state, message)
      return
    case "requestVoteReply":
      if (isForThisElection(state, message)) recordVote(state, message.from, message.voteGranted)
      return
    case "requestVote":
    case "appendEntriesReply":
    case "heartbeatReply":
    case "timeoutNow":
      // Late replies to a leadership that is over, or a transfer that this node anticipated.
      return
  }
}

/** A late answer to the pre-vote is not a vote, and the other way round. */
function isForThisElection(state: RaftState, reply: RequestVoteReply): boolean {
  if (reply.preVote !== (state.role === "preCandidate")) return false
  const askedTerm = reply.preVote && reply.voteGranted ? state.currentTerm + 1 : state.currentTerm
  return reply.term === askedTerm
}
