/**
 * The time that the leader writes into the log. It follows what the log said last and the monotonic clock, not the wall
 * clock: a wall clock that jumps must neither end a visibility timeout early nor stretch it (design decision 6).
 *
 *   anchor (log time, monotonic time)  ->  now = log + elapsed, slewed towards the wall clock by at most 1 in 1000
 *
 * The wall clock is believed once, when the process starts, because only it knows how long the whole cluster was off;
 * the first words of a living leader replace that belief.
 */
import type { Clock } from "../ports.ts"

/** Largest share of elapsed time by which log time is slowed or hurried towards the wall clock. */
const SLEW = 1 / 1000

export class LogClock {
  readonly #clock: Clock
  #anchorLogMs: number
  #anchorMonotonicMs: number

  /** @param lastStampMs the time the machine had reached when it was restored; 0 for a new one. Unix ms. */
  constructor(clock: Clock, lastStampMs: number) {
    this.#clock = clock
    this.#anchorLogMs = Math.max(lastStampMs, clock.wallMs())
    this.#anchorMonotonicMs = clock.monotonicMs()
  }

  /** Log time now, Unix ms, whole. Never less than any earlier answer unless `follow` set it back. */
  nowMs(): number {
    return Math.floor(this.#exactMs())
  }

  /** A leader said that log time is `logMs` now. */
  follow(logMs: number): void {
    this.#anchorLogMs = logMs
    this.#anchorMonotonicMs = this.#clock.monotonicMs()
  }

  /** Log time has reached at least `logMs` (an entry with this stamp was applied). */
  atLeast(logMs: number): void {
    if (logMs > this.nowMs()) this.follow(logMs)
  }

  /** Keeps the slew relative to a recent anchor; called by the leader every so often. */
  reanchor(): void {
    this.follow(this.#exactMs())
  }

  /** Unrounded: anchors that were rounded down twenty times a second would lose a percent. */
  #exactMs(): number {
    const elapsedMs = this.#clock.monotonicMs() - this.#anchorMonotonicMs
    const aheadMs = this.#clock.wallMs() - (this.#anchorLogMs + elapsedMs)
    const slewMs = Math.max(-elapsedMs * SLEW, Math.min(elapsedMs * SLEW, aheadMs))
    return this.#anchorLogMs + elapsedMs + slewMs
  }
}
