/**
 * Client message ids of the last minutes, so that a send that is repeated is answered and not stored again.
 *
 * A ring of numbered entries (in pages that are made and dropped as the ring moves on) in the order of sending, which
 * is also the order in which they expire, and an open-addressing hash table over the ring. The pages are part of the
 * replicated state and of its checkpoint; the table is rebuilt. Log time decides what is expired, never a clock.
 */
import { assert } from "../assert.ts"

/** Entries written down together. */
export const IDS_PER_PAGE = 4096
/** 32-bit words of a client message id. */
export const ID_WORDS = 4
const INITIAL_TABLE = 1024
/** The table holds ring numbers modulo this, plus one; far more than there can be at a time. */
const NUMBER_RANGE = 2 ** 31
const NOT_FOUND = -1

/** The id to look for: words `firstWord .. firstWord + 3` of the list. */
export interface DeduplicationKey {
  queueId: number
  words: readonly number[]
  firstWord: number
}

/** Where the first message with the id was stored, and until when that is remembered. */
export interface DeduplicationValue {
  entryIndex: number
  ordinal: number
  /** Unix ms of log time. */
  expiresAtMs: number
}

/** All columns are persisted. */
export interface DeduplicationPage {
  readonly queueIds: Uint32Array
  readonly words: Uint32Array
  readonly entryIndexes: Float64Array
  readonly ordinals: Uint32Array
  readonly expiresAtMs: Float64Array
}

export class Deduplication {
  readonly #capacity: number
  readonly #pages = new Map<number, DeduplicationPage>()
  #table = new Uint32Array(INITIAL_TABLE)
  /** Ring numbers in use: `first .. next - 1`. Persisted in the meta record. */
  #first = 0
  #next = 0
  /** Ids forgotten before their time because there were too many. Persisted in the meta record. */
  evictedCount = 0
  readonly #dirtyPages = new Set<number>()
  readonly #storedPages = new Set<number>()

  /** @param capacity ids remembered at most. */
  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get size(): number {
    return this.#next - this.#first
  }

  get first(): number {
    return this.#first
  }

  get next(): number {
    return this.#next
  }

  /** Number of the entry with this id that is not expired; -1 when there is none. */
  find(key: DeduplicationKey, nowMs: number): number {
    const mask = this.#table.length - 1
    for (let at = hashKey(key) & mask; this.#table[at] !== 0; at = (at + 1) & mask) {
      const number = this.#numberAt(at)
      if (this.#isKey(number, key) && this.#expiresAtMs(number) > nowMs) return number
    }
    return NOT_FOUND
  }

  entryIndex(number: number): number {
    return this.#page(number).entryIndexes[number % IDS_PER_PAGE] as number
  }

  ordinal(number: number): number {
    return this.#page(number).ordinals[number % IDS_PER_PAGE] as number
  }

  /** Remembers an id that `find` did not find. May go over the capacity until `evict`. */
  add(key: DeduplicationKey, value: DeduplicationValue): void {
    const number = this.#next++
    const pageNumber = Math.floor(number / IDS_PER_PAGE)
    let page = this.#pages.get(pageNumber)
    if (page === undefined) {
      page = makePage()
      this.#pages.set(pageNumber, page)
    }
    const offset = number % IDS_PER_PAGE
    page.queueIds[offset] = key.queueId
    for (let word = 0; word < ID_WORDS; word++) {
      page.words[offset * ID_WORDS + word] = key.words[key.firstWord + word] ?? 0
    }
    page.entryIndexes[offset] = value.entryIndex
    page.ordinals[offset] = value.ordinal
    page.expiresAtMs[offset] = value.expiresAtMs
    this.#dirtyPages.add(pageNumber)
    if (isFull(this.size, this.#table.length)) this.#rebuildTable(this.#table.length * 2)
    else this.#insert(number)
  }

  /** Forgets everything from this ring number on, as if it had never been added. */
  rollBack(next: number): void {
    while (this.#next > next) {
      this.#removeFromTable(this.#next - 1)
      this.#next--
      if (this.#next % IDS_PER_PAGE === 0) this.#dropPage(this.#next / IDS_PER_PAGE)
    }
  }

  /** Forgets the oldest ids above the capacity. */
  evict(): void {
    while (this.size > this.#capacity) {
      this.#removeFirst()
      this.evictedCount++
    }
  }

  /** Forgets at most `maxCount` ids whose time is over. Returns how many. */
  expire(nowMs: number, maxCount: number): number {
    let count = 0
    while (count < maxCount && this.size > 0) {
      if (this.#expiresAtMs(this.#first) > nowMs) break
      this.#removeFirst()
      count++
    }
    return count
  }

  /** Pages to be written and pages to be removed from the checkpoint. Marks everything clean. */
  takeDirtyPages(): { readonly changed: readonly number[]; readonly removed: readonly number[] } {
    const changed = [...this.#dirtyPages].filter((page) => this.#pages.has(page))
    const removed = [...this.#dirtyPages].filter((page) => !this.#pages.has(page) && this.#storedPages.delete(page))
    for (const page of changed) this.#storedPages.add(page)
    this.#dirtyPages.clear()
    return { changed, removed }
  }

  /** Page numbers, ascending. */
  pageNumbers(): readonly number[] {
    return [...this.#pages.keys()].sort((a, b) => a - b)
  }

  /** Columns of a page and how many of its entries are used; entries before `first` are in them, too. */
  pageContent(pageNumber: number): { readonly page: DeduplicationPage; readonly count: number } {
    const page = this.#pages.get(pageNumber)
    assert(page !== undefined, "the page exists")
    return { page, count: Math.min(IDS_PER_PAGE, this.#next - pageNumber * IDS_PER_PAGE) }
  }

  restorePage(pageNumber: number): DeduplicationPage {
    const page = makePage()
    this.#pages.set(pageNumber, page)
    this.#storedPages.add(pageNumber)
    return page
  }

  /** Last step of a restore: every number of the ring is in a page that was restored. */
  restoreRing(first: number, next: number): void {
    this.#checkRing(first, next)
    this.#first = first
    this.#next = next
    let size = INITIAL_TABLE
    while (isFull(this.size, size)) size *= 2
    this.#rebuildTable(size)
  }

  /** Before anything is made as large as the ring says it is. */
  #checkRing(first: number, next: number): void {
    const isRing = Number.isSafeInteger(first) && Number.isSafeInteger(next) && first >= 0 && first <= next
    if (!isRing) throw new RangeError("corrupt checkpoint: the ring of client message ids")
    // An empty ring needs no page, wherever it stands.
    if (first === next) return
    const firstPage = Math.floor(first / IDS_PER_PAGE)
    const pageCount = Math.ceil(next / IDS_PER_PAGE) - firstPage
    const isThere = pageCount <= this.#pages.size && everyNumber(pageCount, (at) => this.#pages.has(firstPage + at))
    if (!isThere) throw new RangeError("corrupt checkpoint: a page of client message ids is missing")
  }

  #expiresAtMs(number: number): number {
    return this.#page(number).expiresAtMs[number % IDS_PER_PAGE] as number
  }

  #removeFirst(): void {
    this.#removeFromTable(this.#first)
    this.#first++
    if (this.#first % IDS_PER_PAGE === 0) this.#dropPage(this.#first / IDS_PER_PAGE - 1)
  }

  #dropPage(pageNumber: number): void {
    this.#pages.delete(pageNumber)
    this.#dirtyPages.add(pageNumber)
  }

  #page(number: number): DeduplicationPage {
    const page = this.#pages.get(Math.floor(number / IDS_PER_PAGE))
    assert(page !== undefined, "a remembered id has a page")
    return page
  }

  #isKey(number: number, key: DeduplicationKey): boolean {
    const page = this.#page(number)
    const offset = number % IDS_PER_PAGE
    if (page.queueIds[offset] !== key.queueId) return false
    for (let word = 0; word < ID_WORDS; word++) {
      if (page.words[offset * ID_WORDS + word] !== key.words[key.firstWord + word]) return false
    }
    return true
  }

  #insert(number: number): void {
    const mask = this.#table.length - 1
    let at = this.#hashOf(number) & mask
    while (this.#table[at] !== 0) at = (at + 1) & mask
    this.#table[at] = (number % NUMBER_RANGE) + 1
  }

  /** Takes one out and moves the followers up, so that no probe ends too early. */
  #removeFromTable(number: number): void {
    const table = this.#table
    const mask = table.length - 1
    const stored = (number % NUMBER_RANGE) + 1
    let hole = this.#hashOf(number) & mask
    while (table[hole] !== stored) {
      assert(table[hole] !== 0, "a remembered id is in the table")
      hole = (hole + 1) & mask
    }
    for (let at = (hole + 1) & mask; table[at] !== 0; at = (at + 1) & mask) {
      const home = this.#hashOf(this.#numberAt(at)) & mask
      if (((at - home) & mask) < ((at - hole) & mask)) continue
      table[hole] = table[at] as number
      hole = at
    }
    table[hole] = 0
  }

  #rebuildTable(size: number): void {
    const table = new Uint32Array(size)
    const mask = size - 1
    // Page by page: a million ids are looked up in no map.
    for (let number = this.#first; number < this.#next;) {
      const page = this.#page(number)
      const end = Math.min(this.#next, (Math.floor(number / IDS_PER_PAGE) + 1) * IDS_PER_PAGE)
      for (; number < end; number++) {
        let at = hashAt(page, number % IDS_PER_PAGE) & mask
        while (table[at] !== 0) at = (at + 1) & mask
        table[at] = (number % NUMBER_RANGE) + 1
      }
    }
    this.#table = table
  }

  #numberAt(at: number): number {
    const low = (this.#table[at] as number) - 1
    const ahead = (low - (this.#first % NUMBER_RANGE) + NUMBER_RANGE) % NUMBER_RANGE
    return this.#first + ahead
  }

  #hashOf(number: number): number {
    return hashAt(this.#page(number), number % IDS_PER_PAGE)
  }
}

function everyNumber(count: number, test: (number: number) => boolean): boolean {
  for (let number = 0; number < count; number++) if (!test(number)) return false
  return true
}

/** A table above two thirds grows: the default capacity, a power of two, then fits one twice its size. */
function isFull(size: number, tableLength: number): boolean {
  return size * 3 > tableLength * 2
}

function hashAt(page: DeduplicationPage, offset: number): number {
  let hash = page.queueIds[offset] as number
  for (let word = 0; word < ID_WORDS; word++) hash = mix(hash, page.words[offset * ID_WORDS + word] as number)
  return hash >>> 0
}

function hashKey(key: DeduplicationKey): number {
  let hash = key.queueId
  for (let word = 0; word < ID_WORDS; word++) hash = mix(hash, key.words[key.firstWord + word] ?? 0)
  return hash >>> 0
}

function mix(hash: number, word: number): number {
  let mixed = Math.imul(hash ^ word, 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return mixed ^ (mixed >>> 16)
}

function makePage(): DeduplicationPage {
  return {
    queueIds: new Uint32Array(IDS_PER_PAGE),
    words: new Uint32Array(IDS_PER_PAGE * ID_WORDS),
    entryIndexes: new Float64Array(IDS_PER_PAGE),
    ordinals: new Uint32Array(IDS_PER_PAGE),
    expiresAtMs: new Float64Array(IDS_PER_PAGE),
  }
}
