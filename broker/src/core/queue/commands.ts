/**
 * The hot commands: send, receive, delete, change of visibility.
 *
 * Each looks at everything that can refuse it before it changes anything, so a refused command leaves no trace. None
 * throws, whatever numbers it is given.
 */
import { noteSend, ordinalOf, type MessageOfCommand } from "./client-ids.ts"
import type { ChangeVisibility, DeleteMessages, ReceiveMessages, SendMessages } from "./command.ts"
import type { QueryPolicy } from "./half-messages.ts"
import { queryGapMs } from "./half-queries.ts"
import { RECEIVE_COUNT_MAX } from "./machine-limits.ts"
import type { MachineState } from "./machine-state.ts"
import type { MessageChunk } from "./message-chunk.ts"
import type { Outcome, ReceivedMessages } from "./outcome.ts"
import { wholeNumber } from "./queue-attributes.ts"
import type { Queue } from "./queue.ts"
import { settle } from "./retention.ts"
import { endDelayOrVisibility } from "./time-steps.ts"
import type { Delivery } from "./touched-messages.ts"

const U32_MAX = 0xffff_ffff
const COUNT_MAX = 65_536
const VISIBILITY_MAX_MS = U32_MAX

/** SendMessage, BatchSendMessage: all or none are stored. */
export function applySend(state: MachineState, command: SendMessages, outcome: Outcome): void {
  storeRequest(state, command, { outcome, halves: undefined })
}

/** How the messages of a request are stored. */
export interface StoreOptions {
  readonly outcome: Outcome
  /** Undefined = as whole messages. */
  readonly halves: QueryPolicy | undefined
}

/** Stores the messages of a request, all or none. */
export function storeRequest(state: MachineState, command: SendMessages, { outcome, halves }: StoreOptions): void {
  const queue = state.registry.get(command.queueId)
  if (queue === undefined) {
    outcome.refusal = "queueNotFound"
    return
  }
  outcome.queueId = queue.id
  settle(state, queue)
  const ringBefore = state.deduplication.next
  const count = wholeNumber(command.count, COUNT_MAX)
  if (refuseSend(state, queue, { command, count, outcome, halves })) {
    if (state.mutant === "batchHalfApplied") storeFirst(state, queue, command)
    state.deduplication.rollBack(ringBefore)
    return
  }
  state.deduplication.evict()
  for (let index = 0; index < count; index++) {
    if (outcome.sent.duplicates[index] === true) continue
    if (halves === undefined) storeMessage(state, queue, { command, index })
    else storeHalf(state, queue, { command, index, halves })
  }
  outcome.sent.count = count
}

interface SendRequest extends StoreOptions {
  readonly command: SendMessages
  readonly count: number
}

/** Fills `outcome.sent` and the de-duplication table; true (and `refusal` set) when the request is refused. */
function refuseSend(state: MachineState, queue: Queue, request: SendRequest): boolean {
  const { command, count, outcome, halves } = request
  const { maxMsgBytes, maxMsgHeapCount } = queue.attributes
  let newCount = 0
  let delayedCount = 0
  for (let index = 0; index < count; index++) {
    if (!((command.bodyLengths[index] ?? 0) <= maxMsgBytes)) {
      outcome.refusal = "messageTooLarge"
      return true
    }
    if (!noteSend(state, outcome.sent, { command, index })) continue
    newCount++
    if (halves === undefined && delayOf(command, index) > 0) delayedCount++
  }
  const { delayedPerQueue, halvesPerQueue } = state.limits
  const halfCount = halves === undefined ? 0 : newCount
  if (queue.unconsumedCount + newCount > maxMsgHeapCount) outcome.refusal = "queueHeapFull"
  else if (delayedCount > 0 && queue.delayedCount + delayedCount > delayedPerQueue) outcome.refusal = "tooManyDelayed"
  else if (delayedCount > state.touched.freeCount) outcome.refusal = "tooManyDelayed"
  else if (halfCount > 0 && queue.halfCount + halfCount > halvesPerQueue) outcome.refusal = "tooManyHalfMessages"
  else if (halfCount > state.touched.freeCount) outcome.refusal = "tooManyHalfMessages"
  return outcome.refusal !== undefined
}

function storeMessage(state: MachineState, queue: Queue, { command, index }: MessageOfCommand): void {
  state.describeSent(command, index)
  state.store(queue)
  queue.totals.sent++
  const delayMs = delayOf(command, index)
  if (delayMs === 0) {
    state.wakened.add(queue.id)
    return
  }
  const slot = state.touched.allocate(queue.id, queue.messages.nextSequence - 1)
  queue.delayNewest(slot, state.nowMs + delayMs)
}

/** Nobody can receive it, so nobody is woken. */
function storeHalf(
  state: MachineState,
  queue: Queue,
  { command, index, halves }: MessageOfCommand & { readonly halves: QueryPolicy },
): void {
  state.describeSent(command, index)
  state.store(queue)
  queue.totals.sent++
  if (state.mutant === "halfMessageReceived") return
  const slot = state.touched.allocate(queue.id, queue.messages.nextSequence - 1)
  const dueAtMs = state.nowMs + queryGapMs(halves.firstQueryIntervalMs, 0)
  queue.halveNewest(slot, dueAtMs, { ...halves, entryIndex: state.appliedIndex, ordinal: ordinalOf(command, index) })
}

/** The mutant that stores what fits of a request that is refused. */
function storeFirst(state: MachineState, queue: Queue, command: SendMessages): void {
  if (queue.unconsumedCount < queue.attributes.maxMsgHeapCount) storeMessage(state, queue, { command, index: 0 })
}

function delayOf(command: SendMessages, index: number): number {
  return wholeNumber(command.delaysMs[index], U32_MAX)
}

/** ReceiveMessage, BatchReceiveMessage: hides up to `maxCount` messages and gives each a new handle. */
export function applyReceive(state: MachineState, command: ReceiveMessages, outcome: Outcome): void {
  const queue = state.registry.get(command.queueId)
  if (queue === undefined) {
    outcome.refusal = "queueNotFound"
    return
  }
  outcome.queueId = queue.id
  settle(state, queue)
  const room = state.limits.inflightPerQueue - queue.inactiveCount
  const count = Math.min(Math.max(1, wholeNumber(command.maxCount, RECEIVE_COUNT_MAX)), room, queue.activeCount)
  if (queue.activeCount === 0) outcome.refusal = "noMessage"
  else if (room <= 0) outcome.refusal = "tooManyUnacked"
  else handOut(state, queue, { count, visibilityMs: visibilityOf(command, queue), outcome })
}

interface HandOut {
  readonly count: number
  readonly visibilityMs: number
  readonly outcome: Outcome
}

function visibilityOf(command: ReceiveMessages, queue: Queue): number {
  if (command.visibilityTimeoutMs === -1) return queue.attributes.visibilityTimeoutMs
  return wholeNumber(command.visibilityTimeoutMs, VISIBILITY_MAX_MS)
}

function handOut(state: MachineState, queue: Queue, { count, visibilityMs, outcome }: HandOut): void {
  const { received } = outcome
  const hiddenMs = state.mutant === "visibilityEndsEarly" ? Math.floor(visibilityMs / 2) : visibilityMs
  const delivery: Delivery = { deliveryNumber: 0, nowMs: state.nowMs, nextVisibleAtMs: state.nowMs + hiddenMs }
  while (received.count < count) {
    const sequence = queue.takeNextActive()
    const chunk = sequence === undefined ? undefined : queue.messages.find(sequence)
    if (sequence === undefined || chunk === undefined) break
    const offset = sequence - chunk.baseSequence
    if (chunk.slot(offset) === -1 && state.touched.freeCount === 0) {
      queue.returned.add(sequence)
      break
    }
    delivery.deliveryNumber = state.takeDeliveryNumber()
    const slot = queue.deliver(chunk, offset, delivery)
    const index = received.count++
    received.slots[index] = slot
    received.deliveryNumbers[index] = delivery.deliveryNumber
    received.nextVisibleAtMs[index] = state.nowMs + visibilityMs
    received.dequeueCounts[index] = state.touched.dequeueCount(slot)
    received.firstDequeuedAtMs[index] = state.touched.firstDequeuedAtMs(slot)
    describeMessage(received, index, { chunk, offset })
  }
  queue.totals.received += received.count
  state.dirty.queueChanged(queue)
  if (received.count === 0) outcome.refusal = "tooManyUnacked"
}

function describeMessage(
  received: ReceivedMessages,
  index: number,
  { chunk, offset }: { readonly chunk: MessageChunk; readonly offset: number },
): void {
  received.entryIndexes[index] = chunk.entryIndex(offset)
  received.offsets[index] = chunk.recordOffset(offset)
  received.lengths[index] = chunk.recordLength(offset)
  received.enqueuedAtMs[index] = chunk.enqueuedAtMs(offset)
  received.provenances[index] = chunk.provenance(offset)
}

/** DeleteMessage, BatchDeleteMessage: each handle by itself. */
export function applyDelete(state: MachineState, command: DeleteMessages, outcome: Outcome): void {
  const queue = openHandles(state, command, outcome)
  if (queue === undefined) return
  const count = wholeNumber(command.count, COUNT_MAX)
  const wasFull = queue.inactiveCount >= state.limits.inflightPerQueue
  for (let index = 0; index < count; index++) {
    const slot = command.slots[index] ?? -1
    const isValid = state.isHandleValid(queue, slot, command.deliveryNumbers[index] ?? -1)
    outcome.failed[index] = !isValid
    if (isValid) deleteMessage(state, queue, slot)
  }
  // Whoever was refused for want of room may try again.
  if (wasFull && queue.activeCount > 0) state.wakened.add(queue.id)
}

function deleteMessage(state: MachineState, queue: Queue, slot: number): void {
  const sequence = state.touched.sequence(slot)
  const chunk = queue.messages.find(sequence)
  if (chunk === undefined) return
  const offset = sequence - chunk.baseSequence
  const keptUntilMs = chunk.enqueuedAtMs(offset) + queue.keepMs()
  if (queue.attributes.rewindMs > 0 && keptUntilMs > state.nowMs) {
    queue.keep(chunk, offset)
    state.deadlines.atLatest(queue, keptUntilMs)
  } else {
    queue.remove(chunk, offset)
  }
  queue.totals.deleted++
  state.dirty.queueChanged(queue)
}

/** ChangeMessageVisibility (OpenCMQ): each handle by itself; 0 gives the messages back at once. */
export function applyChangeVisibility(state: MachineState, command: ChangeVisibility, outcome: Outcome): void {
  const queue = openHandles(state, command, outcome)
  if (queue === undefined) return
  const visibilityMs = wholeNumber(command.visibilityTimeoutMs, VISIBILITY_MAX_MS)
  outcome.nextVisibleAtMs = state.nowMs + visibilityMs
  const count = wholeNumber(command.count, COUNT_MAX)
  for (let index = 0; index < count; index++) {
    const slot = command.slots[index] ?? -1
    const isValid = state.isHandleValid(queue, slot, command.deliveryNumbers[index] ?? -1)
    outcome.failed[index] = !isValid
    if (!isValid) continue
    if (visibilityMs === 0) endDelayOrVisibility(state, slot)
    else state.touched.reschedule(slot, outcome.nextVisibleAtMs)
  }
}

function openHandles(
  state: MachineState,
  command: DeleteMessages | ChangeVisibility,
  outcome: Outcome,
): Queue | undefined {
  const queue = state.registry.get(command.queueId)
  if (queue === undefined) {
    outcome.refusal = "queueNotFound"
    return undefined
  }
  outcome.queueId = queue.id
  settle(state, queue)
  return queue
}
