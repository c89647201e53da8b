/**
 * The long black box, by hand: every scenario several times over, and the fail-over measurement.
 *
 *   node --conditions=source --import tsx broker/test/cluster/run.ts --scenario all --times 5
 *   node --conditions=source --import tsx broker/test/cluster/run.ts failover --times 20
 *
 * It needs a broker that was built (`npx tsc -b broker`). Exit code 0 = nothing was broken, 1 = something was.
 */
import { writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import {
  LEADER_LOSSES,
  describeEnvironment,
  failoverReport,
  measureFailover,
  printReport,
  renderMarkdown,
  startProgress,
} from "@opencmq/bench/harness"
import type { Environment, LeaderLoss, OutputFormat, ResultRow } from "@opencmq/bench/harness"
import { Command, InvalidArgumentError, Option } from "commander"
import { TOLERANCE_MS } from "./checker.ts"
import { runScenario } from "./scenario-run.ts"
import type { ScenarioResult } from "./scenario-run.ts"
import { SCENARIOS } from "./scenarios.ts"
import type { Scenario } from "./scenarios.ts"

type RunFlags = {
  readonly scenario: readonly string[]
  readonly times: number
  readonly seconds: number
  readonly seed: number
  readonly format: OutputFormat
  readonly summary?: string
}

function wholeNumber(text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= 1 && value <= 100_000) return value
  throw new InvalidArgumentError("a whole number from 1 to 100,000 is wanted.")
}

function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

function scenariosOf(flags: RunFlags): readonly Scenario[] {
  if (flags.scenario.includes("all")) return SCENARIOS
  return SCENARIOS.filter(({ name }) => flags.scenario.includes(name))
}

async function runAll(flags: RunFlags): Promise<void> {
  const environment = describeEnvironment()
  const chosen = scenariosOf(flags)
  const progress = startProgress("black box", chosen.length * flags.times)
  const results: ScenarioResult[] = []
  const skipped: string[] = []
  for (const scenario of chosen) {
    const reason = scenario.unavailable?.(tmpdir())
    if (reason !== undefined) {
      skipped.push(`SKIPPED ${scenario.name}: ${reason}`)
      continue
    }
    for (let time = 0; time < flags.times; time += 1) {
      const onProgress = (text: string): void => {
        progress.update(results.length, text)
      }
      const result = await runScenario(scenario, { seed: flags.seed + time, seconds: flags.seconds, onProgress })
      results.push(result)
      for (const failure of result.failures) say(`${scenario.name}, seed ${String(result.seed)}: ${failure}`)
      if (result.folder !== undefined) say(`logs and data: ${result.folder}`)
    }
  }
  progress.stop()
  show({ flags, environment, results, skipped })
}

function show(run: {
  readonly flags: RunFlags
  readonly environment: Environment
  readonly results: readonly ScenarioResult[]
  readonly skipped: readonly string[]
}): void {
  const { flags, environment, results, skipped } = run
  const names = [...new Set(results.map(({ scenario }) => scenario))]
  const rows = names.map((name) =>
    rowOf(
      name,
      results.filter(({ scenario }) => scenario === name),
    ),
  )
  const failed = results.filter(({ failures }) => failures.length > 0)
  const notes = [...skipped, `${String(results.length)} runs, ${String(failed.length)} failed`]
  if (flags.format === "json") {
    process.stdout.write(`${JSON.stringify({ rows, environment, skipped, results })}\n`)
  } else printReport({ name: "Black box", rows, notes }, environment, "table")
  if (flags.summary !== undefined) writeFileSync(flags.summary, summaryText(flags, environment, { rows, notes }))
  if (failed.length > 0 || skipped.length === SCENARIOS.length) process.exitCode = 1
}

function rowOf(scenario: string, results: readonly ScenarioResult[]): ResultRow {
  const sum = (pick: (result: ScenarioResult) => number): number =>
    results.reduce((total, result) => total + pick(result), 0)
  const { lost, duplicatedInsideLease, resurrected } = {
    lost: sum(({ judgement }) => judgement.counts.lost),
    duplicatedInsideLease: sum(({ judgement }) => judgement.counts.duplicatedInsideLease),
    resurrected: sum(({ judgement }) => judgement.counts.resurrected),
  }
  const all = sum(({ judgement }) => Object.values(judgement.counts).reduce((total, count) => total + count, 0))
  return {
    scenario,
    runs: results.length,
    faults: sum(({ faults }) => faults.length),
    acknowledged: sum(({ judgement }) => judgement.tally.acknowledged),
    refused: sum(({ judgement }) => judgement.tally.refused),
    unknown: sum(({ judgement }) => judgement.tally.unknown),
    received: sum(({ judgement }) => judgement.tally.received),
    redelivered: sum(({ judgement }) => judgement.tally.redelivered),
    deleted: sum(({ judgement }) => judgement.tally.deleted),
    published: sum(({ topic }) => topic?.acknowledged ?? 0),
    pushed: sum(({ topic }) => topic?.pushed ?? 0),
    lost,
    "twice inside lease": duplicatedInsideLease,
    resurrected,
    "other violations": all - lost - duplicatedInsideLease - resurrected,
    passed: `${String(results.filter(({ failures }) => failures.length === 0).length)}/${String(results.length)}`,
  }
}

function summaryText(
  flags: RunFlags,
  environment: Environment,
  report: { readonly rows: readonly ResultRow[]; readonly notes: readonly string[] },
): string {
  const { date, node, cores, loadBefore } = environment
  const load = loadBefore === undefined ? "unknown" : loadBefore.toFixed(2)
  return `# A run of the black box

Made by \`node --conditions=source --import tsx broker/test/cluster/run.ts --scenario ${flags.scenario.join(" ")} --times ${String(flags.times)} --seconds ${String(flags.seconds)} --seed ${String(flags.seed)}\`
on ${date}, Node ${node}, ${String(cores)} cores, load before ${load}. What the words mean: [the black box](black-box.md).
Tolerance of leases and delays: ${String(TOLERANCE_MS)} ms.

${renderMarkdown(report.rows)}

${report.notes.join("\n")}
`
}

const program = new Command("black-box").showHelpAfterError()
const formatOption = new Option("--format <format>", "how results are printed")
  .choices(["table", "json"])
  .default("table")

program
  .command("scenarios", { isDefault: true })
  .description("runs fault scenarios under load and judges what the clients saw")
  .addOption(
    new Option("--scenario <name...>", "which").choices(["all", ...SCENARIOS.map(({ name }) => name)]).default(["all"]),
  )
  .option("--times <n>", "runs of each", wholeNumber, 1)
  .option("--seconds <n>", "faults are injected for so long", wholeNumber, 20)
  .option("--seed <n>", "of the first run; the next has the next", wholeNumber, 1)
  .option("--summary <file>", "writes the table as Markdown, too")
  .addOption(formatOption)
  .action(runAll)

program
  .command("failover")
  .description("time to the next acknowledged send after the leader has gone")
  .option("--times <n>", "trials of each kind", wholeNumber, 20)
  .addOption(new Option("--loss <kind...>", "how it goes").choices(LEADER_LOSSES).default(LEADER_LOSSES))
  .addOption(formatOption)
  .action(async (flags: { times: number; loss: readonly LeaderLoss[]; format: OutputFormat }) => {
    const environment = describeEnvironment()
    const trials = await measureFailover({ times: flags.times, losses: flags.loss })
    printReport(failoverReport(trials, flags.loss), environment, flags.format)
  })

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130))
await program.parseAsync()
