/**
 * Receiving and looking: ReceiveMessage, BatchReceiveMessage, PeekMessage. "No message" is CMQ's error 7000 on the
 * wire and simply nothing here.
 */
import { LIMITS } from "@opencmq/proto"
import type { CallOptions, Caller } from "./caller.ts"
import { CmqError } from "./cmq-error.ts"
import { Message, readPeeked } from "./message.ts"
import type { MessageActions, MessageView } from "./message.ts"
import type { CmqErrorName } from "./cmq-error.ts"
import type { OpenStream } from "./feed.ts"
import { listOf } from "./reply-fields.ts"
import type { Parameter } from "./transport.ts"

/** Options of a receive. */
export type ReceiveOptions = CallOptions &
  Readonly<{
    /** How long to wait for a first message, 0 to 30 s; default: the queue's pollingWaitSeconds. */
    waitSeconds?: number
    /** How long the messages are hidden from others, 1 to 43,200 s; default: the queue's. An OpenCMQ extension. */
    visibilityTimeoutSeconds?: number
  }>

/** Options of a batch receive. */
export type ReceiveBatchOptions = ReceiveOptions &
  Readonly<{
    /** Messages at most: 1 to 16, default 16. */
    max?: number
  }>

/** Options of a peek. */
export type PeekOptions = CallOptions &
  Readonly<{
    /** Messages at most: 1 to 16, default 16. */
    max?: number
    /** Where to go on: `nextSeq` of the peek before; default: the oldest message. */
    startSeq?: number
  }>

/** What a peek shows. */
export type Peek = Readonly<{
  messages: readonly MessageView[]
  /** For `startSeq` of the next peek; undefined when there is no more. */
  nextSeq: number | undefined
}>

const acceptsNothing = (refusal: CmqErrorName): boolean => refusal === "noMessage"

/** ReceiveMessage. @returns undefined when there was no message until the wait ended. */
export async function receiveMessage(
  caller: Caller,
  order: Readonly<{ queueName: string; actions: MessageActions; options: ReceiveOptions }>,
): Promise<Message | undefined> {
  const { options } = order
  const reply = await caller.call({
    action: "ReceiveMessage",
    parameters: [["queueName", order.queueName], ...receiveParameters(options)],
    options,
    waitMs: waitMsOf(options),
    accepts: acceptsNothing,
  })
  return reply.refusal === undefined ? new Message(reply.fields, order.actions) : undefined
}

/** BatchReceiveMessage. @param order - `maxRetries` as in `Call`. */
export async function receiveMessages(
  caller: Caller,
  order: Readonly<{
    queueName: string
    actions: MessageActions
    options: ReceiveBatchOptions
    maxRetries?: number
  }>,
): Promise<readonly Message[]> {
  const { options } = order
  const retries = order.maxRetries === undefined ? {} : { maxRetries: order.maxRetries }
  const reply = await caller.call({
    action: "BatchReceiveMessage",
    parameters: [
      ["queueName", order.queueName],
      ["numOfMsg", String(options.max ?? LIMITS.numOfMsg.max)],
      ...receiveParameters(options),
    ],
    options,
    waitMs: waitMsOf(options),
    accepts: acceptsNothing,
    ...retries,
  })
  if (reply.refusal !== undefined) return []
  return listOf(reply.fields["msgInfoList"]).map((fields) => new Message(fields, order.actions))
}

/** What opens streams of a queue's messages. */
export function openMessageStream(
  caller: Caller,
  order: Readonly<{ queueName: string; actions: MessageActions }>,
): OpenStream {
  return ({ visibilityTimeoutSeconds, onMessages, onEnd }) =>
    caller.openStream({
      queueName: order.queueName,
      visibilityTimeoutSeconds,
      onMessages: (list) => {
        onMessages(list.map((fields) => new Message(fields, order.actions)))
      },
      onEnd: (error) => {
        onEnd(error === undefined ? undefined : new CmqError(error))
      },
    })
}

/** PeekMessage: changes nothing, an OpenCMQ extension. */
export async function peekMessages(
  caller: Caller,
  order: Readonly<{ queueName: string; options: PeekOptions }>,
): Promise<Peek> {
  const { max = LIMITS.numOfMsg.max, startSeq } = order.options
  const parameters: Parameter[] = [
    ["queueName", order.queueName],
    ["numOfMsg", String(max)],
  ]
  if (startSeq !== undefined) parameters.push(["startSeq", String(startSeq)])
  const reply = await caller.call({
    action: "PeekMessage",
    parameters,
    options: order.options,
    accepts: acceptsNothing,
  })
  const nextSeq = reply.fields["nextSeq"]
  return {
    messages: listOf(reply.fields["msgInfoList"]).map(readPeeked),
    nextSeq: typeof nextSeq === "number" ? nextSeq : undefined,
  }
}

function receiveParameters(options: ReceiveOptions): readonly Parameter[] {
  const parameters: Parameter[] = []
  if (options.waitSeconds !== undefined) parameters.push(["pollingWaitSeconds", String(options.waitSeconds)])
  if (options.visibilityTimeoutSeconds !== undefined) {
    parameters.push(["visibilityTimeout", String(options.visibilityTimeoutSeconds)])
  }
  return parameters
}

/** A receive that does not say may wait as long as the queue does, and that is 30 s at most. */
function waitMsOf(options: ReceiveOptions): number {
  return (options.waitSeconds ?? LIMITS.pollingWaitSeconds.max) * 1_000
}
