import { expect, test } from "vitest"
import { createRandom } from "../random.ts"
import { SequenceHeap } from "./sequence-heap.ts"

test("an empty heap has nothing to give", () => {
  const heap = new SequenceHeap()
  heap.removeFirst()
  expect(heap.first()).toBeUndefined()
})

test("sequences come out in order, and those above a bound can be dropped", () => {
  const random = createRandom(1)
  for (let round = 0; round < 50; round++) {
    const heap = new SequenceHeap()
    const sequences = Array.from({ length: random.nextInt(100) }, () => random.nextInt(1000))
    for (const sequence of sequences) heap.add(sequence)
    const bound = random.nextInt(1000)
    heap.keepBelow(bound)
    const out: number[] = []
    for (let first = heap.first(); first !== undefined; first = heap.first()) {
      out.push(first)
      heap.removeFirst()
    }
    expect(out).toEqual(sequences.filter((sequence) => sequence < bound).sort((a, b) => a - b))
  }
})

test("clear leaves nothing", () => {
  const heap = new SequenceHeap()
  heap.add(1)
  heap.clear()
  expect(heap.size).toBe(0)
})
