/** The hand-written codec of the streams, with protobufjs and the `.proto` files on the other side. */
import { WireError, WireReader, WireWriter } from "@opencmq/proto"
import { fileURLToPath } from "node:url"
import fc from "fast-check"
import protobuf from "protobufjs"
import { expect, test } from "vitest"
import type { DeliveredMessage } from "../../node/service-types.ts"
import { readConsumeRequest, readProduceRequest, writeBatchResult, writeDelivered } from "./stream-codec.ts"
import { writeSettlement } from "./stream-codec.ts"

const root = new protobuf.Root()
const folder = fileURLToPath(new URL("../../../../proto/", import.meta.url))
root.resolvePath = (_origin, target) => folder + target
root.loadSync("opencmq/v1/messages.proto")

const RUNS = { numRuns: 100 }

function encode(type: string, value: object): Buffer {
  const reflected = root.lookupType(`opencmq.v1.${type}`)
  return Buffer.from(reflected.encode(reflected.fromObject(value)).finish())
}

function decode(type: string, bytes: Uint8Array): unknown {
  const reflected = root.lookupType(`opencmq.v1.${type}`)
  return reflected.toObject(reflected.decode(bytes), { longs: Number, defaults: true })
}

const text = fc.string({ unit: "grapheme", maxLength: 200 })
const bytes = fc.uint8Array({ maxLength: 300 }).map((value) => Buffer.from(value))
const milliseconds = fc.nat({ max: Number.MAX_SAFE_INTEGER })
const attribute = fc.oneof(fc.record({ name: text, text }), fc.record({ name: text, binary: bytes }))
const attributes = fc.array(attribute, { maxLength: 4 })
const outgoing = fc.record({
  body: bytes,
  delayMs: fc.maxSafeInteger(),
  clientMessageId: text,
  attributes,
})

test("requests of Produce are read as protobufjs writes them", () => {
  const request = fc.record({ queueName: text, messages: fc.array(outgoing, { maxLength: 5 }), batchId: fc.nat() })
  fc.assert(
    fc.property(request, (value) => {
      const read = readProduceRequest(encode("ProduceRequest", value))
      expect({ queueName: read.queueName, messages: read.messages }).toEqual({
        queueName: value.queueName,
        messages: value.messages,
      })
      const writer = new WireWriter()
      writeBatchResult(writer, read.batchId, { msgIds: ["1"], duplicates: [true] })
      expect(decode("ProduceResponse", writer.finish())).toEqual({
        batches: [{ batchId: value.batchId, messages: [{ msgId: "1", isDuplicate: true }], refusal: null }],
      })
    }),
    RUNS,
  )
})

test("requests of Consume are read as protobufjs writes them", () => {
  const handles = fc.array(text, { maxLength: 5 })
  const request = fc.record({
    queueName: text,
    visibilityTimeoutMs: fc.option(fc.maxSafeInteger(), { nil: undefined }),
    addCredits: fc.nat({ max: 2 ** 32 - 1 }),
    deleteHandles: handles,
    visibilityChange: fc.option(fc.record({ receiptHandles: handles, visibilityTimeoutMs: fc.maxSafeInteger() }), {
      nil: undefined,
    }),
  })
  fc.assert(
    fc.property(request, (value) => {
      const { settlementId, ...read } = readConsumeRequest(encode("ConsumeRequest", { ...value, settlementId: 7 }))
      expect(read).toEqual(value)
      expect([...settlementId]).toEqual([7])
    }),
    RUNS,
  )
})

test("delivered messages are written as protobufjs reads them, however long", () => {
  const times = { enqueuedAtMs: milliseconds, firstDequeuedAtMs: milliseconds, nextVisibleAtMs: milliseconds }
  const provenance = fc.record({
    reason: fc.constantFrom("maxReceiveCount" as const, "maxTimeToLive" as const),
    sourceQueueName: text,
    originalEnqueuedAtMs: milliseconds,
    originalFirstDequeuedAtMs: milliseconds,
    originalDequeueCount: fc.nat(),
  })
  const message = fc.record({
    msgId: text,
    receiptHandle: text,
    deliveryHandle: fc.constant({ slot: 1, deliveryNumber: 1 }),
    body: fc.oneof(
      bytes,
      fc.integer({ min: 16_370, max: 16_400 }).map((length) => Buffer.alloc(length, 7)),
    ),
    ...times,
    dequeueCount: fc.nat(),
    attributes: fc.constant([]),
    clientMessageId: text,
    provenance: fc.option(provenance, { nil: undefined }),
  })
  fc.assert(
    fc.property(message, attributes, (delivered, given) => {
      const own = given.map((each) =>
        "text" in each
          ? { name: each.name, type: "string" as const, value: Buffer.from(each.text) }
          : { name: each.name, type: "binary" as const, value: each.binary },
      )
      const writer = new WireWriter(16)
      writeDelivered(writer, { ...delivered, attributes: own } satisfies DeliveredMessage)
      const { deliveryHandle: _handle, provenance: from, ...same } = delivered
      const read = decode("ConsumeResponse", writer.finish()) as { messages: { body: Buffer }[]; settlements: unknown }
      // Comparing long buffers element by element takes seconds.
      expect(read.messages[0]?.body.equals(delivered.body)).toBe(true)
      expect({ ...read, messages: read.messages.map((each) => ({ ...each, body: "" })) }).toEqual({
        messages: [
          {
            ...same,
            body: "",
            attributes: given,
            provenance: from === undefined ? null : { ...without(from), originalQueueName: from.sourceQueueName },
          },
        ],
        settlements: [],
      })
    }),
    RUNS,
  )
})

function without({ sourceQueueName: _name, ...rest }: NonNullable<DeliveredMessage["provenance"]>): object {
  return rest
}

test("settlements are written as protobufjs reads them", () => {
  const refusal = {
    reason: "receiptHandleInvalid",
    status: 5,
    message: "ä".repeat(100),
    code: 4430,
    moduleCode: 10260,
    outcome: 1,
    isRetriable: true,
  }
  const failure = { index: 300, receiptHandle: "1", refusal }
  const writer = new WireWriter()
  writeSettlement(writer, {
    settlementId: Uint8Array.of(0x80, 1),
    deleteFailures: [failure, failure],
    visibilityFailures: [failure],
    nextVisibleAtMs: 1_700_000_000_123,
    deleteRefusal: refusal,
    visibilityRefusal: refusal,
  })
  expect(decode("ConsumeResponse", writer.finish())).toEqual({
    messages: [],
    settlements: [
      {
        settlementId: 128,
        deleteFailures: [failure, failure],
        visibilityFailures: [failure],
        nextVisibleAtMs: 1_700_000_000_123,
        deleteRefusal: refusal,
        visibilityRefusal: refusal,
      },
    ],
  })
})

test("fields that are not known are left out, whatever their type", () => {
  const known = encode("ProduceRequest", { queueName: "q" })
  const unknown = "b80601" + "b9060102030405060708" + "ba0602aabb" + "bd0601020304"
  expect(readProduceRequest(Buffer.concat([Buffer.from(unknown, "hex"), known])).queueName).toBe("q")
})

test("any bytes are a message or a WireError, and nothing is read beyond the end", () => {
  for (const hex of ["0a", "0a05", "08", "ffffffffffffffffffffff", "00", "0b", "0a01ff", "1001", "0a8080808010"]) {
    const broken = Buffer.from(hex, "hex")
    if (hex !== "1001") expect(() => readProduceRequest(broken), hex).toThrow(WireError)
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (value) => {
      for (const read of [readProduceRequest, readConsumeRequest]) {
        try {
          read(Buffer.from(value))
        } catch (error) {
          if (!(error instanceof WireError)) throw error
        }
      }
    }),
    { numRuns: 2_000 },
  )
})

test("numbers of any length are read, negative ones too", () => {
  for (const value of [0, 1, 127, 128, 2 ** 31, 2 ** 49 - 1, 2 ** 49, 2 ** 53 - 1, -1, -(2 ** 53 - 1)]) {
    const reader = new WireReader(encode("PeekRequest", { startSequence: value, queueName: "q" }))
    while (reader.next()) {
      if (reader.field === 3) expect(reader.number()).toBe(value)
      else reader.skip()
    }
  }
})
