/**
 * What is known of the half messages of a machine beyond their slots: where they were sent, and how often their
 * producers were asked.
 *
 * A half message has a slot in the state HALF (`touched-messages.ts`), due at its next query. A producer names it by its
 * message id, which is a place in the log: entry and ordinal. So there is a map from places to slots. Nothing iterates over
 * the maps but `bySlot`, which sorts.
 */
import { assert } from "../assert.ts"
import { MarkList, type Marked } from "./dirty-records.ts"

/** How long until the first query, and how many there are. */
export interface QueryPolicy {
  readonly firstQueryIntervalMs: number
  readonly maxQueryCount: number
}

/** Where a message was born: with the set it is the message id. */
export interface BirthPlace {
  readonly entryIndex: number
  readonly ordinal: number
}

/** One half message. All fields but the marks are persisted. */
export interface HalfMessage extends Marked, BirthPlace, QueryPolicy {
  /** The slot. */
  readonly id: number
  /** Queries so far. */
  queryCount: number
}

export class HalfMessages {
  readonly #bySlot = new Map<number, HalfMessage>()
  /** Numbers of 56 bits do not fit, hence text. */
  readonly #byPlace = new Map<string, HalfMessage>()
  readonly #marks = new MarkList<HalfMessage>()

  get(slot: number): HalfMessage | undefined {
    return this.#bySlot.get(slot)
  }

  /** The slot of the half message that was sent there; undefined when there is none (any more). */
  find(entryIndex: number, ordinal: number): number | undefined {
    return this.#byPlace.get(placeOf(entryIndex, ordinal))?.id
  }

  add(slot: number, facts: BirthPlace & QueryPolicy): void {
    this.#insert({ ...facts, id: slot, queryCount: 0, isDirty: false, isStored: false })
    this.noteChange(slot)
  }

  /** To be called after each change of a half message. */
  noteChange(slot: number): void {
    this.#marks.changed(this.#known(slot))
  }

  /** Committed, rolled back, or gone with its queue. */
  remove(slot: number): void {
    const half = this.#known(slot)
    this.#bySlot.delete(slot)
    this.#byPlace.delete(placeOf(half.entryIndex, half.ordinal))
    this.#marks.dropped(half)
  }

  bySlot(): readonly HalfMessage[] {
    return [...this.#bySlot.values()].sort((a, b) => a.id - b.id)
  }

  /** As the records say. Throws a RangeError when two of them contradict each other. */
  restore(half: Omit<HalfMessage, keyof Marked>, slot: number): void {
    const place = placeOf(half.entryIndex, half.ordinal)
    if (this.#byPlace.has(place)) throw new RangeError("corrupt checkpoint: one half message in two slots")
    this.#insert({ ...half, id: slot, isDirty: false, isStored: true })
  }

  /** What changed, and slots that hold no half message any more. Marks everything clean. */
  takeDirty(): { readonly changed: readonly HalfMessage[]; readonly removed: readonly number[] } {
    const { changed, dropped } = this.#marks.take()
    const present = changed.filter((half) => this.#bySlot.get(half.id) === half)
    for (const half of present) half.isStored = true
    return { changed: present, removed: dropped }
  }

  #insert(half: HalfMessage): void {
    this.#bySlot.set(half.id, half)
    this.#byPlace.set(placeOf(half.entryIndex, half.ordinal), half)
  }

  #known(slot: number): HalfMessage {
    const half = this.#bySlot.get(slot)
    assert(half !== undefined, "a slot in the state HALF has a half message")
    return half
  }
}

function placeOf(entryIndex: number, ordinal: number): string {
  return `${String(entryIndex)}/${String(ordinal)}`
}
