/**
 * Reads entries and message records: from the recent-entries cache, else from the files, neighbours in one read. Every byte
 * from a file is checked before it is given out. Changes nothing, except that entries found rotten are remembered as lost.
 */
import { crc32 } from "../../codec/crc.ts"
import { ENTRY_HEADER_BYTES, decodeEntryHeader, entryBytes } from "../../codec/log-record.ts"
import type { Entry, LogIndex } from "../../core/raft/types.ts"
import type { Done, RecordPositions } from "../../ports.ts"
import { readWhole } from "./file-io.ts"
import { LogStoreError } from "./log-options.ts"
import type { LogParts } from "./log-parts.ts"
import type { Segment } from "./segment.ts"
import { attempt, runTask, wait } from "./task.ts"
import type { Task } from "./task.ts"

/** Records at most this far apart are read together: a gap costs less than another read. */
const READ_GAP_BYTES = 4 * 1024
/** A joint read grows no larger than this. */
const READ_RUN_BYTES = 1024 * 1024
/** Joint reads of one request that run at the same time. */
const READS_AT_ONCE = 4

export interface EntriesRange {
  readonly fromIndex: LogIndex
  readonly toIndex: LogIndex
  readonly maxBytes: number
}

/** One record to be read from a file, and where it goes in the answer. */
interface WantedRecord {
  readonly place: number
  readonly segment: Segment
  readonly offset: number
  readonly length: number
}

export class LogReader {
  readonly #parts: LogParts
  readonly #lastIndex: () => LogIndex

  /** `lastIndex` includes what is queued: it bounds what may be read. */
  constructor(parts: LogParts, lastIndex: () => LogIndex) {
    this.#parts = parts
    this.#lastIndex = lastIndex
  }

  *readEntries(range: EntriesRange): Task<readonly Entry[] | "compacted"> {
    const entries: Entry[] = []
    const toIndex = Math.min(range.toIndex, this.#lastIndex())
    let bytes = 0
    let index = range.fromIndex
    while (index <= toIndex && (entries.length === 0 || bytes < range.maxBytes)) {
      const cached = this.#parts.recent.get(index)
      if (cached !== undefined) {
        if (entries.length > 0 && bytes + cached.data.length > range.maxBytes) break
        entries.push(cached)
        bytes += cached.data.length
        index++
        continue
      }
      const isFirst = entries.length === 0
      const run = yield* this.#readRun({ fromIndex: index, toIndex, maxBytes: range.maxBytes - bytes }, isFirst)
      if (run === "compacted") return isFirst ? "compacted" : entries
      if (run.length === 0) break
      for (const entry of run) {
        entries.push(entry)
        bytes += entry.data.length
      }
      index += run.length
    }
    return entries
  }

  /** Entries of this very segment from `index` on, about 1 MiB; none when the first one is lost. */
  *readSegment(segment: Segment, index: LogIndex): Task<readonly Entry[]> {
    const table = segment.index
    const firstSlot = table.slotOf(index)
    if (firstSlot < 0 || table.isLost(firstSlot)) return []
    const start = table.offsetAt(firstSlot)
    let lastSlot = firstSlot
    for (let slot = firstSlot + 1; slot < table.count && !table.isLost(slot); slot++) {
      const end = table.offsetAt(slot) + table.lengthAt(slot)
      if (table.offsetAt(slot) < start || end - start > READ_RUN_BYTES) break
      lastSlot = slot
    }
    return yield* this.#readSlots(segment, { firstSlot, lastSlot, isFirst: false })
  }

  /** Consecutive entries of one segment, at least the first one if `isFirst`, by one read. */
  *#readRun(range: EntriesRange, isFirst: boolean): Task<readonly Entry[] | "compacted"> {
    const { state, recent } = this.#parts
    const segment = state.find(range.fromIndex)
    if (segment === undefined) return "compacted"
    const { index } = segment
    const firstSlot = index.slotOf(range.fromIndex)
    if (index.isLost(firstSlot)) {
      if (isFirst) throw this.#damaged(segment, range.fromIndex)
      return []
    }
    let lastSlot = firstSlot
    let bytes = index.lengthAt(firstSlot)
    if (!isFirst && bytes > range.maxBytes) return []
    for (let slot = firstSlot + 1; slot < index.count && index.indexAt(slot) <= range.toIndex; slot++) {
      bytes += index.lengthAt(slot)
      const isConsecutive = index.indexAt(slot) === index.indexAt(slot - 1) + 1 && !index.isLost(slot)
      const isNear = index.offsetAt(slot) > index.offsetAt(slot - 1)
      if (!isConsecutive || !isNear || bytes > range.maxBytes || recent.get(index.indexAt(slot)) !== undefined) break
      lastSlot = slot
    }
    return yield* this.#readSlots(segment, { firstSlot, lastSlot, isFirst })
  }

  *#readSlots(
    segment: Segment,
    run: { readonly firstSlot: number; readonly lastSlot: number; readonly isFirst: boolean },
  ): Task<readonly Entry[]> {
    const { index } = segment
    const places: { index: LogIndex; offset: number; length: number }[] = []
    for (let slot = run.firstSlot; slot <= run.lastSlot; slot++) {
      places.push({ index: index.indexAt(slot), offset: index.offsetAt(slot), length: index.lengthAt(slot) })
    }
    const start = places[0]?.offset ?? 0
    const last = places.at(-1)
    const end = (last?.offset ?? 0) + entryBytes(last?.length ?? 0)
    const bytes = yield* this.#readBytes(segment, { start, end })
    const entries: Entry[] = []
    for (const place of places) {
      const entry = bytes === undefined ? undefined : entryAt(bytes, { start, sequence: segment.sequence, ...place })
      if (entry === undefined) {
        const slot = index.slotOf(place.index)
        if (slot >= 0 && index.offsetAt(slot) === place.offset) index.markLost(slot)
        if (entries.length === 0 && run.isFirst) throw this.#damaged(segment, place.index)
        break
      }
      entries.push(entry)
    }
    return entries
  }

  /** Message records in the order asked; undefined for one that is not here or fails its own check. */
  *readRecords(positions: RecordPositions): Task<readonly (Uint8Array | undefined)[]> {
    const answer = new Array<Uint8Array | undefined>(positions.count).fill(undefined)
    const wanted: WantedRecord[] = []
    for (let place = 0; place < positions.count; place++) {
      const entryIndex = positions.entryIndexes[place] ?? 0
      const offset = positions.offsets[place] ?? 0
      const length = positions.lengths[place] ?? 0
      const cached = this.#parts.recent.get(entryIndex)
      if (cached !== undefined) {
        if (offset + length <= cached.data.length) answer[place] = cached.data.subarray(offset, offset + length)
        continue
      }
      const segment = this.#parts.state.find(entryIndex)
      if (segment === undefined) continue
      const slot = segment.index.slotOf(entryIndex)
      if (segment.index.isLost(slot) || offset + length > segment.index.lengthAt(slot)) continue
      const fileOffset = segment.index.offsetAt(slot) + ENTRY_HEADER_BYTES + offset
      wanted.push({ place, segment, offset: fileOffset, length })
    }
    if (wanted.length > 0) yield* this.#readWanted(wanted, answer)
    return answer
  }

  *#readWanted(wanted: WantedRecord[], answer: (Uint8Array | undefined)[]): Task {
    const runs = joinNeighbours(wanted)
    for (let at = 0; at < runs.length; at += READS_AT_ONCE) {
      const together = runs.slice(at, at + READS_AT_ONCE)
      let openCount = together.length
      yield* wait<void>((done) => {
        for (const run of together) {
          runTask(this.#readJoined(run, answer), (error) => {
            openCount--
            if (error !== undefined) throw error
            if (openCount === 0) done(undefined)
          })
        }
      })
    }
  }

  *#readJoined(run: readonly WantedRecord[], answer: (Uint8Array | undefined)[]): Task {
    const segment = run[0]?.segment
    if (segment === undefined) return
    const start = run[0]?.offset ?? 0
    let end = start
    for (const record of run) end = Math.max(end, record.offset + record.length)
    const bytes = yield* this.#readBytes(segment, { start, end })
    if (bytes === undefined) return
    for (const record of run) {
      const from = record.offset - start
      const found = bytes.subarray(from, from + record.length)
      if (found.length === record.length && this.#parts.options.verifyRecord(found)) answer[record.place] = found
    }
  }

  /** Bytes of a file; undefined when the disk cannot read them (D14: as if they were rotten). */
  *#readBytes(segment: Segment, range: { readonly start: number; readonly end: number }): Task<Buffer | undefined> {
    const target = Buffer.allocUnsafe(range.end - range.start)
    segment.beginRead()
    const outcome = yield* attempt<number>((done: Done<number>) => {
      runTask(readWhole(segment.file, target, range.start), done)
    })
    segment.endRead()
    if (outcome.error !== undefined) return undefined
    return target.subarray(0, outcome.value)
  }

  #damaged(segment: Segment, index: LogIndex): LogStoreError {
    return new LogStoreError("damaged", { path: segment.path, text: `entry ${index} is unreadable` })
  }
}

/** The entry whose header lies at `offset` of the file, of which `bytes` begins at `start`; undefined when rotten. */
function entryAt(
  bytes: Buffer,
  place: { readonly index: LogIndex; readonly offset: number; readonly start: number; readonly sequence: number },
): Entry | undefined {
  const at = place.offset - place.start
  const header = decodeEntryHeader(bytes, at, { sequence: place.sequence, offset: place.offset })
  if (header?.index !== place.index || header.isDamaged) return undefined
  const data = bytes.subarray(at + ENTRY_HEADER_BYTES, at + ENTRY_HEADER_BYTES + header.payloadBytes)
  if (data.length !== header.payloadBytes || crc32(data) !== header.payloadCrc) return undefined
  return { index: header.index, term: header.term, kind: header.kind, data }
}

/** Sorts by place in the files and puts neighbours together. */
function joinNeighbours(wanted: WantedRecord[]): WantedRecord[][] {
  wanted.sort((left, right) => left.segment.sequence - right.segment.sequence || left.offset - right.offset)
  const runs: WantedRecord[][] = []
  let run: WantedRecord[] = []
  let start = 0
  let end = 0
  for (const record of wanted) {
    const isNear = run[0]?.segment === record.segment && record.offset - end <= READ_GAP_BYTES
    if (run.length === 0 || !isNear || record.offset + record.length - start > READ_RUN_BYTES) {
      run = []
      runs.push(run)
      start = record.offset
      end = start
    }
    run.push(record)
    end = Math.max(end, record.offset + record.length)
  }
  return runs
}
