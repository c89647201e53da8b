/**
 * Publishing: parameters and replies of PublishMessage and BatchPublishMessage. As a send, every message carries a
 * client message id through all attempts, so that a repeated publish is carried out once.
 */
import { attributeParameters } from "@opencmq/proto"
import { checkOptions, typeError } from "./argument-check.ts"
import type { CallOptions, Caller } from "./caller.ts"
import { batchParameters, checkBatchCount, prepareMessage, readResult, readResults } from "./send.ts"
import type { OutgoingMessage, OutgoingOptions, SendResult } from "./send.ts"
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
export type PublishOptions = CallOptions & PublishLabels & OutgoingOptions

/** Options of a batch: tags and routing key are those of all its messages. */
export type PublishBatchOptions = CallOptions & PublishLabels

/** What a publish is made of. */
export type PublishOrder = Readonly<{
  topicName: string
  messages: readonly OutgoingMessage[]
  options: PublishBatchOptions
}>

/** PublishMessage. */
export async function publishMessage(
  caller: Caller,
  order: Readonly<{ topicName: string; body: string | Uint8Array; options: PublishOptions }>,
): Promise<SendResult> {
  const { topicName, body, options } = order
  const message = prepareMessage({ ...options, body }, undefined)
  const reply = await caller.call({
    action: "PublishMessage",
    parameters: [
      ["topicName", topicName],
      ["msgBody", message.text],
      ["clientMessageId", message.clientMessageId],
      ...attributeParameters(message.attributes),
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
  const messages = order.messages.map((message) => prepareMessage(message, undefined))
  const { fields } = await caller.call({
    action: "BatchPublishMessage",
    parameters: [["topicName", topicName], ...messages.flatMap(batchParameters), ...labelParameters(options)],
    options,
    isRepeatable: true,
  })
  return readResults(fields, messages.length)
}

function labelParameters(labels: PublishLabels): readonly Parameter[] {
  checkOptions("the options of a publish", labels)
  const { tags = [], routingKey = "" } = labels
  // A string has a length and indices, too: it would be as many tags as it has characters.
  if (!Array.isArray(tags)) throw typeError("tags", "an array of strings", tags)
  return [...listParametersOf("msgTag", tags), ...(routingKey === "" ? [] : [["routingKey", routingKey] as const])]
}
