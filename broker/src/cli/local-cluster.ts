/**
 * Broker processes on this computer, for `opencmq dev`: starts them, listens to what they report, stops them cleanly.
 *
 * It never restarts a node by itself: who watches a fail-over wants to see one.
 */
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { join } from "node:path"
import { CliFailure } from "./failure.ts"

export interface LocalNode {
  readonly id: number
  readonly http: string
  readonly grpc: string
  readonly peer: string
  readonly tcp: string
  readonly dataDir: string
}

/** What a broker process tells its parent over the IPC channel. */
export type NodeReport =
  | { readonly kind: "ready"; readonly leaderId: number }
  /** Up, and not ready for this reason. */
  | { readonly kind: "waiting"; readonly reason: string }
  /** It ends now, and the operator can do something about it. */
  | { readonly kind: "failed"; readonly text: string }

export interface LocalClusterEvents {
  /** A node says why it ends; `exited` follows. */
  failed(nodeId: number, text: string): void
  exited(nodeId: number, how: { readonly code: number | null; readonly signal: NodeJS.Signals | null }): void
  started(nodeId: number, pid: number): void
}

export interface LocalClusterOptions {
  readonly nodeCount: number
  readonly basePort: number
  readonly dataDir: string
  readonly clusterId: string
  /** Path of the program that understands `server`. */
  readonly program: string
  /** Given to every node behind the ones made here. */
  readonly extraArguments: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly events: LocalClusterEvents
}

const HOST = "127.0.0.1"
const PORTS_BETWEEN_NODES = 100

interface ReadyWaiter {
  resolve(leaderId: number): void
  reject(error: Error): void
}

export class LocalCluster {
  readonly nodes: readonly LocalNode[]
  readonly #options: LocalClusterOptions
  readonly #children = new Map<number, ChildProcess>()
  readonly #readyWaiters = new Map<number, ReadyWaiter>()
  /** What the nodes that are not ready wait for, as they say. */
  readonly #waiting = new Map<number, string>()
  #stopping = false

  constructor(options: LocalClusterOptions) {
    this.#options = options
    this.nodes = Array.from({ length: options.nodeCount }, (_, i) => {
      const port = options.basePort + PORTS_BETWEEN_NODES * i
      return {
        id: i + 1,
        http: `${HOST}:${String(port)}`,
        grpc: `${HOST}:${String(port + 1)}`,
        peer: `${HOST}:${String(port + 2)}`,
        tcp: `${HOST}:${String(port + 3)}`,
        dataDir: join(options.dataDir, `node-${String(i + 1)}`),
      }
    })
  }

  pidOf(nodeId: number): number | undefined {
    return this.#children.get(nodeId)?.pid
  }

  get runningCount(): number {
    return this.#children.size
  }

  /** The nodes that `startAll` waits for, with the reasons they give. */
  get notReady(): readonly string[] {
    return [...this.#waiting].map(([nodeId, reason]) => `node ${String(nodeId)} (${reason})`)
  }

  /** Starts every node; resolves with the leader's id when all are ready, rejects when one ends before that. */
  async startAll(): Promise<number> {
    const leaders = await Promise.all(this.nodes.map((node) => this.#startAndAwaitReady(node)))
    return leaders.at(-1) ?? 0
  }

  /** Starts one node; false when it is running. */
  start(nodeId: number): boolean {
    const node = this.nodes.find((each) => each.id === nodeId)
    if (node === undefined || this.#children.has(nodeId)) return false
    this.#spawn(node)
    return true
  }

  /** False when it is not running. */
  signal(nodeId: number, signal: NodeJS.Signals): boolean {
    return this.#children.get(nodeId)?.kill(signal) ?? false
  }

  /** Stops one node after the other, so that the lead is handed over as long as there is an heir. */
  async stopAll(): Promise<void> {
    this.#stopping = true
    for (const [nodeId, child] of [...this.#children]) {
      const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()))
      if (this.signal(nodeId, "SIGTERM")) await ended
    }
  }

  #startAndAwaitReady(node: LocalNode): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#waiting.set(node.id, "it has said nothing yet")
      this.#readyWaiters.set(node.id, { resolve, reject })
      const child = this.#spawn(node)
      child.once("error", reject)
      child.once("exit", (code, signal) => {
        reject(
          new Error(`node ${String(node.id)} ended before it was ready (${String(signal ?? code)}); its log says why`),
        )
      })
    })
  }

  #hear(nodeId: number, report: NodeReport): void {
    const waiter = this.#readyWaiters.get(nodeId)
    if (report.kind === "waiting") {
      if (this.#waiting.has(nodeId)) this.#waiting.set(nodeId, report.reason)
    } else if (report.kind === "ready") {
      this.#waiting.delete(nodeId)
      waiter?.resolve(report.leaderId)
    } else {
      waiter?.reject(new CliFailure("failure", `node ${String(nodeId)}: ${report.text}`))
      this.#options.events.failed(nodeId, report.text)
    }
  }

  #spawn(node: LocalNode): ChildProcess {
    const { program, environment, events, extraArguments } = this.#options
    // Node's own flags, too: without a build this process runs the sources.
    const nodeArguments = [...process.execArgv, program, "server", ...this.#argumentsOf(node), ...extraArguments]
    const child = spawn(process.execPath, nodeArguments, {
      env: environment,
      stdio: ["ignore", "ignore", "inherit", "ipc"],
      // Ctrl-C reaches the whole group of the terminal; only this process shall act on it.
      detached: true,
    })
    this.#children.set(node.id, child)
    child.on("message", (report: NodeReport) => {
      this.#hear(node.id, report)
    })
    child.once("spawn", () => {
      events.started(node.id, child.pid ?? 0)
    })
    child.once("exit", (code, signal) => {
      this.#children.delete(node.id)
      if (!this.#stopping) events.exited(node.id, { code, signal })
    })
    return child
  }

  #argumentsOf(node: LocalNode): string[] {
    const { clusterId, nodeCount } = this.#options
    const peers = this.nodes.map((each) => `${String(each.id)}=${each.peer}`).join(",")
    const portOf = (address: string): string => address.slice(address.lastIndexOf(":") + 1)
    return [
      "--node-id",
      String(node.id),
      "--cluster-id",
      clusterId,
      "--data-dir",
      node.dataDir,
      "--http-port",
      portOf(node.http),
      "--grpc-port",
      portOf(node.grpc),
      "--peer-port",
      portOf(node.peer),
      "--tcp-port",
      portOf(node.tcp),
      ...(nodeCount > 1 ? ["--peers", peers] : []),
    ]
  }
}
