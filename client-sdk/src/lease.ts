/**
 * Keeps received messages hidden while they wait for, or are in, a handler: one lease a message, extended at half
 * its time. A lease ends in one of three ways: released (the message is about to be settled; an extension under way
 * is awaited, so the two never race), lost (the broker says that the message is no longer ours, or its time ran out
 * unanswered), or expired by `maxProcessingMs`. The last two abort the handler's signal.
 */
import type { CancelTimer, Clock } from "./clock.ts"
import { CmqError } from "./cmq-error.ts"
import { attachLease } from "./message.ts"
import type { Message, MessageLease } from "./message.ts"

/** What leases have in common. */
export type LeaseOptions = Readonly<{
  clock: Clock
  /** Time that a receive or an extension gives, whole seconds, 1 to 43,200. */
  visibilityTimeoutSeconds: number
  /** Longest time in the handler; then extensions end. Milliseconds. */
  maxProcessingMs: number
  onExtended: () => void
  /** The message is no longer ours, or most likely not. Called once, after the signal was aborted. */
  onLost: (error: CmqError) => void
  /** However it ended: the message needs no more keeping. Called once. */
  onEnded: (lease: Lease) => void
  /** An extension failed and will be tried again. */
  onError: (error: CmqError) => void
}>

/** Time before another try of an extension that failed: this part of what is left. */
const RETRY_SHARE = 0.25
/** Below this there is no use in another try; the message is about to be somebody else's. Milliseconds. */
const REMAINDER_MS_MIN = 10

/** Keeps one message hidden. */
export class Lease implements MessageLease {
  readonly message: Message
  readonly #options: LeaseOptions
  readonly #controller = new AbortController()
  #state: "held" | "released" | "lost" | "overdue" = "held"
  #expiresAtMs: number
  #cancelExtension: CancelTimer | undefined
  #cancelProcessing: CancelTimer | undefined
  #pending: Promise<void> | undefined

  /** @param message - just received: its time runs from now. */
  constructor(message: Message, options: LeaseOptions) {
    this.message = message
    this.#options = options
    this.#expiresAtMs = options.clock.monotonicMs() + options.visibilityTimeoutSeconds * 1_000
    attachLease(message, this)
    this.#armAtHalf(options.visibilityTimeoutSeconds)
  }

  /** Aborted when the message is no longer ours, or its time in the handler is over; `reason` is a `CmqError`. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Whether the message is surely, or most likely, no longer ours. */
  get isLost(): boolean {
    return this.#state === "lost"
  }

  /** The handler begins: from here counts `maxProcessingMs`. */
  beginProcessing(): void {
    const { clock, maxProcessingMs } = this.#options
    this.#cancelProcessing = clock.startTimer(maxProcessingMs, () => {
      if (this.#state !== "held") return
      this.#end("overdue", leaseError("timedOut", `handler took more than ${String(maxProcessingMs)} ms`))
    })
  }

  /** Aborts the handler's signal without ending the lease: the consumer stops. */
  abort(reason: unknown): void {
    this.#controller.abort(reason)
  }

  async release(): Promise<void> {
    if (this.#state === "held") {
      this.#state = "released"
      this.#cancelTimers()
      this.#options.onEnded(this)
    }
    await this.#pending
  }

  extended(seconds: number): void {
    this.#expiresAtMs = this.#options.clock.monotonicMs() + seconds * 1_000
    this.#armAtHalf(seconds)
  }

  #armAtHalf(seconds: number): void {
    this.#arm(seconds * 500)
  }

  #arm(delayMs: number): void {
    this.#cancelExtension?.()
    if (this.#state !== "held") return
    this.#cancelExtension = this.#options.clock.startTimer(delayMs, () => {
      this.#pending ??= this.#extend().finally(() => {
        this.#pending = undefined
      })
    })
  }

  /** One extension. Never rejects. */
  async #extend(): Promise<void> {
    const { clock, visibilityTimeoutSeconds, onExtended, onError } = this.#options
    const startedAtMs = clock.monotonicMs()
    const leftMs = this.#expiresAtMs - startedAtMs
    if (leftMs < REMAINDER_MS_MIN) {
      this.#lose(leaseError("timedOut", "the visibility timeout ended before it could be extended"))
      return
    }
    try {
      await this.message.extend(visibilityTimeoutSeconds, { timeoutMs: leftMs })
      this.#expiresAtMs = startedAtMs + visibilityTimeoutSeconds * 1_000
      this.#armAtHalf(visibilityTimeoutSeconds)
      onExtended()
    } catch (thrown) {
      const error = CmqError.from(thrown)
      if (error.name === "receiptHandleInvalid") {
        this.#lose(error)
        return
      }
      onError(error)
      this.#arm(Math.max(0, this.#expiresAtMs - clock.monotonicMs()) * RETRY_SHARE)
    }
  }

  #lose(error: CmqError): void {
    // Released meanwhile: what the settling call hears is the truth, not this.
    if (this.#state !== "held") return
    this.#end("lost", error)
    this.#options.onLost(error)
  }

  #end(state: "lost" | "overdue", reason: CmqError): void {
    this.#state = state
    this.#cancelTimers()
    this.#controller.abort(reason)
    this.#options.onEnded(this)
  }

  #cancelTimers(): void {
    this.#cancelExtension?.()
    this.#cancelProcessing?.()
  }
}

function leaseError(name: "timedOut", message: string): CmqError {
  return new CmqError({ name, message, retriable: false, outcome: "unknown" })
}
