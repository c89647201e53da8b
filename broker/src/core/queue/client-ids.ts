/** Client message ids of sends and publishes: which message of a request was stored before. */
import type { SendMessages } from "./command.ts"
import { ID_WORDS, type DeduplicationKey } from "./deduplication.ts"
import type { MachineState } from "./machine-state.ts"
import type { Outcome } from "./outcome.ts"
import { wholeNumber } from "./queue-attributes.ts"

const U32_MAX = 0xffff_ffff

/** Used again for every look-up. */
const key: DeduplicationKey = { queueId: 0, words: [], firstWord: 0 }

/** One message of a request. */
export interface MessageOfCommand {
  readonly command: SendMessages
  readonly index: number
}

/** Notes what is answered for a message. Returns whether it has to be stored: no earlier send had its client message id. */
export function noteSend(state: MachineState, sent: Outcome["sent"], { command, index }: MessageOfCommand): boolean {
  const first = firstSend(state, command, index)
  const isNew = first === -1
  sent.duplicates[index] = !isNew
  sent.entryIndexes[index] = isNew ? state.appliedIndex : state.deduplication.entryIndex(first)
  sent.ordinals[index] = isNew ? ordinalOf(command, index) : state.deduplication.ordinal(first)
  return isNew
}

/** Number of the send that had the same client message id before; -1 when there is none, and then this is the first. */
function firstSend(state: MachineState, command: SendMessages, index: number): number {
  const { deduplicationWindowMs } = state.limits
  if (command.hasClientId[index] !== true || deduplicationWindowMs === 0) return -1
  key.queueId = command.queueId
  key.words = command.clientIdWords
  key.firstWord = index * ID_WORDS
  const found = state.deduplication.find(key, state.nowMs)
  if (found !== -1) return found
  const expiresAtMs = state.nowMs + deduplicationWindowMs
  const value = { entryIndex: state.appliedIndex, ordinal: ordinalOf(command, index), expiresAtMs }
  state.deduplication.add(key, value)
  return -1
}

/** Number of a message of the request within its entry. */
export function ordinalOf(command: SendMessages, index: number): number {
  return wholeNumber(command.ordinals[index], U32_MAX)
}
