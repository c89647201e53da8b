/** Collects what the driver has to do now. What is collected counts as handed over: there is no `advance()`. */
import { startReadRound } from "./leader.ts"
import { hasWrite, takeWrite } from "./outbox.ts"
import { replicate } from "./replication.ts"
import type { RaftState } from "./state.ts"
import type { Entry, Message, RaftStatusChange, Ready } from "./types.ts"

/** True when `takeReady` may find something. O(1). */
export function hasReady(state: RaftState): boolean {
  const { outbox, leadership } = state
  return (
    outbox.messages.length > 0 ||
    hasWrite(state) ||
    leadership?.isReplicationDue === true ||
    leadership?.reads.isRoundDue === true ||
    outbox.reads.length > 0 ||
    outbox.readsAborted.length > 0 ||
    outbox.fetches.length > 0 ||
    outbox.applicable.length > 0 ||
    outbox.restore !== undefined ||
    isStatusChanged(state) ||
    (state.applyFetchIndex === undefined && state.log.applicable() !== undefined)
  )
}

/** Takes the work out, or undefined when there is none. */
export function takeReady(state: RaftState): Ready | undefined {
  const { outbox, leadership } = state
  if (leadership !== undefined) {
    startReadRound(state, leadership)
    if (leadership.isReplicationDue) replicate(state, leadership)
  }
  const write = takeWrite(state)
  const applyFetch = wantedApplyFetch(state)
  const ready: Ready = {
    status: takeStatusChange(state),
    restore: outbox.restore,
    write,
    messages: takeMessages(state),
    committedEntries: takeApplicable(state),
    applyFetch,
    reads: outbox.reads,
    readsAborted: outbox.readsAborted,
    fetches: outbox.fetches,
  }
  outbox.restore = undefined
  outbox.reads = []
  outbox.readsAborted = []
  outbox.fetches = []
  return isEmpty(ready) ? undefined : ready
}

function takeMessages(state: RaftState): readonly Message[] {
  const { messages } = state.outbox
  state.outbox.messages = []
  return messages
}

function isStatusChanged(state: RaftState): boolean {
  const { role, term, leaderId } = state.reportedStatus
  return role !== state.role || term !== state.currentTerm || leaderId !== state.leaderId
}

function takeStatusChange(state: RaftState): RaftStatusChange | undefined {
  if (!isStatusChanged(state)) return undefined
  state.reportedStatus = { role: state.role, term: state.currentTerm, leaderId: state.leaderId }
  return state.reportedStatus
}

/** Asks the disk for the next piece to apply, when it is not in memory; once until it is answered. */
function wantedApplyFetch(state: RaftState): Ready["applyFetch"] {
  const range = state.log.applicable()
  if (range === undefined || state.applyFetchIndex !== undefined || state.outbox.applicable.length > 0) return undefined
  if (range.fromIndex >= state.log.firstCachedIndex) return undefined
  state.applyFetchIndex = range.fromIndex
  const toIndex = Math.min(range.toIndex, state.log.firstCachedIndex - 1)
  return { fromIndex: range.fromIndex, toIndex, maxBytes: state.options.maxApplyBytes }
}

/** The next piece to apply: one at a time, from the disk's answer or from memory. */
function takeApplicable(state: RaftState): readonly Entry[] {
  const range = state.log.applicable()
  if (range === undefined || state.applyFetchIndex !== undefined) return []
  const fetched = state.outbox.applicable
  state.outbox.applicable = []
  const entries = fetched.length > 0 ? fetched : (state.log.inMemory(range, state.options.maxApplyBytes) ?? [])
  const lastIndex = entries.at(-1)?.index
  if (lastIndex !== undefined) state.log.markApplying(lastIndex)
  return entries
}

function isEmpty(ready: Ready): boolean {
  return (
    ready.status === undefined &&
    ready.restore === undefined &&
    ready.write === undefined &&
    ready.applyFetch === undefined &&
    ready.messages.length === 0 &&
    ready.committedEntries.length === 0 &&
    ready.reads.length === 0 &&
    ready.readsAborted.length === 0 &&
    ready.fetches.length === 0
  )
}
