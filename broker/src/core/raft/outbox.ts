/**
 * What leaves a replica, and when: the rule "no message leaves before what it promises is durable" (Raft figure 2, pitfall 2).
 *
 * Two ways out. At once: what promises nothing. Gated: what promises a vote, an entry or a term that is not on the disk yet; it is
 * attached to the next write, and writes complete in order, so everything that was in this log when the message was made is durable
 * when it leaves. That is also why a vote may compare with the last entry in memory: the vote leaves after that entry is durable.
 */
import type { HardState, LogWrite, Message } from "./types.ts"
import type { RaftState } from "./state.ts"

/** Sends `message` at once or, if it promises something that is not durable, with the next write. */
export function send(state: RaftState, message: Message): void {
  if (isGated(state, message) && !state.faults.has("replyBeforeSync")) state.outbox.gated.push(message)
  else state.outbox.messages.push(message)
}

/**
 * Takes everything that has to be made durable as one write, or undefined when there is nothing. Gated messages that turn out to
 * need no write move to the others.
 */
export function takeWrite(state: RaftState): LogWrite | undefined {
  const { outbox, log, writes } = state
  const entries = log.takeUnwritten()
  const hardState = changedHardState(state, entries.length > 0)
  if (entries.length === 0 && hardState === undefined) {
    if (outbox.gated.length === 0) return undefined
    if (writes.isEmpty) {
      outbox.messages.push(...outbox.gated)
      outbox.gated = []
      return undefined
    }
  }
  const sequence = writes.add({
    vote: hardState === undefined ? undefined : { currentTerm: state.currentTerm, votedFor: state.votedFor },
    firstIndex: entries[0]?.index ?? log.lastIndex + 1,
    lastIndex: log.lastIndex,
  })
  if (hardState !== undefined) state.handedHardState = hardState
  const messages = outbox.gated
  outbox.gated = []
  return { sequence, hardState: hardState && withFaults(state, hardState), entries, messages }
}

/** True when `takeWrite` would find something. */
export function hasWrite(state: RaftState): boolean {
  return state.log.hasUnwritten || state.outbox.gated.length > 0 || changedHardState(state, false) !== undefined
}

function isGated(state: RaftState, message: Message): boolean {
  // Whatever tells a term that a crash could take back. (A leader's term is durable: it got its own vote.)
  if (state.durableTerm < state.currentTerm) return true
  if (message.kind === "requestVote" || message.kind === "requestVoteReply") return !message.preVote
  return message.kind === "appendEntriesReply" && message.success && message.index > state.log.durableIndex
}

/** The hard state if it has to be written. The commit index rides along with entries and never causes a write. */
function changedHardState(state: RaftState, hasEntries: boolean): HardState | undefined {
  const handed = state.handedHardState
  // Only what is durable as well: after a crash, the log must reach as far as the commit index says.
  const commitIndex = Math.max(handed.commitIndex, Math.min(state.log.commitIndex, state.log.durableIndex))
  const isVoteChanged = handed.currentTerm !== state.currentTerm || handed.votedFor !== state.votedFor
  if (!isVoteChanged && !(hasEntries && handed.commitIndex !== commitIndex)) return undefined
  return { currentTerm: state.currentTerm, votedFor: state.votedFor, commitIndex }
}

function withFaults(state: RaftState, hardState: HardState): HardState {
  const { currentTerm, votedFor, commitIndex } = hardState
  return {
    currentTerm: state.faults.has("termNotPersisted") ? state.options.hardState.currentTerm : currentTerm,
    votedFor: state.faults.has("voteNotPersisted") ? 0 : votedFor,
    commitIndex,
  }
}
