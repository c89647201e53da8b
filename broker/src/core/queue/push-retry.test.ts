import { describe, expect, test } from "vitest"
import { retryGapMs } from "./push-retry.ts"

function gaps(strategy: "backoff" | "exponentialDecay", sequence: number): number[] {
  const found: number[] = []
  for (let failureCount = 1; ; failureCount++) {
    const gapMs = retryGapMs(strategy, failureCount, sequence)
    if (gapMs === undefined) return found
    found.push(gapMs)
  }
}

describe("retries of a push", () => {
  test("exponential decay: 176 of them in one day", () => {
    const found = gaps("exponentialDecay", 7)
    expect(found.length).toBe(176)
    expect(found.slice(0, 11)).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 512].map((seconds) => seconds * 1000))
    expect(found.reduce((sum, gapMs) => sum + gapMs, 0)).toBe(86_015_000)
  })

  test("backoff: three, 10 to 20 s apart, not all alike", () => {
    const all = Array.from({ length: 1000 }, (_, sequence) => gaps("backoff", sequence + 1))
    expect(all.every((found) => found.length === 3)).toBe(true)
    const flat = all.flat()
    expect(Math.min(...flat)).toBeGreaterThanOrEqual(10_000)
    expect(Math.max(...flat)).toBeLessThanOrEqual(20_000)
    expect(new Set(flat).size).toBeGreaterThan(2000)
  })
})
