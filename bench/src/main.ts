#!/usr/bin/env node
/**
 * `npm run bench`: measurements of OpenCMQ from outside. They print figures and judge none but the targets beside them.
 */
import { Command, InvalidArgumentError, Option } from "commander"
import { refusalFor } from "./endpoints.ts"
import { describeEnvironment, printReport } from "./report.ts"
import type { OutputFormat, Report } from "./report.ts"
import { runMemory, runRestart } from "./scenarios/backlog.ts"
import { LEADER_LOSSES, failoverReport, measureFailover } from "./scenarios/failover.ts"
import type { LeaderLoss } from "./scenarios/failover.ts"
import { runIdle } from "./scenarios/idle.ts"
import { runSmoke } from "./scenarios/smoke.ts"
import { runTopic } from "./scenarios/topic.ts"
import type { TopicOptions } from "./scenarios/topic.ts"

type Common = { readonly format: OutputFormat }

const MILLION = 1_000_000
const EXIT_USAGE = 2

/** @returns a parser of whole numbers within a range. */
function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (Number.isInteger(value) && value >= min && value <= max) return value
    throw new InvalidArgumentError(`a whole number from ${String(min)} to ${String(max)} is wanted.`)
  }
}

function command(name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .addOption(new Option("--format <format>", "how the result is printed").choices(["table", "json"]).default("table"))
}

async function report(options: Common, measure: () => Promise<Report>): Promise<void> {
  const environment = describeEnvironment()
  printReport(await measure(), environment, options.format)
}

const program = new Command("bench")
  .description("Measures OpenCMQ. Brokers are started on free ports of this computer, unless endpoints are given.")
  .showHelpAfterError()
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : EXIT_USAGE))

type SmokeFlags = Common & {
  readonly seconds: number
  readonly bytes: number
  readonly requests: number
  readonly endpoint: readonly string[]
  readonly yesRemote: boolean
}

command("smoke", "throughput of send, and of send + receive + delete, with CPU time a message")
  .option("--seconds <n>", "length of each run", wholeNumber(1, 3_600), 10)
  .option("--bytes <n>", "bytes of a body", wholeNumber(1, 65_536), 1_024)
  .option("--requests <n>", "requests of 16 messages under way at once", wholeNumber(2, 1_024), 16)
  .option("--endpoint <url...>", "brokers that are running (keys: OPENCMQ_SECRET_ID, OPENCMQ_SECRET_KEY)", [])
  .option("--yes-remote", "the endpoints may be other computers", false)
  .action(async (flags: SmokeFlags) => {
    const refusal = refusalFor(flags.endpoint, flags.yesRemote)
    if (refusal !== undefined) program.error(refusal, { exitCode: EXIT_USAGE })
    await report(flags, () =>
      runSmoke({
        seconds: flags.seconds,
        bodyBytes: flags.bytes,
        loops: flags.requests,
        endpoints: flags.endpoint,
        secretId: process.env["OPENCMQ_SECRET_ID"],
        secretKey: process.env["OPENCMQ_SECRET_KEY"],
      }),
    )
  })

type FailoverFlags = Common & { readonly times: number; readonly loss: readonly LeaderLoss[] }

command("failover", "time to the next acknowledged send after the leader was killed, paused, cut off or stopped")
  .option("--times <n>", "trials of each kind", wholeNumber(1, 1_000), 20)
  .addOption(new Option("--loss <kind...>", "how the leader goes").choices(LEADER_LOSSES).default(LEADER_LOSSES))
  .action(async (flags: FailoverFlags) => {
    const options = { times: flags.times, losses: flags.loss }
    await report(flags, async () => failoverReport(await measureFailover(options), options.losses))
  })

type BacklogFlags = Common & { readonly messages: number; readonly bytes: number; readonly folder?: string }

function backlogCommand(name: string, description: string, messages: number): Command {
  return command(name, description)
    .option("--messages <n>", "messages that wait", wholeNumber(1_000, 100 * MILLION), messages)
    .option("--bytes <n>", "bytes of a body", wholeNumber(1, 65_536), 1_024)
    .option("--folder <path>", "where the data goes; three times messages x bytes. Removed afterwards")
}

backlogCommand("memory", "resident memory of each node with a large backlog", 5 * MILLION).action(
  async (flags: BacklogFlags) => {
    await report(flags, () => runMemory({ messages: flags.messages, bodyBytes: flags.bytes, folder: flags.folder }))
  },
)

backlogCommand("restart", "time to the first receive after all nodes were killed with a large backlog", MILLION)
  .option("--times <n>", "restarts", wholeNumber(1, 100), 3)
  .action(async (flags: BacklogFlags & { readonly times: number }) => {
    const { messages, bytes, folder, times } = flags
    await report(flags, () => runRestart({ messages, bodyBytes: bytes, folder, times }))
  })

command("idle", "CPU time of three nodes that nobody asks anything")
  .option("--seconds <n>", "how long to look", wholeNumber(1, 3_600), 20)
  .action(async (flags: Common & { readonly seconds: number }) => {
    await report(flags, () => runIdle({ seconds: flags.seconds }))
  })

command("topic", "cost of a publish, and memory of each subscription, with many subscriptions on one topic")
  .option("--subscriptions <n>", "on the topic", wholeNumber(100, 10_000), 10_000)
  .option("--queues <n>", "that the subscriptions deliver into", wholeNumber(1, 1_000), 100)
  .option("--deliveries <n>", "of each row, about", wholeNumber(1_000, 10 * MILLION), 200_000)
  .action(async (flags: Common & TopicOptions) => {
    const { subscriptions, queues, deliveries } = flags
    await report(flags, () => runTopic({ subscriptions, queues, deliveries }))
  })

// The nodes run in their own process groups, so that they can be killed one by one; they end with this process.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130))

try {
  await program.parseAsync()
} catch (error) {
  console.error(error instanceof Error ? (error.stack ?? error.message) : String(error))
  process.exitCode = 1
}
