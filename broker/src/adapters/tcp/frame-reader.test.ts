import fc from "fast-check"
import { expect, test } from "vitest"
import { FRAME_HEADER_BYTES, FrameReader, frameHeader } from "./frame-reader.ts"

const MAX_FRAME_BYTES = 20_000
/** What a reader may set aside before a payload has come. */
const FIRST_PIECE_BYTES = 4_096

function frame(payload: Uint8Array): Buffer {
  return Buffer.concat([frameHeader(payload.length), payload])
}

interface Taken {
  readonly payloads: Buffer[]
  readonly fault: string | undefined
  /** The most that was set aside beyond twice what had come of the frame. */
  readonly surplusBytes: number
}

function readAll(reader: FrameReader, chunks: readonly Buffer[]): Taken {
  const payloads: Buffer[] = []
  let surplusBytes = 0
  let come = 0
  for (const chunk of chunks) {
    // Every chunk is the reader's own, as Node's are.
    const fault = reader.read(Buffer.from(chunk), (payload) => payloads.push(Buffer.from(payload)) > 0)
    come += chunk.length
    surplusBytes = Math.max(surplusBytes, reader.heldBytes - 2 * come)
    if (fault !== undefined) return { payloads, fault, surplusBytes }
  }
  return { payloads, fault: undefined, surplusBytes }
}

function cutAt(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b)
  return places.slice(1).map((end, i) => bytes.subarray(places[i], end))
}

const payload = fc.uint8Array({ minLength: 1, maxLength: 9_000 })

test("the frame of the specification: two zeros, the whole length little-endian, the payload", () => {
  expect(frame(Buffer.from("abc")).toString("hex")).toBe("000009000000616263")
})

test("frames come out as they went in, wherever the stream is cut", () => {
  fc.assert(
    fc.property(fc.array(payload, { maxLength: 6 }), fc.array(fc.nat(), { maxLength: 12 }), (sent, cuts) => {
      const { payloads, fault } = readAll(new FrameReader(MAX_FRAME_BYTES), cutAt(Buffer.concat(sent.map(frame)), cuts))
      expect(fault).toBeUndefined()
      expect(payloads).toEqual(sent.map((each) => Buffer.from(each)))
    }),
    { numRuns: 300 },
  )
})

test("byte by byte, too", () => {
  const sent = [Buffer.from("first"), Buffer.alloc(5_000, 7), Buffer.from("x")]
  const bytes = Buffer.concat(sent.map(frame))
  const { payloads, fault } = readAll(
    new FrameReader(MAX_FRAME_BYTES),
    Array.from(bytes, (_, at) => bytes.subarray(at, at + 1)),
  )
  expect(fault).toBeUndefined()
  expect(payloads).toEqual(sent)
})

test("whatever comes, it neither throws nor sets more aside than the limit and twice what came", () => {
  const noise = fc.uint8Array({ maxLength: 300 })
  // Beginnings that look like a frame get further than plain noise.
  const almost = fc
    .tuple(fc.integer({ min: 0, max: 2 ** 32 - 1 }), noise)
    .map(([length, rest]) => Buffer.concat([frameHeader(0).fill(0), rest]).fill(uint32(length), 2, 6))
  fc.assert(
    fc.property(
      fc.array(fc.oneof(noise, almost), { maxLength: 8 }),
      fc.array(fc.nat(), { maxLength: 8 }),
      (pieces, cuts) => {
        const reader = new FrameReader(MAX_FRAME_BYTES)
        const { payloads, surplusBytes } = readAll(reader, cutAt(Buffer.concat(pieces), cuts))
        expect(reader.heldBytes).toBeLessThanOrEqual(MAX_FRAME_BYTES)
        expect(surplusBytes).toBeLessThanOrEqual(FIRST_PIECE_BYTES)
        for (const { length } of payloads) expect(length).toBeLessThanOrEqual(MAX_FRAME_BYTES - FRAME_HEADER_BYTES)
      },
    ),
    { numRuns: 1_000 },
  )
})

test("other protocols are noticed by their first bytes, a wrong length by the header alone", () => {
  const read = (text: string): string | undefined => new FrameReader(100).read(Buffer.from(text, "latin1"), () => true)
  for (const text of ["G", "\x16", "\0G", "\0\0\0\0\0\0", "\0\0\x06\0\0\0", "\0\0\x65\0\0\0", "\0\0\xff\xff\xff\xff"])
    expect(read(text), JSON.stringify(text)).toBeDefined()
  for (const text of ["", "\0", "\0\0", "\0\0\x65\0\0", "\0\0\x64\0\0\0"])
    expect(read(text), JSON.stringify(text)).toBeUndefined()
})

test("a promised length sets little aside before its bytes come", () => {
  const reader = new FrameReader(1 << 22)
  expect(reader.read(frameHeader(4_000_000), () => true)).toBeUndefined()
  expect(reader.heldBytes).toBe(0)
  reader.read(Buffer.alloc(10), () => true)
  expect(reader.heldBytes).toBe(FIRST_PIECE_BYTES)
})

test("the limit holds for the whole frame and may be raised between two", () => {
  const reader = new FrameReader(10)
  const seen: string[] = []
  const bytes = Buffer.concat([frame(Buffer.from("abcd")), frame(Buffer.from("longer"))])
  const fault = reader.read(bytes, (each) => {
    reader.maxFrameBytes = 12
    return seen.push(each.toString()) > 0
  })
  expect([seen, fault]).toEqual([["abcd", "longer"], undefined])
  expect(new FrameReader(11).read(bytes, () => true)).toMatch("12 bytes")
})

test("it stops where the visitor says so", () => {
  let count = 0
  const bytes = Buffer.concat([frame(Buffer.from("a")), Buffer.from("no frame")])
  expect(new FrameReader(100).read(bytes, () => ++count < 0)).toBeUndefined()
  expect(count).toBe(1)
})

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
