/**
 * Plays the batches of all segments in the order in which they were written, and so finds what the log holds: the last batch
 * that wrote an index wins. No disk.
 *
 * Lost batches show in what the next readable header says: the index and term before it, and how often and where the log
 * had been cut by then. What is missing becomes an entry without bytes ("lost"), never a shorter log.
 */
import type { LogIndex, Term } from "../../core/raft/types.ts"
import { TERM_RUN_MAX } from "../../codec/log-record.ts"
import type { BatchHeader } from "../../codec/log-record.ts"
import type { Segment } from "./segment.ts"
import type { SegmentHeader } from "./segment-header.ts"
import type { ScannedEntry, ScannedPart } from "./segment-scan.ts"

/** What a batch header and a segment header both tell about the log before them. */
interface LogBefore {
  readonly prevIndex: LogIndex
  readonly prevTerm: Term
  readonly prevTermRun: number
  readonly truncationCount: number
  readonly truncationFirst: LogIndex
}

interface TermRun {
  firstIndex: LogIndex
  readonly term: Term
}

function beforeBatch(header: BatchHeader): LogBefore {
  const { prevTerm, prevTermRun, truncationCount, truncationFirst } = header
  return { prevIndex: header.firstIndex - 1, prevTerm, prevTermRun, truncationCount, truncationFirst }
}

export class LogRebuild {
  readonly #baseIndex: LogIndex
  /** Segments in the order they were written. */
  readonly #segments: Segment[] = []
  #runs: TermRun[] = []
  #configurations: { readonly index: LogIndex; readonly data: Uint8Array }[] = []
  #lastIndex: LogIndex = 0
  #commitIndex: LogIndex = 0
  #truncationCount = 0
  #truncationFirst: LogIndex = 0
  #isStarted = false
  /** Readable entries of a stretch without headers, until the next header says how to take them. */
  #pendingGap: readonly ScannedEntry[] = []

  constructor(baseIndex: LogIndex) {
    this.#baseIndex = baseIndex
  }

  get lastIndex(): LogIndex {
    return this.#lastIndex
  }

  get lastTerm(): Term {
    return this.#runs.at(-1)?.term ?? 0
  }

  get commitIndex(): LogIndex {
    return this.#commitIndex
  }

  get truncation(): { readonly count: number; readonly first: LogIndex } {
    return { count: this.#truncationCount, first: this.#truncationFirst }
  }

  get segments(): readonly Segment[] {
    return this.#segments
  }

  get configurations(): readonly { readonly index: LogIndex; readonly data: Uint8Array }[] {
    return this.#configurations
  }

  termAt(index: LogIndex): Term {
    return this.#runs.findLast((run) => run.firstIndex <= index)?.term ?? 0
  }

  /** How many entries up to `index` have its term in a row, at most `TERM_RUN_MAX`. */
  termRunAt(index: LogIndex): number {
    const run = this.#runs.findLast((each) => each.firstIndex <= index)
    return run === undefined ? 0 : Math.min(TERM_RUN_MAX, index - run.firstIndex + 1)
  }

  /** Runs of term that cover `from .. lastIndex`. */
  termsFrom(from: LogIndex): TermRun[] {
    if (from > this.#lastIndex) return []
    const first = { firstIndex: from, term: this.termAt(from) }
    return [first, ...this.#runs.filter((run) => run.firstIndex > from && run.term !== first.term)]
  }

  /** The next segment in order of writing; its header is undefined when both copies are rotten. */
  beginSegment(segment: Segment, header: SegmentHeader | undefined): void {
    const previous = this.#segments.at(-1)
    // Nothing was dropped between the two: what is missing between them was lost, below the base too, and belongs to the first.
    const isNext = header !== undefined && previous?.sequence === header.prevSequence && !previous.index.isSparse
    if (isNext) this.#fillBefore(header)
    this.#segments.push(segment)
    if (header === undefined) return
    this.#commitIndex = Math.max(this.#commitIndex, header.commitIndex)
    if (header.isRewritten) {
      this.#beginRewritten(header)
      return
    }
    this.#startAt(header)
    this.#catchUp(header, true)
  }

  #fillBefore(header: SegmentHeader): void {
    if (!header.isRewritten) this.#catchUp(header, false)
    else this.#fillLost(this.#lastIndex + 1, header.firstIndex - 1, this.lastTerm)
  }

  /** What the first readable header says about the log before it is taken as it is: older segments were dropped. */
  #startAt(before: LogBefore): void {
    if (this.#isStarted) return
    this.#isStarted = true
    this.#lastIndex = Math.min(before.prevIndex, this.#baseIndex)
    this.#noteTruncation(before)
    if (this.#lastIndex > 0) this.#runs = [{ firstIndex: 0, term: before.prevTerm }]
  }

  /** A rewritten segment stands for its whole range: nothing of an earlier segment reaches into it. */
  #beginRewritten(header: SegmentHeader): void {
    if (this.#isStarted) this.#truncateFrom(header.firstIndex)
    else this.#lastIndex = header.firstIndex - 1
    this.#isStarted = true
    this.#truncationCount = header.truncationCount
    this.#truncationFirst = header.truncationFirst
    this.#fillLost(Math.max(this.#lastIndex, this.#baseIndex) + 1, header.firstIndex - 1, header.prevTerm)
    this.#lastIndex = header.firstIndex - 1
  }

  /** The log at the end of a rewritten segment, whose last entries may not have been kept. */
  endRewritten(header: SegmentHeader): void {
    if (header.lastIndex <= this.#lastIndex) return
    if (header.lastIndex > this.#baseIndex) {
      this.#fillLost(this.#lastIndex + 1, header.lastIndex, header.lastTerm)
      return
    }
    this.#pushTerm(this.#lastIndex + 1, header.lastTerm)
    this.#lastIndex = header.lastIndex
  }

  /** Takes one part of the segment begun last. `bytes` is its file, for the data of configuration entries. */
  take(part: ScannedPart, bytes: Buffer): void {
    if (part.kind === "gap") {
      this.#pendingGap = part.entries
      return
    }
    const { header } = part
    this.#commitIndex = Math.max(this.#commitIndex, header.commitIndex)
    if (header.kind === "index") return
    this.#startAt(beforeBatch(header))
    this.#takePendingGap(header, bytes)
    this.#catchUp(beforeBatch(header), false)
    const last = header.firstIndex + header.entryCount - 1
    for (const entry of part.entries) {
      if (entry.index <= this.#lastIndex || entry.index > last) continue
      this.#fillLostBefore(entry)
      this.#takeEntry(entry, bytes)
    }
    this.#fillLost(this.#lastIndex + 1, last, header.lastTerm)
  }

  /** Takes the entries of a rewritten segment (see `rewrittenEntries`); lost ones are among them. */
  takeRewritten(entries: readonly ScannedEntry[], bytes: Buffer): void {
    for (const entry of entries) {
      if (entry.index > this.#lastIndex) this.#takeEntry(entry, bytes)
    }
  }

  /** The segment has no more parts. Readable entries behind its last readable header are taken as they come. */
  endSegment(bytes: Buffer): void {
    this.#takePendingGap(undefined, bytes)
    const current = this.#segments.at(-1)
    if (current === undefined) return
    current.highestIndex = Math.max(current.highestIndex, current.index.lastIndex)
  }

  #takePendingGap(next: BatchHeader | undefined, bytes: Buffer): void {
    const entries = this.#pendingGap
    this.#pendingGap = []
    for (const entry of entries) {
      if (entry.index <= this.#lastIndex) {
        const cut =
          next === undefined || next.truncationCount === this.#truncationCount ? Infinity : next.truncationFirst
        this.#truncateFrom(Math.min(entry.index, cut))
        if (next !== undefined) this.#noteTruncation(next)
      }
      this.#fillLostBefore(entry)
      this.#takeEntry(entry, bytes)
    }
  }

  /** Brings the log to where `before` says it was: cut by batches that are lost, or longer by entries that are lost. */
  #catchUp(before: LogBefore, isBetweenSegments: boolean): void {
    const missed = before.truncationCount - this.#truncationCount
    if (missed === 1) this.#truncateFrom(before.truncationFirst)
    if (missed > 1) {
      // Several cuts, of which only the last is known: what was committed by then was not touched by any of them.
      const safe = Math.max(this.#commitIndex, this.#baseIndex) + 1
      this.#truncateFrom(Math.min(before.truncationFirst, safe))
    }
    this.#noteTruncation(before)
    if (before.prevIndex < this.#lastIndex) this.#truncateFrom(before.prevIndex + 1)
    // Whole segments below the base may have been dropped: that is no loss.
    const from = isBetweenSegments ? Math.max(this.#lastIndex, this.#baseIndex) : this.#lastIndex
    this.#fillLost(from + 1, before.prevIndex, before.prevTerm)
    if (before.prevIndex > this.#lastIndex) {
      this.#pushTerm(this.#lastIndex + 1, before.prevTerm)
      this.#lastIndex = before.prevIndex
    }
    this.#alignTerms(before)
  }

  /** The header knows where the term before it began; among lost entries that was a guess so far. */
  #alignTerms(before: LogBefore): void {
    const run = this.#runs.at(-1)
    if (run?.term !== before.prevTerm || before.prevTermRun === 0 || before.prevTermRun >= TERM_RUN_MAX) return
    const began = before.prevIndex - before.prevTermRun + 1
    // Entries that are here know their own term; a count may also have ended at the base of its time.
    if (began <= run.firstIndex || this.#runs.length === 1) return
    if (this.#isLost(run.firstIndex) && this.#isLost(began - 1)) run.firstIndex = began
  }

  #isLost(index: LogIndex): boolean {
    const segment = this.#segments.findLast((each) => each.index.slotOf(index) >= 0)
    return segment?.index.isLost(segment.index.slotOf(index)) === true
  }

  #noteTruncation(before: { readonly truncationCount: number; readonly truncationFirst: LogIndex }): void {
    this.#truncationCount = before.truncationCount
    this.#truncationFirst = before.truncationFirst
  }

  #takeEntry(entry: ScannedEntry, bytes: Buffer): void {
    const current = this.#segments.at(-1)
    if (current === undefined) return
    if (entry.isLost) current.index.appendLost(entry.index)
    else current.index.append(entry.index, entry.offset, entry.length)
    this.#pushTerm(entry.index, entry.term)
    this.#lastIndex = entry.index
    current.highestIndex = Math.max(current.highestIndex, entry.index)
    if (entry.kind === "configuration" && !entry.isLost && entry.index > this.#baseIndex) {
      const start = entry.offset + 32
      this.#configurations.push({
        index: entry.index,
        data: Uint8Array.from(bytes.subarray(start, start + entry.length)),
      })
    }
  }

  /** Fills up to an entry that knows how many before it have its term; those before them have the last known one. */
  #fillLostBefore(entry: ScannedEntry): void {
    const isCapped = entry.termRun >= TERM_RUN_MAX
    const began = isCapped || this.lastTerm === 0 ? 0 : entry.index - entry.termRun
    this.#fillLost(this.#lastIndex + 1, Math.min(entry.index, began) - 1, this.lastTerm)
    this.#fillLost(this.#lastIndex + 1, entry.index - 1, entry.term)
  }

  /** Entries of which nothing but their existence is known. */
  #fillLost(from: LogIndex, to: LogIndex, term: Term): void {
    const current = this.#segments.at(-1)
    if (current === undefined || from > to) return
    this.#pushTerm(from, Math.max(term, this.lastTerm))
    for (let index = from; index <= to; index++) current.index.appendLost(index)
    this.#lastIndex = to
  }

  #pushTerm(index: LogIndex, term: Term): void {
    if (this.#runs.at(-1)?.term !== term) this.#runs.push({ firstIndex: index, term })
  }

  #truncateFrom(index: LogIndex): void {
    if (index > this.#lastIndex) return
    for (let place = this.#segments.length - 1; place >= 0; place--) {
      const segment = this.#segments[place]
      if (segment === undefined) break
      segment.highestIndex = Math.max(segment.highestIndex, segment.index.lastIndex)
      segment.index.truncateFrom(index)
      // Segments before one that begins below the cut hold smaller indexes only.
      if (!segment.isEmpty && segment.index.firstIndex < index) break
    }
    while ((this.#runs.at(-1)?.firstIndex ?? -1) >= index) this.#runs.pop()
    this.#configurations = this.#configurations.filter((configuration) => configuration.index < index)
    this.#lastIndex = index - 1
  }
}
