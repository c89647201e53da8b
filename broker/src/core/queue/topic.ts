/**
 * A topic and its subscriptions: who they are, what they want, and how far the delivery to each has come.
 *
 * What waits for a subscription is in a queue without a name, its *backlog*: messages are positions there as everywhere,
 * so a published body is stored once however many subscriptions match, and retention, log cleaning and checkpoints know
 * nothing new. A message goes into the backlog only when it cannot be handed over in the same step.
 */
import type { Endpoint, SubscriptionAttributes, SubscriptionId, TopicAttributes, TopicId } from "./command.ts"
import type { Queue } from "./queue.ts"
import { SubscriptionIndex } from "./subscription-index.ts"
import { compileBindingKey, type BindingKey } from "./subscription-filter.ts"

/** What identifies a topic. */
export interface TopicIdentity {
  readonly id: TopicId
  readonly name: string
  readonly createdAtMs: number
}

/** Since the topic was created. */
export interface TopicTotals {
  /** Repeated ones not counted. */
  published: number
  /** Wanted by no subscription. */
  unmatched: number
}

export class Topic {
  readonly id: TopicId
  readonly name: string
  readonly createdAtMs: number
  /** Unix ms. Persisted. */
  modifiedAtMs: number
  /** Persisted. */
  attributes: TopicAttributes
  /** Persisted. */
  readonly totals: TopicTotals = { published: 0, unmatched: 0 }
  readonly subscriptions = new SubscriptionIndex<Subscription>()
  /** For `MarkList`. */
  isDirty = false
  isStored = false

  constructor(identity: TopicIdentity, attributes: TopicAttributes) {
    this.id = identity.id
    this.name = identity.name
    this.createdAtMs = identity.createdAtMs
    this.modifiedAtMs = identity.createdAtMs
    this.attributes = attributes
  }
}

/** Fixed from the birth of a subscription. */
export interface SubscriptionIdentity {
  readonly id: SubscriptionId
  readonly name: string
  readonly topic: Topic
  readonly endpoint: Endpoint
  readonly createdAtMs: number
}

/** Nothing will be tried by itself. */
export const NEVER = Number.POSITIVE_INFINITY

export class Subscription {
  readonly id: SubscriptionId
  readonly name: string
  readonly topic: Topic
  readonly endpoint: Endpoint
  readonly createdAtMs: number
  /** Messages that wait, in the order of their publication. */
  readonly backlog: Queue
  /** Unix ms. Persisted. */
  modifiedAtMs: number
  /** Persisted. */
  #attributes: SubscriptionAttributes
  #bindingKeys: readonly BindingKey[]
  /** The oldest waiting message was tried and refused so often; 0 in `failedSequence` = not yet. Persisted. */
  failedSequence = 0
  failureCount = 0
  /** Until then nothing is tried, Unix ms; Infinity = nobody waits for a time. Persisted. */
  nextAttemptAtMs = NEVER
  /** Handed over, at once or later. Persisted. */
  deliveredCount = 0
  /** Given up after the last retry, and lost because too many waited. Persisted. */
  droppedCount = 0
  /** For `QueueDeadlines`. */
  nextStepAtMs = NEVER
  heapPosition = -1
  /** For `SubscriptionIndex`. */
  matchMark = 0
  /** For `MarkList`. */
  isDirty = false
  isStored = false

  constructor(identity: SubscriptionIdentity, attributes: SubscriptionAttributes, backlog: Queue) {
    this.id = identity.id
    this.name = identity.name
    this.topic = identity.topic
    this.endpoint = identity.endpoint
    this.createdAtMs = identity.createdAtMs
    this.modifiedAtMs = identity.createdAtMs
    this.backlog = backlog
    this.#attributes = attributes
    this.#bindingKeys = attributes.bindingKeys.map(compileBindingKey)
  }

  get attributes(): SubscriptionAttributes {
    return this.#attributes
  }

  get bindingKeys(): readonly BindingKey[] {
    return this.#bindingKeys
  }

  setAttributes(attributes: SubscriptionAttributes): void {
    this.#attributes = attributes
    this.#bindingKeys = attributes.bindingKeys.map(compileBindingKey)
    this.topic.subscriptions.filtersChanged()
  }

  /** Waits for the time of its next attempt. */
  get isPausing(): boolean {
    return this.nextAttemptAtMs !== NEVER
  }
}
