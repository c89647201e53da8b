/** Lists with details: names first, then what belongs to each, a bounded number of requests at once. */
import { CmqError, type CmqErrorName } from "@opencmq/client-sdk"
import { Option } from "commander"
import { countWithin } from "./arguments.ts"

const LOOKUPS_AT_ONCE = 8
const LIST_COUNT = { min: 1, max: 100_000, default: 1_000 } as const

/** @param what - `queues`, for the help. */
export function listLimitOption(what: string): Option {
  return new Option("--limit <count>", `${what} at most`).argParser(countWithin(LIST_COUNT)).default(LIST_COUNT.default)
}

/** The first so many. */
export async function take<T>(all: AsyncIterable<T>, count: number): Promise<T[]> {
  const taken: T[] = []
  for await (const each of all) {
    if (taken.push(each) >= count) break
  }
  return taken
}

/** Asks about each, some at a time. What goes meanwhile, so that the answer is `gone`, is left out. */
export async function lookUpEach<T, Row>(
  all: readonly T[],
  gone: CmqErrorName,
  ask: (each: T) => Promise<Row>,
): Promise<Row[]> {
  const rows: Row[] = []
  for (let at = 0; at < all.length; at += LOOKUPS_AT_ONCE) {
    const some = all.slice(at, at + LOOKUPS_AT_ONCE).map(async (each) => {
      try {
        return [await ask(each)]
      } catch (thrown) {
        if (thrown instanceof CmqError && thrown.name === gone) return []
        throw thrown
      }
    })
    rows.push(...(await Promise.all(some)).flat())
  }
  return rows
}
