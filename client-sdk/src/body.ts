/**
 * Bodies and attributes between users' types and the wire.
 *
 * CMQ's bodies are UTF-8 text. Bytes that are UTF-8 travel as that text, so any CMQ client reads them; other bytes
 * travel as base64, marked by an attribute that this SDK removes again on the other side.
 */
import { isUtf8 } from "node:buffer"
import type { MessageAttribute } from "@opencmq/proto"
import { typeError } from "./argument-check.ts"
import { argumentInvalid } from "./cmq-error.ts"
import type { WireBody } from "./prepared-message.ts"
import { listOf } from "./reply-fields.ts"

/** Attributes of a message: text or bytes by name. Limits: the rows `attribute…` of the limits table. */
export type MessageAttributes = Readonly<Record<string, string | Uint8Array>> | ReadonlyMap<string, string | Uint8Array>

/** Marks a body that is base64 of something that is not text. */
export const BODY_ENCODING_ATTRIBUTE = "opencmq.body-encoding"
const BASE64 = "base64"

const textEncoder = new TextEncoder()
/** One half of a surrogate pair: it has no UTF-8. */
const LONE_SURROGATE = /\p{Surrogate}/u

/**
 * A body and its attributes as they travel.
 *
 * @throws CmqError `argumentInvalid` for a string with half a surrogate pair; TypeError for what is no body at all.
 */
export function encodeBody(body: string | Uint8Array, attributes: MessageAttributes | undefined): WireBody {
  checkBody(body)
  const wireAttributes = attributes === undefined ? [] : encodeAttributes(attributes)
  if (typeof body === "string") {
    if (LONE_SURROGATE.test(body)) throw argumentInvalid("the body has half a surrogate pair, which is not text")
    return { text: body, bytes: Buffer.byteLength(body), attributes: wireAttributes }
  }
  const buffer = asBuffer(body)
  if (isUtf8(buffer)) return { text: buffer.toString("utf8"), bytes: buffer.length, attributes: wireAttributes }
  const text = buffer.toString("base64")
  const mark = { name: BODY_ENCODING_ATTRIBUTE, type: "string", value: textEncoder.encode(BASE64) } as const
  return { text, bytes: text.length, attributes: [...wireAttributes, mark] }
}

function checkBody(given: unknown): void {
  if (typeof given === "string" || given instanceof Uint8Array) return
  throw typeError(
    "the body of a message",
    "a string or a Uint8Array (JSON.stringify makes a string of an object)",
    given,
  )
}

function encodeAttributes(attributes: MessageAttributes): MessageAttribute[] {
  const entries = attributes instanceof Map ? attributes.entries() : Object.entries(attributes)
  return Array.from(entries as Iterable<[string, string | Uint8Array]>, ([name, value]) =>
    typeof value === "string"
      ? { name, type: "string", value: textEncoder.encode(value) }
      : { name, type: "binary", value },
  )
}

/** What was received, as users see it. */
export type ReadBody = Readonly<{
  /** The body as it travelled. */
  text: string
  /** Present when the body is not text. */
  bytes: Uint8Array | undefined
  attributes: ReadonlyMap<string, string | Uint8Array>
}>

/**
 * Reads a body and the attribute list of a reply. Attributes that make no sense are left out: a reply is not refused
 * for them.
 *
 * @param encoding - `msgBodyEncoding` of the reply: `base64` when bytes were sent that are no text, by whatever client.
 */
export function decodeBody(text: string, attributeList: unknown, encoding?: unknown): ReadBody {
  const attributes = new Map<string, string | Uint8Array>()
  for (const { name, type, value } of listOf(attributeList)) {
    if (typeof name !== "string" || typeof value !== "string") continue
    attributes.set(name, type === "binary" ? new Uint8Array(Buffer.from(value, BASE64)) : value)
  }
  const isMarked = encoding === BASE64 || attributes.get(BODY_ENCODING_ATTRIBUTE) === BASE64
  if (!isMarked) return { text, bytes: undefined, attributes }
  attributes.delete(BODY_ENCODING_ATTRIBUTE)
  return { text, bytes: new Uint8Array(Buffer.from(text, BASE64)), attributes }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
