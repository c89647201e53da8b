/**
 * Messages for a `for await` loop. It fetches, keeps what it holds hidden, and gives back what was not handed out
 * when the loop is left.
 */
import { onAbort } from "./abort.ts"
import { checkRange } from "./argument-check.ts"
import { fetchSettings } from "./consumer-options.ts"
import type { ConsumerErrorContext, ConsumerTools, FetchOptions, FetchSettings } from "./consumer-options.ts"
import { ErrorReporter } from "./error-reporter.ts"
import { Lease } from "./lease.ts"
import type { Message } from "./message.ts"
import type { Feed } from "./feed.ts"
import { openFeed } from "./stream-feed.ts"

/** Options of `Queue.consume`. */
export type ConsumeOptions = FetchOptions &
  Readonly<{
    /**
     * Messages held at once, handed out and not settled: 1 to 1,024.
     *
     * 1, the default, is for a loop that settles each message before it asks for the next; one that is not settled
     * by then is let go: it comes back when its visibility timeout ends. Above 1 the loop waits, when so many are not
     * settled, until one is.
     */
    concurrency?: number
  }>

type Waiter = (result: IteratorResult<Message, undefined>) => void

const CONCURRENCY = { min: 1, max: 1_024 }
const POLL_COUNT = 16
const DONE: IteratorResult<Message, undefined> = { done: true, value: undefined }

/** Made by `Queue.consume`. Ends, without an error, when its signal is aborted. */
export class MessageIterator implements AsyncIterableIterator<Message, undefined> {
  readonly #reporter: ErrorReporter
  readonly #tools: ConsumerTools
  readonly #settings: FetchSettings
  readonly #concurrency: number
  readonly #feed: Feed
  /** Fetched, not handed out, oldest first. */
  readonly #waiting: Lease[] = []
  /** Handed out, not settled, oldest first. */
  readonly #handedOut = new Set<Lease>()
  readonly #waiters: Waiter[] = []
  #closing: Promise<void> | undefined
  readonly #removeAbortListener: () => void

  /** @throws TypeError for options that are no object, RangeError for one outside its range. */
  constructor(tools: ConsumerTools, options: ConsumeOptions) {
    this.#settings = fetchSettings(options)
    const { concurrency = 1 } = options
    checkRange("concurrency", concurrency, CONCURRENCY)
    this.#tools = tools
    this.#reporter = new ErrorReporter(options.onError, tools.clock)
    this.#concurrency = concurrency
    this.#feed = openFeed({
      ...tools,
      ...this.#settings,
      maxPolls: Math.ceil(concurrency / POLL_COUNT),
      wanted: () => concurrency - this.#waiting.length - this.#handedOut.size,
      deliver: (messages) => {
        this.#take(messages)
      },
      onError: (error) => {
        this.#report(error, { during: "receive", message: undefined })
      },
    })
    this.#removeAbortListener = onAbort(options.signal, () => {
      void this.#close()
    })
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<Message, undefined>> {
    if (this.#closing !== undefined) return Promise.resolve(DONE)
    if (this.#concurrency === 1) {
      for (const lease of this.#handedOut) void lease.release()
    }
    return new Promise((resolve) => {
      this.#waiters.push(resolve)
      this.#handOut()
      this.#feed.fetch()
    })
  }

  async return(): Promise<IteratorResult<Message, undefined>> {
    await this.#close()
    return DONE
  }

  #close(): Promise<void> {
    this.#closing ??= this.#endAll()
    return this.#closing
  }

  async #endAll(): Promise<void> {
    this.#removeAbortListener()
    for (const resolve of this.#waiters.splice(0)) resolve(DONE)
    // What was handed out is let go; a loop that is still busy with one may settle it.
    const lettingGo = [...this.#handedOut].map((lease) => lease.release())
    // The polls end first: a message given back while one is open would be handed to that dying poll.
    await this.#feed.stop()
    const givingBack = this.#waiting.splice(0).map((lease) => this.#giveBack(lease.message))
    await Promise.all([...lettingGo, ...givingBack])
  }

  #take(messages: readonly Message[]): void {
    // While closing nobody waits for them any more; `#endAll` gives them back.
    this.#waiting.push(...messages.map((message) => this.#lease(message)))
    this.#handOut()
  }

  #handOut(): void {
    while (this.#waiters.length > 0) {
      const lease = this.#waiting.shift()
      if (lease === undefined) return
      lease.beginProcessing()
      this.#handedOut.add(lease)
      this.#waiters.shift()?.({ done: false, value: lease.message })
    }
  }

  #lease(message: Message): Lease {
    return new Lease(message, {
      clock: this.#tools.clock,
      ...this.#settings,
      onExtended: () => undefined,
      onLost: (error) => {
        this.#report(error, { during: "lost", message })
      },
      onError: (error) => {
        this.#report(error, { during: "extend", message })
      },
      onEnded: (lease) => {
        this.#forget(lease)
      },
    })
  }

  #forget(lease: Lease): void {
    this.#handedOut.delete(lease)
    const index = this.#waiting.indexOf(lease)
    if (index !== -1) this.#waiting.splice(index, 1)
    if (this.#waiters.length > 0) this.#feed.fetch()
  }

  async #giveBack(message: Message): Promise<void> {
    try {
      await message.retry()
    } catch (thrown) {
      this.#report(thrown, { during: "retry", message })
    }
  }

  #report(error: unknown, context: ConsumerErrorContext): void {
    this.#reporter.report(error, context)
  }
}
