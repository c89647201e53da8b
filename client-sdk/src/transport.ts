/**
 * The seam between what the SDK does (retry, fail over, consume) and how one request travels. A transport makes
 * exactly one attempt: it never repeats, never chooses an endpoint and never waits.
 */
import type { ActionName } from "@opencmq/proto"

/** Name and value of one parameter, decoded. */
export type Parameter = readonly [name: string, value: string]

/** How requests are signed. */
export type Credentials = Readonly<{
  secretId: string
  secretKey: string
  signatureMethod: "HmacSHA256" | "HmacSHA1"
}>

/** One attempt. Timestamp and nonce are new each time; the signature is the transport's work. */
export type AttemptRequest = Readonly<{
  /** `http://host:port`. */
  endpoint: string
  action: ActionName
  parameters: readonly Parameter[]
  credentials: Credentials
  /** Unix seconds by the server's clock, as far as it is known. */
  timestampSeconds: number
  /** Digits, each once. */
  nonce: string
  /** Ends the attempt: the transport destroys its connection, so that the broker stops working for nobody. */
  signal: AbortSignal
}>

/** What came back: the reply's fields, `code` among them, and what was said beside it. */
export type AttemptReply = Readonly<{
  fields: Readonly<Record<string, unknown>>
  /** Address of the leader, when the broker named one. */
  leader: string | undefined
  /** The server's clock, Unix milliseconds; undefined when it did not say. */
  serverUnixMs: number | undefined
  /** How long the server asks us to wait before we try again, milliseconds. */
  retryAfterMs: number | undefined
}>

/** Carries single requests to brokers. */
export interface Transport {
  /** @throws TransportError for whatever is not a reply; anything else that is thrown counts as outcome `unknown`. */
  attempt(request: AttemptRequest): Promise<AttemptReply>
  /** Whether anything at all answers at an endpoint, over a connection of its own; rejects when not. */
  probe(endpoint: string, signal: AbortSignal): Promise<void>
  /** Closes every connection. Attempts under way fail. */
  close(): void
}

/** What a `TransportError` is made of. */
export type TransportErrorFields = Readonly<{
  /** `network`: no reply. `unreadable`: a reply that is not CMQ's. */
  kind: "network" | "unreadable"
  message: string
  /** `notApplied` only when the request surely did not arrive. */
  outcome: "notApplied" | "unknown"
  retriable: boolean
  retryAfterMs?: number | undefined
  cause?: unknown
}>

/** No reply that could be read. */
export class TransportError extends Error {
  override readonly name = "TransportError"
  readonly kind: "network" | "unreadable"
  readonly outcome: "notApplied" | "unknown"
  readonly retriable: boolean
  readonly retryAfterMs: number | undefined

  constructor(fields: TransportErrorFields) {
    super(fields.message, fields.cause === undefined ? undefined : { cause: fields.cause })
    this.kind = fields.kind
    this.outcome = fields.outcome
    this.retriable = fields.retriable
    this.retryAfterMs = fields.retryAfterMs
  }
}
