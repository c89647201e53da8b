import { describe, expect, test } from "vitest"
import type { Entry } from "../../core/raft/types.ts"
import { RecentEntries } from "./recent-entries.ts"

function entry(index: number, term = 1): Entry {
  return { index, term, kind: "commands", data: new Uint8Array(10) }
}

describe("RecentEntries", () => {
  test("lets the oldest go beyond the bound, but never one that is not durable", () => {
    const recent = new RecentEntries(30)
    recent.add([1, 2, 3, 4, 5].map((index) => entry(index)))
    expect(recent.bytes).toBe(50)
    recent.durable(1)
    expect(recent.get(1)).toBeUndefined()
    expect(recent.get(2)).toBeDefined()
    recent.durable(5)
    expect([2, 3].map((index) => recent.get(index)?.index)).toEqual([undefined, 3])
    expect(recent.bytes).toBe(30)
  })

  test("new entries replace those at their indexes and behind", () => {
    const recent = new RecentEntries(1000)
    recent.add([1, 2, 3, 4].map((index) => entry(index)))
    recent.durable(4)
    recent.add([entry(2, 9)])
    expect([1, 2, 3, 4].map((index) => recent.get(index)?.term)).toEqual([1, 9, undefined, undefined])
    expect(recent.bytes).toBe(20)
  })

  test("begins anew behind a hole, and forgets everything when cleared", () => {
    const recent = new RecentEntries(1000)
    recent.add([entry(1)])
    recent.add([entry(7)])
    expect([recent.get(1), recent.get(7)?.index]).toEqual([undefined, 7])
    recent.clear()
    expect([recent.get(7), recent.bytes]).toEqual([undefined, 0])
  })
})
