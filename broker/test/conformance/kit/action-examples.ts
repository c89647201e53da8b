/**
 * One example an action for docs/http-api.md, in an order in which they can be run one after the other. The test runs
 * them all and compares the replies with these: same fields, same types, the same values where no time or id is in them.
 */
import type { ActionName, ErrorName } from "@opencmq/proto"
import type { Params } from "./client.ts"
import { KEY_ERRORS, KEY_EXAMPLES } from "./key-examples.ts"
import { TOPIC_ERRORS, TOPIC_EXAMPLES } from "./topic-examples.ts"

export interface ActionExample {
  readonly action: ActionName
  readonly params: Params
  readonly reply: Readonly<Record<string, unknown>>
}

const OK = { code: 0, message: "", requestId: "1f0c9a7be2-4q" }
const HANDLE = "1099511627777"
const MESSAGE = {
  msgId: "65536",
  receiptHandle: HANDLE,
  msgBody: "hello",
  enqueueTime: 1700000000,
  firstDequeueTime: 1700000002,
  nextVisibleTime: 1700000032,
  dequeueCount: 1,
}

export const ACTION_EXAMPLES: readonly ActionExample[] = [
  {
    action: "CreateQueue",
    params: { queueName: "orders", pollingWaitSeconds: 10, rewindSeconds: 3600 },
    reply: { ...OK, queueId: "queue-9e3779b1" },
  },
  {
    action: "ListQueue",
    params: { searchWord: "ord", offset: 0, limit: 20 },
    reply: { ...OK, totalCount: 1, queueList: [{ queueId: "queue-9e3779b1", queueName: "orders" }] },
  },
  {
    action: "SetQueueAttributes",
    params: { queueName: "orders", visibilityTimeout: 60 },
    reply: {
      ...OK,
      queueId: "queue-9e3779b1",
      maxMsgHeapNum: 100000000,
      pollingWaitSeconds: 10,
      visibilityTimeout: 60,
      maxMsgSize: 65536,
      msgRetentionSeconds: 345600,
      rewindSeconds: 3600,
    },
  },
  {
    action: "QueryQueueRoute",
    params: { queueName: "orders" },
    reply: { ...OK, addr: ["127.0.0.1:7073"] },
  },
  {
    action: "SendMessage",
    params: { queueName: "orders", msgBody: "hello" },
    reply: { ...OK, msgId: "65536" },
  },
  {
    action: "BatchSendMessage",
    params: { queueName: "orders", msgBody: ["one", "two"] },
    reply: { ...OK, msgList: [{ msgId: "131072" }, { msgId: "131073" }] },
  },
  {
    action: "GetQueueAttributes",
    params: { queueName: "orders" },
    reply: {
      ...OK,
      queueId: "queue-9e3779b1",
      queueName: "orders",
      maxMsgHeapNum: 100000000,
      pollingWaitSeconds: 10,
      visibilityTimeout: 60,
      maxMsgSize: 65536,
      msgRetentionSeconds: 345600,
      rewindSeconds: 3600,
      createTime: 1700000000,
      lastModifyTime: 1700000000,
      activeMsgNum: 3,
      inactiveMsgNum: 0,
      delayMsgNum: 0,
      rewindMsgNum: 0,
      rewindmsgNum: 0,
      minMsgTime: 1700000000,
      halfMsgNum: 0,
    },
  },
  {
    action: "PeekMessage",
    params: { queueName: "orders", numOfMsg: 1 },
    reply: {
      ...OK,
      msgInfoList: [
        {
          msgId: "65536",
          msgBody: "hello",
          enqueueTime: 1700000000,
          firstDequeueTime: 0,
          nextVisibleTime: 0,
          dequeueCount: 0,
          sequence: 1,
          state: "active",
          dueTime: 1700345600,
        },
      ],
      nextSeq: 2,
    },
  },
  {
    action: "ReceiveMessage",
    params: { queueName: "orders", pollingWaitSeconds: 5 },
    reply: { ...OK, ...MESSAGE },
  },
  {
    action: "ChangeMessageVisibility",
    params: { queueName: "orders", receiptHandle: HANDLE, visibilityTimeout: 600 },
    reply: { ...OK, nextVisibleTime: 1700000602 },
  },
  { action: "DeleteMessage", params: { queueName: "orders", receiptHandle: HANDLE }, reply: OK },
  {
    action: "BatchReceiveMessage",
    params: { queueName: "orders", numOfMsg: 16 },
    reply: {
      ...OK,
      msgInfoList: [
        { ...MESSAGE, msgId: "131072", msgBody: "one" },
        { ...MESSAGE, msgId: "131073", msgBody: "two" },
      ],
    },
  },
  {
    action: "BatchDeleteMessage",
    params: { queueName: "orders", receiptHandle: [HANDLE, "7"] },
    reply: {
      code: 6010,
      message: "(10150)delete message partially failed",
      requestId: "1f0c9a7be2-4q",
      errorList: [{ code: 4430, message: "(10260)receipt handle is invalid", receiptHandle: "7" }],
    },
  },
  {
    action: "RewindQueue",
    params: { queueName: "orders", startConsumeTime: 1700000000, dryRun: 1 },
    reply: { ...OK, rewoundMsgNum: 2 },
  },
  {
    action: "SendHalfMessage",
    params: { queueName: "orders", msgBody: "half", firstQueryInterval: 5, maxQueryCount: 15 },
    reply: { ...OK, msgId: "196608" },
  },
  {
    action: "ListHalfMessage",
    params: { queueName: "orders" },
    reply: {
      ...OK,
      msgInfoList: [
        {
          msgId: "196608",
          msgBody: "half",
          enqueueTime: 1700000000,
          firstDequeueTime: 0,
          nextVisibleTime: 0,
          dequeueCount: 0,
          sequence: 4,
          state: "half",
          dueTime: 1700000015,
          queryCount: 1,
          maxQueryCount: 15,
        },
      ],
    },
  },
  {
    action: "ConfirmTransaction",
    params: { queueName: "orders", msgId: "196608", decision: "commit" },
    reply: OK,
  },
  {
    action: "SearchMessage",
    params: { queueName: "orders", text: "nothing like it" },
    reply: { ...OK, msgInfoList: [], scannedMsgNum: 4 },
  },
  {
    action: "TraceMessage",
    params: { msgId: "196608" },
    reply: {
      ...OK,
      msgId: "196608",
      entryIndex: 10,
      term: 1,
      bodySize: 4,
      placeList: [
        {
          queueName: "orders",
          sequence: 4,
          state: "active",
          dueTime: 1700345600,
          enqueueTime: 1700000000,
          firstDequeueTime: 0,
          dequeueCount: 0,
        },
      ],
    },
  },
  { action: "StartRedrive", params: { queueName: "orders", messagesPerSecond: 100 }, reply: OK },
  {
    action: "DescribeRedrive",
    params: { queueName: "orders" },
    reply: {
      ...OK,
      state: "completed",
      movedMsgNum: 0,
      skippedMsgNum: 2,
      leftMsgNum: 0,
      startTime: 1700000000,
      endTime: 1700000000,
      messagesPerSecond: 100,
      targetQueueName: "",
      sourceQueueName: "",
    },
  },
  {
    action: "CancelRedrive",
    params: { queueName: "orders" },
    reply: { code: 4000, message: "(20051)no redrive of this queue is running", requestId: "1f0c9a7be2-4q" },
  },
  { action: "ClearQueue", params: { queueName: "orders" }, reply: OK },
  {
    action: "ListDeadLetterSourceQueues",
    params: { deadLetterQueueName: "orders", limit: 20, offset: 0 },
    reply: { ...OK, totalCount: 0, queueList: [] },
  },
  { action: "UnbindDeadLetterQueue", params: { queueName: "orders" }, reply: { ...OK, queueId: "queue-9e3779b1" } },
  { action: "DeleteQueue", params: { queueName: "orders" }, reply: OK },
  ...TOPIC_EXAMPLES,
  ...KEY_EXAMPLES,
  {
    action: "GetClusterStatus",
    params: {},
    reply: { ...OK, cluster: { clusterId: "local", setId: 0, nodeId: 1, leaderId: 1, term: 1 } },
  },
]

/** What every action may answer; who asks and how is checked before anything else. */
export const COMMON_ERRORS: readonly ErrorName[] = [
  "methodNotAllowed",
  "requestTooLarge",
  "parameterKeyFormat",
  "parameterNotRepeatable",
  "bodyUnreadable",
  "actionMissing",
  "actionNotFound",
  "parameterMissing",
  "parameterTypeError",
  "parameterOutOfRange",
  "secretIdMalformed",
  "authenticationFailed",
  "permissionDenied",
  "secretIdUnknown",
  "requestExpired",
  "nonceReplayed",
  "overloaded",
  "noLeader",
  "unavailable",
  "unknownOutcome",
  "shuttingDown",
  "internal",
]

const ATTRIBUTE_ERRORS: readonly ErrorName[] = [
  "queueNameInvalid",
  "rewindExceedsRetention",
  "deadLetterPolicyInvalid",
  "deadLetterQueueNotFound",
  "deadLetterSourceLimit",
]
const SEND_ERRORS: readonly ErrorName[] = [
  "queueNameInvalid",
  "queueNotFound",
  "messageEmpty",
  "messageTooLarge",
  "delayOutOfRange",
  "attributeInvalid",
  "queueHeapFull",
  "tooManyDelayed",
  "diskFull",
]
const RECEIVE_ERRORS: readonly ErrorName[] = ["queueNameInvalid", "queueNotFound", "noMessage", "tooManyUnacked"]
const QUEUE_ERRORS: readonly ErrorName[] = ["queueNameInvalid", "queueNotFound"]

/** What an action may answer besides. */
export const ACTION_ERRORS: Readonly<Record<ActionName, readonly ErrorName[]>> = {
  CreateQueue: [...ATTRIBUTE_ERRORS, "queueAlreadyExists", "queueLimitReached", "queueDeletedRecently"],
  ListQueue: [],
  GetQueueAttributes: QUEUE_ERRORS,
  SetQueueAttributes: [...ATTRIBUTE_ERRORS, "queueNotFound"],
  DeleteQueue: [...QUEUE_ERRORS, "deadLetterQueueInUse"],
  ClearQueue: QUEUE_ERRORS,
  RewindQueue: [...QUEUE_ERRORS, "rewindNotEnabled", "rewindTimeInvalid"],
  ListDeadLetterSourceQueues: QUEUE_ERRORS,
  UnbindDeadLetterQueue: [...QUEUE_ERRORS, "deadLetterQueueNotFound"],
  QueryQueueRoute: QUEUE_ERRORS,
  SendMessage: SEND_ERRORS,
  BatchSendMessage: [...SEND_ERRORS, "batchTooLarge", "parameterBatchSize", "parameterNotConsecutive"],
  ReceiveMessage: RECEIVE_ERRORS,
  BatchReceiveMessage: RECEIVE_ERRORS,
  DeleteMessage: [...QUEUE_ERRORS, "receiptHandleMalformed", "receiptHandleInvalid"],
  BatchDeleteMessage: [
    ...QUEUE_ERRORS,
    "parameterBatchSize",
    "parameterNotConsecutive",
    "deletePartiallyFailed",
    "deleteFailed",
  ],
  ChangeMessageVisibility: [...QUEUE_ERRORS, "receiptHandleMalformed", "receiptHandleInvalid"],
  PeekMessage: QUEUE_ERRORS,
  SearchMessage: QUEUE_ERRORS,
  TraceMessage: ["messageNotFound"],
  StartRedrive: [...QUEUE_ERRORS, "redriveRunning", "redriveTargetInvalid", "redriveSourceInvalid"],
  CancelRedrive: [...QUEUE_ERRORS, "redriveNotRunning"],
  DescribeRedrive: [...QUEUE_ERRORS, "redriveNotFound"],
  ...TOPIC_ERRORS,
  SendHalfMessage: [
    "queueNameInvalid",
    "queueNotFound",
    "messageEmpty",
    "messageTooLarge",
    "attributeInvalid",
    "queueHeapFull",
    "tooManyHalfMessages",
    "diskFull",
  ],
  ConfirmTransaction: [...QUEUE_ERRORS, "messageIdInvalid"],
  ListHalfMessage: QUEUE_ERRORS,
  ...KEY_ERRORS,
  GetClusterStatus: [],
}
