import { createHash } from "node:crypto"
import { expect, test } from "vitest"
import { NonceCache } from "./nonce-cache.ts"

const WINDOW_MS = 300_000

function makeCache(maxEntriesPerKey = 1_000_000): NonceCache {
  return new NonceCache({ windowMs: WINDOW_MS, maxEntriesPerKey })
}

function signature(number: number): string {
  return createHash("sha1").update(String(number)).digest("base64")
}

test("the same signature of the same key is a copy, of another key it is not", () => {
  const cache = makeCache()
  expect(cache.remember("AKIDa", signature(1), 0)).toBe("fresh")
  expect(cache.remember("AKIDa", signature(1), 1)).toBe("replayed")
  expect(cache.remember("AKIDb", signature(1), 2)).toBe("fresh")
  expect(cache.remember("AKIDa", signature(2), 3)).toBe("fresh")
})

test("a copy is refused for at least one window and at most two", () => {
  for (const firstAtMs of [0, 1, WINDOW_MS - 1, WINDOW_MS / 2]) {
    const cache = makeCache()
    cache.remember("AKIDa", signature(0), 0)
    expect(cache.remember("AKIDa", signature(1), firstAtMs)).toBe("fresh")
    expect(cache.remember("AKIDa", signature(1), firstAtMs + WINDOW_MS)).toBe("replayed")
    expect(cache.remember("AKIDa", signature(1), firstAtMs + 2 * WINDOW_MS + WINDOW_MS)).toBe("fresh")
  }
})

test("a copy seen after a long silence is not taken for an old one's window", () => {
  const cache = makeCache()
  cache.remember("AKIDa", signature(1), 0)
  expect(cache.remember("AKIDa", signature(1), 10 * WINDOW_MS)).toBe("fresh")
  expect(cache.remember("AKIDa", signature(1), 10 * WINDOW_MS + 1)).toBe("replayed")
})

test("200,000 requests: none is taken for another, none is forgotten", () => {
  const cache = makeCache()
  const count = 200_000
  for (let number = 0; number < count; number++) {
    if (cache.remember("AKIDa", signature(number), number) !== "fresh") expect.fail(String(number))
  }
  expect(cache.entryCount()).toBe(count)
  for (let number = 0; number < count; number++) {
    if (cache.remember("AKIDa", signature(number), count) !== "replayed") expect.fail(String(number))
  }
})

test("a full memory refuses, and forgets nothing, until the window turns", () => {
  const cache = makeCache(10)
  for (let number = 0; number < 10; number++) expect(cache.remember("AKIDa", signature(number), 0)).toBe("fresh")
  expect(cache.remember("AKIDa", signature(10), 1)).toBe("full")
  expect(cache.remember("AKIDa", signature(3), 2)).toBe("replayed")
  expect(cache.remember("AKIDb", signature(10), 3)).toBe("fresh")
  expect(cache.remember("AKIDa", signature(10), WINDOW_MS)).toBe("fresh")
  expect(cache.remember("AKIDa", signature(3), WINDOW_MS)).toBe("replayed")
})

test("what was remembered of a key that is gone does not stay", () => {
  const cache = new NonceCache({ windowMs: 1_000, maxEntriesPerKey: 10 })
  for (let nth = 0; nth < 100; nth++) {
    cache.remember(`AKID${String(nth)}`, "A".repeat(28), nth * 500)
    expect(cache.keyCount()).toBeLessThanOrEqual(4)
  }
  expect(cache.remember("AKID99", "A".repeat(28), 99 * 500)).toBe("replayed")
})
