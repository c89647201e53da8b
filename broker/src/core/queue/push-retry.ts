/**
 * When a message that its subscriber refused is tried again: CMQ's two strategies as arithmetic.
 *
 * - BACKOFF_RETRY: three retries, 10 to 20 s apart; then the message is dropped for this subscriber.
 * - EXPONENTIAL_DECAY_RETRY: 176 retries, 1, 2, 4 ... 256 s and then 512 s apart, one day in all; then dropped.
 *
 * Source: cmq-api.md section 5 (D:push; the API page says 19 to 29 s for the first).
 */
import type { NotifyStrategy } from "./command.ts"

const BACKOFF_RETRIES = 3
const BACKOFF_MIN_MS = 10_000
const BACKOFF_SPREAD_MS = 10_000
const DECAY_RETRIES = 176
const DECAY_FIRST_MS = 1000
const DECAY_LONGEST_MS = 512_000

/**
 * How long to wait after a failure, ms; undefined = give the message up.
 *
 * @param failureCount - from 1, of this message.
 * @param sequence - of the message: replicas have no dice, so the spread comes out of numbers that all of them know.
 */
export function retryGapMs(strategy: NotifyStrategy, failureCount: number, sequence: number): number | undefined {
  if (strategy === "backoff") {
    if (failureCount > BACKOFF_RETRIES) return undefined
    return BACKOFF_MIN_MS + (scrambled(sequence * 4 + failureCount) % (BACKOFF_SPREAD_MS + 1))
  }
  if (failureCount > DECAY_RETRIES) return undefined
  return Math.min(DECAY_FIRST_MS * 2 ** (failureCount - 1), DECAY_LONGEST_MS)
}

/** A whole number below 2^32 that looks like chance (murmur3's last step; Austin Appleby, public domain). */
function scrambled(value: number): number {
  let hash = value | 0
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
