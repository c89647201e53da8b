/**
 * Chance that can be repeated: the same seed gives the same night. Not for secrets.
 */

/** A whole number from 0 to below `limit`; `limit` is 1 to 2^32. */
export type Random = (limit: number) => number

/** A generator from a seed (mulberry32). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296) * limit)
  }
}
