/**
 * The TCP face: CMQ's TCP protocol for queues (docs/tcp-api.md), over the same use cases as the HTTP face.
 */
import { randomInt } from "node:crypto"
import { createServer } from "node:net"
import type { AddressInfo, Server, Socket } from "node:net"
import type { ProducerQuery } from "../../node/half-query-notices.ts"
import type { Histogram, Metrics } from "../../node/metrics.ts"
import type { BrokerService } from "../../node/service-types.ts"
import type { Cancel, Clock, Logger, Timers } from "../../ports.ts"
import { Authenticator } from "./authenticate.ts"
import type { KeyRing } from "../../node/request-guard.ts"
import type { TcpFaceOptions } from "./face-options.ts"
import { TRANSACTION_QUERY } from "./command-table.ts"
import type { TcpCall } from "./tcp-call.ts"
import { TcpSession } from "./tcp-session.ts"
import type { SessionHost } from "./tcp-session.ts"
import { wideInteger } from "./wide-integer.ts"

/** What the face is made from. */
export interface TcpFaceParts {
  readonly service: BrokerService
  readonly keys: KeyRing
  readonly clock: Clock
  readonly timers: Timers
  readonly logger: Logger
  readonly metrics: Metrics
  readonly options: TcpFaceOptions
}

const TICK_MS = 1000
/** Runs draw their first request number from so many, 2^32 apart. */
const RUNS = 2 ** 20

/** A face that can be opened and closed. */
export class TcpFace implements SessionHost {
  readonly service: BrokerService
  readonly authenticator: Authenticator
  readonly options: TcpFaceOptions
  readonly #parts: TcpFaceParts
  readonly #server: Server
  readonly #sessions = new Set<TcpSession>()
  readonly #durations = new Map<string, Histogram>()
  #requestNumber: number
  /** Also the sequence number of the newest question. */
  #queryCount = 0
  #inFlightCount = 0
  /** Only while there are connections: an idle node sleeps. */
  #ticking: Cancel | undefined
  #isClosing = false
  #emptied: (() => void) | undefined

  constructor(parts: TcpFaceParts) {
    this.#parts = parts
    this.service = parts.service
    this.options = parts.options
    this.authenticator = new Authenticator(parts.keys, parts.metrics)
    this.#requestNumber = parts.options.firstRequestNumber ?? randomInt(RUNS) * 2 ** 32 + 1
    this.#server = createServer({ noDelay: true }, (socket) => {
      this.#accept(socket)
    })
    const inFlight = parts.metrics.gauge("requestsInFlight", "tcp")
    const connections = parts.metrics.gauge("connections", "tcp")
    parts.metrics.onScrape(() => {
      inFlight.set(this.#inFlightCount)
      connections.set(this.#sessions.size)
    })
  }

  /** Open connections. */
  get connectionCount(): number {
    return this.#sessions.size
  }

  /** Port 0 takes a free one. Rejects with the system's error when the address cannot be had. */
  listen(address: { readonly host: string; readonly port: number }): Promise<{ readonly port: number }> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject)
      this.#server.listen(address, () => {
        this.#server.off("error", reject)
        this.#server.on("error", (error) => {
          this.#parts.logger.error({ err: error }, "the TCP face cannot take connections")
        })
        resolve({ port: (this.#server.address() as AddressInfo).port })
      })
    })
  }

  /**
   * No new connections, waiting pulls are answered, later requests are refused, connections end; at the latest after
   * `graceMs`.
   */
  async close({ graceMs }: { readonly graceMs: number }): Promise<void> {
    this.#isClosing = true
    if (this.#server.listening) this.#server.close()
    const emptied = new Promise<void>((resolve) => {
      this.#emptied = resolve
    })
    for (const session of [...this.#sessions]) session.drain()
    if (this.#sessions.size === 0) return
    const cancel = this.#parts.timers.after(graceMs, () => {
      for (const session of [...this.#sessions]) session.close("the server closes")
    })
    await emptied
    cancel()
  }

  /** Asks about half messages, each one of the connections that have sent to its queue; they take turns. */
  askProducers(queries: readonly ProducerQuery[]): void {
    const producers = new Map<string, readonly TcpSession[]>()
    for (const { queueName, msgId } of queries) {
      let sessions = producers.get(queueName)
      if (sessions === undefined) {
        sessions = [...this.#sessions].filter((session) => session.isProducerOf(queueName))
        producers.set(queueName, sessions)
      }
      const seqno = ++this.#queryCount
      const transactionQuery = { queueName, msgId: wideInteger(msgId) }
      sessions[seqno % Math.max(1, sessions.length)]?.send({ seqno, cmd: TRANSACTION_QUERY, transactionQuery })
    }
  }

  // --- What sessions ask --------------------------------------------------------------------------------

  nowMs(): number {
    return this.#parts.clock.monotonicMs()
  }

  nextRequestNumber(): number {
    return this.#requestNumber++
  }

  started(): void {
    this.#inFlightCount++
  }

  finished(call: TcpCall, result: number): void {
    this.#inFlightCount--
    const code = result === -1 ? "gone" : String(result)
    const key = `${call.command.name} ${code}`
    let cell = this.#durations.get(key)
    if (cell === undefined) {
      cell = this.#parts.metrics.histogram("requestDuration", "tcp", call.command.name, code)
      this.#durations.set(key, cell)
    }
    cell.observe((this.nowMs() - call.startedAtMs) / 1000)
  }

  closed(session: TcpSession, reason: string): void {
    if (!this.#sessions.delete(session)) return
    this.#parts.logger.debug({ client: session.remoteAddress, reason }, "a TCP connection ended")
    if (this.#sessions.size > 0) return
    this.#ticking?.()
    this.#ticking = undefined
    this.#emptied?.()
  }

  // ------------------------------------------------------------------------------------------------------

  #accept(socket: Socket): void {
    if (this.#isClosing || this.#sessions.size >= this.options.maxConnections) {
      socket.destroy()
      return
    }
    this.#sessions.add(new TcpSession(socket, this))
    this.#ticking ??= this.#parts.timers.every(TICK_MS, () => {
      for (const session of [...this.#sessions]) session.tick()
    })
  }
}
