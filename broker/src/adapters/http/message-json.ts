/**
 * Messages and queues as members of JSON replies, in CMQ's spelling: times in Unix seconds, ids and handles as strings
 * (cmq-api.md §0.11, §3). Assembled by hand: these are the bytes that the broker writes most.
 */
import { isAscii, isUtf8 } from "node:buffer"
import { attributeFields, formatDeadLetterPolicy } from "@opencmq/proto"
import type {
  DeliveredMessage,
  MessageAttribute,
  PeekedMessage,
  QueriedHalf,
  QueuePage,
  QueueStatus,
} from "../../node/service-types.ts"

/** Unix seconds of Unix milliseconds; 0 stays 0 ("not yet"). */
/** Unix milliseconds or a duration as the wire has it. */
export function seconds(ms: number): string {
  return String(Math.floor(ms / 1000))
}

/**
 * `"msgBody":"…"`. A body that is no UTF-8 (other faces take any bytes) would be altered by a text: it goes out in
 * base64 with `"msgBodyEncoding":"base64"` beside it, so that nothing is lost and nobody is fooled.
 */
export function bodyJson(body: Uint8Array): string {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  if (isAscii(bytes)) return `"msgBody":${JSON.stringify(bytes.toString("latin1"))}`
  if (isUtf8(bytes)) return `"msgBody":${JSON.stringify(bytes.toString("utf8"))}`
  return `"msgBody":"${bytes.toString("base64")}","msgBodyEncoding":"base64"`
}

/** The members of one delivered message, without braces. */
export function deliveredJson(message: DeliveredMessage): string {
  return `"msgId":"${message.msgId}","receiptHandle":"${message.receiptHandle}",${sharedJson(message)}`
}

/** One peeked message as an object: no handle, but where it stands. */
export function peekedJson(message: PeekedMessage): string {
  return `{${placedJson(message)}}`
}

/** One half message whose producer is asked, as an object. */
export function queriedJson(message: QueriedHalf): string {
  const { queryCount, maxQueryCount } = message
  return `{${placedJson(message)},"queryCount":${String(queryCount)},"maxQueryCount":${String(maxQueryCount)}}`
}

function placedJson(message: PeekedMessage): string {
  const due = message.dueAtMs === 0 ? "" : `,"dueTime":${seconds(message.dueAtMs)}`
  const place = `,"sequence":${String(message.sequence)},"state":"${message.state}"${due}`
  return `"msgId":"${message.msgId}",${sharedJson(message)}${place}`
}

function sharedJson(message: Omit<DeliveredMessage, "receiptHandle" | "deliveryHandle">): string {
  const times =
    `,"enqueueTime":${seconds(message.enqueuedAtMs)},"firstDequeueTime":${seconds(message.firstDequeuedAtMs)}` +
    `,"nextVisibleTime":${seconds(message.nextVisibleAtMs)},"dequeueCount":${String(message.dequeueCount)}`
  return bodyJson(message.body) + times + extensionsJson(message)
}

/** OpenCMQ's own members, each only when there is something to say: CMQ's clients never see them without cause. */
function extensionsJson(message: Omit<DeliveredMessage, "receiptHandle" | "deliveryHandle">): string {
  let json = ""
  if (message.attributes.length > 0) json += `,"attributes":${attributesJson(message.attributes)}`
  if (message.clientMessageId !== "") json += `,"clientMessageId":${JSON.stringify(message.clientMessageId)}`
  return json + provenanceJson(message.provenance)
}

/** A comma, then where a dead letter came from; nothing for others. */
export function provenanceJson(provenance: DeliveredMessage["provenance"]): string {
  if (provenance === undefined) return ""
  return (
    `,"deadLetterReason":"${provenance.reason}"` +
    `,"originalQueueName":${JSON.stringify(provenance.sourceQueueName)}` +
    `,"originalEnqueueTime":${seconds(provenance.originalEnqueuedAtMs)}` +
    `,"originalFirstDequeueTime":${seconds(provenance.originalFirstDequeuedAtMs)}` +
    `,"originalDequeueCount":${String(provenance.originalDequeueCount)}`
  )
}

function attributesJson(attributes: readonly MessageAttribute[]): string {
  return JSON.stringify(attributeFields(attributes))
}

/** A comma, then every settable attribute of a queue. */
export function queueAttributesJson({ attributes }: QueueStatus): string {
  const policy = attributes.deadLetterPolicy
  const json =
    `,"maxMsgHeapNum":${String(attributes.maxMsgHeapCount)},"pollingWaitSeconds":${seconds(attributes.pollingWaitMs)}` +
    `,"visibilityTimeout":${seconds(attributes.visibilityTimeoutMs)},"maxMsgSize":${String(attributes.maxMsgBytes)}` +
    `,"msgRetentionSeconds":${seconds(attributes.msgRetentionMs)},"rewindSeconds":${seconds(attributes.rewindMs)}`
  if (policy === undefined) return json
  const text = formatDeadLetterPolicy(
    policy.kind === "maxReceiveCount"
      ? policy
      : { ...policy, maxTimeToLiveSeconds: Math.floor(policy.maxTimeToLiveMs / 1000) },
  )
  return `${json},"deadLetterPolicy":${JSON.stringify(text)}`
}

/** GetQueueAttributes: the attributes, then the counts; Java reads `rewindMsgNum`, Python `rewindmsgNum`. */
export function queueStatusJson(status: QueueStatus): string {
  const rewindable = String(status.rewindableCount)
  return (
    `,"queueId":"${status.queueId}","queueName":"${status.queueName}"${queueAttributesJson(status)}` +
    `,"createTime":${seconds(status.createdAtMs)},"lastModifyTime":${seconds(status.modifiedAtMs)}` +
    `,"activeMsgNum":${String(status.activeCount)},"inactiveMsgNum":${String(status.inactiveCount)}` +
    `,"delayMsgNum":${String(status.delayedCount)},"rewindMsgNum":${rewindable},"rewindmsgNum":${rewindable}` +
    `,"minMsgTime":${seconds(status.oldestUnconsumedAtMs)},"halfMsgNum":${String(status.halfCount)}`
  )
}

/** `totalCount` and `queueList`; the list is there when it is empty, too. */
export function queuePageJson(page: QueuePage): string {
  const rows = page.queues.map((row) => `{"queueId":"${row.queueId}","queueName":"${row.queueName}"}`)
  return `,"totalCount":${String(page.totalCount)},"queueList":[${rows.join(",")}]`
}
