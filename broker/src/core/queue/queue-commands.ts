/**
 * The rare commands: queues come, change, are cleared and go.
 *
 * Each looks at everything that can refuse it before it changes anything.
 */
import type { ClearQueue, CreateQueue, DeleteQueue, SetQueueAttributes, UnbindDeadLetterQueue } from "./command.ts"
import type { MachineState } from "./machine-state.ts"
import type { Outcome } from "./outcome.ts"
import { changedAttributes, isSamePolicy, normalised, refuseAttributes } from "./queue-attributes.ts"
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
  state.dropRedrive(queue)
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

/** Of a command about a queue; without one it is refused. */
export function findQueue(state: MachineState, queueName: string, outcome: Outcome): Queue | undefined {
  const queue = state.registry.find(queueName)
  if (queue === undefined) outcome.refusal = "queueNotFound"
  else outcome.queueId = queue.id
  return queue
}
