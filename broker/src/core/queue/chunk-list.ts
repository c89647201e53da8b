/**
 * The messages of one queue in the order of their sequences: a list of chunks, found by binary search.
 *
 * A chunk whose messages are all GONE leaves the list, wherever it stands. Chunks grow from 32 to 4,096 messages with
 * the depth of the queue, so that thousands of small queues stay cheap; the columns of small ones are used again.
 * Where chunks begin is part of the replicated state, hence every rule here depends on the state alone.
 */
import { assert } from "../assert.ts"
import { GONE, KEPT, makeColumns, MessageChunk, type ChunkColumns, type NewMessage } from "./message-chunk.ts"

export const SMALLEST_CHUNK = 32
export const LARGEST_CHUNK = 4096
/** Columns of each size kept for the next chunk. */
const POOLED_PER_SIZE = 8

/** Columns that were used before, by capacity. Not part of the state. */
export class ChunkPool {
  readonly #free = new Map<number, ChunkColumns[]>()

  take(capacity: number): ChunkColumns {
    return this.#free.get(capacity)?.pop() ?? makeColumns(capacity)
  }

  give(columns: ChunkColumns): void {
    const capacity = columns.entryDeltas.length
    const free = this.#free.get(capacity)
    if (free === undefined) this.#free.set(capacity, [columns])
    else if (free.length < POOLED_PER_SIZE) free.push(columns)
  }
}

/** Told what changed, for the checkpoint. */
export interface ChunkWatcher {
  chunkChanged(chunk: MessageChunk): void
  chunkDropped(chunk: MessageChunk): void
}

/** What a chunk list gets from its machine. */
export interface ChunkListParts {
  readonly queueId: number
  readonly pool: ChunkPool
  readonly watcher: ChunkWatcher
}

export class ChunkList {
  readonly #parts: ChunkListParts
  #chunks: MessageChunk[] = []
  #lastFound: MessageChunk | undefined
  /** Sequence of the next message; sequences begin with 1 and are never used twice. Persisted. */
  nextSequence = 1
  /** Messages that are KEPT. Derived. */
  keptCount = 0

  constructor(parts: ChunkListParts) {
    this.#parts = parts
  }

  /** Oldest first. Changes under the hands of a loop that makes messages GONE. */
  get chunks(): readonly MessageChunk[] {
    return this.#chunks
  }

  /** Stores a message behind all others; it is the last one of `lastChunk()`. Returns its sequence. */
  append(message: NewMessage): number {
    let chunk = this.#chunks.at(-1)
    if (chunk === undefined || !chunk.canTake(message)) chunk = this.#addChunk(message.enqueuedAtMs)
    chunk.append(message)
    this.#parts.watcher.chunkChanged(chunk)
    return this.nextSequence++
  }

  /** The chunk with the newest message. Asserts that there is one. */
  lastChunk(): MessageChunk {
    const chunk = this.#chunks.at(-1)
    assert(chunk !== undefined, "the queue holds a message")
    return chunk
  }

  /** The chunk that holds the sequence; undefined when its messages are all gone. O(log chunks). */
  find(sequence: number): MessageChunk | undefined {
    const last = this.#lastFound
    if (last !== undefined && sequence >= last.baseSequence && sequence < last.endSequence) return last
    const chunk = this.#chunks[this.indexAtOrBehind(sequence)]
    if (chunk === undefined || sequence < chunk.baseSequence) return undefined
    this.#lastFound = chunk
    return chunk
  }

  /** Index of the first chunk that ends behind the sequence; the number of chunks when there is none. */
  indexAtOrBehind(sequence: number): number {
    let low = 0
    let high = this.#chunks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#chunks[middle] as MessageChunk).endSequence > sequence) high = middle
      else low = middle + 1
    }
    return low
  }

  /**
   * Changes the touch word of a message. Making the last message of a chunk GONE takes the chunk out of the list: its
   * columns must not be read any more.
   */
  setTouch(chunk: MessageChunk, offset: number, touch: number): void {
    const keptBefore = chunk.keptCount
    chunk.setTouch(offset, touch)
    this.keptCount += chunk.keptCount - keptBefore
    if (chunk.goneCount === chunk.count) this.drop(chunk)
    else this.#parts.watcher.chunkChanged(chunk)
  }

  /** Takes a whole chunk out. Slots of its messages are the caller's business. */
  drop(chunk: MessageChunk): void {
    const index = this.indexAtOrBehind(chunk.baseSequence)
    assert(this.#chunks[index] === chunk, "a chunk is dropped once")
    if (index === 0) this.#chunks.shift()
    else this.#chunks.splice(index, 1)
    this.keptCount -= chunk.keptCount
    if (this.#lastFound === chunk) this.#lastFound = undefined
    this.#parts.watcher.chunkDropped(chunk)
    this.#parts.pool.give(chunk.columns)
  }

  /** Sequence of the first message at or behind `from` that is not GONE; undefined when there is none. */
  firstPresent(from: number): number | undefined {
    for (let index = this.indexAtOrBehind(from); index < this.#chunks.length; index++) {
      const chunk = this.#chunks[index] as MessageChunk
      const offset = chunk.firstPresent(Math.max(0, from - chunk.baseSequence))
      if (offset < chunk.count) return chunk.baseSequence + offset
    }
    return undefined
  }

  /** The chunk with the oldest KEPT message; undefined when there is none. */
  firstChunkWithKept(): MessageChunk | undefined {
    if (this.keptCount === 0) return undefined
    return this.#chunks.find((chunk) => chunk.keptCount > 0)
  }

  /**
   * Enqueue time of the oldest message that is not deleted, Unix ms; undefined when there is none.
   *
   * @param afterMs messages enqueued then or before are left out.
   */
  oldestUnconsumedAtMs(afterMs = -1): number | undefined {
    for (const chunk of this.#chunks) {
      if (chunk.unconsumedCount === 0 || chunk.enqueuedAtMs(chunk.count - 1) <= afterMs) continue
      for (let offset = chunk.firstPresent(0); offset < chunk.count; offset++) {
        const isConsumed = chunk.touch(offset) === KEPT || chunk.touch(offset) === GONE
        if (!isConsumed && chunk.enqueuedAtMs(offset) > afterMs) return chunk.enqueuedAtMs(offset)
      }
    }
    return undefined
  }

  /** After a restore: chunks in any order. */
  restore(chunks: readonly MessageChunk[]): void {
    this.#chunks = [...chunks].sort((a, b) => a.baseSequence - b.baseSequence)
    this.keptCount = 0
    for (const chunk of this.#chunks) this.keptCount += chunk.keptCount
    this.#lastFound = undefined
  }

  #addChunk(baseTimeMs: number): MessageChunk {
    const last = this.#chunks.at(-1)
    const capacity = last === undefined ? SMALLEST_CHUNK : Math.min(LARGEST_CHUNK, last.capacity * 2)
    const base = { queueId: this.#parts.queueId, baseSequence: this.nextSequence, baseTimeMs, capacity }
    const chunk = new MessageChunk(base, this.#parts.pool.take(capacity))
    this.#chunks.push(chunk)
    return chunk
  }
}
