import { expect, test } from "vitest"
import type { Cancel } from "../ports.ts"
import { Ticker } from "./ticker.ts"

const TICK_MS = 50

/** A clock that is moved by hand, with timers that fire when it comes to them. */
class HandTime {
  nowMs = 1000
  wakeCount = 0
  readonly #alarms = new Map<number, { readonly atMs: number; readonly run: () => void }>()
  #lastId = 0

  readonly clock = { monotonicMs: () => this.nowMs, wallMs: () => 0 }
  readonly timers = {
    soon: () => undefined,
    every: () => () => undefined,
    after: (delayMs: number, run: () => void): Cancel => {
      const id = ++this.#lastId
      this.#alarms.set(id, { atMs: this.nowMs + delayMs, run })
      return () => this.#alarms.delete(id)
    },
  }

  pass(ms: number): void {
    const endMs = this.nowMs + ms
    for (;;) {
      const due = [...this.#alarms].filter(([, { atMs }]) => atMs <= endMs).sort((a, b) => a[1].atMs - b[1].atMs)[0]
      if (due === undefined) break
      this.#alarms.delete(due[0])
      this.nowMs = Math.max(this.nowMs, due[1].atMs)
      this.wakeCount++
      due[1].run()
    }
    this.nowMs = endMs
  }

  /** The process stands still: alarms come late. */
  stall(ms: number): void {
    this.nowMs += ms
  }
}

function start(ticksUntilDue: () => number): { time: HandTime; ticker: Ticker; ticks: () => number } {
  const time = new HandTime()
  let ticks = 0
  const ticker = new Ticker({
    clock: time.clock,
    timers: time.timers,
    tickMs: TICK_MS,
    tick: () => ticks++,
    ticksUntilDue,
  })
  ticker.start()
  return { time, ticker, ticks: () => ticks }
}

test("a busy node ticks one by one", () => {
  const { time, ticks } = start(() => 1)
  time.pass(500)
  expect(ticks()).toBe(10)
  expect(time.wakeCount).toBe(10)
})

test("an idle node makes as many ticks, and wakes for the last of them only", () => {
  const { time, ticks } = start(() => 5)
  time.pass(500)
  expect(ticks()).toBe(10)
  expect(time.wakeCount).toBe(2)
})

test("what comes in finds the ticks of the past made, and the next alarm where it is due", () => {
  let due = 6
  const { time, ticker, ticks } = start(() => due)
  time.pass(120)
  ticker.catchUp()
  expect(ticks()).toBe(2)
  due = 1
  ticker.rest()
  time.pass(30)
  expect(ticks()).toBe(3)
})

test("an alarm that comes too early is left where it is", () => {
  const { time, ticker, ticks } = start(() => 4)
  for (let turn = 0; turn < 30; turn++) {
    time.pass(10)
    ticker.catchUp()
    ticker.rest()
  }
  expect(ticks()).toBe(6)
  expect(time.wakeCount).toBe(1)
})

test("after a stand-still of minutes nobody believes that minutes of silence have passed", () => {
  const { time, ticker, ticks } = start(() => 4)
  time.stall(600_000)
  ticker.catchUp()
  expect(ticks()).toBe(4)
  ticker.rest()
  time.pass(200)
  expect(ticks()).toBe(8)
})

test("a stopped one does not tick, not even for the rest of a burst", () => {
  let ticks = 0
  const time = new HandTime()
  const ticker: Ticker = new Ticker({
    clock: time.clock,
    timers: time.timers,
    tickMs: TICK_MS,
    tick: () => {
      ticks++
      ticker.stop()
    },
    ticksUntilDue: () => 4,
  })
  ticker.start()
  time.pass(1000)
  expect(ticks).toBe(1)
})
