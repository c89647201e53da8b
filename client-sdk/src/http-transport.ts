/**
 * CMQ API 2.0 over HTTP/1.1 with kept-alive connections: form-encoded POST, signed, JSON back.
 *
 * Over `node:http` rather than `fetch`: it costs far less a request, and it tells apart "never connected" (surely not
 * applied) from "connection lost" (nobody knows), which the retry rule stands on.
 */
import http from "node:http"
import https from "node:https"
import { sign } from "@opencmq/proto"
import { onAbort } from "./abort.ts"
import type { Clock } from "./clock.ts"
import { systemClock } from "./clock.ts"
import { TransportError } from "./transport.ts"
import type { AttemptReply, AttemptRequest, Transport } from "./transport.ts"

/** Options of `HttpTransport`. */
export type HttpTransportOptions = Readonly<{
  /** Path of the API. Default `/v2/index.php`; `/` for TDMQ. */
  path?: string
  /** Connections to one endpoint at once; further attempts wait for one. Default 1,024. */
  maxSockets?: number
  /** Idle connections kept for one endpoint. Default 128. */
  maxFreeSockets?: number
  /** Idle connections are closed after so long, before the server does it under a request. Milliseconds, default 4,000. */
  idleTimeoutMs?: number
  /** Time to connect. Milliseconds, default 1,000. */
  connectTimeoutMs?: number
  clock?: Clock
}>

/** Longest reply that is read: 16 bodies of 1 MiB, JSON-escaped, fit several times over. */
const REPLY_BYTES_MAX = 64 * 1_048_576
const CLIENT_NAME = "SDK_OPENCMQ_0.1"
/** Statuses of proxies and gateways that ask for patience; below 500 the request was not passed on. */
const PATIENCE_STATUSES: ReadonlySet<number> = new Set([408, 425, 429])

type Target = Readonly<{ url: URL; request: typeof http.request; agent: http.Agent }>
type RawReply = Readonly<{ status: number; headers: http.IncomingHttpHeaders; text: string }>
type RawRequest = Readonly<{
  target: Target
  method: "GET" | "POST"
  path: string
  body: string
  signal: AbortSignal
  /** False = a connection of its own, closed afterwards. */
  isPooled: boolean
}>

/** The default transport. */
export class HttpTransport implements Transport {
  readonly #path: string
  readonly #clock: Clock
  readonly #connectTimeoutMs: number
  readonly #httpAgent: http.Agent
  readonly #httpsAgent: https.Agent
  readonly #targets = new Map<string, Target>()

  constructor(options: HttpTransportOptions = {}) {
    const agentOptions = {
      keepAlive: true,
      maxSockets: options.maxSockets ?? 1_024,
      maxFreeSockets: options.maxFreeSockets ?? 128,
      // Of an idle connection; while a request uses one, its own limits hold.
      timeout: options.idleTimeoutMs ?? 4_000,
      scheduling: "lifo",
    } as const
    this.#path = options.path ?? "/v2/index.php"
    this.#clock = options.clock ?? systemClock
    this.#connectTimeoutMs = options.connectTimeoutMs ?? 1_000
    this.#httpAgent = new http.Agent(agentOptions)
    this.#httpsAgent = new https.Agent(agentOptions)
  }

  async attempt(request: AttemptRequest): Promise<AttemptReply> {
    const target = this.#target(request.endpoint)
    const body = encodeRequest(request, target.url.host, this.#path)
    const raw = await this.#exchange({
      target,
      method: "POST",
      path: this.#path,
      body,
      signal: request.signal,
      isPooled: true,
    })
    return readReply(raw)
  }

  async probe(endpoint: string, signal: AbortSignal): Promise<void> {
    const target = this.#target(endpoint)
    await this.#exchange({ target, method: "GET", path: "/livez", body: "", signal, isPooled: false })
  }

  close(): void {
    this.#httpAgent.destroy()
    this.#httpsAgent.destroy()
  }

  #target(endpoint: string): Target {
    const known = this.#targets.get(endpoint)
    if (known !== undefined) return known
    const url = new URL(endpoint)
    const isHttps = url.protocol === "https:"
    const target = {
      url,
      request: isHttps ? https.request : http.request,
      agent: isHttps ? this.#httpsAgent : this.#httpAgent,
    }
    this.#targets.set(endpoint, target)
    return target
  }

  #exchange(raw: RawRequest): Promise<RawReply> {
    return new Promise((resolve, reject) => {
      const outgoing = raw.target.request(this.#requestOptions(raw))
      let isConnected = false
      let cancelConnectTimer = (): void => undefined
      const finish = (): void => {
        removeAbortListener()
        cancelConnectTimer()
      }
      const fail = (cause: unknown): void => {
        finish()
        reject(networkError(cause, isConnected))
      }
      outgoing.on("socket", (socket) => {
        isConnected = !socket.connecting
        if (isConnected) return
        const readyEvent = raw.target.url.protocol === "https:" ? "secureConnect" : "connect"
        cancelConnectTimer = this.#clock.startTimer(this.#connectTimeoutMs, () => {
          outgoing.destroy(new Error(`no connection within ${String(this.#connectTimeoutMs)} ms`))
        })
        socket.once(readyEvent, () => {
          isConnected = true
          cancelConnectTimer()
        })
      })
      outgoing.on("error", fail)
      outgoing.on("response", (incoming) => {
        collectText(incoming, (cause, text) => {
          if (cause !== undefined) fail(cause)
          else {
            finish()
            resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text })
          }
        })
      })
      const removeAbortListener = onAbort(raw.signal, () => {
        // A reset rather than an orderly end: the broker drops the request, a long poll above all, the moment it
        // arrives. TLS has no such thing.
        if (outgoing.socket !== null && !("encrypted" in outgoing.socket)) outgoing.socket.resetAndDestroy()
        outgoing.destroy(new Error("aborted"))
      })
      // Form encoding leaves ASCII only, so one character is one byte.
      outgoing.end(raw.body, "latin1")
    })
  }

  #requestOptions(raw: RawRequest): http.RequestOptions {
    const { url, agent } = raw.target
    return {
      host: url.hostname.replace(/^\[|\]$/g, ""),
      port: url.port === "" ? undefined : Number(url.port),
      method: raw.method,
      path: raw.path,
      agent: raw.isPooled ? agent : false,
      setHost: false,
      headers:
        raw.method === "GET"
          ? { host: url.host, connection: "close" }
          : {
              // The signature covers the host as it stands here, port included (cmq-api.md §0.2).
              host: url.host,
              "content-type": "application/x-www-form-urlencoded",
              "content-length": raw.body.length,
            },
    }
  }
}

function networkError(cause: unknown, isConnected: boolean): TransportError {
  const reason = cause instanceof Error ? cause.message : "connection failed"
  return new TransportError({
    kind: "network",
    message: reason === "" ? "connection failed" : reason,
    outcome: isConnected ? "unknown" : "notApplied",
    retriable: true,
    cause,
  })
}

/** Reads a reply to its end; half a reply is an error. `done` is called once. */
function collectText(incoming: http.IncomingMessage, done: (cause: unknown, text: string) => void): void {
  const chunks: Buffer[] = []
  let byteCount = 0
  let isDone = false
  const finish = (cause: unknown, text: string): void => {
    if (isDone) return
    isDone = true
    done(cause, text)
  }
  incoming.on("data", (chunk: Buffer) => {
    byteCount += chunk.length
    chunks.push(chunk)
    if (byteCount > REPLY_BYTES_MAX) incoming.destroy(new Error(`reply of more than ${String(REPLY_BYTES_MAX)} bytes`))
  })
  incoming.on("end", () => {
    finish(undefined, Buffer.concat(chunks).toString("utf8"))
  })
  incoming.on("error", (cause) => {
    finish(cause, "")
  })
  incoming.on("close", () => {
    finish(new Error("connection closed in the middle of a reply"), "")
  })
}

/** The signed form body of an attempt. */
function encodeRequest(request: AttemptRequest, host: string, path: string): string {
  const params = new Map<string, string>(request.parameters)
  params.set("Action", request.action)
  params.set("SecretId", request.credentials.secretId)
  params.set("Timestamp", String(request.timestampSeconds))
  params.set("Nonce", request.nonce)
  params.set("SignatureMethod", request.credentials.signatureMethod)
  params.set("RequestClient", CLIENT_NAME)
  params.set("Signature", sign({ method: "POST", host, path, params }, request.credentials.secretKey))
  return encodeForm(params)
}

/** @throws TransportError `notApplied` for text with half a surrogate pair, which no encoding has. */
function encodeForm(params: ReadonlyMap<string, string>): string {
  let form = ""
  let separator = ""
  try {
    for (const [name, value] of params) {
      form += `${separator}${name}=${encodeURIComponent(value)}`
      separator = "&"
    }
  } catch (cause) {
    const message = "a parameter has half a surrogate pair, which is not text"
    throw new TransportError({ kind: "unreadable", message, outcome: "notApplied", retriable: false, cause })
  }
  return form
}

function readReply(raw: RawReply): AttemptReply {
  const retryAfterMs = readRetryAfter(raw.headers["retry-after"])
  const fields = parseFields(raw.text)
  if (fields === undefined || (raw.status !== 200 && fields["code"] === 0)) {
    const isKeptBack = raw.status >= 400 && raw.status < 500
    throw new TransportError({
      kind: "unreadable",
      message: `reply with status ${String(raw.status)} is not CMQ's`,
      outcome: isKeptBack ? "notApplied" : "unknown",
      retriable: !isKeptBack || PATIENCE_STATUSES.has(raw.status),
      retryAfterMs,
    })
  }
  const leader = raw.headers["x-opencmq-leader"]
  const serverUnixMs = raw.headers.date === undefined ? Number.NaN : Date.parse(raw.headers.date)
  return {
    fields,
    leader: typeof leader === "string" ? leader : undefined,
    serverUnixMs: Number.isNaN(serverUnixMs) ? undefined : serverUnixMs,
    retryAfterMs,
  }
}

/** @returns undefined unless the text is a JSON object with a number `code`. */
function parseFields(text: string): Readonly<Record<string, unknown>> | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== "object" || value === null) return undefined
  const fields = value as Readonly<Record<string, unknown>>
  return typeof fields["code"] === "number" ? fields : undefined
}

/** `Retry-After` in seconds, fractions allowed; the form with a date is not used by brokers. */
function readRetryAfter(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,6}(\.\d{1,3})?$/.test(text)) return undefined
  return Number(text) * 1_000
}
