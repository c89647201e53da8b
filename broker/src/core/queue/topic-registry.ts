/** The topics of a machine by id and by name, and all their subscriptions by id. Names behave as those of queues. */
import type { Endpoint, SubscriptionAttributes, SubscriptionId, TopicAttributes, TopicId } from "./command.ts"
import type { MarkList } from "./dirty-records.ts"
import type { MachineLimits } from "./machine-limits.ts"
import { NameIndex } from "./name-index.ts"
import type { QueueRegistry } from "./queue-registry.ts"
import type { Queue } from "./queue.ts"
import { Subscription, Topic, type TopicIdentity } from "./topic.ts"

/** What the registry gets from its machine. */
export interface TopicRegistryParts {
  readonly limits: MachineLimits
  /** Gives ids, keeps backlogs and remembers deleted names. */
  readonly queues: QueueRegistry
  readonly dirtyTopics: MarkList<Topic>
  readonly dirtySubscriptions: MarkList<Subscription>
}

/** What a subscription is made of. */
export interface NewSubscription {
  readonly id: SubscriptionId
  readonly name: string
  readonly endpoint: Endpoint
  readonly createdAtMs: number
  readonly attributes: SubscriptionAttributes
}

export class TopicRegistry {
  readonly #parts: TopicRegistryParts
  readonly #byId = new Map<TopicId, Topic>()
  readonly #named = new NameIndex<Topic>()
  readonly #subscriptions = new Map<SubscriptionId, Subscription>()

  constructor(parts: TopicRegistryParts) {
    this.#parts = parts
  }

  get count(): number {
    return this.#byId.size
  }

  get(topicId: TopicId): Topic | undefined {
    return this.#byId.get(topicId)
  }

  /** Exact. */
  find(topicName: string): Topic | undefined {
    return this.#named.find(topicName)
  }

  isTaken(topicName: string): boolean {
    return this.#named.isTaken(topicName)
  }

  wasDeletedRecently(topicName: string, nowMs: number): boolean {
    return this.#parts.queues.wasDeletedRecently(`/${topicName}`, nowMs)
  }

  subscription(subscriptionId: SubscriptionId): Subscription | undefined {
    return this.#subscriptions.get(subscriptionId)
  }

  /** In the order of names by code unit. O(n log n) after a change. */
  sorted(): readonly Topic[] {
    return this.#named.sorted()
  }

  /** In the order of ids: the same on all replicas, restored or not. */
  byId(): readonly Topic[] {
    return [...this.#byId.values()].sort((a, b) => a.id - b.id)
  }

  /** In the order of ids. */
  subscriptionsById(): readonly Subscription[] {
    return [...this.#subscriptions.values()].sort((a, b) => a.id - b.id)
  }

  /** In no order that counts; the same while nothing is added. */
  everySubscription(): IterableIterator<Subscription> {
    return this.#subscriptions.values()
  }

  create(topicName: string, attributes: TopicAttributes, nowMs: number): Topic {
    const topic = this.add({ id: this.#parts.queues.nextQueueId++, name: topicName, createdAtMs: nowMs }, attributes)
    this.#parts.dirtyTopics.changed(topic)
    return topic
  }

  /** Also used by a restore. */
  add(identity: TopicIdentity, attributes: TopicAttributes): Topic {
    const topic = new Topic(identity, attributes)
    this.#byId.set(topic.id, topic)
    this.#named.add(topic)
    return topic
  }

  /** It has no subscriptions. */
  remove(topic: Topic, nowMs: number): void {
    this.#byId.delete(topic.id)
    this.#named.remove(topic)
    this.#parts.dirtyTopics.dropped(topic)
    this.#parts.queues.nameDeleted(`/${topic.name}`, nowMs)
  }

  subscribe(topic: Topic, what: Omit<NewSubscription, "id">): Subscription {
    const { queues, limits, dirtySubscriptions } = this.#parts
    const id = queues.nextQueueId++
    const backlog = queues.add({ id, name: "", createdAtMs: what.createdAtMs }, backlogAttributes(topic, limits))
    const subscription = this.addSubscription(topic, { ...what, id }, backlog)
    dirtySubscriptions.changed(subscription)
    return subscription
  }

  /** Also used by a restore. */
  addSubscription(topic: Topic, what: NewSubscription, backlog: Queue): Subscription {
    const subscription = new Subscription({ ...what, topic }, what.attributes, backlog)
    topic.subscriptions.add(subscription)
    this.#subscriptions.set(subscription.id, subscription)
    return subscription
  }

  /** Its backlog is empty. */
  unsubscribe(subscription: Subscription): void {
    subscription.topic.subscriptions.remove(subscription)
    this.#subscriptions.delete(subscription.id)
    this.#parts.dirtySubscriptions.dropped(subscription)
    this.#parts.queues.removeBacklog(subscription.backlog)
  }
}

/** A queue as a subscription needs it: nothing but the topic's retention and a bound. */
export function backlogAttributes(topic: Topic, limits: MachineLimits): Queue["attributes"] {
  return {
    maxMsgHeapCount: limits.waitingPerSubscription,
    pollingWaitMs: 0,
    visibilityTimeoutMs: 0,
    maxMsgBytes: 0,
    msgRetentionMs: topic.attributes.msgRetentionMs,
    rewindMs: 0,
    deadLetterPolicy: undefined,
  }
}
