import { expect, test } from "vitest"
import { rejection } from "../test-support/eventually.ts"
import { ScriptedServer } from "../test-support/scripted-server.ts"
import { Account } from "./account.ts"
import type { SubscriptionEndpoint } from "./topic-attributes.ts"

// What topics do is tested against real brokers: broker/test/conformance/sdk-topics.test.ts.

const done = (fields: string) =>
  ({ kind: "answer", status: 200, body: `{"code":0,"message":"","requestId":"1",${fields}}` }) as const

test("a publish keeps its client message id through all attempts", async () => {
  await using server = await ScriptedServer.start()
  const account = new Account({ ...server.accountOptions, random: () => 0 })
  const topic = account.topic("news")
  server.script("PublishMessage", [{ kind: "dropBefore" }, done('"msgId":"7"')])
  expect(await topic.publish("a", { tags: ["x", "y"], routingKey: "k" })).toEqual({ msgId: "7", duplicate: false })
  const attempts = server.requestsOf("PublishMessage").map(({ params }) => params.get("clientMessageId"))
  expect(attempts).toHaveLength(2)
  expect(attempts[0]).toMatch(/^\S{22}$/)
  expect(attempts[1]).toBe(attempts[0])
  const [first] = server.requestsOf("PublishMessage")
  expect(["msgTag.1", "msgTag.2", "routingKey"].map((name) => first?.params.get(name))).toEqual(["x", "y", "k"])
  server.script("BatchPublishMessage", [{ kind: "dropBefore" }, done('"msgList":[{"msgId":"8","duplicate":true}]')])
  expect(await topic.publishBatch([{ body: "b", clientMessageId: "mine" }])).toEqual([{ msgId: "8", duplicate: true }])
  const batches = server.requestsOf("BatchPublishMessage").map(({ params }) => params.get("clientMessageId.1"))
  expect(batches).toEqual(["mine", "mine"])
  account.close()
})

test("what is gone after a lost answer was taken away by us", async () => {
  await using server = await ScriptedServer.start()
  const account = new Account({ ...server.accountOptions, random: () => 0 })
  const topic = account.topic("news")
  server.script("DeleteTopic", [{ kind: "dropBefore" }, { kind: "refuse", error: "topicNotFound" }])
  await topic.deleteTopic()
  server.script("Unsubscribe", [{ kind: "dropBefore" }, { kind: "refuse", error: "subscriptionNotFound" }])
  await topic.subscription("phones").unsubscribe()
  server.script("Unsubscribe", [{ kind: "refuse", error: "subscriptionNotFound" }])
  expect(await rejection(topic.subscription("phones").unsubscribe())).toMatchObject({ name: "subscriptionNotFound" })
  account.close()
})

test("what no broker could take is refused before anything is sent", async () => {
  await using server = await ScriptedServer.start()
  const account = new Account(server.accountOptions)
  const topic = account.topic("news")
  const wrong = (value: unknown) => value as never
  const subscribe = (endpoint: unknown) => topic.subscribe("s", { endpoint: endpoint as SubscriptionEndpoint })
  expect(() => account.topic("1st")).toThrow('"1st" is not a topic name')
  expect(() => account.topic(wrong(1))).toThrow(TypeError)
  expect(() => topic.subscription("a b")).toThrow('"a b" is not a subscription name')
  const invalid: Promise<unknown>[] = [
    topic.publishBatch([]),
    topic.publishBatch(Array.from({ length: 17 }, () => "x")),
    topic.subscription("s").setAttributes({ filterTags: [] }),
    topic.subscription("s").setAttributes({ bindingKeys: [] }),
    account.createTopic("news", { filterType: wrong("toString") }),
  ]
  for (const promise of invalid) {
    expect(await rejection(promise)).toMatchObject({ name: "argumentInvalid", outcome: "notApplied" })
  }
  const mistakes: Promise<unknown>[] = [
    topic.publish(wrong({})),
    topic.publish("x", { tags: wrong("red") }),
    topic.publish("x", wrong("red")),
    topic.publishBatch(wrong("x")),
    topic.publishBatch([wrong(null)]),
    topic.subscribe("s", wrong(undefined)),
    subscribe(undefined),
    subscribe({}),
    subscribe({ queue: 1 }),
    subscribe({ queue: "a", url: "http://b" }),
  ]
  for (const promise of mistakes) expect(await rejection(promise)).toBeInstanceOf(TypeError)
  expect(server.requests).toEqual([])
  account.close()
})
