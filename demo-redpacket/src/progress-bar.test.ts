import { expect, test } from "vitest"
import { ProgressBar } from "./progress-bar.ts"

test("a bar is painted on a terminal, seldom, and ends its line", () => {
  const written: string[] = []
  const bar = new ProgressBar({ isTTY: true, write: (text) => written.push(text) }, 10_000)
  for (let value = 0; value <= 10_000; value++) bar.update(value)
  bar.end()
  expect(written).toHaveLength(202)
  expect(written.at(-2)).toBe(`\r${"█".repeat(40)} 100 %`)
  expect(written.at(-1)).toBe("\n")
})

test("nothing is painted where nobody watches", () => {
  const written: string[] = []
  const bar = new ProgressBar({ write: (text) => written.push(text) }, 10)
  bar.update(5)
  bar.end()
  expect(written).toEqual([])
})
