/**
 * Where the entries of one segment lie: eight bytes an entry (twelve in a segment with gaps), in typed arrays.
 *
 * A contiguous table needs no index numbers: slot 0 is `firstIndex`. A sparse one (rewritten segments) keeps the distance
 * of each index from `firstIndex`, ascending. Offset 0 stands for an entry whose bytes are lost.
 */
import { assert } from "../../core/assert.ts"
import type { LogIndex } from "../../core/raft/types.ts"

const LOST = 0

export class OffsetIndex {
  #firstIndex: LogIndex
  #count = 0
  #offsets = new Uint32Array(0)
  #lengths = new Uint32Array(0)
  #distances: Uint32Array | undefined
  #lostCount = 0

  constructor(firstIndex: LogIndex, options: { readonly isSparse: boolean }) {
    this.#firstIndex = firstIndex
    this.#distances = options.isSparse ? new Uint32Array(0) : undefined
  }

  /** First index of a contiguous table; start of the range of a sparse one. */
  get firstIndex(): LogIndex {
    return this.#firstIndex
  }

  /** Index of the last slot; `firstIndex - 1` when empty. */
  get lastIndex(): LogIndex {
    return this.#count === 0 ? this.#firstIndex - 1 : this.indexAt(this.#count - 1)
  }

  get count(): number {
    return this.#count
  }

  get isSparse(): boolean {
    return this.#distances !== undefined
  }

  /** Entries whose bytes are lost. */
  get lostCount(): number {
    return this.#lostCount
  }

  indexAt(slot: number): LogIndex {
    return this.#firstIndex + (this.#distances === undefined ? slot : (this.#distances[slot] ?? 0))
  }

  /** Slot of an index, or -1. O(1), or O(log n) in a sparse table. */
  slotOf(index: LogIndex): number {
    const distance = index - this.#firstIndex
    if (distance < 0) return -1
    if (this.#distances === undefined) return distance < this.#count ? distance : -1
    let low = 0
    let high = this.#count - 1
    while (low <= high) {
      const middle = (low + high) >>> 1
      const found = this.#distances[middle] ?? 0
      if (found === distance) return middle
      if (found < distance) low = middle + 1
      else high = middle - 1
    }
    return -1
  }

  /** Place of the entry's header in the file. */
  offsetAt(slot: number): number {
    return this.#offsets[slot] ?? LOST
  }

  /** Bytes of the entry's payload. */
  lengthAt(slot: number): number {
    return this.#lengths[slot] ?? 0
  }

  isLost(slot: number): boolean {
    return this.offsetAt(slot) === LOST
  }

  /** Adds an entry behind all others; a contiguous table that is empty begins there. */
  append(index: LogIndex, offset: number, length: number): void {
    if (this.#distances === undefined) {
      if (this.#count === 0) this.#firstIndex = index
      assert(index === this.#firstIndex + this.#count, "entries of a contiguous segment follow one another")
    } else {
      assert(index > this.lastIndex, "entries of a segment ascend")
    }
    if (this.#count === this.#offsets.length) this.#grow()
    this.#offsets[this.#count] = offset
    this.#lengths[this.#count] = length
    if (this.#distances !== undefined) this.#distances[this.#count] = index - this.#firstIndex
    if (offset === LOST) this.#lostCount++
    this.#count++
  }

  /** Adds an entry whose bytes are lost. */
  appendLost(index: LogIndex): void {
    this.append(index, LOST, 0)
  }

  markLost(slot: number): void {
    if (this.isLost(slot)) return
    this.#offsets[slot] = LOST
    this.#lostCount++
  }

  /** Forgets this index and everything behind it. */
  truncateFrom(index: LogIndex): void {
    while (this.#count > 0 && this.lastIndex >= index) {
      if (this.isLost(this.#count - 1)) this.#lostCount--
      this.#count--
    }
  }

  /** Forgets every entry up to this index; an empty table begins behind it. */
  dropThrough(index: LogIndex): void {
    let dropped = 0
    while (dropped < this.#count && this.indexAt(dropped) <= index) {
      if (this.isLost(dropped)) this.#lostCount--
      dropped++
    }
    if (dropped === 0) return
    const firstIndex = dropped < this.#count ? this.indexAt(dropped) : index + 1
    this.#offsets = this.#offsets.slice(dropped)
    this.#lengths = this.#lengths.slice(dropped)
    if (this.#distances !== undefined) {
      const moved = firstIndex - this.#firstIndex
      this.#distances = this.#distances.slice(dropped).map((distance) => distance - moved)
    }
    this.#count -= dropped
    this.#firstIndex = firstIndex
  }

  /** Gives back what was allocated too much: no more entries come. */
  trim(): void {
    this.#resize(this.#count)
  }

  #grow(): void {
    this.#resize(Math.max(64, this.#offsets.length * 2))
  }

  #resize(capacity: number): void {
    this.#offsets = resized(this.#offsets, capacity)
    this.#lengths = resized(this.#lengths, capacity)
    if (this.#distances !== undefined) this.#distances = resized(this.#distances, capacity)
  }
}

function resized(source: Uint32Array, capacity: number): Uint32Array<ArrayBuffer> {
  const target = new Uint32Array(capacity)
  target.set(source.subarray(0, Math.min(capacity, source.length)))
  return target
}
