/**
 * The messages of the two streams, by hand: requests read straight from the bytes that came, responses written straight
 * into the bytes that go. Field numbers are those of `proto/opencmq/v1/messages.proto`; the tests have protobufjs, which
 * reads that file, on the other side.
 */
import { WireReader, WireWriter } from "@opencmq/proto"
import type { DeliveredMessage, MessageAttribute, ValueOf } from "../../node/service-types.ts"
import type {
  WireConsumeRequest,
  WireFailure,
  WireMessageAttribute,
  WireOutgoingMessage,
  WireProduceRequest,
  WireRefusal,
  WireVisibilityChange,
} from "./wire-types.ts"

const NONE: Buffer = Buffer.alloc(0)
const NO_ATTRIBUTES: readonly WireMessageAttribute[] = []

/** `ProduceRequest`. Throws WireError. */
export function readProduceRequest(bytes: Buffer): WireProduceRequest {
  const reader = new WireReader(bytes)
  let queueName = ""
  let batchId: Uint8Array = NONE
  const messages: WireOutgoingMessage[] = []
  while (reader.next()) {
    if (reader.field === 1) queueName = reader.text()
    else if (reader.field === 2) batchId = reader.rawVarint()
    else if (reader.field === 3) messages.push(readOutgoing(reader.message()))
    else reader.skip()
  }
  return { queueName, batchId, messages }
}

function readOutgoing(reader: WireReader): WireOutgoingMessage {
  let body: Buffer = NONE
  let delayMs = 0
  let clientMessageId = ""
  let attributes: WireMessageAttribute[] | undefined
  while (reader.next()) {
    if (reader.field === 1) body = reader.bytes()
    else if (reader.field === 2) delayMs = reader.number()
    else if (reader.field === 3) clientMessageId = reader.text()
    else if (reader.field === 4) (attributes ??= []).push(readAttribute(reader.message()))
    else reader.skip()
  }
  return { body, delayMs, clientMessageId, attributes: attributes ?? NO_ATTRIBUTES }
}

function readAttribute(reader: WireReader): WireMessageAttribute {
  let attribute: WireMessageAttribute = { name: "" }
  while (reader.next()) {
    const { name } = attribute
    if (reader.field === 1) attribute = { ...attribute, name: reader.text() }
    else if (reader.field === 2) attribute = { name, text: reader.text() }
    else if (reader.field === 3) attribute = { name, binary: reader.bytes() }
    else reader.skip()
  }
  return attribute
}

/** `ConsumeRequest`. Throws WireError. */
export function readConsumeRequest(bytes: Buffer): WireConsumeRequest {
  const reader = new WireReader(bytes)
  let queueName = ""
  let visibilityTimeoutMs: number | undefined
  let addCredits = 0
  let settlementId: Uint8Array = NONE
  const deleteHandles: string[] = []
  let visibilityChange: WireVisibilityChange | undefined
  while (reader.next()) {
    if (reader.field === 1) queueName = reader.text()
    else if (reader.field === 2) visibilityTimeoutMs = reader.number()
    else if (reader.field === 3) addCredits = reader.number()
    else if (reader.field === 4) settlementId = reader.rawVarint()
    else if (reader.field === 5) deleteHandles.push(reader.text())
    else if (reader.field === 6) visibilityChange = readVisibilityChange(reader.message())
    else reader.skip()
  }
  return { queueName, visibilityTimeoutMs, addCredits, settlementId, deleteHandles, visibilityChange }
}

function readVisibilityChange(reader: WireReader): WireVisibilityChange {
  const receiptHandles: string[] = []
  let visibilityTimeoutMs = 0
  while (reader.next()) {
    if (reader.field === 1) receiptHandles.push(reader.text())
    else if (reader.field === 2) visibilityTimeoutMs = reader.number()
    else reader.skip()
  }
  return { receiptHandles, visibilityTimeoutMs }
}

/** One `BatchResult` of a `ProduceResponse`. */
export function writeBatchResult(
  writer: WireWriter,
  batchId: Uint8Array,
  result: ValueOf<"sendMessages"> | WireRefusal,
): void {
  writer.message(1, () => {
    writer.rawVarint(1, batchId)
    if ("reason" in result) {
      writeRefusal(writer, 3, result)
      return
    }
    const { msgIds, duplicates } = result
    for (let index = 0; index < msgIds.length; index++) {
      writer.message(2, () => {
        writer.text(1, msgIds[index] ?? "")
        writer.flag(2, duplicates[index] === true)
      })
    }
  })
}

/** One message of a `ConsumeResponse`. */
export function writeDelivered(writer: WireWriter, message: DeliveredMessage): void {
  writer.message(1, () => {
    writer.text(1, message.msgId)
    writer.text(2, message.receiptHandle)
    writer.bytes(3, message.body)
    writer.number(4, message.enqueuedAtMs)
    writer.number(5, message.firstDequeuedAtMs)
    writer.number(6, message.nextVisibleAtMs)
    writer.number(7, message.dequeueCount)
    for (const attribute of message.attributes) writeAttribute(writer, attribute)
    writer.text(9, message.clientMessageId)
    const { provenance } = message
    if (provenance === undefined) return
    writer.message(10, () => {
      writer.text(1, provenance.reason)
      writer.text(2, provenance.sourceQueueName)
      writer.number(3, provenance.originalEnqueuedAtMs)
      writer.number(4, provenance.originalFirstDequeuedAtMs)
      writer.number(5, provenance.originalDequeueCount)
    })
  })
}

function writeAttribute(writer: WireWriter, { name, type, value }: MessageAttribute): void {
  writer.message(8, () => {
    writer.text(1, name)
    // The value of a text is its UTF-8, which is what the wire has.
    writer.repeatedBytes(type === "string" ? 2 : 3, value)
  })
}

/** What became of the settlements of one request. */
export interface SettlementResult {
  readonly settlementId: Uint8Array
  deleteFailures: readonly WireFailure[]
  visibilityFailures: readonly WireFailure[]
  nextVisibleAtMs: number
  deleteRefusal: WireRefusal | undefined
  visibilityRefusal: WireRefusal | undefined
}

/** One `SettlementResult` of a `ConsumeResponse`. */
export function writeSettlement(writer: WireWriter, result: SettlementResult): void {
  writer.message(2, () => {
    writer.rawVarint(1, result.settlementId)
    for (const failure of result.deleteFailures) writeFailure(writer, 2, failure)
    for (const failure of result.visibilityFailures) writeFailure(writer, 3, failure)
    writer.number(4, result.nextVisibleAtMs)
    if (result.deleteRefusal !== undefined) writeRefusal(writer, 5, result.deleteRefusal)
    if (result.visibilityRefusal !== undefined) writeRefusal(writer, 6, result.visibilityRefusal)
  })
}

function writeFailure(writer: WireWriter, field: number, { index, receiptHandle, refusal }: WireFailure): void {
  writer.message(field, () => {
    writer.number(1, index)
    writer.text(2, receiptHandle)
    writeRefusal(writer, 3, refusal)
  })
}

function writeRefusal(writer: WireWriter, field: number, refusal: WireRefusal): void {
  writer.message(field, () => {
    writer.text(1, refusal.reason)
    writer.number(2, refusal.status)
    writer.text(3, refusal.message)
    writer.number(4, refusal.code)
    writer.number(5, refusal.moduleCode)
    writer.number(6, refusal.outcome)
    writer.flag(7, refusal.isRetriable)
  })
}
