/**
 * The use cases of a broker as plain data: what every face (HTTP, gRPC, ...) asks of the node, and what it gets back.
 *
 * A request can be carried out by the leader of the set or sent to it by any other node; both sides see the same
 * values, so a face never knows which node did the work. Times are Unix milliseconds, lengths of time milliseconds.
 */
import type { ErrorName } from "@opencmq/proto"
import type { Caller } from "./caller.ts"
import type {
  Endpoint,
  QueueAttributes,
  RedriveOrder,
  SetQueueAttributes,
  SetTopicAttributes,
  SubscriptionAttributes,
  TopicAttributes,
} from "../core/queue/command.ts"
import type { Provenance } from "../core/queue/outcome.ts"
import type { RedrivePreview, RedriveStatus } from "../core/queue/redrive-reads.ts"

export interface MessageAttribute {
  readonly name: string
  readonly type: "string" | "binary"
  readonly value: Uint8Array
}

export interface OutgoingMessage {
  readonly body: Uint8Array
  readonly delayMs: number
  /** 1 to 128 bytes; "" = none. */
  readonly clientMessageId: string
  readonly attributes: readonly MessageAttribute[]
}

export interface PublishedMessage extends Omit<OutgoingMessage, "delayMs"> {
  readonly tags: readonly string[]
  /** "" = none. */
  readonly routingKey: string
}

/** A receipt handle taken apart; the text form is in `@opencmq/proto`. */
export interface Handle {
  readonly slot: number
  readonly deliveryNumber: number
}

export interface DeliveredMessage {
  readonly msgId: string
  /** The receipt handle, taken apart. */
  readonly deliveryHandle: Handle
  readonly receiptHandle: string
  readonly body: Uint8Array
  readonly attributes: readonly MessageAttribute[]
  readonly clientMessageId: string
  readonly enqueuedAtMs: number
  readonly firstDequeuedAtMs: number
  readonly nextVisibleAtMs: number
  readonly dequeueCount: number
  readonly provenance: DeliveredProvenance | undefined
}

export type DeliveredProvenance = Omit<Provenance, "sourceQueueId"> & { readonly sourceQueueName: string }

export interface PeekedMessage extends Omit<DeliveredMessage, "receiptHandle" | "deliveryHandle"> {
  readonly sequence: number
  readonly state: "active" | "inactive" | "delayed" | "half" | "rewindable"
  /** When the state ends by itself; 0 when it does not. */
  readonly dueAtMs: number
}

/** Where a message is now: in a queue, or waiting for a subscription (then without a queue's name). */
export interface MessagePlace extends Pick<
  PeekedMessage,
  "sequence" | "state" | "dueAtMs" | "enqueuedAtMs" | "firstDequeuedAtMs" | "dequeueCount" | "provenance"
> {
  readonly queueName: string
  readonly topicName: string
  readonly subscriptionName: string
}

/** What the state knows of a message. */
export interface MessageTrace {
  readonly msgId: string
  /** Index and term at which it was replicated; term 0 = the log no longer knows. */
  readonly entryIndex: number
  readonly term: number
  readonly bodyBytes: number
  readonly clientMessageId: string
  readonly places: readonly MessagePlace[]
}

/** A half message whose producer was asked; due = it is asked again, or rolled back. */
export interface QueriedHalf extends PeekedMessage {
  readonly queryCount: number
  readonly maxQueryCount: number
}

export interface QueueStatus {
  readonly queueName: string
  readonly queueId: string
  readonly attributes: QueueAttributes
  readonly createdAtMs: number
  readonly modifiedAtMs: number
  readonly activeCount: number
  readonly inactiveCount: number
  readonly delayedCount: number
  /** Sent as half of a transaction, not decided yet. */
  readonly halfCount: number
  readonly rewindableCount: number
  /** Enqueue time of the oldest message not yet deleted; 0 when there is none. */
  readonly oldestUnconsumedAtMs: number
}

export interface TopicStatus {
  readonly topicName: string
  readonly topicId: string
  readonly attributes: TopicAttributes
  readonly createdAtMs: number
  readonly modifiedAtMs: number
  /** Messages that wait for the subscription that is furthest behind. */
  readonly waitingCount: number
  readonly subscriptionCount: number
  readonly publishedCount: number
  /** Wanted by no subscription. */
  readonly unmatchedCount: number
}

export interface SubscriptionStatus {
  readonly topicName: string
  readonly topicId: string
  readonly subscriptionName: string
  readonly subscriptionId: string
  readonly endpoint: Endpoint
  readonly attributes: SubscriptionAttributes
  readonly createdAtMs: number
  readonly modifiedAtMs: number
  readonly waitingCount: number
  readonly deliveredCount: number
  readonly droppedCount: number
  /** Failures of the oldest waiting message. */
  readonly failureCount: number
  /** 0 = at once. */
  readonly nextAttemptAtMs: number
}

export interface TopicPage {
  readonly totalCount: number
  readonly topics: readonly { readonly topicId: string; readonly topicName: string }[]
}

export interface SubscriptionPage {
  readonly totalCount: number
  readonly subscriptions: readonly {
    readonly subscriptionId: string
    readonly subscriptionName: string
    readonly endpoint: Endpoint
  }[]
}

interface OfSubscription {
  readonly topicName: string
  readonly subscriptionName: string
}

export interface QueuePage {
  readonly totalCount: number
  readonly queues: readonly { readonly queueId: string; readonly queueName: string }[]
}

/** One key pair as it is shown: never with its secret. */
export interface KeyStatus {
  readonly secretId: string
  readonly accountName: string
  readonly permissions: readonly string[]
  readonly createdAtMs: number
}

export interface KeyPage {
  readonly totalCount: number
  readonly keys: readonly KeyStatus[]
}

/** Told once, to whoever had it made. */
export interface NewKey {
  readonly secretId: string
  readonly secretKey: string
  readonly accountName: string
}

/** What lists of names are asked. */
export interface ListRequest {
  readonly searchWord: string
  readonly offset: number
  readonly limit: number
  /** Set by the access control of the node that answers; other names are not shown, nor counted. */
  readonly isShown?: (name: string) => boolean
}

export interface NodeStatus {
  readonly nodeId: number
  readonly role: string
  readonly httpAddress: string
  readonly reachable: boolean
  /** Last entry known to be on that node's disk. Only the leader knows it of others: undefined = not known here. */
  readonly matchIndex: number | undefined
}

export interface ClusterStatus {
  readonly clusterId: string
  readonly setId: number
  readonly nodeId: number
  readonly leaderId: number
  readonly leaderHttpAddress: string
  readonly term: number
  readonly commitIndex: number
  readonly appliedIndex: number
  readonly stateHash: string
  readonly nodes: readonly NodeStatus[]
}

/** Kind of request -> [what is asked, what comes back]. */
export interface UseCases {
  createQueue: [{ readonly queueName: string; readonly attributes: QueueAttributes }, { readonly queueId: string }]
  setQueueAttributes: [
    { readonly queueName: string; readonly change: SetQueueAttributes["change"] },
    { readonly queueId: string },
  ]
  deleteQueue: [{ readonly queueName: string }, Nothing]
  clearQueue: [{ readonly queueName: string }, { readonly count: number }]
  rewindQueue: [{ readonly queueName: string; readonly startConsumeAtMs: number }, { readonly count: number }]
  /** The same as a question: nothing changes. */
  previewRewind: [{ readonly queueName: string; readonly startConsumeAtMs: number }, { readonly count: number }]
  unbindDeadLetterQueue: [{ readonly queueName: string }, Nothing]
  startRedrive: [{ readonly queueName: string; readonly order: RedriveOrder }, Nothing]
  /** What it would do: nothing changes. */
  previewRedrive: [{ readonly queueName: string; readonly order: RedriveOrder }, Omit<RedrivePreview, "refusal">]
  cancelRedrive: [{ readonly queueName: string }, { readonly movedCount: number }]
  describeRedrive: [{ readonly queueName: string }, RedriveStatus]
  getQueueAttributes: [{ readonly queueName: string }, QueueStatus]
  listQueues: [ListRequest, QueuePage]
  listDeadLetterSources: [ListRequest & { readonly queueName: string }, QueuePage]
  sendMessages: [
    { readonly queueName: string; readonly messages: readonly OutgoingMessage[] },
    { readonly msgIds: readonly string[]; readonly duplicates: readonly boolean[] },
  ]
  receiveMessages: [
    {
      readonly queueName: string
      readonly maxCount: number
      /** Undefined = the queue's own. */
      readonly pollingWaitMs: number | undefined
      readonly visibilityTimeoutMs: number | undefined
    },
    { readonly messages: readonly DeliveredMessage[] },
  ]
  /** `failed[i]` tells whether handle i was refused (receiptHandleInvalid). */
  deleteMessages: [
    { readonly queueName: string; readonly handles: readonly Handle[] },
    { readonly failed: readonly boolean[] },
  ]
  changeVisibility: [
    { readonly queueName: string; readonly handles: readonly Handle[]; readonly visibilityTimeoutMs: number },
    { readonly failed: readonly boolean[]; readonly nextVisibleAtMs: number },
  ]
  peekMessages: [
    { readonly queueName: string; readonly maxCount: number; readonly fromSequence: number },
    { readonly messages: readonly PeekedMessage[] },
  ]
  searchMessages: [
    {
      readonly queueName: string
      readonly fromSequence: number
      /** Messages looked at, and messages found, at most. */
      readonly scanCount: number
      readonly maxCount: number
      /** "" = any. With one, only its entry is looked at. */
      readonly msgId: string
      /** Part of the body; "" = any. */
      readonly text: string
      /** "" = any. */
      readonly attributeName: string
      /** Undefined = any value. */
      readonly attributeValue: string | undefined
    },
    {
      readonly messages: readonly PeekedMessage[]
      readonly scannedCount: number
      /** Where to go on; 0 = there is no more. */
      readonly nextSequence: number
    },
  ]
  traceMessage: [{ readonly msgId: string }, MessageTrace]
  /** Half messages of transactions. */
  prepareMessages: [
    {
      readonly queueName: string
      /** Their delays mean nothing. */
      readonly messages: readonly OutgoingMessage[]
      readonly firstQueryIntervalMs: number
      readonly maxQueryCount: number
    },
    { readonly msgIds: readonly string[]; readonly duplicates: readonly boolean[] },
  ]
  /** `failed[i]` tells whether message i is no half message, or not any more (messageIdInvalid). */
  confirmMessages: [
    {
      readonly queueName: string
      readonly decisions: readonly { readonly msgId: string; readonly isCommit: boolean }[]
    },
    { readonly failed: readonly boolean[] },
  ]
  listQueriedHalves: [
    { readonly queueName: string; readonly maxCount: number; readonly fromSequence: number },
    /** `nextSequence` 0 = that was all. */
    { readonly messages: readonly QueriedHalf[]; readonly nextSequence: number },
  ]
  createTopic: [{ readonly topicName: string; readonly attributes: TopicAttributes }, { readonly topicId: string }]
  setTopicAttributes: [
    { readonly topicName: string; readonly change: SetTopicAttributes["change"] },
    { readonly topicId: string },
  ]
  deleteTopic: [{ readonly topicName: string }, Nothing]
  getTopicAttributes: [{ readonly topicName: string }, TopicStatus]
  listTopics: [ListRequest, TopicPage]
  publishMessages: [
    { readonly topicName: string; readonly messages: readonly PublishedMessage[] },
    {
      readonly msgIds: readonly string[]
      readonly duplicates: readonly boolean[]
      /** Subscriptions that want them, all messages together; 0 = nobody does. */
      readonly deliveryCount: number
    },
  ]
  subscribe: [
    OfSubscription & { readonly endpoint: Endpoint; readonly attributes: SubscriptionAttributes },
    { readonly subscriptionId: string },
  ]
  setSubscriptionAttributes: [
    OfSubscription & { readonly change: Partial<SubscriptionAttributes> },
    { readonly subscriptionId: string },
  ]
  unsubscribe: [OfSubscription, Nothing]
  getSubscriptionAttributes: [OfSubscription, SubscriptionStatus]
  listSubscriptions: [
    { readonly topicName: string; readonly searchWord: string; readonly offset: number; readonly limit: number },
    SubscriptionPage,
  ]
  createKey: [{ readonly accountName: string; readonly permissions: readonly string[] }, NewKey]
  rotateKey: [{ readonly secretId: string }, NewKey]
  /** createKey and rotateKey on their way to the leader: the key is made, and sealed. */
  storeKey: [
    {
      readonly accountName: string
      readonly permissions: readonly string[]
      readonly secretId: string
      readonly sealedSecret: string
    },
    { readonly accountName: string },
  ]
  replaceKey: [
    { readonly secretId: string; readonly newSecretId: string; readonly sealedSecret: string },
    { readonly accountName: string },
  ]
  revokeKey: [{ readonly secretId: string }, Nothing]
  listKeys: [{ readonly searchWord: string; readonly offset: number; readonly limit: number }, KeyPage]
  clusterStatus: [Nothing, ClusterStatus]
}

export type Nothing = Readonly<Record<string, never>>
export type UseCaseName = keyof UseCases
/** Use cases of whichever node is asked; the leader gets their sealed twins, storeKey and replaceKey. */
export type MintedUseCase = "createKey" | "rotateKey"
export type RequestOf<K extends UseCaseName> = UseCases[K][0]
export type ValueOf<K extends UseCaseName> = UseCases[K][1]

/** A refusal carries the name in the error table and the words for its text. */
export type Reply<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: ErrorName; readonly args: readonly string[] }

/** One per request of a client. */
export interface RequestContext {
  readonly requestId: string
  readonly caller: Caller
  /** How long the client waits at most, long poll not counted. After that the answer is `unavailable` or `unknownOutcome`. */
  readonly timeoutMs: number
  /** Set by the face when the client has gone; ends a long poll and gives undelivered messages back. */
  cancelled: boolean
  /** Called by the face right after it set `cancelled`. Set by the node while something waits. */
  onCancel: (() => void) | undefined
}

/**
 * What a face talks to. `done` is called exactly once, never before `execute` has returned. Never throws.
 * For `receiveMessages` the callback may return false: "I could not hand this to the client" — the node then gives the
 * messages back at once.
 */
export interface BrokerService {
  execute<K extends UseCaseName>(
    name: K,
    request: RequestOf<K>,
    call: { readonly context: RequestContext; readonly done: (reply: Reply<ValueOf<K>>) => boolean | undefined },
  ): void
  /** Seconds since 1970 for signature windows and replies. */
  readonly leaderHint: () => string | undefined
  /** Live facts for /readyz: undefined = ready, else why not. */
  notReadyReason(): string | undefined
}
