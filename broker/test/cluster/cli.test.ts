/** The program `opencmq` as a person or a script runs it, against a real broker. Its words in full: src/cli/program.test.ts. */
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { LocalCluster } from "@opencmq/bench/harness"
import { afterAll, beforeAll, expect, test } from "vitest"

interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

type Environment = Readonly<Record<string, string>>

const program = fileURLToPath(new URL("../../dist/main.js", import.meta.url))

let cluster: LocalCluster

beforeAll(async () => {
  cluster = await LocalCluster.create({ nodeCount: 1 })
  await cluster.startAll()
})

afterAll(async () => {
  await cluster.dispose()
})

function opencmq(args: readonly string[], environment: Environment = {}): Promise<Outcome> {
  const { secretId, secretKey } = cluster.keys
  const own = {
    PATH: process.env["PATH"],
    OPENCMQ_ENDPOINTS: cluster.endpoints.join(","),
    OPENCMQ_SECRET_ID: secretId,
    OPENCMQ_SECRET_KEY: secretKey,
  }
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [program, ...args],
      { env: { ...own, ...environment } },
      (_error, stdout, stderr) => {
        resolve({ code: child.exitCode ?? -1, stdout, stderr })
      },
    )
    child.stdin?.end()
  })
}

async function succeeds(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await opencmq(args)
  expect(code, `${args.join(" ")}: ${stderr}`).toBe(0)
  return stdout
}

async function json(...args: readonly string[]): Promise<unknown> {
  return JSON.parse(await succeeds(...args, "--format", "json"))
}

test("a queue lives from create to rm, its messages from send to ack, in both formats", async () => {
  expect(await succeeds("queue", "create", "orders", "--visibility", "2m")).toBe("created queue orders\n")
  expect(await succeeds("send", "orders", "你好, first")).toMatch(/^sent \d+ to orders\n$/)
  const sent = (await json("send", "orders", "second", "--attr", "kind=new")) as { readonly msgIds: readonly string[] }

  const [peeked, peekedJson, shown, shownJson] = await Promise.all([
    succeeds("peek", "orders"),
    json("peek", "orders"),
    succeeds("queue", "show", "orders"),
    json("queue", "show", "orders"),
  ])
  expect(peeked).toMatch(/^MESSAGE +AGE +RECEIVED +HIDDEN FOR +BODY\n\d+ .* 你好, first\n\d+ .* second\n$/)
  expect(peekedJson).toMatchObject({
    messages: [
      { body: "你好, first", dequeueCount: 0 },
      { body: "second", dequeueCount: 0, msgId: sent.msgIds[0] ?? "none" },
    ],
  })
  expect(shown).toMatch(/^active +2$/m)
  expect(shown).toMatch(/^visibility timeout +2m$/m)
  expect(shownJson).toMatchObject({ queueName: "orders", activeMsgNum: 2, visibilityTimeoutSeconds: 120 })

  const [first] = (await json("receive", "orders")) as { readonly body: string; readonly receiptHandle: string }[]
  expect(first?.body).toBe("你好, first")
  const second = await opencmq(["receive", "orders", "--ack"])
  expect(second).toMatchObject({ code: 0, stderr: "deleted 1\n" })
  expect(second.stdout).toMatch(/^\d+ {2}sent 20.*Z {2}received 1x {2}handle \d+\nkind: new\nsecond\n$/)
  expect(await json("queue", "show", "orders")).toMatchObject({ activeMsgNum: 0, inactiveMsgNum: 1 })
  expect(await succeeds("delete", "orders", first?.receiptHandle ?? "")).toBe("deleted 1 of 1\n")
  const [again, empty] = await Promise.all([
    opencmq(["delete", "orders", first?.receiptHandle ?? "", "--format", "json"]),
    opencmq(["receive", "orders", "--wait", "0s"]),
  ])
  expect(again.code).toBe(3)
  expect(JSON.parse(again.stderr)).toMatchObject({ error: { name: "receiptHandleInvalid", code: 4430 } })
  expect(empty).toEqual({ code: 5, stdout: "", stderr: "no message in orders\n" })

  expect((await opencmq(["queue", "rm", "orders"])).code).toBe(2)
  expect(await succeeds("queue", "rm", "orders", "--yes")).toBe("deleted queue orders\n")
  expect(await opencmq(["queue", "show", "orders"])).toMatchObject({
    code: 3,
    stdout: "",
    stderr: expect.stringMatching(/^opencmq: queue "orders": .*\(queueNotFound, 4440\/10100\)$/m) as string,
  })
})

test("cluster status and healthcheck tell of a real node; a wrong key is not let in", async () => {
  const [table, status, health, stranger] = await Promise.all([
    succeeds("cluster", "status"),
    json("cluster", "status"),
    succeeds("healthcheck"),
    opencmq(["cluster", "status"], { OPENCMQ_SECRET_KEY: "not-the-key" }),
  ])
  expect(table).toMatch(/^cluster id +local$/m)
  expect(table).toMatch(/^leader id +1$/m)
  expect(table).toMatch(/^NODE ID .*ROLE.*\n +1 .*leader/m)
  expect(status).toMatchObject({ clusterId: "local", leaderId: 1, nodes: [{ nodeId: 1, role: "leader" }] })
  expect(health).toBe(`ready: ${cluster.node(1).endpoint}\n`)
  expect(stranger).toMatchObject({ code: 4, stdout: "" })
})
