import fc from "fast-check"
import { expect, test } from "vitest"
import { CodecError } from "./codec-error.ts"
import { VALUE_COUNT_MAX, VALUE_DEPTH_MAX, decodeValue, encodeValue } from "./value-codec.ts"

function encoded(value: unknown): Buffer {
  return Buffer.concat(encodeValue(value))
}

const plain = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom(undefined, null, true, false),
    fc.double(),
    fc.integer(),
    fc.integer({ min: -200, max: 200 }),
    fc.maxSafeInteger(),
    fc.string({ unit: "grapheme", maxLength: 80 }),
    fc.uint8Array({ maxLength: 1500 }),
    fc.array(tie("value"), { maxLength: 6 }),
    fc.dictionary(
      fc.string({ unit: "grapheme", maxLength: 20 }).filter((key) => key !== "__proto__"),
      tie("value"),
      { maxKeys: 6, noNullPrototype: true },
    ),
  ),
})).value

test("every plain value comes back as it was", () => {
  fc.assert(
    fc.property(plain, (value) => {
      expect(decodeValue(encoded(value))).toEqual(value)
    }),
    { numRuns: 1000 },
  )
})

test("a request with messages comes back, keys with the value undefined kept", () => {
  const messages = [1, 2, 3].map((n) => ({
    body: new Uint8Array(n * 400).fill(n),
    delayMs: n * 1000,
    clientMessageId: `m-${String(n)}`,
    attributes: [{ name: "traceparent", type: "string", value: Uint8Array.of(0, 1, 255) }],
  }))
  const request = { queueName: "orders", messages, pollingWaitMs: undefined, atMs: 1_763_834_881_123 }
  const back = decodeValue(encoded(request)) as Record<string, unknown>
  expect(back).toEqual(request)
  expect(Object.keys(back)).toEqual(["queueName", "messages", "pollingWaitMs", "atMs"])
})

test("bodies are not copied: encoding passes them on, decoding gives views", () => {
  const body = new Uint8Array(4096).fill(7)
  expect(encodeValue({ body }).some((part) => part === body)).toBe(true)
  const bytes = encoded({ body })
  const back = decodeValue(bytes) as { body: Uint8Array }
  expect(back.body.buffer).toBe(bytes.buffer)
})

test("a key costs one byte from its second use on", () => {
  const one = encoded([{ clientMessageId: 1 }]).length
  const two = encoded([{ clientMessageId: 1 }, { clientMessageId: 1 }]).length
  expect(two - one).toBe(1 + 2 + 1 + 1)
})

test("more keys than numbers are written out, and come back", () => {
  const wide = Object.fromEntries(Array.from({ length: 600 }, (_, n) => [`key${String(n)}`, n]))
  expect(decodeValue(encoded([wide, wide]))).toEqual([wide, wide])
})

test("values that are not plain are a bug of the caller", () => {
  for (const value of [1n, Symbol("x"), () => 1, new Map(), new Date(0), { a: { b: 1n } }]) {
    expect(() => encodeValue(value)).toThrow(TypeError)
  }
  expect(() => encodeValue(JSON.parse('{"__proto__": 1}'))).toThrow(TypeError)
})

test("nesting is bounded on both sides", () => {
  let value: unknown = 1
  for (let depth = 0; depth < VALUE_DEPTH_MAX; depth += 1) value = [value]
  expect(decodeValue(encoded(value))).toEqual(value)
  expect(() => encodeValue([value])).toThrow(TypeError)
  const deep = Buffer.concat([Buffer.from("0801000000".repeat(VALUE_DEPTH_MAX + 1), "hex"), Buffer.of(1)])
  expect(() => decodeValue(deep)).toThrow(CodecError)
})

test("a key __proto__ is refused and changes no prototype", () => {
  const bytes = Buffer.concat([
    Buffer.from("090100ff09", "hex"),
    Buffer.from("__proto__"),
    Buffer.from("090000", "hex"),
  ])
  expect(() => decodeValue(bytes)).toThrow(CodecError)
})

test("lengths are compared with what is there before anything is made of them", () => {
  for (const hex of ["06ffffffff", "07ffffffff", "08ffffffff", "09ffff", "41", "0400", "09010000", "", "0a", "0101"]) {
    expect(() => decodeValue(Buffer.from(hex, "hex")), hex).toThrow(CodecError)
  }
  expect(() => decodeValue(Buffer.from("41ff", "hex"))).toThrow(CodecError)
})

test("the count of values is bounded", () => {
  const bytes = Buffer.alloc(5 + VALUE_COUNT_MAX + 1, 1)
  bytes[0] = 0x08
  bytes.writeUInt32LE(VALUE_COUNT_MAX + 1, 1)
  expect(() => decodeValue(bytes)).toThrow(CodecError)
})

test("any bytes give a value or a CodecError", () => {
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated), (bytes) => {
      try {
        decodeValue(bytes)
      } catch (error) {
        expect(error).toBeInstanceOf(CodecError)
      }
    }),
    { numRuns: 5000 },
  )
})

const mutated = fc.tuple(plain, fc.nat(), fc.nat(255)).map(([value, at, byte]) => {
  const bytes = encoded(value)
  bytes[at % bytes.length] = byte
  return bytes
})
