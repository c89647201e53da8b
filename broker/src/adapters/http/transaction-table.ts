/** The actions of transactions on their way to the node; part of `ACTION_TABLE`. */
import type { ActionName } from "@opencmq/proto"
import type { MessageAttribute } from "../../node/service-types.ts"
import type { ActionCall } from "./action-call.ts"
import { answerSent } from "./common-answers.ts"
import { queriedJson } from "./message-json.ts"

type TransactionActionName = Extract<ActionName, "SendHalfMessage" | "ConfirmTransaction" | "ListHalfMessage">

const NO_ATTRIBUTES: readonly MessageAttribute[] = []

/** The table itself. */
export const TRANSACTION_TABLE: { readonly [N in TransactionActionName]: (call: ActionCall<N>) => void } = {
  SendHalfMessage: (call) => {
    const { queueName, msgBody, firstQueryInterval, maxQueryCount } = call.values
    const { clientMessageId = "", attributes = NO_ATTRIBUTES } = call.values
    const messages = [{ body: msgBody, delayMs: 0, clientMessageId, attributes }]
    const policy = { firstQueryIntervalMs: firstQueryInterval * 1000, maxQueryCount }
    call.execute("prepareMessages", { queueName, messages, ...policy }, answerSent)
  },
  ConfirmTransaction: (call) => {
    const { queueName, msgId, decision } = call.values
    const decisions = [{ msgId, isCommit: decision === "commit" }]
    call.execute("confirmMessages", { queueName, decisions }, ({ failed }) =>
      failed[0] === true ? { error: "messageIdInvalid", args: [] } : "",
    )
  },
  ListHalfMessage: (call) => {
    const { queueName, numOfMsg, startSeq } = call.values
    const request = { queueName, maxCount: numOfMsg, fromSequence: startSeq }
    call.execute("listQueriedHalves", request, ({ messages, nextSequence }) => {
      const next = nextSequence === 0 ? "" : `,"nextSeq":${String(nextSequence)}`
      return `,"msgInfoList":[${messages.map(queriedJson).join(",")}]${next}`
    })
  },
}
