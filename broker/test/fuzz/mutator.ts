/**
 * Makes bad inputs out of good ones: flipped bits, cut ends, pieces of other inputs, lengths and numbers at their
 * edges, endless varints; and now and then pure noise. Everything follows from one seed.
 *
 * The inputs of a block share one generator, so any input can be made again without the blocks before it.
 */
import { createRandom } from "../../src/core/random.ts"
import type { Random } from "../../src/core/random.ts"

/** Inputs whose numbers are the same but for the last digits have one generator. */
export const INPUTS_PER_BLOCK = 1024
/** Longest input ever made. */
export const INPUT_BYTES_MAX = 65_536
const NOISE_BYTES_MAX = 256
const CHANGES_MAX = 4
/** Of sixteen inputs, so many are noise. */
const NOISE_SIXTEENTHS = 1
const SEED_RANGE = 0x1_0000_0000

const WORDS = [
  0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0xffff, 0x10000, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff,
]
const DOUBLES = [Number.NaN, Number.POSITIVE_INFINITY, -1, -0, 0.5, 2 ** 24, 2 ** 31, 2 ** 53, 1e300]
/** One byte more than any varint has. */
const ENDLESS_VARINT_BYTES = 11

type Change = (mutator: Mutator) => void

export class Mutator {
  readonly #seeds: readonly Uint8Array[]
  readonly #seed: number
  readonly #buffer = Buffer.alloc(INPUT_BYTES_MAX)
  #random: Random = createRandom(0)
  #block = -1
  #nextInBlock = 0
  #length = 0

  constructor(seeds: readonly Uint8Array[], seed: number) {
    if (seeds.length === 0 || seeds.some((each) => each.length > INPUT_BYTES_MAX / 2)) {
      throw new RangeError("a decoder needs valid inputs of a moderate length to start from")
    }
    this.#seeds = seeds
    this.#seed = seed
  }

  /** The input of this number, from 0. Its bytes are overwritten by the next call. */
  input(number: number): Buffer {
    const block = Math.floor(number / INPUTS_PER_BLOCK)
    const offset = number % INPUTS_PER_BLOCK
    if (block !== this.#block || offset < this.#nextInBlock) {
      this.#block = block
      this.#nextInBlock = 0
      this.#random = createRandom(this.#seed + block * SEED_RANGE)
    }
    while (this.#nextInBlock <= offset) {
      this.#make()
      this.#nextInBlock++
    }
    return this.#buffer.subarray(0, this.#length)
  }

  #make(): void {
    const random = this.#random
    const dice = random.nextUint32()
    if ((dice & 15) < NOISE_SIXTEENTHS) {
      this.#length = (dice >>> 4) % NOISE_BYTES_MAX
      this.#noise(0, this.#length)
      return
    }
    const seed = this.#anySeed()
    this.#buffer.set(seed, 0)
    this.#length = seed.length
    for (let left = (dice >>> 4) % (CHANGES_MAX + 1); left > 0; left--) {
      const change = CHANGES[random.nextUint32() % CHANGES.length] as Change
      change(this)
    }
  }

  #anySeed(): Uint8Array {
    return this.#seeds[this.#random.nextUint32() % this.#seeds.length] as Uint8Array
  }

  #noise(from: number, to: number): void {
    for (let at = from; at < to; at++) this.#buffer[at] = this.#random.nextUint32() >>> 13
  }

  /** A place in the input; 0 when it is empty. */
  #place(): number {
    return this.#length === 0 ? 0 : this.#random.nextUint32() % this.#length
  }

  /** A short number of bytes, mostly 1 to 8. */
  #few(): number {
    const dice = this.#random.nextUint32()
    return 1 + ((dice & 7) === 0 ? (dice >>> 3) % 64 : (dice >>> 3) % 8)
  }

  flipBit(): void {
    if (this.#length === 0) return
    const at = this.#place()
    this.#buffer[at] = (this.#buffer[at] as number) ^ (1 << (this.#random.nextUint32() & 7))
  }

  setByte(): void {
    if (this.#length > 0) this.#buffer[this.#place()] = this.#random.nextUint32() >>> 9
  }

  cut(): void {
    this.#length = this.#place()
  }

  remove(): void {
    const at = this.#place()
    const count = Math.min(this.#few(), this.#length - at)
    this.#buffer.copyWithin(at, at + count, this.#length)
    this.#length -= count
  }

  repeat(): void {
    const at = this.#place()
    const count = Math.min(this.#few(), this.#length - at)
    if (!this.#open(at, count)) return
    this.#buffer.copyWithin(at, at + count, at + 2 * count)
  }

  insertNoise(): void {
    const at = this.#place()
    const count = this.#few()
    if (this.#open(at, count)) this.#noise(at, at + count)
  }

  /** The end of another input behind the beginning of this one. */
  splice(): void {
    const other = this.#anySeed()
    const at = this.#place()
    const from = other.length === 0 ? 0 : this.#random.nextUint32() % other.length
    const count = Math.min(other.length - from, INPUT_BYTES_MAX - at)
    this.#buffer.set(other.subarray(from, from + count), at)
    this.#length = at + count
  }

  /** A piece of another input somewhere inside. */
  transplant(): void {
    const other = this.#anySeed()
    const from = other.length === 0 ? 0 : this.#random.nextUint32() % other.length
    const piece = other.subarray(from, from + this.#few())
    const at = this.#place()
    if (this.#open(at, piece.length)) this.#buffer.set(piece, at)
  }

  /** A number at the edge of something, or about as large as the input, where a length or a count may stand. */
  setWord(): void {
    const dice = this.#random.nextUint32()
    const isLength = (dice & 3) === 0
    const value = isLength ? this.#length - 4 + ((dice >>> 8) % 8) : (WORDS[(dice >>> 8) % WORDS.length] as number)
    const bytes = (dice & 4) === 0 ? 4 : 2
    if (this.#length < bytes) return
    const at = this.#random.nextUint32() % (this.#length - bytes + 1)
    for (let index = 0; index < bytes; index++) {
      const shift = (dice & 8) === 0 ? index : bytes - 1 - index
      this.#buffer[at + index] = Math.max(0, value) >>> (8 * shift)
    }
  }

  setDouble(): void {
    if (this.#length < 8) return
    const value = DOUBLES[this.#random.nextUint32() % DOUBLES.length] as number
    this.#buffer.writeDoubleLE(value, this.#random.nextUint32() % (this.#length - 7))
  }

  hugeVarint(): void {
    const count = 1 + (this.#random.nextUint32() % ENDLESS_VARINT_BYTES)
    const at = this.#place()
    if (!this.#open(at, count)) return
    this.#buffer.fill(0xff, at, at + count)
    // Some end as the largest number of their length (or, of ten bytes, a small negative one), some run into what follows.
    if ((count & 1) === 0) this.#buffer[at + count - 1] = 0x01
    this.#buffer[at] = 0xff - (this.#random.nextUint32() & 15)
  }

  /** Makes room for `count` bytes. */
  #open(at: number, count: number): boolean {
    if (this.#length + count > INPUT_BYTES_MAX) return false
    this.#buffer.copyWithin(at + count, at, this.#length)
    this.#length += count
    return true
  }
}

const CHANGES: readonly Change[] = [
  (mutator) => {
    mutator.flipBit()
  },
  (mutator) => {
    mutator.flipBit()
  },
  (mutator) => {
    mutator.setByte()
  },
  (mutator) => {
    mutator.setByte()
  },
  (mutator) => {
    mutator.cut()
  },
  (mutator) => {
    mutator.remove()
  },
  (mutator) => {
    mutator.repeat()
  },
  (mutator) => {
    mutator.insertNoise()
  },
  (mutator) => {
    mutator.splice()
  },
  (mutator) => {
    mutator.transplant()
  },
  (mutator) => {
    mutator.setWord()
  },
  (mutator) => {
    mutator.setWord()
  },
  (mutator) => {
    mutator.setDouble()
  },
  (mutator) => {
    mutator.hugeVarint()
  },
]
