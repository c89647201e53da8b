/**
 * When to try again, and how long to wait before. Pure arithmetic over numbers that are handed in; the loop that
 * uses it is `caller.ts`.
 */
import type { ErrorOutcome } from "@opencmq/proto"
import type { CmqErrorName } from "./cmq-error.ts"

/** Options of the retry policy. */
export type RetryOptions = Readonly<{
  /** Pauses between rounds of attempts of one call, at most. A round asks every endpoint once. Default 10; 0 = none. */
  maxRetries?: number
  /** Highest pause before the first retry; doubles with each. Milliseconds, default 25. */
  baseDelayMs?: number
  /** Highest pause of all. Milliseconds, default 2,000. */
  maxDelayMs?: number
  /**
   * Retries that all calls of an account together may have saved up, so that an outage is not amplified. When they
   * are used up, calls fail with what the broker last said. Default 500.
   */
  budget?: number
  /** Retries that come back to the budget each second. Default 10. */
  budgetPerSecond?: number
  /** Retries that come back with each call that succeeds. Default 0.1. */
  budgetPerSuccess?: number
}>

/** The same, complete. */
export type RetrySettings = Required<RetryOptions>

/** Fills in the defaults. */
export function retrySettings(options: RetryOptions = {}): RetrySettings {
  return {
    maxRetries: options.maxRetries ?? 10,
    baseDelayMs: options.baseDelayMs ?? 25,
    maxDelayMs: options.maxDelayMs ?? 2_000,
    budget: options.budget ?? 500,
    budgetPerSecond: options.budgetPerSecond ?? 10,
    budgetPerSuccess: options.budgetPerSuccess ?? 0.1,
  }
}

/** Doublings after which 2^n is far above any `maxDelayMs`. */
const DOUBLINGS_MAX = 30

/**
 * Full jitter: anything between 0 and the ceiling, so that clients who failed together do not come back together.
 *
 * @param retry - number of the retry, from 0.
 * @param random - from 0 to below 1.
 * @returns milliseconds.
 */
export function fullJitterMs(
  settings: Pick<RetrySettings, "baseDelayMs" | "maxDelayMs">,
  retry: number,
  random: number,
): number {
  return random * Math.min(settings.maxDelayMs, settings.baseDelayMs * 2 ** Math.min(retry, DOUBLINGS_MAX))
}

/** What one failed attempt means for the call. */
export type Verdict =
  /** No further attempt. */
  | "giveUp"
  /** Another endpoint may well answer at once; a pause only when all have been asked. */
  | "failOver"
  /** The service needs time. */
  | "backOff"

/** What is known about one failed attempt. */
export type FailedAttempt = Readonly<{
  name: CmqErrorName
  retriable: boolean
  outcome: ErrorOutcome
}>

/** Failures that belong to one endpoint and say nothing about the others. */
const ENDPOINT_FAILURES: ReadonlySet<CmqErrorName> = new Set<CmqErrorName>([
  "networkFailed",
  "timedOut",
  "replyUnreadable",
  "notLeader",
  "shuttingDown",
])

/** Whether a failure says that this endpoint, rather than the service, is in trouble. */
export function isEndpointFailure(name: CmqErrorName): boolean {
  return ENDPOINT_FAILURES.has(name)
}

/**
 * The rule of the error table: retry what is retriable when it was surely not applied; when nobody knows, only a call
 * that may be carried out twice without harm.
 *
 * @param isRepeatable - the action may be repeated, or the call carries a client message id.
 */
export function verdictOf(failure: FailedAttempt, isRepeatable: boolean): Verdict {
  if (!failure.retriable) return "giveUp"
  if (failure.outcome !== "notApplied" && !isRepeatable) return "giveUp"
  return isEndpointFailure(failure.name) ? "failOver" : "backOff"
}

/** Token bucket over all calls of an account. Not more than `budget` tokens, refilled by time and by success. */
export class RetryBudget {
  readonly #settings: RetrySettings
  #tokens: number
  #filledAtMs: number

  /** @param nowMs - monotonic time. */
  constructor(settings: RetrySettings, nowMs: number) {
    this.#settings = settings
    this.#tokens = settings.budget
    this.#filledAtMs = nowMs
  }

  /** Takes one retry out. @returns false when there is none: the call fails with what it has. */
  tryTake(nowMs: number): boolean {
    this.#refill(nowMs)
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }

  /** A call succeeded: some of a retry comes back. */
  succeeded(): void {
    this.#add(this.#settings.budgetPerSuccess)
  }

  /** Retries left, whole ones. */
  get left(): number {
    return Math.floor(this.#tokens)
  }

  #refill(nowMs: number): void {
    const elapsedMs = Math.max(0, nowMs - this.#filledAtMs)
    this.#filledAtMs = nowMs
    this.#add((elapsedMs * this.#settings.budgetPerSecond) / 1_000)
  }

  #add(tokens: number): void {
    this.#tokens = Math.min(this.#settings.budget, this.#tokens + tokens)
  }
}
