/**
 * Which handler answers which path. The two paths of CMQ come first; everything else is mounted by name.
 */
import { ACTION_PATHS } from "./action-handler.ts"
import type { ActionHandler } from "./action-handler.ts"
import type { HttpApp, HttpExchange, HttpRefusal, HttpReply, HttpRequest } from "./http-message.ts"

/** A path and who answers it. */
export interface HttpRoute {
  /** `/livez`; with `/*` at its end also everything below. */
  readonly path: string
  /** Whether `HttpRequest.header` must know all headers, or only `host`. */
  readonly needsHeaders?: boolean
  /** Never throws; may answer later. */
  serve(request: HttpRequest, exchange: HttpExchange): void
}

const NOT_FOUND: HttpReply = {
  status: 404,
  contentType: "text/plain; charset=utf-8",
  headers: [],
  body: "not found\n",
}

/** The app of an HTTP server: CMQ's actions and whatever is mounted beside them. */
export class HttpRouter implements HttpApp {
  private readonly actions: ActionHandler
  private readonly exact = new Map<string, HttpRoute>()
  private readonly below: HttpRoute[] = []

  constructor(actions: ActionHandler) {
    this.actions = actions
    for (const path of ACTION_PATHS) this.mount({ path, serve: actions.serve.bind(actions) })
  }

  /**
   * Adds a route; allowed at any time before or after `listen`.
   *
   * @throws RangeError when the path is taken: a bug of the caller.
   */
  mount(route: HttpRoute): void {
    const path = route.path.endsWith("/*") ? route.path.slice(0, -2) : route.path
    if (this.exact.has(path)) throw new RangeError(`path ${path} is mounted twice`)
    this.exact.set(path, route)
    if (path !== route.path) this.below.push({ ...route, path: `${path}/`, serve: route.serve.bind(route) })
  }

  serve(request: HttpRequest, exchange: HttpExchange): void {
    const route = this.routeOf(request.path)
    if (route === undefined) exchange.reply(NOT_FOUND)
    else route.serve(request, exchange)
  }

  needsHeaders(path: string): boolean {
    return this.routeOf(path)?.needsHeaders === true
  }

  refusal(reason: HttpRefusal): HttpReply {
    return this.actions.refusal(reason)
  }

  private routeOf(path: string): HttpRoute | undefined {
    return this.exact.get(path) ?? this.below.find((route) => path.startsWith(route.path))
  }
}
