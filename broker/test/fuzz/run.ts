/**
 * `npm run fuzz -- --decoder form --inputs 10000000` gives a decoder many bad inputs; without `--decoder`, every one.
 * See docs/fuzzing.md.
 *
 * Exit codes: 0 no rule was broken, 1 one was, 2 a wrong option.
 */
import { parseArgs } from "node:util"
import { SingleBar } from "cli-progress"
import { allTargets } from "./all-targets.ts"
import { check, fuzz, inputOf } from "./fuzz-run.ts"
import type { FuzzReport } from "./fuzz-run.ts"
import type { FuzzTarget } from "./fuzz-target.ts"

const OPTIONS = {
  decoder: { type: "string", multiple: true },
  inputs: { type: "string" },
  seed: { type: "string" },
  input: { type: "string" },
  hex: { type: "string" },
  format: { type: "string" },
  help: { type: "boolean" },
} as const

const INPUTS_DEFAULT = 200_000
const SEED_MAX = 0xffff_ffff

interface Job {
  readonly targets: readonly FuzzTarget[]
  readonly inputs: number
  readonly seed: number
  /** Only this input of the seed. */
  readonly input: number | undefined
  /** Only these bytes. */
  readonly hex: string | undefined
  readonly isJson: boolean
}

function helpText(names: readonly string[]): string {
  return `npm run fuzz -- [options]

  --decoder NAME    only this one; may be repeated (default: all)
  --inputs N        inputs for each decoder (default ${String(INPUTS_DEFAULT)})
  --seed N          0 to ${String(SEED_MAX)} (default 1); equal seeds give equal inputs
  --input N         only input N of the seed, with the stack of what it breaks
  --hex BYTES       only these bytes, with the stack of what they break
  --format json     one line of JSON a decoder

Decoders: ${names.join(", ")}
`
}

async function main(): Promise<number> {
  const targets = await allTargets()
  const job = readJob(targets)
  if (job === undefined) return 2
  if (job.input !== undefined || job.hex !== undefined) return checkOne(job)
  let isBroken = false
  for (const target of job.targets) {
    const report = fuzzWithBar(target, job)
    isBroken ||= report.violation !== undefined
    print(job.isJson ? JSON.stringify(report) : lineOf(report))
  }
  return isBroken ? 1 : 0
}

function fuzzWithBar(target: FuzzTarget, job: Job): FuzzReport {
  const format = `${target.name.padEnd(16)} {bar} {value}/{total} inputs, {eta_formatted} left`
  const bar =
    process.stderr.isTTY && !job.isJson
      ? new SingleBar({ format, noTTYOutput: false, clearOnComplete: true })
      : undefined
  bar?.start(job.inputs, 0)
  // The bar's own timer does not run between blocks: it draws when it is told.
  let drawnAt = 0
  const report = fuzz(target, {
    seed: job.seed,
    inputs: job.inputs,
    onProgress: (inputs) => {
      if (inputs - drawnAt < 50_000) return
      drawnAt = inputs
      bar?.update(inputs)
    },
  })
  bar?.stop()
  return report
}

function lineOf({ decoder, seed, inputs, valid, refused, violation }: FuzzReport): string {
  const counts = `${decoder.padEnd(16)} ${String(inputs)} inputs, ${String(valid)} valid, ${String(refused)} refused`
  if (violation === undefined) return counts
  const { rule, text, number, inputHex } = violation
  return [
    `${counts}; input ${String(number)} of seed ${String(seed)} breaks the rule about ${rule}s: ${text}`,
    `  input: ${inputHex}`,
    `  replay: npm run fuzz -- --decoder ${decoder} --seed ${String(seed)} --input ${String(number)}`,
  ].join("\n")
}

function checkOne({ targets, seed, input = 0, hex }: Job): number {
  let isBroken = false
  for (const target of targets) {
    const bytes = hex === undefined ? inputOf(target, seed, input) : Buffer.from(hex, "hex")
    const { verdict, error } = check(target, bytes)
    isBroken ||= verdict === undefined
    print(`${target.name}: ${bytes.toString("hex")}`)
    print(verdict ?? (error instanceof Error ? (error.stack ?? error.message) : String(error)))
  }
  return isBroken ? 1 : 0
}

function readJob(all: readonly FuzzTarget[]): Job | undefined {
  const names = all.map(({ name }) => name)
  try {
    const { values } = parseArgs({ options: OPTIONS })
    if (values.help === true) {
      print(helpText(names))
      return undefined
    }
    const wanted = values.decoder ?? names
    const unknown = wanted.find((name) => !names.includes(name))
    if (unknown !== undefined) throw new RangeError(`no decoder is called ${unknown}`)
    if (values.format !== undefined && values.format !== "json") throw new RangeError("the only format is json")
    return {
      targets: all.filter(({ name }) => wanted.includes(name)),
      inputs: wholeNumber(values.inputs ?? String(INPUTS_DEFAULT), 1e12),
      seed: wholeNumber(values.seed ?? "1", SEED_MAX),
      input: values.input === undefined ? undefined : wholeNumber(values.input, 1e12),
      hex: values.hex,
      isJson: values.format === "json",
    }
  } catch (error) {
    print(`${error instanceof Error ? error.message : String(error)}\n\n${helpText(names)}`)
    return undefined
  }
}

function wholeNumber(text: string, max: number): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0 || value > max) throw new RangeError(`not a whole number: ${text}`)
  return value
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

process.exitCode = await main()
