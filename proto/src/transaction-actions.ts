/** Rows of the action table for transactions: OpenCMQ's own, since CMQ has transactions over TCP alone. */
import { clientMessageId } from "./common-parameter-rows.ts"
import { LIMITS } from "./limits.ts"

const queueName = { type: "queueName", isRequired: true, meaning: "Name of the queue." } as const

export const TRANSACTION_ACTIONS = {
  SendHalfMessage: {
    summary: "Stores a message that nobody receives before ConfirmTransaction commits it.",
    source: "OpenCMQ; in CMQ over TCP alone",
    isMutating: true,
    isRepeatable: false,
    isAdministrative: false,
    parameters: {
      queueName,
      msgBody: { type: "bytes", isRequired: true, limit: LIMITS.msgBodyBytes, meaning: "Body, plain text." },
      firstQueryInterval: {
        type: "int",
        limit: LIMITS.firstQueryIntervalSeconds,
        fallback: LIMITS.firstQueryIntervalSeconds.default,
        meaning: "From now to the first query; the gaps behind it double, up to 600 s.",
      },
      maxQueryCount: {
        type: "int",
        limit: LIMITS.maxQueryCount,
        fallback: LIMITS.maxQueryCount.default,
        meaning: "Queries; one gap after the last the message is rolled back.",
      },
      clientMessageId,
      attributes: {
        type: "attributes",
        meaning: "attribute.<n>.name, attribute.<n>.value, attribute.<n>.type (string or binary).",
      },
    },
    reply: { msgId: "string" },
  },
  ConfirmTransaction: {
    summary: "Commits a half message, or rolls it back.",
    source: "OpenCMQ; in CMQ over TCP alone",
    isMutating: true,
    isRepeatable: true,
    isAdministrative: false,
    parameters: {
      queueName,
      msgId: { type: "digits", isRequired: true, limit: LIMITS.nonceLength, meaning: "As SendHalfMessage gave it." },
      decision: {
        type: "word",
        isRequired: true,
        words: ["commit", "rollback"],
        meaning: "What becomes of the message: commit or rollback.",
      },
    },
    reply: {},
  },
  ListHalfMessage: {
    summary: "Lists the half messages whose producer is asked: those that are not decided after their first interval.",
    source: "OpenCMQ; in CMQ the server asks over TCP",
    isMutating: false,
    isRepeatable: true,
    isAdministrative: false,
    parameters: {
      queueName,
      numOfMsg: {
        type: "int",
        limit: LIMITS.numOfMsg,
        fallback: LIMITS.numOfMsg.max,
        meaning: "Most messages of the reply.",
      },
      startSeq: {
        type: "int",
        limit: LIMITS.peekStartSeq,
        fallback: LIMITS.peekStartSeq.default,
        meaning: "Queue sequence to begin at; 0 = the oldest message. The reply's nextSeq continues.",
      },
    },
    reply: { msgInfoList: "list", nextSeq: "number?" },
  },
} as const
