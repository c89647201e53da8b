/**
 * `npm run sim -- --seed 210` replays one seed; `--seeds 400` runs many. See docs/simulation.md.
 *
 * Exit codes: 0 no rule was broken (with --mutant: some seed noticed), 1 otherwise, 2 a wrong option.
 */
import { writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { SingleBar } from "cli-progress"
import { Campaign } from "./campaign.ts"
import { findMutant, MUTANTS } from "./mutants.ts"
import { runSeed } from "./run-seed.ts"
import type { SeedOptions, SeedResult } from "./run-seed.ts"

const OPTIONS = {
  seed: { type: "string" },
  from: { type: "string" },
  seeds: { type: "string" },
  hours: { type: "string" },
  mutant: { type: "string" },
  trace: { type: "boolean" },
  format: { type: "string" },
  summary: { type: "string" },
  "keep-going": { type: "boolean" },
  help: { type: "boolean" },
} as const

const HELP = `npm run sim -- [options]

  --seed N          run this one seed
  --from N          first seed of many (default 1)
  --seeds N         how many (default 1)
  --hours N         as many seeds as it takes to simulate so many hours
  --mutant NAME     put a known bug back; success is that a seed notices
  --trace           print every line of the trace
  --format json     one line of JSON a seed, and one for the sum
  --summary FILE    write the sum as Markdown
  --keep-going      do not stop at the first seed that breaks a rule

Mutants: ${MUTANTS.map((mutant) => mutant.name).join(", ")}
`

interface Job {
  readonly from: number
  readonly seeds: number
  readonly hours: number
  readonly mutant: string | undefined
  readonly isTraced: boolean
  readonly isJson: boolean
  readonly summary: string | undefined
  readonly keepsGoing: boolean
}

function main(): number {
  const job = readJob()
  if (job === undefined) return 2
  const campaign = new Campaign()
  const mutant = job.mutant === undefined ? undefined : findMutant(job.mutant)
  const bar = startBar(job)
  const untilMs = job.hours * 3_600_000
  for (let seed = job.from; seed < job.from + job.seeds && campaign.simulatedMs < untilMs; seed++) {
    const options: SeedOptions = {
      seed,
      ...(mutant === undefined ? {} : { mutation: mutant.mutation(), override: mutant.override }),
      ...(job.isTraced ? { onLine: print } : {}),
    }
    const result = runSeed(options)
    campaign.add(result, seed % 100 === 0 && mutant === undefined ? runSeed(options) : undefined)
    if (job.isJson) print(JSON.stringify(campaign.describeSeed(result)))
    bar?.update(seed - job.from + 1, { hours: (campaign.simulatedMs / 3_600_000).toFixed(2) })
    if (result.violation === undefined) continue
    if (!job.isJson) report(result, job)
    if (!job.keepsGoing) break
  }
  bar?.stop()
  finish(campaign, job)
  const isNoticed = campaign.failures.length > 0
  return isNoticed === (mutant !== undefined) ? 0 : 1
}

function finish(campaign: Campaign, job: Job): void {
  if (job.isJson) print(JSON.stringify(campaign.describe()))
  else print(campaign.text())
  if (job.summary !== undefined) writeFileSync(job.summary, campaign.markdown())
}

function report(result: SeedResult, job: Job): void {
  const lines = job.isTraced ? [] : result.lastLines.slice(-40)
  for (const line of lines) print(line)
  print(`seed ${String(result.seed)} broke a rule in phase ${result.phase}: ${result.violation?.message ?? ""}`)
  print(`faults: ${[...result.swarm.faults].join(", ")}`)
  const mutant = job.mutant === undefined ? "" : ` --mutant ${job.mutant}`
  print(`replay: npm run sim -- --seed ${String(result.seed)}${mutant} --trace`)
}

function startBar(job: Job): SingleBar | undefined {
  if (!process.stderr.isTTY || job.seeds < 3 || job.isTraced || job.isJson) return undefined
  const bar = new SingleBar({ format: "{bar} {value}/{total} seeds, {hours} h simulated, {eta_formatted} left" })
  bar.start(job.seeds, 0, { hours: "0.00" })
  return bar
}

function readJob(): Job | undefined {
  try {
    const { values } = parseArgs({ options: OPTIONS })
    if (values.help === true) {
      print(HELP)
      return undefined
    }
    if (values.mutant !== undefined) findMutant(values.mutant)
    const isLong = values.hours !== undefined && values.seeds === undefined
    return {
      from: wholeNumber(values.seed ?? values.from ?? "1"),
      seeds: values.seed !== undefined ? 1 : isLong ? 1_000_000_000 : wholeNumber(values.seeds ?? "1"),
      hours: values.hours === undefined ? Number.POSITIVE_INFINITY : Number(values.hours),
      mutant: values.mutant,
      isTraced: values.trace === true,
      isJson: values.format === "json",
      summary: values.summary,
      keepsGoing: values["keep-going"] === true || values.summary !== undefined,
    }
  } catch (error) {
    print(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`)
    return undefined
  }
}

function wholeNumber(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not a whole number: ${text}`)
  return value
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

process.exitCode = main()
