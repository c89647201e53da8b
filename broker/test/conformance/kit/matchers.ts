/** Matchers whose type is known: vitest's own are `any`. */
import { expect } from "vitest"

export const ANY_STRING: unknown = expect.any(String)
export const ANY_NUMBER: unknown = expect.any(Number)

export function stringLike(pattern: RegExp): unknown {
  return expect.stringMatching(pattern)
}
