/**
 * Tables on the terminal; the one home of cli-table3 (which knows how wide Chinese characters are).
 */
import Table from "cli-table3"

const NO_LINES = {
  top: "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  bottom: "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  left: "",
  "left-mid": "",
  mid: "",
  "mid-mid": "",
  right: "",
  "right-mid": "",
  middle: "  ",
} as const

const STYLE = { "padding-left": 0, "padding-right": 0, head: [], border: [], compact: true }

/** Columns with their names above. Numbers are set to the right. */
export function columns(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const colAligns = head.map((_, i): "left" | "right" =>
    rows.some((row) => typeof row[i] === "number") ? "right" : "left",
  )
  const table = new Table({ head: [...head], colAligns, chars: NO_LINES, style: STYLE })
  for (const row of rows) table.push(row.map((cell) => String(cell)))
  return trimmed(table.toString())
}

/** Names and what belongs to them, one a line. */
export function pairs(rows: readonly (readonly [string, string | number])[]): string {
  const table = new Table({ chars: NO_LINES, style: STYLE })
  for (const [name, value] of rows) table.push([name, String(value)])
  return trimmed(table.toString())
}

function trimmed(text: string): string {
  return text.replace(/ +$/gm, "")
}
