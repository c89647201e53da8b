/**
 * Attributes of queues as the machine accepts them: whole numbers, and the rules between several of them and between
 * queues. Ranges of single values are checked at the edge; here they are only made harmless.
 */
import type { DeadLetterPolicy, QueueAttributes, SetQueueAttributes } from "./command.ts"
import type { MachineLimits } from "./machine-limits.ts"
import type { Refusal } from "./outcome.ts"
import type { QueueRegistry } from "./queue-registry.ts"
import type { Queue } from "./queue.ts"

/** Longest length of time, 100 years: sums of times stay exact. */
export const LENGTH_MAX_MS = 3_153_600_000_000
const COUNT_MAX = Number.MAX_SAFE_INTEGER

/** A whole number from 0 to `max`; anything that is no number becomes 0. Keeps `apply` total. */
export function wholeNumber(value: unknown, max: number): number {
  if (typeof value !== "number" || !(value > 0)) return 0
  return Math.min(Math.floor(value), max)
}

/** The same attributes with every value in a harmless range. */
export function normalised(attributes: QueueAttributes): QueueAttributes {
  return {
    maxMsgHeapCount: wholeNumber(attributes.maxMsgHeapCount, COUNT_MAX),
    pollingWaitMs: wholeNumber(attributes.pollingWaitMs, LENGTH_MAX_MS),
    visibilityTimeoutMs: wholeNumber(attributes.visibilityTimeoutMs, LENGTH_MAX_MS),
    maxMsgBytes: wholeNumber(attributes.maxMsgBytes, COUNT_MAX),
    msgRetentionMs: wholeNumber(attributes.msgRetentionMs, LENGTH_MAX_MS),
    rewindMs: wholeNumber(attributes.rewindMs, LENGTH_MAX_MS),
    deadLetterPolicy: normalisedPolicy(attributes.deadLetterPolicy),
  }
}

/** What the attributes become: what is present in the change replaces, `deadLetterPolicy: null` takes away. */
export function changedAttributes(attributes: QueueAttributes, change: SetQueueAttributes["change"]): QueueAttributes {
  const { deadLetterPolicy } = change
  return normalised({
    maxMsgHeapCount: change.maxMsgHeapCount ?? attributes.maxMsgHeapCount,
    pollingWaitMs: change.pollingWaitMs ?? attributes.pollingWaitMs,
    visibilityTimeoutMs: change.visibilityTimeoutMs ?? attributes.visibilityTimeoutMs,
    maxMsgBytes: change.maxMsgBytes ?? attributes.maxMsgBytes,
    msgRetentionMs: change.msgRetentionMs ?? attributes.msgRetentionMs,
    rewindMs: change.rewindMs ?? attributes.rewindMs,
    deadLetterPolicy: deadLetterPolicy === undefined ? attributes.deadLetterPolicy : (deadLetterPolicy ?? undefined),
  })
}

/** Whether both say the same about dead letters. */
export function isSamePolicy(a: DeadLetterPolicy | undefined, b: DeadLetterPolicy | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  if (a.deadLetterQueue !== b.deadLetterQueue) return false
  if (a.kind === "maxReceiveCount") return b.kind === a.kind && a.maxReceiveCount === b.maxReceiveCount
  return b.kind === a.kind && a.maxTimeToLiveMs === b.maxTimeToLiveMs
}

/** A queue that is to have these attributes; `existing` = undefined for one that is being created. */
export interface AttributesRequest {
  readonly queueName: string
  readonly existing: Queue | undefined
  readonly attributes: QueueAttributes
}

/**
 * Why the queue may not have these attributes; undefined when it may.
 *
 * Source of the dead-letter rules: CMQ dead letter page (cmq-api.md section 5): at most six sources, no chains, not
 * itself; `maxTimeToLive` below the retention.
 */
export function refuseAttributes(
  request: AttributesRequest,
  registry: QueueRegistry,
  limits: MachineLimits,
): Refusal | undefined {
  const { attributes, existing, queueName } = request
  if (attributes.rewindMs > attributes.msgRetentionMs) return "rewindExceedsRetention"
  const policy = attributes.deadLetterPolicy
  if (policy === undefined) return undefined
  if (policy.deadLetterQueue === queueName) return "deadLetterPolicyInvalid"
  if (existing !== undefined && existing.deadLetterSources.size > 0) return "deadLetterPolicyInvalid"
  if (policy.kind === "maxReceiveCount" && policy.maxReceiveCount < 1) return "deadLetterPolicyInvalid"
  if (policy.kind === "maxTimeToLive") {
    const isInRange = policy.maxTimeToLiveMs >= 1 && policy.maxTimeToLiveMs < attributes.msgRetentionMs
    if (!isInRange) return "deadLetterPolicyInvalid"
  }
  const target = registry.find(policy.deadLetterQueue)
  if (target === undefined) return "deadLetterQueueNotFound"
  if (target.attributes.deadLetterPolicy !== undefined) return "deadLetterPolicyInvalid"
  const isSource = existing !== undefined && target.deadLetterSources.has(existing)
  if (!isSource && target.deadLetterSources.size >= limits.deadLetterSources) return "deadLetterSourceLimit"
  return undefined
}

function normalisedPolicy(policy: DeadLetterPolicy | undefined): DeadLetterPolicy | undefined {
  if (policy?.kind === "maxReceiveCount") {
    const { kind, deadLetterQueue } = policy
    return { kind, deadLetterQueue, maxReceiveCount: wholeNumber(policy.maxReceiveCount, COUNT_MAX) }
  }
  if (policy?.kind === "maxTimeToLive") {
    const { kind, deadLetterQueue } = policy
    return { kind, deadLetterQueue, maxTimeToLiveMs: wholeNumber(policy.maxTimeToLiveMs, LENGTH_MAX_MS) }
  }
  return undefined
}
