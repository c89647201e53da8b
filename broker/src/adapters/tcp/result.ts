/**
 * Refusals as results of this protocol: the error table's `code`, with the few numbers that CMQ's TCP client compares
 * by itself (cmq-api.md §2).
 */
import { errorRow, errorText } from "@opencmq/proto"
import type { ErrorName } from "@opencmq/proto"
import type { DeleteFailure, ReplyBody } from "./cmq-proto.ts"

/** Why a request is not carried out: a row of the error table and the words for its text. */
export interface Refusal {
  readonly error: ErrorName
  readonly args: readonly (string | number)[]
  /** Of a batch delete. */
  readonly delResult?: readonly DeleteFailure[]
  /** Of a confirmation. */
  readonly transactionConfirmReply?: NonNullable<ReplyBody["transactionConfirmReply"]>
}

export const RESULT_OK = 0

/** Nothing to pull: the client goes on asking. Anything else ends its consumer loop for good. */
export const RESULT_NO_MESSAGE = 10_200

const OWN_RESULTS: Partial<Record<ErrorName, number>> = {
  /** The client drops the connection and opens another. */
  connectionNotAuthenticated: 306,
  /** The client takes it for a success. */
  connectionAlreadyAuthenticated: 307,
  noMessage: RESULT_NO_MESSAGE,
}

/**
 * The `result` of a refused request.
 *
 * @param isPull - a pull that may succeed later is answered "no message"; the text still says why (ADR 0020).
 */
export function resultOf(error: ErrorName, isPull: boolean): number {
  const row = errorRow(error)
  if (isPull && row.retriable) return RESULT_NO_MESSAGE
  return OWN_RESULTS[error] ?? row.code
}

/** The `error` of a refused request: `(10200)no message`. */
export function refusalText({ error, args }: Refusal): string {
  return errorText(error, ...args)
}
