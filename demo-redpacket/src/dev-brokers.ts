/**
 * Three brokers of the demo's own: `opencmq dev --json` as a child process, its events read line by line, a leader
 * killed with SIGKILL and started again.
 */
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"

/** One broker. */
export type DevNode = Readonly<{ id: number; endpoint: string }>

/** What `dev` says of itself when it is ready. */
export type DevReady = Readonly<{ nodes: readonly DevNode[]; secretId: string; secretKey: string }>

/** How to start it. */
export type DevBrokersOptions = Readonly<{
  /** `broker/dist/main.js`. */
  program: string
  basePort: number
  dataDir: string
}>

type DevEvent =
  | Readonly<{
      event: "ready"
      nodes: readonly Readonly<{ id: number; pid: number; http: string }>[]
      secretId: string
      secretKey: string
    }>
  | Readonly<{ event: "started"; node: number; pid: number }>
  | Readonly<{ event: "exit"; node: number }>

/** Brokers under the demo's control. */
export class DevBrokers {
  readonly ready: DevReady
  readonly #process: ChildProcess
  readonly #pids: Map<number, number>
  #kills = 0

  private constructor(child: ChildProcess, first: Extract<DevEvent, { event: "ready" }>) {
    this.#process = child
    this.#pids = new Map(first.nodes.map((node) => [node.id, node.pid]))
    const nodes = first.nodes.map((node) => ({ id: node.id, endpoint: asEndpoint(node.http) }))
    this.ready = { nodes, secretId: first.secretId, secretKey: first.secretKey }
  }

  /** Starts the brokers and waits until they serve. @throws Error when they do not. */
  static async start(options: DevBrokersOptions): Promise<DevBrokers> {
    const { program, basePort, dataDir } = options
    // Brokers that are killed make the others complain; that is the show, and the bar needs its line.
    const quiet = ["--log-level", "error"]
    const args = [program, "dev", "--json", "--base-port", String(basePort), "--data-dir", dataDir, ...quiet]
    const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] })
    return new Promise((resolve, reject) => {
      let brokers: DevBrokers | undefined
      child.once("error", reject)
      child.once("exit", (code) => {
        reject(new Error(`the brokers ended with code ${String(code)} before they were ready`))
      })
      createInterface({ input: child.stdout }).on("line", (line) => {
        const event = parseEvent(line)
        if (event?.event === "ready") {
          brokers = new DevBrokers(child, event)
          resolve(brokers)
        } else if (event !== undefined && brokers !== undefined) brokers.#note(event)
      })
    })
  }

  /** Leaders killed so far. */
  get kills(): number {
    return this.#kills
  }

  /**
   * Kills a broker as kill -9 does, and has it started again when it is gone.
   *
   * @returns false when it does not run at present.
   */
  kill(endpoint: string): boolean {
    const node = this.ready.nodes.find((each) => each.endpoint === endpoint)
    const pid = this.#pids.get(node?.id ?? 0)
    if (node === undefined || pid === undefined) return false
    process.kill(pid, "SIGKILL")
    // Not only when its end is told: it must not be killed, and counted, twice.
    this.#pids.delete(node.id)
    this.#kills += 1
    return true
  }

  /** Stops all brokers in an orderly way. */
  async stop(): Promise<void> {
    if (this.#process.exitCode !== null) return
    const ended = once(this.#process, "exit")
    this.#command({ command: "shutdown" })
    await ended
  }

  #note(event: DevEvent): void {
    if (event.event === "started") this.#pids.set(event.node, event.pid)
    if (event.event !== "exit") return
    this.#pids.delete(event.node)
    this.#command({ command: "start", node: event.node })
  }

  #command(command: Readonly<Record<string, unknown>>): void {
    if (this.#process.stdin?.writable === true) this.#process.stdin.write(`${JSON.stringify(command)}\n`)
  }
}

function parseEvent(line: string): DevEvent | undefined {
  try {
    return JSON.parse(line) as DevEvent
  } catch {
    // A line that is no event is for people.
    return undefined
  }
}

function asEndpoint(address: string): string {
  return address.includes("://") ? address : `http://${address}`
}
