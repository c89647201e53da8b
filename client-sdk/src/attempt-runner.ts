/**
 * One attempt at one endpoint: time limit, abort, signature inputs, and the translation of whatever comes back into
 * data. It never repeats anything; `caller.ts` decides that.
 */
import { randomFillSync } from "node:crypto"
import type { ActionName } from "@opencmq/proto"
import { AbortError, onAbort } from "./abort.ts"
import type { Clock } from "./clock.ts"
import { refusalFields } from "./cmq-error.ts"
import type { CmqErrorFields } from "./cmq-error.ts"
import type { EndpointPool } from "./endpoint-pool.ts"
import type { EndpointWatch } from "./endpoint-watch.ts"
import { textOf } from "./reply-fields.ts"
import type { Fields } from "./reply-fields.ts"
import { TransportError } from "./transport.ts"
import type { AttemptReply, Credentials, Parameter, Transport } from "./transport.ts"

/** What an attempt is asked to do. */
export type AttemptOrder = Readonly<{
  endpoint: string
  action: ActionName
  parameters: readonly Parameter[]
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
    const { clock, transport, credentials, watch } = this.#options
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
        endpoint: order.endpoint,
        action: order.action,
        parameters: order.parameters,
        credentials,
        timestampSeconds: Math.floor((clock.unixMs() + this.#clockOffsetMs) / 1_000),
        nonce: newNonce(),
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

function failedResult(thrown: unknown, order: AttemptOrder, endReason: EndReason | undefined): AttemptResult {
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
