/**
 * Client message ids as the machine keeps them: 128 bits, four 32-bit words.
 *
 * An id of up to 16 bytes keeps its exact bytes (zero-padded, with its length mixed in); a longer one is hashed with
 * murmur3 x86_128. The hash is not cryptographic: a producer that searches for collisions can only make its own sends
 * look repeated. The full id stays in the message record. The words are part of the replicated state, so this file
 * may never change what it computes.
 */
import { CodecError } from "./codec-error.ts"

/** Words a client id is made into. */
export const CLIENT_ID_WORDS = 4

const EXACT_BYTES = 16
const LENGTH_FACTOR = 0x9e3779b1
const C1 = 0x239b961b
const C2 = 0xab0e9789
const C3 = 0x38b34ae5
const C4 = 0xa1e38b93

/** Where an id lies and where its words go. */
export interface ClientIdPlace {
  readonly bytes: Uint8Array
  readonly at: number
  /** From 1. */
  readonly length: number
}

/** Writes the four words of the id to `words[firstWord ..]`, as unsigned 32-bit numbers. */
export function readClientIdWords(place: ClientIdPlace, words: number[], firstWord: number): void {
  const { bytes, at, length } = place
  if (length < 1 || at + length > bytes.length) throw new CodecError("a client message id outside its record")
  if (length <= EXACT_BYTES) {
    for (let word = 0; word < CLIENT_ID_WORDS; word++) words[firstWord + word] = paddedWord(place, word * 4)
    const last = firstWord + CLIENT_ID_WORDS - 1
    words[last] = ((words[last] as number) ^ Math.imul(length, LENGTH_FACTOR)) >>> 0
    return
  }
  hashLongId(place, words, firstWord)
}

/** Little-endian word at `from` of the id; bytes behind its end count as zero. */
function paddedWord({ bytes, at, length }: ClientIdPlace, from: number): number {
  let word = 0
  for (let byte = Math.min(3, length - from - 1); byte >= 0; byte--) {
    word = (word << 8) | (bytes[at + from + byte] as number)
  }
  return word >>> 0
}

/** murmur3 x86_128, seed 0 (Austin Appleby, public domain). */
function hashLongId(place: ClientIdPlace, words: number[], firstWord: number): void {
  const { length } = place
  let h1 = 0
  let h2 = 0
  let h3 = 0
  let h4 = 0
  const blocksEnd = length - (length % 16)
  for (let from = 0; from < blocksEnd; from += 16) {
    h1 ^= mixWord(paddedWord(place, from), 0)
    h1 = (Math.imul(rotate(h1, 19) + h2, 5) + 0x561ccd1b) | 0
    h2 ^= mixWord(paddedWord(place, from + 4), 1)
    h2 = (Math.imul(rotate(h2, 17) + h3, 5) + 0x0bcaa747) | 0
    h3 ^= mixWord(paddedWord(place, from + 8), 2)
    h3 = (Math.imul(rotate(h3, 15) + h4, 5) + 0x96cd1c35) | 0
    h4 ^= mixWord(paddedWord(place, from + 12), 3)
    h4 = (Math.imul(rotate(h4, 13) + h1, 5) + 0x32ac3b17) | 0
  }
  // The tail: a word of zeros changes nothing, so the padded words do what the reference's switch does.
  h4 ^= mixWord(paddedWord(place, blocksEnd + 12), 3)
  h3 ^= mixWord(paddedWord(place, blocksEnd + 8), 2)
  h2 ^= mixWord(paddedWord(place, blocksEnd + 4), 1)
  h1 ^= mixWord(paddedWord(place, blocksEnd), 0)
  h1 ^= length
  h2 ^= length
  h3 ^= length
  h4 ^= length
  h1 = (h1 + h2 + h3 + h4) | 0
  h2 = finish((h2 + h1) | 0)
  h3 = finish((h3 + h1) | 0)
  h4 = finish((h4 + h1) | 0)
  h1 = finish(h1)
  h1 = (h1 + h2 + h3 + h4) | 0
  words[firstWord] = h1 >>> 0
  words[firstWord + 1] = (h2 + h1) >>> 0
  words[firstWord + 2] = (h3 + h1) >>> 0
  words[firstWord + 3] = (h4 + h1) >>> 0
}

function mixWord(word: number, lane: 0 | 1 | 2 | 3): number {
  switch (lane) {
    case 0:
      return Math.imul(rotate(Math.imul(word, C1), 15), C2)
    case 1:
      return Math.imul(rotate(Math.imul(word, C2), 16), C3)
    case 2:
      return Math.imul(rotate(Math.imul(word, C3), 17), C4)
    case 3:
      return Math.imul(rotate(Math.imul(word, C4), 18), C1)
  }
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits))
}

function finish(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}
