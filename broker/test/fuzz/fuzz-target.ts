/** What is fuzzed: one decoder, inputs that it takes, and what it may do with others. */

/** What a decoder may say of an input. */
export type Verdict = "valid" | "refused"

export interface FuzzTarget {
  /** As `--decoder` names it. */
  readonly name: string
  /** Inputs that it takes. */
  readonly seeds: readonly Uint8Array[]
  /** Makes checksums right again, so that the decoder gets past them; done for most inputs. */
  readonly seal?: (input: Buffer) => void
  /** Bytes that it may ask for besides `BYTES_PER_INPUT_BYTE` for each byte of the input. */
  readonly allocationBytesMax: number
  /** Inputs in `npm test`, where 200,000 of them would take too long: then each run has a seed of its own. */
  readonly inputsInTest?: number
  /** Decodes. Whatever it throws is a violation: documented errors are caught by the target. */
  readonly run: (input: Buffer) => Verdict
}

/** A few objects for each byte are the price of reading at all. */
export const BYTES_PER_INPUT_BYTE = 16

/** A rule that was broken although nothing was thrown by the decoder. */
export class RuleBroken extends Error {
  override readonly name = "RuleBroken"
}

type Kind = new (...given: never[]) => Error

/** Runs a decoder whose documented way to refuse is an error of this kind (and not of one derived from it). */
export function refusesWith(kinds: Kind | readonly Kind[], decode: () => void): Verdict {
  try {
    decode()
    return "valid"
  } catch (error) {
    const isDocumented = [kinds].flat().some((kind) => error instanceof Error && error.constructor === kind)
    if (isDocumented) return "refused"
    throw error
  }
}

/** Breaks the rule when it does not hold. */
export function demand(condition: boolean, rule: string): asserts condition {
  if (!condition) throw new RuleBroken(rule)
}
