/**
 * From a subscription's backlog to its endpoint, in order, and what happens when the endpoint does not take a message.
 *
 * Into a queue the machine moves messages itself. To an address the leader pushes and reports what became of it; it may
 * push a message twice (a report is lost with its leader), but a message leaves the backlog only when a report says so,
 * when its last retry failed, or when its retention is over. Pauses are deadlines of the machine, so they outlive any
 * leader.
 */
import type { ReportPush } from "./command.ts"
import type { MachineState } from "./machine-state.ts"
import type { Outcome } from "./outcome.ts"
import { retryGapMs } from "./push-retry.ts"
import { wholeNumber } from "./queue-attributes.ts"
import type { Queue } from "./queue.ts"
import { settle } from "./retention.ts"
import { NEVER, type Subscription } from "./topic.ts"

/** Puts `newMessage` into the queue that is the endpoint; false, and nothing done, when it cannot be. */
export function handOver(state: MachineState, subscription: Subscription): boolean {
  const { endpoint } = subscription
  if (endpoint.kind !== "queue") return false
  const target = state.registry.find(endpoint.queueName)
  if (target === undefined || !hasRoom(state, target)) return false
  state.store(target)
  target.totals.sent++
  state.wakened.add(target.id)
  subscription.deliveredCount++
  state.dirtySubscriptions.changed(subscription)
  return true
}

/** Whether a queue takes one message more. */
export function hasRoom(state: MachineState, target: Queue): boolean {
  settle(state, target)
  return target.unconsumedCount < target.attributes.maxMsgHeapCount
}

/** Puts `newMessage` behind the others that wait. When too many wait it is lost, for this subscription alone. */
export function keepWaiting(state: MachineState, subscription: Subscription): void {
  const { backlog, endpoint } = subscription
  state.dirtySubscriptions.changed(subscription)
  if (backlog.activeCount >= backlog.attributes.maxMsgHeapCount) {
    if (state.mutant !== "dropWithoutCount") subscription.droppedCount++
    return
  }
  const isFirst = backlog.activeCount === 0
  if (isFirst) {
    startAfresh(state, subscription)
  }
  const sequence = backlog.messages.nextSequence
  state.store(backlog)
  backlog.totals.sent++
  if (endpoint.kind === "http") state.wakened.add(backlog.id)
  else if (isFirst) noteFailure(state, subscription, sequence)
}

/** The leader's report. Whatever does not fit what waits now came too late and is not heeded. */
export function applyReportPush(state: MachineState, command: ReportPush, outcome: Outcome): void {
  const subscription = state.topics.subscription(command.subscriptionId)
  if (subscription === undefined) {
    outcome.refusal = "subscriptionNotFound"
    return
  }
  outcome.queueId = subscription.id
  const { backlog } = subscription
  settle(state, backlog)
  const excess = state.mutant === "reportTakesOneTooMany" ? 1 : 0
  const through = wholeNumber(command.deliveredThrough, Number.MAX_SAFE_INTEGER) + excess
  for (let head = headOf(backlog); head !== undefined && head <= through; head = headOf(backlog)) {
    removeHead(state, subscription, head)
    backlog.totals.deleted++
    subscription.deliveredCount++
    outcome.count++
  }
  if (outcome.count > 0) startAfresh(state, subscription)
  const failed = wholeNumber(command.failedSequence, Number.MAX_SAFE_INTEGER)
  const isLate = headOf(backlog) !== failed || subscription.isPausing
  if (failed > 0 && (!isLate || state.mutant === "lateFailureCounts")) noteFailure(state, subscription, failed)
}

/** The pause of a subscription is over. Returns how many steps that took, at least 1. */
export function endPause(state: MachineState, subscription: Subscription, maxSteps: number): number {
  const { backlog, endpoint } = subscription
  pauseUntil(state, subscription, NEVER)
  state.dirtySubscriptions.changed(subscription)
  settle(state, backlog)
  if (endpoint.kind === "http") {
    if (backlog.activeCount > 0) state.wakened.add(backlog.id)
    return 1
  }
  return moveWaiting(state, subscription, maxSteps)
}

/** Into the queue, as many as there is room for. What the budget does not allow goes on with the next entry. */
function moveWaiting(state: MachineState, subscription: Subscription, maxSteps: number): number {
  const { backlog } = subscription
  let steps = 0
  for (let head = headOf(backlog); head !== undefined; head = headOf(backlog)) {
    if (steps >= maxSteps) {
      pauseUntil(state, subscription, state.nowMs)
      return steps
    }
    steps++
    const chunk = backlog.messages.find(head)
    if (chunk !== undefined) state.describeMoved(chunk, head - chunk.baseSequence)
    if (!handOver(state, subscription)) {
      noteFailure(state, subscription, head)
      break
    }
    removeHead(state, subscription, head)
    backlog.totals.deleted++
    startAfresh(state, subscription)
  }
  return Math.max(1, steps)
}

/** The endpoint did not take the oldest waiting message: it pauses, or the message is given up. */
function noteFailure(state: MachineState, subscription: Subscription, sequence: number): void {
  const { backlog, attributes, endpoint } = subscription
  if (subscription.failedSequence !== sequence) {
    subscription.failedSequence = sequence
    subscription.failureCount = 0
  }
  subscription.failureCount++
  state.dirtySubscriptions.changed(subscription)
  const gapMs = retryGapMs(attributes.notifyStrategy, subscription.failureCount, sequence)
  if (gapMs !== undefined) {
    pauseUntil(state, subscription, state.nowMs + (state.mutant === "retryWithoutGap" ? 0 : gapMs))
    return
  }
  removeHead(state, subscription, sequence)
  backlog.totals.cleared++
  subscription.droppedCount++
  startAfresh(state, subscription)
  if (backlog.activeCount === 0) return
  if (endpoint.kind === "http") state.wakened.add(backlog.id)
  else pauseUntil(state, subscription, state.nowMs)
}

/** The next attempt is made at once, and is the first of its message. */
function startAfresh(state: MachineState, subscription: Subscription): void {
  subscription.failedSequence = 0
  subscription.failureCount = 0
  pauseUntil(state, subscription, NEVER)
}

/** Nothing is tried until then; `NEVER` = nobody waits for a time. */
function pauseUntil(state: MachineState, subscription: Subscription, atMs: number): void {
  subscription.nextAttemptAtMs = atMs
  state.retries.set(subscription, atMs)
}

function headOf(backlog: Queue): number | undefined {
  return backlog.messages.firstPresent(0)
}

function removeHead(state: MachineState, subscription: Subscription, sequence: number): void {
  const { backlog } = subscription
  const chunk = backlog.messages.find(sequence)
  if (chunk === undefined) return
  backlog.remove(chunk, sequence - chunk.baseSequence)
  state.dirty.queueChanged(backlog)
  state.dirtySubscriptions.changed(subscription)
}
