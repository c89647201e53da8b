/**
 * How long a message stays hidden after its handler threw. At once would be a hot loop: a message that nobody can work
 * with comes round as fast as the network allows.
 */
import { LIMITS } from "@opencmq/proto"
import { checkRange, typeError } from "./argument-check.ts"
import type { Message } from "./message.ts"

/** Whole seconds, or how to find them. */
export type RetryDelay = number | ((message: Message, error: unknown) => number)

/** Longest delay that is chosen here. Seconds. */
const BACKOFF_SECONDS_MAX = 60
/** Doublings after which it is reached for sure. */
const DOUBLINGS_MAX = 10

/**
 * The default: 1 s, 2 s, 4 s … up to 60 s, each less up to its half, so that messages that failed together do not come
 * back together. Whole seconds, as the wire has no others.
 *
 * @param dequeueCount - times received, from 1; 0 when the server does not say.
 * @param random - from 0 to below 1.
 */
export function backoffSeconds(dequeueCount: number, random: number): number {
  const doublings = Math.min(Math.max(0, dequeueCount - 1), DOUBLINGS_MAX)
  const longest = Math.min(BACKOFF_SECONDS_MAX, 2 ** doublings)
  const shortest = Math.ceil(longest / 2)
  return shortest + Math.floor(random * (longest - shortest + 1))
}

/** @throws TypeError or RangeError for an option that can be no delay. */
export function checkRetryDelay(given: unknown): void {
  if (given === undefined || typeof given === "function") return
  if (typeof given !== "number") throw typeError("retryDelaySeconds", "a number or a function", given)
  checkRange("retryDelaySeconds", given, LIMITS.changeVisibilitySeconds)
}

/**
 * What a user's function gave, as the wire takes it: whole seconds, not more than a message can be hidden.
 *
 * @throws RangeError when it is negative or no number.
 */
export function wholeDelaySeconds(given: number): number {
  if (given >= 0) return Math.min(Math.ceil(given), LIMITS.changeVisibilitySeconds.max)
  throw new RangeError(`retryDelaySeconds must give a number of seconds, 0 or more; it gave ${String(given)}`)
}
