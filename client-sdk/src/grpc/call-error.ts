/**
 * How a gRPC call ended, as the rest of the SDK knows it: a refusal of the error table is a reply, everything else a
 * `TransportError`. Source of the details' numbers: googleapis, google/rpc/status.proto and error_details.proto.
 */
import { status } from "@grpc/grpc-js"
import type { Metadata } from "@grpc/grpc-js"
import { WireError, WireReader } from "@opencmq/proto"
import type { Fields } from "../reply-fields.ts"
import { TransportError } from "../transport.ts"
import type { AttemptReply } from "../transport.ts"

/** What grpc-js says of a call that did not end well. */
export type CallEnd = Readonly<{ code: number; details: string; metadata: Metadata }>

const DETAILS_KEY = "grpc-status-details-bin"
const ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"

/** A reply made of its fields; gRPC names neither the leader nor the server's time. */
export function replyOf(fields: Fields): AttemptReply {
  return { fields, leader: undefined, serverUnixMs: undefined, retryAfterMs: undefined }
}

/** A reply of success. */
export function successOf(fields: Fields, requestId = ""): AttemptReply {
  return replyOf({ code: 0, message: "", requestId, ...fields })
}

/** @throws TransportError unless the call was refused by a broker; @returns that refusal. */
export function refusalOf(end: unknown): AttemptReply {
  if (!isCallEnd(end)) throw networkError("the gRPC call failed", end)
  const refusal = readRefusal(end)
  if (refusal !== undefined) return refusal
  throw new TransportError({
    ...kindOf(end.code),
    message: `${end.details} (gRPC status ${String(end.code)})`,
    cause: end,
  })
}

/** No connection: the request surely did not leave. */
export function notConnected(message: string): TransportError {
  return new TransportError({ kind: "network", message, outcome: "notApplied", retriable: true })
}

/** The call was under way, and nobody knows how far it got. */
export function networkError(message: string, cause?: unknown): TransportError {
  return new TransportError({ kind: "network", message, outcome: "unknown", retriable: true, cause })
}

function isCallEnd(end: unknown): end is CallEnd {
  return typeof end === "object" && end !== null && "code" in end && "metadata" in end
}

function kindOf(code: number): Pick<TransportError, "kind" | "outcome" | "retriable"> {
  const isNobodyThere = code === Number(status.UNIMPLEMENTED) || code === Number(status.UNAUTHENTICATED)
  if (isNobodyThere) return { kind: "unreadable", outcome: "notApplied", retriable: false }
  // A message above somebody's limit: it would be as large again.
  if (code === Number(status.RESOURCE_EXHAUSTED)) return { kind: "unreadable", outcome: "unknown", retriable: false }
  return { kind: "network", outcome: "unknown", retriable: true }
}

/** @returns undefined when the end carries no row of the error table. */
function readRefusal({ details, metadata }: CallEnd): AttemptReply | undefined {
  const [bytes] = metadata.get(DETAILS_KEY)
  if (!(bytes instanceof Buffer)) return undefined
  try {
    const facts = readErrorInfo(new WireReader(bytes))
    const code = Number(facts.get("code"))
    if (!Number.isInteger(code) || code === 0) return undefined
    return replyOf({ code, message: details, requestId: facts.get("requestId") ?? "" })
  } catch (thrown) {
    if (thrown instanceof WireError) return undefined
    throw thrown
  }
}

/** Status {3 details: Any {1 type_url, 2 value: ErrorInfo {3 metadata: map {1 key, 2 value}}}}. */
function readErrorInfo(reader: WireReader): ReadonlyMap<string, string> {
  const facts = new Map<string, string>()
  while (reader.next()) {
    if (reader.field !== 3) reader.skip()
    else {
      const [typeUrl = "", value] = readPair(reader.message())
      if (typeUrl === ERROR_INFO && value !== undefined) addFacts(new WireReader(value), facts)
    }
  }
  return facts
}

function addFacts(reader: WireReader, facts: Map<string, string>): void {
  while (reader.next()) {
    if (reader.field !== 3) reader.skip()
    else {
      const [key = "", value] = readPair(reader.message())
      facts.set(key, value?.toString("utf8") ?? "")
    }
  }
}

/** A text in field 1, bytes in field 2. */
function readPair(reader: WireReader): readonly [string | undefined, Buffer | undefined] {
  let first: string | undefined
  let second: Buffer | undefined
  while (reader.next()) {
    if (reader.field === 1) first = reader.text()
    else if (reader.field === 2) second = reader.bytes()
    else reader.skip()
  }
  return [first, second]
}
