/**
 * The consumer loop: a handler for each message, several at a time.
 *
 * - The handler resolves: the message is deleted. It throws: the message goes back to the queue. Its return value
 *   means nothing.
 * - Rolling: a new message is fetched as each one finishes, not when a batch has. Never more than `concurrency` +
 *   `prefetch` messages are held.
 * - A held message is kept hidden, in a handler or before it; settling waits for a renewal that is under way.
 * - `stop` ends the polls, gives back what was not begun, and waits for the handlers.
 */
import { onAbort, pause } from "./abort.ts"
import { checkRange, typeError } from "./argument-check.ts"
import { CmqError } from "./cmq-error.ts"
import { fetchSettings } from "./consumer-options.ts"
import type { ConsumerErrorContext, ConsumerTools, FetchOptions, FetchSettings } from "./consumer-options.ts"
import { ErrorReporter } from "./error-reporter.ts"
import { Lease } from "./lease.ts"
import type { Message } from "./message.ts"
import { MessageFeed } from "./message-feed.ts"
import { backoffSeconds, checkRetryDelay, wholeDelaySeconds } from "./redelivery-delay.ts"
import type { RetryDelay } from "./redelivery-delay.ts"

/** Options of a consumer. */
export type ConsumerOptions = FetchOptions &
  Readonly<{
    /** Handlers at once: 1 to 10,000, default 10. */
    concurrency?: number
    /** Messages fetched ahead of their handlers: 0 to 1,024, default 0. */
    prefetch?: number
    /**
     * When a handler threw: how long the message stays hidden before it is received again, seconds, 0 to 43,200, or
     * a function that may look at `message.dequeueCount`. 0 = at once, which makes a hot loop of a message that nobody
     * can work with. Default: 1, 2, 4 … 60 s by `dequeueCount`, each less up to its half.
     */
    retryDelaySeconds?: RetryDelay
  }>

/**
 * What is done with a message. Resolves = deleted, throws = back to the queue.
 *
 * @param context - `signal` aborts when the message is no longer ours, its time is over, or the consumer has waited
 * long enough while stopping; its `reason` says which.
 */
export type MessageHandler = (message: Message, context: Readonly<{ signal: AbortSignal }>) => Promise<void> | void

/** Counts since the consumer began. Of every message received, exactly one of the others counts it in the end. */
export type ConsumerCounters = Readonly<{
  received: number
  deleted: number
  /** Given back to the queue. */
  retried: number
  /** No longer ours before it was settled: somebody else receives it, or has. */
  lost: number
  /** Settling failed; if that was not applied either, the message comes back when its visibility timeout ends. */
  undecided: number
  /** Renewals of a visibility timeout; several for a long message. */
  extended: number
}>

/** Options of `Consumer.stop`. */
export type StopOptions = Readonly<{
  /** How long handlers may go on before their signals are aborted. Milliseconds, default 30,000. */
  drainMs?: number
}>

/** What stopping did. */
export type StopResult = Readonly<{
  /** Handlers that ended while stopping. */
  finished: number
  /** Messages given back without having been begun. */
  givenBack: number
  /** Handlers that still ran when `stop` resolved; their messages come back when their visibility timeouts end. */
  abandoned: number
}>

/** What a consumer is made of. */
export type ConsumerOrder = Readonly<{ tools: ConsumerTools; options: ConsumerOptions; handler: MessageHandler }>

const CONCURRENCY = { min: 1, max: 10_000 }
const PREFETCH = { min: 0, max: 1_024 }
/** Messages of one poll. */
const POLL_COUNT = 16
const POLLS_MAX = 8
const DRAIN_MS = 30_000
/** After its signal was aborted a handler has this long to end in an orderly way. Milliseconds. */
const ABORT_GRACE_MS = 1_000
/** Giving back has at least this long, however short the drain. Milliseconds. */
const GIVE_BACK_MS_MIN = 1_000

/** Made, and begun, by `Queue.consumer`. */
export class Consumer {
  readonly #order: ConsumerOrder
  readonly #settings: FetchSettings
  readonly #reporter: ErrorReporter
  readonly #feed: MessageFeed
  readonly #concurrency: number
  readonly #counters = { received: 0, deleted: 0, retried: 0, lost: 0, undecided: 0, extended: 0 }
  /** Fetched and not begun, oldest first. */
  readonly #unstarted: Lease[] = []
  readonly #running = new Map<Lease, Promise<void>>()
  #stopping: Promise<StopResult> | undefined
  #finishedWhileStopping = 0
  readonly #removeAbortListener: () => void

  /**
   * Made by `Queue.consumer`.
   *
   * @internal
   * @throws TypeError without a handler or for options that are no object, RangeError for one outside its range.
   */
  constructor(order: ConsumerOrder) {
    const { options, tools } = order
    this.#settings = fetchSettings(options)
    checkHandler(order.handler)
    checkRetryDelay(options.retryDelaySeconds)
    const { concurrency = 10, prefetch = 0 } = options
    checkRange("concurrency", concurrency, CONCURRENCY)
    checkRange("prefetch", prefetch, PREFETCH)
    const capacity = concurrency + prefetch
    this.#order = order
    this.#reporter = new ErrorReporter(options.onError, tools.clock)
    this.#concurrency = concurrency
    this.#feed = new MessageFeed({
      ...tools,
      ...this.#settings,
      maxPolls: Math.min(POLLS_MAX, Math.ceil(capacity / POLL_COUNT)),
      wanted: () => capacity - this.#running.size - this.#unstarted.length,
      deliver: (messages) => {
        this.#take(messages)
      },
      onError: (error) => {
        this.#report(error, { during: "receive", message: undefined })
      },
    })
    this.#feed.fetch()
    this.#removeAbortListener = onAbort(options.signal, () => {
      void this.stop()
    })
  }

  /** A copy of the counts. */
  get counters(): ConsumerCounters {
    return { ...this.#counters }
  }

  /** Messages held now: in a handler, or fetched and not begun. */
  get heldCount(): number {
    return this.#running.size + this.#unstarted.length
  }

  /**
   * Stops: no more polls, at once and on the broker too; messages not begun go back to the queue at once; handlers
   * may end within `drainMs`, then their signals are aborted. Later calls return the first one's promise. Never
   * rejects.
   *
   * A message that the broker hands out in the very moment of the stop cannot be given back by anybody: it comes back
   * when its visibility timeout ends.
   */
  stop(options: StopOptions = {}): Promise<StopResult> {
    this.#stopping ??= this.#stop(options.drainMs ?? DRAIN_MS)
    return this.#stopping
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop().then(() => undefined)
  }

  async #stop(drainMs: number): Promise<StopResult> {
    this.#removeAbortListener()
    const drained = this.#drain(drainMs)
    // The polls end first: a message given back while one is open would be handed to that dying poll. What a poll
    // brings in this moment is added to the unstarted ones.
    await this.#feed.stop()
    const unstarted = this.#unstarted.splice(0)
    const timeoutMs = Math.max(GIVE_BACK_MS_MIN, drainMs)
    await Promise.all(unstarted.map((lease) => this.#giveBack(lease.message, timeoutMs)))
    await drained
    for (const lease of this.#running.keys()) void lease.release()
    return {
      finished: this.#finishedWhileStopping,
      givenBack: unstarted.length,
      abandoned: this.#running.size,
    }
  }

  async #drain(drainMs: number): Promise<void> {
    if (await this.#handlersEnd(drainMs)) return
    for (const lease of this.#running.keys()) lease.abort(new Error("the consumer stops"))
    await this.#handlersEnd(ABORT_GRACE_MS)
  }

  /** @returns whether all handlers ended in time. */
  async #handlersEnd(limitMs: number): Promise<boolean> {
    const limit = new AbortController()
    const ended = Promise.all(this.#running.values()).then(() => {
      limit.abort()
    })
    await pause(this.#order.tools.clock, limitMs, limit.signal)
    if (!limit.signal.aborted) return false
    await ended
    return true
  }

  #take(messages: readonly Message[]): void {
    this.#counters.received += messages.length
    this.#unstarted.push(...messages.map((message) => this.#lease(message)))
    this.#beginNext()
  }

  #lease(message: Message): Lease {
    return new Lease(message, {
      clock: this.#order.tools.clock,
      ...this.#settings,
      onExtended: () => {
        this.#counters.extended += 1
      },
      onLost: (error) => {
        this.#counters.lost += 1
        this.#report(error, { during: "lost", message })
      },
      onError: (error) => {
        this.#report(error, { during: "extend", message })
      },
      onEnded: (lease) => {
        this.#forgetUnstarted(lease)
      },
    })
  }

  /** A lease that ended before its handler began was lost: the message is somebody else's now. */
  #forgetUnstarted(lease: Lease): void {
    const index = this.#unstarted.indexOf(lease)
    if (index === -1) return
    this.#unstarted.splice(index, 1)
    this.#feed.fetch()
  }

  #beginNext(): void {
    while (this.#running.size < this.#concurrency && this.#stopping === undefined) {
      const lease = this.#unstarted.shift()
      if (lease === undefined) return
      // `#process` runs synchronously up to the handler's first await, so it must find its lease in the map.
      const processing = Promise.resolve().then(() => this.#process(lease))
      this.#running.set(lease, processing)
    }
  }

  /** From the handler's beginning to the settled message. Never rejects. */
  async #process(lease: Lease): Promise<void> {
    const { message } = lease
    lease.beginProcessing()
    let failure: Readonly<{ error: unknown }> | undefined
    try {
      await this.#order.handler(message, { signal: lease.signal })
    } catch (thrown) {
      failure = { error: thrown }
      this.#report(thrown, { during: "handler", message })
    }
    await this.#settle(lease, failure)
    this.#running.delete(lease)
    if (this.#stopping !== undefined) this.#finishedWhileStopping += 1
    this.#beginNext()
    this.#feed.fetch()
  }

  async #settle(lease: Lease, failure: Readonly<{ error: unknown }> | undefined): Promise<void> {
    const { message } = lease
    if (lease.isLost) return
    const during = failure === undefined ? "delete" : "retry"
    try {
      // A handler may have settled its message itself.
      if (message.settled === undefined) {
        if (failure === undefined) await message.delete()
        else await message.retry({ delaySeconds: this.#retryDelaySeconds(lease, failure.error) })
      }
      this.#counters[message.settled === "deleted" ? "deleted" : "retried"] += 1
    } catch (thrown) {
      this.#countFailure(thrown)
      this.#report(thrown, { during, message })
    }
  }

  #retryDelaySeconds(lease: Lease, error: unknown): number {
    const { message } = lease
    const { options, tools } = this.#order
    const { retryDelaySeconds } = options
    if (typeof retryDelaySeconds === "number") return retryDelaySeconds
    if (retryDelaySeconds !== undefined) {
      try {
        return wholeDelaySeconds(retryDelaySeconds(message, error))
      } catch (thrown) {
        this.#report(thrown, { during: "retry", message })
      }
    }
    // Interrupted by the stop, not failed: another consumer may have it at once.
    if (this.#stopping !== undefined && lease.signal.aborted) return 0
    return backoffSeconds(message.dequeueCount, tools.random())
  }

  async #giveBack(message: Message, timeoutMs: number): Promise<void> {
    try {
      await message.retry({ timeoutMs })
      this.#counters.retried += 1
    } catch (thrown) {
      this.#countFailure(thrown)
      this.#report(thrown, { during: "retry", message })
    }
  }

  #countFailure(thrown: unknown): void {
    const isLost = thrown instanceof CmqError && thrown.name === "receiptHandleInvalid"
    this.#counters[isLost ? "lost" : "undecided"] += 1
  }

  #report(error: unknown, context: ConsumerErrorContext): void {
    this.#reporter.report(error, context)
  }
}

function checkHandler(handler: unknown): void {
  if (typeof handler === "function") return
  throw typeError("handler, the second argument of queue.consumer(options, handler),", "a function", handler)
}
