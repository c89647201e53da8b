/**
 * Broker processes on this computer that a measurement or a test may kill: starts `opencmq server` once a node, with
 * free ports, data in one folder and a log file each. Signals go to the pids started here, and to no others.
 *
 * It never restarts a node by itself.
 */
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs"
import { get } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { askStatus } from "./cluster-status.ts"
import type { ClusterView } from "./cluster-status.ts"
import { findFreePorts } from "./free-ports.ts"
import { PeerProxies } from "./peer-proxies.ts"

const HOST = "127.0.0.1"
const PORTS_PER_NODE = 4
const READY_POLL_MS = 20
const STATUS_TIMEOUT_MS = 400
/** Far more than a start takes, also on a computer that is busy with other things. */
const START_TIMEOUT_MS = 60_000

/** The key pair that `--dev-mode` serves with; it is public. */
const DEVELOPMENT_KEYS = { secretId: "AKIDopencmqdevelopment", secretKey: "opencmq-development-secret-key" } as const

export interface LocalNode {
  readonly id: number
  /** `127.0.0.1:port`. */
  readonly http: string
  readonly grpc: string
  readonly peer: string
  /** `http://127.0.0.1:port`. */
  readonly endpoint: string
  readonly dataDir: string
  readonly logFile: string
}

/** How a process ended. */
export interface NodeExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface LocalClusterOptions {
  /** Default 3. */
  readonly nodeCount?: number
  /** Default: a new folder below the system's temporary one. */
  readonly folder?: string
  /** Given to every node, behind the flags made here: `["--segment-bytes", "1048576"]`. */
  readonly extraArguments?: readonly string[]
  /** Peers talk through proxies of this process, which `cut` can silence. Default false. */
  readonly hasProxies?: boolean
  /** The program that understands `server`. Default: broker/dist/main.js beside this package. */
  readonly program?: string
}

type Child = { readonly process: ChildProcess; readonly ended: Promise<NodeExit> }

const everyChild = new Set<ChildProcess>()
let hasExitListener = false

/** Brokers must not outlive the program that started them to be killed. */
function killOnExit(child: ChildProcess): void {
  everyChild.add(child)
  child.once("exit", () => everyChild.delete(child))
  if (hasExitListener) return
  hasExitListener = true
  process.on("exit", () => {
    for (const each of everyChild) each.kill("SIGKILL")
  })
}

export class LocalCluster {
  readonly folder: string
  readonly nodes: readonly LocalNode[]
  readonly keys = DEVELOPMENT_KEYS
  readonly proxies: PeerProxies | undefined
  /** Every end of a node that was not waited for by `stop` or `kill`. */
  readonly unexpectedExits: { readonly nodeId: number; readonly exit: NodeExit }[] = []
  readonly #program: string
  readonly #extraArguments: readonly string[]
  readonly #children = new Map<number, Child>()
  readonly #expected = new Set<number>()

  private constructor(options: LocalClusterOptions, firstPort: number) {
    this.folder = options.folder ?? mkdtempSync(join(tmpdir(), "opencmq-"))
    this.#program = options.program ?? fileURLToPath(new URL("../../broker/dist/main.js", import.meta.url))
    this.#extraArguments = options.extraArguments ?? []
    this.nodes = Array.from({ length: options.nodeCount ?? 3 }, (_, index) => {
      const port = firstPort + PORTS_PER_NODE * index
      const http = `${HOST}:${String(port)}`
      return {
        id: index + 1,
        http,
        grpc: `${HOST}:${String(port + 1)}`,
        peer: `${HOST}:${String(port + 2)}`,
        endpoint: `http://${http}`,
        dataDir: join(this.folder, `node-${String(index + 1)}`),
        logFile: join(this.folder, `node-${String(index + 1)}.log`),
      }
    })
    if (options.hasProxies === true) this.proxies = new PeerProxies(this.nodes)
  }

  /** Chooses ports and folder; starts nothing but the proxies. */
  static async create(options: LocalClusterOptions = {}): Promise<LocalCluster> {
    const firstPort = await findFreePorts((options.nodeCount ?? 3) * PORTS_PER_NODE)
    const cluster = new LocalCluster(options, firstPort)
    mkdirSync(cluster.folder, { recursive: true })
    await cluster.proxies?.listen()
    return cluster
  }

  get endpoints(): readonly string[] {
    return this.nodes.map(({ endpoint }) => endpoint)
  }

  node(nodeId: number): LocalNode {
    const node = this.nodes.find(({ id }) => id === nodeId)
    if (node === undefined) throw new Error(`there is no node ${String(nodeId)}`)
    return node
  }

  /** Of the processes that run. */
  get pids(): readonly number[] {
    return this.nodes.map(({ id }) => this.pidOf(id)).filter((pid) => pid !== undefined)
  }

  /** Undefined when it is not running. */
  pidOf(nodeId: number): number | undefined {
    return this.#children.get(nodeId)?.process.pid
  }

  get runningIds(): readonly number[] {
    return [...this.#children.keys()].toSorted((a, b) => a - b)
  }

  // --- Starting -----------------------------------------------------------------------------------------

  /** Starts every node and waits until all are ready. */
  async startAll(timeoutMs = START_TIMEOUT_MS): Promise<void> {
    for (const { id } of this.nodes) this.start(id)
    await Promise.all(this.nodes.map(({ id }) => this.waitReady(id, timeoutMs)))
  }

  /** Starts a node, without waiting for it. @param extraArguments - for this start only. */
  start(nodeId: number, extraArguments: readonly string[] = []): void {
    if (this.#children.has(nodeId)) throw new Error(`node ${String(nodeId)} is running already`)
    const node = this.node(nodeId)
    const logFile = openSync(node.logFile, "a")
    const flags = [...this.#flagsOf(node), ...this.#extraArguments, ...extraArguments]
    const child = spawn(process.execPath, [this.#program, "server", ...flags], {
      // As the image and `opencmq dev` have it (ADR 0017).
      // eslint-disable-next-line no-restricted-properties -- handed on, not read.
      env: { MALLOC_ARENA_MAX: "1", ...process.env },
      // A broker stops when its parent's channel breaks: even a killed test leaves none behind.
      stdio: ["ignore", logFile, logFile, "ipc"],
      // Ctrl-C reaches the whole group of the terminal; the nodes are stopped by this process alone.
      detached: true,
    })
    closeSync(logFile)
    killOnExit(child)
    const ended = new Promise<NodeExit>((resolve) => {
      child.once("error", () => {
        resolve({ code: null, signal: null })
      })
      child.once("exit", (code, signal) => {
        resolve({ code, signal })
      })
    })
    this.#children.set(nodeId, { process: child, ended })
    void ended.then((exit) => {
      this.#children.delete(nodeId)
      if (!this.#expected.delete(nodeId)) this.unexpectedExits.push({ nodeId, exit })
    })
  }

  #flagsOf(node: LocalNode): string[] {
    const portOf = (address: string): string => address.slice(address.lastIndexOf(":") + 1)
    const addressOf = (other: LocalNode): string =>
      other.id === node.id ? other.peer : (this.proxies?.addressOf(node.id, other.id) ?? other.peer)
    const peers = this.nodes.map((other) => `${String(other.id)}=${addressOf(other)}`).join(",")
    const values = [
      ["node-id", String(node.id)],
      ["cluster-id", "local"],
      ["data-dir", node.dataDir],
      ["http-port", portOf(node.http)],
      ["grpc-port", portOf(node.grpc)],
      ["peer-port", portOf(node.peer)],
      ["tcp-port", String(Number(portOf(node.http)) + 3)],
      ["log-format", "json"],
      ...(this.nodes.length > 1 ? [["peers", peers]] : []),
    ]
    return ["--dev-mode", ...values.flatMap(([name = "", value = ""]) => [`--${name}`, value])]
  }

  /** Waits until a node says that it serves. @throws when it ends before that, or does not get there in time. */
  async waitReady(nodeId: number, timeoutMs = START_TIMEOUT_MS): Promise<void> {
    const limitMs = performance.now() + timeoutMs
    while (performance.now() < limitMs) {
      if (!this.#children.has(nodeId)) throw new Error(`node ${String(nodeId)} ended: ${this.lastLines(nodeId, 3)}`)
      if (await this.isReady(nodeId)) return
      await sleep(READY_POLL_MS)
    }
    throw new Error(`node ${String(nodeId)} was not ready within ${String(timeoutMs)} ms: ${this.lastLines(nodeId, 5)}`)
  }

  /** Whether a node says now that it serves. */
  isReady(nodeId: number): Promise<boolean> {
    return isOk(`${this.node(nodeId).endpoint}/readyz`)
  }

  // --- Ending and pausing -------------------------------------------------------------------------------

  /** SIGKILL; resolves when the process is gone. */
  kill(nodeId: number): Promise<NodeExit> {
    return this.#end(nodeId, "SIGKILL")
  }

  /** SIGTERM; resolves when the process is gone. */
  stop(nodeId: number): Promise<NodeExit> {
    return this.#end(nodeId, "SIGTERM")
  }

  pause(nodeId: number): void {
    this.#children.get(nodeId)?.process.kill("SIGSTOP")
  }

  continue(nodeId: number): void {
    this.#children.get(nodeId)?.process.kill("SIGCONT")
  }

  /** The end of a node is awaited from here on, and no surprise. @returns how it ended, undefined when it did not. */
  async waitExit(nodeId: number, timeoutMs: number): Promise<NodeExit | undefined> {
    const child = this.#children.get(nodeId)
    if (child === undefined) return undefined
    this.#expected.add(nodeId)
    const limit = new AbortController()
    const late = sleep(timeoutMs, undefined, { signal: limit.signal }).catch(() => undefined)
    const exit = await Promise.race([child.ended, late])
    limit.abort()
    if (exit === undefined) this.#expected.delete(nodeId)
    return exit
  }

  async #end(nodeId: number, signal: NodeJS.Signals): Promise<NodeExit> {
    const child = this.#children.get(nodeId)
    if (child === undefined) return { code: null, signal: null }
    this.#expected.add(nodeId)
    child.process.kill(signal)
    return child.ended
  }

  /** Stops whatever runs; what does not stop in time is killed. Removes the folder unless it shall be kept. */
  async dispose(options: { readonly keep?: boolean; readonly timeoutMs?: number } = {}): Promise<void> {
    await Promise.all(
      this.runningIds.map(async (nodeId) => {
        this.continue(nodeId)
        const ended = this.stop(nodeId)
        const limit = new AbortController()
        const late = sleep(options.timeoutMs ?? 5_000, "late" as const, { signal: limit.signal }).catch(() => undefined)
        if ((await Promise.race([ended, late])) === "late") await this.kill(nodeId)
        limit.abort()
      }),
    )
    await this.proxies?.close()
    if (options.keep !== true) rmSync(this.folder, { recursive: true, force: true })
  }

  // --- Looking ------------------------------------------------------------------------------------------

  /** One node's view; undefined when it does not answer. */
  status(nodeId: number, timeoutMs = STATUS_TIMEOUT_MS): Promise<ClusterView | undefined> {
    return askStatus({ endpoint: this.node(nodeId).endpoint, ...this.keys }, timeoutMs)
  }

  /** The node that says of itself, in the highest term, that it leads; undefined when none does. */
  async findLeader(): Promise<number | undefined> {
    const views = await Promise.all(this.runningIds.map((nodeId) => this.status(nodeId)))
    let best: ClusterView | undefined
    for (const view of views) {
      if (view === undefined || view.leaderId !== view.nodeId) continue
      if (best === undefined || view.term > best.term) best = view
    }
    return best?.nodeId
  }

  async waitLeader(timeoutMs = 10_000): Promise<number> {
    const limitMs = performance.now() + timeoutMs
    while (performance.now() < limitMs) {
      const leader = await this.findLeader()
      if (leader !== undefined) return leader
      await sleep(READY_POLL_MS)
    }
    throw new Error(`nobody leads after ${String(timeoutMs)} ms`)
  }

  /** The end of a node's log. */
  lastLines(nodeId: number, count: number): string {
    try {
      return readFileSync(this.node(nodeId).logFile, "utf8").trimEnd().split("\n").slice(-count).join("\n")
    } catch (cause) {
      return `its log cannot be read (${String(cause)})`
    }
  }
}

/** Whether a GET is answered with 200, soon. */
function isOk(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get(url, { agent: false, timeout: STATUS_TIMEOUT_MS }, (reply) => {
      reply.resume()
      resolve(reply.statusCode === 200)
    })
    request.on("timeout", () => request.destroy())
    request.on("error", () => {
      resolve(false)
    })
  })
}
