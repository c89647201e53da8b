/**
 * The log as consensus sees it: terms of everything, bytes of the recent part, and the four marks that move over it.
 *
 *     base        applied   applying    commit      durable     written      last
 *      |             |          |          |            |           |          |
 *      +-------------+----------+----------+------------+-----------+----------+
 *      |  not in memory  |  in memory: about `cacheBytes` of what is durable, and all that is not            |
 *
 * `applied <= applying <= min(commit, durable)`, `durable <= written <= last`; `commit` may be ahead of `durable` and even of
 * `written` (on a leader whose followers are faster). It reads no disk: who needs older entries asks through `Ready`.
 */
import { assert } from "../assert.ts"
import { TermRuns } from "./term-runs.ts"
import type { TermRunsOptions } from "./term-runs.ts"
import type { Entry, LogIndex, Term } from "./types.ts"

/** What an entry costs in memory and in a message besides its data, in bytes. So that empty entries count too. */
export const ENTRY_OVERHEAD_BYTES = 32

const EVICTED: Entry = { index: 0, term: 0, kind: "commands", data: new Uint8Array(0) }
const MIN_EVICTED_TO_CUT = 64
/** What is still to be applied would have to be read again soon: it may take so many times `cacheBytes`. */
const UNAPPLIED_CACHE_FACTOR = 4

/** Size of an entry for all bounds on messages and memory, in bytes. */
export function entryBytes(entry: Entry): number {
  return entry.data.byteLength + ENTRY_OVERHEAD_BYTES
}

/** A recovered log: everything in it is durable, and none of its entries is in memory. */
export interface RaftLogOptions extends TermRunsOptions {
  readonly commitIndex: LogIndex
  readonly appliedIndex: LogIndex
  /** Bound on the entries kept in memory although they are durable, in bytes. */
  readonly cacheBytes: number
}

/** A stretch of the log, both ends inclusive. */
export interface IndexRange {
  readonly fromIndex: LogIndex
  readonly toIndex: LogIndex
}

/** See the head of this file. */
export class RaftLog {
  private readonly runs: TermRuns
  private readonly cacheBytes: number
  private cached: Entry[] = []
  private evictedCount = 0
  private cachedBytesNow = 0
  private committed: LogIndex
  private applied: LogIndex
  private applying: LogIndex
  private durable: LogIndex
  private written: LogIndex

  constructor(options: RaftLogOptions) {
    this.runs = new TermRuns(options)
    this.cacheBytes = options.cacheBytes
    this.durable = options.lastIndex
    this.written = options.lastIndex
    this.applied = options.appliedIndex
    this.applying = options.appliedIndex
    this.committed = options.commitIndex
    assert(
      options.baseIndex <= options.appliedIndex && options.appliedIndex <= options.commitIndex,
      "a recovered log has base <= applied <= commit",
    )
    assert(options.commitIndex <= options.lastIndex, "a recovered log holds all that is committed")
  }

  /** The entry before the first: covered by a snapshot, or 0. */
  get baseIndex(): LogIndex {
    return this.runs.baseIndex
  }

  get lastIndex(): LogIndex {
    return this.runs.lastIndex
  }

  get lastTerm(): Term {
    return this.runs.lastTerm
  }

  /** Known to be committed. Rises only. */
  get commitIndex(): LogIndex {
    return this.committed
  }

  /** Applied by the state machine, as the driver reported. Rises only. */
  get appliedIndex(): LogIndex {
    return this.applied
  }

  /** Handed out to be applied. */
  get applyingIndex(): LogIndex {
    return this.applying
  }

  /** Up to here everything in this log is on this node's disk. Falls only when undurable-again entries are cut off. */
  get durableIndex(): LogIndex {
    return this.durable
  }

  /** The first entry that is in memory; `lastIndex + 1` when none is. */
  get firstCachedIndex(): LogIndex {
    return this.lastIndex + 1 - (this.cached.length - this.evictedCount)
  }

  /** Bytes of entries in memory. */
  get cachedBytes(): number {
    return this.cachedBytesNow
  }

  /** Term at `index`, from the base to the end; undefined elsewhere. */
  termAt(index: LogIndex): Term | undefined {
    return this.runs.termAt(index)
  }

  /** True when this log has an entry of `term` at `index`. */
  matches(index: LogIndex, term: Term): boolean {
    return this.runs.termAt(index) === term
  }

  /** The first of `entries` that this log does not hold with the same term; undefined when it holds them all. */
  firstConflict(entries: readonly Entry[]): Entry | undefined {
    return entries.find((entry) => !this.matches(entry.index, entry.term))
  }

  /** See `TermRuns.lastIndexWithTermAtMost`. */
  lastIndexWithTermAtMost(index: LogIndex, term: Term): LogIndex {
    return this.runs.lastIndexWithTermAtMost(index, term)
  }

  /** Adds entries behind the last one. They are not durable, nor handed to the disk. */
  append(entries: readonly Entry[]): void {
    for (const entry of entries) {
      assert(entry.index === this.lastIndex + 1, "entries are appended without a gap")
      this.runs.append(entry.term)
      this.cached.push(entry)
      this.cachedBytesNow += entryBytes(entry)
    }
    this.evict()
  }

  /** Cuts the log back: `lastIndex` is its new end. What is committed is never cut (State Machine Safety, Raft §5.4.3). */
  truncate(lastIndex: LogIndex): void {
    assert(lastIndex >= this.committed, "a committed entry is never removed")
    while (this.cached.length > this.evictedCount && this.lastIndex > lastIndex) this.dropLast()
    this.runs.truncate(lastIndex)
    this.durable = Math.min(this.durable, lastIndex)
    this.written = Math.min(this.written, lastIndex)
  }

  /** Entries that no write has been handed for; they count as handed over with this call. */
  takeUnwritten(): readonly Entry[] {
    if (this.written === this.lastIndex) return []
    const entries = this.inMemory({ fromIndex: this.written + 1, toIndex: this.lastIndex }, Infinity)
    assert(entries !== undefined, "what is not durable is in memory")
    this.written = this.lastIndex
    return entries
  }

  /** True when entries wait to be handed to the disk. */
  get hasUnwritten(): boolean {
    return this.written < this.lastIndex
  }

  /** The disk has this log up to `index`. */
  markDurable(index: LogIndex): void {
    assert(index <= this.written, "only what was handed over can be durable")
    this.durable = Math.max(this.durable, index)
    this.evict()
  }

  /** Raises the commit index; a lower value is ignored. */
  commitTo(index: LogIndex): void {
    assert(index <= this.lastIndex, "only entries of the log are committed: was the log cut, or lost?")
    this.committed = Math.max(this.committed, index)
  }

  /** Committed, durable here and not yet handed out; undefined when there is none, or while a piece is being applied. */
  applicable(): IndexRange | undefined {
    if (this.applying > this.applied) return undefined
    const toIndex = Math.min(this.committed, this.durable)
    return toIndex > this.applying ? { fromIndex: this.applying + 1, toIndex } : undefined
  }

  /** A piece up to `index` was handed out to be applied. */
  markApplying(index: LogIndex): void {
    assert(index > this.applying && index <= Math.min(this.committed, this.durable), "applied: committed and durable")
    this.applying = index
  }

  /** The state machine has applied everything up to `index`. Late reports from before a snapshot are ignored. */
  markApplied(index: LogIndex): void {
    if (index <= this.applied) return
    assert(index <= this.applying, "only what was handed out can be applied")
    this.applied = index
    this.evict()
  }

  /**
   * The entries of `range` from its beginning, as many as `maxBytes` allow but at least one; undefined when the first
   * is not in memory. O(entries returned).
   */
  inMemory(range: IndexRange, maxBytes: number): readonly Entry[] | undefined {
    const first = this.firstCachedIndex
    if (range.fromIndex < first) return undefined
    const start = this.evictedCount + range.fromIndex - first
    const limit = this.evictedCount + Math.min(range.toIndex, this.lastIndex) - first + 1
    let bytes = 0
    let end = start
    for (; end < limit; end++) {
      const entry = this.cached[end]
      assert(entry !== undefined, "the cache has no holes")
      bytes += entryBytes(entry)
      if (bytes > maxBytes && end > start) break
    }
    return this.cached.slice(start, end)
  }

  /** Moves the base up to `index`, which is applied: nobody asks for entries up to there any more. */
  compact(index: LogIndex): void {
    assert(index <= this.applied && index <= this.durable, "only what is applied and durable is compacted")
    this.runs.compact(index)
    while (this.firstCachedIndex <= index && this.cached.length > this.evictedCount) this.dropFirst()
    this.cutEvicted()
  }

  /** A snapshot that ends at `index` replaces everything. */
  reset(index: LogIndex, term: Term): void {
    assert(index > this.applied, "a snapshot never takes the state machine back")
    this.runs.reset(index, term)
    this.cached = []
    this.evictedCount = 0
    this.cachedBytesNow = 0
    this.committed = index
    this.applied = index
    this.applying = index
    this.durable = index
    this.written = index
  }

  /** Drops applied entries from the front until the bound is kept, and others that are durable when it is far exceeded. */
  private evict(): void {
    this.evictTo(Math.min(this.durable, this.applied), this.cacheBytes)
    this.evictTo(this.durable, this.cacheBytes * UNAPPLIED_CACHE_FACTOR)
    if (this.evictedCount >= MIN_EVICTED_TO_CUT) this.cutEvicted()
  }

  private evictTo(index: LogIndex, boundBytes: number): void {
    while (this.cachedBytesNow > boundBytes && this.firstCachedIndex <= index) this.dropFirst()
  }

  private dropFirst(): void {
    const entry = this.cached[this.evictedCount]
    assert(entry !== undefined, "the cache is not empty")
    this.cachedBytesNow -= entryBytes(entry)
    this.cached[this.evictedCount] = EVICTED
    this.evictedCount++
  }

  private dropLast(): void {
    const entry = this.cached.pop()
    assert(entry !== undefined, "the cache is not empty")
    this.cachedBytesNow -= entryBytes(entry)
    this.runs.truncate(entry.index - 1)
  }

  /** Cuts the evicted places off in bulk: the cost is shared by at least as many evictions. */
  private cutEvicted(): void {
    if (this.evictedCount * 2 < this.cached.length) return
    this.cached = this.cached.slice(this.evictedCount)
    this.evictedCount = 0
  }
}
