/** Rewind: deleted messages of a queue become active again, or are counted only. */
import type { QueueId, RewindQueue } from "./command.ts"
import type { MachineState } from "./machine-state.ts"
import { KEPT, type MessageChunk } from "./message-chunk.ts"
import type { Outcome, Refusal } from "./outcome.ts"
import { findQueue } from "./queue-commands.ts"
import { wholeNumber } from "./queue-attributes.ts"
import type { Queue } from "./queue.ts"
import { settle } from "./retention.ts"

/** A rewind that is not carried out. */
export interface RewindPreviewRequest {
  readonly queueId: QueueId
  readonly startConsumeAtMs: number
  /** Log time as the leader would stamp it: the machine's own stands still while nothing happens. */
  readonly nowMs: number
}

/** What a read gives that may be refused. */
export interface Counted {
  readonly refusal: Refusal | undefined
  readonly count: number
}

/**
 * RewindQueue: deleted messages that were produced at or after the time become active again.
 *
 * The time is in `now - rewindMs ..` the enqueue time of the oldest message that is not deleted (now, when there is
 * none). Source: CMQ rewind page (cmq-api.md section 5).
 */
export function applyRewindQueue(state: MachineState, command: RewindQueue, outcome: Outcome): void {
  const queue = findQueue(state, command.queueName, outcome)
  if (queue === undefined) return
  if (queue.attributes.rewindMs > 0) settle(state, queue)
  const startAtMs = wholeNumber(command.startConsumeAtMs, Number.MAX_SAFE_INTEGER)
  outcome.refusal = refuseRewind(queue, startAtMs, state.nowMs)
  if (outcome.refusal !== undefined) return
  outcome.count = restoreKeptSince(state, queue, startAtMs)
  queue.totals.rewound += outcome.count
  if (outcome.count > 0) state.wakened.add(queue.id)
  state.dirty.queueChanged(queue)
}

/** How many messages would come back; nothing changes. Undefined for an unknown queue. O(messages). */
export function previewRewind(state: MachineState, request: RewindPreviewRequest): Counted | undefined {
  const queue = state.registry.get(request.queueId)
  if (queue === undefined) return undefined
  const nowMs = Math.max(state.nowMs, request.nowMs)
  const startAtMs = wholeNumber(request.startConsumeAtMs, Number.MAX_SAFE_INTEGER)
  const refusal = refuseRewind(queue, startAtMs, nowMs)
  let count = 0
  if (refusal === undefined) {
    const keepMs = queue.keepMs()
    visitRestored(queue, startAtMs, (chunk, offset) => {
      if (chunk.enqueuedAtMs(offset) + keepMs > nowMs) count++
    })
  }
  return { refusal, count }
}

function refuseRewind(queue: Queue, startAtMs: number, nowMs: number): Refusal | undefined {
  const { rewindMs } = queue.attributes
  if (rewindMs === 0) return "rewindNotEnabled"
  // What has expired does not count, whether or not it was cleared away yet.
  const latestMs = queue.messages.oldestUnconsumedAtMs(nowMs - queue.attributes.msgRetentionMs) ?? nowMs
  return startAtMs < nowMs - rewindMs || startAtMs > latestMs ? "rewindTimeInvalid" : undefined
}

function restoreKeptSince(state: MachineState, queue: Queue, startAtMs: number): number {
  let count = 0
  let firstSequence = queue.front
  visitRestored(queue, startAtMs, (chunk, offset) => {
    queue.restoreKept(chunk, offset)
    firstSequence = Math.min(firstSequence, chunk.baseSequence + offset)
    count++
  })
  if (firstSequence < queue.front && state.mutant !== "rewindDropsFront") {
    queue.front = firstSequence
    queue.returned.keepBelow(firstSequence)
  }
  return count
}

function visitRestored(queue: Queue, startAtMs: number, visit: (chunk: MessageChunk, offset: number) => void): void {
  for (const chunk of queue.messages.chunks) {
    if (chunk.keptCount === 0 || chunk.enqueuedAtMs(chunk.count - 1) < startAtMs) continue
    for (let offset = 0; offset < chunk.count; offset++) {
      if (chunk.touch(offset) === KEPT && chunk.enqueuedAtMs(offset) >= startAtMs) visit(chunk, offset)
    }
  }
}
