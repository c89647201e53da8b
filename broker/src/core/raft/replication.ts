/**
 * A leader's log reaches its peers: what to send next, and whether it comes from memory, from the disk or as a snapshot (Raft §5.3,
 * §7).
 *
 * Nothing is sent while messages are read. `replicate` runs once, when the driver takes the next `Ready`: proposals and
 * acknowledgements that came together leave together.
 */
import { send } from "./outbox.ts"
import type { Progress } from "./progress.ts"
import { entryBytes } from "./raft-log.ts"
import type { Leadership, RaftState } from "./state.ts"
import type { EntriesFetch, Entry, NodeId } from "./types.ts"

interface PeerState {
  readonly nodeId: NodeId
  readonly progress: Progress
}

/** Sends every peer what is due and what its window admits. */
export function replicate(state: RaftState, leadership: Leadership): void {
  leadership.isReplicationDue = false
  for (const [nodeId, progress] of leadership.progress) {
    const peer = { nodeId, progress }
    // Each round either fills the window, pauses the peer, or reaches the end of the log.
    let rounds = 0
    while (rounds <= state.options.maxInflightMessages && sendNext(state, peer)) rounds++
  }
}

/** The disk answered an `EntriesFetch`. Stale answers are dropped: the question is asked again when it still stands. */
export function sendFetched(state: RaftState, fetch: EntriesFetch, entries: readonly Entry[] | "compacted"): void {
  const progress = state.leadership?.progress.get(fetch.peer)
  if (state.leadership === undefined || progress === undefined) return
  if (fetch.term !== state.currentTerm || progress.fetch?.fromIndex !== fetch.fromIndex) return
  progress.fetch = undefined
  state.leadership.isReplicationDue = true
  if (progress.isPaused || progress.nextIndex !== fetch.fromIndex) return
  const peer = { nodeId: fetch.peer, progress }
  const isAnswered = entries !== "compacted" && entries.length > 0
  if (isAnswered && state.log.termAt(fetch.fromIndex - 1) !== undefined) sendEntries(state, peer, entries)
  else sendSnapshot(state, peer)
  // Neither the entries nor a snapshot that replaces them: asked again after a sign of life, not at once for ever.
  if (!isAnswered && !progress.isPaused) progress.wait()
}

/** Sends one message, if one is due and allowed. */
function sendNext(state: RaftState, peer: PeerState): boolean {
  const { log } = state
  const { progress } = peer
  if (progress.isPaused) return false
  const hasEntries = progress.nextIndex <= log.lastIndex
  const hasCommitNews =
    progress.state === "replicate" && progress.sentCommitIndex < Math.min(log.commitIndex, progress.nextIndex - 1)
  if (!hasEntries && !hasCommitNews && !progress.appendDue) return false
  if (log.termAt(progress.nextIndex - 1) === undefined) {
    sendSnapshot(state, peer)
    return false
  }
  const isWindowFull = progress.state === "replicate" && progress.isWindowFull
  if (isWindowFull && !progress.appendDue) return false
  if (!hasEntries || isWindowFull) {
    // In a full window, a message without entries finds out whether the earlier ones arrived.
    sendEntries(state, peer, [])
    return true
  }
  const range = { fromIndex: progress.nextIndex, toIndex: log.lastIndex }
  const entries = log.inMemory(range, state.options.maxAppendBytes)
  if (entries === undefined) fetchEntries(state, peer)
  else sendEntries(state, peer, entries)
  return entries !== undefined
}

function sendEntries(state: RaftState, peer: PeerState, entries: readonly Entry[]): void {
  const { log } = state
  const { progress } = peer
  const prevLogIndex = progress.nextIndex - 1
  send(state, {
    kind: "appendEntries",
    from: state.nodeId,
    to: peer.nodeId,
    term: state.currentTerm,
    prevLogIndex,
    prevLogTerm: log.termAt(prevLogIndex) ?? 0,
    entries,
    leaderCommit: log.commitIndex,
  })
  let bytes = 0
  for (const entry of entries) bytes += entryBytes(entry)
  progress.sent(entries.length, bytes)
  progress.sentCommitIndex = Math.min(log.commitIndex, prevLogIndex + entries.length)
}

function fetchEntries(state: RaftState, peer: PeerState): void {
  const { progress } = peer
  const fetch: EntriesFetch = {
    peer: peer.nodeId,
    term: state.currentTerm,
    fromIndex: progress.nextIndex,
    toIndex: state.log.firstCachedIndex - 1,
    maxBytes: state.options.maxAppendBytes,
  }
  progress.fetch = fetch
  state.outbox.fetches.push(fetch)
}

/** The peer needs what is compacted. Nobody streams a snapshot to a node that does not answer. */
function sendSnapshot(state: RaftState, peer: PeerState): void {
  const { progress } = peer
  if (!progress.recentActive || state.latestSnapshot.lastIncludedIndex < progress.nextIndex) return
  progress.becomeSnapshot(state.latestSnapshot.lastIncludedIndex)
  progress.appendDue = false
  send(state, {
    kind: "installSnapshot",
    from: state.nodeId,
    to: peer.nodeId,
    term: state.currentTerm,
    snapshot: state.latestSnapshot,
  })
}
