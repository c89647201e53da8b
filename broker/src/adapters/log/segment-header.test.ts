import { describe, expect, test } from "vitest"
import { crc32 } from "../../codec/crc.ts"
import {
  DATA_START,
  dataEnd,
  decodeFooter,
  decodeSegmentHeader,
  encodeFooter,
  encodeSegmentHeader,
  footerBytes,
} from "./segment-header.ts"
import type { SegmentHeader } from "./segment-header.ts"

const HEADER: SegmentHeader = {
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
}

describe("segment header", () => {
  test("comes back from either copy; without both it is damaged", () => {
    const { block, checksum } = encodeSegmentHeader(HEADER)
    expect(decodeSegmentHeader(block)).toEqual({ kind: "valid", header: HEADER, checksum })
    block.fill(0, 0, 4096)
    expect(decodeSegmentHeader(block)).toEqual({ kind: "valid", header: HEADER, checksum })
    block[4096 + 200] = 1
    expect(decodeSegmentHeader(block)).toEqual({ kind: "damaged" })
    expect(block).toHaveLength(DATA_START)
  })
})

describe("segment header with a right checksum", () => {
  test("and a number that cannot be is damaged, not a crash", () => {
    const { block } = encodeSegmentHeader(HEADER)
    for (const copy of [block.subarray(0, 512), block.subarray(4096, 4096 + 512)]) {
      copy.fill(0xff, 24, 32)
      copy.writeUInt32LE(0, 8)
      copy.writeUInt32LE(crc32(copy), 8)
    }
    expect(decodeSegmentHeader(block)).toEqual({ kind: "damaged" })
  })
})

describe("segment footer", () => {
  const fileBytes = 32 * 1024

  test("comes back, and every damage is noticed", () => {
    const samples = Uint32Array.from({ length: fileBytes / 512 }, (_, at) => at * 0x01020304)
    const bytes = encodeFooter({ sequence: 2 ** 40 + 1, endOffset: 9000, samples }, fileBytes)
    expect(bytes).toHaveLength(footerBytes(fileBytes))
    expect(dataEnd(fileBytes) + bytes.length).toBe(fileBytes)
    const before = Buffer.from(bytes)
    expect(decodeFooter(bytes, fileBytes)).toEqual({
      kind: "sealed",
      footer: { sequence: 2 ** 40 + 1, endOffset: 9000, samples },
    })
    expect(bytes.equals(before)).toBe(true)
    for (let at = 0; at < bytes.length; at++) {
      bytes[at] = (bytes[at] ?? 0) ^ 2
      expect(decodeFooter(bytes, fileBytes).kind).toBe("damaged")
      bytes[at] = (bytes[at] ?? 0) ^ 2
    }
  })

  test("zeros are a file that was never sealed", () => {
    const bytes = Buffer.alloc(footerBytes(fileBytes))
    expect(decodeFooter(bytes, fileBytes)).toMatchObject({ kind: "virgin" })
    bytes[300] = 1
    expect(decodeFooter(bytes, fileBytes).kind).toBe("damaged")
  })
})
