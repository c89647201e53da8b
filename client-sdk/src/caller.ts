/**
 * One call, from its first attempt to its answer: retries, fail-over, leader following, deadline. The only loop of
 * the SDK that repeats requests.
 *
 * A *round* asks each endpoint at most once, without a pause, going on only while failures belong to the endpoint.
 * Between rounds there is a pause with full jitter, and each costs a retry of the account's budget. So does every
 * fail-over of a request that may have arrived; one that never connected costs nothing, as it burdens nobody.
 */
import { actionRow } from "@opencmq/proto"
import type { ActionName } from "@opencmq/proto"
import { AbortError, pause } from "./abort.ts"
import type { AttemptResult, AttemptRunner, StreamOrder } from "./attempt-runner.ts"
import type { Clock } from "./clock.ts"
import { CmqError } from "./cmq-error.ts"
import type { CmqErrorFields, CmqErrorName, GaveUpBecause } from "./cmq-error.ts"
import type { EndpointPool } from "./endpoint-pool.ts"
import type { PreparedMessage } from "./prepared-message.ts"
import type { Fields } from "./reply-fields.ts"
import { RetryBudget, fullJitterMs, verdictOf } from "./retry-policy.ts"
import type { RetrySettings } from "./retry-policy.ts"
import type { MessageStream, Parameter } from "./transport.ts"

/** What every call of the SDK accepts. */
export type CallOptions = Readonly<{
  /** Aborts the call: it rejects with `AbortError` and its socket is destroyed. */
  signal?: AbortSignal | undefined
  /** For the whole call with all its attempts, milliseconds. A receive adds its wait. Default: the account's. */
  timeoutMs?: number | undefined
}>

/** One call of an action. */
export type Call = Readonly<{
  action: ActionName
  parameters: readonly Parameter[]
  /** Those of a send: see `AttemptRequest`. */
  messages?: readonly PreparedMessage[]
  options: CallOptions | undefined
  /** True for a send, whose client message id makes it repeatable. Else the action table decides. */
  isRepeatable?: boolean
  /** How long the broker itself may wait (long poll), milliseconds; added to all time limits. */
  waitMs?: number
  /**
   * Which refusals are an answer to this caller.
   *
   * @param wasRepeatedBlindly - see `CallReply`.
   */
  accepts?: (refusal: CmqErrorName, wasRepeatedBlindly: boolean) => boolean
  /** Pauses between rounds at most, when fewer than the account's. */
  maxRetries?: number
}>

/** The answer to a call. */
export type CallReply = Readonly<{
  fields: Fields
  /** Set when the answer is a refusal that the call accepts. */
  refusal: CmqErrorFields | undefined
  /** Whether an earlier attempt may have been carried out: then "it is gone" may well be our own work. */
  wasRepeatedBlindly: boolean
}>

/** What the caller works with. */
export type CallerOptions = Readonly<{
  runner: AttemptRunner
  pool: EndpointPool
  clock: Clock
  retry: RetrySettings
  /** Of one attempt, milliseconds. */
  requestTimeoutMs: number
  /** Of one call, milliseconds. */
  timeoutMs: number
  /** From 0 to below 1. */
  random: () => number
}>

/** Where a call stands. */
type Progress = {
  readonly deadlineMs: number
  readonly tried: Set<string>
  attempts: number
  retries: number
  /** An attempt ended without anybody knowing whether it was carried out. */
  isUnknown: boolean
  hasCorrectedClock: boolean
  hasRenewedNonce: boolean
}

type Failure = Extract<AttemptResult, { ok: false }>

/** What follows a failed attempt. */
type NextStep =
  | Readonly<{ kind: "again" }>
  | Readonly<{ kind: "pause"; delayMs: number }>
  | Readonly<{ kind: "stop"; because: GaveUpBecause }>

/** Makes the calls of one account. */
export class Caller {
  readonly #options: CallerOptions
  readonly #budget: RetryBudget
  #isClosed = false

  constructor(options: CallerOptions) {
    this.#options = options
    this.#budget = new RetryBudget(options.retry, options.clock.monotonicMs())
  }

  /** Retries left in the account's budget. */
  get retriesLeft(): number {
    return this.#budget.left
  }

  /** Messages that one BatchSendMessage of a sender takes. */
  get sendBatchCountMax(): number {
    return this.#options.runner.sendBatchCountMax
  }

  /** Whether consumers are fed by streams. */
  get hasStreams(): boolean {
    return this.#options.runner.hasStreams
  }

  /**
   * Opens a stream at the endpoint that is best now. One attempt: whoever reads it opens the next when it ended, after a
   * pause; by then an endpoint that failed is put aside.
   */
  openStream(order: StreamOrder): MessageStream {
    const { pool, runner } = this.#options
    const endpoint = pool.pick(new Set())
    if (endpoint === undefined) throw new Error("an endpoint pool is never empty")
    return runner.openStream(endpoint, order)
  }

  /** Ends calls under way and refuses new ones with `closed`. */
  close(): void {
    this.#isClosed = true
    this.#options.runner.close()
  }

  /**
   * Makes a call.
   *
   * @throws CmqError with the outcome of all attempts together; AbortError when the signal is aborted.
   */
  async call(call: Call): Promise<CallReply> {
    const { clock } = this.#options
    const signal = call.options?.signal
    const timeoutMs = (call.options?.timeoutMs ?? this.#options.timeoutMs) + (call.waitMs ?? 0)
    const progress: Progress = {
      deadlineMs: clock.monotonicMs() + timeoutMs,
      tried: new Set(),
      attempts: 0,
      retries: 0,
      isUnknown: false,
      hasCorrectedClock: false,
      hasRenewedNonce: false,
    }
    for (;;) {
      throwIfAborted(signal, progress)
      if (this.#isClosed) throw finalError({ ...CLOSED, outcome: outcomeSoFar(progress) }, call, progress)
      const endpoint = this.#pick(progress)
      const result = await this.#attempt(call, endpoint, progress)
      if (result.ok) {
        this.#budget.succeeded()
        return { fields: result.fields, refusal: undefined, wasRepeatedBlindly: progress.isUnknown }
      }
      if (result.fields !== undefined && call.accepts?.(result.error.name, progress.isUnknown) === true) {
        return { fields: result.fields, refusal: result.error, wasRepeatedBlindly: progress.isUnknown }
      }
      if (result.error.outcome !== "notApplied") progress.isUnknown = true
      const step = this.#next(call, result, progress)
      if (step.kind === "stop")
        throw finalError({ ...result.error, endpoint, gaveUpBecause: step.because }, call, progress)
      if (step.kind === "pause" && step.delayMs > 0) await pause(clock, step.delayMs, signal)
    }
  }

  /** The next endpoint of this round; a new round begins when all were asked. */
  #pick(progress: Progress): string {
    const { pool } = this.#options
    let endpoint = pool.pick(progress.tried)
    if (endpoint === undefined) {
      progress.tried.clear()
      endpoint = pool.pick(progress.tried)
    }
    if (endpoint === undefined) throw new Error("an endpoint pool is never empty")
    progress.tried.add(endpoint)
    return endpoint
  }

  async #attempt(call: Call, endpoint: string, progress: Progress): Promise<AttemptResult> {
    const { clock, runner, requestTimeoutMs } = this.#options
    const leftMs = progress.deadlineMs - clock.monotonicMs()
    const fullMs = requestTimeoutMs + (call.waitMs ?? 0)
    progress.attempts += 1
    try {
      return await runner.run({
        endpoint,
        action: call.action,
        parameters: call.parameters,
        ...(call.messages !== undefined && { messages: call.messages }),
        timeoutMs: Math.max(0, Math.min(leftMs, fullMs)),
        isCutShort: leftMs < fullMs,
        signal: call.options?.signal,
      })
    } catch (thrown) {
      if (thrown instanceof AbortError && progress.isUnknown) throw new AbortError("unknown", thrown.cause)
      throw thrown
    }
  }

  #next(call: Call, failure: Failure, progress: Progress): NextStep {
    const { clock, pool, retry } = this.#options
    const { error } = failure
    if (this.#mayTryAtOnce(failure, progress)) return { kind: "again" }
    const isRepeatable = call.isRepeatable ?? actionRow(call.action).isRepeatable
    const verdict = verdictOf(error, isRepeatable)
    if (verdict === "giveUp") return { kind: "stop", because: "notRetriable" }
    const nowMs = clock.monotonicMs()
    if (nowMs >= progress.deadlineMs) return { kind: "stop", because: "deadline" }
    const isAnotherLeft = verdict === "failOver" && pool.hasOpen(progress.tried)
    if (isAnotherLeft && error.outcome === "notApplied") return { kind: "again" }
    if (!isAnotherLeft && progress.retries >= Math.min(retry.maxRetries, call.maxRetries ?? retry.maxRetries)) {
      return { kind: "stop", because: "retries" }
    }
    if (!this.#budget.tryTake(nowMs)) return { kind: "stop", because: "budget" }
    if (isAnotherLeft) return { kind: "again" }
    const delayMs = Math.max(failure.retryAfterMs ?? 0, fullJitterMs(retry, progress.retries, this.#options.random()))
    if (nowMs + delayMs >= progress.deadlineMs) return { kind: "stop", because: "deadline" }
    progress.retries += 1
    progress.tried.clear()
    return { kind: "pause", delayMs }
  }

  /** Two refusals that only say "sign anew"; each once a call. The request was surely not carried out. */
  #mayTryAtOnce(failure: Failure, progress: Progress): boolean {
    if (failure.error.name === "requestExpired" && !progress.hasCorrectedClock) {
      if (failure.serverUnixMs === undefined) return false
      progress.hasCorrectedClock = true
      this.#options.runner.correctClock(failure.serverUnixMs)
    } else if (failure.error.name === "nonceReplayed" && !progress.hasRenewedNonce) {
      progress.hasRenewedNonce = true
    } else return false
    progress.tried.clear()
    return true
  }
}

const CLOSED = { name: "closed", message: "the account is closed", retriable: false } as const

function outcomeSoFar(progress: Progress): "unknown" | "notApplied" {
  return progress.isUnknown ? "unknown" : "notApplied"
}

function throwIfAborted(signal: AbortSignal | undefined, progress: Progress): void {
  if (signal?.aborted === true) throw new AbortError(outcomeSoFar(progress), signal.reason)
}

/** The last error, with what is certain about all attempts together: one unknown makes the whole unknown. */
function finalError(fields: CmqErrorFields, call: Call, progress: Progress): CmqError {
  const outcome = progress.isUnknown && fields.outcome === "notApplied" ? "unknown" : fields.outcome
  return new CmqError({ ...fields, outcome, action: call.action, attempts: progress.attempts })
}
