/** What can be asked about topics and subscriptions. Reading changes nothing. */
import type { Endpoint, SubscriptionAttributes, SubscriptionId, TopicAttributes, TopicId } from "./command.ts"
import type { MachineState } from "./machine-state.ts"
import { pageOf, type QueueListRequest } from "./queue-reads.ts"
import type { Subscription, TopicTotals } from "./topic.ts"

/** CMQ GetTopicAttributes, and more. */
export interface TopicStatus {
  readonly topicId: TopicId
  readonly topicName: string
  readonly attributes: TopicAttributes
  readonly createdAtMs: number
  readonly modifiedAtMs: number
  /** Messages that wait for the subscription that is furthest behind. */
  readonly waitingCount: number
  readonly subscriptionCount: number
  readonly totals: Readonly<TopicTotals>
}

/** CMQ GetSubscriptionAttributes, and more. */
export interface SubscriptionStatus {
  readonly subscriptionId: SubscriptionId
  readonly subscriptionName: string
  readonly topicId: TopicId
  readonly topicName: string
  readonly endpoint: Endpoint
  readonly attributes: SubscriptionAttributes
  readonly createdAtMs: number
  readonly modifiedAtMs: number
  readonly waitingCount: number
  readonly deliveredCount: number
  /** Given up after the last retry, or lost because too many waited. */
  readonly droppedCount: number
  /** Failures of the oldest waiting message. */
  readonly failureCount: number
  /** Unix ms; undefined = at once. */
  readonly nextAttemptAtMs: number | undefined
}

export interface TopicList {
  /** All that match, not only those listed. */
  readonly totalCount: number
  readonly topics: readonly { readonly topicId: TopicId; readonly topicName: string }[]
}

export interface SubscriptionList {
  /** All that match, not only those listed. */
  readonly totalCount: number
  readonly subscriptions: readonly {
    readonly subscriptionId: SubscriptionId
    readonly subscriptionName: string
    readonly endpoint: Endpoint
  }[]
}

/** Undefined for an unknown id. O(subscriptions of the topic). */
export function readTopicStatus(state: MachineState, topicId: TopicId): TopicStatus | undefined {
  const topic = state.topics.get(topicId)
  if (topic === undefined) return undefined
  let waitingCount = 0
  for (const { backlog } of topic.subscriptions.values()) waitingCount = Math.max(waitingCount, backlog.activeCount)
  return {
    topicId: topic.id,
    topicName: topic.name,
    attributes: topic.attributes,
    createdAtMs: topic.createdAtMs,
    modifiedAtMs: topic.modifiedAtMs,
    waitingCount,
    subscriptionCount: topic.subscriptions.size,
    totals: { ...topic.totals },
  }
}

/** Undefined for an unknown id. */
export function readSubscriptionStatus(
  state: MachineState,
  subscriptionId: SubscriptionId,
): SubscriptionStatus | undefined {
  const subscription = state.topics.subscription(subscriptionId)
  if (subscription === undefined) return undefined
  const { backlog, topic } = subscription
  return {
    subscriptionId: subscription.id,
    subscriptionName: subscription.name,
    topicId: topic.id,
    topicName: topic.name,
    endpoint: subscription.endpoint,
    attributes: subscription.attributes,
    createdAtMs: subscription.createdAtMs,
    modifiedAtMs: subscription.modifiedAtMs,
    waitingCount: backlog.activeCount,
    deliveredCount: subscription.deliveredCount,
    droppedCount: subscription.droppedCount,
    failureCount: subscription.failureCount,
    nextAttemptAtMs: subscription.isPausing ? subscription.nextAttemptAtMs : undefined,
  }
}

/** In the order of names by code unit. */
export function listTopics(state: MachineState, request: QueueListRequest): TopicList {
  const { totalCount, page } = pageOf(state.topics.sorted(), request)
  return { totalCount, topics: page.map(({ id, name }) => ({ topicId: id, topicName: name })) }
}

/** In the order of names by code unit; undefined for an unknown topic. */
export function listSubscriptions(
  state: MachineState,
  topicName: string,
  request: QueueListRequest,
): SubscriptionList | undefined {
  const topic = state.topics.find(topicName)
  if (topic === undefined) return undefined
  const { totalCount, page } = pageOf(topic.subscriptions.sorted(), request)
  const subscriptions = page.map(({ id, name, endpoint }) => ({ subscriptionId: id, subscriptionName: name, endpoint }))
  return { totalCount, subscriptions }
}

/** How far the delivery to one subscription has come. */
export interface SubscriptionProgress {
  readonly topicName: string
  readonly subscriptionName: string
  readonly waitingCount: number
  readonly deliveredCount: number
  readonly droppedCount: number
}

/** Every subscription, one after the other; those made or removed meanwhile may be missing. */
export function* subscriptionSamples(state: MachineState): Iterable<SubscriptionProgress> {
  for (const { name, topic, backlog, deliveredCount, droppedCount } of state.topics.everySubscription()) {
    const waitingCount = backlog.activeCount
    yield { topicName: topic.name, subscriptionName: name, waitingCount, deliveredCount, droppedCount }
  }
}

/** Subscriptions with an address, something that waits and no pause, in the order of ids. */
export function waitingPushes(state: MachineState): readonly SubscriptionId[] {
  return state.topics
    .subscriptionsById()
    .filter(isPushable)
    .map(({ id }) => id)
}

function isPushable({ endpoint, backlog, isPausing }: Subscription): boolean {
  return endpoint.kind === "http" && backlog.activeCount > 0 && !isPausing
}
