import { describe, expect, test } from "vitest"
import { DeadlineHeap } from "./deadline-heap.ts"
import { createRandom } from "./random.ts"

describe("DeadlineHeap", () => {
  test("an empty heap has no first deadline", () => {
    const heap = new DeadlineHeap()
    expect(heap.firstDueAtMs()).toBe(Infinity)
    expect(() => heap.firstId()).toThrow("has an element")
    heap.remove(7)
    expect(heap.size).toBe(0)
    expect(heap.dueAtMs(7)).toBeUndefined()
  })

  test("equal deadlines come out in the order of their ids, whatever the order of their coming", () => {
    const heap = new DeadlineHeap()
    for (const id of [5, 1, 9, 3]) heap.set(id, 100)
    heap.set(9, 50)
    heap.set(9, 100)
    expect(drain(heap)).toEqual([1, 3, 5, 9])
  })

  test("refuses an id that is no whole number", () => {
    const heap = new DeadlineHeap()
    expect(() => {
      heap.set(1.5, 1)
    }).toThrow("whole number")
    expect(() => {
      heap.set(-1, 1)
    }).toThrow("whole number")
  })

  test("grows to large ids and begins again after clear", () => {
    const heap = new DeadlineHeap()
    heap.set(100_000, 1)
    heap.set(3, 2)
    expect(drain(heap)).toEqual([100_000, 3])
    heap.set(4, 1)
    heap.clear()
    expect(heap.size).toBe(0)
    expect(heap.has(4)).toBe(false)
  })

  test.each([1, 2, 3, 4])("agrees with a sorted list of pairs, seed %i", (seed) => {
    const random = createRandom(seed)
    const heap = new DeadlineHeap()
    const model = new Map<number, number>()
    for (let step = 0; step < 1000; step++) {
      const id = random.nextInt(200)
      const due = random.nextInt(50)
      const kind = random.nextInt(10)
      if (kind < 6) {
        heap.set(id, due)
        model.set(id, due)
      } else if (kind < 9) {
        heap.remove(id)
        model.delete(id)
      } else if (heap.size > 0) {
        const first = heap.firstId()
        expect(first).toBe(sorted(model)[0])
        heap.remove(first)
        model.delete(first)
      }
      expect(heap.size).toBe(model.size)
      expect(heap.dueAtMs(id)).toBe(model.get(id))
      expect(heap.firstDueAtMs()).toBe(Math.min(Infinity, ...model.values()))
    }
    expect(drain(heap)).toEqual(sorted(model))
  })
})

function sorted(model: ReadonlyMap<number, number>): number[] {
  return [...model].sort(([idA, dueA], [idB, dueB]) => dueA - dueB || idA - idB).map(([id]) => id)
}

function drain(heap: DeadlineHeap): number[] {
  const ids: number[] = []
  while (heap.size > 0) {
    ids.push(heap.firstId())
    heap.remove(heap.firstId())
  }
  return ids
}
