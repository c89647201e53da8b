/** Leadership goes to a chosen node without waiting for a timeout (thesis §3.10). */
import { send } from "./outbox.ts"
import { becomeFollower } from "./state.ts"
import type { Leadership, RaftState } from "./state.ts"
import { NO_NODE } from "./types.ts"
import type { NodeId } from "./types.ts"

/**
 * Starts a transfer. Proposals are refused until it ends: by a new leader, or after one election timeout (`tickLeader`).
 * Returns false when `target` is no voter, is this node, or this node does not lead.
 */
export function startTransfer(state: RaftState, target: NodeId): boolean {
  const { leadership } = state
  const progress = leadership?.progress.get(target)
  if (leadership === undefined || progress === undefined) return false
  if (!state.configurations.latest.configuration.voters.includes(target)) return false
  if (leadership.transferTarget === target) return true
  leadership.transferTarget = target
  state.electionElapsed = 0
  if (progress.matchIndex === state.log.lastIndex) sendTimeoutNow(state, target)
  else leadership.isReplicationDue = true
  return true
}

/** `peer` acknowledged entries: if it is to lead and has them all, it is told to. */
export function continueTransfer(state: RaftState, leadership: Leadership, peer: NodeId): void {
  if (leadership.transferTarget !== peer) return
  if (leadership.progress.get(peer)?.matchIndex === state.log.lastIndex) sendTimeoutNow(state, peer)
}

/** Gives the lead to the most advanced voter without waiting for it to catch up, and follows. The voters judge the heir. */
export function abdicate(state: RaftState, leadership: Leadership): void {
  let heir: NodeId = NO_NODE
  let heirMatchIndex = -1
  for (const voter of state.configurations.latest.configuration.voters) {
    const matchIndex = leadership.progress.get(voter)?.matchIndex ?? -1
    if (matchIndex <= heirMatchIndex) continue
    heir = voter
    heirMatchIndex = matchIndex
  }
  if (heir !== NO_NODE) sendTimeoutNow(state, heir)
  becomeFollower(state, state.currentTerm, NO_NODE)
}

function sendTimeoutNow(state: RaftState, target: NodeId): void {
  send(state, { kind: "timeoutNow", from: state.nodeId, to: target, term: state.currentTerm })
}
