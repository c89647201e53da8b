/** Clients that are slow, silent, many, or no HTTP clients at all: none of them may hurt the others. */
import { connect } from "node:net"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { CmqClient } from "./kit/client.ts"
import { SERVERS, openFace } from "./kit/face.ts"
import type { TestFace } from "./kit/face.ts"
import { openIdleSockets, socketsWithin } from "./kit/idle-sockets.ts"
import { openRaw, poll } from "./kit/raw-socket.ts"
import type { RawSocket } from "./kit/raw-socket.ts"

/** uWebSockets.js has timeouts of its own, about 10 s; node:http is told short ones. */
const QUICK = { headersTimeoutMs: 300, requestTimeoutMs: 700, keepAliveTimeoutMs: 400, idleTimeoutMs: 1_500 }
const PATIENCE_MS = { uws: 16_000, node: 4_000 }

/** Several times what was measured, and nowhere near what a buffer of 64 KiB for each would be. */
const BYTES_PER_IDLE_SOCKET = { uws: 10_000, node: 25_000 }

describe.each(SERVERS)("over %s", (server) => {
  let face: TestFace
  let client: CmqClient
  const patienceMs = PATIENCE_MS[server]

  beforeAll(async () => {
    face = await openFace(server, { server: { ...QUICK, maxConnections: 3_000 } })
    client = new CmqClient(face.port)
    await client.ok("CreateQueue", { queueName: "q" })
  })
  afterAll(() => face.close())

  /** The bytes of a good POST, so that a test can send them in its own way. */
  function good(action = "ListQueue", params: Record<string, string | number> = {}): { head: string; body: string } {
    const { target, headers, body } = client.wire(action, params)
    const lines = [
      `POST ${target} HTTP/1.1`,
      `host: ${headers["host"] ?? ""}`,
      `content-length: ${String(body.length)}`,
    ]
    return { head: `${lines.join("\r\n")}\r\n\r\n`, body: String(body) }
  }

  async function withRaw(run: (raw: RawSocket) => Promise<void>): Promise<void> {
    const raw = await openRaw(face.port)
    await run(raw)
    raw.close()
  }

  test("keep-alive: many requests over one connection", () =>
    withRaw(async (raw) => {
      for (let count = 1; count <= 50; count++) {
        const { head, body } = good()
        raw.write(head + body)
        await raw.until(() => raw.received().split(`"code":0`).length === count + 1)
      }
    }))

  test("a body in many small pieces", () =>
    withRaw(async (raw) => {
      const { head, body } = good()
      for (const piece of [head, ...(body.match(/.{1,7}/g) ?? [])]) {
        raw.write(piece)
        await new Promise((resolve) => setImmediate(resolve))
      }
      await raw.until(() => raw.received().includes(`"code":0`))
    }))

  test("headers in two pieces", () =>
    withRaw(async (raw) => {
      const { head, body } = good()
      raw.write(head.slice(0, 40))
      await new Promise((resolve) => setTimeout(resolve, 30))
      raw.write(head.slice(40) + body)
      await raw.until(() => raw.received().includes(`"code":0`))
    }))

  test("a request line in two pieces is served, or refused at once", () =>
    withRaw(async (raw) => {
      const { head, body } = good()
      raw.write(head.slice(0, 9))
      await new Promise((resolve) => setTimeout(resolve, 30))
      raw.write(head.slice(9) + body)
      // The uWebSockets.js of Node 20 cannot: docs/cmq-differences.md. It must not hang.
      await raw.until(
        () => raw.received().includes(`"code":0`) || (server === "uws" && raw.received().includes(" 505 ")),
      )
    }))

  test("a chunked body", () =>
    withRaw(async (raw) => {
      const { head, body } = good()
      const half = Math.floor(body.length / 2)
      const chunks = [body.slice(0, half), body.slice(half)].map((part) => `${part.length.toString(16)}\r\n${part}\r\n`)
      raw.write(`${head.replace(/content-length: \d+/, "transfer-encoding: chunked")}${chunks.join("")}0\r\n\r\n`)
      await raw.until(() => raw.received().includes(`"code":0`))
    }))

  test("a chunked body above the limit is refused before it ends", () =>
    withRaw(async (raw) => {
      const { head } = good()
      raw.write(head.replace(/content-length: \d+/, "transfer-encoding: chunked"))
      const chunk = `10000\r\n${"x".repeat(65_536)}\r\n`
      for (let count = 0; count < 80 && !raw.isClosed(); count++) raw.write(chunk)
      await raw.until(() => raw.isClosed() || raw.received().includes("(10420)"), patienceMs)
    }).catch((error: unknown) => {
      expect(String(error)).toMatch(/ECONNRESET|EPIPE/)
    }))

  test("Expect: 100-continue, as curl sends it", () =>
    withRaw(async (raw) => {
      const { head, body } = good()
      raw.write(head.replace("\r\n\r\n", "\r\nexpect: 100-continue\r\n\r\n"))
      await raw.until(() => raw.received().includes("100 Continue"))
      raw.write(body)
      await raw.until(() => raw.received().includes(`"code":0`))
    }))

  test("a length announced above the limit is refused before any of it comes", () =>
    withRaw(async (raw) => {
      raw.write("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999\r\n\r\n")
      await raw.until(() => raw.received().includes(`"code":4000,"message":"(10420)`))
      await raw.until(() => raw.isClosed(), patienceMs)
    }))

  test.each([
    [
      "Content-Length with Transfer-Encoding",
      "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ["a length that is no number", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: abc\r\n\r\n"],
    ["a negative length", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n"],
    ["a chunk size that is no number", "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n"],
    ["TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
    ["nonsense", "NONSENSE\r\n\r\n"],
  ])("%s: refused or cut, never served", (_what, bytes) =>
    withRaw(async (raw) => {
      raw.write(Buffer.from(bytes, "latin1"))
      await raw.until(() => raw.isClosed() || raw.received() !== "", patienceMs)
      expect(raw.received()).not.toContain(`"code":0`)
      expect(await client.code("ListQueue")).toBe("0")
    }).catch((error: unknown) => {
      expect(String(error)).toMatch(/ECONNRESET|EPIPE/)
    }),
  )

  test("an oversized header", () =>
    withRaw(async (raw) => {
      raw.write(`GET / HTTP/1.1\r\nhost: a\r\nx: ${"y".repeat(200_000)}\r\n\r\n`)
      await raw.until(() => raw.isClosed() || raw.received() !== "", patienceMs)
      expect(raw.received()).toMatch(/^$|^HTTP\/1.1 431 /)
    }).catch((error: unknown) => {
      expect(String(error)).toMatch(/ECONNRESET|EPIPE/)
    }))

  test.concurrent.each([
    ["slow headers", "GET / HTTP/1.1\r\nhost: a\r\nx: ", "y"],
    ["a body of one byte a second", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n", "z"],
    ["silence after connecting", "", ""],
  ])("%s: cut in time", async (_what, start, drip) => {
    const raw = await openRaw(face.port)
    raw.write(start)
    const dripping = setInterval(() => {
      if (drip !== "") raw.write(drip)
    }, 1_000)
    await raw.until(() => raw.isClosed(), patienceMs)
    clearInterval(dripping)
    expect(raw.received()).not.toContain(" 200 ")
  })

  test("a client that asks on and never reads is cut, and costs no memory", async () => {
    const queueName = "big"
    await client.ok("CreateQueue", { queueName, maxMsgSize: 1_048_576 })
    for (let count = 0; count < 4; count++)
      await client.ok("SendMessage", { queueName, msgBody: "x".repeat(1_000_000) })
    const socket = connect({ port: face.port, host: "127.0.0.1" })
    socket.pause()
    let isClosed = false
    socket.on("close", () => (isClosed = true))
    socket.on("error", () => (isClosed = true))
    const before = process.memoryUsage().rss
    const asking = setInterval(() => {
      const { head, body } = good("PeekMessage", { queueName, numOfMsg: 4 })
      if (!isClosed && socket.writableLength < 1_000_000) socket.write((head + body).repeat(20))
    }, 10)
    await poll(() => isClosed || socket.writableLength > 500_000, patienceMs)
    // Whether it was cut at once or stopped being read: what is kept for it is bounded.
    await new Promise((resolve) => setTimeout(resolve, 300))
    clearInterval(asking)
    expect(process.memoryUsage().rss - before).toBeLessThan(200_000_000)
    expect(await client.code("ListQueue")).toBe("0")
    socket.destroy()
    await client.ok("ClearQueue", { queueName })
  })

  test("a client that leaves during its long poll is forgotten, and no message is lost on it", async () => {
    await withRaw(async (raw) => {
      const { head, body } = good("ReceiveMessage", { queueName: "q", pollingWaitSeconds: 20 })
      raw.write(head + body)
      await poll(() => face.broker.waitingCount() === 1, 2_000)
    })
    await poll(() => face.broker.waitingCount() === 0, 2_000)
    await client.ok("SendMessage", { queueName: "q", msgBody: "x" })
    expect(await client.ok("GetQueueAttributes", { queueName: "q" })).toMatchObject({
      activeMsgNum: 1,
      inactiveMsgNum: 0,
    })
    expect(await client.ok("ReceiveMessage", { queueName: "q" })).toMatchObject({ dequeueCount: 1 })
  })
})

describe.each(SERVERS)("limits and ends, over %s", (server) => {
  test("ten thousand idle sockets: requests are answered, and a socket costs little", async () => {
    // Patient with sockets that are opened on a busy computer; uWebSockets.js is told nothing and ends them after 10 s.
    const face = await openFace(server, { server: { headersTimeoutMs: 120_000, requestTimeoutMs: 120_000 } })
    const client = new CmqClient(face.port)
    const metrics = { method: "GET", target: "/metrics", headers: { host: "a" }, body: "" }
    const openCount = async (): Promise<number> =>
      Number(/opencmq_connections\{api="http"\} (\d+)/.exec((await client.send(metrics)).text)?.[1])
    const count = socketsWithin(10_000)
    const before = process.memoryUsage().rss
    const endAll = await openIdleSockets(face.port, count)
    await expect.poll(openCount, { timeout: 20_000 }).toBeGreaterThan(0.9 * count)
    expect(process.memoryUsage().rss - before).toBeLessThan(count * BYTES_PER_IDLE_SOCKET[server])
    await client.ok("CreateQueue", { queueName: "q" })
    const waiting = client.ok("ReceiveMessage", { queueName: "q", pollingWaitSeconds: 20 })
    await poll(() => face.broker.waitingCount() === 1, 2_000)
    await client.ok("SendMessage", { queueName: "q", msgBody: "x" })
    expect(await waiting).toMatchObject({ msgBody: "x" })
    await endAll()
    await expect.poll(openCount, { timeout: 20_000 }).toBeLessThan(10)
    await face.close()
  })

  test("one connection too many is told so, and the others go on", async () => {
    const face = await openFace(server, { server: { maxConnections: 2 } })
    const raws = [await openRaw(face.port), await openRaw(face.port), await openRaw(face.port)]
    const last = raws[2] as RawSocket
    const wire = new CmqClient(face.port).wire("ListQueue")
    const ask = `POST ${wire.target} HTTP/1.1\r\nhost: ${wire.headers["host"] ?? ""}\r\ncontent-length: ${String(wire.body.length)}\r\n\r\n${String(wire.body)}`
    await new Promise((resolve) => setTimeout(resolve, 50))
    last.write(ask)
    await last.until(() => last.received().includes("HTTP/1.1 503 ") && last.received().includes(`"code":4420`))
    await last.until(() => last.isClosed())
    const first = raws[0] as RawSocket
    first.write(ask)
    await first.until(() => first.received().includes(`"code":0`))
    for (const raw of raws) raw.close()
    await face.close()
  })

  // The receives would wait for half a minute.
  test("closing answers waiting receives, ends connections and frees the port", { timeout: 20_000 }, async () => {
    const face = await openFace(server)
    const client = new CmqClient(face.port)
    await client.ok("CreateQueue", { queueName: "q" })
    const waiting = [1, 2, 3].map(() => client.call("ReceiveMessage", { queueName: "q", pollingWaitSeconds: 30 }))
    await poll(() => face.broker.waitingCount() === 3, 2_000)
    await face.close()
    for (const answer of await Promise.all(waiting)) {
      expect(answer.json["code"]).toBe(7000)
      expect(answer.headers["connection"]).toBe("close")
    }
    expect(face.broker.waitingCount()).toBe(0)
    await expect(openRaw(face.port)).rejects.toThrow("ECONNREFUSED")
  })

  test("a port that is taken is an error that says so", async () => {
    const face = await openFace(server)
    await expect(openFace(server, { port: face.port })).rejects.toThrow(/in use|EADDRINUSE/)
    await face.close()
  })
})
