/**
 * The minimal HTTP that OpenCMQ needs: request, reply and server as plain values.
 *
 * Whoever answers requests (CMQ actions, health routes, later faces) sees only this file, so that one conformance
 * suite can be run over every server. Nothing here knows CMQ.
 */
import type { Logger } from "../../ports.ts"

/** One request, whole: its body has been read within the limit. */
export interface HttpRequest {
  /** In capitals. */
  readonly method: string
  /** As sent, without the query and not decoded: part of what CMQ clients sign. */
  readonly path: string
  /** The raw bytes behind `?`; empty when there are none. */
  readonly query: Uint8Array
  /**
   * The value of a header, "" when it is absent. Only `host` can be relied on for paths that a route did not
   * ask headers for (`HttpRoute.needsHeaders`): copying all of them costs more than the rest of a short request.
   *
   * @param name - in lower case.
   */
  header(name: string): string
  /** Valid until the request is answered. */
  readonly body: Uint8Array
  /** Address of the peer as text. Valid until the request is answered, like `body`. */
  remoteAddress(): string
}

/** What goes back. `Content-Length` and `Date` are the server's business. */
export interface HttpReply {
  readonly status: number
  readonly contentType: string
  /** Further headers, names and values in turn: `["x-request-id", "7"]`. */
  readonly headers: readonly string[]
  readonly body: string
  /** Ends the connection behind this reply. */
  readonly isLast?: boolean
}

/** The way back to the client of one request. */
export interface HttpExchange {
  /**
   * Sends the reply; to be called once, at any time.
   *
   * @returns false when the client has gone: nothing was sent.
   */
  reply(reply: HttpReply): boolean
  /** Set by whoever answers later; told once when the client goes before it has its reply, never after `reply`. */
  listener: HttpListener | undefined
}

/** Who wants to know that a client has gone. An object, so that a request costs no closure. */
export interface HttpListener {
  clientGone(): void
}

/** What answers requests. */
export interface HttpApp {
  /** Never throws; may answer at once or later. */
  serve(request: HttpRequest, exchange: HttpExchange): void
  /** Asked when the head of a request is there. */
  needsHeaders(path: string): boolean
  /** The reply to a request that the server itself turns away; the connection ends behind it. */
  refusal(reason: HttpRefusal): HttpReply
}

/** Why a server turns a request away unseen. */
export type HttpRefusal = "bodyTooLarge" | "uriTooLarge" | "tooManyConnections"

/** Bounds of a server; every one of them is there so that no client can take more than its share. */
export interface HttpServerOptions {
  /** Body as sent, in bytes. Above it: `refusal("bodyTooLarge")` before the rest is read. */
  readonly maxBodyBytes: number
  /** Path and query together, in bytes. */
  readonly maxUriBytes: number
  /** Sockets at once. */
  readonly maxConnections: number
  /** From the first byte of a request to the end of its headers. */
  readonly headersTimeoutMs: number
  /** From the first byte of a request to its last. uWebSockets.js asks for 16 KiB/s instead, and 10 s of silence at most. */
  readonly requestTimeoutMs: number
  /** A connection without a request is ended after it. uWebSockets.js: always 10 s. */
  readonly keepAliveTimeoutMs: number
  /** A connection on which nothing moves, long polls included, is cut after it. Above every long poll. */
  readonly idleTimeoutMs: number
}

/** Made by `http-server.ts`; two of them exist. */
export interface HttpServer {
  /** What it is made of, for the log and /readyz?verbose. */
  readonly kind: "uws" | "node"
  /** Port 0 takes a free one. Rejects with the system's error when the address cannot be had. */
  listen(address: { readonly host: string; readonly port: number }): Promise<{ readonly port: number }>
  /**
   * Stops in three steps: no new connections; open requests are answered (whoever holds them is told by its owner);
   * connections end, at the latest after `graceMs`.
   */
  close(options: { readonly graceMs: number }): Promise<void>
  /** Open sockets. */
  connectionCount(): number
}

/** What both servers are made from. */
export interface HttpServerParts {
  readonly app: HttpApp
  readonly options: HttpServerOptions
  readonly logger: Logger
}

/** The usual bounds; sizes come from `@opencmq/proto` limits at the composition root. */
export const HTTP_SERVER_DEFAULTS = {
  maxConnections: 20_000,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  keepAliveTimeoutMs: 65_000,
  idleTimeoutMs: 75_000,
} as const
