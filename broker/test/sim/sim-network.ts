/**
 * The network between the nodes: one connection for each pair, which can be lost, slow, clogged, cut in one direction or
 * both, and made again.
 *
 * Inside one connection whole frames arrive in order or not at all, as TCP with a checksum on each frame does it. Only
 * frames for which `isRaft` says yes may also be doubled or overtake each other: Raft has to stand that (it will meet it
 * across connections), while a forwarded call relies on its connection, and a hello is the first word on every one.
 */
import { Buffer } from "node:buffer"
import type { Random } from "../../src/core/random.ts"
import type { NodeId, PeerEvents, PeerTransport } from "../../src/ports.ts"
import type { Incarnation } from "./sim-process.ts"
import { between, chance, exponential } from "./world.ts"
import type { World } from "./world.ts"

export interface NetworkSettings {
  /** Mean of the part of the delay that varies; 0.1 ms come on top. */
  readonly meanDelayMs: number
  /** Share of frames that vanish. */
  readonly loss: number
  /** Share of frames whose connection breaks instead of delivering them. */
  readonly reset: number
  readonly duplicate: number
  readonly reorder: number
  /** Share of frames that clog their direction for up to 5 s. */
  readonly clog: number
}

export const QUIET_NETWORK: NetworkSettings = {
  meanDelayMs: 0.5,
  loss: 0,
  reset: 0,
  duplicate: 0,
  reorder: 0,
  clog: 0,
}

const MIN_DELAY_MS = 0.1
const MAX_DELAY_MS = 2000
const MAX_CLOG_MS = 5000
/** A side that hears nothing gives the connection up after about this. */
const SILENCE_MS = { least: 500, most: 3000 }
const REDIAL_MS = { least: 20, most: 300 }
/** Bytes on their way in one direction; more are refused, as a bounded send buffer does. */
const MAX_WAITING_BYTES = 8 << 20

interface Endpoint {
  readonly incarnation: Incarnation
  readonly events: PeerEvents
}

/** One direction of one pair. */
interface Direction {
  isBlocked: boolean
  cloggedUntilMs: number
  lastDeliveryMs: number
  /** Of a frame that is no Raft message. */
  lastOtherDeliveryMs: number
  waitingBytes: number
}

/** A frame on its way. */
interface Parcel {
  readonly frame: Buffer
  /** Of the connection. */
  readonly generation: number
  readonly isRaft: boolean
  readonly overtakes: boolean
}

interface Pair {
  /** Rises with each connection; frames of an older one are dropped. 0 = never connected. */
  generation: number
  /** Generation that each side believes to be alive; 0 = none. By node id. */
  readonly believed: Map<NodeId, number>
  isDialing: boolean
}

export type FrameWatcher = (from: NodeId, to: NodeId, frame: Uint8Array) => void

export class SimNetwork {
  settings: NetworkSettings = QUIET_NETWORK
  /** Sees each frame when it leaves. */
  onSend: FrameWatcher | undefined
  isRaft: (frame: Uint8Array) => boolean = () => false
  readonly #world: World
  readonly #random: Random
  readonly #endpoints = new Map<NodeId, Endpoint>()
  readonly #directions = new Map<number, Direction>()
  readonly #pairs = new Map<number, Pair>()
  #framesSent = 0

  constructor(world: World) {
    this.#world = world
    this.#random = world.fork("network")
  }

  get framesSent(): number {
    return this.#framesSent
  }

  attach(incarnation: Incarnation, events: PeerEvents): PeerTransport {
    const me = incarnation.nodeId
    this.#endpoints.set(me, { incarnation, events })
    for (const other of this.#endpoints.keys()) if (other !== me) this.#dial(me, other)
    return {
      send: (peer, parts) => incarnation.isAlive() && this.#send(me, peer, parts),
      connected: (peer) => incarnation.isAlive() && (this.#pair(me, peer).believed.get(me) ?? 0) !== 0,
    }
  }

  /** The process is gone. `silent`: its machine too, so that nobody is told. */
  detach(nodeId: NodeId, silent: boolean): void {
    this.#endpoints.delete(nodeId)
    for (const [other] of this.#endpoints) {
      const pair = this.#pair(nodeId, other)
      pair.believed.delete(nodeId)
      if ((pair.believed.get(other) ?? 0) === 0) continue
      const delayMs = silent ? this.#silenceMs() : MIN_DELAY_MS + exponential(this.#random, 0.5)
      this.#breakSide(other, nodeId, delayMs)
    }
  }

  /** Cuts or heals one direction. A connection over a cut is given up by each side after a while of silence. */
  setBlocked(from: NodeId, to: NodeId, isBlocked: boolean): void {
    const direction = this.#direction(from, to)
    if (direction.isBlocked === isBlocked) return
    direction.isBlocked = isBlocked
    if (isBlocked) {
      this.#giveUpIfStillCut(from, to)
      this.#giveUpIfStillCut(to, from)
    }
  }

  isBlocked(from: NodeId, to: NodeId): boolean {
    return this.#direction(from, to).isBlocked
  }

  healAll(): void {
    for (const direction of this.#directions.values()) {
      direction.isBlocked = false
      direction.cloggedUntilMs = 0
    }
  }

  clog(from: NodeId, to: NodeId, durationMs: number): void {
    this.#direction(from, to).cloggedUntilMs = this.#world.nowMs + durationMs
    this.#world.marks.hit("network: direction clogged")
  }

  /** Breaks the connection now; both sides learn of it. */
  reset(a: NodeId, b: NodeId): void {
    const pair = this.#pair(a, b)
    if (pair.generation === 0) return
    this.#world.marks.hit("network: connection reset")
    this.#breakSide(a, b, MIN_DELAY_MS)
    this.#breakSide(b, a, MIN_DELAY_MS + exponential(this.#random, 1))
  }

  // ------------------------------------------------------------------------------------------ frames

  #send(from: NodeId, to: NodeId, parts: readonly Uint8Array[]): boolean {
    const pair = this.#pair(from, to)
    const generation = pair.believed.get(from) ?? 0
    if (generation === 0) return false
    const direction = this.#direction(from, to)
    const frame = Buffer.concat(parts)
    if (direction.waitingBytes + frame.length > MAX_WAITING_BYTES) {
      this.#world.marks.hit("network: send buffer full")
      return false
    }
    this.#framesSent++
    this.#world.mix(frame.length)
    this.onSend?.(from, to, frame)
    const { settings } = this
    if (direction.isBlocked || chance(this.#random, settings.loss)) {
      this.#world.marks.hit(direction.isBlocked ? "network: frame lost in a cut" : "network: frame lost")
      return true
    }
    if (chance(this.#random, settings.reset)) {
      this.reset(from, to)
      return true
    }
    if (chance(this.#random, settings.clog)) this.clog(from, to, this.#random.nextFloat() * MAX_CLOG_MS)
    const isRaft = this.isRaft(frame)
    const mayDisorder = (settings.duplicate > 0 || settings.reorder > 0) && isRaft
    this.#carry(from, to, {
      frame,
      generation,
      isRaft,
      overtakes: mayDisorder && chance(this.#random, settings.reorder),
    })
    if (mayDisorder && chance(this.#random, settings.duplicate)) {
      this.#world.marks.hit("network: frame doubled")
      this.#carry(from, to, { frame: Buffer.from(frame), generation, isRaft, overtakes: true })
    }
    return true
  }

  #carry(from: NodeId, to: NodeId, parcel: Parcel): void {
    const direction = this.#direction(from, to)
    const delayMs = MIN_DELAY_MS + Math.min(MAX_DELAY_MS, exponential(this.#random, this.settings.meanDelayMs))
    let arrivalMs = Math.max(this.#world.nowMs + delayMs, direction.cloggedUntilMs)
    if (parcel.overtakes) {
      this.#world.marks.hit("network: frame out of order")
      arrivalMs = Math.max(arrivalMs + this.#random.nextFloat() * 200, direction.lastOtherDeliveryMs)
    } else {
      arrivalMs = Math.max(arrivalMs, direction.lastDeliveryMs)
      direction.lastDeliveryMs = arrivalMs
      if (!parcel.isRaft) direction.lastOtherDeliveryMs = arrivalMs
    }
    direction.waitingBytes += parcel.frame.length
    const receiver = this.#endpoints.get(to)
    this.#world.after(arrivalMs - this.#world.nowMs, () => {
      direction.waitingBytes -= parcel.frame.length
      if (direction.isBlocked || receiver === undefined || this.#endpoints.get(to) !== receiver) return
      if (this.#pair(from, to).believed.get(to) !== parcel.generation) {
        this.#breakSide(from, to, MIN_DELAY_MS)
        return
      }
      receiver.incarnation.after(0, () => {
        receiver.events.frame(from, parcel.frame)
      })
    })
  }

  // ------------------------------------------------------------------------------------------ connections

  #dial(a: NodeId, b: NodeId): void {
    const pair = this.#pair(a, b)
    if (pair.isDialing) return
    pair.isDialing = true
    const again = (): void => {
      this.#world.after(between(this.#random, REDIAL_MS.least, REDIAL_MS.most), () => {
        const beliefs = [pair.believed.get(a) ?? 0, pair.believed.get(b) ?? 0] as const
        const isGone = !this.#endpoints.has(a) || !this.#endpoints.has(b)
        if (isGone || (beliefs[0] !== 0 && beliefs[0] === beliefs[1])) {
          pair.isDialing = false
          return
        }
        if (!this.#isCut(a, b)) {
          if (beliefs[0] === 0 && beliefs[1] === 0) {
            pair.isDialing = false
            this.#connect(a, b)
            return
          }
          // One side still holds a dead connection: its first word is answered by a reset.
          this.#breakSide(a, b, 1)
          this.#breakSide(b, a, 1)
        }
        again()
      })
    }
    again()
  }

  #connect(a: NodeId, b: NodeId): void {
    const pair = this.#pair(a, b)
    const generation = ++pair.generation
    for (const [me, peer] of [
      [a, b],
      [b, a],
    ] as const) {
      const endpoint = this.#endpoints.get(me)
      pair.believed.set(me, generation)
      const direction = this.#direction(peer, me)
      direction.lastDeliveryMs = this.#world.nowMs
      endpoint?.incarnation.after(0, () => {
        if (pair.believed.get(me) === generation) endpoint.events.connected(peer)
      })
    }
  }

  /** `me` learns after the delay that its connection to `peer` is gone, and dials again. */
  #breakSide(me: NodeId, peer: NodeId, delayMs: number): void {
    const pair = this.#pair(me, peer)
    const generation = pair.believed.get(me) ?? 0
    const endpoint = this.#endpoints.get(me)
    if (generation === 0 || endpoint === undefined) return
    this.#world.after(delayMs, () => {
      if (this.#endpoints.get(me) !== endpoint || pair.believed.get(me) !== generation) return
      pair.believed.set(me, 0)
      endpoint.incarnation.after(0, () => {
        endpoint.events.disconnected(peer)
      })
      this.#dial(me, peer)
    })
  }

  #giveUpIfStillCut(me: NodeId, peer: NodeId): void {
    const pair = this.#pair(me, peer)
    const generation = pair.believed.get(me) ?? 0
    if (generation === 0) return
    this.#world.after(this.#silenceMs(), () => {
      if (this.#isCut(me, peer) && pair.believed.get(me) === generation) this.#breakSide(me, peer, 0)
      // The other side is told by a reset as soon as it says anything.
      else if (pair.believed.get(peer) !== generation) this.#breakSide(me, peer, 1)
    })
  }

  #isCut(a: NodeId, b: NodeId): boolean {
    return this.#direction(a, b).isBlocked || this.#direction(b, a).isBlocked
  }

  #silenceMs(): number {
    return between(this.#random, SILENCE_MS.least, SILENCE_MS.most)
  }

  #direction(from: NodeId, to: NodeId): Direction {
    const key = from * 256 + to
    let direction = this.#directions.get(key)
    if (direction === undefined) {
      direction = { isBlocked: false, cloggedUntilMs: 0, lastDeliveryMs: 0, lastOtherDeliveryMs: 0, waitingBytes: 0 }
      this.#directions.set(key, direction)
    }
    return direction
  }

  #pair(a: NodeId, b: NodeId): Pair {
    const key = Math.min(a, b) * 256 + Math.max(a, b)
    let pair = this.#pairs.get(key)
    if (pair === undefined) {
      pair = { generation: 0, believed: new Map(), isDialing: false }
      this.#pairs.set(key, pair)
    }
    return pair
  }
}
