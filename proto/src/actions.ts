/**
 * THE action table: every CMQ action and OpenCMQ's own, with parameters and replies. Those of topics, of transactions and of
 * key pairs are in files of their own, `topic-actions.ts`, `transaction-actions.ts` and `key-actions.ts`.
 *
 * The HTTP face validates from it (`readParameters`), the SDK sends by it, docs/http-api.md describes it. What an
 * action does is not here. Parameters that no row names are ignored, though signed (cmq-api.md §0.7): Python, C++
 * and PHP send `UserpollingWaitSeconds`.
 */
import {
  attributes,
  batchAttributes,
  clientMessageId,
  dryRun,
  listParameters,
  maxMsgSize,
} from "./common-parameter-rows.ts"
import type { DeadLetterPolicy } from "./dead-letter-policy.ts"
import type { ErrorName } from "./errors.ts"
import { KEY_ACTIONS } from "./key-actions.ts"
import { LIMITS } from "./limits.ts"
import type { LimitRow } from "./limits.ts"
import type { MessageAttribute } from "./message-attributes.ts"
import { RECOVERY_ACTIONS } from "./recovery-actions.ts"
import { TOPIC_ACTIONS } from "./topic-actions.ts"
import { TRANSACTION_ACTIONS } from "./transaction-actions.ts"

/**
 * How a parameter's text is read.
 *
 * - `text`: as it is; empty = absent. `limit` is its length in the limit's unit.
 * - `digits`: one to twenty digits, kept as text, since they may not fit a number.
 * - `queueName`, `topicName`, `subscriptionName`: by `NAME_PATTERN`, else `queueNameInvalid` and its like.
 * - `accountName`: by the same pattern.  `permission`: `parsePermission`, else `permissionInvalid`; its text.
 * - `key`: a routing key or binding key: `routingKeyBytes`, and no more dots than `routingKeyDelimitersCount`.
 * - `word`: one of `words`, in any case; the value has the table's spelling. Another word: `unknownWord`.
 * - `int`: strict whole number within `limit`; empty is a type error.
 * - `bytes`: a body; UTF-8 bytes of the text, length within `limit`.
 * - `receiptHandle`: text; checked to be one of OpenCMQ's when it stands alone, in a batch by whoever answers per handle.
 * - `deadLetterPolicy`: `readDeadLetterPolicy`.  `attributes`: `readAttributeGroup`, in a batch `parseAttributes`.
 */
export type ParameterType =
  | "text"
  | "digits"
  | "queueName"
  | "topicName"
  | "subscriptionName"
  | "accountName"
  | "permission"
  | "key"
  | "word"
  | "int"
  | "bytes"
  | "receiptHandle"
  | "deadLetterPolicy"
  | "attributes"

/** One parameter of an action. */
export type ParameterRow = Readonly<{
  type: ParameterType
  /** Absent (or empty, for text): `parameterMissing`. */
  isRequired?: true
  /** `name.0…` or `name.1…`, at most 16; the value is a list in the order of the numbers. */
  isArray?: true
  /** An array whose numbers are those of this other array; elements may be left out. */
  alignedWith?: string
  /** Fewer than 16 elements of an array; more: this error. */
  atMost?: Readonly<{ count: number; error: ErrorName }>
  words?: readonly string[]
  unknownWord?: ErrorName
  /** Range of a number, or of a length; its unit is the parameter's. */
  limit?: LimitRow
  /** Value of an `int` that is not given. */
  fallback?: number
  /** Error of an `int` outside its limit; `parameterOutOfRange` when absent. */
  outOfRange?: ErrorName
  /** Read together with that other parameter; has no value of its own. */
  partOf?: string
  /** One sentence for docs/http-api.md. */
  meaning: string
}>

/** JSON type of a reply field (cmq-api.md §0.11); `?` = only when there is something to say. */
export type ReplyType = "number" | "number?" | "string" | "string?" | "list" | "list?" | "object"

/** One action. */
export type ActionRow = Readonly<{
  summary: string
  /** Where the action comes from; marks as in cmq-api.md, or `OpenCMQ`. */
  source: string
  /** Whether it changes replicated state, and so becomes a proposal. A receive does: it hides messages. */
  isMutating: boolean
  /**
   * Whether repeating it is harmless when its outcome is unknown. Not so for a send, which needs a clientMessageId,
   * and ClearQueue. A repeated create answers `queueAlreadyExists`, a repeated delete `queueNotFound` or
   * `receiptHandleInvalid`; a repeated receive hands out other messages, and the first ones come back in time.
   */
  isRepeatable: boolean
  /** Whether it administers (create, set, delete, cluster) rather than moves messages. */
  isAdministrative: boolean
  parameters: Readonly<Record<string, ParameterRow>>
  /** Fields beside code, message, requestId and clientRequestId. */
  reply: Readonly<Record<string, ReplyType>>
}>

const queueName = { type: "queueName", isRequired: true, meaning: "Name of the queue." } as const

const deadLetterPolicy = {
  deadLetterPolicy: {
    type: "deadLetterPolicy",
    meaning: "JSON text with deadLetterQueue, policy (0 or 1), maxReceiveCount, maxTimeToLive; empty = not given.",
  },
  deadLetterQueueName: {
    type: "queueName",
    partOf: "deadLetterPolicy",
    meaning: "Flat form of API 3.0: the dead letter queue.",
  },
  policy: {
    type: "int",
    limit: LIMITS.deadLetterPolicyKind,
    partOf: "deadLetterPolicy",
    meaning: "Flat form: 0 = by receives, 1 = by age.",
  },
  maxReceiveCount: {
    type: "int",
    limit: LIMITS.maxReceiveCount,
    partOf: "deadLetterPolicy",
    meaning: "Flat form, policy 0.",
  },
  maxTimeToLive: {
    type: "int",
    limit: LIMITS.maxTimeToLiveSeconds,
    partOf: "deadLetterPolicy",
    meaning: "Flat form, policy 1.",
  },
} as const

const maxMsgHeapNum = { type: "int", limit: LIMITS.maxMsgHeapNum, meaning: "Most undeleted messages." } as const
const pollingWaitSeconds = {
  type: "int",
  limit: LIMITS.pollingWaitSeconds,
  meaning: "How long a receive waits for a first message.",
} as const
const visibilityTimeout = {
  type: "int",
  limit: LIMITS.visibilityTimeoutSeconds,
  meaning: "How long a received message is hidden.",
} as const
const msgRetentionSeconds = {
  type: "int",
  limit: LIMITS.msgRetentionSeconds,
  meaning: "How long a message lives.",
} as const
const rewindSeconds = {
  type: "int",
  limit: LIMITS.rewindSeconds,
  meaning: "How far back deleted messages can be rewound; 0 = off.",
} as const

const delaySeconds = {
  type: "int",
  limit: LIMITS.delaySeconds,
  fallback: LIMITS.delaySeconds.default,
  outOfRange: "delayOutOfRange",
  meaning: "How long the messages stay invisible; for all of the batch.",
} as const

const receiveParameters = {
  pollingWaitSeconds: { ...pollingWaitSeconds, meaning: "How long to wait for a first message; absent = the queue's." },
  visibilityTimeout: { ...visibilityTimeout, meaning: "OpenCMQ: for this receive; absent = the queue's." },
} as const

const receiptHandle = {
  type: "receiptHandle",
  isRequired: true,
  limit: LIMITS.receiptHandleLength,
  meaning: "Handle of the newest delivery.",
} as const

const queueAttributesReply = {
  maxMsgHeapNum: "number",
  pollingWaitSeconds: "number",
  visibilityTimeout: "number",
  maxMsgSize: "number",
  msgRetentionSeconds: "number",
  rewindSeconds: "number",
  deadLetterPolicy: "string?",
} as const

/** Fields of one received message; times in Unix seconds. The last six are OpenCMQ's. */
export const MESSAGE_REPLY = {
  msgId: "string",
  receiptHandle: "string",
  msgBody: "string",
  enqueueTime: "number",
  firstDequeueTime: "number",
  nextVisibleTime: "number",
  dequeueCount: "number",
  attributes: "list?",
  deadLetterReason: "string?",
  originalQueueName: "string?",
  originalEnqueueTime: "number?",
  originalFirstDequeueTime: "number?",
  originalDequeueCount: "number?",
} as const satisfies Record<string, ReplyType>

/** Every action, by CMQ's name. */
export const ACTIONS = {
  // --- Queues -------------------------------------------------------------------------------------------
  CreateQueue: {
    summary: "Creates a queue.",
    source: "D",
    isMutating: true,
    isRepeatable: true,
    isAdministrative: true,
    parameters: {
      queueName,
      maxMsgHeapNum: { ...maxMsgHeapNum, fallback: LIMITS.maxMsgHeapNum.default },
      pollingWaitSeconds: { ...pollingWaitSeconds, fallback: LIMITS.pollingWaitSeconds.default },
      visibilityTimeout: { ...visibilityTimeout, fallback: LIMITS.visibilityTimeoutSeconds.default },
      maxMsgSize: { ...maxMsgSize, fallback: LIMITS.maxMsgSizeBytes.default },
      msgRetentionSeconds: { ...msgRetentionSeconds, fallback: LIMITS.msgRetentionSeconds.default },
      rewindSeconds: { ...rewindSeconds, fallback: LIMITS.rewindSeconds.default },
      ...deadLetterPolicy,
    },
    reply: { queueId: "string" },
  },
  ListQueue: {
    summary: "Lists queues by name, in the order of their names.",
    source: "D",
    isMutating: false,
    isRepeatable: true,
    isAdministrative: true,
    parameters: listParameters,
    reply: { totalCount: "number", queueList: "list" },
  },
  GetQueueAttributes: {
    summary: "Answers a queue's attributes and counts.",
    source: "D, S: both spellings of rewindMsgNum",
    isMutating: false,
    isRepeatable: true,
    isAdministrative: true,
    parameters: { queueName },
    reply: {
      queueId: "string",
      queueName: "string",
      ...queueAttributesReply,
      createTime: "number",
      lastModifyTime: "number",
      activeMsgNum: "number",
      inactiveMsgNum: "number",
      delayMsgNum: "number",
      rewindMsgNum: "number",
      rewindmsgNum: "number",
      minMsgTime: "number",
      halfMsgNum: "number",
    },
  },
  SetQueueAttributes: {
    summary: "Changes those attributes that are given.",
    source: "D",
    isMutating: true,
    isRepeatable: true,
    isAdministrative: true,
    parameters: {
      queueName,
      maxMsgHeapNum,
      pollingWaitSeconds,
      visibilityTimeout,
      maxMsgSize,
      msgRetentionSeconds,
      rewindSeconds,
      ...deadLetterPolicy,
    },
    reply: { queueId: "string", ...queueAttributesReply },
  },
  DeleteQueue: {
    summary: "Deletes a queue with its messages.",
    source: "D",
    isMutating: true,
    isRepeatable: true,
    isAdministrative: true,
    parameters: { queueName },
    reply: {},
  },
  ClearQueue: {
    summary: "Drops every message of a queue, whatever its state.",
    source: "D: API 3.0 ClearQueue",
    isMutating: true,
    isRepeatable: false,
    isAdministrative: true,
    parameters: { queueName },
    reply: {},
  },
  RewindQueue: {
    summary: "Makes deleted messages receivable again, from a production time on, for all consumers.",
    source: "D; dryRun, rewoundMsgNum: OpenCMQ",
    isMutating: true,
    isRepeatable: true,
    isAdministrative: true,
    parameters: {
      queueName,
      startConsumeTime: {
        type: "int",
        isRequired: true,
        limit: LIMITS.startConsumeTime,
        outOfRange: "rewindTimeInvalid",
        meaning: "Production time to go back to.",
      },
      dryRun,
    },
    reply: { rewoundMsgNum: "number" },
  },
  ListDeadLetterSourceQueues: {
    summary: "Lists the queues whose policy names this dead letter queue.",
    source: "D",
    isMutating: false,
    isRepeatable: true,
    isAdministrative: true,
    parameters: {
      deadLetterQueueName: { type: "queueName", isRequired: true, meaning: "Name of the dead letter queue." },
      ...listParameters,
    },
    reply: { totalCount: "number", queueList: "list" },
  },
  UnbindDeadLetterQueue: {
    summary: "Takes the dead letter policy away from a source queue.",
    source: "D: the queue given is the source, not the dead letter queue",
    isMutating: true,
    isRepeatable: true,
    isAdministrative: true,
    parameters: { queueName: { ...queueName, meaning: "Name of the source queue." } },
    reply: { queueId: "string" },
  },

  QueryQueueRoute: {
    summary: "Answers where the queue is reached over CMQ's TCP protocol.",
    source: "S:tcp; the addresses: OpenCMQ, every node serves every queue",
    isMutating: false,
    isRepeatable: true,
    isAdministrative: true,
    parameters: { queueName },
    reply: { addr: "list" },
  },

  // --- Messages -----------------------------------------------------------------------------------------
  SendMessage: {
    summary: "Stores one message; answers when a majority has it on disk.",
    source: "D; clientMessageId, attribute: OpenCMQ",
    isMutating: true,
    isRepeatable: false,
    isAdministrative: false,
    parameters: {
      queueName,
      msgBody: { type: "bytes", isRequired: true, limit: LIMITS.msgBodyBytes, meaning: "Body, plain text." },
      delaySeconds,
      clientMessageId,
      attributes,
    },
    reply: { msgId: "string" },
  },
  BatchSendMessage: {
    summary: "Stores up to 16 messages, all or none.",
    source: "D; clientMessageId.n, attributes.n: OpenCMQ",
    isMutating: true,
    isRepeatable: false,
    isAdministrative: false,
    parameters: {
      queueName,
      msgBody: {
        type: "bytes",
        isRequired: true,
        isArray: true,
        limit: LIMITS.msgBodyBytes,
        meaning: "Bodies, plain text; 1 MiB in all.",
      },
      delaySeconds,
      clientMessageId: { ...clientMessageId, isArray: true, alignedWith: "msgBody" },
      attributes: batchAttributes,
    },
    reply: { msgList: "list" },
  },
  ReceiveMessage: {
    summary: "Receives one message, waiting for it.",
    source: "D; visibilityTimeout: OpenCMQ",
    isMutating: true,
    isRepeatable: true,
    isAdministrative: false,
    parameters: { queueName, ...receiveParameters },
    reply: MESSAGE_REPLY,
  },
  BatchReceiveMessage: {
    summary: "Receives up to 16 messages; waits for the first only.",
    source: "D; visibilityTimeout: OpenCMQ",
    isMutating: true,
    isRepeatable: true,
    isAdministrative: false,
    parameters: {
      queueName,
      numOfMsg: { type: "int", isRequired: true, limit: LIMITS.numOfMsg, meaning: "Most messages of the reply." },
      ...receiveParameters,
    },
    reply: { msgInfoList: "list" },
  },
  DeleteMessage: {
    summary: "Deletes a received message.",
    source: "D",
    isMutating: true,
    isRepeatable: true,
    isAdministrative: false,
    parameters: { queueName, receiptHandle },
    reply: {},
  },
  BatchDeleteMessage: {
    summary: "Deletes up to 16 received messages, each for itself.",
    source: "D",
    isMutating: true,
    isRepeatable: true,
    isAdministrative: false,
    parameters: { queueName, receiptHandle: { ...receiptHandle, isArray: true } },
    reply: { errorList: "list?" },
  },

  ...TOPIC_ACTIONS,

  ...KEY_ACTIONS,

  // --- OpenCMQ's own ------------------------------------------------------------------------------------
  ChangeMessageVisibility: {
    summary: "Sets anew, from now, how long a received message is hidden; its handle stays valid so long.",
    source: "OpenCMQ",
    isMutating: true,
    isRepeatable: true,
    isAdministrative: false,
    parameters: {
      queueName,
      receiptHandle,
      visibilityTimeout: {
        type: "int",
        isRequired: true,
        limit: LIMITS.changeVisibilitySeconds,
        meaning: "From now; 0 = give the message back at once.",
      },
    },
    reply: { nextVisibleTime: "number" },
  },
  PeekMessage: {
    summary: "Shows messages without receiving them: nothing changes.",
    source: "OpenCMQ",
    isMutating: false,
    isRepeatable: true,
    isAdministrative: false,
    parameters: {
      queueName,
      numOfMsg: { type: "int", limit: LIMITS.numOfMsg, fallback: 1, meaning: "Most messages of the reply." },
      startSeq: {
        type: "int",
        limit: LIMITS.peekStartSeq,
        fallback: LIMITS.peekStartSeq.default,
        meaning: "Queue sequence to begin at; 0 = the oldest message. The reply's nextSeq continues.",
      },
    },
    reply: { msgInfoList: "list", nextSeq: "number?" },
  },
  ...TRANSACTION_ACTIONS,
  ...RECOVERY_ACTIONS,

  GetClusterStatus: {
    summary: "Answers who leads, who follows and how far each is.",
    source: "OpenCMQ",
    isMutating: false,
    isRepeatable: true,
    isAdministrative: true,
    parameters: {},
    reply: { cluster: "object" },
  },
} as const satisfies Record<string, ActionRow>

/** Parameters that every request may carry. Source: cmq-api.md §1 [D:common]. */
export const COMMON_PARAMETERS = {
  Action: { type: "text", isRequired: true, meaning: "Name of the action, in any case." },
  SecretId: { type: "text", isRequired: true, meaning: "Which key signs." },
  Timestamp: { type: "int", isRequired: true, limit: LIMITS.timestamp, meaning: "When the request was made." },
  Nonce: { type: "digits", isRequired: true, limit: LIMITS.nonceLength, meaning: "Random; each once." },
  Signature: { type: "text", isRequired: true, meaning: "base64 of the HMAC." },
  SignatureMethod: { type: "text", meaning: "HmacSHA256 or sha256; absent or anything else: SHA-1." },
  Region: { type: "text", meaning: "Ignored: the host decides." },
  Token: { type: "text", meaning: "With temporary keys; signed like any other." },
  RequestClient: { type: "text", meaning: "Which client; for logs." },
  clientRequestId: { type: "digits", limit: LIMITS.nonceLength, meaning: "Echoed as a number." },
  appId: {
    type: "digits",
    limit: LIMITS.nonceLength,
    meaning: "Go SDK, instead of a signature, where that is allowed.",
  },
} as const satisfies Record<string, ParameterRow>

/** Name of an action, in CMQ's spelling. */
export type ActionName = keyof typeof ACTIONS

/** Every action's name, in the order of the table. */
export const ACTION_NAMES = Object.keys(ACTIONS) as readonly ActionName[]

type ScalarOf<Type extends ParameterType> = Type extends "int"
  ? number
  : Type extends "bytes"
    ? Uint8Array
    : Type extends "deadLetterPolicy"
      ? DeadLetterPolicy
      : Type extends "attributes"
        ? readonly MessageAttribute[]
        : string

type ValueOf<Row extends ParameterRow> = Row extends { alignedWith: string }
  ? readonly (ScalarOf<Row["type"]> | undefined)[]
  : Row extends { isArray: true }
    ? readonly ScalarOf<Row["type"]>[]
    : ScalarOf<Row["type"]>

type Table = Readonly<Record<string, ParameterRow>>

type CertainKey<Rows extends Table> = {
  [Key in keyof Rows]: Rows[Key] extends { isRequired: true } | { fallback: number } ? Key : never
}[keyof Rows]

type PossibleKey<Rows extends Table> = {
  [Key in keyof Rows]: Rows[Key] extends { isRequired: true } | { fallback: number } | { partOf: string } ? never : Key
}[keyof Rows]

/** Values that a table of parameters gives: certain where required or with a fallback, else optional. */
export type ParameterValues<Rows extends Table> = {
  readonly [Key in CertainKey<Rows>]: ValueOf<Rows[Key]>
} & { readonly [Key in PossibleKey<Rows>]?: ValueOf<Rows[Key]> }

/** Values of each action's parameters, under their names on the wire; times in seconds. */
export type ActionParameters = {
  readonly [Name in ActionName]: ParameterValues<(typeof ACTIONS)[Name]["parameters"]>
}

/** Values of the parameters that every request may carry. */
export type CommonParameters = ParameterValues<typeof COMMON_PARAMETERS>

const NAME_BY_LOWER_CASE: ReadonlyMap<string, ActionName> = new Map(
  ACTION_NAMES.map((name) => [name.toLowerCase(), name]),
)

/**
 * The action that a request names, in any case: Java sends `ClearSUbscriptionFIlterTags`, Python capitalises the
 * first letter only (cmq-api.md §0.6). O(length of the name).
 *
 * @returns undefined when there is none; the refusal is then `actionNotFound` with the name as sent.
 */
export function findAction(name: string): ActionName | undefined {
  return NAME_BY_LOWER_CASE.get(name.toLowerCase())
}

/** The row of an action, widened to `ActionRow`. O(1). */
export function actionRow(name: ActionName): ActionRow {
  return ACTIONS[name]
}
