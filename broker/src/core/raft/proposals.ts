/** Entries that a leader makes itself: proposals, configurations, and the empty one at the start of its term. */
import type { Leadership, RaftState } from "./state.ts"
import { NO_NODE } from "./types.ts"
import type { Entry, EntryKind, ProposeRefusal, ProposeResult } from "./types.ts"

/** Appends entries of the own term. A leader never changes an entry it has (Leader Append-Only, Raft §5.3). */
export function appendOwn(
  state: RaftState,
  leadership: Leadership,
  proposal: { readonly kind: EntryKind; readonly data: readonly Uint8Array[] },
): void {
  const firstIndex = state.log.lastIndex + 1
  const entries = proposal.data.map((data, place): Entry => ({
    index: firstIndex + place,
    term: state.currentTerm,
    kind: proposal.kind,
    data,
  }))
  state.log.append(entries)
  for (const entry of entries) leadership.uncommitted.add(entry)
  leadership.isReplicationDue = true
}

/** Appends one `commands` entry for each of `data`, all or none. */
export function proposeCommands(state: RaftState, data: readonly Uint8Array[]): ProposeResult {
  const { leadership } = state
  if (leadership === undefined) return refusal(state, "notLeader")
  if (leadership.transferTarget !== NO_NODE) return refusal(state, "transferring")
  let bytes = 0
  for (const each of data) bytes += each.byteLength
  if (!leadership.uncommitted.admits(bytes, state.options.maxUncommittedBytes)) return refusal(state, "overloaded")
  const firstIndex = state.log.lastIndex + 1
  appendOwn(state, leadership, { kind: "commands", data })
  return { ok: true, firstIndex, term: state.currentTerm }
}

/** The hint is never this node itself unless it leads, so that nobody is sent in a circle (pitfall 17). */
function refusal(state: RaftState, reason: ProposeRefusal): ProposeResult {
  return { ok: false, refusal: reason, leaderId: state.leaderId }
}
