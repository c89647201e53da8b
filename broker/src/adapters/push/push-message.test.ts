import { createHmac } from "node:crypto"
import { validateHeaderName, validateHeaderValue } from "node:http"
import fc from "fast-check"
import { expect, test } from "vitest"
import { readSigningKey, writePush } from "./push-message.ts"
import type { PushContent, PushMessage } from "./push-message.ts"

const MESSAGE: PushMessage = {
  requestId: "2394928734",
  topicOwner: 100015036,
  topicName: "MyTopic",
  subscriptionName: "mysubscription",
  msgId: "6942316962",
  body: Buffer.from("test message"),
  tags: ["a", "b"],
  publishedAtMs: 11_203_432_999,
  notifyContentFormat: "JSON",
}

const CMQ_HEADERS = [
  ["Content-Type", "text/plain"],
  ["User-Agent", "Qcloud Notification Service Agent"],
  ["x-cmq-request-id", "2394928734"],
  ["x-cmq-message-id", "6942316962"],
  ["x-cmq-message-tag", "a, b"],
]

function textOf({ body }: PushContent): string {
  return Buffer.from(body).toString()
}

function headerOf({ headers }: PushContent, name: string): string | undefined {
  return headers.find(([candidate]) => candidate === name)?.[1]
}

test("the JSON format is CMQ's own example, byte by byte", () => {
  const content = writePush(MESSAGE)
  expect(content.headers).toEqual(CMQ_HEADERS)
  expect(textOf(content)).toBe(
    '{"TopicOwner":100015036,"topicName":"MyTopic","subscriptionName":"mysubscription",' +
      '"msgId":"6942316962","msgBody":"test message","publishTime":11203432}',
  )
})

test("the SIMPLIFIED format is the body as it was published, with the same headers", () => {
  const body = Buffer.from([0xff, 0x00, 0xe9, 0x98, 0x9f])
  const content = writePush({ ...MESSAGE, body, notifyContentFormat: "SIMPLIFIED" })
  expect(content.headers).toEqual(CMQ_HEADERS)
  expect(Buffer.from(content.body).equals(body)).toBe(true)
})

test("a body that is part of a larger buffer is taken alone", () => {
  const body = new Uint8Array(Buffer.from("<队列>")).subarray(1, 7)
  expect(JSON.parse(textOf(writePush({ ...MESSAGE, body })))).toMatchObject({ msgBody: "队列" })
})

test("a message without tags has the header all the same", () => {
  expect(headerOf(writePush({ ...MESSAGE, tags: [] }), "x-cmq-message-tag")).toBe("")
})

test("tags of any script arrive as UTF-8, and line ends as text", () => {
  const tags = ["红包", "100%", "a\r\nx-evil: 1", "\u0000\u007f\t", "\u{1f9e7}"]
  const value = headerOf(writePush({ ...MESSAGE, tags }), "x-cmq-message-tag") ?? ""
  const received = Buffer.from(value, "latin1").toString()
  expect(received).toBe("红包, 100%, a%0D%0Ax-evil: 1, %00%7F%09, \u{1f9e7}")
})

test("whatever a message holds, its headers are valid and their number is fixed", () => {
  // U+010D and U+010A: their lower bytes are those of a line's end. Lone surrogates too.
  const unit = fc.oneof(fc.constantFrom("\r", "\n", "\0", "\u010d", "\u010a", "\u2028", ":"), fc.nat(0xffff))
  const any = fc
    .array(unit)
    .map((units) => units.map((u) => (typeof u === "string" ? u : String.fromCharCode(u))).join(""))
  const fields = fc.record({ requestId: any, msgId: any, topicName: any, tags: fc.array(any, { maxLength: 5 }) })
  const keys = [Buffer.alloc(24)]
  fc.assert(
    fc.property(fields, (changes) => {
      const { headers } = writePush({ ...MESSAGE, ...changes }, { keys, nowMs: 0 })
      expect(headers.length).toBe(8)
      for (const [name, value] of headers) {
        validateHeaderName(name)
        validateHeaderValue(name, value)
      }
      expect(headers.filter(([, value]) => /[\r\n\0]/.test(value))).toEqual([])
    }),
  )
})

test("a signature is what the Standard Webhooks specification says", () => {
  const key = readSigningKey("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
  if (key === undefined) throw new Error("the key cannot be read")
  const message = { ...MESSAGE, body: Buffer.from("红包"), notifyContentFormat: "SIMPLIFIED" } as const
  const content = writePush(message, { keys: [key], nowMs: 1_614_265_330_999 })
  const signed = Buffer.concat([Buffer.from("6942316962.1614265330."), message.body])
  const expected = createHmac("sha256", Buffer.from("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "base64"))
  expect(content.headers.slice(0, 5)).toEqual(CMQ_HEADERS)
  expect(content.headers.slice(5)).toEqual([
    ["webhook-id", "6942316962"],
    ["webhook-timestamp", "1614265330"],
    ["webhook-signature", `v1,${expected.update(signed).digest("base64")}`],
  ])
})

test("two keys give two signatures, each as if alone; none gives no header", () => {
  const [one, two] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]
  const sign = (...keys: readonly Uint8Array[]): string | undefined =>
    headerOf(writePush(MESSAGE, { keys, nowMs: 5_000 }), "webhook-signature")
  expect(sign(one, two)).toBe(`${String(sign(one))} ${String(sign(two))}`)
  expect(sign(one)).not.toBe(sign(two))
  expect(writePush(MESSAGE, { keys: [], nowMs: 5_000 }).headers).toEqual(CMQ_HEADERS)
})

test("a signing key is read in one form only", () => {
  const keyOf = (bytes: number): string => `whsec_${Buffer.alloc(bytes, 7).toString("base64")}`
  expect(readSigningKey(keyOf(24))?.length).toBe(24)
  expect(readSigningKey(keyOf(64))?.length).toBe(64)
  for (const text of ["", "whsec_", keyOf(23), keyOf(65), keyOf(32).slice(6), `${keyOf(32)}=`, `${keyOf(24)}!`]) {
    expect(readSigningKey(text), text).toBeUndefined()
  }
  expect(readSigningKey(keyOf(33).replace("B", "-"))).toBeUndefined()
})
