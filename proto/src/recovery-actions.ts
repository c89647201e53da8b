/** Rows of the action table for what brings dead letters back; all OpenCMQ's own. */
import { dryRun } from "./common-parameter-rows.ts"
import { LIMITS } from "./limits.ts"

const queueName = { type: "queueName", isRequired: true, meaning: "Name of the queue that is emptied." } as const

/** Redrives; part of `ACTIONS`. */
export const RECOVERY_ACTIONS = {
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
