/**
 * Publishing: parameters and replies of PublishMessage and BatchPublishMessage. As a send, every message carries a
 * client message id through all attempts, so that a repeated publish is carried out once.
 */
import { checkOptions, typeError } from "./argument-check.ts"
import { BODY_ENCODING_ATTRIBUTE } from "./body.ts"
import type { CallOptions, Caller } from "./caller.ts"
import { argumentInvalid } from "./cmq-error.ts"
import { checkBatchCount, prepareMessage, readResult, readResults } from "./send.ts"
import type { PreparedMessage, SendResult } from "./send.ts"
import { listParametersOf } from "./topic-attributes.ts"
import type { Parameter } from "./transport.ts"

/** By what subscriptions choose messages. */
export type PublishLabels = Readonly<{
  /** For topics that filter by tags: up to 5, of 1 to 16 characters. */
  tags?: readonly string[]
  /** For topics that filter by binding keys: words with dots between them, up to 64 bytes. */
  routingKey?: string
}>

/** Options of a publish. */
export type PublishOptions = CallOptions &
  PublishLabels &
  Readonly<{
    /** As with a send: two publishes with the same one within the broker's window (300 s by default) are one message. */
    clientMessageId?: string
  }>

/** Options of a batch: tags and routing key are those of all its messages. */
export type PublishBatchOptions = CallOptions & PublishLabels

/** One message of a batch. */
export type OutgoingPublication = Readonly<{ body: string | Uint8Array; clientMessageId?: string }>

/** What a publish is made of. */
export type PublishOrder = Readonly<{
  topicName: string
  messages: readonly OutgoingPublication[]
  options: PublishBatchOptions
}>

/** PublishMessage. */
export async function publishMessage(
  caller: Caller,
  order: Readonly<{ topicName: string; body: string | Uint8Array; options: PublishOptions }>,
): Promise<SendResult> {
  const { topicName, body, options } = order
  const message = prepareText({ ...options, body })
  const reply = await caller.call({
    action: "PublishMessage",
    parameters: [
      ["topicName", topicName],
      ["msgBody", message.text],
      ["clientMessageId", message.clientMessageId],
      ...labelParameters(options),
    ],
    options,
    isRepeatable: true,
  })
  return readResult(reply.fields)
}

/**
 * BatchPublishMessage: all messages are published, or none.
 *
 * @throws CmqError `argumentInvalid` unless there are 1 to 16.
 */
export async function publishMessages(caller: Caller, order: PublishOrder): Promise<readonly SendResult[]> {
  const { topicName, options } = order
  checkBatchCount(order.messages.length)
  const messages = order.messages.map(prepareText)
  const { fields } = await caller.call({
    action: "BatchPublishMessage",
    parameters: [
      ["topicName", topicName],
      ...messages.flatMap(({ text, clientMessageId }, index): Parameter[] => [
        [`msgBody.${String(index + 1)}`, text],
        [`clientMessageId.${String(index + 1)}`, clientMessageId],
      ]),
      ...labelParameters(options),
    ],
    options,
    isRepeatable: true,
  })
  return readResults(fields, messages.length)
}

/** @throws CmqError `argumentInvalid` for bytes that are no text: a published message has no attribute to mark them. */
function prepareText({ body, clientMessageId }: OutgoingPublication): PreparedMessage {
  const message = prepareMessage({ body, ...(clientMessageId !== undefined && { clientMessageId }) }, undefined)
  if (message.attributes.some(({ name }) => name === BODY_ENCODING_ATTRIBUTE)) {
    throw argumentInvalid("the body of a published message must be UTF-8; encode other bytes yourself, as base64")
  }
  return message
}

function labelParameters(labels: PublishLabels): readonly Parameter[] {
  checkOptions("the options of a publish", labels)
  const { tags = [], routingKey = "" } = labels
  // A string has a length and indices, too: it would be as many tags as it has characters.
  if (!Array.isArray(tags)) throw typeError("tags", "an array of strings", tags)
  return [...listParametersOf("msgTag", tags), ...(routingKey === "" ? [] : [["routingKey", routingKey] as const])]
}
