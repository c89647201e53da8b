/** Rows of the action table that queues and topics share. */
import { LIMITS } from "./limits.ts"

export const maxMsgSize = { type: "int", limit: LIMITS.maxMsgSizeBytes, meaning: "Longest body." } as const

/** Of everything that is listed by pages. */
export const listParameters = {
  searchWord: { type: "text", limit: LIMITS.searchWordLength, meaning: "Part of the name; absent or empty = all." },
  offset: {
    type: "int",
    limit: LIMITS.listOffset,
    fallback: LIMITS.listOffset.default,
    meaning: "Rows to leave out.",
  },
  limit: {
    type: "int",
    limit: LIMITS.listLimitCount,
    fallback: LIMITS.listLimitCount.default,
    meaning: "Rows of the reply.",
  },
} as const

export const dryRun = {
  type: "int",
  limit: LIMITS.dryRun,
  fallback: LIMITS.dryRun.default,
  meaning: "OpenCMQ: 1 = only count; nothing changes.",
} as const

/** Of one message. */
export const attributes = {
  type: "attributes",
  meaning: "OpenCMQ: attribute.<n>.name, attribute.<n>.value, attribute.<n>.type (string or binary).",
} as const

/** Of the messages of a batch. */
export const batchAttributes = {
  type: "attributes",
  isArray: true,
  alignedWith: "msgBody",
  meaning: 'OpenCMQ: JSON text per message, [{"name","value","type"}].',
} as const

export const clientMessageId = {
  type: "text",
  limit: LIMITS.clientMessageIdBytes,
  meaning: "OpenCMQ: sends that carry the same one within 300 s store one message.",
} as const
