import fc from "fast-check"
import { expect, test } from "vitest"
import { PartWriter } from "../../codec/part-writer.ts"
import { FRAME_HEADER_BYTES, FrameReader, writeFrame } from "./frame-reader.ts"

function stream(frames: readonly (readonly Uint8Array[])[]): Buffer {
  const writer = new PartWriter()
  for (const parts of frames) writeFrame(writer, parts)
  return Buffer.concat(writer.finish())
}

function readAll(reader: FrameReader, chunks: readonly Buffer[]): { payloads: Buffer[]; fault: string | undefined } {
  const payloads: Buffer[] = []
  for (const chunk of chunks) {
    const fault = reader.read(chunk, (payload) => payloads.push(Buffer.from(payload)) > 0)
    if (fault !== undefined) return { payloads, fault }
  }
  return { payloads, fault: undefined }
}

function cutAt(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b)
  return places.slice(1).map((end, i) => bytes.subarray(places[i], end))
}

const part = fc.uint8Array({ maxLength: 700 })
const frames = fc.array(fc.array(part, { maxLength: 4 }), { maxLength: 10 })

test("frames come out as they went in, wherever the stream is cut", () => {
  fc.assert(
    fc.property(frames, fc.array(fc.nat(), { maxLength: 12 }), (sent, cuts) => {
      const { payloads, fault } = readAll(new FrameReader(1 << 20), cutAt(stream(sent), cuts))
      expect(fault).toBeUndefined()
      const expected = sent.map((parts) => Buffer.concat(parts)).filter((payload) => payload.length > 0)
      expect(payloads).toEqual(expected)
    }),
    { numRuns: 500 },
  )
})

test("no damaged frame is ever handed out, and no later one either", () => {
  fc.assert(
    fc.property(frames, fc.nat(), fc.nat(7), (sent, at, bit) => {
      const expected = sent.map((parts) => Buffer.concat(parts)).filter((payload) => payload.length > 0)
      const bytes = stream(sent)
      fc.pre(bytes.length > 0)
      const place = at % bytes.length
      bytes[place] = (bytes[place] ?? 0) ^ (1 << bit)
      const { payloads, fault } = readAll(new FrameReader(1 << 20), [bytes])
      expect(payloads).toEqual(expected.slice(0, payloads.length))
      expect(fault).toBeDefined()
    }),
    { numRuns: 1000 },
  )
})

test("a damaged length is noticed from the header alone", () => {
  const bytes = stream([[Buffer.from("hello")]])
  bytes[2] = 0x7f
  const { fault } = readAll(new FrameReader(1 << 30), [bytes.subarray(0, FRAME_HEADER_BYTES)])
  expect(fault).toMatch(/header/)
})

test("a frame above the limit is refused from its header, before its bytes are made room for", () => {
  const bytes = stream([[Buffer.alloc(2000)]])
  const { fault } = readAll(new FrameReader(1999), [bytes.subarray(0, FRAME_HEADER_BYTES)])
  expect(fault).toBe("frame of 2000 bytes, at most 1999 are taken")
})

test("reading stops when the visitor has had enough", () => {
  const bytes = stream([[Buffer.from("a")], [Buffer.from("b")]])
  let count = 0
  new FrameReader(100).read(bytes, () => {
    count += 1
    return false
  })
  expect(count).toBe(1)
})
