/**
 * The rare commands of topics: they come, change and go, and so do their subscriptions.
 *
 * Each looks at everything that can refuse it before it changes anything.
 */
import type {
  CreateTopic,
  DeleteTopic,
  SetSubscriptionAttributes,
  SetTopicAttributes,
  Subscribe,
  Unsubscribe,
} from "./command.ts"
import type { MachineState } from "./machine-state.ts"
import type { Outcome, Refusal } from "./outcome.ts"
import { LENGTH_MAX_MS, wholeNumber } from "./queue-attributes.ts"
import { settle } from "./retention.ts"
import { backlogAttributes } from "./topic-registry.ts"
import type { Subscription, Topic } from "./topic.ts"

/** CreateTopic. A name that exists is refused whatever its attributes (CMQ 4460), also in another case. */
export function applyCreateTopic(state: MachineState, command: CreateTopic, outcome: Outcome): void {
  const { topics, limits } = state
  const { topicName } = command
  if (topics.isTaken(topicName)) outcome.refusal = "topicAlreadyExists"
  else if (topics.wasDeletedRecently(topicName, state.nowMs)) outcome.refusal = "topicDeletedRecently"
  else if (topics.count >= limits.topicCount) outcome.refusal = "topicLimitReached"
  if (outcome.refusal !== undefined) return
  const attributes = normalised(command.attributes)
  outcome.queueId = topics.create(topicName, attributes, state.nowMs).id
}

/** SetTopicAttributes. Another retention holds for what waits already, too. */
export function applySetTopicAttributes(state: MachineState, command: SetTopicAttributes, outcome: Outcome): void {
  const topic = findTopic(state, command.topicName, outcome)
  if (topic === undefined) return
  const { maxMsgBytes, msgRetentionMs } = command.change
  const changed = {
    ...topic.attributes,
    maxMsgBytes: maxMsgBytes ?? topic.attributes.maxMsgBytes,
    msgRetentionMs: msgRetentionMs ?? topic.attributes.msgRetentionMs,
  }
  for (const { backlog } of topic.subscriptions.sorted()) settle(state, backlog)
  topic.attributes = normalised(changed)
  topic.modifiedAtMs = state.nowMs
  state.dirtyTopics.changed(topic)
  for (const { backlog } of topic.subscriptions.sorted()) {
    backlog.attributes = backlogAttributes(topic, state.limits)
    state.deadlines.set(backlog, state.exactNextStepAtMs(backlog))
    state.dirty.queueChanged(backlog)
  }
}

/** DeleteTopic. CMQ 10540: unsubscribe first. */
export function applyDeleteTopic(state: MachineState, command: DeleteTopic, outcome: Outcome): void {
  const topic = findTopic(state, command.topicName, outcome)
  if (topic === undefined) return
  if (topic.subscriptions.size > 0) outcome.refusal = "topicHasSubscriptions"
  else state.topics.remove(topic, state.nowMs)
}

/** Subscribe. A queue as endpoint has to exist now; if it goes later, messages wait and are tried again. */
export function applySubscribe(state: MachineState, command: Subscribe, outcome: Outcome): void {
  const topic = findTopic(state, command.topicName, outcome)
  if (topic === undefined) return
  const { subscriptionName: name, endpoint, attributes } = command
  outcome.refusal = refuseSubscribe(state, topic, command)
  if (outcome.refusal !== undefined) return
  const subscription = state.topics.subscribe(topic, { name, endpoint, attributes, createdAtMs: state.nowMs })
  state.dirty.queueChanged(subscription.backlog)
  outcome.queueId = subscription.id
}

function refuseSubscribe(state: MachineState, topic: Topic, command: Subscribe): Refusal | undefined {
  const { endpoint, attributes, subscriptionName } = command
  if (topic.subscriptions.isTaken(subscriptionName)) return "subscriptionAlreadyExists"
  if (topic.subscriptions.size >= state.limits.subscriptionsPerTopic) return "subscriptionLimitReached"
  const isQueue = endpoint.kind === "queue"
  if (isQueue && state.registry.find(endpoint.queueName) === undefined) return "queueNotFound"
  return refuseAttributes({ topic, endpoint, attributes })
}

/** SetSubscriptionAttributes, ClearSubscriptionFilterTags. Messages that wait already stay. */
export function applySetSubscriptionAttributes(
  state: MachineState,
  command: SetSubscriptionAttributes,
  outcome: Outcome,
): void {
  const subscription = findSubscription(state, command, outcome)
  if (subscription === undefined) return
  const attributes = { ...subscription.attributes, ...command.change }
  outcome.refusal = refuseAttributes({ topic: subscription.topic, endpoint: subscription.endpoint, attributes })
  if (outcome.refusal !== undefined) return
  subscription.setAttributes(attributes)
  subscription.modifiedAtMs = state.nowMs
  state.dirtySubscriptions.changed(subscription)
}

function refuseAttributes({
  topic,
  endpoint,
  attributes,
}: Pick<Subscription, "topic" | "endpoint" | "attributes">): Refusal | undefined {
  if (endpoint.kind === "queue" && attributes.notifyContentFormat !== "simplified") {
    return "notifyContentFormatNotSimplified"
  }
  const needsKey = topic.attributes.filterType === "bindingKeys"
  return needsKey && attributes.bindingKeys.length === 0 ? "bindingKeyMissing" : undefined
}

/** Unsubscribe. What waits for the subscription is dropped. */
export function applyUnsubscribe(state: MachineState, command: Unsubscribe, outcome: Outcome): void {
  const subscription = findSubscription(state, command, outcome)
  if (subscription === undefined) return
  const { backlog } = subscription
  backlog.clear()
  state.deadlines.set(backlog, Number.POSITIVE_INFINITY)
  state.retries.set(subscription, Number.POSITIVE_INFINITY)
  state.topics.unsubscribe(subscription)
  state.wakened.delete(backlog.id)
}

function findTopic(state: MachineState, topicName: string, outcome: Outcome): Topic | undefined {
  const topic = state.topics.find(topicName)
  if (topic === undefined) outcome.refusal = "topicNotFound"
  else outcome.queueId = topic.id
  return topic
}

function findSubscription(
  state: MachineState,
  { topicName, subscriptionName }: { readonly topicName: string; readonly subscriptionName: string },
  outcome: Outcome,
): Subscription | undefined {
  const subscription = findTopic(state, topicName, outcome)?.subscriptions.find(subscriptionName)
  if (subscription !== undefined) outcome.queueId = subscription.id
  else outcome.refusal ??= "subscriptionNotFound"
  return subscription
}

function normalised(attributes: Topic["attributes"]): Topic["attributes"] {
  return {
    maxMsgBytes: wholeNumber(attributes.maxMsgBytes, Number.MAX_SAFE_INTEGER),
    filterType: attributes.filterType,
    msgRetentionMs: wholeNumber(attributes.msgRetentionMs, LENGTH_MAX_MS),
  }
}
