/**
 * The addresses of the world, and the way to them: a `PushTransport` whose requests take time, whose answers come late or
 * get lost, to receivers that take everything at once, are often out of order, are slow, or are dead for good.
 */
import type { Random } from "../../src/core/random.ts"
import type { OutgoingPush, PushResult, PushTransport } from "../../src/ports.ts"
import type { Incarnation } from "./sim-process.ts"
import { between, chance, exponential } from "./world.ts"
import type { World } from "./world.ts"

export const RECEIVERS = ["prompt", "flaky", "slow", "dead"] as const
export type ReceiverName = (typeof RECEIVERS)[number]

/** When a node gives a push up. Longer than any way to a receiver, so that nothing arrives after it was given up. */
const TIMEOUT_MS = 10_000
const WAY_MAX_MS = 2_000

/** Who wants to know of every push: the oracle. */
export interface PushWatcher {
  pushBegun(push: OutgoingPush, isCurrent: boolean): void
  pushArrived(push: OutgoingPush, isTaken: boolean): void
  pushFailed(push: OutgoingPush): void
}

interface Answer {
  readonly isTaken: boolean
  /** Infinity = lost on its way. */
  readonly afterMs: number
}

export class PushReceivers {
  /** Wants to know of messages that a receiver took for the first time. */
  onTaken: ((receiver: ReceiverName, push: OutgoingPush) => void) | undefined
  readonly #world: World
  readonly #random: Random
  readonly #watcher: PushWatcher
  /** Until then the flaky one is out of order, or well, in turn. */
  #flakyUntilMs = 0
  #isFlakyDown = true

  constructor(world: World, watcher: PushWatcher) {
    this.#world = world
    this.#random = world.fork("push receivers")
    this.#watcher = watcher
  }

  urlOf(name: ReceiverName): string {
    return `http://${name}.example/`
  }

  /** @param isCurrent whether the node has applied everything that is committed. */
  transport(incarnation: Incarnation, isCurrent: () => boolean): PushTransport {
    return {
      push: (push, done) => {
        this.#watcher.pushBegun(push, isCurrent())
        this.#send(incarnation, push, done)
      },
    }
  }

  #send(incarnation: Incarnation, push: OutgoingPush, done: (result: PushResult) => void): void {
    if (chance(this.#random, 0.02)) {
      this.#world.marks.hit("push: no room in the transport")
      incarnation.after(0, () => {
        done("busy")
      })
      return
    }
    let isDone = false
    const finish = (result: PushResult): void => {
      if (isDone) return
      isDone = true
      if (result === "failed") this.#watcher.pushFailed(push)
      done(result)
    }
    const timeout = incarnation.after(TIMEOUT_MS, () => {
      this.#world.marks.hit("push: given up after its timeout")
      finish("failed")
    })
    this.#world.after(Math.min(WAY_MAX_MS, exponential(this.#random, 20)), () => {
      const { isTaken, afterMs } = this.#answer(push)
      this.#watcher.pushArrived(push, isTaken)
      if (isTaken) this.onTaken?.(receiverOf(push), push)
      if (afterMs === Number.POSITIVE_INFINITY) return
      incarnation.after(afterMs, () => {
        timeout.run = undefined
        finish(isTaken ? "delivered" : "failed")
      })
    })
  }

  #answer(push: OutgoingPush): Answer {
    const soonMs = exponential(this.#random, 20)
    switch (receiverOf(push)) {
      case "prompt":
        return { isTaken: true, afterMs: Math.min(1000, soonMs) }
      case "slow":
        return { isTaken: true, afterMs: between(this.#random, 100, 1500) }
      case "dead":
        return { isTaken: false, afterMs: chance(this.#random, 0.5) ? soonMs : Number.POSITIVE_INFINITY }
      case "flaky":
        return this.#flakyAnswer(soonMs)
    }
  }

  /** Minutes of trouble and minutes of peace; even in peace some answers are late or lost. */
  #flakyAnswer(soonMs: number): Answer {
    if (this.#world.nowMs >= this.#flakyUntilMs) {
      this.#isFlakyDown = !this.#isFlakyDown
      this.#flakyUntilMs = this.#world.nowMs + between(this.#random, 1000, this.#isFlakyDown ? 80_000 : 20_000)
    }
    if (this.#isFlakyDown) return { isTaken: false, afterMs: soonMs }
    if (chance(this.#random, 0.05)) {
      this.#world.marks.hit("push: taken, but the answer was lost")
      return { isTaken: true, afterMs: Number.POSITIVE_INFINITY }
    }
    if (chance(this.#random, 0.05)) {
      this.#world.marks.hit("push: taken, but the answer came too late")
      return { isTaken: true, afterMs: between(this.#random, TIMEOUT_MS, 2 * TIMEOUT_MS) }
    }
    return { isTaken: !chance(this.#random, 0.1), afterMs: soonMs }
  }
}

function receiverOf({ url }: OutgoingPush): ReceiverName {
  const name = RECEIVERS.find((each) => url === `http://${each}.example/`)
  if (name === undefined) throw new RangeError(`nobody is at ${url}`)
  return name
}
