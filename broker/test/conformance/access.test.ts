/**
 * Every action, every gRPC method and every TCP command: a key that may do everything but what is needed is refused, and a
 * key that may do just what is needed is not.
 */
import { randomBytes } from "node:crypto"
import { ACTION_NAMES, matchesName } from "@opencmq/proto"
import type { ActionName } from "@opencmq/proto"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { METHOD_TABLE } from "../../src/adapters/grpc/method-table.ts"
import { STREAM_TABLE } from "../../src/adapters/grpc/stream-table.ts"
import { COMMANDS } from "../../src/adapters/tcp/command-table.ts"
import { allBut, just, keyWith, operate } from "./kit/access-keys.ts"
import { CmqClient } from "./kit/client.ts"
import type { Params } from "./kit/client.ts"
import { openFace, SERVERS } from "./kit/face.ts"
import type { TestFace } from "./kit/face.ts"
import { isServiceError, openGrpcFace, refusedOf } from "./kit/grpc-face.ts"
import type { Fields, TestGrpcFace } from "./kit/grpc-face.ts"
import { COMMAND, TcpClient } from "./kit/tcp-client.ts"
import type { CommandName } from "./kit/tcp-client.ts"
import { openTcpFace } from "./kit/tcp-face.ts"
import type { TestTcpFace } from "./kit/tcp-face.ts"
import { message } from "./kit/protobuf-wire.ts"
import type { WireField } from "./kit/protobuf-wire.ts"
import type { LocalBroker } from "./local-broker.ts"

const DENIED = "4000/10461"
const URL = "http://203.0.113.7/hook"
const ATTRIBUTES = {
  maxMsgHeapCount: 1_000_000,
  pollingWaitMs: 0,
  visibilityTimeoutMs: 30_000,
  maxMsgBytes: 65_536,
  msgRetentionMs: 600_000,
  rewindMs: 60_000,
  deadLetterPolicy: undefined,
} as const
const LETTERS = { kind: "maxReceiveCount", deadLetterQueue: "letters", maxReceiveCount: 9 } as const

/** Names of the things of one case: they are there, with a message and a subscription, unless the case makes them. */
interface Things {
  readonly queue: string
  readonly topic: string
}

async function prepare(broker: LocalBroker, name: string, isNew = false): Promise<Things> {
  const things = { queue: `q-${name}`, topic: `t-${name}` }
  if (isNew) return things
  const deadLetterPolicy = name.startsWith("Unbind") ? LETTERS : undefined
  await operate(broker, "createQueue", { queueName: things.queue, attributes: { ...ATTRIBUTES, deadLetterPolicy } })
  const attributes = { maxMsgBytes: 65_536, filterType: "tags", msgRetentionMs: 60_000 } as const
  await operate(broker, "createTopic", { topicName: things.topic, attributes })
  const message = { body: Buffer.from("x"), delayMs: 0, clientMessageId: "", attributes: [] }
  await operate(broker, "sendMessages", { queueName: things.queue, messages: [message] })
  await operate(broker, "subscribe", {
    topicName: things.topic,
    subscriptionName: "sub",
    endpoint: { kind: "queue", queueName: things.queue },
    attributes: { notifyStrategy: "backoff", notifyContentFormat: "simplified", filterTags: [], bindingKeys: [] },
  })
  return things
}

async function prepareLetters(broker: LocalBroker): Promise<void> {
  await operate(broker, "createQueue", { queueName: "letters", attributes: ATTRIBUTES })
}

/** What is needed, with `Q` and `T` for the names, and the parameters. */
interface Case<P> {
  readonly needs: readonly string[]
  readonly params: (things: Things, id: string) => P
  /** The things are made by the case itself, or are not wanted. */
  readonly isNew?: true
  /** When more than a success is an answer. */
  readonly codes?: readonly string[]
}

function needsOf({ needs }: Case<unknown>, { queue, topic }: Things): readonly string[] {
  return needs.map((need) => need.replace(/Q$/, queue).replace(/T$/, topic))
}

// --- HTTP -------------------------------------------------------------------------------------------------

const queueName = ({ queue }: Things): Params => ({ queueName: queue })
const topicName = ({ topic }: Things): Params => ({ topicName: topic })
const subscription = ({ topic }: Things): Params => ({ topicName: topic, subscriptionName: "sub" })

const ACTION_CASES: { readonly [N in ActionName]: Case<Params> } = {
  CreateQueue: {
    needs: ["administer:queue:Q", "send:queue:letters"],
    params: (it) => ({ ...queueName(it), deadLetterQueueName: "letters", maxReceiveCount: 3 }),
    isNew: true,
  },
  ListQueue: { needs: ["any:queue:*"], params: () => ({}) },
  GetQueueAttributes: { needs: ["any:queue:Q"], params: queueName },
  SetQueueAttributes: {
    needs: ["administer:queue:Q", "send:queue:letters"],
    params: (it) => ({ ...queueName(it), deadLetterQueueName: "letters", maxReceiveCount: 3 }),
  },
  DeleteQueue: { needs: ["administer:queue:Q"], params: queueName },
  ClearQueue: { needs: ["administer:queue:Q"], params: queueName },
  RewindQueue: {
    needs: ["administer:queue:Q"],
    params: (it) => ({ ...queueName(it), startConsumeTime: Math.floor(Date.now() / 1000) - 5 }),
  },
  ListDeadLetterSourceQueues: { needs: ["any:queue:Q"], params: ({ queue }) => ({ deadLetterQueueName: queue }) },
  UnbindDeadLetterQueue: { needs: ["administer:queue:Q"], params: queueName },
  QueryQueueRoute: { needs: ["any:queue:Q"], params: queueName },
  SendMessage: { needs: ["send:queue:Q"], params: (it) => ({ ...queueName(it), msgBody: "x" }) },
  BatchSendMessage: { needs: ["send:queue:Q"], params: (it) => ({ ...queueName(it), msgBody: ["x"] }) },
  ReceiveMessage: { needs: ["receive:queue:Q"], params: queueName },
  BatchReceiveMessage: { needs: ["receive:queue:Q"], params: (it) => ({ ...queueName(it), numOfMsg: 2 }) },
  DeleteMessage: {
    needs: ["receive:queue:Q"],
    params: (it) => ({ ...queueName(it), receiptHandle: "7" }),
    codes: ["4430/10260"],
  },
  BatchDeleteMessage: {
    needs: ["receive:queue:Q"],
    params: (it) => ({ ...queueName(it), receiptHandle: ["7"] }),
    codes: ["6020/10290"],
  },
  CreateTopic: { needs: ["administer:topic:T"], params: topicName, isNew: true },
  SetTopicAttributes: { needs: ["administer:topic:T"], params: (it) => ({ ...topicName(it), maxMsgSize: 2_048 }) },
  ListTopic: { needs: ["any:topic:*"], params: () => ({}) },
  GetTopicAttributes: { needs: ["any:topic:T"], params: topicName },
  QueryTopicRoute: { needs: ["any:topic:T"], params: topicName },
  DeleteTopic: { needs: ["administer:topic:T"], params: topicName, codes: ["4000/10540"] },
  PublishMessage: { needs: ["send:topic:T"], params: (it) => ({ ...topicName(it), msgBody: "x" }) },
  BatchPublishMessage: { needs: ["send:topic:T"], params: (it) => ({ ...topicName(it), msgBody: ["x"] }) },
  Subscribe: {
    needs: ["administer:topic:T", "send:queue:Q"],
    params: ({ topic, queue }) => ({
      topicName: topic,
      subscriptionName: "more",
      protocol: "queue",
      endpoint: queue,
      notifyContentFormat: "SIMPLIFIED",
    }),
  },
  Unsubscribe: { needs: ["administer:topic:T"], params: subscription },
  ListSubscriptionByTopic: { needs: ["peek:topic:T"], params: topicName },
  GetSubscriptionAttributes: { needs: ["peek:topic:T"], params: subscription },
  SetSubscriptionAttributes: {
    needs: ["administer:topic:T"],
    params: (it) => ({ ...subscription(it), notifyStrategy: "BACKOFF_RETRY" }),
  },
  ClearSubscriptionFilterTags: { needs: ["administer:topic:T"], params: subscription },
  ChangeMessageVisibility: {
    needs: ["receive:queue:Q"],
    params: (it) => ({ ...queueName(it), receiptHandle: "7", visibilityTimeout: 5 }),
    codes: ["4430/10260"],
  },
  StartRedrive: {
    needs: ["administer:queue:Q", "send:queue:letters"],
    params: (it) => ({ ...queueName(it), targetQueueName: "letters" }),
  },
  CancelRedrive: { needs: ["administer:queue:Q"], params: queueName, codes: ["4000/20051"] },
  DescribeRedrive: { needs: ["administer:queue:Q"], params: queueName, codes: ["4440/20054"] },
  SearchMessage: { needs: ["peek:queue:Q"], params: queueName },
  TraceMessage: { needs: ["any:cluster"], params: () => ({ msgId: "7" }), codes: ["4440/20033"] },
  SendHalfMessage: { needs: ["send:queue:Q"], params: (it) => ({ ...queueName(it), msgBody: "x" }) },
  ConfirmTransaction: {
    needs: ["send:queue:Q"],
    params: (it) => ({ ...queueName(it), msgId: "7", decision: "commit" }),
    codes: ["4490/10770"],
  },
  ListHalfMessage: { needs: ["send:queue:Q"], params: queueName },
  PeekMessage: { needs: ["peek:queue:Q"], params: queueName },
  CreateKey: { needs: ["administer:cluster"], params: () => ({ accountName: "fresh", permission: ["peek:cluster"] }) },
  RotateKey: { needs: ["administer:cluster"], params: (_things, keyId) => ({ keyId }) },
  RevokeKey: { needs: ["administer:cluster"], params: (_things, keyId) => ({ keyId }) },
  ListKey: { needs: ["administer:cluster"], params: () => ({}) },
  GetClusterStatus: { needs: ["any:cluster"], params: () => ({}) },
}

/** Roles that are not named, and do as well. */
function withEquals(need: string): string[] {
  // Who administers a topic may look at its subscriptions, too.
  return need.startsWith("peek:topic:") ? [need, need.replace("peek", "administer")] : [need]
}

function without(need: string, things: Things): string[] {
  const equals = withEquals(need)
  const names = { queue: need.endsWith(":letters") ? "letters" : things.queue, topic: things.topic }
  const more = need.endsWith(":letters") ? [`administer:queue:${things.queue}`] : []
  return [...allBut(need, names), ...more].filter((permission) => !equals.includes(permission)).slice(0, 16)
}

describe("HTTP", () => {
  let face: TestFace
  beforeAll(async () => {
    face = await openFace(SERVERS[0] ?? "node")
    await prepareLetters(face.broker)
  })
  afterAll(() => face.close())

  test.each(ACTION_NAMES)("%s", async (action) => {
    const one = ACTION_CASES[action]
    const things = await prepare(face.broker, action, one.isNew)
    const { secretId } = await keyWith(face.broker, ["peek:cluster"])
    const params = one.params(things, secretId)
    const needs = needsOf(one, things)
    for (const need of needs) {
      const poor = new CmqClient(face.port, {}, await keyWith(face.broker, without(need, things)))
      expect(await poor.code(action, params), `without ${need}`).toBe(DENIED)
    }
    const able = new CmqClient(face.port, {}, await keyWith(face.broker, needs.map(just)))
    expect(one.codes ?? ["0"]).toContain(await able.code(action, params))
  })
})

// --- gRPC -------------------------------------------------------------------------------------------------

const onQueue = ({ queue }: Things): Fields => ({ queueName: queue })
const onTopic = ({ topic }: Things): Fields => ({ topicName: topic })
const onSubscription = ({ topic }: Things): Fields => ({ topicName: topic, subscriptionName: "sub" })
const handles = (it: Things): Fields => ({ ...onQueue(it), receiptHandles: ["7"] })
const POLICY = { deadLetterPolicy: { deadLetterQueue: "letters", maxReceiveCount: 3 } }

const METHOD_CASES: Readonly<Record<string, Case<Fields> & { readonly service: string }>> = {
  SendHalf: {
    service: "TransactionService",
    needs: ["send:queue:Q"],
    params: (it) => ({ ...onQueue(it), messages: [{ body: Buffer.from("x") }] }),
  },
  Confirm: {
    service: "TransactionService",
    needs: ["send:queue:Q"],
    params: (it) => ({ ...onQueue(it), decisions: [{ msgId: "7", state: 1 }] }),
  },
  ListHalves: { service: "TransactionService", needs: ["send:queue:Q"], params: onQueue },
  StartRedrive: {
    service: "QueueService",
    needs: ["administer:queue:Q", "send:queue:letters"],
    params: (it) => ({ ...onQueue(it), targetQueueName: "letters" }),
  },
  CancelRedrive: {
    service: "QueueService",
    needs: ["administer:queue:Q"],
    params: onQueue,
    codes: ["redriveNotRunning"],
  },
  GetRedrive: { service: "QueueService", needs: ["administer:queue:Q"], params: onQueue, codes: ["redriveNotFound"] },
  Search: { service: "MessageService", needs: ["peek:queue:Q"], params: onQueue },
  Trace: {
    service: "MessageService",
    needs: ["any:cluster"],
    params: () => ({ msgId: "7" }),
    codes: ["messageNotFound"],
  },
  CreateQueue: {
    service: "QueueService",
    needs: ["administer:queue:Q", "send:queue:letters"],
    params: (it) => ({ ...onQueue(it), attributes: POLICY }),
    isNew: true,
  },
  GetQueue: { service: "QueueService", needs: ["any:queue:Q"], params: onQueue },
  ListQueues: { service: "QueueService", needs: ["any:queue:*"], params: () => ({}) },
  UpdateQueue: {
    service: "QueueService",
    needs: ["administer:queue:Q", "send:queue:letters"],
    params: (it) => ({ ...onQueue(it), attributes: POLICY }),
  },
  DeleteQueue: { service: "QueueService", needs: ["administer:queue:Q"], params: onQueue },
  ClearQueue: { service: "QueueService", needs: ["administer:queue:Q"], params: onQueue },
  RewindQueue: {
    service: "QueueService",
    needs: ["administer:queue:Q"],
    params: (it) => ({ ...onQueue(it), startConsumeAtMs: Date.now() - 5_000 }),
  },
  UnbindDeadLetterQueue: { service: "QueueService", needs: ["administer:queue:Q"], params: onQueue },
  ListDeadLetterSourceQueues: {
    service: "QueueService",
    needs: ["any:queue:Q"],
    params: ({ queue }) => ({ deadLetterQueueName: queue }),
  },
  Send: {
    service: "MessageService",
    needs: ["send:queue:Q"],
    params: (it) => ({ ...onQueue(it), messages: [{ body: Buffer.from("x") }] }),
  },
  Receive: { service: "MessageService", needs: ["receive:queue:Q"], params: onQueue },
  Delete: { service: "MessageService", needs: ["receive:queue:Q"], params: handles },
  ChangeVisibility: {
    service: "MessageService",
    needs: ["receive:queue:Q"],
    params: (it) => ({ ...handles(it), visibilityTimeoutMs: 1_000 }),
  },
  Peek: { service: "MessageService", needs: ["peek:queue:Q"], params: onQueue },
  Produce: {
    service: "MessageService",
    needs: ["send:queue:Q"],
    params: (it) => ({ ...onQueue(it), messages: [{ body: Buffer.from("x") }] }),
  },
  Consume: {
    service: "MessageService",
    needs: ["receive:queue:Q"],
    params: (it) => ({ ...onQueue(it), addCredits: 1 }),
  },
  CreateTopic: { service: "TopicService", needs: ["administer:topic:T"], params: onTopic, isNew: true },
  GetTopic: { service: "TopicService", needs: ["any:topic:T"], params: onTopic },
  ListTopics: { service: "TopicService", needs: ["any:topic:*"], params: () => ({}) },
  UpdateTopic: {
    service: "TopicService",
    needs: ["administer:topic:T"],
    params: (it) => ({ ...onTopic(it), maxMsgBytes: 2_048 }),
  },
  DeleteTopic: {
    service: "TopicService",
    needs: ["administer:topic:T"],
    params: onTopic,
    codes: ["topicHasSubscriptions"],
  },
  Publish: {
    service: "TopicService",
    needs: ["send:topic:T"],
    params: (it) => ({ ...onTopic(it), messages: [{ body: Buffer.from("x") }] }),
  },
  Subscribe: {
    service: "TopicService",
    needs: ["administer:topic:T"],
    params: (it) => ({ ...onTopic(it), subscriptionName: "more", httpUrl: URL }),
  },
  GetSubscription: { service: "TopicService", needs: ["peek:topic:T"], params: onSubscription },
  ListSubscriptions: { service: "TopicService", needs: ["peek:topic:T"], params: onTopic },
  UpdateSubscription: {
    service: "TopicService",
    needs: ["administer:topic:T"],
    params: (it) => ({ ...onSubscription(it), notifyStrategy: "NOTIFY_STRATEGY_BACKOFF_RETRY" }),
  },
  ClearSubscriptionFilterTags: { service: "TopicService", needs: ["administer:topic:T"], params: onSubscription },
  Unsubscribe: { service: "TopicService", needs: ["administer:topic:T"], params: onSubscription },
  GetClusterStatus: { service: "ClusterService", needs: ["any:cluster"], params: () => ({}) },
}

describe("gRPC", () => {
  let face: TestGrpcFace
  beforeAll(async () => {
    face = await openGrpcFace()
    await prepareLetters(face.broker)
  })
  afterAll(() => face.close())

  /** `ok`, or the name of the refusal. */
  async function end(name: string, request: Fields, key: { secretId: string; secretKey: string }): Promise<string> {
    const client = face.client()
    try {
      if (STREAM_TABLE[name.split("/")[1] ?? ""] === undefined) await client.call(name, request, key)
      else return await firstOf(client.stream(name, key), request)
      return "ok"
    } catch (error) {
      if (!isServiceError(error)) throw error
      return refusedOf(error).info.reason
    }
  }

  test("every method has a case", () => {
    const methods = [...Object.keys(METHOD_TABLE), ...Object.keys(STREAM_TABLE)]
    expect(Object.keys(METHOD_CASES).toSorted()).toEqual(methods.toSorted())
  })

  test.each(Object.keys(METHOD_CASES))("%s", async (method) => {
    const one = METHOD_CASES[method] as (typeof METHOD_CASES)[string]
    const name = `${one.service}/${method}`
    const things = await prepare(face.broker, method, one.isNew)
    const request = one.params(things, "")
    const needs = needsOf(one, things)
    for (const need of needs) {
      const poor = await keyWith(face.broker, without(need, things))
      expect(await end(name, request, poor), `without ${need}`).toBe("permissionDenied")
    }
    const able = await keyWith(face.broker, needs.map(just))
    expect(one.codes ?? ["ok"]).toContain(await end(name, request, able))
  })
})

/** How a stream answers its first request: `ok`, or the name of a refusal, of the stream or of a batch. */
function firstOf(stream: ReturnType<ReturnType<TestGrpcFace["client"]>["stream"]>, request: Fields): Promise<string> {
  return new Promise((resolve, reject) => {
    stream.on("data", (response: Fields) => {
      const [batch] = (response["batches"] ?? []) as { refusal?: unknown }[]
      resolve(JSON.stringify(batch?.refusal ?? "").includes("permissionDenied") ? "permissionDenied" : "ok")
      stream.cancel()
    })
    stream.on("error", reject)
    stream.write(request)
  })
}

// --- TCP --------------------------------------------------------------------------------------------------

const HANDLE: WireField = [2, 7n]

const COMMAND_CASES: Partial<Readonly<Record<CommandName, Case<readonly WireField[]>>>> = {
  confirm: {
    needs: ["send:queue:Q"],
    params: ({ queue }) => [
      [1, queue],
      [2, message([1, 7n], [2, 1n])],
    ],
    codes: ["6040"],
  },
  send: {
    needs: ["send:queue:Q"],
    params: ({ queue }) => [
      [1, queue],
      [2, "x"],
    ],
  },
  batchSend: {
    needs: ["send:queue:Q"],
    params: ({ queue }) => [
      [1, queue],
      [2, "x"],
    ],
  },
  pull: { needs: ["receive:queue:Q"], params: ({ queue }) => [[1, queue]] },
  batchPull: {
    needs: ["receive:queue:Q"],
    params: ({ queue }) => [
      [1, queue],
      [2, 2n],
    ],
  },
  delete: { needs: ["receive:queue:Q"], params: ({ queue }) => [[1, queue], HANDLE], codes: ["4430"] },
  batchDelete: { needs: ["receive:queue:Q"], params: ({ queue }) => [[1, queue], HANDLE], codes: ["6020"] },
  publish: {
    needs: ["send:topic:T"],
    params: ({ topic }) => [
      [1, topic],
      [2, "x"],
    ],
  },
  batchPublish: {
    needs: ["send:topic:T"],
    params: ({ topic }) => [
      [1, topic],
      [2, "x"],
    ],
  },
}

describe("TCP", () => {
  let face: TestFace
  let tcp: TestTcpFace
  beforeAll(async () => {
    face = await openFace("node")
    tcp = await openTcpFace(face.broker, {}, face.broker.keys)
    await prepareLetters(face.broker)
  })
  afterAll(async () => {
    await tcp.close()
    await face.close()
  })

  async function result(command: CommandName, body: readonly WireField[], permissions: string[]): Promise<string> {
    const client = await TcpClient.open(tcp.port, await keyWith(face.broker, permissions))
    const reply = await client.call(command, ...body)
    client.close()
    return reply.error.startsWith("(10461)") ? `${String(reply.result)}/10461` : String(reply.result)
  }

  test("every command that does something has a case", () => {
    const cases = Object.keys(COMMAND_CASES).map((name) => COMMAND[name as CommandName][0])
    expect(cases.toSorted()).toEqual([...COMMANDS.keys()].toSorted())
  })

  test.each(Object.keys(COMMAND_CASES) as CommandName[])("%s", async (command) => {
    const one = COMMAND_CASES[command] as Case<readonly WireField[]>
    const things = await prepare(face.broker, command)
    const body = one.params(things, "")
    for (const need of needsOf(one, things)) {
      expect(await result(command, body, without(need, things)), `without ${need}`).toBe(DENIED)
    }
    expect(one.codes ?? ["0"]).toContain(await result(command, body, needsOf(one, things).map(just)))
  })
})

// --- Keys in use ------------------------------------------------------------------------------------------

describe("a key in use", () => {
  let face: TestFace
  beforeAll(async () => {
    face = await openFace("node")
    await prepareLetters(face.broker)
  })
  afterAll(() => face.close())

  test("lists show what its patterns cover, and count no more", async () => {
    for (const name of ["shop-a", "shop-b", "bank-a"]) await prepare(face.broker, name)
    const client = new CmqClient(face.port, {}, await keyWith(face.broker, ["send:queue:q-shop-*", "send:topic:*-b"]))
    const { totalCount, queueList } = await client.ok("ListQueue")
    expect(totalCount).toBe(2)
    const names = (queueList as { queueName: string }[]).map(({ queueName: each }) => each)
    expect(names.every((name) => matchesName("q-shop-*", name))).toBe(true)
    expect(await client.ok("ListTopic")).toMatchObject({ totalCount: 1, topicList: [{ topicName: "t-shop-b" }] })
  })

  test("a receipt handle is of use to the account that received, with either of its keys, and to nobody else", async () => {
    const { queue } = await prepare(face.broker, "handles")
    const both = ["receive:queue:q-*"]
    const [first, stranger] = [await keyWith(face.broker, both), await keyWith(face.broker, both)]
    const second = await operate(face.broker, "rotateKey", { secretId: first.secretId })
    const receiver = new CmqClient(face.port, {}, first)
    const { receiptHandle } = (await receiver.ok("ReceiveMessage", { queueName: queue })) as { receiptHandle: string }
    const params = { queueName: queue, receiptHandle }
    for (const other of [new CmqClient(face.port, {}, stranger), new CmqClient(face.port)]) {
      expect(await other.code("DeleteMessage", params)).toBe("4430/10260")
      expect(await other.code("ChangeMessageVisibility", { ...params, visibilityTimeout: 0 })).toBe("4430/10260")
    }
    expect(await receiver.code("ChangeMessageVisibility", { ...params, visibilityTimeout: 60 })).toBe("0")
    expect(await new CmqClient(face.port, {}, second).code("DeleteMessage", params)).toBe("0")
  })

  test("what a gone client received goes back, though its handles are the account's", async () => {
    const { queue } = await prepare(face.broker, "gone")
    const given = face.broker.state.givenBackCount
    const caller = { kind: "key", secretId: (await keyWith(face.broker, ["receive:queue:*"])).secretId } as const
    await new Promise<void>((resolve) => {
      const context = { requestId: "", caller, timeoutMs: 1_000, cancelled: false, onCancel: undefined }
      const request = { queueName: queue, maxCount: 1, pollingWaitMs: 0, visibilityTimeoutMs: undefined }
      face.broker.execute("receiveMessages", request, {
        context,
        done: () => {
          resolve()
          return false
        },
      })
    })
    expect(face.broker.state.givenBackCount).toBe(given + 1)
    expect(await new CmqClient(face.port).code("ReceiveMessage", { queueName: queue })).toBe("0")
  })

  test("a revoked key is refused: by its signature on HTTP, by its name on a connection that is open", async () => {
    const { queue } = await prepare(face.broker, "revoked")
    const tcp = await openTcpFace(face.broker, {}, face.broker.keys)
    const key = await keyWith(face.broker, ["send:queue:*"])
    const [http, connection] = [new CmqClient(face.port, {}, key), await TcpClient.open(tcp.port, key)]
    const body: readonly WireField[] = [
      [1, queue],
      [2, "x"],
    ]
    expect((await connection.call("send", ...body)).result).toBe(0n)
    expect(await http.code("SendMessage", { queueName: queue, msgBody: "x" })).toBe("0")
    await new CmqClient(face.port).ok("RevokeKey", { keyId: key.secretId })
    expect(await http.code("SendMessage", { queueName: queue, msgBody: "x" })).toBe("4100/10030")
    const late = await connection.call("send", ...body)
    expect([late.result, late.error]).toEqual([4100n, "(10270)secret id is not existed"])
    connection.close()
    await tcp.close()
  })

  test("a key of one cluster's master key is nothing to another, and a wrong secret lets nobody in", async () => {
    const key = await keyWith(face.broker, ["peek:cluster"])
    expect(await new CmqClient(face.port, {}, key).code("GetClusterStatus")).toBe("0")
    const wrong = { ...key, secretKey: randomBytes(32).toString("base64url") }
    expect(await new CmqClient(face.port, {}, wrong).code("GetClusterStatus")).toBe("4100/10030")
  })

  test("what is no permission is refused, and so is a third key of an account", async () => {
    const client = new CmqClient(face.port)
    const make = (permission: string[], accountName = "three"): Promise<string> =>
      client.code("CreateKey", { accountName, permission })
    expect(await make(["sing:queue:a"])).toBe("4000/20061")
    expect(await make([])).toBe("4000/10390")
    expect(await make(["peek:cluster"], "no name")).toBe("4000/20060")
    expect([await make(["peek:cluster"]), await make(["send:queue:*"])]).toEqual(["0", "0"])
    expect(await make(["peek:cluster"])).toBe("4450/20065")
    const { keyList } = await client.ok("ListKey", { searchWord: "three" })
    expect(JSON.stringify(keyList)).not.toMatch(/secretKey|sealed/i)
    expect(await client.code("RevokeKey", { keyId: "AKIDnobody" })).toBe("4440/20062")
  })
})
