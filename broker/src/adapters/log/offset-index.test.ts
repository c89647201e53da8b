import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { OffsetIndex } from "./offset-index.ts"

function listed(table: OffsetIndex): [number, number, number][] {
  return Array.from({ length: table.count }, (_, slot) => [
    table.indexAt(slot),
    table.offsetAt(slot),
    table.lengthAt(slot),
  ])
}

describe("OffsetIndex", () => {
  test("a contiguous table begins where its first entry is, and takes only the next index", () => {
    const table = new OffsetIndex(5, { isSparse: false })
    expect([table.firstIndex, table.lastIndex, table.count]).toEqual([5, 4, 0])
    table.append(9, 8224, 10)
    table.append(10, 8300, 20)
    expect(() => {
      table.append(12, 8400, 1)
    }).toThrow(/follow one another/)
    expect(listed(table)).toEqual([
      [9, 8224, 10],
      [10, 8300, 20],
    ])
    expect([table.slotOf(8), table.slotOf(9), table.slotOf(11)]).toEqual([-1, 0, -1])
  })

  test("a sparse table finds what it holds and nothing else", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 100, max: 400 })), (numbers) => {
        const indexes = numbers.toSorted((left, right) => left - right)
        const table = new OffsetIndex(100, { isSparse: true })
        for (const index of indexes) table.append(index, index * 8 + 1, index)
        for (let index = 95; index < 405; index++) {
          const slot = table.slotOf(index)
          expect(slot).toBe(indexes.indexOf(index))
          if (slot >= 0) expect(table.offsetAt(slot)).toBe(index * 8 + 1)
        }
      }),
    )
  })

  test.each([true, false])("cutting from either end leaves the rest (sparse: %s)", (isSparse) => {
    fc.assert(
      fc.property(fc.integer({ min: 9, max: 32 }), fc.integer({ min: 9, max: 32 }), (low, high) => {
        const table = new OffsetIndex(10, { isSparse })
        for (let index = 10; index <= 30; index++) {
          if (index % 4 === 0) table.appendLost(index)
          else table.append(index, index * 100, index)
        }
        table.dropThrough(low)
        table.truncateFrom(high)
        table.trim()
        const left = Array.from({ length: 21 }, (_, at) => 10 + at).filter((index) => index > low && index < high)
        expect(listed(table).map(([index]) => index)).toEqual(left)
        expect(table.lostCount).toBe(left.filter((index) => index % 4 === 0).length)
        for (const index of left) expect(table.isLost(table.slotOf(index))).toBe(index % 4 === 0)
        if (left.length > 0) expect([table.firstIndex, table.lastIndex]).toEqual([left[0], left.at(-1)])
      }),
    )
  })

  test("an entry found rotten later counts once", () => {
    const table = new OffsetIndex(1, { isSparse: false })
    table.append(1, 100, 1)
    table.markLost(0)
    table.markLost(0)
    expect([table.lostCount, table.isLost(0)]).toEqual([1, true])
  })
})
