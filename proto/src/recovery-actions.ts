/** Rows of the action table for what finds messages and brings dead letters back; all OpenCMQ's own. */
import { dryRun } from "./common-parameter-rows.ts"
import { LIMITS } from "./limits.ts"

const queueName = { type: "queueName", isRequired: true, meaning: "Name of the queue that is emptied." } as const

const msgId = { type: "digits", limit: LIMITS.nonceLength } as const
const part = { type: "text", limit: LIMITS.searchTextLength } as const

/** Searches and redrives; part of `ACTIONS`. */
export const RECOVERY_ACTIONS = {
  SearchMessage: {
    summary: "Looks through a queue, whatever the state of its messages; nothing changes.",
    source: "OpenCMQ",
    isMutating: false,
    isRepeatable: true,
    isAdministrative: false,
    parameters: {
      queueName: { ...queueName, meaning: "Name of the queue." },
      msgId: { ...msgId, meaning: "Only this message; then it is found at once, without a scan." },
      text: { ...part, meaning: "Part of the body; capitals matter." },
      attributeName: { type: "text", limit: LIMITS.attributeNameBytes, meaning: "Only messages with this attribute." },
      attributeValue: { ...part, meaning: "Its value; absent = any." },
      startSeq: {
        type: "int",
        limit: LIMITS.peekStartSeq,
        fallback: LIMITS.peekStartSeq.default,
        meaning: "Queue sequence to begin at: nextSeq of the reply before.",
      },
      scanNum: {
        type: "int",
        limit: LIMITS.searchScanCount,
        fallback: LIMITS.searchScanCount.default,
        meaning: "Messages looked at.",
      },
      numOfMsg: { type: "int", limit: LIMITS.numOfMsg, fallback: LIMITS.numOfMsg.max, meaning: "Messages found." },
    },
    reply: { msgInfoList: "list", scannedMsgNum: "number", nextSeq: "number?" },
  },
  TraceMessage: {
    summary: "Answers where a message is now, by its id alone, and what is known of its life.",
    source: "OpenCMQ",
    isMutating: false,
    isRepeatable: true,
    isAdministrative: false,
    parameters: { msgId: { ...msgId, isRequired: true, meaning: "As a send answered it." } },
    reply: {
      msgId: "string",
      entryIndex: "number",
      term: "number?",
      bodySize: "number",
      clientMessageId: "string?",
      placeList: "list",
    },
  },
  StartRedrive: {
    summary: "Starts the task that moves the dead letters of a queue to where they came from, or to one queue.",
    source: "OpenCMQ",
    isMutating: true,
    isRepeatable: false,
    isAdministrative: true,
    parameters: {
      queueName,
      targetQueueName: { type: "queueName", meaning: "Where they all go; absent = each to its own source." },
      sourceQueueName: { type: "queueName", meaning: "Only those that came from this queue." },
      enqueuedFrom: {
        type: "int",
        limit: LIMITS.timestamp,
        meaning: "Only those that came into the queue since then.",
      },
      enqueuedUntil: { type: "int", limit: LIMITS.timestamp, meaning: "Only those that came before then." },
      messagesPerSecond: {
        type: "int",
        limit: LIMITS.redrivePerSecondCount,
        fallback: LIMITS.redrivePerSecondCount.default,
        meaning: "How fast.",
      },
      dryRun,
    },
    reply: { moveMsgNum: "number?", skipMsgNum: "number?", targetList: "list?" },
  },
  CancelRedrive: {
    summary: "Ends the redrive of a queue; what was moved stays moved.",
    source: "OpenCMQ",
    isMutating: true,
    isRepeatable: true,
    isAdministrative: true,
    parameters: { queueName },
    reply: { movedMsgNum: "number" },
  },
  DescribeRedrive: {
    summary: "Answers how far the newest redrive of a queue is, also after its end.",
    source: "OpenCMQ",
    isMutating: false,
    isRepeatable: true,
    isAdministrative: true,
    parameters: { queueName },
    reply: {
      state: "string",
      movedMsgNum: "number",
      skippedMsgNum: "number",
      leftMsgNum: "number",
      startTime: "number",
      endTime: "number",
      messagesPerSecond: "number",
      targetQueueName: "string",
      sourceQueueName: "string",
      enqueuedFrom: "number?",
      enqueuedUntil: "number?",
    },
  },
} as const
