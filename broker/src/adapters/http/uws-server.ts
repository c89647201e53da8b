/**
 * The HTTP server on uWebSockets.js: a third of the cost of node:http (platform.md §2). The only file that imports it.
 *
 * Rules of the library that this file keeps: request objects die when their handler returns, response objects when
 * `onAborted` was called or the reply is complete; every late write is corked. Its own timeouts apply: 10 s without a
 * byte, 16 KiB/s while a body comes in. Replies go out by `tryEnd`: what the socket does not take stays with this
 * file, and a client that asks on without reading is cut by the library instead of filling our memory.
 */
import type * as Uws from "uWebSockets.js"
import type {
  HttpExchange,
  HttpListener,
  HttpRefusal,
  HttpReply,
  HttpRequest,
  HttpServer,
  HttpServerParts,
} from "./http-message.ts"

type Library = typeof Uws

/**
 * Bytes of a request's head that may come in several pieces; the library's own 4,096 is less than a GET of CMQ may have.
 * It is read once, from the environment, when the library is loaded: there is no other way to say it.
 */
const HEAD_BYTES_MAX = 131_072

/** Loads the library, or says why it cannot be had here (other platform, other Node, older glibc, not installed). */
export async function loadUws(): Promise<{ readonly library: Library } | { readonly error: unknown }> {
  try {
    // eslint-disable-next-line no-restricted-properties -- written for the library, never read by us.
    process.env["UWS_HTTP_MAX_HEADERS_SIZE"] ??= String(HEAD_BYTES_MAX)
    // It is CommonJS: Node puts what it exports under `default`, a bundler such as vitest's beside it.
    const loaded: object = await import("uWebSockets.js")
    return { library: (loaded as { readonly default?: Library }).default ?? (loaded as Library) }
  } catch (error) {
    return { error }
  }
}

/** Makes an `HttpServer` of a loaded library. */
export function makeUwsServer(library: Library, parts: HttpServerParts): HttpServer {
  return new UwsServer(library, parts)
}

/** How often `close` looks whether the last connections have ended. */
const CLOSE_POLL_MS = 20

const EMPTY = Buffer.alloc(0)

const STATUS_LINES: Readonly<Record<number, string>> = {
  200: "200 OK",
  400: "400 Bad Request",
  404: "404 Not Found",
  405: "405 Method Not Allowed",
  413: "413 Payload Too Large",
  503: "503 Service Unavailable",
}

/** What an exchange shares with its server. */
interface Shared {
  readonly isClosing: boolean
  openCount: number
}

class UwsServer implements HttpServer, Shared {
  readonly kind = "uws"
  private readonly library: Library
  private readonly parts: HttpServerParts
  private readonly app: Uws.TemplatedApp
  private listenSocket: Uws.us_listen_socket | undefined
  private connections = 0
  /** Replies end their connections from now on. */
  isClosing = false
  /** Requests whose reply is not yet written to its end. */
  openCount = 0

  constructor(library: Library, parts: HttpServerParts) {
    this.library = library
    this.parts = parts
    this.app = library.App()
    this.app.filter((_response, change) => {
      this.connections += Number(change) > 0 ? 1 : -1
    })
    this.app.any("/*", (response, request) => {
      this.receive(response, request)
    })
  }

  listen({ host, port }: { readonly host: string; readonly port: number }): Promise<{ readonly port: number }> {
    return new Promise((resolve, reject) => {
      // Exclusive: without it a second process could take the same port and half of the clients.
      const exclusive = (this.library as unknown as Readonly<Record<"LIBUS_LISTEN_EXCLUSIVE_PORT", number>>)
        .LIBUS_LISTEN_EXCLUSIVE_PORT
      const listened = (socket: Uws.us_listen_socket | false): void => {
        if (socket === false) {
          reject(new Error(`cannot listen on ${host}:${String(port)}: the address is in use or not ours`))
          return
        }
        this.listenSocket = socket
        resolve({ port: this.library.us_socket_local_port(socket) })
      }
      listenExclusively(this.app, { host, port, exclusive }, listened)
    })
  }

  async close({ graceMs }: { readonly graceMs: number }): Promise<void> {
    this.isClosing = true
    if (this.listenSocket !== undefined) this.library.us_listen_socket_close(this.listenSocket)
    this.listenSocket = undefined
    for (let waitedMs = 0; this.openCount > 0 && waitedMs < graceMs; waitedMs += CLOSE_POLL_MS) {
      await new Promise((resolve) => setTimeout(resolve, CLOSE_POLL_MS))
    }
    this.app.close()
  }

  connectionCount(): number {
    return this.connections
  }

  private receive(response: Uws.HttpResponse, request: Uws.HttpRequest): void {
    const { app, options } = this.parts
    const exchange = new UwsExchange(response, request.getMethod() === "head", this)
    this.openCount++
    response.onAborted(() => {
      exchange.aborted()
    })
    const reason = this.refusalOf(request)
    if (reason !== undefined) {
      this.refuse(exchange, reason)
      return
    }
    const read = new UwsRequest(response, request, app.needsHeaders(request.getUrl()))
    const chunks: Buffer[] = []
    let length = 0
    response.onData((chunk, isLast) => {
      if (exchange.isOver) return
      length += chunk.byteLength
      if (length > options.maxBodyBytes) {
        this.refuse(exchange, "bodyTooLarge")
        return
      }
      if (!isLast) {
        // The library takes its buffer back when this function returns.
        chunks.push(Buffer.from(chunk.slice(0)))
        return
      }
      if (chunks.length === 0) {
        read.body = length === 0 ? EMPTY : Buffer.from(chunk)
      } else {
        chunks.push(Buffer.from(chunk))
        read.body = Buffer.concat(chunks)
      }
      app.serve(read, exchange)
    })
  }

  private refusalOf(request: Uws.HttpRequest): HttpRefusal | undefined {
    const { options } = this.parts
    if (this.connections > options.maxConnections) return "tooManyConnections"
    if (request.getUrl().length + ((request.getQuery() as string | undefined) ?? "").length > options.maxUriBytes) {
      return "uriTooLarge"
    }
    return Number(request.getHeader("content-length")) > options.maxBodyBytes ? "bodyTooLarge" : undefined
  }

  private refuse(exchange: UwsExchange, reason: HttpRefusal): void {
    const reply = this.parts.app.refusal(reason)
    exchange.reply({ ...reply, status: reason === "tooManyConnections" ? 503 : reply.status, isLast: true })
  }
}

/** The declaration of `listen` lacks the form with host, port and options, which the library has had since v19. */
function listenExclusively(
  app: Uws.TemplatedApp,
  { host, port, exclusive }: { readonly host: string; readonly port: number; readonly exclusive: number },
  listened: (socket: Uws.us_listen_socket | false) => void,
): void {
  const listener = app as unknown as { listen(...args: readonly unknown[]): void }
  listener.listen(host, port, exclusive, listened)
}

class UwsRequest implements HttpRequest {
  readonly method: string
  readonly path: string
  readonly query: Uint8Array
  body: Uint8Array = EMPTY
  private readonly response: Uws.HttpResponse
  private readonly host: string
  private readonly headers: ReadonlyMap<string, string> | undefined

  constructor(response: Uws.HttpResponse, request: Uws.HttpRequest, needsHeaders: boolean) {
    // Undefined when there is no `?`, whatever the declaration says.
    const query = request.getQuery() as string | undefined
    this.response = response
    this.method = request.getMethod().toUpperCase()
    this.path = request.getUrl()
    this.query = query === undefined || query === "" ? EMPTY : Buffer.from(query, "utf8")
    this.host = request.getHeader("host")
    if (!needsHeaders) return
    const headers = new Map<string, string>()
    request.forEach((name, value) => {
      headers.set(name, value)
    })
    this.headers = headers
  }

  header(name: string): string {
    return name === "host" ? this.host : (this.headers?.get(name) ?? "")
  }

  remoteAddress(): string {
    return Buffer.from(this.response.getRemoteAddressAsText()).toString("latin1")
  }
}

class UwsExchange implements HttpExchange {
  listener: HttpListener | undefined
  /** Answered (perhaps not yet all bytes), or the client has gone. */
  isOver = false
  private readonly response: Uws.HttpResponse
  private readonly isHead: boolean
  private readonly server: Shared
  /** The response may not be touched any more: aborted, or wholly written. */
  private isDead = false

  constructor(response: Uws.HttpResponse, isHead: boolean, server: Shared) {
    this.response = response
    this.isHead = isHead
    this.server = server
  }

  aborted(): void {
    this.done()
    if (this.isOver) return
    this.isOver = true
    this.listener?.clientGone()
  }

  reply(reply: HttpReply): boolean {
    if (this.isOver) return false
    this.isOver = true
    this.response.cork(() => {
      this.write(reply)
    })
    return true
  }

  private write(reply: HttpReply): void {
    const { response } = this
    const bytes = Buffer.byteLength(reply.body)
    const isLast = reply.isLast === true || this.server.isClosing
    response.writeStatus(STATUS_LINES[reply.status] ?? String(reply.status))
    response.writeHeader("content-type", reply.contentType)
    for (let index = 0; index + 1 < reply.headers.length; index += 2) {
      response.writeHeader(reply.headers[index] ?? "", reply.headers[index + 1] ?? "")
    }
    if (this.isHead) {
      // With a length given the library would wait for that many bytes, and `undefined` would be one.
      if (isLast) response.endWithoutBody(0, true)
      else response.writeHeader("content-length", String(bytes)).endWithoutBody()
      this.done()
    } else if (isLast) {
      response.end(reply.body, true)
      this.done()
    } else {
      const [isWritten, isComplete] = response.tryEnd(reply.body, bytes)
      if (isWritten || isComplete) this.done()
      else this.writeRest(Buffer.from(reply.body))
    }
  }

  /** The socket is full: goes on when it drains. Should the client never read, the library aborts after its timeout. */
  private writeRest(body: Buffer): void {
    const { response } = this
    response.onWritable((offset) => {
      if (this.isDead) return true
      const [isWritten, isComplete] = response.tryEnd(body.subarray(offset), body.length)
      if (isWritten || isComplete) this.done()
      return isWritten
    })
  }

  private done(): void {
    if (this.isDead) return
    this.isDead = true
    this.server.openCount--
  }
}
