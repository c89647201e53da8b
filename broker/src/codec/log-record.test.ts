import { describe, expect, test } from "vitest"
import {
  BATCH_HEADER_BYTES,
  ENTRY_HEADER_BYTES,
  SECTOR_BITS_BYTES_MAX,
  batchChecksum,
  batchLayout,
  decodeBatchHeader,
  decodeEntryHeader,
  encodeBatchHeader,
  encodeEntryHeader,
  entryBytes,
  sectorsPerBit,
} from "./log-record.ts"
import type { BatchHeader, EntryHeader } from "./log-record.ts"

const HEADER: BatchHeader = {
  kind: "entries",
  batchBytes: 1024,
  bodyBytes: 700,
  entryCount: 3,
  sequence: 2 ** 40 + 7,
  offset: 8192,
  setId: 4,
  nodeId: 2,
  clusterHash: 0xdeadbeef,
  firstIndex: 2 ** 39 + 1,
  prevTerm: 5,
  prevTermRun: 40_000,
  lastIndex: 2 ** 39 + 3,
  lastTerm: 6,
  commitIndex: 2 ** 39,
  durableSequence: 2 ** 40 + 7,
  durableOffset: 8192,
  chain: 0x12345678,
  truncationCount: 9,
  truncationFirst: 77,
  bitsBytes: 8,
}
const ENTRY: EntryHeader = {
  payloadBytes: 100,
  payloadCrc: 0xcafebabe,
  kind: "configuration",
  isDamaged: false,
  index: 2 ** 39,
  term: 2 ** 33,
  termRun: 65_535,
}

describe("batch header", () => {
  test("comes back as it was, with its checksum as the next chain", () => {
    const bytes = Buffer.alloc(BATCH_HEADER_BYTES + 8, 0xab)
    const checksum = encodeBatchHeader(bytes, HEADER)
    expect(decodeBatchHeader(bytes, 0)).toEqual(HEADER)
    expect(batchChecksum(bytes, 0)).toBe(checksum)
  })

  test("every flipped bit of header and sector bits is noticed", () => {
    const bytes = Buffer.alloc(BATCH_HEADER_BYTES + 8)
    encodeBatchHeader(bytes, HEADER)
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(decodeBatchHeader(bytes, 0)).toBeUndefined()
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    }
    expect(decodeBatchHeader(bytes.subarray(0, BATCH_HEADER_BYTES + 7), 0)).toBeUndefined()
  })
})

describe("entry header", () => {
  test("comes back at its own place only", () => {
    const bytes = Buffer.alloc(100)
    encodeEntryHeader(bytes, 8, { entry: ENTRY, place: { sequence: 3, offset: 9000 } })
    expect(decodeEntryHeader(bytes, 8, { sequence: 3, offset: 9000 })).toEqual(ENTRY)
    expect(decodeEntryHeader(bytes, 8, { sequence: 4, offset: 9000 })).toBeUndefined()
    expect(decodeEntryHeader(bytes, 8, { sequence: 3, offset: 9008 })).toBeUndefined()
    expect(decodeEntryHeader(Buffer.alloc(100), 8, { sequence: 0, offset: 0 })).toBeUndefined()
  })

  test("every flipped bit is noticed", () => {
    const bytes = Buffer.alloc(ENTRY_HEADER_BYTES)
    const place = { sequence: 3, offset: 0 }
    encodeEntryHeader(bytes, 0, { entry: { ...ENTRY, isDamaged: true }, place })
    expect(decodeEntryHeader(bytes, 0, place)?.isDamaged).toBe(true)
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(decodeEntryHeader(bytes, 0, place)).toBeUndefined()
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    }
  })
})

test("a batch of any size begins and ends at sectors, and its sector bits fit the first one", () => {
  for (const payload of [0, 1, 100, 4000, 65_536, 1_000_000, 1_572_000, 1_600_000, 60_000_000]) {
    const { batchBytes, bitsBytes, sectorsPerBit: perBit } = batchLayout(entryBytes(payload))
    expect(batchBytes % 512).toBe(0)
    expect(batchBytes).toBeGreaterThanOrEqual(BATCH_HEADER_BYTES + bitsBytes + entryBytes(payload))
    expect(bitsBytes).toBeLessThanOrEqual(SECTOR_BITS_BYTES_MAX)
    expect(bitsBytes * 8 * perBit).toBeGreaterThanOrEqual(batchBytes / 512)
    expect(sectorsPerBit({ ...HEADER, bitsBytes, bodyBytes: bitsBytes + entryBytes(payload) })).toBe(perBit)
  }
})
