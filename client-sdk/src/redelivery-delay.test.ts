import { expect, test } from "vitest"
import { backoffSeconds } from "./redelivery-delay.ts"

const COUNTS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 1_000_000]

test("the delay doubles from 1 s to 60 s and jitters over the upper half", () => {
  expect(COUNTS.map((count) => backoffSeconds(count, 0))).toEqual([1, 1, 1, 2, 4, 8, 16, 30, 30, 30])
  expect(COUNTS.map((count) => backoffSeconds(count, 0.999_999))).toEqual([1, 1, 2, 4, 8, 16, 32, 60, 60, 60])
})
