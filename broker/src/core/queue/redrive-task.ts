/** What is known of a redrive; `redrive.ts` acts on it. */
import type { QueueId } from "./command.ts"

const NEVER = Number.POSITIVE_INFINITY

/** `waiting` = the next message's queue is full. The last four are ends; none is left again. */
export type RedriveState = "running" | "waiting" | "completed" | "cancelled" | "targetDeleted"

/** Which messages a task takes, and where to. All persisted. */
export interface RedriveScope {
  /** 0 = each message to its own source. */
  readonly targetQueueId: QueueId
  /** 0 = whatever they came from. */
  readonly sourceQueueId: QueueId
  /** By the time at which a message came into the queue, Unix ms: from (included) until (not included). */
  readonly enqueuedFromMs: number
  readonly enqueuedUntilMs: number
}

/** A queue's newest task. Everything but the last four fields is persisted. */
export class Redrive {
  /** That of the queue. */
  readonly id: QueueId
  readonly scope: RedriveScope
  readonly messagesPerSecond: number
  readonly startedAtMs: number
  /** Messages from here on came after the start. */
  readonly endSequence: number
  state: RedriveState = "running"
  /** Unix ms; 0 while it goes on. */
  endedAtMs = 0
  /** The next message to be looked at. */
  nextSequence = 1
  movedCount = 0
  /** Of those in its scope. */
  skippedCount = 0
  /** Unix ms; Infinity when it has ended. */
  nextTurnAtMs: number
  /** For `QueueDeadlines`. */
  nextStepAtMs = NEVER
  heapPosition = -1
  /** For `MarkList`. */
  isDirty = false
  isStored = false

  constructor(queueId: QueueId, order: RedriveFacts) {
    this.id = queueId
    this.scope = order.scope
    this.messagesPerSecond = order.messagesPerSecond
    this.startedAtMs = order.startedAtMs
    this.endSequence = order.endSequence
    this.nextTurnAtMs = order.startedAtMs
  }

  get hasEnded(): boolean {
    return this.state !== "running" && this.state !== "waiting"
  }
}

/** What a task is born with. */
export type RedriveFacts = Pick<Redrive, "scope" | "messagesPerSecond" | "startedAtMs" | "endSequence">
