/**
 * The rare commands: queues come, change, are cleared, rewound and go.
 *
 * Each looks at everything that can refuse it before it changes anything.
 */
import type {
  ClearQueue,
  CreateQueue,
  DeleteQueue,
  RewindQueue,
  SetQueueAttributes,
  UnbindDeadLetterQueue,
} from "./command.ts"
import type { MachineState } from "./machine-state.ts"
import { KEPT, type MessageChunk } from "./message-chunk.ts"
import type { Outcome } from "./outcome.ts"
import { changedAttributes, isSamePolicy, normalised, refuseAttributes, wholeNumber } from "./queue-attributes.ts"
import type { Queue } from "./queue.ts"
import { dropAllKept, settle } from "./retention.ts"

/** CreateQueue. A name that exists is refused whatever its attributes (CMQ 4460), also in another case. */
export function applyCreateQueue(state: MachineState, command: CreateQueue, outcome: Outcome): void {
  const { registry, limits } = state
  const queueName = String(command.queueName)
  const attributes = normalised(command.attributes)
  if (registry.isTaken(queueName)) outcome.refusal = "queueAlreadyExists"
  else if (registry.wasDeletedRecently(queueName, state.nowMs)) outcome.refusal = "queueDeletedRecently"
  else if (registry.count >= limits.queueCount) outcome.refusal = "queueLimitReached"
  else outcome.refusal = refuseAttributes({ queueName, existing: undefined, attributes }, registry, limits)
  if (outcome.refusal !== undefined) return
  outcome.queueId = registry.create(queueName, attributes, state.nowMs).id
}

/** SetQueueAttributes. */
export function applySetQueueAttributes(state: MachineState, command: SetQueueAttributes, outcome: Outcome): void {
  const queue = findQueue(state, command.queueName, outcome)
  if (queue === undefined) return
  const attributes = changedAttributes(queue.attributes, command.change)
  const request = { queueName: queue.name, existing: queue, attributes }
  outcome.refusal = refuseAttributes(request, state.registry, state.limits)
  if (outcome.refusal !== undefined) return
  // What has expired by the old rules stays expired, even if the time steps had not come to it yet.
  settle(state, queue)
  setAttributes(state, queue, attributes)
}

function setAttributes(state: MachineState, queue: Queue, attributes: Queue["attributes"]): void {
  const hasNewPolicy = !isSamePolicy(queue.attributes.deadLetterPolicy, attributes.deadLetterPolicy)
  queue.attributes = attributes
  queue.modifiedAtMs = state.nowMs
  state.registry.bindDeadLetterQueue(queue)
  // A new policy by age looks at every message again.
  if (hasNewPolicy) queue.ageScan = 1
  if (attributes.rewindMs === 0) dropAllKept(state, queue)
  state.deadlines.set(queue, state.exactNextStepAtMs(queue))
  state.dirty.queueChanged(queue)
}

/** DeleteQueue, with all its messages. Refused for a queue that is a dead-letter queue (CMQ: unbind first). */
export function applyDeleteQueue(state: MachineState, command: DeleteQueue, outcome: Outcome): void {
  const queue = findQueue(state, command.queueName, outcome)
  if (queue === undefined) return
  if (queue.deadLetterSources.size > 0) {
    outcome.refusal = "deadLetterQueueInUse"
    return
  }
  queue.clear()
  state.deadlines.set(queue, Number.POSITIVE_INFINITY)
  state.registry.remove(queue, state.nowMs)
  state.wakened.delete(queue.id)
}

/** ClearQueue: drops every message, whatever its state. */
export function applyClearQueue(state: MachineState, command: ClearQueue, outcome: Outcome): void {
  const queue = findQueue(state, command.queueName, outcome)
  if (queue === undefined) return
  settle(state, queue)
  const { unconsumed, rewindable } = queue.clear()
  queue.totals.cleared += unconsumed
  outcome.count = unconsumed + rewindable
  state.deadlines.set(queue, Number.POSITIVE_INFINITY)
  state.dirty.queueChanged(queue)
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
  const { rewindMs } = queue.attributes
  if (rewindMs === 0) {
    outcome.refusal = "rewindNotEnabled"
    return
  }
  settle(state, queue)
  const startAtMs = wholeNumber(command.startConsumeAtMs, Number.MAX_SAFE_INTEGER)
  const latestMs = queue.messages.oldestUnconsumedAtMs() ?? state.nowMs
  if (startAtMs < state.nowMs - rewindMs || startAtMs > latestMs) {
    outcome.refusal = "rewindTimeInvalid"
    return
  }
  outcome.count = restoreKeptSince(state, queue, startAtMs)
  queue.totals.rewound += outcome.count
  if (outcome.count > 0) state.wakened.add(queue.id)
  state.dirty.queueChanged(queue)
}

function restoreKeptSince(state: MachineState, queue: Queue, startAtMs: number): number {
  let count = 0
  let firstSequence = queue.front
  for (const chunk of queue.messages.chunks) {
    if (chunk.keptCount === 0 || chunk.enqueuedAtMs(chunk.count - 1) < startAtMs) continue
    for (let offset = 0; offset < chunk.count; offset++) {
      if (!isRestored(chunk, offset, startAtMs)) continue
      queue.restoreKept(chunk, offset)
      firstSequence = Math.min(firstSequence, chunk.baseSequence + offset)
      count++
    }
  }
  if (firstSequence < queue.front && state.mutant !== "rewindDropsFront") {
    queue.front = firstSequence
    queue.returned.keepBelow(firstSequence)
  }
  return count
}

function isRestored(chunk: MessageChunk, offset: number, startAtMs: number): boolean {
  return chunk.touch(offset) === KEPT && chunk.enqueuedAtMs(offset) >= startAtMs
}

/** UnbindDeadLetterQueue: takes the policy away from this queue, the source. Without one: deadLetterQueueNotFound (CMQ 10730). */
export function applyUnbindDeadLetterQueue(
  state: MachineState,
  command: UnbindDeadLetterQueue,
  outcome: Outcome,
): void {
  const queue = findQueue(state, command.queueName, outcome)
  if (queue === undefined) return
  if (queue.attributes.deadLetterPolicy === undefined) {
    outcome.refusal = "deadLetterQueueNotFound"
    return
  }
  settle(state, queue)
  setAttributes(state, queue, { ...queue.attributes, deadLetterPolicy: undefined })
}

function findQueue(state: MachineState, queueName: string, outcome: Outcome): Queue | undefined {
  const queue = state.registry.find(queueName)
  if (queue === undefined) outcome.refusal = "queueNotFound"
  else outcome.queueId = queue.id
  return queue
}
