import fc from "fast-check"
import { expect, test } from "vitest"
import { decodeReceiptHandle, encodeReceiptHandle } from "./receipt-handle.ts"

const parts = fc.record({
  slot: fc.integer({ min: 0, max: 2 ** 24 - 1 }),
  deliveryNumber: fc.oneof(fc.integer({ min: 0, max: 1000 }), fc.integer({ min: 0, max: 2 ** 40 - 1 })),
})

test("a receipt handle is the decimal text of slot and delivery number, as BigInt has it", () => {
  fc.assert(
    fc.property(parts, (each) => {
      const slow = (BigInt(each.slot) << 40n) | BigInt(each.deliveryNumber)
      expect(encodeReceiptHandle(each)).toBe(slow.toString())
    }),
    { numRuns: 2000 },
  )
})

test("a receipt handle reads back to its parts", () => {
  fc.assert(
    fc.property(parts, (each) => {
      expect(decodeReceiptHandle(encodeReceiptHandle(each))).toEqual(each)
    }),
  )
})

test("the ends of the range are exact, and one more is refused", () => {
  expect(encodeReceiptHandle({ slot: 0, deliveryNumber: 0 })).toBe("0")
  const last = { slot: 2 ** 24 - 1, deliveryNumber: 2 ** 40 - 1 }
  expect(encodeReceiptHandle(last)).toBe("18446744073709551615")
  expect(decodeReceiptHandle("18446744073709551615")).toEqual(last)
  expect(decodeReceiptHandle("18446744073709551616")).toBeUndefined()
})

test("text that is not a plain decimal number of 64 bits is not a receipt handle", () => {
  for (const text of ["", "abc", " 7", "07", "-7", "7%20", "7\n"])
    expect(decodeReceiptHandle(text), text).toBeUndefined()
})

test("a part that does not fit its bits is a bug and throws", () => {
  expect(() => encodeReceiptHandle({ slot: 2 ** 24, deliveryNumber: 0 })).toThrow(RangeError)
  expect(() => encodeReceiptHandle({ slot: 0, deliveryNumber: 2 ** 40 })).toThrow(RangeError)
})
