/**
 * The end of waiting for a half message: its producer is asked, and asked again after longer and longer gaps; after the last
 * gap it is rolled back. Arithmetic of log time, so that a fail-over changes nothing.
 */
import { assert } from "../assert.ts"
import type { MachineState } from "./machine-state.ts"

/** Gaps between queries double up to this, ten minutes. A longer first interval stays as it is. */
export const QUERY_GAP_MAX_MS = 600_000

/** Queries told to the node in one go; one that is left out is asked again after its gap. */
export const TOLD_QUERIES_MAX = 65_536

/** From a query to what comes next, when there were so many. `queryCount` 0 = from the sending. */
export function queryGapMs(firstQueryIntervalMs: number, queryCount: number): number {
  const doubledMs = firstQueryIntervalMs * 2 ** queryCount
  return Math.max(1, firstQueryIntervalMs, Math.min(doubledMs, QUERY_GAP_MAX_MS))
}

/** The gap of a slot's half message ends now. */
export function endQueryGap(state: MachineState, slot: number): void {
  const { touched } = state
  const queue = state.registry.get(touched.queueId(slot))
  const half = touched.halves.get(slot)
  assert(queue !== undefined && half !== undefined, "a half message belongs to a queue")
  const sequence = touched.sequence(slot)
  const chunk = queue.messages.find(sequence)
  assert(chunk !== undefined, "a slot belongs to a message")
  const offset = sequence - chunk.baseSequence
  if (queue.isExpired(chunk.enqueuedAtMs(offset), state.nowMs)) {
    queue.remove(chunk, offset)
    queue.totals.expired++
    state.dirty.queueChanged(queue)
  } else if (half.queryCount >= half.maxQueryCount) {
    rollBack(state, slot)
  } else {
    half.queryCount++
    touched.halves.noteChange(slot)
    touched.reschedule(slot, state.nowMs + queryGapMs(half.firstQueryIntervalMs, half.queryCount))
    const { entryIndex, ordinal } = half
    if (state.queried.length < TOLD_QUERIES_MAX) state.queried.push({ queueId: queue.id, entryIndex, ordinal })
  }
}

/** A half message is gone, as if it had never been sent; its queue counts it as cleared. */
export function rollBack(state: MachineState, slot: number): void {
  const queue = state.registry.get(state.touched.queueId(slot))
  const sequence = state.touched.sequence(slot)
  const chunk = queue?.messages.find(sequence)
  assert(queue !== undefined && chunk !== undefined, "a slot belongs to a message of a queue")
  queue.remove(chunk, sequence - chunk.baseSequence)
  queue.totals.cleared++
  state.dirty.queueChanged(queue)
}
