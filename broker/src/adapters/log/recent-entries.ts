/**
 * The newest entries in memory: consumers read mostly what was just written. Bounded by payload bytes.
 *
 * Entries that are not durable yet are never let go, whatever the bound: they are nowhere else. A payload may be a slice
 * of a larger network buffer, so real memory can be somewhat more than the bound.
 */
import type { Entry, LogIndex } from "../../core/raft/types.ts"

export class RecentEntries {
  readonly #boundBytes: number
  readonly #entries = new Map<LogIndex, Entry>()
  #firstIndex = 1
  #lastIndex = 0
  #bytes = 0
  /** Entries above are not durable yet. */
  #durableIndex: LogIndex = 0

  constructor(boundBytes: number) {
    this.#boundBytes = boundBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  get(index: LogIndex): Entry | undefined {
    return this.#entries.get(index)
  }

  /** Takes consecutive entries; what was at these indexes and behind them is forgotten. */
  add(entries: readonly Entry[]): void {
    const first = entries[0]
    if (first === undefined) return
    this.truncateFrom(first.index)
    if (this.#entries.size === 0 || first.index !== this.#lastIndex + 1) this.#startAt(first.index)
    for (const entry of entries) {
      this.#entries.set(entry.index, entry)
      this.#bytes += entry.data.length
      this.#lastIndex = entry.index
    }
  }

  truncateFrom(index: LogIndex): void {
    while (this.#entries.size > 0 && this.#lastIndex >= index) {
      this.#forget(this.#lastIndex)
      this.#lastIndex--
    }
    this.#durableIndex = Math.min(this.#durableIndex, index - 1)
  }

  /** Everything up to this index is on the disk: the oldest may now be let go. */
  durable(index: LogIndex): void {
    this.#durableIndex = index
    while (this.#bytes > this.#boundBytes && this.#firstIndex <= this.#durableIndex && this.#entries.size > 0) {
      this.#forget(this.#firstIndex)
      this.#firstIndex++
    }
  }

  clear(): void {
    this.#startAt(1)
  }

  #startAt(index: LogIndex): void {
    this.#entries.clear()
    this.#bytes = 0
    this.#firstIndex = index
    this.#lastIndex = index - 1
  }

  #forget(index: LogIndex): void {
    const entry = this.#entries.get(index)
    if (entry === undefined) return
    this.#entries.delete(index)
    this.#bytes -= entry.data.length
  }
}
