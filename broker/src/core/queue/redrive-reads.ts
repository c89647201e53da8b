/** What can be asked about redrives: how a task does, and what one would do. Nothing changes. */
import type { QueueId, RedriveOrder } from "./command.ts"
import type { MachineState } from "./machine-state.ts"
import type { Refusal } from "./outcome.ts"
import { sortedByName } from "./queue-reads.ts"
import type { Queue } from "./queue.ts"
import { destinationOf, scopeOf } from "./redrive.ts"
import type { Redrive, RedriveScope, RedriveState } from "./redrive-task.ts"

/** Rows of a preview at most; counts are of all. */
const TARGETS_MAX = 100

/** A queue's newest task. Names of queues that are gone are "?". */
export interface RedriveStatus extends Omit<RedriveOrder, "enqueuedFromMs" | "enqueuedUntilMs"> {
  readonly enqueuedFromMs: number
  readonly enqueuedUntilMs: number
  readonly state: RedriveState
  readonly startedAtMs: number
  /** 0 while it goes on. */
  readonly endedAtMs: number
  readonly movedCount: number
  readonly skippedCount: number
  /** Messages that it has not looked at: so many at most. */
  readonly leftAtMostCount: number
}

/** What a task would do if it began now and everything else stood still. */
export interface RedrivePreview {
  readonly refusal: Refusal | undefined
  readonly moveCount: number
  readonly skipCount: number
  /** By name; a hundred at most. */
  readonly targets: readonly { readonly queueName: string; readonly count: number }[]
}

/** What is asked. */
export interface RedrivePreviewRequest {
  readonly queueId: QueueId
  readonly order: RedriveOrder
}

/** Undefined for an unknown queue, or one that never had a task. O(1). */
export function readRedrive(state: MachineState, queueId: QueueId): RedriveStatus | undefined {
  const redrive = state.registry.get(queueId)?.redrive
  return redrive === undefined ? undefined : statusOf(state, redrive)
}

function statusOf(state: MachineState, redrive: Redrive): RedriveStatus {
  const { scope, messagesPerSecond, startedAtMs, endedAtMs, movedCount, skippedCount } = redrive
  const { targetQueueId, sourceQueueId, enqueuedFromMs, enqueuedUntilMs } = scope
  return {
    targetQueueName: nameOf(state, targetQueueId),
    sourceQueueName: nameOf(state, sourceQueueId),
    enqueuedFromMs,
    enqueuedUntilMs,
    messagesPerSecond,
    state: redrive.state,
    startedAtMs,
    endedAtMs,
    movedCount,
    skippedCount,
    leftAtMostCount: redrive.state === "completed" ? 0 : Math.max(0, redrive.endSequence - redrive.nextSequence),
  }
}

function nameOf(state: MachineState, queueId: QueueId): string {
  if (queueId === 0) return ""
  return state.registry.get(queueId)?.name ?? "?"
}

/** Undefined for an unknown queue. O(messages of the queue). */
export function previewRedrive(state: MachineState, request: RedrivePreviewRequest): RedrivePreview | undefined {
  const queue = state.registry.get(request.queueId)
  if (queue === undefined) return undefined
  const scope = scopeOf(state, queue, request.order)
  if (typeof scope === "string") return { refusal: scope, moveCount: 0, skipCount: 0, targets: [] }
  return { refusal: undefined, ...countMoves(state, queue, scope) }
}

function countMoves(state: MachineState, queue: Queue, scope: RedriveScope): Omit<RedrivePreview, "refusal"> {
  const counts = new Map<Queue, number>()
  let [moveCount, skipCount] = [0, 0]
  for (const chunk of queue.messages.chunks) {
    if (chunk.enqueuedAtMs(chunk.count - 1) < scope.enqueuedFromMs) continue
    for (let offset = 0; offset < chunk.count; offset++) {
      if (queue.isExpired(chunk.enqueuedAtMs(offset), state.nowMs)) continue
      const destination = destinationOf(state, queue, { scope, chunk, offset })
      if (destination === "skipped") skipCount++
      else if (destination !== "outside") {
        counts.set(destination, (counts.get(destination) ?? 0) + 1)
        moveCount++
      }
    }
  }
  const sorted = sortedByName(counts.keys()).slice(0, TARGETS_MAX)
  return {
    moveCount,
    skipCount,
    targets: sorted.map((each) => ({ queueName: each.name, count: counts.get(each) ?? 0 })),
  }
}
