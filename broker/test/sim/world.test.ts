import { expect, test } from "vitest"
import { SimClock } from "./sim-clock.ts"
import { runSeed } from "./run-seed.ts"
import { SimProcess } from "./sim-process.ts"
import { exponential, World } from "./world.ts"

test("events happen in the order of their times, and of their making at one time", () => {
  const world = new World(1)
  const seen: string[] = []
  const note = (what: string) => () => {
    seen.push(what)
  }
  world.after(5, note("five"))
  world.after(1, () => {
    seen.push("one")
    world.after(0, note("at once"))
    world.after(4, note("five, made later"))
  })
  world.after(1, note("one, made later"))
  world.runUntil(10)
  expect(seen).toEqual(["one", "one, made later", "at once", "five", "five, made later"])
  expect(world.nowMs).toBe(10)
})

test("an event that was called off does not happen", () => {
  const world = new World(1)
  let count = 0
  const event = world.after(1, () => count++)
  event.run = undefined
  world.runUntil(2)
  expect(count).toBe(0)
})

test("a thousand random events come out sorted", () => {
  const world = new World(7)
  const times: number[] = []
  for (let i = 0; i < 1000; i++) {
    world.after(exponential(world.random, 100), () => {
      times.push(world.nowMs)
    })
  }
  world.runUntil(1e9)
  expect(times).toHaveLength(1000)
  expect(times).toEqual([...times].sort((a, b) => a - b))
})

test("streams with different names or seeds differ, equal ones are equal", () => {
  const draw = (seed: number, name: string): number => new World(seed).fork(name).nextUint32()
  expect(draw(1, "disk")).toBe(draw(1, "disk"))
  expect(draw(1, "disk")).not.toBe(draw(2, "disk"))
  expect(draw(1, "disk")).not.toBe(draw(1, "network"))
})

test("nothing of an incarnation runs after its end, and a pause delays everything in order", () => {
  const world = new World(1)
  const process = new SimProcess(world, 1)
  const seen: number[] = []
  const life = process.start()
  for (const at of [1, 2, 3]) {
    life.after(at, () => {
      seen.push(at)
    })
  }
  process.pause()
  world.runUntil(5)
  expect(seen).toEqual([])
  process.resume()
  world.runUntil(6)
  expect(seen).toEqual([1, 2, 3])
  life.after(1, () => {
    seen.push(99)
  })
  process.end()
  process.start()
  world.runUntil(10)
  expect(seen).toEqual([1, 2, 3])
})

test("a clock runs at its own rate and its wall clock is off by what it was set to", () => {
  const world = new World(1)
  const clock = new SimClock(world, 500)
  const wallMs = clock.wallMs()
  clock.setRate(2)
  world.runUntil(100)
  expect(clock.monotonicMs()).toBe(700)
  clock.setRate(0.5)
  world.runUntil(200)
  expect(clock.monotonicMs()).toBe(750)
  clock.setWallOffset(-3000)
  expect(clock.wallMs() - wallMs).toBe(200 - 3000)
})

test("equal seeds leave equal traces, different ones do not", () => {
  const override = { safetyMs: 20_000, idleMs: 0 }
  const hash = (seed: number): string => runSeed({ seed, override }).traceHash
  expect(hash(3)).toBe(hash(3))
  expect(hash(3)).not.toBe(hash(5))
})
