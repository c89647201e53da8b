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

async function json(args: string): Promise<unknown> {
  return JSON.parse(await opencmq(`${args} --format json`))
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
