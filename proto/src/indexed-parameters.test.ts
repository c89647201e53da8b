import fc from "fast-check"
import { expect, test } from "vitest"
import { readIndexRange } from "./indexed-parameters.ts"

function params(...keys: readonly string[]): ReadonlyMap<string, string> {
  return new Map(keys.map((key) => [key, ""]))
}

test("arrays begin at 0 or at 1, in any order of sending, up to 16 elements", () => {
  const lengths = fc.integer({ min: 1, max: 16 })
  fc.assert(
    fc.property(lengths, fc.constantFrom(0, 1), (count, base) => {
      const keys = Array.from({ length: count }, (_, index) => `msgBody.${String(base + index)}`)
      expect(readIndexRange(params("queueName", ...keys.reverse()), "msgBody")).toEqual({
        ok: true,
        value: { base, count },
      })
    }),
  )
})

test("no element is an empty range; names that only begin alike do not count", () => {
  const empty = { ok: true, value: { base: 0, count: 0 } }
  expect(readIndexRange(params(), "msgBody")).toEqual(empty)
  expect(readIndexRange(params("msgBody", "msgBodyX.1", "xmsgBody.1"), "msgBody")).toEqual(empty)
})

test("gaps, other first numbers, too many and strange numbers are refused", () => {
  const refusals: [string[], string, string][] = [
    [["m.1", "m.3"], "parameterNotConsecutive", "m"],
    [["m.0", "m.2"], "parameterNotConsecutive", "m"],
    [["m.2"], "parameterNotConsecutive", "m"],
    [["m.999999999"], "parameterNotConsecutive", "m"],
    [Array.from({ length: 17 }, (_, index) => `m.${String(index)}`), "parameterBatchSize", "m"],
    [["m."], "parameterKeyFormat", "m."],
    [["m.01"], "parameterKeyFormat", "m.01"],
    [["m.-1"], "parameterKeyFormat", "m.-1"],
    [["m.1e1"], "parameterKeyFormat", "m.1e1"],
    [["m.1.x"], "parameterKeyFormat", "m.1.x"],
    [["m.9999999999"], "parameterKeyFormat", "m.9999999999"],
  ]
  for (const [keys, error, arg] of refusals) {
    expect(readIndexRange(params(...keys), "m"), keys.join(" ")).toEqual({ ok: false, error, args: [arg] })
  }
})

test("a group of fields is one element a number", () => {
  const keys = ["a.1.name", "a.1.value", "a.2.value"]
  expect(readIndexRange(params(...keys), "a", ["name", "value"])).toEqual({ ok: true, value: { base: 1, count: 2 } })
  expect(readIndexRange(params("a.1.other"), "a", ["name"])).toMatchObject({ error: "parameterKeyFormat" })
  expect(readIndexRange(params("a.1"), "a", ["name"])).toMatchObject({ error: "parameterKeyFormat" })
})
