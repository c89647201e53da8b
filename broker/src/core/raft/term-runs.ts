/**
 * The terms of the whole log, as runs: a term begins at an index and lasts until the next run.
 *
 * A log of a billion entries has as many runs as it has seen leaders. Kept in memory completely, so that no decision
 * of consensus ever waits for the disk. Invariant: runs are consecutive, their indexes and terms rise strictly, the first
 * begins at `baseIndex + 1`.
 */
import { assert } from "../assert.ts"
import type { LogIndex, Term } from "./types.ts"

/** Entries from `firstIndex` on have `term`, until the next run begins. */
export interface TermRun {
  readonly firstIndex: LogIndex
  readonly term: Term
}

/** What is needed to rebuild the runs of a recovered log. */
export interface TermRunsOptions {
  /** The entry before the first one: the last that a snapshot covers, or 0. */
  readonly baseIndex: LogIndex
  readonly baseTerm: Term
  /** Cover `baseIndex + 1` to `lastIndex`. Empty when the log is. */
  readonly terms: readonly TermRun[]
  readonly lastIndex: LogIndex
}

/** Index to term for the whole log: O(log runs). */
export class TermRuns {
  private baseIndexNow: LogIndex
  private baseTermNow: Term
  private lastIndexNow: LogIndex
  private runs: TermRun[]

  constructor(options: TermRunsOptions) {
    this.baseIndexNow = options.baseIndex
    this.baseTermNow = options.baseTerm
    this.lastIndexNow = options.lastIndex
    this.runs = options.terms.map((run) => ({ firstIndex: run.firstIndex, term: run.term }))
    this.checkRuns()
  }

  get baseIndex(): LogIndex {
    return this.baseIndexNow
  }

  get baseTerm(): Term {
    return this.baseTermNow
  }

  get lastIndex(): LogIndex {
    return this.lastIndexNow
  }

  /** Term of the last entry; of the base when the log is empty. */
  get lastTerm(): Term {
    return this.runs.at(-1)?.term ?? this.baseTermNow
  }

  /** Term of the entry at `index`; undefined below the base and behind the end. */
  termAt(index: LogIndex): Term | undefined {
    if (index === this.baseIndexNow) return this.baseTermNow
    if (index < this.baseIndexNow || index > this.lastIndexNow) return undefined
    return this.runs[this.runOf(index)]?.term
  }

  /** One more entry at the end. Terms never fall along a log. */
  append(term: Term): void {
    assert(term >= this.lastTerm && term > 0, "terms never fall along the log")
    this.lastIndexNow++
    if (this.runs.length === 0 || term > this.lastTerm) this.runs.push({ firstIndex: this.lastIndexNow, term })
  }

  /** Cuts the end off: `lastIndex` is the new last entry. */
  truncate(lastIndex: LogIndex): void {
    assert(lastIndex >= this.baseIndexNow && lastIndex <= this.lastIndexNow, "truncation stays within the log")
    this.lastIndexNow = lastIndex
    while ((this.runs.at(-1)?.firstIndex ?? 0) > lastIndex) this.runs.pop()
  }

  /** Moves the base up to `index`: entries up to there are forgotten. */
  compact(index: LogIndex): void {
    const term = this.termAt(index)
    assert(term !== undefined, "the log is compacted at one of its entries")
    const kept = this.runs.filter((_, place) => (this.runs[place + 1]?.firstIndex ?? Infinity) > index + 1)
    const first = kept[0]
    if (first !== undefined && first.firstIndex <= index) kept[0] = { firstIndex: index + 1, term: first.term }
    this.runs = index === this.lastIndexNow ? [] : kept
    this.baseIndexNow = index
    this.baseTermNow = term
  }

  /** Forgets everything: the log is empty behind a snapshot that ends at `index`. */
  reset(index: LogIndex, term: Term): void {
    this.baseIndexNow = index
    this.baseTermNow = term
    this.lastIndexNow = index
    this.runs = []
  }

  /**
   * The largest index not above `index` whose term is not above `term`: where two logs may agree at best, when the
   * other one has `term` at `index`. `baseIndex - 1` when even the base is too new.
   */
  lastIndexWithTermAtMost(index: LogIndex, term: Term): LogIndex {
    if (index > this.lastIndexNow) return index
    if (index < this.baseIndexNow) return index
    let candidate = index
    if (candidate > this.baseIndexNow) {
      for (let place = this.runOf(candidate); place >= 0; place--) {
        const run = this.runs[place]
        if (run === undefined || run.term <= term) return candidate
        candidate = run.firstIndex - 1
      }
    }
    return this.baseTermNow <= term ? candidate : this.baseIndexNow - 1
  }

  /** Place of the run that holds `index`, by halving. */
  private runOf(index: LogIndex): number {
    let low = 0
    let high = this.runs.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if ((this.runs[middle]?.firstIndex ?? Infinity) <= index) low = middle
      else high = middle - 1
    }
    return low
  }

  private checkRuns(): void {
    assert(this.baseIndexNow <= this.lastIndexNow, "the base is not behind the end of the log")
    assert(this.runs.length > 0 === this.lastIndexNow > this.baseIndexNow, "runs cover the log exactly")
    let previousIndex = this.baseIndexNow
    let previousTerm = this.baseTermNow
    for (const [place, run] of this.runs.entries()) {
      assert(place > 0 || run.firstIndex === this.baseIndexNow + 1, "the first run begins behind the base")
      assert(run.firstIndex > previousIndex && run.firstIndex <= this.lastIndexNow, "runs rise within the log")
      assert(place === 0 ? run.term >= previousTerm && run.term > 0 : run.term > previousTerm, "terms of runs rise")
      previousIndex = run.firstIndex
      previousTerm = run.term
    }
  }
}
