import { expect, test } from "vitest"
import { crc32 } from "../../codec/crc.ts"
import { decodeSlot, emptyState, encodeSlot } from "./hard-state-slot.ts"

const SLOT = {
  generation: 4,
  identity: { clusterId: "c", nodeId: 2, setId: 0, incarnation: 1 },
  state: { ...emptyState(), currentTerm: 3, votedFor: 2 },
}

/** Changes a byte and makes the checksum right again. */
function sealed(bytes: Buffer, change: (bytes: Buffer) => void): Buffer {
  change(bytes)
  bytes.writeUInt32LE(0, 8)
  bytes.writeUInt32LE(crc32(bytes), 8)
  return bytes
}

test("a copy comes back as it was written", () => {
  expect(decodeSlot(encodeSlot(SLOT))).toEqual(SLOT)
})

test("a copy with a right checksum and a number or length that cannot be is unreadable, not a crash", () => {
  const withHugeTerm = sealed(encodeSlot(SLOT), (bytes) => bytes.fill(0xff, 36, 44))
  expect(decodeSlot(withHugeTerm)).toBeUndefined()
  const clusterIdAt = encodeSlot(SLOT).indexOf(Buffer.from([1, 0x63]))
  const withLongName = sealed(encodeSlot(SLOT), (bytes) => {
    bytes.writeUInt16LE(0x7fff, clusterIdAt)
  })
  expect(decodeSlot(withLongName)).toBeUndefined()
})
