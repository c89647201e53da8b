/**
 * qcloudapi-sdk@0.2.1, a client from npm that nobody here wrote, unchanged, through every queue action against a
 * FOLLOWER of three real nodes. The answers of one node alone are compared in test/conformance.
 */
import { LocalCluster } from "@opencmq/bench/harness"
import { afterAll, beforeAll, expect, test } from "vitest"
import { clientOfFollower, type Fields, type QcloudClient } from "./qcloud-client.ts"

let cluster: LocalCluster
let client: QcloudClient

beforeAll(async () => {
  cluster = await LocalCluster.create()
  await cluster.startAll()
  client = await clientOfFollower(cluster, "queue")
})

afterAll(async () => {
  await cluster.dispose()
})

test("every queue action of a foreign client works against a follower", async () => {
  const queueName = "foreign"
  await client.ok("CreateQueue", { queueName: "foreign-dead" })
  await client.ok("CreateQueue", { queueName, rewindSeconds: 600, visibilityTimeout: 20 })
  expect(await client.call("CreateQueue", { queueName })).toMatchObject({ code: 4460 })
  const deadLetterPolicy = JSON.stringify({ deadLetterQueue: "foreign-dead", policy: 0, maxReceiveCount: 5 })
  await client.ok("SetQueueAttributes", { queueName, visibilityTimeout: 30, deadLetterPolicy })
  expect(await client.ok("GetQueueAttributes", { queueName })).toMatchObject({
    visibilityTimeout: 30,
    rewindSeconds: 600,
  })
  expect(await client.ok("ListQueue", { searchWord: "foreign", offset: 0, limit: 10 })).toMatchObject({ totalCount: 2 })
  expect(await client.ok("ListDeadLetterSourceQueues", { deadLetterQueueName: "foreign-dead" })).toMatchObject({
    totalCount: 1,
  })

  const sent = await client.ok("SendMessage", { queueName, msgBody: "你好 a+b=c&d" })
  const received = await client.ok("ReceiveMessage", { queueName, pollingWaitSeconds: 5 })
  expect(received).toMatchObject({ msgId: sent["msgId"], msgBody: "你好 a+b=c&d", dequeueCount: 1 })
  await client.ok("DeleteMessage", { queueName, receiptHandle: received["receiptHandle"] })
  expect(await client.call("DeleteMessage", { queueName, receiptHandle: received["receiptHandle"] })).toMatchObject({
    code: 4430,
  })

  await client.ok("BatchSendMessage", { queueName, "msgBody.0": "one", "msgBody.1": "two", "msgBody.2": "three" })
  const batch = await client.ok("BatchReceiveMessage", { queueName, numOfMsg: 16, pollingWaitSeconds: 5 })
  const messages = batch["msgInfoList"] as Fields[]
  expect(messages.map((message) => message["msgBody"]).sort()).toEqual(["one", "three", "two"])
  const handles = Object.fromEntries(
    messages.map((message, i) => [`receiptHandle.${String(i)}`, message["receiptHandle"]]),
  )
  await client.ok("BatchDeleteMessage", { queueName, ...handles })
  expect(await client.call("ReceiveMessage", { queueName, pollingWaitSeconds: 0 })).toMatchObject({
    code: 7000,
    message: "(10200)no message",
  })

  await client.ok("RewindQueue", { queueName, startConsumeTime: Number(messages[0]?.["enqueueTime"]) })
  const again = await client.ok("BatchReceiveMessage", { queueName, numOfMsg: 16, pollingWaitSeconds: 5 })
  expect((again["msgInfoList"] as Fields[]).length).toBeGreaterThanOrEqual(3)
  await client.ok("PeekMessage", { queueName, numOfMsg: 10 })
  await client.ok("ChangeMessageVisibility", {
    queueName,
    receiptHandle: (again["msgInfoList"] as Fields[])[0]?.["receiptHandle"],
    visibilityTimeout: 0,
  })
  await client.ok("ClearQueue", { queueName })
  await client.ok("UnbindDeadLetterQueue", { queueName })
  await client.ok("DeleteQueue", { queueName })
  await client.ok("DeleteQueue", { queueName: "foreign-dead" })
  expect(await client.call("SendMessage", { queueName, msgBody: "x" })).toMatchObject({ code: 4440 })
})
