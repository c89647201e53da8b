/**
 * One segment of the log as the running node knows it: an open file, the table of its entries, and how far it was written.
 */
import type { LogIndex } from "../../core/raft/types.ts"
import type { DiskFile, SegmentOverview } from "../../ports.ts"
import type { OffsetIndex } from "./offset-index.ts"
import { DATA_START } from "./segment-header.ts"
import { Gate } from "./task.ts"

export interface SegmentParts {
  readonly sequence: number
  readonly path: string
  readonly file: DiskFile
  /** 0 when the file is not preallocated: it cannot be recycled. */
  readonly fileBytes: number
  readonly isStaged: boolean
  readonly index: OffsetIndex
  readonly endOffset: number
  readonly prev: PreviousSegment
}

/** The segment appended to before, and where it ended: kept by every copy of this segment. */
export interface PreviousSegment {
  readonly sequence: number
  readonly endOffset: number
}

export class Segment {
  readonly sequence: number
  readonly path: string
  readonly isStaged: boolean
  readonly prev: PreviousSegment
  fileBytes: number
  file: DiskFile
  index: OffsetIndex
  /** End of the last durable batch. */
  endOffset: number
  /** Highest index that was ever written here: only when the base has passed it is the file's history of no use. */
  highestIndex: LogIndex
  /** Reads under way; the file is neither closed nor reused before they end. */
  #readerCount = 0
  readonly #idle = new Gate()

  constructor(parts: SegmentParts) {
    this.sequence = parts.sequence
    this.path = parts.path
    this.file = parts.file
    this.fileBytes = parts.fileBytes
    this.isStaged = parts.isStaged
    this.prev = parts.prev
    this.index = parts.index
    this.endOffset = parts.endOffset
    this.highestIndex = parts.index.lastIndex
  }

  get isEmpty(): boolean {
    return this.index.count === 0
  }

  get usedBytes(): number {
    return this.endOffset - DATA_START
  }

  overview(isActive: boolean): SegmentOverview {
    return {
      firstIndex: this.index.firstIndex,
      lastIndex: this.index.lastIndex,
      entryCount: this.index.count,
      bytes: this.usedBytes,
      contiguous: !this.index.isSparse,
      active: isActive,
    }
  }

  /** The same segment under another name. */
  movedTo(path: string): Segment {
    const { sequence, file, fileBytes, isStaged, index, endOffset, prev } = this
    return new Segment({ sequence, path, file, fileBytes, isStaged, index, endOffset, prev })
  }

  beginRead(): void {
    this.#readerCount++
  }

  endRead(): void {
    this.#readerCount--
    if (this.#readerCount === 0) this.#idle.open()
  }

  get isBeingRead(): boolean {
    return this.#readerCount > 0
  }

  /** Calls back when the last reader has gone; only while `isBeingRead`. */
  whenIdle(done: (error: Error | undefined) => void): void {
    this.#idle.pass(done)
  }
}
