/**
 * Everything a queue machine knows, and the few moves that involve more than one queue.
 *
 * The data at the bottom; `commands.ts`, `queue-commands.ts` and `time-steps.ts` act on it, `machine-records.ts`
 * writes it down, `queue-machine.ts` is the face. What is persisted says so.
 */
import { type AccessKey, KeyRegistry } from "./access-keys.ts"
import { ChunkPool } from "./chunk-list.ts"
import type { SendMessages } from "./command.ts"
import { Deduplication } from "./deduplication.ts"
import { DirtyRecords, MarkList } from "./dirty-records.ts"
import type { BirthPlace } from "./half-messages.ts"
import { DELIVERY_NUMBER_MAX, type MachineLimits } from "./machine-limits.ts"
import type { MachineMutant } from "./machine-mutant.ts"
import type { MessageChunk, NewMessage } from "./message-chunk.ts"
import type { DeadLetterReason, Provenance } from "./outcome.ts"
import { wholeNumber } from "./queue-attributes.ts"
import { QueueDeadlines } from "./queue-deadlines.ts"
import { QueueRegistry } from "./queue-registry.ts"
import { Queue } from "./queue.ts"
import type { Redrive } from "./redrive-task.ts"
import { TopicRegistry } from "./topic-registry.ts"
import type { Subscription, Topic } from "./topic.ts"
import { SLOT_INACTIVE, TouchedMessages } from "./touched-messages.ts"

const U32_MAX = 0xffff_ffff

/** A half message whose producer is to be asked. */
export interface HalfQuery extends BirthPlace {
  readonly queueId: number
}

/** A message on the way to its dead-letter queue. */
export interface DeadLetter {
  readonly chunk: MessageChunk
  readonly offset: number
  readonly reason: DeadLetterReason
}

export class MachineState {
  readonly limits: MachineLimits
  readonly mutant: MachineMutant | undefined
  /** Index of the newest entry begun. Persisted. */
  appliedIndex = 0
  /** Log time, Unix ms; never goes back. Persisted. */
  nowMs = 0
  /** Persisted. */
  nextDeliveryNumber = 1
  readonly touched = new TouchedMessages()
  readonly deduplication: Deduplication
  readonly dirty = new DirtyRecords<Queue>()
  readonly dirtyTopics = new MarkList<Topic>()
  readonly dirtySubscriptions = new MarkList<Subscription>()
  readonly dirtyKeys = new MarkList<AccessKey>()
  readonly keys = new KeyRegistry(this.dirtyKeys)
  readonly dirtyRedrives = new MarkList<Redrive>()
  readonly registry: QueueRegistry
  readonly topics: TopicRegistry
  readonly deadlines = new QueueDeadlines<Queue>((queue) => this.exactNextStepAtMs(queue))
  /** Ends of the pauses of subscriptions. */
  readonly retries = new QueueDeadlines<Subscription>((subscription) => subscription.nextAttemptAtMs)
  /** Turns of the tasks under way. */
  readonly redrives = new QueueDeadlines<Redrive>((redrive) => redrive.nextTurnAtMs)
  /** Queues that may have got active messages since they were last taken; backlogs that can be pushed. Not persisted. */
  readonly wakened = new Set<number>()
  /** Half messages whose producers are to be asked, since they were last taken. Not persisted. */
  queried: HalfQuery[] = []
  readonly #pool = new ChunkPool()
  /** Used again for every message that is stored. */
  readonly newMessage: NewMessage = { entryIndex: 0, recordOffset: 0, recordLength: 0, enqueuedAtMs: 0 }
  /** Only for the mutant that moves dead letters in two entries. */
  readonly #halfMoved: (() => void)[] = []

  constructor(limits: MachineLimits, mutant: MachineMutant | undefined) {
    this.limits = limits
    this.mutant = mutant
    this.deduplication = new Deduplication(limits.deduplicationIds)
    this.registry = new QueueRegistry({ limits, touched: this.touched, pool: this.#pool, dirty: this.dirty })
    const { dirtyTopics, dirtySubscriptions } = this
    this.topics = new TopicRegistry({ limits, queues: this.registry, dirtyTopics, dirtySubscriptions })
  }

  /** The next number; never 0. After 2^40 - 1 deliveries they begin again. */
  takeDeliveryNumber(): number {
    const deliveryNumber = this.nextDeliveryNumber
    if (this.mutant === "deliveryNumberReused") return deliveryNumber
    this.nextDeliveryNumber = deliveryNumber === DELIVERY_NUMBER_MAX ? 1 : deliveryNumber + 1
    return deliveryNumber
  }

  /** Whether the newest delivery of that slot has this number, belongs to this queue and still hides its message. */
  isHandleValid(queue: Queue, slot: number, deliveryNumber: number): boolean {
    const touched = this.touched
    if (touched.state(slot) !== SLOT_INACTIVE || touched.queueId(slot) !== queue.id) return false
    if (this.mutant === "staleHandleDeletes") return true
    return touched.deliveryNumber(slot) === deliveryNumber && this.nowMs < (touched.dueAtMs(slot) ?? 0)
  }

  /** Makes a message of the request `newMessage`. */
  describeSent(command: SendMessages, index: number): void {
    const message = this.newMessage
    message.entryIndex = this.appliedIndex
    message.recordOffset = wholeNumber(command.recordOffsets[index], U32_MAX)
    message.recordLength = wholeNumber(command.recordLengths[index], U32_MAX)
    message.enqueuedAtMs = this.nowMs
  }

  /** Makes a message that is stored already `newMessage`: the same record, enqueued now. */
  describeMoved(chunk: MessageChunk, offset: number): void {
    const message = this.newMessage
    message.entryIndex = chunk.entryIndex(offset)
    message.recordOffset = chunk.recordOffset(offset)
    message.recordLength = chunk.recordLength(offset)
    message.enqueuedAtMs = this.nowMs
  }

  /** Stores `newMessage` at the end of the queue, active. */
  store(queue: Queue): void {
    const { enqueuedAtMs } = this.newMessage
    queue.messages.append(this.newMessage)
    queue.activeCount++
    const { msgRetentionMs, deadLetterPolicy } = queue.attributes
    const policyMs = deadLetterPolicy?.kind === "maxTimeToLive" ? deadLetterPolicy.maxTimeToLiveMs : msgRetentionMs
    this.deadlines.atLatest(queue, enqueuedAtMs + Math.min(msgRetentionMs, policyMs))
    this.dirty.queueChanged(queue)
  }

  /**
   * Moves a message to the queue that the policy names, in one step: gone here, active there, the same record, a new
   * sequence. False, and nothing done, when there is no such queue. The chunk must not be read afterwards.
   */
  moveToDeadLetterQueue(queue: Queue, { chunk, offset, reason }: DeadLetter): boolean {
    const target = queue.deadLetterQueue
    if (target === undefined) return false
    const slot = chunk.slot(offset)
    const provenance: Provenance = {
      sourceQueueId: queue.id,
      reason,
      originalEnqueuedAtMs: chunk.enqueuedAtMs(offset),
      originalFirstDequeuedAtMs: slot === -1 ? 0 : this.touched.firstDequeuedAtMs(slot),
      originalDequeueCount: slot === -1 ? 0 : this.touched.dequeueCount(slot),
    }
    this.describeMoved(chunk, offset)
    queue.remove(chunk, offset)
    queue.totals.deadLettered++
    this.dirty.queueChanged(queue)
    if (this.mutant === "deadLetterMoveAsTwoEntries") {
      const message = { ...this.newMessage }
      this.#halfMoved.push(() => {
        Object.assign(this.newMessage, message, { enqueuedAtMs: this.nowMs })
        this.#storeDeadLetter(target, provenance)
      })
    } else this.#storeDeadLetter(target, provenance)
    return true
  }

  /** The queue goes, and its task with it. */
  dropRedrive(queue: Queue): void {
    const { redrive } = queue
    if (redrive === undefined) return
    this.redrives.set(redrive, Number.POSITIVE_INFINITY)
    this.dirtyRedrives.dropped(redrive)
    queue.redrive = undefined
  }

  /** The second half of what a mutant began; nothing otherwise. */
  finishHalfMoved(): void {
    for (const finish of this.#halfMoved.splice(0)) finish()
  }

  /** Unix ms of the next thing that happens in the queue by age alone; Infinity when there is none. */
  exactNextStepAtMs(queue: Queue): number {
    const { messages, attributes } = queue
    const first = messages.chunks[0]
    if (first === undefined) return Number.POSITIVE_INFINITY
    let next = first.enqueuedAtMs(first.firstPresent(0)) + attributes.msgRetentionMs
    const kept = messages.firstChunkWithKept()
    if (kept !== undefined) next = Math.min(next, kept.enqueuedAtMs(kept.firstKept()) + queue.keepMs())
    const policy = attributes.deadLetterPolicy
    if (policy?.kind !== "maxTimeToLive") return next
    const sequence = messages.firstPresent(queue.ageScan)
    const chunk = sequence === undefined ? undefined : messages.find(sequence)
    if (sequence === undefined || chunk === undefined) return next
    return Math.min(next, chunk.enqueuedAtMs(sequence - chunk.baseSequence) + policy.maxTimeToLiveMs)
  }

  /** `newMessage`, with where it came from. */
  #storeDeadLetter(target: Queue, provenance: Provenance): void {
    this.store(target)
    const chunk = target.messages.lastChunk()
    chunk.setProvenance(chunk.count - 1, provenance)
    target.totals.movedIn++
    this.wakened.add(target.id)
  }
}
