import fc from "fast-check"
import { expect, test } from "vitest"
import { parseInteger } from "./integer.ts"

test("plain whole numbers are read", () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), (value) => {
      expect(parseInteger(String(value))).toBe(value)
    }),
  )
})

test("anything else is not a whole number", () => {
  for (const text of ["", " 5", "5 ", "5.0", "1e3", "+5", "05", "-0", "--1", "0x10", "1_000", "٣", "NaN", "Infinity"]) {
    expect(parseInteger(text), text).toBeUndefined()
  }
})

test("a number too long to be exact is outside every range, not rounded", () => {
  expect(parseInteger("9007199254740992")).toBe(Infinity)
  expect(parseInteger("9".repeat(30))).toBe(Infinity)
  expect(parseInteger(`-${"9".repeat(30)}`)).toBe(-Infinity)
})
