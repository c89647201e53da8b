/**
 * Up to 4,096 neighbouring messages of one queue as columns: 20 bytes a message in one ArrayBuffer.
 *
 * ```
 * entryDeltas   i32 per message        entry that holds the record - entry of the chunk's first message
 * words         4 x u32 per message    record offset | record length | enqueuedAt - base time, ms | touch
 *
 * touch   0            untouched: active, never received
 *         1 .. 2^24    slot + 1 in the table of touched messages
 *         0xfffffffe   KEPT: deleted, can be rewound
 *         0xffffffff   GONE
 * ```
 *
 * Everything but the marked hints is persisted (`machine-records.ts`), and what a GONE message leaves behind in its
 * columns is part of that: it is the same on all replicas. (A record has entry indexes as f64, not the deltas.)
 */
import type { Provenance } from "./outcome.ts"

export const UNTOUCHED = 0
export const KEPT = 0xffff_fffe
export const GONE = 0xffff_ffff
/** Above every slot + 1, below KEPT and GONE. */
const SLOTS_END = 0x0100_0000

export const WORDS_PER_MESSAGE = 4
const BYTES_PER_MESSAGE = 20
const LENGTH = 1
const ENQUEUED = 2
const TOUCH = 3
const U32_RANGE = 0x1_0000_0000

/** What the machine is told about a message when it is stored. */
export interface NewMessage {
  entryIndex: number
  recordOffset: number
  recordLength: number
  enqueuedAtMs: number
}

/** The two columns of a chunk, so that a pool can use them again. */
export interface ChunkColumns {
  readonly entryDeltas: Int32Array
  readonly words: Uint32Array
}

/** Where dead letters came from; made with the first one of the chunk. All persisted. */
export interface ProvenanceColumns {
  /** 0 = no dead letter. */
  readonly sourceQueueIds: Uint32Array
  readonly byAge: Uint8Array
  readonly enqueuedAtMs: Float64Array
  readonly firstDequeuedAtMs: Float64Array
  readonly dequeueCounts: Uint32Array
}

export function makeColumns(capacity: number): ChunkColumns {
  const entryDeltas = new Int32Array(new ArrayBuffer(capacity * BYTES_PER_MESSAGE), 0, capacity)
  const words = new Uint32Array(entryDeltas.buffer, entryDeltas.byteLength, capacity * WORDS_PER_MESSAGE)
  return { entryDeltas, words }
}

/** Fixed from the birth of a chunk. */
export interface ChunkBirth {
  readonly queueId: number
  readonly baseSequence: number
  /** Enqueue time of the first message, Unix ms. */
  readonly baseTimeMs: number
  readonly capacity: number
}

export class MessageChunk {
  readonly queueId: number
  readonly baseSequence: number
  readonly baseTimeMs: number
  readonly capacity: number
  readonly columns: ChunkColumns
  readonly #entryDeltas: Int32Array
  readonly #words: Uint32Array
  #provenances: ProvenanceColumns | undefined
  /** Entry of the first message, GONE or not. */
  #baseEntryIndex = 0
  /** Messages stored, from offset 0. */
  count = 0
  /** The following are counted from the columns after a restore. */
  goneCount = 0
  keptCount = 0
  touchedCount = 0
  /** Bytes of the records that are not GONE. */
  storedBytes = 0
  /** Bounds over all messages, the GONE ones of this process included: hints, for skipping chunks. */
  minEntryIndex = Number.POSITIVE_INFINITY
  maxEntryIndex = 0
  /** Hints: every message below is GONE / is not KEPT. */
  #presentHint = 0
  #keptHint = 0
  /** For the dirty list: changed since it was last written; was written ever; left the queue. */
  isDirty = false
  isStored = false
  isDropped = false

  constructor(base: ChunkBirth, columns: ChunkColumns) {
    this.queueId = base.queueId
    this.baseSequence = base.baseSequence
    this.baseTimeMs = base.baseTimeMs
    this.capacity = base.capacity
    this.columns = columns
    this.#entryDeltas = columns.entryDeltas
    this.#words = columns.words
  }

  /** Sequence behind the last message. */
  get endSequence(): number {
    return this.baseSequence + this.count
  }

  /** Messages that are neither deleted nor gone. */
  get unconsumedCount(): number {
    return this.count - this.goneCount - this.keptCount
  }

  /** Whether a chunk that is not empty has room, and the message is near enough to its first one. */
  canTake({ enqueuedAtMs, entryIndex }: NewMessage): boolean {
    const isNear = enqueuedAtMs - this.baseTimeMs < U32_RANGE && isDelta(entryIndex - this.#baseEntryIndex)
    return isNear && this.count < this.capacity
  }

  /** Stores an untouched message behind the others. The caller asked `canTake`, or the chunk is empty. */
  append(message: NewMessage): void {
    const offset = this.count++
    const at = offset * WORDS_PER_MESSAGE
    const words = this.#words
    if (offset === 0) this.#baseEntryIndex = message.entryIndex
    this.#entryDeltas[offset] = message.entryIndex - this.#baseEntryIndex
    words[at] = message.recordOffset
    words[at + LENGTH] = message.recordLength
    words[at + ENQUEUED] = message.enqueuedAtMs - this.baseTimeMs
    words[at + TOUCH] = UNTOUCHED
    this.storedBytes += message.recordLength
    if (message.entryIndex < this.minEntryIndex) this.minEntryIndex = message.entryIndex
    if (message.entryIndex > this.maxEntryIndex) this.maxEntryIndex = message.entryIndex
  }

  entryIndex(offset: number): number {
    return this.#baseEntryIndex + (this.#entryDeltas[offset] as number)
  }

  recordOffset(offset: number): number {
    return this.#words[offset * WORDS_PER_MESSAGE] as number
  }

  recordLength(offset: number): number {
    return this.#words[offset * WORDS_PER_MESSAGE + LENGTH] as number
  }

  enqueuedAtMs(offset: number): number {
    return this.baseTimeMs + (this.#words[offset * WORDS_PER_MESSAGE + ENQUEUED] as number)
  }

  touch(offset: number): number {
    return this.#words[offset * WORDS_PER_MESSAGE + TOUCH] as number
  }

  isGone(offset: number): boolean {
    return this.touch(offset) === GONE
  }

  /** Slot in the table of touched messages; -1 for a message that has none. */
  slot(offset: number): number {
    const touch = this.touch(offset)
    return touch > 0 && touch <= SLOTS_END ? touch - 1 : -1
  }

  /** Changes the touch word and the counters that follow from it. */
  setTouch(offset: number, touch: number): void {
    const at = offset * WORDS_PER_MESSAGE + TOUCH
    this.#count(offset, -1)
    this.#words[at] = touch
    this.#count(offset, 1)
    if (touch === KEPT && offset < this.#keptHint) this.#keptHint = offset
  }

  /** Offset of the first message at or behind `from` that is not GONE; `count` when there is none. */
  firstPresent(from: number): number {
    let offset = Math.max(from, this.#presentHint)
    while (offset < this.count && this.isGone(offset)) offset++
    if (from <= this.#presentHint) this.#presentHint = offset
    return offset
  }

  /** Offset of the first KEPT message; `count` when there is none. */
  firstKept(): number {
    let offset = this.#keptHint
    while (offset < this.count && this.touch(offset) !== KEPT) offset++
    this.#keptHint = offset
    return offset
  }

  provenance(offset: number): Provenance | undefined {
    const columns = this.#provenances
    if (columns === undefined || columns.sourceQueueIds[offset] === 0) return undefined
    return {
      sourceQueueId: columns.sourceQueueIds[offset] as number,
      reason: columns.byAge[offset] === 1 ? "maxTimeToLive" : "maxReceiveCount",
      originalEnqueuedAtMs: columns.enqueuedAtMs[offset] as number,
      originalFirstDequeuedAtMs: columns.firstDequeuedAtMs[offset] as number,
      originalDequeueCount: columns.dequeueCounts[offset] as number,
    }
  }

  setProvenance(offset: number, provenance: Provenance): void {
    const columns = this.makeProvenances()
    columns.sourceQueueIds[offset] = provenance.sourceQueueId
    columns.byAge[offset] = provenance.reason === "maxTimeToLive" ? 1 : 0
    columns.enqueuedAtMs[offset] = provenance.originalEnqueuedAtMs
    columns.firstDequeuedAtMs[offset] = provenance.originalFirstDequeuedAtMs
    columns.dequeueCounts[offset] = provenance.originalDequeueCount
  }

  get provenances(): ProvenanceColumns | undefined {
    return this.#provenances
  }

  makeProvenances(): ProvenanceColumns {
    this.#provenances ??= {
      sourceQueueIds: new Uint32Array(this.capacity),
      byAge: new Uint8Array(this.capacity),
      enqueuedAtMs: new Float64Array(this.capacity),
      firstDequeuedAtMs: new Float64Array(this.capacity),
      dequeueCounts: new Uint32Array(this.capacity),
    }
    return this.#provenances
  }

  entryIndexes(): Float64Array {
    const entryIndexes = new Float64Array(this.count)
    for (let offset = 0; offset < this.count; offset++) entryIndexes[offset] = this.entryIndex(offset)
    return entryIndexes
  }

  /** First step of a restore. Throws a RangeError for indexes that no chunk can hold. */
  restoreEntryIndexes(entryIndexes: Float64Array): void {
    this.#baseEntryIndex = entryIndexes[0] ?? 0
    entryIndexes.forEach((entryIndex, offset) => {
      const delta = entryIndex - this.#baseEntryIndex
      if (!isDelta(delta)) throw new RangeError("corrupt checkpoint: entry indexes too far apart for one chunk")
      this.#entryDeltas[offset] = delta
    })
  }

  /** After a restore, when columns and `count` are filled. */
  recount(): void {
    for (let offset = 0; offset < this.count; offset++) {
      this.#count(offset, 1)
      const entryIndex = this.entryIndex(offset)
      if (entryIndex < this.minEntryIndex) this.minEntryIndex = entryIndex
      if (entryIndex > this.maxEntryIndex) this.maxEntryIndex = entryIndex
    }
  }

  #count(offset: number, sign: 1 | -1): void {
    const touch = this.touch(offset)
    if (touch === GONE) {
      this.goneCount += sign
      return
    }
    this.storedBytes += sign * this.recordLength(offset)
    if (touch === KEPT) this.keptCount += sign
    else if (touch !== UNTOUCHED) this.touchedCount += sign
  }
}

function isDelta(value: number): boolean {
  return (value | 0) === value
}
