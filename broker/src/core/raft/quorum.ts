/**
 * Majorities, as arithmetic. A joint configuration needs a majority of both its halves (Raft §6).
 *
 * Pure functions over lists: no state, no messages. An empty half never objects.
 */
import type { Configuration, NodeId } from "./types.ts"

/** What a vote count says: a quorum agrees, a quorum can no longer agree, or it is still open. */
export type VoteResult = "won" | "lost" | "pending"

/** How many of `count` are a majority. */
export function majorityOf(count: number): number {
  return Math.floor(count / 2) + 1
}

/**
 * The highest number that a majority of `voters` has reached: the commit index when the numbers are match indexes
 * (Raft §5.3, §5.4). `Infinity` when there are no voters, so that an absent half of a joint configuration never limits.
 * O(n log n) for n voters.
 */
export function majorityCommitIndex(voters: readonly NodeId[], matchOf: (voter: NodeId) => number): number {
  if (voters.length === 0) return Infinity
  const falling = voters.map(matchOf).sort((left, right) => right - left)
  return falling[majorityOf(voters.length) - 1] ?? 0
}

/** The same for a configuration that may be joint: the lower of both halves (Raft §6). */
export function jointCommitIndex(configuration: Configuration, matchOf: (voter: NodeId) => number): number {
  return Math.min(
    majorityCommitIndex(configuration.voters, matchOf),
    majorityCommitIndex(configuration.votersOutgoing, matchOf),
  )
}

/** Result of an election among `voters`; nobody voting means "won", so that an absent half never objects. */
export function majorityVoteResult(voters: readonly NodeId[], votes: ReadonlyMap<NodeId, boolean>): VoteResult {
  if (voters.length === 0) return "won"
  let granted = 0
  let missing = 0
  for (const voter of voters) {
    const vote = votes.get(voter)
    if (vote === undefined) missing++
    else if (vote) granted++
  }
  const needed = majorityOf(voters.length)
  if (granted >= needed) return "won"
  return granted + missing >= needed ? "pending" : "lost"
}

/** Result of an election under `configuration`: both halves must agree; one that objects loses it (Raft §6). */
export function voteResult(configuration: Configuration, votes: ReadonlyMap<NodeId, boolean>): VoteResult {
  const incoming = majorityVoteResult(configuration.voters, votes)
  const outgoing = majorityVoteResult(configuration.votersOutgoing, votes)
  if (incoming === outgoing) return incoming
  return incoming === "lost" || outgoing === "lost" ? "lost" : "pending"
}
