/** Lists, page by page: what may be asked of every one of them. */
import type { CallOptions } from "./caller.ts"
import type { Parameter } from "./transport.ts"

/** Options of a list. */
export type ListOptions = CallOptions &
  Readonly<{
    /** Part of the name; default: all. */
    searchWord?: string
    /** Rows to leave out, default 0. */
    offset?: number
    /** Rows of the answer, 1 to 100, default 20. */
    limit?: number
  }>

/** Rows of a page when all of them are walked through. */
export const PAGE_ROWS = 100

/** As parameters of an action. */
export function listParameters({ searchWord = "", offset = 0, limit = 20 }: ListOptions): readonly Parameter[] {
  return [
    ...(searchWord === "" ? [] : [["searchWord", searchWord] as const]),
    ["offset", String(offset)],
    ["limit", String(limit)],
  ]
}
