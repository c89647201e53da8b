/**
 * The messages of `opencmq.v1.MessageService` between the SDK's words, which are those of CMQ's replies, and protobuf.
 * Field numbers are those of `proto/opencmq/v1/messages.proto`. Readers throw `WireError` at what is no such message.
 */
import { isUtf8 } from "node:buffer"
import { WireReader, WireWriter } from "@opencmq/proto"
import { BODY_ENCODING_ATTRIBUTE } from "../body.ts"
import type { Fields } from "../reply-fields.ts"
import type { PreparedMessage } from "../prepared-message.ts"

/** What a broker said of one batch of a `Produce` stream. */
export type BatchResult = Readonly<{ batchId: number; messages: readonly Fields[]; refusal: Fields | undefined }>

/** What a broker said of the settlements of one request. */
export type SettlementResult = Readonly<{
  settlementId: number
  /** As in CMQ's `errorList`: code, message and handle of each that failed. */
  failures: readonly Fields[]
  nextVisibleTime: number
  /** Everything was refused. */
  refusal: Fields | undefined
}>

/** Handles that are to be deleted, or hidden for so long from now. */
export type Settlement = Readonly<{ receiptHandles: readonly string[]; visibilityTimeoutSeconds: number | undefined }>

/** What a `ConsumeRequest` says; what is absent is left out. */
export type ConsumeWords = Readonly<{
  queueName?: string
  visibilityTimeoutSeconds?: number
  credits?: number
  settlementId?: number
  settlement?: Settlement
}>

const ZERO = new Uint8Array([0])

/** A number whose absence means something else than 0. */
function writePresent(writer: WireWriter, field: number, value: number): void {
  if (value === 0) writer.rawVarint(field, ZERO)
  else writer.number(field, value)
}

// --- Sending ----------------------------------------------------------------------------------------------

/** `ProduceRequest`. */
export function writeProduce(queueName: string, batchId: number, messages: readonly PreparedMessage[]): Buffer {
  let sizeHint = 256
  for (const { bytes } of messages) sizeHint += bytes + 128
  const writer = new WireWriter(sizeHint)
  writer.text(1, queueName)
  writer.number(2, batchId)
  for (const message of messages) {
    writer.message(3, () => {
      writeOutgoing(writer, message)
    })
  }
  return writer.finish()
}

/** Bytes that HTTP would carry as marked base64 travel as they are. */
function writeOutgoing(writer: WireWriter, message: PreparedMessage): void {
  const isMarked = message.attributes.some(({ name }) => name === BODY_ENCODING_ATTRIBUTE)
  if (isMarked) writer.bytes(1, Buffer.from(message.text, "base64"))
  else writer.text(1, message.text)
  writer.number(2, message.delaySeconds * 1_000)
  writer.text(3, message.clientMessageId)
  for (const { name, type, value } of message.attributes) {
    if (isMarked && name === BODY_ENCODING_ATTRIBUTE) continue
    writer.message(4, () => {
      writer.text(1, name)
      writer.repeatedBytes(type === "string" ? 2 : 3, value)
    })
  }
}

/** `ProduceResponse`. */
export function readProduced(bytes: Buffer): readonly BatchResult[] {
  return readMany(bytes, 1, readBatchResult)
}

function readBatchResult(reader: WireReader): BatchResult {
  let batchId = 0
  const messages: Fields[] = []
  let refusal: Fields | undefined
  while (reader.next()) {
    if (reader.field === 1) batchId = reader.number()
    else if (reader.field === 2) messages.push(readSent(reader.message()))
    else if (reader.field === 3) refusal = readRefusal(reader.message())
    else reader.skip()
  }
  return { batchId, messages, refusal }
}

function readSent(reader: WireReader): Fields {
  let msgId = ""
  let duplicate = false
  while (reader.next()) {
    if (reader.field === 1) msgId = reader.text()
    else if (reader.field === 2) duplicate = reader.number() === 1
    else reader.skip()
  }
  return { msgId, duplicate }
}

// --- Receiving --------------------------------------------------------------------------------------------

/** `ReceiveRequest`; absent = the queue's own. */
export function writeReceive(
  queueName: string,
  order: Readonly<{ max: number; waitSeconds: number | undefined; visibilityTimeoutSeconds: number | undefined }>,
): Buffer {
  const writer = new WireWriter(128)
  writer.text(1, queueName)
  writer.number(2, order.max)
  if (order.waitSeconds !== undefined) writePresent(writer, 3, order.waitSeconds * 1_000)
  if (order.visibilityTimeoutSeconds !== undefined) writePresent(writer, 4, order.visibilityTimeoutSeconds * 1_000)
  return writer.finish()
}

/** `ReceiveResponse`: messages as in CMQ's replies. */
export function readReceived(bytes: Buffer): readonly Fields[] {
  return readMany(bytes, 1, readMessage)
}

function readMessage(reader: WireReader): Fields {
  const fields: Record<string, unknown> = { msgBody: "" }
  const attributes: Fields[] = []
  while (reader.next()) {
    if (reader.field === 1) fields["msgId"] = reader.text()
    else if (reader.field === 2) fields["receiptHandle"] = reader.text()
    else if (reader.field === 3) Object.assign(fields, bodyFields(reader.bytes()))
    else if (reader.field === 4) fields["enqueueTime"] = secondsOf(reader.number())
    else if (reader.field === 5) fields["firstDequeueTime"] = secondsOf(reader.number())
    else if (reader.field === 6) fields["nextVisibleTime"] = secondsOf(reader.number())
    else if (reader.field === 7) fields["dequeueCount"] = reader.number()
    else if (reader.field === 8) attributes.push(readAttribute(reader.message()))
    else if (reader.field === 10) Object.assign(fields, readProvenance(reader.message()))
    else reader.skip()
  }
  fields["attributes"] = attributes
  return fields
}

/** As the HTTP face says it: bytes that are no text are base64, and that is told. */
function bodyFields(body: Buffer): Fields {
  if (isUtf8(body)) return { msgBody: body.toString("utf8") }
  return { msgBody: body.toString("base64"), msgBodyEncoding: "base64" }
}

function readAttribute(reader: WireReader): Fields {
  let name = ""
  let value: Fields = { type: "string", value: "" }
  while (reader.next()) {
    if (reader.field === 1) name = reader.text()
    else if (reader.field === 2) value = { type: "string", value: reader.text() }
    else if (reader.field === 3) value = { type: "binary", value: reader.bytes().toString("base64") }
    else reader.skip()
  }
  return { name, ...value }
}

function readProvenance(reader: WireReader): Fields {
  const fields: Record<string, unknown> = {}
  while (reader.next()) {
    if (reader.field === 1) fields["deadLetterReason"] = reader.text()
    else if (reader.field === 2) fields["originalQueueName"] = reader.text()
    else if (reader.field === 3) fields["originalEnqueueTime"] = secondsOf(reader.number())
    else if (reader.field === 4) fields["originalFirstDequeueTime"] = secondsOf(reader.number())
    else if (reader.field === 5) fields["originalDequeueCount"] = reader.number()
    else reader.skip()
  }
  return fields
}

function secondsOf(ms: number): number {
  return ms / 1_000
}

// --- Settling ---------------------------------------------------------------------------------------------

/** `DeleteRequest`, or `ChangeVisibilityRequest` with a visibility timeout. */
export function writeSettlement(queueName: string, settlement: Settlement): Buffer {
  const writer = new WireWriter(256)
  writer.text(1, queueName)
  for (const each of settlement.receiptHandles) writer.repeatedText(2, each)
  if (settlement.visibilityTimeoutSeconds !== undefined) writer.number(3, settlement.visibilityTimeoutSeconds * 1_000)
  return writer.finish()
}

/** `DeleteResponse` or `ChangeVisibilityResponse`. */
export function readSettled(bytes: Buffer): SettlementResult {
  const reader = new WireReader(bytes)
  const failures: Fields[] = []
  let nextVisibleTime = 0
  while (reader.next()) {
    if (reader.field === 1) failures.push(readFailure(reader.message()))
    else if (reader.field === 2) nextVisibleTime = secondsOf(reader.number())
    else reader.skip()
  }
  return { settlementId: 0, failures, nextVisibleTime, refusal: undefined }
}

function readFailure(reader: WireReader): Fields {
  let receiptHandle = ""
  let refusal: Fields = {}
  while (reader.next()) {
    if (reader.field === 2) receiptHandle = reader.text()
    else if (reader.field === 3) refusal = readRefusal(reader.message())
    else reader.skip()
  }
  return { receiptHandle, ...refusal }
}

/** `Refusal`, as a reply says it: the message has the module code in its brackets. */
function readRefusal(reader: WireReader): Fields {
  let message = ""
  let code = 0
  while (reader.next()) {
    if (reader.field === 3) message = reader.text()
    else if (reader.field === 4) code = reader.number()
    else reader.skip()
  }
  return { code, message }
}

// --- The stream Consume -----------------------------------------------------------------------------------

/** `ConsumeRequest`. */
export function writeConsume(words: ConsumeWords): Buffer {
  const { queueName = "", credits = 0, settlementId = 0, settlement, visibilityTimeoutSeconds } = words
  const writer = new WireWriter(256)
  writer.text(1, queueName)
  if (visibilityTimeoutSeconds !== undefined) writePresent(writer, 2, visibilityTimeoutSeconds * 1_000)
  writer.number(3, credits)
  writer.number(4, settlementId)
  if (settlement === undefined) return writer.finish()
  const { receiptHandles, visibilityTimeoutSeconds: hiddenSeconds } = settlement
  if (hiddenSeconds === undefined) for (const each of receiptHandles) writer.repeatedText(5, each)
  else {
    writer.message(6, () => {
      for (const each of receiptHandles) writer.repeatedText(1, each)
      writer.number(2, hiddenSeconds * 1_000)
    })
  }
  return writer.finish()
}

/** `ConsumeResponse`. */
export function readConsumed(
  bytes: Buffer,
): Readonly<{ messages: readonly Fields[]; settlements: readonly SettlementResult[] }> {
  const reader = new WireReader(bytes)
  const messages: Fields[] = []
  const settlements: SettlementResult[] = []
  while (reader.next()) {
    if (reader.field === 1) messages.push(readMessage(reader.message()))
    else if (reader.field === 2) settlements.push(readSettlementResult(reader.message()))
    else reader.skip()
  }
  return { messages, settlements }
}

function readSettlementResult(reader: WireReader): SettlementResult {
  let settlementId = 0
  let nextVisibleTime = 0
  const failures: Fields[] = []
  let refusal: Fields | undefined
  while (reader.next()) {
    if (reader.field === 1) settlementId = reader.number()
    else if (reader.field === 2 || reader.field === 3) failures.push(readFailure(reader.message()))
    else if (reader.field === 4) nextVisibleTime = secondsOf(reader.number())
    else if (reader.field === 5 || reader.field === 6) refusal = readRefusal(reader.message())
    else reader.skip()
  }
  return { settlementId, failures, nextVisibleTime, refusal }
}

function readMany<T>(bytes: Buffer, field: number, read: (reader: WireReader) => T): readonly T[] {
  const reader = new WireReader(bytes)
  const all: T[] = []
  while (reader.next()) {
    if (reader.field === field) all.push(read(reader.message()))
    else reader.skip()
  }
  return all
}
