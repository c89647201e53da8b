/**
 * One queue: its messages, and the moves of a message from one state to another.
 *
 * ```
 *            send                    receive
 *   -> [delayed] --delay ends--> [active] ----> [inactive] --delete--> [rewindable] --window ends--> gone
 *   \-> [half] -----commit-------^  ^  \___________/  |  \___________________________________________^
 *                                    |   visibility    | dead letter: gone here, active in the other queue
 *                                    \---- rewind -----/ retention: gone from every state
 * ```
 *
 * Here are the moves and the counters that follow them; when a move is due or allowed is decided elsewhere
 * (`commands.ts`, `time-steps.ts`). Messages are handed out in the order of their sequences. That order has two parts:
 * `returned` holds the active messages behind `front`, everything active at or after `front` is met by moving it.
 */
import type { QueueAttributes } from "./command.ts"
import type { BirthPlace, QueryPolicy } from "./half-messages.ts"
import { ChunkList, type ChunkListParts } from "./chunk-list.ts"
import { GONE, KEPT, UNTOUCHED, type MessageChunk } from "./message-chunk.ts"
import type { Redrive } from "./redrive-task.ts"
import { SequenceHeap } from "./sequence-heap.ts"
import {
  SLOT_ACTIVE,
  SLOT_DELAYED,
  SLOT_FREE,
  SLOT_HALF,
  SLOT_INACTIVE,
  type Delivery,
  type TouchedMessages,
} from "./touched-messages.ts"

/**
 * Since the queue was created; they never fall. At any time
 * `sent + movedIn = active + inactive + delayed + half + (deleted - rewound) + expired + deadLettered + redriven + cleared`.
 */
export interface QueueTotals {
  /** Stored by a send (repeated ones not counted). */
  sent: number
  /** Came from other queues: dead letters, and by a redrive. */
  movedIn: number
  /** Deliveries. */
  received: number
  deleted: number
  /** Not deleted before their retention ended. */
  expired: number
  /** Moved to the dead-letter queue. */
  deadLettered: number
  /** Dropped by ClearQueue before they were deleted, or rolled back. */
  cleared: number
  /** Deleted and made active again by RewindQueue. */
  rewound: number
  /** Moved out by a redrive. */
  redriven: number
}

/** What identifies a queue. */
export interface QueueIdentity {
  readonly id: number
  readonly name: string
  readonly createdAtMs: number
}

export class Queue {
  readonly id: number
  readonly name: string
  readonly createdAtMs: number
  readonly messages: ChunkList
  readonly #touched: TouchedMessages
  /** Unix ms. Persisted. */
  modifiedAtMs: number
  /** Persisted. */
  attributes: QueueAttributes
  /** The queue that the policy names; derived. */
  deadLetterQueue: Queue | undefined
  /** Queues whose policy names this one; derived. */
  readonly deadLetterSources = new Set<Queue>()
  /** Every active message below is in `returned`. Persisted. */
  front = 1
  readonly returned = new SequenceHeap()
  /** Policy by age: every message below was looked at when its time had come. Persisted. */
  ageScan = 1
  /** Derived. */
  activeCount = 0
  inactiveCount = 0
  delayedCount = 0
  /** Half messages. */
  halfCount = 0
  /** Persisted. */
  readonly totals: QueueTotals = emptyTotals()
  /** The newest task that moves messages out of here; undefined when there never was one. Persisted. */
  redrive: Redrive | undefined
  /** For `QueueDeadlines`. */
  nextStepAtMs = Number.POSITIVE_INFINITY
  heapPosition = -1
  /** For `DirtyRecords`. */
  isDirty = false
  isStored = false

  constructor(
    identity: QueueIdentity,
    attributes: QueueAttributes,
    parts: Omit<ChunkListParts, "queueId"> & { readonly touched: TouchedMessages },
  ) {
    this.id = identity.id
    this.name = identity.name
    this.createdAtMs = identity.createdAtMs
    this.modifiedAtMs = identity.createdAtMs
    this.attributes = attributes
    this.messages = new ChunkList({ queueId: identity.id, pool: parts.pool, watcher: parts.watcher })
    this.#touched = parts.touched
  }

  /** What counts against `maxMsgHeapCount`. */
  get unconsumedCount(): number {
    return this.activeCount + this.inactiveCount + this.delayedCount + this.halfCount
  }

  /** Whether the message waits to be received. */
  isActive(chunk: MessageChunk, offset: number): boolean {
    const touch = chunk.touch(offset)
    if (touch === UNTOUCHED) return true
    const slot = chunk.slot(offset)
    return slot !== -1 && this.#touched.state(slot) === SLOT_ACTIVE
  }

  /** Retention is over: the message is never handed out again, whether or not it was cleared away yet. */
  isExpired(enqueuedAtMs: number, nowMs: number): boolean {
    return enqueuedAtMs + this.attributes.msgRetentionMs <= nowMs
  }

  /** How long a deleted message is kept, from its enqueue time. */
  keepMs(): number {
    return Math.min(this.attributes.rewindMs, this.attributes.msgRetentionMs)
  }

  /** The newest message waits until its delay ends. Asserts nothing about slots: the caller counted them. */
  delayNewest(slot: number, dueAtMs: number): void {
    const chunk = this.messages.lastChunk()
    this.#touched.delay(slot, dueAtMs)
    this.messages.setTouch(chunk, chunk.count - 1, slot + 1)
    this.activeCount--
    this.delayedCount++
  }

  /** The newest message waits until its transaction is decided. Asserts nothing about slots: the caller counted them. */
  halveNewest(slot: number, dueAtMs: number, facts: BirthPlace & QueryPolicy): void {
    const chunk = this.messages.lastChunk()
    this.#touched.halve(slot, dueAtMs, facts)
    this.messages.setTouch(chunk, chunk.count - 1, slot + 1)
    this.activeCount--
    this.halfCount++
  }

  /** Moves `front` or `returned` past the oldest active message. Undefined when there is none. Amortised O(log n). */
  takeNextActive(): number | undefined {
    for (;;) {
      const sequence = this.returned.first()
      if (sequence === undefined) break
      this.returned.removeFirst()
      const chunk = this.messages.find(sequence)
      if (chunk !== undefined && this.isActive(chunk, sequence - chunk.baseSequence)) return sequence
    }
    return this.#advanceFront()
  }

  /** active -> inactive. Returns the slot; -1 when the table of touched messages is full. */
  deliver(chunk: MessageChunk, offset: number, delivery: Delivery): number {
    let slot = chunk.slot(offset)
    if (slot === -1) {
      slot = this.#touched.allocate(this.id, chunk.baseSequence + offset)
      if (slot === -1) return -1
      this.messages.setTouch(chunk, offset, slot + 1)
    }
    this.#touched.deliver(slot, delivery)
    this.activeCount--
    this.inactiveCount++
    return slot
  }

  /** inactive, delayed or half -> active. Unless it was received, the message is untouched again and gives its slot back. */
  activate(chunk: MessageChunk, offset: number): void {
    const slot = chunk.slot(offset)
    const state = this.#touched.state(slot)
    if (state === SLOT_DELAYED || state === SLOT_HALF) {
      if (state === SLOT_HALF) this.halfCount--
      else this.delayedCount--
      this.#touched.free(slot)
      this.messages.setTouch(chunk, offset, UNTOUCHED)
    } else {
      this.inactiveCount--
      this.#touched.activate(slot)
    }
    this.activeCount++
    const sequence = chunk.baseSequence + offset
    if (sequence < this.front) this.returned.add(sequence)
  }

  /** Any state -> gone. The chunk must not be read afterwards: it may have been its last message. */
  remove(chunk: MessageChunk, offset: number): void {
    this.#leaveState(chunk, offset)
    this.messages.setTouch(chunk, offset, GONE)
  }

  /** inactive -> rewindable. */
  keep(chunk: MessageChunk, offset: number): void {
    this.#leaveState(chunk, offset)
    this.messages.setTouch(chunk, offset, KEPT)
  }

  /** rewindable -> active, as if it had never been received. The caller moves `front`. */
  restoreKept(chunk: MessageChunk, offset: number): void {
    this.messages.setTouch(chunk, offset, UNTOUCHED)
    this.activeCount++
  }

  /** Takes out a chunk without touched messages. Returns how many of its messages were not deleted. */
  dropUntouchedChunk(chunk: MessageChunk): number {
    const unconsumed = chunk.unconsumedCount
    this.activeCount -= unconsumed
    this.messages.drop(chunk)
    return unconsumed
  }

  /** Drops all messages, whatever their state. Returns how many were not deleted, and how many were rewindable. */
  clear(): { readonly unconsumed: number; readonly rewindable: number } {
    const unconsumed = this.unconsumedCount
    const rewindable = this.messages.keptCount
    for (const chunk of [...this.messages.chunks]) {
      if (chunk.touchedCount > 0) {
        for (let offset = 0; offset < chunk.count; offset++) {
          const slot = chunk.slot(offset)
          if (slot !== -1) this.#touched.free(slot)
        }
      }
      this.messages.drop(chunk)
    }
    this.activeCount = 0
    this.inactiveCount = 0
    this.delayedCount = 0
    this.halfCount = 0
    this.returned.clear()
    this.front = this.messages.nextSequence
    this.ageScan = this.messages.nextSequence
    return { unconsumed, rewindable }
  }

  /** Counts the states again and fills `returned`, after a restore. */
  recount(): void {
    for (const chunk of this.messages.chunks) {
      for (let offset = 0; offset < chunk.count; offset++) {
        const slot = chunk.slot(offset)
        const state = slot === -1 ? SLOT_ACTIVE : this.#touched.state(slot)
        if (slot === -1 && chunk.touch(offset) !== UNTOUCHED) continue
        this.#checkSlot(slot, chunk.baseSequence + offset)
        if (state === SLOT_INACTIVE) this.inactiveCount++
        else if (state === SLOT_DELAYED) this.delayedCount++
        else if (state === SLOT_HALF) this.halfCount++
        else {
          this.activeCount++
          if (chunk.baseSequence + offset < this.front) this.returned.add(chunk.baseSequence + offset)
        }
      }
    }
  }

  /** A slot and its message name each other, or the checkpoint is not what a machine wrote. */
  #checkSlot(slot: number, sequence: number): void {
    if (slot === -1) return
    const isOurs = this.#touched.queueId(slot) === this.id && this.#touched.sequence(slot) === sequence
    const isHalf = this.#touched.state(slot) === SLOT_HALF
    if (!isOurs || this.#touched.state(slot) === SLOT_FREE)
      throw new RangeError("corrupt checkpoint: a slot is missing")
    if (isHalf !== (this.#touched.halves.get(slot) !== undefined))
      throw new RangeError("corrupt checkpoint: a half message is missing")
  }

  #leaveState(chunk: MessageChunk, offset: number): void {
    const touch = chunk.touch(offset)
    if (touch === UNTOUCHED) {
      this.activeCount--
      return
    }
    const slot = chunk.slot(offset)
    if (slot === -1) return
    const state = this.#touched.state(slot)
    if (state === SLOT_INACTIVE) this.inactiveCount--
    else if (state === SLOT_DELAYED) this.delayedCount--
    else if (state === SLOT_HALF) this.halfCount--
    else this.activeCount--
    this.#touched.free(slot)
  }

  #advanceFront(): number | undefined {
    if (this.activeCount === 0) return undefined
    const { chunks } = this.messages
    for (let index = this.messages.indexAtOrBehind(this.front); index < chunks.length; index++) {
      const chunk = chunks[index] as MessageChunk
      for (let offset = Math.max(0, this.front - chunk.baseSequence); offset < chunk.count; offset++) {
        if (!this.isActive(chunk, offset)) continue
        this.front = chunk.baseSequence + offset + 1
        return this.front - 1
      }
    }
    this.front = this.messages.nextSequence
    return undefined
  }
}

function emptyTotals(): QueueTotals {
  return {
    sent: 0,
    movedIn: 0,
    received: 0,
    deleted: 0,
    expired: 0,
    deadLettered: 0,
    cleared: 0,
    rewound: 0,
    redriven: 0,
  }
}
