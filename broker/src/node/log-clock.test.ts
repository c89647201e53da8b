import { expect, test } from "vitest"
import { LogClock } from "./log-clock.ts"

class HandClock {
  monotonic = 1000
  wall = 1_700_000_000_000
  monotonicMs(): number {
    return this.monotonic
  }
  wallMs(): number {
    return this.wall
  }
  pass(ms: number): void {
    this.monotonic += ms
    this.wall += ms
  }
}

test("log time follows the monotonic clock when the wall clock jumps an hour ahead", () => {
  const clock = new HandClock()
  const logClock = new LogClock(clock, 0)
  clock.wall += 3_600_000
  clock.pass(10_000)
  expect(logClock.nowMs()).toBeLessThanOrEqual(1_700_000_000_000 + 10_010)
})

test("log time keeps running when the wall clock jumps two hours back", () => {
  const clock = new HandClock()
  const logClock = new LogClock(clock, 0)
  clock.wall -= 7_200_000
  clock.pass(10_000)
  expect(logClock.nowMs()).toBeGreaterThanOrEqual(1_700_000_000_000 + 9_990)
})

test("a restored machine's time is never undercut by a wall clock that is behind", () => {
  const clock = new HandClock()
  expect(new LogClock(clock, clock.wall + 5000).nowMs()).toBe(clock.wall + 5000)
})

test("a follower takes over the leader's time, even when its own start believed a later one", () => {
  const clock = new HandClock()
  clock.wall += 3_600_000
  const logClock = new LogClock(clock, 0)
  logClock.follow(1_700_000_000_500)
  clock.pass(1000)
  expect(logClock.nowMs()).toBe(1_700_000_001_501)
})

test("re-anchoring twenty times a second loses no time", () => {
  const clock = new HandClock()
  const logClock = new LogClock(clock, 0)
  for (let tick = 0; tick < 2000; tick++) {
    clock.pass(50.4)
    logClock.reanchor()
  }
  expect(logClock.nowMs() - 1_700_000_000_000).toBeGreaterThanOrEqual(100_799)
})
