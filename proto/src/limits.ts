/**
 * THE limits table: every public limit, range and default of OpenCMQ, one row a name.
 *
 * A request outside a range is refused at the edge, before anything is proposed; the queue machine asserts the
 * same ranges again. Rows with `isConfigurable` are options of the broker, by the same name; a quota without an option
 * has its default. Names end in their unit. docs/limits.md is made from this table, and a test compares the two.
 */

/** Units of the limits table; times are whole seconds, as on CMQ's wire. */
export type LimitUnit = "bytes" | "characters" | "count" | "s" | "Unix s" | "number"

/** One row of the limits table. */
export type LimitRow = Readonly<{
  /** Lowest value that is accepted. */
  min: number
  /** Highest value that is accepted. */
  max: number
  /** Value when none is given; absent when there is no such thing. */
  default?: number
  unit: LimitUnit
  /** Whether it is an option of the broker (broker/src/options.ts), so that an operator may choose within min..max. */
  isConfigurable: boolean
  /** What is limited, and what happens at the limit. */
  meaning: string
  /** Where the figures come from; marks as in cmq-api.md, or `OpenCMQ`. `(?)` = not certain. */
  source: string
}>

const MIB = 1_048_576

/** Every limit, by name. The order is that of docs/limits.md. */
export const LIMITS = {
  // --- Queues ---------------------------------------------------------------------------------------------
  queueNameLength: {
    min: 1,
    max: 64,
    unit: "characters",
    isConfigurable: false,
    meaning: "Name of a queue: a letter, then letters, digits, `-`, `_`. Otherwise queueNameInvalid.",
    source: "D; `_`: D:1496",
  },
  queuesPerAccountCount: {
    min: 1,
    max: 100_000,
    default: 10_000,
    unit: "count",
    isConfigurable: true,
    meaning: "Queues in a cluster. One more: queueLimitReached.",
    source: "D:limits (old CMQ: 1,000, D:faq)",
  },
  queueRecreateWaitSeconds: {
    min: 0,
    max: 60,
    default: 10,
    unit: "s",
    isConfigurable: true,
    meaning: "After DeleteQueue the same name is refused for so long: queueDeletedRecently.",
    source: "D:err, old page (new page: 30)",
  },
  maxMsgHeapNum: {
    min: 1_000_000,
    max: 1_000_000_000,
    default: 100_000_000,
    unit: "count",
    isConfigurable: false,
    meaning: "Messages that a queue keeps undeleted, whatever their state. One more: queueHeapFull.",
    source: "D: CreateQueue",
  },
  pollingWaitSeconds: {
    min: 0,
    max: 30,
    default: 0,
    unit: "s",
    isConfigurable: false,
    meaning: "How long a receive waits for a first message. Then: noMessage. Absent in a receive: the queue's.",
    source: "D: CreateQueue, ReceiveMessage",
  },
  visibilityTimeoutSeconds: {
    min: 1,
    max: 43_200,
    default: 30,
    unit: "s",
    isConfigurable: false,
    meaning: "How long a received message is hidden from others. Absent in a receive: the queue's.",
    source: "D: CreateQueue; in a receive: OpenCMQ",
  },
  changeVisibilitySeconds: {
    min: 0,
    max: 43_200,
    unit: "s",
    isConfigurable: false,
    meaning: "ChangeMessageVisibility, counted from now. 0 = give the message back at once.",
    source: "OpenCMQ",
  },
  maxMsgSizeBytes: {
    min: 1_024,
    max: MIB,
    default: 65_536,
    unit: "bytes",
    isConfigurable: false,
    meaning: "Attribute maxMsgSize: longest body that the queue takes. Longer: messageTooLarge.",
    source: "D: CreateQueue (max once 65,536)",
  },
  msgRetentionSeconds: {
    min: 60,
    max: 1_296_000,
    default: 345_600,
    unit: "s",
    isConfigurable: false,
    meaning: "How long a message lives, counted from its enqueue time, received or not.",
    source: "D: CreateQueue, D:life",
  },
  rewindSeconds: {
    min: 0,
    max: 1_296_000,
    default: 0,
    unit: "s",
    isConfigurable: false,
    meaning: "How long deleted messages can be rewound; 0 = off. Above msgRetentionSeconds: rewindExceedsRetention.",
    source: "D: CreateQueue, D:rewind",
  },
  startConsumeTime: {
    min: 0,
    max: 9_999_999_999,
    unit: "Unix s",
    isConfigurable: false,
    meaning:
      "RewindQueue: production time to go back to; the queue's own window is narrower. Otherwise rewindTimeInvalid.",
    source: "D: RewindQueue",
  },
  dryRun: {
    min: 0,
    max: 1,
    default: 0,
    unit: "number",
    isConfigurable: false,
    meaning: "RewindQueue and the like: 1 = tell what would be done, and change nothing.",
    source: "OpenCMQ",
  },
  inFlightPerQueueCount: {
    min: 1,
    max: 16_000_000,
    default: 1_000_000,
    unit: "count",
    isConfigurable: false,
    meaning: "Messages of a queue that are received and not deleted. A receive at the limit: tooManyUnacked.",
    source: "OpenCMQ; error 6070 is CMQ's, its figure is not known",
  },
  delayedPerQueueCount: {
    min: 1,
    max: 16_000_000,
    default: 1_000_000,
    unit: "count",
    isConfigurable: false,
    meaning: "Messages of a queue whose delay has not ended. A delayed send at the limit: tooManyDelayed.",
    source: "OpenCMQ (CMQ: 20,000, D:406/8128)",
  },
  halfMessagesPerQueueCount: {
    min: 1,
    max: 16_000_000,
    default: 100_000,
    unit: "count",
    isConfigurable: false,
    meaning: "Half messages of a queue that are not decided. One more: tooManyHalfMessages.",
    source: "OpenCMQ",
  },
  firstQueryIntervalSeconds: {
    min: 1,
    max: 43_200,
    default: 5,
    unit: "s",
    isConfigurable: false,
    meaning:
      "From the sending of a half message to the first query; the gaps behind it double, up to 600 s. Otherwise parameterOutOfRange.",
    source: "S:tcp (default); range: OpenCMQ",
  },
  maxQueryCount: {
    min: 1,
    max: 100,
    default: 15,
    unit: "count",
    isConfigurable: false,
    meaning: "Queries about a half message; one gap after the last it is rolled back. Otherwise parameterOutOfRange.",
    source: "OpenCMQ; the name is CMQ's (API 3.0)",
  },
  longPollsPerNodeCount: {
    min: 1,
    max: 1_000_000,
    default: 100_000,
    unit: "count",
    isConfigurable: false,
    meaning:
      "Requests of one node's own clients under way at once, waiting receives and whatever else. One more: overloaded.",
    source: "OpenCMQ",
  },
  listLimitCount: {
    min: 1,
    max: 100,
    default: 20,
    unit: "count",
    isConfigurable: false,
    meaning: "ListQueue and the like: rows of one reply.",
    source: "D: ListQueue (API 3.0 max 50)",
  },
  listOffset: {
    min: 0,
    max: 1_000_000,
    default: 0,
    unit: "number",
    isConfigurable: false,
    meaning: "ListQueue and the like: rows to leave out.",
    source: "D: ListQueue; max: OpenCMQ",
  },
  searchWordLength: {
    min: 0,
    max: 64,
    unit: "characters",
    isConfigurable: false,
    meaning: "ListQueue and the like: part of a name; empty = all.",
    source: "OpenCMQ: no name is longer",
  },

  // --- Messages -------------------------------------------------------------------------------------------
  batchCount: {
    min: 1,
    max: 16,
    unit: "count",
    isConfigurable: false,
    meaning: "Bodies, handles and the like in one batch. Otherwise parameterBatchSize.",
    source: "D: BatchSendMessage, BatchDeleteMessage",
  },
  streamBatchCount: {
    min: 1,
    max: 256,
    unit: "count",
    isConfigurable: false,
    meaning: "gRPC streams: messages of one batch, handles of one settlement. Otherwise parameterBatchSize.",
    source: "OpenCMQ: a frame costs as much as twenty messages",
  },
  consumeCreditsCount: {
    min: 0,
    max: 65_536,
    unit: "count",
    isConfigurable: false,
    meaning: "gRPC Consume: credits of one stream that are kept; what is above is cut off.",
    source: "OpenCMQ",
  },
  msgBodyBytes: {
    min: 1,
    max: MIB,
    unit: "bytes",
    isConfigurable: false,
    meaning: "One body, as UTF-8; the queue's maxMsgSize may be lower. Empty: messageEmpty, longer: messageTooLarge.",
    source: "D: SendMessage",
  },
  batchBodyBytes: {
    min: 1,
    max: MIB,
    unit: "bytes",
    isConfigurable: false,
    meaning: "All bodies of one batch together. More: batchTooLarge.",
    source: "D:err 4470 (older text: 64 KB)",
  },
  numOfMsg: {
    min: 1,
    max: 16,
    unit: "count",
    isConfigurable: false,
    meaning: "BatchReceiveMessage, PeekMessage: most messages of one reply.",
    source: "D: BatchReceiveMessage; peek: OpenCMQ",
  },
  delaySeconds: {
    min: 0,
    max: 3_600,
    default: 0,
    unit: "s",
    isConfigurable: false,
    meaning: "How long a sent message stays invisible. Otherwise delayOutOfRange.",
    source: "D: SendMessage",
  },
  receiptHandleLength: {
    min: 1,
    max: 256,
    unit: "characters",
    isConfigurable: false,
    meaning: "A receipt handle as text; OpenCMQ's own have at most 20 digits. Otherwise receiptHandleMalformed.",
    source: "S:go",
  },
  peekStartSeq: {
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    default: 0,
    unit: "number",
    isConfigurable: false,
    meaning: "PeekMessage: queue sequence to begin at; 0 = the oldest message.",
    source: "OpenCMQ",
  },

  searchScanCount: {
    min: 1,
    max: 100_000,
    default: 10_000,
    unit: "count",
    isConfigurable: false,
    meaning: "SearchMessage: messages that one request looks at; 64 MiB of them at most. Its nextSeq goes on.",
    source: "OpenCMQ",
  },
  searchTextLength: {
    min: 1,
    max: 1_024,
    unit: "characters",
    isConfigurable: false,
    meaning: "SearchMessage: part of a body, or value of an attribute.",
    source: "OpenCMQ",
  },

  // --- Message attributes and de-duplication ----------------------------------------------------------------
  attributesPerMessageCount: {
    min: 0,
    max: 16,
    unit: "count",
    isConfigurable: false,
    meaning: "Attributes of one message. More: parameterBatchSize.",
    source: "OpenCMQ",
  },
  attributeNameBytes: {
    min: 1,
    max: 256,
    unit: "bytes",
    isConfigurable: false,
    meaning: "Name of an attribute: letters, digits, `_`, `-`, `.`; each once a message. Otherwise attributeInvalid.",
    source: "OpenCMQ, as SQS",
  },
  attributeValueBytes: {
    min: 0,
    max: 8_192,
    unit: "bytes",
    isConfigurable: false,
    meaning: "Value of one attribute, decoded. More: attributeInvalid.",
    source: "OpenCMQ",
  },
  attributesTotalBytes: {
    min: 0,
    max: 16_384,
    unit: "bytes",
    isConfigurable: false,
    meaning: "Names and values of one message's attributes together; not part of maxMsgSize. More: attributeInvalid.",
    source: "OpenCMQ",
  },
  clientMessageIdBytes: {
    min: 1,
    max: 128,
    unit: "bytes",
    isConfigurable: false,
    meaning: "clientMessageId as UTF-8. Otherwise parameterOutOfRange.",
    source: "OpenCMQ",
  },
  deduplicationWindowSeconds: {
    min: 0,
    max: 3_600,
    default: 300,
    unit: "s",
    isConfigurable: true,
    meaning:
      "How long a client message id is remembered; a send with a known one stores nothing and answers with the first msgId.",
    source: "OpenCMQ (CMQ does not do this, D:dedup)",
  },
  deduplicationIdsPerSetCount: {
    min: 1_024,
    max: 16_777_216,
    default: 1_048_576,
    unit: "count",
    isConfigurable: false,
    meaning: "Client message ids remembered in one set; above it the oldest is forgotten first.",
    source: "OpenCMQ",
  },

  // --- Dead letters ---------------------------------------------------------------------------------------
  deadLetterPolicyKind: {
    min: 0,
    max: 1,
    default: 0,
    unit: "number",
    isConfigurable: false,
    meaning: "Field `policy`: 0 = after maxReceiveCount receives, 1 = when undeleted for maxTimeToLive.",
    source: "D:dlq",
  },
  maxReceiveCount: {
    min: 1,
    max: 1_000,
    unit: "count",
    isConfigurable: false,
    meaning: "Policy 0: receives without delete before a message is moved.",
    source: "D:dlq, SetQueueAttributes",
  },
  maxTimeToLiveSeconds: {
    min: 300,
    max: 43_200,
    unit: "s",
    isConfigurable: false,
    meaning: "Policy 1: age at which a message is moved; must be below msgRetentionSeconds.",
    source: "D:dlq, SetQueueAttributes",
  },
  redrivePerSecondCount: {
    min: 1,
    max: 50_000,
    default: 1_000,
    unit: "count",
    isConfigurable: false,
    meaning: "StartRedrive: messages moved in a second.",
    source: "OpenCMQ",
  },
  deadLetterSourcesCount: {
    min: 0,
    max: 6,
    unit: "count",
    isConfigurable: false,
    meaning: "Queues that one dead letter queue may serve. More: deadLetterSourceLimit.",
    source: "D:dlq",
  },

  // --- Requests -------------------------------------------------------------------------------------------
  requestRawBytes: {
    min: 65_536,
    max: 67_108_864,
    default: 4_194_304,
    unit: "bytes",
    isConfigurable: false,
    meaning:
      "Body of a POST as it is sent. CMQ's 1 MB counts decoded bodies; form encoding makes up to three bytes of each. More: requestTooLarge.",
    source: "OpenCMQ; D:faq2",
  },
  requestUriBytes: {
    min: 2_048,
    max: 1_048_576,
    default: 65_536,
    unit: "bytes",
    isConfigurable: false,
    meaning: "Request line of a GET. More: requestTooLarge.",
    source: "OpenCMQ (clients stop at 2,048, S:java,cpp)",
  },
  requestParametersCount: {
    min: 64,
    max: 4_096,
    default: 512,
    unit: "count",
    isConfigurable: false,
    meaning: "Parameters of one request, known or not. More: requestTooLarge.",
    source: "OpenCMQ",
  },
  timestampWindowSeconds: {
    min: 1,
    max: 86_400,
    default: 7_200,
    unit: "s",
    isConfigurable: true,
    meaning:
      "How far Timestamp may be from the server's time, either way; the option also takes 0 = not looked at. Otherwise requestExpired.",
    source: "D:236/1718",
  },
  nonceWindowSeconds: {
    min: 1,
    max: 86_400,
    default: 300,
    unit: "s",
    isConfigurable: false,
    meaning:
      "How long a signed request is remembered by the node that took it: so long at least, twice that at most. An exact copy within it: nonceReplayed.",
    source: "OpenCMQ (ADR 0013); rule: D:236/1718",
  },
  nonceCacheCount: {
    min: 1_024,
    max: 16_777_216,
    default: 6_000_000,
    unit: "count",
    isConfigurable: false,
    meaning: "Requests of one key remembered at one node in one window. One more: overloaded.",
    source: "OpenCMQ",
  },
  nonceLength: {
    min: 1,
    max: 20,
    unit: "characters",
    isConfigurable: false,
    meaning: "Nonce, digits only; kept as text, since Python sends up to 2^63-1.",
    source: "S:py; max: a uint64",
  },
  timestamp: {
    min: 0,
    max: 9_999_999_999,
    unit: "Unix s",
    isConfigurable: false,
    meaning: "Timestamp of a request.",
    source: "D:common",
  },

  // --- CMQ's TCP protocol -----------------------------------------------------------------------------------
  tcpFrameBytes: {
    min: 6,
    max: 4 * MIB,
    unit: "bytes",
    isConfigurable: false,
    meaning: "One frame, its header too. More: the connection is closed.",
    source: "OpenCMQ: as requestRawBytes, so that a body that is too long gets its refusal",
  },
  tcpStrangerFrameBytes: {
    min: 6,
    max: 65_536,
    unit: "bytes",
    isConfigurable: false,
    meaning: "One frame before the connection is authenticated. More: the connection is closed.",
    source: "OpenCMQ",
  },
  tcpValuesPerFrameCount: {
    min: 0,
    max: 256,
    unit: "count",
    isConfigurable: false,
    meaning: "Bodies, texts and handles in one frame, wherever. More: the connection is closed.",
    source: "OpenCMQ: 16 are refused politely, a million would cost memory",
  },
  tcpRequestsPerConnectionCount: {
    min: 1,
    max: 1_024,
    unit: "count",
    isConfigurable: false,
    meaning: "Requests of one connection without a reply yet. One more: overloaded.",
    source: "OpenCMQ (the Java client has 16 pulls under way)",
  },
  tcpBacklogBytes: {
    min: 0,
    max: 8 * MIB,
    unit: "bytes",
    isConfigurable: false,
    meaning: "Replies that a client has not taken. One more reply: the connection is cut, its messages are given back.",
    source: "OpenCMQ",
  },
  tcpStallSeconds: {
    min: 1,
    max: 30,
    unit: "s",
    isConfigurable: false,
    meaning: "How long a client may take nothing of the replies that wait for it. Then the connection is cut.",
    source: "OpenCMQ",
  },
  tcpAuthenticationSeconds: {
    min: 1,
    max: 10,
    unit: "s",
    isConfigurable: false,
    meaning: "How long a connection may be unauthenticated. Then it is closed.",
    source: "OpenCMQ",
  },
  tcpIdleSeconds: {
    min: 1,
    max: 60,
    unit: "s",
    isConfigurable: false,
    meaning: "How long nothing may come over a connection, heartbeats too. Then it is closed.",
    source: "OpenCMQ (the Java client sends a heartbeat after 3 s)",
  },

  // --- Topics and subscriptions ------------------------------------------------------------------------------
  topicNameLength: {
    min: 1,
    max: 64,
    unit: "characters",
    isConfigurable: false,
    meaning: "Name of a topic or a subscription, by the rule of queue names.",
    source: "D; D:1496",
  },
  topicsPerAccountCount: {
    min: 1,
    max: 100_000,
    default: 10_000,
    unit: "count",
    isConfigurable: false,
    meaning: "Topics in a cluster. One more: topicLimitReached.",
    source: "D:limits (old CMQ: 1,000, D:faq)",
  },
  subscriptionsPerTopicCount: {
    min: 1,
    max: 10_000,
    default: 500,
    unit: "count",
    isConfigurable: true,
    meaning: "Subscriptions of a topic. One more: subscriptionLimitReached.",
    source: "D:err (first 100, TDMQ 1,000)",
  },
  topicRetentionSeconds: {
    min: 60,
    max: 86_400,
    default: 86_400,
    unit: "s",
    isConfigurable: false,
    meaning: "How long a topic's message lives.",
    source: "D: GetTopicAttributes; D:tag",
  },
  tagsCount: {
    min: 0,
    max: 5,
    unit: "count",
    isConfigurable: false,
    meaning: "msgTag of a message, filterTag or bindingKey of a subscription. More: tooManyMessageTags and its like.",
    source: "D: PublishMessage, Subscribe",
  },
  tagLength: {
    min: 1,
    max: 16,
    unit: "characters",
    isConfigurable: false,
    meaning: "One tag.",
    source: "D: PublishMessage, Subscribe",
  },
  filterType: {
    min: 1,
    max: 2,
    default: 1,
    unit: "count",
    isConfigurable: false,
    meaning: "filterType of a topic: 1 = tags, 2 = binding keys.",
    source: "D: CreateTopic",
  },
  subscriptionListLimitCount: {
    min: 0,
    max: 100,
    default: 20,
    unit: "count",
    isConfigurable: false,
    meaning: "limit of ListSubscriptionByTopic.",
    source: "D: ListSubscriptionByTopic",
  },
  routingKeyBytes: {
    min: 1,
    max: 64,
    unit: "bytes",
    isConfigurable: false,
    meaning: "A routing key or a binding key.",
    source: "D: PublishMessage, Subscribe",
  },
  routingKeyDelimitersCount: {
    min: 0,
    max: 15,
    unit: "count",
    isConfigurable: false,
    meaning: "Dots in a routing key or a binding key. More: tooManyDelimiters.",
    source: "D: PublishMessage, Subscribe",
  },
  endpointLength: {
    min: 1,
    max: 500,
    unit: "characters",
    isConfigurable: false,
    meaning: "Endpoint of a subscription: an http:// address without blanks, or a queue name.",
    source: "D: Subscribe",
  },

  // --- Access ---------------------------------------------------------------------------------------------
  keysPerClusterCount: {
    min: 0,
    max: 1_000,
    default: 1_000,
    unit: "count",
    isConfigurable: false,
    meaning: "Key pairs kept in a cluster. More: keyLimitReached.",
    source: "OpenCMQ",
  },
  keysPerAccountCount: {
    min: 0,
    max: 2,
    default: 2,
    unit: "count",
    isConfigurable: false,
    meaning: "Key pairs of one account: one, and the one that replaces it. More: accountKeyLimitReached.",
    source: "OpenCMQ",
  },
  permissionsPerKeyCount: {
    min: 1,
    max: 16,
    unit: "count",
    isConfigurable: false,
    meaning: "Permissions of one key pair.",
    source: "OpenCMQ",
  },
  secretIdLength: {
    min: 1,
    max: 128,
    unit: "characters",
    isConfigurable: false,
    meaning: "A SecretId.",
    source: "OpenCMQ",
  },
} as const satisfies Record<string, LimitRow>

/** Name of a limit. */
export type LimitName = keyof typeof LIMITS

/** Every limit's name, in the order of the table. */
export const LIMIT_NAMES = Object.keys(LIMITS) as readonly LimitName[]

/** The row of a limit, widened to `LimitRow` so that a caller can ask for a default that may be absent. O(1). */
export function limitRow(name: LimitName): LimitRow {
  return LIMITS[name]
}

/** Whether a whole number lies within a limit, both ends included. A fraction never does. O(1). */
export function isWithin(limit: Readonly<{ min: number; max: number }>, value: number): boolean {
  return Number.isInteger(value) && value >= limit.min && value <= limit.max
}

/**
 * Names of queues, topics and subscriptions: 1 to 64 characters, first a letter, then letters, digits, `-`, `_`.
 *
 * Old CMQ knows no `_`, TDMQ does; the wider rule is taken. TDMQ's reserved endings `-retry` and `-dlq` are not
 * reserved here. Source: cmq-api.md §3.
 */
export const NAME_PATTERN = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/

/** Whether a text may name a queue. Otherwise the refusal is `queueNameInvalid`. */
export function isQueueName(text: string): boolean {
  return NAME_PATTERN.test(text)
}

/**
 * The form in which two names are compared: ASCII letters in lower case.
 *
 * CMQ says "queue is already existed,case insensitive": `Orders` and `orders` cannot both exist; requests
 * reach the one that does by its own spelling only. Source: D:err, D:1496.
 *
 * @param name - one that matches `NAME_PATTERN`, so that lower case is the same in every locale.
 */
export function foldName(name: string): string {
  return name.toLowerCase()
}

/** Names of message attributes: letters, digits, `_`, `-`, `.`; the length is `attributeNameBytes`. Source: OpenCMQ, as SQS. */
export const ATTRIBUTE_NAME_PATTERN = /^[A-Za-z0-9_.-]{1,256}$/
