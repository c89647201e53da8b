import fc from "fast-check"
import { expect, test } from "vitest"
import { Ledger, TRANSIT } from "./ledger.ts"

function books(): Ledger {
  const ledger = new Ledger()
  for (const [name, fen] of [
    ["a", 1_000],
    ["b", 0],
    [TRANSIT, 0],
  ] as const)
    ledger.open(name, fen)
  return ledger
}

test("a transfer moves its money once, however often it is posted", () => {
  const ledger = books()
  const transfer = { id: "t1", from: "a", to: "b", amountFen: 300 }
  expect([ledger.post(transfer), ledger.post({ ...transfer }), ledger.post(transfer)]).toEqual([
    "posted",
    "exists",
    "exists",
  ])
  expect([ledger.balanceFen("a"), ledger.balanceFen("b"), ledger.totalFen()]).toEqual([700, 300, 1_000])
})

test("the same id with other contents is a conflict and changes nothing", () => {
  const ledger = books()
  ledger.post({ id: "t1", from: "a", to: "b", amountFen: 300 })
  for (const other of [
    { id: "t1", from: "a", to: "b", amountFen: 301 },
    { id: "t1", from: "a", to: TRANSIT, amountFen: 300 },
  ]) {
    expect(ledger.post(other)).toBe("conflict")
  }
  expect(ledger.balanceFen("b")).toBe(300)
})

test("what makes no sense is refused", () => {
  const ledger = books()
  expect(ledger.post({ id: "1", from: "a", to: "b", amountFen: 1_001 })).toBe("insufficient")
  for (const transfer of [
    { from: "a", to: "nobody", amountFen: 1 },
    { from: "nobody", to: "a", amountFen: 1 },
    { from: "a", to: "a", amountFen: 1 },
    { from: "a", to: "b", amountFen: 0 },
    { from: "a", to: "b", amountFen: -5 },
    { from: "a", to: "b", amountFen: 0.5 },
  ]) {
    expect(ledger.post({ id: "2", ...transfer })).toBe("conflict")
  }
  expect(ledger.totalFen()).toBe(1_000)
  expect(() => {
    ledger.open("a", 1)
  }).toThrow(RangeError)
  expect(() => ledger.balanceFen("nobody")).toThrow(RangeError)
})

test("no sequence of postings makes or loses money, or a negative balance", () => {
  const account = fc.constantFrom("a", "b", TRANSIT, "nobody")
  const transfers = fc.array(
    fc.record({
      id: fc.constantFrom("1", "2", "3", "4"),
      from: account,
      to: account,
      amountFen: fc.integer({ min: -2, max: 900 }),
    }),
  )
  fc.assert(
    fc.property(transfers, (list) => {
      const ledger = books()
      for (const transfer of list) ledger.post(transfer)
      expect(ledger.totalFen()).toBe(1_000)
      for (const name of ["a", "b", TRANSIT]) expect(ledger.balanceFen(name)).toBeGreaterThanOrEqual(0)
    }),
  )
})
