/**
 * The books of the queue oracle: every message, delivery and queue that the committed log has made. `queue-oracle.ts`
 * writes them, `answer-oracle.ts` holds the answers of clients against them.
 */
import type { QueueAttributes, QueueId } from "../../src/core/queue/command.ts"
import type { LogIndex } from "../../src/ports.ts"
import type { PublishedMessage, SubscriptionModel } from "./subscription-model.ts"

export interface Lease {
  readonly delivery: Delivery
  untilMs: number
}

export interface Delivery {
  readonly message: MessageLife
  readonly queueId: QueueId
  readonly slot: number
  readonly number: number
  readonly atMs: number
  readonly nextVisibleAtMs: number
  readonly count: number
  /** Who was told of it. One delivery has at most one taker. */
  taker: string | undefined
  isDeleted: boolean
  wasRefused: boolean
}

export interface MessageLife {
  readonly entryIndex: LogIndex
  readonly ordinal: number
  readonly record: Uint8Array
  readonly clientId: string
  queueId: QueueId
  enqueuedAtMs: number
  availableAtMs: number
  place: "live" | "deleted" | "dropped"
  /** A rewind may have brought it back. */
  isRewindable: boolean
  lease: Lease | undefined
  count: number
  lastNumber: number
  /** Of a published message: its place among those of its queue, from 1. 0 = it was sent. */
  readonly publishedNumber: number
}

export interface QueueLife {
  readonly queueId: QueueId
  readonly name: string
  readonly createdWorldMs: number
  deletedWorldMs: number
  attributes: QueueAttributes
  /** Retention was changed, or messages may have left it unseen: only some rules can be held against it. */
  isVague: boolean
  readonly live: Set<MessageLife>
  /** Published messages that were put into it, and the greatest number that was received. */
  publishedCount: number
  newestTaken: number
}

export interface TopicLife {
  readonly topicId: number
  readonly name: string
  readonly createdWorldMs: number
  deletedWorldMs: number
}

export class QueueBooks {
  /** What was sent, by `messageKey`. */
  readonly messages = new Map<number, MessageLife>()
  /** By `deliveryKey`. */
  readonly deliveries = new Map<string, Delivery>()
  readonly queues = new Map<QueueId, QueueLife>()
  /** All that ever had the name, in the order of their creation. */
  readonly byName = new Map<string, QueueLife[]>()
  /** By `messageKey`. */
  readonly published = new Map<number, PublishedMessage>()
  readonly topics: TopicLife[] = []
  /** All that ever were, in the order of their ids. */
  readonly subscriptions: { readonly topicName: string; readonly model: SubscriptionModel }[] = []
  readonly registerValues: { readonly value: number; readonly worldMs: number }[] = []

  /** The queue that has the name now. */
  find(name: string): QueueLife | undefined {
    return this.byName.get(name)?.findLast((queue) => queue.deletedWorldMs === Number.POSITIVE_INFINITY)
  }
}

/** Its pollingWaitMs is a register: one writer counts it up, readers must never see it fall behind. */
export const REGISTER_QUEUE = "register"
/** Where dead letters go. */
export const DEAD_QUEUE = "dead"

export function messageKey(entryIndex: LogIndex, ordinal: number): number {
  return entryIndex * 65_536 + ordinal
}

export function deliveryKey(slot: number, number: number): string {
  return `${String(slot)}/${String(number)}`
}

export function describeDelivery(delivery: Delivery): string {
  const { message } = delivery
  return `message ${String(message.entryIndex)}/${String(message.ordinal)} delivery ${String(delivery.number)}`
}
