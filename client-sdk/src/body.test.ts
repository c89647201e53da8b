import fc from "fast-check"
import { expect, test } from "vitest"
import { BODY_ENCODING_ATTRIBUTE, decodeBody, encodeBody } from "./body.ts"
import { CmqError } from "./cmq-error.ts"
import { attributeFields } from "@opencmq/proto"

test("bytes that are text travel as that text, which any CMQ client reads", () => {
  const wire = encodeBody(new TextEncoder().encode("你好"), undefined)
  expect(wire).toEqual({ text: "你好", bytes: 6, attributes: [] })
})

test("any bytes come back as they were sent", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), (bytes) => {
      const wire = encodeBody(bytes, { kept: "yes" })
      const read = decodeBody(wire.text, attributeFields(wire.attributes))
      expect(read.bytes ?? new TextEncoder().encode(read.text)).toEqual(bytes)
      expect(read.attributes).toEqual(new Map([["kept", "yes"]]))
    }),
  )
})

test("bytes that are not text are marked, so that other clients see what they have", () => {
  const wire = encodeBody(new Uint8Array([0xff, 0x00]), undefined)
  expect(wire.text).toBe("/wA=")
  expect(wire.attributes.map((each) => each.name)).toEqual([BODY_ENCODING_ATTRIBUTE])
})

test("half a surrogate pair is refused before anything is sent", () => {
  expect(() => encodeBody("a\ud800b", undefined)).toThrow(CmqError)
  expect(encodeBody("a😀b", undefined).bytes).toBe(6)
})

test("attributes may be a record or a map, of texts and bytes", () => {
  const bytes = new Uint8Array([1, 2])
  const record = encodeBody("x", { a: "1", b: bytes }).attributes
  const map = encodeBody(
    "x",
    new Map<string, string | Uint8Array>([
      ["a", "1"],
      ["b", bytes],
    ]),
  ).attributes
  expect(record).toEqual(map)
  expect(attributeFields(record)).toEqual([
    { name: "a", type: "string", value: "1" },
    { name: "b", type: "binary", value: "AQI=" },
  ])
})

test("attributes that make no sense are left out of a reply", () => {
  expect(
    decodeBody("x", [null, 1, { name: 1, value: "v" }, { name: "n" }, { name: "ok", value: "v" }]).attributes,
  ).toEqual(new Map([["ok", "v"]]))
  expect(decodeBody("x", "nonsense").attributes.size).toBe(0)
})
