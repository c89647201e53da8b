/** The actions of topics and subscriptions on their way to the node; part of `ACTION_TABLE`. */
import { LIMITS } from "@opencmq/proto"
import type { ActionParameters } from "@opencmq/proto"
import type { Endpoint, SubscriptionAttributes } from "../../core/queue/command.ts"
import type {
  MessageAttribute,
  PublishedMessage,
  SubscriptionStatus,
  TopicStatus,
  ValueOf,
} from "../../node/service-types.ts"
import type { ActionCall, Answer } from "./action-call.ts"
import { answerBatchSent, answerNothing, answerRoute, answerSent } from "./common-answers.ts"
import { seconds } from "./message-json.ts"

type TopicActionName =
  | "CreateTopic"
  | "SetTopicAttributes"
  | "ListTopic"
  | "GetTopicAttributes"
  | "DeleteTopic"
  | "QueryTopicRoute"
  | "PublishMessage"
  | "BatchPublishMessage"
  | "Subscribe"
  | "Unsubscribe"
  | "ListSubscriptionByTopic"
  | "GetSubscriptionAttributes"
  | "SetSubscriptionAttributes"
  | "ClearSubscriptionFilterTags"

const NO_ATTRIBUTES: readonly MessageAttribute[] = []
/** Fixed in CMQ's API 2.0. */
const TOPIC_RETENTION_MS = LIMITS.topicRetentionSeconds.default * 1000

const FILTER_TYPES = { 1: "tags", 2: "bindingKeys" } as const
const STRATEGIES = { BACKOFF_RETRY: "backoff", EXPONENTIAL_DECAY_RETRY: "exponentialDecay" } as const
const FORMATS = { JSON: "json", SIMPLIFIED: "simplified" } as const

/** The table itself. */
export const TOPIC_TABLE: { readonly [N in TopicActionName]: (call: ActionCall<N>) => void } = {
  CreateTopic: (call) => {
    const { topicName, maxMsgSize, filterType } = call.values
    const attributes = {
      maxMsgBytes: maxMsgSize,
      filterType: filterType === 2 ? FILTER_TYPES[2] : FILTER_TYPES[1],
      msgRetentionMs: TOPIC_RETENTION_MS,
    }
    call.execute("createTopic", { topicName, attributes }, ({ topicId }) => `,"topicId":"${topicId}"`)
  },
  SetTopicAttributes: (call) => {
    const { topicName, maxMsgSize } = call.values
    call.execute("setTopicAttributes", { topicName, change: { maxMsgBytes: maxMsgSize } }, answerNothing)
  },
  ListTopic: (call) => {
    const { searchWord = "", offset, limit } = call.values
    call.execute("listTopics", { searchWord, offset, limit }, topicPageJson)
  },
  GetTopicAttributes: (call) => {
    call.execute("getTopicAttributes", { topicName: call.values.topicName }, topicStatusJson)
  },
  DeleteTopic: (call) => {
    call.execute("deleteTopic", { topicName: call.values.topicName }, answerNothing)
  },
  QueryTopicRoute: (call) => {
    call.execute("getTopicAttributes", { topicName: call.values.topicName }, answerRoute)
  },
  PublishMessage: (call) => {
    const { topicName, msgBody, clientMessageId = "", attributes = NO_ATTRIBUTES } = call.values
    const message = { ...labelsOf(call.values), body: msgBody, clientMessageId, attributes }
    call.execute("publishMessages", { topicName, messages: [message] }, answerSent)
  },
  BatchPublishMessage: (call) => {
    const { topicName, msgBody, clientMessageId, attributes } = call.values
    const labels = labelsOf(call.values)
    const messages: PublishedMessage[] = msgBody.map((body, index) => ({
      ...labels,
      body,
      clientMessageId: clientMessageId?.[index] ?? "",
      attributes: attributes?.[index] ?? NO_ATTRIBUTES,
    }))
    call.execute("publishMessages", { topicName, messages }, answerBatchSent)
  },
  Subscribe: (call) => {
    const { topicName, subscriptionName } = call.values
    const request = {
      topicName,
      subscriptionName,
      endpoint: endpointOf(call.values),
      attributes: newAttributes(call.values),
    }
    call.execute("subscribe", request, ({ subscriptionId }) => `,"subscriptionId":"${subscriptionId}"`)
  },
  Unsubscribe: (call) => {
    const { topicName, subscriptionName } = call.values
    call.execute("unsubscribe", { topicName, subscriptionName }, answerNothing)
  },
  ListSubscriptionByTopic: (call) => {
    const { topicName, searchWord = "", offset, limit } = call.values
    call.execute("listSubscriptions", { topicName, searchWord, offset, limit }, subscriptionPageJson)
  },
  GetSubscriptionAttributes: (call) => {
    const { topicName, subscriptionName } = call.values
    call.execute("getSubscriptionAttributes", { topicName, subscriptionName }, subscriptionStatusJson)
  },
  SetSubscriptionAttributes: (call) => {
    const { topicName, subscriptionName } = call.values
    const request = { topicName, subscriptionName, change: changeOf(call.values) }
    call.execute("setSubscriptionAttributes", request, answerNothing)
  },
  ClearSubscriptionFilterTags: (call) => {
    const { topicName, subscriptionName } = call.values
    const request = { topicName, subscriptionName, change: { filterTags: [] } }
    call.execute("setSubscriptionAttributes", request, answerNothing)
  },
}

// --- Requests ---------------------------------------------------------------------------------------------

function labelsOf(values: ActionParameters["PublishMessage"] | ActionParameters["BatchPublishMessage"]) {
  return { tags: values.msgTag ?? [], routingKey: values.routingKey ?? "" }
}

function endpointOf({ protocol, endpoint }: ActionParameters["Subscribe"]): Endpoint {
  return protocol === "queue" ? { kind: "queue", queueName: endpoint } : { kind: "http", url: endpoint }
}

/** Defaults of CMQ; for a queue SIMPLIFIED, which it must be (cmq-api.md §3). */
function newAttributes(values: ActionParameters["Subscribe"]): SubscriptionAttributes {
  return {
    notifyStrategy: "exponentialDecay",
    notifyContentFormat: values.protocol === "queue" ? "simplified" : "json",
    filterTags: [],
    bindingKeys: [],
    ...changeOf(values),
  }
}

type Change = Partial<SubscriptionAttributes>

function changeOf(values: ActionParameters["Subscribe"] | ActionParameters["SetSubscriptionAttributes"]): Change {
  const { notifyStrategy, notifyContentFormat, filterTag, bindingKey } = values
  return {
    ...(notifyStrategy !== undefined && { notifyStrategy: STRATEGIES[notifyStrategy as keyof typeof STRATEGIES] }),
    ...(notifyContentFormat !== undefined && {
      notifyContentFormat: FORMATS[notifyContentFormat as keyof typeof FORMATS],
    }),
    ...(filterTag !== undefined && { filterTags: filterTag }),
    ...(bindingKey !== undefined && { bindingKeys: bindingKey }),
  }
}

// --- Answers ----------------------------------------------------------------------------------------------

function topicPageJson({ totalCount, topics }: ValueOf<"listTopics">): Answer {
  return `,"totalCount":${String(totalCount)},"topicList":${JSON.stringify(topics)}`
}

function topicStatusJson(status: TopicStatus): Answer {
  const { attributes } = status
  return (
    `,"topicId":"${status.topicId}","topicName":"${status.topicName}","msgCount":${String(status.waitingCount)}` +
    `,"maxMsgSize":${String(attributes.maxMsgBytes)},"msgRetentionSeconds":${seconds(attributes.msgRetentionMs)}` +
    `,"filterType":${attributes.filterType === "tags" ? "1" : "2"}` +
    `,"createTime":${seconds(status.createdAtMs)},"lastModifyTime":${seconds(status.modifiedAtMs)}`
  )
}

function endpointJson(endpoint: Endpoint): { readonly protocol: string; readonly endpoint: string } {
  if (endpoint.kind === "queue") return { protocol: "queue", endpoint: endpoint.queueName }
  return { protocol: "http", endpoint: endpoint.url }
}

function subscriptionPageJson({ totalCount, subscriptions }: ValueOf<"listSubscriptions">): Answer {
  const rows = subscriptions.map(({ subscriptionId, subscriptionName, endpoint }) => ({
    subscriptionId,
    subscriptionName,
    ...endpointJson(endpoint),
  }))
  return `,"totalCount":${String(totalCount)},"subscriptionList":${JSON.stringify(rows)}`
}

/** Every spelling that some SDK reads (cmq-api.md §3). There are no account numbers here: topicOwner is empty. */
function subscriptionStatusJson(status: SubscriptionStatus): Answer {
  const { attributes } = status
  const { protocol, endpoint } = endpointJson(status.endpoint)
  const fields = {
    subscriptionId: status.subscriptionId,
    topicOwner: "",
    msgCount: status.waitingCount,
    protocol,
    protocal: protocol,
    endpoint,
    notifyStrategy: wireName(STRATEGIES, attributes.notifyStrategy),
    notifyContentFormat: wireName(FORMATS, attributes.notifyContentFormat),
    createTime: Math.floor(status.createdAtMs / 1000),
    lastModifyTime: Math.floor(status.modifiedAtMs / 1000),
    filterTag: attributes.filterTags,
    filterTags: attributes.filterTags,
    bindingKey: attributes.bindingKeys,
  }
  return `,${JSON.stringify(fields).slice(1, -1)}`
}

function wireName(names: Readonly<Record<string, string>>, value: string): string {
  return Object.keys(names).find((name) => names[name] === value) ?? ""
}
