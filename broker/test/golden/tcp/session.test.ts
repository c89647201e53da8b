/** The TCP face speaks what the recorded sessions hold, to the byte, wherever the client's bytes are cut. */
import { readFileSync } from "node:fs"
import { connect } from "node:net"
import { expect, test } from "vitest"
import { FrameReader } from "../../../src/adapters/tcp/frame-reader.ts"
import type {
  BrokerService,
  DeliveredMessage,
  Reply,
  RequestContext,
  RequestOf,
  UseCaseName,
  ValueOf,
} from "../../../src/node/service-types.ts"
import { poll } from "../../conformance/kit/raw-socket.ts"
import { openTcpFace } from "../../conformance/kit/tcp-face.ts"

/** The key pair of cmq-api.md §2. */
const KEYS = new Map([["AKIDexample0000000000000000000000000", "fakeSecretKeyForTheWorkedExample"]])

interface Step {
  readonly title: string
  readonly sent: Buffer
  readonly answered: Buffer
}

function stepsOf(file: string): Step[] {
  const text = readFileSync(new URL(file, import.meta.url), "utf8")
  return text.split("\n\n").flatMap((paragraph) => {
    const lines = paragraph.split("\n")
    const bytes = (mark: string): Buffer =>
      Buffer.concat(lines.filter((line) => line.startsWith(mark)).map((line) => Buffer.from(line.slice(2), "hex")))
    const sent = bytes("> ")
    return sent.length === 0 ? [] : [{ title: lines[0] ?? "", sent, answered: bytes("< ") }]
  })
}

const HELLO: DeliveredMessage = {
  msgId: String(2n ** 64n - 1n),
  receiptHandle: String(2n ** 64n - 2n),
  deliveryHandle: { slot: 2 ** 24 - 1, deliveryNumber: 2 ** 40 - 2 },
  body: Buffer.from("hello"),
  attributes: [],
  clientMessageId: "",
  enqueuedAtMs: 1_700_000_000_999,
  firstDequeuedAtMs: 1_700_000_001_000,
  nextVisibleAtMs: 1_700_000_030_500,
  dequeueCount: 1,
  provenance: undefined,
}
const DEAD_LETTER: DeliveredMessage = {
  ...HELLO,
  msgId: String(2n ** 53n + 1n),
  receiptHandle: String(2n ** 63n + 1n),
  deliveryHandle: { slot: 2 ** 23, deliveryNumber: 1 },
  body: Buffer.from([0xff, 0]),
  dequeueCount: 2,
  provenance: {
    sourceQueueName: "source",
    reason: "maxReceiveCount",
    originalEnqueuedAtMs: 1_600_000_000_000,
    originalFirstDequeuedAtMs: 1_600_000_001_000,
    originalDequeueCount: 3,
  },
}

interface Asked {
  readonly queueName?: string
  readonly topicName?: string
}

/** Answers what the recording says; knows the queues `orders` and `empty` and the topic `news`. */
class RecordedService implements BrokerService {
  readonly asked: (readonly [UseCaseName, unknown])[] = []
  leaderHint = (): undefined => undefined
  notReadyReason(): undefined {
    return undefined
  }

  execute<K extends UseCaseName>(
    name: K,
    request: RequestOf<K>,
    call: { readonly context: RequestContext; readonly done: (reply: Reply<ValueOf<K>>) => boolean | undefined },
  ): void {
    this.asked.push([name, request])
    const reply = this.#reply(name, request as Asked)
    setImmediate(() => call.done(reply as Reply<ValueOf<K>>))
  }

  #reply(name: UseCaseName, request: Asked): unknown {
    if (request.topicName === "nowhere") return { ok: false, error: "topicNotFound", args: [] }
    if (request.queueName === "nowhere") return { ok: false, error: "queueNotFound", args: [] }
    if (request.queueName === "empty") return { ok: false, error: "noMessage", args: [] }
    return { ok: true, value: this.#value(name, request) }
  }

  #value(name: UseCaseName, request: unknown): unknown {
    if (name === "receiveMessages") {
      const { maxCount } = request as RequestOf<"receiveMessages">
      return { messages: [HELLO, DEAD_LETTER].slice(0, maxCount) }
    }
    if (name === "deleteMessages") {
      const { handles } = request as RequestOf<"deleteMessages">
      return { failed: handles.map(({ deliveryNumber }) => deliveryNumber !== HELLO.deliveryHandle.deliveryNumber) }
    }
    if (name === "confirmMessages") {
      const { decisions } = request as RequestOf<"confirmMessages">
      return { failed: decisions.map(({ msgId }) => msgId !== HELLO.msgId) }
    }
    const { messages } = request as RequestOf<"sendMessages"> | RequestOf<"publishMessages">
    return { msgIds: messages.length === 1 ? [HELLO.msgId] : [DEAD_LETTER.msgId, String(2n ** 63n)], duplicates: [] }
  }
}

for (const file of ["session.txt", "session-sha256.txt"]) {
  test(`${file}: a step at a time, byte by byte`, async () => {
    const service = new RecordedService()
    const { port, close } = await openTcpFace(service, { firstRequestNumber: 1 }, KEYS)
    const socket = connect({ host: "127.0.0.1", port, noDelay: true })
    let received = Buffer.alloc(0)
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk])
    })
    for (const { title, sent, answered } of stepsOf(file)) {
      received = Buffer.alloc(0)
      for (const byte of sent) socket.write(Buffer.from([byte]))
      if (answered.length > 0) await poll(() => received.length >= answered.length, 5_000, () => title)
      else await new Promise((resolve) => setTimeout(resolve, 50))
      expect(received.toString("hex"), title).toBe(answered.toString("hex"))
    }
    expect(service.asked[0]).toEqual([
      "sendMessages",
      {
        queueName: "orders",
        messages: [{ body: Buffer.from("hello"), delayMs: 0, clientMessageId: "", attributes: [] }],
      },
    ])
    socket.destroy()
    await close()
  })
}

test("what the node was asked is what was sent", async () => {
  const service = new RecordedService()
  const { port, close } = await openTcpFace(service, {}, KEYS)
  const socket = connect({ host: "127.0.0.1", port })
  // All of it in one write: replies may overtake each other, requests do not.
  socket.write(Buffer.concat(stepsOf("session.txt").map(({ sent }) => sent)))
  socket.resume()
  await poll(() => service.asked.length === 15, 5_000)
  expect(service.asked.slice(1, 6)).toMatchObject([
    ["sendMessages", { messages: [{ delayMs: 5_000 }, { body: Buffer.from([0xff, 0]), delayMs: 5_000 }] }],
    ["receiveMessages", { maxCount: 1, pollingWaitMs: 10_000, visibilityTimeoutMs: undefined }],
    ["receiveMessages", { maxCount: 16, pollingWaitMs: 10_000, visibilityTimeoutMs: undefined }],
    ["deleteMessages", { handles: [HELLO.deliveryHandle] }],
    ["deleteMessages", { handles: [HELLO.deliveryHandle, DEAD_LETTER.deliveryHandle] }],
  ])
  const labels = { tags: ["red", "été"], routingKey: "order.created", clientMessageId: "", attributes: [] }
  const bodies = [Buffer.from("a"), Buffer.from([0xff, 0])]
  expect(service.asked.filter(([name]) => name === "publishMessages").slice(0, 2)).toEqual([
    [
      "publishMessages",
      { topicName: "news", messages: [{ ...labels, body: Buffer.from("x"), tags: [], routingKey: "" }] },
    ],
    ["publishMessages", { topicName: "news", messages: bodies.map((body) => ({ ...labels, body })) }],
  ])
  socket.destroy()
  await close()
})

test("the client's bytes give the same frames, cut in two at every place", () => {
  const steps = stepsOf("session.txt")
  const bytes = Buffer.concat(steps.map(({ sent }) => sent))
  const expected = steps.map(({ sent }) => sent.subarray(6).toString("hex"))
  for (let at = 0; at <= bytes.length; at++) {
    const reader = new FrameReader(1_000)
    const frames: string[] = []
    const visit = (payload: Buffer): boolean => frames.push(payload.toString("hex")) > 0
    expect(reader.read(Buffer.from(bytes.subarray(0, at)), visit)).toBeUndefined()
    expect(reader.read(Buffer.from(bytes.subarray(at)), visit)).toBeUndefined()
    expect(frames, String(at)).toEqual(expected)
  }
})
