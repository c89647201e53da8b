import { expect, test } from "vitest"
import { NodeTimers } from "./node-timers.ts"

test("equal periods come together, whenever they were begun, until they are stopped", async () => {
  const timers = new NodeTimers()
  const seen: string[] = []
  const stopFirst = timers.every(40, () => seen.push("first"))
  await new Promise<void>((resolve) => timers.after(15, resolve))
  const stopped = new Promise<void>((resolve) => {
    const stopSecond = timers.every(40, () => {
      seen.push("second")
      if (seen.length < 6) return
      stopFirst()
      stopSecond()
      resolve()
    })
  })
  await stopped
  const atStop = [...seen]
  await new Promise<void>((resolve) => timers.after(100, resolve))
  expect(seen).toEqual(atStop)
  expect(new Set(seen)).toEqual(new Set(["first", "second"]))
})
