import { expect, test } from "vitest"
import { crc32 } from "./crc.ts"

test("crc32 gives the IEEE check value, continues from a seed, and binds to it", () => {
  const digits = Buffer.from("123456789")
  expect(crc32(digits)).toBe(0xcbf43926)
  expect(crc32(digits.subarray(4), crc32(digits.subarray(0, 4)))).toBe(0xcbf43926)
  expect(crc32(digits, 1)).not.toBe(crc32(digits, 2))
})
