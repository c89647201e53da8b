import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, test } from "vitest"
import { DevBrokers } from "./dev-brokers.ts"

/** Speaks the events and commands of `opencmq dev --json`; its one broker is a process that sleeps. */
const FAKE_DEV = `
import { spawn } from "node:child_process"
import { appendFileSync } from "node:fs"
import { createInterface } from "node:readline"
const say = (event) => console.log(JSON.stringify(event))
const log = process.argv[process.argv.indexOf("--data-dir") + 1] + "/commands"
let broker
const start = () => {
  broker = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"])
  broker.once("exit", () => { if (broker !== undefined) say({ event: "exit", node: 1 }) })
  return broker.pid
}
const pid = start()
console.log("a line for people")
say({ event: "ready", nodes: [{ id: 1, pid, http: "127.0.0.1:7070" }], leader: 1, secretId: "id", secretKey: "key" })
createInterface({ input: process.stdin }).on("line", (line) => {
  const { command } = JSON.parse(line)
  appendFileSync(log, command + "\\n")
  if (command === "start") say({ event: "started", node: 1, pid: start() })
  if (command === "shutdown") { const last = broker; broker = undefined; last.kill("SIGKILL"); process.exit(0) }
})
`

test("a killed broker is started again, and all are stopped at the end", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "fake-dev-"))
  const program = join(dataDir, "dev.mjs")
  await writeFile(program, FAKE_DEV)
  const brokers = await DevBrokers.start({ program, basePort: 1_024, dataDir })
  expect(brokers.ready).toEqual({
    nodes: [{ id: 1, endpoint: "http://127.0.0.1:7070" }],
    secretId: "id",
    secretKey: "key",
  })
  expect(brokers.kill("http://127.0.0.1:9999")).toBe(false)
  expect(brokers.kill("http://127.0.0.1:7070")).toBe(true)
  // It is as good as dead, though nobody has told so yet.
  expect(brokers.kill("http://127.0.0.1:7070")).toBe(false)
  expect(brokers.kills).toBe(1)
  const commands = () => readFile(join(dataDir, "commands"), "utf8").catch(() => "")
  while ((await commands()) !== "start\n") await new Promise((resolve) => setImmediate(resolve))
  // It can be killed again as soon as it is known to run.
  while (!brokers.kill("http://127.0.0.1:7070")) await new Promise((resolve) => setImmediate(resolve))
  while ((await commands()) !== "start\nstart\n") await new Promise((resolve) => setImmediate(resolve))
  expect(brokers.kills).toBe(2)
  await brokers.stop()
  await brokers.stop()
  expect(await commands()).toBe("start\nstart\nshutdown\n")
  await rm(dataDir, { recursive: true })
})

test("brokers that end before they are ready are an error", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "fake-dev-"))
  const program = join(dataDir, "dev.mjs")
  await writeFile(program, "process.exit(3)")
  await expect(DevBrokers.start({ program, basePort: 1_024, dataDir })).rejects.toThrow("code 3")
  await rm(dataDir, { recursive: true })
})
