/** Rows of the action table for topics and subscriptions (cmq-api.md §3, Topic and Subscription). */
import { LIMITS } from "./limits.ts"

const topicName = { type: "topicName", isRequired: true, meaning: "Name of the topic." } as const
const subscriptionName = { type: "subscriptionName", isRequired: true, meaning: "Name of the subscription." } as const
const maxMsgSize = { type: "int", limit: LIMITS.maxMsgSizeBytes, meaning: "Longest body." } as const

const listParameters = {
  searchWord: { type: "text", limit: LIMITS.searchWordLength, meaning: "Part of the name; absent or empty = all." },
  offset: {
    type: "int",
    limit: LIMITS.listOffset,
    fallback: LIMITS.listOffset.default,
    meaning: "Rows to leave out.",
  },
} as const

const topicListLimit = {
  limit: {
    type: "int",
    limit: LIMITS.listLimitCount,
    fallback: LIMITS.listLimitCount.default,
    meaning: "Rows of the reply.",
  },
} as const

const labels = {
  msgTag: {
    type: "text",
    isArray: true,
    limit: LIMITS.tagLength,
    atMost: { count: LIMITS.tagsCount.max, error: "tooManyMessageTags" },
    meaning: "For subscriptions that filter by tags.",
  },
  routingKey: { type: "key", meaning: "For subscriptions that filter by binding keys; empty = none." },
} as const

const clientMessageId = {
  type: "text",
  limit: LIMITS.clientMessageIdBytes,
  meaning: "OpenCMQ: publishes that carry the same one within 300 s publish one message.",
} as const

const notify = {
  notifyStrategy: {
    type: "word",
    words: ["BACKOFF_RETRY", "EXPONENTIAL_DECAY_RETRY"],
    unknownWord: "notifyStrategyUndefined",
    meaning: "What happens when the endpoint does not take a message.",
  },
  notifyContentFormat: {
    type: "word",
    words: ["JSON", "SIMPLIFIED"],
    unknownWord: "notifyContentFormatUndefined",
    meaning: "What is sent: the message with its facts, or its body alone; for a queue SIMPLIFIED.",
  },
  filterTag: {
    type: "text",
    isArray: true,
    limit: LIMITS.tagLength,
    atMost: { count: LIMITS.tagsCount.max, error: "tooManyFilterTags" },
    meaning: "Tags of the messages that are wanted; none = every message.",
  },
  bindingKey: {
    type: "key",
    isArray: true,
    atMost: { count: LIMITS.tagsCount.max, error: "tooManyBindingKeys" },
    meaning: "Patterns of routing keys: * one word, # any number of words. Needed when the topic's filterType is 2.",
  },
} as const

/** Topics and subscriptions; part of `ACTIONS`. */
export const TOPIC_ACTIONS = {
  CreateTopic: {
    summary: "Makes a topic.",
    source: "D",
    isMutating: true,
    isRepeatable: true,
    isAdministrative: true,
    parameters: {
      topicName,
      maxMsgSize: { ...maxMsgSize, fallback: LIMITS.maxMsgSizeBytes.default },
      filterType: {
        type: "int",
        limit: LIMITS.filterType,
        fallback: LIMITS.filterType.default,
        meaning: "1 = subscriptions filter by tags, 2 = by binding keys; fixed for the topic's life.",
      },
    },
    reply: { topicId: "string" },
  },
  SetTopicAttributes: {
    summary: "Changes a topic's longest body.",
    source: "D",
    isMutating: true,
    isRepeatable: true,
    isAdministrative: true,
    parameters: { topicName, maxMsgSize: { ...maxMsgSize, isRequired: true } },
    reply: {},
  },
  ListTopic: {
    summary: "Lists topics by name, in the order of their names.",
    source: "D",
    isMutating: false,
    isRepeatable: true,
    isAdministrative: true,
    parameters: { ...listParameters, ...topicListLimit },
    reply: { totalCount: "number", topicList: "list" },
  },
  GetTopicAttributes: {
    summary: "Answers a topic's attributes and counts.",
    source: "D",
    isMutating: false,
    isRepeatable: true,
    isAdministrative: true,
    parameters: { topicName },
    reply: {
      topicId: "string",
      topicName: "string",
      msgCount: "number",
      maxMsgSize: "number",
      msgRetentionSeconds: "number",
      filterType: "number",
      createTime: "number",
      lastModifyTime: "number",
    },
  },
  DeleteTopic: {
    summary: "Deletes a topic that has no subscriptions.",
    source: "D",
    isMutating: true,
    isRepeatable: true,
    isAdministrative: true,
    parameters: { topicName },
    reply: {},
  },
  PublishMessage: {
    summary: "Publishes one message to every subscription that wants it.",
    source: "D",
    isMutating: true,
    isRepeatable: false,
    isAdministrative: false,
    parameters: {
      topicName,
      msgBody: { type: "bytes", isRequired: true, limit: LIMITS.msgBodyBytes, meaning: "Body, plain text." },
      ...labels,
      clientMessageId,
    },
    reply: { msgId: "string" },
  },
  BatchPublishMessage: {
    summary: "Publishes up to 16 messages: all or none.",
    source: "D",
    isMutating: true,
    isRepeatable: false,
    isAdministrative: false,
    parameters: {
      topicName,
      msgBody: {
        type: "bytes",
        isRequired: true,
        isArray: true,
        limit: LIMITS.msgBodyBytes,
        meaning: "The messages, together at most 1 MiB.",
      },
      ...labels,
      clientMessageId: { ...clientMessageId, isArray: true, alignedWith: "msgBody" },
    },
    reply: { msgList: "list" },
  },
  Subscribe: {
    summary: "Makes a subscription: messages of the topic go to a queue or to an address from now on.",
    source: "D; subscriptionId: S py",
    isMutating: true,
    isRepeatable: true,
    isAdministrative: true,
    parameters: {
      topicName,
      subscriptionName,
      protocol: {
        type: "word",
        isRequired: true,
        words: ["http", "queue"],
        unknownWord: "protocolUndefined",
        meaning: "What the endpoint is.",
      },
      endpoint: {
        type: "text",
        isRequired: true,
        limit: LIMITS.endpointLength,
        meaning: "An http:// address, or the name of a queue that exists.",
      },
      ...notify,
    },
    reply: { subscriptionId: "string" },
  },
  Unsubscribe: {
    summary: "Ends a subscription, with everything that waits for it.",
    source: "D",
    isMutating: true,
    isRepeatable: true,
    isAdministrative: true,
    parameters: { topicName, subscriptionName },
    reply: {},
  },
  ListSubscriptionByTopic: {
    summary: "Lists a topic's subscriptions by name, in the order of their names.",
    source: "D",
    isMutating: false,
    isRepeatable: true,
    isAdministrative: true,
    parameters: {
      topicName,
      ...listParameters,
      limit: {
        type: "int",
        limit: LIMITS.subscriptionListLimitCount,
        fallback: LIMITS.subscriptionListLimitCount.default,
        meaning: "Rows of the reply.",
      },
    },
    reply: { totalCount: "number", subscriptionList: "list" },
  },
  GetSubscriptionAttributes: {
    summary: "Answers a subscription's attributes and how many messages wait for it.",
    source: "D, S: each client reads another spelling of protocol and filterTag",
    isMutating: false,
    isRepeatable: true,
    isAdministrative: true,
    parameters: { topicName, subscriptionName },
    reply: {
      subscriptionId: "string",
      topicOwner: "string",
      msgCount: "number",
      protocol: "string",
      protocal: "string",
      endpoint: "string",
      notifyStrategy: "string",
      notifyContentFormat: "string",
      createTime: "number",
      lastModifyTime: "number",
      filterTag: "list",
      filterTags: "list",
      bindingKey: "list",
    },
  },
  SetSubscriptionAttributes: {
    summary: "Changes those attributes that are given; endpoint and protocol cannot be changed.",
    source: "D",
    isMutating: true,
    isRepeatable: true,
    isAdministrative: true,
    parameters: { topicName, subscriptionName, ...notify },
    reply: {},
  },
  ClearSubscriptionFilterTags: {
    summary: "Takes all tags away: the subscription wants every message.",
    source: "D",
    isMutating: true,
    isRepeatable: true,
    isAdministrative: true,
    parameters: { topicName, subscriptionName },
    reply: {},
  },
} as const
