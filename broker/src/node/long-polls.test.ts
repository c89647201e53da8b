import { expect, test } from "vitest"
import { LongPolls } from "./long-polls.ts"
import type { LongPoll } from "./long-polls.ts"

function poll(log: string[], name: string, options: Partial<LongPoll> = {}): LongPoll {
  return {
    queueId: 1,
    maxCount: 1,
    deadlineMs: 1000,
    tryReceive: () => log.push(`${name} tries`),
    timedOut: () => log.push(`${name} times out`),
    released: () => log.push(`${name} is released`),
    ...options,
  }
}

test("as many polls wake as can share what has come, the oldest first", () => {
  const log: string[] = []
  const polls = new LongPolls()
  polls.add(poll(log, "a", { maxCount: 2 }))
  polls.add(poll(log, "b"))
  polls.add(poll(log, "c"))
  polls.wake(1, 3)
  expect(log).toEqual(["a tries", "b tries"])
  expect(polls.countOf(1)).toBe(1)
})

test("polls end at their deadlines, in order, and removed ones never do", () => {
  const log: string[] = []
  const polls = new LongPolls()
  const gone = poll(log, "gone", { deadlineMs: 5 })
  polls.add(poll(log, "late", { deadlineMs: 20 }))
  polls.add(gone)
  polls.add(poll(log, "early", { deadlineMs: 10, queueId: 2 }))
  expect(polls.remove(gone)).toBe(true)
  expect(polls.remove(gone)).toBe(false)
  expect(polls.nextDeadlineMs()).toBe(10)
  polls.expire(15)
  expect(log).toEqual(["early times out"])
  polls.expire(20)
  expect(log).toEqual(["early times out", "late times out"])
  expect(polls.count).toBe(0)
})

test("ten thousand polls that come and go leave nothing behind", () => {
  const polls = new LongPolls()
  for (let i = 0; i < 10_000; i++) {
    const waiting = poll([], "x", { deadlineMs: 10_000 - i })
    polls.add(waiting)
    if (i % 3 !== 0) polls.remove(waiting)
  }
  expect(polls.count).toBe(3334)
  polls.expire(10_000)
  expect(polls.count).toBe(0)
  expect(polls.nextDeadlineMs()).toBeUndefined()
})
