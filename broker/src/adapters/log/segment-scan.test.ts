import { expect, test } from "vitest"
import { crc32 } from "../../codec/crc.ts"
import { BATCH_HEADER_BYTES } from "../../codec/log-record.ts"
import { buildBatch } from "./batch-builder.ts"
import { DATA_START } from "./segment-header.ts"
import { scanSegment } from "./segment-scan.ts"

const IDS = { clusterHash: 7, nodeId: 2, setId: 0 }

function batch(): Buffer {
  const built = buildBatch({
    kind: "entries",
    ids: IDS,
    entries: [{ index: 1, term: 1, kind: "commands", data: Buffer.alloc(20, 1) }],
    sequence: 3,
    offset: DATA_START,
    firstIndex: 1,
    prevTerm: 0,
    prevTermRun: 0,
    commitIndex: 0,
    chain: 5,
    truncationCount: 0,
    truncationFirst: 0,
    samples: undefined,
  })
  return Buffer.concat(built.buffers)
}

function scan(data: Buffer): ReturnType<typeof scanSegment> {
  const bytes = Buffer.concat([Buffer.alloc(DATA_START), data])
  const stale = new Uint32Array(64)
  return scanSegment({
    bytes,
    sequence: 3,
    ids: IDS,
    chain: 5,
    end: bytes.length,
    isSealed: false,
    trustedEnd: DATA_START,
    stale,
    mutations: new Set(),
  })
}

test("a batch is read", () => {
  expect(scan(batch()).parts).toMatchObject([{ kind: "batch", entries: [{ index: 1, isLost: false }] }])
})

test.each([
  { what: "says that its body is longer than itself", at: 16, value: 1_000_000 },
  { what: "says that its sector bits are more than its body", at: 16, value: 0 },
])("a batch whose header $what is none, though its checksum is right", ({ at, value }) => {
  const data = batch()
  const bitsBytes = data.readUInt32LE(116)
  data.writeUInt32LE(value, at)
  data.writeUInt32LE(0, 8)
  data.writeUInt32LE(crc32(data.subarray(0, BATCH_HEADER_BYTES + bitsBytes)), 8)
  expect(scan(data).parts.filter(({ kind }) => kind === "batch")).toEqual([])
})
