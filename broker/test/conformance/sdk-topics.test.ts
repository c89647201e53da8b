/** Topics and subscriptions through the SDK, against the real HTTP face and the real machine. */
import { Account, type CmqError, type Queue } from "@opencmq/client-sdk"
import { afterAll, beforeAll, expect, test } from "vitest"
import { SECRET_ID, SECRET_KEY, openFace, type TestFace } from "./kit/face.ts"

let face: TestFace
let account: Account

beforeAll(async () => {
  face = await openFace("node")
  account = new Account({
    endpoints: [`http://127.0.0.1:${String(face.port)}`],
    secretId: SECRET_ID,
    secretKey: SECRET_KEY,
    retry: { maxRetries: 0 },
    followUnknownLeaders: false,
  })
})

afterAll(async () => {
  account.close()
  await face.close()
})

async function bodiesIn(queue: Queue): Promise<readonly string[]> {
  const messages = await queue.receiveBatch({ waitSeconds: 0 })
  await Promise.all(messages.map((message) => message.delete()))
  return messages.map(({ body }) => body).sort()
}

function refusalOf(promise: Promise<unknown>): Promise<CmqError> {
  return promise.then(
    () => {
      throw new Error("not refused")
    },
    (thrown: unknown) => thrown as CmqError,
  )
}

test("a topic is created, found, listed, changed and deleted", async () => {
  const topic = await account.createTopic("news", { maxMsgSizeBytes: 2_048, filterType: "bindingKeys" })
  expect(await topic.attributes()).toMatchObject({
    maxMsgSizeBytes: 2_048,
    filterType: "bindingKeys",
    msgRetentionSeconds: 86_400,
    msgCount: 0,
  })
  await topic.setAttributes({ maxMsgSizeBytes: 4_096 })
  expect(await account.topic("news").attributes()).toMatchObject({ maxMsgSizeBytes: 4_096 })
  expect((await topic.attributes()).createTime.getTime()).toBeGreaterThan(0)
  expect(await refusalOf(account.createTopic("news"))).toMatchObject({ name: "topicAlreadyExists" })
  expect((await account.ensureTopic("news")).name).toBe("news")
  await account.createTopic("newer")
  const list = await account.listTopics({ searchWord: "new", limit: 1 })
  expect(list).toMatchObject({ totalCount: 2, topics: [{ topicName: "newer" }] })
  const names: string[] = []
  for await (const { topicName } of account.topics({ searchWord: "new" })) names.push(topicName)
  expect(names).toEqual(["newer", "news"])
  await topic.deleteTopic()
  expect(await refusalOf(topic.attributes())).toMatchObject({ name: "topicNotFound" })
})

test("a published message reaches the queues of the subscriptions that want its tags", async () => {
  const red = await account.createQueue("red")
  const all = await account.createQueue("all")
  const topic = await account.createTopic("colours")
  expect(await refusalOf(topic.publish("x"))).toMatchObject({ name: "topicHasNoSubscription" })
  await topic.subscribe("to-red", { endpoint: { queue: "red" }, filterTags: ["red", "crimson"] })
  await topic.subscribe("to-all", { endpoint: { queue: "all" } })
  const first = await topic.publish("one", { tags: ["red", "dark"], clientMessageId: "a" })
  expect(first).toMatchObject({ duplicate: false })
  expect(await topic.publish("one", { tags: ["red"], clientMessageId: "a" })).toEqual({ ...first, duplicate: true })
  const bytes = new TextEncoder().encode("二")
  const batch = await topic.publishBatch([bytes, { body: "three", clientMessageId: "c" }], { tags: ["green"] })
  expect(new Set(batch.map(({ msgId }) => msgId)).size).toBe(2)
  expect(await bodiesIn(red)).toEqual(["one"])
  expect(await bodiesIn(all)).toEqual(["one", "three", "二"])
})

test("a published message has attributes, and bytes that are no text arrive as they were", async () => {
  const queue = await account.createQueue("raw")
  const topic = await account.createTopic("raw")
  await topic.subscribe("raw", { endpoint: { queue: "raw" } })
  const bytes = new Uint8Array([0xff, 0x00])
  await topic.publish(bytes, { attributes: { kind: "blob" } })
  await topic.publishBatch([{ body: bytes, attributes: { kind: "second" } }])
  const messages = await queue.receiveBatch({ waitSeconds: 0 })
  expect(messages.map((message) => [[...message.bytes], message.attributes.get("kind")])).toEqual([
    [[0xff, 0x00], "blob"],
    [[0xff, 0x00], "second"],
  ])
})

test("binding keys choose by the routing key", async () => {
  const queue = await account.createQueue("orders-cn")
  const topic = await account.createTopic("orders", { filterType: "bindingKeys" })
  await topic.subscribe("cn", { endpoint: { queue: "orders-cn" }, bindingKeys: ["order.*.cn", "audit.#"] })
  await topic.publish("hit", { routingKey: "order.1.cn" })
  await topic.publish("miss", { routingKey: "order.1.de" })
  await topic.publishBatch(["audit"], { routingKey: "audit.1.2" })
  expect(await bodiesIn(queue)).toEqual(["audit", "hit"])
})

test("a subscription is made, looked at, changed, cleared and ended", async () => {
  const topic = await account.createTopic("alerts")
  await account.createQueue("alerts-queue")
  const order = { endpoint: { url: "http://203.0.113.7/hook" }, filterTags: ["a", "b"] } as const
  const subscription = await topic.subscribe("phones", order)
  expect(await subscription.attributes()).toMatchObject({
    ...order,
    notifyStrategy: "EXPONENTIAL_DECAY_RETRY",
    notifyContentFormat: "JSON",
    bindingKeys: [],
    msgCount: 0,
  })
  await subscription.setAttributes({ notifyStrategy: "BACKOFF_RETRY", filterTags: ["c"] })
  expect(await subscription.attributes()).toMatchObject({ notifyStrategy: "BACKOFF_RETRY", filterTags: ["c"] })
  await topic.publish("waits", { tags: ["c"] })
  expect(await subscription.attributes()).toMatchObject({ msgCount: 1 })
  await subscription.clearFilterTags()
  expect((await subscription.attributes()).filterTags).toEqual([])
  expect(await refusalOf(topic.subscribe("phones", order))).toMatchObject({ name: "subscriptionAlreadyExists" })
  await topic.subscribe("inbox", { endpoint: { queue: "alerts-queue" }, notifyContentFormat: "SIMPLIFIED" })
  const rows = []
  for await (const { subscriptionName, endpoint } of topic.subscriptions()) rows.push([subscriptionName, endpoint])
  expect(rows).toEqual([
    ["inbox", { queue: "alerts-queue" }],
    ["phones", { url: "http://203.0.113.7/hook" }],
  ])
  expect(await topic.listSubscriptions({ searchWord: "pho" })).toMatchObject({ totalCount: 1 })
  expect(await refusalOf(topic.deleteTopic())).toMatchObject({ name: "topicHasSubscriptions" })
  await subscription.unsubscribe()
  expect(await refusalOf(subscription.attributes())).toMatchObject({ name: "subscriptionNotFound" })
  await topic.subscription("inbox").unsubscribe()
  await topic.deleteTopic()
})
