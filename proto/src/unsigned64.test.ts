import fc from "fast-check"
import { expect, test } from "vitest"
import { assertBits, formatUnsigned64, parseUnsigned64 } from "./unsigned64.ts"

const high = fc.oneof(fc.integer({ min: 0, max: 2 ** 20 }), fc.integer({ min: 0, max: 2 ** 48 - 1 }))
const low = fc.integer({ min: 0, max: 0xffff })

/** The slow model: school multiplication, digit by digit from the right. */
function decimalDigits(high48: number, low16: number): string {
  let carry = low16
  let digits = ""
  for (const digit of [...String(high48)].reverse()) {
    carry += Number(digit) * 65_536
    digits = String(carry % 10) + digits
    carry = Math.floor(carry / 10)
  }
  return (String(carry) + digits).replace(/^0+(?=.)/, "")
}

test("two limbs are written as a schoolchild writes them, and read back", () => {
  fc.assert(
    fc.property(high, low, (high48, low16) => {
      const text = formatUnsigned64(high48, low16)
      expect(text).toBe(decimalDigits(high48, low16))
      expect(parseUnsigned64(text)).toEqual({ high48, low16 })
    }),
    { numRuns: 2000 },
  )
})

test("only plain decimal text below 2^64 is read", () => {
  expect(parseUnsigned64("18446744073709551616")).toBeUndefined()
  expect(parseUnsigned64("18446744073709551615")).toEqual({ high48: 2 ** 48 - 1, low16: 0xffff })
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^\d{1,22}$/)), (text) => {
      const isPlain = /^(0|[1-9]\d*)$/.test(text) && BigInt(text) < 1n << 64n
      expect(parseUnsigned64(text) !== undefined).toBe(isPlain)
    }),
    { numRuns: 2000 },
  )
})

test("a part must be a whole number of its bits", () => {
  expect(() => assertBits("x", 255, 8)).not.toThrow()
  for (const value of [256, -1, 0.5, Number.NaN, Infinity]) expect(() => assertBits("x", value, 8)).toThrow(RangeError)
})
