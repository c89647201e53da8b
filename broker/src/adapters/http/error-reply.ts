/**
 * Refusals in CMQ's form: HTTP 200, `code`, `message` with the module code in brackets, `requestId`
 * (cmq-api.md §0.9, §0.10, §0.12). Successful replies begin with the same three fields, so their head is here too.
 */
import { errorRow, errorText } from "@opencmq/proto"
import type { ErrorName } from "@opencmq/proto"
import type { HttpReply } from "./http-message.ts"

/** Why a request is not carried out: a row of the error table and the words for its text. */
export interface Refusal {
  readonly error: ErrorName
  readonly args: readonly (string | number)[]
  /** Said behind CMQ's own text; never secret. */
  readonly detail?: string
  /** Further reply fields: `,"errorList":[…]`. */
  readonly fields?: string
}

/** What every reply says of its request. */
export interface RequestIdentity {
  readonly requestId: string
  /** Digits as sent, echoed as a JSON number; "" = none was sent. */
  readonly clientRequestId: string
}

const JSON_TYPE = "application/json; charset=utf-8"

/** Digits that are a JSON number as they stand: Go reads it as a uint64, so it must not pass through a double. */
const NUMBER_PATTERN = /^(?:0|[1-9]\d{0,19})$/

/** The `clientRequestId` that can be echoed, else "". */
export function echoable(clientRequestId: string | undefined): string {
  return clientRequestId !== undefined && NUMBER_PATTERN.test(clientRequestId) ? clientRequestId : ""
}

/** The JSON text of a success; `fields` are further members, each with a comma before it. */
export function successJson(identity: RequestIdentity, fields: string): string {
  return `{"code":0,"message":"","requestId":"${identity.requestId}"${echo(identity)}${fields}}`
}

/** The JSON text of a refusal. */
export function refusalJson(identity: RequestIdentity, refusal: Refusal): string {
  const message = errorText(refusal.error, ...refusal.args) + (refusal.detail ?? "")
  const head = `{"code":${String(errorRow(refusal.error).code)},"message":${JSON.stringify(message)}`
  return `${head},"requestId":"${identity.requestId}"${echo(identity)}${refusal.fields ?? ""}}`
}

function echo({ clientRequestId }: RequestIdentity): string {
  return clientRequestId === "" ? "" : `,"clientRequestId":${clientRequestId}`
}

/** What the face adds to every JSON reply. */
export interface ReplyExtras {
  /** Address clients may go to directly, as an URL; undefined = not known. */
  readonly leader: string | undefined
  /** Ends the connection behind this reply. */
  readonly isLast: boolean
}

/** A reply with a JSON text. HTTP status 200 whatever the code: anything else is a "network error" to CMQ's SDKs. */
export function jsonReply(requestId: string, json: string, { leader, isLast }: ReplyExtras): HttpReply {
  const headers =
    leader === undefined ? ["x-request-id", requestId] : ["x-request-id", requestId, "x-opencmq-leader", leader]
  return { status: 200, contentType: JSON_TYPE, headers, body: json, isLast }
}
