/**
 * What a push says: headers and body of the POST, in CMQ's words (D:push, products 406/7420 and 1496/65109).
 *
 * ```
 *   POST /cgi HTTP/1.1
 *   Host: test.com                                          push-client.ts adds these two
 *   Content-Length: 151
 *   Content-Type: text/plain                                in both formats
 *   User-Agent: Qcloud Notification Service Agent
 *   x-cmq-request-id: 2394928734
 *   x-cmq-message-id: 6942316962
 *   x-cmq-message-tag: a, b
 *
 *   {"TopicOwner":100015036,"topicName":"MyTopic", ...      SIMPLIFIED: the body as it was published
 * ```
 *
 * CMQ's pushes cannot be told from a stranger's. With a signing key three more headers say who sent it, as the Standard
 * Webhooks specification 1.0.0 has them, so that its libraries can verify them:
 *
 * - `webhook-id`: the msgId, the same at each try: what a receiver keeps to notice a second delivery;
 * - `webhook-timestamp`: Unix time in seconds of this try; a receiver refuses what is more than some minutes off;
 * - `webhook-signature`: for each key `v1,` and the base64 of HMAC-SHA256(key, `{id}.{timestamp}.{body}`), with blanks
 *   between them. Two keys while one replaces the other.
 *
 * The signature covers neither path nor x-cmq headers: of a SIMPLIFIED push, tags and request id may be forged.
 */
import { createHmac } from "node:crypto"

/** One message for one subscription. */
export interface PushMessage {
  /** Of this try, for the logs of both sides. */
  readonly requestId: string
  /** APPID of the topic's owner; a number as in CMQ's example, though its table says String. */
  readonly topicOwner: number
  readonly topicName: string
  readonly subscriptionName: string
  /** Decimal digits; never a dot, which would make the signed text ambiguous. */
  readonly msgId: string
  /** UTF-8 as published. What is no UTF-8 becomes U+FFFD in the JSON format, and stays as it is in the other. */
  readonly body: Uint8Array
  readonly tags: readonly string[]
  /** Unix time in milliseconds; `publishTime` on the wire is in seconds. */
  readonly publishedAtMs: number
  readonly notifyContentFormat: "JSON" | "SIMPLIFIED"
}

/** How a push is signed. */
export interface PushSigning {
  /** From `readSigningKey`; the receiver needs one of them. The specification wants other keys for other receivers. */
  readonly keys: readonly Uint8Array[]
  /** Unix time in milliseconds of this try. */
  readonly nowMs: number
}

/** Name and value, in the order in which they are sent. */
export type PushHeader = readonly [name: string, value: string]

export interface PushContent {
  readonly headers: readonly PushHeader[]
  readonly body: Uint8Array
}

const SIGNING_KEY_PREFIX = "whsec_"
const SIGNING_KEY_BYTES_MIN = 24
const SIGNING_KEY_BYTES_MAX = 64

/** Makes headers and body of one push; signed when `signing` has a key. Whatever the tags hold, no header can be added. */
export function writePush(message: PushMessage, signing?: PushSigning): PushContent {
  const body = message.notifyContentFormat === "JSON" ? Buffer.from(bodyJson(message)) : message.body
  const headers: PushHeader[] = [
    ["Content-Type", "text/plain"],
    ["User-Agent", "Qcloud Notification Service Agent"],
    ["x-cmq-request-id", headerValue(message.requestId)],
    ["x-cmq-message-id", headerValue(message.msgId)],
    ["x-cmq-message-tag", headerValue(message.tags.join(", "))],
  ]
  if (signing !== undefined && signing.keys.length > 0) {
    const timestamp = String(Math.floor(signing.nowMs / 1_000))
    const id = headerValue(message.msgId)
    const signatures = signing.keys.map((key) => `v1,${signature(key, `${id}.${timestamp}.`, body)}`)
    headers.push(["webhook-id", id], ["webhook-timestamp", timestamp], ["webhook-signature", signatures.join(" ")])
  }
  return { headers, body }
}

/**
 * The key in its form for people: `whsec_` and the base64 of 24 to 64 bytes.
 *
 * @returns undefined for every other text.
 */
export function readSigningKey(text: string): Uint8Array | undefined {
  if (!text.startsWith(SIGNING_KEY_PREFIX)) return undefined
  const base64 = text.slice(SIGNING_KEY_PREFIX.length)
  const key = Buffer.from(base64, "base64")
  // Node skips what is no base64; a key that was mistyped must not become a shorter one.
  if (key.toString("base64") !== base64) return undefined
  return key.length >= SIGNING_KEY_BYTES_MIN && key.length <= SIGNING_KEY_BYTES_MAX ? key : undefined
}

/** The keys in CMQ's order and spelling, without blanks. */
function bodyJson(message: PushMessage): string {
  return JSON.stringify({
    TopicOwner: message.topicOwner,
    topicName: message.topicName,
    subscriptionName: message.subscriptionName,
    msgId: message.msgId,
    msgBody: Buffer.from(message.body.buffer, message.body.byteOffset, message.body.byteLength).toString(),
    publishTime: Math.floor(message.publishedAtMs / 1_000),
  })
}

function signature(key: Uint8Array, head: string, body: Uint8Array): string {
  return createHmac("sha256", key).update(head, "latin1").update(body).digest("base64")
}

/**
 * The text as UTF-8, each byte one character, which is what Node puts on the wire as it is. Control characters (a line's
 * end would begin a new header) are percent-encoded; nothing else is, so that a receiver reads tags as they were published.
 */
function headerValue(text: string): string {
  const bytes = Buffer.from(text).toString("latin1")

  return bytes.replace(/[\u0000-\u001f\u007f]/g, (control) => encodeURIComponent(control))
}
