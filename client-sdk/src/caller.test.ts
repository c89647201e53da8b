import http from "node:http"
import type { AddressInfo } from "node:net"
import { expect, test } from "vitest"
import { eventually, gate, rejection } from "../test-support/eventually.ts"
import { ManualClock } from "../test-support/manual-clock.ts"
import { ScriptedServer } from "../test-support/scripted-server.ts"
import { AbortError } from "./abort.ts"
import { Account } from "./account.ts"
import type { AccountOptions } from "./account.ts"
import { CmqError } from "./cmq-error.ts"

/** Retries without pauses: what is tested is what is repeated, not when. */
const AT_ONCE = { random: () => 0 } as const

function accountOf(server: ScriptedServer, options: Partial<AccountOptions> = {}): Account {
  return new Account({ ...server.accountOptions, ...AT_ONCE, ...options })
}

async function queueOn(server: ScriptedServer, options: Partial<AccountOptions> = {}) {
  const account = accountOf(server, options)
  const queue = await account.ensureQueue("orders")
  return { account, queue }
}

test("a send is repeated with the same client message id, and stored once", async () => {
  await using server = await ScriptedServer.start()
  const { queue, account } = await queueOn(server)
  server.script("SendMessage", [
    { kind: "dropAfter" },
    { kind: "dropBefore" },
    { kind: "halfReply" },
    { kind: "answer", status: 500, body: "oops" },
    { kind: "answer", status: 200, body: "<html>" },
    { kind: "refuse", error: "unknownOutcome" },
    { kind: "refuse", error: "noLeader" },
    { kind: "refuse", error: "overloaded" },
  ])
  const sent = await queue.send("once")
  const attempts = server.requestsOf("SendMessage")
  expect(attempts).toHaveLength(9)
  const ids = new Set(attempts.map((each) => each.params.get("clientMessageId")))
  expect(ids.size).toBe(1)
  expect([...ids][0]).toMatch(/^[A-Za-z0-9_-]{22}$/)
  expect(sent.duplicate).toBe(true)
  expect(server.bodiesOf("orders")).toEqual(["once"])
  account.close()
})

test("every send has a client message id of its own unless the caller gives one", async () => {
  await using server = await ScriptedServer.start()
  const { queue, account } = await queueOn(server)
  await queue.send("a")
  await queue.send("a")
  await queue.sendBatch(["b", { body: "c", clientMessageId: "mine" }])
  const single = server.requestsOf("SendMessage").map((each) => each.params.get("clientMessageId"))
  const batch = server.requestsOf("BatchSendMessage")[0]?.params
  const ids = [...single, batch?.get("clientMessageId.1"), batch?.get("clientMessageId.2")]
  expect(new Set(ids).size).toBe(4)
  expect(ids[3]).toBe("mine")
  expect((await queue.sendBatch([{ body: "c", clientMessageId: "mine" }]))[0]?.duplicate).toBe(true)
  account.close()
})

test("every attempt is signed anew, with a nonce of its own", async () => {
  await using server = await ScriptedServer.start()
  const { queue, account } = await queueOn(server)
  server.script("SendMessage", [{ kind: "refuse", error: "noLeader" }, { kind: "dropBefore" }])
  await queue.send("a")
  const attempts = server.requestsOf("SendMessage")
  expect(new Set(attempts.map((each) => each.params.get("Nonce"))).size).toBe(3)
  expect(new Set(attempts.map((each) => each.params.get("Signature"))).size).toBe(3)
  account.close()
})

test("a refusal that is not retriable is thrown at once, with all that is known", async () => {
  await using server = await ScriptedServer.start()
  const account = accountOf(server)
  const error = await rejection(account.queue("nothing").send("a"))
  expect(error).toBeInstanceOf(CmqError)
  expect(error).toMatchObject({
    name: "queueNotFound",
    code: 4440,
    moduleCode: 10100,
    message: "(10100)queue is not existed, or deleted",
    retriable: false,
    outcome: "notApplied",
    requestId: "scripted",
    action: "SendMessage",
    endpoint: server.endpoint(0),
    attempts: 1,
    gaveUpBecause: "notRetriable",
  })
  account.close()
})

test("a call that must not be repeated blindly is not, and says that its outcome is unknown", async () => {
  await using server = await ScriptedServer.start({ nodes: 2 })
  const { queue, account } = await queueOn(server)
  server.script("ClearQueue", [{ kind: "dropAfter" }])
  expect(await rejection(queue.clear())).toMatchObject({
    name: "networkFailed",
    outcome: "unknown",
    attempts: 1,
    gaveUpBecause: "notRetriable",
  })
  server.script("ClearQueue", [{ kind: "refuse", error: "noLeader" }])
  await queue.clear()
  expect(server.requestsOf("ClearQueue")).toHaveLength(3)
  account.close()
})

test("one attempt with unknown outcome makes the whole call unknown, whatever the last one heard", async () => {
  await using server = await ScriptedServer.start()
  const { queue, account } = await queueOn(server)
  server.script("SendMessage", [{ kind: "dropAfter" }, { kind: "refuse", error: "messageTooLarge" }])
  expect(await rejection(queue.send("a"))).toMatchObject({ name: "messageTooLarge", outcome: "unknown", attempts: 2 })
  account.close()
})

test("an exhausted budget ends retries with what the broker last said, so an outage is not amplified", async () => {
  await using server = await ScriptedServer.start()
  const retry = { budget: 3, budgetPerSecond: 0, budgetPerSuccess: 0 }
  const { queue, account } = await queueOn(server, { retry })
  server.script(
    "SendMessage",
    Array.from({ length: 20 }, () => ({ kind: "refuse", error: "noLeader" }) as const),
  )
  expect(await rejection(queue.send("a"))).toMatchObject({ name: "noLeader", gaveUpBecause: "budget", attempts: 4 })
  expect(await rejection(queue.send("b"))).toMatchObject({ name: "noLeader", gaveUpBecause: "budget", attempts: 1 })
  expect(account.retriesLeft).toBe(0)
  expect(server.requestsOf("SendMessage")).toHaveLength(5)
  account.close()
})

test("retries end after their number", async () => {
  await using server = await ScriptedServer.start()
  const { queue, account } = await queueOn(server, { retry: { maxRetries: 2 } })
  server.script(
    "SendMessage",
    Array.from({ length: 3 }, () => ({ kind: "refuse", error: "overloaded" }) as const),
  )
  expect(await rejection(queue.send("a"))).toMatchObject({ name: "overloaded", gaveUpBecause: "retries", attempts: 3 })
  expect(server.unmetFaults).toBe(0)
  account.close()
})

test("a pause that would pass the deadline is not begun, and Retry-After is such a pause", async () => {
  await using server = await ScriptedServer.start()
  const clock = new ManualClock()
  const { queue, account } = await queueOn(server, { clock, timeoutMs: 5_000 })
  server.script("SendMessage", [{ kind: "refuse", error: "overloaded", headers: { "retry-after": "5" } }])
  expect(await rejection(queue.send("a"))).toMatchObject({ name: "overloaded", gaveUpBecause: "deadline", attempts: 1 })
  server.script("SendMessage", [{ kind: "refuse", error: "overloaded", headers: { "retry-after": "2" } }])
  const sent = queue.send("b")
  await server.until(() => server.unmetFaults === 0)
  const timersBefore = clock.timerCount
  await eventually(() => clock.timerCount !== timersBefore)
  clock.advance(1_999)
  expect(server.requestsOf("SendMessage")).toHaveLength(2)
  clock.advance(1)
  await sent
  expect(server.requestsOf("SendMessage")).toHaveLength(3)
  account.close()
})

test("the leader that a reply names is asked from then on", async () => {
  await using server = await ScriptedServer.start({ nodes: 3, namesLeader: true })
  server.leader = 2
  const { queue, account } = await queueOn(server)
  for (const body of ["a", "b", "c", "d"]) await queue.send(body)
  expect(server.requestsOf("SendMessage").map((each) => each.node)).toEqual([2, 2, 2, 2])
  server.leader = 0
  await queue.send("e")
  await queue.send("f")
  expect(server.requestsOf("SendMessage").map((each) => each.node)).toEqual([2, 2, 2, 2, 2, 0])
  expect(account.endpoints().find((each) => each.isLeader)?.endpoint).toBe(server.endpoint(0))
  account.close()
})

test("a leader outside the list is followed, unless that is switched off", async () => {
  await using server = await ScriptedServer.start({ nodes: 2, namesLeader: true })
  server.leader = 1
  const endpoints = [server.endpoint(0)]
  const following = await queueOn(server, { endpoints })
  await following.queue.send("a")
  const staying = await queueOn(server, { endpoints, followUnknownLeaders: false })
  await staying.queue.send("b")
  expect(server.requestsOf("SendMessage").map((each) => each.node)).toEqual([1, 0])
  following.account.close()
  staying.account.close()
})

test("a refusal by a node that does not lead goes to the leader without a pause", async () => {
  await using server = await ScriptedServer.start({ nodes: 3, namesLeader: true })
  const { queue, account } = await queueOn(server, { clock: new ManualClock() })
  server.script("SendMessage", [
    { kind: "refuse", error: "notLeader", headers: { "x-opencmq-leader": server.endpoint(2) } },
  ])
  await queue.send("a")
  expect(server.requestsOf("SendMessage").map((each) => each.node)).toEqual([0, 2])
  account.close()
})

test("a dead endpoint costs nothing but the try: the others are asked at once, without retries", async () => {
  await using server = await ScriptedServer.start({ nodes: 3 })
  await server.killNode(0)
  await server.killNode(1)
  const retry = { maxRetries: 0, budget: 0 }
  const account = accountOf(server, { retry, clock: new ManualClock() })
  const queue = await account.createQueue("orders")
  for (const body of ["a", "b", "c"]) await queue.send(body)
  expect(server.requests.map((each) => each.node)).toEqual([2, 2, 2, 2])
  const [first, second, third] = account.endpoints()
  expect([first?.failureCount, second?.failureCount, third?.failureCount]).toEqual([1, 1, 0])
  account.close()
})

test("the death of the leader under a send moves it to another node, and the message is stored once", async () => {
  await using server = await ScriptedServer.start({ nodes: 3, namesLeader: true })
  const { queue, account } = await queueOn(server)
  const { opened } = gate()
  server.script("SendMessage", [{ kind: "delayReply", until: opened }], 0)
  const sent = queue.send("a")
  await server.until(() => server.bodiesOf("orders").length === 1)
  server.leader = 1
  await server.killNode(0)
  expect((await sent).duplicate).toBe(true)
  expect(server.bodiesOf("orders")).toEqual(["a"])
  expect(server.requestsOf("SendMessage").map((each) => each.node)[0]).toBe(0)
  await queue.send("b")
  expect(server.requestsOf("SendMessage").at(-1)?.node).toBe(1)
  account.close()
})

test("without any connection the outcome is certain: not applied", async () => {
  await using server = await ScriptedServer.start({ nodes: 2 })
  const { queue, account } = await queueOn(server, { retry: { maxRetries: 1 } })
  await server.killNode(0)
  await server.killNode(1)
  expect(await rejection(queue.clear())).toMatchObject({ name: "networkFailed", outcome: "notApplied", attempts: 4 })
  account.close()
})

test("an attempt without an answer in time is unknown, is repeated elsewhere, and blames its endpoint", async () => {
  await using server = await ScriptedServer.start({ nodes: 2 })
  const clock = new ManualClock()
  const { queue, account } = await queueOn(server, { clock, suspectAfterMs: 0 })
  server.script("SendMessage", [{ kind: "silence" }])
  const sent = queue.send("a")
  await server.until(() => server.requestsOf("SendMessage").length === 1)
  clock.advance(10_000)
  await sent
  const nodes = server.requestsOf("SendMessage").map((each) => each.node)
  expect(new Set(nodes).size).toBe(2)
  expect(account.endpoints()[nodes[0] ?? 0]?.failureCount).toBe(1)
  account.close()
})

test("a deadline that the caller chose short is the call's end and blames nobody", async () => {
  await using server = await ScriptedServer.start()
  const clock = new ManualClock()
  const { queue, account } = await queueOn(server, { clock, suspectAfterMs: 0 })
  server.script("SendMessage", [{ kind: "silence" }])
  const failed = rejection(queue.send("a", { timeoutMs: 50 }))
  await server.until(() => server.requestsOf("SendMessage").length === 1)
  clock.advance(50)
  expect(await failed).toMatchObject({ name: "timedOut", outcome: "unknown", gaveUpBecause: "deadline" })
  expect(account.endpoints()[0]?.failureCount).toBe(0)
  account.close()
})

test("an abort rejects with AbortError and destroys the socket, so the broker ends the long poll", async () => {
  await using server = await ScriptedServer.start()
  const { queue, account } = await queueOn(server)
  const controller = new AbortController()
  const received = rejection(queue.receive({ waitSeconds: 30, signal: controller.signal }))
  await server.until(() => server.requestsOf("ReceiveMessage").length === 1)
  controller.abort("no more")
  const error = await received
  expect(error).toBeInstanceOf(AbortError)
  expect(error).toMatchObject({ name: "AbortError", code: "ABORT_ERR", outcome: "unknown", cause: "no more" })
  await server.until(() => server.cancelledPolls === 1)
  account.close()
})

test("a call that is aborted before it began sends nothing", async () => {
  await using server = await ScriptedServer.start()
  const { queue, account } = await queueOn(server)
  expect(await rejection(queue.send("a", { signal: AbortSignal.abort() }))).toMatchObject({
    name: "AbortError",
    outcome: "notApplied",
  })
  expect(server.requestsOf("SendMessage")).toHaveLength(0)
  account.close()
})

test("an abort ends the pause between two attempts, and remembers an unknown one", async () => {
  await using server = await ScriptedServer.start()
  const clock = new ManualClock()
  const { queue, account } = await queueOn(server, { clock, random: () => 0.5 })
  server.script("SendMessage", [{ kind: "dropAfter" }])
  const controller = new AbortController()
  const failed = rejection(queue.send("a", { signal: controller.signal }))
  await server.until(() => server.unmetFaults === 0)
  await eventually(() => account.retriesLeft < 500)
  controller.abort()
  expect(await failed).toMatchObject({ name: "AbortError", outcome: "unknown" })
  account.close()
})

test("a clock that is hours off is corrected once by the server's own, for all later calls", async () => {
  await using server = await ScriptedServer.start()
  server.state.clockOffsetMs = 5 * 3_600_000
  const { queue, account } = await queueOn(server)
  await queue.send("a")
  await queue.send("b")
  expect(server.requestsOf("SendMessage")).toHaveLength(2)
  server.state.clockOffsetMs = -5 * 3_600_000
  await queue.send("c")
  account.close()
})

test("a server that always says that the request expired is believed after one correction", async () => {
  await using server = await ScriptedServer.start()
  const { queue, account } = await queueOn(server)
  server.script("SendMessage", [
    { kind: "refuse", error: "requestExpired" },
    { kind: "refuse", error: "requestExpired" },
  ])
  expect(await rejection(queue.send("a"))).toMatchObject({ name: "requestExpired", attempts: 2, outcome: "notApplied" })
  account.close()
})

test("a code that is in no table is passed on as it is", async () => {
  await using server = await ScriptedServer.start()
  const { queue, account } = await queueOn(server)
  server.script("SendMessage", [
    { kind: "answer", status: 200, body: JSON.stringify({ code: 4999, message: "(19999)new" }) },
  ])
  expect(await rejection(queue.send("a"))).toMatchObject({
    name: "unlisted",
    code: 4999,
    moduleCode: 19999,
    retriable: false,
    outcome: "notApplied",
  })
  account.close()
})

test("a page of a proxy that kept the request back is not retried and surely not applied", async () => {
  await using server = await ScriptedServer.start()
  const { queue, account } = await queueOn(server)
  server.script("SendMessage", [{ kind: "answer", status: 403, body: "forbidden" }])
  expect(await rejection(queue.send("a"))).toMatchObject({
    name: "replyUnreadable",
    outcome: "notApplied",
    attempts: 1,
  })
  server.script("SendMessage", [{ kind: "answer", status: 429, body: "slow down" }])
  await queue.send("b")
  account.close()
})

test("a wrong key is refused, and not retried", async () => {
  await using server = await ScriptedServer.start()
  const account = accountOf(server, { secretKey: "wrong" })
  expect(await rejection(account.listQueues())).toMatchObject({ name: "authenticationFailed", code: 4100, attempts: 1 })
  account.close()
})

test("SHA-1 signatures work as well", async () => {
  await using server = await ScriptedServer.start()
  const { queue, account } = await queueOn(server, { signatureMethod: "HmacSHA1" })
  await queue.send("@ begins with an at sign")
  expect(server.bodiesOf("orders")).toHaveLength(1)
  account.close()
})

test("connections are kept and used again", async () => {
  await using server = await ScriptedServer.start()
  const { queue, account } = await queueOn(server)
  for (const body of ["a", "b", "c"]) await queue.send(body)
  expect(new Set(server.requests.map((each) => each.clientPort)).size).toBe(1)
  account.close()
})

test("closing ends calls under way and refuses new ones", async () => {
  await using server = await ScriptedServer.start()
  const { queue, account } = await queueOn(server)
  const polled = rejection(queue.receive({ waitSeconds: 30 }))
  await server.until(() => server.requestsOf("ReceiveMessage").length === 1)
  account.close()
  expect(await polled).toMatchObject({ name: "closed", outcome: "unknown" })
  expect(await rejection(queue.send("a"))).toMatchObject({ name: "closed", outcome: "notApplied" })
})

test("an endpoint that falls silent is found out by a probe, and a long poll there moves on", async () => {
  await using server = await ScriptedServer.start({ nodes: 2 })
  const clock = new ManualClock()
  const { queue, account } = await queueOn(server, { clock })
  const received = queue.receive({ waitSeconds: 30 })
  await server.until(() => server.requestsOf("ReceiveMessage").length === 1)
  const silent = server.requestsOf("ReceiveMessage")[0]?.node ?? 0
  server.pauseNode(silent)
  clock.advance(500)
  // The probe is under way; it gets no answer in its time.
  clock.advance(500)
  await server.until(() => server.requestsOf("ReceiveMessage").length === 2)
  expect(server.requestsOf("ReceiveMessage")[1]?.node).not.toBe(silent)
  await queue.send("a")
  expect((await received)?.body).toBe("a")
  account.close()
})

test("a slow endpoint that answers probes is left alone", async () => {
  await using server = await ScriptedServer.start()
  const clock = new ManualClock()
  const { queue, account } = await queueOn(server, { clock })
  const { opened, open } = gate()
  server.script("SendMessage", [{ kind: "delayReply", until: opened }])
  const sent = queue.send("a")
  await server.until(() => server.requestsOf("SendMessage").length === 1)
  clock.advance(500)
  await server.until(() => server.probes === 1)
  open()
  await sent
  expect(server.requestsOf("SendMessage")).toHaveLength(1)
  account.close()
})

test("a reply that never ends being sent is cut off by the attempt's limit", async () => {
  const endless = http.createServer((_, outgoing) => {
    outgoing.writeHead(200)
    outgoing.write('{"code":')
  })
  await new Promise<void>((resolve) => endless.listen(0, "127.0.0.1", resolve))
  const endpoint = `http://127.0.0.1:${String((endless.address() as AddressInfo).port)}`
  const account = new Account({
    endpoints: [endpoint],
    secretId: "a",
    secretKey: "b",
    requestTimeoutMs: 20,
    retry: { maxRetries: 1 },
    ...AT_ONCE,
  })
  expect(await rejection(account.listQueues())).toMatchObject({ name: "timedOut", outcome: "unknown", attempts: 2 })
  account.close()
  endless.closeAllConnections()
  endless.close()
})

test("an account needs endpoints that are addresses", () => {
  const keys = { secretId: "a", secretKey: "b" }
  expect(() => new Account({ ...keys, endpoints: [] })).toThrow(CmqError)
  expect(() => new Account({ ...keys, endpoints: ["localhost:7070"] })).toThrow(CmqError)
  expect(() => new Account({ ...keys, endpoints: ["http://a"] }).queue("1 bad name")).toThrow(CmqError)
})

test("whatever was caught becomes a CmqError", () => {
  const error = new CmqError({ name: "closed", message: "x", retriable: false, outcome: "notApplied" })
  expect(CmqError.from(error)).toBe(error)
  expect(CmqError.from(new AbortError("unknown", "why"))).toMatchObject({ name: "aborted", outcome: "unknown" })
  expect(CmqError.from(new TypeError("t"))).toMatchObject({ name: "unexpected", message: "t", outcome: "unknown" })
  expect(CmqError.from("text")).toMatchObject({ name: "unexpected", cause: "text" })
})
