/**
 * THE table of commands: number on the wire to use case of the node and back. What a connection deals with by itself
 * (authentication, heartbeat) is not here.
 */
import { errorText } from "@opencmq/proto"
import type { ErrorName, Reading } from "@opencmq/proto"
import type { DeliveredMessage, RequestOf, UseCaseName, ValueOf } from "../../node/service-types.ts"
import type { CmqRequest, DeleteFailure, PulledMessage, ReplyBody, TransactionItem } from "./cmq-proto.ts"
import {
  isHalf,
  readBatchDelete,
  readBatchPublish,
  readBatchPull,
  readBatchSend,
  readConfirm,
  readDelete,
  readHalves,
  readPublish,
  readPull,
  readSend,
} from "./request-reader.ts"
import { resultOf } from "./result.ts"
import type { Refusal } from "./result.ts"
import type { Command } from "./tcp-call.ts"
import { wideInteger } from "./wide-integer.ts"

/** Commands of a connection itself. */
export const AUTHENTICATE = 1020
export const HEARTBEAT = 1040
/** The server's to send; from a client it has no meaning. */
export const TRANSACTION_QUERY = 1042

/** Every command that needs an authenticated connection, by number. */
export const COMMANDS: ReadonlyMap<number, Command> = new Map([
  [
    1021,
    wholeOrHalf(
      useCase("SendMessage", "sendMessages", { read: (request) => readSend(request.tcpSendMsg), answer: sent }),
      useCase("SendHalfMessage", "prepareMessages", {
        read: ({ tcpSendMsg }) => readHalves(tcpSendMsg, readSend(tcpSendMsg)),
        answer: sent,
      }),
    ),
  ],
  [
    1022,
    wholeOrHalf(
      useCase("BatchSendMessage", "sendMessages", {
        read: (request) => readBatchSend(request.tcpBatchSendMsg),
        answer: sent,
      }),
      useCase("BatchSendHalfMessage", "prepareMessages", {
        read: ({ tcpBatchSendMsg }) => readHalves(tcpBatchSendMsg, readBatchSend(tcpBatchSendMsg)),
        answer: sent,
      }),
    ),
  ],
  [
    1023,
    useCase("ReceiveMessage", "receiveMessages", { read: (request) => readPull(request.tcpPullMsg), answer: pulled }),
  ],
  [
    1024,
    useCase("BatchReceiveMessage", "receiveMessages", {
      read: (request) => readBatchPull(request.tcpBatchPullMsg),
      answer: batchPulled,
    }),
  ],
  [
    1025,
    useCase("DeleteMessage", "deleteMessages", {
      read: (request) => readDelete(request.tcpDeleteMsg),
      answer: deleted,
    }),
  ],
  [
    1026,
    useCase("BatchDeleteMessage", "deleteMessages", {
      read: (request) => readBatchDelete(request.tcpBatchDeleteMsg),
      answer: batchDeleted,
    }),
  ],
  [
    1027,
    useCase("PublishMessage", "publishMessages", {
      read: (request) => readPublish(request.tcpPublishMsg),
      answer: sent,
    }),
  ],
  [
    1028,
    useCase("BatchPublishMessage", "publishMessages", {
      read: (request) => readBatchPublish(request.tcpBatchPublishMsg),
      answer: sent,
    }),
  ],
  [
    1041,
    useCase("ConfirmTransaction", "confirmMessages", {
      read: (request) => readConfirm(request.transactionConfirm),
      answer: confirmed,
    }),
  ],
])

/** What is not in the table. */
export function unknownCommand(cmd: number): Command {
  return refused("unknown", { error: "actionNotFound", args: [cmd] })
}

// --- Rows -------------------------------------------------------------------------------------------------

interface UseCaseParts<K extends UseCaseName> {
  readonly read: (request: CmqRequest) => Reading<RequestOf<K>>
  readonly answer: (value: ValueOf<K>, request: CmqRequest) => ReplyBody | Refusal
}

function useCase<K extends UseCaseName>(name: string, caseName: K, { read, answer }: UseCaseParts<K>): Command {
  return {
    name,
    isPull: caseName === "receiveMessages",
    run: (call, request) => {
      const reading = read(request)
      if (!reading.ok) call.answer(reading)
      else call.execute(caseName, reading.value, (value) => answer(value, request))
    },
  }
}

/** A send's flag says which. */
function wholeOrHalf(whole: Command, half: Command): Command {
  return {
    name: whole.name,
    isPull: false,
    run: (call, request) => {
      const isOfHalves = isHalf(request.tcpSendMsg ?? request.tcpBatchSendMsg)
      const command = isOfHalves ? half : whole
      command.run(call, request)
    },
  }
}

function refused(name: string, refusal: Refusal): Command {
  return {
    name,
    isPull: false,
    run: (call) => {
      call.answer(refusal)
    },
  }
}

// --- Answers ----------------------------------------------------------------------------------------------

/** Of sends and of publishes. */
function sent({ msgIds }: Pick<ValueOf<"sendMessages">, "msgIds">): ReplyBody {
  return { msgids: msgIds.map(wideInteger) }
}

/** Tencent's client does not read it; it says of each message what became of it. 6040 when some or all failed. */
function confirmed({ failed }: ValueOf<"confirmMessages">, request: CmqRequest): ReplyBody | Refusal {
  const errMsg = errorText("messageIdInvalid")
  const item = (request.transactionConfirm?.item ?? []).map(({ msgId, state }, index): TransactionItem => {
    const place = { ...(msgId !== undefined && { msgId }) }
    if (failed[index] !== true) return { ...place, ...(state !== undefined && { state }) }
    return { ...place, state: STATE_UNKNOWN, errCode: resultOf("messageIdInvalid", false), errMsg }
  })
  const transactionConfirmReply = { item }
  if (!failed.includes(true)) return { transactionConfirmReply }
  const error = failed.includes(false) ? "transactionConfirmPartiallyFailed" : "transactionConfirmFailed"
  return { error, args: [], transactionConfirmReply }
}

const STATE_UNKNOWN = 3

/** Nothing to receive is an error on CMQ's wire, for single and batch (cmq-api.md §0.13). */
const NO_MESSAGE: Refusal = { error: "noMessage", args: [] }

function pulled({ messages }: ValueOf<"receiveMessages">): ReplyBody | Refusal {
  const message = messages[0]
  return message === undefined ? NO_MESSAGE : { pullRsp: pulledMessage(message) }
}

function batchPulled({ messages }: ValueOf<"receiveMessages">): ReplyBody | Refusal {
  return messages.length === 0 ? NO_MESSAGE : { batchPullRsp: { msgList: messages.map(pulledMessage) } }
}

function pulledMessage(message: DeliveredMessage): PulledMessage {
  const { provenance } = message
  return {
    msgId: wideInteger(message.msgId),
    receiptHandle: wideInteger(message.receiptHandle),
    msgBody: message.body,
    enqueueTime: seconds(message.enqueuedAtMs),
    nextVisibleTime: seconds(message.nextVisibleAtMs),
    firstDequeueTime: seconds(message.firstDequeuedAtMs),
    dequeueCount: message.dequeueCount,
    ...(provenance !== undefined && {
      originalQueueId: provenance.sourceQueueName,
      originalPubTm: seconds(provenance.originalEnqueuedAtMs),
      originalDequeueCnt: provenance.originalDequeueCount,
    }),
  }
}

function seconds(ms: number): number {
  return Math.floor(ms / 1000)
}

/** Every 64-bit number is a handle, so it can only be a wrong one. */
const HANDLE_ERROR: ErrorName = "receiptHandleInvalid"

function deleted({ failed }: ValueOf<"deleteMessages">): ReplyBody | Refusal {
  return failed[0] === true ? { error: HANDLE_ERROR, args: [] } : {}
}

/** 6010 when some failed, 6020 when all did; the list names those that failed. */
function batchDeleted({ failed }: ValueOf<"deleteMessages">, request: CmqRequest): ReplyBody | Refusal {
  const handles = request.tcpBatchDeleteMsg?.receiptHandle ?? []
  const delResult = handles.flatMap((receiptHandle, index): DeleteFailure[] => {
    if (failed[index] !== true) return []
    return [{ receiptHandle, errCode: resultOf(HANDLE_ERROR, false), errMsg: errorText(HANDLE_ERROR) }]
  })
  if (delResult.length === 0) return {}
  return { error: delResult.length === handles.length ? "deleteFailed" : "deletePartiallyFailed", args: [], delResult }
}
