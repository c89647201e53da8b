/**
 * The simulated world: one queue of events ordered by (time, sequence number), one seed from which everything random is
 * drawn, one hash over everything that happened.
 *
 * Nothing in it waits for the real machine: no promise, no timer, no clock. Equal seeds give equal traces.
 */
import { createRandom } from "../../src/core/random.ts"
import type { Random } from "../../src/core/random.ts"

/** A rule of the checker was broken. The first one ends the run. */
export class Violation extends Error {
  override readonly name = "Violation"
  readonly rule: string
  constructor(rule: string, detail: string, options?: ErrorOptions) {
    super(`${rule}: ${detail}`, options)
    this.rule = rule
  }
}

/** Something that will happen. `run` is undefined when it was called off. */
export interface ScheduledEvent {
  readonly timeMs: number
  readonly sequence: number
  run: (() => void) | undefined
}

/** More events than this at one instant: two parts of the node are waking each other for ever. */
const MAX_EVENTS_AT_ONE_INSTANT = 200_000
/** Events of the log of the run that are kept for the report of a failure. */
const KEPT_LINES = 400

export class World {
  readonly seed: number
  readonly marks = new Marks()
  /** Draws of the world itself; parts take their own stream by `fork`, so that one does not disturb another. */
  readonly random: Random
  /** Called after each event. The checker sits here. */
  afterEvent: (() => void) | undefined
  /** Every line of the trace, when someone wants to see it. */
  onLine: ((line: string) => void) | undefined
  violation: Violation | undefined
  #nowMs = 0
  #sequence = 0
  #executed = 0
  #executedAtInstant = 0
  #hash = 0x811c9dc5
  readonly #heap: ScheduledEvent[] = []
  /** Events for this very instant, first in, first out: most events of a node are such. */
  #instant: ScheduledEvent[] = []
  #instantNext = 0
  readonly #lines: string[] = []
  #linesNext = 0

  constructor(seed: number) {
    this.seed = seed
    this.random = this.fork("world")
  }

  /** Milliseconds since the world began. */
  get nowMs(): number {
    return this.#nowMs
  }

  get executedCount(): number {
    return this.#executed
  }

  /** Hash over every event and every noted fact so far. */
  get traceHash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, "0")
  }

  /** A stream of random numbers of its own, decided by the seed and the name. */
  fork(name: string): Random {
    let hash = 0x811c9dc5
    for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
    return createRandom((this.seed % 0x200000) * 0x1_0000_0000 + (hash >>> 0))
  }

  after(delayMs: number, run: () => void): ScheduledEvent {
    const event: ScheduledEvent = { timeMs: this.#nowMs + Math.max(0, delayMs), sequence: ++this.#sequence, run }
    if (event.timeMs === this.#nowMs) this.#instant.push(event)
    else this.#push(event)
    return event
  }

  every(periodMs: number, run: () => void): () => void {
    let event = this.after(periodMs, again)
    function again(this: void): void {
      event = next()
      run()
    }
    const next = (): ScheduledEvent => this.after(periodMs, again)
    return () => {
      event.run = undefined
    }
  }

  /** Carries out events until that time, or until a rule is broken. */
  runUntil(timeMs: number): void {
    this.runWhile(() => true, timeMs)
  }

  /** Carries out events while the condition holds, at the longest until that time. True when the condition ended it. */
  runWhile(condition: () => boolean, untilMs: number): boolean {
    while (this.violation === undefined) {
      if (!condition()) return true
      if (!this.#step(untilMs)) return false
    }
    throw this.violation
  }

  /** Reports a broken rule. The first one counts. */
  fail(violation: Violation): void {
    if (this.violation === undefined) {
      this.violation = violation
      this.note(() => `VIOLATION ${violation.message}`)
    }
  }

  /** Mixes a number into the trace hash. */
  mix(value: number): void {
    this.#hash = Math.imul(this.#hash ^ (value | 0), 0x01000193)
  }

  /** Notes a fact for whoever reads the trace of a failure. The text is made only when somebody reads it or it is kept. */
  note(text: () => string): void {
    const line = `${this.#nowMs.toFixed(3).padStart(12)} ${text()}`
    this.#lines[this.#linesNext++ % KEPT_LINES] = line
    this.onLine?.(line)
  }

  lastLines(): string[] {
    const at = this.#linesNext % KEPT_LINES
    return this.#linesNext <= KEPT_LINES ? [...this.#lines] : [...this.#lines.slice(at), ...this.#lines.slice(0, at)]
  }

  #step(untilMs: number): boolean {
    const event = this.#pop(untilMs)
    if (event === undefined) {
      this.#nowMs = Math.max(this.#nowMs, untilMs)
      return false
    }
    if (event.timeMs > this.#nowMs) {
      this.#nowMs = event.timeMs
      this.#executedAtInstant = 0
    }
    const { run } = event
    if (run === undefined) return true
    event.run = undefined
    this.#executed++
    if (++this.#executedAtInstant > MAX_EVENTS_AT_ONE_INSTANT) {
      this.fail(new Violation("livelock", `more than ${String(MAX_EVENTS_AT_ONE_INSTANT)} events at one instant`))
      return true
    }
    this.mix(event.timeMs * 1000)
    this.mix(event.sequence)
    run()
    this.afterEvent?.()
    return true
  }

  #pop(untilMs: number): ScheduledEvent | undefined {
    const first = this.#heap[0]
    const instant = this.#instant[this.#instantNext]
    if (instant !== undefined) {
      if (first !== undefined && first.timeMs <= this.#nowMs && first.sequence < instant.sequence)
        return this.#popHeap()
      this.#instantNext++
      if (this.#instantNext === this.#instant.length) {
        this.#instant.length = 0
        this.#instantNext = 0
      } else if (this.#instantNext > 4096) {
        this.#instant = this.#instant.slice(this.#instantNext)
        this.#instantNext = 0
      }
      return instant
    }
    return first !== undefined && first.timeMs <= untilMs ? this.#popHeap() : undefined
  }

  #push(event: ScheduledEvent): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(event)
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = heap[parent] as ScheduledEvent
      if (isEarlier(above, event)) break
      heap[at] = above
      at = parent
    }
    heap[at] = event
  }

  #popHeap(): ScheduledEvent | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return first
    const { length } = heap
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= length) break
      const right = child + 1
      if (right < length && isEarlier(heap[right] as ScheduledEvent, heap[child] as ScheduledEvent)) child = right
      const below = heap[child] as ScheduledEvent
      if (isEarlier(last, below)) break
      heap[at] = below
      at = child
    }
    heap[at] = last
    return first
  }
}

function isEarlier(a: ScheduledEvent, b: ScheduledEvent): boolean {
  return a.timeMs < b.timeMs || (a.timeMs === b.timeMs && a.sequence < b.sequence)
}

/** "Sometimes" assertions: how often a rare path was taken. A campaign in which one stays at zero proves nothing about it. */
export class Marks {
  readonly #counts = new Map<string, number>()

  hit(name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1)
  }

  addTo(total: Map<string, number>): void {
    for (const [name, count] of this.#counts) total.set(name, (total.get(name) ?? 0) + count)
  }

  count(name: string): number {
    return this.#counts.get(name) ?? 0
  }
}

/** Exponentially distributed with this mean: most waits are short, some are long. */
export function exponential(random: Random, mean: number): number {
  return -Math.log(1 - random.nextFloat()) * mean
}

export function chance(random: Random, probability: number): boolean {
  return probability > 0 && random.nextFloat() < probability
}

/** A number from `low` to `high`. */
export function between(random: Random, low: number, high: number): number {
  return low + random.nextFloat() * (high - low)
}

export function pick<T>(random: Random, list: readonly T[]): T {
  const value = list[random.nextInt(list.length)]
  if (value === undefined) throw new RangeError("nothing to pick from")
  return value
}

/** The list in a random order (Fisher-Yates). */
export function shuffled<T>(random: Random, list: readonly T[]): T[] {
  const copy = [...list]
  for (let i = copy.length - 1; i > 0; i--) {
    const j = random.nextInt(i + 1)
    const kept = copy[i] as T
    copy[i] = copy[j] as T
    copy[j] = kept
  }
  return copy
}
