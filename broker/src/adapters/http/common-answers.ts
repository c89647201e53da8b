/** Answers that actions of queues and of topics share. */
import type { ValueOf } from "../../node/service-types.ts"
import type { Answer } from "./action-call.ts"

/** Of sends and of publishes. */
type Sent = ValueOf<"sendMessages"> | ValueOf<"publishMessages">

/** Success says everything. */
export function answerNothing(): Answer {
  return ""
}

/** Where this client reaches what it asked for by TCP: here, as every node serves everything. */
export function answerRoute(_status: object, call: { readonly tcpAddress: string }): Answer {
  return `,"addr":[${JSON.stringify(call.tcpAddress)}]`
}

export function answerSent(value: Sent): Answer {
  return `,${sentJson(value, 0)}`
}

export function answerBatchSent(value: Sent): Answer {
  return `,"msgList":[${value.msgIds.map((_, index) => `{${sentJson(value, index)}}`).join(",")}]`
}

function sentJson({ msgIds, duplicates }: Sent, index: number): string {
  const duplicate = duplicates[index] === true ? `,"duplicate":true` : ""
  return `"msgId":"${msgIds[index] ?? ""}"${duplicate}`
}
