import { randomBytes } from "node:crypto"
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net"
import { afterEach, expect, test } from "vitest"
import type { Logger, NodeId, Timers } from "../../ports.ts"
import { createTcpTransport, type TcpTransport, type TcpTransportOptions } from "./tcp-transport.ts"

const timers: Timers = {
  soon: (run) => void setImmediate(run),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs)
    return () => {
      clearTimeout(timer)
    }
  },
  every: (periodMs, run) => {
    const timer = setInterval(run, periodMs)
    return () => {
      clearInterval(timer)
    }
  },
}

const closers: (() => Promise<void> | void)[] = []

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

class TestNode {
  readonly id: NodeId
  readonly log: string[] = []
  readonly frames: { readonly peer: NodeId; readonly bytes: Uint8Array }[] = []
  readonly events: string[] = []
  readonly transport: TcpTransport
  port = 0

  constructor(id: NodeId, options: Partial<TcpTransportOptions> = {}) {
    this.id = id
    const say = (level: string) => (fields: Readonly<Record<string, unknown>>, text: string) => {
      this.log.push(`${level} ${text} ${JSON.stringify(fields)}`)
    }
    const logger: Logger = { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") }
    this.transport = createTcpTransport({
      nodeId: id,
      clusterId: "test",
      configHash: "c",
      listen: { host: "127.0.0.1", port: 0 },
      peers: [],
      secret: "s3cret",
      timers,
      logger,
      events: {
        frame: (peer, bytes) => this.frames.push({ peer, bytes }),
        connected: (peer) => this.events.push(`connected ${String(peer)}`),
        disconnected: (peer) => this.events.push(`disconnected ${String(peer)}`),
      },
      ...options,
    })
    closers.push(() => this.transport.close())
  }

  async listen(): Promise<this> {
    this.port = (await this.transport.listen()).port
    return this
  }

  texts(): string[] {
    return this.frames.map(({ peer, bytes }) => `${String(peer)}:${Buffer.from(bytes).toString()}`)
  }
}

async function until(what: string, isTrue: () => boolean, withinMs = 5000): Promise<void> {
  const end = performance.now() + withinMs
  while (!isTrue()) {
    if (performance.now() > end) throw new Error(`not within ${String(withinMs)} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

function meet(nodes: readonly TestNode[]): void {
  const peers = nodes.map(({ id, port }) => ({ id, host: "127.0.0.1", port }))
  for (const node of nodes) node.transport.setPeers(peers)
}

async function pair(options: Partial<TcpTransportOptions> = {}): Promise<[TestNode, TestNode]> {
  const one = await new TestNode(1, options).listen()
  const two = await new TestNode(2, options).listen()
  meet([one, two])
  await until("both are connected", () => one.transport.connected(2) && two.transport.connected(1))
  return [one, two]
}

/** Passes bytes on between a dialer and a port, and does harm to them. */
class Proxy {
  /** Bytes are swallowed, nothing is closed: a peer that vanished. */
  isHolding = false
  /** Changes one bit of the next chunk. */
  isCorrupting = false
  port = 0
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  constructor(target: () => number) {
    this.#server = createServer((near) => {
      const far = connect({ host: "127.0.0.1", port: target() })
      this.#join(near, far)
      this.#join(far, near)
    })
    closers.push(() => {
      this.#server.close()
      this.cut()
    })
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve))
    this.port = (this.#server.address() as AddressInfo).port
    return this
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  #join(from: Socket, to: Socket): void {
    this.#sockets.add(from)
    from.on("data", (chunk: Buffer) => {
      if (this.isHolding) return
      if (this.isCorrupting) {
        this.isCorrupting = false
        const at = chunk.length - 1
        chunk[at] = (chunk[at] ?? 0) ^ 1
      }
      to.write(chunk)
    })
    from.on("close", () => {
      this.#sockets.delete(from)
      if (!this.isHolding) to.destroy()
    })
    from.on("error", () => from.destroy())
  }
}

/** Node 1 reaches node 2 through a proxy; node 2 reaches node 1 directly. */
async function pairBehindProxy(options: Partial<TcpTransportOptions> = {}): Promise<[TestNode, TestNode, Proxy]> {
  const one = await new TestNode(1, options).listen()
  const two = await new TestNode(2, options).listen()
  const proxy = await new Proxy(() => two.port).listen()
  one.transport.setPeers([{ id: 2, host: "127.0.0.1", port: proxy.port }])
  two.transport.setPeers([{ id: 1, host: "127.0.0.1", port: one.port }])
  await until("both are connected", () => one.transport.connected(2) && two.transport.connected(1))
  return [one, two, proxy]
}

test("three nodes meet and exchange frames in order, small and large", async () => {
  const nodes = await Promise.all([1, 2, 3].map((id) => new TestNode(id).listen()))
  meet(nodes)
  await until("all are connected", () => nodes.every((node) => node.events.length === 2))
  const [one, two, three] = nodes as [TestNode, TestNode, TestNode]
  const large = randomBytes(3_000_000)
  for (let n = 0; n < 100; n += 1)
    expect(one.transport.send(2, [Buffer.from(`${String(n)}`), Buffer.from("!")])).toBe(true)
  one.transport.send(2, [large.subarray(0, 10), large.subarray(10)])
  three.transport.send(2, [Buffer.from("from three")])
  await until("all frames are there", () => two.frames.length === 102)
  const fromOne = two.frames.filter(({ peer }) => peer === 1).map(({ bytes }) => Buffer.from(bytes))
  expect(fromOne.slice(0, 100).map(String)).toEqual(Array.from({ length: 100 }, (_, n) => `${String(n)}!`))
  expect(fromOne[100]?.equals(large)).toBe(true)
  expect(two.texts()).toContain("3:from three")
  expect(one.events).toEqual(expect.arrayContaining(["connected 2", "connected 3"]))
})

test("a send to nobody, to oneself, or before the peer is there answers false", async () => {
  const one = await new TestNode(1).listen()
  one.transport.setPeers([
    { id: 1, host: "127.0.0.1", port: one.port },
    { id: 2, host: "127.0.0.1", port: 1 },
  ])
  for (const peer of [1, 2, 9]) expect(one.transport.send(peer, [Buffer.from("x")])).toBe(false)
  expect(one.transport.connected(2)).toBe(false)
  await new Promise((resolve) => setTimeout(resolve, 150))
  expect(one.events).toEqual([])
})

test("the end of a peer is told once and at once; when it comes back, the two meet again", async () => {
  const [one, two] = await pair()
  await two.transport.close()
  await until("the loss is told", () => one.events.includes("disconnected 2"))
  expect(one.transport.connected(2)).toBe(false)
  expect(one.transport.send(2, [Buffer.from("x")])).toBe(false)
  const again = await new TestNode(2, { listen: { host: "127.0.0.1", port: two.port } }).listen()
  meet([one, again])
  await until("they met again", () => one.transport.connected(2) && again.transport.connected(1), 2000)
  expect(one.events).toEqual(["connected 2", "disconnected 2", "connected 2"])
  expect(two.events).toEqual(["connected 1"])
})

test("what was queued before the close still arrives", async () => {
  const [one, two] = await pair()
  one.transport.send(2, [Buffer.from("last words")])
  await one.transport.close()
  await until("the frame arrives", () => two.frames.length === 1)
  expect(two.texts()).toEqual(["1:last words"])
})

test("a cut of one connection breaks the pair on both sides, and it heals", async () => {
  const [one, two, proxy] = await pairBehindProxy()
  proxy.cut()
  await until("both told the loss", () => one.events.length >= 2 && two.events.length >= 2, 500)
  expect(one.events[1]).toBe("disconnected 2")
  expect(two.events[1]).toBe("disconnected 1")
  await until("it heals", () => one.transport.connected(2) && two.transport.connected(1), 2000)
  one.transport.send(2, [Buffer.from("a")])
  two.transport.send(1, [Buffer.from("b")])
  await until("frames flow", () => one.frames.length === 1 && two.frames.length === 1)
})

test("a damaged frame is not delivered and ends the connection", async () => {
  const [one, two, proxy] = await pairBehindProxy()
  proxy.isCorrupting = true
  two.transport.send(1, [Buffer.from("damaged on the way")])
  await until("the damage is noticed", () => one.events.includes("disconnected 2"), 1000)
  expect(one.frames).toEqual([])
  expect(one.log.join("\n")).toMatch(/checksum of a frame/)
  await until("it heals", () => one.transport.connected(2), 2000)
})

test("a peer that vanished without a word is noticed", async () => {
  const [one, two, proxy] = await pairBehindProxy()
  proxy.isHolding = true
  await until("both notice", () => one.events.length >= 2 && two.events.length >= 2)
  expect(one.log.join("\n") + two.log.join("\n")).toMatch(/nothing was heard for 4000 ms/)
})

test("silence does not end a connection, since both sides give signs of life", async () => {
  const [one, two] = await pair()
  await new Promise((resolve) => setTimeout(resolve, 4600))
  expect(one.events).toEqual(["connected 2"])
  expect(two.events).toEqual(["connected 1"])
})

test("a frame that no peer would take is refused to the sender, an announced one to the receiver", async () => {
  const one = await new TestNode(1, { maxFrameBytes: 10_000 }).listen()
  const two = await new TestNode(2, { maxFrameBytes: 5_000 }).listen()
  meet([one, two])
  await until("both are connected", () => one.transport.connected(2) && two.transport.connected(1))
  expect(() => one.transport.send(2, [Buffer.alloc(10_001)])).toThrow(RangeError)
  expect(() => one.transport.send(2, [])).toThrow(RangeError)
  one.transport.send(2, [Buffer.alloc(6_000)])
  await until("the receiver refuses", () => two.events.includes("disconnected 1"), 1000)
  expect(two.log.join("\n")).toMatch(/frame of 6000 bytes, at most 5000 are taken/)
  expect(two.frames).toEqual([])
})

test("a receiver that does not read makes send answer false, and the queue stays bounded", async () => {
  const one = await new TestNode(1, { maxQueuedBytes: 2_000_000 }).listen()
  const two = await new TestNode(2).listen()
  const stuck: Socket[] = []
  const wall = createServer((near) => {
    const far = connect({ host: "127.0.0.1", port: one.port })
    // The handshake passes, then nothing more is read from the side that was dialed.
    let passed = 0
    far.on("data", (chunk) => {
      passed += 1
      near.write(chunk)
      if (passed === 2) far.pause()
    })
    near.on("data", (chunk) => far.write(chunk))
    for (const socket of [near, far]) socket.on("error", () => undefined)
    stuck.push(near, far)
  })
  closers.push(() => {
    wall.close()
    for (const socket of stuck) socket.destroy()
  })
  await new Promise<void>((resolve) => wall.listen(0, "127.0.0.1", resolve))
  one.transport.setPeers([{ id: 2, host: "127.0.0.1", port: two.port }])
  two.transport.setPeers([{ id: 1, host: "127.0.0.1", port: (wall.address() as AddressInfo).port }])
  await until("both are connected", () => one.transport.connected(2))
  const frame = Buffer.alloc(100_000)
  let refused = 0
  for (let n = 0; n < 300; n += 1) {
    if (!one.transport.send(2, [frame])) refused += 1
    if (n % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
  }
  const [row] = one.transport.statistics()
  expect(refused).toBeGreaterThan(100)
  expect(row?.framesDropped).toBe(refused)
  expect(row?.queuedBytes).toBeLessThanOrEqual(2_000_000)
})

const misfits: [string, Partial<TcpTransportOptions>, RegExp][] = [
  ["another cluster", { clusterId: "other" }, /wrongCluster.*one side is of cluster/],
  ["another secret", { secret: "guess" }, /wrongSecret/],
  ["no secret", { secret: undefined }, /wrongSecret/],
]
for (const [what, options, words] of misfits) {
  test(`a node of ${what} is refused, and both sides say why`, async () => {
    const one = await new TestNode(1).listen()
    const two = await new TestNode(2, options).listen()
    meet([one, two])
    await until(
      "both said why",
      () => one.log.some((line) => words.test(line)) && two.log.some((line) => words.test(line)),
    )
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect([...one.events, ...two.events]).toEqual([])
    expect(one.transport.connected(2)).toBe(false)
    const errors = one.log.filter((line) => line.startsWith("error"))
    expect(errors.length, errors.join("\n")).toBeLessThanOrEqual(2)
    expect(one.log.join("\n")).not.toMatch(/s3cret/)
  })
}

test("an address at which another node answers is not used", async () => {
  const one = await new TestNode(1).listen()
  const three = await new TestNode(3).listen()
  one.transport.setPeers([{ id: 2, host: "127.0.0.1", port: three.port }])
  three.transport.setPeers([{ id: 1, host: "127.0.0.1", port: one.port }])
  await until("it is refused", () => one.log.some((line) => line.includes("wrongNode")))
  expect(one.events).toEqual([])
  await until("an unknown node is refused", () => one.log.some((line) => line.includes("unknownNode")))
})

test("a second process with the id of a living peer is refused; the first stays connected", async () => {
  const [one, two] = await pair()
  const twin = await new TestNode(2).listen()
  twin.transport.setPeers([{ id: 1, host: "127.0.0.1", port: one.port }])
  await until("the twin is refused", () => one.log.some((line) => line.includes("duplicateNode")))
  await until("the twin is told", () => twin.log.some((line) => line.includes("two nodes have the same id")))
  expect(one.events).toEqual(["connected 2"])
  two.transport.send(1, [Buffer.from("still me")])
  await until("the first is heard", () => one.frames.length === 1)
  expect(one.texts()).toEqual(["2:still me"])
})

test("a stranger that speaks another language, too much, or nothing is let go", async () => {
  const one = await new TestNode(1).listen()
  const speak = async (bytes: Uint8Array): Promise<void> => {
    const socket = connect({ host: "127.0.0.1", port: one.port })
    socket.on("error", () => undefined)
    socket.resume()
    socket.write(bytes)
    await new Promise((resolve) => socket.once("close", resolve))
  }
  await speak(Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
  await speak(randomBytes(4096))
  await speak(new Uint8Array())
  expect(one.events).toEqual([])
  expect(one.log.join("\n")).toMatch(/said nothing sensible in time/)
})

test("other settings of the cluster give a warning and no refusal", async () => {
  const one = await new TestNode(1, { configHash: "a" }).listen()
  const two = await new TestNode(2, { configHash: "b" }).listen()
  meet([one, two])
  await until("both are connected", () => one.transport.connected(2) && two.transport.connected(1))
  expect(one.log.join("\n")).toMatch(/warn this peer has another configuration/)
})

test("a peer that is no longer in the list is dropped", async () => {
  const [one, two] = await pair()
  one.transport.setPeers([])
  await until("both told it", () => one.events.includes("disconnected 2") && two.events.includes("disconnected 1"))
  expect(one.transport.send(2, [Buffer.from("x")])).toBe(false)
})

test("a port that is taken is an error of listen", async () => {
  const one = await new TestNode(1).listen()
  const two = new TestNode(2, { listen: { host: "127.0.0.1", port: one.port } })
  await expect(two.listen()).rejects.toMatchObject({ code: "EADDRINUSE" })
})

test("close does not wait for a peer that does not read", async () => {
  const [one, , proxy] = await pairBehindProxy()
  proxy.isHolding = true
  one.transport.send(2, [Buffer.alloc(30_000_000)])
  // Without an end of its own it would wait until the test's time is over.
  await one.transport.close()
})

test("through cuts, damage and silence at random times, frames come whole and in order, and at last all is well", async () => {
  const [one, two, proxy] = await pairBehindProxy()
  let number = 0
  for (let round = 0; round < 60; round += 1) {
    for (let n = 0; n < 5; n += 1) {
      number += 1
      const text = `${String(number)} ${"x".repeat((number * 7919) % 5000)}`
      one.transport.send(2, [Buffer.from(text)])
      two.transport.send(1, [Buffer.from(text)])
    }
    if (round % 7 === 3) proxy.cut()
    if (round % 11 === 5) proxy.isCorrupting = true
    await new Promise((resolve) => setTimeout(resolve, (round * 13) % 40))
  }
  await until("it heals", () => one.transport.connected(2) && two.transport.connected(1))
  one.transport.send(2, [Buffer.from("99999 end")])
  two.transport.send(1, [Buffer.from("99999 end")])
  const hasEnd = (node: TestNode) => node.texts().at(-1)?.endsWith("99999 end") === true
  await until("the last frames are there", () => hasEnd(one) && hasEnd(two))
  for (const node of [one, two]) {
    const numbers = node.texts().map((text) => {
      const [, digits = "", filling = ""] = /^\d:(\d+) (.*)$/.exec(text) ?? []
      if (filling !== "end") expect(filling.length).toBe((Number(digits) * 7919) % 5000)
      return Number(digits)
    })
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
    expect(numbers.length).toBeGreaterThan(20)
    // Losses and returns alternate.
    node.events.forEach((event, i) => {
      expect(event.startsWith(i % 2 === 0 ? "connected" : "disconnected"), node.events.join()).toBe(true)
    })
  }
})
