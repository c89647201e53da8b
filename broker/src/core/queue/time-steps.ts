/**
 * What happens by itself when log time has come: delays and visibility timeouts end, producers of half messages are asked,
 * retention and rewind windows end, waiting messages become too old and move to the dead-letter queue.
 *
 * One step is one message, or one chunk of messages that expire together. The steps of an entry are bounded, so a
 * large expiry cannot hold up the log; what is left comes with the next entry, in the same order on every replica:
 * by time, then visibility, delays and queries (by slot), then retention, windows and ages (by queue id), then the pauses of
 * subscriptions (by id), then the turns of redrives (by queue id).
 */
import { endPause } from "./deliveries.ts"
import { endQueryGap } from "./half-queries.ts"
import type { MachineState } from "./machine-state.ts"
import type { Queue } from "./queue.ts"
import { takeRedriveTurn } from "./redrive.ts"
import { dropStaleReturned, expireMessages, releaseKept } from "./retention.ts"
import { SLOT_HALF } from "./touched-messages.ts"
import { assert } from "../assert.ts"

/** Does everything that is due, at most `limits.timeStepsPerEntry` steps. */
export function runDueSteps(state: MachineState): void {
  let steps = state.limits.timeStepsPerEntry
  while (steps > 0) {
    const slotDueAtMs = state.touched.firstDueAtMs()
    const queue = state.deadlines.lowerBoundMs() <= state.nowMs ? state.deadlines.first() : undefined
    const queueDueAtMs = queue?.nextStepAtMs ?? Number.POSITIVE_INFINITY
    const retry = state.retries.lowerBoundMs() <= state.nowMs ? state.retries.first() : undefined
    const retryDueAtMs = retry?.nextStepAtMs ?? Number.POSITIVE_INFINITY
    const redrive = state.redrives.lowerBoundMs() <= state.nowMs ? state.redrives.first() : undefined
    const redriveDueAtMs = redrive?.nextStepAtMs ?? Number.POSITIVE_INFINITY
    const firstDueAtMs = Math.min(slotDueAtMs, queueDueAtMs, retryDueAtMs, redriveDueAtMs)
    if (firstDueAtMs > state.nowMs) break
    if (slotDueAtMs === firstDueAtMs) {
      endWaiting(state, state.touched.firstDue())
      steps--
    } else if (queue !== undefined && queueDueAtMs === firstDueAtMs) {
      const done = stepQueue(state, queue, steps)
      assert(done > 0, "a queue whose time has come takes a step")
      steps -= done
    } else if (retry !== undefined && retryDueAtMs === firstDueAtMs) {
      steps -= endPause(state, retry, steps)
    } else if (redrive !== undefined) {
      steps -= takeRedriveTurn(state, redrive, steps)
    }
  }
  state.deduplication.expire(state.nowMs, steps)
}

function endWaiting(state: MachineState, slot: number): void {
  if (state.touched.state(slot) === SLOT_HALF) endQueryGap(state, slot)
  else endDelayOrVisibility(state, slot)
}

/** The visibility timeout of a slot's message ends now, or its delay does, or its transaction is committed. */
export function endDelayOrVisibility(state: MachineState, slot: number): void {
  const queue = state.registry.get(state.touched.queueId(slot))
  assert(queue !== undefined, "a slot belongs to a queue")
  const sequence = state.touched.sequence(slot)
  const chunk = queue.messages.find(sequence)
  assert(chunk !== undefined, "a slot belongs to a message")
  const offset = sequence - chunk.baseSequence
  const enqueuedAtMs = chunk.enqueuedAtMs(offset)
  if (queue.isExpired(enqueuedAtMs, state.nowMs)) {
    queue.remove(chunk, offset)
    queue.totals.expired++
    state.dirty.queueChanged(queue)
    return
  }
  const policy = queue.attributes.deadLetterPolicy
  if (policy?.kind === "maxReceiveCount" && state.touched.dequeueCount(slot) >= policy.maxReceiveCount) {
    if (state.moveToDeadLetterQueue(queue, { chunk, offset, reason: "maxReceiveCount" })) return
  }
  if (policy?.kind === "maxTimeToLive" && enqueuedAtMs + policy.maxTimeToLiveMs <= state.nowMs) {
    if (state.moveToDeadLetterQueue(queue, { chunk, offset, reason: "maxTimeToLive" })) return
  }
  queue.activate(chunk, offset)
  state.wakened.add(queue.id)
}

function stepQueue(state: MachineState, queue: Queue, maxSteps: number): number {
  let steps = expireMessages(state, queue, maxSteps)
  if (steps < maxSteps) steps += releaseKept(state, queue, maxSteps - steps)
  if (steps < maxSteps) steps += moveAged(state, queue, maxSteps - steps)
  return steps
}

/** Dead letter by age: waiting messages, each looked at once when its time has come. */
function moveAged(state: MachineState, queue: Queue, maxSteps: number): number {
  const policy = queue.attributes.deadLetterPolicy
  if (policy?.kind !== "maxTimeToLive") return 0
  let steps = 0
  while (steps < maxSteps) {
    const sequence = queue.messages.firstPresent(queue.ageScan)
    const chunk = sequence === undefined ? undefined : queue.messages.find(sequence)
    if (sequence === undefined || chunk === undefined) break
    const offset = sequence - chunk.baseSequence
    if (chunk.enqueuedAtMs(offset) + policy.maxTimeToLiveMs > state.nowMs) break
    steps++
    queue.ageScan = sequence + 1
    state.dirty.queueChanged(queue)
    if (queue.isActive(chunk, offset)) {
      state.moveToDeadLetterQueue(queue, { chunk, offset, reason: "maxTimeToLive" })
    }
  }
  if (steps > 0) dropStaleReturned(queue)
  return steps
}
