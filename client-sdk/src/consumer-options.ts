/**
 * Options of the two ways to consume, their defaults, and what they share: where errors go that no promise carries.
 */
import { LIMITS } from "@opencmq/proto"
import type { Clock } from "./clock.ts"
import { argumentInvalid } from "./cmq-error.ts"
import type { Message } from "./message.ts"
import type { Poll } from "./message-feed.ts"

/** What a consumer was doing when something went wrong. */
export type ConsumerErrorContext = Readonly<{
  /**
   * `receive`: a poll failed, the next one comes after a pause. `handler`: it threw. `delete`, `retry`: settling
   * failed; unless it was applied, the message comes back when its visibility timeout ends. `extend`: an extension
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
  /** Default: a process warning for each. */
  onError?: ConsumerErrorHook
}>

/** What consuming works with. */
export type ConsumerTools = Readonly<{ clock: Clock; random: () => number; poll: Poll }>

/** Filled in. */
export type FetchSettings = Readonly<{
  visibilityTimeoutSeconds: number
  waitSeconds: number
  maxProcessingMs: number
}>

/**
 * Fills in the defaults.
 *
 * @throws CmqError `argumentInvalid` for a time outside its range.
 */
export function fetchSettings(options: FetchOptions): FetchSettings {
  const visibilityTimeoutSeconds = options.visibilityTimeoutSeconds ?? LIMITS.visibilityTimeoutSeconds.default
  checkRange("visibilityTimeoutSeconds", visibilityTimeoutSeconds, LIMITS.visibilityTimeoutSeconds)
  const waitSeconds = options.waitSeconds ?? 20
  checkRange("waitSeconds", waitSeconds, LIMITS.pollingWaitSeconds)
  return { visibilityTimeoutSeconds, waitSeconds, maxProcessingMs: (options.maxProcessingSeconds ?? 3_600) * 1_000 }
}

/** @throws CmqError `argumentInvalid` unless the value is a whole number within the range. */
export function checkRange(name: string, value: number, range: Readonly<{ min: number; max: number }>): void {
  if (Number.isInteger(value) && value >= range.min && value <= range.max) return
  throw argumentInvalid(`${name} is a whole number from ${String(range.min)} to ${String(range.max)}`)
}

/** Calls a user's hook; an error in it must not end the loop that reports. */
export function reportError(hook: ConsumerErrorHook | undefined, error: unknown, context: ConsumerErrorContext): void {
  try {
    if (hook !== undefined) hook(error, context)
    else process.emitWarning(`${context.during}: ${String(error)}`, "OpenCmqConsumerWarning")
  } catch (thrown) {
    process.emitWarning(`onError threw: ${String(thrown)}`, "OpenCmqConsumerWarning")
  }
}
