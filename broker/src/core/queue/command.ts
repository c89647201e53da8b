/**
 * Every replicated command of the queue machine, as plain tagged data.
 *
 * The hot ones (`sendMessages`, `receiveMessages`, `deleteMessages`, `changeVisibility`) hold parallel arrays that the
 * decoder (`codec/command-codec.ts`) reuses from command to command: whoever gets one must not keep it. A message is
 * known to the machine only by the position of its record in the log; its body never comes here.
 */

/** Rises by one with each queue, topic, subscription and key pair created in a set; never used twice. */
export type QueueId = number
export type TopicId = number
/** Also the id of the queue that holds what waits for the subscription. */
export type SubscriptionId = number
export type KeyId = number

/** All lengths of time in milliseconds. Ranges are checked at the edge by `@opencmq/proto` limits and asserted here. */
export interface QueueAttributes {
  /** Most unconsumed messages (active + inactive + delayed + half). */
  readonly maxMsgHeapCount: number
  readonly pollingWaitMs: number
  readonly visibilityTimeoutMs: number
  readonly maxMsgBytes: number
  readonly msgRetentionMs: number
  /** 0 = rewind off. */
  readonly rewindMs: number
  readonly deadLetterPolicy: DeadLetterPolicy | undefined
}

/** CMQ policy 0 and policy 1. */
export type DeadLetterPolicy =
  | { readonly kind: "maxReceiveCount"; readonly deadLetterQueue: string; readonly maxReceiveCount: number }
  | { readonly kind: "maxTimeToLive"; readonly deadLetterQueue: string; readonly maxTimeToLiveMs: number }

export interface CreateQueue {
  readonly kind: "createQueue"
  readonly queueName: string
  readonly attributes: QueueAttributes
}

export interface SetQueueAttributes {
  readonly kind: "setQueueAttributes"
  readonly queueName: string
  /** Only what is present changes. `deadLetterPolicy: null` unbinds. */
  readonly change: Partial<Omit<QueueAttributes, "deadLetterPolicy">> & {
    readonly deadLetterPolicy?: DeadLetterPolicy | null
  }
}

export interface DeleteQueue {
  readonly kind: "deleteQueue"
  readonly queueName: string
}

/** Drops every message of the queue, whatever its state. */
export interface ClearQueue {
  readonly kind: "clearQueue"
  readonly queueName: string
}

export interface RewindQueue {
  readonly kind: "rewindQueue"
  readonly queueName: string
  /** Messages produced at or after this time and deleted since become active again. Unix ms. */
  readonly startConsumeAtMs: number
}

/** Takes this queue's own dead-letter policy away (D:406/42621: the name is that of the source). */
export interface UnbindDeadLetterQueue {
  readonly kind: "unbindDeadLetterQueue"
  readonly queueName: string
}

/** By which a topic's subscriptions choose; fixed for the life of the topic. CMQ filterType 1 and 2. */
export type FilterType = "tags" | "bindingKeys"

export interface TopicAttributes {
  readonly maxMsgBytes: number
  readonly filterType: FilterType
  /** How long a message waits for its subscriptions. */
  readonly msgRetentionMs: number
}

export interface CreateTopic {
  readonly kind: "createTopic"
  readonly topicName: string
  readonly attributes: TopicAttributes
}

export interface SetTopicAttributes {
  readonly kind: "setTopicAttributes"
  readonly topicName: string
  /** Only what is present changes. */
  readonly change: Partial<Omit<TopicAttributes, "filterType">>
}

/** Refused while the topic has subscriptions. */
export interface DeleteTopic {
  readonly kind: "deleteTopic"
  readonly topicName: string
}

/** Where a subscription's messages go: into a queue, or to an address by HTTP POST. */
export type Endpoint =
  { readonly kind: "queue"; readonly queueName: string } | { readonly kind: "http"; readonly url: string }

/** CMQ's BACKOFF_RETRY and EXPONENTIAL_DECAY_RETRY. */
export type NotifyStrategy = "backoff" | "exponentialDecay"

export type NotifyContentFormat = "json" | "simplified"

/** What of a subscription can be changed. */
export interface SubscriptionAttributes {
  readonly notifyStrategy: NotifyStrategy
  readonly notifyContentFormat: NotifyContentFormat
  /** At most 5, for a topic that filters by tags; empty = every message. */
  readonly filterTags: readonly string[]
  /** At most 5, for a topic that filters by binding keys; empty = no message. */
  readonly bindingKeys: readonly string[]
}

export interface Subscribe {
  readonly kind: "subscribe"
  readonly topicName: string
  readonly subscriptionName: string
  readonly endpoint: Endpoint
  readonly attributes: SubscriptionAttributes
}

export interface SetSubscriptionAttributes {
  readonly kind: "setSubscriptionAttributes"
  readonly topicName: string
  readonly subscriptionName: string
  /** Only what is present changes; `filterTags: []` = CMQ's ClearSubscriptionFilterTags. */
  readonly change: Partial<SubscriptionAttributes>
}

/** With everything that waits for the subscription. */
export interface Unsubscribe {
  readonly kind: "unsubscribe"
  readonly topicName: string
  readonly subscriptionName: string
}

/** A key pair of an account; an account is what has keys. */
export interface CreateKey {
  readonly kind: "createKey"
  readonly secretId: string
  readonly accountName: string
  /** Each as `send:queue:orders-*`; what they mean is the node's business. */
  readonly permissions: readonly string[]
  /** The SecretKey under the master key; no replica can read it without. */
  readonly sealedSecret: string
}

/** Another key for the same account with the same permissions; the first one stays. */
export interface RotateKey {
  readonly kind: "rotateKey"
  readonly secretId: string
  readonly newSecretId: string
  readonly sealedSecret: string
}

/** The key is gone for good. */
export interface RevokeKey {
  readonly kind: "revokeKey"
  readonly secretId: string
}

/** Nothing but time: the leader proposes it when the machine's next deadline has come. */
export interface Expire {
  readonly kind: "expire"
}

/** One request of 1 to 16 messages; all or none are stored. */
export interface SendMessages {
  readonly kind: "sendMessages"
  queueId: QueueId
  count: number
  /** Where each message record lies in the data of this entry. */
  readonly recordOffsets: number[]
  readonly recordLengths: number[]
  readonly bodyLengths: number[]
  /** Number of the message within the entry: with the entry index it makes the message id. */
  readonly ordinals: number[]
  readonly delaysMs: number[]
  /** Client message id as 128 bits (four 32-bit words each, 4 x count numbers); meaningful where `hasClientId[i]`. */
  readonly clientIdWords: number[]
  readonly hasClientId: boolean[]
}

/** One request of 1 to 16 half messages; all or none are stored. Arrays as in `SendMessages`; delays mean nothing. */
export interface PrepareMessages {
  readonly kind: "prepareMessages"
  readonly messages: SendMessages
  /** From sending to the first query; the gaps behind it double. */
  firstQueryIntervalMs: number
  /** After so many queries, and one more gap, a half message is rolled back. */
  maxQueryCount: number
}

/** What the producer of half messages decided. */
export interface ConfirmMessages {
  readonly kind: "confirmMessages"
  queueId: QueueId
  count: number
  /** With the set, these two are the message id. */
  readonly entryIndexes: number[]
  readonly ordinals: number[]
  /** False = rolled back. */
  readonly isCommit: boolean[]
}

export interface ReceiveMessages {
  readonly kind: "receiveMessages"
  queueId: QueueId
  /** 1 to 16 for CMQ; up to 256 for streaming faces. */
  maxCount: number
  /** -1 = the queue's own. */
  visibilityTimeoutMs: number
}

export interface DeleteMessages {
  readonly kind: "deleteMessages"
  queueId: QueueId
  count: number
  /** A receipt handle is a slot (24 bits) and the number of the delivery (40 bits). */
  readonly slots: number[]
  readonly deliveryNumbers: number[]
}

export interface ChangeVisibility {
  readonly kind: "changeVisibility"
  queueId: QueueId
  count: number
  readonly slots: number[]
  readonly deliveryNumbers: number[]
  /** From now; 0 = active again at once. */
  visibilityTimeoutMs: number
}

/** One request of 1 to 16 messages to a topic; all or none are stored. Arrays as in `SendMessages`, without delays. */
export interface PublishMessages {
  readonly kind: "publishMessages"
  /** Its `queueId` is the topic's id. */
  readonly messages: SendMessages
  readonly tags: (readonly string[])[]
  /** "" = none. */
  readonly routingKeys: string[]
}

/** What became of pushing messages to a subscription's address. Results that came too late change nothing. */
export interface ReportPush {
  readonly kind: "reportPush"
  subscriptionId: SubscriptionId
  /** Every message up to this sequence was taken. */
  deliveredThrough: number
  /** The message that was refused after those; 0 = none. */
  failedSequence: number
}

/** Which messages of a queue come out of it, where to and how fast. */
export interface RedriveOrder {
  /** "" = each message to the queue it came from. */
  readonly targetQueueName: string
  /** Only those that came from this queue; "" = all. */
  readonly sourceQueueName: string
  /** Only those that came into the queue then, Unix ms: from (included) until (not included). */
  readonly enqueuedFromMs: number
  readonly enqueuedUntilMs: number
  readonly messagesPerSecond: number
}

/** Starts the task that moves dead letters (`redrive.ts`). */
export interface StartRedrive {
  readonly kind: "startRedrive"
  /** The queue whose messages are moved. */
  readonly queueName: string
  readonly order: RedriveOrder
}

export interface CancelRedrive {
  readonly kind: "cancelRedrive"
  readonly queueName: string
}

export type Command =
  | CreateQueue
  | SetQueueAttributes
  | DeleteQueue
  | ClearQueue
  | RewindQueue
  | UnbindDeadLetterQueue
  | CreateTopic
  | SetTopicAttributes
  | DeleteTopic
  | Subscribe
  | SetSubscriptionAttributes
  | Unsubscribe
  | CreateKey
  | RotateKey
  | RevokeKey
  | Expire
  | SendMessages
  | PrepareMessages
  | ConfirmMessages
  | ReceiveMessages
  | DeleteMessages
  | ChangeVisibility
  | PublishMessages
  | ReportPush
  | StartRedrive
  | CancelRedrive
