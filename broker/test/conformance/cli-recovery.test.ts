/** The commands that look for messages and bring them back, as a process would run them, over HTTP. */
import { PassThrough } from "node:stream"
import { afterAll, beforeAll, expect, test } from "vitest"
import { runCli } from "../../src/cli/program.ts"
import type { TerminalStreams } from "../../src/cli/terminal.ts"
import { CmqClient } from "./kit/client.ts"
import { openFace, SECRET_ID, SECRET_KEY, SERVERS } from "./kit/face.ts"
import type { TestFace } from "./kit/face.ts"

let face: TestFace
let client: CmqClient
beforeAll(async () => {
  face = await openFace(SERVERS[0] ?? "node")
  client = new CmqClient(face.port)
})
afterAll(() => face.close())

/** Runs a command. @returns what it wrote to stdout. */
async function opencmq(args: string, expectedCode = 0): Promise<string> {
  const environment = {
    OPENCMQ_ENDPOINTS: `http://127.0.0.1:${String(face.port)}`,
    OPENCMQ_SECRET_ID: SECRET_ID,
    OPENCMQ_SECRET_KEY: SECRET_KEY,
  }
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()]
  const written = { stdout: "", stderr: "" }
  stdout.on("data", (chunk: Buffer) => (written.stdout += chunk.toString()))
  stderr.on("data", (chunk: Buffer) => (written.stderr += chunk.toString()))
  const code = await runCli(args.split(" "), { stdin, stdout, stderr, environment } as unknown as TerminalStreams)
  expect(code, `${args}: ${written.stderr}`).toBe(expectedCode)
  return written.stdout
}

async function json(args: string, expectedCode = 0): Promise<unknown> {
  return JSON.parse(await opencmq(`${args} --format json`, expectedCode))
}

test("a rewind is counted first, then done", async () => {
  await client.ok("CreateQueue", { queueName: "back", rewindSeconds: 600 })
  await client.ok("SendMessage", { queueName: "back", msgBody: "a" })
  const { receiptHandle } = await client.ok("ReceiveMessage", { queueName: "back" })
  await client.ok("DeleteMessage", { queueName: "back", receiptHandle: String(receiptHandle) })
  expect(await opencmq("queue rewind back --to 5m --dry-run")).toBe("1 message would come back in queue back\n")
  expect(await json("queue rewind back --to 5m")).toMatchObject({ queueName: "back", dryRun: false, count: 1 })
  expect(await opencmq("queue rewind back --to 5m --dry-run")).toBe("0 messages would come back in queue back\n")
  await opencmq("queue rewind back --to tomorrow", 2)
  await opencmq("queue rewind back", 2)
})

/** Two dead letters of "orders", one of "refunds", in "dead". */
async function makeDeadLetters(suffix: string): Promise<{ dead: string; orders: string; refunds: string }> {
  const names = { dead: `dead-${suffix}`, orders: `orders-${suffix}`, refunds: `refunds-${suffix}` }
  await client.ok("CreateQueue", { queueName: names.dead })
  const policy = { deadLetterQueueName: names.dead, policy: 0, maxReceiveCount: 1 }
  for (const queueName of [names.orders, names.refunds]) {
    await client.ok("CreateQueue", { queueName, ...policy })
    for (let nth = queueName === names.orders ? 0 : 1; nth < 2; nth++) {
      await client.ok("SendMessage", { queueName, msgBody: `letter ${String(nth)}` })
      const { receiptHandle } = await client.ok("ReceiveMessage", { queueName })
      await client.ok("ChangeMessageVisibility", {
        queueName,
        receiptHandle: String(receiptHandle),
        visibilityTimeout: 0,
      })
    }
  }
  return names
}

test("dead letters are counted, moved to their sources, and the task is described", async () => {
  const { dead, orders, refunds } = await makeDeadLetters("a")
  expect(await opencmq(`queue redrive ${dead} --dry-run`)).toBe(`3 messages -> ${orders} (2), ${refunds} (1)\n`)
  expect(await json(`queue redrive ${dead} --dry-run --from ${refunds}`)).toMatchObject({
    moveCount: 1,
    targets: [{ queueName: refunds, count: 1 }],
  })
  await opencmq(`queue redrive status ${dead}`, 3)
  expect(await json(`queue redrive ${dead} --rate 50`)).toMatchObject({ state: "completed", movedCount: 3 })
  expect(await opencmq(`queue redrive status ${dead}`)).toMatch(/moved +3\n/)
  expect(await client.ok("GetQueueAttributes", { queueName: orders })).toMatchObject({ activeMsgNum: 2 })
  const again = await client.ok("ReceiveMessage", { queueName: refunds })
  expect(again).toMatchObject({ msgBody: "letter 1", dequeueCount: 1 })
  expect(again).not.toHaveProperty("deadLetterReason")
})

test("a redrive that goes on is cancelled; wrong targets are refused", async () => {
  const { dead, orders } = await makeDeadLetters("b")
  expect(await json(`queue redrive ${dead} --rate 1 --to ${orders} --no-wait`)).toMatchObject({ target: orders })
  await opencmq(`queue redrive ${dead}`, 1)
  expect(await json(`queue redrive cancel ${dead}`)).toMatchObject({ state: "cancelled", movedCount: 1 })
  await opencmq(`queue redrive cancel ${dead}`, 1)
  await opencmq(`queue redrive ${dead} --to ${dead}`, 2)
  await opencmq(`queue redrive ${dead} --rate 50001`, 2)
})

test("a search finds by text, attribute and id, says how far it looked and goes on there", async () => {
  await client.ok("CreateQueue", { queueName: "haystack" })
  const ids: string[] = []
  for (let nth = 0; nth < 30; nth++) {
    const isRed = nth % 10 === 3
    const attributes = isRed ? { "attribute.1.name": "colour", "attribute.1.value": `red ${String(nth)}` } : {}
    const msgBody = nth === 20 ? "a needle lies here" : `hay ${String(nth)}`
    const { msgId } = await client.ok("SendMessage", { queueName: "haystack", msgBody, ...attributes })
    ids.push(String(msgId))
  }
  const bodiesOf = (found: unknown) => (found as { messages: { body: string }[] }).messages.map(({ body }) => body)
  const first = await client.ok("SearchMessage", { queueName: "haystack", text: "needle", scanNum: 15 })
  expect(first).toMatchObject({ msgInfoList: [], scannedMsgNum: 15, nextSeq: 16 })
  const second = await client.ok("SearchMessage", { queueName: "haystack", text: "needle", scanNum: 15, startSeq: 16 })
  expect(second).toMatchObject({ msgInfoList: [{ msgId: ids[20], sequence: 21, state: "active" }], scannedMsgNum: 15 })
  expect(second).not.toHaveProperty("nextSeq")
  expect(bodiesOf(await json("message search haystack --attr colour --max 2"))).toEqual(["hay 3", "hay 13"])
  expect(await json("message search haystack --attr colour --max 2")).toMatchObject({ scannedCount: 14, nextSeq: 15 })
  expect(bodiesOf(await json("message search haystack --attr colour=red --text hay", 5))).toEqual([])
  expect(await json(`message search haystack --id ${ids[7] ?? ""}`)).toMatchObject({
    messages: [{ msgId: ids[7], body: "hay 7" }],
    scannedCount: 1,
  })
  await opencmq("message search haystack --id 7", 5)
  await opencmq("message search nowhere", 3)
})

test("a trace says where a message is, what happened to it, and where it was a dead letter", async () => {
  const { dead, orders } = await makeDeadLetters("c")
  const { msgList } = await client.ok("BatchSendMessage", { queueName: orders, msgBody: ["x", "yy", "zzz", "four"] })
  const msgId = (msgList as { msgId: string }[])[2]?.msgId ?? ""
  expect(await json(`message trace ${msgId}`)).toMatchObject({
    msgId,
    term: 1,
    bodySize: 3,
    places: [{ queueName: orders, state: "active", dequeueCount: 0, enqueueTime: expect.any(String) as string }],
  })
  const { msgInfoList } = await client.ok("PeekMessage", { queueName: dead })
  const letterId = (msgInfoList as { msgId: string }[])[0]?.msgId ?? ""
  expect(await opencmq(`message trace ${letterId}`)).toMatch(
    new RegExp(`${dead} +active .*${orders} \\(maxReceiveCount\\)`),
  )
  await client.ok("CreateTopic", { topicName: "news" })
  const hook = { topicName: "news", subscriptionName: "hook", protocol: "http", endpoint: "http://203.0.113.7/" }
  await client.ok("Subscribe", { ...hook, notifyContentFormat: "JSON" })
  const published = await client.ok("PublishMessage", { topicName: "news", msgBody: "told" })
  expect(await json(`message trace ${String(published["msgId"])}`)).toMatchObject({
    places: [{ topicName: "news", subscriptionName: "hook", state: "active" }],
  })
  await client.ok("ClearQueue", { queueName: orders })
  await opencmq(`message trace ${msgId}`, 3)
})
