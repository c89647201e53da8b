/**
 * Begins a fresh segment at opening. The last batch of the old one, which nothing shows to be durable, is written again:
 * after a failed sync the page cache may show bytes that are not on the disk (D4).
 */
import { ENTRY_HEADER_BYTES, entryBytes, batchLayout } from "../../codec/log-record.ts"
import type { Entry, LogIndex } from "../../core/raft/types.ts"
import { buildBatch } from "./batch-builder.ts"
import type { BuiltBatch, WriterIds } from "./batch-builder.ts"
import { renameFile, syncDirectory, syncFile, writeWhole } from "./file-io.ts"
import type { HardStateFile } from "./hard-state-file.ts"
import { LogStoreError } from "./log-options.ts"
import type { SegmentedLogSetup } from "./log-options.ts"
import { segmentPath } from "./log-parts.ts"
import type { LogRebuild } from "./log-rebuild.ts"
import { OffsetIndex } from "./offset-index.ts"
import { Segment } from "./segment.ts"
import { DATA_START, dataEnd, encodeFooter, encodeSegmentHeader } from "./segment-header.ts"
import { sampleWords } from "./segment-loader.ts"
import type { LoadedSegment } from "./segment-loader.ts"
import type { SegmentPool, SpareFile } from "./segment-pool.ts"
import type { Task } from "./task.ts"

export interface FreshSegmentRequest {
  readonly setup: SegmentedLogSetup
  readonly ids: WriterIds
  readonly pool: SegmentPool
  readonly hardState: HardStateFile
  readonly rebuild: LogRebuild
  /** The segment written to before, with its content; its end is where the fresh one takes over. */
  readonly last: { readonly segment: Segment; readonly loaded: LoadedSegment } | undefined
  readonly sequence: number
  readonly isAmbiguous: boolean
}

/** The end of the log, to be written again. */
interface TailCopy {
  readonly entries: readonly Entry[]
  readonly lost: ReadonlySet<LogIndex>
  readonly bytes: number
}

/** What the next batch has to know about the fresh segment. */
export interface FreshSegment {
  /** First word of each sector of its file. */
  readonly samples: Uint32Array
  readonly chain: number
}

/** Adds the fresh segment to the rebuilt log. */
export function* beginFreshSegment(request: FreshSegmentRequest): Task<FreshSegment> {
  const { setup, rebuild, sequence, last } = request
  const { options, disk } = setup
  const spare = yield* request.pool.takeAtOpening()
  if (spare === undefined) {
    throw new LogStoreError("noSpace", { path: options.directory, text: "no space for the segment that opening needs" })
  }
  const path = segmentPath(options.directory, sequence)
  const baseIndex = request.hardState.state.baseIndex
  const index = new OffsetIndex(Math.max(rebuild.lastIndex, baseIndex) + 1, { isSparse: false })
  const prev = { sequence: last?.segment.sequence ?? 0, endOffset: last?.segment.endOffset ?? 0 }
  const parts = { sequence, path, index, prev, file: spare.file, fileBytes: options.segmentBytes, isStaged: false }
  const segment = new Segment({ ...parts, endOffset: DATA_START })
  rebuild.beginSegment(segment, undefined)
  const tail = takeTail(request, segment)
  const written = encodeStart(request, { segment, tail, spare })
  yield* writeWhole(spare.file, written.buffers, 0)
  yield* syncFile(spare.file)
  yield* renameFile(disk, spare.path, path)
  yield* syncDirectory(disk, options.directory)
  // Only now may the old segment say where it ends: its last batch has found a new home.
  if (last !== undefined && last.segment.fileBytes > 0) {
    const { fileBytes, endOffset } = last.segment
    const footer = { sequence: last.segment.sequence, endOffset, samples: sampleWords(last.loaded.bytes, fileBytes) }
    yield* writeWhole(last.segment.file, [encodeFooter(footer, fileBytes)], dataEnd(fileBytes))
    yield* syncFile(last.segment.file)
  }
  request.hardState.state.activeSequence = sequence
  yield* request.hardState.save()
  moveTable(segment, { tail, batch: written.batch })
  return { samples: spare.samples, chain: written.chain }
}

/** Plays the unproven batch onto the fresh segment and takes its entries out of the old file's bytes. */
function takeTail(request: FreshSegmentRequest, segment: Segment): TailCopy {
  const { rebuild, last } = request
  const lost = new Set<LogIndex>()
  const part = last?.loaded.scan.parts.at(-1)
  if (last === undefined || part === undefined || part.offset !== last.loaded.scan.unwitnessedFrom) {
    return { entries: [], lost, bytes: 0 }
  }
  const { bytes } = last.loaded
  rebuild.take(part, bytes)
  // What a snapshot made void in the old segment must not come back in the new one.
  const { floorIndex, floorSequence } = request.hardState.state
  if (last.segment.sequence < floorSequence) segment.index.dropThrough(floorIndex)
  const kinds = new Map(part.entries.map((entry) => [entry.index, entry.kind]))
  const entries: Entry[] = []
  let entriesBytes = 0
  for (let slot = 0; slot < segment.index.count; slot++) {
    const entryIndex = segment.index.indexAt(slot)
    const start = segment.index.offsetAt(slot) + ENTRY_HEADER_BYTES
    const isLost = segment.index.isLost(slot)
    if (isLost) lost.add(entryIndex)
    const data = bytes.subarray(start, isLost ? start : start + segment.index.lengthAt(slot))
    entries.push({
      index: entryIndex,
      term: rebuild.termAt(entryIndex),
      kind: kinds.get(entryIndex) ?? "commands",
      data,
    })
    entriesBytes += entryBytes(data.length)
  }
  const capacity = dataEnd(request.setup.options.segmentBytes) - DATA_START
  if (entries.length > 0 && batchLayout(entriesBytes).batchBytes > capacity) {
    const text = "the last batch does not fit into a segment: segmentBytes was made too small"
    throw new LogStoreError("refused", { path: segment.path, text })
  }
  return { entries, lost, bytes: entries.length === 0 ? 0 : batchLayout(entriesBytes).batchBytes }
}

/** Header block and, behind it, the copied batch. */
function encodeStart(
  request: FreshSegmentRequest,
  content: { readonly segment: Segment; readonly tail: TailCopy; readonly spare: SpareFile },
): { buffers: Uint8Array[]; batch: BuiltBatch | undefined; chain: number } {
  const { rebuild, ids, sequence, last } = request
  const { segment, tail } = content
  const { baseIndex, baseTerm } = request.hardState.state
  const prevIndex = tail.entries.length > 0 ? segment.index.firstIndex - 1 : Math.max(rebuild.lastIndex, baseIndex)
  const prevTerm = prevIndex === baseIndex ? baseTerm : rebuild.termAt(prevIndex)
  const { truncation, commitIndex } = rebuild
  const prevTermRun = rebuild.termRunAt(prevIndex)
  const counts = { truncationCount: truncation.count, truncationFirst: truncation.first }
  const shared = { ...counts, commitIndex, prevTerm, prevTermRun }
  const header = encodeSegmentHeader({
    ...ids,
    ...shared,
    sequence,
    fileBytes: request.setup.options.segmentBytes,
    isRewritten: false,
    isStaged: false,
    isSparse: false,
    isAmbiguous: request.isAmbiguous,
    firstIndex: prevIndex + 1,
    prevIndex,
    lastIndex: 0,
    lastTerm: 0,
    prevSequence: last?.segment.sequence ?? 0,
    prevEndOffset: last?.segment.endOffset ?? 0,
    chainSeed: last?.loaded.scan.chain ?? 0,
    trustedEnd: DATA_START + tail.bytes,
  })
  if (tail.entries.length === 0) return { buffers: [header.block], batch: undefined, chain: header.checksum }
  const batch = buildBatch({
    ...shared,
    ids,
    kind: "entries",
    entries: tail.entries,
    lost: tail.lost,
    sequence,
    offset: DATA_START,
    firstIndex: prevIndex + 1,
    chain: header.checksum,
    samples: content.spare.samples,
  })
  return { buffers: [header.block, ...batch.buffers], batch, chain: batch.checksum }
}

/** The table of the fresh segment still says where the entries lay in the old file. */
function moveTable(
  segment: Segment,
  written: { readonly tail: TailCopy; readonly batch: BuiltBatch | undefined },
): void {
  const { tail, batch } = written
  if (batch === undefined) return
  const table = new OffsetIndex(segment.index.firstIndex, { isSparse: false })
  for (const [place, entry] of tail.entries.entries()) {
    if (tail.lost.has(entry.index)) table.appendLost(entry.index)
    else table.append(entry.index, batch.offsets[place] ?? 0, entry.data.length)
  }
  segment.index = table
  segment.endOffset = DATA_START + batch.bytes
}
