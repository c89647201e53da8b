/**
 * Connections to the other nodes over TCP: `PeerTransport` for production.
 *
 * Each node dials every peer and receives on the connection that it dialed; it sends on those that the peers dialed.
 * So two nodes that meet never have to agree which of two connections to keep (peer-link.ts).
 */
import { createServer, type AddressInfo, type Server, type Socket } from "node:net"
import type { Cancel, Logger, NodeId, PeerEvents, PeerTransport, Timers } from "../../ports.ts"
import { Connection, TICK_MS } from "./connection.ts"
import { AcceptHandshake, HANDSHAKE_BYTES_MAX, newIncarnation, refuse, type HandshakeStep } from "./handshake.ts"
import {
  HANDSHAKE_MS_MAX,
  PeerLink,
  type LinkSurroundings,
  type PeerAddress,
  type PeerStatistics,
} from "./peer-link.ts"

export type { PeerAddress, PeerStatistics } from "./peer-link.ts"

export const MAX_FRAME_BYTES_DEFAULT = 67_108_864
export const MAX_QUEUED_BYTES_DEFAULT = 67_108_864

/** Connections whose handshake is not complete; one more is closed. */
const STRANGERS_MAX = 64
/** How long `close` waits for what is queued. */
const CLOSE_MS_MAX = 200

export interface TcpTransportOptions {
  readonly nodeId: NodeId
  readonly clusterId: string
  /** Of what all nodes of a cluster must have alike; a peer with another one is taken, with a warning. */
  readonly configHash: string
  /** Port 0 lets the system choose. */
  readonly listen: { readonly host: string; readonly port: number }
  /** An entry with the own id is ignored. */
  readonly peers: readonly PeerAddress[]
  /** Shared by the nodes of a cluster. Without one any process that knows the cluster id is believed. */
  readonly secret: string | undefined
  readonly timers: Timers
  readonly logger: Logger
  readonly events: PeerEvents
  readonly maxFrameBytes?: number
  /** Bytes waiting for one peer; above it `send` returns false. */
  readonly maxQueuedBytes?: number
}

export interface TcpTransport extends PeerTransport {
  /** Listens, and begins to dial. Rejects with Node's error when the port cannot be had. */
  listen(): Promise<{ readonly host: string; readonly port: number }>
  /** Sends what is queued, as far as that takes no time, and closes everything. No event is told from now on. */
  close(): Promise<void>
  /** The peers from now on: new ones are dialed, missing ones dropped, those with a new address dialed there. */
  setPeers(peers: readonly PeerAddress[]): void
  /** Counters, one row a peer. */
  statistics(): readonly PeerStatistics[]
}

export function createTcpTransport(options: TcpTransportOptions): TcpTransport {
  return new SocketTransport(options)
}

class SocketTransport implements TcpTransport {
  readonly #options: TcpTransportOptions
  readonly #around: LinkSurroundings
  readonly #links = new Map<NodeId, PeerLink>()
  readonly #strangers = new Set<Connection>()
  /** Kinds of refusals that were logged. */
  readonly #complaints = new Set<string>()
  readonly #server: Server
  #ticking: Cancel | undefined
  #isListening = false
  #isClosed = false

  constructor(options: TcpTransportOptions) {
    const { nodeId, clusterId, configHash, secret, timers, logger, events } = options
    this.#options = options
    this.#around = {
      identity: { nodeId, clusterId, configHash, secret, incarnation: newIncarnation() },
      timers,
      logger,
      events,
      maxFrameBytes: options.maxFrameBytes ?? MAX_FRAME_BYTES_DEFAULT,
      maxQueuedBytes: options.maxQueuedBytes ?? MAX_QUEUED_BYTES_DEFAULT,
    }
    this.#server = createServer((socket) => {
      this.#receiveStranger(socket)
    })
    this.setPeers(options.peers)
  }

  send(peer: NodeId, parts: readonly Uint8Array[]): boolean {
    return this.#links.get(peer)?.send(parts) ?? false
  }

  connected(peer: NodeId): boolean {
    return this.#links.get(peer)?.isUp ?? false
  }

  statistics(): readonly PeerStatistics[] {
    return [...this.#links.values()].map((link) => link.statistics())
  }

  setPeers(peers: readonly PeerAddress[]): void {
    if (this.#isClosed) return
    const wanted = new Map(peers.filter(({ id }) => id !== this.#options.nodeId).map((peer) => [peer.id, peer]))
    for (const [id, link] of this.#links) {
      const address = wanted.get(id)
      if (address !== undefined && address.host === link.address.host && address.port === link.address.port) continue
      this.#links.delete(id)
      const wasUp = link.isUp
      link.stop(false, () => undefined)
      if (!wasUp) continue
      queueMicrotask(() => {
        if (!this.#isClosed) this.#around.events.disconnected(id)
      })
    }
    for (const [id, address] of wanted) {
      if (this.#links.has(id)) continue
      const link = new PeerLink(address, this.#around)
      this.#links.set(id, link)
      if (this.#isListening) link.dial()
    }
  }

  listen(): Promise<{ readonly host: string; readonly port: number }> {
    const { listen, timers, logger } = this.#options
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject)
      this.#server.listen(listen.port, listen.host, () => {
        this.#server.off("error", reject)
        this.#server.on("error", (error) => {
          logger.error({ error: error.message }, "the peer port has trouble")
        })
        this.#isListening = true
        this.#ticking = timers.every(TICK_MS, () => {
          for (const link of this.#links.values()) link.tick()
        })
        for (const link of this.#links.values()) link.dial()
        const { address, port } = this.#server.address() as AddressInfo
        resolve({ host: address, port })
      })
    })
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#ticking?.()
    for (const stranger of this.#strangers) stranger.close("stopped")
    const links = [...this.#links.values()]
    const ended = links.map((link) => new Promise<void>((resolve) => link.stop(true, resolve)))
    const serverClosed = new Promise<void>((resolve) => {
      if (this.#isListening) this.#server.close(() => resolve())
      else resolve()
    })
    // A peer that does not read would keep us here.
    const cancel = this.#options.timers.after(CLOSE_MS_MAX, () => {
      for (const link of links) link.abandon()
    })
    await Promise.all([serverClosed, ...ended])
    cancel()
  }

  #receiveStranger(socket: Socket): void {
    const { timers, logger } = this.#options
    if (this.#isClosed || this.#strangers.size >= STRANGERS_MAX) {
      socket.on("error", () => undefined).destroy()
      return
    }
    const from = `${String(socket.remoteAddress)}:${String(socket.remotePort)}`
    const handshake = new AcceptHandshake(this.#around.identity, (id) => this.#links.has(id))
    let link: PeerLink | undefined
    const connection = new Connection(socket, HANDSHAKE_BYTES_MAX, {
      frame: (payload) => {
        if (link === undefined) link = this.#welcome(connection, handshake.receive(payload), from)
        // A peer sends nothing but signs of life on a connection that it dialed.
        else connection.close("a frame on the wrong connection")
      },
      closed: (reason) => {
        cancelDeadline()
        this.#strangers.delete(connection)
        link?.incomingClosed(connection, reason)
      },
    })
    this.#strangers.add(connection)
    const cancelDeadline = timers.after(HANDSHAKE_MS_MAX, () => {
      if (!this.#strangers.has(connection)) return
      logger.warn({ from }, "a connection to the peer port said nothing sensible in time")
      connection.close("no handshake in time")
    })
  }

  /** One step of the handshake with somebody who connected; gives the link once it is known whose it is. */
  #welcome(connection: Connection, answer: HandshakeStep, from: string): PeerLink | undefined {
    const link = answer.kind === "done" ? this.#links.get(answer.peer.nodeId) : undefined
    const doubt = answer.kind === "done" ? link?.refusalOf(answer.peer) : undefined
    const step = doubt === undefined ? answer : refuse("duplicateNode", doubt)
    if (step.kind === "refused") {
      this.#complain(from, { reason: step.reason, text: step.text })
      connection.close(`refused: ${step.reason}`)
      return undefined
    }
    if (step.send !== undefined) connection.send([step.send], step.send.length)
    if (step.kind === "refuse") {
      this.#complain(from, step)
      connection.finish(step.reason)
      return undefined
    }
    if (step.kind === "continue") return undefined
    this.#strangers.delete(connection)
    if (link === undefined) {
      connection.close("the peer was removed")
      return undefined
    }
    link.accept(connection, step.peer)
    return link
  }

  /** Said once for a kind of trouble and a host: whoever is refused comes again twice a second. */
  #complain(from: string, trouble: { readonly reason: string; readonly text: string }): void {
    const key = `${trouble.reason} ${trouble.text} ${from.replace(/:\d+$/, "")}`
    if (this.#complaints.has(key)) return
    if (this.#complaints.size >= STRANGERS_MAX) this.#complaints.clear()
    this.#complaints.add(key)
    this.#options.logger.error({ from, reason: trouble.reason, text: trouble.text }, "peer connection refused")
  }
}
