/**
 * One subscription as its documentation says it behaves, in as few words as possible: which messages it wants, which wait
 * for it, when they are tried again, when they are lost. It knows neither the machine's indexes nor its chunks nor heaps.
 */
import type { Endpoint, FilterType, NotifyStrategy, SubscriptionAttributes } from "../../src/core/queue/command.ts"
import type { LogIndex } from "../../src/ports.ts"

/** A message that was published; it has a `MessageLife` in each queue that it is put into. */
export interface PublishedMessage {
  readonly entryIndex: LogIndex
  readonly ordinal: number
  /** Of its record within the entry. */
  readonly offset: number
  readonly record: Uint8Array
  readonly tags: readonly string[]
  readonly routingKey: string
}

/** A message and what became of it for one subscription. */
export interface Place {
  readonly message: PublishedMessage
  /** From 1, of those that waited; 0 = it went into the queue at once. */
  readonly sequence: number
  readonly enqueuedAtMs: number
  fate: "waits" | "delivered" | "givenUp" | "overflowed" | "expired" | "unsubscribed"
  /** The address has it, whatever became of the answer. */
  isTaken: boolean
  /** Pushes that the leader was told to have failed, and failures that the log counts. */
  failedPushes: number
  failures: number
}

/** What delivers into the queue that is the endpoint: false = there is none, or it is full. */
export type HandOver = (queueName: string, message: PublishedMessage) => boolean

/** Least and greatest pause after the n-th failure, ms; undefined = the message is given up (cmq-api.md section 5). */
export function pauseAfter(strategy: NotifyStrategy, failures: number): readonly [number, number] | undefined {
  if (strategy === "backoff") return failures > 3 ? undefined : [10_000, 20_000]
  const exactMs = Math.min(2 ** (failures - 1), 512) * 1000
  return failures > 176 ? undefined : [exactMs, exactMs]
}

export interface NewSubscriptionModel {
  readonly id: number
  readonly name: string
  readonly endpoint: Endpoint
  readonly attributes: SubscriptionAttributes
  readonly waitingMax: number
}

export class SubscriptionModel {
  readonly id: number
  readonly name: string
  readonly endpoint: Endpoint
  attributes: SubscriptionAttributes
  isGone = false
  readonly places = new Map<PublishedMessage, Place>()
  /** In the order of their publication. */
  waiting: Place[] = []
  delivered = 0
  dropped = 0
  failures = 0
  /** Nothing is tried before this log time. Infinity = it does not pause; NaN = it does, ask the machine until when. */
  pausedUntilMs = Number.POSITIVE_INFINITY
  /** What the pause begun last has to be. */
  pause: readonly [number, number] = [0, 0]
  readonly #waitingMax: number
  #failed: Place | undefined
  #lastSequence = 0

  constructor(what: NewSubscriptionModel) {
    this.id = what.id
    this.name = what.name
    this.endpoint = what.endpoint
    this.attributes = what.attributes
    this.#waitingMax = what.waitingMax
  }

  get isPausing(): boolean {
    return this.pausedUntilMs !== Number.POSITIVE_INFINITY
  }

  wants(filterType: FilterType, message: PublishedMessage): boolean {
    const { filterTags, bindingKeys } = this.attributes
    if (filterType === "tags") return filterTags.length === 0 || filterTags.some((tag) => message.tags.includes(tag))
    const words = message.routingKey.split(".")
    return bindingKeys.some((key) => matches(key.split("."), words))
  }

  publish(message: PublishedMessage, nowMs: number, handOver: HandOver): void {
    const isFirst = this.waiting.length === 0
    if (isFirst && this.#goesAtOnce(message, handOver)) {
      this.#place(message, 0, nowMs).fate = "delivered"
      this.delivered++
      return
    }
    if (this.waiting.length >= this.#waitingMax) {
      this.#place(message, 0, nowMs).fate = "overflowed"
      this.dropped++
      return
    }
    if (isFirst) this.#startAfresh()
    const place = this.#place(message, ++this.#lastSequence, nowMs)
    this.waiting.push(place)
    if (isFirst && this.endpoint.kind === "queue") this.#fail(place, nowMs)
  }

  /** Retention: the oldest go first. */
  expire(nowMs: number, retentionMs: number): number {
    let count = 0
    while ((this.waiting[0]?.enqueuedAtMs ?? nowMs) + retentionMs <= nowMs) {
      this.#leave("expired")
      count++
    }
    return count
  }

  /** The pause is over. */
  goOn(nowMs: number, handOver: HandOver): void {
    this.pausedUntilMs = Number.POSITIVE_INFINITY
    if (this.endpoint.kind === "http") return
    for (let head = this.waiting[0]; head !== undefined; head = this.waiting[0]) {
      if (!this.#goesAtOnce(head.message, handOver)) {
        this.#fail(head, nowMs)
        return
      }
      this.#leave("delivered")
      this.delivered++
      this.#startAfresh()
    }
  }

  /** The leader's report. Returns those that left. */
  report(deliveredThrough: number, failedSequence: number, nowMs: number): readonly Place[] {
    const left: Place[] = []
    for (let head = this.waiting[0]; head !== undefined && head.sequence <= deliveredThrough; head = this.waiting[0]) {
      left.push(head)
      this.#leave("delivered")
      this.delivered++
    }
    if (left.length > 0) this.#startAfresh()
    const head = this.waiting[0]
    if (head !== undefined && head.sequence === failedSequence && !this.isPausing) this.#fail(head, nowMs)
    return left
  }

  end(): void {
    this.isGone = true
    for (const place of this.waiting) place.fate = "unsubscribed"
    this.waiting = []
  }

  #goesAtOnce(message: PublishedMessage, handOver: HandOver): boolean {
    return this.endpoint.kind === "queue" && handOver(this.endpoint.queueName, message)
  }

  #place(message: PublishedMessage, sequence: number, nowMs: number): Place {
    const place: Place = {
      message,
      sequence,
      enqueuedAtMs: nowMs,
      fate: "waits",
      isTaken: false,
      failedPushes: 0,
      failures: 0,
    }
    this.places.set(message, place)
    return place
  }

  #fail(head: Place, nowMs: number): void {
    if (this.#failed !== head) this.failures = 0
    this.#failed = head
    this.failures++
    head.failures++
    const pause = pauseAfter(this.attributes.notifyStrategy, this.failures)
    if (pause !== undefined) {
      this.pause = [nowMs + pause[0], nowMs + pause[1]]
      this.pausedUntilMs = Number.NaN
      return
    }
    this.#leave("givenUp")
    this.dropped++
    this.#startAfresh()
    // The next one's turn comes with the next entry.
    if (this.endpoint.kind === "queue" && this.waiting.length > 0) this.pausedUntilMs = nowMs
  }

  #leave(fate: Place["fate"]): void {
    const head = this.waiting.shift()
    if (head !== undefined) head.fate = fate
  }

  #startAfresh(): void {
    this.#failed = undefined
    this.failures = 0
    this.pausedUntilMs = Number.POSITIVE_INFINITY
  }
}

/** `*` = one word that is not empty, `#` = any number of words. Tries everything: keys are short here. */
function matches(key: readonly string[], words: readonly string[]): boolean {
  const [first, ...others] = key
  if (first === undefined) return words.length === 0
  if (first === "#") return matches(others, words) || (words.length > 0 && matches(key, words.slice(1)))
  const [word, ...wordsLeft] = words
  return word !== undefined && (first === "*" ? word !== "" : first === word) && matches(others, wordsLeft)
}
