/**
 * Two ways to look at durations: exactly, for a few samples; in a histogram of fixed size, for millions.
 */
import hdr from "hdr-histogram-js"
import type { Histogram } from "hdr-histogram-js"

/** Highest latency that is told apart, microseconds: ten minutes. Longer ones count as this. */
const LATENCY_MAX_US = 600_000_000
const SIGNIFICANT_DIGITS = 3

/** Durations in milliseconds. */
export interface Percentiles {
  readonly count: number
  readonly minMs: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly maxMs: number
}

/** Nearest-rank percentiles of a few samples; all zero without any. With fewer than 100, p99 is the maximum. */
export function exactPercentiles(samplesMs: readonly number[]): Percentiles {
  const sorted = samplesMs.toSorted((a, b) => a - b)
  const rank = (share: number): number => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0
  return {
    count: sorted.length,
    minMs: rank(0),
    p50Ms: rank(0.5),
    p99Ms: rank(0.99),
    p999Ms: rank(0.999),
    maxMs: rank(1),
  }
}

/** Latencies of very many requests. */
export class LatencyHistogram {
  readonly #histogram: Histogram = hdr.build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: LATENCY_MAX_US,
    numberOfSignificantValueDigits: SIGNIFICANT_DIGITS,
  })

  record(durationMs: number): void {
    const microseconds = Math.max(1, Math.round(durationMs * 1_000))
    this.#histogram.recordValue(Math.min(microseconds, LATENCY_MAX_US))
  }

  percentiles(): Percentiles {
    const at = (percentile: number): number => this.#histogram.getValueAtPercentile(percentile) / 1_000
    const count = this.#histogram.totalCount
    if (count === 0) return exactPercentiles([])
    return { count, minMs: at(0), p50Ms: at(50), p99Ms: at(99), p999Ms: at(99.9), maxMs: at(100) }
  }
}
