/**
 * Fetches messages as long as somebody wants more: polls of up to 16, several at once when a lot is wanted, pauses
 * with full jitter while they fail. It keeps no message; what it gets it hands over at once.
 */
import { LIMITS } from "@opencmq/proto"
import { AbortError, pause } from "./abort.ts"
import type { Clock } from "./clock.ts"
import { CmqError } from "./cmq-error.ts"
import type { Feed, OpenStream } from "./feed.ts"
import type { Message } from "./message.ts"
import type { ReceiveBatchOptions } from "./receive.ts"
import { fullJitterMs } from "./retry-policy.ts"

/** One long poll. */
export type Poll = (options: ReceiveBatchOptions) => Promise<readonly Message[]>

/** What a feed works with. */
export type MessageFeedOptions = Readonly<{
  clock: Clock
  random: () => number
  poll: Poll
  /** Undefined = the transport has none; then it is polled. */
  openStream: OpenStream | undefined
  waitSeconds: number
  visibilityTimeoutSeconds: number
  /** Polls under way at once, at most. */
  maxPolls: number
  /** How many messages could be taken now, those of polls under way not counted. */
  wanted: () => number
  /** Called with at least one message, also for a poll that was answered while the feed was being stopped. */
  deliver: (messages: readonly Message[]) => void
  onError: (error: CmqError) => void
}>

/** Pauses between polls, or streams, that fail. */
export const FEED_BACKOFF = { baseDelayMs: 100, maxDelayMs: 20_000 } as const

/** Fetches messages for a consumer. */
export class MessageFeed implements Feed {
  readonly #options: MessageFeedOptions
  readonly #stopping = new AbortController()
  readonly #polls = new Set<Promise<void>>()
  /** Messages that polls under way may bring. */
  #demanded = 0
  #failuresInARow = 0
  #isPausing = false
  /** Idle queues are watched by one poll; full answers open more. */
  #allowedPolls = 1

  constructor(options: MessageFeedOptions) {
    this.#options = options
  }

  /** Fetches if more is wanted than polls under way may bring. To be called whenever more is wanted. */
  fetch(): void {
    while (!this.#stopping.signal.aborted && !this.#isPausing && this.#polls.size < this.#allowedPolls) {
      const max = Math.min(LIMITS.numOfMsg.max, this.#options.wanted() - this.#demanded)
      if (max <= 0) return
      const poll = this.#pollOnce(max).finally(() => {
        this.#polls.delete(poll)
        this.fetch()
      })
      this.#polls.add(poll)
    }
  }

  /** Ends the polls, on the broker too, since their sockets are destroyed. Resolves when none is left. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await Promise.all(this.#polls)
  }

  /** One poll, and the pause after it when it failed. Never rejects. */
  async #pollOnce(max: number): Promise<void> {
    const { poll, waitSeconds, visibilityTimeoutSeconds, deliver, maxPolls } = this.#options
    const { signal } = this.#stopping
    this.#demanded += max
    try {
      const messages = await poll({ max, waitSeconds, visibilityTimeoutSeconds, signal })
      this.#failuresInARow = 0
      this.#allowedPolls = messages.length === max ? Math.min(maxPolls, this.#allowedPolls * 2) : 1
      this.#demanded -= max
      if (messages.length > 0) deliver(messages)
    } catch (thrown) {
      this.#demanded -= max
      if (thrown instanceof AbortError) return
      await this.#pauseAfter(CmqError.from(thrown))
    }
  }

  async #pauseAfter(error: CmqError): Promise<void> {
    const { clock, random, onError } = this.#options
    this.#allowedPolls = 1
    const delayMs = fullJitterMs(FEED_BACKOFF, this.#failuresInARow, random())
    this.#failuresInARow += 1
    this.#isPausing = true
    onError(error)
    await pause(clock, delayMs, this.#stopping.signal)
    this.#isPausing = false
  }
}
