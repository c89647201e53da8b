import { expect, test } from "vitest"
import { LatencyHistogram, exactPercentiles } from "./percentiles.ts"

test("exact percentiles are samples, by nearest rank", () => {
  const samples = Array.from({ length: 200 }, (_, index) => 200 - index)
  expect(exactPercentiles(samples)).toEqual({ count: 200, minMs: 1, p50Ms: 100, p99Ms: 198, p999Ms: 200, maxMs: 200 })
  expect(exactPercentiles([7])).toMatchObject({ minMs: 7, p50Ms: 7, p99Ms: 7, maxMs: 7 })
  expect(exactPercentiles([])).toMatchObject({ count: 0, maxMs: 0 })
})

test("a histogram gives the same to three digits, and keeps what is beyond its range", () => {
  const histogram = new LatencyHistogram()
  for (let sampleMs = 1; sampleMs <= 200; sampleMs += 1) histogram.record(sampleMs)
  const { count, p50Ms, p99Ms, maxMs } = histogram.percentiles()
  expect(count).toBe(200)
  expect(p50Ms).toBeCloseTo(100, -1)
  expect(p99Ms / 198).toBeCloseTo(1, 2)
  expect(maxMs / 200).toBeCloseTo(1, 2)
  histogram.record(Number.MAX_SAFE_INTEGER)
  expect(histogram.percentiles().maxMs).toBeGreaterThan(590_000)
})
