/** Every method of TopicService by a real client, and what it refuses. */
import { status } from "@grpc/grpc-js"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { openGrpcFace } from "./kit/grpc-face.ts"
import type { Fields, GrpcClient, TestGrpcFace } from "./kit/grpc-face.ts"

const BODY = Buffer.from("x")

let face: TestGrpcFace
let client: GrpcClient
beforeAll(async () => {
  face = await openGrpcFace()
  client = face.client()
  for (const queueName of ["inbox", "other", "orders"]) await client.call("QueueService/CreateQueue", { queueName })
  await client.call("TopicService/CreateTopic", { topicName: "t" })
  const keyed = { topicName: "keyed", filterType: "FILTER_TYPE_BINDING_KEYS" }
  await client.call("TopicService/CreateTopic", keyed)
})
afterAll(() => face.close())

async function received(queueName: string): Promise<readonly Fields[]> {
  const reply = await client.call("MessageService/Receive", { queueName, maxMessages: 16 })
  return (reply["messages"] ?? []) as Fields[]
}

test("a topic is created with CMQ's defaults, described, changed and deleted", async () => {
  const topicName = "life"
  const { topicId } = await client.call("TopicService/CreateTopic", { topicName })
  expect(topicId).toMatch(/^topic-/)
  const defaults = { maxMsgBytes: "65536", filterType: "FILTER_TYPE_TAGS", msgRetentionMs: "86400000" }
  const described = await client.call("TopicService/GetTopic", { topicName })
  expect(described).toMatchObject({ topicName, topicId, ...defaults })
  expect(Number(described["createdAtMs"])).toBeGreaterThan(Date.now() - 60_000)
  expect(await client.call("TopicService/UpdateTopic", { topicName, maxMsgBytes: 2_048 })).toEqual({ topicId })
  expect(await client.call("TopicService/UpdateTopic", { topicName, msgRetentionMs: 60_500 })).toEqual({ topicId })
  const changed = { ...defaults, maxMsgBytes: "2048", msgRetentionMs: "60500" }
  expect(await client.call("TopicService/GetTopic", { topicName })).toMatchObject(changed)
  expect(await client.call("TopicService/DeleteTopic", { topicName })).toEqual({})
  expect((await client.refused("TopicService/GetTopic", { topicName })).info.reason).toBe("topicNotFound")
})

test("topics and subscriptions are listed page by page in the order of their names", async () => {
  const names = ["list-c", "list-a", "list-b"]
  for (const topicName of names) await client.call("TopicService/CreateTopic", { topicName })
  for (const subscriptionName of names.slice(0, 2)) {
    await client.call("TopicService/Subscribe", { topicName: "list-a", subscriptionName, queueName: "inbox" })
  }
  const httpUrl = "http://203.0.113.7/hook"
  await client.call("TopicService/Subscribe", { topicName: "list-a", subscriptionName: "hook", httpUrl })
  const request = { nameContains: "list-", pageSize: 2 }
  const first = await client.call("TopicService/ListTopics", request)
  expect(first).toMatchObject({ topics: [{ topicName: "list-a" }, { topicName: "list-b" }], totalCount: 3 })
  const second = await client.call("TopicService/ListTopics", { ...request, pageToken: first["nextPageToken"] })
  expect(second).toEqual({ topics: [{ topicName: "list-c", topicId: expect.any(String) as string }], totalCount: 3 })
  const subscriptions = { topicName: "list-a", pageSize: 2 }
  const page = await client.call("TopicService/ListSubscriptions", subscriptions)
  expect(page).toMatchObject({
    subscriptions: [
      { subscriptionName: "hook", subscriptionId: expect.stringMatching(/^subsc-/) as string, httpUrl },
      { subscriptionName: "list-a", queueName: "inbox" },
    ],
    totalCount: 3,
  })
  const rest = { ...subscriptions, pageToken: page["nextPageToken"] }
  expect(await client.call("TopicService/ListSubscriptions", rest)).toMatchObject({
    subscriptions: [{ subscriptionName: "list-c", queueName: "inbox" }],
  })
})

test("a publish goes to the subscriptions that want it, each message by its own labels", async () => {
  const topicName = "labels"
  await client.call("TopicService/CreateTopic", { topicName })
  const red = { filterTags: ["red"] }
  const subscribe = { topicName, subscriptionName: "reds", queueName: "inbox", attributes: red }
  const { subscriptionId } = await client.call("TopicService/Subscribe", subscribe)
  await client.call("TopicService/Subscribe", { topicName, subscriptionName: "all", queueName: "other" })
  const attributes = [
    { name: "kind", text: "ä" },
    { name: "raw", binary: Buffer.from([0, 255]) },
  ]
  const messages = [
    { body: Buffer.from("one"), tags: ["red", "big"], attributes, clientMessageId: "id-1" },
    { body: Buffer.from("two"), tags: ["green"] },
    { body: Buffer.from("three") },
  ]
  const published = await client.call("TopicService/Publish", { topicName, messages })
  expect(published).toMatchObject({ messages: [{}, {}, {}], deliveryCount: "4" })
  const [{ msgId } = {}] = published["messages"] as Fields[]
  const again = { topicName, messages: messages.slice(0, 1) }
  expect(await client.call("TopicService/Publish", again)).toEqual({
    messages: [{ msgId, isDuplicate: true }],
    deliveryCount: "0",
  })
  expect(await received("inbox")).toMatchObject([
    { msgId, body: Buffer.from("one"), attributes, clientMessageId: "id-1" },
  ])
  expect((await received("other")).map(({ body }) => String(body))).toEqual(["one", "two", "three"])
  expect(await client.call("TopicService/GetTopic", { topicName })).toMatchObject({
    subscriptionCount: "2",
    publishedCount: "3",
  })
  expect(await client.call("TopicService/GetSubscription", { topicName, subscriptionName: "reds" })).toMatchObject({
    topicName,
    subscriptionName: "reds",
    subscriptionId,
    queueName: "inbox",
    attributes: {
      notifyStrategy: "NOTIFY_STRATEGY_EXPONENTIAL_DECAY_RETRY",
      notifyContentFormat: "NOTIFY_CONTENT_FORMAT_SIMPLIFIED",
      filterTags: ["red"],
    },
    deliveredCount: "1",
  })
})

test("a subscription is changed, its tags are cleared, and it ends", async () => {
  const names = { topicName: "t", subscriptionName: "changing" }
  const httpUrl = "http://203.0.113.7/hook"
  const { subscriptionId } = await client.call("TopicService/Subscribe", { ...names, httpUrl })
  const attributes = {
    notifyStrategy: "NOTIFY_STRATEGY_BACKOFF_RETRY",
    notifyContentFormat: "NOTIFY_CONTENT_FORMAT_SIMPLIFIED",
    filterTags: ["red", "blue"],
  }
  expect(await client.call("TopicService/UpdateSubscription", { ...names, attributes })).toEqual({ subscriptionId })
  // What is absent stays as it was.
  await client.call("TopicService/UpdateSubscription", { ...names, attributes: {} })
  await client.call("TopicService/UpdateSubscription", names)
  expect(await client.call("TopicService/GetSubscription", names)).toMatchObject({ httpUrl, attributes })
  expect(await client.call("TopicService/ClearSubscriptionFilterTags", names)).toEqual({})
  const cleared = await client.call("TopicService/GetSubscription", names)
  expect(cleared["attributes"]).toEqual({ ...attributes, filterTags: undefined })
  expect((await client.refused("TopicService/DeleteTopic", { topicName: "t" })).info.reason).toBe(
    "topicHasSubscriptions",
  )
  expect(await client.call("TopicService/Unsubscribe", names)).toEqual({})
  expect((await client.refused("TopicService/GetSubscription", names)).info.reason).toBe("subscriptionNotFound")
})

test("routing keys are matched with binding keys", async () => {
  const names = { topicName: "keyed", subscriptionName: "orders" }
  const missing = await client.refused("TopicService/Subscribe", { ...names, queueName: "orders" })
  expect(missing.info.reason).toBe("bindingKeyMissing")
  const attributes = { bindingKeys: ["order.#"] }
  await client.call("TopicService/Subscribe", { ...names, queueName: "orders", attributes })
  const messages = ["order.created", "stock.low"].map((routingKey) => ({ body: Buffer.from(routingKey), routingKey }))
  const published = await client.call("TopicService/Publish", { topicName: "keyed", messages })
  expect(published["deliveryCount"]).toBe("1")
  expect((await received("orders")).map(({ body }) => String(body))).toEqual(["order.created"])
  const without = await client.refused("TopicService/Publish", { topicName: "keyed", messages: [{ body: BODY }] })
  expect(without.info.reason).toBe("routingKeyMissing")
  expect(await client.call("TopicService/GetTopic", { topicName: "keyed" })).toMatchObject({
    filterType: "FILTER_TYPE_BINDING_KEYS",
    unmatchedCount: "1",
  })
})

describe("a request outside its ranges is refused, and the field is named", () => {
  const { INVALID_ARGUMENT, OUT_OF_RANGE } = status
  const publish = (...messages: Fields[]): Fields => ({ topicName: "t", messages })
  const subscribe = (rest: Fields): Fields => ({ topicName: "t", subscriptionName: "s", ...rest })
  const queue = (attributes: Fields): Fields => subscribe({ queueName: "inbox", attributes })
  const six = ["a", "b", "c", "d", "e", "f"]
  const dots = "a.".repeat(16) + "a"
  test.each<[string, string, string, status, Fields]>([
    ["CreateTopic", "topic_name", "parameterMissing", INVALID_ARGUMENT, {}],
    ["GetTopic", "topic_name", "topicNameInvalid", INVALID_ARGUMENT, { topicName: "1x" }],
    ["CreateTopic", "max_msg_bytes", "parameterOutOfRange", OUT_OF_RANGE, { topicName: "n", maxMsgBytes: 1_023 }],
    ["CreateTopic", "filter_type", "parameterOutOfRange", OUT_OF_RANGE, { topicName: "n", filterType: 3 }],
    [
      "UpdateTopic",
      "msg_retention_ms",
      "parameterOutOfRange",
      OUT_OF_RANGE,
      { topicName: "t", msgRetentionMs: 59_999 },
    ],
    ["ListTopics", "page_size", "parameterOutOfRange", OUT_OF_RANGE, { pageSize: 101 }],
    ["ListSubscriptions", "page_token", "parameterTypeError", INVALID_ARGUMENT, { topicName: "t", pageToken: "next" }],
    ["Unsubscribe", "subscription_name", "parameterMissing", INVALID_ARGUMENT, { topicName: "t" }],
    [
      "Unsubscribe",
      "subscription_name",
      "subscriptionNameInvalid",
      INVALID_ARGUMENT,
      subscribe({ subscriptionName: "?" }),
    ],
    ["Subscribe", "endpoint", "parameterMissing", INVALID_ARGUMENT, subscribe({})],
    ["Subscribe", "queue_name", "endpointIllegal", INVALID_ARGUMENT, subscribe({ queueName: "http://x" })],
    ["Subscribe", "http_url", "endpointInvalid", INVALID_ARGUMENT, subscribe({ httpUrl: "https://x" })],
    ["Subscribe", "http_url", "endpointHasBlanks", INVALID_ARGUMENT, subscribe({ httpUrl: "http://x y" })],
    ["Subscribe", "http_url", "parameterOutOfRange", OUT_OF_RANGE, subscribe({ httpUrl: `http://${"x".repeat(494)}` })],
    [
      "Subscribe",
      "attributes.notify_strategy",
      "notifyStrategyUndefined",
      INVALID_ARGUMENT,
      queue({ notifyStrategy: 9 }),
    ],
    [
      "Subscribe",
      "attributes.notify_content_format",
      "notifyContentFormatUndefined",
      INVALID_ARGUMENT,
      queue({ notifyContentFormat: 3 }),
    ],
    ["Subscribe", "attributes.filter_tags", "tooManyFilterTags", INVALID_ARGUMENT, queue({ filterTags: six })],
    [
      "Subscribe",
      "attributes.filter_tags",
      "parameterOutOfRange",
      OUT_OF_RANGE,
      queue({ filterTags: ["x".repeat(17)] }),
    ],
    ["Subscribe", "attributes.binding_keys", "tooManyBindingKeys", INVALID_ARGUMENT, queue({ bindingKeys: six })],
    ["Subscribe", "attributes.binding_keys", "tooManyDelimiters", INVALID_ARGUMENT, queue({ bindingKeys: [dots] })],
    ["Publish", "messages", "parameterMissing", INVALID_ARGUMENT, publish()],
    ["Publish", "messages", "parameterBatchSize", INVALID_ARGUMENT, publish(...Array<Fields>(17).fill({ body: BODY }))],
    ["Publish", "messages[1].body", "messageEmpty", INVALID_ARGUMENT, publish({ body: BODY }, {})],
    ["Publish", "messages[0].tags", "tooManyMessageTags", INVALID_ARGUMENT, publish({ body: BODY, tags: six })],
    ["Publish", "messages[0].tags", "parameterOutOfRange", OUT_OF_RANGE, publish({ body: BODY, tags: [""] })],
    [
      "Publish",
      "messages[0].routing_key",
      "tooManyDelimiters",
      INVALID_ARGUMENT,
      publish({ body: BODY, routingKey: dots }),
    ],
    [
      "Publish",
      "messages[0].routing_key",
      "parameterOutOfRange",
      OUT_OF_RANGE,
      publish({ body: BODY, routingKey: "ä".repeat(33) }),
    ],
    [
      "Publish",
      "messages[0].attributes",
      "attributeInvalid",
      INVALID_ARGUMENT,
      publish({ body: BODY, attributes: [{ name: "ä", text: "" }] }),
    ],
  ])("%s, %s: %s", async (...row) => {
    const [method, field, reason, code, request] = row
    const refused = await client.refused(`TopicService/${method}`, request)
    expect(refused).toMatchObject({ code, field, info: { reason } })
    expect(refused.info.metadata).toMatchObject({ outcome: "notApplied", retriable: "false" })
  })
})

test("what the machine refuses has its row of the table", async () => {
  const queue = { topicName: "t", subscriptionName: "s", queueName: "inbox" }
  const json = { notifyContentFormat: "NOTIFY_CONTENT_FORMAT_JSON" }
  const cases: readonly [string, Fields, status, string][] = [
    ["CreateTopic", { topicName: "T" }, status.ALREADY_EXISTS, "topicAlreadyExists"],
    ["Publish", { topicName: "t", messages: [{ body: BODY }] }, status.FAILED_PRECONDITION, "topicHasNoSubscription"],
    ["Publish", { topicName: "none", messages: [{ body: BODY }] }, status.NOT_FOUND, "topicNotFound"],
    ["Subscribe", { ...queue, queueName: "none" }, status.NOT_FOUND, "queueNotFound"],
    ["Subscribe", { ...queue, attributes: json }, status.INVALID_ARGUMENT, "notifyContentFormatNotSimplified"],
    ["ListSubscriptions", { topicName: "none" }, status.NOT_FOUND, "topicNotFound"],
  ]
  for (const [method, request, code, reason] of cases) {
    expect(await client.refused(`TopicService/${method}`, request)).toMatchObject({ code, info: { reason } })
  }
})
