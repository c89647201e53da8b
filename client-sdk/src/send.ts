/**
 * Sending: parameters and replies of SendMessage and BatchSendMessage.
 *
 * Every message carries a client message id, made once and kept through all attempts: the broker stores a message
 * once however often the request had to be repeated. That is what makes a send repeatable at all.
 */
import { randomBytes } from "node:crypto"
import { LIMITS, attributeParameters, formatAttributes } from "@opencmq/proto"
import { checkOptions } from "./argument-check.ts"
import { encodeBody } from "./body.ts"
import type { MessageAttributes, WireBody } from "./body.ts"
import type { Call, CallOptions, Caller } from "./caller.ts"
import { argumentInvalid } from "./cmq-error.ts"
import { listOf, textOf } from "./reply-fields.ts"
import type { Fields } from "./reply-fields.ts"
import type { Parameter } from "./transport.ts"

/** What may be said about one message. */
export type OutgoingOptions = Readonly<{
  /**
   * Two sends with the same one within the broker's window (300 s by default) store one message. 1 to 128 bytes;
   * default: 16 random bytes, new for each message. Give your own when you repeat sends yourself, across restarts.
   */
  clientMessageId?: string
  attributes?: MessageAttributes
}>

/** One message of a batch. */
export type OutgoingMessage = OutgoingOptions & Readonly<{ body: string | Uint8Array }>

/** Options of a send. */
export type SendOptions = CallOptions &
  OutgoingOptions &
  Readonly<{
    /** How long the message stays invisible, 0 to 3,600 s; default 0. */
    delaySeconds?: number
  }>

/** Options of a batch: the delay is one for all of it. */
export type SendBatchOptions = CallOptions & Readonly<{ delaySeconds?: number }>

/** What a broker says of a message that it has stored on the disks of a majority. */
export type SendResult = Readonly<{
  msgId: string
  /** True when it had been stored before, by an earlier send with the same client message id; nothing new was stored. */
  duplicate: boolean
}>

/** A message ready to travel. */
export type PreparedMessage = WireBody & Readonly<{ clientMessageId: string; delaySeconds: number }>

/** A message of a batch that may be given as its body alone. @throws TypeError for what is neither. */
export function asOutgoing(message: string | Uint8Array | OutgoingMessage): OutgoingMessage {
  if (typeof message === "string" || message instanceof Uint8Array) return { body: message }
  checkOptions("a message of a batch, unless it is a string or a Uint8Array,", message)
  return message
}

/** Gives a message its client message id and its form on the wire. */
export function prepareMessage(message: OutgoingMessage, delaySeconds: number | undefined): PreparedMessage {
  return {
    clientMessageId: message.clientMessageId ?? randomBytes(16).toString("base64url"),
    delaySeconds: delaySeconds ?? 0,
    // Last: a literal that begins with a spread takes a microsecond for each field behind it.
    ...encodeBody(message.body, message.attributes),
  }
}

/** SendMessage. */
export async function sendMessage(
  caller: Caller,
  order: Readonly<{ queueName: string; message: PreparedMessage; options: CallOptions | undefined }>,
): Promise<SendResult> {
  const { message } = order
  const reply = await caller.call({
    action: "SendMessage",
    parameters: [
      ["queueName", order.queueName],
      ["msgBody", message.text],
      ...delayParameters(message.delaySeconds),
      ["clientMessageId", message.clientMessageId],
      ...attributeParameters(message.attributes),
    ],
    options: order.options,
    isRepeatable: true,
  })
  return readResult(reply.fields)
}

/**
 * BatchSendMessage: all messages are stored, or none; they share the delay of the first.
 *
 * @throws CmqError `argumentInvalid` unless there are 1 to 16.
 */
export async function sendMessages(
  caller: Caller,
  order: Readonly<{ queueName: string; messages: readonly PreparedMessage[]; options: CallOptions | undefined }>,
): Promise<readonly SendResult[]> {
  const { messages } = order
  checkBatchCount(messages.length)
  const call: Call = {
    action: "BatchSendMessage",
    parameters: [
      ["queueName", order.queueName],
      ...delayParameters(messages[0]?.delaySeconds ?? 0),
      ...messages.flatMap(batchParameters),
    ],
    options: order.options,
    isRepeatable: true,
  }
  const { fields } = await caller.call(call)
  return readResults(fields, messages.length)
}

/** @throws CmqError `argumentInvalid` unless there are 1 to 16. */
export function checkBatchCount(count: number): void {
  const { min, max } = LIMITS.batchCount
  if (count >= min && count <= max) return
  throw argumentInvalid(`a batch has ${String(min)} to ${String(max)} messages, not ${String(count)}`)
}

/** The parameters of one message of a batch. */
export function batchParameters(message: PreparedMessage, index: number): Parameter[] {
  const number = String(index + 1)
  const parameters: Parameter[] = [
    [`msgBody.${number}`, message.text],
    [`clientMessageId.${number}`, message.clientMessageId],
  ]
  if (message.attributes.length > 0) parameters.push([`attributes.${number}`, formatAttributes(message.attributes)])
  return parameters
}

function delayParameters(delaySeconds: number): readonly Parameter[] {
  return delaySeconds === 0 ? [] : [["delaySeconds", String(delaySeconds)]]
}

/** What a reply says of each message of a batch, in order. */
export function readResults(fields: Fields, count: number): readonly SendResult[] {
  const list = listOf(fields["msgList"])
  return Array.from({ length: count }, (_, index) => readResult(list[index] ?? {}))
}

/** What a reply says of one message. */
export function readResult(fields: Fields): SendResult {
  const duplicate = fields["duplicate"]
  return { msgId: textOf(fields["msgId"]), duplicate: duplicate === true || duplicate === 1 }
}
