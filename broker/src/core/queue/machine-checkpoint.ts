/**
 * Writes the state of a machine down and brings it back: everything, or what changed since the last time; and a hash
 * over everything, by which replicas are compared.
 */
import { assert } from "../assert.ts"
import {
  accessKeyKey,
  CHUNK,
  chunkKey,
  chunkValue,
  DEDUPLICATION_PAGE,
  deduplicationPageKey,
  deduplicationPageValue,
  DELETED_NAME,
  deletedNameKey,
  deletedNameValue,
  HALF,
  halfKey,
  halfValue,
  KEY,
  keyName,
  keyNumbers,
  META,
  metaKey,
  metaValue,
  QUEUE,
  queueKey,
  queueValue,
  readChunkShape,
  readDeletedName,
  REDRIVE,
  redriveKey,
  restoreChunk,
  restoreDeduplicationPage,
  restoreHalf,
  restoreMeta,
  restoreQueue,
  restoreSlotPage,
  SLOT_PAGE,
  slotPageKey,
  slotPageValue,
  SUBSCRIPTION,
  subscriptionKey,
  TOPIC,
  topicKey,
} from "./machine-records.ts"
import { keyValue, restoreKey } from "./key-records.ts"
import type { MachineState } from "./machine-state.ts"
import { makeColumns, MessageChunk } from "./message-chunk.ts"
import type { Queue } from "./queue.ts"
import { redriveValue, restoreRedrive } from "./redrive-records.ts"
import { restoreSubscription, restoreTopic, subscriptionValue, topicValue } from "./topic-records.ts"

/** Takes one record; `undefined` = the key is to be removed. Both arrays are the visitor's to keep. */
export type RecordVisitor = (key: Uint8Array, value: Uint8Array | undefined) => void

const U32_RANGE = 0x1_0000_0000
const NO_KIND = -1

/** Every record of the state. Leaves the marks of what changed alone. */
export function collectAll(state: MachineState, visit: RecordVisitor): void {
  visit(metaKey(), metaValue(state))
  for (const queue of state.registry.byId()) {
    visit(queueKey(queue.id), queueValue(queue))
    if (isLeftOut(state, queue)) continue
    for (const chunk of queue.messages.chunks) visit(chunkKey(queue.id, chunk.baseSequence), chunkValue(chunk))
    if (queue.redrive !== undefined && state.mutant !== "redriveMissingInSnapshot") {
      visit(redriveKey(queue.id), redriveValue(queue.redrive))
    }
  }
  for (const topic of state.topics.byId()) visit(topicKey(topic.id), topicValue(topic))
  for (const subscription of state.topics.subscriptionsById()) {
    visit(subscriptionKey(subscription.id), subscriptionValue(subscription))
  }
  for (const key of state.keys.byId()) visit(accessKeyKey(key.id), keyValue(key))
  for (let page = 0; page < state.touched.pageCount(); page++) visit(slotPageKey(page), slotPageValue(state, page))
  for (const half of state.touched.halves.bySlot()) visit(halfKey(half.id), halfValue(state, half))
  if (state.mutant !== "deduplicationMissingInSnapshot") {
    for (const page of state.deduplication.pageNumbers()) {
      visit(deduplicationPageKey(page), deduplicationPageValue(state, page))
    }
  }
  for (const [name, deletedAtMs] of state.registry.deletedNames) {
    visit(deletedNameKey(name), deletedNameValue(deletedAtMs))
  }
}

/** The records that changed since the last call, and the meta record. Marks everything clean. */
export function collectDirty(state: MachineState, visit: RecordVisitor): void {
  const dirty = state.dirty.take()
  for (const queueId of dirty.droppedQueues) visit(queueKey(queueId), undefined)
  for (const { queueId, baseSequence } of dirty.droppedChunks) visit(chunkKey(queueId, baseSequence), undefined)
  for (const queue of dirty.queues) {
    if (state.registry.get(queue.id) !== queue) continue
    visit(queueKey(queue.id), queueValue(queue))
    queue.isStored = true
  }
  collectDirtyTopics(state, visit)
  collectDirtyRedrives(state, visit)
  collectDirtyKeys(state, visit)
  for (const chunk of dirty.chunks) {
    if (isLeftOut(state, state.registry.get(chunk.queueId))) continue
    visit(chunkKey(chunk.queueId, chunk.baseSequence), chunkValue(chunk))
    chunk.isStored = true
  }
  const slots = state.touched.takeDirtyPages()
  for (const page of slots.removed) visit(slotPageKey(page), undefined)
  for (const page of slots.changed) visit(slotPageKey(page), slotPageValue(state, page))
  const halves = state.touched.halves.takeDirty()
  for (const slot of halves.removed) visit(halfKey(slot), undefined)
  for (const half of halves.changed) visit(halfKey(half.id), halfValue(state, half))
  const ids = state.deduplication.takeDirtyPages()
  if (state.mutant !== "deduplicationMissingInSnapshot") {
    for (const page of ids.removed) visit(deduplicationPageKey(page), undefined)
    for (const page of ids.changed) visit(deduplicationPageKey(page), deduplicationPageValue(state, page))
  }
  for (const name of dirty.names) {
    const deletedAtMs = state.registry.deletedNames.get(name)
    visit(deletedNameKey(name), deletedAtMs === undefined ? undefined : deletedNameValue(deletedAtMs))
  }
  visit(metaKey(), metaValue(state))
}

/** The mutant that forgets the messages that wait for subscriptions. */
function isLeftOut(state: MachineState, queue: Queue | undefined): boolean {
  return state.mutant === "backlogMissingInSnapshot" && queue?.name === ""
}

function collectDirtyTopics(state: MachineState, visit: RecordVisitor): void {
  const topics = state.dirtyTopics.take()
  for (const topicId of topics.dropped) visit(topicKey(topicId), undefined)
  for (const topic of topics.changed) {
    if (state.topics.get(topic.id) !== topic) continue
    visit(topicKey(topic.id), topicValue(topic))
    topic.isStored = true
  }
  const subscriptions = state.dirtySubscriptions.take()
  for (const subscriptionId of subscriptions.dropped) visit(subscriptionKey(subscriptionId), undefined)
  for (const subscription of subscriptions.changed) {
    if (state.topics.subscription(subscription.id) !== subscription) continue
    visit(subscriptionKey(subscription.id), subscriptionValue(subscription))
    subscription.isStored = true
  }
}

function collectDirtyKeys(state: MachineState, visit: RecordVisitor): void {
  const keys = state.dirtyKeys.take()
  const isKept = state.mutant === "revokedKeyComesBack"
  for (const keyId of isKept ? [] : keys.dropped) visit(accessKeyKey(keyId), undefined)
  for (const key of keys.changed) {
    if (state.keys.find(key.secretId) !== key) continue
    visit(accessKeyKey(key.id), keyValue(key))
    key.isStored = true
  }
}

function collectDirtyRedrives(state: MachineState, visit: RecordVisitor): void {
  const redrives = state.dirtyRedrives.take()
  if (state.mutant === "redriveMissingInSnapshot") return
  for (const queueId of redrives.dropped) visit(redriveKey(queueId), undefined)
  for (const redrive of redrives.changed) {
    if (state.registry.get(redrive.id)?.redrive !== redrive) continue
    visit(redriveKey(redrive.id), redriveValue(redrive))
    redrive.isStored = true
  }
}

/** Records on their way back, in any order. Throws a RangeError for a record that no machine wrote. */
export class MachineRestore {
  readonly #state: MachineState
  readonly #chunks = new Map<number, MessageChunk[]>()
  readonly #subscriptions: { readonly id: number; readonly value: Uint8Array }[] = []
  readonly #redrives: { readonly id: number; readonly value: Uint8Array }[] = []
  readonly #slotPages: { readonly page: number; readonly value: Uint8Array }[] = []
  readonly #halves: { readonly slot: number; readonly value: Uint8Array }[] = []
  #meta: Uint8Array | undefined

  constructor(state: MachineState) {
    this.#state = state
  }

  add(key: Uint8Array, value: Uint8Array): void {
    const [first = 0, second = 0, third = 0] = keyNumbers(key)
    const kind = key[0] ?? NO_KIND
    switch (kind) {
      case META:
        this.#meta = value.slice()
        return
      case QUEUE:
        restoreQueue(this.#state, first, value)
        return
      case CHUNK:
        this.#addChunk({ queueId: first, baseSequence: second * U32_RANGE + third }, value)
        return
      case SLOT_PAGE:
        this.#slotPages.push({ page: first, value: value.slice() })
        return
      case HALF:
        this.#halves.push({ slot: first, value: value.slice() })
        return
      case DEDUPLICATION_PAGE:
        restoreDeduplicationPage(this.#state, first * U32_RANGE + second, value)
        return
      case TOPIC:
        restoreTopic(this.#state, first, value)
        return
      case SUBSCRIPTION:
        this.#subscriptions.push({ id: first, value: value.slice() })
        return
      case KEY:
        restoreKey(this.#state, first, value)
        return
      case REDRIVE:
        this.#redrives.push({ id: first, value: value.slice() })
        return
      case DELETED_NAME:
        this.#state.registry.rememberDeletedName(keyName(key), readDeletedName(value))
        return
      default:
        throw new RangeError(`corrupt checkpoint: a record of unknown kind ${String(kind)}`)
    }
  }

  /** Rebuilds everything that is derived. */
  finish(): void {
    const state = this.#state
    if (this.#meta === undefined) throw new RangeError("corrupt checkpoint: the meta record is missing")
    const ring = restoreMeta(state, this.#meta, this.#slotPages.length)
    for (const { page, value } of this.#slotPages) restoreSlotPage(state, page, value)
    for (const { slot, value } of this.#halves) restoreHalf(state, slot, value)
    state.deduplication.restoreRing(ring.first, ring.next)
    state.registry.sortDeletedNames()
    this.#subscriptions.sort((a, b) => a.id - b.id)
    for (const { id, value } of this.#subscriptions) restoreSubscription(state, id, value)
    for (const queue of state.registry.byId()) {
      queue.messages.restore(this.#chunks.get(queue.id) ?? [])
      this.#chunks.delete(queue.id)
      queue.recount()
      state.registry.bindDeadLetterQueue(queue)
      if (queue.activeCount > 0) state.wakened.add(queue.id)
    }
    if (this.#chunks.size > 0) throw new RangeError("corrupt checkpoint: messages of a queue that is missing")
    for (const queue of state.registry.byId()) {
      state.deadlines.set(queue, state.exactNextStepAtMs(queue))
      const isOrphan = queue.name === "" && state.topics.subscription(queue.id) === undefined
      if (isOrphan) throw new RangeError("corrupt checkpoint: a backlog without its subscription")
    }
    for (const subscription of state.topics.subscriptionsById()) {
      state.retries.set(subscription, subscription.nextAttemptAtMs)
    }
    for (const { id, value } of this.#redrives) restoreRedrive(state, id, value)
    state.dirty.take()
  }

  #addChunk(place: { readonly queueId: number; readonly baseSequence: number }, value: Uint8Array): void {
    const { capacity, baseTimeMs } = readChunkShape(value)
    const chunk = new MessageChunk({ ...place, baseTimeMs, capacity }, makeColumns(capacity))
    restoreChunk(chunk, value)
    const chunks = this.#chunks.get(place.queueId)
    if (chunks === undefined) this.#chunks.set(place.queueId, [chunk])
    else chunks.push(chunk)
  }
}

/** A number from 0 to 2^53 - 1 over every record; the order of the records does not matter. O(state). */
export function hashState(state: MachineState): number {
  let low = 0
  let high = 0
  collectAll(state, (key, value) => {
    assert(value !== undefined, "a full collection removes nothing")
    const seed = hashBytes(key, 0x9747b28c)
    low = (low + hashBytes(value, seed)) >>> 0
    high = (high + hashBytes(value, seed ^ 0x5bd1e995)) >>> 0
  })
  return (high & 0x1f_ffff) * U32_RANGE + low
}

/** murmur3 x86_32 (Austin Appleby, public domain). */
function hashBytes(bytes: Uint8Array, seed: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const wordsEnd = bytes.length - (bytes.length % 4)
  let hash = seed | 0
  for (let at = 0; at < wordsEnd; at += 4) hash = mixWord(hash, view.getInt32(at, true))
  let tail = 0
  for (let at = bytes.length - 1; at >= wordsEnd; at--) tail = (tail << 8) | (bytes[at] as number)
  if (wordsEnd < bytes.length) hash = mixWord(hash, tail)
  hash ^= bytes.length
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

function mixWord(hash: number, word: number): number {
  let mixed = Math.imul(word, 0xcc9e2d51)
  mixed = (mixed << 15) | (mixed >>> 17)
  mixed = hash ^ Math.imul(mixed, 0x1b873593)
  mixed = (mixed << 13) | (mixed >>> 19)
  return (Math.imul(mixed, 5) + 0xe6546b64) | 0
}
