import fc from "fast-check"
import { expect, test } from "vitest"
import {
  attributeFields,
  attributeParameters,
  formatAttributes,
  parseAttributes,
  readAttributeGroup,
} from "./message-attributes.ts"
import type { MessageAttribute } from "./message-attributes.ts"

const encoder = new TextEncoder()

function group(params: Record<string, string>): unknown {
  return readAttributeGroup(new Map(Object.entries(params)))
}

test("a request without attributes has an empty list", () => {
  expect(group({ attribute: "x", "attributes.1": "y" })).toEqual({ ok: true, value: [] })
})

test("attributes are read from numbered parameters; type string unless it says binary", () => {
  const read = group({
    "attribute.2.value": "AAEC",
    "attribute.2.type": "binary",
    "attribute.2.name": "blob",
    "attribute.1.name": "traceparent",
    "attribute.1.value": "00-ä",
    "attribute.3.name": "empty",
    "attribute.3.value": "",
  })
  expect(read).toEqual({
    ok: true,
    value: [
      { name: "traceparent", type: "string", value: encoder.encode("00-ä") },
      { name: "blob", type: "binary", value: Uint8Array.of(0, 1, 2) },
      { name: "empty", type: "string", value: new Uint8Array(0) },
    ],
  })
})

test("what is missing or malformed is named", () => {
  expect(group({ "attribute.1.value": "v" })).toEqual({
    ok: false,
    error: "parameterMissing",
    args: ["attribute.1.name"],
  })
  expect(group({ "attribute.1.name": "n" })).toEqual({
    ok: false,
    error: "parameterMissing",
    args: ["attribute.1.value"],
  })
  expect(group({ "attribute.1.nam": "n" })).toMatchObject({ error: "parameterKeyFormat" })
  expect(group({ "attribute.1.name": "a", "attribute.1.value": "", "attribute.3.name": "b" })).toMatchObject({
    error: "parameterNotConsecutive",
  })
})

test("lists that are no attributes are refused", () => {
  const one = { name: "n", value: "v" }
  const wrong = [
    "x",
    "{}",
    "[1]",
    "[null]",
    '[{"name":"n"}]',
    '[{"name":"a b","value":"v"}]',
    '[{"name":"","value":"v"}]',
    '[{"name":"n","value":7}]',
    '[{"name":"n","value":"v","type":"number"}]',
    '[{"name":"n","value":"A=A","type":"binary"}]',
    '[{"name":"n","value":"AAA","type":"binary"}]',
    JSON.stringify([one, one]),
    JSON.stringify([{ name: "n", value: "ä".repeat(4097) }]),
    JSON.stringify(["a", "b", "c"].map((name) => ({ name, value: "v".repeat(8000) }))),
  ]
  for (const text of wrong)
    expect(parseAttributes(text), text.slice(0, 80)).toMatchObject({ ok: false, error: "attributeInvalid" })
  const many = Array.from({ length: 17 }, (_, index) => ({ name: `n${String(index)}`, value: "" }))
  expect(parseAttributes(JSON.stringify(many))).toMatchObject({ error: "parameterBatchSize" })
  expect(parseAttributes(JSON.stringify(many.slice(1)))).toMatchObject({ ok: true })
})

const attribute = fc.oneof(
  fc.record({
    type: fc.constant("string" as const),
    value: fc.string({ unit: "grapheme" }).map((text) => encoder.encode(text)),
  }),
  fc.record({ type: fc.constant("binary" as const), value: fc.uint8Array() }),
)
const attributes = fc
  .dictionary(fc.stringMatching(/^[A-Za-z0-9_.-]{1,20}$/), attribute, { maxKeys: 16 })
  .map((record): MessageAttribute[] => Object.entries(record).map(([name, each]) => ({ name, ...each })))

test("attributes written out, either way, read back", () => {
  fc.assert(
    fc.property(attributes, (list) => {
      expect(parseAttributes(formatAttributes(list))).toEqual({ ok: true, value: list })
      expect(readAttributeGroup(new Map(attributeParameters(list)))).toEqual({ ok: true, value: list })
    }),
  )
})

test("replies list name, type and value", () => {
  expect(attributeFields([{ name: "b", type: "binary", value: Uint8Array.of(255) }])).toEqual([
    { name: "b", type: "binary", value: "/w==" },
  ])
})
