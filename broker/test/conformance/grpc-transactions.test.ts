/** Every method of TransactionService by a real client, and what it refuses. */
import { status } from "@grpc/grpc-js"
import { afterAll, beforeAll, expect, test } from "vitest"
import { openGrpcFace } from "./kit/grpc-face.ts"
import type { Fields, GrpcClient, TestGrpcFace } from "./kit/grpc-face.ts"

const BODY = Buffer.from("half")
const COMMIT = 1
const ROLL_BACK = 2

let face: TestGrpcFace
let client: GrpcClient
beforeAll(async () => {
  face = await openGrpcFace()
  client = face.client()
  for (const queueName of ["q", "listed"]) await client.call("QueueService/CreateQueue", { queueName })
})
afterAll(() => face.close())

function messagesOf(reply: Fields): readonly Fields[] {
  return (reply["messages"] ?? []) as Fields[]
}

test("half messages are received when they are committed, and not before; each is decided for itself", async () => {
  const messages = [{ body: Buffer.from("a"), clientMessageId: "a" }, { body: Buffer.from("b") }]
  const sent = messagesOf(await client.call("TransactionService/SendHalf", { queueName: "q", messages }))
  const again = { queueName: "q", messages: messages.slice(0, 1) }
  expect(messagesOf(await client.call("TransactionService/SendHalf", again))).toEqual([
    { msgId: sent[0]?.["msgId"], isDuplicate: true },
  ])
  expect(await client.call("QueueService/GetQueue", { queueName: "q" })).toMatchObject({ halfCount: "2" })
  expect(messagesOf(await client.call("MessageService/Receive", { queueName: "q" }))).toEqual([])
  const decisions = [
    { msgId: sent[0]?.["msgId"], state: ROLL_BACK },
    { msgId: "not a number", state: COMMIT },
    { msgId: sent[1]?.["msgId"], state: COMMIT },
    { msgId: sent[1]?.["msgId"], state: COMMIT },
  ]
  expect(await client.call("TransactionService/Confirm", { queueName: "q", decisions })).toMatchObject({
    failures: [
      { index: 1, msgId: "not a number", refusal: { reason: "messageIdInvalid" } },
      { index: 3, msgId: sent[1]?.["msgId"], refusal: { reason: "messageIdInvalid" } },
    ],
  })
  const received = await client.call("MessageService/Receive", { queueName: "q", maxMessages: 16 })
  expect(messagesOf(received)).toMatchObject([{ body: Buffer.from("b") }])
})

test("what is not decided is listed after its first interval, page by page", async () => {
  const messages = [{ body: BODY }, { body: BODY }]
  const policy = { firstQueryIntervalMs: 1_500, maxQueryCount: 3 }
  await client.call("TransactionService/SendHalf", { queueName: "listed", messages, ...policy })
  expect(messagesOf(await client.call("TransactionService/ListHalves", { queueName: "listed" }))).toEqual([])
  face.broker.advance(1_500)
  const first = await client.call("TransactionService/ListHalves", { queueName: "listed" })
  expect(messagesOf(first)).toMatchObject([
    { message: { body: BODY, state: "MESSAGE_STATE_HALF" }, queryCount: 1, maxQueryCount: 3 },
  ])
  const rest = { queueName: "listed", maxMessages: 16, startSequence: first["nextSequence"] }
  expect(messagesOf(await client.call("TransactionService/ListHalves", rest))).toHaveLength(1)
})

const q = { queueName: "q" }

test.each([
  ["SendHalf", "messages", "parameterMissing", q],
  ["SendHalf", "messages[0].delay_ms", "messageOperationNotAllowed", { ...q, messages: [{ body: BODY, delayMs: 1 }] }],
  [
    "SendHalf",
    "first_query_interval_ms",
    "parameterOutOfRange",
    { ...q, messages: [{ body: BODY }], firstQueryIntervalMs: 999 },
  ],
  ["SendHalf", "max_query_count", "parameterOutOfRange", { ...q, messages: [{ body: BODY }], maxQueryCount: 101 }],
  ["Confirm", "decisions", "parameterMissing", q],
  [
    "Confirm",
    "decisions",
    "parameterBatchSize",
    { ...q, decisions: Array.from({ length: 17 }, () => ({ msgId: "1", state: COMMIT })) },
  ],
  ["Confirm", "decisions[0].state", "parameterOutOfRange", { ...q, decisions: [{ msgId: "1" }] }],
  ["ListHalves", "max_messages", "parameterOutOfRange", { ...q, maxMessages: 17 }],
])("%s, %s: %s", async (...row) => {
  const [method, field, reason, request] = row
  expect(await client.refused(`TransactionService/${method}`, request)).toMatchObject({ field, info: { reason } })
})

test("a queue that is not there has no transactions", async () => {
  const decisions = [{ msgId: "1", state: COMMIT }]
  const requests = { SendHalf: { messages: [{ body: BODY }] }, Confirm: { decisions }, ListHalves: {} }
  for (const [method, request] of Object.entries(requests)) {
    const refused = await client.refused(`TransactionService/${method}`, { queueName: "nowhere", ...request })
    expect(refused).toMatchObject({ code: status.NOT_FOUND, info: { reason: "queueNotFound" } })
  }
})
