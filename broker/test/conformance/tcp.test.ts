/** The TCP face over a local broker: what docs/tcp-api.md says, seen by a client on a bare socket. */
import { LIMITS } from "@opencmq/proto"
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import type { RequestOf, UseCaseName, ValueOf } from "../../src/node/service-types.ts"
import { LocalBroker } from "./local-broker.ts"
import { SECRET_ID } from "./kit/face.ts"
import { numbersIn, piecesIn } from "./kit/protobuf-wire.ts"
import type { WireField } from "./kit/protobuf-wire.ts"
import { poll } from "./kit/raw-socket.ts"
import { TcpClient, authentication, frameOf, requestFrame } from "./kit/tcp-client.ts"
import type { CommandName } from "./kit/tcp-client.ts"
import { openTcpFace } from "./kit/tcp-face.ts"
import type { TestTcpFace } from "./kit/tcp-face.ts"

let broker: LocalBroker
let tcp: TestTcpFace
let names = 0
const clients: TcpClient[] = []
const others: TestTcpFace[] = []

beforeAll(async () => {
  broker = new LocalBroker()
  tcp = await openTcpFace(broker)
})

afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  for (const face of others.splice(0)) await face.close()
  await poll(() => tcp.face.connectionCount === 0, 5_000)
})

afterAll(async () => {
  await tcp.close()
  broker.close()
})

async function open(face = tcp): Promise<TcpClient> {
  const client = await TcpClient.open(face.port)
  clients.push(client)
  return client
}

async function connectOnly(face = tcp): Promise<TcpClient> {
  const client = await TcpClient.connect(face.port)
  clients.push(client)
  return client
}

async function openOther(...args: Parameters<typeof openTcpFace> extends [unknown, ...infer Rest] ? Rest : never) {
  const face = await openTcpFace(broker, ...args)
  others.push(face)
  return face
}

function ask<K extends UseCaseName>(name: K, request: RequestOf<K>): Promise<ValueOf<K>> {
  const context = { requestId: "test", timeoutMs: 1_000, cancelled: false, onCancel: undefined }
  return new Promise((resolve, reject) => {
    broker.execute(name, request, {
      context,
      done: (reply) => {
        if (reply.ok) resolve(reply.value)
        else reject(new Error(reply.error))
        return true
      },
    })
  })
}

async function newQueue(changes: Partial<RequestOf<"createQueue">["attributes"]> = {}): Promise<string> {
  const queueName = `tcp-${String(++names)}`
  await ask("createQueue", {
    queueName,
    attributes: {
      maxMsgHeapCount: 1_000_000,
      pollingWaitMs: 0,
      visibilityTimeoutMs: 30_000,
      maxMsgBytes: LIMITS.msgBodyBytes.max,
      msgRetentionMs: 345_600_000,
      rewindMs: 0,
      deadLetterPolicy: undefined,
      ...changes,
    },
  })
  return queueName
}

async function newTopic(): Promise<string> {
  const topicName = `topic-${String(++names)}`
  const maxMsgBytes = LIMITS.msgBodyBytes.max
  await ask("createTopic", { topicName, attributes: { maxMsgBytes, filterType: "tags", msgRetentionMs: 86_400_000 } })
  return topicName
}

describe("authentication", () => {
  test("without it every request is answered 306, also one that nobody knows", async () => {
    const client = await connectOnly()
    for (const name of ["send", "pull", "delete", "publish", "confirm"] as const) {
      const reply = await client.call(name, [1, "q"])
      expect([reply.result, reply.error]).toEqual([306n, "(10031)connection is not authenticated"])
    }
    expect(await client.call("authenticate", ...authentication())).toMatchObject({ cmd: 1020n, result: 0n, error: "" })
    expect(await client.call("pull", [1, "nowhere"])).toMatchObject({ result: 4440n })
  })

  test("a second one is answered 307 and changes nothing, whatever it holds", async () => {
    const client = await open()
    expect(await client.call("authenticate", ...authentication())).toMatchObject({ result: 307n })
    expect(await client.call("authenticate", [1, "AKIDsomebody"])).toMatchObject({ result: 307n })
    expect(await client.call("pull", [1, "nowhere"])).toMatchObject({ result: 4440n })
  })

  test("both hashes, any client id, no method: SHA-1", async () => {
    const bodies = [
      authentication("sha1"),
      authentication("sha256"),
      authentication("sha1", ""),
      authentication("sha1", "名字@x"),
    ]
    bodies.push(authentication("sha1").filter(([number]) => number !== 4))
    for (const body of bodies) {
      const client = await connectOnly()
      expect(await client.call("authenticate", ...body)).toMatchObject({ result: 0n })
    }
  })

  test("a wrong signature and an unknown key are refused alike, and the connection ends", async () => {
    const change = (number: number, value: string): WireField[] =>
      authentication().map((field) => (field[0] === number ? [number, value] : field))
    for (const body of [
      change(1, "AKIDsomebodyelse"),
      change(2, "VFyo8wszFcUA3iQCRSDMFEKwXQk="),
      change(2, "x"),
      change(3, "10.0.0.6@DEFAULT"),
      change(4, "HmacSHA256"),
    ]) {
      const client = await connectOnly()
      const reply = await client.call("authenticate", ...body)
      expect([reply.result, reply.error]).toEqual([4100n, "(10030)authentication failed"])
      await client.closed()
    }
    const client = await connectOnly()
    expect(await client.call("authenticate", [1, SECRET_ID])).toMatchObject({
      result: 4000n,
      error: "(10390)lacked of required parameter signature",
    })
    await client.closed()
  })

  test("who does not authenticate in time is closed, heartbeats or not; who did is not", async () => {
    const [stranger, client] = [await connectOnly(), await open()]
    tcp.timers.pass(LIMITS.tcpAuthenticationSeconds.max)
    stranger.start("heartbeat")
    await client.call("pull", [1, "nowhere"])
    tcp.timers.pass(1)
    await stranger.closed()
    expect(await client.call("pull", [1, "nowhere"])).toMatchObject({ result: 4440n })
  })
})

describe("messages", () => {
  test("send, pull, delete; numbers on the wire are those of the node", async () => {
    const [client, queueName] = [await open(), await newQueue()]
    const sent = await client.call("send", [1, queueName], [2, "你好"], [3, 0n])
    expect(sent).toMatchObject({ cmd: 1021n, result: 0n, error: "" })
    const pulled = await client.call("pull", [1, queueName], [2, 5n])
    expect(pulled).toMatchObject({ cmd: 1023n, result: 0n })
    const [message] = pulled.messages
    if (message === undefined) throw new Error("nothing came")
    expect(message.body.toString()).toBe("你好")
    expect(message.msgId).toBe(sent.msgids[0])
    const now = Math.floor(Date.now() / 1000)
    const [enqueued, visible, first, count] = [5, 6, 7, 8].map((number) => Number(numbersIn(message.fields, number)[0]))
    expect(Math.abs((enqueued ?? 0) - now)).toBeLessThanOrEqual(2)
    expect(Math.abs((visible ?? 0) - now - 30)).toBeLessThanOrEqual(2)
    expect(Math.abs((first ?? 0) - now)).toBeLessThanOrEqual(2)
    expect(count).toBe(1)
    expect(message.fields.map(({ number }) => number)).toEqual([1, 3, 4, 5, 6, 7, 8])
    const gone = [
      [1, queueName],
      [2, message.receiptHandle],
    ] as const
    expect(await client.call("delete", ...gone)).toMatchObject({ cmd: 1025n, result: 0n })
    expect(await client.call("delete", ...gone)).toMatchObject({
      result: 4430n,
      error: "(10260)receipt handle is invalid",
    })
  })

  test("batches keep their order; a pull takes what is there", async () => {
    const [client, queueName] = [await open(), await newQueue()]
    const bodies = Array.from({ length: 16 }, (_, i) => Buffer.from([i, 0xff, 0xfe]))
    const sent = await client.call("batchSend", [1, queueName], ...bodies.map((body) => [2, body] as const))
    expect(sent.msgids).toHaveLength(16)
    const pulled = await client.call("batchPull", [1, queueName], [2, 16n], [3, 0n])
    expect(pulled.messages.map(({ body }) => body)).toEqual(bodies)
    expect(pulled.messages.map(({ msgId }) => msgId)).toEqual(sent.msgids)
    expect(new Set(pulled.messages.map(({ receiptHandle }) => receiptHandle)).size).toBe(16)
    const handles = pulled.messages.map(({ receiptHandle }) => [2, receiptHandle] as const)
    expect(await client.call("batchDelete", [1, queueName], ...handles)).toMatchObject({ result: 0n, failures: [] })
  })

  test("a batch delete lists those that failed, and no others", async () => {
    const [client, queueName] = [await open(), await newQueue()]
    await client.call("batchSend", [1, queueName], [2, "a"], [2, "b"])
    const { messages } = await client.call("batchPull", [1, queueName], [2, 2n])
    const handles = messages.map(({ receiptHandle }) => receiptHandle)
    const wrong = 2n ** 64n - 1n
    const failure = { receiptHandle: wrong, errCode: 4430n, errMsg: "(10260)receipt handle is invalid" }
    const fields = [handles[0] ?? 0n, wrong, handles[1] ?? 0n].map((each) => [2, each] as const)
    expect(await client.call("batchDelete", [1, queueName], ...fields)).toMatchObject({
      result: 6010n,
      error: "(10150)delete message partially failed",
      failures: [failure],
    })
    expect(await client.call("batchDelete", [1, queueName], [2, wrong])).toMatchObject({
      result: 6020n,
      error: "(10290)batch delete message failed",
      failures: [failure],
    })
  })

  test("what is published, alone and in batches, is in the queue of the subscription that wants it", async () => {
    const [client, queueName, topicName] = [await open(), await newQueue(), await newTopic()]
    const endpoint = { kind: "queue", queueName } as const
    const filters = { filterTags: ["red"], bindingKeys: [] }
    const notify = { notifyStrategy: "backoff", notifyContentFormat: "simplified" } as const
    await ask("subscribe", { topicName, subscriptionName: "s", endpoint, attributes: { ...notify, ...filters } })
    const one = await client.call("publish", [1, topicName], [2, "你好"], [3, "blue"], [3, "red"], [4, ""])
    expect(one).toMatchObject({ cmd: 1027n, result: 0n, error: "" })
    expect(await client.call("publish", [1, topicName], [2, "not wanted"], [3, "blue"])).toMatchObject({ result: 0n })
    const bodies = Array.from({ length: 15 }, (_, i) => Buffer.from([i, 0xff]))
    const batch = await client.call("batchPublish", [1, topicName], ...bodies.map((body) => [2, body] as const), [
      3,
      "red",
    ])
    expect(batch).toMatchObject({ cmd: 1028n, result: 0n })
    const pulled = await client.call("batchPull", [1, queueName], [2, 16n])
    expect(pulled.messages.map(({ body }) => body)).toEqual([Buffer.from("你好"), ...bodies])
    expect(pulled.messages.map(({ msgId }) => msgId)).toEqual([...one.msgids, ...batch.msgids])
  })

  test("delay and visibility of one request", async () => {
    const [client, queueName] = [await open(), await newQueue()]
    await client.call("send", [1, queueName], [2, "later"], [3, 60n])
    expect(await client.call("pull", [1, queueName], [2, 0n])).toMatchObject({ result: 10_200n })
    broker.advance(60_000)
    expect((await client.call("pull", [1, queueName], [2, 1n], [3, 5n])).messages).toHaveLength(1)
    expect(await client.call("pull", [1, queueName], [2, 0n])).toMatchObject({ result: 10_200n })
    broker.advance(5_000)
    expect((await client.call("pull", [1, queueName])).messages).toHaveLength(1)
  })

  test("a dead letter says where it came from", async () => {
    const letters = await newQueue()
    const queueName = await newQueue({
      deadLetterPolicy: { kind: "maxReceiveCount", deadLetterQueue: letters, maxReceiveCount: 1 },
    })
    const client = await open()
    const { msgids } = await client.call("send", [1, queueName], [2, "unlucky"])
    await client.call("pull", [1, queueName])
    broker.advance(31_000)
    const [letter] = (await client.call("pull", [1, letters])).messages
    if (letter === undefined) throw new Error("no dead letter")
    expect(letter.msgId).toBe(msgids[0])
    expect(piecesIn(letter.fields, 9).map(String)).toEqual([queueName])
    expect(numbersIn(letter.fields, 10)[0]).toBeGreaterThan(1_700_000_000n)
    expect(numbersIn(letter.fields, 11)).toEqual([1n])
  })

  test("sequence numbers come back as they are; request ids count", async () => {
    const client = await open()
    const numbers = [0n, -1n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)]
    for (const seqno of numbers) client.socket.write(requestFrame(seqno, "pull", [[1, "nowhere"]]))
    const replies = await Promise.all(numbers.map((seqno) => client.reply(seqno)))
    expect(replies.map(({ result }) => result)).toEqual(numbers.map(() => 4440n))
    const first = replies[0]?.requestId ?? 0n
    expect(replies.map(({ requestId }) => requestId - first)).toEqual([0n, 1n, 2n, 3n, 4n])
  })
})

test("refusals are those of the HTTP face, by their public codes", async () => {
  const [client, queueName] = [await open(), await newQueue({ maxMsgBytes: 1_024 })]
  const q: WireField = [1, queueName]
  const x: WireField = [2, "x"]
  const t: WireField = [1, await newTopic()]
  const mega = Buffer.alloc(LIMITS.msgBodyBytes.max)
  const cases: readonly (readonly [CommandName, readonly WireField[], bigint, string])[] = [
    ["send", [[2, "x"]], 4000n, "(10390)lacked of required parameter queue_name"],
    [
      "send",
      [
        [1, "9"],
        [2, "x"],
      ],
      4000n,
      "(10020)queue name format error",
    ],
    ["send", [q], 4000n, "(10390)lacked of required parameter msgBody"],
    ["send", [q, [2, ""]], 4000n, "(10120)message body can't be empty"],
    ["send", [q, [2, Buffer.alloc(1_025)]], 4400n, "(10230)exceed maximum message size"],
    ["send", [q, [2, Buffer.concat([mega, mega])]], 4400n, "(10230)exceed maximum message size"],
    ["send", [q, [2, "x"], [3, 3_601n]], 4000n, "(10692)delay seconds is out of range"],
    ["send", [q, [2, "x"], [3, -1n]], 4000n, "(10692)delay seconds is out of range"],
    ["batchSend", [q], 4000n, "(10390)lacked of required parameter msgBody"],
    [
      "batchSend",
      [q, ...Array.from({ length: 17 }, () => [2, "x"] as const)],
      4000n,
      "(10370)msgBody parameter batch size is out of range",
    ],
    ["batchSend", [q, [2, mega], [2, "x"]], 4470n, "(10300)total message size exceed 1MB"],
    ["batchSend", [q, [2, "x"], [2, ""]], 4000n, "(10120)message body can't be empty"],
    ["pull", [q, [2, 31n]], 4000n, "(10350)parameter poll_wait_seconds value or length is out of range"],
    ["pull", [q, [2, -1n]], 4000n, "(10350)parameter poll_wait_seconds value or length is out of range"],
    ["pull", [q, [3, 0n]], 4000n, "(10350)parameter visible_timeout value or length is out of range"],
    ["pull", [[1, "nowhere"]], 4440n, "(10100)queue is not existed, or deleted"],
    ["batchPull", [q], 4000n, "(10390)lacked of required parameter num_msg"],
    ["batchPull", [q, [2, 0n]], 4000n, "(10350)parameter num_msg value or length is out of range"],
    ["batchPull", [q, [2, 17n]], 4000n, "(10350)parameter num_msg value or length is out of range"],
    ["delete", [q], 4000n, "(10390)lacked of required parameter receipt_handle"],
    ["delete", [q, [2, 7n]], 4430n, "(10260)receipt handle is invalid"],
    ["batchDelete", [q], 4000n, "(10390)lacked of required parameter receipt_handle"],
    [
      "batchDelete",
      [q, ...Array.from({ length: 17 }, () => [2, 5n] as const)],
      4000n,
      "(10370)receipt_handle parameter batch size is out of range",
    ],
    ["publish", [[2, "x"]], 4000n, "(10390)lacked of required parameter topic_name"],
    ["publish", [[1, "?"], x], 4000n, "(10590)topic name format error"],
    ["publish", [[1, "nowhere"], x], 4440n, "(10600)topic is not existed, or deleted"],
    ["publish", [t], 4000n, "(10390)lacked of required parameter msgBody"],
    ["publish", [t, [2, ""]], 4000n, "(10120)message body can't be empty"],
    ["publish", [t, [2, Buffer.concat([mega, mega])]], 4400n, "(10230)exceed maximum message size"],
    ["publish", [t, x, ...Array.from({ length: 6 }, () => [3, "a"] as const)], 4000n, "(10720)too many msgTag"],
    ["publish", [t, x, [3, ""]], 4000n, "(10350)parameter msgTags[0] value or length is out of range"],
    ["publish", [t, x, [4, "ä".repeat(33)]], 4000n, "(10350)parameter routing_key value or length is out of range"],
    ["publish", [t, x, [4, ".".repeat(16)]], 4000n, "(10691)too many delimeters"],
    [
      "publish",
      [t, x],
      6030n,
      "(10650)topic has no subscription, please create a subscription before publishing message",
    ],
    ["batchPublish", [t], 4000n, "(10390)lacked of required parameter msgBody"],
    [
      "batchPublish",
      [t, ...Array.from({ length: 17 }, () => x)],
      4000n,
      "(10370)msgBody parameter batch size is out of range",
    ],
    ["batchPublish", [t, [2, mega], x], 4470n, "(10300)total message size exceed 1MB"],
  ]
  for (const [name, body, result, error] of cases) {
    const reply = await client.call(name, ...body)
    expect([reply.result, reply.error], `${name} ${error}`).toEqual([result, error])
  }
  client.socket.write(frameOf(Buffer.from([8, 77, 16, 0xb5, 1])))
  expect(await client.reply(77n)).toMatchObject({ result: 4000n, error: "(10430)action name 181 is not existed" })
})

describe("side by side", () => {
  test("a pull that waits holds nothing up, and gets what is sent behind it", async () => {
    const [client, queueName] = [await open(), await newQueue()]
    const pulls = [client.start("pull", [1, queueName], [2, 10n]), client.start("pull", [1, queueName], [2, 10n])]
    await poll(() => broker.waitingCount() === 2, 5_000)
    expect(await client.call("pull", [1, "nowhere"])).toMatchObject({ result: 4440n })
    for (const body of ["first", "second"]) await client.call("send", [1, queueName], [2, body])
    const replies = await Promise.all(pulls.map((seqno) => client.reply(seqno)))
    expect(replies.map(({ messages }) => String(messages[0]?.body)).toSorted()).toEqual(["first", "second"])
  })

  test("a heartbeat has no reply", async () => {
    const client = await open()
    client.start("heartbeat")
    await client.call("pull", [1, "nowhere"])
    expect(client.replies.map(({ cmd }) => cmd)).toEqual([1020n, 1023n])
  })

  test("a closed connection cancels its pulls", async () => {
    const [client, queueName] = [await open(), await newQueue()]
    for (let i = 0; i < 3; i++) client.start("pull", [1, queueName], [2, 30n])
    await poll(() => broker.waitingCount() === 3, 5_000)
    client.close()
    await poll(() => broker.waitingCount() === 0, 5_000)
  })

  test("a half-closed one, too", async () => {
    const [client, queueName] = [await open(), await newQueue()]
    client.start("pull", [1, queueName], [2, 30n])
    await poll(() => broker.waitingCount() === 1, 5_000)
    client.socket.end()
    await poll(() => broker.waitingCount() === 0, 5_000)
    await client.closed()
  })

  test("messages that cannot be handed over are given back at once", async () => {
    const [client, other, queueName] = [await open(), await open(), await newQueue()]
    await other.call("send", [1, queueName], [2, "mine?"])
    const before = broker.state.givenBackCount
    // The face reads both in one turn: the pull is under way when the connection ends.
    client.socket.write(Buffer.concat([requestFrame(9n, "pull", [[1, queueName]]), Buffer.from("garbage")]))
    await client.closed()
    await poll(() => broker.state.givenBackCount === before + 1, 5_000)
    const { messages } = await other.call("pull", [1, queueName], [2, 5n])
    expect(String(messages[0]?.body)).toBe("mine?")
  })

  test("one request too many of one connection is refused, of another it is not", async () => {
    const face = await openOther({ maxRequests: 2 })
    const [client, other, queueName] = [await open(face), await open(face), await newQueue()]
    const pulls = [1, 2].map(() => client.start("pull", [1, queueName], [2, 10n]))
    const refused = await client.call("send", [1, queueName], [2, "x"])
    expect([refused.result, refused.error]).toEqual([4420n, "(10250)qps throttling"])
    await other.call("batchSend", [1, queueName], [2, "a"], [2, "b"])
    for (const seqno of pulls) expect(await client.reply(seqno)).toMatchObject({ result: 0n })
    expect(await client.call("send", [1, queueName], [2, "x"])).toMatchObject({ result: 0n })
  })
})

describe("bad clients", () => {
  test("garbage ends its own connection and no other", async () => {
    const client = await open()
    for (const bytes of [
      Buffer.from("GET / HTTP/1.1\r\n\r\n"),
      Buffer.from([0x16, 3, 1]),
      Buffer.from([0, 0, 6, 0, 0, 0]),
      Buffer.from([0, 0, 255, 255, 255, 255]),
      frameOf(Buffer.from([8, 1])),
      frameOf(Buffer.from([255])),
      // 1042 is the server's.
      frameOf(Buffer.from([8, 1, 16, 0x92, 8])),
    ]) {
      const bad = await open()
      bad.socket.write(bytes)
      await bad.closed()
    }
    expect(await client.call("pull", [1, "nowhere"])).toMatchObject({ result: 4440n })
  })

  test("a frame is bounded, a stranger's more than a client's", async () => {
    const [stranger, client] = [await connectOnly(), await open()]
    const head = (bytes: number): Buffer => {
      const header = Buffer.alloc(6)
      header.writeUInt32LE(bytes, 2)
      return header
    }
    stranger.socket.write(head(LIMITS.tcpStrangerFrameBytes.max + 1))
    await stranger.closed()
    client.socket.write(head(LIMITS.tcpFrameBytes.max + 1))
    await client.closed()
  })

  test("a silent client is closed, one with heartbeats is not", async () => {
    const [silent, alive] = [await open(), await open()]
    for (let passed = 0; passed <= LIMITS.tcpIdleSeconds.max; passed += 20) {
      alive.start("heartbeat")
      // Seen, since this is answered behind it.
      await alive.call("pull", [1, "nowhere"])
      tcp.timers.pass(20)
    }
    await silent.closed()
    expect(alive.isClosed).toBe(false)
  })

  test("a client that never reads is cut, and its messages are given back", async () => {
    const face = await openOther({ maxBacklogBytes: 2_000_000 })
    const [deaf, other, queueName] = [await open(face), await open(), await newQueue()]
    const count = 40
    for (let i = 0; i < count; i++) await other.call("send", [1, queueName], [2, Buffer.alloc(500_000, i)])
    const before = broker.state.givenBackCount
    deaf.socket.pause()
    for (let i = 0; i < count; i++) deaf.start("pull", [1, queueName], [2, 0n])
    await poll(() => broker.state.givenBackCount > before && face.face.connectionCount === 0, 10_000)
    // Those that the kernel took are on their way; the others are there for everybody.
    const { messages } = await other.call("pull", [1, queueName], [2, 0n])
    expect(messages).toHaveLength(1)
  })

  test("a client that takes nothing of a short backlog is cut in time", async () => {
    // More than the kernel's buffers hold.
    const face = await openOther({ maxBacklogBytes: 100_000_000 })
    const [deaf, other, queueName] = [await open(face), await open(), await newQueue()]
    const count = 40
    for (let i = 0; i < count; i++) await other.call("send", [1, queueName], [2, Buffer.alloc(500_000, i)])
    deaf.socket.pause()
    for (let i = 0; i < count; i++) deaf.start("pull", [1, queueName])
    await poll(() => broker.waitingCount() === 0, 5_000)
    await new Promise((resolve) => setTimeout(resolve, 200))
    for (let passed = 0; passed < LIMITS.tcpStallSeconds.max; passed++) {
      deaf.start("heartbeat")
      face.timers.pass(1)
    }
    expect(face.face.connectionCount).toBe(1)
    face.timers.pass(2)
    await poll(() => face.face.connectionCount === 0, 5_000)
  })

  test("one connection too many is closed, and there is room again when one goes", async () => {
    const face = await openOther({ maxConnections: 2 })
    const [first] = [await open(face), await open(face)]
    const third = await connectOnly(face)
    await third.closed()
    first.close()
    await poll(() => face.face.connectionCount === 1, 5_000)
    await open(face)
  })

  test("without connections no timer runs", async () => {
    const face = await openOther()
    expect(face.timers.periodicCount).toBe(0)
    const client = await open(face)
    expect(face.timers.periodicCount).toBe(1)
    client.close()
    await poll(() => face.timers.periodicCount === 0, 5_000)
  })
})

describe("closing", () => {
  test("waiting pulls are answered, and connections end", async () => {
    const face = await openTcpFace(broker)
    const [client, queueName] = [await open(face), await newQueue()]
    const pull = client.start("pull", [1, queueName], [2, 30n])
    await poll(() => broker.waitingCount() === 1, 5_000)
    await face.close()
    expect(await client.reply(pull)).toMatchObject({ result: 10_200n })
    await client.closed()
    await expect(TcpClient.connect(face.port)).rejects.toThrow(/ECONNREFUSED/)
  })

  test("who keeps the connection open is cut after the grace time", async () => {
    const face = await openTcpFace(broker)
    const client = await open(face)
    client.socket.pause()
    const gone = new Promise((resolve) => client.socket.once("close", resolve))
    await face.face.close({ graceMs: 100 })
    client.socket.resume()
    await gone
  })
})

test("a pull that may succeed later is answered 10200, with the reason in its text; a send is not", async () => {
  const refusing = new LocalBroker()
  refusing.execute = (_name, _request, call) => {
    setImmediate(() => call.done({ ok: false, error: "noLeader", args: [] }))
  }
  const face = await openTcpFace(refusing)
  const client = await open(face)
  const text = "(20002)no leader at present, please try again"
  for (const name of ["pull", "batchPull"] as const)
    expect(await client.call(name, [1, "q"], [2, 1n])).toMatchObject({ result: 10_200n, error: text })
  expect(await client.call("send", [1, "q"], [2, "x"])).toMatchObject({ result: 6000n, error: text })
  client.close()
  await face.close()
  refusing.close()
})

test("what happened is counted", async () => {
  const [client, queueName] = [await open(), await newQueue()]
  await client.call("send", [1, queueName], [2, "x"])
  const page = await tcp.metrics.render({ allQueues: false })
  expect(page).toMatch(/opencmq_connections\{[^}]*api="tcp"[^}]*\} 1\n/)
  expect(page).toMatch(/opencmq_requests_in_flight\{[^}]*api="tcp"[^}]*\} 0\n/)
  expect(page).toMatch(
    /opencmq_request_duration_seconds_count\{[^}]*api="tcp"[^}]*operation="SendMessage"[^}]*code="0"/,
  )
  expect(page).toMatch(/opencmq_auth_failures_total\{[^}]*api="tcp"[^}]*reason="signature"[^}]*\} 5\n/)
})
