/**
 * The wires between nodes, in our hand: every node reaches every other through a TCP proxy of its own, which can fall
 * silent. A silent wire passes nothing and closes nothing, as a pulled cable does; new connections are taken and
 * left without an answer. What waits is passed on when the wire is healed.
 */
import { connect, createServer } from "node:net"
import type { AddressInfo, Server, Socket } from "node:net"

const HOST = "127.0.0.1"

/** A node as the proxies know it. */
export interface ProxiedNode {
  readonly id: number
  /** `127.0.0.1:port`. */
  readonly peer: string
}

/** One direction of calling: `from` connects to `to`. Both ends send over it. */
class Wire {
  readonly from: number
  readonly to: number
  readonly #targetPort: number
  readonly #server: Server
  readonly #pairs = new Set<readonly [Socket, Socket]>()
  #port = 0
  #isCut = false

  constructor(from: number, to: ProxiedNode) {
    this.from = from
    this.to = to.id
    this.#targetPort = Number(to.peer.slice(to.peer.lastIndexOf(":") + 1))
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (caller) => {
      this.#take(caller)
    })
  }

  get address(): string {
    return `${HOST}:${String(this.#port)}`
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject)
      this.#server.listen(0, HOST, () => {
        this.#port = (this.#server.address() as AddressInfo).port
        resolve()
      })
    })
  }

  cut(): void {
    this.#isCut = true
    for (const [caller, callee] of this.#pairs) {
      caller.pause()
      callee.pause()
    }
  }

  heal(): void {
    this.#isCut = false
    for (const pair of this.#pairs) {
      const [caller, callee] = pair
      if (caller.destroyed || callee.destroyed) this.#end(pair)
      else this.#flow(caller, callee)
    }
  }

  close(): Promise<void> {
    for (const pair of this.#pairs) this.#end(pair)
    return new Promise((resolve) => {
      this.#server.close(() => {
        resolve()
      })
    })
  }

  #take(caller: Socket): void {
    const callee = connect({ port: this.#targetPort, host: HOST, allowHalfOpen: true, noDelay: true })
    caller.setNoDelay(true)
    callee.pause()
    const pair = [caller, callee] as const
    this.#pairs.add(pair)
    this.#tie(pair, caller, callee)
    this.#tie(pair, callee, caller)
    if (!this.#isCut) this.#flow(caller, callee)
  }

  #flow(caller: Socket, callee: Socket): void {
    caller.resume()
    callee.resume()
  }

  /** Bytes of `source` go to `target`, with back-pressure; an end of either is an end of both. */
  #tie(pair: readonly [Socket, Socket], source: Socket, target: Socket): void {
    source.on("data", (bytes: Buffer) => {
      if (target.write(bytes)) return
      source.pause()
      target.once("drain", () => {
        if (!this.#isCut) source.resume()
      })
    })
    source.on("end", () => target.end())
    source.on("error", () => source.destroy())
    source.on("close", () => {
      // A process that dies at a silent wire is not noticed at the other end, until the wire is healed.
      if (!this.#isCut) this.#end(pair)
    })
  }

  #end(pair: readonly [Socket, Socket]): void {
    this.#pairs.delete(pair)
    for (const socket of pair) socket.destroy()
  }
}

export class PeerProxies {
  readonly #wires: readonly Wire[]

  constructor(nodes: readonly ProxiedNode[]) {
    this.#wires = nodes.flatMap((from) => nodes.filter((to) => to.id !== from.id).map((to) => new Wire(from.id, to)))
  }

  async listen(): Promise<void> {
    await Promise.all(this.#wires.map((wire) => wire.listen()))
  }

  /** Where `from` finds `to`. */
  addressOf(from: number, to: number): string | undefined {
    return this.#wires.find((wire) => wire.from === from && wire.to === to)?.address
  }

  /** Silences every wire between a node and the others. */
  cut(nodeId: number): void {
    for (const wire of this.#wires) if (wire.from === nodeId || wire.to === nodeId) wire.cut()
  }

  /** Silences the wires between two nodes. */
  cutBetween(one: number, other: number): void {
    for (const wire of this.#wires) {
      if ((wire.from === one && wire.to === other) || (wire.from === other && wire.to === one)) wire.cut()
    }
  }

  healAll(): void {
    for (const wire of this.#wires) wire.heal()
  }

  async close(): Promise<void> {
    await Promise.all(this.#wires.map((wire) => wire.close()))
  }
}
