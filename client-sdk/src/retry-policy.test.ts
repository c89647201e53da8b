import { ERROR_NAMES, errorRow } from "@opencmq/proto"
import { expect, test } from "vitest"
import { RetryBudget, fullJitterMs, retrySettings, verdictOf } from "./retry-policy.ts"

test("a pause lies anywhere between nothing and a ceiling that doubles up to its maximum", () => {
  const settings = { baseDelayMs: 25, maxDelayMs: 2_000 }
  expect([0, 1, 2, 6, 7, 1_000].map((retry) => fullJitterMs(settings, retry, 1))).toEqual([
    25, 50, 100, 1_600, 2_000, 2_000,
  ])
  expect(fullJitterMs(settings, 5, 0)).toBe(0)
  expect(fullJitterMs(settings, 1, 0.5)).toBe(25)
})

test("what is not retriable in the error table is never retried", () => {
  for (const name of ERROR_NAMES) {
    const { retriable, outcome } = errorRow(name)
    if (!retriable) expect(verdictOf({ name, retriable, outcome }, true), name).toBe("giveUp")
    else expect(verdictOf({ name, retriable, outcome }, true), name).not.toBe("giveUp")
  }
})

test("with unknown outcome only a repeatable call is retried", () => {
  const lost = { name: "networkFailed", retriable: true, outcome: "unknown" } as const
  expect(verdictOf(lost, false)).toBe("giveUp")
  expect(verdictOf(lost, true)).toBe("failOver")
  const refused = { name: "networkFailed", retriable: true, outcome: "notApplied" } as const
  expect(verdictOf(refused, false)).toBe("failOver")
})

test("a service in need of time is given it, a node in trouble is left for another", () => {
  expect(verdictOf({ name: "overloaded", retriable: true, outcome: "notApplied" }, true)).toBe("backOff")
  expect(verdictOf({ name: "noLeader", retriable: true, outcome: "notApplied" }, true)).toBe("backOff")
  expect(verdictOf({ name: "shuttingDown", retriable: true, outcome: "notApplied" }, true)).toBe("failOver")
})

test("the budget is spent retry by retry, and comes back with time and success, never above its size", () => {
  const budget = new RetryBudget(retrySettings({ budget: 2, budgetPerSecond: 1, budgetPerSuccess: 0.5 }), 0)
  expect([budget.tryTake(0), budget.tryTake(0), budget.tryTake(0)]).toEqual([true, true, false])
  expect(budget.tryTake(999)).toBe(false)
  expect(budget.tryTake(1_000)).toBe(true)
  budget.succeeded()
  expect(budget.tryTake(1_000)).toBe(false)
  budget.succeeded()
  expect(budget.tryTake(1_000)).toBe(true)
  expect(budget.tryTake(3_600_000)).toBe(true)
  expect(budget.left).toBe(1)
})
