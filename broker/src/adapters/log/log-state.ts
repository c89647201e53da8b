/**
 * What the parts of the log share: the segments in order of their indexes, the terms, the base, and the end of the log.
 *
 * Plain bookkeeping, no disk. Invariants: live segments do not overlap and ascend; the active one is last, and is the only
 * one that may be empty; `terms` covers `baseIndex + 1 .. lastIndex`.
 */
import { assert } from "../../core/assert.ts"
import { TERM_RUN_MAX } from "../../codec/log-record.ts"
import { TermRuns } from "../../core/raft/term-runs.ts"
import type { TermRunsOptions } from "../../core/raft/term-runs.ts"
import type { LogIndex, Term } from "../../core/raft/types.ts"
import type { Segment } from "./segment.ts"

/** The end of what is durable, as the next batch header has to tell it. */
export interface LogTail {
  chain: number
  truncationCount: number
  truncationFirst: LogIndex
  commitIndex: LogIndex
}

export class LogState {
  terms: TermRuns
  readonly tail: LogTail = { chain: 0, truncationCount: 0, truncationFirst: 0, commitIndex: 0 }
  nextSequence = 1
  /** Live segments, ascending. The last one is the active one. */
  #segments: Segment[] = []
  /** Sealed segments of which every entry was overwritten; kept until the base has passed what they held. */
  #dead: Segment[] = []

  constructor(terms: TermRunsOptions) {
    this.terms = new TermRuns(terms)
  }

  get segments(): readonly Segment[] {
    return this.#segments
  }

  get dead(): readonly Segment[] {
    return this.#dead
  }

  /** Durable end of the log. */
  get lastIndex(): LogIndex {
    return this.terms.lastIndex
  }

  get lastTerm(): Term {
    return this.terms.lastTerm
  }

  get baseIndex(): LogIndex {
    return this.terms.baseIndex
  }

  /** The segment written to. There always is one while the log is open. */
  get active(): Segment {
    const active = this.#segments.at(-1)
    assert(active !== undefined, "an open log has an active segment")
    return active
  }

  /** Makes a new segment the active one. The old one leaves the list when it holds nothing. */
  activate(segment: Segment): Segment | undefined {
    const sealed = this.#segments.at(-1)
    this.#segments.push(segment)
    if (sealed === undefined) return undefined
    if (sealed.isEmpty) this.remove(sealed)
    else sealed.index.trim()
    if (sealed.isEmpty) this.#dead.push(sealed)
    return sealed
  }

  /** How many entries up to `index` have its term in a row, at most `TERM_RUN_MAX`. O(log). */
  termRunAt(index: LogIndex): number {
    const term = this.terms.termAt(index)
    if (term === undefined || index <= this.baseIndex) return 0
    let low = Math.max(this.baseIndex + 1, index - TERM_RUN_MAX + 1)
    let high = index
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      if (this.terms.termAt(middle) === term) high = middle
      else low = middle + 1
    }
    return index - low + 1
  }

  /** Puts a sealed segment in its place. */
  insert(segment: Segment): void {
    let place = this.#segments.length
    while (place > 0 && (this.#segments[place - 1]?.index.firstIndex ?? 0) > segment.index.firstIndex) place--
    this.#segments.splice(place, 0, segment)
  }

  /** Remembers a sealed segment that holds nothing alive. */
  bury(segment: Segment): void {
    this.#dead.push(segment)
  }

  remove(segment: Segment): void {
    this.#segments = this.#segments.filter((other) => other !== segment)
    this.#dead = this.#dead.filter((other) => other !== segment)
  }

  /** The live segment that holds this index, if any does. O(log segments). */
  find(index: LogIndex): Segment | undefined {
    let low = 0
    let high = this.#segments.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if ((this.#segments[middle]?.index.firstIndex ?? Infinity) <= index) low = middle
      else high = middle - 1
    }
    const segment = this.#segments[low]
    return segment !== undefined && segment.index.slotOf(index) >= 0 ? segment : undefined
  }

  /** The live segment that begins at this index. */
  findByFirstIndex(firstIndex: LogIndex): Segment | undefined {
    return this.#segments.find((segment) => segment.index.firstIndex === firstIndex)
  }

  /** Cuts the log back to `index - 1`. */
  truncateFrom(index: LogIndex): void {
    for (let place = this.#segments.length - 1; place >= 0; place--) {
      const segment = this.#segments[place]
      if (segment === undefined || (!segment.isEmpty && segment.index.lastIndex < index)) break
      segment.index.truncateFrom(index)
      if (segment.isEmpty && segment !== this.active) {
        this.#segments.splice(place, 1)
        this.#dead.push(segment)
      }
    }
    if (this.lastIndex >= index) this.terms.truncate(index - 1)
  }

  /** Bytes of all segments, dead ones too. */
  usedBytes(): number {
    let bytes = 0
    for (const segment of this.#segments) bytes += segment.usedBytes
    for (const segment of this.#dead) bytes += segment.usedBytes
    return bytes
  }
}
