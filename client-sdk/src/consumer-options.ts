/**
 * Options of the two ways to consume, and their defaults.
 */
import { LIMITS } from "@opencmq/proto"
import { checkOptions, checkRange } from "./argument-check.ts"
import type { Clock } from "./clock.ts"
import type { Message } from "./message.ts"
import type { OpenStream } from "./feed.ts"
import type { Poll } from "./message-feed.ts"

/** What a consumer was doing when something went wrong. */
export type ConsumerErrorContext = Readonly<{
  /**
   * `receive`: a poll failed, the next one comes after a pause. `handler`: it threw. `delete`, `retry`: settling
   * failed; unless it was applied, the message comes back when its visibility timeout ends. `retry` too:
   * `retryDelaySeconds` threw or gave no number, the default is used. `extend`: an extension
   * failed and will be tried again. `lost`: the message is no longer ours, its handler's signal was aborted.
   */
  during: "receive" | "handler" | "delete" | "retry" | "extend" | "lost"
  message: Message | undefined
}>

/** Told of every error. What it throws itself is turned into a process warning. */
export type ConsumerErrorHook = (error: unknown, context: ConsumerErrorContext) => void

/** Options of every way to consume. */
export type FetchOptions = Readonly<{
  /** How long a received message is hidden; renewed at half time while it is held. 1 to 43,200 s, default 30. */
  visibilityTimeoutSeconds?: number
  /** Long poll: 0 to 30 s, default 20. */
  waitSeconds?: number
  /** Longest time with one message; then its renewals end and its signal aborts. Default 3,600 s. */
  maxProcessingSeconds?: number
  /** Ends it when aborted. */
  signal?: AbortSignal
  /** Default: process warnings, the same one at most once a minute, with a count. */
  onError?: ConsumerErrorHook
}>

/** What consuming works with. */
export type ConsumerTools = Readonly<{
  clock: Clock
  random: () => number
  poll: Poll
  openStream: OpenStream | undefined
}>

/** Filled in. */
export type FetchSettings = Readonly<{
  visibilityTimeoutSeconds: number
  waitSeconds: number
  maxProcessingMs: number
}>

/**
 * Fills in the defaults.
 *
 * @throws TypeError for options that are no object, RangeError for a time outside its range.
 */
export function fetchSettings(options: FetchOptions): FetchSettings {
  checkOptions("options", options)
  const visibilityTimeoutSeconds = options.visibilityTimeoutSeconds ?? LIMITS.visibilityTimeoutSeconds.default
  checkRange("visibilityTimeoutSeconds", visibilityTimeoutSeconds, LIMITS.visibilityTimeoutSeconds)
  const waitSeconds = options.waitSeconds ?? 20
  checkRange("waitSeconds", waitSeconds, LIMITS.pollingWaitSeconds)
  return { visibilityTimeoutSeconds, waitSeconds, maxProcessingMs: (options.maxProcessingSeconds ?? 3_600) * 1_000 }
}
