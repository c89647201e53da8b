/**
 * Checks the fields of a request one by one and remembers the first that is wrong: the checks that need no state, with the
 * ranges of `LIMITS` and the refusals of the error table, as `readParameters` makes them for the HTTP face. Each method
 * gives a value that can be used, so that reading goes straight through; `refusal` is looked at once, at the end.
 */
import {
  LIMITS,
  checkAttributes,
  checkKey,
  checkTags,
  decodeReceiptHandle,
  isQueueName,
  isWithin,
} from "@opencmq/proto"
import type { ErrorName, LimitRow, Refused } from "@opencmq/proto"
import type { Handle, MessageAttribute, OutgoingMessage, PublishedMessage } from "../../node/service-types.ts"
import type { Refusal } from "./refusal.ts"
import type { WirePublishedMessage } from "./wire-topic-types.ts"
import type { WireMessageAttribute, WireOutgoingMessage } from "./wire-types.ts"

/** A value of the request, and the name under which a refusal speaks of it. */
export interface Field {
  readonly field: string
  readonly value: number
}

const NO_ATTRIBUTES: readonly MessageAttribute[] = []
const MS_PER_SECOND = 1000

/** One for each request. */
export class FieldReader {
  /** The first that was found. */
  refusal: Refusal | undefined

  refuse(error: ErrorName, field: string, detail?: string): void {
    this.refusal ??= { error, args: [field], field, ...(detail !== undefined && { detail }) }
  }

  /** What a rule said of this field; undefined = nothing against it. */
  check(field: string, refused: Refused | undefined): void {
    if (refused !== undefined) this.refuseAs(refused, field)
  }

  /** A refusal that somebody else made, about this field. */
  refuseAs(refused: Refused, field: string): void {
    this.refusal ??= { error: refused.error, args: refused.args, field }
  }

  queueName(field: string, value: string): string {
    return this.name(field, value, "queueNameInvalid")
  }

  topicName(value: string): string {
    return this.name("topic_name", value, "topicNameInvalid")
  }

  subscriptionName(value: string): string {
    return this.name("subscription_name", value, "subscriptionNameInvalid")
  }

  private name(field: string, value: string, invalid: ErrorName): string {
    if (value === "") this.refuse("parameterMissing", field)
    else if (!isQueueName(value)) this.refuse(invalid, field)
    return value
  }

  /** A whole number in the limit's own unit. */
  count({ field, value }: Field, limit: LimitRow): number {
    if (!isWithin(limit, value)) this.refuse("parameterOutOfRange", field)
    return value
  }

  /** Milliseconds, against a limit in seconds. */
  ms({ field, value }: Field, limit: LimitRow, error: ErrorName = "parameterOutOfRange"): number {
    const range = { min: limit.min * MS_PER_SECOND, max: limit.max * MS_PER_SECOND }
    if (!isWithin(range, value)) this.refuse(error, field)
    return value
  }

  /** As `ms`; undefined stays undefined. */
  optionalMs(field: string, value: number | undefined, limit: LimitRow): number | undefined {
    return value === undefined ? undefined : this.ms({ field, value }, limit)
  }

  /** 1 to `countMax` messages of a send. */
  messages(list: readonly WireOutgoingMessage[], countMax: number): readonly OutgoingMessage[] {
    return this.batch(list, countMax, (wire, index) => this.message(wire, index))
  }

  /** The messages of a publish. */
  publishedMessages(list: readonly WirePublishedMessage[]): readonly PublishedMessage[] {
    return this.batch(list, LIMITS.batchCount.max, (wire, index) => this.published(wire, index))
  }

  private batch<Wire extends { readonly body: Uint8Array }, Message>(
    list: readonly Wire[],
    countMax: number,
    read: (wire: Wire, index: number) => Message,
  ): readonly Message[] {
    if (list.length === 0) this.refuse("parameterMissing", "messages")
    if (list.length > countMax) this.refuse("parameterBatchSize", "messages")
    let bodiesBytes = 0
    const messages: Message[] = []
    for (let index = 0; index < list.length && this.refusal === undefined; index++) {
      const wire = list[index] as Wire
      bodiesBytes += wire.body.length
      messages.push(read(wire, index))
    }
    if (bodiesBytes > LIMITS.batchBodyBytes.max) this.refuse("batchTooLarge", "messages")
    return messages
  }

  private published(wire: WirePublishedMessage, index: number): PublishedMessage {
    const { body, clientMessageId, attributes } = this.message({ ...wire, delayMs: 0 }, index)
    const { tags, routingKey } = wire
    const field = `messages[${String(index)}]`
    this.check(`${field}.tags`, checkTags(`${field}.tags`, tags, "tooManyMessageTags"))
    if (routingKey !== "") this.check(`${field}.routing_key`, checkKey(`${field}.routing_key`, routingKey))
    return { body, clientMessageId, attributes, tags, routingKey }
  }

  private message(wire: WireOutgoingMessage, index: number): OutgoingMessage {
    const { body, delayMs, clientMessageId } = wire
    if (body.length === 0) this.refuse("messageEmpty", `messages[${String(index)}].body`)
    if (body.length > LIMITS.msgBodyBytes.max) this.refuse("messageTooLarge", `messages[${String(index)}].body`)
    if (delayMs !== 0) {
      this.ms({ field: `messages[${String(index)}].delay_ms`, value: delayMs }, LIMITS.delaySeconds, "delayOutOfRange")
    }
    if (clientMessageId !== "" && Buffer.byteLength(clientMessageId) > LIMITS.clientMessageIdBytes.max) {
      this.refuse("parameterOutOfRange", `messages[${String(index)}].client_message_id`)
    }
    const attributes = wire.attributes.length === 0 ? NO_ATTRIBUTES : this.attributes(wire.attributes, index)
    return { body, delayMs, clientMessageId, attributes }
  }

  private attributes(list: readonly WireMessageAttribute[], index: number): readonly MessageAttribute[] {
    const field = `messages[${String(index)}].attributes`
    const attributes = list.map(({ name, text, binary }): MessageAttribute => {
      if (text !== undefined) return { name, type: "string", value: Buffer.from(text, "utf8") }
      if (binary === undefined) this.refuse("parameterMissing", `${field}.value`)
      return { name, type: "binary", value: binary ?? new Uint8Array(0) }
    })
    this.check(field, checkAttributes(attributes))
    return attributes
  }

  /** 1 to `countMax` handles of a settlement; one that is malformed fails for itself, later. */
  handleTexts(texts: readonly string[], countMax: number): readonly string[] {
    if (texts.length === 0) this.refuse("parameterMissing", "receipt_handles")
    if (texts.length > countMax) this.refuse("parameterBatchSize", "receipt_handles")
    return texts
  }
}

/** A list of handles taken apart: those that can be read, and where they stood. */
export interface HandleList {
  readonly texts: readonly string[]
  /** Of the readable ones, in their order. */
  readonly handles: readonly Handle[]
  /** Whether the handle at this place can be read. */
  readonly isReadable: readonly boolean[]
}

/** Takes handles apart; those that are none are kept out. */
export function readHandles(texts: readonly string[]): HandleList {
  const parts = texts.map(decodeReceiptHandle)
  return {
    texts,
    handles: parts.filter((each) => each !== undefined),
    isReadable: parts.map((each) => each !== undefined),
  }
}
