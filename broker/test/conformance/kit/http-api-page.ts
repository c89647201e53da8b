/** The part of docs/http-api.md that is made from the action table: one section an action. */
import { ACTION_NAMES, actionRow, errorRow } from "@opencmq/proto"
import type { ActionName, ErrorName, LimitRow, ParameterRow } from "@opencmq/proto"
import { ACTION_ERRORS, ACTION_EXAMPLES, COMMON_ERRORS } from "./action-examples.ts"
import type { Params } from "./client.ts"

export const BEGIN = "<!-- actions: begin, made by UPDATE=1 vitest run http-api-page -->"
export const END = "<!-- actions: end -->"

export function actionsPart(): string {
  const common = ["### Codes of every action", "", ...errorTable(COMMON_ERRORS), ""]
  return [BEGIN, "", ...common, ...ACTION_NAMES.flatMap(section), END].join("\n")
}

function section(name: ActionName): readonly string[] {
  const row = actionRow(name)
  const parameters = Object.entries(row.parameters)
  const reply = Object.entries(row.reply)
  const errors = ACTION_ERRORS[name]
  const lines = [`### ${name}`, "", row.summary, `Source: ${row.source}.`, ""]
  if (parameters.length > 0) {
    lines.push("| parameter | type | given | range | meaning |", "|---|---|---|---|---|")
    lines.push(...parameters.map(([parameter, facts]) => parameterLine(parameter, facts)), "")
  }
  lines.push(reply.length === 0 ? "Reply: the common fields only." : `Reply: ${reply.map(replyField).join(", ")}.`, "")
  if (errors.length > 0) lines.push(...errorTable(errors), "")
  lines.push(...exampleOf(name), "")
  return lines
}

function parameterLine(name: string, row: ParameterRow): string {
  const shown = row.isArray === true ? `${name}.n` : name
  const given =
    row.isRequired === true ? "always" : row.fallback === undefined ? "may be" : `default ${String(row.fallback)}`
  return `| \`${shown}\` | ${row.type} | ${given} | ${rangeOf(row.limit)} | ${row.meaning.replaceAll("|", "\\|")} |`
}

function rangeOf(limit: LimitRow | undefined): string {
  return limit === undefined ? "" : `${String(limit.min)} to ${String(limit.max)} ${limit.unit}`
}

function replyField([name, type]: [string, string]): string {
  return type.endsWith("?") ? `\`${name}\` (${type.slice(0, -1)}, when there is one)` : `\`${name}\` (${type})`
}

function errorTable(names: readonly ErrorName[]): readonly string[] {
  return [
    "| code | message | may be repeated |",
    "|---|---|---|",
    ...names.map((name) => {
      const { code, moduleCode, text, retriable } = errorRow(name)
      return `| ${String(code)} | (${String(moduleCode)})${text} | ${retriable ? "yes" : "no"} |`
    }),
  ]
}

function exampleOf(name: ActionName): readonly string[] {
  const example = ACTION_EXAMPLES.find(({ action }) => action === name)
  if (example === undefined) throw new Error(`${name} has no example`)
  return ["```", formOf(name, example.params), JSON.stringify(example.reply), "```"]
}

function formOf(action: string, params: Params): string {
  const form = new URLSearchParams({ Action: action })
  for (const [name, value] of Object.entries(params)) {
    if (typeof value === "object")
      value.forEach((each, index) => form.set(`${name}.${String(index + 1)}`, String(each)))
    else form.set(name, String(value))
  }
  return `${form.toString()}&…`
}
