/**
 * Writes a segment that is complete when it gets its name: by cleaning, repair, or snapshot install. Draft, sync, rename,
 * directory sync: a crash leaves the draft (removed at the next opening) or the whole.
 */
import { SECTOR_BYTES, entryBytes } from "../../codec/log-record.ts"
import type { Entry, LogIndex, Term } from "../../core/raft/types.ts"
import type { Disk, DiskFile } from "../../ports.ts"
import { buildBatch } from "./batch-builder.ts"
import type { WriterIds } from "./batch-builder.ts"
import { closeFile, openFile, removeFile, renameFile, syncDirectory, syncFile, writeWhole } from "./file-io.ts"
import { OffsetIndex } from "./offset-index.ts"
import { Segment } from "./segment.ts"
import type { PreviousSegment } from "./segment.ts"
import { DATA_START, encodeSegmentHeader } from "./segment-header.ts"
import type { Task } from "./task.ts"

const BATCH_TARGET_BYTES = 1024 * 1024

export interface SegmentWriterRequest {
  readonly disk: Disk
  readonly ids: WriterIds
  readonly directory: string
  /** Where the finished file goes; a file of this name is replaced. */
  readonly path: string
  readonly sequence: number
  readonly isStaged: boolean
  readonly isSparse: boolean
  readonly firstIndex: LogIndex
  readonly prev: PreviousSegment
}

/** The log at the end of the original segment. */
export interface RewrittenEnd {
  readonly lastIndex: LogIndex
  readonly lastTerm: Term
  readonly truncationCount: number
  readonly truncationFirst: LogIndex
  readonly commitIndex: LogIndex
}

export class SegmentWriter {
  readonly #request: SegmentWriterRequest
  readonly #file: DiskFile
  readonly #index: OffsetIndex
  #waiting: Entry[] = []
  #waitingBytes = 0
  readonly #lost = new Set<LogIndex>()
  #offset = DATA_START
  #chain = 0
  #lastTerm: Term = 0

  private constructor(request: SegmentWriterRequest, file: DiskFile) {
    this.#request = request
    this.#file = file
    this.#index = new OffsetIndex(request.firstIndex, { isSparse: request.isSparse })
  }

  static *open(request: SegmentWriterRequest): Task<SegmentWriter> {
    yield* removeFile(request.disk, draftOf(request))
    return new SegmentWriter(request, yield* openFile(request.disk, draftOf(request), true))
  }

  /** Bytes written or waiting. */
  get bytes(): number {
    return this.#offset + this.#waitingBytes
  }

  get lastIndex(): LogIndex {
    return this.#waiting.at(-1)?.index ?? this.#index.lastIndex
  }

  get lastTerm(): Term {
    return this.#waiting.at(-1)?.term ?? this.#lastTerm
  }

  /** Adds an entry; `isLost` when only its place is known and its data must come from a peer. */
  *add(entry: Entry, isLost: boolean): Task {
    this.#waiting.push(entry)
    this.#waitingBytes += entryBytes(entry.data.length)
    if (isLost) this.#lost.add(entry.index)
    if (this.#waitingBytes >= BATCH_TARGET_BYTES) yield* this.#writeBatch()
  }

  /** Completes the file, gives it its name, and makes both durable. */
  *finish(end: RewrittenEnd): Task<Segment> {
    const { disk, directory, path, sequence, isStaged, ids } = this.#request
    yield* this.#writeBatch()
    if (this.#index.isSparse) yield* this.#writeIndex()
    const header = encodeSegmentHeader({
      ...ids,
      ...end,
      sequence,
      fileBytes: 0,
      isRewritten: true,
      isStaged,
      isSparse: this.#request.isSparse,
      isAmbiguous: false,
      firstIndex: this.#request.firstIndex,
      prevIndex: this.#request.firstIndex - 1,
      prevTerm: 0,
      prevTermRun: 0,
      prevSequence: this.#request.prev.sequence,
      prevEndOffset: this.#request.prev.endOffset,
      chainSeed: 0,
      trustedEnd: this.#offset,
    })
    yield* writeWhole(this.#file, [header.block], 0)
    yield* syncFile(this.#file)
    yield* renameFile(disk, draftOf(this.#request), path)
    yield* syncDirectory(disk, directory)
    this.#index.trim()
    const { prev } = this.#request
    const parts = { sequence, path, isStaged, prev, file: this.#file, fileBytes: 0, index: this.#index }
    return new Segment({ ...parts, endOffset: this.#offset })
  }

  /** Gives up: the draft is removed. */
  *abandon(): Task {
    yield* closeFile(this.#file)
    yield* removeFile(this.#request.disk, draftOf(this.#request))
  }

  *#writeBatch(): Task {
    const entries = this.#waiting
    const first = entries[0]
    if (first === undefined) return
    this.#waiting = []
    this.#waitingBytes = 0
    const batch = yield* this.#write("entries", entries)
    for (const [place, entry] of entries.entries()) {
      if (this.#lost.has(entry.index)) this.#index.appendLost(entry.index)
      else this.#index.append(entry.index, batch[place] ?? 0, entry.data.length)
    }
    this.#lastTerm = entries.at(-1)?.term ?? this.#lastTerm
  }

  /** Lists the indexes of all entries: when a batch rots later, it is known which entries are gone. */
  *#writeIndex(): Task {
    const data = Buffer.alloc(this.#index.count * 8)
    for (let slot = 0; slot < this.#index.count; slot++) {
      const index = this.#index.indexAt(slot)
      data.writeUInt32LE(index % 0x1_0000_0000, slot * 8)
      data.writeUInt32LE(Math.floor(index / 0x1_0000_0000), slot * 8 + 4)
    }
    yield* this.#write("index", [{ index: this.#request.firstIndex, term: 0, kind: "commands", data }])
  }

  *#write(kind: "entries" | "index", entries: readonly Entry[]): Task<readonly number[]> {
    const batch = buildBatch({
      kind,
      ids: this.#request.ids,
      entries,
      lost: this.#lost,
      sequence: this.#request.sequence,
      offset: this.#offset,
      firstIndex: entries[0]?.index ?? 0,
      prevTerm: this.#lastTerm,
      prevTermRun: 0,
      commitIndex: 0,
      chain: this.#chain,
      truncationCount: 0,
      truncationFirst: 0,
      samples: undefined,
    })
    yield* writeWhole(this.#file, batch.buffers, this.#offset)
    this.#offset += batch.bytes
    this.#chain = batch.checksum
    if (this.#offset % SECTOR_BYTES !== 0) throw new Error("batches end at sectors")
    return batch.offsets
  }
}

function draftOf(request: SegmentWriterRequest): string {
  return `${request.path}.tmp`
}
