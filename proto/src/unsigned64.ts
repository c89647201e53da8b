/**
 * Unsigned 64-bit numbers as decimal text, without BigInt: message ids and receipt handles are written and
 * read once a message, and a BigInt costs several allocations each time.
 *
 * A number is held as two limbs, `high48 * 2^16 + low16`; every intermediate value stays below 2^53, where
 * doubles are exact. Not part of the package's public names.
 */

/** One decimal limb: ten digits. 2^64 has twenty. */
const LIMB = 10_000_000_000
const LIMB_DIGITS = 10
const LOW_RANGE = 0x1_0000
const HIGH_RANGE = 0x1_0000_0000_0000
/** LIMB = LIMB_HIGH * 2^16 + LIMB_LOW. */
const LIMB_HIGH = 152_587
const LIMB_LOW = 58_368
const DIGITS_MAX = 20

/** A 64-bit number in two limbs. */
export type Unsigned64 = Readonly<{
  /** The upper 48 bits. */
  high48: number
  /** The lower 16 bits. */
  low16: number
}>

/**
 * Decimal text of `high48 * 2^16 + low16`, without leading zeros.
 *
 * The caller guarantees whole numbers in range (0..2^48-1, 0..2^16-1): the two id files assert their parts.
 */
export function formatUnsigned64(high48: number, low16: number): string {
  const highRest = high48 % LIMB
  const highQuotient = (high48 - highRest) / LIMB
  const low = highRest * LOW_RANGE + low16
  const lowDigits = low % LIMB
  const highDigits = highQuotient * LOW_RANGE + (low - lowDigits) / LIMB
  if (highDigits === 0) return String(lowDigits)
  return String(highDigits) + String(lowDigits).padStart(LIMB_DIGITS, "0")
}

/**
 * Reads what `formatUnsigned64` writes: 1 to 20 ASCII digits without a leading zero, at most 2^64 - 1.
 *
 * @returns undefined for any other text, so that each number has exactly one spelling.
 */
export function parseUnsigned64(text: string): Unsigned64 | undefined {
  if (!isPlainDecimal(text)) return undefined
  const split = Math.max(0, text.length - LIMB_DIGITS)
  const highDigits = split === 0 ? 0 : Number(text.slice(0, split))
  const low = highDigits * LIMB_LOW + Number(text.slice(split))
  const low16 = low % LOW_RANGE
  const high48 = highDigits * LIMB_HIGH + (low - low16) / LOW_RANGE
  return high48 < HIGH_RANGE ? { high48, low16 } : undefined
}

function isPlainDecimal(text: string): boolean {
  const length = text.length
  if (length === 0 || length > DIGITS_MAX) return false
  if (length > 1 && text.charCodeAt(0) === 0x30) return false
  for (let index = 0; index < length; index++) {
    const unit = text.charCodeAt(index)
    if (unit < 0x30 || unit > 0x39) return false
  }
  return true
}

/**
 * Asserts that a part of an id fits its bits.
 *
 * @throws RangeError on a fraction, a negative number or one of more bits: a bug of the caller, never bad input.
 */
export function assertBits(name: string, value: number, bits: number): void {
  if (Number.isInteger(value) && value >= 0 && value < 2 ** bits) return
  throw new RangeError(`${name} must be a whole number of at most ${String(bits)} bits, got ${String(value)}`)
}
