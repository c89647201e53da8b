/**
 * The exceptional messages of all queues of a machine, as columns: received ones, returned ones, delayed ones, halves.
 *
 * A message gets a slot when it is first received (or sent with a delay) and gives it back when it is gone or, after
 * a delay, untouched again. A receipt handle is a slot and the number of the delivery that filled it. A half message has
 * one until its transaction is decided.
 *
 * Free slots form a list through the `sequences` column, newest first, so that all replicas hand out the same slot
 * next, restored ones too. When the last slot is given back the table begins again from nothing.
 */
import { assert } from "../assert.ts"
import { DeadlineHeap } from "../deadline-heap.ts"
import { HalfMessages, type BirthPlace, type QueryPolicy } from "./half-messages.ts"
import { SLOT_COUNT_MAX } from "./machine-limits.ts"

export const SLOT_FREE = 0
/** Received before, and active again. */
export const SLOT_ACTIVE = 1
export const SLOT_INACTIVE = 2
export const SLOT_DELAYED = 3
/** Sent as half of a transaction, not committed yet. */
export const SLOT_HALF = 4

/** Slots written down together. */
export const SLOTS_PER_PAGE = 256
const INITIAL_SLOTS = 1024
/** Ends the list of free slots. */
const NO_SLOT = -1

/** All persisted, except that the deadlines sit in a heap that is rebuilt. */
export interface SlotColumns {
  readonly queueIds: Uint32Array
  /** Of a free slot: the next free one, or -1. */
  readonly sequences: Float64Array
  /** Machine-wide number of the newest delivery; 0 before the first. */
  readonly deliveryNumbers: Float64Array
  readonly dequeueCounts: Uint32Array
  readonly firstDequeuedAtMs: Float64Array
  readonly states: Uint8Array
}

/** One delivery. */
export interface Delivery {
  deliveryNumber: number
  nowMs: number
  nextVisibleAtMs: number
}

export class TouchedMessages {
  /** More about the slots in the state HALF. */
  readonly halves = new HalfMessages()
  #columns = makeColumns(INITIAL_SLOTS)
  readonly #deadlines = new DeadlineHeap()
  #isPageDirty = new Uint8Array(INITIAL_SLOTS / SLOTS_PER_PAGE)
  #dirtyPages: number[] = []
  /** Pages that a checkpoint may hold. */
  #storedPages = 0
  /** Persisted in the meta record. */
  #firstFree = NO_SLOT
  #usedEnd = 0
  #usedCount = 0

  /** Slots in use. */
  get usedCount(): number {
    return this.#usedCount
  }

  /** Slots that can still be given out. */
  get freeCount(): number {
    return SLOT_COUNT_MAX - this.#usedCount
  }

  get firstFree(): number {
    return this.#firstFree
  }

  /** Every slot at or above was never used since the table was last empty. */
  get usedEnd(): number {
    return this.#usedEnd
  }

  /** Read only. Replaced when the table grows: not to be kept. */
  get columns(): SlotColumns {
    return this.#columns
  }

  /** Unix ms when the first delay, visibility timeout or gap between queries ends; Infinity when there is none. O(1). */
  firstDueAtMs(): number {
    return this.#deadlines.firstDueAtMs()
  }

  /** The slot that is due first. Asserts that there is one. */
  firstDue(): number {
    return this.#deadlines.firstId()
  }

  state(slot: number): number {
    return slot >= 0 && slot < this.#usedEnd ? (this.#columns.states[slot] as number) : SLOT_FREE
  }

  queueId(slot: number): number {
    return this.#columns.queueIds[slot] as number
  }

  sequence(slot: number): number {
    return this.#columns.sequences[slot] as number
  }

  deliveryNumber(slot: number): number {
    return this.#columns.deliveryNumbers[slot] as number
  }

  dequeueCount(slot: number): number {
    return this.#columns.dequeueCounts[slot] as number
  }

  /** Unix ms; 0 before the first delivery. */
  firstDequeuedAtMs(slot: number): number {
    return this.#columns.firstDequeuedAtMs[slot] as number
  }

  /** End of the delay, of the visibility timeout or of the gap before the next query, Unix ms; undefined for an active message. */
  dueAtMs(slot: number): number | undefined {
    return this.#deadlines.dueAtMs(slot)
  }

  /** A slot for a message that has none; -1 when all are in use. The caller says next what it is for. */
  allocate(queueId: number, sequence: number): number {
    let slot = this.#firstFree
    if (slot !== NO_SLOT) this.#firstFree = this.#columns.sequences[slot] as number
    else if (this.#usedEnd < SLOT_COUNT_MAX) slot = this.#extend()
    else return -1
    const columns = this.#columns
    columns.queueIds[slot] = queueId
    columns.sequences[slot] = sequence
    columns.deliveryNumbers[slot] = 0
    columns.dequeueCounts[slot] = 0
    columns.firstDequeuedAtMs[slot] = 0
    columns.states[slot] = SLOT_ACTIVE
    this.#usedCount++
    this.#changed(slot)
    return slot
  }

  free(slot: number): void {
    assert(this.state(slot) !== SLOT_FREE, "a slot is freed once")
    if (this.state(slot) === SLOT_HALF) this.halves.remove(slot)
    this.#deadlines.remove(slot)
    this.#columns.states[slot] = SLOT_FREE
    this.#columns.sequences[slot] = this.#firstFree
    this.#firstFree = slot
    this.#usedCount--
    this.#changed(slot)
    if (this.#usedCount === 0) this.#beginAgain()
  }

  delay(slot: number, dueAtMs: number): void {
    this.#columns.states[slot] = SLOT_DELAYED
    this.#deadlines.set(slot, dueAtMs)
    this.#changed(slot)
  }

  /** The message of the slot is a half; its producer is asked at that time. */
  halve(slot: number, dueAtMs: number, facts: BirthPlace & QueryPolicy): void {
    this.#columns.states[slot] = SLOT_HALF
    this.#deadlines.set(slot, dueAtMs)
    this.halves.add(slot, facts)
    this.#changed(slot)
  }

  deliver(slot: number, delivery: Delivery): void {
    const columns = this.#columns
    const dequeueCount = (columns.dequeueCounts[slot] as number) + 1
    columns.dequeueCounts[slot] = Math.min(dequeueCount, 0xffff_ffff)
    if (dequeueCount === 1) columns.firstDequeuedAtMs[slot] = delivery.nowMs
    columns.deliveryNumbers[slot] = delivery.deliveryNumber
    columns.states[slot] = SLOT_INACTIVE
    this.#deadlines.set(slot, delivery.nextVisibleAtMs)
    this.#changed(slot)
  }

  /** The visibility timeout of an inactive message, or the gap of a half one, ends at another time. */
  reschedule(slot: number, nextVisibleAtMs: number): void {
    this.#deadlines.set(slot, nextVisibleAtMs)
    this.#changed(slot)
  }

  /** An inactive message is active again; it keeps its count of deliveries. */
  activate(slot: number): void {
    this.#columns.states[slot] = SLOT_ACTIVE
    this.#deadlines.remove(slot)
    this.#changed(slot)
  }

  /** Pages that exist, and pages of the checkpoint that have to go. Marks everything clean. */
  takeDirtyPages(): { readonly changed: readonly number[]; readonly removed: readonly number[] } {
    const pages = this.pageCount()
    const changed = this.#dirtyPages.filter((page) => page < pages)
    const removed: number[] = []
    for (let page = pages; page < this.#storedPages; page++) removed.push(page)
    for (const page of this.#dirtyPages) this.#isPageDirty[page] = 0
    this.#dirtyPages = []
    this.#storedPages = pages
    return { changed, removed }
  }

  pageCount(): number {
    return Math.ceil(this.#usedEnd / SLOTS_PER_PAGE)
  }

  /** Restore, first step: the facts of the meta record. */
  restoreMeta(firstFree: number, usedEnd: number, pageCount: number): void {
    const isCount = Number.isInteger(usedEnd) && usedEnd >= 0 && usedEnd <= SLOT_COUNT_MAX
    // Before the table is made as long as the record says: the slots that it speaks of are there.
    if (!isCount || Math.ceil(usedEnd / SLOTS_PER_PAGE) !== pageCount) {
      throw new RangeError("corrupt checkpoint: slot count")
    }
    if (firstFree !== NO_SLOT && !(Number.isInteger(firstFree) && firstFree >= 0 && firstFree < usedEnd)) {
      throw new RangeError("corrupt checkpoint: the first free slot")
    }
    this.#reserve(usedEnd)
    this.#firstFree = firstFree
    this.#usedEnd = usedEnd
    this.#storedPages = this.pageCount()
  }

  /** Restore, last step: the columns below `usedEnd` are filled. `dueAtMs` as in the page, 0 where there is none. */
  restoreSlot(slot: number, dueAtMs: number): void {
    const state = this.state(slot)
    if (state === SLOT_FREE) return
    this.#usedCount++
    if (state !== SLOT_ACTIVE) this.#deadlines.set(slot, dueAtMs)
  }

  #extend(): number {
    this.#reserve(this.#usedEnd + 1)
    return this.#usedEnd++
  }

  #reserve(slots: number): void {
    const capacity = this.#columns.states.length
    if (slots <= capacity) return
    const grown = makeColumns(Math.min(SLOT_COUNT_MAX, Math.max(capacity * 2, pageAligned(slots))))
    grown.queueIds.set(this.#columns.queueIds)
    grown.sequences.set(this.#columns.sequences)
    grown.deliveryNumbers.set(this.#columns.deliveryNumbers)
    grown.dequeueCounts.set(this.#columns.dequeueCounts)
    grown.firstDequeuedAtMs.set(this.#columns.firstDequeuedAtMs)
    grown.states.set(this.#columns.states)
    this.#columns = grown
    const isPageDirty = new Uint8Array(grown.states.length / SLOTS_PER_PAGE)
    isPageDirty.set(this.#isPageDirty)
    this.#isPageDirty = isPageDirty
  }

  #beginAgain(): void {
    this.#firstFree = NO_SLOT
    this.#usedEnd = 0
    if (this.#columns.states.length === INITIAL_SLOTS) return
    this.#columns = makeColumns(INITIAL_SLOTS)
    this.#deadlines.clear()
    this.#isPageDirty = new Uint8Array(INITIAL_SLOTS / SLOTS_PER_PAGE)
    this.#dirtyPages = []
  }

  #changed(slot: number): void {
    const page = Math.floor(slot / SLOTS_PER_PAGE)
    if (this.#isPageDirty[page] === 1) return
    this.#isPageDirty[page] = 1
    this.#dirtyPages.push(page)
  }
}

function pageAligned(slots: number): number {
  return Math.ceil(slots / SLOTS_PER_PAGE) * SLOTS_PER_PAGE
}

function makeColumns(capacity: number): SlotColumns {
  return {
    queueIds: new Uint32Array(capacity),
    sequences: new Float64Array(capacity),
    deliveryNumbers: new Float64Array(capacity),
    dequeueCounts: new Uint32Array(capacity),
    firstDequeuedAtMs: new Float64Array(capacity),
    states: new Uint8Array(capacity),
  }
}
