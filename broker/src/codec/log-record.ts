/**
 * Records of the segmented log, byte by byte: the header of a batch and the header of an entry.
 *
 * Pure layout and checksums; what a damaged record means is decided in adapters/log. Both headers know their own place
 * (segment sequence and file offset), so that a record written to the wrong place, or left from an earlier life of a
 * recycled file, is never taken for a record of this place. docs/on-disk-format.md shows the same with pictures.
 */
import type { EntryKind, LogIndex, NodeId, Term } from "../core/raft/types.ts"
import { crc32 } from "./crc.ts"

/** Format version of everything that the log writes. A larger one is refused at opening. */
export const LOG_FORMAT_VERSION = 1
/** What a disk writes whole or not at all. Batches begin at multiples of it, so no write touches an older batch. */
export const SECTOR_BYTES = 512
export const BATCH_HEADER_BYTES = 128
export const ENTRY_HEADER_BYTES = 32
/** Header and sector bits of a batch together fill at most its first sector, which is written whole or not at all. */
export const SECTOR_BITS_BYTES_MAX = SECTOR_BYTES - BATCH_HEADER_BYTES
/** First word of a batch: "OCMB". */
export const BATCH_MAGIC = 0x424d434f

/**
 * - `entries`: entries as consensus gave them;
 * - `mark`: no entries; says that everything before it is durable. Not synced, overwritten by the next batch;
 * - `clean`: no entries; the log was closed in good order;
 * - `index`: closes a rewritten segment; its one payload lists the indexes of all entries (eight bytes each).
 */
export type BatchKind = "entries" | "mark" | "clean" | "index"

const KIND_CODES: Readonly<Record<BatchKind, number>> = { entries: 1, mark: 2, clean: 3, index: 4 }
const KINDS: readonly (BatchKind | undefined)[] = [undefined, "entries", "mark", "clean", "index"]

export interface BatchHeader {
  readonly kind: BatchKind
  /** Header, entries and padding: the distance to the next batch, a multiple of 512. */
  readonly batchBytes: number
  /** Used bytes behind the 128 of the header: sector bits and entries, without the last padding. */
  readonly bodyBytes: number
  readonly entryCount: number
  /** Number of the segment that the batch was written for. */
  readonly sequence: number
  /** Place of the batch in its file. */
  readonly offset: number
  readonly setId: number
  readonly nodeId: NodeId
  /** Hash of the cluster id: the batch of another cluster is not ours. */
  readonly clusterHash: number
  /** First entry; without entries, one behind the last index of the log. */
  readonly firstIndex: LogIndex
  /** Term of the entry before `firstIndex`. */
  readonly prevTerm: Term
  /** How many entries before `firstIndex` have `prevTerm` in a row, at most `TERM_RUN_MAX`: tells the terms of lost ones. */
  readonly prevTermRun: number
  /** Last index of the log with this batch. */
  readonly lastIndex: LogIndex
  readonly lastTerm: Term
  /** Commit index known when it was written: a hint. */
  readonly commitIndex: LogIndex
  /** Everything in earlier segments, and in this one before `durableOffset`, was synced before this was written. */
  readonly durableSequence: number
  readonly durableOffset: number
  /** Checksum of the batch header before this one (of the segment header for the first): finds stale blocks. */
  readonly chain: number
  /** How often the end of the log was cut off since it began, and from which index at the last time. */
  readonly truncationCount: number
  readonly truncationFirst: LogIndex
  /** Length of the sector bits behind the header. */
  readonly bitsBytes: number
}

/** One entry as it lies in the file. */
export interface EntryHeader {
  readonly payloadBytes: number
  readonly payloadCrc: number
  readonly kind: EntryKind
  /** True when the payload was lost before this copy was made: it must come from a peer. */
  readonly isDamaged: boolean
  readonly index: LogIndex
  readonly term: Term
  /** How many entries directly before this one have the same term, at most `TERM_RUN_MAX`. */
  readonly termRun: number
}

/** Runs of equal term are counted up to here; this number stands for "this many or more". */
export const TERM_RUN_MAX = 0xffff

const TWO_32 = 0x1_0000_0000
const DAMAGED_FLAG = 1

function writeUint64(target: Buffer, value: number, at: number): void {
  target.writeUInt32LE(value % TWO_32, at)
  target.writeUInt32LE(Math.floor(value / TWO_32), at + 4)
}

function readUint64(source: Buffer, at: number): number {
  return source.readUInt32LE(at + 4) * TWO_32 + source.readUInt32LE(at)
}

/** `bytes` up to the next multiple of `unit` (a power of two or not). */
export function roundUp(bytes: number, unit: number): number {
  return Math.ceil(bytes / unit) * unit
}

/**
 * Writes the header at the start of `target`, which must already hold the sector bits behind it.
 *
 * @returns its checksum, the `chain` of the next batch.
 */
export function encodeBatchHeader(target: Buffer, header: BatchHeader): number {
  target.writeUInt32LE(BATCH_MAGIC, 0)
  target.writeUInt8(LOG_FORMAT_VERSION, 4)
  target.writeUInt8(KIND_CODES[header.kind], 5)
  target.writeUInt16LE(0, 6)
  target.writeUInt32LE(0, 8)
  target.writeUInt32LE(header.batchBytes, 12)
  target.writeUInt32LE(header.bodyBytes, 16)
  target.writeUInt32LE(header.entryCount, 20)
  writeUint64(target, header.sequence, 24)
  writeUint64(target, header.offset, 32)
  target.writeUInt32LE(header.setId, 40)
  target.writeUInt32LE(header.nodeId, 44)
  writeUint64(target, header.firstIndex, 48)
  writeUint64(target, header.prevTerm, 56)
  writeUint64(target, header.lastIndex, 64)
  writeUint64(target, header.lastTerm, 72)
  writeUint64(target, header.commitIndex, 80)
  writeUint64(target, header.durableSequence, 88)
  target.writeUInt32LE(header.durableOffset, 96)
  target.writeUInt32LE(header.chain, 100)
  writeUint64(target, header.truncationFirst, 104)
  target.writeUInt32LE(header.truncationCount, 112)
  target.writeUInt32LE(header.bitsBytes, 116)
  target.writeUInt32LE(header.clusterHash, 120)
  target.writeUInt32LE(header.prevTermRun, 124)
  const checksum = crc32(target.subarray(0, BATCH_HEADER_BYTES + header.bitsBytes))
  target.writeUInt32LE(checksum, 8)
  return checksum
}

const ZERO_WORD = new Uint8Array(4)

/** The checksum field of a batch header: what the next batch carries as `chain`. */
export function batchChecksum(source: Buffer, at: number): number {
  return source.readUInt32LE(at + 8)
}

/** The header at `at`, or undefined when no whole, undamaged header of a known version lies there. */
export function decodeBatchHeader(source: Buffer, at: number): BatchHeader | undefined {
  if (at + BATCH_HEADER_BYTES > source.length || source.readUInt32LE(at) !== BATCH_MAGIC) return undefined
  if (source.readUInt8(at + 4) !== LOG_FORMAT_VERSION) return undefined
  const kind = KINDS[source.readUInt8(at + 5)]
  const bitsBytes = source.readUInt32LE(at + 116)
  const end = at + BATCH_HEADER_BYTES + bitsBytes
  if (kind === undefined || bitsBytes > SECTOR_BITS_BYTES_MAX || end > source.length) return undefined
  const front = crc32(ZERO_WORD, crc32(source.subarray(at, at + 8)))
  if (crc32(source.subarray(at + 12, end), front) !== source.readUInt32LE(at + 8)) return undefined
  return {
    kind,
    batchBytes: source.readUInt32LE(at + 12),
    bodyBytes: source.readUInt32LE(at + 16),
    entryCount: source.readUInt32LE(at + 20),
    sequence: readUint64(source, at + 24),
    offset: readUint64(source, at + 32),
    setId: source.readUInt32LE(at + 40),
    nodeId: source.readUInt32LE(at + 44),
    firstIndex: readUint64(source, at + 48),
    prevTerm: readUint64(source, at + 56),
    lastIndex: readUint64(source, at + 64),
    lastTerm: readUint64(source, at + 72),
    commitIndex: readUint64(source, at + 80),
    durableSequence: readUint64(source, at + 88),
    durableOffset: source.readUInt32LE(at + 96),
    chain: source.readUInt32LE(at + 100),
    truncationFirst: readUint64(source, at + 104),
    truncationCount: source.readUInt32LE(at + 112),
    bitsBytes,
    clusterHash: source.readUInt32LE(at + 120),
    prevTermRun: source.readUInt32LE(at + 124),
  }
}

/** Where a record lies: the checksum of an entry header is bound to it. */
export interface RecordPlace {
  readonly sequence: number
  readonly offset: number
}

function placeSeed(place: RecordPlace): number {
  return (Math.imul(place.sequence % TWO_32, 0x9e3779b1) ^ place.offset) >>> 0
}

/** Writes the 32 bytes of an entry header at `at`; `place` is where they will lie in the file. */
export function encodeEntryHeader(
  target: Buffer,
  at: number,
  content: { entry: EntryHeader; place: RecordPlace },
): void {
  const { entry, place } = content
  target.writeUInt32LE(entry.payloadBytes, at + 4)
  target.writeUInt32LE(entry.payloadCrc, at + 8)
  target.writeUInt8(entry.kind === "commands" ? 1 : 2, at + 12)
  target.writeUInt8(entry.isDamaged ? DAMAGED_FLAG : 0, at + 13)
  target.writeUInt16LE(entry.termRun, at + 14)
  writeUint64(target, entry.index, at + 16)
  writeUint64(target, entry.term, at + 24)
  target.writeUInt32LE(crc32(target.subarray(at + 4, at + ENTRY_HEADER_BYTES), placeSeed(place)), at)
}

/** The entry header at `at`, or undefined when none that was written for this place lies there undamaged. */
export function decodeEntryHeader(source: Buffer, at: number, place: RecordPlace): EntryHeader | undefined {
  if (at + ENTRY_HEADER_BYTES > source.length) return undefined
  const kind = source.readUInt8(at + 12)
  if (kind !== 1 && kind !== 2) return undefined
  const checksum = crc32(source.subarray(at + 4, at + ENTRY_HEADER_BYTES), placeSeed(place))
  if (checksum !== source.readUInt32LE(at)) return undefined
  return {
    payloadBytes: source.readUInt32LE(at + 4),
    payloadCrc: source.readUInt32LE(at + 8),
    kind: kind === 1 ? "commands" : "configuration",
    isDamaged: (source.readUInt8(at + 13) & DAMAGED_FLAG) !== 0,
    termRun: source.readUInt16LE(at + 14),
    index: readUint64(source, at + 16),
    term: readUint64(source, at + 24),
  }
}

/** Bytes that an entry takes in a batch: header, payload, padding to eight. */
export function entryBytes(payloadBytes: number): number {
  return ENTRY_HEADER_BYTES + roundUp(payloadBytes, 8)
}

/** Sizes of a batch whose entries take `entriesBytes` (see `entryBytes`). */
export function batchLayout(entriesBytes: number): {
  batchBytes: number
  bitsBytes: number
  /** One sector bit stands for this many sectors (1 up to about 1.5 MiB). */
  sectorsPerBit: number
} {
  const sectorsAtMost = Math.ceil((BATCH_HEADER_BYTES + SECTOR_BITS_BYTES_MAX + entriesBytes) / SECTOR_BYTES)
  const sectorsPerBit = Math.ceil(sectorsAtMost / (SECTOR_BITS_BYTES_MAX * 8))
  const bitsBytes = entriesBytes === 0 ? 0 : roundUp(Math.ceil(sectorsAtMost / sectorsPerBit / 8), 8)
  return { batchBytes: roundUp(BATCH_HEADER_BYTES + bitsBytes + entriesBytes, SECTOR_BYTES), bitsBytes, sectorsPerBit }
}

/** Sectors for each sector bit, told from a header. */
export function sectorsPerBit(header: BatchHeader): number {
  return batchLayout(header.bodyBytes - header.bitsBytes).sectorsPerBit
}
