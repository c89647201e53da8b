/**
 * Where errors go that no promise carries: to the user's hook, else to process warnings, of which the same one comes
 * once a minute with a count. A handler that fails for every message must not fill a disk with its log.
 */
import type { Clock } from "./clock.ts"
import type { ConsumerErrorContext, ConsumerErrorHook } from "./consumer-options.ts"

/** The same warning is given at most once in this time. Milliseconds. */
const WARNING_PERIOD_MS = 60_000
/** Different texts that are told apart; when there are more within a period, the rest share one warning. */
const WARNING_TEXTS_MAX = 100
const FURTHER_WARNINGS = "further errors, of too many kinds to show"

type Warned = { readonly atMs: number; heldBackCount: number }

/** Reports the errors of one consumer. */
export class ErrorReporter {
  readonly #hook: ConsumerErrorHook | undefined
  readonly #clock: Clock
  /** By text; the one that was given longest ago comes first. */
  readonly #warned = new Map<string, Warned>()

  constructor(hook: ConsumerErrorHook | undefined, clock: Clock) {
    this.#hook = hook
    this.#clock = clock
  }

  /** Never throws: an error in the user's hook must not end the loop that reports. */
  report(error: unknown, context: ConsumerErrorContext): void {
    try {
      if (this.#hook !== undefined) this.#hook(error, context)
      else this.#warn(`${context.during}: ${String(error)}`)
    } catch (thrown) {
      this.#warn(`onError threw: ${String(thrown)}`)
    }
  }

  #warn(text: string): void {
    const nowMs = this.#clock.monotonicMs()
    const key = this.#warned.has(text) || this.#hasRoom(nowMs) ? text : FURTHER_WARNINGS
    const last = this.#warned.get(key)
    if (last !== undefined && nowMs - last.atMs < WARNING_PERIOD_MS) {
      last.heldBackCount += 1
      return
    }
    // Deleted first: setting alone would leave it at its old place in the order.
    this.#warned.delete(key)
    this.#warned.set(key, { atMs: nowMs, heldBackCount: 0 })
    const heldBackCount = last?.heldBackCount ?? 0
    const count = heldBackCount === 0 ? "" : ` (and ${String(heldBackCount)} times since the last such warning)`
    process.emitWarning(`${key}${count}`, "OpenCmqConsumerWarning")
  }

  /** Whether one more text may be kept; forgets the oldest when its period is over. */
  #hasRoom(nowMs: number): boolean {
    if (this.#warned.size < WARNING_TEXTS_MAX) return true
    const [oldest] = this.#warned
    if (oldest === undefined || nowMs - oldest[1].atMs < WARNING_PERIOD_MS) return false
    this.#warned.delete(oldest[0])
    return true
  }
}
