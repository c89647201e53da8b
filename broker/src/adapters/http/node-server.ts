/**
 * The HTTP server on node:http: the automatic fallback, and the one that proves that nothing depends on uWebSockets.js.
 *
 * Bounds: Node's own header and request timeouts, a byte count on the body while it streams in, a count of sockets, and
 * an inactivity timeout that also cuts a client that never reads its reply. Never `insecureHTTPParser`.
 */
import { createServer } from "node:http"
import type { IncomingMessage, Server, ServerResponse } from "node:http"
import type { AddressInfo, Socket } from "node:net"
import type {
  HttpExchange,
  HttpListener,
  HttpRefusal,
  HttpReply,
  HttpRequest,
  HttpServer,
  HttpServerParts,
} from "./http-message.ts"

const MAX_HEADERS = 64
/** How often Node looks for connections whose headers or request are overdue. */
const CHECK_INTERVAL_MS = 1_000

/** Makes an `HttpServer` of Node's own parts; works wherever Node does. */
export function makeNodeServer(parts: HttpServerParts): HttpServer {
  return new NodeServer(parts)
}

class NodeServer implements HttpServer {
  readonly kind = "node"
  private readonly parts: HttpServerParts
  private readonly server: Server
  private readonly sockets = new Set<Socket>()
  private isClosing = false

  constructor(parts: HttpServerParts) {
    const { options } = parts
    this.parts = parts
    this.server = createServer({
      headersTimeout: options.headersTimeoutMs,
      requestTimeout: options.requestTimeoutMs,
      keepAliveTimeout: options.keepAliveTimeoutMs,
      connectionsCheckingInterval: CHECK_INTERVAL_MS,
      maxHeaderSize: options.maxUriBytes + 16_384,
      insecureHTTPParser: false,
      noDelay: true,
    })
    this.server.maxHeadersCount = MAX_HEADERS
    this.server.timeout = options.idleTimeoutMs
    this.server.on("connection", (socket: Socket) => {
      this.admit(socket)
    })
    this.server.on("request", (message, response) => {
      this.receive(message, response)
    })
    // What is no HTTP at all: Node's default would do the same, but after a longer wait and without a body.
    this.server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
      if (error.code === "ECONNRESET" || !socket.writable) socket.destroy()
      else socket.end(statusLine(error.code), () => socket.destroy())
    })
  }

  listen(address: { readonly host: string; readonly port: number }): Promise<{ readonly port: number }> {
    return new Promise((resolve, reject) => {
      this.server.once("error", reject)
      this.server.listen({ host: address.host, port: address.port, backlog: 1024 }, () => {
        this.server.off("error", reject)
        this.server.on("error", (error) => {
          this.parts.logger.error({ err: error }, "the HTTP server reported an error")
        })
        resolve({ port: (this.server.address() as AddressInfo).port })
      })
    })
  }

  close({ graceMs }: { readonly graceMs: number }): Promise<void> {
    this.isClosing = true
    return new Promise((resolve) => {
      const cut = setTimeout(() => {
        this.server.closeAllConnections()
      }, graceMs)
      this.server.close(() => {
        clearTimeout(cut)
        resolve()
      })
      this.server.closeIdleConnections()
    })
  }

  connectionCount(): number {
    return this.sockets.size
  }

  private admit(socket: Socket): void {
    if (this.sockets.size >= this.parts.options.maxConnections) {
      const { body } = this.parts.app.refusal("tooManyConnections")
      const head = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json; charset=utf-8\r\n"
      socket.on("error", () => socket.destroy())
      socket.end(
        `${head}content-length: ${String(Buffer.byteLength(body))}\r\nconnection: close\r\n\r\n${body}`,
        () => {
          socket.destroy()
        },
      )
      return
    }
    this.sockets.add(socket)
    socket.once("close", () => {
      this.sockets.delete(socket)
    })
  }

  private receive(message: IncomingMessage, response: ServerResponse): void {
    const { app, options } = this.parts
    const exchange = new NodeExchange(response, () => this.isClosing)
    const request = new NodeRequest(message)
    const refuse = (reason: HttpRefusal): void => {
      message.removeAllListeners("data")
      // The rest of the body is not read: the connection ends behind the reply.
      exchange.reply({ ...app.refusal(reason), isLast: true })
      response.once("finish", () => message.socket.destroySoon())
    }
    if (Buffer.byteLength(message.url ?? "", "latin1") > options.maxUriBytes) {
      refuse("uriTooLarge")
      return
    }
    if (Number(message.headers["content-length"] ?? 0) > options.maxBodyBytes) {
      refuse("bodyTooLarge")
      return
    }
    let length = 0
    message.on("data", (chunk: Buffer) => {
      length += chunk.length
      if (length > options.maxBodyBytes) refuse("bodyTooLarge")
      else request.chunks.push(chunk)
    })
    message.on("end", () => {
      if (!exchange.isOver) app.serve(request, exchange)
    })
    // The request was cut off: "close" of the response tells whoever waits.
    message.on("error", () => undefined)
  }
}

class NodeRequest implements HttpRequest {
  readonly method: string
  readonly path: string
  readonly query: Uint8Array
  readonly chunks: Buffer[] = []
  private readonly message: IncomingMessage

  constructor(message: IncomingMessage) {
    const url = message.url ?? "/"
    const mark = url.indexOf("?")
    this.message = message
    this.method = message.method ?? "GET"
    this.path = mark === -1 ? url : url.slice(0, mark)
    this.query = Buffer.from(mark === -1 ? "" : url.slice(mark + 1), "latin1")
  }

  get body(): Uint8Array {
    return this.chunks.length === 1 ? (this.chunks[0] as Buffer) : Buffer.concat(this.chunks)
  }

  header(name: string): string {
    const value = this.message.headers[name]
    return typeof value === "string" ? value : (value?.join(", ") ?? "")
  }

  remoteAddress(): string {
    return this.message.socket.remoteAddress ?? ""
  }
}

class NodeExchange implements HttpExchange {
  listener: HttpListener | undefined
  /** Answered, or the client has gone. */
  isOver = false
  private readonly response: ServerResponse
  private readonly isClosing: () => boolean

  constructor(response: ServerResponse, isClosing: () => boolean) {
    this.response = response
    this.isClosing = isClosing
    response.once("close", () => {
      if (this.isOver) return
      this.isOver = true
      this.listener?.clientGone()
    })
  }

  reply(reply: HttpReply): boolean {
    const { response } = this
    if (this.isOver || response.destroyed || response.socket?.destroyed === true) return false
    this.isOver = true
    const bytes = Buffer.byteLength(reply.body)
    const headers = ["content-type", reply.contentType, "content-length", String(bytes), ...reply.headers]
    if (reply.isLast === true || this.isClosing()) headers.push("connection", "close")
    response.writeHead(reply.status, headers)
    response.end(reply.body)
    return true
  }
}

function statusLine(code: string | undefined): string {
  const status =
    code === "HPE_HEADER_OVERFLOW"
      ? "431 Request Header Fields Too Large"
      : code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? "408 Request Timeout"
        : "400 Bad Request"
  return `HTTP/1.1 ${status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`
}
