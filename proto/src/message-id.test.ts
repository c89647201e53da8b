import fc from "fast-check"
import { expect, test } from "vitest"
import { decodeMessageId, encodeMessageId } from "./message-id.ts"

const parts = fc.record({
  setId: fc.integer({ min: 0, max: 0xff }),
  entryIndex: fc.oneof(fc.integer({ min: 0, max: 1000 }), fc.integer({ min: 0, max: 2 ** 40 - 1 })),
  ordinal: fc.integer({ min: 0, max: 0xffff }),
})

test("a message id is the decimal text of set, entry index and ordinal, as BigInt has it", () => {
  fc.assert(
    fc.property(parts, (each) => {
      const slow = (BigInt(each.setId) << 56n) | (BigInt(each.entryIndex) << 16n) | BigInt(each.ordinal)
      expect(encodeMessageId(each)).toBe(slow.toString())
    }),
    { numRuns: 2000 },
  )
})

test("a message id reads back to its parts", () => {
  fc.assert(
    fc.property(parts, (each) => {
      expect(decodeMessageId(encodeMessageId(each))).toEqual(each)
    }),
  )
})

test("any 64-bit number reads as the parts that BigInt finds, and anything above is refused", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 10n ** 20n - 1n }), (number) => {
      const decoded = decodeMessageId(number.toString())
      if (number >= 1n << 64n) expect(decoded).toBeUndefined()
      else {
        expect(decoded).toEqual({
          setId: Number(number >> 56n),
          entryIndex: Number((number >> 16n) & 0xff_ffff_ffffn),
          ordinal: Number(number & 0xffffn),
        })
      }
    }),
    { numRuns: 2000 },
  )
})

test("the ends of the range are exact", () => {
  expect(encodeMessageId({ setId: 0, entryIndex: 0, ordinal: 0 })).toBe("0")
  expect(encodeMessageId({ setId: 255, entryIndex: 2 ** 40 - 1, ordinal: 65_535 })).toBe("18446744073709551615")
  expect(decodeMessageId("18446744073709551616")).toBeUndefined()
})

test("text that is not a plain decimal number of 64 bits is not a message id", () => {
  for (const text of [
    "",
    " 1",
    "1 ",
    "+1",
    "-1",
    "01",
    "00",
    "1.0",
    "1e3",
    "0x1",
    "١",
    "99999999999999999999",
    "1".repeat(21),
  ]) {
    expect(decodeMessageId(text), text).toBeUndefined()
  }
})

test("a part that does not fit its bits is a bug and throws", () => {
  expect(() => encodeMessageId({ setId: 256, entryIndex: 0, ordinal: 0 })).toThrow(RangeError)
  expect(() => encodeMessageId({ setId: 0, entryIndex: 2 ** 40, ordinal: 0 })).toThrow(RangeError)
  expect(() => encodeMessageId({ setId: 0, entryIndex: 0, ordinal: 65_536 })).toThrow(RangeError)
  expect(() => encodeMessageId({ setId: 0, entryIndex: 0.5, ordinal: -1 })).toThrow(RangeError)
})
