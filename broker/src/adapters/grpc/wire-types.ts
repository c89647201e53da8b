/**
 * Messages of `proto/opencmq/v1`, as they are read and written here. Comments, units and ranges are in the `.proto` files.
 *
 * What is read has all its fields (defaults are filled in), save those that are `optional` there: absent = undefined.
 */

/** `opencmq.v1.DeadLetterPolicy`; one of the two conditions, or none. */
export interface WirePolicy {
  readonly deadLetterQueue: string
  readonly maxReceiveCount?: number
  readonly maxTimeToLiveMs?: number
}

/** `opencmq.v1.QueueAttributes`. */
export interface WireAttributes {
  readonly maxMsgHeapCount?: number
  readonly pollingWaitMs?: number
  readonly visibilityTimeoutMs?: number
  readonly maxMsgBytes?: number
  readonly msgRetentionMs?: number
  readonly rewindMs?: number
  readonly deadLetterPolicy?: WirePolicy | null
}

/** Requests that name a queue and nothing else. */
export interface WireQueueName {
  readonly queueName: string
}

/** `CreateQueueRequest`, `UpdateQueueRequest`. */
export interface WireQueueRequest {
  readonly queueName: string
  readonly attributes: WireAttributes | null
}

/** `ListQueuesRequest` and, with a name, `ListDeadLetterSourceQueuesRequest`. */
export interface WireListRequest {
  readonly nameContains: string
  readonly pageSize: number
  readonly pageToken: string
}

/** `ListDeadLetterSourceQueuesRequest`. */
export interface WireSourcesRequest extends WireListRequest {
  readonly deadLetterQueueName: string
}

/** `RewindQueueRequest`. */
export interface WireRewindRequest {
  readonly queueName: string
  readonly startConsumeAtMs: number
  readonly dryRun: boolean
}

/** `StartRedriveRequest`. */
export interface WireRedriveRequest {
  readonly queueName: string
  readonly targetQueueName: string
  readonly sourceQueueName: string
  readonly enqueuedFromMs: number
  readonly enqueuedUntilMs: number
  readonly messagesPerSecond: number
  readonly dryRun: boolean
}

/** `MessageAttribute`; one of the two values, or none. */
export interface WireMessageAttribute {
  readonly name: string
  readonly text?: string
  readonly binary?: Uint8Array
}

/** `OutgoingMessage`. */
export interface WireOutgoingMessage {
  readonly body: Uint8Array
  readonly delayMs: number
  readonly clientMessageId: string
  readonly attributes: readonly WireMessageAttribute[]
}

/** `SendRequest`. */
export interface WireSendRequest {
  readonly queueName: string
  readonly messages: readonly WireOutgoingMessage[]
}

/** `ReceiveRequest`. */
export interface WireReceiveRequest {
  readonly queueName: string
  readonly maxMessages: number
  readonly pollingWaitMs?: number
  readonly visibilityTimeoutMs?: number
}

/** `DeleteRequest`. */
export interface WireDeleteRequest {
  readonly queueName: string
  readonly receiptHandles: readonly string[]
}

/** `ChangeVisibilityRequest`. */
export interface WireVisibilityRequest extends WireDeleteRequest {
  readonly visibilityTimeoutMs: number
}

/** `PeekRequest`. */
export interface WirePeekRequest {
  readonly queueName: string
  readonly maxMessages: number
  readonly startSequence: number
}

/** `SearchRequest`. */
export interface WireSearchRequest extends WirePeekRequest {
  readonly msgId: string
  readonly text: string
  readonly attributeName: string
  readonly attributeValue?: string
  readonly scanCount: number
}

/** `TraceRequest`. */
export interface WireTraceRequest {
  readonly msgId: string
}

/** `Refusal`. */
export interface WireRefusal {
  readonly reason: string
  readonly status: number
  readonly message: string
  readonly code: number
  readonly moduleCode: number
  readonly outcome: number
  readonly isRetriable: boolean
}

/** `SettlementFailure`. */
export interface WireFailure {
  readonly index: number
  readonly receiptHandle: string
  readonly refusal: WireRefusal
}

/** `ProduceRequest`. The id is kept as the bytes of its varint: it may not fit a number, and only comes back. */
export interface WireProduceRequest {
  readonly queueName: string
  readonly batchId: Uint8Array
  readonly messages: readonly WireOutgoingMessage[]
}

/** `VisibilityChange`. */
export interface WireVisibilityChange {
  readonly receiptHandles: readonly string[]
  readonly visibilityTimeoutMs: number
}

/** `ConsumeRequest`. */
export interface WireConsumeRequest {
  readonly queueName: string
  readonly visibilityTimeoutMs: number | undefined
  readonly addCredits: number
  readonly settlementId: Uint8Array
  readonly deleteHandles: readonly string[]
  readonly visibilityChange: WireVisibilityChange | undefined
}
