/** Messages of `proto/opencmq/v1/topics.proto`, as `wire-types.ts` has those of queues. */
import type { WireListRequest, WireOutgoingMessage } from "./wire-types.ts"

/** Requests that name a topic and nothing else. */
export interface WireTopicName {
  readonly topicName: string
}

/** `UpdateTopicRequest`. */
export interface WireTopicChange extends WireTopicName {
  readonly maxMsgBytes?: number
  readonly msgRetentionMs?: number
}

/** `CreateTopicRequest`. */
export interface WireTopicRequest extends WireTopicChange {
  readonly filterType: number
}

/** `PublishedMessage`. */
export interface WirePublishedMessage extends Omit<WireOutgoingMessage, "delayMs"> {
  readonly tags: readonly string[]
  readonly routingKey: string
}

/** `PublishRequest`. */
export interface WirePublishRequest extends WireTopicName {
  readonly messages: readonly WirePublishedMessage[]
}

/** Requests that name a subscription and nothing else. */
export interface WireSubscriptionName extends WireTopicName {
  readonly subscriptionName: string
}

/** `SubscriptionAttributes`. */
export interface WireSubscriptionAttributes {
  readonly notifyStrategy: number
  readonly notifyContentFormat: number
  readonly filterTags: readonly string[]
  readonly bindingKeys: readonly string[]
}

/** The oneof `endpoint`; one of the two, or none. */
export interface WireEndpoint {
  readonly queueName?: string
  readonly httpUrl?: string
}

/** `UpdateSubscriptionRequest`. */
export interface WireSubscriptionChange extends WireSubscriptionName {
  readonly attributes: WireSubscriptionAttributes | null
}

/** `SubscribeRequest`. */
export interface WireSubscribeRequest extends WireSubscriptionChange, WireEndpoint {}

/** `ListSubscriptionsRequest`. */
export interface WireSubscriptionsRequest extends WireListRequest, WireTopicName {}
