/**
 * The rare commands (queues, topics, subscriptions, their attributes, key pairs) as JSON text inside their command frame.
 *
 * They are a few a day, so being readable in a log dump and open for new fields counts more than bytes. The text is
 * written field by field in a fixed order and read field by field: an unknown field is ignored, a missing or wrong
 * one is a `CodecError`, and nothing of the parsed object itself reaches the machine.
 */
import type {
  CancelRedrive,
  ClearQueue,
  CreateKey,
  CreateQueue,
  CreateTopic,
  DeadLetterPolicy,
  DeleteQueue,
  DeleteTopic,
  Endpoint,
  Expire,
  QueueAttributes,
  RedriveOrder,
  RevokeKey,
  RewindQueue,
  RotateKey,
  SetQueueAttributes,
  SetSubscriptionAttributes,
  SetTopicAttributes,
  StartRedrive,
  Subscribe,
  SubscriptionAttributes,
  TopicAttributes,
  UnbindDeadLetterQueue,
  Unsubscribe,
} from "../core/queue/command.ts"
import { CodecError } from "./codec-error.ts"

/** Every command that is not on the hot path. */
export type AdminCommand =
  | CreateQueue
  | SetQueueAttributes
  | DeleteQueue
  | ClearQueue
  | RewindQueue
  | UnbindDeadLetterQueue
  | Expire
  | StartRedrive
  | CancelRedrive
  | TopicCommand
  | KeyCommand

export type TopicCommand =
  CreateTopic | SetTopicAttributes | DeleteTopic | Subscribe | SetSubscriptionAttributes | Unsubscribe

export type KeyCommand = CreateKey | RotateKey | RevokeKey

/** Longest text of one administrative command. */
export const ADMIN_TEXT_BYTES_MAX = 16_384
const NAME_LENGTH_MAX = 256
const URL_LENGTH_MAX = 2048
const SEALED_LENGTH_MAX = 1024
/** Tags or binding keys of one subscription, permissions of one key. */
const TEXTS_MAX = 64

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
    case "cancelRedrive":
      return JSON.stringify({ queueName: command.queueName })
    case "startRedrive":
      return JSON.stringify({ queueName: command.queueName, order: plainOrder(command.order) })
    case "expire":
      return "{}"
    case "createTopic":
    case "setTopicAttributes":
    case "deleteTopic":
    case "subscribe":
    case "setSubscriptionAttributes":
    case "unsubscribe":
      return topicCommandText(command)
    case "createKey":
    case "rotateKey":
    case "revokeKey":
      return keyCommandText(command)
  }
}

function keyCommandText(command: KeyCommand): string {
  const { secretId } = command
  switch (command.kind) {
    case "createKey": {
      const { accountName, permissions, sealedSecret } = command
      return JSON.stringify({ secretId, accountName, permissions, sealedSecret })
    }
    case "rotateKey":
      return JSON.stringify({ secretId, newSecretId: command.newSecretId, sealedSecret: command.sealedSecret })
    case "revokeKey":
      return JSON.stringify({ secretId })
  }
}

function topicCommandText(command: TopicCommand): string {
  const { topicName } = command
  switch (command.kind) {
    case "createTopic":
      return JSON.stringify({ topicName, attributes: plainTopic(command.attributes) })
    case "setTopicAttributes":
      return JSON.stringify({ topicName, change: plainTopic(command.change) })
    case "deleteTopic":
      return JSON.stringify({ topicName })
    case "subscribe": {
      const { subscriptionName, endpoint, attributes } = command
      return JSON.stringify({ topicName, subscriptionName, endpoint, attributes: plainSubscription(attributes) })
    }
    case "setSubscriptionAttributes": {
      const { subscriptionName, change } = command
      return JSON.stringify({ topicName, subscriptionName, change: plainSubscription(change) })
    }
    case "unsubscribe":
      return JSON.stringify({ topicName, subscriptionName: command.subscriptionName })
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
    case "cancelRedrive":
      return { kind, queueName: nameIn(fields, "queueName") }
    case "startRedrive":
      return { kind, queueName: nameIn(fields, "queueName"), order: orderIn(objectIn(fields, "order")) }
    case "expire":
      return { kind }
    case "createTopic":
    case "setTopicAttributes":
    case "deleteTopic":
    case "subscribe":
    case "setSubscriptionAttributes":
    case "unsubscribe":
      return parseTopicCommand(kind, fields)
    case "createKey":
    case "rotateKey":
    case "revokeKey":
      return parseKeyCommand(kind, fields)
  }
}

function parseKeyCommand(kind: KeyCommand["kind"], fields: Json): KeyCommand {
  const secretId = nameIn(fields, "secretId")
  switch (kind) {
    case "createKey": {
      const permissions = textsIn(fields, "permissions")
      const sealedSecret = textIn(fields, "sealedSecret", SEALED_LENGTH_MAX)
      return { kind, secretId, accountName: nameIn(fields, "accountName"), permissions, sealedSecret }
    }
    case "rotateKey": {
      const sealedSecret = textIn(fields, "sealedSecret", SEALED_LENGTH_MAX)
      return { kind, secretId, newSecretId: nameIn(fields, "newSecretId"), sealedSecret }
    }
    case "revokeKey":
      return { kind, secretId }
  }
}

function parseTopicCommand(kind: TopicCommand["kind"], fields: Json): TopicCommand {
  const topicName = nameIn(fields, "topicName")
  switch (kind) {
    case "createTopic": {
      const { maxMsgBytes, msgRetentionMs, filterType } = topicIn(objectIn(fields, "attributes"))
      if (maxMsgBytes === undefined || msgRetentionMs === undefined || filterType === undefined) {
        throw new CodecError("a topic without all of its attributes")
      }
      return { kind, topicName, attributes: { maxMsgBytes, msgRetentionMs, filterType } }
    }
    case "setTopicAttributes": {
      const { maxMsgBytes, msgRetentionMs } = topicIn(objectIn(fields, "change"))
      const change = {
        ...(maxMsgBytes === undefined ? {} : { maxMsgBytes }),
        ...(msgRetentionMs === undefined ? {} : { msgRetentionMs }),
      }
      return { kind, topicName, change }
    }
    case "deleteTopic":
      return { kind, topicName }
    case "subscribe": {
      const subscriptionName = nameIn(fields, "subscriptionName")
      const endpoint = endpointIn(objectIn(fields, "endpoint"))
      return { kind, topicName, subscriptionName, endpoint, attributes: subscriptionIn(objectIn(fields, "attributes")) }
    }
    case "setSubscriptionAttributes": {
      const change = subscriptionChangeIn(objectIn(fields, "change"))
      return { kind, topicName, subscriptionName: nameIn(fields, "subscriptionName"), change }
    }
    case "unsubscribe":
      return { kind, topicName, subscriptionName: nameIn(fields, "subscriptionName") }
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

/** Field by field, so that the order is always the same. */
function plainTopic({ maxMsgBytes, filterType, msgRetentionMs }: Partial<TopicAttributes>): Json {
  return { maxMsgBytes, filterType, msgRetentionMs }
}

function plainSubscription(attributes: Partial<SubscriptionAttributes>): Json {
  const { notifyStrategy, notifyContentFormat, filterTags, bindingKeys } = attributes
  return { notifyStrategy, notifyContentFormat, filterTags, bindingKeys }
}

function plainOrder(order: RedriveOrder): Json {
  const { targetQueueName, sourceQueueName, enqueuedFromMs, enqueuedUntilMs, messagesPerSecond } = order
  return { targetQueueName, sourceQueueName, enqueuedFromMs, enqueuedUntilMs, messagesPerSecond }
}

function orderIn(fields: Json): RedriveOrder {
  return {
    targetQueueName: nameIn(fields, "targetQueueName"),
    sourceQueueName: nameIn(fields, "sourceQueueName"),
    enqueuedFromMs: numberIn(fields, "enqueuedFromMs"),
    enqueuedUntilMs: numberIn(fields, "enqueuedUntilMs"),
    messagesPerSecond: numberIn(fields, "messagesPerSecond"),
  }
}

function topicIn(fields: Json): Partial<TopicAttributes> {
  return {
    ...(has(fields, "maxMsgBytes") ? { maxMsgBytes: numberIn(fields, "maxMsgBytes") } : {}),
    ...(has(fields, "msgRetentionMs") ? { msgRetentionMs: numberIn(fields, "msgRetentionMs") } : {}),
    ...(has(fields, "filterType") ? { filterType: oneOf(["tags", "bindingKeys"], fields, "filterType") } : {}),
  }
}

function endpointIn(fields: Json): Endpoint {
  const kind = oneOf(["queue", "http"], fields, "kind")
  if (kind === "queue") return { kind, queueName: nameIn(fields, "queueName") }
  return { kind, url: textIn(fields, "url", URL_LENGTH_MAX) }
}

function subscriptionIn(fields: Json): SubscriptionAttributes {
  const { notifyStrategy, notifyContentFormat, filterTags, bindingKeys } = subscriptionChangeIn(fields)
  if (notifyStrategy === undefined || notifyContentFormat === undefined || filterTags === undefined) {
    throw new CodecError("a subscription without all of its attributes")
  }
  return { notifyStrategy, notifyContentFormat, filterTags, bindingKeys: bindingKeys ?? [] }
}

function subscriptionChangeIn(fields: Json): Partial<SubscriptionAttributes> {
  const change: { -readonly [K in keyof SubscriptionAttributes]?: SubscriptionAttributes[K] } = {}
  if (has(fields, "notifyStrategy")) {
    change.notifyStrategy = oneOf(["backoff", "exponentialDecay"], fields, "notifyStrategy")
  }
  if (has(fields, "notifyContentFormat")) {
    change.notifyContentFormat = oneOf(["json", "simplified"], fields, "notifyContentFormat")
  }
  if (has(fields, "filterTags")) change.filterTags = textsIn(fields, "filterTags")
  if (has(fields, "bindingKeys")) change.bindingKeys = textsIn(fields, "bindingKeys")
  return change
}

function oneOf<T extends string>(allowed: readonly T[], fields: Json, field: string): T {
  const found = allowed.find((value) => value === fields[field])
  if (found === undefined) throw new CodecError(`${field} is none of ${allowed.join(", ")}`)
  return found
}

function textsIn(fields: Json, field: string): readonly string[] {
  const values = fields[field]
  const isList = Array.isArray(values) && values.length <= TEXTS_MAX
  if (!isList || !values.every((value) => typeof value === "string" && value.length <= NAME_LENGTH_MAX)) {
    throw new CodecError(`${field} is not a list of names`)
  }
  return values as string[]
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
  return textIn(fields, field, NAME_LENGTH_MAX)
}

function textIn(fields: Json, field: string, lengthMax: number): string {
  const value = has(fields, field) ? fields[field] : undefined
  if (typeof value !== "string" || value.length > lengthMax) throw new CodecError(`${field} is not a name`)
  return value
}

function has(fields: Json, field: string): boolean {
  return Object.hasOwn(fields, field)
}
