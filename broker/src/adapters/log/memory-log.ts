/**
 * A log in memory, for tests and for the in-memory mode. It acknowledges without any disk, as its name says, and forgets
 * everything with the process.
 */
import { assert } from "../../core/assert.ts"
import { TermRuns } from "../../core/raft/term-runs.ts"
import type { Entry, LogIndex, LogWrite, SnapshotMeta, Term } from "../../core/raft/types.ts"
import type {
  DiskSpace,
  Done,
  LogEvents,
  LogRecovery,
  LogStore,
  RecordPositions,
  SegmentOverview,
} from "../../ports.ts"

const ENTRIES_PER_SEGMENT = 1024

export interface MemoryLogParts {
  readonly events: LogEvents
  /** Runs something after the method that asked for it has returned. */
  readonly defer: (run: () => void) => void
}

/** What a log without a past recovers. */
export const EMPTY_RECOVERY: LogRecovery = {
  hardState: undefined,
  baseIndex: 0,
  baseTerm: 0,
  lastIndex: 0,
  terms: [],
  configurations: [],
  damaged: [],
  ambiguousTail: false,
}

export class MemoryLog implements LogStore {
  readonly #parts: MemoryLogParts
  readonly #terms = new TermRuns({ baseIndex: 0, baseTerm: 0, terms: [], lastIndex: 0 })
  #entries = new Map<LogIndex, Entry>()
  #staged: Entry[] = []
  #isClosed = false

  constructor(parts: MemoryLogParts) {
    this.#parts = parts
  }

  write(write: LogWrite): void {
    const first = write.entries[0]
    if (first !== undefined) {
      assert(first.index <= this.#terms.lastIndex + 1, "a write leaves no gap in the log")
      for (let index = first.index; index <= this.#terms.lastIndex; index++) this.#entries.delete(index)
      if (first.index <= this.#terms.lastIndex) this.#terms.truncate(first.index - 1)
    }
    for (const entry of write.entries) {
      this.#entries.set(entry.index, entry)
      this.#terms.append(entry.term)
    }
    this.#parts.defer(() => {
      if (!this.#isClosed) this.#parts.events.persisted(write.sequence)
    })
  }

  readEntries(
    range: { readonly fromIndex: LogIndex; readonly toIndex: LogIndex; readonly maxBytes: number },
    done: Done<readonly Entry[] | "compacted">,
  ): void {
    const entries: Entry[] = []
    let bytes = 0
    for (let index = range.fromIndex; index <= Math.min(range.toIndex, this.#terms.lastIndex); index++) {
      const entry = this.#entries.get(index)
      if (entry === undefined) break
      bytes += entry.data.length
      if (entries.length > 0 && bytes > range.maxBytes) break
      entries.push(entry)
    }
    const isMissing = entries.length === 0 && range.fromIndex <= this.#terms.lastIndex
    this.#parts.defer(() => {
      done(undefined, isMissing ? "compacted" : entries)
    })
  }

  readRecords(positions: RecordPositions, done: Done<readonly (Uint8Array | undefined)[]>): void {
    const records: (Uint8Array | undefined)[] = []
    for (let place = 0; place < positions.count; place++) {
      const data = this.#entries.get(positions.entryIndexes[place] ?? 0)?.data
      const offset = positions.offsets[place] ?? 0
      const end = offset + (positions.lengths[place] ?? 0)
      records.push(data === undefined || end > data.length ? undefined : data.subarray(offset, end))
    }
    this.#parts.defer(() => {
      done(undefined, records)
    })
  }

  /** Pretends segments of 1024 indexes each, so that compaction can be tried without files. */
  segments(): readonly SegmentOverview[] {
    const groups = new Map<number, Entry[]>()
    for (const entry of [...this.#entries.values()].sort((left, right) => left.index - right.index)) {
      const group = Math.floor(entry.index / ENTRIES_PER_SEGMENT)
      groups.set(group, [...(groups.get(group) ?? []), entry])
    }
    const overviews: SegmentOverview[] = []
    for (const entries of groups.values()) {
      const firstIndex = entries[0]?.index ?? 0
      const lastIndex = entries.at(-1)?.index ?? 0
      const bytes = entries.reduce((sum, entry) => sum + entry.data.length, 0)
      const contiguous = lastIndex - firstIndex + 1 === entries.length
      const active = lastIndex === this.#terms.lastIndex
      overviews.push({ firstIndex, lastIndex, entryCount: entries.length, bytes, contiguous, active })
    }
    return overviews
  }

  compact(index: LogIndex, term: Term): void {
    if (index <= this.#terms.baseIndex) return
    assert(this.#terms.termAt(index) === term, "the log is compacted at an entry it holds")
    this.#terms.compact(index)
  }

  drop(firstIndexes: readonly LogIndex[], done: Done): void {
    for (const segment of this.segments()) {
      if (segment.active || segment.lastIndex > this.#terms.baseIndex) continue
      if (!firstIndexes.includes(segment.firstIndex)) continue
      this.#keepBetween(segment.firstIndex, segment.lastIndex, [])
    }
    this.#answer(done)
  }

  rewrite(firstIndex: LogIndex, keep: readonly LogIndex[], done: Done): void {
    const segment = this.segments().find((each) => each.firstIndex === firstIndex)
    if (segment !== undefined) this.#keepBetween(segment.firstIndex, segment.lastIndex, keep)
    this.#answer(done)
  }

  stageEntries(entries: readonly Entry[], done: Done): void {
    this.#staged.push(...entries)
    this.#answer(done)
  }

  sealStaged(done: Done): void {
    this.#answer(done)
  }

  discardStaged(done: Done): void {
    this.#staged = []
    this.#answer(done)
  }

  reset(meta: SnapshotMeta, done: Done): void {
    const { lastIncludedIndex, lastIncludedTerm } = meta
    const keepsSuffix = this.#terms.termAt(lastIncludedIndex) === lastIncludedTerm
    const kept = [...this.#entries.values()].filter((entry) => keepsSuffix && entry.index > lastIncludedIndex)
    this.#entries = new Map([...this.#staged, ...kept].map((entry) => [entry.index, entry]))
    this.#staged = []
    if (keepsSuffix) this.#terms.compact(lastIncludedIndex)
    else this.#terms.reset(lastIncludedIndex, lastIncludedTerm)
    this.#answer(done)
  }

  repair(entries: readonly Entry[], done: Done): void {
    for (const entry of entries) if (this.#entries.has(entry.index)) this.#entries.set(entry.index, entry)
    this.#answer(done)
  }

  space(): DiskSpace {
    let usedBytes = 0
    for (const entry of this.#entries.values()) usedBytes += entry.data.length
    return { low: false, usedBytes }
  }

  close(done: Done): void {
    this.#isClosed = true
    this.#answer(done)
  }

  #keepBetween(firstIndex: LogIndex, lastIndex: LogIndex, keep: readonly LogIndex[]): void {
    const kept = new Set(keep)
    for (let index = firstIndex; index <= lastIndex; index++) if (!kept.has(index)) this.#entries.delete(index)
  }

  #answer(done: Done): void {
    this.#parts.defer(() => {
      done(undefined)
    })
  }
}
