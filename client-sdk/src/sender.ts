/**
 * Many small sends as few requests: each `send` keeps its own promise, while messages that are waiting travel together.
 */
import { LIMITS } from "@opencmq/proto"
import { Batcher } from "./batcher.ts"
import type { JobResult } from "./batcher.ts"
import type { Caller } from "./caller.ts"
import type { Clock } from "./clock.ts"
import { CmqError } from "./cmq-error.ts"
import type { CmqErrorName } from "./cmq-error.ts"
import { prepareMessage, sendMessages } from "./send.ts"
import type { PreparedMessage, SendOptions, SendResult } from "./send.ts"

/** Options of a sender. */
export type SenderOptions = Readonly<{
  /** Messages in a request, at most: 1 to 16, default 16. */
  batchCount?: number
  /** Bytes of bodies in a request, at most; default 1 MiB. */
  batchBytes?: number
  /** Time to wait for company when nothing is under way, milliseconds; default 0: only sends of the same moment. */
  lingerMs?: number
  /** Requests under way at once, at most; default 8. */
  maxInFlight?: number
  /** Messages that may wait; one more is refused with `senderFull`. Default 16,384. */
  maxWaitingCount?: number
  /** Bytes of bodies that may wait; more are refused with `senderFull`. Default 64 MiB. */
  maxWaitingBytes?: number
  /** Time limit of each request with its retries, milliseconds. Default: the account's. */
  timeoutMs?: number
}>

const MIB = 1_048_576

/** What a sender works with. */
type SenderTools = Readonly<{ caller: Caller; clock: Clock; queueName: string }>

/** Refusals that may be one message's fault: its neighbours are then sent without it. */
const FAULTS_OF_ONE: ReadonlySet<CmqErrorName> = new Set<CmqErrorName>([
  "messageEmpty",
  "messageTooLarge",
  "batchTooLarge",
  "requestTooLarge",
  "bodyUnreadable",
  "attributeInvalid",
  "parameterOutOfRange",
  "parameterBatchSize",
])

/**
 * Coalesces sends to one queue. Messages of one sender are stored in the order of their `send` calls as long as
 * `maxInFlight` is 1 and nothing fails.
 */
export class Sender {
  readonly #tools: SenderTools
  readonly #options: SenderOptions
  readonly #batcher: Batcher<PreparedMessage, SendResult>
  #isClosed = false

  /**
   * Made by `Queue.sender`.
   *
   * @internal
   */
  constructor(tools: SenderTools, options: SenderOptions = {}) {
    this.#tools = tools
    this.#options = options
    this.#batcher = new Batcher<PreparedMessage, SendResult>({
      clock: tools.clock,
      maxCount: Math.min(options.batchCount ?? LIMITS.batchCount.max, LIMITS.batchCount.max),
      maxBytes: options.batchBytes ?? LIMITS.batchBodyBytes.max,
      lingerMs: options.lingerMs ?? 0,
      maxInFlight: options.maxInFlight ?? 8,
      bytesOf: (message) => message.bytes,
      keyOf: (message) => message.delaySeconds,
      run: (messages) => this.#sendBatch(messages),
    })
  }

  /** Messages that wait for their request. */
  get waitingCount(): number {
    return this.#batcher.waitingCount
  }

  /**
   * Sends one message; resolves when a majority has it on disk.
   *
   * @param options - `timeoutMs` is the sender's, for the request that carries the message.
   * @throws CmqError as `Queue.send`, and `senderFull` or `closed`; AbortError.
   */
  async send(body: string | Uint8Array, options: Omit<SendOptions, "timeoutMs"> = {}): Promise<SendResult> {
    if (this.#isClosed) throw notSent("closed", "the sender is closed", false)
    const message = prepareMessage({ ...options, body }, options.delaySeconds)
    const { maxWaitingCount = 16_384, maxWaitingBytes = 64 * MIB } = this.#options
    const isFull =
      this.#batcher.waitingCount >= maxWaitingCount || this.#batcher.waitingBytes + message.bytes > maxWaitingBytes
    if (isFull) throw notSent("senderFull", `${String(this.#batcher.waitingCount)} messages wait already`, true)
    return this.#batcher.add(message, options.signal)
  }

  /** Resolves when nothing waits and nothing is under way. Never rejects: each `send` reports for itself. */
  flush(): Promise<void> {
    return this.#batcher.flush()
  }

  /** Refuses further sends and flushes. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#batcher.flush()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #sendBatch(messages: readonly PreparedMessage[]): Promise<readonly JobResult<SendResult>[]> {
    try {
      const results = await this.#call(messages)
      return results.map((value) => ({ ok: true, value }))
    } catch (thrown) {
      const error = CmqError.from(thrown)
      const isOneToBlame = messages.length > 1 && FAULTS_OF_ONE.has(error.name) && error.outcome === "notApplied"
      if (!isOneToBlame) return messages.map(() => ({ ok: false, error }))
      const alone = await Promise.all(messages.map((message) => this.#sendBatch([message])))
      return alone.flat()
    }
  }

  #call(messages: readonly PreparedMessage[]): Promise<readonly SendResult[]> {
    const { caller, queueName } = this.#tools
    return sendMessages(caller, { queueName, messages, options: { timeoutMs: this.#options.timeoutMs } })
  }
}

function notSent(name: "closed" | "senderFull", message: string, retriable: boolean): CmqError {
  return new CmqError({ name, message, retriable, outcome: "notApplied" })
}
