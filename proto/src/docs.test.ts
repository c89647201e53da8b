/**
 * docs/errors.md and docs/limits.md say what the tables say: every row of a table is in its page with the same cells,
 * and every row of the page is in the table. Render anew with tools/render-tables.mjs.
 */
import { readFileSync } from "node:fs"
import { expect, test } from "vitest"
import { ERROR_NAMES, errorRow } from "./errors.ts"
import { LIMIT_NAMES, limitRow } from "./limits.ts"

const REMEDY = "node --conditions=source --import tsx tools/render-tables.mjs"

/** The cells of each row of a page's only table, by the name in the first cell. */
function rowsOf(file: string): ReadonlyMap<string, readonly string[]> {
  const page = readFileSync(new URL(`../../docs/${file}`, import.meta.url), "utf8")
  const rows = new Map<string, readonly string[]>()
  for (const line of page.split("\n")) {
    const name = /^\| `(\w+)` \|/.exec(line)?.[1]
    if (name === undefined) continue
    expect(rows.has(name), `${file}: ${name} is there twice`).toBe(false)
    const cells = line.slice(1, -1).split(/(?<!\\)\|/)
    rows.set(
      name,
      cells.slice(1).map((cell) => cell.trim().replaceAll("\\|", "|")),
    )
  }
  return rows
}

test("docs/errors.md is the error table, in both directions", () => {
  const rows = rowsOf("errors.md")
  expect([...rows.keys()], REMEDY).toEqual(ERROR_NAMES)
  for (const name of ERROR_NAMES) {
    const { code, moduleCode, http, grpc, sqs, retriable, outcome, text, source } = errorRow(name)
    const cells = [code, moduleCode, http, grpc, sqs, retriable ? "yes" : "no", outcome, text, source].map(String)
    expect(rows.get(name), `${name}: ${REMEDY}`).toEqual(cells)
  }
})

test("docs/limits.md is the limits table, in both directions", () => {
  const rows = rowsOf("limits.md")
  expect([...rows.keys()], REMEDY).toEqual(LIMIT_NAMES)
  for (const name of LIMIT_NAMES) {
    const row = limitRow(name)
    const isSet = row.isConfigurable ? "yes" : "no"
    const cells = [row.min, row.max, row.default ?? "", row.unit, isSet, row.meaning, row.source].map(String)
    expect(rows.get(name), `${name}: ${REMEDY}`).toEqual(cells)
  }
})
