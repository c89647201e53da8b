/**
 * `opencmq dev`, which is what `npm start` runs: brokers as real processes on this computer, and a page of lines to copy.
 *
 * With `--json` it prints one event a line instead, and takes commands as lines on stdin:
 * `{"command":"start"|"stop"|"kill","node":1}` and `{"command":"shutdown"}`. Then tests and demos can break things.
 */
import { fileURLToPath } from "node:url"
import { createInterface } from "node:readline"
import { resolve } from "node:path"
import { DEFAULT_ENDPOINT } from "../options.ts"
import type { DevOptions } from "../options.ts"
import { LocalCluster } from "./local-cluster.ts"
import type { LocalNode } from "./local-cluster.ts"
import { PRODUCT_VERSION } from "./version.ts"

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
  | { readonly event: "stopped" }

/** Runs until Ctrl-C, SIGTERM, `shutdown`, or until no broker is left. @returns the exit code. */
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
      program: fileURLToPath(new URL("../main.js", import.meta.url)),
      extraArguments: ["--dev-mode", "--log-level", options.logLevel],
      environment: {
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
          this.#tell({ event: "exit", node, code, signal }, `node ${String(node)} ended (${String(signal ?? code)})`)
        },
      },
    })
  }

  async run(): Promise<number> {
    const ended = new Promise<number>((resolvePromise) => {
      this.#finish = resolvePromise
    })
    const stop = (): void => {
      void this.#stop(0)
    }
    process.on("SIGINT", stop)
    process.on("SIGTERM", stop)
    try {
      const leader = await this.#cluster.startAll()
      this.#isReady = true
      this.#tellReady(leader)
    } catch (error) {
      if (this.#stopping === undefined)
        process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
      await this.#stop(1)
    }
    if (this.#options.json) this.#takeCommands()
    return ended
  }

  #stop(code: number): Promise<void> {
    this.#stopping ??= this.#cluster.stopAll().then(() => {
      this.#tell({ event: "stopped" }, "stopped; the data is kept")
      this.#finish(code)
    })
    return this.#stopping
  }

  #takeCommands(): void {
    const lines = createInterface({ input: process.stdin })
    lines.on("line", (line) => {
      this.#command(line)
    })
  }

  #command(line: string): void {
    const { command, node } = parseCommand(line)
    if (command === "shutdown") void this.#stop(0)
    else if (command === "start") this.#cluster.start(node)
    else if (command === "stop") this.#cluster.signal(node, "SIGTERM")
    else if (command === "kill") this.#cluster.signal(node, "SIGKILL")
    else process.stderr.write(`not a command: ${line}\n`)
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
      return `  node ${String(node.id)}   http://${node.http}   grpc ${node.grpc}   ${mark}`.trimEnd()
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
      "Ctrl-C stops all nodes.",
    ].join("\n")
  }
}

function parseCommand(line: string): { readonly command: unknown; readonly node: number } {
  try {
    const value = JSON.parse(line) as { readonly command?: unknown; readonly node?: unknown } | null
    return { command: value?.command, node: typeof value?.node === "number" ? value.node : 0 }
  } catch {
    return { command: undefined, node: 0 }
  }
}
