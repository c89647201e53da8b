/**
 * Puts entries into one batch, ready for a single gathered write. Payloads are never copied: headers and padding lie in one
 * small buffer, and its slices alternate with the payloads.
 *
 * Besides the bytes it records, for each sector of the batch, whether the sector's first word differs from what lies in
 * the file now. After a crash, such a sector that still shows the old word was never written (DESIGN.md, "Torn or rotten").
 */
import { crc32 } from "../../codec/crc.ts"
import {
  BATCH_HEADER_BYTES,
  BATCH_MAGIC,
  ENTRY_HEADER_BYTES,
  SECTOR_BYTES,
  TERM_RUN_MAX,
  batchLayout,
  encodeBatchHeader,
  encodeEntryHeader,
  entryBytes,
} from "../../codec/log-record.ts"
import type { BatchKind } from "../../codec/log-record.ts"
import type { Entry, LogIndex, NodeId, Term } from "../../core/raft/types.ts"

/** Who writes: the same in every batch of a log. */
export interface WriterIds {
  readonly clusterHash: number
  readonly nodeId: NodeId
  readonly setId: number
}

export interface BatchRequest {
  readonly kind: BatchKind
  readonly ids: WriterIds
  /** Ascending. */
  readonly entries: readonly Entry[]
  /** Entries among them whose bytes are lost: they are written as such, without payload. */
  readonly lost?: ReadonlySet<LogIndex>
  readonly sequence: number
  readonly offset: number
  /** First index of the batch; without entries, one behind the last index of the log. */
  readonly firstIndex: LogIndex
  readonly prevTerm: Term
  /** See `BatchHeader.prevTermRun`. */
  readonly prevTermRun: number
  readonly commitIndex: LogIndex
  readonly chain: number
  readonly truncationCount: number
  readonly truncationFirst: LogIndex
  /** First words of the file's sectors as they are on the disk; updated to what this batch writes. */
  readonly samples: Uint32Array | undefined
}

export interface BuiltBatch {
  readonly buffers: readonly Uint8Array[]
  readonly bytes: number
  readonly checksum: number
  /** File offset of each entry's header. */
  readonly offsets: readonly number[]
}

const NO_DATA = new Uint8Array(0)

/** Bytes of a batch with these entries. */
export function batchBytesOf(entries: readonly Entry[]): number {
  let bytes = 0
  for (const entry of entries) bytes += entryBytes(entry.data.length)
  return batchLayout(bytes).batchBytes
}

/** Builds the batch. Cost: one checksum over each payload. */
export function buildBatch(request: BatchRequest): BuiltBatch {
  const { entries, lost } = request
  const payloads = entries.map((entry) => (lost?.has(entry.index) === true ? NO_DATA : entry.data))
  let entriesBytes = 0
  for (const payload of payloads) entriesBytes += entryBytes(payload.length)
  const layout = batchLayout(entriesBytes)
  const bodyStart = BATCH_HEADER_BYTES + layout.bitsBytes
  // From the pool of small buffers: memory of its own for each batch costs more than all the rest.
  const headers = Buffer.allocUnsafe(bodyStart + entries.length * (ENTRY_HEADER_BYTES + 8) + SECTOR_BYTES).fill(0)
  const buffers: Uint8Array[] = []
  const offsets: number[] = []
  let sliceStart = 0
  let at = bodyStart
  let position = bodyStart
  let previous = { term: request.prevTerm, index: request.firstIndex - 1, run: request.prevTermRun }
  for (const [place, entry] of entries.entries()) {
    const payload = payloads[place] ?? NO_DATA
    const isDamaged = lost?.has(entry.index) === true
    const offset = request.offset + position
    const { index, term, kind } = entry
    const continues = term === previous.term && index === previous.index + 1
    const termRun = continues ? Math.min(previous.run, TERM_RUN_MAX) : 0
    previous = { term, index, run: termRun + 1 }
    const payloadCrc = crc32(payload)
    const header = { index, term, kind, termRun, payloadBytes: payload.length, payloadCrc, isDamaged }
    encodeEntryHeader(headers, at, { entry: header, place: { sequence: request.sequence, offset } })
    offsets.push(offset)
    at += ENTRY_HEADER_BYTES
    if (payload.length > 0) {
      buffers.push(headers.subarray(sliceStart, at), payload)
      sliceStart = at
    }
    const taken = entryBytes(payload.length)
    at += taken - ENTRY_HEADER_BYTES - payload.length
    position += taken
  }
  at += layout.batchBytes - position
  buffers.push(headers.subarray(sliceStart, at))
  if (request.samples !== undefined && layout.bitsBytes > 0) markSectors(headers, buffers, { request, layout })
  const last = entries.at(-1)
  // Field by field: a literal that begins with a spread takes twenty times as long.
  const { clusterHash, nodeId, setId } = request.ids
  const checksum = encodeBatchHeader(headers, {
    clusterHash,
    nodeId,
    setId,
    kind: request.kind,
    batchBytes: layout.batchBytes,
    bodyBytes: layout.bitsBytes + entriesBytes,
    entryCount: entries.length,
    sequence: request.sequence,
    offset: request.offset,
    firstIndex: request.firstIndex,
    prevTerm: request.prevTerm,
    prevTermRun: Math.min(request.prevTermRun, TERM_RUN_MAX),
    lastIndex: last?.index ?? request.firstIndex - 1,
    lastTerm: last?.term ?? request.prevTerm,
    commitIndex: request.commitIndex,
    durableSequence: request.sequence,
    durableOffset: request.offset,
    chain: request.chain,
    truncationCount: request.truncationCount,
    truncationFirst: request.truncationFirst,
    bitsBytes: layout.bitsBytes,
  })
  if (request.samples !== undefined) request.samples[request.offset / SECTOR_BYTES] = BATCH_MAGIC
  return { buffers, bytes: layout.batchBytes, checksum, offsets }
}

/** Sets the bit of every sector whose first word is the same before and after: it can prove nothing. */
function markSectors(
  headers: Buffer,
  buffers: readonly Uint8Array[],
  context: { request: BatchRequest; layout: { sectorsPerBit: number } },
): void {
  const { request, layout } = context
  const samples = request.samples
  if (samples === undefined) return
  let start = 0
  // Header and bits fill the first sector only, so every later sector is final by now.
  let next = SECTOR_BYTES
  for (const buffer of buffers) {
    const end = start + buffer.length
    for (; next < end; next += SECTOR_BYTES) {
      const word = wordAt(buffer, next - start)
      const sector = (request.offset + next) / SECTOR_BYTES
      if (samples[sector] === word) {
        const bit = Math.floor(next / SECTOR_BYTES / layout.sectorsPerBit)
        const at = BATCH_HEADER_BYTES + (bit >>> 3)
        headers[at] = (headers[at] ?? 0) | (1 << (bit & 7))
      }
      samples[sector] = word
    }
    start = end
  }
}

/** Four bytes, little-endian; bytes behind the end of a payload are its padding, zero. */
function wordAt(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)) >>> 0
  )
}
