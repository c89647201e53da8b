import { assertBits, formatUnsigned64, parseUnsigned64 } from "./unsigned64.ts"

/**
 * Receipt handles: the decimal text of an unsigned 64-bit number (TCP sends a uint64, HTTP a string of at most
 * 256 characters; cmq-api.md §0.15). A handle names a place in the queue's in-flight table and the delivery that
 * filled it. The delivery number is never used twice in a queue, so a stale handle can never hit a later delivery.
 *
 * ```
 *  63                   40 39                                         0
 * +-----------------------+--------------------------------------------+
 * |        slot 24        |             deliveryNumber 40              |
 * +-----------------------+--------------------------------------------+
 * ```
 */

/** Bits of the slot: at most 16,777,216 messages in flight in one queue. */
export const RECEIPT_HANDLE_SLOT_BITS = 24
/** Bits of the delivery number: 10^12 deliveries a queue, 127 days at 100,000 a second. */
export const RECEIPT_HANDLE_DELIVERY_BITS = 40

const LOW_RANGE = 0x1_0000
/** The delivery number's bits above the low limb. */
const DELIVERY_HIGH_RANGE = 2 ** (RECEIPT_HANDLE_DELIVERY_BITS - 16)

/** What a receipt handle is made of. */
export type ReceiptHandleParts = Readonly<{
  /** Place in the queue's in-flight table, 0..2^24-1. */
  slot: number
  /** Running number of the delivery in its queue, 0..2^40-1. */
  deliveryNumber: number
}>

/**
 * The `receiptHandle` of a delivery, without leading zeros.
 *
 * @throws RangeError when a part has more bits than its field: a bug of the caller.
 */
export function encodeReceiptHandle({ slot, deliveryNumber }: ReceiptHandleParts): string {
  assertBits("slot", slot, RECEIPT_HANDLE_SLOT_BITS)
  assertBits("deliveryNumber", deliveryNumber, RECEIPT_HANDLE_DELIVERY_BITS)
  const low16 = deliveryNumber % LOW_RANGE
  return formatUnsigned64(slot * DELIVERY_HIGH_RANGE + (deliveryNumber - low16) / LOW_RANGE, low16)
}

/**
 * The parts of a `receiptHandle`.
 *
 * @returns undefined unless the text is exactly what `encodeReceiptHandle` writes for some parts; the refusal is
 * then `receiptHandleMalformed`. That the delivery is the newest one, and still visible to nobody else, only
 * the queue knows (`receiptHandleInvalid`).
 */
export function decodeReceiptHandle(text: string): ReceiptHandleParts | undefined {
  const number = parseUnsigned64(text)
  if (number === undefined) return undefined
  const deliveryHigh = number.high48 % DELIVERY_HIGH_RANGE
  return {
    slot: (number.high48 - deliveryHigh) / DELIVERY_HIGH_RANGE,
    deliveryNumber: deliveryHigh * LOW_RANGE + number.low16,
  }
}
