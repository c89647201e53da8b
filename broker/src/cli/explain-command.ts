/**
 * `opencmq explain CODE`: what an error means and what to do about it, from the error table.
 */
import { ERROR_NAMES, errorRow, type ErrorName, type ErrorOutcome } from "@opencmq/proto"
import type { Command } from "commander"
import { addFormatFlag } from "./broker-target.ts"
import { EXIT_CODES, exitOfError } from "./exit-code.ts"
import { CliFailure, reportFailure } from "./failure.ts"
import { nearest } from "./nearest.ts"
import { pairs } from "./table.ts"
import type { Act, Format, Terminal } from "./terminal.ts"

const OUTCOMES: Record<ErrorOutcome, string> = {
  notApplied: "nothing was changed, and nothing will be",
  unknown: "it may have been carried out, or may still be",
  applied: "it was carried out, wholly or in the part that the reply lists",
}

export function addExplainCommand(program: Command, act: Act): void {
  const command = program
    .command("explain <error>")
    .description("say what an error means: a name, a code, or code/module code")
  addFormatFlag(command).action(
    act((terminal, error: string, flags: { readonly format: Format }) => {
      const local = localName(error)
      if (local !== undefined) return Promise.resolve(explainLocal(terminal, local, flags.format))
      const names = find(error)
      if (names.length === 0) {
        const near = nearest(error, [...ERROR_NAMES, ...Object.keys(LOCAL_ERRORS)])
        const hint = near === undefined ? "all errors: docs/errors.md" : `did you mean "${near}"?`
        const failure = new CliFailure("notFound", `no error has the name or code "${error}"`, hint)
        return Promise.resolve(reportFailure(terminal, failure, flags))
      }
      if (flags.format === "json") terminal.printJson(names.map((name) => ({ name, ...errorRow(name) })))
      else terminal.print(names.map(text).join("\n\n"))
      return Promise.resolve(EXIT_CODES.ok)
    }),
  )
}

/** Errors of the client's side of the wire: no table has them, and they have no code. */
const LOCAL_ERRORS: Readonly<Record<string, { readonly text: string; readonly advice: string }>> = {
  networkFailed: {
    text: "no connection to a broker, or it broke",
    advice: "is a broker running there? see --endpoint, OPENCMQ_ENDPOINTS and opencmq healthcheck",
  },
  timedOut: {
    text: "no answer within the time allowed; the request may have been carried out, or may still be",
    advice: "look first; --timeout gives more time, opencmq cluster status says whether there is a leader",
  },
  replyUnreadable: {
    text: "an answer that is not CMQ's: a proxy's page, half a reply",
    advice: "does the endpoint lead to the HTTP port of a broker (7070), not to gRPC or the peer port?",
  },
  unlisted: {
    text: "the broker answered with a code that this version does not know",
    advice: "its message says what it is; the broker may be newer than this command",
  },
  argumentInvalid: {
    text: "an argument that no broker would take; nothing was sent",
    advice: "the message says which",
  },
}

function localName(error: string): string | undefined {
  return Object.keys(LOCAL_ERRORS).find((name) => name.toLowerCase() === error.trim().toLowerCase())
}

function explainLocal(terminal: Terminal, name: string, format: Format): number {
  const row = { text: LOCAL_ERRORS[name]?.text ?? "", advice: LOCAL_ERRORS[name]?.advice ?? "" }
  const exit = EXIT_CODES[exitOfError(name)]
  if (format === "json") terminal.printJson([{ name, ...row, exitCode: exit }])
  else {
    terminal.print(
      pairs([
        ["name", name],
        ["text", row.text],
        ["what to do", row.advice],
        ["exit code", exit],
        ["source", "found by the client; no broker said so"],
      ]),
    )
  }
  return EXIT_CODES.ok
}

/** By name, by code, by module code, or by both as `4440/10100` or `(10100)queue is not existed`. */
function find(error: string): readonly ErrorName[] {
  const wanted = error.trim()
  const byName = ERROR_NAMES.filter((name) => name.toLowerCase() === wanted.toLowerCase())
  if (byName.length > 0) return byName
  const numbers = (wanted.match(/\d+/g) ?? []).map(Number)
  if (numbers.length === 0) return []
  return ERROR_NAMES.filter((name) => {
    const { code, moduleCode } = errorRow(name)
    return numbers.length === 1
      ? code === numbers[0] || moduleCode === numbers[0]
      : code === numbers[0] && moduleCode === numbers[1]
  })
}

function text(name: ErrorName): string {
  const row = errorRow(name)
  return pairs([
    ["name", name],
    ["CMQ", `code ${String(row.code)}, module code ${String(row.moduleCode)}`],
    ["text", row.text],
    ["outcome", `${row.outcome}: ${OUTCOMES[row.outcome]}`],
    ["retry", advice(name)],
    ["elsewhere", `HTTP ${String(row.http)}, gRPC ${row.grpc}${row.sqs === "" ? "" : `, SQS ${row.sqs}`}`],
    ["exit code", EXIT_CODES[exitOfError(name)]],
    ["source", row.source],
  ])
}

function advice(name: ErrorName): string {
  const { retriable, outcome } = errorRow(name)
  if (!retriable) return "no: the same request fails again until something is changed"
  if (outcome === "unknown")
    return "a send with the same client message id, or an action that may be repeated: yes; else look first"
  return "yes, after a pause; the SDK does it by itself"
}
