/** The examples of topics and subscriptions for docs/http-api.md, in an order in which they can be run, and their errors. */
import type { ErrorName } from "@opencmq/proto"
import type { Params } from "./client.ts"

const OK = { code: 0, message: "", requestId: "1f0c9a7be2-4q" }
const TOPIC = { topicName: "news" }
const SUBSCRIPTION = { topicName: "news", subscriptionName: "phones" }
const ADDRESS = "http://203.0.113.7/hook"

export const TOPIC_EXAMPLES = [
  { action: "CreateTopic", params: TOPIC, reply: { ...OK, topicId: "topic-daa66d13" } },
  {
    action: "ListTopic",
    params: { limit: 20 },
    reply: { ...OK, totalCount: 1, topicList: [{ topicId: "topic-daa66d13", ...TOPIC }] },
  },
  { action: "QueryTopicRoute", params: TOPIC, reply: { ...OK, addr: ["127.0.0.1:7073"] } },
  { action: "SetTopicAttributes", params: { ...TOPIC, maxMsgSize: 1024 }, reply: OK },
  {
    action: "Subscribe",
    params: { ...SUBSCRIPTION, protocol: "http", endpoint: ADDRESS, filterTag: ["red", "blue"] },
    reply: { ...OK, subscriptionId: "subsc-78dde6c4" },
  },
  {
    action: "PublishMessage",
    params: { ...TOPIC, msgBody: "hello", msgTag: ["red"] },
    reply: { ...OK, msgId: "65536" },
  },
  {
    action: "BatchPublishMessage",
    params: { ...TOPIC, msgBody: ["one", "two"], msgTag: ["green"] },
    reply: { ...OK, msgList: [{ msgId: "131072" }, { msgId: "131073" }] },
  },
  {
    action: "GetTopicAttributes",
    params: TOPIC,
    reply: {
      ...OK,
      topicId: "topic-daa66d13",
      ...TOPIC,
      msgCount: 1,
      maxMsgSize: 1024,
      msgRetentionSeconds: 86400,
      filterType: 1,
      createTime: 1700000000,
      lastModifyTime: 1700000000,
    },
  },
  {
    action: "ListSubscriptionByTopic",
    params: TOPIC,
    reply: {
      ...OK,
      totalCount: 1,
      subscriptionList: [
        { subscriptionId: "subsc-78dde6c4", subscriptionName: "phones", protocol: "http", endpoint: ADDRESS },
      ],
    },
  },
  { action: "SetSubscriptionAttributes", params: { ...SUBSCRIPTION, notifyStrategy: "BACKOFF_RETRY" }, reply: OK },
  {
    action: "GetSubscriptionAttributes",
    params: SUBSCRIPTION,
    reply: {
      ...OK,
      subscriptionId: "subsc-78dde6c4",
      topicOwner: "",
      msgCount: 1,
      protocol: "http",
      protocal: "http",
      endpoint: ADDRESS,
      notifyStrategy: "BACKOFF_RETRY",
      notifyContentFormat: "JSON",
      createTime: 1700000000,
      lastModifyTime: 1700000000,
      filterTag: ["red", "blue"],
      filterTags: ["red", "blue"],
      bindingKey: [],
    },
  },
  { action: "ClearSubscriptionFilterTags", params: SUBSCRIPTION, reply: OK },
  { action: "Unsubscribe", params: SUBSCRIPTION, reply: OK },
  { action: "DeleteTopic", params: TOPIC, reply: OK },
] as const satisfies readonly { readonly action: string; readonly params: Params; readonly reply: object }[]

const TOPIC_ERRORS_COMMON: readonly ErrorName[] = ["topicNameInvalid", "topicNotFound"]
const SUBSCRIPTION_ERRORS: readonly ErrorName[] = [
  ...TOPIC_ERRORS_COMMON,
  "subscriptionNameInvalid",
  "subscriptionNotFound",
]
const NOTIFY_ERRORS: readonly ErrorName[] = [
  "notifyStrategyUndefined",
  "notifyContentFormatUndefined",
  "notifyContentFormatNotSimplified",
  "tooManyFilterTags",
  "tooManyBindingKeys",
  "tooManyDelimiters",
  "bindingKeyMissing",
]
const PUBLISH_ERRORS: readonly ErrorName[] = [
  ...TOPIC_ERRORS_COMMON,
  "messageEmpty",
  "messageTooLarge",
  "attributeInvalid",
  "tooManyMessageTags",
  "tooManyDelimiters",
  "routingKeyMissing",
  "topicHasNoSubscription",
  "diskFull",
]

/** What an action may answer besides the common errors. */
export const TOPIC_ERRORS = {
  CreateTopic: ["topicNameInvalid", "topicAlreadyExists", "topicLimitReached", "topicDeletedRecently"],
  SetTopicAttributes: TOPIC_ERRORS_COMMON,
  ListTopic: [],
  GetTopicAttributes: TOPIC_ERRORS_COMMON,
  DeleteTopic: [...TOPIC_ERRORS_COMMON, "topicHasSubscriptions"],
  QueryTopicRoute: TOPIC_ERRORS_COMMON,
  PublishMessage: PUBLISH_ERRORS,
  BatchPublishMessage: [...PUBLISH_ERRORS, "batchTooLarge", "parameterBatchSize", "parameterNotConsecutive"],
  Subscribe: [
    ...TOPIC_ERRORS_COMMON,
    ...NOTIFY_ERRORS,
    "subscriptionNameInvalid",
    "protocolUndefined",
    "endpointInvalid",
    "endpointIllegal",
    "endpointHasBlanks",
    "queueNotFound",
    "subscriptionAlreadyExists",
    "subscriptionLimitReached",
  ],
  Unsubscribe: SUBSCRIPTION_ERRORS,
  ListSubscriptionByTopic: TOPIC_ERRORS_COMMON,
  GetSubscriptionAttributes: SUBSCRIPTION_ERRORS,
  SetSubscriptionAttributes: [...SUBSCRIPTION_ERRORS, ...NOTIFY_ERRORS],
  ClearSubscriptionFilterTags: SUBSCRIPTION_ERRORS,
} as const satisfies Readonly<Record<string, readonly ErrorName[]>>
