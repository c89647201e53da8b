/**
 * The HTTP face, put together: CMQ's actions, health routes, and the server that carries them.
 *
 * uWebSockets.js where it can be loaded, else node:http, said in one log line; both pass one conformance suite.
 */
import { LIMITS } from "@opencmq/proto"
import type { Metrics, MetricsPage } from "../../node/metrics.ts"
import type { BrokerService } from "../../node/service-types.ts"
import type { Clock, Logger } from "../../ports.ts"
import { ACTION_HANDLER_DEFAULTS, ActionHandler } from "./action-handler.ts"
import type { ActionHandlerOptions } from "./action-handler.ts"
import { AUTHENTICATION_DEFAULTS, Authenticator } from "./authenticate.ts"
import type { KeyRing } from "../../node/request-guard.ts"
import type { AuthenticationOptions } from "./authenticate.ts"
import { healthRoutes } from "./health-routes.ts"
import { HTTP_SERVER_DEFAULTS } from "./http-message.ts"
import type { HttpServer, HttpServerOptions, HttpServerParts } from "./http-message.ts"
import { HttpRouter } from "./http-router.ts"
import type { HttpRoute } from "./http-router.ts"
import { makeNodeServer } from "./node-server.ts"
import { loadUws, makeUwsServer } from "./uws-server.ts"

/** Which server: `auto` = uWebSockets.js when it can be loaded, else node:http. */
export type HttpServerChoice = "auto" | "uws" | "node"

/** Everything an operator may choose about the HTTP face. */
export interface HttpFaceOptions {
  readonly httpServer: HttpServerChoice
  readonly server: HttpServerOptions
  readonly authentication: AuthenticationOptions
  readonly actions: ActionHandlerOptions
}

/** What the face is made from. */
export interface HttpFaceParts {
  readonly service: BrokerService
  readonly keys: KeyRing
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  /** Undefined = no /metrics here. */
  readonly metricsPage: MetricsPage | undefined
  readonly options: HttpFaceOptions
}

/** The usual options; `version` is the product's. */
export function httpFaceDefaults(version: string): HttpFaceOptions {
  return {
    httpServer: "auto",
    server: {
      ...HTTP_SERVER_DEFAULTS,
      maxBodyBytes: LIMITS.requestRawBytes.default,
      maxUriBytes: LIMITS.requestUriBytes.default,
    },
    authentication: AUTHENTICATION_DEFAULTS,
    actions: { ...ACTION_HANDLER_DEFAULTS, version },
  }
}

/** A face that can be opened and closed. */
export interface HttpFace {
  readonly kind: HttpServer["kind"]
  /** Port 0 takes a free one. */
  listen(address: { readonly host: string; readonly port: number }): Promise<{ readonly port: number }>
  /** Adds a route for a further face (console, SQS). */
  mount(route: HttpRoute): void
  /** Answers waiting receives, takes no more requests, ends connections; at the latest after `graceMs`. */
  close(options: { readonly graceMs: number }): Promise<void>
}

/**
 * Makes the face; it does not listen yet.
 *
 * Rejects only when `httpServer` is `uws` and the library cannot be loaded: who asked for it by name should know.
 */
export async function makeHttpFace(parts: HttpFaceParts): Promise<HttpFace> {
  const { service, logger, metrics, options } = parts
  const authenticator = new Authenticator({ ...parts, options: options.authentication })
  const actions = new ActionHandler({ ...parts, authenticator, options: options.actions })
  const router = new HttpRouter(actions)
  for (const route of healthRoutes({ service, metrics: parts.metricsPage, version: options.actions.version })) {
    router.mount(route)
  }
  const server = await makeServer(options.httpServer, { app: router, options: options.server, logger })
  const connections = metrics.gauge("connections", "http")
  metrics.onScrape(() => {
    connections.set(server.connectionCount())
  })
  return {
    kind: server.kind,
    listen: (address) => server.listen(address),
    mount: (route) => {
      router.mount(route)
    },
    close: (closing) => {
      actions.drain()
      return server.close(closing)
    },
  }
}

/**
 * The server that was asked for.
 *
 * @param load - how uWebSockets.js is loaded; a test hands in a failure.
 */
export async function makeServer(
  choice: HttpServerChoice,
  parts: HttpServerParts,
  load: typeof loadUws = loadUws,
): Promise<HttpServer> {
  if (choice === "node") return makeNodeServer(parts)
  const loaded = await load()
  if ("library" in loaded) return makeUwsServer(loaded.library, parts)
  if (choice === "uws") throw new Error("uWebSockets.js cannot be loaded here", { cause: loaded.error })
  parts.logger.warn({ err: loaded.error }, "uWebSockets.js cannot be loaded here, node:http takes its place")
  return makeNodeServer(parts)
}
