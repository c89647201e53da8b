/**
 * The result as people read it.
 */
import type { DemoResult } from "./demo.ts"

/** Leaders that were to be killed, and those that were. */
export type Kills = Readonly<{ asked: number; done: number }>

/** 0: all money is there; 1: it is not; 2: it is, but fewer leaders were killed than asked for, which shows little. */
export function exitCodeOf(result: DemoResult, kills: Kills): 0 | 1 | 2 {
  if (!result.isRight) return 1
  return kills.done < kills.asked ? 2 : 0
}

/** Rows of the closing table, and the verdict. */
export function formatResult(result: DemoResult, kills: Kills): string {
  const rows: readonly (readonly [string, string])[] = [
    ["packets opened", count(result.packets)],
    ["shares to credit", count(result.shares)],
    ["credited at the first attempt", count(result.creditedDirectly)],
    ["sent to the queue", count(result.sentToQueue)],
    ["credited from the queue", count(result.creditedFromQueue)],
    ["duplicates prevented", count(result.duplicatesPrevented)],
    ["leaders killed meanwhile", killsText(kills)],
    ["left in the queue", count(result.leftInQueue)],
    ["lost", count(result.lost)],
    ["money before", yuan(result.moneyBeforeFen)],
    ["money after", yuan(result.moneyAfterFen)],
  ]
  const verdict = VERDICTS[exitCodeOf(result, kills)]
  return [...rows.map(([name, value]) => `${name.padEnd(30)} ${value.padStart(16)}`), "", verdict].join("\n")
}

const VERDICTS = {
  0: "The sum of all money is what it was. 0 lost.",
  1: "WRONG: the sum of all money is not what it was, or something is missing.",
  2: "The sum of all money is what it was, but fewer leaders were killed than asked for.",
} as const

function killsText({ asked, done }: Kills): string {
  return done < asked ? `${count(done)} of ${count(asked)}` : count(done)
}

function count(value: number): string {
  return value.toLocaleString("en-US")
}

/** Fen as yuan, without floating point. */
function yuan(fen: number): string {
  return `${count(Math.trunc(fen / 100))}.${String(fen % 100).padStart(2, "0")} CNY`
}
