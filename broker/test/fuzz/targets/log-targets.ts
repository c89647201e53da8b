/** What a node reads from its own disk: segments, their headers and footers, the hard state. */
import { buildBatch } from "../../../src/adapters/log/batch-builder.ts"
import { decodeSlot, emptyState, encodeSlot, SLOT_BYTES } from "../../../src/adapters/log/hard-state-slot.ts"
import {
  DATA_START,
  decodeFooter,
  decodeSegmentHeader,
  encodeFooter,
  encodeSegmentHeader,
  footerBytes,
} from "../../../src/adapters/log/segment-header.ts"
import { scanSegment } from "../../../src/adapters/log/segment-scan.ts"
import { BATCH_HEADER_BYTES, BATCH_MAGIC, ENTRY_HEADER_BYTES, SECTOR_BYTES } from "../../../src/codec/log-record.ts"
import { crc32 } from "../../../src/codec/crc.ts"
import type { Entry } from "../../../src/core/raft/types.ts"
import { demand } from "../fuzz-target.ts"
import type { FuzzTarget } from "../fuzz-target.ts"

const IDS = { clusterHash: 77, nodeId: 2, setId: 0 }
const SEQUENCE = 3
const CHAIN = 0x1234
const FILE_BYTES = 4_096
const SEGMENT_BYTES_MAX = DATA_START + 65_536

const HEADER_COPY_BYTES = 512
const SECOND_COPY_AT = 4_096

function entry(index: number, bytes: number): Entry {
  return { index, term: 2, kind: "commands", data: Buffer.alloc(bytes, index) }
}

/** Batches of these entries, as they lie in a segment behind its header. */
function batches(...contents: readonly (readonly Entry[])[]): Buffer {
  const pieces: Uint8Array[] = []
  let offset = DATA_START
  let chain = CHAIN
  let firstIndex = 1
  for (const entries of contents) {
    const built = buildBatch({
      kind: entries.length === 0 ? "clean" : "entries",
      ids: IDS,
      entries,
      sequence: SEQUENCE,
      offset,
      firstIndex,
      prevTerm: 1,
      prevTermRun: 0,
      commitIndex: 0,
      chain,
      truncationCount: 0,
      truncationFirst: 0,
      samples: undefined,
    })
    pieces.push(...built.buffers)
    offset += built.bytes
    chain = built.checksum
    firstIndex += entries.length
  }
  return Buffer.concat(pieces)
}

/** Checksums of every batch whose magic word is there, and of the entries as far as their lengths lead. */
function sealBatches(input: Buffer): void {
  let chain = CHAIN
  for (let at = 0; at + BATCH_HEADER_BYTES <= input.length; at += SECTOR_BYTES) {
    if (input.readUInt32LE(at) !== BATCH_MAGIC) continue
    const bitsEnd = at + BATCH_HEADER_BYTES + input.readUInt32LE(at + 116)
    if (bitsEnd > input.length) continue
    sealEntries(input, bitsEnd, Math.min(input.length, at + BATCH_HEADER_BYTES + input.readUInt32LE(at + 16)))
    input.writeUInt32LE(chain, at + 100)
    input.writeUInt32LE(0, at + 8)
    chain = crc32(input.subarray(at, bitsEnd))
    input.writeUInt32LE(chain, at + 8)
  }
}

function sealEntries(input: Buffer, from: number, end: number): void {
  for (let at = from; at + ENTRY_HEADER_BYTES <= end;) {
    const payloadBytes = input.readUInt32LE(at)
    const length = input.readUInt32LE(at + 4)
    const payloadEnd = Math.min(end, at + ENTRY_HEADER_BYTES + length)
    input.writeUInt32LE(crc32(input.subarray(at + ENTRY_HEADER_BYTES, payloadEnd)), at + 8)
    const seed = (Math.imul(SEQUENCE, 0x9e3779b1) ^ (DATA_START + at)) >>> 0
    input.writeUInt32LE(crc32(input.subarray(at + 4, at + ENTRY_HEADER_BYTES), seed), at)
    if (payloadBytes === 0 && length === 0) return
    at = ENTRY_HEADER_BYTES + Math.ceil((payloadEnd - ENTRY_HEADER_BYTES) / 8) * 8
  }
}

const file = Buffer.alloc(SEGMENT_BYTES_MAX)
const stale = new Uint32Array(SEGMENT_BYTES_MAX / SECTOR_BYTES)

/** All three ways in which a segment is read: sealed, being written to, and with its header lost. */
const segment: FuzzTarget = {
  name: "segment-scan",
  inputsInTest: 10_000,
  seeds: [
    batches([entry(1, 20), entry(2, 0)], [entry(3, 40)]),
    batches([entry(1, 700)], []),
    Buffer.concat([batches([entry(1, 10)]), Buffer.alloc(SECTOR_BYTES)]),
  ],
  seal: sealBatches,
  allocationBytesMax: 0,
  run: (input) => {
    file.set(input, DATA_START)
    const bytes = file.subarray(0, DATA_START + input.length)
    const mode = input.length % 3
    const { parts, end } = scanSegment({
      bytes,
      sequence: SEQUENCE,
      ids: IDS,
      chain: mode === 2 ? undefined : CHAIN,
      end: bytes.length,
      isSealed: mode === 0,
      trustedEnd: DATA_START,
      stale: mode === 1 ? stale : undefined,
      mutations: new Set(),
    })
    let at = DATA_START
    for (const part of parts) {
      demand(part.offset >= at, "parts follow one another")
      at = part.offset
      for (const each of part.entries) {
        demand(each.offset + ENTRY_HEADER_BYTES + each.length <= bytes.length, "an entry lies in the file")
      }
    }
    demand(end <= Math.max(bytes.length, DATA_START), "the log ends in the file")
    return parts.some((part) => part.kind === "batch") ? "valid" : "refused"
  },
}

const headerBlock = Buffer.alloc(DATA_START)
const segmentHeader: FuzzTarget = {
  name: "segment-header",
  inputsInTest: 25_000,
  seeds: [
    encodeSegmentHeader({
      clusterHash: 1,
      nodeId: 2,
      setId: 3,
      sequence: 2 ** 41,
      fileBytes: 64 * 1024 * 1024,
      isRewritten: true,
      isStaged: false,
      isSparse: true,
      isAmbiguous: true,
      firstIndex: 5,
      prevIndex: 4,
      prevTerm: 6,
      prevTermRun: 66,
      lastIndex: 7,
      lastTerm: 8,
      truncationCount: 9,
      truncationFirst: 10,
      prevSequence: 11,
      prevEndOffset: 12,
      chainSeed: 13,
      trustedEnd: 14,
      commitIndex: 15,
    }).block.subarray(0, 160),
  ],
  allocationBytesMax: 4 * HEADER_COPY_BYTES,
  run: (input) => {
    const used = input.subarray(0, HEADER_COPY_BYTES)
    headerBlock.fill(0)
    headerBlock.set(used, 0)
    headerBlock.set(used, SECOND_COPY_AT)
    for (const at of [0, SECOND_COPY_AT]) sealAt(headerBlock.subarray(at, at + HEADER_COPY_BYTES), 8)
    return decodeSegmentHeader(headerBlock).kind === "valid" ? "valid" : "refused"
  },
}

/** A checksum over the whole, made as if its own field were zero. */
function sealAt(bytes: Buffer, at: number): void {
  if (bytes.length < at + 4) return
  bytes.writeUInt32LE(0, at)
  bytes.writeUInt32LE(crc32(bytes), at)
}

const footer: FuzzTarget = {
  name: "segment-footer",
  seeds: [
    encodeFooter(
      { sequence: 9, endOffset: 600, samples: new Uint32Array(FILE_BYTES / SECTOR_BYTES).fill(7) },
      FILE_BYTES,
    ),
    Buffer.alloc(footerBytes(FILE_BYTES)),
  ],
  seal: (input) => {
    sealAt(input, 8)
  },
  allocationBytesMax: FILE_BYTES,
  run: (input) => {
    // The size of the file is what the file system says, here: anything.
    const fileBytes = input.length % 2 === 0 ? FILE_BYTES : 2 ** 30
    return decodeFooter(input, fileBytes).kind === "damaged" ? "refused" : "valid"
  },
}

const identity = { clusterId: "test-cluster", nodeId: 2, setId: 0, incarnation: 1 }
const slot = Buffer.alloc(SLOT_BYTES)
const hardState: FuzzTarget = {
  name: "hard-state",
  inputsInTest: 50_000,
  seeds: [
    encodeSlot({ generation: 4, identity, state: { ...emptyState(), currentTerm: 3, votedFor: 2 } }).subarray(0, 140),
    encodeSlot({
      generation: 2 ** 40,
      identity,
      state: { ...emptyState(), floorIndex: Number.MAX_SAFE_INTEGER, isInstalling: true },
    }).subarray(0, 140),
  ],
  allocationBytesMax: 2 * SLOT_BYTES,
  run: (input) => {
    slot.fill(0)
    slot.set(input.subarray(0, SLOT_BYTES))
    sealAt(slot, 8)
    const decoded = decodeSlot(slot)
    return decoded === undefined || decoded === "newer" ? "refused" : "valid"
  },
}

export const LOG_TARGETS: readonly FuzzTarget[] = [segment, segmentHeader, footer, hardState]
