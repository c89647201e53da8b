/**
 * qcloudapi-sdk@0.2.1, a client from npm that nobody here wrote, unchanged, through every queue action against a
 * FOLLOWER of three real nodes. The answers of one node alone are compared in test/conformance.
 */
import { createRequire } from "node:module"
import { LocalCluster } from "@opencmq/bench/harness"
import { afterAll, beforeAll, expect, test } from "vitest"

type Fields = Record<string, unknown>

interface QcloudApi {
  request(params: Fields, options: Fields, callback: (error: unknown, reply: Fields) => void): void
}

const Capi = createRequire(import.meta.url)("qcloudapi-sdk") as new (defaults: Fields) => QcloudApi

let cluster: LocalCluster
let followerHttp: string

beforeAll(async () => {
  cluster = await LocalCluster.create()
  await cluster.startAll()
  const leaderId = await cluster.waitLeader()
  followerHttp = cluster.nodes.find(({ id }) => id !== leaderId)?.http ?? ""
})

afterAll(async () => {
  await cluster.dispose()
})

function call(action: string, params: Fields): Promise<Fields> {
  const options = {
    SecretId: cluster.keys.secretId,
    SecretKey: cluster.keys.secretKey,
    serviceType: "cmq-queue-gz",
    Region: "gz",
    protocol: "http",
    host: followerHttp,
    path: "/v2/index.php",
    method: "POST",
  }
  return new Promise((resolve, reject) => {
    new Capi(options).request({ Action: action, ...params }, options, (error, reply) => {
      if (error === null || error === undefined) resolve(reply)
      else reject(new Error("qcloudapi-sdk failed", { cause: error }))
    })
  })
}

async function ok(action: string, params: Fields): Promise<Fields> {
  const reply = await call(action, params)
  expect(reply, `${action}: ${JSON.stringify(reply)}`).toMatchObject({ code: 0 })
  return reply
}

test("every queue action of a foreign client works against a follower", async () => {
  const queueName = "foreign"
  await ok("CreateQueue", { queueName: "foreign-dead" })
  await ok("CreateQueue", { queueName, rewindSeconds: 600, visibilityTimeout: 20 })
  expect(await call("CreateQueue", { queueName })).toMatchObject({ code: 4460 })
  const deadLetterPolicy = JSON.stringify({ deadLetterQueue: "foreign-dead", policy: 0, maxReceiveCount: 5 })
  await ok("SetQueueAttributes", { queueName, visibilityTimeout: 30, deadLetterPolicy })
  expect(await ok("GetQueueAttributes", { queueName })).toMatchObject({ visibilityTimeout: 30, rewindSeconds: 600 })
  expect(await ok("ListQueue", { searchWord: "foreign", offset: 0, limit: 10 })).toMatchObject({ totalCount: 2 })
  expect(await ok("ListDeadLetterSourceQueues", { deadLetterQueueName: "foreign-dead" })).toMatchObject({
    totalCount: 1,
  })

  const sent = await ok("SendMessage", { queueName, msgBody: "你好 a+b=c&d" })
  const received = await ok("ReceiveMessage", { queueName, pollingWaitSeconds: 5 })
  expect(received).toMatchObject({ msgId: sent["msgId"], msgBody: "你好 a+b=c&d", dequeueCount: 1 })
  await ok("DeleteMessage", { queueName, receiptHandle: received["receiptHandle"] })
  expect(await call("DeleteMessage", { queueName, receiptHandle: received["receiptHandle"] })).toMatchObject({
    code: 4430,
  })

  await ok("BatchSendMessage", { queueName, "msgBody.0": "one", "msgBody.1": "two", "msgBody.2": "three" })
  const batch = await ok("BatchReceiveMessage", { queueName, numOfMsg: 16, pollingWaitSeconds: 5 })
  const messages = batch["msgInfoList"] as Fields[]
  expect(messages.map((message) => message["msgBody"]).sort()).toEqual(["one", "three", "two"])
  const handles = Object.fromEntries(
    messages.map((message, i) => [`receiptHandle.${String(i)}`, message["receiptHandle"]]),
  )
  await ok("BatchDeleteMessage", { queueName, ...handles })
  expect(await call("ReceiveMessage", { queueName, pollingWaitSeconds: 0 })).toMatchObject({
    code: 7000,
    message: "(10200)no message",
  })

  await ok("RewindQueue", { queueName, startConsumeTime: Number(messages[0]?.["enqueueTime"]) })
  const again = await ok("BatchReceiveMessage", { queueName, numOfMsg: 16, pollingWaitSeconds: 5 })
  expect((again["msgInfoList"] as Fields[]).length).toBeGreaterThanOrEqual(3)
  await ok("PeekMessage", { queueName, numOfMsg: 10 })
  await ok("ChangeMessageVisibility", {
    queueName,
    receiptHandle: (again["msgInfoList"] as Fields[])[0]?.["receiptHandle"],
    visibilityTimeout: 0,
  })
  await ok("ClearQueue", { queueName })
  await ok("UnbindDeadLetterQueue", { queueName })
  await ok("DeleteQueue", { queueName })
  await ok("DeleteQueue", { queueName: "foreign-dead" })
  expect(await call("SendMessage", { queueName, msgBody: "x" })).toMatchObject({ code: 4440 })
})
