/**
 * The rare commands (queues and their attributes) as JSON text inside their command frame.
 *
 * They are a few a day, so being readable in a log dump and open for new fields counts more than bytes. The text is
 * written field by field in a fixed order and read field by field: an unknown field is ignored, a missing or wrong
 * one is a `CodecError`, and nothing of the parsed object itself reaches the machine.
 */
import type {
  ClearQueue,
  CreateQueue,
  DeadLetterPolicy,
  DeleteQueue,
  Expire,
  QueueAttributes,
  RewindQueue,
  SetQueueAttributes,
  UnbindDeadLetterQueue,
} from "../core/queue/command.ts"
import { CodecError } from "./codec-error.ts"

/** Every command that is not on the hot path. */
export type AdminCommand =
  CreateQueue | SetQueueAttributes | DeleteQueue | ClearQueue | RewindQueue | UnbindDeadLetterQueue | Expire

/** Longest text of one administrative command. */
export const ADMIN_TEXT_BYTES_MAX = 16_384
const NAME_LENGTH_MAX = 256

const numberFields = [
  "maxMsgHeapCount",
  "pollingWaitMs",
  "visibilityTimeoutMs",
  "maxMsgBytes",
  "msgRetentionMs",
  "rewindMs",
] as const satisfies readonly (keyof QueueAttributes)[]

type Json = Readonly<Record<string, unknown>>

/** The text of a command, without its kind (which is in the frame). */
export function adminCommandText(command: AdminCommand): string {
  switch (command.kind) {
    case "createQueue":
      return JSON.stringify({ queueName: command.queueName, attributes: plainAttributes(command.attributes) })
    case "setQueueAttributes":
      return JSON.stringify({ queueName: command.queueName, change: plainAttributes(command.change) })
    case "rewindQueue":
      return JSON.stringify({ queueName: command.queueName, startConsumeAtMs: command.startConsumeAtMs })
    case "deleteQueue":
    case "clearQueue":
    case "unbindDeadLetterQueue":
      return JSON.stringify({ queueName: command.queueName })
    case "expire":
      return "{}"
  }
}

/** The command again. Throws a CodecError for text that no version of `adminCommandText` wrote. */
export function parseAdminCommand(kind: AdminCommand["kind"], text: string): AdminCommand {
  const fields = parseObject(text)
  switch (kind) {
    case "createQueue":
      return {
        kind,
        queueName: nameIn(fields, "queueName"),
        attributes: wholeAttributes(objectIn(fields, "attributes")),
      }
    case "setQueueAttributes":
      return { kind, queueName: nameIn(fields, "queueName"), change: partialAttributes(objectIn(fields, "change")) }
    case "rewindQueue":
      return {
        kind,
        queueName: nameIn(fields, "queueName"),
        startConsumeAtMs: numberIn(fields, "startConsumeAtMs"),
      }
    case "deleteQueue":
    case "clearQueue":
    case "unbindDeadLetterQueue":
      return { kind, queueName: nameIn(fields, "queueName") }
    case "expire":
      return { kind }
  }
}

function plainAttributes(attributes: SetQueueAttributes["change"] | QueueAttributes): Json {
  const plain: Record<string, unknown> = {}
  for (const field of numberFields) if (attributes[field] !== undefined) plain[field] = attributes[field]
  const policy = attributes.deadLetterPolicy
  if (policy === null) plain["deadLetterPolicy"] = null
  if (policy?.kind === "maxReceiveCount") {
    const { kind, deadLetterQueue, maxReceiveCount } = policy
    plain["deadLetterPolicy"] = { kind, deadLetterQueue, maxReceiveCount }
  }
  if (policy?.kind === "maxTimeToLive") {
    const { kind, deadLetterQueue, maxTimeToLiveMs } = policy
    plain["deadLetterPolicy"] = { kind, deadLetterQueue, maxTimeToLiveMs }
  }
  return plain
}

function wholeAttributes(fields: Json): QueueAttributes {
  return {
    maxMsgHeapCount: numberIn(fields, "maxMsgHeapCount"),
    pollingWaitMs: numberIn(fields, "pollingWaitMs"),
    visibilityTimeoutMs: numberIn(fields, "visibilityTimeoutMs"),
    maxMsgBytes: numberIn(fields, "maxMsgBytes"),
    msgRetentionMs: numberIn(fields, "msgRetentionMs"),
    rewindMs: numberIn(fields, "rewindMs"),
    deadLetterPolicy: has(fields, "deadLetterPolicy") ? policyIn(objectIn(fields, "deadLetterPolicy")) : undefined,
  }
}

function partialAttributes(fields: Json): SetQueueAttributes["change"] {
  const change: { -readonly [K in keyof SetQueueAttributes["change"]]: SetQueueAttributes["change"][K] } = {}
  for (const field of numberFields) if (has(fields, field)) change[field] = numberIn(fields, field)
  if (has(fields, "deadLetterPolicy")) {
    const isUnbind = fields["deadLetterPolicy"] === null
    change.deadLetterPolicy = isUnbind ? null : policyIn(objectIn(fields, "deadLetterPolicy"))
  }
  return change
}

function policyIn(fields: Json): DeadLetterPolicy {
  const deadLetterQueue = nameIn(fields, "deadLetterQueue")
  const kind = fields["kind"]
  if (kind === "maxReceiveCount") return { kind, deadLetterQueue, maxReceiveCount: numberIn(fields, "maxReceiveCount") }
  if (kind === "maxTimeToLive") return { kind, deadLetterQueue, maxTimeToLiveMs: numberIn(fields, "maxTimeToLiveMs") }
  throw new CodecError("a dead-letter policy of an unknown kind")
}

function parseObject(text: string): Json {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new CodecError("an administrative command that is not JSON", { cause })
  }
  return asObject(value)
}

function objectIn(fields: Json, field: string): Json {
  return asObject(fields[field])
}

function asObject(value: unknown): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new CodecError("an administrative command with a field that is not an object")
  }
  return value as Json
}

function numberIn(fields: Json, field: string): number {
  const value = has(fields, field) ? fields[field] : undefined
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    throw new CodecError(`${field} is not a whole number`)
  }
  return value
}

function nameIn(fields: Json, field: string): string {
  const value = has(fields, field) ? fields[field] : undefined
  if (typeof value !== "string" || value.length > NAME_LENGTH_MAX) throw new CodecError(`${field} is not a name`)
  return value
}

function has(fields: Json, field: string): boolean {
  return Object.hasOwn(fields, field)
}
