/** Whatever is wrong with a call gets its status, with details, and changes nothing; deadlines, cancels, closing. */
import * as grpc from "@grpc/grpc-js"
import * as loader from "@grpc/proto-loader"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { isServiceError, openGrpcFace, until } from "./kit/grpc-face.ts"
import type { CallOptions, Fields, GrpcClient, TestGrpcFace } from "./kit/grpc-face.ts"

const { status } = grpc
const ONE = [{ body: Buffer.from("x") }]

let face: TestGrpcFace
let client: GrpcClient
beforeAll(async () => {
  face = await openGrpcFace()
  client = face.client()
  await client.call("QueueService/CreateQueue", { queueName: "q" })
  await client.call("QueueService/CreateQueue", { queueName: "dead" })
})
afterAll(() => face.close())

/** The code with which a call fails that must fail. */
async function failure(answer: Promise<Fields>): Promise<grpc.ServiceError> {
  try {
    await answer
  } catch (error) {
    if (isServiceError(error)) return error
    throw error
  }
  throw new Error("it did not fail")
}

describe("a request outside its ranges is refused, and the field is named", () => {
  const policy = { deadLetterQueue: "dead" }
  const create = (attributes: Fields): Fields => ({ queueName: "new", attributes })
  const send = (...messages: Fields[]): Fields => ({ queueName: "q", messages })
  const body = Buffer.from("x")
  const { INVALID_ARGUMENT, OUT_OF_RANGE } = status
  test.each<[string, string, string, grpc.status, Fields]>([
    ["QueueService/GetQueue", "queue_name", "parameterMissing", INVALID_ARGUMENT, {}],
    ["QueueService/GetQueue", "queue_name", "queueNameInvalid", INVALID_ARGUMENT, { queueName: "1x" }],
    [
      "QueueService/CreateQueue",
      "attributes.max_msg_heap_count",
      "parameterOutOfRange",
      OUT_OF_RANGE,
      create({ maxMsgHeapCount: 1 }),
    ],
    [
      "QueueService/CreateQueue",
      "attributes.polling_wait_ms",
      "parameterOutOfRange",
      OUT_OF_RANGE,
      create({ pollingWaitMs: 30_001 }),
    ],
    [
      "QueueService/CreateQueue",
      "attributes.visibility_timeout_ms",
      "parameterOutOfRange",
      OUT_OF_RANGE,
      create({ visibilityTimeoutMs: 999 }),
    ],
    [
      "QueueService/CreateQueue",
      "attributes.max_msg_bytes",
      "parameterOutOfRange",
      OUT_OF_RANGE,
      create({ maxMsgBytes: -1 }),
    ],
    [
      "QueueService/CreateQueue",
      "attributes.msg_retention_ms",
      "parameterOutOfRange",
      OUT_OF_RANGE,
      create({ msgRetentionMs: "9223372036854775807" }),
    ],
    [
      "QueueService/CreateQueue",
      "attributes.rewind_ms",
      "rewindExceedsRetention",
      INVALID_ARGUMENT,
      create({ msgRetentionMs: 60_000, rewindMs: 60_001 }),
    ],
    [
      "QueueService/CreateQueue",
      "attributes.dead_letter_policy",
      "deadLetterPolicyInvalid",
      INVALID_ARGUMENT,
      create({ deadLetterPolicy: policy }),
    ],
    [
      "QueueService/CreateQueue",
      "attributes.dead_letter_policy.max_receive_count",
      "deadLetterPolicyInvalid",
      INVALID_ARGUMENT,
      create({ deadLetterPolicy: { ...policy, maxReceiveCount: 0 } }),
    ],
    [
      "QueueService/CreateQueue",
      "attributes.dead_letter_policy.max_time_to_live_ms",
      "deadLetterPolicyInvalid",
      INVALID_ARGUMENT,
      create({ deadLetterPolicy: { ...policy, maxTimeToLiveMs: 299_999 } }),
    ],
    [
      "QueueService/CreateQueue",
      "attributes.dead_letter_policy",
      "deadLetterPolicyInvalid",
      INVALID_ARGUMENT,
      create({ deadLetterPolicy: { deadLetterQueue: "NEW", maxReceiveCount: 1 } }),
    ],
    [
      "QueueService/UpdateQueue",
      "attributes.rewind_ms",
      "parameterOutOfRange",
      OUT_OF_RANGE,
      { queueName: "q", attributes: { rewindMs: -1 } },
    ],
    ["QueueService/ListQueues", "page_size", "parameterOutOfRange", OUT_OF_RANGE, { pageSize: 101 }],
    ["QueueService/ListQueues", "page_token", "parameterTypeError", INVALID_ARGUMENT, { pageToken: "next" }],
    ["QueueService/ListQueues", "name_contains", "parameterOutOfRange", OUT_OF_RANGE, { nameContains: "x".repeat(65) }],
    [
      "QueueService/RewindQueue",
      "start_consume_at_ms",
      "rewindTimeInvalid",
      OUT_OF_RANGE,
      { queueName: "q", startConsumeAtMs: -1 },
    ],
    ["QueueService/ListDeadLetterSourceQueues", "dead_letter_queue_name", "parameterMissing", INVALID_ARGUMENT, {}],
    ["MessageService/Send", "messages", "parameterMissing", INVALID_ARGUMENT, send()],
    [
      "MessageService/Send",
      "messages",
      "parameterBatchSize",
      INVALID_ARGUMENT,
      send(...Array<Fields>(17).fill({ body })),
    ],
    ["MessageService/Send", "messages[1].body", "messageEmpty", INVALID_ARGUMENT, send({ body }, {})],
    [
      "MessageService/Send",
      "messages[0].body",
      "messageTooLarge",
      INVALID_ARGUMENT,
      send({ body: Buffer.alloc(1_048_577) }),
    ],
    [
      "MessageService/Send",
      "messages",
      "batchTooLarge",
      INVALID_ARGUMENT,
      send({ body: Buffer.alloc(600_000) }, { body: Buffer.alloc(600_000) }),
    ],
    [
      "MessageService/Send",
      "messages[0].delay_ms",
      "delayOutOfRange",
      OUT_OF_RANGE,
      send({ body, delayMs: 3_600_001 }),
    ],
    [
      "MessageService/Send",
      "messages[0].client_message_id",
      "parameterOutOfRange",
      OUT_OF_RANGE,
      send({ body, clientMessageId: "ä".repeat(65) }),
    ],
    [
      "MessageService/Send",
      "messages[0].attributes",
      "attributeInvalid",
      INVALID_ARGUMENT,
      send({ body, attributes: [{ name: "ä", text: "" }] }),
    ],
    [
      "MessageService/Send",
      "messages[0].attributes.value",
      "parameterMissing",
      INVALID_ARGUMENT,
      send({ body, attributes: [{ name: "a" }] }),
    ],
    [
      "MessageService/Send",
      "messages[0].attributes",
      "attributeInvalid",
      INVALID_ARGUMENT,
      send({ body, attributes: [{ name: "a", text: "x".repeat(8_193) }] }),
    ],
    [
      "MessageService/Receive",
      "max_messages",
      "parameterOutOfRange",
      OUT_OF_RANGE,
      { queueName: "q", maxMessages: 17 },
    ],
    [
      "MessageService/Receive",
      "polling_wait_ms",
      "parameterOutOfRange",
      OUT_OF_RANGE,
      { queueName: "q", pollingWaitMs: -1 },
    ],
    [
      "MessageService/Receive",
      "visibility_timeout_ms",
      "parameterOutOfRange",
      OUT_OF_RANGE,
      { queueName: "q", visibilityTimeoutMs: 0 },
    ],
    ["MessageService/Delete", "receipt_handles", "parameterMissing", INVALID_ARGUMENT, { queueName: "q" }],
    [
      "MessageService/Delete",
      "receipt_handles",
      "parameterBatchSize",
      INVALID_ARGUMENT,
      { queueName: "q", receiptHandles: Array<string>(17).fill("1") },
    ],
    [
      "MessageService/ChangeVisibility",
      "visibility_timeout_ms",
      "parameterOutOfRange",
      OUT_OF_RANGE,
      { queueName: "q", receiptHandles: ["1"], visibilityTimeoutMs: -1 },
    ],
    [
      "MessageService/Peek",
      "start_sequence",
      "parameterOutOfRange",
      OUT_OF_RANGE,
      { queueName: "q", startSequence: -1 },
    ],
  ])("%s, %s: %s", async (...row) => {
    const [method, field, reason, code, request] = row
    const refused = await client.refused(method, request)
    expect(refused).toMatchObject({ code, field, info: { reason, domain: "opencmq" }, retryDelayMs: undefined })
    expect(refused.info.metadata).toMatchObject({ outcome: "notApplied", retriable: "false" })
    expect(refused.info.metadata["requestId"]).toMatch(/^[0-9a-f]{10}-/)
    expect(refused.message).toMatch(/^\(\d{5}\)/)
  })
})

test("what the machine refuses has its row of the table", async () => {
  expect(await client.refused("QueueService/CreateQueue", { queueName: "Q" })).toMatchObject({
    code: status.ALREADY_EXISTS,
    message: "(10210)queue is already existed",
    info: { reason: "queueAlreadyExists", metadata: { code: "4460", moduleCode: "10210" } },
    field: undefined,
  })
  expect(await client.refused("MessageService/Send", { queueName: "none", messages: ONE })).toMatchObject({
    code: status.NOT_FOUND,
    info: { reason: "queueNotFound" },
  })
  expect(await client.refused("QueueService/RewindQueue", { queueName: "q" })).toMatchObject({
    code: status.FAILED_PRECONDITION,
    info: { reason: "rewindNotEnabled" },
  })
  await client.call("QueueService/CreateQueue", { queueName: "gone" })
  await client.call("QueueService/DeleteQueue", { queueName: "gone" })
  expect(await client.refused("QueueService/CreateQueue", { queueName: "gone" })).toMatchObject({
    info: { reason: "queueDeletedRecently", metadata: { retriable: "true" } },
    retryDelayMs: 250,
  })
})

test("bytes that are no message are refused, whatever they are", async () => {
  for (const bytes of [Buffer.from([0x0a]), Buffer.from([0xff, 0xff]), Buffer.from([0xff])]) {
    const refused = await client.refused("QueueService/GetQueue", {}, { bytes })
    expect(refused).toMatchObject({ code: status.INVALID_ARGUMENT, info: { reason: "requestInvalid" } })
  }
})

test("a message above the limit is refused by its length", async () => {
  const messages = [{ body: Buffer.alloc(2_100_000) }]
  const error = await failure(client.call("MessageService/Send", { queueName: "q", messages }))
  expect(error.code).toBe(status.RESOURCE_EXHAUSTED)
  expect(error.details).toContain("larger than max")
})

describe("who is not known is refused before the message is read", () => {
  const refusals: [string, CallOptions, string][] = [
    ["a wrong key", { secretKey: "other" }, "authenticationFailed"],
    ["an unknown SecretId", { secretId: "AKIDunknown" }, "authenticationFailed"],
    [
      "no signature",
      {
        change: (metadata) => {
          metadata.remove("opencmq-signature")
        },
      },
      "authenticationFailed",
    ],
    [
      "two signatures",
      {
        change: (metadata) => {
          metadata.add("opencmq-signature", "x")
        },
      },
      "authenticationFailed",
    ],
    [
      "no SecretId",
      {
        change: (metadata) => {
          metadata.remove("opencmq-secret-id")
        },
      },
      "authenticationFailed",
    ],
    ["a nonce of letters", { nonce: "abc" }, "authenticationFailed"],
    ["a time that is none", { timestamp: "now" }, "authenticationFailed"],
    [
      "another time than was signed",
      {
        change: (metadata) => {
          metadata.set("opencmq-timestamp", "1700000000")
        },
      },
      "authenticationFailed",
    ],
    [
      "another hash than was signed",
      {
        change: (metadata) => {
          metadata.set("opencmq-content-sha256", "0".repeat(64))
        },
      },
      "authenticationFailed",
    ],
    [
      "the hash taken away",
      {
        change: (metadata) => {
          metadata.remove("opencmq-content-sha256")
        },
      },
      "authenticationFailed",
    ],
    ["a time long ago", { timestamp: "1700000000" }, "requestExpired"],
  ]
  test.each(refusals)("%s", async (_what, options, reason) => {
    // Bytes that no decoder takes: the answer shows that none saw them.
    const refused = await client.refused("QueueService/GetQueue", {}, { bytes: Buffer.from([0xff]), ...options })
    expect(refused).toMatchObject({ code: status.UNAUTHENTICATED, info: { reason } })
  })

  test("other bytes than those that were signed", async () => {
    const options = { bytes: Buffer.from("0a0464656164", "hex"), hashed: Buffer.from("0a0171", "hex") }
    const refused = await client.refused("QueueService/DeleteQueue", {}, options)
    expect(refused).toMatchObject({ code: status.UNAUTHENTICATED, info: { reason: "authenticationFailed" } })
    expect(refused.message).toContain("opencmq-content-sha256")
    expect(await client.call("QueueService/GetQueue", { queueName: "dead" })).toMatchObject({ queueName: "dead" })
  })

  test("a copy of a call", async () => {
    const again = { timestamp: String(Math.floor(Date.now() / 1000)), nonce: "1234567" }
    expect(await client.call("QueueService/GetQueue", { queueName: "q" }, again)).toMatchObject({ queueName: "q" })
    const refused = await client.refused("QueueService/GetQueue", { queueName: "q" }, again)
    expect(refused).toMatchObject({ code: status.UNAUTHENTICATED, info: { reason: "nonceReplayed" } })
    expect(await client.call("QueueService/GetQueue", { queueName: "dead" }, again)).toMatchObject({
      queueName: "dead",
    })
  })

  test("bytes that are not covered pass, if that was signed", async () => {
    const open = { isHashed: false }
    expect(await client.call("QueueService/GetQueue", { queueName: "q" }, open)).toMatchObject({ queueName: "q" })
  })

  test("failures are counted by reason", async () => {
    const text = await face.metricsText()
    for (const reason of ["malformed", "signature", "content", "expired", "replayed"]) {
      expect(text).toMatch(new RegExp(`auth_failures_total\\{api="grpc",reason="${reason}"[^}]*\\} [1-9]`))
    }
    expect(text).toMatch(/operation="refused",code="UNAUTHENTICATED"/)
  })
})

test("an operator may let strangers in, and show what was signed", async () => {
  const open = await openGrpcFace({ authentication: { allowAnonymous: true, isDevelopment: true } })
  const stranger = open.client()
  const change = (metadata: grpc.Metadata): void => {
    for (const key of Object.keys(metadata.getMap())) metadata.remove(key)
  }
  await stranger.call("QueueService/CreateQueue", { queueName: "q" }, { change })
  const refused = await stranger.refused("QueueService/GetQueue", { queueName: "q" }, { secretKey: "other" })
  expect(refused.message).toContain("OPENCMQ-GRPC-HMAC-SHA256\\n/opencmq.v1.QueueService/GetQueue\\nAKID")
  await open.close()
})

describe("a receive that its client gives up", () => {
  test("its deadline comes while it waits: nothing is taken", async () => {
    await client.call("QueueService/CreateQueue", { queueName: "own-wait", attributes: { pollingWaitMs: 30_000 } })
    const error = await failure(client.call("MessageService/Receive", { queueName: "own-wait" }, { deadlineMs: 200 }))
    expect(error.code).toBe(status.DEADLINE_EXCEEDED)
    await until(() => face.broker.waitingCount()).toBe(0)
    await client.call("MessageService/Send", { queueName: "own-wait", messages: ONE })
    expect(await client.call("QueueService/GetQueue", { queueName: "own-wait" })).toMatchObject({ activeCount: "1" })
  })

  test("a wait that is given ends shortly before the deadline, with an empty list", async () => {
    const request = { queueName: "q", pollingWaitMs: 20_000 }
    const startedAtMs = performance.now()
    expect(await client.call("MessageService/Receive", request, { deadlineMs: 1_000 })).toEqual({})
    expect(performance.now() - startedAtMs).toBeGreaterThan(700)
  })

  test("it is cancelled while it waits: the wait ends at the broker", async () => {
    const open = client.open("MessageService/Receive", { queueName: "q", pollingWaitMs: 20_000 })
    await until(() => face.broker.waitingCount()).toBe(1)
    open.call.cancel()
    expect((await failure(open.answer)).code).toBe(status.CANCELLED)
    await until(() => face.broker.waitingCount()).toBe(0)
  })

  test("it is cancelled when the messages are already taken: they are given back at once", async () => {
    await client.call("QueueService/CreateQueue", { queueName: "taken", attributes: { visibilityTimeoutMs: 600_000 } })
    const givenBack = face.broker.state.givenBackCount
    const slow = new HeldBroker(face)
    const open = client.open("MessageService/Receive", { queueName: "taken" })
    await until(() => slow.heldCount).toBe(1)
    await client.call("MessageService/Send", { queueName: "taken", messages: ONE })
    open.call.cancel()
    expect((await failure(open.answer)).code).toBe(status.CANCELLED)
    await until(() => slow.isCancelled).toBe(true)
    slow.release()
    await until(() => face.broker.state.givenBackCount).toBe(givenBack + 1)
    const again = await client.call("MessageService/Receive", { queueName: "taken" })
    expect(again).toMatchObject({ messages: [{ body: Buffer.from("x") }] })
  })
})

/** Holds the next receive back, as a commit that takes long would. */
class HeldBroker {
  heldCount = 0
  isCancelled = false
  release: () => void = () => undefined

  constructor({ broker }: TestGrpcFace) {
    const execute = broker.execute.bind(broker)
    broker.execute = (name, request, call) => {
      if (name !== "receiveMessages") {
        execute(name, request, call)
        return
      }
      broker.execute = execute
      this.heldCount++
      call.context.onCancel = () => {
        this.isCancelled = true
      }
      this.release = () => {
        execute(name, request, call)
      }
    }
  }
}

describe("beside the API", () => {
  function plainClient(path: string, proto: string): { readonly call: grpc.Client; readonly api: grpc.GrpcObject } {
    const api = grpc.loadPackageDefinition(loader.loadSync(proto, { oneofs: true }))
    const name = path.split(".").reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], api)
    const makeClient = name as grpc.ServiceClientConstructor
    return { call: new makeClient(`127.0.0.1:${String(face.port)}`, grpc.credentials.createInsecure()), api }
  }

  const packageFolder = (name: string): string => {
    const main = createRequire(import.meta.url).resolve(name)
    return main.slice(0, main.lastIndexOf(`${join("node_modules", name)}`)) + join("node_modules", name)
  }

  test("health is told to strangers, of the server and of each service", async () => {
    const proto = join(dirname(packageFolder("grpc-health-check")), "grpc-health-check/proto/health/v1/health.proto")
    const { call } = plainClient("grpc.health.v1.Health", proto)
    const check = (service: string): Promise<string> =>
      new Promise((resolve, reject) => {
        const method = (
          call as unknown as { check: (request: Fields, done: grpc.requestCallback<{ status: string }>) => void }
        ).check.bind(call)
        method({ service }, (error, reply) => {
          if (error === null) resolve((reply as unknown as { status: string }).status)
          else reject(error)
        })
      })
    expect(String(await check(""))).toMatch(/SERVING|1/)
    expect(String(await check("opencmq.v1.MessageService"))).toMatch(/SERVING|1/)
    expect((await check("none").catch((error: unknown) => (error as grpc.ServiceError).code)) as unknown).toBe(
      status.NOT_FOUND,
    )
    call.close()
  })

  test("a method that is not there is UNIMPLEMENTED", async () => {
    const plain = new grpc.Client(`127.0.0.1:${String(face.port)}`, grpc.credentials.createInsecure())
    const code = await new Promise((resolve) => {
      const pass = (bytes: Buffer): Buffer => bytes
      plain.makeUnaryRequest("/opencmq.v1.QueueService/Nothing", pass, pass, Buffer.alloc(0), (error) => {
        resolve(error?.code)
      })
    })
    expect(code).toBe(status.UNIMPLEMENTED)
    plain.close()
  })
})

test("a face that closes answers what waits and refuses what comes", async () => {
  const closing = await openGrpcFace()
  const last = closing.client()
  await last.call("QueueService/CreateQueue", { queueName: "q" })
  const waiting = last.call("MessageService/Receive", { queueName: "q", pollingWaitMs: 20_000 })
  await until(() => closing.broker.waitingCount()).toBe(1)
  const closed = closing.close()
  expect(await waiting).toEqual({})
  await closed
  const error = await failure(closing.client().call("QueueService/GetQueue", { queueName: "q" }, { deadlineMs: 500 }))
  expect([status.UNAVAILABLE, status.DEADLINE_EXCEEDED]).toContain(error.code)
})
