/**
 * A CMQ request from its bytes to the node, in the order in which it may be refused: method, form, action, who asks,
 * parameters. Whatever is refused here has changed nothing.
 *
 * It catches what reading a request throws (a bug of ours must not let one request stop a broker); what the node throws
 * goes up and ends the process, because then nobody knows what is true any more.
 */
import { randomBytes } from "node:crypto"
import { LIMITS, errorRow, findAction, readParameters } from "@opencmq/proto"
import type { ActionName, ActionParameters } from "@opencmq/proto"
import type { Gauge, Histogram, Metrics } from "../../node/metrics.ts"
import type { BrokerService } from "../../node/service-types.ts"
import type { Clock, Logger } from "../../ports.ts"
import { ActionCall } from "./action-call.ts"
import type { CallHost, CallStart } from "./action-call.ts"
import { ACTION_TABLE } from "./action-table.ts"
import type { Authenticator } from "./authenticate.ts"
import { echoable, jsonReply, refusalJson } from "./error-reply.ts"
import type { Refusal, ReplyExtras, RequestIdentity } from "./error-reply.ts"
import { readForm } from "./form.ts"
import type { HttpExchange, HttpRefusal, HttpReply, HttpRequest } from "./http-message.ts"

/** The paths that CMQ's clients use; both are signed as they are (cmq-api.md §0.1). */
export const ACTION_PATHS: readonly string[] = ["/v2/index.php", "/"]

/** Where clients reach this node by CMQ's TCP protocol, as QueryQueueRoute and QueryTopicRoute tell them. */
export interface TcpRoute {
  /** Undefined = by the name under which the client found this face. */
  readonly host: string | undefined
  readonly port: number
}

/** What an operator may choose. */
export interface ActionHandlerOptions {
  /** Parameters of one request. */
  readonly maxParameters: number
  /**
   * How long a request may take in the broker, long poll not counted. CMQ's SDKs give up after 10 s and more, so it
   * is below: an answer "outcome unknown" is worth more than a broken connection.
   */
  readonly requestTimeoutMs: number
  /** For the page at `/`. */
  readonly version: string
  readonly tcpRoute: TcpRoute
}

/** The defaults of `ActionHandlerOptions`, without the version. */
export const ACTION_HANDLER_DEFAULTS = {
  maxParameters: LIMITS.requestParametersCount.default,
  requestTimeoutMs: 8_000,
  tcpRoute: { host: undefined, port: 7_073 },
} as const

/** What an `ActionHandler` is made from. */
export interface ActionHandlerParts {
  readonly service: BrokerService
  readonly authenticator: Authenticator
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  readonly options: ActionHandlerOptions
}

const EMPTY = new Uint8Array(0)
const NO_PARAMS: ReadonlyMap<string, string> = new Map()

/** An action and its parameters, read. */
type Prepared = { readonly [N in ActionName]: { readonly action: N; readonly values: ActionParameters[N] } }[ActionName]

/** A request whose form was read. */
interface ReadRequest {
  readonly request: HttpRequest
  readonly params: ReadonlyMap<string, string>
  readonly identity: RequestIdentity
}

/** An empty queue is nothing to write about. */
const NO_MESSAGE_CODE = errorRow("noMessage").code

/** Serves the two CMQ paths. */
export class ActionHandler implements CallHost {
  readonly service: BrokerService
  private readonly parts: ActionHandlerParts
  /** Receives that are under way, so that their waits can be ended when the face closes. */
  private readonly receives = new Set<ActionCall<ActionName>>()
  private readonly durations = new Map<string, Histogram>()
  private readonly inFlight: Gauge
  private inFlightCount = 0
  private isDraining = false
  /** The hint of the last reply and the URL made of it: a new text for every reply would be garbage. */
  private leaderHint = ""
  private leaderUrl = ""
  private requestCount = 0
  private readonly requestIdPrefix = `${randomBytes(5).toString("hex")}-`

  constructor(parts: ActionHandlerParts) {
    this.parts = parts
    this.service = parts.service
    this.inFlight = parts.metrics.gauge("requestsInFlight", "http")
    parts.metrics.onScrape(() => {
      this.inFlight.set(this.inFlightCount)
    })
  }

  /** Carries out one request; the path is one of `ACTION_PATHS`. */
  serve(request: HttpRequest, exchange: HttpExchange): void {
    const startedAtMs = this.parts.clock.monotonicMs()
    const identity = { requestId: this.nextRequestId(), clientRequestId: "" }
    const form = this.formOf(request, identity)
    const params = form.ok ? form.params : NO_PARAMS
    if (form.ok && isVisit(request, params)) {
      exchange.reply(visitPage(this.parts.options.version))
      return
    }
    identity.clientRequestId = echoable(params.get("clientRequestId"))
    const prepared = form.ok ? this.prepare({ request, params, identity }) : form.refusal
    if ("error" in prepared) {
      const isSent = exchange.reply(this.replyOf(identity, refusalJson(identity, prepared)))
      this.logRefusal({ ...identity, action: findAction(params.get("Action") ?? "") ?? "unknown" }, prepared.error)
      this.observe("refused", isSent ? errorRow(prepared.error).code : "gone", startedAtMs)
      return
    }
    const { requestTimeoutMs } = this.parts.options
    const hostHeader = request.header("host")
    // Spreads last: a literal that begins with one takes a microsecond for each field behind it.
    this.start({ timeoutMs: requestTimeoutMs, startedAtMs, exchange, hostHeader, ...prepared, ...identity })
  }

  /** The reply to a request that the server turns away unseen. */
  refusal(reason: HttpRefusal): HttpReply {
    const identity: RequestIdentity = { requestId: this.nextRequestId(), clientRequestId: "" }
    return { ...this.replyOf(identity, refusalJson(identity, SERVER_REFUSALS[reason])), isLast: true }
  }

  /**
   * No more requests: receives that wait are ended by the node, later requests are answered `shuttingDown`, and
   * connections end. A receive that has taken messages already still brings them to its client.
   */
  drain(): void {
    this.isDraining = true
    for (const call of [...this.receives]) call.hurry()
  }

  replyOf({ requestId }: RequestIdentity, json: string): HttpReply {
    const extras: ReplyExtras = { leader: this.leaderAddress(), isLast: this.isDraining }
    return jsonReply(requestId, json, extras)
  }

  tcpAddressFor(hostHeader: string): string {
    const { host, port } = this.parts.options.tcpRoute
    return `${host ?? hostHeader.replace(/:\d*$/, "")}:${String(port)}`
  }

  finished(call: ActionCall<ActionName>, code: number): void {
    this.inFlightCount--
    if (code !== 0 && code !== NO_MESSAGE_CODE) this.logRefusal(call, code === -1 ? "the client has gone" : code)
    this.receives.delete(call)
    this.observe(call.action, code === -1 ? "gone" : code, call.startedAtMs)
  }

  /** So that the request id in a client's hands leads to what this node thought of it. */
  private logRefusal(call: { readonly requestId: string; readonly action: string }, reason: string | number): void {
    const { requestId, action } = call
    this.parts.logger.debug({ requestId, action, reason }, "a request was not carried out")
  }

  private formOf(request: HttpRequest, identity: RequestIdentity): ReturnType<typeof readForm> {
    const { method } = request
    if (method !== "GET" && method !== "POST") {
      return { ok: false, refusal: { error: "methodNotAllowed", args: [method] } }
    }
    try {
      return readForm(request.query, method === "POST" ? request.body : EMPTY, this.parts.options)
    } catch (error) {
      return { ok: false, refusal: this.broken(error, identity) }
    }
  }

  private prepare({ request, params, identity }: ReadRequest): Prepared | Refusal {
    if (this.isDraining) return { error: "shuttingDown", args: [] }
    const name = params.get("Action") ?? ""
    if (name === "") return { error: "actionMissing", args: [] }
    const action = findAction(name)
    if (action === undefined) return { error: "actionNotFound", args: [name] }
    try {
      const refusal = this.parts.authenticator.check(request, params, action)
      if (refusal !== undefined) return refusal
      const read = readParameters(action, params)
      // The values were read by this action's row, so the pair fits.
      return read.ok ? ({ action, values: read.value } as Prepared) : read
    } catch (error) {
      return this.broken(error, identity)
    }
  }

  private start<N extends ActionName>(start: CallStart<N>): void {
    const call = new ActionCall<N>(this, start)
    this.inFlightCount++
    if (start.action === "ReceiveMessage" || start.action === "BatchReceiveMessage") {
      this.receives.add(call)
    }
    ACTION_TABLE[start.action](call)
  }

  private broken(error: unknown, { requestId }: RequestIdentity): Refusal {
    this.parts.logger.error({ err: error, requestId }, "a request could not be read: a bug in the HTTP face")
    return { error: "internal", args: [] }
  }

  private observe(operation: string, code: string | number, startedAtMs: number): void {
    const key = `${operation} ${String(code)}`
    let cell = this.durations.get(key)
    if (cell === undefined) {
      cell = this.parts.metrics.histogram("requestDuration", "http", operation, String(code))
      this.durations.set(key, cell)
    }
    cell.observe((this.parts.clock.monotonicMs() - startedAtMs) / 1000)
  }

  private nextRequestId(): string {
    return this.requestIdPrefix + (++this.requestCount).toString(36)
  }

  private leaderAddress(): string | undefined {
    const hint = this.service.leaderHint()
    if (hint === undefined) return undefined
    if (hint !== this.leaderHint) {
      this.leaderHint = hint
      this.leaderUrl = hint.includes("://") ? hint : `http://${hint}`
    }
    return this.leaderUrl
  }
}

const SERVER_REFUSALS: Readonly<Record<HttpRefusal, Refusal>> = {
  bodyTooLarge: { error: "requestTooLarge", args: ["the body"] },
  uriTooLarge: { error: "requestTooLarge", args: ["the address"] },
  tooManyConnections: { error: "overloaded", args: [], detail: ": too many connections" },
}

/** Someone looks at the address with a browser. */
function isVisit(request: HttpRequest, params: ReadonlyMap<string, string>): boolean {
  return request.method === "GET" && request.path === "/" && params.size === 0
}

function visitPage(version: string): HttpReply {
  const body = [
    `OpenCMQ ${version}: message queues over CMQ's HTTP API.`,
    "",
    "Actions   GET or POST to / or /v2/index.php, signed (docs/http-api.md)",
    "Health    /livez  /readyz?verbose  /startupz",
    "Metrics   /metrics  /metrics/queues",
    "",
  ].join("\n")
  return { status: 200, contentType: "text/plain; charset=utf-8", headers: [], body }
}
