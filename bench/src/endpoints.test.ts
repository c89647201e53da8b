import { expect, test } from "vitest"
import { isLoopback, refusalFor } from "./endpoints.ts"

test("only loopback addresses and localhost count as this computer", () => {
  const here = ["http://127.0.0.1:7070", "http://127.9.9.9", "http://[::1]:7070", "http://localhost:7070"]
  const elsewhere = ["http://10.0.0.1", "http://127.0.0.1.example.org", "http://[::2]", "http://0.0.0.0", "nonsense"]
  expect(here.filter((endpoint) => !isLoopback(endpoint))).toEqual([])
  expect(elsewhere.filter(isLoopback)).toEqual([])
})

test("a load against another computer is refused until it is allowed", () => {
  const endpoints = ["http://127.0.0.1:1", "http://192.0.2.1:7070"]
  expect(refusalFor(endpoints, false)).toContain("192.0.2.1")
  expect(refusalFor(endpoints, false)).toContain("--yes-remote")
  expect(refusalFor(endpoints, true)).toBeUndefined()
  expect(refusalFor(["http://127.0.0.1:1"], false)).toBeUndefined()
})
