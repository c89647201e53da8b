/**
 * Load in closed loops: so many loops, each with one request under way. How hard it presses is the number of loops.
 */
import { randomBytes } from "node:crypto"
import type { Queue } from "@opencmq/client-sdk"
import { LatencyHistogram } from "./percentiles.ts"

/** Messages of a request, as CMQ allows. */
export const BATCH_COUNT = 16

/** Ends loops: by time, by count, or both. */
export interface LoopLimits {
  /** `performance.now()`. */
  readonly untilMs: number
  readonly messages: number
}

/** What loops did. */
export interface LoopResult {
  readonly messages: number
  readonly elapsedMs: number
  /** Of requests of 16 messages. */
  readonly latency: LatencyHistogram
}

/** Texts of so many bytes; a few different ones, made beforehand, so that the client's own work stays small. */
export function bodiesOf(bytes: number): readonly string[] {
  return Array.from({ length: 64 }, () =>
    randomBytes(Math.ceil((bytes * 3) / 4))
      .toString("base64url")
      .slice(0, bytes),
  )
}

/** Sends batches of 16 in `loops` loops until a limit is reached. */
export async function sendLoops(
  queue: Queue,
  setup: {
    readonly loops: number
    readonly bodies: readonly string[]
    readonly limits: LoopLimits
    readonly onSent?: (messages: number) => void
  },
): Promise<LoopResult> {
  const latency = new LatencyHistogram()
  const startMs = performance.now()
  let begun = 0
  let done = 0
  const loop = async (first: number): Promise<void> => {
    for (let turn = first; performance.now() < setup.limits.untilMs && begun < setup.limits.messages; turn += 1) {
      const count = Math.min(BATCH_COUNT, setup.limits.messages - begun)
      begun += count
      const batch = Array.from(
        { length: count },
        (_, index) => setup.bodies[(turn + index) % setup.bodies.length] ?? "x",
      )
      const sentAtMs = performance.now()
      await queue.sendBatch(batch)
      latency.record(performance.now() - sentAtMs)
      done += count
      setup.onSent?.(done)
    }
  }
  await Promise.all(Array.from({ length: setup.loops }, (_, index) => loop(index)))
  return { messages: done, elapsedMs: performance.now() - startMs, latency }
}

/**
 * Receives and deletes batches of 16 in `loops` loops, until `isOver` says so.
 *
 * @param setup - `isOver` is told how many messages were deleted, and whether this receive found none.
 */
export async function receiveLoops(
  queue: Queue,
  setup: { readonly loops: number; readonly isOver: (deleted: number, wasEmpty: boolean) => boolean },
): Promise<LoopResult> {
  const latency = new LatencyHistogram()
  const startMs = performance.now()
  let deleted = 0
  let isOver = false
  const loop = async (): Promise<void> => {
    while (!isOver) {
      const askedAtMs = performance.now()
      const messages = await queue.receiveBatch({ max: BATCH_COUNT, waitSeconds: 1 })
      if (messages.length > 0) {
        await queue.deleteBatch(messages)
        latency.record(performance.now() - askedAtMs)
        deleted += messages.length
      }
      isOver ||= setup.isOver(deleted, messages.length === 0)
    }
  }
  await Promise.all(Array.from({ length: setup.loops }, loop))
  return { messages: deleted, elapsedMs: performance.now() - startMs, latency }
}
