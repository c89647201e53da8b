/** Every queue action in every dialect of the wire, over both servers (cmq-api.md §7). */
import { OPERATOR } from "../../src/node/caller.ts"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { CmqClient, codeOf } from "./kit/client.ts"
import type { Style } from "./kit/client.ts"
import { SERVERS, openFace } from "./kit/face.ts"
import type { TestFace } from "./kit/face.ts"
import { ANY_NUMBER, ANY_STRING, stringLike } from "./kit/matchers.ts"

const BODY = 'a+b=c&d/你好 @ "quoted" \\ é\n\u0001 %41'

describe.each(SERVERS)("over %s", (server) => {
  let face: TestFace
  let client: CmqClient
  let names = 0

  beforeAll(async () => {
    face = await openFace(server)
    client = new CmqClient(face.port)
  })
  afterAll(() => face.close())

  async function newQueue(params: Record<string, string | number> = {}): Promise<string> {
    const queueName = `queue-${String(++names)}`
    await client.ok("CreateQueue", { queueName, ...params })
    return queueName
  }

  async function receiveAll(queueName: string): Promise<Record<string, unknown>[]> {
    const all: Record<string, unknown>[] = []
    for (;;) {
      const { json } = await client.call("BatchReceiveMessage", { queueName, numOfMsg: 16 })
      if (json["code"] !== 0) return all
      all.push(...(json["msgInfoList"] as Record<string, unknown>[]))
    }
  }

  // --- Dialects -------------------------------------------------------------------------------------------

  test("a body with every awkward character, in all 288 dialects", async () => {
    const queueName = await newQueue()
    let count = 0
    for (const style of dialects()) {
      const answer = await client
        .with(style)
        .call("SendMessage", { queueName, msgBody: BODY, Unknown_Parameter: "x_y" })
      expect(answer.json, JSON.stringify(style)).toMatchObject({ code: 0, message: "" })
      expect(answer.status).toBe(200)
      count++
    }
    expect(count).toBe(288)
    const bodies = (await receiveAll(queueName)).map((message) => message["msgBody"])
    expect(bodies).toEqual(Array.from({ length: count }, () => BODY))
  })

  const stories: readonly Partial<Style>[] = [
    { method: "POST", path: "/v2/index.php", signatureMethod: "HmacSHA256", base: 1 },
    { method: "POST", path: "/", signatureMethod: "absent", base: 0, contentType: "absent" },
    { method: "GET", path: "/v2/index.php", signatureMethod: "HmacSHA1", base: 0, blank: "+" },
    { method: "GET", path: "/", signatureMethod: "sha256", base: 1, host: "cmq-queue-gz.api.qcloud.com" },
    { method: "POST", path: "/v2/index.php", signatureMethod: "HmacSHA1", contentType: "*/*;charset=utf-8", base: 1 },
  ]

  test.each(stories)("the life of a queue and of its messages: %j", async (style) => {
    const me = client.with(style)
    const queueName = `story-${String(++names)}`
    const created = await me.ok("CreateQueue", {
      queueName,
      pollingWaitSeconds: 1,
      rewindSeconds: 600,
      clientRequestId: 7,
    })
    expect(created).toEqual({
      code: 0,
      message: "",
      requestId: ANY_STRING,
      clientRequestId: 7,
      queueId: stringLike(/^queue-[0-9a-z]{8}$/),
    })
    const changed = await me.ok("SetQueueAttributes", { queueName, visibilityTimeout: 60, maxMsgSize: 1_048_576 })
    expect(changed).toMatchObject({ queueId: created["queueId"], visibilityTimeout: 60, maxMsgSize: 1_048_576 })
    const listed = await me.ok("ListQueue", { searchWord: queueName, offset: 0, limit: 5 })
    expect(listed).toMatchObject({ totalCount: 1, queueList: [{ queueId: created["queueId"], queueName }] })

    const { msgId } = await me.ok("SendMessage", { queueName, msgBody: BODY })
    expect(msgId).toMatch(/^\d+$/)
    const sent = await me.ok("BatchSendMessage", {
      queueName,
      msgBody: Array.from({ length: 12 }, (_, i) => `m${String(i)}`),
    })
    const msgIds = (sent["msgList"] as { msgId: string }[]).map((each) => each.msgId)
    expect(new Set([msgId, ...msgIds]).size).toBe(13)

    const first = await me.ok("ReceiveMessage", { queueName, pollingWaitSeconds: 0 })
    expect(first).toEqual({
      code: 0,
      message: "",
      requestId: ANY_STRING,
      msgId,
      receiptHandle: stringLike(/^\d{1,20}$/),
      msgBody: BODY,
      enqueueTime: ANY_NUMBER,
      firstDequeueTime: ANY_NUMBER,
      nextVisibleTime: ANY_NUMBER,
      dequeueCount: 1,
    })
    const now = Date.now() / 1000
    expect(Math.abs((first["nextVisibleTime"] as number) - now - 60)).toBeLessThan(3 + skew(face))
    const rest = await me.ok("BatchReceiveMessage", { queueName, numOfMsg: 16 })
    const received = rest["msgInfoList"] as Record<string, string>[]
    // Element 10 follows element 9: arrays are ordered by number, whatever the sorting of the signature.
    expect(received.map((each) => each["msgBody"])).toEqual(Array.from({ length: 12 }, (_, i) => `m${String(i)}`))
    expect(received.map((each) => each["msgId"])).toEqual(msgIds)

    await me.ok("ChangeMessageVisibility", {
      queueName,
      receiptHandle: received[11]?.["receiptHandle"] ?? "",
      visibilityTimeout: 0,
    })
    const again = await me.ok("ReceiveMessage", { queueName })
    expect(again).toMatchObject({ msgBody: "m11", dequeueCount: 2 })
    await me.ok("DeleteMessage", { queueName, receiptHandle: String(first["receiptHandle"]) })
    const handles = received.slice(0, 11).map((each) => each["receiptHandle"] ?? "")
    const deleted = await me.ok("BatchDeleteMessage", { queueName, receiptHandle: handles })
    expect(Object.keys(deleted)).toEqual(["code", "message", "requestId"])
    await me.ok("DeleteMessage", { queueName, receiptHandle: String(again["receiptHandle"]) })
    expect(await me.code("ReceiveMessage", { queueName, pollingWaitSeconds: 0 })).toBe("7000/10200")

    const attributes = await me.ok("GetQueueAttributes", { queueName })
    expect(attributes).toMatchObject({ activeMsgNum: 0, inactiveMsgNum: 0, rewindMsgNum: 13, rewindmsgNum: 13 })
    const rewind = { queueName, startConsumeTime: Math.floor(now + skew(face)) - 60 }
    expect(await me.ok("RewindQueue", { ...rewind, dryRun: 1 })).toMatchObject({ rewoundMsgNum: 13 })
    expect(await me.ok("GetQueueAttributes", { queueName })).toMatchObject({ activeMsgNum: 0, rewindMsgNum: 13 })
    expect(await me.ok("RewindQueue", rewind)).toMatchObject({ rewoundMsgNum: 13 })
    expect(await me.ok("GetQueueAttributes", { queueName })).toMatchObject({ activeMsgNum: 13, rewindMsgNum: 0 })
    await me.ok("ClearQueue", { queueName })
    expect(await me.ok("GetQueueAttributes", { queueName })).toMatchObject({ activeMsgNum: 0 })
    await me.ok("DeleteQueue", { queueName })
    expect(await me.code("GetQueueAttributes", { queueName })).toBe("4440/10100")
    expect(await me.code("CreateQueue", { queueName })).toBe("6040/10660")
  })

  test.each(["CREATEQUEUE", "createqueue", "Createqueue", "cReAtEqUeUe"])("the action %s", async (action) => {
    expect(await client.code(action, { queueName: `case-${String(++names)}` })).toBe("0")
  })

  test("bodies beginning with @, signed with and without them", async () => {
    const queueName = await newQueue()
    for (const isAtOmitted of [true, false]) {
      const me = client.with({ isAtOmitted })
      await me.ok("SendMessage", { queueName, msgBody: "@home" })
      await me.ok("BatchSendMessage", { queueName, msgBody: ["@a", "b", "@c"] })
    }
    await client.with({ method: "GET" }).ok("SendMessage", { queueName, msgBody: "@get" })
    const bodies = (await receiveAll(queueName)).map((message) => message["msgBody"])
    expect(bodies).toEqual(["@home", "@a", "b", "@c", "@home", "@a", "b", "@c", "@get"])
  })

  test("a POST may carry parameters in its query, too; both are signed as one", async () => {
    const queueName = await newQueue()
    const params = client.signed(client.common("SendMessage", { queueName, msgBody: "split" }))
    const whole = client.encode(params)
    const [first = "", ...rest] = String(whole.body).split("&")
    const answer = await client.send({ ...whole, target: `${whole.target}?${first}`, body: rest.join("&") })
    expect(answer.json["code"]).toBe(0)
    const twice = await client.send({ ...whole, target: `${whole.target}?${first}` })
    expect(codeOf(twice)).toBe("4000/10330")
  })

  test("Nonce near 2^63 and clientRequestId near 2^64 lose no digit", async () => {
    const params = client.common("ListQueue", { clientRequestId: "18446744073709551615" })
    params.set("Nonce", "9223372036854775807")
    const answer = await client.send(client.encode(client.signed(params)))
    expect(answer.text).toContain(`"clientRequestId":18446744073709551615`)
  })

  test.each(["007", "-1", "1.5", "abc", "", "1e3", "123456789012345678901"])(
    "clientRequestId %j is not echoed",
    async (value) => {
      const { json } = await client.call("ListQueue", { clientRequestId: value })
      expect(json).not.toHaveProperty("clientRequestId")
      expect([0, 4000]).toContain(json["code"])
    },
  )

  test("an empty routingKey and other unknown parameters are ignored", async () => {
    const queueName = await newQueue()
    await client.ok("SendMessage", {
      queueName,
      msgBody: "x",
      routingKey: "",
      UserpollingWaitSeconds: 5,
      Region: "gz",
      Token: "t",
    })
  })

  // --- Replies --------------------------------------------------------------------------------------------

  test("every reply: status 200, JSON, request id in body and header, leader hint", async () => {
    const answers = [await client.call("ListQueue"), await client.call("NoSuchAction")]
    for (const { status, headers, json } of answers) {
      expect(status).toBe(200)
      expect(headers["content-type"]).toBe("application/json; charset=utf-8")
      expect(headers["x-request-id"]).toBe(json["requestId"])
      expect(headers["x-opencmq-leader"]).toBe("http://127.0.0.1:7070")
    }
    expect(answers[0]?.json["requestId"]).not.toBe(answers[1]?.json["requestId"])
    face.broker.state.leader = undefined
    const { headers } = await client.call("ListQueue")
    expect(headers["x-opencmq-leader"]).toBeUndefined()
    face.broker.state.leader = "127.0.0.1:7070"
  })

  test("GetQueueAttributes has all thirteen fields and both spellings, and the policy as JSON text", async () => {
    const deadLetterQueue = await newQueue()
    const queueName = await newQueue({
      deadLetterPolicy: JSON.stringify({ deadLetterQueue, policy: 0, maxReceiveCount: 3 }),
    })
    const {
      code: _code,
      message: _message,
      requestId: _requestId,
      ...fields
    } = await client.ok("GetQueueAttributes", { queueName })
    expect(fields).toEqual({
      queueId: ANY_STRING,
      queueName,
      maxMsgHeapNum: 100_000_000,
      pollingWaitSeconds: 0,
      visibilityTimeout: 30,
      maxMsgSize: 65_536,
      msgRetentionSeconds: 345_600,
      rewindSeconds: 0,
      deadLetterPolicy: JSON.stringify({ deadLetterQueue, policy: 0, maxReceiveCount: 3 }),
      createTime: ANY_NUMBER,
      lastModifyTime: ANY_NUMBER,
      activeMsgNum: 0,
      inactiveMsgNum: 0,
      delayMsgNum: 0,
      rewindMsgNum: 0,
      rewindmsgNum: 0,
      minMsgTime: 0,
      halfMsgNum: 0,
    })
    expect(fields["createTime"]).toBeLessThan(10_000_000_000)
    const sources = await client.ok("ListDeadLetterSourceQueues", { deadLetterQueueName: deadLetterQueue })
    expect(sources).toMatchObject({ totalCount: 1, queueList: [{ queueName }] })
    expect(await client.code("DeleteQueue", { queueName: deadLetterQueue })).toBe("4000/20030")
  })

  test("an empty list is a list", async () => {
    const { text } = await client.call("ListQueue", { searchWord: "nothing-is-called-so" })
    expect(text).toContain(`"totalCount":0,"queueList":[]`)
  })

  test("nothing to receive is 7000 for both receives, after the whole wait", async () => {
    const queueName = await newQueue()
    const startedAt = performance.now()
    const [single, batch] = await Promise.all([
      client.call("ReceiveMessage", { queueName, pollingWaitSeconds: 1 }),
      client.call("BatchReceiveMessage", { queueName, numOfMsg: 4, pollingWaitSeconds: 1 }),
    ])
    const elapsedMs = performance.now() - startedAt
    expect(single.json).toMatchObject({ code: 7000, message: "(10200)no message", requestId: ANY_STRING })
    expect(codeOf(batch)).toBe("7000/10200")
    expect(elapsedMs).toBeGreaterThan(950)
  })

  test("a long poll answers when a message comes", async () => {
    const queueName = await newQueue()
    const waiting = client.ok("ReceiveMessage", { queueName, pollingWaitSeconds: 10 })
    await new Promise((resolve) => setTimeout(resolve, 100))
    await client.ok("SendMessage", { queueName, msgBody: "at last" })
    expect(await waiting).toMatchObject({ msgBody: "at last" })
  })

  test("a stale handle is 4430, a handle of another queue too, a text that is none is 4000", async () => {
    const [queueName, other] = [await newQueue({ visibilityTimeout: 1 }), await newQueue()]
    await client.ok("SendMessage", { queueName, msgBody: "x" })
    const { receiptHandle } = await client.ok("ReceiveMessage", { queueName })
    const text = String(receiptHandle)
    expect(await client.code("DeleteMessage", { queueName: other, receiptHandle: text })).toBe("4430/10260")
    expect(
      await client.code("ChangeMessageVisibility", { queueName: other, receiptHandle: text, visibilityTimeout: 5 }),
    ).toBe("4430/10260")
    face.broker.advance(1_100)
    expect(await client.code("DeleteMessage", { queueName, receiptHandle: text })).toBe("4430/10260")
    for (const bad of ["x", "-1", "1.0", "01", "18446744073709551616", "9".repeat(300), "1 "]) {
      expect(await client.code("DeleteMessage", { queueName, receiptHandle: bad })).toBe("4000/10470")
    }
    expect(await client.ok("GetQueueAttributes", { queueName })).toMatchObject({ activeMsgNum: 1 })
  })

  test("a batch delete that fails in part is 6010, wholly 6020, and says which", async () => {
    const queueName = await newQueue()
    await client.ok("BatchSendMessage", { queueName, msgBody: ["a", "b"] })
    const { msgInfoList } = await client.ok("BatchReceiveMessage", { queueName, numOfMsg: 2 })
    const [a = "", b = ""] = (msgInfoList as { receiptHandle: string }[]).map((each) => each.receiptHandle)
    await client.ok("DeleteMessage", { queueName, receiptHandle: a })
    const partly = await client.call("BatchDeleteMessage", { queueName, receiptHandle: [a, "junk", b] })
    expect(partly.json).toMatchObject({
      code: 6010,
      message: "(10150)delete message partially failed",
      errorList: [
        { code: 4430, message: "(10260)receipt handle is invalid", receiptHandle: a },
        { code: 4000, message: "(10470)receiptHandle error", receiptHandle: "junk" },
      ],
    })
    const wholly = await client.call("BatchDeleteMessage", { queueName, receiptHandle: [a, b] })
    expect(codeOf(wholly)).toBe("6020/10290")
    expect(wholly.json["errorList"]).toHaveLength(2)
    expect(await client.code("BatchDeleteMessage", { queueName, receiptHandle: ["junk", '"<x>'] })).toBe("6020/10290")
    expect(await client.ok("GetQueueAttributes", { queueName })).toMatchObject({ activeMsgNum: 0, inactiveMsgNum: 0 })
  })

  // --- OpenCMQ's own --------------------------------------------------------------------------------------

  test("a delayed message stays away until its time", async () => {
    const queueName = await newQueue()
    await client.ok("SendMessage", { queueName, msgBody: "later", delaySeconds: 3_600 })
    expect(await client.ok("GetQueueAttributes", { queueName })).toMatchObject({ delayMsgNum: 1, activeMsgNum: 0 })
    const peeked = await client.ok("PeekMessage", { queueName })
    expect(peeked["msgInfoList"]).toMatchObject([{ msgBody: "later", state: "delayed", dueTime: ANY_NUMBER }])
    face.broker.advance(3_601_000)
    expect(await client.ok("ReceiveMessage", { queueName })).toMatchObject({ msgBody: "later" })
  })

  test("peeking changes nothing and pages on", async () => {
    const queueName = await newQueue()
    await client.ok("BatchSendMessage", { queueName, msgBody: ["a", "b", "c"] })
    const one = await client.ok("PeekMessage", { queueName, numOfMsg: 2 })
    expect(one["msgInfoList"]).toMatchObject([{ msgBody: "a", state: "active", dequeueCount: 0 }, { msgBody: "b" }])
    expect(JSON.stringify(one)).not.toContain("receiptHandle")
    const two = await client.ok("PeekMessage", { queueName, numOfMsg: 2, startSeq: Number(one["nextSeq"]) })
    expect(two["msgInfoList"]).toMatchObject([{ msgBody: "c" }])
    expect(two["nextSeq"]).toBeUndefined()
    expect(await client.ok("GetQueueAttributes", { queueName })).toMatchObject({ activeMsgNum: 3, inactiveMsgNum: 0 })
  })

  test("a half message is received when it is committed, and not before", async () => {
    const queueName = await newQueue()
    const { msgId } = await client.ok("SendHalfMessage", { queueName, msgBody: "half", clientMessageId: "tx-1" })
    expect(await client.ok("SendHalfMessage", { queueName, msgBody: "half", clientMessageId: "tx-1" })).toMatchObject({
      msgId,
      duplicate: true,
    })
    await client.ok("SendMessage", { queueName, msgBody: "whole" })
    expect(await client.ok("GetQueueAttributes", { queueName })).toMatchObject({ halfMsgNum: 1, activeMsgNum: 1 })
    expect(await client.ok("ReceiveMessage", { queueName })).toMatchObject({ msgBody: "whole" })
    expect(await client.code("ReceiveMessage", { queueName })).toBe("7000/10200")
    const waiting = client.ok("ReceiveMessage", { queueName, pollingWaitSeconds: 20 })
    await new Promise((resolve) => setTimeout(resolve, 100))
    await client.ok("ConfirmTransaction", { queueName, msgId: String(msgId), decision: "COMMIT" })
    expect(await waiting).toMatchObject({ msgId, msgBody: "half" })
  })

  test("a half message is decided once, in its queue, by its id", async () => {
    const [queueName, other] = [await newQueue(), await newQueue()]
    const half = await client.ok("SendHalfMessage", { queueName, msgBody: "half" })
    const whole = await client.ok("SendMessage", { queueName, msgBody: "whole" })
    const confirm = (name: string, msgId: unknown, decision = "rollback"): Promise<string> =>
      client.code("ConfirmTransaction", { queueName: name, msgId: String(msgId), decision })
    expect(await confirm(other, half["msgId"])).toBe("4490/10770")
    expect(await confirm(queueName, whole["msgId"])).toBe("4490/10770")
    expect(await confirm(queueName, "18446744073709551616")).toBe("4490/10770")
    expect(await confirm("nowhere", half["msgId"])).toBe("4440/10100")
    expect(await confirm(queueName, half["msgId"], "perhaps")).toMatch(/^4000/)
    expect(await confirm(queueName, half["msgId"])).toBe("0")
    expect(await confirm(queueName, half["msgId"], "commit")).toBe("4490/10770")
    expect(await client.ok("GetQueueAttributes", { queueName })).toMatchObject({ halfMsgNum: 0, activeMsgNum: 1 })
  })

  test("a half message that is not decided is listed after each query, and rolled back after the last", async () => {
    const queueName = await newQueue()
    const policy = { firstQueryInterval: 1, maxQueryCount: 2 }
    const { msgId } = await client.ok("SendHalfMessage", { queueName, msgBody: "a", ...policy })
    await client.ok("SendHalfMessage", { queueName, msgBody: "b", ...policy })
    expect((await client.ok("ListHalfMessage", { queueName }))["msgInfoList"]).toEqual([])
    face.broker.advance(1_100)
    const one = await client.ok("ListHalfMessage", { queueName, numOfMsg: 1 })
    expect(one["msgInfoList"]).toMatchObject([{ msgId, msgBody: "a", state: "half", queryCount: 1, maxQueryCount: 2 }])
    const two = await client.ok("ListHalfMessage", { queueName, startSeq: Number(one["nextSeq"]) })
    expect(two["msgInfoList"]).toMatchObject([{ msgBody: "b" }])
    expect(two["nextSeq"]).toBeUndefined()
    face.broker.advance(2_100)
    const asked = await client.ok("ListHalfMessage", { queueName })
    expect(asked["msgInfoList"]).toMatchObject([{ queryCount: 2 }, { queryCount: 2 }])
    face.broker.advance(4_100)
    expect((await client.ok("ListHalfMessage", { queueName }))["msgInfoList"]).toEqual([])
    expect(await client.code("ConfirmTransaction", { queueName, msgId: String(msgId), decision: "commit" })).toBe(
      "4490/10770",
    )
    expect(await client.code("SendHalfMessage", { queueName, msgBody: "c", firstQueryInterval: 0 })).toMatch(/^4000/)
  })

  test.each(["sent", "published"])("attributes travel with what is %s, single and in a batch", async (way) => {
    const queueName = await newQueue()
    const isSent = way === "sent"
    const target = isSent ? { queueName } : { topicName: queueName }
    if (!isSent) {
      await client.ok("CreateTopic", target)
      await client.ok("Subscribe", { ...target, subscriptionName: "s", protocol: "queue", endpoint: queueName })
    }
    await client.ok(isSent ? "SendMessage" : "PublishMessage", {
      ...target,
      msgBody: "x",
      "attribute.1.name": "traceparent",
      "attribute.1.value": "00-ab-cd-01",
      "attribute.2.name": "raw",
      "attribute.2.value": "AP8=",
      "attribute.2.type": "binary",
    })
    const list = [{ name: "n", value: "é", type: "string" }]
    const batch = { ...target, msgBody: ["plain", "y"], "attributes.2": JSON.stringify(list) }
    await client.ok(isSent ? "BatchSendMessage" : "BatchPublishMessage", batch)
    const bad = { ...target, msgBody: "x", "attribute.1.name": "é", "attribute.1.value": "" }
    const refused = await client.call(isSent ? "SendMessage" : "PublishMessage", bad)
    expect(refused.json).toMatchObject({ code: 4000 })
    const [first, plain, second] = await receiveAll(queueName)
    expect(first?.["attributes"]).toEqual([
      { name: "traceparent", type: "string", value: "00-ab-cd-01" },
      { name: "raw", type: "binary", value: "AP8=" },
    ])
    expect(plain).not.toHaveProperty("attributes")
    expect(second?.["attributes"]).toEqual(list)
  })

  test("a send repeated with its clientMessageId stores nothing and says so", async () => {
    const queueName = await newQueue()
    const params = { queueName, msgBody: "once", clientMessageId: "order-1" }
    const first = await client.ok("SendMessage", params)
    expect(first).not.toHaveProperty("duplicate")
    expect(await client.ok("SendMessage", params)).toMatchObject({ msgId: first["msgId"], duplicate: true })
    expect(await receiveAll(queueName)).toMatchObject([{ clientMessageId: "order-1" }])
  })

  test("a dead letter says where it came from", async () => {
    const deadLetterQueue = await newQueue()
    const queueName = await newQueue({
      deadLetterQueueName: deadLetterQueue,
      policy: 0,
      maxReceiveCount: 1,
      visibilityTimeout: 1,
    })
    await client.ok("SendMessage", { queueName, msgBody: "unloved" })
    const original = await client.ok("ReceiveMessage", { queueName })
    face.broker.advance(1_100)
    await client.code("ReceiveMessage", { queueName })
    expect(await client.ok("ReceiveMessage", { queueName: deadLetterQueue })).toMatchObject({
      msgBody: "unloved",
      deadLetterReason: "maxReceiveCount",
      originalQueueName: queueName,
      originalEnqueueTime: original["enqueueTime"],
      originalFirstDequeueTime: original["firstDequeueTime"],
      originalDequeueCount: 1,
    })
  })

  test("bytes that are no text go out as base64 and say so", async () => {
    const queueName = await newQueue()
    const done = new Promise((resolve) => {
      const context = { requestId: "", caller: OPERATOR, timeoutMs: 1_000, cancelled: false, onCancel: undefined }
      const messages = [{ body: Uint8Array.of(0xff, 0x00, 0xfe), delayMs: 0, clientMessageId: "", attributes: [] }]
      face.broker.execute(
        "sendMessages",
        { queueName, messages },
        {
          context,
          done: (reply) => {
            resolve(reply)
            return true
          },
        },
      )
    })
    expect(await done).toMatchObject({ ok: true })
    expect(await client.ok("ReceiveMessage", { queueName })).toMatchObject({
      msgBody: "/wD+",
      msgBodyEncoding: "base64",
    })
  })

  test("QueryQueueRoute and QueryTopicRoute answer the name under which the client came, and the port of the TCP face", async () => {
    const queueName = await newQueue()
    expect(await client.ok("QueryQueueRoute", { queueName })).toMatchObject({ addr: ["127.0.0.1:7073"] })
    expect((await client.call("QueryQueueRoute", { queueName: "nowhere" })).json).toMatchObject({ code: 4440 })
    expect((await client.call("QueryQueueRoute", {})).json).toMatchObject({ code: 4000 })
    await client.ok("CreateTopic", { topicName: queueName })
    expect(await client.ok("QueryTopicRoute", { topicName: queueName })).toMatchObject({ addr: ["127.0.0.1:7073"] })
    const nowhere = await client.call("QueryTopicRoute", { topicName: "nowhere" })
    expect(nowhere.json).toMatchObject({ code: 4440, message: "(10600)topic is not existed, or deleted" })
    const told = await openFace(server, { actions: { tcpRoute: { host: "broker.example", port: 17_073 } } })
    const other = new CmqClient(told.port)
    await other.ok("CreateQueue", { queueName })
    expect(await other.ok("QueryQueueRoute", { queueName })).toMatchObject({ addr: ["broker.example:17073"] })
    await told.close()
  })

  test("GetClusterStatus answers an object", async () => {
    expect(await client.ok("GetClusterStatus")).toMatchObject({ cluster: { nodeId: 1, term: 1 } })
  })

  test("a full batch of the largest bodies: 16 x 64 KiB of three-byte characters", async () => {
    const queueName = await newQueue()
    const msgBody = Array.from({ length: 16 }, (_, index) => String.fromCodePoint(0x4e00 + index).repeat(21_845))
    await client.ok("BatchSendMessage", { queueName, msgBody })
    expect((await receiveAll(queueName)).map((message) => message["msgBody"])).toEqual(msgBody)
  })
})

/** Seconds by which tests may have turned the broker's clock ahead: their stories use real time plus this. */
function skew(face: TestFace): number {
  return face.broker.aheadSeconds()
}

function* dialects(): Iterable<Partial<Style>> {
  for (const method of ["GET", "POST"] as const)
    for (const path of ["/v2/index.php", "/"] as const)
      for (const signatureMethod of ["HmacSHA1", "HmacSHA256", "absent", "sha256"] as const)
        for (const contentType of ["application/x-www-form-urlencoded", "*/*;charset=utf-8", "absent"] as const)
          for (const blank of ["+", "%20"] as const)
            for (const host of [undefined, "cmq-queue-gz.api.tencentyun.com", "broker.example:8443"])
              yield { method, path, signatureMethod, contentType, blank, host }
}
