import { expect, test } from "vitest"
import { gate, rejection } from "../test-support/eventually.ts"
import { ScriptedServer } from "../test-support/scripted-server.ts"
import { Account } from "./account.ts"

async function queueOn(server: ScriptedServer) {
  const account = new Account({ ...server.accountOptions, random: () => 0 })
  return { account, queue: await account.createQueue("orders") }
}

function batchSizes(server: ScriptedServer): readonly number[] {
  return server
    .requestsOf("BatchSendMessage")
    .map((each) => [...each.params.keys()].filter((name) => name.startsWith("msgBody.")).length)
}

test("many sends become few requests, and each send knows its own message", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue } = await queueOn(server)
  await using sender = queue.sender()
  const results = await Promise.all(Array.from({ length: 100 }, (_, number) => sender.send(`m${String(number)}`)))
  expect(new Set(results.map((each) => each.msgId)).size).toBe(100)
  expect(batchSizes(server)).toEqual([16, 16, 16, 16, 16, 16, 4])
  expect([...server.bodiesOf("orders")].sort()).toEqual(
    Array.from({ length: 100 }, (_, number) => `m${String(number)}`).sort(),
  )
  account.close()
})

test("a single send waits for nothing, and those that come meanwhile share the next request", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue } = await queueOn(server)
  const sender = queue.sender()
  const { opened, open } = gate()
  server.script("BatchSendMessage", [{ kind: "delayReply", until: opened }])
  const first = sender.send("a")
  await server.until(() => server.requestsOf("BatchSendMessage").length === 1)
  const others = ["b", "c", "d"].map((body) => sender.send(body))
  open()
  await Promise.all([first, ...others])
  expect(batchSizes(server)).toEqual([1, 3])
  account.close()
})

test("one message that is too large does not take its neighbours with it", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue } = await queueOn(server)
  await queue.setAttributes({ maxMsgSizeBytes: 1_024 })
  const sender = queue.sender()
  const settled = await Promise.allSettled(["a", "x".repeat(2_000), "b"].map((body) => sender.send(body)))
  expect(settled.map((each) => each.status)).toEqual(["fulfilled", "rejected", "fulfilled"])
  expect(settled[1]).toMatchObject({ reason: { name: "messageTooLarge" } })
  expect([...server.bodiesOf("orders")].sort()).toEqual(["a", "b"])
  account.close()
})

test("a batch that was cut off is repeated with the same client message ids, and stored once", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue } = await queueOn(server)
  const sender = queue.sender()
  server.script("BatchSendMessage", [{ kind: "dropAfter" }])
  const results = await Promise.all(["a", "b", "c"].map((body) => sender.send(body)))
  expect(results.map((each) => each.duplicate)).toEqual([true, true, true])
  expect(server.bodiesOf("orders")).toEqual(["a", "b", "c"])
  account.close()
})

test("messages with different delays never share a request", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue } = await queueOn(server)
  const sender = queue.sender()
  await Promise.all([
    sender.send("now"),
    sender.send("later", { delaySeconds: 60 }),
    sender.send("later too", { delaySeconds: 60 }),
  ])
  expect(server.requestsOf("BatchSendMessage").map((each) => each.params.get("delaySeconds"))).toEqual([
    undefined,
    "60",
  ])
  expect(batchSizes(server)).toEqual([1, 2])
  account.close()
})

test("what waits is bounded: one message more is refused, and nothing of it is sent", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue } = await queueOn(server)
  const byCount = queue.sender({ maxWaitingCount: 2 })
  const fitting = [byCount.send("a"), byCount.send("b")]
  expect(await rejection(byCount.send("c"))).toMatchObject({
    name: "senderFull",
    outcome: "notApplied",
    retriable: true,
  })
  await Promise.all(fitting)
  const byBytes = queue.sender({ maxWaitingBytes: 10 })
  const first = byBytes.send("123456")
  expect(await rejection(byBytes.send("123456"))).toMatchObject({ name: "senderFull" })
  await first
  expect(server.bodiesOf("orders")).toHaveLength(3)
  account.close()
})

test("closing sends what waits and refuses more", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue } = await queueOn(server)
  const sender = queue.sender({ lingerMs: 60_000 })
  const sent = sender.send("a")
  await sender.close()
  await sent
  expect(await rejection(sender.send("b"))).toMatchObject({ name: "closed", outcome: "notApplied" })
  expect(server.bodiesOf("orders")).toEqual(["a"])
  account.close()
})
