/** The actions that bring dead letters back on their way to the node; part of `ACTION_TABLE`. */
import type { ActionParameters } from "@opencmq/proto"
import type { RedriveOrder } from "../../core/queue/command.ts"
import type { ValueOf } from "../../node/service-types.ts"
import type { ActionCall, Answer } from "./action-call.ts"
import { answerNothing } from "./common-answers.ts"
import { seconds } from "./message-json.ts"

type RecoveryActionName = "StartRedrive" | "CancelRedrive" | "DescribeRedrive"

/** The table itself. */
export const RECOVERY_TABLE: { readonly [N in RecoveryActionName]: (call: ActionCall<N>) => void } = {
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
