#!/usr/bin/env node
/**
 * `npm run demo`: options, brokers, story, result, exit code. The only file that reads the environment and prints.
 */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { Account } from "@opencmq/client-sdk"
import { Command, InvalidArgumentError, Option } from "commander"
import { runDemo } from "./demo.ts"
import type { DemoResult } from "./demo.ts"
import { DevBrokers } from "./dev-brokers.ts"
import { ProgressBar } from "./progress-bar.ts"
import { exitCodeOf, formatResult } from "./report.ts"
import type { Kills } from "./report.ts"

type CliOptions = Readonly<{
  packets: number
  shares: number
  refuse: number
  lostAnswers: number
  kills: number
  seed: number
  timeout: number
  endpoints: string | undefined
  basePort: number
  format: "table" | "json"
}>

const EXIT_FAILED = 2
/** Longest wait for a leader that can be killed: several elections, and the start of a broker. Milliseconds. */
const LEADER_WAIT_MS = 30_000
const LEADER_LOOK_MS = 20

function program(): Command {
  return new Command("demo-redpacket")
    .description("Opens red packets, credits them through OpenCMQ while its leader is killed, and counts the money.")
    .option("--packets <count>", "packets to open", wholeNumber(1, 10_000_000), 10_000)
    .option("--shares <count>", "shares of each packet", wholeNumber(1, 100), 2)
    .option("--refuse <percent>", "direct credits that the accounts refuse", wholeNumber(0, 100), 50)
    .option("--lost-answers <percent>", "direct credits whose answer is lost", wholeNumber(0, 100), 5)
    .option("--kills <count>", "leaders to kill, with brokers of its own", wholeNumber(0, 100), 2)
    .addOption(
      new Option("--seed <number>", "of what is drawn: packets, shares, faults; kills and arrivals keep their own time")
        .argParser(wholeNumber(0, 4_294_967_295))
        .default(Date.now() % 1_000_000, "another one each time; the result names it"),
    )
    .option("--timeout <seconds>", "give up after so long", wholeNumber(1, 86_400), 300)
    .option("--broker", "three brokers of its own (the default without --endpoints)")
    .option(
      "--endpoints <urls>",
      "brokers that run already, with commas; keys in OPENCMQ_SECRET_ID, OPENCMQ_SECRET_KEY",
    )
    .option("--base-port <port>", "of its own brokers", wholeNumber(1_024, 65_000), 17_070)
    .addOption(new Option("--format <format>", "of the result").choices(["table", "json"]).default("table"))
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : EXIT_FAILED))
    .addHelpText(
      "after",
      "\nExit codes: 0 all money is there, 1 it is not, 2 the demo could not run, or killed fewer leaders than asked for.",
    )
}

function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= min && value <= max) return value
    throw new InvalidArgumentError(`a whole number from ${String(min)} to ${String(max)}`)
  }
}

async function run(options: CliOptions): Promise<number> {
  if (options.endpoints !== undefined)
    return tell(options, { endpoints: options.endpoints.split(","), brokers: undefined })
  const dataDir = await mkdtemp(join(tmpdir(), "opencmq-demo-"))
  const programPath = fileURLToPath(new URL("../../broker/dist/main.js", import.meta.url))
  let brokers: DevBrokers | undefined
  try {
    brokers = await DevBrokers.start({ program: programPath, basePort: options.basePort, dataDir })
    return await tell(options, { endpoints: brokers.ready.nodes.map((node) => node.endpoint), brokers })
  } finally {
    await brokers?.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
}

async function tell(
  options: CliOptions,
  { endpoints, brokers }: { endpoints: readonly string[]; brokers: DevBrokers | undefined },
): Promise<number> {
  const { secretId, secretKey } = brokers?.ready ?? keysOfEnvironment()
  const cmq = new Account({ endpoints, secretId, secretKey })
  const bar = new ProgressBar(process.stderr, options.packets)
  try {
    const result = await runDemo({
      cmq,
      packets: options.packets,
      sharesPerPacket: options.shares,
      refusePercent: options.refuse,
      lostAnswerPercent: Math.min(options.lostAnswers, 100 - options.refuse),
      seed: options.seed,
      timeoutMs: options.timeout * 1_000,
      onPacket: async (opened) => {
        bar.update(opened)
        const due = Math.min(options.kills, Math.floor((opened * (options.kills + 1)) / options.packets))
        if (brokers !== undefined && due > brokers.kills) await killLeaders(cmq, brokers, due)
      },
      // Survived errors are the point of the show, not news.
      onError: () => undefined,
    })
    bar.end()
    const kills = brokers === undefined ? { asked: 0, done: 0 } : { asked: options.kills, done: brokers.kills }
    print(options, result, kills)
    return exitCodeOf(result, kills)
  } finally {
    cmq.close()
  }
}

/**
 * Until so many are dead: each time the leader as the SDK knows it, which after a kill is a dead one for a while. Few
 * packets are opened in less time than an election takes, so this waits; when nobody leads in the end, the exit code
 * tells.
 */
async function killLeaders(cmq: Account, brokers: DevBrokers, count: number): Promise<void> {
  const limitMs = performance.now() + LEADER_WAIT_MS
  while (brokers.kills < count && performance.now() < limitMs) {
    const leader = cmq.endpoints().find((each) => each.isLeader)
    if (leader === undefined || !brokers.kill(leader.endpoint)) await sleep(LEADER_LOOK_MS)
  }
}

function keysOfEnvironment(): { secretId: string; secretKey: string } {
  const secretId = process.env["OPENCMQ_SECRET_ID"]
  const secretKey = process.env["OPENCMQ_SECRET_KEY"]
  if (secretId !== undefined && secretKey !== undefined) return { secretId, secretKey }
  throw new Error("with --endpoints set OPENCMQ_SECRET_ID and OPENCMQ_SECRET_KEY")
}

function print(options: CliOptions, result: DemoResult, kills: Kills): void {
  const { seed, format } = options
  const text =
    format === "json"
      ? JSON.stringify({ ...result, leadersKilled: kills.done, seed })
      : `${formatResult(result, kills)}\n(seed ${String(seed)})`
  process.stdout.write(`${text}\n`)
}

try {
  process.exitCode = await run(program().parse().opts<CliOptions>())
} catch (thrown) {
  process.stderr.write(`${thrown instanceof Error ? thrown.message : String(thrown)}\n`)
  process.exitCode = EXIT_FAILED
}
