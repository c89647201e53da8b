import fc from "fast-check"
import { expect, test } from "vitest"
import { HandleCipher } from "./handle-cipher.ts"

test("the test vector of the paper", () => {
  const cipher = new HandleCipher([0x03020100, 0x0b0a0908, 0x13121110, 0x1b1a1918])
  // 3b726574 7475432d -> 8c6fa548 454e028b
  const plain = { slot: 0x3b7265, deliveryNumber: 0x74_7475432d }
  expect(cipher.seal(plain)).toEqual({ slot: 0x8c6fa5, deliveryNumber: 0x48_454e028b })
  expect(cipher.open(cipher.seal(plain))).toEqual(plain)
})

test("what is sealed opens with the same key, and with another one to something else", () => {
  const word = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff })
  const key = fc.array(word, { minLength: 4, maxLength: 4 })
  const slot = fc.integer({ min: 0, max: 2 ** 24 - 1 })
  const deliveryNumber = fc.integer({ min: 0, max: 2 ** 40 - 1 })
  fc.assert(
    fc.property(key, word, fc.record({ slot, deliveryNumber }), (words, other, receipt) => {
      const sealed = new HandleCipher(words).seal(receipt)
      expect(new HandleCipher(words).open(sealed)).toEqual(receipt)
      const otherKey = [...words.slice(0, 3), (words[3] as number) ^ (other | 1)]
      expect(new HandleCipher(otherKey).open(sealed)).not.toEqual(receipt)
    }),
    { numRuns: 200 },
  )
})
