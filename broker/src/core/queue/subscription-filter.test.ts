import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { compileBindingKey, matchesBindingKey } from "./subscription-filter.ts"

function matches(pattern: string, routingKey: string): boolean {
  return matchesBindingKey(compileBindingKey(pattern), routingKey.split("."))
}

/** As the definition reads: slow, and obviously right. */
function matchesByDefinition(pattern: readonly string[], key: readonly string[]): boolean {
  const [first, ...rest] = pattern
  if (first === undefined) return key.length === 0
  if (first === "#")
    return matchesByDefinition(rest, key) || (key.length > 0 && matchesByDefinition(pattern, key.slice(1)))
  const [word, ...others] = key
  if (word === undefined) return false
  return (first === "*" ? word !== "" : first === word) && matchesByDefinition(rest, others)
}

describe("binding keys", () => {
  // The first five are of CMQ's guide (cmq-api.md section 5).
  test.each([
    ["1.*.0", "1.2.0", true],
    ["1.*.0", "1.2.3.0", false],
    ["1.#.0", "1.2.3.0", true],
    ["1.#.0", "1.0", true],
    ["#", "any.thing", true],
    ["#", "", true],
    ["*", "", false],
    ["a..b", "a..b", true],
    ["a.*.b", "a..b", false],
    ["a.#.b", "a..b", true],
    ["#.a.#", "a", true],
    ["#.#.a", "x.a", true],
    ["#.a.#.b", "a.b.a.b", true],
    ["#.a.#.b", "a.b.a", false],
    ["a*", "ab", false],
    ["a", "A", false],
    ["a.b", "a", false],
    ["a", "a.b", false],
  ])("%s and %s: %s", (pattern, key, expected) => {
    expect(matches(pattern, key)).toBe(expected)
  })

  test("are what the definition says", () => {
    const pattern = fc.array(fc.constantFrom("a", "b", "", "*", "#"), { minLength: 1, maxLength: 7 })
    const key = fc.array(fc.constantFrom("a", "b", ""), { minLength: 1, maxLength: 9 })
    fc.assert(
      fc.property(pattern, key, (words, keyWords) => {
        expect(matches(words.join("."), keyWords.join("."))).toBe(matchesByDefinition(words, keyWords))
      }),
      { numRuns: 3000 },
    )
  })

  test("take time in proportion to the key: sixteen words that almost match everywhere", () => {
    const key = compileBindingKey("#.a.#.a.#.a.#.a.#.a.#.a.#.a.#.b")
    expect(matchesBindingKey(key, Array<string>(100_000).fill("a"))).toBe(false)
  })
})
