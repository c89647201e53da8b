/**
 * Aborting: the error it gives, and waiting that can be aborted.
 *
 * Listeners are added and removed by hand. `AbortSignal.any` keeps its sources alive on Node 20, which a
 * long-lived stop signal shared by millions of calls would turn into a leak.
 */
import type { Clock } from "./clock.ts"

/** What an aborted call rejects with, as everywhere on the platform: `name` is `AbortError`, `cause` the signal's reason. */
export class AbortError extends Error {
  override readonly name = "AbortError"
  /** As in Node's own aborts. */
  readonly code = "ABORT_ERR"
  /**
   * `notApplied`: the request never left. `unknown`: it was under way, and the broker may have carried it out.
   */
  readonly outcome: "notApplied" | "unknown"

  constructor(outcome: "notApplied" | "unknown", reason: unknown) {
    super("the call was aborted", { cause: reason })
    this.outcome = outcome
  }
}

/**
 * Runs `listener` when the signal aborts, or at once when it has.
 *
 * @returns what takes the listener off again; to be called whenever the wait is over.
 */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): () => void {
  if (signal === undefined) return () => undefined
  if (signal.aborted) {
    listener()
    return () => undefined
  }
  signal.addEventListener("abort", listener, { once: true })
  return () => {
    signal.removeEventListener("abort", listener)
  }
}

/** Waits; ends early, without an error, when the signal aborts. The caller looks at the signal afterwards. */
export function pause(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const cancelTimer = clock.startTimer(delayMs, () => {
      removeListener()
      resolve()
    })
    const removeListener = onAbort(signal, () => {
      cancelTimer()
      resolve()
    })
  })
}
