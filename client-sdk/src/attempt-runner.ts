/**
 * One attempt at one endpoint: time limit, abort, signature inputs, and the translation of whatever comes back into
 * data. It never repeats anything; `caller.ts` decides that.
 */
import { randomFillSync } from "node:crypto"
import { LIMITS } from "@opencmq/proto"
import type { ActionName } from "@opencmq/proto"
import { AbortError, onAbort } from "./abort.ts"
import type { Clock } from "./clock.ts"
import { refusalFields } from "./cmq-error.ts"
import type { CmqErrorFields } from "./cmq-error.ts"
import type { EndpointPool } from "./endpoint-pool.ts"
import type { EndpointWatch } from "./endpoint-watch.ts"
import type { PreparedMessage } from "./prepared-message.ts"
import { textOf } from "./reply-fields.ts"
import type { Fields } from "./reply-fields.ts"
import { TransportError } from "./transport.ts"
import type {
  AttemptReply,
  Credentials,
  MessageStream,
  MessageStreamOrder,
  Parameter,
  Stamp,
  Transport,
} from "./transport.ts"

/** What an attempt is asked to do. */
export type AttemptOrder = Readonly<{
  endpoint: string
  action: ActionName
  parameters: readonly Parameter[]
  messages?: readonly PreparedMessage[]
  /** Milliseconds. */
  timeoutMs: number
  /** The call's deadline leaves less than a request's full time: running out of it says nothing about the endpoint. */
  isCutShort: boolean
  signal: AbortSignal | undefined
}>

/** What an attempt gave. */
export type AttemptResult =
  | Readonly<{ ok: true; fields: Fields; requestId: string }>
  | Readonly<{
      ok: false
      error: CmqErrorFields
      /** The reply that carried the error, for refusals that list details; undefined when there was none. */
      fields: Fields | undefined
      serverUnixMs: number | undefined
      retryAfterMs: number | undefined
    }>

/** What a stream of messages is asked to do. */
export type StreamOrder = Pick<MessageStreamOrder, "queueName" | "visibilityTimeoutSeconds" | "onMessages"> &
  Readonly<{
    /** Called once; undefined = as it was asked for. */
    onEnd: (error: CmqErrorFields | undefined) => void
  }>

/** What the runner works with. */
export type AttemptRunnerOptions = Readonly<{
  transport: Transport
  credentials: Credentials
  clock: Clock
  pool: EndpointPool
  watch: EndpointWatch
}>

/** Why an attempt was ended from this side. */
type EndReason = "aborted" | "timedOut" | "silent" | "closed"

/** Makes single attempts for the calls of one account. */
export class AttemptRunner {
  readonly #options: AttemptRunnerOptions
  readonly #underWay = new Set<(reason: EndReason) => void>()
  /** Server's clock minus ours, milliseconds; 0 until a server said that ours is wrong. */
  #clockOffsetMs = 0

  constructor(options: AttemptRunnerOptions) {
    this.#options = options
  }

  /** Takes over the server's time, for all later attempts. */
  correctClock(serverUnixMs: number): void {
    this.#clockOffsetMs = serverUnixMs - this.#options.clock.unixMs()
  }

  /** Ends every attempt under way; they fail with `closed`. */
  close(): void {
    for (const end of this.#underWay) end("closed")
  }

  /** @throws AbortError when the order's signal is aborted, and nothing else. */
  async run(order: AttemptOrder): Promise<AttemptResult> {
    const { clock, transport, watch } = this.#options
    const controller = new AbortController()
    let endReason: EndReason | undefined
    const end = (reason: EndReason): void => {
      endReason ??= reason
      controller.abort()
    }
    this.#underWay.add(end)
    const cancelTimer = clock.startTimer(order.timeoutMs, () => {
      end("timedOut")
    })
    const leaveWatch = watch.enter(order.endpoint, () => {
      end("silent")
    })
    const removeAbortListener = onAbort(order.signal, () => {
      end("aborted")
    })
    let hasAnswered = false
    try {
      const reply = await transport.attempt({
        action: order.action,
        parameters: order.parameters,
        ...(order.messages !== undefined && { messages: order.messages }),
        ...this.#stamp(order.endpoint),
        signal: controller.signal,
      })
      hasAnswered = true
      return this.#read(order.endpoint, reply)
    } catch (thrown) {
      const { outcome } = transportError(thrown)
      if (endReason === "aborted") throw new AbortError(outcome, order.signal?.reason)
      const isBlameless = endReason === "closed" || (endReason === "timedOut" && order.isCutShort)
      if (!isBlameless) this.#options.pool.failed(order.endpoint)
      return failedResult(thrown, order, endReason)
    } finally {
      this.#underWay.delete(end)
      cancelTimer()
      removeAbortListener()
      leaveWatch(hasAnswered)
    }
  }

  /** Whether `openStream` may be called. */
  get hasStreams(): boolean {
    return this.#options.transport.openStream !== undefined
  }

  /** Messages that one BatchSendMessage takes. */
  get sendBatchCountMax(): number {
    return this.#options.transport.sendBatchCountMax ?? LIMITS.batchCount.max
  }

  /** Opens one stream of messages; it is ended from here when its endpoint falls silent or the account is closed. */
  openStream(endpoint: string, order: StreamOrder): MessageStream {
    const { transport, watch } = this.#options
    let endReason: EndReason | undefined
    const end = (reason: EndReason): void => {
      endReason ??= reason
      stream?.cancel()
    }
    this.#underWay.add(end)
    const leaveWatch = watch.enter(endpoint, () => {
      end("silent")
    })
    const stream = transport.openStream?.({
      ...this.#stamp(endpoint),
      ...order,
      onEnd: (ended) => {
        this.#underWay.delete(end)
        leaveWatch(false)
        order.onEnd(ended === undefined ? undefined : this.#streamError(endpoint, ended, endReason))
      },
    })
    if (stream === undefined) throw new Error("this transport has no streams")
    return stream
  }

  #streamError(
    endpoint: string,
    ended: AttemptReply | TransportError,
    endReason: EndReason | undefined,
  ): CmqErrorFields | undefined {
    if (!(ended instanceof TransportError)) {
      const result = this.#read(endpoint, ended)
      return result.ok ? undefined : result.error
    }
    if (endReason !== "closed") this.#options.pool.failed(endpoint)
    const result = failedResult(ended, { action: "ReceiveMessage", endpoint, timeoutMs: 0 }, endReason)
    return result.ok ? undefined : result.error
  }

  #stamp(endpoint: string): Stamp {
    const { clock, credentials } = this.#options
    const timestampSeconds = Math.floor((clock.unixMs() + this.#clockOffsetMs) / 1_000)
    return { endpoint, credentials, timestampSeconds, nonce: newNonce() }
  }

  #read(endpoint: string, reply: AttemptReply): AttemptResult {
    const { pool } = this.#options
    pool.answered(endpoint)
    if (reply.leader !== undefined) pool.leaderIs(reply.leader)
    const { fields } = reply
    const requestId = textOf(fields["requestId"])
    const code = Number(fields["code"])
    if (code === 0) return { ok: true, fields, requestId }
    const refusal = refusalFields(code, textOf(fields["message"]))
    if (refusal.name === "shuttingDown") pool.failed(endpoint)
    if (refusal.name === "noLeader") pool.leaderIsUnknown()
    return {
      ok: false,
      error: { ...refusal, requestId },
      fields,
      serverUnixMs: reply.serverUnixMs,
      retryAfterMs: reply.retryAfterMs,
    }
  }
}

function transportError(thrown: unknown): TransportError {
  if (thrown instanceof TransportError) return thrown
  return new TransportError({
    kind: "network",
    message: thrown instanceof Error ? thrown.message : "the transport failed",
    outcome: "unknown",
    retriable: true,
    cause: thrown,
  })
}

function failedResult(
  thrown: unknown,
  order: Pick<AttemptOrder, "action" | "endpoint" | "timeoutMs">,
  endReason: EndReason | undefined,
): AttemptResult {
  const error = transportError(thrown)
  const { outcome, retryAfterMs } = error
  const noReply = { ok: false, fields: undefined, serverUnixMs: undefined, retryAfterMs } as const
  if (endReason === "closed") {
    return { ...noReply, error: { name: "closed", message: "the account was closed", retriable: false, outcome } }
  }
  if (endReason === "timedOut") {
    const message = `${order.action} had no answer from ${order.endpoint} within ${String(Math.ceil(order.timeoutMs))} ms`
    return { ...noReply, error: { name: "timedOut", message, retriable: true, outcome, cause: error } }
  }
  const name = error.kind === "network" ? "networkFailed" : "replyUnreadable"
  const reason = endReason === "silent" ? "fell silent" : error.message
  const message = `${order.action} at ${order.endpoint}: ${reason}`
  return { ...noReply, error: { name, message, retriable: error.retriable, outcome, cause: error } }
}

/** Random words for nonces, drawn in bulk: one call of the system for 512 requests. */
const NONCE_WORDS = new Uint32Array(1_024)
let nextNonceWord = NONCE_WORDS.length

/** A random whole number below 2^63 as text: Go and Java keep nonces in signed 64 bits. */
function newNonce(): string {
  if (nextNonceWord >= NONCE_WORDS.length) {
    randomFillSync(NONCE_WORDS)
    nextNonceWord = 0
  }
  const high = (NONCE_WORDS[nextNonceWord] ?? 0) >>> 1
  const low = NONCE_WORDS[nextNonceWord + 1] ?? 0
  nextNonceWord += 2
  return ((BigInt(high) << 32n) | BigInt(low)).toString()
}
