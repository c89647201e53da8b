/**
 * The block at the start of a segment file (two equal copies) and the footer at its end, byte by byte.
 *
 * The footer of a sealed segment keeps the first word of every sector as it was when the segment was sealed. When the
 * file is used again, it tells which sectors of an unfinished batch were never written: they still begin with the old
 * word. That is how a torn write and a rotten one are told apart in a recycled file (DESIGN.md, "Torn or rotten").
 */
import { ByteReader, DecodeError } from "../../codec/byte-reader.ts"
import { ByteWriter } from "../../codec/byte-writer.ts"
import { crc32 } from "../../codec/crc.ts"
import { LOG_FORMAT_VERSION, SECTOR_BYTES, roundUp } from "../../codec/log-record.ts"
import type { LogIndex, NodeId, Term } from "../../core/raft/types.ts"

/** Batches begin here; before it lie the two copies of the header, in blocks of 4096 of their own. */
export const DATA_START = 8192
const HEADER_COPY_BYTES = 512
const SECOND_COPY_AT = 4096
const HEADER_MAGIC = 0x534d434f
const FOOTER_MAGIC = 0x464d434f
const FOOTER_FIXED_BYTES = 64

const REWRITTEN_FLAG = 1
const STAGED_FLAG = 2
const AMBIGUOUS_FLAG = 4
const SPARSE_FLAG = 8

export interface SegmentHeader {
  readonly clusterHash: number
  readonly nodeId: NodeId
  readonly setId: number
  /** Number of the segment, also its file name; later segments have larger ones. */
  readonly sequence: number
  /** Size of the preallocated file; 0 for a rewritten segment, which is as long as its content and has no footer. */
  readonly fileBytes: number
  /** Written by cleaning, repair or snapshot install: complete when it got its name, never appended to. */
  readonly isRewritten: boolean
  /** Came with a snapshot. */
  readonly isStaged: boolean
  /** Rewritten with gaps: its last batch lists the indexes. */
  readonly isSparse: boolean
  /** The log before this segment ended in a damaged batch that may have been acknowledged. */
  readonly isAmbiguous: boolean
  /** First index of the range. Of a rewritten segment the range stays what it was, whatever was kept of it. */
  readonly firstIndex: LogIndex
  /** The log as it was when the segment was begun. */
  readonly prevIndex: LogIndex
  readonly prevTerm: Term
  /** How many entries up to `prevIndex` have `prevTerm` in a row, at most `TERM_RUN_MAX`. */
  readonly prevTermRun: number
  /** Rewritten segments only: end of the range, and the log at the end of the original segment. */
  readonly lastIndex: LogIndex
  readonly lastTerm: Term
  readonly truncationCount: number
  readonly truncationFirst: LogIndex
  /** The segment appended to before this one, where it ends, and the checksum of its last batch header. */
  readonly prevSequence: number
  readonly prevEndOffset: number
  readonly chainSeed: number
  /** Everything before this offset was synced before the file got its name. */
  readonly trustedEnd: number
  readonly commitIndex: LogIndex
}

export type DecodedSegmentHeader =
  | { readonly kind: "valid"; readonly header: SegmentHeader; readonly checksum: number }
  | { readonly kind: "newer" }
  | { readonly kind: "damaged" }

/** The whole block of `DATA_START` bytes, with both copies; `checksum` is the chain of the first batch. */
export function encodeSegmentHeader(header: SegmentHeader): { block: Buffer; checksum: number } {
  const writer = new ByteWriter(HEADER_COPY_BYTES)
  writer.uint32(HEADER_MAGIC)
  writer.uint8(LOG_FORMAT_VERSION)
  writer.uint8(
    (header.isRewritten ? REWRITTEN_FLAG : 0) |
      (header.isStaged ? STAGED_FLAG : 0) |
      (header.isAmbiguous ? AMBIGUOUS_FLAG : 0) |
      (header.isSparse ? SPARSE_FLAG : 0),
  )
  writer.uint16(0)
  writer.uint32(0)
  writer.uint32(header.clusterHash)
  writer.uint32(header.nodeId)
  writer.uint32(header.setId)
  writer.uint64(header.sequence)
  writer.uint64(header.fileBytes)
  writer.uint64(header.firstIndex)
  writer.uint64(header.prevIndex)
  writer.uint64(header.prevTerm)
  writer.uint64(header.lastIndex)
  writer.uint64(header.lastTerm)
  writer.uint64(header.truncationFirst)
  writer.uint32(header.truncationCount)
  writer.uint32(header.chainSeed)
  writer.uint64(header.prevSequence)
  writer.uint32(header.prevEndOffset)
  writer.uint32(header.trustedEnd)
  writer.uint64(header.commitIndex)
  writer.uint32(header.prevTermRun)
  writer.zeros(HEADER_COPY_BYTES - writer.length)
  const checksum = crc32(writer.finish())
  writer.patchUint32(8, checksum)
  const copy = writer.finish()
  const block = Buffer.alloc(DATA_START)
  block.set(copy, 0)
  block.set(copy, SECOND_COPY_AT)
  return { block, checksum }
}

/** Reads whichever copy is undamaged. */
export function decodeSegmentHeader(block: Buffer): DecodedSegmentHeader {
  const first = decodeCopy(block.subarray(0, HEADER_COPY_BYTES))
  if (first.kind !== "damaged") return first
  return decodeCopy(block.subarray(SECOND_COPY_AT, SECOND_COPY_AT + HEADER_COPY_BYTES))
}

function decodeCopy(copy: Buffer): DecodedSegmentHeader {
  if (copy.length < HEADER_COPY_BYTES || copy.readUInt32LE(0) !== HEADER_MAGIC) return { kind: "damaged" }
  const checksum = copy.readUInt32LE(8)
  const plain = Buffer.from(copy)
  plain.writeUInt32LE(0, 8)
  if (crc32(plain) !== checksum) return { kind: "damaged" }
  if (copy.readUInt8(4) > LOG_FORMAT_VERSION) return { kind: "newer" }
  try {
    return { kind: "valid", header: readFields(copy), checksum }
  } catch (error) {
    // The checksum is right and a number is not: whoever wrote it, it says nothing that could be believed.
    if (error instanceof DecodeError) return { kind: "damaged" }
    throw error
  }
}

function readFields(copy: Buffer): SegmentHeader {
  const reader = new ByteReader(copy)
  reader.skip(5)
  const flags = reader.uint8()
  reader.skip(6)
  return {
    isRewritten: (flags & REWRITTEN_FLAG) !== 0,
    isStaged: (flags & STAGED_FLAG) !== 0,
    isAmbiguous: (flags & AMBIGUOUS_FLAG) !== 0,
    isSparse: (flags & SPARSE_FLAG) !== 0,
    clusterHash: reader.uint32(),
    nodeId: reader.uint32(),
    setId: reader.uint32(),
    sequence: reader.uint64(),
    fileBytes: reader.uint64(),
    firstIndex: reader.uint64(),
    prevIndex: reader.uint64(),
    prevTerm: reader.uint64(),
    lastIndex: reader.uint64(),
    lastTerm: reader.uint64(),
    truncationFirst: reader.uint64(),
    truncationCount: reader.uint32(),
    chainSeed: reader.uint32(),
    prevSequence: reader.uint64(),
    prevEndOffset: reader.uint32(),
    trustedEnd: reader.uint32(),
    commitIndex: reader.uint64(),
    prevTermRun: reader.uint32(),
  }
}

/** Bytes at the end of a preallocated file of this size that batches never use. */
export function footerBytes(fileBytes: number): number {
  return roundUp(FOOTER_FIXED_BYTES + (fileBytes / SECTOR_BYTES) * 4, SECTOR_BYTES)
}

/** Batches of a preallocated file of this size end before here. */
export function dataEnd(fileBytes: number): number {
  return fileBytes - footerBytes(fileBytes)
}

export interface SegmentFooter {
  readonly sequence: number
  /** Where the last durable batch ends. What lies behind it was never acknowledged. */
  readonly endOffset: number
  /** First word of each sector of the file. */
  readonly samples: Uint32Array
}

export type DecodedFooter =
  | { readonly kind: "sealed"; readonly footer: SegmentFooter }
  /** Never sealed: the file was zero-filled. */
  | { readonly kind: "virgin"; readonly samples: Uint32Array }
  | { readonly kind: "damaged" }

/** The footer of a file of `fileBytes`, to be written at `dataEnd(fileBytes)`. */
export function encodeFooter(footer: SegmentFooter, fileBytes: number): Buffer {
  const target = Buffer.alloc(footerBytes(fileBytes))
  const { samples } = footer
  target.set(Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength), FOOTER_FIXED_BYTES)
  target.writeUInt32LE(FOOTER_MAGIC, 0)
  target.writeUInt8(LOG_FORMAT_VERSION, 4)
  target.writeUInt32LE(footer.sequence % 0x1_0000_0000, 12)
  target.writeUInt32LE(Math.floor(footer.sequence / 0x1_0000_0000), 16)
  target.writeUInt32LE(footer.endOffset, 20)
  target.writeUInt32LE(crc32(target), 8)
  return target
}

/** Reads what `encodeFooter` wrote. `source` holds exactly the footer's bytes and is left as it was. */
export function decodeFooter(source: Buffer, fileBytes: number): DecodedFooter {
  if (source.length !== footerBytes(fileBytes)) return { kind: "damaged" }
  const samples = new Uint32Array(fileBytes / SECTOR_BYTES)
  if (source.readUInt32LE(0) === 0) {
    return source.every((byte) => byte === 0) ? { kind: "virgin", samples } : { kind: "damaged" }
  }
  const checksum = source.readUInt32LE(8)
  source.writeUInt32LE(0, 8)
  const actual = crc32(source)
  source.writeUInt32LE(checksum, 8)
  if (actual !== checksum || source.readUInt32LE(0) !== FOOTER_MAGIC) return { kind: "damaged" }
  if (source.readUInt8(4) > LOG_FORMAT_VERSION) return { kind: "damaged" }
  Buffer.from(samples.buffer).set(source.subarray(FOOTER_FIXED_BYTES, FOOTER_FIXED_BYTES + samples.byteLength))
  return {
    kind: "sealed",
    footer: {
      sequence: source.readUInt32LE(12) + source.readUInt32LE(16) * 0x1_0000_0000,
      endOffset: source.readUInt32LE(20),
      samples,
    },
  }
}
