import { expect, test } from "vitest"
import { ACTION_NAMES, ACTIONS, actionRow, findAction } from "./actions.ts"

test("every queue, topic and subscription action of CMQ is there, and OpenCMQ's own", () => {
  expect([...ACTION_NAMES].sort()).toEqual([
    "BatchDeleteMessage",
    "BatchPublishMessage",
    "BatchReceiveMessage",
    "BatchSendMessage",
    "CancelRedrive",
    "ChangeMessageVisibility",
    "ClearQueue",
    "ClearSubscriptionFilterTags",
    "ConfirmTransaction",
    "CreateKey",
    "CreateQueue",
    "CreateTopic",
    "DeleteMessage",
    "DeleteQueue",
    "DeleteTopic",
    "DescribeRedrive",
    "GetClusterStatus",
    "GetQueueAttributes",
    "GetSubscriptionAttributes",
    "GetTopicAttributes",
    "ListDeadLetterSourceQueues",
    "ListHalfMessage",
    "ListKey",
    "ListQueue",
    "ListSubscriptionByTopic",
    "ListTopic",
    "PeekMessage",
    "PublishMessage",
    "QueryQueueRoute",
    "QueryTopicRoute",
    "ReceiveMessage",
    "RevokeKey",
    "RewindQueue",
    "RotateKey",
    "SearchMessage",
    "SendHalfMessage",
    "SendMessage",
    "SetQueueAttributes",
    "SetSubscriptionAttributes",
    "SetTopicAttributes",
    "StartRedrive",
    "Subscribe",
    "TraceMessage",
    "UnbindDeadLetterQueue",
    "Unsubscribe",
  ])
})

test("an action is found in any case", () => {
  for (const name of ACTION_NAMES) {
    for (const spelling of [
      name,
      name.toLowerCase(),
      name.toUpperCase(),
      `${name.slice(0, 1)}${name.slice(1).toLowerCase()}`,
    ]) {
      expect(findAction(spelling)).toBe(name)
    }
  }
})

test("what is no action is not found", () => {
  for (const name of ["", "Send", " SendMessage", "SendMessage ", "toString", "__proto__", "CreateTopics"])
    expect(findAction(name), name).toBeUndefined()
})

test("GetQueueAttributes answers the thirteen fields that the Java SDKs ask for, and both spellings of rewindMsgNum", () => {
  expect(Object.keys(ACTIONS.GetQueueAttributes.reply)).toEqual(
    expect.arrayContaining([
      "maxMsgHeapNum",
      "pollingWaitSeconds",
      "visibilityTimeout",
      "maxMsgSize",
      "msgRetentionSeconds",
      "createTime",
      "lastModifyTime",
      "activeMsgNum",
      "inactiveMsgNum",
      "rewindMsgNum",
      "rewindmsgNum",
      "minMsgTime",
      "delayMsgNum",
      "rewindSeconds",
    ]),
  )
})

test("only a send, a publish, a clear, a new key and the start of a redrive must not be repeated without an id", () => {
  expect(ACTION_NAMES.filter((name) => !actionRow(name).isRepeatable)).toEqual([
    "ClearQueue",
    "SendMessage",
    "BatchSendMessage",
    "PublishMessage",
    "BatchPublishMessage",
    "CreateKey",
    "RotateKey",
    "SendHalfMessage",
    "StartRedrive",
  ])
  for (const name of ACTION_NAMES)
    if (!actionRow(name).isMutating) expect(actionRow(name).isRepeatable, name).toBe(true)
})

test("rows make sense: fallbacks within limits, partners that exist, numbers with a range", () => {
  for (const name of ACTION_NAMES) {
    const rows = actionRow(name).parameters
    for (const [parameter, row] of Object.entries(rows)) {
      const where = `${name}.${parameter}`
      if (row.type === "int") expect(row.limit, where).toBeDefined()
      if (row.fallback !== undefined) expect(row.fallback, where).toBeGreaterThanOrEqual(row.limit?.min ?? Infinity)
      if (row.alignedWith !== undefined) expect(rows[row.alignedWith]?.isArray, where).toBe(true)
      if (row.partOf !== undefined) expect(rows[row.partOf], where).toBeDefined()
    }
  }
})
