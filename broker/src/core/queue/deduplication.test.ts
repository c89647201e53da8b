import { describe, expect, test } from "vitest"
import { createRandom } from "../random.ts"
import { Deduplication, IDS_PER_PAGE, type DeduplicationKey } from "./deduplication.ts"

function keyOf(id: number, queueId = 1): DeduplicationKey {
  return { queueId, words: [9, id, 0, 0, id ^ 5], firstWord: 1 }
}

describe("Deduplication", () => {
  test("finds what was added, until its time is over", () => {
    const table = new Deduplication(100)
    table.add(keyOf(1), { entryIndex: 7, ordinal: 3, expiresAtMs: 100 })
    const number = table.find(keyOf(1), 99)
    expect([table.entryIndex(number), table.ordinal(number)]).toEqual([7, 3])
    expect(table.find(keyOf(1), 100)).toBe(-1)
    expect(table.find(keyOf(1, 2), 0)).toBe(-1)
    expect(table.expire(99, 10)).toBe(0)
    expect(table.expire(100, 10)).toBe(1)
    expect(table.size).toBe(0)
  })

  test("an expired id that is still in the table does not hide its successor", () => {
    const table = new Deduplication(100)
    table.add(keyOf(1), { entryIndex: 1, ordinal: 0, expiresAtMs: 10 })
    table.add(keyOf(1), { entryIndex: 2, ordinal: 0, expiresAtMs: 30 })
    expect(table.entryIndex(table.find(keyOf(1), 20))).toBe(2)
    table.expire(20, 10)
    expect(table.entryIndex(table.find(keyOf(1), 20))).toBe(2)
  })

  test("agrees with a list through additions, evictions, rolling back and expiry", () => {
    const random = createRandom(3)
    const capacity = 3 * IDS_PER_PAGE
    const table = new Deduplication(capacity)
    let list: { id: number; entryIndex: number; expiresAtMs: number }[] = []
    let nowMs = 0
    let evicted = 0
    for (let step = 1; step <= 40_000; step++) {
      const id = random.nextInt(50_000)
      const found = table.find(keyOf(id), nowMs)
      if (step % 97 === 0) {
        const isThere = list.find((known) => known.id === id && known.expiresAtMs > nowMs)
        expect(found === -1 ? undefined : table.entryIndex(found)).toBe(isThere?.entryIndex)
      }
      if (found !== -1) continue
      const before = table.next
      table.add(keyOf(id), { entryIndex: step, ordinal: 0, expiresAtMs: nowMs + 20_000 })
      if (random.nextInt(10) === 0) table.rollBack(before)
      else list.push({ id, entryIndex: step, expiresAtMs: nowMs + 20_000 })
      table.evict()
      if (list.length > capacity) {
        list.shift()
        evicted++
      }
      nowMs += random.nextInt(3)
      if (step % 1000 === 0) {
        table.expire(nowMs, 1_000_000)
        list = list.filter(({ expiresAtMs }) => expiresAtMs > nowMs)
        expect(table.size).toBe(list.length)
      }
    }
    expect(table.evictedCount).toBe(evicted)
    expect(evicted).toBeGreaterThan(0)
    expect(table.pageNumbers().length).toBeLessThanOrEqual(5)
  })
})
