/**
 * What can be asked of a queue machine. Reading changes nothing, not even a counter: a message that was peeked at is
 * as it was.
 */
import type { QueueAttributes, QueueId } from "./command.ts"
import type { MachineState } from "./machine-state.ts"
import { KEPT, type MessageChunk } from "./message-chunk.ts"
import type { Provenance } from "./outcome.ts"
import type { Queue, QueueTotals } from "./queue.ts"
import { wholeNumber } from "./queue-attributes.ts"
import { SLOT_DELAYED, SLOT_HALF, SLOT_INACTIVE } from "./touched-messages.ts"

/** Messages shown by one peek at most. */
export const PEEK_COUNT_MAX = 1024

/** CMQ GetQueueAttributes, and more. */
export interface QueueStatus {
  readonly queueId: QueueId
  readonly queueName: string
  readonly attributes: QueueAttributes
  readonly createdAtMs: number
  readonly modifiedAtMs: number
  readonly activeCount: number
  readonly inactiveCount: number
  readonly delayedCount: number
  /** Half messages. */
  readonly halfCount: number
  /** Deleted, and can be rewound. */
  readonly rewindableCount: number
  /** Enqueue time of the oldest message that is not deleted, Unix ms; undefined when there is none (CMQ minMsgTime). */
  readonly oldestUnconsumedAtMs: number | undefined
  /** Records of all messages, rewindable ones too. */
  readonly bytes: number
  readonly totals: Readonly<QueueTotals>
  /** Names of the queues whose dead letters come here, sorted. */
  readonly deadLetterSources: readonly string[]
}

/** What to list. */
export interface QueueListRequest {
  /** Part of the name; "" = all. */
  readonly searchWord: string
  readonly offset: number
  readonly limit: number
  /** Other names are neither listed nor counted. */
  readonly isShown?: (name: string) => boolean
}

export interface QueueList {
  /** All that match, not only those listed. */
  readonly totalCount: number
  readonly queues: readonly { readonly queueId: QueueId; readonly queueName: string }[]
}

export type MessageState = "active" | "inactive" | "delayed" | "half" | "rewindable"

/** What to look at. */
export interface PeekRequest {
  readonly queueId: QueueId
  /** First sequence to be shown; 0 = the oldest. */
  readonly fromSequence: number
  readonly maxCount: number
}

/** Parallel arrays; a `RecordPositions` for `LogStore.readRecords`. */
export interface PeekedMessages {
  readonly count: number
  readonly entryIndexes: readonly number[]
  readonly offsets: readonly number[]
  readonly lengths: readonly number[]
  readonly sequences: readonly number[]
  readonly states: readonly MessageState[]
  /** When the state ends by itself, Unix ms: active = retention, inactive = visibility, delayed, half = query, rewindable. */
  readonly dueAtMs: readonly number[]
  readonly enqueuedAtMs: readonly number[]
  /** 0 before the first delivery, and for rewindable messages. */
  readonly dequeueCounts: readonly number[]
  readonly firstDequeuedAtMs: readonly number[]
  readonly provenances: readonly (Provenance | undefined)[]
  /** Where to go on; undefined when there is nothing behind. */
  readonly nextSequence: number | undefined
}

/** Undefined for an unknown id. O(chunks of the queue). */
export function readQueueStatus(state: MachineState, queueId: QueueId): QueueStatus | undefined {
  const queue = state.registry.get(queueId)
  if (queue === undefined) return undefined
  return {
    queueId: queue.id,
    queueName: queue.name,
    attributes: queue.attributes,
    createdAtMs: queue.createdAtMs,
    modifiedAtMs: queue.modifiedAtMs,
    activeCount: queue.activeCount,
    inactiveCount: queue.inactiveCount,
    delayedCount: queue.delayedCount,
    halfCount: queue.halfCount,
    rewindableCount: queue.messages.keptCount,
    oldestUnconsumedAtMs: queue.messages.oldestUnconsumedAtMs(),
    bytes: queue.messages.chunks.reduce((sum, chunk) => sum + chunk.storedBytes, 0),
    totals: { ...queue.totals },
    deadLetterSources: sortedByName(queue.deadLetterSources).map(({ name }) => name),
  }
}

/** In the order of names by code unit. */
export function listQueues(queues: readonly Queue[], request: QueueListRequest): QueueList {
  const { totalCount, page } = pageOf(queues, request)
  return { totalCount, queues: page.map(({ id, name }) => ({ queueId: id, queueName: name })) }
}

/** One page of what has the search word in its name. */
export function pageOf<T extends { readonly name: string }>(
  sorted: readonly T[],
  { searchWord, offset, limit, isShown }: QueueListRequest,
): { readonly totalCount: number; readonly page: readonly T[] } {
  const matching = sorted.filter(({ name }) => name.includes(searchWord) && isShown?.(name) !== false)
  const from = wholeNumber(offset, Number.MAX_SAFE_INTEGER)
  return { totalCount: matching.length, page: matching.slice(from, from + wholeNumber(limit, Number.MAX_SAFE_INTEGER)) }
}

/** The queues in the order of names by code unit. */
export function sortedByName(queues: Iterable<Queue>): readonly Queue[] {
  return [...queues].sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** Messages in the order of their sequences, whatever their state. Undefined for an unknown queue. */
export function peekMessages(state: MachineState, request: PeekRequest): PeekedMessages | undefined {
  const queue = state.registry.get(request.queueId)
  if (queue === undefined) return undefined
  const maxCount = wholeNumber(request.maxCount, PEEK_COUNT_MAX)
  const peeked = emptyPeek()
  let sequence = queue.messages.firstPresent(wholeNumber(request.fromSequence, Number.MAX_SAFE_INTEGER))
  while (sequence !== undefined && peeked.count < maxCount) {
    const chunk = queue.messages.find(sequence)
    if (chunk === undefined) break
    const offset = sequence - chunk.baseSequence
    if (!queue.isExpired(chunk.enqueuedAtMs(offset), state.nowMs)) show(state, queue, { chunk, offset, peeked })
    sequence = queue.messages.firstPresent(sequence + 1)
  }
  peeked.nextSequence = sequence
  return peeked
}

/** Half messages about which producers were asked, in the order of their sequences. */
export interface QueriedHalves extends PeekedMessages {
  readonly queryCounts: readonly number[]
  readonly maxQueryCounts: readonly number[]
}

/** The half messages of a queue that wait for an answer to a query. Undefined for an unknown queue. O(half messages). */
export function queriedHalves(state: MachineState, request: PeekRequest): QueriedHalves | undefined {
  const queue = state.registry.get(request.queueId)
  if (queue === undefined) return undefined
  const { touched } = state
  const fromSequence = wholeNumber(request.fromSequence, Number.MAX_SAFE_INTEGER)
  const found = touched.halves
    .bySlot()
    .filter(({ id, queryCount }) => queryCount > 0 && touched.queueId(id) === queue.id)
    .map((half) => ({ half, sequence: touched.sequence(half.id) }))
    .filter(({ sequence }) => sequence >= fromSequence)
    .sort((a, b) => a.sequence - b.sequence)
  const page = found.slice(0, wholeNumber(request.maxCount, PEEK_COUNT_MAX))
  const peeked = emptyPeek()
  const queryCounts: number[] = []
  const maxQueryCounts: number[] = []
  for (const { half, sequence } of page) {
    const chunk = queue.messages.find(sequence)
    const offset = sequence - (chunk?.baseSequence ?? 0)
    if (chunk === undefined || queue.isExpired(chunk.enqueuedAtMs(offset), state.nowMs)) continue
    show(state, queue, { chunk, offset, peeked })
    queryCounts.push(half.queryCount)
    maxQueryCounts.push(half.maxQueryCount)
  }
  peeked.nextSequence = found[page.length]?.sequence
  return { ...peeked, queryCounts, maxQueryCounts }
}

/** Smallest entry that a message still needs, a rewindable one included. */
export function oldestLiveIndex(state: MachineState): number | undefined {
  let oldest = Number.POSITIVE_INFINITY
  for (const queue of state.registry.all()) {
    for (const chunk of queue.messages.chunks) {
      if (chunk.minEntryIndex >= oldest) continue
      for (let offset = 0; offset < chunk.count; offset++) {
        if (!chunk.isGone(offset)) oldest = Math.min(oldest, chunk.entryIndex(offset))
      }
    }
  }
  return oldest === Number.POSITIVE_INFINITY ? undefined : oldest
}

/** Both ends included. */
export interface EntryRange {
  readonly fromIndex: number
  readonly toIndex: number
}

/** Calls for every message in the range that is not gone; an entry with several is visited several times. */
export function visitLive(state: MachineState, range: EntryRange, visit: (entryIndex: number) => void): void {
  const { fromIndex, toIndex } = range
  for (const queue of state.registry.all()) {
    for (const chunk of queue.messages.chunks) {
      if (chunk.maxEntryIndex < fromIndex || chunk.minEntryIndex > toIndex) continue
      for (let offset = 0; offset < chunk.count; offset++) {
        const entryIndex = chunk.entryIndex(offset)
        if (entryIndex >= fromIndex && entryIndex <= toIndex && !chunk.isGone(offset)) visit(entryIndex)
      }
    }
  }
}

export interface OpenPeek {
  count: number
  readonly entryIndexes: number[]
  readonly offsets: number[]
  readonly lengths: number[]
  readonly sequences: number[]
  readonly states: MessageState[]
  readonly dueAtMs: number[]
  readonly enqueuedAtMs: number[]
  readonly dequeueCounts: number[]
  readonly firstDequeuedAtMs: number[]
  readonly provenances: (Provenance | undefined)[]
  nextSequence: number | undefined
}

export function emptyPeek(): OpenPeek {
  return {
    count: 0,
    entryIndexes: [],
    offsets: [],
    lengths: [],
    sequences: [],
    states: [],
    dueAtMs: [],
    enqueuedAtMs: [],
    dequeueCounts: [],
    firstDequeuedAtMs: [],
    provenances: [],
    nextSequence: undefined,
  }
}

/** Adds a message to what is shown. */
export function show(
  state: MachineState,
  queue: Queue,
  place: { readonly chunk: MessageChunk; readonly offset: number; readonly peeked: OpenPeek },
): void {
  const { chunk, offset, peeked } = place
  const slot = chunk.slot(offset)
  const enqueuedAtMs = chunk.enqueuedAtMs(offset)
  const messageState = stateOf(state, chunk, offset)
  const keptUntilMs = enqueuedAtMs + queue.keepMs()
  const expiresAtMs = enqueuedAtMs + queue.attributes.msgRetentionMs
  peeked.count++
  peeked.entryIndexes.push(chunk.entryIndex(offset))
  peeked.offsets.push(chunk.recordOffset(offset))
  peeked.lengths.push(chunk.recordLength(offset))
  peeked.sequences.push(chunk.baseSequence + offset)
  peeked.states.push(messageState)
  const slotDueAtMs = slot === -1 ? undefined : state.touched.dueAtMs(slot)
  peeked.dueAtMs.push(messageState === "rewindable" ? keptUntilMs : (slotDueAtMs ?? expiresAtMs))
  peeked.enqueuedAtMs.push(enqueuedAtMs)
  peeked.dequeueCounts.push(slot === -1 ? 0 : state.touched.dequeueCount(slot))
  peeked.firstDequeuedAtMs.push(slot === -1 ? 0 : state.touched.firstDequeuedAtMs(slot))
  peeked.provenances.push(chunk.provenance(offset))
}

function stateOf(state: MachineState, chunk: MessageChunk, offset: number): MessageState {
  if (chunk.touch(offset) === KEPT) return "rewindable"
  const slot = chunk.slot(offset)
  if (slot === -1) return "active"
  const slotState = state.touched.state(slot)
  if (slotState === SLOT_INACTIVE) return "inactive"
  if (slotState === SLOT_HALF) return "half"
  return slotState === SLOT_DELAYED ? "delayed" : "active"
}
