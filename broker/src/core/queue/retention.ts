/**
 * The end of a message's time in a queue: retention, and the window in which a deleted one can be rewound.
 *
 * Done in steps when log time has come (`time-steps.ts`), and for one queue at once before a command looks at it.
 */
import type { MachineState } from "./machine-state.ts"
import { GONE, type MessageChunk } from "./message-chunk.ts"
import type { Queue } from "./queue.ts"

/** Clears away, without a bound, what has expired in a queue, so that a command sees it as log time says it is. */
export function settle(state: MachineState, queue: Queue): void {
  if (queue.nextStepAtMs > state.nowMs || state.mutant === "retentionIgnoresNow") return
  expireMessages(state, queue, Number.POSITIVE_INFINITY)
  releaseKept(state, queue, Number.POSITIVE_INFINITY)
}

/** Takes every KEPT message away, at once: rewind was switched off. */
export function dropAllKept(state: MachineState, queue: Queue): void {
  releaseKeptWhile(state, queue, () => true)
}

/** Retention: from the oldest message on, whatever its state. */
export function expireMessages(state: MachineState, queue: Queue, maxSteps: number): number {
  let steps = 0
  for (let chunk = queue.messages.chunks[0]; chunk !== undefined; chunk = queue.messages.chunks[0]) {
    const offset = chunk.firstPresent(0)
    if (steps >= maxSteps || !queue.isExpired(chunk.enqueuedAtMs(offset), state.nowMs)) break
    steps++
    state.dirty.queueChanged(queue)
    if (chunk.touchedCount === 0 && queue.isExpired(chunk.enqueuedAtMs(chunk.count - 1), state.nowMs)) {
      queue.totals.expired += queue.dropUntouchedChunk(chunk)
      continue
    }
    const keptBefore = queue.messages.keptCount
    queue.remove(chunk, offset)
    if (queue.messages.keptCount === keptBefore) queue.totals.expired++
  }
  if (steps > 0) dropStaleReturned(queue)
  return steps
}

/** Rewind window: deleted messages that are too old to be rewound. */
export function releaseKept(state: MachineState, queue: Queue, maxSteps: number): number {
  let steps = 0
  const keepMs = queue.keepMs()
  releaseKeptWhile(state, queue, (chunk, offset) => {
    const isDue = steps < maxSteps && chunk.enqueuedAtMs(offset) + keepMs <= state.nowMs
    if (isDue) steps++
    return isDue
  })
  return steps
}

function releaseKeptWhile(
  state: MachineState,
  queue: Queue,
  isDue: (chunk: MessageChunk, offset: number) => boolean,
): void {
  for (;;) {
    const chunk = queue.messages.firstChunkWithKept()
    if (chunk === undefined) return
    const offset = chunk.firstKept()
    if (!isDue(chunk, offset)) return
    queue.messages.setTouch(chunk, offset, GONE)
    state.dirty.queueChanged(queue)
  }
}

/** Sequences of messages that are gone must not gather in `returned`. */
export function dropStaleReturned(queue: Queue): void {
  const firstPresent = queue.messages.firstPresent(0) ?? queue.messages.nextSequence
  for (;;) {
    const sequence = queue.returned.first()
    if (sequence === undefined || sequence >= firstPresent) return
    queue.returned.removeFirst()
  }
}
