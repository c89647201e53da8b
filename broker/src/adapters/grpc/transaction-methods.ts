/** The methods of `opencmq.v1.TransactionService` on their way to the node; part of `METHOD_TABLE`. */
import { LIMITS } from "@opencmq/proto"
import type { FieldReader } from "./field-reader.ts"
import { countOrDefault } from "./list-page.ts"
import { peekedValue, sentValue } from "./message-values.ts"
import type { MethodRow } from "./method-row.ts"
import { wireRefusal } from "./refusal.ts"
import type { WireOutgoingMessage, WirePeekRequest } from "./wire-types.ts"

/** `SendHalfRequest`. */
interface WireSendHalfRequest {
  readonly queueName: string
  readonly messages: readonly WireOutgoingMessage[]
  readonly firstQueryIntervalMs: number
  readonly maxQueryCount: number
}

/** `ConfirmRequest`. */
interface WireConfirmRequest {
  readonly queueName: string
  readonly decisions: readonly { readonly msgId: string; readonly state: number }[]
}

/** Numbers of `TransactionState`. */
const COMMIT = 1
const ROLL_BACK = 2

/** The table itself. */
export const TRANSACTION_METHODS: Readonly<Record<string, MethodRow>> = {
  SendHalf: (call, request: WireSendHalfRequest) => {
    const { fields } = call
    const queueName = fields.queueName("queue_name", request.queueName)
    const messages = fields.messages(request.messages, LIMITS.batchCount.max)
    const delayed = messages.findIndex(({ delayMs }) => delayMs !== 0)
    if (delayed !== -1) fields.refuse("messageOperationNotAllowed", `messages[${String(delayed)}].delay_ms`)
    const firstQueryIntervalMs = queryIntervalMs(fields, request.firstQueryIntervalMs)
    const count = { field: "max_query_count", value: request.maxQueryCount }
    const maxQueryCount = countOrDefault(fields, count, LIMITS.maxQueryCount)
    call.execute("prepareMessages", { queueName, messages, firstQueryIntervalMs, maxQueryCount }, sentValue)
  },
  Confirm: (call, request: WireConfirmRequest) => {
    const { fields } = call
    const queueName = fields.queueName("queue_name", request.queueName)
    const decisions = readDecisions(fields, request.decisions)
    call.execute("confirmMessages", { queueName, decisions }, ({ failed }) => ({
      failures: decisions.flatMap(({ msgId }, index) =>
        failed[index] === true ? [{ index, msgId, refusal: wireRefusal({ error: "messageIdInvalid", args: [] }) }] : [],
      ),
    }))
  },
  ListHalves: (call, request: WirePeekRequest) => {
    const { fields } = call
    const queueName = fields.queueName("queue_name", request.queueName)
    const maxCount = countOrDefault(fields, { field: "max_messages", value: request.maxMessages }, LIMITS.numOfMsg)
    const start = { field: "start_sequence", value: request.startSequence }
    const fromSequence = fields.count(start, LIMITS.peekStartSeq)
    call.execute("listQueriedHalves", { queueName, maxCount, fromSequence }, ({ messages, nextSequence }) => ({
      messages: messages.map(({ queryCount, maxQueryCount, ...message }) => ({
        message: peekedValue(message),
        queryCount,
        maxQueryCount,
      })),
      nextSequence,
    }))
  },
}

/** 0 = the limit's own default. */
function queryIntervalMs(fields: FieldReader, value: number): number {
  const limit = LIMITS.firstQueryIntervalSeconds
  return value === 0 ? limit.default * 1000 : fields.ms({ field: "first_query_interval_ms", value }, limit)
}

function readDecisions(
  fields: FieldReader,
  list: WireConfirmRequest["decisions"],
): readonly { readonly msgId: string; readonly isCommit: boolean }[] {
  if (list.length === 0) fields.refuse("parameterMissing", "decisions")
  if (list.length > LIMITS.batchCount.max) fields.refuse("parameterBatchSize", "decisions")
  return list.map(({ msgId, state }, index) => {
    if (state !== COMMIT && state !== ROLL_BACK)
      fields.refuse("parameterOutOfRange", `decisions[${String(index)}].state`)
    return { msgId, isCommit: state === COMMIT }
  })
}
