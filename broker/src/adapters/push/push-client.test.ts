import { generateKeyPairSync, sign } from "node:crypto"
import { createServer as createHttpServer } from "node:http"
import type { IncomingMessage, RequestListener, Server as HttpServer } from "node:http"
import { createServer as createHttpsServer } from "node:https"
import { createServer as createTcpServer } from "node:net"
import type { AddressInfo, Server as TcpServer, Socket } from "node:net"
import type { TLSSocket } from "node:tls"
import { afterEach, describe, expect, test } from "vitest"
import type { Timers } from "../../ports.ts"
import { NodeTimers } from "../system/node-timers.ts"
import { readAllowList } from "./allow-list.ts"
import { readEndpoint } from "./endpoint.ts"
import type { ResolveHost } from "./host-lookups.ts"
import { PushClient } from "./push-client.ts"
import type { PushClientOptions } from "./push-client.ts"
import type { PushOutcome, PushRequest } from "./push-exchange.ts"
import { writePush } from "./push-message.ts"

const DELIVERED: PushOutcome = { kind: "delivered" }

const closers: (() => Promise<void> | void)[] = []

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function until(what: string, isTrue: () => boolean, withinMs = 10_000): Promise<void> {
  const end = performance.now() + withinMs
  while (!isTrue()) {
    if (performance.now() > end) throw new Error(`not within ${String(withinMs)} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** Timers that a test fires by hand; it knows them by their delay. */
class HandTimers implements Timers {
  readonly #armed = new Map<() => void, number>()

  get armedCount(): number {
    return this.#armed.size
  }

  soon(run: () => void): void {
    setImmediate(run)
  }

  after(delayMs: number, run: () => void): () => void {
    this.#armed.set(run, delayMs)
    return () => void this.#armed.delete(run)
  }

  every(): never {
    throw new Error("a push has no period")
  }

  isArmed(delayMs: number): boolean {
    return [...this.#armed.values()].includes(delayMs)
  }

  fire(delayMs: number): void {
    for (const [run, armedMs] of [...this.#armed]) {
      if (armedMs !== delayMs) continue
      this.#armed.delete(run)
      run()
    }
  }
}

function failure(reason: string): object {
  return { kind: "failed", reason }
}

function allowList(...entries: string[]): PushClientOptions["allowList"] {
  const read = readAllowList(entries)
  if (!read.ok) throw new Error(`${read.entry}: ${read.problem}`)
  return read.value
}

/** A client that may push to 127.0.0.1; a test asks for other rules. */
function client(options: Partial<PushClientOptions> = {}, timers: Timers = new NodeTimers()): PushClient {
  const made = new PushClient(timers, { allowList: allowList("127.0.0.1"), ...options })
  closers.push(() => made.close())
  return made
}

function request(url: string, changes: Partial<PushRequest> = {}): PushRequest {
  const read = readEndpoint(url, { isHttpsAllowed: true })
  if (!read.ok) throw new Error(`${url}: ${read.error}`)
  return { endpoint: read.value, headers: [["Content-Type", "text/plain"]], body: Buffer.from("hello"), ...changes }
}

/** A receiver, and what it was sent. */
class Receiver {
  readonly requests: { readonly message: IncomingMessage; readonly body: Buffer }[] = []
  connectionCount = 0
  openCount = 0
  readonly #server: HttpServer

  constructor(answer: RequestListener) {
    this.#server = createHttpServer((message, response) => {
      const chunks: Buffer[] = []
      message.on("data", (chunk: Buffer) => chunks.push(chunk))
      message.on("end", () => {
        this.requests.push({ message, body: Buffer.concat(chunks) })
        answer(message, response)
      })
    })
    // Longer than any test: whoever closes a connection, it is not this timer.
    this.#server.keepAliveTimeout = 600_000
    this.#server.on("connection", (socket) => {
      this.connectionCount += 1
      this.openCount += 1
      socket.on("close", () => (this.openCount -= 1))
    })
    closers.push(() => this.close())
  }

  async listen(address = "127.0.0.1"): Promise<this> {
    await listening(this.#server, address)
    return this
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  url(path = "/", host = "127.0.0.1"): string {
    return `http://${host}:${String(this.port)}${path}`
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve()
      })
      this.#server.closeAllConnections()
    })
  }
}

/** A receiver below HTTP: says what it likes. Its url, and the sockets that are open. */
async function rawReceiver(connected: (socket: Socket) => void): Promise<{ url: string; sockets: Set<Socket> }> {
  const sockets = new Set<Socket>()
  const server = createTcpServer((socket) => {
    sockets.add(socket)
    socket.on("error", () => socket.destroy())
    socket.on("close", () => sockets.delete(socket))
    // What is not read hides the end behind it.
    socket.resume()
    connected(socket)
  })
  closers.push(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  await listening(server, "127.0.0.1")
  return { url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/`, sockets }
}

function listening(server: TcpServer, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject)
    server.listen(0, address, resolve)
  })
}

/** Answers with the given text as soon as something was sent. */
function answering(text: string): (socket: Socket) => void {
  return (socket) => {
    socket.once("data", () => socket.write(text))
  }
}

/** A resolver that gives its answers one after the other, the last one for ever, and remembers the questions. */
function resolver(...answers: readonly (readonly string[])[]): { resolveHost: ResolveHost; names: string[] } {
  const names: string[] = []
  const resolveHost: ResolveHost = async (name) => {
    names.push(name)
    return answers[Math.min(names.length, answers.length) - 1] ?? []
  }
  return { resolveHost, names }
}

describe("what is sent", () => {
  test("is one POST with the headers in their order, the host as it was written, and the body", async () => {
    const receiver = await new Receiver((_, response) => response.end("ok")).listen()
    const { resolveHost, names } = resolver(["127.0.0.1"])
    const content = writePush({
      requestId: "1",
      topicOwner: 7,
      topicName: "t",
      subscriptionName: "s",
      msgId: "42",
      body: Buffer.from("红包"),
      tags: ["红", "b"],
      publishedAtMs: 1_000,
      notifyContentFormat: "SIMPLIFIED",
    })
    const push = request(receiver.url("/in?a=1", "hooks.example"), content)
    expect(await client({ resolveHost }).push(push)).toEqual(DELIVERED)
    expect(names).toEqual(["hooks.example"])
    expect(receiver.requests.length).toBe(1)
    const { message, body } = receiver.requests[0] ?? expect.fail("nothing came")
    expect(message.method).toBe("POST")
    expect(message.url).toBe("/in?a=1")
    expect(body.toString()).toBe("红包")
    expect(message.rawHeaders.filter((_, at) => at % 2 === 0)).toEqual([
      ...["Host", "Content-Length", "Content-Type", "User-Agent"],
      ...["x-cmq-request-id", "x-cmq-message-id", "x-cmq-message-tag", "Connection"],
    ])
    expect(message.headers.host).toBe(`hooks.example:${String(receiver.port)}`)
    expect(message.headers["content-length"]).toBe("6")
    expect(Buffer.from(String(message.headers["x-cmq-message-tag"]), "latin1").toString()).toBe("红, b")
  })

  test("may not frame the request anew", async () => {
    const pusher = client()
    for (const name of ["host", "Content-Length", "TRANSFER-ENCODING", "Connection"]) {
      const push = request("http://127.0.0.1:1024/", { headers: [[name, "1"]] })
      await expect(pusher.push(push), name).rejects.toThrow("frame")
    }
    await expect(pusher.push(request("http://127.0.0.1:1024/", { headers: [["x", "a\r\nb: c"]] }))).rejects.toThrow()
    expect(pusher.runningCount).toBe(0)
  })

  test("reuses a connection to the same address, and leaves no timer behind", async () => {
    const receiver = await new Receiver((_, response) => response.end("ok")).listen()
    const timers = new HandTimers()
    const pusher = client({ resolveHost: resolver(["127.0.0.1"]).resolveHost }, timers)
    for (const host of ["127.0.0.1", "127.0.0.1", "hooks.example"]) {
      expect(await pusher.push(request(receiver.url("/", host)))).toEqual(DELIVERED)
    }
    expect(receiver.connectionCount).toBe(1)
    expect(timers.armedCount).toBe(0)
  })

  test("is sent again on a new connection when a used one turns out to be closed", async () => {
    let requestCount = 0
    const { url } = await rawReceiver((socket) => {
      let isUsed = false
      socket.on("data", () => {
        requestCount += 1
        if (isUsed) socket.resetAndDestroy()
        else socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        isUsed = true
      })
    })
    const pusher = client()
    expect(await pusher.push(request(url))).toEqual(DELIVERED)
    await until("the connection is idle", () => pusher.idleSocketCount === 1)
    expect(await pusher.push(request(url))).toEqual(DELIVERED)
    expect(requestCount).toBe(3)
  })
})

describe("an answer", () => {
  test.each([
    [200, DELIVERED],
    [201, DELIVERED],
    [204, DELIVERED],
    [299, DELIVERED],
    [300, failure("redirected")],
    [304, failure("redirected")],
    [400, failure("status")],
    [404, failure("status")],
    [500, failure("status")],
    [503, failure("status")],
    [999, failure("status")],
  ])("with status %i counts by its status alone", async (status, outcome) => {
    const receiver = await new Receiver((_, response) => response.writeHead(status).end()).listen()
    expect(await client().push(request(receiver.url()))).toEqual(outcome)
  })

  test.each([301, 302, 303, 307, 308])("that redirects (%i) is a failure and is not followed", async (status) => {
    const target = await new Receiver((_, response) => response.end()).listen()
    const receiver = await new Receiver((_, response) => {
      response.writeHead(status, { Location: target.url("/stolen") }).end()
    }).listen()
    expect(await client().push(request(receiver.url()))).toEqual(failure("redirected"))
    expect(target.connectionCount).toBe(0)
  })

  test("without end is cut after its limit, and delivered if the status says so", async () => {
    for (const [status, outcome] of [
      [200, DELIVERED],
      [500, failure("status")],
    ] as const) {
      let sentBytes = 0
      const receiver = await new Receiver((_, response) => {
        response.writeHead(status)
        const more = (): void => {
          if (response.destroyed) return
          sentBytes += 1_024
          response.write("x".repeat(1_024), () => setImmediate(more))
        }
        more()
      }).listen()
      const pusher = client({ drainBytesMax: 4_096, drainTimeoutMs: 60_000 })
      expect(await pusher.push(request(receiver.url()))).toEqual(outcome)
      await until("the socket is closed", () => receiver.openCount === 0)
      expect(pusher.idleSocketCount).toBe(0)
      // What the kernels hold between two sockets comes on top of the limit.
      expect(sentBytes).toBeLessThan(16 * 1_024 * 1_024)
    }
  })

  test("whose body stalls is over after the drain's time", async () => {
    const receiver = await new Receiver((_, response) => {
      response.writeHead(200, { "Content-Length": "100" })
      response.write("x")
    }).listen()
    const pusher = client({ drainTimeoutMs: 20 })
    expect(await pusher.push(request(receiver.url()))).toEqual(DELIVERED)
    await until("the socket is closed", () => receiver.openCount === 0)
  })

  test("that has begun when the total time is over stays what its status says", async () => {
    const receiver = await new Receiver((_, response) => {
      response.writeHead(200, { "Content-Length": "100" })
      response.write("x")
    }).listen()
    const timers = new HandTimers()
    const outcome = client({ drainTimeoutMs: 77_000, totalTimeoutMs: 88_000 }, timers).push(request(receiver.url()))
    await until("the status has come", () => timers.isArmed(77_000))
    timers.fire(88_000)
    expect(await outcome).toEqual(DELIVERED)
    expect(timers.armedCount).toBe(0)
  })

  test("that breaks off in its body counts by its status", async () => {
    const { url } = await rawReceiver((socket) => {
      socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"))
    })
    expect(await client().push(request(url))).toEqual(DELIVERED)
  })

  test("whose head does not come is cut by the total time", async () => {
    const { url, sockets } = await rawReceiver(() => undefined)
    expect(await client({ totalTimeoutMs: 50 }).push(request(url))).toEqual(failure("timeout"))
    await until("the socket is closed", () => sockets.size === 0)
  })

  test("whose head comes byte by byte is cut by the total time", async () => {
    const { url, sockets } = await rawReceiver((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nx: ")
      const timer = setInterval(() => socket.write("x"), 5)
      socket.on("close", () => {
        clearInterval(timer)
      })
    })
    expect(await client({ totalTimeoutMs: 100 }).push(request(url))).toEqual(failure("timeout"))
    await until("the socket is closed", () => sockets.size === 0)
  })

  test("that says 1xx again and again is cut", async () => {
    const { url, sockets } = await rawReceiver((socket) => {
      const more = (): void => {
        if (!socket.destroyed) socket.write("HTTP/1.1 103 Early Hints\r\n\r\n", () => setImmediate(more))
      }
      more()
    })
    expect(await client({ totalTimeoutMs: 60_000 }).push(request(url))).toEqual(failure("malformed"))
    await until("the socket is closed", () => sockets.size === 0)
  })

  test.each([
    ["no HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n"],
    ["a huge header", `HTTP/1.1 200 OK\r\nx: ${"a".repeat(9_000)}\r\n\r\n`],
    ["many headers", `HTTP/1.1 200 OK\r\n${"x-header: 0123456789\r\n".repeat(1_000)}\r\n`],
    ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"],
    ["a length and chunks", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    ["a bare line feed in a header", "HTTP/1.1 200 OK\r\nx: a\nb: c\r\nContent-Length: 0\r\n\r\n"],
  ])("with %s is malformed", async (_, text) => {
    const { url } = await rawReceiver(answering(text))
    const outcome = await client().push(request(url))
    expect(outcome).toEqual(failure("malformed"))
  })

  test.each([
    ["nothing", ""],
    ["half a head", "HTTP/1.1 200 OK\r\nContent-Le"],
    ["an upgrade", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"],
  ])("of %s before the end is a broken connection", async (_, text) => {
    const { url } = await rawReceiver((socket) => {
      socket.once("data", () => socket.end(text))
    })
    expect(await client().push(request(url))).toMatchObject({
      kind: "failed",
      reason: expect.stringMatching(/^(brokenOff|malformed)$/) as string,
    })
  })

  test("before the request was read counts, and costs the connection", async () => {
    const { url, sockets } = await rawReceiver((socket) => {
      socket.pause()
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    })
    const pusher = client({ idleTimeoutMs: 600_000 })
    expect(await pusher.push(request(url, { body: Buffer.alloc(32 * 1_024 * 1_024) }))).toEqual(DELIVERED)
    expect(pusher.idleSocketCount).toBe(0)
    for (const socket of sockets) socket.resume()
    await until("the socket is closed", () => sockets.size === 0)
  })

  test("of two answers to one request never serves the next push", async () => {
    const ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    let connectionCount = 0
    const { url } = await rawReceiver((socket) => {
      connectionCount += 1
      socket.once("data", () => socket.write(connectionCount === 1 ? ok + ok : ok.replace("200 OK", "500 Error")))
    })
    const pusher = client()
    expect(await pusher.push(request(url))).toEqual(DELIVERED)
    expect(await pusher.push(request(url))).toEqual(failure("status"))
    expect(connectionCount).toBe(2)
  })
})

describe("where it goes", () => {
  test("without the operator's list loopback is out of reach, by address and by name", async () => {
    const receiver = await new Receiver((_, response) => response.end()).listen()
    const pusher = client({ allowList: allowList(), resolveHost: resolver(["127.0.0.1"]).resolveHost })
    for (const host of ["127.0.0.1", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]", "hooks.example"]) {
      expect(await pusher.push(request(receiver.url("/", host))), host).toEqual(failure("forbidden"))
    }
    const system = new PushClient(new NodeTimers())
    closers.push(() => system.close())
    expect(await system.push(request(receiver.url("/", "localhost")))).toEqual(failure("forbidden"))
    expect(receiver.connectionCount).toBe(0)
  })

  test("one forbidden address among those of a name forbids it", async () => {
    const receiver = await new Receiver((_, response) => response.end()).listen()
    for (const answer of [
      ["127.0.0.1", "127.0.0.2"],
      ["10.0.0.1", "127.0.0.1"],
      ["127.0.0.1", "::1"],
      ["127.0.0.1", "127.0.0.1 "],
      ["127.0.0.1", "hooks.example"],
    ]) {
      const pusher = client({ resolveHost: resolver(answer).resolveHost })
      expect(await pusher.push(request(receiver.url("/", "hooks.example"))), answer.join()).toEqual(
        failure("forbidden"),
      )
    }
    expect(receiver.connectionCount).toBe(0)
  })

  test("a name that resolves differently the second time is not asked a second time", async () => {
    const receiver = await new Receiver((_, response) => response.end()).listen()
    const other = await new Receiver((_, response) => response.end()).listen("127.0.0.2")
    const { resolveHost, names } = resolver(["127.0.0.1"], ["127.0.0.2"])
    const pusher = client({ resolveHost })
    expect(await pusher.push(request(receiver.url("/", "hooks.example")))).toEqual(DELIVERED)
    expect(names.length).toBe(1)
    expect(receiver.requests[0]?.message.socket.localAddress).toBe("127.0.0.1")
    // The next push asks again, and an open connection to the old address is no way around the answer.
    expect(await pusher.push(request(receiver.url("/", "hooks.example")))).toEqual(failure("forbidden"))
    expect(names.length).toBe(2)
    expect(receiver.requests.length).toBe(1)
    expect(other.connectionCount).toBe(0)
  })

  test("a name that moves to another allowed address gets a connection to that one", async () => {
    const receiver = await new Receiver((_, response) => response.end()).listen("0.0.0.0")
    const { resolveHost } = resolver(["127.0.0.1"], ["127.0.0.2"], ["127.0.0.1"])
    const pusher = client({ resolveHost, allowList: allowList("127.0.0.0/8") })
    for (let n = 0; n < 3; n += 1)
      expect(await pusher.push(request(receiver.url("/", "hooks.example")))).toEqual(DELIVERED)
    expect(receiver.requests.map(({ message }) => message.socket.localAddress)).toEqual([
      ...["127.0.0.1", "127.0.0.2", "127.0.0.1"],
    ])
    expect(receiver.connectionCount).toBe(2)
  })

  test("a proxy of the environment is not asked", async () => {
    const proxy = await new Receiver((_, response) => response.end()).listen()
    const receiver = await new Receiver((_, response) => response.end()).listen()
    const { env } = process
    const before = env["http_proxy"]
    env["http_proxy"] = proxy.url()
    try {
      expect(await client().push(request(receiver.url()))).toEqual(DELIVERED)
    } finally {
      if (before === undefined) delete env["http_proxy"]
      else env["http_proxy"] = before
    }
    expect(proxy.connectionCount).toBe(0)
  })

  test("a name without an address, and a resolver that fails, are unresolved", async () => {
    const push = request("http://hooks.example/")
    expect(await client({ resolveHost: async () => [] }).push(push)).toEqual(failure("unresolved"))
    const failing = client({ resolveHost: () => Promise.reject(new Error("SERVFAIL")) })
    expect(await failing.push(push)).toEqual(failure("unresolved"))
  })

  test("a resolver that never answers is cut by the total time", async () => {
    const pusher = client({ resolveHost: () => new Promise(() => undefined), totalTimeoutMs: 30 })
    expect(await pusher.push(request("http://hooks.example/"))).toEqual(failure("timeout"))
    expect(pusher.runningCount).toBe(0)
  })

  test("a closed port is unconnected", async () => {
    const receiver = await new Receiver((_, response) => response.end()).listen()
    const url = receiver.url()
    await receiver.close()
    expect(await client().push(request(url))).toEqual(failure("unconnected"))
  })

  test("an address that does not connect in time is given up", async () => {
    const receiver = await new Receiver((_, response) => response.end()).listen()
    // Fires before the event loop can look at the socket.
    class HastyTimers extends HandTimers {
      override after(delayMs: number, run: () => void): () => void {
        const cancel = super.after(delayMs, run)
        if (delayMs === 66_000) queueMicrotask(run)
        return cancel
      }
    }
    const pusher = client({ connectTimeoutMs: 66_000 }, new HastyTimers())
    expect(await pusher.push(request(receiver.url()))).toEqual(failure("unconnected"))
    expect(receiver.requests.length).toBe(0)
  })

  test("when the first address of a name is dead, the next ones are tried, but not all of many", async () => {
    const receiver = await new Receiver((_, response) => response.end()).listen("127.0.0.9")
    const options = { allowList: allowList("127.0.0.0/8") }
    const near = client({ ...options, resolveHost: resolver(["127.0.0.2", "127.0.0.3", "127.0.0.9"]).resolveHost })
    expect(await near.push(request(receiver.url("/", "hooks.example")))).toEqual(DELIVERED)
    const far = ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.9"]
    const limited = client({ ...options, resolveHost: resolver(far).resolveHost })
    expect(await limited.push(request(receiver.url("/", "hooks.example")))).toEqual(failure("unconnected"))
    expect(receiver.requests.length).toBe(1)
  })
})

describe("limits", () => {
  test("of one host leave room for others; one push more is busy and sends nothing", async () => {
    let release: () => void = () => undefined
    const released = new Promise<void>((resolve) => (release = resolve))
    const receiver = await new Receiver((_, response) => void released.then(() => response.end())).listen()
    const { resolveHost } = resolver(["127.0.0.1"])
    const pusher = client({ resolveHost, pushesMax: 3, pushesPerHostMax: 2 })
    const one = request(receiver.url("/", "one.example"))
    const two = request(receiver.url("/", "two.example"))
    const running = [pusher.push(one), pusher.push(one)]
    expect(await pusher.push(one)).toEqual(failure("busy"))
    running.push(pusher.push(two))
    expect(await pusher.push(two)).toEqual(failure("busy"))
    expect(pusher.runningCount).toBe(3)
    await until("three requests are there", () => receiver.requests.length === 3)
    release()
    expect(await Promise.all(running)).toEqual([DELIVERED, DELIVERED, DELIVERED])
    expect(receiver.requests.length).toBe(3)
    expect(receiver.connectionCount).toBe(3)
    expect(await pusher.push(one)).toEqual(DELIVERED)
    expect(pusher.runningCount).toBe(0)
  })

  test("of idle connections hold for all hosts together; the oldest gives way", async () => {
    const receivers: Receiver[] = []
    for (let n = 0; n < 4; n += 1) receivers.push(await new Receiver((_, response) => response.end("ok")).listen())
    const pusher = client({ idleSocketsMax: 2 })
    for (const [at, receiver] of receivers.entries()) {
      expect(await pusher.push(request(receiver.url()))).toEqual(DELIVERED)
      await until("the connection is idle", () => pusher.idleSocketCount === Math.min(at + 1, 2))
    }
    await until("two are closed", () => receivers.filter(({ openCount }) => openCount === 0).length === 2)
    expect(receivers.map(({ openCount }) => openCount)).toEqual([0, 0, 1, 1])
    expect(await pusher.push(request(receivers[3]?.url() ?? ""))).toEqual(DELIVERED)
    expect(receivers[3]?.connectionCount).toBe(1)
    const frugal = client({ idleSocketsMax: 0 })
    expect(await frugal.push(request(receivers[0]?.url() ?? ""))).toEqual(DELIVERED)
    await until("nothing is kept", () => receivers[0]?.openCount === 0)
    expect(frugal.idleSocketCount).toBe(0)
  })

  test("of names being resolved: pushes to one name wait for one answer, one name too many is busy", async () => {
    const receiver = await new Receiver((_, response) => response.end("ok")).listen()
    const answers = new Map<string, (addresses: readonly string[]) => void>()
    const asked: string[] = []
    const resolveHost: ResolveHost = (name) => {
      asked.push(name)
      return new Promise((resolve) => answers.set(name, resolve))
    }
    const timers = new HandTimers()
    const pusher = client({ resolveHost, lookupsMax: 2, totalTimeoutMs: 88_000 }, timers)
    const given = [pusher.push(request("http://one.example/")), pusher.push(request("http://one.example/"))]
    timers.fire(88_000)
    expect(await Promise.all(given)).toEqual([failure("timeout"), failure("timeout")])
    const running = [pusher.push(request(receiver.url("/", "one.example")))]
    running.push(pusher.push(request(receiver.url("/", "two.example"))))
    expect(await pusher.push(request(receiver.url("/", "three.example")))).toEqual(failure("busy"))
    expect(await pusher.push(request(receiver.url("/")))).toEqual(DELIVERED)
    expect(asked).toEqual(["one.example", "two.example"])
    for (const answer of answers.values()) answer(["127.0.0.1"])
    expect(await Promise.all(running)).toEqual([DELIVERED, DELIVERED])
    const again = pusher.push(request(receiver.url("/", "one.example")))
    answers.get("one.example")?.(["10.0.0.1"])
    expect(await again).toEqual(failure("forbidden"))
    expect(asked).toEqual(["one.example", "two.example", "one.example"])
  })

  test("of idle time end a connection", async () => {
    const receiver = await new Receiver((_, response) => response.end("ok")).listen()
    const pusher = client({ idleTimeoutMs: 20 })
    expect(await pusher.push(request(receiver.url()))).toEqual(DELIVERED)
    await until("the connection is closed", () => receiver.openCount === 0)
    expect(pusher.idleSocketCount).toBe(0)
  })
})

describe("close", () => {
  test("ends pushes at every stage, and every connection", async () => {
    const silent = await rawReceiver(() => undefined)
    const receiver = await new Receiver((_, response) => response.end("ok")).listen()
    const resolveHost: ResolveHost = (name) =>
      name === "never.example" ? new Promise(() => undefined) : Promise.resolve(["127.0.0.1"])
    const pusher = client({ resolveHost, idleTimeoutMs: 600_000 })
    expect(await pusher.push(request(receiver.url()))).toEqual(DELIVERED)
    await until("a connection is idle", () => pusher.idleSocketCount === 1)
    const outcomes = [pusher.push(request(silent.url)), pusher.push(request("http://never.example/"))]
    await until("one is connected", () => silent.sockets.size === 1)
    outcomes.push(pusher.push(request(receiver.url("/late"))))
    await pusher.close()
    expect(await Promise.all(outcomes)).toEqual([failure("closed"), failure("closed"), failure("closed")])
    expect(pusher.runningCount).toBe(0)
    await until("all connections are closed", () => silent.sockets.size === 0 && receiver.openCount === 0)
    expect(pusher.idleSocketCount).toBe(0)
    expect(await pusher.push(request(receiver.url()))).toEqual(failure("closed"))
    await pusher.close()
  })
})

describe("https", () => {
  /** A receiver with a certificate for the given names; counts requests and remembers the TLS names asked for. */
  async function securedReceiver(names: readonly string[]) {
    const { certificate, key } = makeCertificate(names)
    const seen: { servername: string; host: string; address: string }[] = []
    const server = createHttpsServer({ cert: certificate, key }, (message, response) => {
      const { servername, localAddress = "" } = message.socket as TLSSocket & { servername: string | false }
      seen.push({ servername: servername || "", host: message.headers.host ?? "", address: localAddress })
      message.resume()
      response.end("ok")
    })
    server.on("tlsClientError", (_, socket) => socket.destroy())
    closers.push(async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    })
    await listening(server, "127.0.0.1")
    const { port } = server.address() as AddressInfo
    const url = (host: string): string => `https://${host}:${String(port)}/`
    return { url, certificate, seen, port }
  }

  const { resolveHost } = resolver(["127.0.0.1"])

  test("goes to the checked address, and the certificate must be the name's", async () => {
    const { url, certificate, seen, port } = await securedReceiver(["hooks.example"])
    const pusher = client({ resolveHost, trustedCertificates: certificate })
    expect(await pusher.push(request(url("hooks.example")))).toEqual(DELIVERED)
    expect(await pusher.push(request(url("hooks.example")))).toEqual(DELIVERED)
    const expected = { servername: "hooks.example", host: `hooks.example:${String(port)}`, address: "127.0.0.1" }
    expect(seen).toEqual([expected, expected])
    for (const host of ["other.example", "127.0.0.1"]) {
      expect(await pusher.push(request(url(host))), host).toEqual(failure("tls"))
    }
    expect(seen.length).toBe(2)
  })

  test("to an address needs a certificate for the address", async () => {
    const { url, certificate, seen } = await securedReceiver(["127.0.0.1"])
    const pusher = client({ trustedCertificates: certificate })
    expect(await pusher.push(request(url("127.0.0.1")))).toEqual(DELIVERED)
    expect(seen.map(({ servername }) => servername)).toEqual([""])
  })

  test("takes no certificate of an unknown authority", async () => {
    const { url, seen } = await securedReceiver(["hooks.example"])
    expect(await client({ resolveHost }).push(request(url("hooks.example")))).toEqual(failure("tls"))
    const { certificate } = makeCertificate(["hooks.example"])
    const pusher = client({ resolveHost, trustedCertificates: certificate })
    expect(await pusher.push(request(url("hooks.example")))).toEqual(failure("tls"))
    expect(seen).toEqual([])
  })

  test("with somebody who does not speak TLS, or says nothing, fails", async () => {
    const plain = await rawReceiver(answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
    expect(await client().push(request(plain.url.replace("http:", "https:")))).toEqual(failure("tls"))
    const silent = await rawReceiver(() => undefined)
    const pusher = client({ connectTimeoutMs: 100, totalTimeoutMs: 60_000 })
    expect(await pusher.push(request(silent.url.replace("http:", "https:")))).toMatchObject({ kind: "failed" })
    await until("the socket is closed", () => silent.sockets.size === 0)
  })
})

/** A certificate that signs itself (X.509 v3, ECDSA with P-256), good for the given names and IPv4 addresses. */
function makeCertificate(names: readonly string[]): { certificate: string; key: string } {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const der = (tag: number, ...parts: readonly Uint8Array[]): Buffer => {
    const content = Buffer.concat(parts)
    const { length } = content
    const head = length < 128 ? [tag, length] : [tag, 0x82, length >> 8, length & 0xff]
    return Buffer.concat([Buffer.from(head), content])
  }
  const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, "hex"))
  const algorithm = der(0x30, oid("2a8648ce3d040302"))
  const commonName = der(0x30, oid("550403"), der(0x0c, Buffer.from("OpenCMQ test")))
  const name = der(0x30, der(0x31, commonName))
  const alternatives = names.map((text) =>
    /^[\d.]+$/.test(text) ? der(0x87, Uint8Array.from(text.split("."), Number)) : der(0x82, Buffer.from(text)),
  )
  const extension = der(0x30, oid("551d11"), der(0x04, der(0x30, ...alternatives)))
  const body = der(
    0x30,
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1])),
    algorithm,
    name,
    der(0x30, der(0x17, Buffer.from("200101000000Z")), der(0x18, Buffer.from("99991231235959Z"))),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, der(0x30, extension)),
  )
  const signature = sign("sha256", body, privateKey)
  const bytes = der(0x30, body, algorithm, der(0x03, Buffer.from([0]), signature))
  const lines = bytes.toString("base64").replace(/.{64}/g, "$&\n")
  const certificate = `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`
  return { certificate, key: privateKey.export({ type: "pkcs8", format: "pem" }) as string }
}
