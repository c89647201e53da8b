/**
 * A clock that stands still until a test moves it. Timers fire in the order of their times, inside `advance`.
 */
import type { Clock } from "../src/clock.ts"

type Timer = { readonly atMs: number; readonly callback: () => void }

export class ManualClock implements Clock {
  #nowMs = 0
  readonly #startedAtMs = Date.now()
  #timers: Timer[] = []

  unixMs(): number {
    return this.#startedAtMs + this.#nowMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  startTimer(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), callback }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer)
    }
  }

  /** Timers that are set. */
  get timerCount(): number {
    return this.#timers.length
  }

  advance(ms: number): void {
    const untilMs = this.#nowMs + ms
    for (;;) {
      const due = this.#timers.filter((each) => each.atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0]
      if (due === undefined) break
      this.#timers = this.#timers.filter((each) => each !== due)
      this.#nowMs = due.atMs
      due.callback()
    }
    this.#nowMs = untilMs
  }
}
