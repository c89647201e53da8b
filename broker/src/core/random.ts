/**
 * Randomness as an input: whoever builds a core object hands in a `Random`, so that one seed replays a whole run.
 *
 * Not for secrets. `Math.random` does not exist for `core/` (lint).
 */
import { assert } from "./assert.ts"

/** A source of repeatable pseudo-random numbers. */
export interface Random {
  /** An integer from 0 to 2^32 - 1. */
  nextUint32(): number
  /** An integer from 0 to `bound - 1`; `bound` is from 1 to 2^32. */
  nextInt(bound: number): number
  /** A number from 0 (inclusive) to 1 (exclusive), in steps of 2^-32. */
  nextFloat(): number
}

const UINT32_COUNT = 4_294_967_296
const WARM_UP_STEPS = 12

/**
 * Makes a generator (algorithm sfc32: 128 bits of state, about 2^127 values before it repeats).
 *
 * @param seed any safe integer; equal seeds give equal sequences on every machine.
 */
export function createRandom(seed: number): Random {
  assert(Number.isSafeInteger(seed), "a seed is a safe integer")
  let a = seed | 0
  let b = Math.floor(seed / UINT32_COUNT) | 0
  let c = 0x9e3779b9 | 0
  let counter = 1

  function nextUint32(): number {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  for (let step = 0; step < WARM_UP_STEPS; step++) nextUint32()
  return {
    nextUint32,
    nextInt(bound: number): number {
      assert(Number.isInteger(bound) && bound >= 1 && bound <= UINT32_COUNT, "bound is from 1 to 2^32")
      return Math.floor((nextUint32() / UINT32_COUNT) * bound)
    },
    nextFloat(): number {
      return nextUint32() / UINT32_COUNT
    },
  }
}
