/**
 * Time as the SDK sees it. Everything that waits takes a Clock, so that tests hand in their own; nothing else in
 * this package asks the system for the time or starts a timer.
 */

/** Stops a timer; does nothing when it has already run. */
export type CancelTimer = () => void

/** Source of time and timers. `systemClock` unless an `Account` is given another. */
export interface Clock {
  /** Unix time in milliseconds: for `Timestamp` parameters and nothing else, since it may jump. */
  unixMs(): number
  /** Milliseconds since some moment; never goes back. */
  monotonicMs(): number
  /** Runs `callback` once, `delayMs` milliseconds from now (0 = as soon as possible, never synchronously). */
  startTimer(delayMs: number, callback: () => void): CancelTimer
}

/** Longest delay that `setTimeout` takes without running at once: 2^31 - 1 ms. */
const TIMER_DELAY_MS_MAX = 2_147_483_647

/** The computer's clock. */
export const systemClock: Clock = {
  unixMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  startTimer: (delayMs, callback) => {
    const timer = setTimeout(callback, Math.min(Math.max(0, delayMs), TIMER_DELAY_MS_MAX))
    return () => {
      clearTimeout(timer)
    }
  },
}
