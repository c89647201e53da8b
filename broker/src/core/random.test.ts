import { expect, test } from "vitest"
import { createRandom } from "./random.ts"

test("equal seeds give equal sequences, other seeds others", () => {
  const draw = (seed: number): number[] => {
    const random = createRandom(seed)
    return Array.from({ length: 20 }, () => random.nextUint32())
  }
  expect(draw(1)).toEqual(draw(1))
  expect(draw(1)).not.toEqual(draw(2))
  expect(draw(1)).not.toEqual(draw(1 + 2 ** 32))
})

test("integers cover their range evenly and never leave it", () => {
  const random = createRandom(3)
  const counts = new Array<number>(7).fill(0)
  for (let draw = 0; draw < 70_000; draw++) {
    const value = random.nextInt(7)
    counts[value] = (counts[value] ?? 0) + 1
  }
  expect(counts).toHaveLength(7)
  for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500)
})

test("fractions are from 0 to below 1", () => {
  const random = createRandom(4)
  for (let draw = 0; draw < 1000; draw++) {
    const value = random.nextFloat()
    expect(value >= 0 && value < 1).toBe(true)
  }
})
