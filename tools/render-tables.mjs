// Writes the tables of docs/errors.md and docs/limits.md from proto/src (one fact, one table). The text around a table
// is written by hand and stays. Run: node --conditions=source --import tsx tools/render-tables.mjs
import { readFileSync, writeFileSync } from "node:fs"
import { ERRORS } from "../proto/src/errors.ts"
import { LIMITS } from "../proto/src/limits.ts"

const BEGIN = "<!-- table: begin, made by tools/render-tables.mjs -->"
const END = "<!-- table: end -->"

/** A cell must not end its row: bars are escaped, and none of the texts has a line break. */
function row(cells) {
  return `| ${cells.map((cell) => String(cell).replaceAll("|", "\\|")).join(" | ")} |`
}

function table(head, rows) {
  return [row(head), row(head.map(() => "---")), ...rows.map(row)].join("\n")
}

function errorsTable() {
  const head = ["name", "code", "module", "HTTP", "gRPC", "SQS", "retriable", "outcome", "text", "source"]
  const rows = Object.entries(ERRORS).map(([name, each]) => [
    `\`${name}\``,
    each.code,
    each.moduleCode,
    each.http,
    each.grpc,
    each.sqs,
    each.retriable ? "yes" : "no",
    each.outcome,
    each.text,
    each.source,
  ])
  return table(head, rows)
}

function limitsTable() {
  const head = ["name", "min", "max", "default", "unit", "set by operator", "meaning", "source"]
  const rows = Object.entries(LIMITS).map(([name, each]) => [
    `\`${name}\``,
    each.min,
    each.max,
    each.default ?? "",
    each.unit,
    each.isConfigurable ? "yes" : "no",
    each.meaning,
    each.source,
  ])
  return table(head, rows)
}

function replaceTable(file, text) {
  const path = new URL(`../docs/${file}`, import.meta.url)
  const page = readFileSync(path, "utf8")
  const begin = page.indexOf(BEGIN)
  const end = page.indexOf(END)
  if (begin === -1 || end < begin) throw new Error(`docs/${file} has lost the comments around its table`)
  writeFileSync(path, `${page.slice(0, begin)}${BEGIN}\n${text}\n${page.slice(end)}`)
}

replaceTable("errors.md", errorsTable())
replaceTable("limits.md", limitsTable())
