/**
 * Indexed binary heap: the earliest deadline first, changed or removed by id.
 *
 * Ids are small dense integers (slots of a table). Equal deadlines come out in the order of their ids, so the order
 * depends on the content alone and never on the history of the heap: replicas that were restored agree with the others.
 * Typed arrays: 16 bytes an id.
 */
import { assert } from "./assert.ts"

const INITIAL_IDS = 64
const ABSENT = -1

/** A set of (id, deadline) pairs. Not persisted: whoever owns the ids rebuilds it. */
export class DeadlineHeap {
  #ids = new Int32Array(INITIAL_IDS)
  #positions = new Int32Array(INITIAL_IDS).fill(ABSENT)
  #dues = new Float64Array(INITIAL_IDS)
  #size = 0

  /** Ids that have a deadline. */
  get size(): number {
    return this.#size
  }

  /** Unix ms of the earliest deadline; Infinity when there is none. O(1). */
  firstDueAtMs(): number {
    return this.#size === 0 ? Number.POSITIVE_INFINITY : (this.#dues[this.#ids[0] as number] as number)
  }

  /** The id that is due first. Asserts that there is one. O(1). */
  firstId(): number {
    assert(this.#size > 0, "the heap has an element")
    return this.#ids[0] as number
  }

  has(id: number): boolean {
    return id < this.#positions.length && (this.#positions[id] as number) !== ABSENT
  }

  /** Unix ms; undefined for an id without a deadline. */
  dueAtMs(id: number): number | undefined {
    return this.has(id) ? this.#dues[id] : undefined
  }

  /** Adds the id, or moves its deadline. O(log n). */
  set(id: number, dueAtMs: number): void {
    this.#reserve(id)
    let position = this.#positions[id] as number
    if (position === ABSENT) {
      position = this.#size++
      this.#dues[id] = dueAtMs
      this.#place(id, position)
      this.#up(position)
      return
    }
    const before = this.#dues[id] as number
    this.#dues[id] = dueAtMs
    if (dueAtMs < before) this.#up(position)
    else if (dueAtMs > before) this.#down(position)
  }

  /** Does nothing for an id without a deadline. O(log n). */
  remove(id: number): void {
    if (!this.has(id)) return
    const position = this.#positions[id] as number
    this.#positions[id] = ABSENT
    this.#size--
    if (position === this.#size) return
    const moved = this.#ids[this.#size] as number
    this.#place(moved, position)
    this.#up(position)
    this.#down(this.#positions[moved] as number)
  }

  clear(): void {
    this.#ids = new Int32Array(INITIAL_IDS)
    this.#positions = new Int32Array(INITIAL_IDS).fill(ABSENT)
    this.#dues = new Float64Array(INITIAL_IDS)
    this.#size = 0
  }

  #up(start: number): void {
    let position = start
    const id = this.#ids[position] as number
    while (position > 0) {
      const parent = (position - 1) >>> 1
      const parentId = this.#ids[parent] as number
      if (!this.#isBefore(id, parentId)) break
      this.#place(parentId, position)
      position = parent
    }
    this.#place(id, position)
  }

  #down(start: number): void {
    let position = start
    const id = this.#ids[position] as number
    for (;;) {
      let child = position * 2 + 1
      if (child >= this.#size) break
      if (child + 1 < this.#size && this.#isBefore(this.#ids[child + 1] as number, this.#ids[child] as number)) child++
      const childId = this.#ids[child] as number
      if (!this.#isBefore(childId, id)) break
      this.#place(childId, position)
      position = child
    }
    this.#place(id, position)
  }

  #isBefore(a: number, b: number): boolean {
    const dueA = this.#dues[a] as number
    const dueB = this.#dues[b] as number
    return dueA < dueB || (dueA === dueB && a < b)
  }

  #place(id: number, position: number): void {
    this.#ids[position] = id
    this.#positions[id] = position
  }

  #reserve(id: number): void {
    assert(Number.isInteger(id) && id >= 0, "an id is a whole number")
    if (id < this.#positions.length) return
    const capacity = Math.max(this.#positions.length * 2, id + 1)
    const ids = new Int32Array(capacity)
    ids.set(this.#ids)
    const positions = new Int32Array(capacity).fill(ABSENT)
    positions.set(this.#positions)
    const dues = new Float64Array(capacity)
    dues.set(this.#dues)
    this.#ids = ids
    this.#positions = positions
    this.#dues = dues
  }
}
