/**
 * One operating-system process of the simulation: everything that the node's ports call back goes through here, so that
 * nothing of an incarnation runs after its end, and everything waits while it is paused (SIGSTOP, a long collection).
 */
import { Violation } from "./world.ts"
import type { ScheduledEvent, World } from "./world.ts"

export type ProcessState = "down" | "up" | "paused"

/** What is bound to one life of a process. */
export interface Incarnation {
  readonly nodeId: number
  readonly number: number
  readonly isAlive: () => boolean
  /** Runs later, inside this incarnation; never after its end. */
  readonly after: (delayMs: number, run: () => void) => ScheduledEvent
}

export class SimProcess {
  readonly nodeId: number
  state: ProcessState = "down"
  /** Called after each piece of the node's code has run. */
  afterStep: (() => void) | undefined
  readonly #world: World
  #number = 0
  #deferred: (() => void)[] = []

  constructor(world: World, nodeId: number) {
    this.#world = world
    this.nodeId = nodeId
  }

  get incarnationNumber(): number {
    return this.#number
  }

  start(): Incarnation {
    this.state = "up"
    const number = ++this.#number
    const isAlive = (): boolean => this.#number === number && this.state !== "down"
    const enter = (run: () => void): void => {
      if (!isAlive()) return
      if (this.state === "paused") this.#deferred.push(run)
      else this.run(run)
    }
    return {
      nodeId: this.nodeId,
      number,
      isAlive,
      after: (delayMs, run) =>
        this.#world.after(delayMs, () => {
          enter(run)
        }),
    }
  }

  /** Runs the node's code. Whatever it throws is a bug: refusals are data and faults go through callbacks. */
  run(run: () => void): void {
    try {
      run()
    } catch (error) {
      if (error instanceof Violation) this.#world.fail(error)
      else
        this.#world.fail(
          new Violation("node threw", `node ${String(this.nodeId)}: ${describe(error)}`, { cause: error }),
        )
    }
    this.afterStep?.()
  }

  /** Runs something from outside in the present life, as soon as the process can. */
  enter(run: () => void): void {
    if (this.state === "paused") this.#deferred.push(run)
    else if (this.state === "up") this.run(run)
  }

  end(): void {
    this.state = "down"
    this.#deferred = []
  }

  pause(): void {
    if (this.state === "up") this.state = "paused"
  }

  resume(): void {
    if (this.state !== "paused") return
    this.state = "up"
    const deferred = this.#deferred
    this.#deferred = []
    const number = this.#number
    for (const run of deferred) {
      this.#world.after(0, () => {
        if (this.#number !== number || this.state === "down") return
        if (this.state === "paused") this.#deferred.push(run)
        else this.run(run)
      })
    }
  }
}

export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return (error.stack ?? error.message).split("\n").slice(0, 6).join(" | ")
}
