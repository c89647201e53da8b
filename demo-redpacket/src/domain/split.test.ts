import fc from "fast-check"
import { expect, test } from "vitest"
import { seededRandom } from "./random.ts"
import { SHARE_FEN_MAX, splitPacket } from "./split.ts"

const packets = fc
  .record({
    shareCount: fc.integer({ min: 1, max: 100 }),
    seed: fc.integer(),
    fill: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  .map(({ shareCount, seed, fill }) => ({
    shareCount,
    random: seededRandom(seed),
    totalFen: shareCount + Math.floor(fill * shareCount * (SHARE_FEN_MAX - 1)),
  }))

test("shares are whole fen from 1 to the cap, and their sum is the packet", () => {
  fc.assert(
    fc.property(packets, ({ totalFen, shareCount, random }) => {
      const shares = splitPacket(totalFen, shareCount, random)
      expect(shares).toHaveLength(shareCount)
      expect(shares.reduce((sum, share) => sum + share, 0)).toBe(totalFen)
      expect(shares.every((share) => Number.isInteger(share) && share >= 1 && share <= SHARE_FEN_MAX)).toBe(true)
    }),
    { numRuns: 2_000 },
  )
})

test("the ends of the range split in the only way there is", () => {
  const random = seededRandom(1)
  expect(splitPacket(2, 2, random)).toEqual([1, 1])
  expect(splitPacket(100, 100, random)).toEqual(Array.from({ length: 100 }, () => 1))
  expect(splitPacket(3 * SHARE_FEN_MAX, 3, random)).toEqual([SHARE_FEN_MAX, SHARE_FEN_MAX, SHARE_FEN_MAX])
  expect(splitPacket(1_000, 1, random)).toEqual([1_000])
})

test("a packet that cannot be split is refused", () => {
  for (const [total, count] of [
    [1, 2],
    [20_001, 1],
    [10.5, 2],
    [10, 0],
    [Number.NaN, 1],
  ] as const) {
    expect(() => splitPacket(total, count, seededRandom(1))).toThrow(RangeError)
  }
})

test("every place has the same mean: who opens later is not poorer", () => {
  const random = seededRandom(7)
  const sums = [0, 0, 0, 0, 0]
  const runs = 20_000
  for (let run = 0; run < runs; run++) {
    splitPacket(5_000, 5, random).forEach((share, place) => {
      sums[place] = (sums[place] ?? 0) + share
    })
  }
  for (const sum of sums) expect(Math.abs(sum / runs - 1_000)).toBeLessThan(30)
})

test("the same seed draws the same shares", () => {
  const draw = () => splitPacket(10_000, 10, seededRandom(42))
  expect(draw()).toEqual(draw())
})
