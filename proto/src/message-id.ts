import { assertBits, formatUnsigned64, parseUnsigned64 } from "./unsigned64.ts"

/**
 * Message ids: the decimal text of an unsigned 64-bit number, so that both CMQ protocols agree (TCP sends a
 * uint64, HTTP a string; cmq-api.md §0.15). The number says where the message was born, so no counter has to
 * be replicated for it and an id leads straight to its log entry:
 *
 * ```
 *  63      56 55                                    16 15               0
 * +----------+----------------------------------------+-----------------+
 * |  setId 8 |             entryIndex 40              |   ordinal 16    |
 * +----------+----------------------------------------+-----------------+
 * ```
 */

/** Bits of the set id: at most 256 Raft groups in one cluster. */
export const MESSAGE_ID_SET_BITS = 8
/** Bits of the log index: 10^12 entries, 348 years at 100 entries a second. */
export const MESSAGE_ID_ENTRY_BITS = 40
/** Bits of the ordinal: at most 65,536 messages in one log entry. */
export const MESSAGE_ID_ORDINAL_BITS = 16

const ENTRY_RANGE = 2 ** MESSAGE_ID_ENTRY_BITS

/** What a message id is made of. */
export type MessageIdParts = Readonly<{
  /** Raft group that stored the message, 0..255. */
  setId: number
  /** Raft log index of the entry that stored it, 0..2^40-1. */
  entryIndex: number
  /** Place of the message among those of its entry, from 0, 0..65535. */
  ordinal: number
}>

/**
 * The `msgId` of a message, without leading zeros. Ids of one set sort by age as numbers, not as text.
 *
 * @throws RangeError when a part has more bits than its field: a bug of the caller.
 */
export function encodeMessageId({ setId, entryIndex, ordinal }: MessageIdParts): string {
  assertBits("setId", setId, MESSAGE_ID_SET_BITS)
  assertBits("entryIndex", entryIndex, MESSAGE_ID_ENTRY_BITS)
  assertBits("ordinal", ordinal, MESSAGE_ID_ORDINAL_BITS)
  return formatUnsigned64(setId * ENTRY_RANGE + entryIndex, ordinal)
}

/**
 * The parts of a `msgId`.
 *
 * @returns undefined unless the text is exactly what `encodeMessageId` writes for some parts (no sign, no blank,
 * no leading zero, below 2^64).
 */
export function decodeMessageId(text: string): MessageIdParts | undefined {
  const number = parseUnsigned64(text)
  if (number === undefined) return undefined
  const entryIndex = number.high48 % ENTRY_RANGE
  return { setId: (number.high48 - entryIndex) / ENTRY_RANGE, entryIndex, ordinal: number.low16 }
}
