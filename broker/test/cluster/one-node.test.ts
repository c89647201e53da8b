/** What one real node shows to strangers: its gRPC port, the programs of the SDK's pages, and whose data it takes. */
import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { Client, credentials } from "@grpc/grpc-js"
import { LocalCluster } from "@opencmq/bench/harness"
import { Account } from "@opencmq/client-sdk"
import { service } from "grpc-health-check"
import { afterAll, beforeAll, expect, test } from "vitest"
import {
  EXAMPLES,
  README_BLOCKS,
  environmentOf,
  packageFolder,
  programOf,
} from "../../../client-sdk/test-support/examples.ts"

const run = promisify(execFile)

let cluster: LocalCluster

beforeAll(async () => {
  cluster = await LocalCluster.create({ nodeCount: 1 })
  await cluster.startAll()
})

afterAll(async () => {
  await cluster.dispose()
})

test("grpc.health.v1: the whole server is SERVING, another service is not known", async () => {
  const client = new Client(cluster.node(1).grpc, credentials.createInsecure())
  const { path, requestSerialize, responseDeserialize } = service["Check"] ?? expect.unreachable()
  const check = (name: string) =>
    new Promise<unknown>((resolve, reject) => {
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, { service: name }, (error, reply) => {
        if (error === null) resolve(reply)
        else reject(error)
      })
    })
  // It looks at its own readiness once a second.
  await expect.poll(() => check(""), { timeout: 10_000 }).toMatchObject({ status: "SERVING" })
  await expect(check("no.such.Service")).rejects.toMatchObject({ code: 5 })
  client.close()
})

test("the examples of the SDK and the programs of its README run against a real node", async () => {
  const brokers = { endpoints: cluster.endpoints, ...cluster.keys }
  const imports = EXAMPLES.map(({ path }) => `import(${JSON.stringify(path)})`)
  const all = `await Promise.all([${imports.join(", ")}])`
  const examples = run(
    process.execPath,
    ["--conditions=source", "--import", "tsx", "--input-type=module", "--eval", all],
    { cwd: packageFolder, env: environmentOf(brokers) },
  )
  const blocks = README_BLOCKS.map(async ({ code, line }) => {
    const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", programOf(code, brokers)], {
      cwd: packageFolder,
    })
    expect(stdout).toContain(line)
  })
  const [{ stdout }] = await Promise.all([examples, ...blocks])
  for (const { line } of EXAMPLES) expect(stdout).toContain(line)
})

test("a data directory of another cluster is refused in one line, and is as it was", async () => {
  const { dataDir } = cluster.node(1)
  const account = new Account({ endpoints: cluster.endpoints, ...cluster.keys })
  await (await account.createQueue("mine")).send("still there")
  await cluster.stop(1)
  const program = new URL("../../dist/main.js", import.meta.url).pathname
  const ports = ["--http-port", "0", "--grpc-port", "0", "--peer-port", "0"]
  const foreign = run(process.execPath, [
    ...[program, "server", "--dev-mode", "--cluster-id", "foreign", "--data-dir", dataDir],
    ...["--log-format", "json", ...ports],
  ])
  await expect(foreign).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/the broker could not start: data directory .*local.*foreign/) as string,
  })
  cluster.start(1)
  await cluster.waitReady(1)
  expect((await account.queue("mine").receive({ waitSeconds: 5 }))?.body).toBe("still there")
  account.close()
})
