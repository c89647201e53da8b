/**
 * A small cluster of real HTTP servers that speak CMQ's wire, for tests of clients: signatures are verified, queues
 * live in memory, and faults are scripted one by one. Nothing in it is random, and no test needs to wait for time:
 * `until` resolves on events.
 */
import http from "node:http"
import type { AddressInfo, Socket } from "node:net"
import { errorRow, errorText, findAction, verify } from "@opencmq/proto"
import type { ActionName, ErrorName } from "@opencmq/proto"
import { ScriptedState, answerAction } from "./scripted-actions.ts"
import type { Answer } from "./scripted-actions.ts"

/** What happens to one request instead of, or around, its normal handling. */
export type Fault =
  /** The connection is cut; nothing was done. */
  | Readonly<{ kind: "dropBefore" }>
  /** It is done, then the connection is cut. */
  | Readonly<{ kind: "dropAfter" }>
  /** It is done, then half of the reply is sent and the connection is cut. */
  | Readonly<{ kind: "halfReply" }>
  /** Nothing is done and nothing is answered until the client goes away. */
  | Readonly<{ kind: "silence" }>
  /** It is done; the reply waits for the promise. */
  | Readonly<{ kind: "delayReply"; until: Promise<void> }>
  /** It waits for the promise, then is done. */
  | Readonly<{ kind: "delayBefore"; until: Promise<void> }>
  /** A refusal by name; nothing is done. */
  | Readonly<{ kind: "refuse"; error: ErrorName; headers?: Readonly<Record<string, string>> }>
  /** Any other answer; nothing is done. */
  | Readonly<{ kind: "answer"; status: number; body: string; headers?: Readonly<Record<string, string>> }>

/** A request as it arrived. */
export type RecordedRequest = Readonly<{
  node: number
  action: ActionName
  params: ReadonlyMap<string, string>
  /** Local port of the client: equal = the same connection. */
  clientPort: number
}>

export type ScriptedServerOptions = Readonly<{
  /** Servers that share one state; default 1. */
  nodes?: number
  /** Replies name a leader; default false. */
  namesLeader?: boolean
}>

type Scripted = { readonly action: ActionName | "any"; readonly node: number | undefined; readonly fault: Fault }
type Node = { server: http.Server | undefined; port: number; readonly sockets: Set<Socket>; isPaused: boolean }
type Waiting = Readonly<{ retry: () => void }>

const TIMESTAMP_WINDOW_SECONDS = 7_200

export class ScriptedServer {
  readonly secretId = "AKIDscripted"
  readonly secretKey = "key-of-the-scripted-server"
  readonly state = new ScriptedState()
  readonly requests: RecordedRequest[] = []
  /** Long polls that ended because the client went away. */
  cancelledPolls = 0
  /** Looks at /livez that were answered. */
  probes = 0
  leader = 0
  readonly #nodes: Node[] = []
  readonly #script: Scripted[] = []
  readonly #nonces = new Set<string>()
  readonly #waiting = new Set<Waiting>()
  readonly #watchers = new Set<() => void>()
  readonly #namesLeader: boolean

  private constructor(options: ScriptedServerOptions) {
    this.#namesLeader = options.namesLeader ?? false
  }

  static async start(options: ScriptedServerOptions = {}): Promise<ScriptedServer> {
    const server = new ScriptedServer(options)
    for (let node = 0; node < (options.nodes ?? 1); node++) {
      server.#nodes.push({ server: undefined, port: 0, sockets: new Set(), isPaused: false })
      await server.startNode(node)
    }
    return server
  }

  /** One for each node, in order. */
  get endpoints(): readonly string[] {
    return this.#nodes.map((_, node) => this.endpoint(node))
  }

  endpoint(node: number): string {
    return `http://127.0.0.1:${String(this.#node(node).port)}`
  }

  /** Options of an `Account` for all nodes. */
  get accountOptions() {
    return { endpoints: this.endpoints, secretId: this.secretId, secretKey: this.secretKey }
  }

  /** The next matching requests meet these faults, each one once, in order. */
  script(action: ActionName | "any", faults: readonly Fault[], node?: number): void {
    for (const fault of faults) this.#script.push({ action, fault, node })
  }

  /** Faults that no request has met yet. */
  get unmetFaults(): number {
    return this.#script.length
  }

  requestsOf(action: ActionName): readonly RecordedRequest[] {
    return this.requests.filter((each) => each.action === action)
  }

  /** Messages of a queue that are not deleted, by body. */
  bodiesOf(queueName: string): readonly string[] {
    const messages = this.state.queue(queueName)?.messages ?? []
    return messages.filter((each) => each.deletedAtMs === undefined).map((each) => each.body)
  }

  /** Moves the server's clock on: visibility timeouts and delays end. */
  advance(ms: number): void {
    this.state.clockOffsetMs += ms
    this.#wake()
  }

  /** Resolves when the condition holds; it is looked at after every event of the server. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        const watcher = (): void => {
          this.#watchers.delete(watcher)
          resolve()
        }
        this.#watchers.add(watcher)
      })
    }
  }

  /** As kill -9: the port is closed, connections are reset. */
  async killNode(node: number): Promise<void> {
    const { server, sockets } = this.#node(node)
    this.#node(node).server = undefined
    for (const socket of sockets) socket.resetAndDestroy()
    await new Promise<void>((resolve) => {
      if (server === undefined) resolve()
      else {
        server.close(() => {
          resolve()
        })
      }
    })
  }

  /** As SIGSTOP: connections are accepted, and nothing is ever answered. */
  pauseNode(node: number): void {
    this.#node(node).isPaused = true
  }

  async startNode(number: number): Promise<void> {
    const node = this.#node(number)
    const server = http.createServer((incoming, outgoing) => {
      void this.#serve(number, incoming, outgoing)
    })
    server.on("connection", (socket) => {
      node.sockets.add(socket)
      socket.on("close", () => node.sockets.delete(socket))
    })
    node.isPaused = false
    node.server = server
    await new Promise<void>((resolve) => server.listen(node.port, "127.0.0.1", resolve))
    node.port = (server.address() as AddressInfo).port
  }

  async close(): Promise<void> {
    await Promise.all(this.#nodes.map((_, node) => this.killNode(node)))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #node(node: number): Node {
    const found = this.#nodes[node]
    if (found === undefined) throw new Error(`no node ${String(node)}`)
    return found
  }

  #notify(): void {
    for (const watcher of [...this.#watchers]) watcher()
  }

  /** Long polls look again. */
  #wake(): void {
    for (const waiting of [...this.#waiting]) waiting.retry()
    this.#notify()
  }

  async #serve(node: number, incoming: http.IncomingMessage, outgoing: http.ServerResponse): Promise<void> {
    outgoing.on("close", () => {
      this.#notify()
    })
    if (this.#node(node).isPaused) return
    if (incoming.method === "GET" && incoming.url === "/livez") {
      this.probes += 1
      outgoing.end("ok")
      this.#notify()
      return
    }
    const params = new Map(new URLSearchParams(await readText(incoming)))
    const action = findAction(params.get("Action") ?? "")
    const error = this.#refusal(incoming, params) ?? (action === undefined ? "actionNotFound" : undefined)
    if (error !== undefined || action === undefined) {
      this.#reply(outgoing, { kind: "refused", error: error ?? "actionNotFound" })
      return
    }
    this.requests.push({ node, action, params, clientPort: incoming.socket.remotePort ?? 0 })
    const fault = this.#takeFault(node, action)
    this.#notify()
    await this.#perform({ action, params, outgoing, fault })
    this.#wake()
  }

  /** Signature, time window and replay, as a broker checks them. */
  #refusal(incoming: http.IncomingMessage, params: ReadonlyMap<string, string>): ErrorName | undefined {
    const { method = "", url = "" } = incoming
    const request = { method, host: incoming.headers.host ?? "", path: url, params }
    if (params.get("SecretId") !== this.secretId) return "secretIdUnknown"
    if (!verify(request, this.secretKey).isValid) return "authenticationFailed"
    const awaySeconds = Math.abs(Number(params.get("Timestamp")) - this.state.nowMs / 1_000)
    if (awaySeconds > TIMESTAMP_WINDOW_SECONDS) return "requestExpired"
    const nonce = params.get("Nonce") ?? ""
    if (this.#nonces.has(nonce)) return "nonceReplayed"
    this.#nonces.add(nonce)
    return undefined
  }

  #takeFault(node: number, action: ActionName): Fault | undefined {
    const index = this.#script.findIndex(
      (each) => (each.action === "any" || each.action === action) && (each.node === undefined || each.node === node),
    )
    return index === -1 ? undefined : this.#script.splice(index, 1)[0]?.fault
  }

  async #perform(request: {
    action: ActionName
    params: ReadonlyMap<string, string>
    outgoing: http.ServerResponse
    fault: Fault | undefined
  }): Promise<void> {
    const { action, params, outgoing, fault } = request
    if (fault?.kind === "dropBefore") outgoing.socket?.resetAndDestroy()
    else if (fault?.kind === "refuse") this.#reply(outgoing, { kind: "refused", error: fault.error }, fault.headers)
    else if (fault?.kind === "answer") outgoing.writeHead(fault.status, fault.headers).end(fault.body)
    else if (fault?.kind !== "silence") {
      if (fault?.kind === "delayBefore") await fault.until
      const answer = answerAction(this.state, action, params)
      this.#notify()
      if (fault?.kind === "delayReply") await fault.until
      if (fault?.kind === "dropAfter") outgoing.socket?.resetAndDestroy()
      else if (fault?.kind === "halfReply") this.#replyHalf(outgoing, answer)
      else if (answer.kind === "empty") this.#wait({ action, params, outgoing }, answer)
      else this.#reply(outgoing, answer)
    }
  }

  /** A long poll: looks again whenever something changes, until its time ends or the client goes away. */
  #wait(
    request: Readonly<{ action: ActionName; params: ReadonlyMap<string, string>; outgoing: http.ServerResponse }>,
    empty: Extract<Answer, { kind: "empty" }>,
  ): void {
    const { outgoing } = request
    const timers = [
      setTimeout(() => {
        if (end()) this.#reply(outgoing, { kind: "refused", error: "noMessage" })
      }, empty.waitSeconds * 1_000),
    ]
    const waiting: Waiting = {
      retry: () => {
        // A reset destroys the socket at once, but `close` comes only later: nobody is there any more.
        if (outgoing.socket?.destroyed !== false) return
        const answer = answerAction(this.state, request.action, request.params)
        if (answer.kind === "empty") lookLater()
        else if (end()) this.#reply(outgoing, answer)
      },
    }
    const lookLater = (): void => {
      const { nowMs } = this.state
      const visibleAtMs = empty.queue.nextVisibleAtMs(nowMs)
      if (visibleAtMs !== undefined) timers.push(setTimeout(waiting.retry, visibleAtMs - nowMs + 1))
    }
    const end = (): boolean => {
      for (const timer of timers) clearTimeout(timer)
      return this.#waiting.delete(waiting)
    }
    lookLater()
    this.#waiting.add(waiting)
    outgoing.on("close", () => {
      if (!end()) return
      this.cancelledPolls += 1
      this.#notify()
    })
  }

  #reply(outgoing: http.ServerResponse, answer: Answer, headers: Readonly<Record<string, string>> = {}): void {
    outgoing.writeHead(200, {
      "content-type": "application/json",
      ...this.#leaderHeader(),
      ...this.#date(),
      ...headers,
    })
    outgoing.end(JSON.stringify(replyFields(answer)))
  }

  #replyHalf(outgoing: http.ServerResponse, answer: Answer): void {
    const text = JSON.stringify(replyFields(answer))
    outgoing.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) })
    outgoing.write(text.slice(0, text.length / 2), () => {
      outgoing.socket?.resetAndDestroy()
    })
  }

  #leaderHeader(): Record<string, string> {
    return this.#namesLeader ? { "x-opencmq-leader": this.endpoint(this.leader) } : {}
  }

  #date(): Record<string, string> {
    return { date: new Date(this.state.nowMs).toUTCString() }
  }
}

function replyFields(answer: Answer): Readonly<Record<string, unknown>> {
  const requestId = "scripted"
  if (answer.kind === "ok") return { code: 0, message: "", requestId, ...answer.fields }
  const error = answer.kind === "empty" ? "noMessage" : answer.error
  const details = answer.kind === "refused" ? answer.fields : undefined
  return { code: errorRow(error).code, message: errorText(error), requestId, ...details }
}

async function readText(incoming: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString("utf8")
}
