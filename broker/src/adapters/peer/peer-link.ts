/**
 * What one node has to do with one peer: a connection that it dialed, for receiving, and one that the peer dialed, for
 * sending. (Who dials chooses where Node reads to: connection.ts.) The link is up while both stand. When either breaks,
 * the other is closed too and `disconnected` is told at once: a broken connection is the fastest sign of a dead leader.
 *
 * ```
 *   waiting --dial--> dialing --TCP--> greeting --handshake--> ready      (outgoing side)
 *      ^-----------------+----------------+----------------------+  back-off with jitter, 20 ms to 500 ms
 * ```
 */
import type { Socket } from "node:net"
import type { Cancel, Logger, NodeId, PeerEvents, Timers } from "../../ports.ts"
import { dialConnection, type Connection } from "./connection.ts"
import { DialHandshake, HANDSHAKE_BYTES_MAX, type Counterpart, type Identity } from "./handshake.ts"

const BACKOFF_MS_MIN = 20
const BACKOFF_MS_MAX = 500
/** TCP and handshake together. */
export const HANDSHAKE_MS_MAX = 2_000
/** A connection that was heard within so many ticks (2 to 3 s) is alive: another process with its id is an impostor. */
const ALIVE_TICKS = 3

export interface PeerAddress {
  readonly id: NodeId
  readonly host: string
  readonly port: number
}

export interface LinkSurroundings {
  readonly identity: Identity
  readonly timers: Timers
  readonly logger: Logger
  readonly events: PeerEvents
  readonly maxFrameBytes: number
  readonly maxQueuedBytes: number
}

/** Counters of one link, for metrics. Bytes are of payloads. */
export interface PeerStatistics {
  readonly peer: NodeId
  readonly up: boolean
  readonly queuedBytes: number
  readonly framesSent: number
  readonly bytesSent: number
  /** Not connected, or too much was waiting. */
  readonly framesDropped: number
  readonly framesReceived: number
  readonly bytesReceived: number
  /** How often the link came up. */
  readonly connects: number
}

export class PeerLink {
  readonly #address: PeerAddress
  readonly #around: LinkSurroundings
  #outgoing: Connection | undefined
  #outgoingReady = false
  /** Set while TCP itself is not connected yet. */
  #connecting: Socket | undefined
  #redial: Cancel | undefined
  #backoffMs = BACKOFF_MS_MIN
  #incoming: Connection | undefined
  #incomingFrom = ""
  #isUp = false
  #isStopped = false
  #ended: () => void = () => undefined
  /** The last dial ended in a handshake that one side refused: waiting will not help, a person must. */
  #isRefused = false
  /** What was last said about not reaching the peer, so that it is said once. */
  #lastTrouble = ""
  #framesSent = 0
  #bytesSent = 0
  #framesDropped = 0
  #framesReceived = 0
  #bytesReceived = 0
  #connects = 0

  constructor(address: PeerAddress, around: LinkSurroundings) {
    this.#address = address
    this.#around = around
  }

  get address(): PeerAddress {
    return this.#address
  }

  get isUp(): boolean {
    return this.#isUp
  }

  statistics(): PeerStatistics {
    return {
      peer: this.#address.id,
      up: this.#isUp,
      queuedBytes: this.#incoming?.queuedBytes ?? 0,
      framesSent: this.#framesSent,
      bytesSent: this.#bytesSent,
      framesDropped: this.#framesDropped,
      framesReceived: this.#framesReceived,
      bytesReceived: this.#bytesReceived,
      connects: this.#connects,
    }
  }

  /** See `PeerTransport.send`. Throws a RangeError for a frame that no peer would take. */
  send(parts: readonly Uint8Array[]): boolean {
    let bytes = 0
    for (const part of parts) bytes += part.length
    if (bytes === 0 || bytes > this.#around.maxFrameBytes) throw new RangeError(`a frame of ${String(bytes)} bytes`)
    const connection = this.#incoming
    if (connection === undefined || !this.#hasRoom(connection, bytes)) {
      this.#framesDropped += 1
      return false
    }
    connection.send(parts, bytes)
    this.#framesSent += 1
    this.#bytesSent += bytes
    return true
  }

  #hasRoom(connection: Connection, bytes: number): boolean {
    const queued = connection.queuedBytes
    return queued === 0 || queued + bytes <= this.#around.maxQueuedBytes
  }

  /** Dials now, whatever the back-off says. */
  dial(): void {
    this.#redial?.()
    this.#redial = undefined
    if (this.#isStopped || this.#outgoing !== undefined) return
    const { identity, timers, maxFrameBytes } = this.#around
    const { id, host, port } = this.#address
    const handshake = new DialHandshake(identity, id)
    const { connection, socket } = dialConnection({ host, port }, HANDSHAKE_BYTES_MAX, {
      frame: (payload) => {
        if (this.#outgoingReady) this.#received(payload)
        else this.#greet(connection, handshake, payload)
      },
      closed: (reason) => {
        cancelDeadline()
        if (this.#outgoing === connection) this.#outgoingClosed(reason)
      },
    })
    connection.allowFrameBytes(Math.min(HANDSHAKE_BYTES_MAX, maxFrameBytes))
    const cancelDeadline = timers.after(HANDSHAKE_MS_MAX, () => {
      if (!this.#outgoingReady || this.#outgoing !== connection) connection.close("no answer")
    })
    this.#isRefused = false
    this.#outgoing = connection
    this.#connecting = socket
    socket.once("connect", () => {
      if (this.#connecting === socket) this.#connecting = undefined
      connection.send([handshake.hello], handshake.hello.length)
    })
  }

  #greet(connection: Connection, handshake: DialHandshake, payload: Uint8Array): void {
    const step = handshake.receive(payload)
    this.#isRefused = step.kind === "refused" || step.kind === "refuse"
    if (step.kind === "refused") return connection.close(`refused: ${step.reason}: ${step.text}`)
    if (step.send !== undefined) connection.send([step.send], step.send.length)
    if (step.kind === "refuse") return connection.finish(`${step.reason}: ${step.text}`)
    if (step.kind === "continue") return
    connection.allowFrameBytes(this.#around.maxFrameBytes)
    this.#outgoingReady = true
    this.#backoffMs = BACKOFF_MS_MIN
    this.#checkUp()
  }

  #outgoingClosed(reason: string): void {
    const wasReady = this.#outgoingReady
    this.#outgoing = undefined
    this.#connecting = undefined
    this.#outgoingReady = false
    if (this.#isStopped) return
    if (this.#isUp) return this.#break(reason)
    if (!wasReady) this.#complain(reason)
    this.#dialLater()
  }

  #dialLater(): void {
    if (this.#isStopped || this.#redial !== undefined) return
    const delayMs = this.#backoffMs * (0.5 + Math.random() / 2)
    this.#backoffMs = Math.min(this.#backoffMs * 2, BACKOFF_MS_MAX)
    this.#redial = this.#around.timers.after(delayMs, () => {
      this.#redial = undefined
      this.dial()
    })
  }

  /** Why a believed newcomer may not take the place of the incoming connection; undefined when it may. */
  refusalOf(newcomer: Counterpart): string | undefined {
    const { id } = this.#address
    if (this.#incoming === undefined || newcomer.incarnation === this.#incomingFrom) return undefined
    if (this.#incoming.quietTicks >= ALIVE_TICKS) return undefined
    return `another process is connected as node ${String(id)} and alive: two nodes have the same id`
  }

  /** Takes a connection that the peer dialed, after its handshake. */
  accept(connection: Connection, peer: Counterpart): void {
    if (this.#isStopped) return connection.close("stopped")
    const previous = this.#incoming
    if (previous !== undefined) {
      this.#incoming = undefined
      previous.close("replaced by a new connection")
      if (this.#isUp) this.#break("the peer connected anew")
    }
    this.#incoming = connection
    this.#incomingFrom = peer.incarnation
    if (peer.configHash !== this.#around.identity.configHash) {
      this.#around.logger.warn({ peer: peer.nodeId }, "this peer has another configuration of the cluster")
    }
    this.#checkUp()
    // The peer is there, so waiting longer has no sense; nor has a SYN on its way to where nobody was.
    const stale = this.#connecting
    if (stale !== undefined) {
      this.#outgoing = undefined
      this.#connecting = undefined
      stale.destroy()
    }
    this.dial()
  }

  #received(payload: Uint8Array): void {
    if (this.#isStopped) return
    this.#framesReceived += 1
    this.#bytesReceived += payload.length
    this.#around.events.frame(this.#address.id, payload)
  }

  /** To be called when a connection given to `accept` is closed. */
  incomingClosed(connection: Connection, reason: string): void {
    if (this.#incoming !== connection) return
    this.#incoming = undefined
    if (this.#isStopped) this.#end()
    else if (this.#isUp) this.#break(reason)
  }

  #end(): void {
    this.#outgoing?.close("stopped")
    this.#ended()
  }

  #checkUp(): void {
    if (this.#isUp || this.#isStopped || !this.#outgoingReady || this.#incoming === undefined) return
    this.#isUp = true
    this.#connects += 1
    this.#lastTrouble = ""
    this.#around.logger.info({ peer: this.#address.id }, "peer connected")
    this.#around.events.connected(this.#address.id)
  }

  #break(reason: string): void {
    this.#isUp = false
    const { logger, events } = this.#around
    const { id } = this.#address
    logger.warn({ peer: id, reason }, "peer connection lost")
    this.#dropBoth(reason)
    events.disconnected(id)
  }

  #dropBoth(reason: string): void {
    this.#incoming?.close(reason)
    this.#incoming = undefined
    this.#outgoing?.close(reason)
    this.#outgoing = undefined
    this.#outgoingReady = false
    this.#dialLater()
  }

  #complain(reason: string): void {
    if (reason === this.#lastTrouble) return
    this.#lastTrouble = reason
    const { id, host, port } = this.#address
    const fields = { peer: id, address: `${host}:${String(port)}`, reason }
    if (this.#isRefused) this.#around.logger.error(fields, "peer handshake failed; trying again")
    else this.#around.logger.info(fields, "peer cannot be reached; trying again")
  }

  tick(): void {
    if (this.#outgoingReady) this.#outgoing?.tick()
    this.#incoming?.tick()
  }

  /** Nothing is told any more. What is queued is still sent when `isGraceful`; `ended` comes when nothing is left. */
  stop(isGraceful: boolean, ended: () => void): void {
    this.#isStopped = true
    this.#isUp = false
    this.#ended = ended
    this.#redial?.()
    this.#redial = undefined
    // The other connection stays until then: its end would make the peer drop both, with what it has not read yet.
    if (this.#incoming === undefined) {
      queueMicrotask(() => {
        this.#end()
      })
    } else if (isGraceful) this.#incoming.finish("stopped")
    else this.#incoming.close("stopped")
  }

  /** After `stop`: does not wait any longer for what is queued. */
  abandon(): void {
    this.#incoming?.close("stopped")
  }
}
