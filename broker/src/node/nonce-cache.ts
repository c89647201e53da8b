/**
 * Remembers requests for a while, so that a copy of one is refused (ADR 0013).
 *
 * What is remembered is the signature: it is the HMAC over Timestamp, Nonce and everything else, made with a key that
 * the copier does not have, so it is the whole request in 160 or 256 random-looking bits. 62 of them are kept: two
 * different requests of one window are taken for one with a probability of about 10^-12.
 *
 * Two generations: a request is remembered for at least one window and at most two. Memory: 8 bytes a request at a
 * load of 3/8 to 3/4, bounded per key; a full memory refuses ("full") instead of forgetting.
 */

/** What `remember` found. */
export type NonceVerdict = "fresh" | "replayed" | "full"

/** Bounds of a cache. */
export interface NonceCacheOptions {
  /** How long a copy is refused at least. */
  readonly windowMs: number
  /** Requests of one key in one window. */
  readonly maxEntriesPerKey: number
}

/** 64 small tables instead of one large: growing one of them never takes more than about a millisecond. */
const SHARD_BITS = 6
const SHARD_COUNT = 1 << SHARD_BITS
const FIRST_SLOTS = 64
const LOAD_MAX = 0.75

/** Six bits of each base64 character. */
const BASE64 = new Uint8Array(128)
for (let value = 0; value < 64; value++) {
  BASE64["ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".charCodeAt(value)] = value
}

/** Used by one node for its own clients; time is told. */
export class NonceCache {
  private readonly options: NonceCacheOptions
  /** By SecretId: only keys that exist get here; of those that do not any more the memory goes after two windows. */
  private readonly memories = new Map<string, KeyMemory>()

  constructor(options: NonceCacheOptions) {
    this.options = options
  }

  /**
   * Looks for a request and remembers it.
   *
   * @param signature - base64, at least 28 characters, already found to be right.
   */
  remember(secretId: string, signature: string, nowMs: number): NonceVerdict {
    let memory = this.memories.get(secretId)
    if (memory === undefined) {
      this.forgetIdle(nowMs)
      memory = new KeyMemory(nowMs)
      this.memories.set(secretId, memory)
    }
    memory.turn(nowMs, this.options.windowMs)
    const place = bits(signature, 0, 5)
    const tag = bits(signature, 5, 6) >>> 0 || 1
    if (memory.has(place, tag)) return "replayed"
    if (memory.count >= this.options.maxEntriesPerKey) return "full"
    memory.add(place, tag)
    return "fresh"
  }

  /** Keys of which anything is remembered. */
  keyCount(): number {
    return this.memories.size
  }

  /** Keys come and go; what is remembered of one that is silent for so long refuses nothing any more. O(keys). */
  private forgetIdle(nowMs: number): void {
    for (const [secretId, memory] of this.memories) {
      if (memory.isOver(nowMs, this.options.windowMs)) this.memories.delete(secretId)
    }
  }

  /** Requests remembered in the newest generation, all keys. */
  entryCount(): number {
    let count = 0
    for (const memory of this.memories.values()) count += memory.count
    return count
  }
}

/** The bits of `length` base64 characters as a 32-bit number (the upper ones fall off). */
function bits(text: string, start: number, length: number): number {
  let value = 0
  for (let index = start; index < start + length; index++) {
    value = (value << 6) | (BASE64[text.charCodeAt(index) & 0x7f] ?? 0)
  }
  return value
}

class KeyMemory {
  private newer = makeShards()
  private older = makeShards()
  private turnedAtMs: number
  /** Entries of the newer generation. */
  count = 0

  constructor(nowMs: number) {
    this.turnedAtMs = nowMs
  }

  /** Whether nothing that came can be in it any more. */
  isOver(nowMs: number, windowMs: number): boolean {
    return nowMs - this.turnedAtMs >= 2 * windowMs
  }

  turn(nowMs: number, windowMs: number): void {
    const age = nowMs - this.turnedAtMs
    if (age < windowMs) return
    this.older = age < 2 * windowMs ? this.newer : makeShards()
    this.newer = makeShards()
    this.count = 0
    this.turnedAtMs = nowMs
  }

  has(place: number, tag: number): boolean {
    return shardOf(this.newer, place).has(place, tag) || shardOf(this.older, place).has(place, tag)
  }

  add(place: number, tag: number): void {
    shardOf(this.newer, place).add(place, tag)
    this.count++
  }
}

function makeShards(): readonly Shard[] {
  return Array.from({ length: SHARD_COUNT }, () => new Shard())
}

function shardOf(shards: readonly Shard[], place: number): Shard {
  // The shift leaves 0..63, and there are 64.
  return shards[(place >>> (30 - SHARD_BITS)) & (SHARD_COUNT - 1)] as Shard
}

/** A set of (place, tag) by open addressing; tag 0 = an empty slot. Nothing is ever taken out. */
class Shard {
  private tags: Uint32Array | undefined
  private places: Uint32Array | undefined
  private count = 0

  has(place: number, tag: number): boolean {
    const { tags } = this
    if (tags === undefined) return false
    const mask = tags.length - 1
    for (let slot = place & mask; ; slot = (slot + 1) & mask) {
      const found = tags[slot]
      if (found === tag && this.places?.[slot] === place) return true
      if (found === 0) return false
    }
  }

  add(place: number, tag: number): void {
    if (this.tags === undefined || this.count >= this.tags.length * LOAD_MAX) this.grow()
    const { tags, places } = this
    if (tags === undefined || places === undefined) return
    const mask = tags.length - 1
    let slot = place & mask
    while (tags[slot] !== 0) slot = (slot + 1) & mask
    tags[slot] = tag
    places[slot] = place
    this.count++
  }

  private grow(): void {
    const { tags: oldTags, places: oldPlaces } = this
    const slots = oldTags === undefined ? FIRST_SLOTS : oldTags.length * 2
    this.tags = new Uint32Array(slots)
    this.places = new Uint32Array(slots)
    this.count = 0
    if (oldTags === undefined || oldPlaces === undefined) return
    for (let slot = 0; slot < oldTags.length; slot++) {
      const tag = oldTags[slot] as number
      if (tag !== 0) this.add(oldPlaces[slot] as number, tag)
    }
  }
}
