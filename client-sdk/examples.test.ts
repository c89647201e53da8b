import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { expect, test } from "vitest"
import { connection } from "./examples/connection.ts"
import { EXAMPLES, README_BLOCKS, environmentOf, packageFolder, programOf } from "./test-support/examples.ts"
import { ScriptedServer } from "./test-support/scripted-server.ts"

const run = promisify(execFile)

test("there are as many programs as the tests know", () => {
  expect(EXAMPLES).toHaveLength(5)
  expect(README_BLOCKS).toHaveLength(2)
})

test.for(EXAMPLES)("the example $name runs", { timeout: 60_000 }, async ({ path, line }) => {
  await using server = await ScriptedServer.start({ nodes: 3, namesLeader: true })
  const { stdout } = await run(process.execPath, ["--conditions=source", "--import", "tsx", path], {
    env: environmentOf(server),
  })
  expect(stdout).toContain(line)
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

test.for(README_BLOCKS)(
  "the README's block that says $line runs as it stands",
  { timeout: 60_000 },
  async ({ code, line }) => {
    await using server = await ScriptedServer.start({ nodes: 3, namesLeader: true })
    const program = programOf(code, server)
    const { stdout } = await run(
      process.execPath,
      ["--conditions=source", "--import", "tsx", "--input-type=module", "--eval", program],
      { cwd: packageFolder },
    )
    expect(stdout).toContain(line)
  },
)
