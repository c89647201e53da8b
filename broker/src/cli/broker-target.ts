/**
 * Which broker a command talks to, and as whom: flags before the environment before what `opencmq dev` uses.
 */
import { Account, CmqError } from "@opencmq/client-sdk"
import { Option, type Command } from "commander"
import { DEFAULT_ENDPOINT, DEVELOPMENT_SECRET_ID, DEVELOPMENT_SECRET_KEY } from "../options.ts"
import { collectList, listOf, secondsWithin, timeText } from "./arguments.ts"
import { CliFailure, reportFailure, type FailureContext } from "./failure.ts"
import type { Format, Terminal } from "./terminal.ts"

export interface TargetFlags {
  readonly endpoint?: readonly string[]
  readonly secretId?: string
  readonly timeout: number
  readonly format: Format
}

/** Where requests go and where each part of that was said. */
export interface BrokerTarget {
  readonly endpoints: readonly string[]
  readonly secretId: string
  readonly secretKey: string
  readonly context: FailureContext["target"]
}

/** What the actions of network commands get. */
export interface CommandTools {
  readonly terminal: Terminal
  readonly account: Account
  readonly format: Format
}

/** About two seconds of trying: longer than an election, shorter than a person's patience. */
const RETRIES_MAX = 8

/** Queues looked at for a hint, and for how long. */
const LOOKED_MAX = 1_000
const LOOK_MS = 2_000

const TIMEOUT = { min: 1, max: 3_600, default: 30 } as const

export function addFormatFlag(command: Command): Command {
  return command.addOption(
    new Option("--format <format>", "for people, or for programs").choices(["table", "json"]).default("table"),
  )
}

/** The flags of every command that talks to a broker. */
export function addTargetFlags(command: Command): Command {
  return addFormatFlag(command)
    .addOption(
      new Option("-e, --endpoint <url>", "a broker; several with commas, or several times (OPENCMQ_ENDPOINTS)")
        .argParser(collectList)
        .default(undefined, DEFAULT_ENDPOINT),
    )
    .option("--secret-id <id>", "SecretId of the key pair (OPENCMQ_SECRET_ID); its key: OPENCMQ_SECRET_KEY")
    .addOption(
      new Option("--timeout <time>", "for the whole request with its retries; a wait for messages is added")
        .argParser(secondsWithin(TIMEOUT))
        .default(TIMEOUT.default, timeText(TIMEOUT.default)),
    )
}

export function targetOf(flags: Pick<TargetFlags, "endpoint" | "secretId">, terminal: Terminal): BrokerTarget {
  const { environment } = terminal
  const named = listOf(environment["OPENCMQ_ENDPOINTS"] ?? "")
  const [endpoints, from] =
    flags.endpoint !== undefined && flags.endpoint.length > 0
      ? [flags.endpoint, "--endpoint"]
      : named.length > 0
        ? [named, "OPENCMQ_ENDPOINTS"]
        : [[DEFAULT_ENDPOINT], "default"]
  const secretId = flags.secretId ?? present(environment["OPENCMQ_SECRET_ID"])
  const secretKey = present(environment["OPENCMQ_SECRET_KEY"])
  if ((secretId === undefined) !== (secretKey === undefined)) {
    const missing = secretId === undefined ? "OPENCMQ_SECRET_ID" : "OPENCMQ_SECRET_KEY"
    throw new CliFailure(
      "usage",
      `half a key pair: ${missing} is not set`,
      "set both, or neither for the development key",
    )
  }
  const key = secretId === undefined ? `${DEVELOPMENT_SECRET_ID} (default, for development)` : secretId
  return {
    endpoints,
    secretId: secretId ?? DEVELOPMENT_SECRET_ID,
    secretKey: secretKey ?? DEVELOPMENT_SECRET_KEY,
    context: { endpoints: `${endpoints.join(", ")} (${from})`, key },
  }
}

function present(text: string | undefined): string | undefined {
  return text === "" ? undefined : text
}

/** Runs a command against a broker, and tells how it failed. @returns the exit code. */
export async function withBroker(
  terminal: Terminal,
  flags: TargetFlags,
  run: (tools: CommandTools) => Promise<number>,
): Promise<number> {
  return withSubject(terminal, { flags }, run)
}

/** What a command is about, for its failures. */
interface Subject {
  readonly flags: TargetFlags
  readonly queueName?: string | undefined
  readonly topicName?: string
  readonly subscriptionName?: string
}

/** The same for a command about one queue, topic or subscription. */
export async function withSubject(
  terminal: Terminal,
  { flags, ...subject }: Subject,
  run: (tools: CommandTools) => Promise<number>,
): Promise<number> {
  const { format } = flags
  let context: FailureContext | undefined
  let account: Account | undefined
  try {
    const target = targetOf(flags, terminal)
    context = { ...subject, target: target.context }
    account = new Account({
      endpoints: target.endpoints,
      secretId: target.secretId,
      secretKey: target.secretKey,
      timeoutMs: flags.timeout * 1_000,
      retry: { maxRetries: RETRIES_MAX },
      requestTimeoutMs: Math.min(10_000, flags.timeout * 1_000),
    })
    return await run({ terminal, account, format })
  } catch (thrown) {
    if (context === undefined) return reportFailure(terminal, thrown, { format })
    const sameName = await sameNameOf(account, { thrown, queueName: subject.queueName })
    return reportFailure(terminal, thrown, { format, context: { ...context, sameName } })
  } finally {
    account?.close()
  }
}

/** Looks for a queue whose name differs in capitals only, when one was not found. */
async function sameNameOf(
  account: Account | undefined,
  { thrown, queueName }: { readonly thrown: unknown; readonly queueName: string | undefined },
): Promise<string | undefined> {
  const isNotFound = thrown instanceof CmqError && thrown.name === "queueNotFound"
  if (!isNotFound || account === undefined || queueName === undefined) return undefined
  try {
    let looked = 0
    for await (const found of account.queues({ timeoutMs: LOOK_MS })) {
      if (found.queueName.toLowerCase() === queueName.toLowerCase()) return found.queueName
      looked += 1
      if (looked >= LOOKED_MAX) return undefined
    }
    return undefined
  } catch {
    // It was for a hint only; what failed before is told all the same.
    return undefined
  }
}

/** Asks for the name of what is about to be destroyed. @throws CliFailure unless it was confirmed. */
export async function confirmDestruction(
  terminal: Terminal,
  order: { readonly what: string; readonly name: string; readonly yes: boolean | undefined },
): Promise<void> {
  const { what, name, yes } = order
  if (yes === true) return
  if (!terminal.canAsk) {
    throw new CliFailure("usage", `this would ${what}, and nobody can be asked here`, "add --yes to confirm")
  }
  const answer = await terminal.ask(`This will ${what}. Write its name to confirm: `)
  if (answer.trim() !== name) throw new CliFailure("failure", "not confirmed; nothing was changed")
}
