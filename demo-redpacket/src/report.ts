/**
 * The result as people read it.
 */
import type { DemoResult } from "./demo.ts"

/** Rows of the closing table, and the verdict. */
export function formatResult(result: DemoResult, leadersKilled: number): string {
  const rows: readonly (readonly [string, string])[] = [
    ["packets opened", count(result.packets)],
    ["shares to credit", count(result.shares)],
    ["credited at the first attempt", count(result.creditedDirectly)],
    ["sent to the queue", count(result.sentToQueue)],
    ["credited from the queue", count(result.creditedFromQueue)],
    ["duplicates prevented", count(result.duplicatesPrevented)],
    ["leaders killed meanwhile", count(leadersKilled)],
    ["left in the queue", count(result.leftInQueue)],
    ["lost", count(result.lost)],
    ["money before", yuan(result.moneyBeforeFen)],
    ["money after", yuan(result.moneyAfterFen)],
  ]
  const verdict = result.isRight
    ? "The sum of all money is what it was. 0 lost."
    : "WRONG: the sum of all money is not what it was, or something is missing."
  return [...rows.map(([name, value]) => `${name.padEnd(30)} ${value.padStart(16)}`), "", verdict].join("\n")
}

function count(value: number): string {
  return value.toLocaleString("en-US")
}

/** Fen as yuan, without floating point. */
function yuan(fen: number): string {
  return `${count(Math.trunc(fen / 100))}.${String(fen % 100).padStart(2, "0")} CNY`
}
