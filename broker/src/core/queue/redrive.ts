/**
 * Redrive: a task of a queue that moves dead letters back to the queues they came from, or all to one queue.
 *
 * It is part of the replicated state, so it outlives any leader. Its turns are deadlines of the machine: each moves a few
 * messages, one after the other, and says when the next is due; so the rate is kept in log time. A message is moved in
 * one step: gone here, active there. What comes into the queue after the start is left alone, or a message that fails
 * again would go round for ever. What cannot be moved (in use, delayed, no queue to go to) is skipped and stays.
 */
import { assert } from "../assert.ts"
import type { CancelRedrive, QueueId, RedriveOrder, StartRedrive } from "./command.ts"
import { hasRoom } from "./deliveries.ts"
import type { MachineState } from "./machine-state.ts"
import { KEPT, type MessageChunk } from "./message-chunk.ts"
import type { Outcome, Refusal } from "./outcome.ts"
import { findQueue } from "./queue-commands.ts"
import { wholeNumber } from "./queue-attributes.ts"
import type { Queue } from "./queue.ts"
import { Redrive, type RedriveFacts, type RedriveScope, type RedriveState } from "./redrive-task.ts"
import { dropStaleReturned, settle } from "./retention.ts"

/** Messages that one task moves in a second at most, whatever it asks for. */
export const REDRIVE_RATE_MAX = 50_000
/** A rate is kept over turns of about so long. */
const TURNS_PER_SECOND = 10
/** After a standstill of the whole set, turns are made up for so long at most. */
const CATCH_UP_MS = 1_000
/** A full queue is looked at again after this. */
const WAIT_MS = 1_000
const NEVER = Number.POSITIVE_INFINITY
const ANY_QUEUE = 0

/** A queue has one task at a time; the one before is forgotten. */
export function applyStartRedrive(state: MachineState, command: StartRedrive, outcome: Outcome): void {
  const queue = findQueue(state, command.queueName, outcome)
  if (queue === undefined) return
  const scope = scopeOf(state, queue, command.order)
  if (queue.redrive?.hasEnded === false) outcome.refusal = "redriveRunning"
  else if (typeof scope === "string") outcome.refusal = scope
  else begin(state, queue, { scope, messagesPerSecond: command.order.messagesPerSecond })
}

function begin(
  state: MachineState,
  queue: Queue,
  { scope, messagesPerSecond }: Pick<RedriveFacts, "scope" | "messagesPerSecond">,
): void {
  const redrive = new Redrive(queue.id, {
    scope,
    messagesPerSecond: Math.max(1, wholeNumber(messagesPerSecond, REDRIVE_RATE_MAX)),
    startedAtMs: state.nowMs,
    endSequence: state.mutant === "redriveNeverEnds" ? Number.MAX_SAFE_INTEGER : queue.messages.nextSequence,
  })
  redrive.isStored = queue.redrive?.isStored === true
  queue.redrive = redrive
  state.redrives.set(redrive, redrive.nextTurnAtMs)
  state.dirtyRedrives.changed(redrive)
}

/** What was moved stays moved. */
export function applyCancelRedrive(state: MachineState, command: CancelRedrive, outcome: Outcome): void {
  const queue = findQueue(state, command.queueName, outcome)
  if (queue === undefined) return
  const { redrive } = queue
  if (redrive?.hasEnded !== false) {
    outcome.refusal = "redriveNotRunning"
    return
  }
  end(state, redrive, "cancelled")
  outcome.count = redrive.movedCount
}

/** The names of an order as ids, or why there can be no such task. */
export function scopeOf(state: MachineState, queue: Queue, order: RedriveOrder): RedriveScope | Refusal {
  const targetQueueId = idOf(state, order.targetQueueName)
  const sourceQueueId = idOf(state, order.sourceQueueName)
  if (targetQueueId === undefined || targetQueueId === queue.id) return "redriveTargetInvalid"
  if (sourceQueueId === undefined) return "redriveSourceInvalid"
  return {
    targetQueueId,
    sourceQueueId,
    enqueuedFromMs: wholeNumber(order.enqueuedFromMs, Number.MAX_SAFE_INTEGER),
    enqueuedUntilMs: wholeNumber(order.enqueuedUntilMs, Number.MAX_SAFE_INTEGER),
  }
}

function idOf(state: MachineState, queueName: string): QueueId | undefined {
  return queueName === "" ? ANY_QUEUE : state.registry.find(String(queueName))?.id
}

/** Where a message lies. */
export interface Place {
  readonly chunk: MessageChunk
  readonly offset: number
}

/** Where a message is to go: a queue, nowhere (`skipped`), or it is none of the task's (`outside`). */
export function destinationOf(
  state: MachineState,
  queue: Queue,
  { scope, chunk, offset }: Place & { readonly scope: RedriveScope },
): Queue | "skipped" | "outside" {
  const { targetQueueId, sourceQueueId, enqueuedFromMs, enqueuedUntilMs } = scope
  const enqueuedAtMs = chunk.enqueuedAtMs(offset)
  if (enqueuedAtMs < enqueuedFromMs || enqueuedAtMs >= enqueuedUntilMs || chunk.touch(offset) >= KEPT) return "outside"
  const source = chunk.provenance(offset)?.sourceQueueId ?? ANY_QUEUE
  if (sourceQueueId !== ANY_QUEUE && source !== sourceQueueId) return "outside"
  const target = state.registry.get(targetQueueId === ANY_QUEUE ? source : targetQueueId)
  return target === undefined || target === queue || !queue.isActive(chunk, offset) ? "skipped" : target
}

/** One turn of a task whose time has come. Returns how many messages were looked at, at least 1 and at most `maxSteps`. */
export function takeRedriveTurn(state: MachineState, redrive: Redrive, maxSteps: number): number {
  const queue = state.registry.get(redrive.id)
  assert(queue !== undefined, "a task goes with its queue")
  const { scope, messagesPerSecond } = redrive
  state.dirtyRedrives.changed(redrive)
  settle(state, queue)
  redrive.state = "running"
  const movedBefore = redrive.movedCount
  const movedMax = movedBefore + Math.max(1, Math.floor(messagesPerSecond / TURNS_PER_SECOND))
  let steps = 0
  while (steps < maxSteps && redrive.movedCount < movedMax && !redrive.hasEnded) {
    steps++
    if (!takeNext(state, queue, redrive)) break
  }
  dropStaleReturned(queue)
  if (scope.targetQueueId !== ANY_QUEUE && state.registry.get(scope.targetQueueId) === undefined) {
    end(state, redrive, "targetDeleted")
  }
  if (!redrive.hasEnded) schedule(state, redrive, redrive.movedCount - movedBefore)
  return Math.max(1, steps)
}

/** Looks at one message; false when the turn is over. */
function takeNext(state: MachineState, queue: Queue, redrive: Redrive): boolean {
  const { scope } = redrive
  const sequence = queue.messages.firstPresent(redrive.nextSequence)
  const chunk = sequence === undefined ? undefined : queue.messages.find(sequence)
  if (sequence === undefined || chunk === undefined || sequence >= redrive.endSequence) {
    end(state, redrive, "completed")
    return false
  }
  const offset = sequence - chunk.baseSequence
  const destination = destinationOf(state, queue, { scope, chunk, offset })
  if (typeof destination !== "string") {
    if (!hasRoom(state, destination)) {
      redrive.state = "waiting"
      return false
    }
    move(state, { queue, chunk, offset }, destination)
    redrive.movedCount++
  } else if (destination === "skipped") redrive.skippedCount++
  redrive.nextSequence = sequence + 1
  return true
}

/** Gone here, active there: the same record, enqueued now, counts from 0. The chunk must not be read afterwards. */
function move(state: MachineState, { queue, chunk, offset }: Place & { readonly queue: Queue }, target: Queue): void {
  state.describeMoved(chunk, offset)
  if (state.mutant !== "redriveCopies") queue.remove(chunk, offset)
  queue.totals.redriven++
  state.dirty.queueChanged(queue)
  state.store(target)
  target.totals.movedIn++
  state.wakened.add(target.id)
}

function schedule(state: MachineState, redrive: Redrive, movedCount: number): void {
  const { nowMs } = state
  if (redrive.state === "waiting") redrive.nextTurnAtMs = nowMs + WAIT_MS
  else {
    const lastTurnAtMs = Math.max(redrive.nextTurnAtMs, nowMs - CATCH_UP_MS)
    redrive.nextTurnAtMs = lastTurnAtMs + Math.ceil((movedCount * 1_000) / redrive.messagesPerSecond)
  }
  state.redrives.set(redrive, redrive.nextTurnAtMs)
}

function end(state: MachineState, redrive: Redrive, how: RedriveState): void {
  redrive.state = how
  redrive.endedAtMs = state.nowMs
  redrive.nextTurnAtMs = NEVER
  state.redrives.set(redrive, NEVER)
  state.dirtyRedrives.changed(redrive)
}
