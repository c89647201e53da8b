/**
 * The state of a queue machine as (key, value) records, version 1.
 *
 * ```
 * key                              value (first byte: version)
 * 0                                meta: indexes, times, counters
 * 1 queueId u32                    a queue: name, attributes, counters
 * 2 queueId u32, base sequence u64 a chunk of messages: its columns, `count` elements of each
 * 3 page u32                       256 slots of the table of touched messages
 * 4 page u64                       4,096 remembered client message ids
 * 5 name, UTF-16 units             a name that was deleted a moment ago; a topic's with a slash before it
 * 6 topicId u32                    a topic: name, attributes, counters
 * 7 subscriptionId u32             a subscription: topic, name, endpoint, attributes, how far its delivery has come;
 *                                  what waits is in the queue (1) with the same id and no name
 * 8 slot u32                       a half message: where it was sent, its queries; the rest is in its slot (3)
 * 9 queueId u32                    the newest redrive of a queue: what it moves, how far it has come
 * 12 keyId u32                     a key pair: SecretId, account, sealed secret, permissions
 * ```
 *
 * Numbers in keys are big-endian, so keys sort by kind, then by number. Values are canonical: equal states give equal
 * bytes, on every replica, restored or not. What is derived (heaps, counts of states, links) is not in them.
 */
import { LARGEST_CHUNK } from "./chunk-list.ts"
import type { DeadLetterPolicy, QueueAttributes } from "./command.ts"
import { IDS_PER_PAGE, ID_WORDS } from "./deduplication.ts"
import type { HalfMessage } from "./half-messages.ts"
import type { MachineState } from "./machine-state.ts"
import { WORDS_PER_MESSAGE, type MessageChunk } from "./message-chunk.ts"
import type { Queue, QueueTotals } from "./queue.ts"
import { RecordReader, RecordWriter, textBytes } from "./record-bytes.ts"
import { SLOT_HALF, SLOTS_PER_PAGE } from "./touched-messages.ts"

export const RECORD_VERSION = 1
export const META = 0
export const QUEUE = 1
export const CHUNK = 2
export const SLOT_PAGE = 3
export const DEDUPLICATION_PAGE = 4
export const DELETED_NAME = 5
export const TOPIC = 6
export const SUBSCRIPTION = 7
export const HALF = 8
export const REDRIVE = 9
/** 10 and 11 belong to trace. */
export const KEY = 12

const U32_RANGE = 0x1_0000_0000
const META_NUMBERS = 9
const QUEUE_NUMBERS = 11
const SLOT_BYTES = 4 + 8 + 8 + 4 + 8 + 1 + 8
const ID_BYTES = 4 + ID_WORDS * 4 + 8 + 4 + 8
const MESSAGE_BYTES = 8 + WORDS_PER_MESSAGE * 4
const PROVENANCE_BYTES = 4 + 1 + 8 + 8 + 4

const totalNames = [
  "sent",
  "movedIn",
  "received",
  "deleted",
  "expired",
  "deadLettered",
  "cleared",
  "rewound",
] as const satisfies readonly (keyof QueueTotals)[]
/** Behind the others, and only when it is not 0: records are older than it. */
const lateTotal = "redriven" as const satisfies keyof QueueTotals

const policyKinds = ["none", "maxReceiveCount", "maxTimeToLive"] as const

export function metaKey(): Uint8Array {
  return Uint8Array.of(META)
}

export function queueKey(queueId: number): Uint8Array {
  return numberKey(QUEUE, [queueId])
}

export function topicKey(topicId: number): Uint8Array {
  return numberKey(TOPIC, [topicId])
}

export function subscriptionKey(subscriptionId: number): Uint8Array {
  return numberKey(SUBSCRIPTION, [subscriptionId])
}

export function halfKey(slot: number): Uint8Array {
  return numberKey(HALF, [slot])
}

export function accessKeyKey(keyId: number): Uint8Array {
  return numberKey(KEY, [keyId])
}

export function redriveKey(queueId: number): Uint8Array {
  return numberKey(REDRIVE, [queueId])
}

export function chunkKey(queueId: number, baseSequence: number): Uint8Array {
  return numberKey(CHUNK, [queueId, Math.floor(baseSequence / U32_RANGE), baseSequence % U32_RANGE])
}

export function slotPageKey(page: number): Uint8Array {
  return numberKey(SLOT_PAGE, [page])
}

export function deduplicationPageKey(page: number): Uint8Array {
  return numberKey(DEDUPLICATION_PAGE, [Math.floor(page / U32_RANGE), page % U32_RANGE])
}

export function deletedNameKey(name: string): Uint8Array {
  const bytes = new Uint8Array(1 + name.length * 2)
  const view = new DataView(bytes.buffer)
  bytes[0] = DELETED_NAME
  for (let index = 0; index < name.length; index++) view.setUint16(1 + index * 2, name.charCodeAt(index))
  return bytes
}

/** The 32-bit numbers behind the kind of a key. */
export function keyNumbers(key: Uint8Array): number[] {
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength)
  const numbers: number[] = []
  for (let at = 1; at + 4 <= key.length; at += 4) numbers.push(view.getUint32(at))
  return numbers
}

/** The name in a key of kind `DELETED_NAME`. */
export function keyName(key: Uint8Array): string {
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength)
  let name = ""
  for (let at = 1; at + 2 <= key.length; at += 2) name += String.fromCharCode(view.getUint16(at))
  return name
}

export function metaValue(state: MachineState): Uint8Array {
  const { registry, touched, deduplication } = state
  const isRingMissing = state.mutant === "deduplicationMissingInSnapshot"
  const writer = new RecordWriter(1 + META_NUMBERS * 8)
  writer.u8(RECORD_VERSION)
  writer.f64(state.appliedIndex)
  writer.f64(state.nowMs)
  writer.f64(state.nextDeliveryNumber)
  writer.f64(registry.nextQueueId)
  writer.f64(touched.firstFree)
  writer.f64(touched.usedEnd)
  writer.f64(isRingMissing ? 0 : deduplication.first)
  writer.f64(isRingMissing ? 0 : deduplication.next)
  writer.f64(deduplication.evictedCount)
  return writer.bytes
}

/** Where the ring of client message ids begins and ends. */
export interface RingPlace {
  readonly first: number
  readonly next: number
}

/** First step of a restore. `slotPageCount` pages of slots were read with it. */
export function restoreMeta(state: MachineState, value: Uint8Array, slotPageCount: number): RingPlace {
  const reader = openRecord(value)
  state.appliedIndex = reader.f64()
  state.nowMs = reader.f64()
  state.nextDeliveryNumber = reader.f64()
  state.registry.nextQueueId = reader.f64()
  const firstFree = reader.f64()
  state.touched.restoreMeta(firstFree, reader.f64(), slotPageCount)
  const ring = { first: reader.f64(), next: reader.f64() }
  state.deduplication.evictedCount = reader.f64()
  reader.end()
  return ring
}

export function queueValue(queue: Queue): Uint8Array {
  const { attributes } = queue
  const policy = attributes.deadLetterPolicy
  const targetName = policy?.deadLetterQueue ?? ""
  const totals = queue.totals[lateTotal] === 0 ? totalNames : [...totalNames, lateTotal]
  const numberBytes = (QUEUE_NUMBERS + 1 + totals.length) * 8
  const writer = new RecordWriter(2 + textBytes(queue.name) + textBytes(targetName) + numberBytes)
  writer.u8(RECORD_VERSION)
  writer.text(queue.name)
  writer.f64(queue.createdAtMs)
  writer.f64(queue.modifiedAtMs)
  writer.f64(attributes.maxMsgHeapCount)
  writer.f64(attributes.pollingWaitMs)
  writer.f64(attributes.visibilityTimeoutMs)
  writer.f64(attributes.maxMsgBytes)
  writer.f64(attributes.msgRetentionMs)
  writer.f64(attributes.rewindMs)
  writer.u8(policyKinds.indexOf(policy?.kind ?? "none"))
  writer.text(targetName)
  writer.f64(policy?.kind === "maxReceiveCount" ? policy.maxReceiveCount : (policy?.maxTimeToLiveMs ?? 0))
  writer.f64(queue.messages.nextSequence)
  writer.f64(queue.front)
  writer.f64(queue.ageScan)
  for (const name of totals) writer.f64(queue.totals[name])
  return writer.bytes
}

/** Makes the queue, without messages and without the link to its dead-letter queue. */
export function restoreQueue(state: MachineState, queueId: number, value: Uint8Array): void {
  const reader = openRecord(value)
  const name = reader.text()
  const createdAtMs = reader.f64()
  const modifiedAtMs = reader.f64()
  const numbers = {
    maxMsgHeapCount: reader.f64(),
    pollingWaitMs: reader.f64(),
    visibilityTimeoutMs: reader.f64(),
    maxMsgBytes: reader.f64(),
    msgRetentionMs: reader.f64(),
    rewindMs: reader.f64(),
  }
  const attributes: QueueAttributes = { ...numbers, deadLetterPolicy: readPolicy(reader) }
  const queue = state.registry.add({ id: queueId, name, createdAtMs }, attributes)
  queue.modifiedAtMs = modifiedAtMs
  queue.messages.nextSequence = reader.f64()
  queue.front = reader.f64()
  queue.ageScan = reader.f64()
  for (const total of totalNames) queue.totals[total] = reader.f64()
  if (reader.hasMore) queue.totals[lateTotal] = reader.f64()
  queue.isStored = true
  reader.end()
}

function readPolicy(reader: RecordReader): DeadLetterPolicy | undefined {
  const kind = policyKinds[reader.u8()]
  const deadLetterQueue = reader.text()
  const value = reader.f64()
  if (kind === "maxReceiveCount") return { kind, deadLetterQueue, maxReceiveCount: value }
  if (kind === "maxTimeToLive") return { kind, deadLetterQueue, maxTimeToLiveMs: value }
  if (kind === "none") return undefined
  throw new RangeError("corrupt checkpoint: a dead-letter policy of an unknown kind")
}

export function chunkValue(chunk: MessageChunk): Uint8Array {
  const { count, provenances } = chunk
  const bytesEach = MESSAGE_BYTES + (provenances === undefined ? 0 : PROVENANCE_BYTES)
  const writer = new RecordWriter(2 + 4 + 4 + 8 + count * bytesEach)
  writer.u8(RECORD_VERSION)
  writer.u8(provenances === undefined ? 0 : 1)
  writer.u32(chunk.capacity)
  writer.u32(count)
  writer.f64(chunk.baseTimeMs)
  writer.column(chunk.entryIndexes(), 0, count)
  writer.column(chunk.columns.words, 0, count * WORDS_PER_MESSAGE)
  if (provenances === undefined) return writer.bytes
  writer.column(provenances.sourceQueueIds, 0, count)
  writer.column(provenances.byAge, 0, count)
  writer.column(provenances.enqueuedAtMs, 0, count)
  writer.column(provenances.firstDequeuedAtMs, 0, count)
  writer.column(provenances.dequeueCounts, 0, count)
  return writer.bytes
}

/** What a chunk is born with, in its record. */
export interface ChunkShape {
  readonly capacity: number
  readonly count: number
  readonly baseTimeMs: number
}

export function readChunkShape(value: Uint8Array): ChunkShape {
  const reader = openRecord(value)
  reader.u8()
  const shape = { capacity: reader.u32(), count: reader.u32(), baseTimeMs: reader.f64() }
  if (shape.count > shape.capacity || shape.capacity > LARGEST_CHUNK) {
    throw new RangeError("corrupt checkpoint: the size of a chunk")
  }
  return shape
}

/** Fills a new chunk of that shape. */
export function restoreChunk(chunk: MessageChunk, value: Uint8Array): void {
  const reader = openRecord(value)
  const hasProvenances = reader.u8() === 1
  reader.u32()
  const count = reader.u32()
  reader.f64()
  chunk.count = count
  const entryIndexes = new Float64Array(count)
  reader.column(entryIndexes, 0, count)
  chunk.restoreEntryIndexes(entryIndexes)
  reader.column(chunk.columns.words, 0, count * WORDS_PER_MESSAGE)
  if (hasProvenances) {
    const provenances = chunk.makeProvenances()
    reader.column(provenances.sourceQueueIds, 0, count)
    reader.column(provenances.byAge, 0, count)
    reader.column(provenances.enqueuedAtMs, 0, count)
    reader.column(provenances.firstDequeuedAtMs, 0, count)
    reader.column(provenances.dequeueCounts, 0, count)
  }
  reader.end()
  chunk.isStored = true
  chunk.recount()
}

export function slotPageValue(state: MachineState, page: number): Uint8Array {
  const { touched } = state
  const { columns } = touched
  const from = page * SLOTS_PER_PAGE
  const count = Math.min(SLOTS_PER_PAGE, touched.usedEnd - from)
  const writer = new RecordWriter(1 + 4 + count * SLOT_BYTES)
  writer.u8(RECORD_VERSION)
  writer.u32(count)
  writer.column(columns.queueIds, from, count)
  writer.column(columns.sequences, from, count)
  writer.column(columns.deliveryNumbers, from, count)
  const isCountMissing = state.mutant === "receiveCountNotInLog"
  writer.column(isCountMissing ? new Uint32Array(count) : columns.dequeueCounts, isCountMissing ? 0 : from, count)
  writer.column(columns.firstDequeuedAtMs, from, count)
  writer.column(columns.states, from, count)
  for (let slot = from; slot < from + count; slot++) writer.f64(touched.dueAtMs(slot) ?? 0)
  return writer.bytes
}

/** `restoreMeta` was called before. */
export function restoreSlotPage(state: MachineState, page: number, value: Uint8Array): void {
  const { touched } = state
  const { columns } = touched
  const reader = openRecord(value)
  const from = page * SLOTS_PER_PAGE
  const count = reader.u32()
  reader.column(columns.queueIds, from, count)
  reader.column(columns.sequences, from, count)
  reader.column(columns.deliveryNumbers, from, count)
  reader.column(columns.dequeueCounts, from, count)
  reader.column(columns.firstDequeuedAtMs, from, count)
  reader.column(columns.states, from, count)
  for (let slot = from; slot < from + count; slot++) touched.restoreSlot(slot, reader.f64())
  reader.end()
}

export function deduplicationPageValue(state: MachineState, pageNumber: number): Uint8Array {
  const { page, count } = state.deduplication.pageContent(pageNumber)
  const writer = new RecordWriter(1 + 4 + count * ID_BYTES)
  writer.u8(RECORD_VERSION)
  writer.u32(count)
  writer.column(page.queueIds, 0, count)
  writer.column(page.words, 0, count * ID_WORDS)
  writer.column(page.entryIndexes, 0, count)
  writer.column(page.ordinals, 0, count)
  writer.column(page.expiresAtMs, 0, count)
  return writer.bytes
}

export function restoreDeduplicationPage(state: MachineState, pageNumber: number, value: Uint8Array): void {
  const reader = openRecord(value)
  const count = reader.u32()
  if (count > IDS_PER_PAGE) throw new RangeError("corrupt checkpoint: the size of a page of client message ids")
  const page = state.deduplication.restorePage(pageNumber)
  reader.column(page.queueIds, 0, count)
  reader.column(page.words, 0, count * ID_WORDS)
  reader.column(page.entryIndexes, 0, count)
  reader.column(page.ordinals, 0, count)
  reader.column(page.expiresAtMs, 0, count)
  reader.end()
}

export function halfValue(state: MachineState, half: HalfMessage): Uint8Array {
  const isCountMissing = state.mutant === "queryCountMissingInSnapshot"
  const writer = new RecordWriter(1 + 8 + 4 * 4)
  writer.u8(RECORD_VERSION)
  writer.f64(half.entryIndex)
  writer.u32(half.ordinal)
  writer.u32(half.firstQueryIntervalMs)
  writer.u32(half.maxQueryCount)
  writer.u32(isCountMissing ? 0 : half.queryCount)
  return writer.bytes
}

/** `restoreSlotPage` was called before for the page of the slot. */
export function restoreHalf(state: MachineState, slot: number, value: Uint8Array): void {
  const reader = openRecord(value)
  const place = { entryIndex: reader.f64(), ordinal: reader.u32() }
  const policy = { firstQueryIntervalMs: reader.u32(), maxQueryCount: reader.u32() }
  const queryCount = reader.u32()
  reader.end()
  if (state.touched.state(slot) !== SLOT_HALF)
    throw new RangeError("corrupt checkpoint: a half message without its slot")
  state.touched.halves.restore({ ...place, ...policy, queryCount }, slot)
}

export function deletedNameValue(deletedAtMs: number): Uint8Array {
  const writer = new RecordWriter(9)
  writer.u8(RECORD_VERSION)
  writer.f64(deletedAtMs)
  return writer.bytes
}

export function readDeletedName(value: Uint8Array): number {
  const reader = openRecord(value)
  const deletedAtMs = reader.f64()
  reader.end()
  return deletedAtMs
}

export function openRecord(value: Uint8Array): RecordReader {
  const reader = new RecordReader(value)
  const version = reader.u8()
  if (version !== RECORD_VERSION) throw new RangeError(`checkpoint record version ${String(version)} is unknown`)
  return reader
}

function numberKey(kind: number, numbers: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(1 + numbers.length * 4)
  const view = new DataView(bytes.buffer)
  bytes[0] = kind
  numbers.forEach((number, index) => {
    view.setUint32(1 + index * 4, number)
  })
  return bytes
}
