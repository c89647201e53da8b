/**
 * Feeds a consumer from a stream: as many credits as messages are wanted, so no more are ever under way. When a stream
 * ends the next one is opened, after a pause with full jitter when it failed.
 */
import { pause } from "./abort.ts"
import type { CmqError } from "./cmq-error.ts"
import type { Feed, OpenStream } from "./feed.ts"
import { FEED_BACKOFF, MessageFeed } from "./message-feed.ts"
import type { MessageFeedOptions } from "./message-feed.ts"
import { fullJitterMs } from "./retry-policy.ts"
import type { MessageStream } from "./transport.ts"

/** What a transport can do best. */
export function openFeed(options: MessageFeedOptions): Feed {
  const { openStream } = options
  return openStream === undefined ? new MessageFeed(options) : new StreamFeed(options, openStream)
}

/** How long a stopped stream may take to bring what is under way. Then it is cut, and that is hidden for its time. */
const END_MS = 2_000

/** One stream after the other. */
class StreamFeed implements Feed {
  readonly #options: MessageFeedOptions
  readonly #openStream: OpenStream
  readonly #stopping = new AbortController()
  readonly #stopped = new AbortController()
  #stream: MessageStream | undefined
  /** Messages that the stream may bring. */
  #credits = 0
  #failuresInARow = 0
  #isPausing = false

  constructor(options: MessageFeedOptions, openStream: OpenStream) {
    this.#options = options
    this.#openStream = openStream
  }

  fetch(): void {
    if (this.#stopping.signal.aborted || this.#isPausing) return
    const more = this.#options.wanted() - this.#credits
    if (more <= 0) return
    this.#stream ??= this.#open()
    this.#credits += more
    this.#stream.addCredits(more)
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    if (this.#stream === undefined) return
    this.#stream.end()
    await pause(this.#options.clock, END_MS, this.#stopped.signal)
    this.#stream?.cancel()
  }

  #open(): MessageStream {
    const { visibilityTimeoutSeconds, deliver } = this.#options
    return this.#openStream({
      visibilityTimeoutSeconds,
      onMessages: (messages) => {
        this.#failuresInARow = 0
        this.#credits -= messages.length
        deliver(messages)
        this.fetch()
      },
      onEnd: (error) => {
        this.#stream = undefined
        this.#credits = 0
        if (this.#stopping.signal.aborted) this.#stopped.abort()
        else void this.#openAgain(error)
      },
    })
  }

  async #openAgain(error: CmqError | undefined): Promise<void> {
    const { clock, random, onError } = this.#options
    const delayMs = fullJitterMs(FEED_BACKOFF, this.#failuresInARow, random())
    this.#failuresInARow += 1
    this.#isPausing = true
    if (error !== undefined) onError(error)
    await pause(clock, delayMs, this.#stopping.signal)
    this.#isPausing = false
    this.fetch()
  }
}
