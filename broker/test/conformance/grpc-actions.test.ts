/** Every method of the gRPC API, by a real client. */
import { afterAll, beforeAll, expect, test } from "vitest"
import { openGrpcFace, until } from "./kit/grpc-face.ts"
import type { Fields, GrpcClient, TestGrpcFace } from "./kit/grpc-face.ts"

let face: TestGrpcFace
let client: GrpcClient
beforeAll(async () => {
  face = await openGrpcFace()
  client = face.client()
})
afterAll(() => face.close())

async function createQueue(queueName: string, attributes: Fields = {}): Promise<void> {
  await client.call("QueueService/CreateQueue", { queueName, attributes })
}

function bodies(reply: Fields): string[] {
  return messagesOf(reply).map(({ body }) => String(body))
}

function messagesOf(reply: Fields): readonly Record<string, unknown>[] {
  return (reply["messages"] ?? []) as Record<string, unknown>[]
}

test("a queue is created with CMQ's defaults, described, changed and deleted", async () => {
  const { queueId } = await client.call("QueueService/CreateQueue", { queueName: "life" })
  expect(queueId).toMatch(/^queue-/)
  const defaults = {
    maxMsgHeapCount: "100000000",
    pollingWaitMs: "0",
    visibilityTimeoutMs: "30000",
    maxMsgBytes: "65536",
    msgRetentionMs: "345600000",
    rewindMs: "0",
  }
  const queue = await client.call("QueueService/GetQueue", { queueName: "life" })
  expect(queue).toMatchObject({ queueName: "life", queueId, attributes: defaults })
  expect(Number(queue["createdAtMs"])).toBeGreaterThan(Date.now() - 60_000)
  const change = { visibilityTimeoutMs: 1_500, rewindMs: 60_000 }
  expect(await client.call("QueueService/UpdateQueue", { queueName: "life", attributes: change })).toEqual({ queueId })
  const changed = await client.call("QueueService/GetQueue", { queueName: "life" })
  expect(changed["attributes"]).toMatchObject({ ...defaults, visibilityTimeoutMs: "1500", rewindMs: "60000" })
  expect(await client.call("QueueService/DeleteQueue", { queueName: "life" })).toEqual({})
  expect((await client.refused("QueueService/GetQueue", { queueName: "life" })).info.reason).toBe("queueNotFound")
})

test("queues are listed page by page in the order of their names", async () => {
  for (const name of ["list-c", "list-a", "list-b"]) await createQueue(name)
  const request = { nameContains: "list-", pageSize: 2 }
  const first = await client.call("QueueService/ListQueues", request)
  expect(first).toMatchObject({ queues: [{ queueName: "list-a" }, { queueName: "list-b" }], totalCount: 3 })
  const second = await client.call("QueueService/ListQueues", { ...request, pageToken: first["nextPageToken"] })
  expect(second).toEqual({ queues: [{ queueName: "list-c", queueId: expect.any(String) as string }], totalCount: 3 })
  expect(await client.call("QueueService/ListQueues", { nameContains: "no such" })).toEqual({ totalCount: 0 })
})

test("dead letter policies are set, listed and unbound; what they moved tells where it came from", async () => {
  await createQueue("dead")
  await createQueue("source", {
    visibilityTimeoutMs: 1_000,
    deadLetterPolicy: { deadLetterQueue: "dead", maxReceiveCount: 1 },
  })
  const byAge = { deadLetterQueue: "dead", maxTimeToLiveMs: 300_000 }
  await createQueue("old-source", { deadLetterPolicy: byAge })
  const described = await client.call("QueueService/GetQueue", { queueName: "old-source" })
  expect(described["attributes"]).toMatchObject({ deadLetterPolicy: { ...byAge, maxTimeToLiveMs: "300000" } })
  const sources = { deadLetterQueueName: "dead" }
  expect(await client.call("QueueService/ListDeadLetterSourceQueues", sources)).toMatchObject({
    queues: [{ queueName: "old-source" }, { queueName: "source" }],
    totalCount: 2,
  })
  await client.call("MessageService/Send", { queueName: "source", messages: [{ body: Buffer.from("moved") }] })
  await client.call("MessageService/Receive", { queueName: "source" })
  face.broker.advance(1_100)
  const dead = await client.call("MessageService/Receive", { queueName: "dead" })
  expect(messagesOf(dead)[0]).toMatchObject({
    body: Buffer.from("moved"),
    dequeueCount: "1",
    provenance: { reason: "maxReceiveCount", originalQueueName: "source", originalDequeueCount: "1" },
  })
  expect(await client.call("QueueService/UnbindDeadLetterQueue", { queueName: "source" })).toEqual({})
  expect(await client.call("QueueService/ListDeadLetterSourceQueues", sources)).toMatchObject({ totalCount: 1 })
})

test("a batch is sent, received, settled handle by handle", async () => {
  await createQueue("batch")
  const bytes = Buffer.from([0, 255, 128, 1])
  const messages = [
    { body: Buffer.from("one"), clientMessageId: "id-1" },
    {
      body: bytes,
      attributes: [
        { name: "kind", text: "ä" },
        { name: "raw", binary: bytes },
      ],
    },
    { body: Buffer.from("later"), delayMs: 1_500 },
  ]
  const sent = await client.call("MessageService/Send", { queueName: "batch", messages })
  expect(messagesOf(sent)).toHaveLength(3)
  const again = { queueName: "batch", messages: messages.slice(0, 1) }
  expect(messagesOf(await client.call("MessageService/Send", again))).toEqual([
    { msgId: messagesOf(sent)[0]?.["msgId"], isDuplicate: true },
  ])
  const got = await client.call("MessageService/Receive", { queueName: "batch", maxMessages: 16 })
  expect(messagesOf(got)).toMatchObject([
    { msgId: messagesOf(sent)[0]?.["msgId"], body: Buffer.from("one"), clientMessageId: "id-1", dequeueCount: "1" },
    {
      body: bytes,
      attributes: [
        { name: "kind", text: "ä" },
        { name: "raw", binary: bytes },
      ],
    },
  ])
  const [first = "", second = ""] = messagesOf(got).map(({ receiptHandle }) => String(receiptHandle))
  const change = { queueName: "batch", receiptHandles: [second, "nonsense"], visibilityTimeoutMs: 0 }
  expect(await client.call("MessageService/ChangeVisibility", change)).toMatchObject({
    failures: [{ index: 1, receiptHandle: "nonsense", refusal: { reason: "receiptHandleMalformed", code: 4000 } }],
    nextVisibleAtMs: expect.stringMatching(/^\d{13}$/) as string,
  })
  const settled = { queueName: "batch", receiptHandles: [first, second, "x"] }
  expect(await client.call("MessageService/Delete", settled)).toMatchObject({
    failures: [
      {
        index: 1,
        receiptHandle: second,
        refusal: {
          reason: "receiptHandleInvalid",
          status: 5,
          message: "(10260)receipt handle is invalid",
          code: 4430,
          moduleCode: 10260,
          outcome: "OUTCOME_NOT_APPLIED",
        },
      },
      { index: 2, refusal: { reason: "receiptHandleMalformed" } },
    ],
  })
  expect(await client.call("MessageService/Delete", { queueName: "batch", receiptHandles: ["x"] })).toMatchObject({
    failures: [{ index: 0, refusal: { reason: "receiptHandleMalformed" } }],
  })
  face.broker.advance(2_000)
  expect(bodies(await client.call("MessageService/Receive", { queueName: "batch", maxMessages: 16 }))).toEqual([
    bytes.toString(),
    "later",
  ])
})

test("an empty receive is an empty list; a long poll is woken by a message", async () => {
  await createQueue("poll")
  expect(await client.call("MessageService/Receive", { queueName: "poll" })).toEqual({})
  const waiting = client.call("MessageService/Receive", { queueName: "poll", pollingWaitMs: 20_000 })
  await until(() => face.broker.waitingCount()).toBe(1)
  await client.call("MessageService/Send", { queueName: "poll", messages: [{ body: Buffer.from("woken") }] })
  expect(bodies(await waiting)).toEqual(["woken"])
})

test("a peek changes nothing and goes on where it ended", async () => {
  await createQueue("peek")
  const messages = ["a", "b", "c"].map((body) => ({ body: Buffer.from(body) }))
  await client.call("MessageService/Send", { queueName: "peek", messages })
  await client.call("MessageService/Receive", { queueName: "peek" })
  const first = await client.call("MessageService/Peek", { queueName: "peek", maxMessages: 2 })
  expect(messagesOf(first)).toMatchObject([
    { body: Buffer.from("a"), state: "MESSAGE_STATE_INACTIVE", dequeueCount: "1" },
    { body: Buffer.from("b"), state: "MESSAGE_STATE_ACTIVE" },
  ])
  const rest = { queueName: "peek", maxMessages: 2, startSequence: first["nextSequence"] }
  const second = await client.call("MessageService/Peek", rest)
  expect(bodies(second)).toEqual(["c"])
  expect(second["nextSequence"]).toBeUndefined()
})

test("messages are searched and traced", async () => {
  await createQueue("searched")
  const messages = ["hay", "needle", "hay"].map((body) => ({ body: Buffer.from(body) }))
  const sent = await client.call("MessageService/Send", { queueName: "searched", messages })
  const msgId = messagesOf(sent)[1]?.["msgId"]
  const search = { queueName: "searched", text: "needle", scanCount: 2 }
  const found = await client.call("MessageService/Search", search)
  expect(found).toMatchObject({ scannedCount: "2", nextSequence: "3", messages: [{ msgId }] })
  const places = [{ queueName: "searched", state: "MESSAGE_STATE_ACTIVE", sequence: "2", dequeueCount: "0" }]
  expect(await client.call("MessageService/Trace", { msgId })).toMatchObject({ msgId, bodyBytes: "6", places })
  const gone = await client.refused("MessageService/Trace", { msgId: "7" })
  expect(gone.info.reason).toBe("messageNotFound")
})

test("a redrive is counted, started, described and cancelled", async () => {
  await createQueue("redrive-dead")
  const deadLetterPolicy = { deadLetterQueue: "redrive-dead", maxReceiveCount: 1 }
  await createQueue("redrive-source", { deadLetterPolicy })
  const messages = ["a", "b"].map((body) => ({ body: Buffer.from(body) }))
  await client.call("MessageService/Send", { queueName: "redrive-source", messages })
  const received = await client.call("MessageService/Receive", { queueName: "redrive-source", maxMessages: 2 })
  const receiptHandles = messagesOf(received).map(({ receiptHandle }) => receiptHandle)
  await client.call("MessageService/ChangeVisibility", { queueName: "redrive-source", receiptHandles })
  const order = { queueName: "redrive-dead", sourceQueueName: "redrive-source", messagesPerSecond: 1 }
  expect(await client.call("QueueService/StartRedrive", { ...order, dryRun: true })).toEqual({
    moveCount: "2",
    skipCount: "0",
    targets: [{ queueName: "redrive-source", count: "2" }],
  })
  expect(await client.call("QueueService/StartRedrive", order)).toEqual({})
  expect(await client.call("QueueService/GetRedrive", { queueName: "redrive-dead" })).toMatchObject({
    state: "REDRIVE_STATE_RUNNING",
    movedCount: "1",
    endedAtMs: "0",
    messagesPerSecond: 1,
    sourceQueueName: "redrive-source",
  })
  const running = await client.refused("QueueService/StartRedrive", order)
  expect(running.info.reason).toBe("redriveRunning")
  expect(await client.call("QueueService/CancelRedrive", { queueName: "redrive-dead" })).toEqual({ movedCount: "1" })
  const wrong = { ...order, targetQueueName: "redrive-dead" }
  expect((await client.refused("QueueService/StartRedrive", wrong)).info.reason).toBe("redriveTargetInvalid")
})

test("clear and rewind tell how many messages they met", async () => {
  await createQueue("count", { rewindMs: 600_000 })
  const messages = ["a", "b", "c"].map((body) => ({ body: Buffer.from(body) }))
  await client.call("MessageService/Send", { queueName: "count", messages })
  const got = await client.call("MessageService/Receive", { queueName: "count", maxMessages: 2 })
  const receiptHandles = messagesOf(got).map(({ receiptHandle }) => receiptHandle)
  expect(await client.call("MessageService/Delete", { queueName: "count", receiptHandles })).toEqual({})
  const rewind = { queueName: "count", startConsumeAtMs: Date.now() - 60_000 }
  for (const dryRun of [true, true, false]) {
    expect(await client.call("QueueService/RewindQueue", { ...rewind, dryRun })).toEqual({ rewoundCount: "2" })
  }
  expect(await client.call("QueueService/RewindQueue", rewind)).toEqual({ rewoundCount: "0" })
  expect(await client.call("QueueService/ClearQueue", { queueName: "count" })).toEqual({ droppedCount: "3" })
})

test("the cluster tells who leads", async () => {
  expect(await client.call("ClusterService/GetClusterStatus", {})).toMatchObject({
    clusterId: "local",
    nodeId: 1,
    leaderId: 1,
    leaderHttpAddress: "127.0.0.1:7070",
    term: "1",
  })
})

test("calls are measured by method and end", async () => {
  const text = await face.metricsText()
  expect(text).toMatch(/opencmq_request_duration_seconds_count\{api="grpc",operation="Send",code="OK"[^}]*\} [1-9]/)
  expect(text).toMatch(/operation="GetQueue",code="NOT_FOUND"/)
  expect(text).toMatch(/opencmq_requests_in_flight\{api="grpc"[^}]*\} 0/)
})
