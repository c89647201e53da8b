/**
 * The record of one message, as it lies inside the data of a log entry, version 1. Little-endian:
 *
 * ```
 *   0 u32 crc32              of everything behind it
 *   4 u8  version            1
 *   5 u8  flags              0
 *   6 u16 ordinal            number of the message in its entry; part of the message id
 *   8 u32 delayMs
 *  12 u32 bodyLength         bytes
 *  16 u16 attributesLength   bytes, all attributes together
 *  18 u8  attributeCount
 *  19 u8  clientIdLength     bytes; 0 = none
 *  20 u8  tagCount
 *  21 u8  routingKeyLength   bytes; 0 = none
 *  22 u16 tagsLength         bytes, all tags together
 *  24 client message id (UTF-8)
 *     attributes: count x {u16 name length, name, u8 type (0 string, 1 binary), u16 value length, value}
 *     tags: count x {u8 length, tag}
 *     routing key
 *     body
 * ```
 *
 * There is no padding; the length of a record is the sum of its parts. Set and enqueue time are in the head of the
 * entry, the queue is in the command: each is written once per batch.
 */
import { Buffer } from "node:buffer"
import { crc32 } from "@node-rs/crc32"
import { CodecError } from "./codec-error.ts"

/** Bytes before the first part of variable length. */
export const RECORD_HEADER_BYTES = 24
export const RECORD_VERSION = 1

const CRC_END = 4
const AT_VERSION = 4
const AT_ORDINAL = 6
const AT_DELAY = 8
const AT_BODY_LENGTH = 12
const AT_ATTRIBUTES_LENGTH = 16
const AT_ATTRIBUTE_COUNT = 18
const AT_CLIENT_ID_LENGTH = 19
const AT_TAG_COUNT = 20
const AT_ROUTING_KEY_LENGTH = 21
const AT_TAGS_LENGTH = 22
/** Name length, type and value length of an attribute. */
const ATTRIBUTE_OVERHEAD_BYTES = 5
const U8_MAX = 0xff
const U16_MAX = 0xffff
const U32_MAX = 0xffff_ffff

/** A small fact about a message that travels with it. Ranges: `@opencmq/proto` limits. */
export interface MessageAttribute {
  readonly name: string
  readonly type: "string" | "binary"
  /** For "string" its UTF-8. */
  readonly value: Uint8Array
}

/** What a sender hands in. */
export interface OutgoingRecord {
  readonly body: Uint8Array
  readonly delayMs: number
  /** At most 255 bytes of UTF-8; "" = none. */
  readonly clientMessageId: string
  readonly attributes: readonly MessageAttribute[]
  readonly tags?: readonly string[]
  readonly routingKey?: string
}

/** Lengths that were computed once, for `writeMessageRecord`. */
export interface RecordSize {
  readonly totalBytes: number
  readonly clientIdBytes: number
  readonly attributesBytes: number
  readonly tagsBytes: number
  readonly routingKeyBytes: number
}

/** Measures a record. Throws a RangeError for parts that have no place in it: the edge has to check before. */
export function measureRecord(message: OutgoingRecord): RecordSize {
  const clientIdBytes = Buffer.byteLength(message.clientMessageId)
  let attributesBytes = 0
  for (const { name, value } of message.attributes) {
    attributesBytes += ATTRIBUTE_OVERHEAD_BYTES + Buffer.byteLength(name) + value.length
  }
  let tagsBytes = 0
  for (const tag of message.tags ?? []) {
    const bytes = Buffer.byteLength(tag)
    checkFits("tag", bytes, U8_MAX)
    tagsBytes += 1 + bytes
  }
  const routingKeyBytes = Buffer.byteLength(message.routingKey ?? "")
  checkFits("clientMessageId", clientIdBytes, U8_MAX)
  checkFits("attributes", attributesBytes, U16_MAX)
  checkFits("attribute count", message.attributes.length, U8_MAX)
  checkFits("tags", tagsBytes, U16_MAX)
  checkFits("tag count", message.tags?.length ?? 0, U8_MAX)
  checkFits("routingKey", routingKeyBytes, U8_MAX)
  checkFits("delayMs", message.delayMs, U32_MAX)
  const variableBytes = clientIdBytes + attributesBytes + tagsBytes + routingKeyBytes + message.body.length
  return {
    totalBytes: RECORD_HEADER_BYTES + variableBytes,
    clientIdBytes,
    attributesBytes,
    tagsBytes,
    routingKeyBytes,
  }
}

/** Where a record is written. */
export interface RecordTarget {
  readonly buffer: Buffer
  readonly at: number
  readonly ordinal: number
}

/** Writes the record, copying the body once. The target has room for `size.totalBytes`. */
export function writeMessageRecord(target: RecordTarget, message: OutgoingRecord, size: RecordSize): void {
  const { buffer, at } = target
  buffer[at + AT_VERSION] = RECORD_VERSION
  buffer[at + AT_VERSION + 1] = 0
  buffer.writeUInt16LE(target.ordinal, at + AT_ORDINAL)
  buffer.writeUInt32LE(message.delayMs, at + AT_DELAY)
  buffer.writeUInt32LE(message.body.length, at + AT_BODY_LENGTH)
  buffer.writeUInt16LE(size.attributesBytes, at + AT_ATTRIBUTES_LENGTH)
  buffer[at + AT_ATTRIBUTE_COUNT] = message.attributes.length
  buffer[at + AT_CLIENT_ID_LENGTH] = size.clientIdBytes
  buffer[at + AT_TAG_COUNT] = message.tags?.length ?? 0
  buffer[at + AT_ROUTING_KEY_LENGTH] = size.routingKeyBytes
  buffer.writeUInt16LE(size.tagsBytes, at + AT_TAGS_LENGTH)
  let end = at + RECORD_HEADER_BYTES
  if (size.clientIdBytes > 0) end += buffer.write(message.clientMessageId, end, "utf8")
  for (const attribute of message.attributes) end = writeAttribute(buffer, end, attribute)
  for (const tag of message.tags ?? []) {
    const bytes = buffer.write(tag, end + 1, "utf8")
    buffer[end] = bytes
    end += 1 + bytes
  }
  if (size.routingKeyBytes > 0) end += buffer.write(message.routingKey ?? "", end, "utf8")
  buffer.set(message.body, end)
  const behindCrc = buffer.subarray(at + CRC_END, at + size.totalBytes)
  buffer.writeUInt32LE(crc32(behindCrc), at)
}

function writeAttribute(buffer: Buffer, at: number, attribute: MessageAttribute): number {
  const nameBytes = buffer.write(attribute.name, at + 2, "utf8")
  buffer.writeUInt16LE(nameBytes, at)
  let end = at + 2 + nameBytes
  buffer[end++] = attribute.type === "binary" ? 1 : 0
  end = buffer.writeUInt16LE(attribute.value.length, end)
  buffer.set(attribute.value, end)
  return end + attribute.value.length
}

/** The fixed part of a record, and where its parts begin. Offsets are relative to the record. */
export interface RecordHead {
  ordinal: number
  delayMs: number
  bodyLength: number
  clientIdLength: number
}

/** A head to be filled again and again by `readRecordHead`. */
export function emptyRecordHead(): RecordHead {
  return { ordinal: 0, delayMs: 0, bodyLength: 0, clientIdLength: 0 }
}

/** Where a record lies. */
export interface RecordPlace {
  readonly buffer: Buffer
  readonly at: number
  readonly length: number
}

/** Fills `head`. Throws a CodecError unless the parts add up to the length exactly. Does not look at the checksum. */
export function readRecordHead({ buffer, at, length }: RecordPlace, head: RecordHead): void {
  if (length < RECORD_HEADER_BYTES || at + length > buffer.length) throw new CodecError("a message record cut short")
  if (buffer[at + AT_VERSION] !== RECORD_VERSION) {
    throw new CodecError(`message record version ${String(buffer[at + AT_VERSION])} is unknown`)
  }
  head.ordinal = buffer.readUInt16LE(at + AT_ORDINAL)
  head.delayMs = buffer.readUInt32LE(at + AT_DELAY)
  head.bodyLength = buffer.readUInt32LE(at + AT_BODY_LENGTH)
  head.clientIdLength = buffer[at + AT_CLIENT_ID_LENGTH] as number
  const partBytes =
    head.clientIdLength +
    buffer.readUInt16LE(at + AT_ATTRIBUTES_LENGTH) +
    buffer.readUInt16LE(at + AT_TAGS_LENGTH) +
    (buffer[at + AT_ROUTING_KEY_LENGTH] as number)
  if (RECORD_HEADER_BYTES + partBytes + head.bodyLength !== length) {
    throw new CodecError("the parts of a message record do not add up to its length")
  }
}

/** Whether the bytes are one whole record with the right checksum. Never throws. */
export function verifyRecord(record: Uint8Array): boolean {
  if (record.length < RECORD_HEADER_BYTES || record[AT_VERSION] !== RECORD_VERSION) return false
  const buffer = asBuffer(record)
  const bytes = bodyOffset(buffer) + buffer.readUInt32LE(AT_BODY_LENGTH)
  return bytes === record.length && crc32(buffer.subarray(CRC_END)) === buffer.readUInt32LE(0)
}

/** The body, as a view. */
export function readBody(record: Uint8Array): Uint8Array {
  const buffer = checkedRecord(record)
  return record.subarray(bodyOffset(buffer))
}

/** Number of the message in its entry. */
export function readOrdinal(record: Uint8Array): number {
  return checkedRecord(record).readUInt16LE(AT_ORDINAL)
}

/** Milliseconds that the message had to wait before it could be received first. */
export function readDelayMs(record: Uint8Array): number {
  return checkedRecord(record).readUInt32LE(AT_DELAY)
}

/** "" when the sender gave none. */
export function readClientMessageId(record: Uint8Array): string {
  const buffer = checkedRecord(record)
  const length = buffer[AT_CLIENT_ID_LENGTH] as number
  return buffer.toString("utf8", RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + length)
}

/** All attributes in the order of the sender; values are views. */
export function readAttributes(record: Uint8Array): MessageAttribute[] {
  const buffer = checkedRecord(record)
  const attributes: MessageAttribute[] = []
  const count = buffer[AT_ATTRIBUTE_COUNT] as number
  let at = RECORD_HEADER_BYTES + (buffer[AT_CLIENT_ID_LENGTH] as number)
  const end = at + buffer.readUInt16LE(AT_ATTRIBUTES_LENGTH)
  for (let index = 0; index < count; index++) {
    checkInside(at + 2, end)
    const nameEnd = at + 2 + buffer.readUInt16LE(at)
    checkInside(nameEnd + 3, end)
    const valueEnd = nameEnd + 3 + buffer.readUInt16LE(nameEnd + 1)
    checkInside(valueEnd, end)
    attributes.push({
      name: buffer.toString("utf8", at + 2, nameEnd),
      type: buffer[nameEnd] === 1 ? "binary" : "string",
      value: record.subarray(nameEnd + 3, valueEnd),
    })
    at = valueEnd
  }
  if (at !== end) throw new CodecError("bytes left over behind the attributes")
  return attributes
}

/** Tags of a published message; empty for others. */
export function readTags(record: Uint8Array): string[] {
  const buffer = checkedRecord(record)
  const tags: string[] = []
  const count = buffer[AT_TAG_COUNT] as number
  const attributesEnd = buffer[AT_CLIENT_ID_LENGTH] as number
  let at = RECORD_HEADER_BYTES + attributesEnd + buffer.readUInt16LE(AT_ATTRIBUTES_LENGTH)
  const end = at + buffer.readUInt16LE(AT_TAGS_LENGTH)
  for (let index = 0; index < count; index++) {
    checkInside(at + 1, end)
    const tagEnd = at + 1 + (buffer[at] as number)
    checkInside(tagEnd, end)
    tags.push(buffer.toString("utf8", at + 1, tagEnd))
    at = tagEnd
  }
  if (at !== end) throw new CodecError("bytes left over behind the tags")
  return tags
}

/** Routing key of a published message; "" for others. */
export function readRoutingKey(record: Uint8Array): string {
  const buffer = checkedRecord(record)
  const end = bodyOffset(buffer)
  return buffer.toString("utf8", end - (buffer[AT_ROUTING_KEY_LENGTH] as number), end)
}

function checkedRecord(record: Uint8Array): Buffer {
  const buffer = asBuffer(record)
  if (record.length < RECORD_HEADER_BYTES) throw new CodecError("a message record cut short")
  if (record[AT_VERSION] !== RECORD_VERSION) throw new CodecError("a message record of an unknown version")
  if (bodyOffset(buffer) + buffer.readUInt32LE(AT_BODY_LENGTH) !== record.length) {
    throw new CodecError("the parts of a message record do not add up to its length")
  }
  return buffer
}

function bodyOffset(buffer: Buffer): number {
  return (
    RECORD_HEADER_BYTES +
    (buffer[AT_CLIENT_ID_LENGTH] as number) +
    buffer.readUInt16LE(AT_ATTRIBUTES_LENGTH) +
    buffer.readUInt16LE(AT_TAGS_LENGTH) +
    (buffer[AT_ROUTING_KEY_LENGTH] as number)
  )
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function checkInside(at: number, end: number): void {
  if (at > end) throw new CodecError("a part of a message record reaches beyond its section")
}

function checkFits(what: string, value: number, max: number): void {
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw new RangeError(`${what}: ${String(value)} has no place in a message record (at most ${String(max)})`)
  }
}
