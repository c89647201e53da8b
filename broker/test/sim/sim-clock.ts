/**
 * The clocks of one node: a monotonic clock that may run at half or double speed, a wall clock that is off and may jump,
 * and timers that follow the node's own idea of a millisecond.
 */
import type { Cancel, Clock, Timers } from "../../src/ports.ts"
import type { Incarnation } from "./sim-process.ts"
import type { World } from "./world.ts"

/** What the wall clock of a perfect node shows when the world begins: 2023-11-14T22:13:20Z. */
export const WALL_EPOCH_MS = 1_700_000_000_000

export class SimClock implements Clock {
  readonly #world: World
  #rate = 1
  #anchorWorldMs = 0
  #anchorMonotonicMs: number
  #wallOffsetMs = 0

  /** @param monotonicBaseMs differs from node to node: nobody may send or store a monotonic value. */
  constructor(world: World, monotonicBaseMs: number) {
    this.#world = world
    this.#anchorMonotonicMs = monotonicBaseMs
  }

  get rate(): number {
    return this.#rate
  }

  get wallOffsetMs(): number {
    return this.#wallOffsetMs
  }

  monotonicMs(): number {
    return this.#anchorMonotonicMs + (this.#world.nowMs - this.#anchorWorldMs) * this.#rate
  }

  wallMs(): number {
    return Math.floor(WALL_EPOCH_MS + this.#world.nowMs + this.#wallOffsetMs)
  }

  /** From now on a second of the world is `rate` seconds of this node. */
  setRate(rate: number): void {
    this.#anchorMonotonicMs = this.monotonicMs()
    this.#anchorWorldMs = this.#world.nowMs
    this.#rate = rate
  }

  setWallOffset(offsetMs: number): void {
    this.#wallOffsetMs = offsetMs
  }
}

export class SimTimers implements Timers {
  readonly #incarnation: Incarnation
  readonly #clock: SimClock

  constructor(incarnation: Incarnation, clock: SimClock) {
    this.#incarnation = incarnation
    this.#clock = clock
  }

  soon(run: () => void): void {
    this.#incarnation.after(0, run)
  }

  after(delayMs: number, run: () => void): Cancel {
    let isCancelled = false
    const event = this.#incarnation.after(Math.max(1, delayMs) / this.#clock.rate, () => {
      if (!isCancelled) run()
    })
    return () => {
      isCancelled = true
      event.run = undefined
    }
  }

  every(periodMs: number, run: () => void): Cancel {
    let isCancelled = false
    let cancel: Cancel = () => undefined
    const again = (): void => {
      cancel = this.after(periodMs, () => {
        again()
        run()
      })
      if (isCancelled) cancel()
    }
    again()
    return () => {
      isCancelled = true
      cancel()
    }
  }
}
