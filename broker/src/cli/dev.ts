/**
 * `opencmq dev`, which is what `npm start` runs: brokers as real processes on this computer, and a page of lines to copy.
 *
 * With `--json` it prints one event a line instead. Both take commands as lines on stdin, to break things and to repair
 * them: dev-command.ts.
 */
import { fileURLToPath } from "node:url"
import { createInterface } from "node:readline"
import { extname, resolve } from "node:path"
import { DEFAULT_ENDPOINT } from "../options.ts"
import type { DevOptions } from "../options.ts"
import { isForeground, isStdinPipe, parseDevCommand } from "./dev-command.ts"
import { checkDevData, claimDevData } from "./dev-data.ts"
import { CliFailure } from "./failure.ts"
import { LocalCluster } from "./local-cluster.ts"
import type { LocalNode } from "./local-cluster.ts"
import { checkListen } from "./start-failure.ts"
import type { ListenAddress } from "./start-failure.ts"
import { PRODUCT_VERSION } from "./version.ts"

/** Subscribers of a developer are on the same computer. */
const PUSH_ALLOWED = "127.0.0.0/8,::1"
const CLUSTER_ID = "opencmq-dev"

type DevEvent =
  | {
      readonly event: "ready"
      readonly nodes: readonly (LocalNode & { readonly pid: number })[]
      readonly leader: number
      readonly secretId: string
      readonly secretKey: string
    }
  | { readonly event: "exit"; readonly node: number; readonly code: number | null; readonly signal: string | null }
  | { readonly event: "started"; readonly node: number; readonly pid: number }
  | { readonly event: "refused"; readonly reason: string }
  | { readonly event: "stopped" }

/** After so long the user is told what is waited for. */
const SLOW_START_MS = 15_000

/** Runs until Ctrl-C, SIGTERM or `quit`. @returns the exit code. @throws CliFailure when it cannot start. */
export async function runDev(options: DevOptions): Promise<number> {
  const session = new DevSession(options)
  return session.run()
}

class DevSession {
  readonly #options: DevOptions
  readonly #cluster: LocalCluster
  #isReady = false
  #stopping: Promise<void> | undefined
  #finish: (code: number) => void = () => undefined

  constructor(options: DevOptions) {
    this.#options = options
    this.#cluster = new LocalCluster({
      nodeCount: options.nodes,
      basePort: options.basePort,
      dataDir: resolve(options.dataDir),
      clusterId: CLUSTER_ID,
      program: fileURLToPath(new URL(`../main${extname(import.meta.url)}`, import.meta.url)),
      extraArguments: ["--dev-mode", "--log-level", options.logLevel, "--push-allow", PUSH_ALLOWED],
      environment: {
        // As in the image (ADR 0017).
        MALLOC_ARENA_MAX: "1",
        ...options.environment,
        OPENCMQ_SECRET_ID: options.secretId,
        OPENCMQ_SECRET_KEY: options.secretKey,
      },
      events: {
        started: (node, pid) => {
          if (this.#isReady)
            this.#tell({ event: "started", node, pid }, `node ${String(node)} started (pid ${String(pid)})`)
        },
        exited: (node, { code, signal }) => {
          const text = `node ${String(node)} ended (${String(signal ?? code)})`
          // Before that the failure to start is what is told.
          if (this.#isReady) this.#tell({ event: "exit", node, code, signal }, text)
        },
        failed: (node, text) => {
          if (this.#isReady) process.stderr.write(`opencmq: node ${String(node)}: ${text}\n`)
        },
      },
    })
  }

  async run(): Promise<number> {
    const { dataDir, nodes, basePort } = this.#options
    checkDevData(dataDir, nodes)
    await checkListen(this.#addresses(), `--base-port ${String(basePort === 17_070 ? 27_070 : 17_070)}`)
    claimDevData(dataDir, nodes)
    const ended = new Promise<number>((resolvePromise) => {
      this.#finish = resolvePromise
    })
    const stop = (): void => {
      void this.#stop()
    }
    process.on("SIGINT", stop)
    process.on("SIGTERM", stop)
    try {
      const leader = await this.#startAll()
      this.#isReady = true
      this.#tellReady(leader)
      this.#takeCommands()
    } catch (error) {
      // Told to stop meanwhile: that the nodes ended is no news.
      if (this.#stopping !== undefined) return ended
      await this.#cluster.stopAll()
      throw error instanceof Error ? new CliFailure("failure", error.message) : error
    }
    return ended
  }

  async #startAll(): Promise<number> {
    const slow = setTimeout(() => {
      const seconds = String(SLOW_START_MS / 1_000)
      process.stderr.write(`opencmq: not ready after ${seconds} s; waiting for ${this.#cluster.notReady.join(", ")}\n`)
    }, SLOW_START_MS)
    try {
      return await this.#cluster.startAll()
    } finally {
      clearTimeout(slow)
    }
  }

  #addresses(): ListenAddress[] {
    return this.#cluster.nodes.flatMap((node) =>
      (["http", "grpc", "peer", "tcp"] as const).map((kind) => {
        const { hostname, port } = new URL(`tcp://${node[kind]}`)
        return { what: `${kind} port of node ${String(node.id)}`, host: hostname, port: Number(port) }
      }),
    )
  }

  #stop(): Promise<void> {
    this.#stopping ??= this.#cluster.stopAll().then(() => {
      this.#tell({ event: "stopped" }, "stopped; the data is kept")
      this.#finish(0)
    })
    return this.#stopping
  }

  /** From a program always, from a person when there is one. */
  #takeCommands(): void {
    const { json } = this.#options
    if (!json && !(process.stdin.isTTY && isForeground())) return
    const lines = createInterface({ input: process.stdin, terminal: false })
    let count = 0
    lines.on("line", (line) => {
      count += 1
      if (json || line.trim() !== "") this.#command(line)
    })
    lines.on("close", () => {
      // Whoever gave commands and is gone gives no more. Many start this with a stdin that ends at once: that is no order.
      if (json && count > 0 && isStdinPipe()) void this.#stop()
    })
  }

  #command(line: string): void {
    const command = parseDevCommand(line, this.#options.json)
    if (command.name === "quit") void this.#stop()
    else if (command.name === "refused") this.#refuse(command.reason)
    else this.#change(command.name, command.node)
  }

  #change(what: "start" | "stop" | "kill", node: number): void {
    const { nodes } = this.#cluster
    const pid = this.#cluster.pidOf(node)
    if (this.#stopping !== undefined) this.#refuse("everything is being stopped")
    else if (!nodes.some(({ id }) => id === node)) {
      const ids = nodes.map(({ id }) => String(id)).join(", ")
      this.#refuse(`there is no node ${String(node)}; nodes: ${ids}`)
    } else if (what === "start") {
      if (!this.#cluster.start(node)) this.#refuse(`node ${String(node)} is running (pid ${String(pid)})`)
    } else if (!this.#cluster.signal(node, what === "stop" ? "SIGTERM" : "SIGKILL")) {
      this.#refuse(`node ${String(node)} is not running`)
    }
  }

  #refuse(reason: string): void {
    this.#tell({ event: "refused", reason }, reason)
  }

  #tell(event: DevEvent, text: string): void {
    process.stdout.write(this.#options.json ? `${JSON.stringify(event)}\n` : `${text}\n`)
  }

  #tellReady(leader: number): void {
    const { secretId, secretKey } = this.#options
    const nodes = this.#cluster.nodes.map((node) => ({ ...node, pid: this.#cluster.pidOf(node.id) ?? 0 }))
    this.#tell({ event: "ready", nodes, leader, secretId, secretKey }, this.#welcome(leader))
  }

  #welcome(leader: number): string {
    const { secretId, secretKey } = this.#options
    const rows = this.#cluster.nodes.map((node) => {
      const mark = node.id === leader ? "leader" : ""
      const pid = String(this.#cluster.pidOf(node.id) ?? "-")
      return `  node ${String(node.id)}   http://${node.http}   grpc ${node.grpc}   peers ${node.peer}   pid ${pid}   ${mark}`.trimEnd()
    })
    const first = this.#cluster.nodes[0]?.http ?? ""
    // The commands look at the default address by themselves.
    const there = `http://${first}` === DEFAULT_ENDPOINT ? "" : ` --endpoint http://${first}`
    return [
      `opencmq ${PRODUCT_VERSION}   development mode, NOT FOR PRODUCTION   data in ${this.#options.dataDir}`,
      ...rows,
      `  metrics  http://${first}/metrics`,
      `  key pair ${secretId} / ${secretKey}`,
      "",
      "try, in another terminal:",
      `  npx opencmq queue create hello${there}`,
      `  npx opencmq send hello "hi"${there}`,
      `  npx opencmq receive hello --ack${there}`,
      "",
      ...(process.stdin.isTTY ? ["here: kill 2, stop 2, start 2, quit"] : []),
      "Ctrl-C stops all nodes.",
    ].join("\n")
  }
}
