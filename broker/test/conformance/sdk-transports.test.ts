/** The SDK over either transport, against the real faces and the real machine: a program sees no difference. */
import { Account, CmqError, HttpTransport, type Message, type Queue } from "@opencmq/client-sdk"
import { GrpcTransport } from "@opencmq/client-sdk/grpc"
import { LIMITS } from "@opencmq/proto"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { SECRET_ID, SECRET_KEY, openFace, type TestFace } from "./kit/face.ts"
import { openGrpcFace, until, type TestGrpcFace } from "./kit/grpc-face.ts"

let http: TestFace
let grpc: TestGrpcFace
const accounts: Account[] = []

beforeAll(async () => {
  http = await openFace("node")
  // The address that the test face names does not exist.
  http.broker.state.leader = undefined
  grpc = await openGrpcFace({ broker: http.broker })
})

afterAll(async () => {
  for (const account of accounts) account.close()
  await grpc.close()
  await http.close()
})

function open(transport: HttpTransport | GrpcTransport, secretKey = SECRET_KEY): Account {
  const account = new Account({
    endpoints: [`http://127.0.0.1:${String(http.port)}`],
    secretId: SECRET_ID,
    secretKey,
    transport,
    retry: { maxRetries: 2 },
  })
  accounts.push(account)
  return account
}

function grpcTransport(port = grpc.port): GrpcTransport {
  return new GrpcTransport({ address: () => `127.0.0.1:${String(port)}` })
}

async function refusalOf(promise: Promise<unknown>): Promise<CmqError> {
  const thrown: unknown = await promise.then(
    () => new Error("not refused"),
    (error: unknown) => error,
  )
  expect(thrown).toBeInstanceOf(CmqError)
  return thrown as CmqError
}

describe.each([
  ["http", () => new HttpTransport()],
  ["grpc", () => grpcTransport()],
] as const)("over %s", (wire, newTransport) => {
  let account: Account
  let queueCount = 0

  beforeAll(() => {
    account = open(newTransport())
  })

  function newQueue(): Promise<Queue> {
    return account.createQueue(`${wire}-${String(queueCount++)}`, { visibilityTimeoutSeconds: 60, rewindSeconds: 60 })
  }

  test("a message goes round with everything that it has", async () => {
    const queue = await newQueue()
    const attributes = { traceparent: "00-1", blob: new Uint8Array([0, 255]), empty: "" }
    const sent = await queue.send("héllo 你好", { attributes, clientMessageId: "one" })
    expect(await queue.send("again", { clientMessageId: "one" })).toEqual({ msgId: sent.msgId, duplicate: true })
    const message = await queue.receive({ waitSeconds: 0, visibilityTimeoutSeconds: 100 })
    expect(message).toMatchObject({ msgId: sent.msgId, body: "héllo 你好", dequeueCount: 1 })
    expect(message?.attributes).toEqual(new Map(Object.entries(attributes)))
    const hiddenMs = (message?.nextVisibleTime?.getTime() ?? 0) - Date.now() - http.broker.aheadSeconds() * 1_000
    expect(Math.round(hiddenMs / 10_000)).toBe(10)
    expect(Math.abs((message?.enqueueTime.getTime() ?? 0) - Date.now())).toBeLessThan(100_000)
    expect(await queue.receive({ waitSeconds: 0 })).toBeUndefined()
    await message?.delete()
    expect(await queue.attributes()).toMatchObject({ activeMsgNum: 0, inactiveMsgNum: 0, rewindMsgNum: 1 })
  })

  test("bytes that are no text arrive as they were, whatever wire the receiver has", async () => {
    const queue = await newQueue()
    const bytes = new Uint8Array([0xff, 0xfe, 0x00])
    await queue.sendBatch([bytes, { body: bytes, attributes: { kind: "raw" } }])
    const other = open(wire === "http" ? grpcTransport() : new HttpTransport()).queue(queue.name)
    const messages = [...(await queue.receiveBatch({ max: 1 })), ...(await other.receiveBatch({ max: 1 }))]
    expect(messages.map((message) => [...message.bytes])).toEqual([[...bytes], [...bytes]])
    expect(messages.map(({ attributes }) => [...attributes])).toEqual([[], [["kind", "raw"]]])
  })

  test("deletes and changes of visibility say what became of each handle", async () => {
    const queue = await newQueue()
    await queue.sendBatch(["a", "b", "c"])
    const [a, b, c] = await queue.receiveBatch({ waitSeconds: 0 })
    const gone = a?.receiptHandle ?? ""
    await a?.delete()
    expect(await refusalOf(queue.delete(gone))).toMatchObject({ name: "receiptHandleInvalid", code: 4430 })
    expect(await queue.deleteBatch([gone, b?.receiptHandle ?? "", "no handle"])).toMatchObject([
      { ok: false, error: { name: "receiptHandleInvalid" } },
      { ok: true },
      { ok: false },
    ])
    expect((await queue.deleteBatch([gone])).map(({ ok }) => ok)).toEqual([false])
    expect(((await c?.extend(600))?.getTime() ?? 0) / 1_000 - Date.now() / 1_000).toBeGreaterThan(500)
    await c?.retry()
    expect(await refusalOf(queue.changeVisibility(gone, 10))).toMatchObject({ name: "receiptHandleInvalid" })
    expect(await queue.receive({ waitSeconds: 0 })).toMatchObject({ body: "c", dequeueCount: 2 })
  })

  test("a refusal is the same error", async () => {
    const nowhere = account.queue(`${wire}-nowhere`)
    const calls = [() => nowhere.send("x"), () => nowhere.receive(), () => nowhere.delete("1"), () => nowhere.peek()]
    for (const call of calls) {
      expect(await refusalOf(call())).toMatchObject({ name: "queueNotFound", code: 4440, outcome: "notApplied" })
    }
    const queue = await newQueue()
    expect(await refusalOf(queue.send("x", { delaySeconds: 9_999 }))).toMatchObject({ name: "delayOutOfRange" })
    expect(await refusalOf(queue.send(""))).toMatchObject({ name: "messageEmpty" })
    const stranger = open(newTransport(), "another key").queue(queue.name)
    for (const call of [() => stranger.send("x"), () => stranger.receive({ waitSeconds: 0 })]) {
      expect(await refusalOf(call())).toMatchObject({ name: "authenticationFailed", gaveUpBecause: "notRetriable" })
    }
  })

  test("a long poll ends with a message, and at once when it is aborted", async () => {
    const queue = await newQueue()
    const received = queue.receive({ waitSeconds: 30 })
    await until(() => http.broker.waitingCount()).toBe(1)
    await queue.send("here")
    expect((await received)?.body).toBe("here")
    const controller = new AbortController()
    const aborted = queue.receive({ waitSeconds: 30, signal: controller.signal })
    await until(() => http.broker.waitingCount()).toBe(1)
    controller.abort()
    await expect(aborted).rejects.toMatchObject({ name: "AbortError" })
    await until(() => http.broker.waitingCount()).toBe(0)
  })

  test("a sender and a consumer carry a few hundred messages, each handled and deleted once", async () => {
    const queue = await newQueue()
    const sender = queue.sender()
    const bodies = Array.from({ length: 300 }, (_, index) => String(index))
    const seen: string[] = []
    const consumer = queue.consumer({ concurrency: 40 }, (message) => {
      seen.push(message.body)
    })
    await Promise.all(bodies.map((body) => sender.send(body)))
    await until(() => consumer.counters.deleted).toBe(300)
    expect([...seen].sort()).toEqual([...bodies].sort())
    expect(await consumer.stop()).toEqual({ finished: 0, givenBack: 0, abandoned: 0 })
    expect(await queue.attributes()).toMatchObject({ activeMsgNum: 0, inactiveMsgNum: 0 })
  })

  test("a handler that throws gives back; a consumer never holds more than it may, and stops without a trace", async () => {
    const queue = await newQueue()
    await queue.sendBatch(Array.from({ length: 16 }, (_, index) => String(index)))
    const release: (() => void)[] = []
    let failures = 0
    const consumer = queue.consumer(
      { concurrency: 3, prefetch: 2, retryDelaySeconds: 0, onError: () => undefined },
      async (message) => {
        if (message.body === "0" && failures++ === 0) throw new Error("planted")
        await new Promise<void>((resolve) => release.push(resolve))
      },
    )
    await until(() => release.length).toBe(3)
    await until(() => consumer.heldCount).toBe(5)
    expect(await queue.attributes()).toMatchObject({ inactiveMsgNum: 5, activeMsgNum: 11 })
    const stopping = consumer.stop()
    for (const resolve of release) resolve()
    expect(await stopping).toMatchObject({ givenBack: 2, abandoned: 0 })
    expect(await queue.attributes()).toMatchObject({ inactiveMsgNum: 0, activeMsgNum: 13 })
    expect(consumer.counters).toMatchObject({ deleted: 3, retried: 3, lost: 0, undecided: 0 })
  })

  test("`for await` ends with its signal and gives back what was not handed out", async () => {
    const queue = await newQueue()
    await queue.sendBatch(["a", "b", "c", "d"])
    const controller = new AbortController()
    const bodies: string[] = []
    for await (const message of queue.consume({ signal: controller.signal, concurrency: 4 })) {
      bodies.push(message.body)
      await message.delete()
      if (bodies.length === 2) controller.abort()
    }
    expect(bodies).toEqual(["a", "b"])
    await until(() => http.broker.waitingCount()).toBe(0)
    await expect.poll(async () => (await queue.attributes()).activeMsgNum).toBe(2)
  })

  test("deletes of the same moment travel together, each with its own promise", async () => {
    const queue = await newQueue()
    await queue.sendBatch(["a", "b", "c"])
    const messages: readonly Message[] = await queue.receiveBatch({ waitSeconds: 0 })
    await queue.delete(messages[1]?.receiptHandle ?? "")
    const settled = await Promise.allSettled(messages.map((message) => message.delete()))
    expect(settled.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"])
  })
})

// --- What only the streams have ---------------------------------------------------------------------------

test("sends, deliveries and settlements of a consumer travel in the two streams", async () => {
  const own = await openGrpcFace({ broker: http.broker })
  const account = open(grpcTransport(own.port))
  const queue = await account.createQueue("streams")
  await queue.send("again")
  await queue.sendBatch(["a", "b"])
  const consumer = queue.consumer({ retryDelaySeconds: 0, onError: () => undefined }, ({ body, dequeueCount }) => {
    if (body === "again" && dequeueCount === 1) throw new Error("planted")
  })
  await until(() => consumer.counters).toMatchObject({ deleted: 3, retried: 1 })
  await consumer.stop()
  await own.close()
  account.close()
  const text = await own.metricsText()
  expect(text).toMatch(/_count\{api="grpc",operation="Produce",code="UNAVAILABLE"\} 1$/m)
  expect(text).toMatch(/_count\{api="grpc",operation="Consume",code="OK"\} 1$/m)
  expect(text).not.toMatch(/operation="(Send|Receive|Delete|ChangeVisibility)"/)
})

test("over gRPC a sender's batch may have 256 messages", async () => {
  const account = open(grpcTransport())
  const queue = await account.createQueue("wide")
  const sender = queue.sender({ maxInFlight: 1 })
  const count = LIMITS.streamBatchCount.max
  const results = await Promise.all(Array.from({ length: count }, (_, index) => sender.send(String(index))))
  expect(new Set(results.map(({ msgId }) => msgId)).size).toBe(count)
  expect(await refusalOf(queue.sendBatch(Array.from({ length: count + 1 }, () => "x")))).toMatchObject({
    name: "argumentInvalid",
  })
})

test("a face that goes away and comes back is found again by sends and by consumers", async () => {
  const first = await openGrpcFace({ broker: http.broker })
  const account = open(grpcTransport(first.port))
  const queue = await account.createQueue("again")
  const seen: string[] = []
  const errors: string[] = []
  const consumer = queue.consumer({ onError: (error) => errors.push(CmqError.from(error).name) }, (message) => {
    seen.push(message.body)
  })
  await queue.send("before")
  await until(() => seen).toEqual(["before"])
  await first.close()
  expect(await refusalOf(queue.send("lost", { timeoutMs: 500 }))).toMatchObject({ retriable: true })
  await until(() => errors.length).toBeGreaterThan(0)
  const second = await openGrpcFace({ broker: http.broker, port: first.port })
  await queue.send("after", { timeoutMs: 20_000 })
  await until(() => seen.includes("after")).toBe(true)
  await consumer.stop()
  await second.close()
})

test("where there is no gRPC nothing was applied, and administration goes on over HTTP", async () => {
  const account = open(grpcTransport(1))
  const queue = await account.createQueue("half")
  expect(await refusalOf(queue.send("x", { timeoutMs: 300 }))).toMatchObject({
    name: "networkFailed",
    outcome: "notApplied",
  })
})
