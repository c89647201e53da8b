import { expect, test } from "vitest"
import { ManualClock } from "../test-support/manual-clock.ts"
import { ErrorReporter } from "./error-reporter.ts"

/** What `act` warns of. Warnings are emitted in the turn after the one in which they are given. */
async function warningsOf(act: () => void): Promise<readonly string[]> {
  const warnings: string[] = []
  const listener = (warning: Error): void => {
    if (warning.name === "OpenCmqConsumerWarning") warnings.push(warning.message)
  }
  process.on("warning", listener)
  act()
  await new Promise<void>((resolve) => setImmediate(resolve))
  process.off("warning", listener)
  return warnings
}

const context = { during: "handler", message: undefined } as const

test("the same warning is given once a minute, with the number of those held back", async () => {
  const clock = new ManualClock()
  const reporter = new ErrorReporter(undefined, clock)
  const warnings = await warningsOf(() => {
    for (let second = 0; second <= 120; second++) {
      reporter.report(new Error("never"), context)
      if (second === 1) reporter.report(new Error("something else"), context)
      clock.advance(1_000)
    }
  })
  expect(warnings).toEqual([
    "handler: Error: never",
    "handler: Error: something else",
    "handler: Error: never (and 59 times since the last such warning)",
    "handler: Error: never (and 59 times since the last such warning)",
  ])
})

test("a flood of different texts ends in one warning for the rest, and a later text is shown again", async () => {
  const clock = new ManualClock()
  const reporter = new ErrorReporter(undefined, clock)
  const flood = await warningsOf(() => {
    for (let number = 0; number < 1_000; number++) reporter.report(`text ${String(number)}`, context)
  })
  expect(flood).toHaveLength(101)
  expect(flood.at(-1)).toBe("further errors, of too many kinds to show")
  clock.advance(60_000)
  const later = await warningsOf(() => {
    reporter.report("later", context)
  })
  expect(later).toEqual(["handler: later"])
})

test("a hook hears every error, and what it throws itself is a warning of the limited kind", async () => {
  let count = 0
  const hook = (): void => {
    count += 1
    throw new Error("the hook's own")
  }
  const reporter = new ErrorReporter(hook, new ManualClock())
  const warnings = await warningsOf(() => {
    for (let number = 0; number < 10; number++) reporter.report(new Error("never"), context)
  })
  expect(count).toBe(10)
  expect(warnings).toEqual(["onError threw: Error: the hook's own"])
})
