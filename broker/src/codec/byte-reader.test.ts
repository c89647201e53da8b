import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { ByteReader, DecodeError } from "./byte-reader.ts"
import { ByteWriter } from "./byte-writer.ts"

describe("ByteReader and ByteWriter", () => {
  test("what was written is read back, field by field", () => {
    fc.assert(
      fc.property(
        fc.record({
          small: fc.nat(0xff),
          medium: fc.nat(0xffff),
          large: fc.nat(0xffff_ffff),
          huge: fc.maxSafeNat(),
          signed: fc.maxSafeInteger(),
          varied: fc.maxSafeNat(),
          yes: fc.boolean(),
          bytes: fc.uint8Array({ maxLength: 300 }),
          text: fc.string({ unit: "grapheme", maxLength: 100 }),
        }),
        (value) => {
          const writer = new ByteWriter(1)
          writer.uint8(value.small)
          writer.uint16(value.medium)
          writer.uint32(value.large)
          writer.uint64(value.huge)
          writer.float64(value.signed)
          writer.varuint(value.varied)
          writer.boolean(value.yes)
          writer.bytes(value.bytes)
          writer.string(value.text)
          writer.raw(value.bytes)
          const reader = new ByteReader(writer.finish())
          expect(reader.uint8()).toBe(value.small)
          expect(reader.uint16()).toBe(value.medium)
          expect(reader.uint32()).toBe(value.large)
          expect(reader.uint64()).toBe(value.huge)
          expect(reader.float64()).toBe(value.signed)
          expect(reader.varuint()).toBe(value.varied)
          expect(reader.boolean()).toBe(value.yes)
          expect(new Uint8Array(reader.bytes())).toEqual(value.bytes)
          expect(reader.string()).toBe(value.text)
          expect(new Uint8Array(reader.raw(value.bytes.length))).toEqual(value.bytes)
          reader.end()
        },
      ),
    )
  })

  test("any cut of the bytes is refused, never read past the end", () => {
    const writer = new ByteWriter()
    writer.uint64(7)
    writer.string("hello")
    const whole = writer.finish()
    for (let length = 0; length < whole.length; length++) {
      const reader = new ByteReader(whole.subarray(0, length))
      expect(() => {
        reader.uint64()
        reader.string()
      }).toThrow(DecodeError)
    }
  })

  test("numbers beyond 2^53 - 1, odd booleans, broken UTF-8 and left-over bytes are refused", () => {
    expect(() => new ByteReader(Buffer.alloc(8, 0xff)).uint64()).toThrow(DecodeError)
    expect(() => new ByteReader(Buffer.alloc(12, 0xff)).varuint()).toThrow(DecodeError)
    expect(() => new ByteReader(Uint8Array.of(2)).boolean()).toThrow(DecodeError)
    expect(() => new ByteReader(Uint8Array.of(1, 0xff)).string()).toThrow(DecodeError)
    expect(() => {
      new ByteReader(Uint8Array.of(1)).end()
    }).toThrow(DecodeError)
    expect(() => {
      new ByteWriter().uint64(-1)
    }).toThrow(RangeError)
    expect(() => {
      new ByteWriter().varuint(1.5)
    }).toThrow(RangeError)
  })

  test("a patched field is read with its new value, and only what was written can be patched", () => {
    const writer = new ByteWriter()
    writer.uint32(0)
    writer.zeros(3)
    writer.patchUint32(0, 0xdead_beef)
    expect(() => {
      writer.patchUint32(4, 1)
    }).toThrow(RangeError)
    const reader = new ByteReader(writer.finish())
    expect(reader.uint32()).toBe(0xdead_beef)
    reader.skip(3)
    expect(reader.remaining).toBe(0)
    expect(reader.position).toBe(7)
  })
})
