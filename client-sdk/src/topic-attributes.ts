/**
 * Attributes of topics and subscriptions between users' names and CMQ's on the wire. Ranges and defaults are rows of the
 * limits table in `@opencmq/proto`; the broker checks them.
 */
import { checkOptions, checkString, typeError } from "./argument-check.ts"
import { argumentInvalid } from "./cmq-error.ts"
import { numberOf, textOf } from "./reply-fields.ts"
import type { Fields } from "./reply-fields.ts"
import type { Parameter } from "./transport.ts"

/** By what the subscriptions of a topic choose their messages; fixed for the topic's life. */
export type FilterType = "tags" | "bindingKeys"

/** What may be chosen of a topic. */
export type TopicAttributes = Readonly<{
  /** Longest body: 1,024 to 1,048,576 bytes, default 65,536. */
  maxMsgSizeBytes?: number
  /** Only on creation; default `tags`. */
  filterType?: FilterType
}>

/** A topic's attributes and counts. Counts are those of the moment. */
export type TopicStatus = Readonly<{
  topicId: string
  maxMsgSizeBytes: number
  filterType: FilterType
  /** How long a message lives that no subscription has taken; CMQ fixes it at a day. */
  msgRetentionSeconds: number
  /** Published messages that wait for one or more subscriptions. */
  msgCount: number
  createTime: Date
  lastModifyTime: Date
}>

/** Where a subscription's messages go: to a queue of this account, or to an http:// address, by POST. */
export type SubscriptionEndpoint = Readonly<{ queue: string }> | Readonly<{ url: string }>

/** What may be changed of a subscription. What is left out keeps its value, or gets the default on creation. */
export type SubscriptionAttributes = Readonly<{
  /**
   * What happens when the endpoint does not take a message: three more tries, 10 to 20 s apart; or, the default, ever
   * rarer ones for a day. Then it is dropped for this subscription.
   */
  notifyStrategy?: "BACKOFF_RETRY" | "EXPONENTIAL_DECAY_RETRY"
  /** What is sent: the message with its facts (default, for an address only), or its body alone (queues). */
  notifyContentFormat?: "JSON" | "SIMPLIFIED"
  /** Messages with one of these tags are wanted; default: all messages. To get back there: `clearFilterTags`. */
  filterTags?: readonly string[]
  /** Messages whose routing key matches are wanted: `*` one word, `#` any number. For topics of `bindingKeys`. */
  bindingKeys?: readonly string[]
}>

/** What a new subscription is made of. */
export type SubscriptionOrder = SubscriptionAttributes & Readonly<{ endpoint: SubscriptionEndpoint }>

/** A subscription's attributes, and how many messages wait for it. */
export type SubscriptionStatus = Required<SubscriptionAttributes> &
  Readonly<{
    subscriptionId: string
    endpoint: SubscriptionEndpoint
    /** Messages that its endpoint has not taken yet. */
    msgCount: number
    createTime: Date
    lastModifyTime: Date
  }>

/** Number of each filter type on the wire. */
const FILTER_TYPES = { tags: "1", bindingKeys: "2" } as const satisfies Record<FilterType, string>

/** The attributes as parameters of CreateTopic. @throws TypeError for options that are none. */
export function topicParametersOf(attributes: TopicAttributes): readonly Parameter[] {
  checkOptions("the attributes of a topic", attributes)
  const { maxMsgSizeBytes, filterType } = attributes
  const parameters: Parameter[] = []
  if (maxMsgSizeBytes !== undefined) parameters.push(["maxMsgSize", String(maxMsgSizeBytes)])
  if (filterType !== undefined) {
    if (!Object.hasOwn(FILTER_TYPES, filterType)) throw argumentInvalid('filterType is "tags" or "bindingKeys"')
    parameters.push(["filterType", FILTER_TYPES[filterType]])
  }
  return parameters
}

/** Reads a reply of GetTopicAttributes. */
export function readTopicStatus(fields: Fields): TopicStatus {
  return {
    topicId: textOf(fields["topicId"]),
    maxMsgSizeBytes: numberOf(fields["maxMsgSize"]),
    filterType: numberOf(fields["filterType"]) === 2 ? "bindingKeys" : "tags",
    msgRetentionSeconds: numberOf(fields["msgRetentionSeconds"]),
    msgCount: numberOf(fields["msgCount"]),
    createTime: new Date(numberOf(fields["createTime"]) * 1_000),
    lastModifyTime: new Date(numberOf(fields["lastModifyTime"]) * 1_000),
  }
}

/** Endpoint and protocol as parameters of Subscribe. @throws TypeError for what is no endpoint. */
export function endpointParametersOf(endpoint: SubscriptionEndpoint): readonly Parameter[] {
  checkOptions("the endpoint of a subscription", endpoint)
  const { queue, url } = endpoint as Partial<Record<"queue" | "url", unknown>>
  if ((queue === undefined) === (url === undefined)) {
    throw typeError("the endpoint of a subscription", "either { queue: name } or { url: address }", endpoint)
  }
  checkString("the endpoint of a subscription", queue ?? url)
  return "queue" in endpoint
    ? [
        ["protocol", "queue"],
        ["endpoint", endpoint.queue],
      ]
    : [
        ["protocol", "http"],
        ["endpoint", endpoint.url],
      ]
}

/** The parameters of a list, each item one. */
export function listParametersOf(name: string, items: readonly string[]): readonly Parameter[] {
  return items.map((item, index) => [`${name}.${String(index + 1)}`, item])
}

/** The attributes as parameters of Subscribe and SetSubscriptionAttributes. */
export function subscriptionParametersOf(attributes: SubscriptionAttributes): readonly Parameter[] {
  const { notifyStrategy, notifyContentFormat, filterTags, bindingKeys } = attributes
  const parameters: Parameter[] = []
  if (notifyStrategy !== undefined) parameters.push(["notifyStrategy", notifyStrategy])
  if (notifyContentFormat !== undefined) parameters.push(["notifyContentFormat", notifyContentFormat])
  if (filterTags !== undefined) parameters.push(...listParametersOf("filterTag", filterTags))
  if (bindingKeys !== undefined) parameters.push(...listParametersOf("bindingKey", bindingKeys))
  return parameters
}

/** Reads a reply of GetSubscriptionAttributes, in whatever spelling of its two doubtful names. */
export function readSubscriptionStatus(fields: Fields): SubscriptionStatus {
  return {
    subscriptionId: textOf(fields["subscriptionId"]),
    endpoint: readEndpoint(fields),
    notifyStrategy: fields["notifyStrategy"] === "BACKOFF_RETRY" ? "BACKOFF_RETRY" : "EXPONENTIAL_DECAY_RETRY",
    notifyContentFormat: fields["notifyContentFormat"] === "SIMPLIFIED" ? "SIMPLIFIED" : "JSON",
    filterTags: textsOf(fields["filterTag"] ?? fields["filterTags"]),
    bindingKeys: textsOf(fields["bindingKey"]),
    msgCount: numberOf(fields["msgCount"]),
    createTime: new Date(numberOf(fields["createTime"]) * 1_000),
    lastModifyTime: new Date(numberOf(fields["lastModifyTime"]) * 1_000),
  }
}

/** The endpoint of a reply: of one subscription, or of a row of a list. */
export function readEndpoint(fields: Fields): SubscriptionEndpoint {
  const endpoint = textOf(fields["endpoint"])
  return textOf(fields["protocol"] ?? fields["protocal"]) === "queue" ? { queue: endpoint } : { url: endpoint }
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : []
}
