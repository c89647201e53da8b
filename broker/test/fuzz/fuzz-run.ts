/**
 * Gives one decoder many inputs and stops at the first that breaks a rule: an error that is not the decoder's own, more
 * memory asked for than allowed, or no end. The input can be made again from the seed and its number.
 */
import { Script } from "node:vm"
import { AllocationMeter, AllocationTooLarge } from "./allocation-meter.ts"
import { BYTES_PER_INPUT_BYTE, RuleBroken } from "./fuzz-target.ts"
import type { FuzzTarget, Verdict } from "./fuzz-target.ts"
import { INPUTS_PER_BLOCK, Mutator } from "./mutator.ts"

export type Rule = "error" | "allocation" | "hang" | "result"

export interface Violation {
  readonly rule: Rule
  readonly text: string
  /** Number of the input under its seed. */
  readonly number: number
  readonly inputHex: string
}

export interface FuzzReport {
  readonly decoder: string
  readonly seed: number
  readonly inputs: number
  readonly valid: number
  readonly refused: number
  readonly violation: Violation | undefined
}

export interface FuzzOptions {
  readonly seed: number
  /** Number of the first input; at a block's beginning. */
  readonly from?: number
  readonly inputs: number
  /** Told after each block. */
  readonly onProgress?: (inputs: number) => void
  /** A block of inputs takes milliseconds; one that takes so long does not end. */
  readonly hangMs?: number
}

const HANG_MS = 30_000
/** Of eight inputs, so many keep the wrong checksum that the change left them. */
const UNSEALED_EIGHTHS = 1

export function fuzz(target: FuzzTarget, options: FuzzOptions): FuzzReport {
  const run = new FuzzRun(target, options)
  const stackTraceLimit = Error.stackTraceLimit
  // Most inputs are refused by an error; its stack would cost more than everything else.
  Error.stackTraceLimit = 0
  try {
    return run.run()
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

/** One input as it is given to the decoder. */
export function inputOf(target: FuzzTarget, seed: number, number: number): Buffer {
  const input = new Mutator(target.seeds, seed).input(number)
  if (number % 8 >= UNSEALED_EIGHTHS) target.seal?.(input)
  return input
}

/** What one input breaks, with the stack of where. */
export function check(target: FuzzTarget, input: Buffer): { readonly verdict?: Verdict; readonly error?: unknown } {
  const meter = new AllocationMeter()
  meter.install()
  try {
    meter.reset(allowedBytes(target, input))
    return { verdict: target.run(input) }
  } catch (error) {
    return { error }
  } finally {
    meter.uninstall()
  }
}

class FuzzRun {
  readonly #target: FuzzTarget
  readonly #options: FuzzOptions
  readonly #mutator: Mutator
  readonly #meter = new AllocationMeter()
  readonly #counts: Record<Verdict, number> = { valid: 0, refused: 0 }
  #number: number

  constructor(target: FuzzTarget, options: FuzzOptions) {
    this.#target = target
    this.#options = options
    this.#mutator = new Mutator(target.seeds, options.seed)
    this.#number = options.from ?? 0
  }

  run(): FuzzReport {
    const { from = 0, inputs, hangMs = HANG_MS, onProgress } = this.#options
    const first = from
    const end = first + inputs
    const place = globalThis as { openCmqFuzzBlock?: (() => void) | undefined }
    // Only code that a script started can be stopped from outside, endless loops included.
    const script = new Script("globalThis.openCmqFuzzBlock()")
    let violation: Violation | undefined
    this.#meter.install()
    try {
      while (this.#number < end && violation === undefined) {
        const blockEnd = Math.min(end, (Math.floor(this.#number / INPUTS_PER_BLOCK) + 1) * INPUTS_PER_BLOCK)
        place.openCmqFuzzBlock = () => {
          this.#block(blockEnd)
        }
        violation = this.#guarded(() => {
          script.runInThisContext({ timeout: hangMs })
        })
        this.#meter.reset(Number.POSITIVE_INFINITY)
        onProgress?.(this.#number - first)
      }
    } finally {
      this.#meter.uninstall()
      place.openCmqFuzzBlock = undefined
    }
    const { valid, refused } = this.#counts
    const { name } = this.#target
    return { decoder: name, seed: this.#options.seed, inputs: this.#number - first, valid, refused, violation }
  }

  #block(end: number): void {
    const target = this.#target
    for (; this.#number < end; this.#number++) {
      const input = this.#mutator.input(this.#number)
      if (this.#number % 8 >= UNSEALED_EIGHTHS) target.seal?.(input)
      this.#meter.reset(allowedBytes(target, input))
      this.#counts[target.run(input)]++
    }
  }

  #guarded(step: () => void): Violation | undefined {
    try {
      step()
      return undefined
    } catch (error) {
      this.#meter.reset(Number.POSITIVE_INFINITY)
      const number = this.#number
      const input = inputOf(this.#target, this.#options.seed, number)
      return { rule: ruleOf(error), text: String(error), number, inputHex: input.toString("hex") }
    }
  }
}

function allowedBytes(target: FuzzTarget, input: Buffer): number {
  return target.allocationBytesMax + BYTES_PER_INPUT_BYTE * input.length
}

function ruleOf(error: unknown): Rule {
  if (error instanceof AllocationTooLarge) return "allocation"
  if (error instanceof RuleBroken) return "result"
  const isTimeOut = error instanceof Error && "code" in error && error.code === "ERR_SCRIPT_EXECUTION_TIMEOUT"
  return isTimeOut ? "hang" : "error"
}
