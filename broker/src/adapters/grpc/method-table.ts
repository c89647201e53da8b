/**
 * Every unary method on its way to the node: a request of the wire to a use case's request, its value to the response.
 *
 * One entry a method; the face refuses to start when one of the `.proto` is missing here. Ranges are rows of LIMITS.
 */
import { LIMITS, checkTogether } from "@opencmq/proto"
import type { ErrorName } from "@opencmq/proto"
import type { DeadLetterPolicy, QueueAttributes, RedriveOrder } from "../../core/queue/command.ts"
import type { QueuePage, RequestOf } from "../../node/service-types.ts"
import { readHandles } from "./field-reader.ts"
import type { FieldReader } from "./field-reader.ts"
import { countOrDefault, pageFacts, readListPage } from "./list-page.ts"
import type { ListPage } from "./list-page.ts"
import {
  clusterValue,
  deliveredValue,
  failuresOf,
  peekedValue,
  queueValue,
  redriveValue,
  sentValue,
  traceValue,
} from "./message-values.ts"
import type { MethodRow } from "./method-row.ts"
import { TOPIC_METHODS } from "./topic-methods.ts"
import { TRANSACTION_METHODS } from "./transaction-methods.ts"
import type { UnaryCall } from "./unary-call.ts"
import type {
  WireAttributes,
  WireDeleteRequest,
  WireListRequest,
  WirePeekRequest,
  WirePolicy,
  WireQueueName,
  WireQueueRequest,
  WireReceiveRequest,
  WireRedriveRequest,
  WireRewindRequest,
  WireSearchRequest,
  WireSendRequest,
  WireSourcesRequest,
  WireTraceRequest,
  WireVisibilityRequest,
} from "./wire-types.ts"

/** So long before the client's deadline a long poll ends, in milliseconds: its answer must still reach the client. */
const HOMEWARD_MS = 100

/** The table itself, by the method's name. */
export const METHOD_TABLE: Readonly<Record<string, MethodRow>> = {
  // --- QueueService -------------------------------------------------------------------------------------
  CreateQueue: (call, request: WireQueueRequest) => {
    const queueName = call.fields.queueName("queue_name", request.queueName)
    const attributes = newAttributes(call.fields, request)
    call.execute("createQueue", { queueName, attributes }, asItIs)
  },
  GetQueue: (call, request: WireQueueName) => {
    const queueName = call.fields.queueName("queue_name", request.queueName)
    call.execute("getQueueAttributes", { queueName }, queueValue)
  },
  ListQueues: (call, request: WireListRequest) => {
    const page = readListPage(call.fields, request)
    call.execute("listQueues", page, (value) => queuePageValue(value, page))
  },
  UpdateQueue: (call, request: WireQueueRequest) => {
    const queueName = call.fields.queueName("queue_name", request.queueName)
    call.execute("setQueueAttributes", { queueName, change: attributeChange(call.fields, request) }, asItIs)
  },
  DeleteQueue: (call, request: WireQueueName) => {
    const queueName = call.fields.queueName("queue_name", request.queueName)
    call.execute("deleteQueue", { queueName }, asItIs)
  },
  ClearQueue: (call, request: WireQueueName) => {
    const queueName = call.fields.queueName("queue_name", request.queueName)
    call.execute("clearQueue", { queueName }, ({ count }) => ({ droppedCount: count }))
  },
  RewindQueue: (call, request: WireRewindRequest) => {
    const queueName = call.fields.queueName("queue_name", request.queueName)
    const field = { field: "start_consume_at_ms", value: request.startConsumeAtMs }
    const startConsumeAtMs = call.fields.ms(field, LIMITS.startConsumeTime, "rewindTimeInvalid")
    const name = request.dryRun ? "previewRewind" : "rewindQueue"
    call.execute(name, { queueName, startConsumeAtMs }, ({ count }) => ({ rewoundCount: count }))
  },
  StartRedrive: (call, request: WireRedriveRequest) => {
    const queueName = call.fields.queueName("queue_name", request.queueName)
    const order = redriveOrder(call.fields, request)
    if (request.dryRun) call.execute("previewRedrive", { queueName, order }, asItIs)
    else call.execute("startRedrive", { queueName, order }, asItIs)
  },
  CancelRedrive: (call, request: WireQueueName) => {
    const queueName = call.fields.queueName("queue_name", request.queueName)
    call.execute("cancelRedrive", { queueName }, asItIs)
  },
  GetRedrive: (call, request: WireQueueName) => {
    const queueName = call.fields.queueName("queue_name", request.queueName)
    call.execute("describeRedrive", { queueName }, redriveValue)
  },
  UnbindDeadLetterQueue: (call, request: WireQueueName) => {
    const queueName = call.fields.queueName("queue_name", request.queueName)
    call.execute("unbindDeadLetterQueue", { queueName }, asItIs)
  },
  ListDeadLetterSourceQueues: (call, request: WireSourcesRequest) => {
    const queueName = call.fields.queueName("dead_letter_queue_name", request.deadLetterQueueName)
    const page = readListPage(call.fields, request)
    call.execute("listDeadLetterSources", { queueName, ...page }, (value) => queuePageValue(value, page))
  },

  // --- MessageService -----------------------------------------------------------------------------------
  Send: (call, request: WireSendRequest) => {
    const queueName = call.fields.queueName("queue_name", request.queueName)
    const messages = call.fields.messages(request.messages, LIMITS.batchCount.max)
    call.execute("sendMessages", { queueName, messages }, sentValue)
  },
  Receive: (call, request: WireReceiveRequest) => {
    call.execute("receiveMessages", receiveRequest(call, request), (value) => ({
      messages: value.messages.map(deliveredValue),
    }))
  },
  Delete: (call, request: WireDeleteRequest) => {
    const queueName = call.fields.queueName("queue_name", request.queueName)
    const list = readHandles(call.fields.handleTexts(request.receiptHandles, LIMITS.batchCount.max))
    const { handles } = list
    if (handles.length === 0) call.answerAtOnce({ failures: failuresOf(list, []) })
    else
      call.execute("deleteMessages", { queueName, handles }, ({ failed }) => ({ failures: failuresOf(list, failed) }))
  },
  ChangeVisibility: (call, request: WireVisibilityRequest) => {
    const queueName = call.fields.queueName("queue_name", request.queueName)
    const list = readHandles(call.fields.handleTexts(request.receiptHandles, LIMITS.batchCount.max))
    const field = { field: "visibility_timeout_ms", value: request.visibilityTimeoutMs }
    const visibilityTimeoutMs = call.fields.ms(field, LIMITS.changeVisibilitySeconds)
    const { handles } = list
    if (handles.length === 0) {
      call.answerAtOnce({ failures: failuresOf(list, []) })
      return
    }
    call.execute("changeVisibility", { queueName, handles, visibilityTimeoutMs }, ({ failed, nextVisibleAtMs }) => {
      const failures = failuresOf(list, failed)
      return { failures, nextVisibleAtMs: failures.length === list.texts.length ? 0 : nextVisibleAtMs }
    })
  },
  Peek: (call, request: WirePeekRequest) => {
    const { fields } = call
    const queueName = fields.queueName("queue_name", request.queueName)
    const maxCount = countOrDefault(fields, { field: "max_messages", value: request.maxMessages }, LIMITS.numOfMsg)
    const start = { field: "start_sequence", value: request.startSequence }
    const fromSequence = fields.count(start, LIMITS.peekStartSeq)
    call.execute("peekMessages", { queueName, maxCount, fromSequence }, ({ messages }) => {
      const last = messages.length === maxCount ? messages.at(-1) : undefined
      return { messages: messages.map(peekedValue), ...(last !== undefined && { nextSequence: last.sequence + 1 }) }
    })
  },

  Search: (call, request: WireSearchRequest) => {
    call.execute("searchMessages", searchRequest(call.fields, request), ({ messages, scannedCount, nextSequence }) => ({
      messages: messages.map(peekedValue),
      scannedCount,
      nextSequence,
    }))
  },
  Trace: (call, { msgId }: WireTraceRequest) => {
    if (msgId === "") call.fields.refuse("parameterMissing", "msg_id")
    call.execute("traceMessage", { msgId }, traceValue)
  },

  // --- TopicService -------------------------------------------------------------------------------------
  ...TOPIC_METHODS,

  // --- TransactionService -------------------------------------------------------------------------------
  ...TRANSACTION_METHODS,

  // --- ClusterService -----------------------------------------------------------------------------------
  GetClusterStatus: (call) => {
    call.execute("clusterStatus", {}, clusterValue)
  },
}

function asItIs(value: object): object {
  return value
}

// --- Queues -----------------------------------------------------------------------------------------------

const NO_ATTRIBUTES: WireAttributes = {}

/** The ranges, by field; times in seconds there. */
const ATTRIBUTE_FIELDS = {
  maxMsgHeapCount: { field: "attributes.max_msg_heap_count", limit: LIMITS.maxMsgHeapNum, perUnit: 1 },
  pollingWaitMs: { field: "attributes.polling_wait_ms", limit: LIMITS.pollingWaitSeconds, perUnit: 1000 },
  visibilityTimeoutMs: {
    field: "attributes.visibility_timeout_ms",
    limit: LIMITS.visibilityTimeoutSeconds,
    perUnit: 1000,
  },
  maxMsgBytes: { field: "attributes.max_msg_bytes", limit: LIMITS.maxMsgSizeBytes, perUnit: 1 },
  msgRetentionMs: { field: "attributes.msg_retention_ms", limit: LIMITS.msgRetentionSeconds, perUnit: 1000 },
  rewindMs: { field: "attributes.rewind_ms", limit: LIMITS.rewindSeconds, perUnit: 1000 },
} as const

type NumberName = keyof typeof ATTRIBUTE_FIELDS

type Numbers = { -readonly [Name in NumberName]?: number }

/** Numbers that are given, each in its range. */
function givenNumbers(fields: FieldReader, attributes: WireAttributes): Numbers {
  const numbers: Numbers = {}
  for (const name of Object.keys(ATTRIBUTE_FIELDS) as NumberName[]) {
    const value = attributes[name]
    if (value === undefined) continue
    const { field, limit, perUnit } = ATTRIBUTE_FIELDS[name]
    numbers[name] = perUnit === 1 ? fields.count({ field, value }, limit) : fields.ms({ field, value }, limit)
  }
  return numbers
}

function newAttributes(fields: FieldReader, request: WireQueueRequest): QueueAttributes {
  const given = givenNumbers(fields, request.attributes ?? NO_ATTRIBUTES)
  const valueOf = (name: NumberName): number => {
    const { limit, perUnit } = ATTRIBUTE_FIELDS[name]
    return given[name] ?? limit.default * perUnit
  }
  const attributes: QueueAttributes = {
    maxMsgHeapCount: valueOf("maxMsgHeapCount"),
    pollingWaitMs: valueOf("pollingWaitMs"),
    visibilityTimeoutMs: valueOf("visibilityTimeoutMs"),
    maxMsgBytes: valueOf("maxMsgBytes"),
    msgRetentionMs: valueOf("msgRetentionMs"),
    rewindMs: valueOf("rewindMs"),
    deadLetterPolicy: policyOf(fields, request.attributes?.deadLetterPolicy),
  }
  compare(fields, request.queueName, attributes)
  return attributes
}

type Change = RequestOf<"setQueueAttributes">["change"]

function attributeChange(fields: FieldReader, request: WireQueueRequest): Change {
  const given = givenNumbers(fields, request.attributes ?? NO_ATTRIBUTES)
  const deadLetterPolicy = policyOf(fields, request.attributes?.deadLetterPolicy)
  const change: Change = { ...given, ...(deadLetterPolicy !== undefined && { deadLetterPolicy }) }
  compare(fields, request.queueName, change)
  return change
}

interface Compared {
  readonly msgRetentionMs?: number
  readonly rewindMs?: number
  readonly deadLetterPolicy?: DeadLetterPolicy | null | undefined
}

/** Rules between attributes; with a change the machine compares with what it has. */
function compare(fields: FieldReader, queueName: string, attributes: Compared): void {
  const { msgRetentionMs, rewindMs, deadLetterPolicy: policy } = attributes
  const refused = checkTogether({
    queueName,
    ...(msgRetentionMs !== undefined && { msgRetentionSeconds: msgRetentionMs / 1000 }),
    ...(rewindMs !== undefined && { rewindSeconds: rewindMs / 1000 }),
    ...(policy !== undefined && policy !== null && { deadLetterPolicy: inSeconds(policy) }),
  })
  if (refused === undefined) return
  fields.refuseAs(refused, policy === undefined ? "attributes.rewind_ms" : "attributes.dead_letter_policy")
}

function inSeconds(policy: DeadLetterPolicy): NonNullable<Parameters<typeof checkTogether>[0]["deadLetterPolicy"]> {
  return policy.kind === "maxReceiveCount" ? policy : { ...policy, maxTimeToLiveSeconds: policy.maxTimeToLiveMs / 1000 }
}

function policyOf(fields: FieldReader, policy: WirePolicy | null | undefined): DeadLetterPolicy | undefined {
  if (policy === undefined || policy === null) return undefined
  const field = "attributes.dead_letter_policy"
  const invalid: ErrorName = "deadLetterPolicyInvalid"
  const deadLetterQueue = fields.queueName(`${field}.dead_letter_queue`, policy.deadLetterQueue)
  const { maxReceiveCount, maxTimeToLiveMs } = policy
  if (maxReceiveCount !== undefined) {
    const { min, max } = LIMITS.maxReceiveCount
    if (!(maxReceiveCount >= min && maxReceiveCount <= max)) {
      const why = `max_receive_count must be from ${String(min)} to ${String(max)}`
      fields.refuseAs({ ok: false, error: invalid, args: [why] }, `${field}.max_receive_count`)
    }
    return { kind: "maxReceiveCount", deadLetterQueue, maxReceiveCount }
  }
  if (maxTimeToLiveMs !== undefined) {
    const [min, max] = [LIMITS.maxTimeToLiveSeconds.min * 1000, LIMITS.maxTimeToLiveSeconds.max * 1000]
    if (!(maxTimeToLiveMs >= min && maxTimeToLiveMs <= max)) {
      const why = `max_time_to_live_ms must be from ${String(min)} to ${String(max)}`
      fields.refuseAs({ ok: false, error: invalid, args: [why] }, `${field}.max_time_to_live_ms`)
    }
    return { kind: "maxTimeToLive", deadLetterQueue, maxTimeToLiveMs }
  }
  fields.refuseAs({ ok: false, error: invalid, args: ["it has no condition"] }, field)
  return undefined
}

function redriveOrder(fields: FieldReader, request: WireRedriveRequest): RedriveOrder {
  const { targetQueueName, sourceQueueName, enqueuedFromMs, enqueuedUntilMs, messagesPerSecond } = request
  if (targetQueueName !== "") fields.queueName("target_queue_name", targetQueueName)
  if (sourceQueueName !== "") fields.queueName("source_queue_name", sourceQueueName)
  fields.ms({ field: "enqueued_from_ms", value: enqueuedFromMs }, LIMITS.timestamp)
  fields.ms({ field: "enqueued_until_ms", value: enqueuedUntilMs }, LIMITS.timestamp)
  const rate = { field: "messages_per_second", value: messagesPerSecond }
  return {
    targetQueueName,
    sourceQueueName,
    enqueuedFromMs,
    enqueuedUntilMs: enqueuedUntilMs === 0 ? Number.MAX_SAFE_INTEGER : enqueuedUntilMs,
    messagesPerSecond: countOrDefault(fields, rate, LIMITS.redrivePerSecondCount),
  }
}

function queuePageValue({ totalCount, queues }: QueuePage, page: ListPage): object {
  return { queues, ...pageFacts(page, totalCount, queues.length) }
}

// --- Messages ---------------------------------------------------------------------------------------------

function searchRequest(fields: FieldReader, request: WireSearchRequest): RequestOf<"searchMessages"> {
  const { msgId, text, attributeName, attributeValue, startSequence, scanCount, maxMessages } = request
  const lengths = { text: text.length, attribute_value: attributeValue?.length ?? 0 }
  for (const [field, value] of Object.entries(lengths)) {
    if (value > LIMITS.searchTextLength.max) fields.refuse("parameterOutOfRange", field)
  }
  const found = maxMessages === 0 ? LIMITS.numOfMsg.max : maxMessages
  return {
    queueName: fields.queueName("queue_name", request.queueName),
    fromSequence: fields.count({ field: "start_sequence", value: startSequence }, LIMITS.peekStartSeq),
    scanCount: countOrDefault(fields, { field: "scan_count", value: scanCount }, LIMITS.searchScanCount),
    maxCount: fields.count({ field: "max_messages", value: found }, LIMITS.numOfMsg),
    ...{ msgId, text, attributeName, attributeValue },
  }
}

function receiveRequest(call: UnaryCall, request: WireReceiveRequest): RequestOf<"receiveMessages"> {
  const { fields } = call
  const waitMs = fields.optionalMs("polling_wait_ms", request.pollingWaitMs, LIMITS.pollingWaitSeconds)
  const visibilityMs = request.visibilityTimeoutMs
  return {
    queueName: fields.queueName("queue_name", request.queueName),
    maxCount: countOrDefault(fields, { field: "max_messages", value: request.maxMessages }, LIMITS.numOfMsg),
    pollingWaitMs:
      waitMs === undefined ? undefined : Math.max(0, Math.min(waitMs, Math.floor(call.leftMs) - HOMEWARD_MS)),
    visibilityTimeoutMs: fields.optionalMs("visibility_timeout_ms", visibilityMs, LIMITS.visibilityTimeoutSeconds),
  }
}
