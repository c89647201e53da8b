/**
 * Two CMQ clients from npm that nobody here wrote, through every queue, topic and subscription action (cmq-api.md §7): qcloudapi-sdk unchanged,
 * cmq-sdk with nothing but its hard-wired host and scheme replaced.
 */
import { createRequire } from "node:module"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { SECRET_ID, SECRET_KEY, SERVERS, openFace } from "./kit/face.ts"
import type { TestFace } from "./kit/face.ts"
import { ANY_STRING } from "./kit/matchers.ts"

type Reply = Record<string, unknown>
type Fields = Record<string, unknown>

const load = createRequire(import.meta.url)

// --- qcloudapi-sdk@0.2.1: any action by name ----------------------------------------------------------------

interface QcloudApi {
  request(params: Fields, options: Fields, callback: (error: unknown, reply: Reply) => void): void
}

const Capi = load("qcloudapi-sdk") as new (defaults: Fields) => QcloudApi

function qcloudapi(port: number, options: Fields): (action: string, params?: Fields) => Promise<Reply> {
  const defaults = {
    SecretId: SECRET_ID,
    SecretKey: SECRET_KEY,
    serviceType: "cmq-queue-gz",
    Region: "gz",
    protocol: "http",
    host: `127.0.0.1:${String(port)}`,
    path: "/v2/index.php",
    ...options,
  }
  const api = new Capi(defaults)
  return (action, params = {}) =>
    new Promise((resolve, reject) => {
      api.request({ Action: action, ...params }, defaults, (error, reply) => {
        if (error === null || error === undefined) resolve(reply)
        else reject(new Error("qcloudapi-sdk failed", { cause: error }))
      })
    })
}

// --- cmq-sdk@2.1.0: its host is hard-wired, so its class Common is replaced before it is used ----------------

interface CmqSdkClient {
  readonly [method: string]: (options: Fields) => Promise<Reply>
}

interface CommonModule {
  Common: new (instance: Fields, options: Fields, type: string) => { protocol: string; uri: string }
}

const commonModule = load("cmq-sdk/dist/common.js") as CommonModule
const OriginalCommon = commonModule.Common
let cmqSdkHost = ""
commonModule.Common = class extends OriginalCommon {
  constructor(instance: Fields, options: Fields, type: string) {
    super(instance, options, type)
    this.protocol = "http://"
    this.uri = cmqSdkHost
  }
}
const { CMQ } = load("cmq-sdk/dist/cmq.js") as {
  readonly CMQ: Readonly<Record<"NEW", (options: Fields) => CmqSdkClient>>
}

const METHODS: Readonly<Record<string, string>> = {
  CreateQueue: "createQueue",
  ListQueue: "listQueue",
  GetQueueAttributes: "getQueueAttributes",
  SetQueueAttributes: "setQueueAttributes",
  DeleteQueue: "deleteQueue",
  RewindQueue: "rewindQueue",
  SendMessage: "sendMessage",
  BatchSendMessage: "batchSendMessage",
  ReceiveMessage: "receiveMessage",
  BatchReceiveMessage: "batchReceiveMessage",
  DeleteMessage: "deleteMessage",
  BatchDeleteMessage: "batchDeleteMessage",
  CreateTopic: "createTopic",
  SetTopicAttributes: "setTopicAttributes",
  ListTopic: "listTopic",
  GetTopicAttributes: "getTopicAttributes",
  DeleteTopic: "deleteTopic",
  PublishMessage: "publishMessage",
  BatchPublishMessage: "batchPublishMessage",
  Subscribe: "subscribe",
  Unsubscribe: "unsubscribe",
  ListSubscriptionByTopic: "listSubscriptionByTopic",
  GetSubscriptionAttributes: "getSubscriptionAttributes",
  SetSubscriptionAttributes: "setSubscriptionAttributes",
  ClearSubscriptionFilterTags: "clearSubscriptionFilterTags",
}

function cmqSdk(port: number, options: Fields): (action: string, params?: Fields) => Promise<Reply> {
  cmqSdkHost = `127.0.0.1:${String(port)}`
  const client = CMQ.NEW({
    path: "/v2/index.php",
    signatureMethod: "HmacSHA256",
    extranet: false,
    secretId: SECRET_ID,
    secretKey: SECRET_KEY,
    region: "gz",
    ...options,
  })
  return (action, params = {}) => {
    const method = client[METHODS[action] ?? action]
    if (method === undefined) throw new Error(`cmq-sdk has no ${action}`)
    return method.call(client, { ...params })
  }
}

const CLIENTS = [
  { client: "qcloudapi-sdk, POST, SHA-1", open: qcloudapi, options: { method: "POST" } },
  { client: "qcloudapi-sdk, POST, SHA-256", open: qcloudapi, options: { method: "POST", signatureMethod: "sha256" } },
  { client: "qcloudapi-sdk, GET, SHA-1", open: qcloudapi, options: { method: "GET" } },
  { client: "qcloudapi-sdk, GET, SHA-256", open: qcloudapi, options: { method: "GET", signatureMethod: "sha256" } },
  { client: "qcloudapi-sdk, path /", open: qcloudapi, options: { method: "POST", path: "/" } },
  { client: "cmq-sdk, SHA-256", open: cmqSdk, options: {} },
  { client: "cmq-sdk, SHA-1", open: cmqSdk, options: { signatureMethod: "HmacSHA1" } },
  { client: "cmq-sdk, path /", open: cmqSdk, options: { path: "/" } },
]

describe.each(SERVERS)("over %s", (server) => {
  let face: TestFace
  beforeAll(async () => {
    face = await openFace(server)
  })
  afterAll(() => face.close())

  test.each(CLIENTS)("$client runs every queue action", async ({ client, open, options }) => {
    const call = open(face.port, options)
    const ok = async (action: string, params: Fields): Promise<Reply> => {
      const reply = await call(action, params)
      expect(reply, `${action}: ${JSON.stringify(reply)}`).toMatchObject({
        code: 0,
        message: "",
        requestId: ANY_STRING,
      })
      return reply
    }
    const queueName = `sdk-${client.replaceAll(/[^A-Za-z0-9]+/g, "-")}`
    await ok("CreateQueue", { queueName, rewindSeconds: 600, pollingWaitSeconds: 0 })
    await ok("SetQueueAttributes", { queueName, visibilityTimeout: 45 })
    expect(await ok("GetQueueAttributes", { queueName })).toMatchObject({ visibilityTimeout: 45, rewindSeconds: 600 })
    expect(await ok("ListQueue", { searchWord: queueName, offset: 0, limit: 10 })).toMatchObject({ totalCount: 1 })

    const msgBody = '你好 a+b=c&d/é "x"'
    const sent = await ok("SendMessage", { queueName, msgBody, delaySeconds: 0 })
    const received = await ok("ReceiveMessage", { queueName, pollingWaitSeconds: 1 })
    expect(received).toMatchObject({ msgId: sent["msgId"], msgBody, dequeueCount: 1 })
    await ok("DeleteMessage", { queueName, receiptHandle: received["receiptHandle"] })
    expect(await call("DeleteMessage", { queueName, receiptHandle: received["receiptHandle"] })).toMatchObject({
      code: 4430,
    })

    const bodies = ["@first", ...Array.from({ length: 11 }, (_, index) => `body ${String(index)}`)]
    const batch = await ok("BatchSendMessage", { queueName, msgBody: bodies })
    expect(batch["msgList"]).toHaveLength(12)
    const list = await ok("BatchReceiveMessage", { queueName, numOfMsg: 16, pollingWaitSeconds: 1 })
    const messages = list["msgInfoList"] as { msgBody: string; receiptHandle: string }[]
    expect(messages.map((message) => message.msgBody)).toEqual(bodies)
    await ok("BatchDeleteMessage", { queueName, receiptHandle: messages.map((message) => message.receiptHandle) })
    expect(await call("ReceiveMessage", { queueName, pollingWaitSeconds: 1 })).toMatchObject({
      code: 7000,
      message: "(10200)no message",
    })
    await ok("RewindQueue", { queueName, startConsumeTime: Math.floor(Date.now() / 1000) - 300 })
    expect(await ok("GetQueueAttributes", { queueName })).toMatchObject({ activeMsgNum: 13 })
    await ok("DeleteQueue", { queueName })
    expect(await call("GetQueueAttributes", { queueName })).toMatchObject({ code: 4440 })
  })

  test.each(CLIENTS)("$client runs every topic and subscription action", async ({ client, open, options }) => {
    const call = open(face.port, options)
    const ok = async (action: string, params: Fields): Promise<Reply> => {
      const reply = await call(action, params)
      expect(reply, `${action}: ${JSON.stringify(reply)}`).toMatchObject({ code: 0, message: "" })
      return reply
    }
    const name = `topic-${client.replaceAll(/[^A-Za-z0-9]+/g, "-")}`
    const topic = { topicName: name }
    const subscription = { ...topic, subscriptionName: "inbox" }
    await ok("CreateQueue", { queueName: name })
    expect(await ok("CreateTopic", topic)).toMatchObject({ topicId: ANY_STRING })
    await ok("SetTopicAttributes", { ...topic, maxMsgSize: 2048 })
    expect(await ok("GetTopicAttributes", topic)).toMatchObject({ maxMsgSize: 2048, filterType: 1 })
    expect(await ok("ListTopic", { searchWord: name, offset: 0, limit: 10 })).toMatchObject({ totalCount: 1 })
    const endpoint = { protocol: "queue", endpoint: name, notifyContentFormat: "SIMPLIFIED" }
    await ok("Subscribe", { ...subscription, ...endpoint, filterTag: ["red", "blue"] })
    expect(await ok("ListSubscriptionByTopic", topic)).toMatchObject({ totalCount: 1 })
    const red = await ok("PublishMessage", { ...topic, msgBody: "@red", msgTag: ["red"] })
    await ok("PublishMessage", { ...topic, msgBody: "green", msgTag: ["green"] })
    await ok("BatchPublishMessage", { ...topic, msgBody: ["one", "two"], msgTag: ["blue"] })
    await ok("SetSubscriptionAttributes", { ...subscription, notifyStrategy: "BACKOFF_RETRY" })
    expect(await ok("GetSubscriptionAttributes", subscription)).toMatchObject({
      notifyStrategy: "BACKOFF_RETRY",
      filterTag: ["red", "blue"],
      msgCount: 0,
    })
    await ok("ClearSubscriptionFilterTags", subscription)
    await ok("PublishMessage", { ...topic, msgBody: "plain" })
    const list = await ok("BatchReceiveMessage", { queueName: name, numOfMsg: 16 })
    const messages = list["msgInfoList"] as { msgId: string; msgBody: string }[]
    expect(messages.map(({ msgBody }) => msgBody)).toEqual(["@red", "one", "two", "plain"])
    expect(messages[0]?.msgId).toBe(red["msgId"])
    expect(await call("DeleteTopic", topic)).toMatchObject({ code: 4000 })
    await ok("Unsubscribe", subscription)
    expect(await call("PublishMessage", { ...topic, msgBody: "x" })).toMatchObject({ code: 6030 })
    await ok("DeleteTopic", topic)
    expect(await call("GetTopicAttributes", topic)).toMatchObject({ code: 4440 })
  })

  test("qcloudapi-sdk runs the actions that cmq-sdk does not know", async () => {
    const call = qcloudapi(face.port, { method: "POST" })
    expect(await call("CreateQueue", { queueName: "letters" })).toMatchObject({ code: 0 })
    const deadLetterPolicy = JSON.stringify({ deadLetterQueue: "letters", policy: 0, maxReceiveCount: 5 })
    expect(await call("CreateQueue", { queueName: "source", deadLetterPolicy })).toMatchObject({ code: 0 })
    const sources = await call("ListDeadLetterSourceQueues", { deadLetterQueueName: "letters", limit: 5, offset: 0 })
    expect(sources).toMatchObject({ code: 0, totalCount: 1 })
    for (const action of ["ClearQueue", "PeekMessage"])
      expect(await call(action, { queueName: "source" })).toMatchObject({ code: 0 })
    expect(await call("GetClusterStatus")).toMatchObject({ code: 0 })
  })

  test("a loop of 2,000 equal receives by cmq-sdk meets no replay", async () => {
    const call = cmqSdk(face.port, {})
    await call("CreateQueue", { queueName: "loop" })
    const codes = new Set<unknown>()
    for (let round = 0; round < 40; round++) {
      const replies = await Promise.all(Array.from({ length: 50 }, () => call("ReceiveMessage", { queueName: "loop" })))
      for (const reply of replies) codes.add(reply["code"])
    }
    expect([...codes]).toEqual([7000])
  })
})
