/** The actions that find messages and bring dead letters back on their way to the node; part of `ACTION_TABLE`. */
import type { ActionParameters } from "@opencmq/proto"
import type { RedriveOrder } from "../../core/queue/command.ts"
import type { ValueOf } from "../../node/service-types.ts"
import type { ActionCall, Answer } from "./action-call.ts"
import { answerNothing } from "./common-answers.ts"
import { peekedJson, provenanceJson, seconds } from "./message-json.ts"

type RecoveryActionName = "SearchMessage" | "TraceMessage" | "StartRedrive" | "CancelRedrive" | "DescribeRedrive"

/** The table itself. */
export const RECOVERY_TABLE: { readonly [N in RecoveryActionName]: (call: ActionCall<N>) => void } = {
  SearchMessage: (call) => {
    const { queueName, msgId = "", text = "", attributeName = "", attributeValue } = call.values
    const { startSeq: fromSequence, scanNum: scanCount, numOfMsg: maxCount } = call.values
    const what = { msgId, text, attributeName, attributeValue }
    call.execute("searchMessages", { queueName, fromSequence, scanCount, maxCount, ...what }, answerFound)
  },
  TraceMessage: (call) => {
    call.execute("traceMessage", { msgId: call.values.msgId }, answerTrace)
  },
  StartRedrive: (call) => {
    const { queueName, dryRun } = call.values
    const request = { queueName, order: orderOf(call.values) }
    if (dryRun === 1) call.execute("previewRedrive", request, answerPreview)
    else call.execute("startRedrive", request, answerNothing)
  },
  CancelRedrive: (call) => {
    const { queueName } = call.values
    call.execute("cancelRedrive", { queueName }, ({ movedCount }) => `,"movedMsgNum":${String(movedCount)}`)
  },
  DescribeRedrive: (call) => {
    call.execute("describeRedrive", { queueName: call.values.queueName }, answerStatus)
  },
}

function orderOf(values: ActionParameters["StartRedrive"]): RedriveOrder {
  const { targetQueueName = "", sourceQueueName = "", enqueuedFrom = 0, enqueuedUntil, messagesPerSecond } = values
  const enqueuedUntilMs = enqueuedUntil === undefined ? Number.MAX_SAFE_INTEGER : enqueuedUntil * 1000
  return { targetQueueName, sourceQueueName, enqueuedFromMs: enqueuedFrom * 1000, enqueuedUntilMs, messagesPerSecond }
}

function answerFound({ messages, scannedCount, nextSequence }: ValueOf<"searchMessages">): Answer {
  const next = nextSequence === 0 ? "" : `,"nextSeq":${String(nextSequence)}`
  return `,"msgInfoList":[${messages.map(peekedJson).join(",")}],"scannedMsgNum":${String(scannedCount)}${next}`
}

function answerTrace({ msgId, entryIndex, term, bodyBytes, clientMessageId, places }: ValueOf<"traceMessage">): Answer {
  const clientId = clientMessageId === "" ? "" : `,"clientMessageId":${JSON.stringify(clientMessageId)}`
  return (
    `,"msgId":"${msgId}","entryIndex":${String(entryIndex)}${term === 0 ? "" : `,"term":${String(term)}`}` +
    `,"bodySize":${String(bodyBytes)}${clientId},"placeList":[${places.map(placeJson).join(",")}]`
  )
}

function placeJson(place: ValueOf<"traceMessage">["places"][number]): string {
  const where =
    place.subscriptionName === ""
      ? `"queueName":"${place.queueName}"`
      : `"topicName":"${place.topicName}","subscriptionName":"${place.subscriptionName}"`
  return (
    `{${where},"sequence":${String(place.sequence)},"state":"${place.state}","dueTime":${seconds(place.dueAtMs)}` +
    `,"enqueueTime":${seconds(place.enqueuedAtMs)},"firstDequeueTime":${seconds(place.firstDequeuedAtMs)}` +
    `,"dequeueCount":${String(place.dequeueCount)}${provenanceJson(place.provenance)}}`
  )
}

function answerPreview({ moveCount, skipCount, targets }: ValueOf<"previewRedrive">): Answer {
  const rows = targets.map(({ queueName, count }) => `{"queueName":"${queueName}","msgNum":${String(count)}}`)
  return `,"moveMsgNum":${String(moveCount)},"skipMsgNum":${String(skipCount)},"targetList":[${rows.join(",")}]`
}

function answerStatus(status: ValueOf<"describeRedrive">): Answer {
  const { enqueuedFromMs, enqueuedUntilMs } = status
  const hasEnd = enqueuedUntilMs < Number.MAX_SAFE_INTEGER
  return (
    `,"state":"${status.state}","movedMsgNum":${String(status.movedCount)}` +
    `,"skippedMsgNum":${String(status.skippedCount)},"leftMsgNum":${String(status.leftAtMostCount)}` +
    `,"startTime":${seconds(status.startedAtMs)},"endTime":${seconds(status.endedAtMs)}` +
    `,"messagesPerSecond":${String(status.messagesPerSecond)}` +
    `,"targetQueueName":"${status.targetQueueName}","sourceQueueName":"${status.sourceQueueName}"` +
    (enqueuedFromMs > 0 ? `,"enqueuedFrom":${seconds(enqueuedFromMs)}` : "") +
    (hasEnd ? `,"enqueuedUntil":${seconds(enqueuedUntilMs)}` : "")
  )
}
