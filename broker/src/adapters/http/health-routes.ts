/**
 * Routes for those who run a node: probes and metrics. They ask nobody for a signature and show no message.
 *
 * - /livez: the event loop answers. A node that waits for a leader is alive; restarting it would not help.
 * - /readyz: this node has caught up and knows a leader, so that requests sent here are carried out.
 * - /startupz: it has been ready once since it started.
 * - /metrics: bounded; /metrics/queues: every queue.
 */
import type { MetricsPage } from "../../node/metrics.ts"
import type { BrokerService } from "../../node/service-types.ts"
import type { HttpExchange, HttpReply, HttpRequest } from "./http-message.ts"
import type { HttpRoute } from "./http-router.ts"

/** What the routes are made from. */
export interface HealthParts {
  readonly service: BrokerService
  /** Undefined = no metrics on this address. */
  readonly metrics: MetricsPage | undefined
  readonly version: string
}

/** The routes, ready to mount. */
export function healthRoutes(parts: HealthParts): readonly HttpRoute[] {
  const { service, metrics } = parts
  let wasReady = false
  const notReady = (): string | undefined => {
    const reason = service.notReadyReason()
    wasReady ||= reason === undefined
    return reason
  }
  const probes = [
    probe("/livez", () => undefined, parts),
    probe("/readyz", notReady, parts),
    probe("/startupz", () => (wasReady ? undefined : notReady()), parts),
  ]
  if (metrics === undefined) return probes
  return [...probes, metricsRoute("/metrics", metrics, false), metricsRoute("/metrics/queues", metrics, true)]
}

function probe(path: string, failure: () => string | undefined, { service, version }: HealthParts): HttpRoute {
  return {
    path,
    serve: (request, exchange) => {
      if (!isRead(request)) {
        exchange.reply(NOT_ALLOWED)
        return
      }
      const reason = failure()
      const lines = [reason === undefined ? "ok" : `not ok: ${reason}`]
      if (isVerbose(request)) {
        lines.push(`version: ${version}`, `leader: ${service.leaderHint() ?? "not known"}`)
      }
      exchange.reply(textReply(reason === undefined ? 200 : 503, `${lines.join("\n")}\n`))
    },
  }
}

function metricsRoute(path: string, metrics: MetricsPage, allQueues: boolean): HttpRoute {
  return {
    path,
    serve: (request: HttpRequest, exchange: HttpExchange) => {
      if (!isRead(request)) {
        exchange.reply(NOT_ALLOWED)
        return
      }
      metrics.render({ allQueues }).then(
        (body) => exchange.reply({ ...textReply(200, body), contentType: metrics.contentType }),
        (error: unknown) => exchange.reply(textReply(503, `metrics cannot be read: ${String(error)}\n`)),
      )
    },
  }
}

const NOT_ALLOWED: HttpReply = textReply(405, "GET only\n")

function isRead({ method }: HttpRequest): boolean {
  return method === "GET" || method === "HEAD"
}

/** `?verbose`, with or without a value. */
function isVerbose(request: HttpRequest): boolean {
  return /(?:^|&)verbose(?:[=&]|$)/.test(Buffer.from(request.query).toString("latin1"))
}

function textReply(status: number, body: string): HttpReply {
  return { status, contentType: "text/plain; charset=utf-8", headers: ["cache-control", "no-store"], body }
}
