/**
 * Every action on its way to the node: parameters of the wire to a use case's request, its value to the reply's fields.
 *
 * One entry an action; the types of `@opencmq/proto`'s table say at compile time when one is missing. Wire seconds
 * become milliseconds here and nowhere else.
 */
import { decodeReceiptHandle, errorRow, errorText } from "@opencmq/proto"
import type { ActionName, ActionParameters, DeadLetterPolicy as WirePolicy, ErrorName } from "@opencmq/proto"
import type { DeadLetterPolicy, QueueAttributes } from "../../core/queue/command.ts"
import type {
  ClusterStatus,
  Handle,
  MessageAttribute,
  OutgoingMessage,
  RequestOf,
  ValueOf,
} from "../../node/service-types.ts"
import type { ActionCall, Answer } from "./action-call.ts"
import { answerBatchSent, answerNothing, answerRoute, answerSent } from "./common-answers.ts"
import type { Refusal } from "./error-reply.ts"
import { KEY_TABLE } from "./key-table.ts"
import { RECOVERY_TABLE } from "./recovery-table.ts"
import { TOPIC_TABLE } from "./topic-table.ts"
import { TRANSACTION_TABLE } from "./transaction-table.ts"
import { deliveredJson, peekedJson, queueAttributesJson, queuePageJson, queueStatusJson } from "./message-json.ts"

/** How each action is carried out. */
export type ActionTable = { readonly [N in ActionName]: (call: ActionCall<N>) => void }

const NO_ATTRIBUTES: readonly MessageAttribute[] = []

/** The table itself. */
export const ACTION_TABLE: ActionTable = {
  // --- Queues -------------------------------------------------------------------------------------------
  CreateQueue: (call) => {
    const { queueName } = call.values
    call.execute("createQueue", { queueName, attributes: newAttributes(call.values) }, answerQueueId)
  },
  ListQueue: (call) => {
    const { searchWord = "", offset, limit } = call.values
    call.execute("listQueues", { searchWord, offset, limit }, queuePageJson)
  },
  GetQueueAttributes: (call) => {
    call.execute("getQueueAttributes", { queueName: call.values.queueName }, queueStatusJson)
  },
  SetQueueAttributes: (call) => {
    const { queueName } = call.values
    // CMQ answers with the new values, so they are read back; what the machine stored is the truth.
    call.executeFirst("setQueueAttributes", { queueName, change: attributeChange(call.values) }, () => {
      call.execute(
        "getQueueAttributes",
        { queueName },
        (status) => `,"queueId":"${status.queueId}"${queueAttributesJson(status)}`,
      )
    })
  },
  DeleteQueue: (call) => {
    call.execute("deleteQueue", { queueName: call.values.queueName }, answerNothing)
  },
  ClearQueue: (call) => {
    call.execute("clearQueue", { queueName: call.values.queueName }, answerNothing)
  },
  RewindQueue: (call) => {
    const { queueName, startConsumeTime, dryRun } = call.values
    const request = { queueName, startConsumeAtMs: startConsumeTime * 1000 }
    call.execute(dryRun === 1 ? "previewRewind" : "rewindQueue", request, answerRewound)
  },
  ListDeadLetterSourceQueues: (call) => {
    const { deadLetterQueueName, searchWord = "", offset, limit } = call.values
    const request = { queueName: deadLetterQueueName, searchWord, offset, limit }
    call.execute("listDeadLetterSources", request, queuePageJson)
  },
  UnbindDeadLetterQueue: (call) => {
    const { queueName } = call.values
    call.executeFirst("unbindDeadLetterQueue", { queueName }, () => {
      call.execute("getQueueAttributes", { queueName }, answerQueueId)
    })
  },

  QueryQueueRoute: (call) => {
    // Every node serves every queue, so all there is to know is whether it exists.
    call.execute("getQueueAttributes", { queueName: call.values.queueName }, answerRoute)
  },

  // --- Messages -----------------------------------------------------------------------------------------
  SendMessage: (call) => {
    const { queueName, msgBody, delaySeconds, clientMessageId = "", attributes = NO_ATTRIBUTES } = call.values
    const message = { body: msgBody, delayMs: delaySeconds * 1000, clientMessageId, attributes }
    call.execute("sendMessages", { queueName, messages: [message] }, answerSent)
  },
  BatchSendMessage: (call) => {
    const { queueName } = call.values
    call.execute("sendMessages", { queueName, messages: batchOf(call.values) }, answerBatchSent)
  },
  ReceiveMessage: (call) => {
    call.execute("receiveMessages", receiveRequest(call.values, 1), answerReceived)
  },
  BatchReceiveMessage: (call) => {
    call.execute("receiveMessages", receiveRequest(call.values, call.values.numOfMsg), answerBatchReceived)
  },
  DeleteMessage: (call) => {
    const { queueName, receiptHandle } = call.values
    call.execute("deleteMessages", { queueName, handles: [handleOf(receiptHandle)] }, answerDeleted)
  },
  BatchDeleteMessage: (call) => {
    const { queueName, receiptHandle } = call.values
    const handles = readableHandles(receiptHandle)
    if (handles.length === 0) call.answer(deleteRefusal(receiptHandle, () => true))
    else call.execute("deleteMessages", { queueName, handles }, answerBatchDeleted)
  },

  ...TOPIC_TABLE,
  ...KEY_TABLE,

  // --- OpenCMQ's own ------------------------------------------------------------------------------------
  ChangeMessageVisibility: (call) => {
    const { queueName, receiptHandle, visibilityTimeout } = call.values
    const request = { queueName, handles: [handleOf(receiptHandle)], visibilityTimeoutMs: visibilityTimeout * 1000 }
    call.execute("changeVisibility", request, answerVisibility)
  },
  PeekMessage: (call) => {
    const { queueName, numOfMsg, startSeq } = call.values
    call.execute("peekMessages", { queueName, maxCount: numOfMsg, fromSequence: startSeq }, answerPeeked)
  },
  ...RECOVERY_TABLE,
  ...TRANSACTION_TABLE,
  GetClusterStatus: (call) => {
    call.execute("clusterStatus", {}, answerCluster)
  },
}

// --- Requests ---------------------------------------------------------------------------------------------

type AttributeValues = ActionParameters["CreateQueue"]

function newAttributes(values: AttributeValues): QueueAttributes {
  return {
    maxMsgHeapCount: values.maxMsgHeapNum,
    pollingWaitMs: values.pollingWaitSeconds * 1000,
    visibilityTimeoutMs: values.visibilityTimeout * 1000,
    maxMsgBytes: values.maxMsgSize,
    msgRetentionMs: values.msgRetentionSeconds * 1000,
    rewindMs: values.rewindSeconds * 1000,
    deadLetterPolicy: values.deadLetterPolicy === undefined ? undefined : policyOf(values.deadLetterPolicy),
  }
}

type Change = RequestOf<"setQueueAttributes">["change"]

function attributeChange(values: ActionParameters["SetQueueAttributes"]): Change {
  return {
    ...(values.maxMsgHeapNum !== undefined && { maxMsgHeapCount: values.maxMsgHeapNum }),
    ...(values.pollingWaitSeconds !== undefined && { pollingWaitMs: values.pollingWaitSeconds * 1000 }),
    ...(values.visibilityTimeout !== undefined && { visibilityTimeoutMs: values.visibilityTimeout * 1000 }),
    ...(values.maxMsgSize !== undefined && { maxMsgBytes: values.maxMsgSize }),
    ...(values.msgRetentionSeconds !== undefined && { msgRetentionMs: values.msgRetentionSeconds * 1000 }),
    ...(values.rewindSeconds !== undefined && { rewindMs: values.rewindSeconds * 1000 }),
    ...(values.deadLetterPolicy !== undefined && { deadLetterPolicy: policyOf(values.deadLetterPolicy) }),
  }
}

function policyOf(policy: WirePolicy): DeadLetterPolicy {
  const { deadLetterQueue } = policy
  return policy.kind === "maxReceiveCount"
    ? { kind: "maxReceiveCount", deadLetterQueue, maxReceiveCount: policy.maxReceiveCount }
    : { kind: "maxTimeToLive", deadLetterQueue, maxTimeToLiveMs: policy.maxTimeToLiveSeconds * 1000 }
}

function batchOf(values: ActionParameters["BatchSendMessage"]): readonly OutgoingMessage[] {
  const delayMs = values.delaySeconds * 1000
  return values.msgBody.map((body, index) => ({
    body,
    delayMs,
    clientMessageId: values.clientMessageId?.[index] ?? "",
    attributes: values.attributes?.[index] ?? NO_ATTRIBUTES,
  }))
}

function receiveRequest(values: ActionParameters["ReceiveMessage"], maxCount: number): RequestOf<"receiveMessages"> {
  const { queueName, pollingWaitSeconds, visibilityTimeout } = values
  return {
    queueName,
    maxCount,
    pollingWaitMs: pollingWaitSeconds === undefined ? undefined : pollingWaitSeconds * 1000,
    visibilityTimeoutMs: visibilityTimeout === undefined ? undefined : visibilityTimeout * 1000,
  }
}

/** A handle that `readParameters` found well-formed. */
function handleOf(text: string): Handle {
  const parts = decodeReceiptHandle(text)
  if (parts === undefined) throw new RangeError("a receipt handle was not checked")
  return parts
}

/** In a batch a handle that is none fails for itself. */
function readableHandles(texts: readonly string[]): readonly Handle[] {
  return texts.map(decodeReceiptHandle).filter((parts) => parts !== undefined)
}

// --- Answers ----------------------------------------------------------------------------------------------

function answerQueueId({ queueId }: { readonly queueId: string }): Answer {
  return `,"queueId":"${queueId}"`
}

function answerRewound({ count }: ValueOf<"rewindQueue">): Answer {
  return `,"rewoundMsgNum":${String(count)}`
}

function answerReceived({ messages }: ValueOf<"receiveMessages">): Answer {
  const message = messages[0]
  return message === undefined ? NO_MESSAGE : `,${deliveredJson(message)}`
}

function answerBatchReceived({ messages }: ValueOf<"receiveMessages">): Answer {
  if (messages.length === 0) return NO_MESSAGE
  return `,"msgInfoList":[${messages.map((message) => `{${deliveredJson(message)}}`).join(",")}]`
}

/** Nothing to receive is an error on CMQ's wire, for single and batch (cmq-api.md §0.13). */
const NO_MESSAGE: Refusal = { error: "noMessage", args: [] }

function answerDeleted({ failed }: ValueOf<"deleteMessages">): Answer {
  return failed[0] === true ? { error: "receiptHandleInvalid", args: [] } : ""
}

function answerBatchDeleted(value: ValueOf<"deleteMessages">, call: ActionCall<"BatchDeleteMessage">): Answer {
  const { receiptHandle } = call.values
  let next = 0
  const flags = receiptHandle.map((text) => decodeReceiptHandle(text) === undefined || value.failed[next++] === true)
  return flags.includes(true) ? deleteRefusal(receiptHandle, (index) => flags[index] === true) : ""
}

/** 6010 when some failed, 6020 when all did; the list names those that failed. */
function deleteRefusal(handles: readonly string[], isFailed: (index: number) => boolean): Refusal {
  const errors = handles.flatMap((text, index) => (isFailed(index) ? [deleteErrorJson(text)] : []))
  return {
    error: errors.length === handles.length ? "deleteFailed" : "deletePartiallyFailed",
    args: [],
    fields: `,"errorList":[${errors.join(",")}]`,
  }
}

function deleteErrorJson(text: string): string {
  const error: ErrorName = decodeReceiptHandle(text) === undefined ? "receiptHandleMalformed" : "receiptHandleInvalid"
  const message = JSON.stringify(errorText(error))
  return `{"code":${String(errorRow(error).code)},"message":${message},"receiptHandle":${JSON.stringify(text)}}`
}

function answerVisibility({ failed, nextVisibleAtMs }: ValueOf<"changeVisibility">): Answer {
  if (failed[0] === true) return { error: "receiptHandleInvalid", args: [] }
  return `,"nextVisibleTime":${String(Math.floor(nextVisibleAtMs / 1000))}`
}

function answerPeeked({ messages }: ValueOf<"peekMessages">, call: ActionCall<"PeekMessage">): Answer {
  const last = messages.at(-1)
  const isMore = last !== undefined && messages.length === call.values.numOfMsg
  const next = isMore ? `,"nextSeq":${String(last.sequence + 1)}` : ""
  return `,"msgInfoList":[${messages.map(peekedJson).join(",")}]${next}`
}

function answerCluster(status: ClusterStatus): Answer {
  return `,"cluster":${JSON.stringify(status)}`
}
