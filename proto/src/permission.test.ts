import fc from "fast-check"
import { expect, test } from "vitest"
import { PERMISSION_ROLES, matchesName, parsePermission } from "./permission.ts"

test("permissions are read", () => {
  expect(parsePermission("send:queue:orders-*")).toEqual({ role: "send", kind: "queue", pattern: "orders-*" })
  expect(parsePermission("administer:topic:*")).toEqual({ role: "administer", kind: "topic", pattern: "*" })
  expect(parsePermission("peek:cluster")).toEqual({ role: "peek", kind: "cluster", pattern: "" })
})

test("what says nothing is refused", () => {
  const wrong = [
    "",
    "send",
    "send:queue",
    "send:queue:",
    "send:queue:a:b",
    "send:queue:-a",
    "send:queue:a b",
    "Send:queue:a",
    "send:cluster",
    "receive:topic:a",
    "peek:cluster:a",
    "peek:toString:a",
    "toString:queue:a",
    `send:queue:${"a".repeat(65)}`,
    `send:queue:${"*".repeat(1_000)}`,
  ]
  for (const text of wrong) expect(parsePermission(text), text).toBeUndefined()
})

test("every role of every kind is read back", () => {
  for (const [kind, roles] of Object.entries(PERMISSION_ROLES)) {
    for (const role of roles) {
      const text = kind === "cluster" ? `${role}:${kind}` : `${role}:${kind}:a*`
      expect(parsePermission(text), text).toMatchObject({ role, kind })
    }
  }
})

test("patterns match as a regular expression does", () => {
  const letters = fc.string({ unit: fc.constantFrom("a", "b", "*"), maxLength: 8 })
  const name = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 10 })
  fc.assert(
    fc.property(letters, name, (pattern, text) => {
      const expected = new RegExp(`^${pattern.replaceAll("*", "[ab]*")}$`).test(text)
      expect(matchesName(pattern, text)).toBe(expected)
    }),
    { numRuns: 500 },
  )
})
