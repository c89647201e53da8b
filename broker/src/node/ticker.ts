/**
 * The ticks of a node: one for each `tickMs` that passes, but an idle node sleeps through those in which nothing can
 * happen and makes up for them when it wakes, so that it costs next to nothing.
 *
 * Whoever hands something in calls `catchUp` before, so that the past is counted first, and `rest` after, since what came
 * in may be due sooner than what was waited for. A process that was stopped for a while does not tick for all of it.
 */
import type { Cancel, Clock, Timers } from "../ports.ts"

export interface TickerParts {
  readonly clock: Clock
  readonly timers: Timers
  readonly tickMs: number
  readonly tick: () => void
  /** When is the next tick that matters? 1 = the very next. */
  readonly ticksUntilDue: () => number
}

/** Longest sleep. Several times the usual time between two heartbeats: a follower is woken by those alone. */
const SLEEP_TICKS_MAX = 10
/** A timer may come so much before the clock says so. */
const EARLY_MS = 1

export class Ticker {
  readonly #parts: TickerParts
  /** Up to here ticks have been made, monotonic ms. */
  #tickedMs = 0
  #alarmMs = 0
  #alarm: Cancel | undefined
  #isStopped = false

  constructor(parts: TickerParts) {
    this.#parts = parts
  }

  start(): void {
    this.#tickedMs = this.#parts.clock.monotonicMs()
    this.rest()
  }

  stop(): void {
    this.#isStopped = true
    this.#alarm?.()
  }

  /** Makes the ticks that have passed. */
  catchUp(): void {
    const { clock, tickMs, tick } = this.#parts
    const nowMs = clock.monotonicMs()
    const isLate = nowMs >= this.#alarmMs + tickMs
    const endMs = isLate ? this.#alarmMs : nowMs
    const count = Math.floor((endMs + EARLY_MS - this.#tickedMs) / tickMs)
    this.#tickedMs = isLate ? nowMs : this.#tickedMs + Math.max(0, count) * tickMs
    for (let made = 0; made < count && !this.#isStopped; made++) tick()
  }

  /** Sleeps until the next tick that matters. An alarm that comes too early is left: to move it costs more than to wake. */
  rest(): void {
    if (this.#isStopped) return
    const { clock, timers, tickMs, ticksUntilDue } = this.#parts
    const dueMs = this.#tickedMs + Math.min(ticksUntilDue(), SLEEP_TICKS_MAX) * tickMs
    if (this.#alarm !== undefined) {
      if (this.#alarmMs <= dueMs) return
      this.#alarm()
    }
    this.#alarmMs = dueMs
    this.#alarm = timers.after(Math.max(1, dueMs - clock.monotonicMs()), () => {
      this.#alarm = undefined
      this.catchUp()
      this.rest()
    })
  }
}
