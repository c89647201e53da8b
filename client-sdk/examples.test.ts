import { execFile } from "node:child_process"
import { readdirSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { expect, test } from "vitest"
import { ScriptedServer } from "./test-support/scripted-server.ts"

const run = promisify(execFile)
const folder = fileURLToPath(new URL("examples/", import.meta.url))
const examples = readdirSync(folder).filter((name) => name.endsWith(".ts") && name !== "connection.ts")

/** What each example says, so that one that does nothing does not pass. */
const lines: Readonly<Record<string, string>> = {
  "send-receive.ts": 'received "three apples", attributes: [["content-type","text/plain"]]',
  "consumer.ts": "deleted: 50",
  "delayed.ts": "after a second: drink some water",
  "dead-letter.ts": "from example-payments: maxReceiveCount after 2 receives",
  "fail-over.ts": "same message: true",
}

test.for(examples)("the example %s runs", { timeout: 60_000 }, async (name) => {
  await using server = await ScriptedServer.start({ nodes: 3, namesLeader: true })
  const { stdout } = await run(process.execPath, ["--conditions=source", "--import", "tsx", `${folder}${name}`], {
    env: {
      PATH: process.env["PATH"],
      OPENCMQ_ENDPOINTS: server.endpoints.join(","),
      OPENCMQ_SECRET_ID: server.secretId,
      OPENCMQ_SECRET_KEY: server.secretKey,
    },
  })
  expect(stdout).toContain(lines[name] ?? "this example has no line in the test")
})
