import { describe, expect, test } from "vitest"
import type { Done } from "../../ports.ts"
import { Gate, attempt, runTask, wait } from "./task.ts"
import type { Task } from "./task.ts"

/** Callbacks that the test answers by hand. */
function manual(): { start: (done: Done<number>) => void; pending: Done<number>[] } {
  const pending: Done<number>[] = []
  return { start: (done) => pending.push(done), pending }
}

function outcomes(): { done: Done<unknown>; list: unknown[] } {
  const list: unknown[] = []
  return { done: (error, value) => list.push(error === undefined ? value : error.message), list }
}

describe("tasks", () => {
  test("go on when the callback comes, and give their value at the end", () => {
    const { start, pending } = manual()
    const { done, list } = outcomes()
    function* task(): Task<number> {
      const first = yield* wait(start)
      const second = yield* wait(start)
      return first + second
    }
    runTask(task(), done)
    expect(list).toEqual([])
    pending[0]?.(undefined, 3)
    pending[1]?.(undefined, 4)
    expect(list).toEqual([7])
  })

  test("get the error of a callback thrown, unless they only attempt", () => {
    const { start, pending } = manual()
    const { done, list } = outcomes()
    function* task(): Task<string> {
      const outcome = yield* attempt(start)
      if (outcome.error !== undefined) list.push(`tried: ${outcome.error.message}`)
      yield* wait(start)
      return "never"
    }
    runTask(task(), done)
    pending[0]?.(new Error("first"), 0)
    pending[1]?.(new Error("second"), 0)
    expect(list).toEqual(["tried: first", "second"])
  })

  test("run their finally, and refuse a callback that comes twice", () => {
    const { start, pending } = manual()
    const { done, list } = outcomes()
    function* task(): Task {
      try {
        yield* wait(start)
      } finally {
        list.push("cleaned")
      }
    }
    runTask(task(), done)
    pending[0]?.(new Error("broken"), 0)
    expect(list).toEqual(["cleaned", "broken"])
    expect(() => {
      pending[0]?.(undefined, 0)
    }).toThrow(/twice/)
  })

  test("a gate lets everybody through who waits at it", () => {
    const gate = new Gate()
    const list: string[] = []
    gate.pass(() => {
      list.push("a")
      gate.pass(() => list.push("later"))
    })
    gate.pass(() => list.push("b"))
    gate.open()
    expect(list).toEqual(["a", "b"])
    gate.open()
    expect(list).toEqual(["a", "b", "later"])
  })
})
