/**
 * `opencmq cluster status` and `opencmq healthcheck`
 */
import http from "node:http"
import https from "node:https"
import { Option, type Command } from "commander"
import { DEFAULT_ENDPOINT } from "../options.ts"
import { collectList, listOf, secondsWithin } from "./arguments.ts"
import { addFormatFlag, addTargetFlags, withBroker, type TargetFlags } from "./broker-target.ts"
import { EXIT_CODES } from "./exit-code.ts"
import { CliFailure, reportFailure } from "./failure.ts"
import { columns, pairs } from "./table.ts"
import type { Act, Format, Terminal } from "./terminal.ts"

export function addClusterCommands(program: Command, act: Act): void {
  const cluster = program.command("cluster").description("look at the cluster")
  addTargetFlags(cluster.command("status").description("who leads, who follows, and how far each is")).action(
    act((terminal, flags: TargetFlags) =>
      withBroker(terminal, flags, async ({ account, format }) => {
        const status = await account.clusterStatus()
        if (format === "json") terminal.printJson(status)
        else printStatus(terminal, status)
        return EXIT_CODES.ok
      }),
    ),
  )
  addHealthcheck(program, act)
}

/** Single facts first, then each list as a table: whatever a broker tells is shown, also what this version does not know. */
function printStatus(terminal: Terminal, status: Readonly<Record<string, unknown>>): void {
  const facts = Object.entries(status).filter(([, value]) => !Array.isArray(value))
  terminal.print(pairs(facts.map(([name, value]) => [words(name), factText(name, value)])))
  for (const list of Object.values(status)) {
    if (!Array.isArray(list) || list.length === 0) continue
    const rows = list as readonly Readonly<Record<string, unknown>>[]
    const names = [...new Set(rows.flatMap((row) => Object.keys(row)))]
    const head = names.map((name) => words(name).toUpperCase())
    terminal.print("")
    terminal.print(
      columns(
        head,
        rows.map((row) => names.map((name) => cellText(row[name]))),
      ),
    )
  }
}

/** `commitIndex` -> `commit index`. */
function words(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
}

function factText(name: string, value: unknown): string | number {
  return name === "leaderId" && value === 0 ? "none is known" : cellText(value)
}

function cellText(value: unknown): string | number {
  if (value === "") return "-"
  if (typeof value === "number" || typeof value === "string") return value
  if (typeof value === "boolean") return value ? "yes" : "no"
  return value === undefined || value === null ? "-" : JSON.stringify(value)
}

const WAIT = { min: 1, max: 60, default: 3 } as const
const REPLY_BYTES_MAX = 65_536

interface HealthFlags {
  readonly endpoint?: readonly string[]
  readonly timeout: number
  readonly format: Format
}

function addHealthcheck(program: Command, act: Act): void {
  const command = program
    .command("healthcheck")
    .description("ask a broker whether it is ready; the exit code is the answer")
    .addOption(
      new Option(
        "-e, --endpoint <url>",
        "the broker (OPENCMQ_ENDPOINTS; else OPENCMQ_HTTP_PORT on this machine)",
      ).argParser(collectList),
    )
    .addOption(
      new Option("--timeout <time>", "for the answer").argParser(secondsWithin(WAIT)).default(WAIT.default, "3s"),
    )
  addFormatFlag(command).action(
    act(async (terminal, flags: HealthFlags) => {
      const endpoint =
        flags.endpoint?.[0] ?? listOf(terminal.environment["OPENCMQ_ENDPOINTS"] ?? "")[0] ?? ownEndpoint(terminal)
      try {
        const { status, text } = await get(endpoint, flags.timeout * 1_000)
        const isReady = status === 200
        if (flags.format === "json") terminal.printJson({ endpoint, ready: isReady, status, text })
        else terminal.print(isReady ? `ready: ${endpoint}` : `not ready: ${endpoint}: ${text} (${String(status)})`)
        return isReady ? EXIT_CODES.ok : EXIT_CODES.failure
      } catch (thrown) {
        return reportFailure(terminal, thrown, { format: flags.format })
      }
    }),
  )
}

function ownEndpoint(terminal: Terminal): string {
  const port = terminal.environment["OPENCMQ_HTTP_PORT"]
  return port === undefined || port === "" ? DEFAULT_ENDPOINT : `http://127.0.0.1:${port}`
}

/** GET /readyz. @throws CliFailure when there is no answer in time. */
function get(endpoint: string, timeoutMs: number): Promise<{ readonly status: number; readonly text: string }> {
  if (!/^https?:\/\//.test(endpoint) || !URL.canParse("/readyz", endpoint)) {
    return Promise.reject(new CliFailure("usage", `"${endpoint}" is no address`, `as ${DEFAULT_ENDPOINT}`))
  }
  const url = new URL("/readyz", endpoint)
  return new Promise((resolve, reject) => {
    const fail = (exit: "failure" | "timeoutOrEmpty", why: string) => {
      reject(new CliFailure(exit, `${endpoint}: ${why}`, "is a broker running there?"))
    }
    const client = url.protocol === "https:" ? https : http
    const request = client.get(url, { agent: false, timeout: timeoutMs }, (response) => {
      let text = ""
      response.setEncoding("utf8")
      response.on("data", (chunk: string) => {
        if (text.length < REPLY_BYTES_MAX) text += chunk
      })
      response.on("end", () => {
        resolve({ status: response.statusCode ?? 0, text: text.trim() })
      })
    })
    const deadline = setTimeout(() => {
      fail("timeoutOrEmpty", `no answer within ${String(timeoutMs / 1_000)} s`)
      request.destroy()
    }, timeoutMs)
    request.on("error", (error: NodeJS.ErrnoException) => {
      fail("failure", error.code ?? error.message)
    })
    request.on("close", () => {
      clearTimeout(deadline)
    })
  })
}
