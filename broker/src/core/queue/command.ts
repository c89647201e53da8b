/**
 * Every replicated command of the queue machine, as plain tagged data.
 *
 * The hot ones (`sendMessages`, `receiveMessages`, `deleteMessages`, `changeVisibility`) hold parallel arrays that the
 * decoder (`codec/command-codec.ts`) reuses from command to command: whoever gets one must not keep it. A message is
 * known to the machine only by the position of its record in the log; its body never comes here.
 */

/** Rises by one with each queue created in a set; never used twice. */
export type QueueId = number

/** All lengths of time in milliseconds. Ranges are checked at the edge by `@opencmq/proto` limits and asserted here. */
export interface QueueAttributes {
  /** Most unconsumed messages (active + inactive + delayed). */
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

export type Command =
  | CreateQueue
  | SetQueueAttributes
  | DeleteQueue
  | ClearQueue
  | RewindQueue
  | UnbindDeadLetterQueue
  | Expire
  | SendMessages
  | ReceiveMessages
  | DeleteMessages
  | ChangeVisibility
