/**
 * The connections that stay open between pushes. Both agents file them under the address that they go to (and, with TLS,
 * the name that was verified), because push-exchange.ts gives them addresses only. So a push finds a connection again only
 * to an address that was judged for this very push.
 *
 * Node bounds the idle connections of one address, not of all: a thousand endpoints that answer fast would leave more behind
 * than a process may have files. Here the one that is idle for longest gives way.
 */
import { Agent as HttpAgent } from "node:http"
import type { ClientRequest } from "node:http"
import { Agent as HttpsAgent } from "node:https"
import type { Duplex } from "node:stream"

export interface PinnedAgentsOptions {
  /** All hosts together. 0 = no connection is used twice. */
  readonly idleSocketsMax: number
  /** An idle connection ends after so long, or earlier if the receiver says so (`Keep-Alive: timeout=`). */
  readonly idleTimeoutMs: number
}

export class PinnedAgents {
  readonly http: HttpAgent
  readonly https: HttpsAgent
  readonly #idleSocketsMax: number
  /** In the order in which they became idle, each with its listener. */
  readonly #idle = new Map<Duplex, () => void>()

  constructor({ idleSocketsMax, idleTimeoutMs }: PinnedAgentsOptions) {
    const options = { keepAlive: true, timeout: idleTimeoutMs }
    this.#idleSocketsMax = idleSocketsMax
    this.http = this.#bounded(new HttpAgent(options))
    this.https = this.#bounded(new HttpsAgent(options))
  }

  get idleSocketCount(): number {
    return this.#idle.size
  }

  /** Ends every connection, idle or not. */
  destroy(): void {
    this.http.destroy()
    this.https.destroy()
  }

  #bounded<Agent extends HttpAgent>(agent: Agent): Agent {
    // Node's types say void; its documentation and its code say whether the socket may stay.
    const keep = agent.keepSocketAlive.bind(agent) as (socket: Duplex) => boolean
    const reuse = agent.reuseSocket.bind(agent)
    agent.keepSocketAlive = (socket: Duplex): boolean => keep(socket) && this.#keep(socket)
    agent.reuseSocket = (socket: Duplex, request: ClientRequest): void => {
      this.#forget(socket)
      reuse(socket, request)
    }
    return agent
  }

  #keep(socket: Duplex): boolean {
    if (this.#idleSocketsMax === 0) return false
    const [oldest] = this.#idle.keys()
    if (oldest !== undefined && this.#idle.size >= this.#idleSocketsMax) {
      this.#forget(oldest)
      oldest.destroy()
    }
    const closed = (): void => {
      this.#forget(socket)
    }
    this.#idle.set(socket, closed)
    socket.once("close", closed)
    return true
  }

  #forget(socket: Duplex): void {
    const closed = this.#idle.get(socket)
    if (closed === undefined) return
    this.#idle.delete(socket)
    socket.removeListener("close", closed)
  }
}
