/** Where the messages of an entry are now: for whoever has a message id and no queue, or does not want to look at all of one. */
import type { QueueId } from "./command.ts"
import type { MachineState } from "./machine-state.ts"
import type { MessageChunk } from "./message-chunk.ts"
import { emptyPeek, show, type PeekedMessages } from "./queue-reads.ts"
import type { Queue } from "./queue.ts"

/** Places shown of one message at most: a published one can be in ten thousand queues. */
export const PLACES_MAX = 1_024

/** Of an entry; 0 = in whatever queue. */
export interface EntryRequest {
  readonly entryIndex: number
  readonly queueId: QueueId
}

/** Records of an entry that something still points to, by their place in it: parallel arrays, offsets rising. */
export interface LiveRecords {
  readonly offsets: readonly number[]
  readonly lengths: readonly number[]
}

/** One record of an entry. */
export interface RecordRequest extends EntryRequest {
  readonly recordOffset: number
}

/** Places of a message, those of backlogs, too; in the order of queue ids. */
export interface LocatedMessages extends Omit<PeekedMessages, "nextSequence"> {
  readonly queueIds: readonly QueueId[]
}

/** O(chunks of all queues), and the messages of those chunks that can hold something of the entry. */
export function recordsOfEntry(state: MachineState, request: EntryRequest): LiveRecords {
  const lengthByOffset = new Map<number, number>()
  visitEntry(state, request, ({ chunk, offset }) => {
    lengthByOffset.set(chunk.recordOffset(offset), chunk.recordLength(offset))
    return true
  })
  const sorted = [...lengthByOffset].sort(([a], [b]) => a - b)
  return { offsets: sorted.map(([offset]) => offset), lengths: sorted.map(([, length]) => length) }
}

/** As `recordsOfEntry`; at most `PLACES_MAX` places. */
export function locateRecord(state: MachineState, request: RecordRequest): LocatedMessages {
  const peeked = emptyPeek()
  const queueIds: QueueId[] = []
  visitEntry(state, request, ({ queue, chunk, offset }) => {
    if (chunk.recordOffset(offset) !== request.recordOffset) return true
    queueIds.push(queue.id)
    show(state, queue, { chunk, offset, peeked })
    return queueIds.length < PLACES_MAX
  })
  return { ...peeked, queueIds }
}

interface Visited {
  readonly queue: Queue
  readonly chunk: MessageChunk
  readonly offset: number
}

/** Until `visit` says false. */
function visitEntry(state: MachineState, request: EntryRequest, visit: (place: Visited) => boolean): void {
  const { entryIndex, queueId } = request
  for (const queue of state.registry.byId()) {
    if (queueId !== 0 && queue.id !== queueId) continue
    for (const chunk of queue.messages.chunks) {
      if (chunk.maxEntryIndex < entryIndex || chunk.minEntryIndex > entryIndex) continue
      for (let offset = 0; offset < chunk.count; offset++) {
        if (chunk.entryIndex(offset) !== entryIndex || chunk.isGone(offset)) continue
        if (queue.isExpired(chunk.enqueuedAtMs(offset), state.nowMs)) continue
        if (!visit({ queue, chunk, offset })) return
      }
    }
  }
}
