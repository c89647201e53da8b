/** Looking for messages: through a queue, and where one of them is. OpenCMQ extensions; nothing changes. */
import type { CallOptions, Caller } from "./caller.ts"
import { readPeeked } from "./message.ts"
import type { MessageView } from "./message.ts"
import { listOf, numberOf, textOf, timeOf } from "./reply-fields.ts"
import type { Fields } from "./reply-fields.ts"
import type { Parameter } from "./transport.ts"

/** What a message must be like; all of what is given. */
export type SearchOptions = CallOptions &
  Readonly<{
    /** Then it is found at once, without a scan. */
    msgId?: string
    /** Part of the body; capitals matter. */
    text?: string
    attributeName?: string
    /** Absent: any. */
    attributeValue?: string
    /** Where the search before ended. */
    startSeq?: number
    /** Messages looked at, 1 to 100,000; absent: 10,000. */
    scan?: number
    /** Messages found, 1 to 16; absent: 16. */
    max?: number
  }>

/** What was found, and where to go on. */
export type Search = Readonly<{
  messages: readonly MessageView[]
  scannedCount: number
  /** Undefined: there is no more. */
  nextSeq: number | undefined
}>

/** Where a message is: in a queue, or waiting for a subscription. */
export type MessagePlace = Readonly<{
  queueName: string | undefined
  topicName: string | undefined
  subscriptionName: string | undefined
  sequence: number
  state: string
  /** When the state ends by itself. */
  dueTime: Date | undefined
  enqueueTime: Date | undefined
  firstDequeueTime: Date | undefined
  dequeueCount: number
  /** Of a dead letter: the queue that it came from, and why. */
  originalQueueName: string | undefined
  deadLetterReason: string | undefined
  originalEnqueueTime: Date | undefined
  originalDequeueCount: number | undefined
}>

/** What is known of a message. */
export type MessageTrace = Readonly<{
  msgId: string
  /** Index and term at which it was replicated. */
  entryIndex: number
  term: number | undefined
  bodySize: number
  clientMessageId: string | undefined
  places: readonly MessagePlace[]
}>

/** SearchMessage. */
export async function searchMessages(
  caller: Caller,
  { queueName, options }: Readonly<{ queueName: string; options: SearchOptions }>,
): Promise<Search> {
  const given: [string, string | undefined][] = [
    ["queueName", queueName],
    ["msgId", options.msgId],
    ["text", options.text],
    ["attributeName", options.attributeName],
    ["attributeValue", options.attributeValue],
    ["startSeq", options.startSeq?.toString()],
    ["scanNum", options.scan?.toString()],
    ["numOfMsg", options.max?.toString()],
  ]
  const parameters = given.flatMap(([name, value]): Parameter[] => (value === undefined ? [] : [[name, value]]))
  const { fields } = await caller.call({ action: "SearchMessage", parameters, options })
  const nextSeq = fields["nextSeq"]
  return {
    messages: listOf(fields["msgInfoList"]).map(readPeeked),
    scannedCount: numberOf(fields["scannedMsgNum"]),
    nextSeq: typeof nextSeq === "number" ? nextSeq : undefined,
  }
}

/** TraceMessage. */
export async function traceMessage(
  caller: Caller,
  { msgId, options }: Readonly<{ msgId: string; options: CallOptions | undefined }>,
): Promise<MessageTrace> {
  const { fields } = await caller.call({ action: "TraceMessage", parameters: [["msgId", msgId]], options })
  return {
    msgId: textOf(fields["msgId"]),
    entryIndex: numberOf(fields["entryIndex"]),
    term: numberOf(fields["term"]) || undefined,
    bodySize: numberOf(fields["bodySize"]),
    clientMessageId: textOf(fields["clientMessageId"]) || undefined,
    places: listOf(fields["placeList"]).map(readPlace),
  }
}

function readPlace(fields: Fields): MessagePlace {
  return {
    queueName: textOf(fields["queueName"]) || undefined,
    topicName: textOf(fields["topicName"]) || undefined,
    subscriptionName: textOf(fields["subscriptionName"]) || undefined,
    sequence: numberOf(fields["sequence"]),
    state: textOf(fields["state"]),
    dueTime: timeOf(fields["dueTime"]),
    enqueueTime: timeOf(fields["enqueueTime"]),
    firstDequeueTime: timeOf(fields["firstDequeueTime"]),
    dequeueCount: numberOf(fields["dequeueCount"]),
    originalQueueName: textOf(fields["originalQueueName"]) || undefined,
    deadLetterReason: textOf(fields["deadLetterReason"]) || undefined,
    originalEnqueueTime: timeOf(fields["originalEnqueueTime"]),
    originalDequeueCount: numberOf(fields["originalDequeueCount"]) || undefined,
  }
}
