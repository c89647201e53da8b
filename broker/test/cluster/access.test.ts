/** Key pairs on three real nodes, made and ended by the program: what they may do, everywhere, and where their secret is not. */
import { execFile } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { LocalCluster } from "@opencmq/bench/harness"
import { Account, CmqError } from "@opencmq/client-sdk"
import type { KeyEntry, NewKey } from "@opencmq/client-sdk"
import { afterAll, beforeAll, expect, test } from "vitest"

const program = fileURLToPath(new URL("../../dist/main.js", import.meta.url))
const PATIENCE = { timeout: 20_000 }

let cluster: LocalCluster
let living: readonly string[]

beforeAll(async () => {
  cluster = await LocalCluster.create({ nodeCount: 3 })
  await cluster.startAll()
  living = cluster.endpoints
})

afterAll(async () => {
  await cluster.dispose()
})

async function opencmq(...args: readonly string[]): Promise<unknown> {
  const { secretId, secretKey } = cluster.keys
  const env = {
    PATH: process.env["PATH"],
    OPENCMQ_ENDPOINTS: cluster.endpoints.join(","),
    OPENCMQ_SECRET_ID: secretId,
    OPENCMQ_SECRET_KEY: secretKey,
  }
  const { stdout } = await promisify(execFile)(process.execPath, [program, ...args, "--format", "json"], { env })
  return JSON.parse(stdout)
}

/** What a send with that key comes to at that node: `sent`, or the name of the refusal. */
async function sendAt(endpoint: string, key: NewKey, queueName: string): Promise<string> {
  const account = new Account({ ...key, endpoints: [endpoint], followUnknownLeaders: false })
  try {
    await account.queue(queueName).send("x")
    return "sent"
  } catch (thrown) {
    if (thrown instanceof CmqError) return thrown.name
    throw thrown
  } finally {
    account.close()
  }
}

async function everywhere(key: NewKey, queueName: string, what: string): Promise<void> {
  for (const endpoint of living) {
    // A node that follows may be a moment behind.
    await expect.poll(() => sendAt(endpoint, key, queueName), PATIENCE).toBe(what)
  }
}

/** Every byte below a folder, and what the node wrote to its log. */
function textsOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1"))
}

test("a key does what it may on every node, through a fail-over, until it is revoked; its secret is in no file", async () => {
  const operator = new Account({ endpoints: cluster.endpoints, ...cluster.keys })
  for (const queueName of ["orders", "other"]) await operator.createQueue(queueName)
  operator.close()
  const first = (await opencmq("key", "create", "shop", "--allow", "send:queue:ord*")) as NewKey
  await everywhere(first, "orders", "sent")
  await everywhere(first, "other", "permissionDenied")

  const killed = await cluster.waitLeader()
  await cluster.kill(killed)
  living = living.filter((endpoint) => endpoint !== cluster.node(killed).endpoint)
  await everywhere(first, "orders", "sent")

  const second = (await opencmq("key", "rotate", first.secretId)) as NewKey
  const listed = (await opencmq("key", "ls")) as KeyEntry[]
  expect(listed.map(({ secretId }) => secretId).toSorted()).toEqual([first.secretId, second.secretId].toSorted())
  expect(listed[0]).toMatchObject({ accountName: "shop", permissions: ["send:queue:ord*"] })
  await opencmq("key", "revoke", first.secretId, "--yes")
  await everywhere(first, "orders", "authenticationFailed")
  await everywhere(second, "orders", "sent")
  await everywhere(second, "other", "permissionDenied")

  const written = cluster.nodes.flatMap(({ dataDir, logFile }) => [
    ...textsOf(dataDir),
    readFileSync(logFile, "latin1"),
  ])
  // That the keys are there at all, and so were looked for in the right place.
  expect(written.some((text) => text.includes(second.secretId))).toBe(true)
  for (const { secretKey } of [first, second]) {
    expect(written.some((text) => text.includes(secretKey))).toBe(false)
  }
})
