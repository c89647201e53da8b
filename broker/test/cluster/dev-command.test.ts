// The contract of `opencmq dev --json`, on which demos and other people's tests stand; and how both commands refuse.
import { execFile, spawn } from "node:child_process"
import type { ChildProcessByStdio } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import type { Readable, Writable } from "node:stream"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { findFreePorts } from "@opencmq/bench/harness"
import { Account } from "@opencmq/client-sdk"
import { afterEach, beforeEach, expect, test } from "vitest"

type Event = Readonly<Record<string, unknown>> & { readonly event: string }
type ReadyNode = { readonly id: number; readonly pid: number; readonly http: string; readonly dataDir: string }

const program = fileURLToPath(new URL("../../dist/main.js", import.meta.url))

let folder = ""

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "opencmq-dev-"))
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

/** `opencmq dev --json` with its events, in a process group of its own as a shell gives it one. */
class DevProcess implements AsyncDisposable {
  readonly events: Event[] = []
  readonly ended: Promise<number | null>
  readonly #process: ChildProcessByStdio<Writable, Readable, null>

  constructor(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    this.#process = spawn(process.execPath, [program, "dev", "--json", "--data-dir", folder, ...args], {
      env: { PATH: process.env["PATH"], ...environment },
      stdio: ["pipe", "pipe", "ignore"],
      detached: true,
    })
    this.ended = new Promise((resolve) => this.#process.once("exit", resolve))
    createInterface({ input: this.#process.stdout }).on("line", (line) => this.events.push(JSON.parse(line) as Event))
  }

  async waitFor(isIt: (event: Event) => boolean): Promise<Event> {
    for (;;) {
      const found = this.events.find(isIt)
      if (found !== undefined) return found
      const { exitCode } = this.#process
      if (exitCode !== null) throw new Error(`dev ended with ${String(exitCode)}: ${JSON.stringify(this.events)}`)
      await sleep(20)
    }
  }

  command(name: string, node?: number): void {
    this.#process.stdin.write(`${JSON.stringify({ command: name, node })}\n`)
  }

  /** As the terminal does it: the whole group gets the signal. @returns the exit code. */
  pressCtrlC(): Promise<number | null> {
    if (this.#process.pid !== undefined) process.kill(-this.#process.pid, "SIGINT")
    return this.ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    this.#process.kill("SIGTERM")
    await this.ended
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test("dev --json starts three nodes, obeys its commands, and stops with exit code 0", async () => {
  // Nodes are 100 apart: the range must be free as a whole.
  const port = await findFreePorts(203)
  await using dev = new DevProcess(["--nodes", "3", "--base-port", String(port)])
  const ready = await dev.waitFor(() => dev.events.length > 0)
  expect(ready.event).toBe("ready")
  const nodes = ready["nodes"] as readonly ReadyNode[]
  expect(nodes.map(({ id, http }) => ({ id, http }))).toEqual(
    [0, 1, 2].map((index) => ({ id: index + 1, http: `127.0.0.1:${String(port + 100 * index)}` })),
  )
  expect(nodes.map(({ id }) => id)).toContain(ready["leader"])
  const account = new Account({
    endpoints: nodes.map(({ http }) => `http://${http}`),
    secretId: String(ready["secretId"]),
    secretKey: String(ready["secretKey"]),
  })
  const queue = await account.createQueue("dev")
  await queue.send("before")
  dev.command("kill", Number(ready["leader"]))
  const exit = await dev.waitFor(({ event }) => event === "exit")
  expect(exit).toMatchObject({ node: ready["leader"], signal: "SIGKILL" })
  await queue.send("after")
  expect((await queue.receive({ waitSeconds: 5 }))?.body).toBe("before")
  dev.command("start", Number(ready["leader"]))
  expect(await dev.waitFor(({ event }) => event === "started")).toMatchObject({ node: ready["leader"] })
  account.close()
  dev.command("shutdown")
  expect(await dev.ended).toBe(0)
})

test("dev --nodes 1: the documented event, keys of the environment, Ctrl-C, and data kept for the next start", async () => {
  const port = await findFreePorts(3)
  const args = ["--nodes", "1", "--base-port", String(port)]
  const [secretId, secretKey] = ["AKIDof-the-test", "key-of-the-test"]
  const keys = { OPENCMQ_SECRET_ID: secretId, OPENCMQ_SECRET_KEY: secretKey }
  const endpoints = [`http://127.0.0.1:${String(port)}`]
  await using first = new DevProcess(args, keys)
  const ready = await first.waitFor(() => first.events.length > 0)
  expect(ready).toEqual({
    event: "ready",
    nodes: [
      {
        id: 1,
        pid: expect.any(Number) as number,
        http: `127.0.0.1:${String(port)}`,
        grpc: `127.0.0.1:${String(port + 1)}`,
        peer: `127.0.0.1:${String(port + 2)}`,
        tcp: `127.0.0.1:${String(port + 3)}`,
        dataDir: join(folder, "node-1"),
      },
    ],
    leader: 1,
    secretId,
    secretKey,
  })
  const [{ pid = 0 } = {}] = ready["nodes"] as readonly ReadyNode[]
  expect(isAlive(pid)).toBe(true)
  const before = new Account({ endpoints, secretId, secretKey })
  await (await before.createQueue("kept")).send("over the stop")
  before.close()
  const stranger = new Account({
    endpoints,
    secretId: "AKIDopencmqdevelopment",
    secretKey: "opencmq-development-secret-key",
  })
  await expect(stranger.listQueues()).rejects.toMatchObject({ name: "authenticationFailed" })
  stranger.close()
  expect(await first.pressCtrlC()).toBe(0)
  // The node was stopped, it did not fall to the signal: then there would be an event `exit`.
  expect(first.events.map(({ event }) => event)).toEqual(["ready", "stopped"])
  expect(isAlive(pid)).toBe(false)

  await using second = new DevProcess(args, keys)
  await second.waitFor(({ event }) => event === "ready")
  const after = new Account({ endpoints, secretId, secretKey })
  expect((await after.queue("kept").receive({ waitSeconds: 5 }))?.body).toBe("over the stop")
  after.close()
  expect(await second.pressCtrlC()).toBe(0)
})

interface Refusal {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

function run(...args: readonly string[]): Promise<Refusal> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [program, ...args],
      { env: { PATH: process.env["PATH"] } },
      (_error, stdout, stderr) => {
        resolve({ code: child.exitCode, stdout, stderr })
      },
    )
  })
}

test("server and dev refuse what they do not know, with the word that may be meant, and start nothing", async () => {
  const file = join(folder, "opencmq.yaml")
  writeFileSync(file, "nodeId: 1\nhttpPrt: 7070\n")
  const [server, dev, config] = await Promise.all([
    run("server", "--dev-mode", "--nod-id", "1"),
    run("dev", "--nods", "1", "--data-dir", join(folder, "data")),
    run("server", "--dev-mode", "--config", file, "--data-dir", join(folder, "data")),
  ])
  expect(server).toMatchObject({ code: 2, stdout: "" })
  expect(server.stderr).toMatch(/^opencmq: unknown option '--nod-id'\n\(Did you mean --node-id\?\)$/m)
  expect(dev).toMatchObject({ code: 2, stdout: "" })
  expect(dev.stderr).toMatch(/^opencmq: unknown option '--nods'\n\(Did you mean --nodes\?\)$/m)
  expect(config).toMatchObject({ code: 2, stdout: "" })
  expect(config.stderr).toContain(`opencmq: httpPrt (${file}:2): unknown option; did you mean "httpPort"?`)
})
