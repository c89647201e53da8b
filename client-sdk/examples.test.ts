import { execFile } from "node:child_process"
import { readFileSync, readdirSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { expect, test } from "vitest"
import { connection } from "./examples/connection.ts"
import { ScriptedServer } from "./test-support/scripted-server.ts"

const run = promisify(execFile)
const packageFolder = fileURLToPath(new URL(".", import.meta.url))
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

test("examples use the broker of `npm start` and its public key pair unless they are told", () => {
  const development = {
    endpoints: ["http://127.0.0.1:7070"],
    secretId: "AKIDopencmqdevelopment",
    secretKey: "opencmq-development-secret-key",
  }
  expect(connection({})).toEqual(development)
  expect(connection({ OPENCMQ_ENDPOINTS: "", OPENCMQ_SECRET_ID: "", OPENCMQ_SECRET_KEY: "" })).toEqual(development)
  expect(
    connection({ OPENCMQ_ENDPOINTS: "http://a:1, http://b:2", OPENCMQ_SECRET_ID: "id", OPENCMQ_SECRET_KEY: "key" }),
  ).toEqual({ endpoints: ["http://a:1", "http://b:2"], secretId: "id", secretKey: "key" })
  expect(() => connection({ OPENCMQ_SECRET_ID: "id" })).toThrow("half a key pair")
})

/** The JavaScript blocks of the README, for which each must stand alone. */
function readmeBlocks(): readonly string[] {
  const readme = readFileSync(`${packageFolder}README.md`, "utf8")
  return Array.from(readme.matchAll(/^```[jt]s\n(.*?)^```$/gms), ([, code = ""]) => code)
}

/** What each block of the README says when it is run as it stands. */
const readmeLines = ["three apples", "queueNotFound notApplied"]

test("the README has as many blocks as the test knows", () => {
  expect(readmeBlocks()).toHaveLength(readmeLines.length)
})

test.for(readmeLines.map((line, index) => [line, index] as const))(
  "the README's block that says %j runs as it stands",
  { timeout: 60_000 },
  async ([line, index]) => {
    await using server = await ScriptedServer.start({ nodes: 3, namesLeader: true })
    const { secretId, secretKey } = connection({})
    const code = (readmeBlocks()[index] ?? "")
      // The brokers and keys of the test in place of those of `npm start`; nothing else is changed.
      .replace(/endpoints: \[.*?\]/, `endpoints: ${JSON.stringify(server.endpoints)}`)
      .replace(secretId, server.secretId)
      .replace(secretKey, server.secretKey)
    const { stdout } = await run(
      process.execPath,
      ["--conditions=source", "--import", "tsx", "--input-type=module", "--eval", code],
      { cwd: packageFolder },
    )
    expect(stdout).toContain(line)
  },
)
