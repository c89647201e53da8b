/**
 * Dead-letter policies on the wire: CMQ's JSON text `deadLetterPolicy`, and the flat parameters of API 3.0 in lower
 * camel case, which mean the same. Source: cmq-api.md §3 CreateQueue, §5 [D:dlq].
 */
import { parseInteger } from "./integer.ts"
import { LIMITS, isQueueName, isWithin } from "./limits.ts"
import { accept, refuse } from "./reading.ts"
import type { ParameterMap, Reading } from "./reading.ts"

/** When a message leaves its queue for the dead-letter queue, and which that is. */
export type DeadLetterPolicy =
  | Readonly<{
      /** CMQ's policy 0: after so many receives without delete. */
      kind: "maxReceiveCount"
      deadLetterQueue: string
      /** 1..1000. */
      maxReceiveCount: number
    }>
  | Readonly<{
      /** CMQ's policy 1: at this age without delete. */
      kind: "maxTimeToLive"
      deadLetterQueue: string
      /** 300..43,200 s; must be below msgRetentionSeconds. */
      maxTimeToLiveSeconds: number
    }>

/** Longest policy text that is looked at, in UTF-16 units; a real one has about 120. */
const POLICY_LENGTH_MAX = 4_096

type PolicyFields = Readonly<Record<"policy" | "maxReceiveCount" | "maxTimeToLive", unknown>>

/**
 * The policy in a request's parameters: `deadLetterPolicy` when it is there and not empty, else the flat
 * `deadLetterQueueName`, `policy`, `maxReceiveCount`, `maxTimeToLive`.
 *
 * A missing `policy` counts as 0. Numbers in the JSON may be written as numbers or as text.
 *
 * @returns undefined inside `value` when the request has no policy; `deadLetterPolicyInvalid` with the reason, or
 * `queueNameInvalid`. Whether the queue exists, and may serve, only the machine knows.
 */
export function readDeadLetterPolicy(params: ParameterMap): Reading<DeadLetterPolicy | undefined> {
  const text = params.get("deadLetterPolicy") ?? ""
  if (text !== "") return parseDeadLetterPolicy(text)
  const deadLetterQueue = params.get("deadLetterQueueName") ?? ""
  if (deadLetterQueue === "") return accept(undefined)
  return policyOf(deadLetterQueue, {
    policy: params.get("policy"),
    maxReceiveCount: params.get("maxReceiveCount"),
    maxTimeToLive: params.get("maxTimeToLive"),
  })
}

/** The policy in a JSON text, such as GetQueueAttributes answers with; refusals as for `readDeadLetterPolicy`. */
export function parseDeadLetterPolicy(text: string): Reading<DeadLetterPolicy> {
  const fields = text.length <= POLICY_LENGTH_MAX ? parseObject(text) : undefined
  if (fields === undefined) return refuse("deadLetterPolicyInvalid", "it is not a JSON object")
  const deadLetterQueue = fields["deadLetterQueue"]
  if (typeof deadLetterQueue !== "string") return refuse("deadLetterPolicyInvalid", "deadLetterQueue is missing")
  return policyOf(deadLetterQueue, {
    policy: fields["policy"],
    maxReceiveCount: fields["maxReceiveCount"],
    maxTimeToLive: fields["maxTimeToLive"],
  })
}

function policyOf(deadLetterQueue: string, fields: PolicyFields): Reading<DeadLetterPolicy> {
  if (!isQueueName(deadLetterQueue)) return refuse("queueNameInvalid")
  const policy = numberOf(fields.policy ?? LIMITS.deadLetterPolicyKind.default)
  if (policy === 0) {
    const maxReceiveCount = numberOf(fields.maxReceiveCount)
    if (maxReceiveCount === undefined || !isWithin(LIMITS.maxReceiveCount, maxReceiveCount)) {
      return refuse("deadLetterPolicyInvalid", "policy 0 needs maxReceiveCount from 1 to 1000")
    }
    return accept({ kind: "maxReceiveCount", deadLetterQueue, maxReceiveCount })
  }
  if (policy === 1) {
    const maxTimeToLiveSeconds = numberOf(fields.maxTimeToLive)
    if (maxTimeToLiveSeconds === undefined || !isWithin(LIMITS.maxTimeToLiveSeconds, maxTimeToLiveSeconds)) {
      return refuse("deadLetterPolicyInvalid", "policy 1 needs maxTimeToLive from 300 to 43200 seconds")
    }
    return accept({ kind: "maxTimeToLive", deadLetterQueue, maxTimeToLiveSeconds })
  }
  return refuse("deadLetterPolicyInvalid", "policy must be 0 or 1")
}

/** The JSON text of a policy, in CMQ's spelling and key order: what GetQueueAttributes answers and the SDK sends. */
export function formatDeadLetterPolicy(policy: DeadLetterPolicy): string {
  const { deadLetterQueue } = policy
  if (policy.kind === "maxReceiveCount") {
    return JSON.stringify({ deadLetterQueue, policy: 0, maxReceiveCount: policy.maxReceiveCount })
  }
  return JSON.stringify({ deadLetterQueue, policy: 1, maxTimeToLive: policy.maxTimeToLiveSeconds })
}

function numberOf(value: unknown): number | undefined {
  if (typeof value === "number") return Number.isInteger(value) ? value : undefined
  return typeof value === "string" ? parseInteger(value) : undefined
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined
  return value as Readonly<Record<string, unknown>>
}
