/**
 * 64-bit numbers of the wire. Sequence numbers, message ids and receipt handles use all their bits, so they are never
 * doubles here: two halves where the codec handles them, decimal text where the node does.
 */

/** A 64-bit number as two 32-bit halves; protobufjs reads and writes this form without loss. */
export interface WideInteger {
  readonly low: number
  readonly high: number
}

const HALF_BITS = 32n
const HALF_MASK = 0xffff_ffffn

/** @param text - decimal digits of an unsigned number below 2^64. */
export function wideInteger(text: string): WideInteger {
  const number = BigInt(text)
  return { low: Number(number & HALF_MASK), high: Number(number >> HALF_BITS) }
}

/** The unsigned number as decimal digits, without leading zeros. */
export function wideText({ low, high }: WideInteger): string {
  return ((BigInt(high >>> 0) << HALF_BITS) | BigInt(low >>> 0)).toString()
}
