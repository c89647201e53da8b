/** The methods of `opencmq.v1.TopicService` on their way to the node; part of `METHOD_TABLE`. */
import { LIMITS, checkBindingKeys, checkEndpoint, checkTags } from "@opencmq/proto"
import type { ErrorName } from "@opencmq/proto"
import type { Endpoint, FilterType, SubscriptionAttributes } from "../../core/queue/command.ts"
import type { RequestOf, SubscriptionStatus, TopicStatus, ValueOf } from "../../node/service-types.ts"
import type { FieldReader } from "./field-reader.ts"
import { pageFacts, readListPage } from "./list-page.ts"
import { sentValue } from "./message-values.ts"
import type { MethodRow } from "./method-row.ts"
import type { UnaryCall } from "./unary-call.ts"
import type { WireListRequest } from "./wire-types.ts"
import type {
  WireEndpoint,
  WirePublishRequest,
  WireSubscribeRequest,
  WireSubscriptionChange,
  WireSubscriptionName,
  WireSubscriptionsRequest,
  WireTopicChange,
  WireTopicName,
  WireTopicRequest,
} from "./wire-topic-types.ts"

/** Numbers of the enums, 0 left out. */
const FILTER_TYPES = { tags: 1, bindingKeys: 2 } as const satisfies Record<FilterType, number>
const STRATEGIES = { backoff: 1, exponentialDecay: 2 } as const
const FORMATS = { json: 1, simplified: 2 } as const

const DEFAULTS = {
  maxMsgBytes: LIMITS.maxMsgSizeBytes.default,
  msgRetentionMs: LIMITS.topicRetentionSeconds.default * 1000,
}

type TopicChange = RequestOf<"setTopicAttributes">["change"]

/** The table itself. */
export const TOPIC_METHODS: Readonly<Record<string, MethodRow>> = {
  CreateTopic: (call, request: WireTopicRequest) => {
    const topicName = call.fields.topicName(request.topicName)
    const filterType = wordOf(call.fields, {
      field: "filter_type",
      value: request.filterType,
      words: FILTER_TYPES,
      unknown: "parameterOutOfRange",
    })
    const attributes = { ...DEFAULTS, ...topicChangeOf(call.fields, request), filterType: filterType ?? "tags" }
    call.execute("createTopic", { topicName, attributes }, asItIs)
  },
  GetTopic: (call, request: WireTopicName) => {
    call.execute("getTopicAttributes", { topicName: call.fields.topicName(request.topicName) }, topicValue)
  },
  ListTopics: (call, request: WireListRequest) => {
    const page = readListPage(call.fields, request)
    call.execute("listTopics", page, ({ topics, totalCount }) => ({
      topics,
      ...pageFacts(page, totalCount, topics.length),
    }))
  },
  UpdateTopic: (call, request: WireTopicChange) => {
    const topicName = call.fields.topicName(request.topicName)
    call.execute("setTopicAttributes", { topicName, change: topicChangeOf(call.fields, request) }, asItIs)
  },
  DeleteTopic: (call, request: WireTopicName) => {
    call.execute("deleteTopic", { topicName: call.fields.topicName(request.topicName) }, asItIs)
  },
  Publish: (call, request: WirePublishRequest) => {
    const topicName = call.fields.topicName(request.topicName)
    const messages = call.fields.publishedMessages(request.messages)
    call.execute("publishMessages", { topicName, messages }, publishedValue)
  },
  Subscribe: (call, request: WireSubscribeRequest) => {
    const names = namesOf(call, request)
    const endpoint = endpointOf(call.fields, request)
    const attributes = { ...defaultsFor(endpoint), ...changeOf(call.fields, request) }
    call.execute("subscribe", { ...names, endpoint, attributes }, asItIs)
  },
  GetSubscription: (call, request: WireSubscriptionName) => {
    call.execute("getSubscriptionAttributes", namesOf(call, request), subscriptionValue)
  },
  ListSubscriptions: (call, request: WireSubscriptionsRequest) => {
    const topicName = call.fields.topicName(request.topicName)
    const page = readListPage(call.fields, request)
    call.execute("listSubscriptions", { topicName, ...page }, ({ subscriptions, totalCount }) => ({
      subscriptions: subscriptions.map(({ endpoint, ...row }) => ({ ...row, ...endpointValue(endpoint) })),
      ...pageFacts(page, totalCount, subscriptions.length),
    }))
  },
  UpdateSubscription: (call, request: WireSubscriptionChange) => {
    const names = namesOf(call, request)
    call.execute("setSubscriptionAttributes", { ...names, change: changeOf(call.fields, request) }, asItIs)
  },
  ClearSubscriptionFilterTags: (call, request: WireSubscriptionName) => {
    const change = { filterTags: [] }
    call.execute("setSubscriptionAttributes", { ...namesOf(call, request), change }, nothing)
  },
  Unsubscribe: (call, request: WireSubscriptionName) => {
    call.execute("unsubscribe", namesOf(call, request), nothing)
  },
}

function asItIs(value: object): object {
  return value
}

function nothing(): object {
  return {}
}

// --- Requests ---------------------------------------------------------------------------------------------

/** What is present. */
function topicChangeOf(fields: FieldReader, request: WireTopicChange): TopicChange {
  const { maxMsgBytes, msgRetentionMs: retentionMs } = request
  if (maxMsgBytes !== undefined) fields.count({ field: "max_msg_bytes", value: maxMsgBytes }, LIMITS.maxMsgSizeBytes)
  const msgRetentionMs = fields.optionalMs("msg_retention_ms", retentionMs, LIMITS.topicRetentionSeconds)
  return {
    ...(maxMsgBytes !== undefined && { maxMsgBytes }),
    ...(msgRetentionMs !== undefined && { msgRetentionMs }),
  }
}

function namesOf({ fields }: UnaryCall, request: WireSubscriptionName): WireSubscriptionName {
  const topicName = fields.topicName(request.topicName)
  return { topicName, subscriptionName: fields.subscriptionName(request.subscriptionName) }
}

interface EnumField<Word extends string> {
  readonly field: string
  readonly value: number
  readonly words: Readonly<Record<Word, number>>
  /** What a number is refused with that no word has. */
  readonly unknown: ErrorName
}

/** The word of an enum's number; 0 = not given. */
function wordOf<Word extends string>(fields: FieldReader, given: EnumField<Word>): Word | undefined {
  const { field, value, words, unknown } = given
  if (value === 0) return undefined
  const word = (Object.keys(words) as Word[]).find((each) => words[each] === value)
  if (word === undefined) fields.refuse(unknown, field)
  return word
}

function endpointOf(fields: FieldReader, { queueName, httpUrl }: WireEndpoint): Endpoint {
  if (queueName !== undefined) {
    fields.check("queue_name", checkEndpoint({ protocol: "queue", endpoint: queueName }))
    return { kind: "queue", queueName }
  }
  const url = httpUrl ?? ""
  if (httpUrl === undefined) fields.refuse("parameterMissing", "endpoint")
  fields.count({ field: "http_url", value: url.length }, LIMITS.endpointLength)
  fields.check("http_url", checkEndpoint({ protocol: "http", endpoint: url }))
  return { kind: "http", url }
}

/** Defaults of CMQ; for a queue SIMPLIFIED, which it must be (cmq-api.md §3). */
function defaultsFor({ kind }: Endpoint): SubscriptionAttributes {
  const notifyContentFormat = kind === "queue" ? "simplified" : "json"
  return { notifyStrategy: "exponentialDecay", notifyContentFormat, filterTags: [], bindingKeys: [] }
}

/** What is present: words that are not 0, lists that are not empty. */
function changeOf(fields: FieldReader, { attributes }: WireSubscriptionChange): Partial<SubscriptionAttributes> {
  if (attributes === null) return {}
  const { filterTags, bindingKeys } = attributes
  const notifyStrategy = wordOf(fields, {
    field: "attributes.notify_strategy",
    value: attributes.notifyStrategy,
    words: STRATEGIES,
    unknown: "notifyStrategyUndefined",
  })
  const notifyContentFormat = wordOf(fields, {
    field: "attributes.notify_content_format",
    value: attributes.notifyContentFormat,
    words: FORMATS,
    unknown: "notifyContentFormatUndefined",
  })
  const [tagsField, keysField] = ["attributes.filter_tags", "attributes.binding_keys"]
  fields.check(tagsField, checkTags(tagsField, filterTags, "tooManyFilterTags"))
  fields.check(keysField, checkBindingKeys(keysField, bindingKeys))
  return {
    ...(notifyStrategy !== undefined && { notifyStrategy }),
    ...(notifyContentFormat !== undefined && { notifyContentFormat }),
    ...(filterTags.length > 0 && { filterTags }),
    ...(bindingKeys.length > 0 && { bindingKeys }),
  }
}

// --- Answers ----------------------------------------------------------------------------------------------

function publishedValue(value: ValueOf<"publishMessages">): object {
  return { ...sentValue(value), deliveryCount: value.deliveryCount }
}

function topicValue({ attributes, ...facts }: TopicStatus): object {
  return { ...facts, ...attributes, filterType: FILTER_TYPES[attributes.filterType] }
}

function endpointValue(endpoint: Endpoint): WireEndpoint {
  return endpoint.kind === "queue" ? { queueName: endpoint.queueName } : { httpUrl: endpoint.url }
}

function subscriptionValue({ endpoint, attributes, ...facts }: SubscriptionStatus): object {
  const { notifyStrategy, notifyContentFormat, ...lists } = attributes
  const words = { notifyStrategy: STRATEGIES[notifyStrategy], notifyContentFormat: FORMATS[notifyContentFormat] }
  return { ...facts, ...endpointValue(endpoint), attributes: { ...words, ...lists } }
}
