/**
 * Bodies of requests to use cases, checked against the limits table, in the order and with the refusals of the HTTP
 * face (`readParameters` of `@opencmq/proto`): a queue does not refuse differently because of the road to it.
 */
import { LIMITS, accept, checkKey, checkTags, decodeReceiptHandle, isQueueName, isWithin, refuse } from "@opencmq/proto"
import type { LimitRow, Reading, Refused } from "@opencmq/proto"
import type { Handle, OutgoingMessage, PublishedMessage, RequestOf } from "../../node/service-types.ts"
import type {
  BatchDeleteBody,
  BatchPublishBody,
  BatchPullBody,
  BatchSendBody,
  CmqRequest,
  ConfirmBody,
  DeleteBody,
  PublishBody,
  PullBody,
  SendBody,
} from "./cmq-proto.ts"
import { wideText } from "./wide-integer.ts"
import type { WideInteger } from "./wide-integer.ts"

/** State of a transaction's message. */
const COMMIT = 1
const ROLL_BACK = 2
const MILLISECONDS_FROM = 1000

/** 1021 */
export function readSend(body: SendBody = {}): Reading<RequestOf<"sendMessages">> {
  const { msgBody, ...rest } = body
  const refused = refuseQueueName(body)
  if (refused !== undefined) return refused
  if (msgBody === undefined) return refuse("parameterMissing", "msgBody")
  return readBodies(rest, [msgBody])
}

/** 1022 */
export function readBatchSend(body: BatchSendBody = {}): Reading<RequestOf<"sendMessages">> {
  const { msgBody = [], ...rest } = body
  const refused = refuseQueueName(body) ?? refuseCount("msgBody", msgBody)
  return refused ?? readBodies(rest, msgBody)
}

/** Whether the messages of 1021 and 1022 are halves. */
export function isHalf({ isTransaction = 0 }: SendBody | BatchSendBody = {}): boolean {
  return isTransaction !== 0
}

/** 1021, 1022 with half messages; `whole` is what they are otherwise. */
export function readHalves(
  body: SendBody | BatchSendBody = {},
  whole: Reading<RequestOf<"sendMessages">>,
): Reading<RequestOf<"prepareMessages">> {
  if (!whole.ok) return whole
  if ((body.delaySeconds ?? 0) !== 0) return refuse("messageOperationNotAllowed")
  const firstQueryIntervalMs = queryIntervalMs(body.firstQueryInterval)
  if (!isWithin(LIMITS.firstQueryIntervalSeconds, firstQueryIntervalMs / 1000)) {
    return refuse("parameterOutOfRange", "first_query_interval")
  }
  return accept({ ...whole.value, firstQueryIntervalMs, maxQueryCount: LIMITS.maxQueryCount.default })
}

/** CMQ's client means milliseconds (5000), its demonstration seconds (5): no interval is right in both. */
function queryIntervalMs(value = 0): number {
  if (value === 0) return LIMITS.firstQueryIntervalSeconds.default * 1000
  return value < MILLISECONDS_FROM ? value * 1000 : value
}

/** 1041 */
export function readConfirm(body: ConfirmBody = {}): Reading<RequestOf<"confirmMessages">> {
  const { queueName = "", item = [] } = body
  const refused = refuseQueueName(body) ?? refuseCount("item", item)
  if (refused !== undefined) return refused
  const decisions: { msgId: string; isCommit: boolean }[] = []
  for (const { msgId, state } of item) {
    if (msgId === undefined) return refuse("parameterMissing", "msg_id")
    if (state !== COMMIT && state !== ROLL_BACK) return refuse("parameterOutOfRange", "state")
    decisions.push({ msgId: wideText(msgId), isCommit: state === COMMIT })
  }
  return accept({ queueName, decisions })
}

/** The queue to which a request sends, or for which it decides: its connection is a producer's. */
export function producedQueue(request: CmqRequest): string | undefined {
  const { tcpSendMsg, tcpBatchSendMsg, transactionConfirm } = request
  const queueName = tcpSendMsg?.queueName ?? tcpBatchSendMsg?.queueName ?? transactionConfirm?.queueName ?? ""
  return isQueueName(queueName) ? queueName : undefined
}

/** 1023 */
export function readPull(body: PullBody = {}): Reading<RequestOf<"receiveMessages">> {
  return refuseQueueName(body) ?? readReceive(body, 1)
}

/** 1024 */
export function readBatchPull(body: BatchPullBody = {}): Reading<RequestOf<"receiveMessages">> {
  const { numMsg } = body
  const refused = refuseQueueName(body)
  if (refused !== undefined) return refused
  if (numMsg === undefined) return refuse("parameterMissing", "num_msg")
  return refuseRange("num_msg", LIMITS.numOfMsg, numMsg) ?? readReceive(body, numMsg)
}

/** 1025 */
export function readDelete(body: DeleteBody = {}): Reading<RequestOf<"deleteMessages">> {
  const { queueName = "", receiptHandle } = body
  const refused = refuseQueueName(body)
  if (refused !== undefined) return refused
  if (receiptHandle === undefined) return refuse("parameterMissing", "receipt_handle")
  return accept({ queueName, handles: [handleOf(receiptHandle)] })
}

/** 1026 */
export function readBatchDelete(body: BatchDeleteBody = {}): Reading<RequestOf<"deleteMessages">> {
  const { queueName = "", receiptHandle = [] } = body
  const refused = refuseQueueName(body) ?? refuseCount("receipt_handle", receiptHandle)
  return refused ?? accept({ queueName, handles: receiptHandle.map(handleOf) })
}

/** 1027 */
export function readPublish(body: PublishBody = {}): Reading<RequestOf<"publishMessages">> {
  const { msgBody, ...rest } = body
  const refused = refuseTopicName(body)
  if (refused !== undefined) return refused
  if (msgBody === undefined) return refuse("parameterMissing", "msgBody")
  return readPublished(rest, [msgBody])
}

/** 1028 */
export function readBatchPublish(body: BatchPublishBody = {}): Reading<RequestOf<"publishMessages">> {
  const { msgBody = [], ...rest } = body
  const refused = refuseTopicName(body) ?? refuseCount("msgBody", msgBody)
  return refused ?? readPublished(rest, msgBody)
}

// --- Parts ------------------------------------------------------------------------------------------------

function readBodies(
  { queueName = "", delaySeconds = 0 }: Omit<SendBody, "msgBody">,
  bodies: readonly Uint8Array[],
): Reading<RequestOf<"sendMessages">> {
  const refused = refuseBodies(bodies)
  if (refused !== undefined) return refused
  if (!isWithin(LIMITS.delaySeconds, delaySeconds)) return refuse("delayOutOfRange")
  const messages = bodies.map((body): OutgoingMessage => ({
    body,
    delayMs: delaySeconds * 1000,
    clientMessageId: "",
    attributes: [],
  }))
  return accept({ queueName, messages })
}

function readPublished(
  { topicName = "", msgTags: tags = [], routingKey = "" }: Omit<PublishBody, "msgBody">,
  bodies: readonly Uint8Array[],
): Reading<RequestOf<"publishMessages">> {
  const refused =
    refuseBodies(bodies) ??
    checkTags("msgTags", tags, "tooManyMessageTags") ??
    (routingKey === "" ? undefined : checkKey("routing_key", routingKey))
  if (refused !== undefined) return refused
  const labels = { tags, routingKey, clientMessageId: "", attributes: [] }
  return accept({ topicName, messages: bodies.map((body): PublishedMessage => ({ body, ...labels })) })
}

function readReceive(body: PullBody, maxCount: number): Reading<RequestOf<"receiveMessages">> {
  const { queueName = "", pollWaitSeconds, visibleTimeout } = body
  const refused =
    refuseRange("poll_wait_seconds", LIMITS.pollingWaitSeconds, pollWaitSeconds) ??
    refuseRange("visible_timeout", LIMITS.visibilityTimeoutSeconds, visibleTimeout)
  if (refused !== undefined) return refused
  return accept({
    queueName,
    maxCount,
    pollingWaitMs: pollWaitSeconds === undefined ? undefined : pollWaitSeconds * 1000,
    visibilityTimeoutMs: visibleTimeout === undefined ? undefined : visibleTimeout * 1000,
  })
}

function refuseQueueName({ queueName = "" }: { readonly queueName?: string }): Refused | undefined {
  if (queueName === "") return refuse("parameterMissing", "queue_name")
  return isQueueName(queueName) ? undefined : refuse("queueNameInvalid")
}

function refuseTopicName({ topicName = "" }: { readonly topicName?: string }): Refused | undefined {
  if (topicName === "") return refuse("parameterMissing", "topic_name")
  return isQueueName(topicName) ? undefined : refuse("topicNameInvalid")
}

function refuseBodies(bodies: readonly Uint8Array[]): Refused | undefined {
  let totalBytes = 0
  for (const { length } of bodies) {
    if (length === 0) return refuse("messageEmpty")
    if (length > LIMITS.msgBodyBytes.max) return refuse("messageTooLarge")
    totalBytes += length
  }
  return totalBytes > LIMITS.batchBodyBytes.max ? refuse("batchTooLarge") : undefined
}

function refuseCount(name: string, { length }: { readonly length: number }): Refused | undefined {
  if (length === 0) return refuse("parameterMissing", name)
  return isWithin(LIMITS.batchCount, length) ? undefined : refuse("parameterBatchSize", name)
}

/** What was not sent is not out of range. */
function refuseRange(name: string, limit: LimitRow, value: number | undefined): Refused | undefined {
  return value === undefined || isWithin(limit, value) ? undefined : refuse("parameterOutOfRange", name)
}

function handleOf(receiptHandle: WideInteger): Handle {
  const parts = decodeReceiptHandle(wideText(receiptHandle))
  if (parts === undefined) throw new RangeError("every 64-bit number is a receipt handle")
  return parts
}
