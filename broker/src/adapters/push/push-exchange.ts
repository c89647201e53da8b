/**
 * One POST to one checked address, and what became of it.
 *
 * ```
 *   connecting --TCP--> securing --TLS--> waiting --status--> draining --end, or enough of it--> over
 *        |                 |                 |
 *   unconnected           tls       brokenOff, malformed, stale
 * ```
 *
 * The socket is given an IP address, never a name, so nothing is resolved here. The status decides; of the rest of the answer
 * only so much is read as a connection needs to be used again, and none of it is kept. Redirects are not followed.
 */
import { request as httpRequest } from "node:http"
import type { Agent, ClientRequest, IncomingMessage } from "node:http"
import { request as httpsRequest } from "node:https"
import type { RequestOptions } from "node:https"
import { isIP, type Socket } from "node:net"
import { assert } from "../../core/assert.ts"
import type { Cancel, Timers } from "../../ports.ts"
import type { Endpoint } from "./endpoint.ts"
import type { PushHeader } from "./push-message.ts"

/** Why a push failed; one of these words and nothing of the answer, so that nobody can read other servers through us. */
export type PushFailure =
  /** So many pushes are on their way, to this host or altogether, or so many names are being resolved. Nothing was sent. */
  | "busy"
  /** The client was closed, before or meanwhile. */
  | "closed"
  /** The name has no address. */
  | "unresolved"
  /** An address of the name, or the port, may not be pushed to. Nothing was sent. */
  | "forbidden"
  /** No TCP connection in time. */
  | "unconnected"
  /** No TLS, or not with who was named. */
  | "tls"
  /** The total time was over before a status came. */
  | "timeout"
  /** The connection broke before a status came. */
  | "brokenOff"
  /** The answer is no HTTP, or its head is too long. */
  | "malformed"
  /** Status 3xx. */
  | "redirected"
  /** Another status than 2xx and 3xx. */
  | "status"

/** `failed` does not mean that the receiver saw nothing: after the request was sent, nobody knows. */
export type PushOutcome = { readonly kind: "delivered" } | { readonly kind: "failed"; readonly reason: PushFailure }

/** `stale`: a connection used before was closed by the receiver when we wanted it again; worth one try on a new one. */
export type ExchangeEnd = PushOutcome | { readonly kind: "stale" }

export interface ExchangeLimits {
  /** TCP and TLS together. */
  readonly connectTimeoutMs: number
  /** For the body of an answer, from its status on. */
  readonly drainTimeoutMs: number
  /** Of the answer's body; a longer one costs the receiver its connection. */
  readonly drainBytesMax: number
  /** Of the answer's status line and headers. */
  readonly headBytesMax: number
}

/** What is to be sent. */
export interface PushRequest {
  readonly endpoint: Endpoint
  /** Without `Host`, `Content-Length` and whatever else frames a request. */
  readonly headers: readonly PushHeader[]
  readonly body: Uint8Array
}

export interface ExchangeParts {
  readonly push: PushRequest
  /** Where to; was judged, and is an address in its plain form. */
  readonly address: string
  /** false = a connection of its own, closed behind the answer. */
  readonly agent: Agent | false
  /** PEM of the authorities to trust instead of Node's. */
  readonly trustedCertificates: string | undefined
  readonly limits: ExchangeLimits
  readonly timers: Timers
  /** Ends the exchange; its reason is a `PushFailure`. */
  readonly signal: AbortSignal
}

type Stage = "connecting" | "securing" | "waiting" | "draining" | "over"

const DELIVERED: PushOutcome = { kind: "delivered" }
const FRAMING_HEADERS: readonly string[] = [
  "host",
  "content-length",
  "transfer-encoding",
  "connection",
  "expect",
  "upgrade",
]

/** Answers 1xx before the status; without a bound a receiver could keep us reading heads until the total time is over. */
const PROVISIONAL_MAX = 16

/** Carries out one exchange. Never rejects for what the world does; throws for a header that frames the request. */
export function exchange(parts: ExchangeParts): Promise<ExchangeEnd> {
  return new Promise((resolve) => {
    new Exchange(parts, resolve).start()
  })
}

/** A failure as an outcome. */
export function failed(reason: PushFailure): PushOutcome {
  return { kind: "failed", reason }
}

class Exchange {
  readonly #parts: ExchangeParts
  readonly #resolve: (end: ExchangeEnd) => void
  readonly #request: ClientRequest
  readonly #aborted = (): void => {
    // Only push-client.ts aborts, and always with a reason of its own. A status that has come stays what it is.
    this.#end(this.#stage === "draining" ? this.#outcome : failed(this.#parts.signal.reason as PushFailure))
  }
  #stage: Stage = "connecting"
  #cancelTimer: Cancel = () => undefined
  #provisionalCount = 0
  #drainedBytes = 0
  /** What the status says. */
  #outcome: PushOutcome = failed("brokenOff")

  constructor(parts: ExchangeParts, resolve: (end: ExchangeEnd) => void) {
    const options = requestOptions(parts)
    this.#parts = parts
    this.#resolve = resolve
    this.#request = parts.push.endpoint.isHttps ? httpsRequest(options) : httpRequest(options)
  }

  start(): void {
    const { signal, push } = this.#parts
    this.#request.on("socket", (socket) => {
      this.#socketGiven(socket)
    })
    this.#request.on("response", (response) => {
      this.#answered(response)
    })
    this.#request.on("information", () => {
      this.#provisionalCount += 1
      if (this.#provisionalCount > PROVISIONAL_MAX) this.#end(failed("malformed"))
    })
    this.#request.on("error", (error: NodeJS.ErrnoException) => {
      this.#broken(error.code ?? "")
    })
    this.#request.on("close", () => {
      this.#broken("")
    })
    signal.addEventListener("abort", this.#aborted, { once: true })
    if (signal.aborted) this.#aborted()
    else this.#request.end(push.body)
  }

  #socketGiven(socket: Socket): void {
    if (this.#stage !== "connecting") return
    if (!socket.connecting) {
      this.#stage = "waiting"
      return
    }
    const { isHttps } = this.#parts.push.endpoint
    const secured = (): void => {
      if (this.#stage === "over") return
      this.#stage = "waiting"
      this.#cancelTimer()
    }
    this.#arm(this.#parts.limits.connectTimeoutMs, () => {
      this.#broken("")
    })
    socket.once("connect", () => {
      if (!isHttps) secured()
      else if (this.#stage === "connecting") this.#stage = "securing"
    })
    if (isHttps) socket.once("secureConnect", secured)
  }

  #answered(response: IncomingMessage): void {
    const { drainBytesMax, drainTimeoutMs } = this.#parts.limits
    response.on("error", () => {
      this.#end(this.#outcome)
    })
    if (this.#stage === "over") return
    this.#stage = "draining"
    this.#outcome = judgeStatus(response.statusCode ?? 0)
    const finish = (): void => {
      this.#end(this.#outcome)
    }
    this.#arm(drainTimeoutMs, finish)
    response.on("data", (chunk: Buffer) => {
      this.#drainedBytes += chunk.length
      if (this.#drainedBytes > drainBytesMax) finish()
    })
    response.on("end", () => {
      this.#end(this.#outcome, this.#request.writableFinished)
    })
    response.on("close", finish)
  }

  #broken(code: string): void {
    switch (this.#stage) {
      case "connecting":
        return this.#end(failed("unconnected"))
      case "securing":
        return this.#end(failed("tls"))
      case "waiting":
        if (code.startsWith("HPE_")) return this.#end(failed("malformed"))
        return this.#end(this.#request.reusedSocket ? { kind: "stale" } : failed("brokenOff"))
      case "draining":
        return this.#end(this.#outcome)
      case "over":
        return
    }
  }

  #arm(delayMs: number, run: () => void): void {
    this.#cancelTimer()
    this.#cancelTimer = this.#parts.timers.after(delayMs, run)
  }

  /** @param isReusable - the connection is left to the agent; else it ends now. */
  #end(end: ExchangeEnd, isReusable = false): void {
    if (this.#stage === "over") return
    this.#stage = "over"
    this.#cancelTimer()
    this.#parts.signal.removeEventListener("abort", this.#aborted)
    if (!isReusable) this.#request.destroy()
    this.#resolve(end)
  }
}

function judgeStatus(status: number): PushOutcome {
  if (status >= 200 && status <= 299) return DELIVERED
  return failed(status >= 300 && status <= 399 ? "redirected" : "status")
}

function requestOptions({ push, address, agent, trustedCertificates, limits }: ExchangeParts): RequestOptions {
  const { endpoint, body } = push
  assert(isIP(address) !== 0, "a push goes to an address, not to a name")
  const headers: Record<string, string> = { Host: endpoint.hostHeader, "Content-Length": String(body.length) }
  for (const [name, value] of push.headers) {
    assert(!FRAMING_HEADERS.includes(name.toLowerCase()), "headers that frame a request are made here")
    headers[name] = value
  }
  const options: RequestOptions = {
    host: address,
    port: endpoint.port,
    method: "POST",
    path: endpoint.path,
    headers,
    agent,
    maxHeaderSize: limits.headBytesMax,
    // Said aloud, or a flag of the process could loosen them.
    insecureHTTPParser: false,
    rejectUnauthorized: true,
  }
  if (!endpoint.isHttps) return options
  // The certificate must be the name's; an address is no name (RFC 6066 §3) and is compared by Node itself.
  options.servername = endpoint.isAddress ? "" : endpoint.host
  if (trustedCertificates !== undefined) options.ca = trustedCertificates
  return options
}
