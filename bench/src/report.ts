/**
 * How results are shown: a table for people, JSON for programs, and beside both on what machine they came about.
 */
import { cpus, release, totalmem } from "node:os"
import Table from "cli-table3"
import { loadAverage } from "./process-usage.ts"

export type OutputFormat = "table" | "json"

/** One line of a result: what was measured, and the figure with its unit in the name of the column. */
export type ResultRow = Readonly<Record<string, string | number>>

/** What a measurement gives. */
export interface Report {
  readonly name: string
  readonly rows: readonly ResultRow[]
  /** Sentences that belong to the figures. */
  readonly notes?: readonly string[]
}

/** Where and when. Figures of different machines, or of a loaded one, are not to be compared. */
export interface Environment {
  readonly date: string
  readonly node: string
  readonly kernel: string
  readonly cores: number
  readonly memoryGiB: number
  /** Load of the last minute, taken before the measurement: above 0.5 something else was running. */
  readonly loadBefore: number | undefined
  /** Time for a fixed piece of arithmetic, milliseconds: the speed of this machine just now. */
  readonly calibrationMs: number
}

const CALIBRATION_ROUNDS = 50_000_000
const GIB = 1_073_741_824

export function describeEnvironment(): Environment {
  return {
    date: new Date().toISOString(),
    node: process.version,
    kernel: release(),
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / GIB),
    loadBefore: loadAverage(),
    calibrationMs: calibrate(),
  }
}

/** The best of three runs of an integer loop. */
function calibrate(): number {
  let bestMs = Number.POSITIVE_INFINITY
  for (let run = 0; run < 3; run += 1) {
    const startMs = performance.now()
    let value = 1
    for (let round = 0; round < CALIBRATION_ROUNDS; round += 1) value = (Math.imul(value, 48_271) + round) | 0
    // Its value is used, or the loop might be left out.
    const spentMs = performance.now() - startMs + (value === 0 ? 1e-9 : 0)
    bestMs = Math.min(bestMs, spentMs)
  }
  return Math.round(bestMs)
}

/** A table of rows with equal keys, headed by those keys. */
export function renderTable(rows: readonly ResultRow[]): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  const table = new Table({ head: columns, style: { head: [], border: [] } })
  for (const row of rows) table.push(columns.map((column) => cellText(row[column])))
  return table.toString()
}

/** The same for a Markdown file. */
export function renderMarkdown(rows: readonly ResultRow[]): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`
  return [
    line(columns),
    line(columns.map(() => "---")),
    ...rows.map((row) => line(columns.map((column) => cellText(row[column])))),
  ].join("\n")
}

function cellText(value: string | number | undefined): string {
  if (value === undefined) return ""
  if (typeof value === "string") return value
  if (Number.isInteger(value)) return value.toLocaleString("en-US")
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

/** Prints to stdout; nothing else does. */
export function printReport(report: Report, environment: Environment, format: OutputFormat): void {
  if (format === "json") {
    console.log(JSON.stringify({ ...report, environment }))
    return
  }
  console.log(`\n${report.name}`)
  console.log(renderTable(report.rows))
  for (const note of report.notes ?? []) console.log(note)
  const load = environment.loadBefore === undefined ? "unknown" : environment.loadBefore.toFixed(2)
  console.log(
    `Node ${environment.node}, ${String(environment.cores)} cores, load before ${load}, ` +
      `calibration ${String(environment.calibrationMs)} ms, ${environment.date}`,
  )
}
