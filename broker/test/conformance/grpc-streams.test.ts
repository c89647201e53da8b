/** Produce and Consume: batches, credits, settlements, and what happens when a client goes, waits or says nonsense. */
import { connect } from "node:http2"
import * as grpc from "@grpc/grpc-js"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { framed, isServiceError, openGrpcFace, refusedOf, signed, until } from "./kit/grpc-face.ts"
import type { Fields, GrpcClient, TestGrpcFace } from "./kit/grpc-face.ts"

const { status } = grpc

let face: TestGrpcFace
let client: GrpcClient
beforeAll(async () => {
  face = await openGrpcFace()
  client = face.client()
})
afterAll(() => face.close())

type Row = Record<string, unknown>

/** A stream whose responses are kept as they come. */
class Talk {
  readonly stream: grpc.ClientDuplexStream<Fields, Fields>
  readonly responses: Fields[] = []
  /** How it ended; OK has no error. */
  readonly ended: Promise<grpc.ServiceError | undefined>

  constructor(stream: grpc.ClientDuplexStream<Fields, Fields>) {
    this.stream = stream
    stream.on("data", (response: Fields) => this.responses.push(response))
    this.ended = new Promise((resolve) => {
      stream.on("error", (error) => {
        resolve(isServiceError(error) ? error : undefined)
      })
      stream.on("end", () => {
        resolve(undefined)
      })
    })
  }

  all(field: string): Row[] {
    return this.responses.flatMap((response) => (response[field] ?? []) as Row[])
  }

  bodies(): string[] {
    return this.all("messages").map(({ body }) => String(body))
  }
}

function produce(from = client): Talk {
  return new Talk(from.stream("MessageService/Produce"))
}

function consume(from = client): Talk {
  return new Talk(from.stream("MessageService/Consume"))
}

async function createQueue(queueName: string, attributes: Fields = {}): Promise<void> {
  await client.call("QueueService/CreateQueue", { queueName, attributes })
}

async function send(queueName: string, ...texts: string[]): Promise<void> {
  const messages = texts.map((text) => ({ body: Buffer.from(text) }))
  await client.call("MessageService/Send", { queueName, messages })
}

async function counts(queueName: string): Promise<Row> {
  return await client.call("QueueService/GetQueue", { queueName })
}

describe("Produce", () => {
  test("each batch gets its result; a refused one does not end the stream; half-close ends it with OK", async () => {
    await createQueue("p1")
    const talk = produce()
    const big = Array.from({ length: 256 }, (_, index) => ({ body: Buffer.from(String(index)) }))
    talk.stream.write({ queueName: "p1", batchId: 1, messages: [{ body: Buffer.from("a"), clientMessageId: "c" }] })
    talk.stream.write({ batchId: 2, messages: [{ body: Buffer.from("a"), clientMessageId: "c" }] })
    talk.stream.write({ batchId: 3, messages: [{ body: Buffer.alloc(0) }] })
    talk.stream.write({ batchId: 4, messages: [...big, ...big] })
    talk.stream.write({ queueName: "none", batchId: 5, messages: [{ body: Buffer.from("x") }] })
    talk.stream.write({ queueName: "p1", batchId: "18446744073709551615", messages: big })
    talk.stream.end()
    expect(await talk.ended).toBeUndefined()
    const results = new Map(talk.all("batches").map((row) => [row["batchId"], row]))
    const first = (results.get("1")?.["messages"] as Row[])[0]
    expect(first?.["msgId"]).toMatch(/^\d+$/)
    expect(results.get("2")).toMatchObject({ messages: [{ msgId: first?.["msgId"], isDuplicate: true }] })
    expect(results.get("3")).toMatchObject({ refusal: { reason: "messageEmpty", status: 3 } })
    expect(results.get("4")).toMatchObject({ refusal: { reason: "parameterBatchSize" } })
    expect(results.get("5")).toMatchObject({ refusal: { reason: "queueNotFound", status: 5, code: 4440 } })
    expect(results.get("18446744073709551615")?.["messages"]).toHaveLength(256)
    expect(await counts("p1")).toMatchObject({ activeCount: "257" })
  })

  test("the first batch must name a queue", async () => {
    const talk = produce()
    talk.stream.write({ batchId: 1, messages: [{ body: Buffer.from("x") }] })
    talk.stream.end()
    expect(await talk.ended).toBeUndefined()
    expect(talk.all("batches")).toMatchObject([{ refusal: { reason: "parameterMissing" } }])
  })

  test("many small batches come through, each with its result", async () => {
    await createQueue("p2")
    const talk = produce()
    for (let batchId = 1; batchId <= 300; batchId++) {
      talk.stream.write({ queueName: "p2", batchId, messages: [{ body: Buffer.from("x") }] })
    }
    talk.stream.end()
    expect(await talk.ended).toBeUndefined()
    expect(talk.all("batches").map(({ batchId }) => Number(batchId))).toEqual(
      Array.from({ length: 300 }, (_, index) => index + 1),
    )
    expect(await counts("p2")).toMatchObject({ activeCount: "300" })
  })

  test("while 64 batches are undecided nothing more is read", async () => {
    await createQueue("p3")
    const broker = face.broker
    const execute = broker.execute.bind(broker)
    const held: (() => void)[] = []
    broker.execute = (name, request, call) => {
      held.push(() => {
        execute(name, request, call)
      })
    }
    const talk = produce()
    for (let batchId = 1; batchId <= 100; batchId++) {
      talk.stream.write({ queueName: "p3", batchId, messages: [{ body: Buffer.from("x") }] })
    }
    talk.stream.end()
    try {
      await until(() => held.length).toBe(64)
      await new Promise((resolve) => setTimeout(resolve, 100))
      expect(held.length).toBe(64)
    } finally {
      broker.execute = execute
    }
    for (const run of held) run()
    expect(await talk.ended).toBeUndefined()
    expect(talk.all("batches")).toHaveLength(100)
  })

  test("bytes that are no message end it; strangers are not let in", async () => {
    const broken = new grpc.Client(`127.0.0.1:${String(face.port)}`, grpc.credentials.createInsecure())
    const pass = (bytes: Buffer): Buffer => bytes
    const path = "/opencmq.v1.MessageService/Produce"
    const stream = broken.makeBidiStreamRequest(path, pass, pass, signed(path, undefined, {}))
    stream.write(Buffer.from([0xff]))
    const error = await new Promise<grpc.ServiceError>((resolve) =>
      stream.on("error", resolve as (error: Error) => void),
    )
    expect(refusedOf(error)).toMatchObject({ code: status.INVALID_ARGUMENT, info: { reason: "requestInvalid" } })
    broken.close()
    const stranger = new Talk(client.stream("MessageService/Produce", { secretKey: "other" }))
    const refused = refusedOf((await stranger.ended) as grpc.ServiceError)
    expect(refused).toMatchObject({ code: status.UNAUTHENTICATED, info: { reason: "authenticationFailed" } })
  })
})

describe("Consume", () => {
  test("no credit, no message; each message takes one", async () => {
    await createQueue("c1")
    await send("c1", "a", "b", "c")
    const talk = consume()
    talk.stream.write({ queueName: "c1" })
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(talk.bodies()).toEqual([])
    talk.stream.write({ addCredits: 2 })
    await until(() => talk.bodies()).toEqual(["a", "b"])
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(talk.bodies()).toEqual(["a", "b"])
    expect(await counts("c1")).toMatchObject({ activeCount: "1", inactiveCount: "2" })
    talk.stream.write({ addCredits: 5 })
    await until(() => talk.bodies()).toEqual(["a", "b", "c"])
    await send("c1", "d")
    await until(() => talk.bodies()).toEqual(["a", "b", "c", "d"])
    talk.stream.end()
    expect(await talk.ended).toBeUndefined()
  })

  test("deletes and changes of visibility travel in the same stream", async () => {
    await createQueue("c2", { visibilityTimeoutMs: 600_000 })
    await send("c2", "a", "b")
    const talk = consume()
    talk.stream.write({ queueName: "c2", visibilityTimeoutMs: 300_000, addCredits: 10 })
    await until(() => talk.bodies()).toEqual(["a", "b"])
    const [first, second] = talk.all("messages").map(({ receiptHandle }) => String(receiptHandle))
    const wait = Number(talk.all("messages")[0]?.["nextVisibleAtMs"]) - Date.now()
    expect(wait).toBeLessThan(301_000 + face.broker.aheadSeconds() * 1000)
    const visibilityChange = { receiptHandles: [second, "x"], visibilityTimeoutMs: 0 }
    talk.stream.write({ settlementId: 9, deleteHandles: [first, "nonsense"], visibilityChange })
    await until(() => talk.bodies()).toEqual(["a", "b", "b"])
    expect(talk.all("settlements")).toMatchObject([
      {
        settlementId: "9",
        deleteFailures: [{ index: 1, refusal: { reason: "receiptHandleMalformed" } }],
        visibilityFailures: [{ index: 1, refusal: { reason: "receiptHandleMalformed" } }],
      },
    ])
    const last = talk.all("messages").at(-1)?.["receiptHandle"]
    talk.stream.write({ settlementId: 10, deleteHandles: [first, last] })
    talk.stream.write({ settlementId: 11, deleteHandles: Array<string>(257).fill("1") })
    const tooLong = { receiptHandles: ["1"], visibilityTimeoutMs: 43_200_001 }
    talk.stream.write({ settlementId: 12, visibilityChange: tooLong })
    talk.stream.end()
    expect(await talk.ended).toBeUndefined()
    const rest = new Map(talk.all("settlements").map((row) => [row["settlementId"], row]))
    expect(rest.get("10")).toMatchObject({
      deleteFailures: [{ receiptHandle: first, refusal: { reason: "receiptHandleInvalid" } }],
    })
    expect(rest.get("11")).toMatchObject({ deleteRefusal: { reason: "parameterBatchSize" } })
    expect(rest.get("12")).toMatchObject({ visibilityRefusal: { reason: "parameterOutOfRange" } })
    expect(await counts("c2")).toMatchObject({ activeCount: "0", inactiveCount: "0" })
  })

  test("a client that cancels frees its wait, and what comes then goes to others", async () => {
    await createQueue("c3")
    const talk = consume()
    talk.stream.write({ queueName: "c3", addCredits: 10 })
    await until(() => face.broker.waitingCount()).toBe(1)
    talk.stream.cancel()
    expect((await talk.ended)?.code).toBe(status.CANCELLED)
    await until(() => face.broker.waitingCount()).toBe(0)
    await send("c3", "other")
    expect(await counts("c3")).toMatchObject({ activeCount: "1", inactiveCount: "0" })
  })

  test("a client that does not read takes a bounded part of the queue, and gives back what it never got", async () => {
    await createQueue("c4", { visibilityTimeoutMs: 600_000, maxMsgBytes: 1_048_576 })
    const body = Buffer.alloc(60_000, 1)
    const batch = { queueName: "c4", messages: Array.from({ length: 16 }, () => ({ body })) }
    for (let sent = 0; sent < 6; sent++) await client.call("MessageService/Send", batch)
    // Bare HTTP/2: grpc-js's own client takes all that comes, as long as it was never read from.
    const session = connect(`http://127.0.0.1:${String(face.port)}`)
    const path = "/opencmq.v1.MessageService/Consume"
    const request = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      ...(signed(path, undefined, {}).getMap() as Record<string, string>),
    })
    request.on("error", () => undefined)
    request.write(framed("MessageService/Consume", { queueName: "c4", addCredits: 65_536 }))
    const taken = async (): Promise<number> => Number((await counts("c4"))["inactiveCount"])
    await until(taken).toBe(16)
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(await taken()).toBe(16)
    session.destroy()
    await until(taken).toBe(0)
  })

  test("what is wrong with the first request ends the stream", async () => {
    const refusalOf = async (request: Fields) => {
      const talk = consume()
      talk.stream.write(request)
      return refusedOf((await talk.ended) as grpc.ServiceError)
    }
    expect(await refusalOf({ addCredits: 1 })).toMatchObject({
      field: "queue_name",
      info: { reason: "parameterMissing" },
    })
    expect(await refusalOf({ queueName: "c1", visibilityTimeoutMs: 1 })).toMatchObject({
      code: status.OUT_OF_RANGE,
      field: "visibility_timeout_ms",
    })
    expect(await refusalOf({ queueName: "none", addCredits: 1 })).toMatchObject({
      code: status.NOT_FOUND,
      info: { reason: "queueNotFound" },
    })
  })

  test("a flood of small requests is read without using up the stack", async () => {
    await createQueue("c5")
    const talk = consume()
    talk.stream.write({ queueName: "c5" })
    for (let count = 0; count < 3_000; count++) talk.stream.write({ addCredits: 1 })
    await send("c5", "x")
    await until(() => talk.bodies()).toEqual(["x"])
    talk.stream.end()
    expect(await talk.ended).toBeUndefined()
  })

  test("messages go round: what Produce sends, Consume brings, with all that belongs to it", async () => {
    await createQueue("c6")
    const inward = produce()
    const binary = Buffer.from([0, 255])
    const attributes = [
      { name: "t", text: "ä" },
      { name: "b", binary },
    ]
    const messages = [{ body: binary, clientMessageId: "id", attributes }]
    inward.stream.write({ queueName: "c6", batchId: 1, messages })
    inward.stream.end()
    const outward = consume()
    outward.stream.write({ queueName: "c6", addCredits: 1 })
    await until(() => outward.all("messages")).toHaveLength(1)
    expect(outward.all("messages")[0]).toMatchObject({
      body: binary,
      clientMessageId: "id",
      dequeueCount: "1",
      attributes: [
        { name: "t", text: "ä" },
        { name: "b", binary },
      ],
    })
    outward.stream.end()
    expect(await outward.ended).toBeUndefined()
  })
})

test("a face that closes ends its streams and says why", async () => {
  const closing = await openGrpcFace()
  const last = closing.client()
  await last.call("QueueService/CreateQueue", { queueName: "q" })
  const [inward, outward] = [produce(last), consume(last)]
  inward.stream.write({ queueName: "q", batchId: 1, messages: [{ body: Buffer.from("x") }] })
  await until(() => inward.all("batches")).toHaveLength(1)
  outward.stream.write({ queueName: "q", addCredits: 10 })
  await until(() => outward.bodies()).toEqual(["x"])
  await until(() => closing.broker.waitingCount()).toBe(1)
  const closed = closing.close()
  for (const talk of [inward, outward]) {
    const refused = refusedOf((await talk.ended) as grpc.ServiceError)
    expect(refused).toMatchObject({ code: status.UNAVAILABLE, info: { reason: "shuttingDown" } })
  }
  await closed
})

test("streams are measured when they end", async () => {
  expect(await face.metricsText()).toMatch(/operation="Produce",code="OK"[^}]*\} [1-9]/)
})
