/**
 * Receipt handles as an account sees them: the 64 bits of slot and delivery number, enciphered with the account's own
 * key. In another account's hands a handle deciphers to a delivery that never was, and none can be guessed.
 *
 * The cipher is Speck64/128 (Beaulieu and others, 2013): a handle has 64 bits on CMQ's TCP wire, so the block must, too.
 */
import type { Handle } from "./service-types.ts"

const ROUNDS = 27
const BYTE = 0x100
const WORD = 0x1_0000_0000

/** The cipher of one account. */
export class HandleCipher {
  readonly #roundKeys: readonly number[]

  /** @param key - 128 bits, four words, the first one the last of the paper's notation. */
  constructor(key: readonly number[]) {
    const [first = 0, ...rest] = key
    const words = rest.slice()
    const roundKeys = [first | 0]
    for (let round = 0; round < ROUNDS - 1; round++) {
      const last = roundKeys[round] as number
      const mixed = ((last + right8(words[round] as number)) | 0) ^ round
      words.push(mixed)
      roundKeys.push(left3(last) ^ mixed)
    }
    this.#roundKeys = roundKeys
  }

  /** What the account is told. */
  seal(receipt: Handle): Handle {
    let [high, low] = wordsOf(receipt)
    for (const key of this.#roundKeys) {
      high = ((right8(high) + low) | 0) ^ key
      low = left3(low) ^ high
    }
    return handleOf(high, low)
  }

  /** What the machine knows it by. */
  open(receipt: Handle): Handle {
    let [high, low] = wordsOf(receipt)
    for (let round = ROUNDS - 1; round >= 0; round--) {
      low = right3(low ^ high)
      high = left8(((high ^ (this.#roundKeys[round] as number)) - low) | 0)
    }
    return handleOf(high, low)
  }
}

function wordsOf({ slot, deliveryNumber }: Handle): [number, number] {
  return [(slot * BYTE + Math.floor(deliveryNumber / WORD)) | 0, deliveryNumber | 0]
}

function handleOf(high: number, low: number): Handle {
  return { slot: high >>> 8, deliveryNumber: (high & 0xff) * WORD + (low >>> 0) }
}

function right8(word: number): number {
  return (word >>> 8) | (word << 24)
}

function left8(word: number): number {
  return (word << 8) | (word >>> 24)
}

function left3(word: number): number {
  return (word << 3) | (word >>> 29)
}

function right3(word: number): number {
  return (word >>> 3) | (word << 29)
}
