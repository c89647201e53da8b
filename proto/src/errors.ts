/**
 * THE error table: every way OpenCMQ refuses a request, one row a name.
 *
 * The broker's core returns names; each face looks up here what it has to say on its own wire, and the
 * SDK finds the way back with `errorByCode`. Nothing in the project branches on a text or a number.
 * docs/errors.md is made from this table, and a test compares the two.
 *
 * Invariants (held by errors.test.ts): module codes below 20000 are Tencent's, module codes from 20000
 * on are OpenCMQ's own, so that the two can never clash; a pair (code, moduleCode) names one row, save
 * for the four pairs that CMQ itself uses twice (listed in the test).
 */

/** Name of a gRPC status, as in google.rpc.Code. Source: gRPC statuscodes.md. */
export type GrpcStatusName = keyof typeof GRPC_STATUS

/** Numbers of the gRPC statuses that the table uses. Source: gRPC statuscodes.md. */
export const GRPC_STATUS = {
  OK: 0,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const

/**
 * What is certain about the request that was answered with an error.
 *
 * - `notApplied`: nothing changed, on any node, and nothing will.
 * - `unknown`: it may have been applied, or may still be. Repeat it only with the same client message id,
 *   or when the action may be repeated without one (`ActionRow.isRepeatable`).
 * - `applied`: it was carried out, wholly or in the part that the reply lists.
 */
export type ErrorOutcome = "notApplied" | "unknown" | "applied"

/** One row of the error table. */
export type ErrorRow = Readonly<{
  /** CMQ's public code, the `code` of the reply; never 0. */
  code: number
  /** CMQ's module code, the number in the first brackets of the text; 20000 and above are OpenCMQ's own. */
  moduleCode: number
  /** HTTP status of a face that is not CMQ compatible. The CMQ face always answers 200 (cmq-api.md §0.9). */
  http: number
  /** gRPC status; its number is `GRPC_STATUS[row.grpc]`. */
  grpc: GrpcStatusName
  /** Error code of the SQS query / JSON face. */
  sqs: string
  /**
   * Whether the very same request may succeed later, with nothing changed by the caller. With outcome
   * `unknown` it may be repeated only under the conditions given at `ErrorOutcome`.
   */
  retriable: boolean
  outcome: ErrorOutcome
  /** Text without the brackets; each `%s` is filled by `errorText`. Letter for letter CMQ's, misspellings too. */
  text: string
  /** Where code and text come from; marks as in cmq-api.md, or `OpenCMQ`. `(?)` = not certain. */
  source: string
}>

/** First module code of OpenCMQ's own rows. Tencent's published ones end at 10790, so these never clash. */
export const OWN_MODULE_CODE_MIN = 20_000

const SQS_INVALID = "InvalidParameterValue"
const SQS_OVERLOAD = "RequestThrottled"
const SQS_DOWN = "ServiceUnavailable"
const SQS_INTERNAL = "InternalFailure"

const invalid = {
  code: 4000,
  http: 400,
  grpc: "INVALID_ARGUMENT",
  sqs: SQS_INVALID,
  retriable: false,
  outcome: "notApplied",
} as const

const unauthenticated = {
  code: 4100,
  http: 403,
  grpc: "UNAUTHENTICATED",
  sqs: "InvalidClientTokenId",
  retriable: false,
  outcome: "notApplied",
} as const

const notFound = {
  code: 4440,
  http: 404,
  grpc: "NOT_FOUND",
  sqs: "AWS.SimpleQueueService.NonExistentQueue",
  retriable: false,
  outcome: "notApplied",
} as const

const alreadyExists = {
  http: 409,
  grpc: "ALREADY_EXISTS",
  sqs: "QueueAlreadyExists",
  retriable: false,
  outcome: "notApplied",
} as const

const limitReached = {
  http: 409,
  grpc: "RESOURCE_EXHAUSTED",
  sqs: "OverLimit",
  retriable: false,
  outcome: "notApplied",
} as const

const throttled = {
  http: 429,
  grpc: "RESOURCE_EXHAUSTED",
  sqs: SQS_OVERLOAD,
  retriable: true,
  outcome: "notApplied",
} as const

const unavailable = {
  code: 6000,
  http: 503,
  grpc: "UNAVAILABLE",
  sqs: SQS_DOWN,
  retriable: true,
  outcome: "notApplied",
} as const

/** A 6000 of CMQ that says "it went wrong inside" and not how far it got. */
const internalFailure = {
  code: 6000,
  http: 500,
  grpc: "INTERNAL",
  sqs: SQS_INTERNAL,
  retriable: true,
  outcome: "unknown",
} as const

/**
 * Every error, by name. The order is that of docs/errors.md; where CMQ uses one pair of numbers for two
 * errors, the row that stands first is the one `errorByCode` gives.
 *
 * Source: cmq-api.md §4 (Tencent's error pages, old and new merged).
 */
export const ERRORS = {
  // --- The request itself: code 4000 -------------------------------------------------------------------
  requestInvalid: { ...invalid, moduleCode: 10000, text: "invalid request parameters", source: "D:err" },
  requiredParametersMissing: {
    ...invalid,
    moduleCode: 10010,
    sqs: "MissingParameter",
    text: "lacked of required parameters",
    source: "D:err",
  },
  queueNameInvalid: { ...invalid, moduleCode: 10020, text: "queue name format error", source: "D:err" },
  requestParametersInvalid: { ...invalid, moduleCode: 10110, text: "request parameters error", source: "D:err" },
  messageEmpty: {
    ...invalid,
    moduleCode: 10120,
    sqs: "InvalidMessageContents",
    text: "message body can't be empty",
    source: "D:err",
  },
  actionMissing: {
    ...invalid,
    moduleCode: 10280,
    sqs: "MissingAction",
    text: "action is not existed",
    source: "D:err; OpenCMQ: a request without the parameter Action",
  },
  parameterKeyFormat: {
    ...invalid,
    moduleCode: 10310,
    text: "error: parameter %s key format error",
    source: "D:err",
  },
  parameterUnknown: { ...invalid, moduleCode: 10320, text: "no such parameter %s", source: "D:err" },
  parameterNotRepeatable: {
    ...invalid,
    moduleCode: 10330,
    text: "parameter %s is NOT a repeatable parameter",
    source: "D:err",
  },
  parameterOutOfRange: {
    ...invalid,
    moduleCode: 10350,
    grpc: "OUT_OF_RANGE",
    text: "parameter %s value or length is out of range",
    source: "D:err",
  },
  parameterTypeError: { ...invalid, moduleCode: 10360, text: "parameter %s error type", source: "D:err" },
  parameterBatchSize: {
    ...invalid,
    moduleCode: 10370,
    sqs: "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
    text: "%s parameter batch size is out of range",
    source: "D:err",
  },
  parameterNotConsecutive: {
    ...invalid,
    moduleCode: 10380,
    text: "%s parameter is not consequent",
    source: "D:err",
  },
  parameterMissing: {
    ...invalid,
    moduleCode: 10390,
    sqs: "MissingParameter",
    text: "lacked of required parameter %s",
    source: "D:err",
  },
  parameterNotInUri: {
    ...invalid,
    moduleCode: 10400,
    sqs: "MissingParameter",
    text: "cannot find parameter %s in uri",
    source: "D:err",
  },
  methodNotAllowed: {
    ...invalid,
    moduleCode: 10410,
    http: 405,
    grpc: "UNIMPLEMENTED",
    text: "unexpected http %s only GET or POST is supported",
    source: "D:err",
  },
  requestTooLarge: {
    ...invalid,
    moduleCode: 10420,
    http: 413,
    text: "cannot parse %s, or request size is more than 1MB",
    source: "D:err",
  },
  actionNotFound: {
    ...invalid,
    moduleCode: 10430,
    http: 404,
    grpc: "UNIMPLEMENTED",
    sqs: "InvalidAction",
    text: "action name %s is not existed",
    source: "D:err, D:faq",
  },
  accountIllegal: {
    ...invalid,
    moduleCode: 10440,
    http: 403,
    grpc: "PERMISSION_DENIED",
    sqs: "AccessDenied",
    text: "account illegal, it may be an assistant account",
    source: "D:err",
  },
  secretIdMalformed: {
    ...invalid,
    moduleCode: 10450,
    sqs: "InvalidClientTokenId",
    text: "secret id dosen't begin with AKID",
    source: "D:err",
  },
  permissionDenied: {
    ...invalid,
    moduleCode: 10461,
    http: 403,
    grpc: "PERMISSION_DENIED",
    sqs: "AccessDenied",
    text: "no cam authentication",
    source: "D:err",
  },
  receiptHandleMalformed: {
    ...invalid,
    moduleCode: 10470,
    sqs: "ReceiptHandleIsInvalid",
    text: "receiptHandle error",
    source: "D:err",
  },
  filterTagLimitReached: {
    ...invalid,
    moduleCode: 10490,
    text: "number of filterTag exceed limit",
    source: "D:err",
  },
  endpointInvalid: { ...invalid, moduleCode: 10500, text: "endpoint format error", source: "D:err" },
  protocolUndefined: { ...invalid, moduleCode: 10510, text: "undefined protocol", source: "D:err" },
  notifyStrategyUndefined: {
    ...invalid,
    moduleCode: 10520,
    text: "undefined notify retry stragety",
    source: "D:err (sic)",
  },
  notifyContentFormatUndefined: {
    ...invalid,
    moduleCode: 10530,
    text: "undefined notify content format",
    source: "D:err",
  },
  topicHasSubscriptions: {
    ...invalid,
    moduleCode: 10540,
    http: 409,
    grpc: "FAILED_PRECONDITION",
    text: "there exists subscriptions under this topic, please unsubscribe all of them before DeleteTopic",
    source: "D:err",
  },
  subscriptionNameInvalid: {
    ...invalid,
    moduleCode: 10580,
    text: "subscription name format error",
    source: "D:err; 10580 or 10590 by page version (?)",
  },
  topicNameInvalid: { ...invalid, moduleCode: 10590, text: "topic name format error", source: "D:err" },
  endpointIllegal: { ...invalid, moduleCode: 10630, text: "illegal endpoint", source: "D:err" },
  notifyContentFormatNotSimplified: {
    ...invalid,
    moduleCode: 10640,
    text: "notifyContentFormat of protocol queue must be SIMPLIFIED",
    source: "D:err",
  },
  tooManyFilterTags: { ...invalid, moduleCode: 10670, text: "too many filterTag", source: "D:err" },
  rewindTimeInvalid: {
    ...invalid,
    moduleCode: 10680,
    grpc: "OUT_OF_RANGE",
    text: "invalid rewind time, you can get the vaild range of that via GetQueueAttributes",
    source: "D: RewindQueue page (sic); 10680 used twice",
  },
  tooManyBindingKeys: {
    ...invalid,
    moduleCode: 10680,
    text: "too many bindingKey",
    source: "D:err; 10680 used twice",
  },
  tooManyDelimiters: { ...invalid, moduleCode: 10691, text: "too many delimeters", source: "D:err (sic)" },
  delayOutOfRange: {
    ...invalid,
    moduleCode: 10692,
    grpc: "OUT_OF_RANGE",
    text: "delay seconds is out of range",
    source: "D:err, new page",
  },
  rewindExceedsRetention: {
    ...invalid,
    moduleCode: 10700,
    text: "rewindSeconds cannot be greater than msgRetentionSeconds",
    source: "D: RewindQueue page; 10700 used twice",
  },
  routingKeyMissing: {
    ...invalid,
    moduleCode: 10700,
    text: "parameters lack of routingKey",
    source: "D:err; 10700 used twice",
  },
  bindingKeyMissing: { ...invalid, moduleCode: 10710, text: "parameters lack of bindingKey", source: "D:err" },
  tooManyMessageTags: { ...invalid, moduleCode: 10720, text: "too many msgTag", source: "D:err" },
  deadLetterQueueNotFound: {
    ...invalid,
    moduleCode: 10730,
    http: 404,
    grpc: "NOT_FOUND",
    sqs: "AWS.SimpleQueueService.NonExistentQueue",
    text: "deadLetter queue not exist",
    source: "D: UnbindDeadLetterQueue page",
  },

  // --- Who asks: code 4100 ------------------------------------------------------------------------------
  authenticationFailed: {
    ...unauthenticated,
    moduleCode: 10030,
    sqs: "SignatureDoesNotMatch",
    text: "authentication failed",
    source: "D:err",
  },
  connectionNotAuthenticated: {
    ...unauthenticated,
    moduleCode: 10031,
    text: "connection is not authenticated",
    source: "D:err; TCP result 306",
  },
  connectionAlreadyAuthenticated: {
    ...unauthenticated,
    moduleCode: 10032,
    text: "connection is already authenticated",
    source: "D:err; TCP result 307",
  },
  secretIdDisabled: { ...unauthenticated, moduleCode: 10080, text: "secret id status error", source: "D:err" },
  secretIdUnknown: { ...unauthenticated, moduleCode: 10270, text: "secret id is not existed", source: "D:err" },

  // --- Limits, names and handles: codes 4400 to 4510 ----------------------------------------------------
  messageTooLarge: {
    ...invalid,
    code: 4400,
    moduleCode: 10230,
    http: 413,
    text: "exceed maximum message size",
    source: "D:err",
  },
  queueHeapFull: {
    ...throttled,
    code: 4410,
    moduleCode: 10240,
    sqs: "OverLimit",
    text: "reach maximum retention number of message",
    source: "D:err; maxMsgHeapNum",
  },
  overloaded: { ...throttled, code: 4420, moduleCode: 10250, text: "qps throttling", source: "D:err" },
  receiptHandleInvalid: {
    ...invalid,
    code: 4430,
    moduleCode: 10260,
    http: 404,
    grpc: "NOT_FOUND",
    sqs: "ReceiptHandleIsInvalid",
    text: "receipt handle is invalid",
    source: "D:err; wrong or expired",
  },
  queueNotFound: { ...notFound, moduleCode: 10100, text: "queue is not existed, or deleted", source: "D:err, X" },
  subscriptionNotFound: {
    ...notFound,
    moduleCode: 10560,
    text: "subscription is not existed, or deleted",
    source: "X: module code only; public code and text (?)",
  },
  topicNotFound: { ...notFound, moduleCode: 10600, text: "topic is not existed, or deleted", source: "D:err" },
  queueLimitReached: {
    ...limitReached,
    code: 4450,
    moduleCode: 10220,
    text: "number of queues has reached the limit",
    source: "D:err",
  },
  topicLimitReached: {
    ...limitReached,
    code: 4450,
    moduleCode: 10610,
    text: "number of topics has reached the limit",
    source: "D:err",
  },
  queueAlreadyExists: {
    ...alreadyExists,
    code: 4460,
    moduleCode: 10210,
    text: "queue is already existed",
    source: "D:err, X",
  },
  topicAlreadyExists: {
    ...alreadyExists,
    code: 4460,
    moduleCode: 10550,
    text: "topic is already existed",
    source: "D:err",
  },
  batchTooLarge: {
    ...invalid,
    code: 4470,
    moduleCode: 10300,
    http: 413,
    sqs: "AWS.SimpleQueueService.BatchRequestTooLong",
    text: "total message size exceed 1MB",
    source: "D:err",
  },
  adminThrottled: {
    ...throttled,
    code: 4480,
    moduleCode: 10460,
    text: "exceed interface frequency limit, please slow down",
    source: "D:err; administration calls",
  },
  subscriptionAlreadyExists: {
    ...alreadyExists,
    code: 4490,
    moduleCode: 10470,
    text: "subscribtion is already existed",
    source: "D:err (sic)",
  },
  messageIdInvalid: {
    ...invalid,
    code: 4490,
    moduleCode: 10770,
    text: "message id is invalid",
    source: "D:err; transactions",
  },
  messageOperationNotAllowed: {
    ...invalid,
    code: 4490,
    moduleCode: 10780,
    http: 409,
    grpc: "FAILED_PRECONDITION",
    text: "message operation is not allowed",
    source: "D:err; transactions",
  },
  transactionNotSupported: {
    ...invalid,
    code: 4490,
    moduleCode: 10790,
    http: 409,
    grpc: "FAILED_PRECONDITION",
    text: "transaction message is not supported",
    source: "D:err; transactions",
  },
  subscriptionLimitReached: {
    ...limitReached,
    code: 4500,
    moduleCode: 10480,
    text: "number of subscription has reached the limit",
    source: "D:err",
  },
  endpointHasBlanks: {
    ...invalid,
    code: 4510,
    moduleCode: 10570,
    text: "url connot contain any blank characters",
    source: "D:err (sic)",
  },

  // --- The service: codes 6000 to 7000 ------------------------------------------------------------------
  internal: { ...internalFailure, moduleCode: 10050, text: "server internal error", source: "D:err" },
  sendFailed: { ...internalFailure, moduleCode: 10090, text: "send message failed", source: "D:err" },
  receiveFailed: { ...internalFailure, moduleCode: 10130, text: "recieve message failed", source: "D:err (sic)" },
  deleteMessageFailed: { ...internalFailure, moduleCode: 10140, text: "delete message failed", source: "D:err" },
  getQueueAttributesFailed: {
    ...internalFailure,
    moduleCode: 10160,
    outcome: "notApplied",
    text: "get queue attributes failed",
    source: "D:err",
  },
  setQueueAttributesFailed: {
    ...internalFailure,
    moduleCode: 10170,
    text: "set queue attributes failed",
    source: "D:err",
  },
  deleteQueueFailed: { ...internalFailure, moduleCode: 10180, text: "delete queue failed", source: "D:err" },
  listQueueFailed: {
    ...internalFailure,
    moduleCode: 10190,
    outcome: "notApplied",
    text: "list queue failed",
    source: "D:err",
  },
  deletePartiallyFailed: {
    ...invalid,
    code: 6010,
    moduleCode: 10150,
    http: 207,
    grpc: "ABORTED",
    sqs: "ReceiptHandleIsInvalid",
    outcome: "applied",
    text: "delete message partially failed",
    source: "D:err; errorList names those that failed, the others are deleted",
  },
  deleteFailed: {
    ...invalid,
    code: 6020,
    moduleCode: 10290,
    grpc: "FAILED_PRECONDITION",
    sqs: "ReceiptHandleIsInvalid",
    text: "batch delete message failed",
    source: "D:err; every handle failed, errorList says why",
  },
  topicHasNoSubscription: {
    ...invalid,
    code: 6030,
    moduleCode: 10650,
    http: 409,
    grpc: "FAILED_PRECONDITION",
    text: "topic has no subscription, please create a subscription before publishing message",
    source: "D:err",
  },
  noSubscriptionMatches: {
    ...invalid,
    code: 6030,
    moduleCode: 10730,
    http: 409,
    grpc: "FAILED_PRECONDITION",
    text: "no bindingKey or filterTag matches the routingKey or msgTag",
    source: "D:err (?)",
  },
  queueDeletedRecently: {
    ...throttled,
    code: 6040,
    moduleCode: 10660,
    http: 409,
    grpc: "FAILED_PRECONDITION",
    sqs: "AWS.SimpleQueueService.QueueDeletedRecently",
    text: "it will take some time to release resources of previous queue before you create a new one with the same name, please try later",
    source: "D:err",
  },
  topicDeletedRecently: {
    ...throttled,
    code: 6040,
    moduleCode: 10660,
    http: 409,
    grpc: "FAILED_PRECONDITION",
    text: "It will take some time to release resources of previous topic before you can create a new topic with the same name. Please try later.",
    source: "D:err; 10660 used twice",
  },
  transactionConfirmFailed: {
    ...invalid,
    code: 6040,
    moduleCode: 10750,
    http: 409,
    grpc: "ABORTED",
    text: "transaction confirmation failed",
    source: "D:err",
  },
  transactionConfirmPartiallyFailed: {
    ...invalid,
    code: 6040,
    moduleCode: 10760,
    http: 207,
    grpc: "ABORTED",
    outcome: "applied",
    text: "transaction confirmation partially failed",
    source: "D:err",
  },
  rewindNotEnabled: {
    ...invalid,
    code: 6050,
    moduleCode: 10670,
    http: 409,
    grpc: "FAILED_PRECONDITION",
    text: "your queue cannot be rewinded",
    source: "D:err",
  },
  tooManyFilters: {
    ...invalid,
    code: 6050,
    moduleCode: 10740,
    text: "too many filterTag or bindingKey",
    source: "D:err",
  },
  tooManyUnacked: {
    ...throttled,
    code: 6070,
    moduleCode: 10690,
    sqs: "OverLimit",
    text: "too many unacked(inactive) messages or delayed messages",
    source: "D:err, X; on receive",
  },
  tooManyDelayed: {
    ...throttled,
    code: 6070,
    moduleCode: 10690,
    sqs: "OverLimit",
    text: "too many unacked(inactive) messages or delayed messages",
    source: "D:err; OpenCMQ: on a send with delay",
  },
  tooManyHalfMessages: {
    ...throttled,
    code: 6070,
    moduleCode: 20040,
    sqs: "OverLimit",
    text: "too many half messages",
    source: "OpenCMQ",
  },
  noMessage: {
    code: 7000,
    moduleCode: 10200,
    http: 200,
    grpc: "OK",
    sqs: "",
    retriable: false,
    outcome: "notApplied",
    text: "no message",
    source: "D:err; a fact, not a failure: other faces answer an empty list",
  },

  // --- OpenCMQ's own, module codes from 20000 -----------------------------------------------------------
  notLeader: {
    ...unavailable,
    moduleCode: 20001,
    text: "this node is not the leader, leader is %s",
    source: "OpenCMQ",
  },
  noLeader: { ...unavailable, moduleCode: 20002, text: "no leader at present, please try again", source: "OpenCMQ" },
  unavailable: {
    ...unavailable,
    moduleCode: 20003,
    text: "service is not available at present, please try again",
    source: "OpenCMQ",
  },
  unknownOutcome: {
    ...unavailable,
    moduleCode: 20004,
    grpc: "UNKNOWN",
    outcome: "unknown",
    text: "outcome of the request is unknown, repeat it only with the same clientMessageId",
    source: "OpenCMQ",
  },
  shuttingDown: { ...unavailable, moduleCode: 20005, text: "this node is shutting down", source: "OpenCMQ" },
  diskFull: {
    ...unavailable,
    moduleCode: 20006,
    http: 507,
    grpc: "RESOURCE_EXHAUSTED",
    text: "disk space is low: sends are refused until space is free, receives and deletes go on",
    source: "OpenCMQ",
  },
  memberTooOld: {
    ...unavailable,
    moduleCode: 20009,
    text: "a node of the cluster runs an older version, or has not been met yet, and could not read this",
    source: "OpenCMQ",
  },
  requestExpired: {
    ...unauthenticated,
    code: 4200,
    moduleCode: 20010,
    sqs: "RequestExpired",
    text: "request has expired, Timestamp is more than %s seconds away from the server's time",
    source: "D:236/1718 (public code only)",
  },
  nonceReplayed: {
    ...unauthenticated,
    code: 4500,
    moduleCode: 20011,
    sqs: "RequestExpired",
    text: "request was received before, the same Nonce must not be used twice",
    source: "D:236/1718 (public code only)",
  },
  payloadTooLarge: {
    ...invalid,
    moduleCode: 20020,
    http: 413,
    text: "request of more than %s bytes",
    source: "OpenCMQ; faces without CMQ's text",
  },
  bodyUnreadable: {
    ...invalid,
    moduleCode: 20021,
    sqs: "InvalidMessageContents",
    text: "%s is not valid UTF-8",
    source: "OpenCMQ",
  },
  attributeInvalid: {
    ...invalid,
    moduleCode: 20022,
    text: "message attribute is invalid: %s",
    source: "OpenCMQ",
  },
  deadLetterQueueInUse: {
    ...invalid,
    moduleCode: 20030,
    http: 409,
    grpc: "FAILED_PRECONDITION",
    text: "queue is in use as a dead letter queue, please unbind it first",
    source: "D:dlq (the rule; numbers are OpenCMQ's)",
  },
  deadLetterPolicyInvalid: {
    ...invalid,
    moduleCode: 20031,
    text: "deadLetterPolicy is invalid: %s",
    source: "D:dlq (the rule; numbers are OpenCMQ's)",
  },
  deadLetterSourceLimit: {
    ...limitReached,
    code: 4000,
    moduleCode: 20032,
    text: "number of source queues of the dead letter queue has reached the limit",
    source: "D:dlq (the rule; numbers are OpenCMQ's)",
  },
  accountNameInvalid: { ...invalid, moduleCode: 20060, text: "account name format error", source: "OpenCMQ" },
  permissionInvalid: { ...invalid, moduleCode: 20061, text: "permission is invalid: %s", source: "OpenCMQ" },
  keyNotFound: {
    ...notFound,
    moduleCode: 20062,
    sqs: SQS_INVALID,
    text: "key pair is not existed, or revoked",
    source: "OpenCMQ",
  },
  keyAlreadyExists: {
    ...alreadyExists,
    code: 4460,
    moduleCode: 20063,
    text: "key pair is already existed",
    source: "OpenCMQ",
  },
  keyLimitReached: {
    ...limitReached,
    code: 4450,
    moduleCode: 20064,
    text: "number of key pairs has reached the limit",
    source: "OpenCMQ",
  },
  accountKeyLimitReached: {
    ...limitReached,
    code: 4450,
    moduleCode: 20065,
    text: "an account has two key pairs at most, please revoke one of them first",
    source: "OpenCMQ",
  },
  masterKeyMissing: {
    ...invalid,
    moduleCode: 20066,
    http: 409,
    grpc: "FAILED_PRECONDITION",
    text: "key pairs cannot be kept: this node has no master key (option masterKey)",
    source: "OpenCMQ",
  },
  messageNotFound: {
    ...notFound,
    moduleCode: 20033,
    sqs: SQS_INVALID,
    text: "message is not existed, or deleted",
    source: "OpenCMQ",
  },
  redriveRunning: {
    ...invalid,
    moduleCode: 20050,
    http: 409,
    grpc: "FAILED_PRECONDITION",
    text: "a redrive of this queue is running, please wait or cancel it",
    source: "OpenCMQ",
  },
  redriveNotRunning: {
    ...invalid,
    moduleCode: 20051,
    http: 409,
    grpc: "FAILED_PRECONDITION",
    text: "no redrive of this queue is running",
    source: "OpenCMQ",
  },
  redriveTargetInvalid: {
    ...invalid,
    moduleCode: 20052,
    text: "the target of a redrive is not existed, or is the queue itself",
    source: "OpenCMQ",
  },
  redriveSourceInvalid: {
    ...invalid,
    moduleCode: 20053,
    text: "the source queue that a redrive is to be limited to is not existed",
    source: "OpenCMQ",
  },
  redriveNotFound: {
    ...notFound,
    moduleCode: 20054,
    sqs: SQS_INVALID,
    text: "there was no redrive of this queue",
    source: "OpenCMQ",
  },
} as const satisfies Record<string, ErrorRow>

/** Name of an error: what the broker's core returns and what the SDK's errors carry. */
export type ErrorName = keyof typeof ERRORS

/** Longest argument that `errorText` writes out, in UTF-16 units: a refusal must not echo a megabyte. */
export const ERROR_ARGUMENT_LENGTH_MAX = 256

/**
 * The row of an error, widened to `ErrorRow` so that a caller can compare its fields freely. O(1).
 */
export function errorRow(name: ErrorName): ErrorRow {
  return ERRORS[name]
}

/**
 * The text of a reply in CMQ's form: `(10200)no message`.
 *
 * Each `%s` takes the next argument, cut to `ERROR_ARGUMENT_LENGTH_MAX`; a missing one is left out, one too
 * many is ignored. Programs parse the number in the first brackets. Source: cmq-api.md §0.10.
 */
export function errorText(name: ErrorName, ...args: readonly (string | number)[]): string {
  const row: ErrorRow = ERRORS[name]
  let next = 0
  const text = row.text.replaceAll("%s", () => clip(String(args[next++] ?? "")))
  return `(${String(row.moduleCode)})${text}`
}

function clip(argument: string): string {
  if (argument.length <= ERROR_ARGUMENT_LENGTH_MAX) return argument
  return `${argument.slice(0, ERROR_ARGUMENT_LENGTH_MAX)}...`
}

/**
 * The module code in a reply's text: the number in its first brackets when the text begins with them.
 *
 * @returns undefined when there is none, as in the page's examples for BatchDeleteMessage.
 */
export function moduleCodeOf(text: string): number | undefined {
  const digits = /^\((\d{1,9})\)/.exec(text.trimStart())?.[1]
  return digits === undefined ? undefined : Number(digits)
}

/**
 * The name of the error that a reply carries: the way back from numbers to the table. O(1).
 *
 * The module code decides and the public code settles the module codes that CMQ uses twice (10470, 10670,
 * 10730). A module code under another public code is still recognised, because the new gateway puts 4000 where
 * the old one put 4440 or 4460 (cmq-api.md §4). Without a known module code the first row of the public code is taken.
 *
 * @param code - `code` of the reply.
 * @param moduleCode - from `moduleCodeOf(message)`; undefined when the text has none.
 * @returns undefined when neither number is known; the caller then has a code that is not in the table.
 */
export function errorByCode(code: number, moduleCode: number | undefined): ErrorName | undefined {
  if (moduleCode === undefined) return NAMES_BY_CODE.get(code)?.[0]
  const names = NAMES_BY_PAIR.get(pairKey(code, moduleCode)) ?? NAMES_BY_MODULE_CODE.get(moduleCode)
  return (names ?? NAMES_BY_CODE.get(code))?.[0]
}

/**
 * As `errorByCode`, from a whole reply: where CMQ gives two errors the same two numbers (4000 with 10680 and 10700), the words
 * tell them apart, unless those are the same too (6070 with 10690).
 *
 * @param message - `message` of the reply, the module code in its first brackets.
 */
export function errorByReply(code: number, message: string): ErrorName | undefined {
  const moduleCode = moduleCodeOf(message)
  const names = moduleCode === undefined ? [] : (NAMES_BY_PAIR.get(pairKey(code, moduleCode)) ?? [])
  return names.find((name) => hasWordsOf(message, name)) ?? errorByCode(code, moduleCode)
}

/** Whether the message has the row's words, in their order. Arguments may stand between them, and more behind. */
function hasWordsOf(message: string, name: ErrorName): boolean {
  let at = 0
  return ERRORS[name].text.split("%s").every((words) => {
    const found = message.indexOf(words, at)
    at = found + words.length
    return found >= 0
  })
}

/** Both codes in one number: module codes have at most five digits. */
function pairKey(code: number, moduleCode: number): number {
  return code * 1_000_000 + moduleCode
}

/** Every error name, in the order of the table. */
export const ERROR_NAMES = Object.keys(ERRORS) as readonly ErrorName[]

const NAMES_BY_PAIR = indexNames((row) => pairKey(row.code, row.moduleCode))
const NAMES_BY_MODULE_CODE = indexNames((row) => row.moduleCode)
const NAMES_BY_CODE = indexNames((row) => row.code)

/** The first of a list wins, so the order of the table settles what CMQ left ambiguous. */
function indexNames(keyOf: (row: ErrorRow) => number): ReadonlyMap<number, readonly ErrorName[]> {
  const lists = new Map<number, ErrorName[]>()
  for (const name of ERROR_NAMES) {
    const key = keyOf(ERRORS[name])
    const names = lists.get(key)
    if (names === undefined) lists.set(key, [name])
    else names.push(name)
  }
  return lists
}
