/**
 * Refusals in gRPC's form: a status of the error table, with google.rpc details in `grpc-status-details-bin`, and as
 * `opencmq.v1.Refusal` where a status cannot say it.
 */
import { Metadata } from "@grpc/grpc-js"
import { GRPC_STATUS, errorRow, errorText, WireWriter } from "@opencmq/proto"
import type { ErrorName, ErrorOutcome } from "@opencmq/proto"
import type { WireRefusal } from "./wire-types.ts"

/** Why a call is not carried out: a row of the error table and the words for its text. */
export interface Refusal {
  readonly error: ErrorName
  readonly args: readonly (string | number)[]
  /** The field of the request that is to blame, as the `.proto` spells it: `messages[2].body`. */
  readonly field?: string
  /** Said behind the row's own text; never secret. */
  readonly detail?: string
}

/** How a call ends, as grpc-js takes it. */
export interface GrpcStatus {
  readonly code: number
  readonly details: string
  readonly metadata: Metadata
}

const DETAILS_KEY = "grpc-status-details-bin"
const DOMAIN = "opencmq"
const TYPE_PREFIX = "type.googleapis.com/google.rpc."

/**
 * What RetryInfo proposes, in milliseconds: about the time in which a new leader is there or a burst is over. Clients
 * that repeat more than once should wait longer each time.
 */
const RETRY_DELAY_MS = 250

const OUTCOME_NUMBER: Readonly<Record<ErrorOutcome, number>> = { notApplied: 1, unknown: 2, applied: 3 }

/** What a lone half of a surrogate pair is written as: grpc-js throws at one. */
const LONE_SURROGATE = /\p{Surrogate}/gu

function textOf({ error, args, detail = "" }: Refusal): string {
  return (errorText(error, ...args) + detail).replace(LONE_SURROGATE, "?")
}

/** The status and trailers of a refused call. */
export function statusOf(refusal: Refusal, requestId: string): GrpcStatus {
  const code = GRPC_STATUS[errorRow(refusal.error).grpc]
  const details = textOf(refusal)
  const metadata = new Metadata()
  metadata.set(DETAILS_KEY, richStatus(refusal, { code, details, requestId }))
  return { code, details, metadata }
}

/** The refusal as a message. */
export function wireRefusal(refusal: Refusal): WireRefusal {
  const row = errorRow(refusal.error)
  return {
    reason: refusal.error,
    status: GRPC_STATUS[row.grpc],
    message: textOf(refusal),
    code: row.code,
    moduleCode: row.moduleCode,
    outcome: OUTCOME_NUMBER[row.outcome],
    isRetriable: row.retriable,
  }
}

/** google.rpc.Status {1 code, 2 message, 3 details: Any {1 type_url, 2 value}}. Source: googleapis, google/rpc/status.proto. */
function richStatus(
  refusal: Refusal,
  status: { readonly code: number; readonly details: string; readonly requestId: string },
): Buffer {
  const writer = new WireWriter()
  writer.number(1, status.code)
  writer.text(2, status.details)
  any(writer, "ErrorInfo", errorInfo(refusal, status.requestId))
  if (refusal.field !== undefined) any(writer, "BadRequest", badRequest(refusal.field, status.details))
  if (errorRow(refusal.error).retriable) any(writer, "RetryInfo", retryInfo())
  return writer.finish()
}

function any(writer: WireWriter, type: string, value: Uint8Array): void {
  writer.message(3, () => {
    writer.text(1, TYPE_PREFIX + type)
    writer.bytes(2, value)
  })
}

/** {1 reason, 2 domain, 3 metadata: map of {1 key, 2 value}}. Source: google/rpc/error_details.proto, as all below. */
function errorInfo({ error }: Refusal, requestId: string): Buffer {
  const { code, moduleCode, outcome, retriable } = errorRow(error)
  const facts = { code, moduleCode, outcome, retriable, requestId }
  const writer = new WireWriter()
  writer.text(1, error)
  writer.text(2, DOMAIN)
  for (const [key, value] of Object.entries(facts)) {
    writer.message(3, () => {
      writer.text(1, key)
      writer.text(2, String(value))
    })
  }
  return writer.finish()
}

/** {1 field_violations: {1 field, 2 description}} */
function badRequest(field: string, description: string): Buffer {
  const writer = new WireWriter()
  writer.message(1, () => {
    writer.text(1, field)
    writer.text(2, description)
  })
  return writer.finish()
}

/** {1 retry_delay: Duration {1 seconds, 2 nanos}} */
function retryInfo(): Buffer {
  const writer = new WireWriter()
  writer.message(1, () => {
    writer.number(1, Math.floor(RETRY_DELAY_MS / 1000))
    writer.number(2, (RETRY_DELAY_MS % 1000) * 1_000_000)
  })
  return writer.finish()
}
