import { describe, expect, test } from "vitest"
import { createRandom } from "../core/random.ts"
import { readClientIdWords } from "./client-id.ts"
import { CodecError } from "./codec-error.ts"
import {
  measureRecord,
  readAttributes,
  readBody,
  readClientMessageId,
  readDelayMs,
  readOrdinal,
  readRoutingKey,
  readTags,
  verifyRecord,
  writeMessageRecord,
  type OutgoingRecord,
} from "./message-record.ts"

const full: OutgoingRecord = {
  body: Buffer.from("body 你好"),
  delayMs: 3_600_000,
  clientMessageId: "id-é",
  attributes: [
    { name: "traceparent", type: "string", value: Buffer.from("00-abc") },
    { name: "raw", type: "binary", value: Uint8Array.of(0, 255, 1) },
    { name: "empty", type: "string", value: new Uint8Array(0) },
  ],
  tags: ["red", "绿"],
  routingKey: "a.b.c",
}

function write(message: OutgoingRecord, ordinal = 65_535): Uint8Array {
  const size = measureRecord(message)
  const buffer = Buffer.alloc(size.totalBytes + 20, 0xaa)
  writeMessageRecord({ buffer, at: 10, ordinal }, message, size)
  expect(buffer.subarray(size.totalBytes + 10)).toEqual(Buffer.alloc(10, 0xaa))
  return buffer.subarray(10, 10 + size.totalBytes)
}

describe("message records", () => {
  test("bring every part back", () => {
    const record = write(full)
    expect(verifyRecord(record)).toBe(true)
    expect(Buffer.from(readBody(record)).toString()).toBe("body 你好")
    expect(readOrdinal(record)).toBe(65_535)
    expect(readDelayMs(record)).toBe(3_600_000)
    expect(readClientMessageId(record)).toBe("id-é")
    expect(readTags(record)).toEqual(["red", "绿"])
    expect(readRoutingKey(record)).toBe("a.b.c")
    const attributes = readAttributes(record)
    expect(attributes.map(({ name, type }) => [name, type])).toEqual([
      ["traceparent", "string"],
      ["raw", "binary"],
      ["empty", "string"],
    ])
    expect(attributes.map(({ value }) => [...value])).toEqual([[...Buffer.from("00-abc")], [0, 255, 1], []])
  })

  test("a plain message is its body and 24 bytes", () => {
    const record = write({ body: Buffer.from("abc"), delayMs: 0, clientMessageId: "", attributes: [] }, 0)
    expect(record.length).toBe(27)
    expect([readClientMessageId(record), readAttributes(record), readTags(record), readRoutingKey(record)]).toEqual([
      "",
      [],
      [],
      "",
    ])
  })

  test("each changed bit and each missing byte is noticed", () => {
    const record = write(full)
    for (let bit = 0; bit < record.length * 8; bit++) {
      const changed = Uint8Array.from(record)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(verifyRecord(changed), `bit ${String(bit)}`).toBe(false)
    }
    for (let length = 0; length < record.length; length++) expect(verifyRecord(record.subarray(0, length))).toBe(false)
  })

  test("readers of changed bytes throw a CodecError or give something, nothing else", () => {
    const random = createRandom(4)
    const record = write(full)
    for (let round = 0; round < 2000; round++) {
      const changed = Uint8Array.from(record.subarray(0, random.nextInt(10) === 0 ? random.nextInt(80) : undefined))
      for (let change = 0; change < 3; change++) changed[4 + random.nextInt(60)] = random.nextInt(256)
      for (const read of [readBody, readAttributes, readTags, readClientMessageId, readRoutingKey, readOrdinal]) {
        try {
          read(changed)
        } catch (error) {
          expect(error).toBeInstanceOf(CodecError)
        }
      }
    }
  })

  test.each<[string, Partial<OutgoingRecord>]>([
    ["a client id above 255 bytes", { clientMessageId: "é".repeat(128) }],
    ["attributes above 65,535 bytes", { attributes: [{ name: "a", type: "binary", value: new Uint8Array(65_535) }] }],
    ["a tag above 255 bytes", { tags: ["t".repeat(256)] }],
    ["a routing key above 255 bytes", { routingKey: "k".repeat(256) }],
    ["a negative delay", { delayMs: -1 }],
    ["a delay that is a fraction", { delayMs: 0.5 }],
  ])("%s has no place in a record", (_, part) => {
    expect(() => measureRecord({ ...full, ...part })).toThrow(RangeError)
  })
})

describe("client ids as 128 bits", () => {
  const wordsOf = (text: string) => {
    const bytes = Buffer.from(text)
    const words: number[] = []
    readClientIdWords({ bytes, at: 0, length: bytes.length }, words, 0)
    return words
  }

  test("short ids keep their bytes and are told apart by their length", () => {
    expect(wordsOf("abcd").slice(0, 3)).toEqual([0x64636261, 0, 0])
    const all = ["a", "a\0", "a\0\0", "\0", "\0\0", "abcdefghijklmnop"].map((text) => wordsOf(text).join())
    expect(new Set(all).size).toBe(all.length)
  })

  // Reference values of murmur3 x86_128, seed 0, by an implementation that is not ours (Python package mmh3).
  test.each([
    ["The quick brown fox jumps over the lazy dog", "2f1583c3ecee2c675d7bf66ce5e91d2c"],
    ["xxxxxxxxxxxxxxxxx", "f6a9086c393fa3d68a824e4676d8cbd9"],
    ["xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "606d8a70dcf57f8ba8fd81dfb7e55f36"],
    ["éééééééééééééééééééé", "c78029e16b09e07573ed72f72d0d5981"],
    ["I will not buy this record, it is scratched.", "a0a9683b25ac5e40d9af2895890dddf5"],
  ])("longer ids are hashed by murmur3 x86_128: %s", (text, expected) => {
    const hex = wordsOf(text).map((word) => word.toString(16).padStart(8, "0"))
    expect(hex.join("")).toBe(expected)
  })

  test("an id outside its record is refused", () => {
    expect(() => {
      readClientIdWords({ bytes: new Uint8Array(4), at: 2, length: 3 }, [], 0)
    }).toThrow(CodecError)
  })

  test("every tail length of a long id counts", () => {
    const texts = Array.from({ length: 40 }, (_, length) => "x".repeat(17 + length))
    expect(new Set(texts.map((text) => wordsOf(text).join())).size).toBe(40)
  })
})
