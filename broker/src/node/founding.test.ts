import { expect, test } from "vitest"
import { Founding } from "./founding.ts"

test("an empty node votes once everyone else was met and has committed nothing", () => {
  const founding = new Founding({ isEmpty: true, others: [2, 3] })
  founding.met(2, 0)
  expect(founding.settled(0)).toBe(false)
  founding.met(3, 0)
  expect(founding.settled(0)).toBe(true)
  expect(founding.settled(0)).toBe(false)
})

test("a node that lost its disk does not vote until it holds what the others had committed", () => {
  const founding = new Founding({ isEmpty: true, others: [2, 3] })
  founding.met(2, 0)
  founding.met(3, 40)
  expect(founding.isRecovering).toBe(true)
  expect(founding.settled(39)).toBe(false)
  expect(founding.settled(40)).toBe(true)
})

test("a later hello with less does not make a recovering node forget", () => {
  const founding = new Founding({ isEmpty: true, others: [2, 3] })
  founding.met(3, 40)
  founding.met(3, 0)
  founding.met(2, 0)
  expect(founding.settled(0)).toBe(false)
})

test("a node with state, and a node alone, vote at once", () => {
  expect(new Founding({ isEmpty: false, others: [2, 3] }).isOpen).toBe(false)
  expect(new Founding({ isEmpty: true, others: [] }).isOpen).toBe(false)
})
