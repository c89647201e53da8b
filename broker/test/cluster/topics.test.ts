/**
 * Topics on three real nodes: qcloudapi-sdk@0.2.1, a client from npm that nobody here wrote, through every topic and
 * subscription action against a follower. Deliveries while leaders are killed: scenario "publish" (faults-1.test.ts).
 */
import { LocalCluster } from "@opencmq/bench/harness"
import { afterAll, beforeAll, expect, test } from "vitest"
import { clientOfFollower, type QcloudClient } from "./qcloud-client.ts"

let cluster: LocalCluster
let client: QcloudClient

beforeAll(async () => {
  cluster = await LocalCluster.create()
  await cluster.startAll()
  client = await clientOfFollower(cluster, "topic")
})

afterAll(async () => {
  await cluster.dispose()
})

test("every topic and subscription action of a foreign client works against a follower", async () => {
  const topic = { topicName: "news" }
  const subscription = { ...topic, subscriptionName: "inbox" }
  await client.ok("CreateQueue", { queueName: "inbox" })
  await client.ok("CreateTopic", topic)
  expect(await client.call("CreateTopic", topic)).toMatchObject({ code: 4460 })
  await client.ok("SetTopicAttributes", { ...topic, maxMsgSize: 2048 })
  expect(await client.ok("GetTopicAttributes", topic)).toMatchObject({ maxMsgSize: 2048 })
  expect(await client.ok("ListTopic", { searchWord: "new" })).toMatchObject({ totalCount: 1 })
  const endpoint = { protocol: "queue", endpoint: "inbox" }
  await client.ok("Subscribe", {
    ...subscription,
    ...endpoint,
    notifyContentFormat: "SIMPLIFIED",
    "filterTag.0": "red",
  })
  await client.ok("PublishMessage", { ...topic, msgBody: "red", "msgTag.0": "red" })
  await client.ok("BatchPublishMessage", { ...topic, "msgBody.0": "green", "msgTag.0": "green" })
  await client.ok("SetSubscriptionAttributes", { ...subscription, notifyStrategy: "BACKOFF_RETRY" })
  await client.ok("ClearSubscriptionFilterTags", subscription)
  expect(await client.ok("GetSubscriptionAttributes", subscription)).toMatchObject({ filterTag: [], endpoint: "inbox" })
  expect(await client.ok("ListSubscriptionByTopic", topic)).toMatchObject({ totalCount: 1 })
  expect(await client.ok("ReceiveMessage", { queueName: "inbox", pollingWaitSeconds: 5 })).toMatchObject({
    msgBody: "red",
  })
  const { endpoint: leader } = cluster.node(await cluster.waitLeader())
  const metrics = await (await fetch(`${leader}/metrics`)).text()
  const labels = '{topic="news",subscription="inbox"}'
  expect(metrics).toContain(`opencmq_subscription_deliveries_total${labels} 1\n`)
  expect(metrics).toContain(`opencmq_subscription_backlog_messages${labels} 0\n`)
  // The green one.
  expect(metrics).toContain("opencmq_subscription_filtered_total 1\n")
  const forbidden = { ...topic, subscriptionName: "metadata", protocol: "http" }
  for (const address of ["http://169.254.169.254/latest", "http://0xa000001/", "http://example.com:22/"]) {
    expect(await client.call("Subscribe", { ...forbidden, endpoint: address })).toMatchObject({
      code: 4000,
      message: "(10630)illegal endpoint",
    })
  }
  await client.ok("Unsubscribe", subscription)
  await client.ok("DeleteTopic", topic)
  expect(await client.call("PublishMessage", { ...topic, msgBody: "x" })).toMatchObject({ code: 4440 })
})
