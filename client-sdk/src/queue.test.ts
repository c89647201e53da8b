import { expect, test } from "vitest"
import { rejection } from "../test-support/eventually.ts"
import { ScriptedServer } from "../test-support/scripted-server.ts"
import { Account } from "./account.ts"
import { CmqError } from "./cmq-error.ts"
import type { QueueAttributes } from "./queue-attributes.ts"

async function queueOn(server: ScriptedServer, attributes: QueueAttributes = {}) {
  const account = new Account({ ...server.accountOptions, random: () => 0 })
  const queue = await account.createQueue("orders", attributes)
  return { account, queue }
}

test("a message that was sent is received with its body, attributes and times, and deleted", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue } = await queueOn(server, { visibilityTimeoutSeconds: 60 })
  const attributes = { traceparent: "00-1", blob: new Uint8Array([0, 255]) }
  const sent = await queue.send("héllo & = + / 你好", { attributes })
  expect(sent.duplicate).toBe(false)
  const message = await queue.receive({ waitSeconds: 0 })
  expect(message?.msgId).toBe(sent.msgId)
  expect(message?.body).toBe("héllo & = + / 你好")
  expect(Buffer.from(message?.bytes ?? []).toString("utf8")).toBe("héllo & = + / 你好")
  expect(message?.attributes).toEqual(new Map(Object.entries(attributes)))
  expect(message?.dequeueCount).toBe(1)
  expect(message?.enqueueTime.getTime()).toBeGreaterThan(0)
  expect(message?.nextVisibleTime).toBeInstanceOf(Date)
  expect(message?.deadLetter).toBeUndefined()
  await message?.delete()
  expect(message?.settled).toBe("deleted")
  expect(server.bodiesOf("orders")).toEqual([])
  expect(await queue.receive({ waitSeconds: 0 })).toBeUndefined()
  account.close()
})

test("bytes that are no text arrive as they were sent, alone and in a batch", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue } = await queueOn(server)
  const bytes = new Uint8Array([0xff, 0xfe, 0x00, 0x41])
  await queue.send(bytes)
  await queue.sendBatch([bytes, "text", { body: bytes, attributes: { kind: "raw" } }])
  const messages = await queue.receiveBatch({ waitSeconds: 0 })
  expect(messages.map((each) => [...each.bytes])).toEqual([
    [...bytes],
    [...bytes],
    [...new TextEncoder().encode("text")],
    [...bytes],
  ])
  expect(messages[3]?.attributes).toEqual(new Map([["kind", "raw"]]))
  account.close()
})

test("no message is nothing, not an error", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue } = await queueOn(server)
  expect(await queue.receive({ waitSeconds: 0 })).toBeUndefined()
  expect(await queue.receiveBatch()).toEqual([])
  expect(await queue.peek()).toEqual({ messages: [], nextSeq: undefined })
  account.close()
})

test("a long poll returns as soon as there is a message", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue } = await queueOn(server)
  const received = queue.receiveBatch({ waitSeconds: 30, max: 5 })
  await server.until(() => server.requestsOf("BatchReceiveMessage").length === 1)
  await queue.send("here")
  expect((await received).map((each) => each.body)).toEqual(["here"])
  account.close()
})

test("a receive carries its wait and visibility, and leaves to the queue what is not said", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue } = await queueOn(server)
  await queue.receive({ waitSeconds: 0, visibilityTimeoutSeconds: 7 })
  await queue.receive()
  const [said, unsaid] = server.requestsOf("ReceiveMessage").map((each) => each.params)
  expect([said?.get("pollingWaitSeconds"), said?.get("visibilityTimeout")]).toEqual(["0", "7"])
  expect([unsaid?.has("pollingWaitSeconds"), unsaid?.has("visibilityTimeout")]).toEqual([false, false])
  account.close()
})

test("peek shows messages page by page and changes nothing", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue } = await queueOn(server)
  await queue.sendBatch(["a", "b", "c"])
  const first = await queue.peek({ max: 2 })
  expect(first.messages.map((each) => each.body)).toEqual(["a", "b"])
  const second = await queue.peek(first.nextSeq === undefined ? {} : { startSeq: first.nextSeq })
  expect(second.messages.map((each) => [each.body, each.dequeueCount])).toEqual([["c", 0]])
  expect(second.nextSeq).toBeUndefined()
  expect(await queue.receiveBatch({ waitSeconds: 0 })).toHaveLength(3)
  account.close()
})

test("a delayed message is not there before its time", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue } = await queueOn(server)
  await queue.send("later", { delaySeconds: 60 })
  expect(await queue.receive({ waitSeconds: 0 })).toBeUndefined()
  server.advance(60_000)
  expect((await queue.receive({ waitSeconds: 0 }))?.body).toBe("later")
  account.close()
})

test("a message given back is received again, and its old handle is worth nothing", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue } = await queueOn(server)
  await queue.send("a")
  const first = await queue.receive({ waitSeconds: 0 })
  await first?.retry()
  expect(first?.settled).toBe("retried")
  const second = await queue.receive({ waitSeconds: 0 })
  expect(second?.dequeueCount).toBe(2)
  expect(await rejection(first?.delete() ?? Promise.resolve())).toMatchObject({ name: "receiptHandleInvalid" })
  await second?.retry({ delaySeconds: 30 })
  expect(await queue.receive({ waitSeconds: 0 })).toBeUndefined()
  server.advance(30_000)
  expect((await queue.receive({ waitSeconds: 0 }))?.dequeueCount).toBe(3)
  account.close()
})

test("extending keeps a message hidden past its visibility timeout", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue } = await queueOn(server)
  await queue.send("a")
  const message = await queue.receive({ waitSeconds: 0, visibilityTimeoutSeconds: 10 })
  const nextVisibleTime = await message?.extend(100)
  expect(nextVisibleTime?.getTime()).toBeGreaterThan(message?.nextVisibleTime?.getTime() ?? 0)
  server.advance(50_000)
  expect(await queue.receive({ waitSeconds: 0 })).toBeUndefined()
  await message?.delete()
  account.close()
})

test("a delete whose first answer was lost counts as done by the earlier attempt", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue } = await queueOn(server)
  await queue.sendBatch(["a", "b", "c", "d"])
  const [a, b, c, d] = await queue.receiveBatch({ waitSeconds: 0 })
  server.script("DeleteMessage", [{ kind: "dropAfter" }])
  expect(await queue.delete(a?.receiptHandle ?? "")).toEqual({ byEarlierAttempt: true })
  server.script("DeleteMessage", [{ kind: "dropBefore" }])
  expect(await queue.delete(b?.receiptHandle ?? "")).toEqual({ byEarlierAttempt: false })
  server.script("BatchDeleteMessage", [{ kind: "dropAfter" }])
  expect(await queue.deleteBatch([c?.receiptHandle ?? ""])).toMatchObject([{ ok: true, byEarlierAttempt: true }])
  server.script("BatchDeleteMessage", [{ kind: "halfReply" }])
  await d?.delete()
  expect(server.bodiesOf("orders")).toEqual([])
  account.close()
})

test("a stale handle without an earlier attempt is an error: the message is lost to us", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue } = await queueOn(server)
  await queue.send("a")
  const message = await queue.receive({ waitSeconds: 0, visibilityTimeoutSeconds: 5 })
  server.advance(5_000)
  const receiptHandle = message?.receiptHandle ?? ""
  expect(await rejection(queue.delete(receiptHandle))).toMatchObject({ name: "receiptHandleInvalid", code: 4430 })
  // A refused attempt before it was surely not applied, so it excuses nothing.
  server.script("DeleteMessage", [{ kind: "refuse", error: "noLeader" }])
  expect(await rejection(queue.delete(receiptHandle))).toMatchObject({ name: "receiptHandleInvalid", attempts: 2 })
  account.close()
})

test("a batch delete says of each handle what became of it", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue } = await queueOn(server)
  await queue.sendBatch(["a", "b"])
  const [a, b] = await queue.receiveBatch({ waitSeconds: 0 })
  const results = await queue.deleteBatch([a?.receiptHandle ?? "", "12345", b?.receiptHandle ?? ""])
  expect(results.map((each) => each.ok)).toEqual([true, false, true])
  expect(results[1]).toMatchObject({ receiptHandle: "12345", error: { name: "receiptHandleInvalid" } })
  const none = await queue.deleteBatch(["1", "2"])
  expect(none.map((each) => each.ok)).toEqual([false, false])
  account.close()
})

test("more handles than one request takes are spread over several, and a failed request is its own handles' error", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue } = await queueOn(server)
  const handles: string[] = []
  for (let batch = 0; batch < 3; batch++) {
    await queue.sendBatch(Array.from({ length: 10 }, () => "x"))
    handles.push(...(await queue.receiveBatch({ waitSeconds: 0 })).map((each) => each.receiptHandle))
  }
  server.script("BatchDeleteMessage", [{ kind: "refuse", error: "authenticationFailed" }])
  const results = await queue.deleteBatch(handles)
  expect(results.map((each) => each.receiptHandle)).toEqual(handles)
  expect(results.filter((each) => !each.ok)).toHaveLength(16)
  expect(server.bodiesOf("orders")).toHaveLength(16)
  account.close()
})

test("deletes of messages at the same time travel together, each with its own outcome", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue } = await queueOn(server)
  await queue.sendBatch(["a", "b", "c"])
  const messages = await queue.receiveBatch({ waitSeconds: 0 })
  server.state.queue("orders")?.takeAway(messages[1]?.msgId ?? "", server.state.nowMs)
  const settled = await Promise.allSettled(messages.map((each) => each.delete()))
  expect(settled.map((each) => each.status)).toEqual(["fulfilled", "rejected", "fulfilled"])
  expect(messages.map((each) => each.settled)).toEqual(["deleted", undefined, "deleted"])
  expect(server.requestsOf("BatchDeleteMessage")).toHaveLength(1)
  account.close()
})

test("giving back whose first answer was lost is done", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue } = await queueOn(server)
  await queue.send("a")
  const message = await queue.receive({ waitSeconds: 0 })
  server.script("ChangeMessageVisibility", [{ kind: "dropAfter" }])
  await message?.retry()
  expect((await queue.receive({ waitSeconds: 0 }))?.dequeueCount).toBe(2)
  account.close()
})

test("attributes are set, read and changed; both spellings of the rewind count are read", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue } = await queueOn(server, {
    visibilityTimeoutSeconds: 45,
    maxMsgSizeBytes: 2_048,
    msgRetentionSeconds: 600,
    rewindSeconds: 60,
    pollingWaitSeconds: 3,
    maxMsgHeapNum: 2_000_000,
  })
  await account.createQueue("dead")
  await queue.setAttributes({
    pollingWaitSeconds: 0,
    deadLetterPolicy: { kind: "maxReceiveCount", deadLetterQueue: "dead", maxReceiveCount: 3 },
  })
  const [sent] = await queue.sendBatch(["a", "b"])
  await queue.delete((await queue.receive({ waitSeconds: 0 })) ?? "")
  const status = await queue.attributes()
  expect(sent?.msgId).toMatch(/^\d+$/)
  expect(status).toMatchObject({
    maxMsgHeapNum: 2_000_000,
    pollingWaitSeconds: 0,
    visibilityTimeoutSeconds: 45,
    maxMsgSizeBytes: 2_048,
    msgRetentionSeconds: 600,
    rewindSeconds: 60,
    deadLetterPolicy: { kind: "maxReceiveCount", deadLetterQueue: "dead", maxReceiveCount: 3 },
    activeMsgNum: 1,
    inactiveMsgNum: 0,
    delayMsgNum: 0,
    rewindMsgNum: 1,
  })
  expect(status.minMsgTime).toBeInstanceOf(Date)
  expect(await account.listDeadLetterSources("dead")).toMatchObject({ totalCount: 1 })
  await queue.unbindDeadLetterQueue()
  expect((await queue.attributes()).deadLetterPolicy).toBeUndefined()
  account.close()
})

test("a dead letter tells where it came from", async () => {
  await using server = await ScriptedServer.start()
  const account = new Account(server.accountOptions)
  const dead = await account.createQueue("dead")
  const queue = await account.createQueue("orders", {
    deadLetterPolicy: { kind: "maxReceiveCount", deadLetterQueue: "dead", maxReceiveCount: 2 },
  })
  await queue.send("poison")
  for (let times = 0; times < 2; times++) await (await queue.receive({ waitSeconds: 0 }))?.retry()
  expect(await queue.receive({ waitSeconds: 0 })).toBeUndefined()
  const letter = await dead.receive({ waitSeconds: 0 })
  expect(letter?.body).toBe("poison")
  expect(letter?.deadLetter).toMatchObject({ reason: "maxReceiveCount", sourceQueue: "orders", dequeueCount: 2 })
  expect(letter?.deadLetter?.enqueueTime).toBeInstanceOf(Date)
  account.close()
})

test("rewind brings deleted messages back, clear drops them all", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue } = await queueOn(server, { rewindSeconds: 3_600 })
  const before = new Date(server.state.nowMs - 2_000)
  await queue.send("a")
  await (await queue.receive({ waitSeconds: 0 }))?.delete()
  expect(await queue.rewind({ to: before, dryRun: true })).toBe(1)
  expect(await queue.receive({ waitSeconds: 0 })).toBeUndefined()
  expect(await queue.rewind({ to: before })).toBe(1)
  server.advance(60_000)
  expect((await queue.receive({ waitSeconds: 0 }))?.body).toBe("a")
  await queue.clear()
  expect(server.bodiesOf("orders")).toEqual([])
  account.close()
})

test("queues are created, found, listed page by page and deleted", async () => {
  await using server = await ScriptedServer.start()
  const account = new Account({ ...server.accountOptions, random: () => 0 })
  for (let number = 0; number < 205; number++) await account.createQueue(`queue-${String(number)}`)
  expect(await account.listQueues({ searchWord: "queue-20", limit: 3 })).toMatchObject({
    totalCount: 6,
    queues: [{ queueName: "queue-20" }, { queueName: "queue-200" }, { queueName: "queue-201" }],
  })
  const names: string[] = []
  for await (const { queueName } of account.queues()) names.push(queueName)
  expect(new Set(names).size).toBe(205)
  expect(await rejection(account.createQueue("queue-1"))).toMatchObject({ name: "queueAlreadyExists", code: 4460 })
  const queue = await account.ensureQueue("queue-1")
  server.script("DeleteQueue", [{ kind: "dropAfter" }])
  await queue.deleteQueue()
  expect(await rejection(queue.deleteQueue())).toMatchObject({ name: "queueNotFound" })
  expect(await account.clusterStatus()).toEqual({ nodes: [] })
  account.close()
})

test("a batch has 1 to 16 messages", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue } = await queueOn(server)
  expect(await rejection(queue.sendBatch([]))).toBeInstanceOf(CmqError)
  const tooMany = Array.from({ length: 17 }, () => "x")
  expect(await rejection(queue.sendBatch(tooMany))).toMatchObject({ name: "argumentInvalid", outcome: "notApplied" })
  expect(server.requestsOf("BatchSendMessage")).toHaveLength(0)
  account.close()
})
