/** Transactions over CMQ's TCP protocol: half messages, decisions, and the server's question to a producer. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest"
import { encodeReply } from "../../src/adapters/tcp/cmq-proto.ts"
import { tellHalfQueries } from "../../src/node/half-query-notices.ts"
import { LocalBroker } from "./local-broker.ts"
import { message } from "./kit/protobuf-wire.ts"
import type { WireField } from "./kit/protobuf-wire.ts"
import { poll } from "./kit/raw-socket.ts"
import { TcpClient } from "./kit/tcp-client.ts"
import type { TcpReply } from "./kit/tcp-client.ts"
import { openTcpFace } from "./kit/tcp-face.ts"
import type { TestTcpFace } from "./kit/tcp-face.ts"

const COMMIT = 1n
const ROLL_BACK = 2n

const broker = new LocalBroker()
const clients: TcpClient[] = []
let tcp: TestTcpFace
let names = 0

beforeAll(async () => {
  tcp = await openTcpFace(broker)
  tellHalfQueries(broker, (queries) => {
    tcp.face.askProducers(queries)
  })
})

afterEach(() => {
  for (const client of clients.splice(0)) client.close()
})

afterAll(async () => {
  await tcp.close()
  broker.close()
})

async function open(): Promise<TcpClient> {
  const client = await TcpClient.open(tcp.port)
  clients.push(client)
  return client
}

async function newQueue(): Promise<string> {
  const queueName = `half-${String(++names)}`
  const attributes = {
    maxMsgHeapCount: 1_000_000,
    pollingWaitMs: 0,
    visibilityTimeoutMs: 30_000,
    maxMsgBytes: 65_536,
    msgRetentionMs: 345_600_000,
    rewindMs: 0,
    deadLetterPolicy: undefined,
  }
  const context = { requestId: "test", timeoutMs: 1_000, cancelled: false, onCancel: undefined }
  await new Promise((resolve) => {
    const done = (reply: unknown): undefined => {
      resolve(reply)
    }
    broker.execute("createQueue", { queueName, attributes }, { context, done })
  })
  return queueName
}

const half = (interval: bigint): WireField[] => [
  [4, 1n],
  [5, interval],
]

function decided(msgId: bigint | undefined, state: bigint): WireField {
  return [2, message([1, msgId ?? 0n], [2, state])]
}

function queriesOf(client: TcpClient): readonly TcpReply["query"][] {
  return client.replies.filter(({ query }) => query !== undefined).map(({ query }) => query)
}

test("a half message is pulled when it is committed, and not before; rolled back it is gone", async () => {
  const [client, queueName] = [await open(), await newQueue()]
  const { result, msgids } = await client.call("batchSend", [1, queueName], [2, "a"], [2, "b"], ...half(5000n))
  expect([result, msgids.length]).toEqual([0n, 2])
  expect((await client.call("pull", [1, queueName])).result).toBe(10_200n)
  const decision = await client.call(
    "confirm",
    [1, queueName],
    decided(msgids[0], ROLL_BACK),
    decided(msgids[1], COMMIT),
  )
  expect(decision.result).toBe(0n)
  const { messages } = await client.call("batchPull", [1, queueName], [2, 16n])
  expect(messages.map(({ body, msgId }) => [String(body), msgId])).toEqual([["b", msgids[1]]])
})

test("a decision that comes twice, or names no half message, is 6040; the others of the request count", async () => {
  const [client, queueName] = [await open(), await newQueue()]
  const { msgids } = await client.call("batchSend", [1, queueName], [2, "a"], [2, "b"], ...half(5000n))
  const confirm = (...items: WireField[]): Promise<TcpReply> => client.call("confirm", [1, queueName], ...items)
  expect((await confirm(decided(msgids[0], COMMIT))).result).toBe(0n)
  const partly = await confirm(decided(msgids[0], COMMIT), decided(msgids[1], COMMIT))
  expect([partly.result, partly.error]).toEqual([6040n, "(10760)transaction confirmation partially failed"])
  const wholly = await confirm(decided(msgids[1], ROLL_BACK), decided(2n ** 64n - 1n, COMMIT))
  expect([wholly.result, wholly.error]).toEqual([6040n, "(10750)transaction confirmation failed"])
  expect((await client.call("batchPull", [1, queueName], [2, 16n])).messages).toHaveLength(2)
})

test("one connection that has sent to the queue is asked, with the message's id, and its answer counts", async () => {
  const [producer, consumer, stranger] = [await open(), await open(), await open()]
  const [queueName, other] = [await newQueue(), await newQueue()]
  const { msgids } = await producer.call("send", [1, queueName], [2, "half"], ...half(5n))
  await stranger.call("send", [1, other], [2, "x"])
  await consumer.call("pull", [1, queueName])
  broker.advance(5_000)
  await poll(() => queriesOf(producer).length === 1, 5_000)
  expect(queriesOf(producer)).toEqual([{ queueName, msgId: msgids[0] }])
  expect((await producer.call("confirm", [1, queueName], decided(msgids[0], COMMIT))).result).toBe(0n)
  broker.advance(600_000)
  expect(String((await consumer.call("pull", [1, queueName])).messages[0]?.body)).toBe("half")
  expect([queriesOf(producer).length, queriesOf(consumer), queriesOf(stranger)]).toEqual([1, [], []])
})

test("when the sender is gone another producer of the queue is asked", async () => {
  const [sender, queueName] = [await open(), await newQueue()]
  const { msgids } = await sender.call("send", [1, queueName], [2, "half"], ...half(1000n))
  sender.close()
  await poll(() => tcp.face.connectionCount === 0, 5_000)
  broker.advance(1_000)
  const successor = await open()
  await successor.call("send", [1, queueName], [2, "hello"])
  broker.advance(2_000)
  await poll(() => queriesOf(successor).length === 1, 5_000)
  expect(queriesOf(successor)).toEqual([{ queueName, msgId: msgids[0] }])
})

test("what a transaction cannot be is refused", async () => {
  const [client, queueName] = [await open(), await newQueue()]
  const q: WireField = [1, queueName]
  const x: WireField = [2, "x"]
  const cases: readonly (readonly ["send" | "confirm", readonly WireField[], bigint, string])[] = [
    ["send", [q, x, [3, 1n], ...half(5n)], 4490n, "(10780)message operation is not allowed"],
    [
      "send",
      [q, x, ...half(43_200_001n)],
      4000n,
      "(10350)parameter first_query_interval value or length is out of range",
    ],
    ["send", [q, x, ...half(-1n)], 4000n, "(10350)parameter first_query_interval value or length is out of range"],
    ["send", [q, ...half(5n)], 4000n, "(10390)lacked of required parameter msgBody"],
    ["confirm", [q], 4000n, "(10390)lacked of required parameter item"],
    ["confirm", [q, [2, message([2, 1n])]], 4000n, "(10390)lacked of required parameter msg_id"],
    ["confirm", [q, decided(1n, 3n)], 4000n, "(10350)parameter state value or length is out of range"],
    ["confirm", [[1, "nowhere"], decided(1n, COMMIT)], 4440n, "(10100)queue is not existed, or deleted"],
  ]
  for (const [name, body, result, error] of cases) {
    const reply = await client.call(name, ...body)
    expect([reply.result, reply.error], error).toEqual([result, error])
  }
})

test("the question, byte for byte", () => {
  const transactionQuery = { queueName: "orders", msgId: { low: -1, high: -1 } }
  const frame = Buffer.concat(encodeReply({ seqno: 1, cmd: 1042, transactionQuery }))
  expect(frame.toString("hex")).toBe("0000210000000801109208fa0d130a066f726465727310ffffffffffffffffff01")
})
