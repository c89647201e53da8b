/**
 * The one error class of the SDK. What may be done about an error is data of the table in `@opencmq/proto`
 * (`retriable`, `outcome`); nothing here or in a caller looks at texts.
 */
import { errorByReply, errorRow, moduleCodeOf } from "@opencmq/proto"
import type { ErrorName, ErrorOutcome } from "@opencmq/proto"
import { AbortError } from "./abort.ts"

/** Errors that arise on this side of the wire, beside those of the table. */
export type LocalErrorName =
  /** No connection, or it broke. `outcome` says whether the request may have arrived. */
  | "networkFailed"
  /** No answer within the time allowed. */
  | "timedOut"
  /** An answer that is not CMQ's: a proxy's page, half a reply, a status other than 200. */
  | "replyUnreadable"
  /** A code that is not in the table. */
  | "unlisted"
  /** An argument that no broker would take; nothing was sent. */
  | "argumentInvalid"
  /** A `Sender` has as much waiting as it may hold; nothing was sent. */
  | "senderFull"
  /** The `Account` or `Sender` is closed; nothing was sent. */
  | "closed"
  /** Only made by `CmqError.from`: the call was aborted. */
  | "aborted"
  /** Only made by `CmqError.from`: something thrown that is no error of this package. */
  | "unexpected"

/** Name of an error: from the error table, or one of the SDK's own. */
export type CmqErrorName = ErrorName | LocalErrorName

/** Why no further attempt was made. */
export type GaveUpBecause = "notRetriable" | "retries" | "budget" | "deadline"

/** What a `CmqError` is made of. */
export type CmqErrorFields = Readonly<{
  name: CmqErrorName
  message: string
  /** Default 0. */
  code?: number
  /** Default 0. */
  moduleCode?: number
  retriable: boolean
  outcome: ErrorOutcome
  requestId?: string | undefined
  action?: string | undefined
  endpoint?: string | undefined
  attempts?: number
  gaveUpBecause?: GaveUpBecause
  cause?: unknown
}>

/**
 * Why a call failed. Every promise of the SDK rejects with this, or with `AbortError` when its signal was aborted. Only
 * mistakes in the calling program are something else: `TypeError` and `RangeError`, see `argument-check.ts`.
 */
export class CmqError extends Error {
  /** Name in the error table, or one of `LocalErrorName`; the thing to branch on. */
  override readonly name: CmqErrorName
  /** CMQ's public code (4440); 0 when the broker did not answer. */
  readonly code: number
  /** CMQ's module code (10100); 0 when there is none. */
  readonly moduleCode: number
  /** Whether the same call may succeed later, with nothing changed. The SDK has already tried as far as it may. */
  readonly retriable: boolean
  /**
   * What is certain about the whole call, all attempts together. `unknown`: it may have been carried out; repeat a
   * send only with the same `clientMessageId`.
   */
  readonly outcome: ErrorOutcome
  /** The broker's id of the last attempt, for its logs. */
  readonly requestId: string | undefined
  readonly action: string | undefined
  /** Where the last attempt went, `http://host:port`. */
  readonly endpoint: string | undefined
  /** Requests made for this call, fail-overs included. */
  readonly attempts: number
  /** Why the SDK stopped trying; undefined when it never tried. */
  readonly gaveUpBecause: GaveUpBecause | undefined

  constructor(fields: CmqErrorFields) {
    super(fields.message, fields.cause === undefined ? undefined : { cause: fields.cause })
    this.name = fields.name
    this.code = fields.code ?? 0
    this.moduleCode = fields.moduleCode ?? 0
    this.retriable = fields.retriable
    this.outcome = fields.outcome
    this.requestId = fields.requestId
    this.action = fields.action
    this.endpoint = fields.endpoint
    this.attempts = fields.attempts ?? 0
    this.gaveUpBecause = fields.gaveUpBecause
  }

  /**
   * Whatever was caught, as a `CmqError`: itself when it is one, `aborted` for an abort, else `unexpected` with the
   * thing as `cause` and, since nothing is known about it, outcome `unknown`.
   */
  static from(thrown: unknown): CmqError {
    if (thrown instanceof CmqError) return thrown
    if (thrown instanceof AbortError) {
      return new CmqError({
        name: "aborted",
        message: thrown.message,
        retriable: false,
        outcome: thrown.outcome,
        cause: thrown,
      })
    }
    const message = thrown instanceof Error ? thrown.message : "something that is not an Error was thrown"
    return new CmqError({ name: "unexpected", message, retriable: false, outcome: "unknown", cause: thrown })
  }
}

/** First public code of those that say "the service failed": what happened to the request is then not certain. */
const SERVICE_CODE_MIN = 6000

/**
 * The fields of an error that a broker answered with.
 *
 * A code that the table does not know is `unlisted`: not retriable, `notApplied` below 6000 and `unknown` from there.
 *
 * @param code - `code` of the reply, not 0.
 * @param message - `message` of the reply, the module code in its first brackets.
 */
export function refusalFields(code: number, message: string): CmqErrorFields {
  const moduleCode = moduleCodeOf(message)
  const name = errorByReply(code, message)
  const numbers = { code, moduleCode: moduleCode ?? 0, message: message === "" ? `code ${String(code)}` : message }
  if (name === undefined) {
    const outcome = code >= SERVICE_CODE_MIN ? "unknown" : "notApplied"
    return { ...numbers, name: "unlisted", retriable: false, outcome }
  }
  const row = errorRow(name)
  return { ...numbers, name, retriable: row.retriable, outcome: row.outcome }
}

/** An argument that no broker would take. */
export function argumentInvalid(message: string): CmqError {
  return new CmqError({ name: "argumentInvalid", message, retriable: false, outcome: "notApplied" })
}
