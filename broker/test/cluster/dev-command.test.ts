// The contract of `opencmq dev --json`, on which demos and other people's tests stand.
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { findFreePorts } from "@opencmq/bench/harness"
import { Account } from "@opencmq/client-sdk"
import { expect, test } from "vitest"

type Event = Readonly<Record<string, unknown>> & { readonly event: string }
type ReadyNode = { readonly id: number; readonly pid: number; readonly http: string; readonly dataDir: string }

const program = fileURLToPath(new URL("../../dist/main.js", import.meta.url))

test("dev --json starts three nodes, obeys its commands, and stops with exit code 0", async () => {
  const folder = mkdtempSync(join(tmpdir(), "opencmq-dev-"))
  // Nodes are 100 apart: the range must be free as a whole.
  const port = await findFreePorts(203)
  const dev = spawn(
    process.execPath,
    [program, "dev", "--json", "--nodes", "3", "--base-port", String(port), "--data-dir", folder],
    { stdio: ["pipe", "pipe", "ignore"] },
  )
  const ended = new Promise<number | null>((resolve) => dev.once("exit", resolve))
  const events: Event[] = []
  createInterface({ input: dev.stdout }).on("line", (line) => events.push(JSON.parse(line) as Event))
  const waitFor = async (isIt: (event: Event) => boolean): Promise<Event> => {
    for (;;) {
      const found = events.find(isIt)
      if (found !== undefined) return found
      if (dev.exitCode !== null) throw new Error(`dev ended with ${String(dev.exitCode)}: ${JSON.stringify(events)}`)
      await sleep(20)
    }
  }
  const command = (name: string, node?: number): void => {
    dev.stdin.write(`${JSON.stringify({ command: name, node })}\n`)
  }
  try {
    const ready = await waitFor(() => events.length > 0)
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
    command("kill", Number(ready["leader"]))
    expect(await waitFor(({ event }) => event === "exit")).toMatchObject({ node: ready["leader"], signal: "SIGKILL" })
    await queue.send("after")
    expect((await queue.receive({ waitSeconds: 5 }))?.body).toBe("before")
    command("start", Number(ready["leader"]))
    expect(await waitFor(({ event }) => event === "started")).toMatchObject({ node: ready["leader"] })
    account.close()
    command("shutdown")
    expect(await ended).toBe(0)
  } finally {
    if (dev.exitCode === null && dev.signalCode === null) {
      dev.kill("SIGTERM")
      await ended
    }
    rmSync(folder, { recursive: true, force: true })
  }
})
