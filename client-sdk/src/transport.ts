/**
 * The seam between what the SDK does (retry, fail over, consume) and how one request travels. A transport makes
 * exactly one attempt: it never repeats, never chooses an endpoint and never waits.
 */
import type { ActionName } from "@opencmq/proto"
import type { Fields } from "./reply-fields.ts"
import type { PreparedMessage } from "./prepared-message.ts"

/** Name and value of one parameter, decoded. */
export type Parameter = readonly [name: string, value: string]

/** How requests are signed. */
export type Credentials = Readonly<{
  secretId: string
  secretKey: string
  signatureMethod: "HmacSHA256" | "HmacSHA1"
}>

/** Where a request goes and what it is signed with. Timestamp and nonce are new each time. */
export type Stamp = Readonly<{
  /** `http://host:port`. */
  endpoint: string
  credentials: Credentials
  /** Unix seconds by the server's clock, as far as it is known. */
  timestampSeconds: number
  /** Digits, each once. */
  nonce: string
}>

/** One attempt; the signature is the transport's work. */
export type AttemptRequest = Stamp &
  Readonly<{
    action: ActionName
    parameters: readonly Parameter[]
    /** The messages of a send, which are in `parameters` too, for a transport that writes no forms. */
    messages?: readonly PreparedMessage[]
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

/** A stream of messages to one consumer. */
export type MessageStreamOrder = Stamp &
  Readonly<{
    queueName: string
    visibilityTimeoutSeconds: number
    /** Messages, each as in a reply of ReceiveMessage. Never called after `onEnd`. */
    onMessages: (messages: readonly Fields[]) => void
    /** Called once, whoever ended it: a refusal, no network, or undefined for an end as it was asked for. */
    onEnd: (end: AttemptReply | TransportError | undefined) => void
  }>

/** Brings no more messages than it has credits. */
export interface MessageStream {
  addCredits(count: number): void
  /** Brings what is under way, then ends. */
  end(): void
  /** Ends at once; what is under way may be hidden until its visibility timeout ends. */
  cancel(): void
}

/** Carries single requests to brokers. */
export interface Transport {
  /** @throws TransportError for whatever is not a reply; anything else that is thrown counts as outcome `unknown`. */
  attempt(request: AttemptRequest): Promise<AttemptReply>
  /** Whether anything at all answers at an endpoint, over a connection of its own; rejects when not. */
  probe(endpoint: string, signal: AbortSignal): Promise<void>
  /** Present = consumers are fed by streams instead of long polls. Nothing is waited for: see `onEnd`. */
  openStream?(order: MessageStreamOrder): MessageStream
  /** Messages that fit one BatchSendMessage of a `Sender`, when more than CMQ's 16. */
  readonly sendBatchCountMax?: number
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
