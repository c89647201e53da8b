/**
 * What applying a command gave: a refusal by name, or values in arrays that the machine reuses. Followers do not look
 * at it; the leader's node copies what the waiting caller needs before the next command is applied.
 */
import type { QueueId } from "./command.ts"

/** Names of the one error table in `@opencmq/proto`; the core knows only the names. */
export type Refusal =
  | "queueNotFound"
  | "queueAlreadyExists"
  | "queueLimitReached"
  | "queueDeletedRecently"
  | "queueHeapFull"
  | "messageTooLarge"
  | "tooManyDelayed"
  | "tooManyHalfMessages"
  | "tooManyUnacked"
  | "noMessage"
  | "receiptHandleInvalid"
  | "rewindNotEnabled"
  | "rewindTimeInvalid"
  | "rewindExceedsRetention"
  | "deadLetterQueueNotFound"
  | "deadLetterQueueInUse"
  | "deadLetterPolicyInvalid"
  | "deadLetterSourceLimit"
  | "topicNotFound"
  | "topicAlreadyExists"
  | "topicLimitReached"
  | "topicDeletedRecently"
  | "topicHasSubscriptions"
  | "topicHasNoSubscription"
  | "subscriptionNotFound"
  | "subscriptionAlreadyExists"
  | "subscriptionLimitReached"
  | "bindingKeyMissing"
  | "routingKeyMissing"
  | "notifyContentFormatNotSimplified"
  | "keyNotFound"
  | "keyAlreadyExists"
  | "keyLimitReached"
  | "accountKeyLimitReached"
  | "redriveRunning"
  | "redriveNotRunning"
  | "redriveTargetInvalid"
  | "redriveSourceInvalid"

/** `undefined` = done. For `deleteMessages` / `changeVisibility` / `confirmMessages` look at `failed` (per handle) as well. */
export interface Outcome {
  refusal: Refusal | undefined
  /** createQueue, and every other queue command; of a topic's, subscription's or key's command its own id. */
  queueId: QueueId
  /** sendMessages, prepareMessages, publishMessages: where each message was stored; for a repeated client message id, where the first one is. */
  readonly sent: SentMessages
  /** receiveMessages. */
  readonly received: ReceivedMessages
  /**
   * deleteMessages, changeVisibility: one flag a handle; true = the handle is not (or no longer) valid.
   * confirmMessages: one a message; true = it is no half message (any more).
   */
  readonly failed: boolean[]
  /** changeVisibility: when the messages become visible again, Unix ms. rewindQueue: see `count`. */
  nextVisibleAtMs: number
  /** clearQueue: messages dropped. rewindQueue: messages active again. publishMessages: subscriptions that got one. cancelRedrive: messages moved. */
  count: number
}

export interface SentMessages {
  count: number
  readonly entryIndexes: number[]
  readonly ordinals: number[]
  readonly duplicates: boolean[]
}

/** Parallel arrays; a `RecordPositions` for `LogStore.readRecords`. */
export interface ReceivedMessages {
  count: number
  readonly entryIndexes: number[]
  readonly offsets: number[]
  readonly lengths: number[]
  readonly slots: number[]
  readonly deliveryNumbers: number[]
  readonly dequeueCounts: number[]
  readonly enqueuedAtMs: number[]
  readonly firstDequeuedAtMs: number[]
  readonly nextVisibleAtMs: number[]
  /** Where a dead letter came from; `undefined` for others. */
  readonly provenances: (Provenance | undefined)[]
}

export type DeadLetterReason = "maxReceiveCount" | "maxTimeToLive"

export interface Provenance {
  readonly sourceQueueId: QueueId
  readonly reason: DeadLetterReason
  readonly originalEnqueuedAtMs: number
  readonly originalFirstDequeuedAtMs: number
  readonly originalDequeueCount: number
}
