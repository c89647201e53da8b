import fc from "fast-check"
import { expect, test } from "vitest"
import { ACTION_NAMES, actionRow } from "./actions.ts"
import type { ActionName } from "./actions.ts"
import { encodeReceiptHandle } from "./receipt-handle.ts"
import { readCommonParameters, readParameters } from "./read-parameters.ts"

const body = (text: string): Uint8Array => Buffer.from(text)

function read(action: ActionName, params: Record<string, string>): unknown {
  return readParameters(action, new Map(Object.entries({ queueName: "q", ...params })))
}

function refusal(action: ActionName, params: Record<string, string>): string {
  const result = readParameters(action, new Map(Object.entries({ queueName: "q", ...params })))
  return result.ok ? "accepted" : [result.error, ...result.args].join(" ")
}

test("CreateQueue without attributes has CMQ's defaults", () => {
  expect(read("CreateQueue", {})).toEqual({
    ok: true,
    value: {
      queueName: "q",
      maxMsgHeapNum: 100_000_000,
      pollingWaitSeconds: 0,
      visibilityTimeout: 30,
      maxMsgSize: 65_536,
      msgRetentionSeconds: 345_600,
      rewindSeconds: 0,
    },
  })
})

test("SetQueueAttributes has what is given and nothing else", () => {
  expect(read("SetQueueAttributes", { visibilityTimeout: "60" })).toEqual({
    ok: true,
    value: { queueName: "q", visibilityTimeout: 60 },
  })
})

test("each attribute takes its range and not one more", () => {
  const ranges: [string, number, number][] = [
    ["maxMsgHeapNum", 1_000_000, 1_000_000_000],
    ["pollingWaitSeconds", 0, 30],
    ["visibilityTimeout", 1, 43_200],
    ["maxMsgSize", 1_024, 1_048_576],
    ["msgRetentionSeconds", 60, 1_296_000],
  ]
  for (const action of ["CreateQueue", "SetQueueAttributes"] as const) {
    for (const [name, min, max] of ranges) {
      for (const value of [min, max]) expect(refusal(action, { [name]: String(value) }), name).toBe("accepted")
      for (const value of [min - 1, max + 1])
        expect(refusal(action, { [name]: String(value) }), name).toBe(`parameterOutOfRange ${name}`)
    }
  }
})

test("numbers are strict: no blank, fraction, exponent, sign or empty text", () => {
  for (const text of ["", " 5", "5.0", "1e3", "+5", "05", "five"]) {
    expect(refusal("CreateQueue", { visibilityTimeout: text }), text).toBe("parameterTypeError visibilityTimeout")
  }
  expect(refusal("CreateQueue", { visibilityTimeout: "9".repeat(40) })).toBe("parameterOutOfRange visibilityTimeout")
})

test("rewind must not reach beyond retention, nor a dead letter's age", () => {
  expect(refusal("CreateQueue", { rewindSeconds: "345601" })).toBe("rewindExceedsRetention")
  expect(refusal("CreateQueue", { rewindSeconds: "345600" })).toBe("accepted")
  expect(refusal("SetQueueAttributes", { rewindSeconds: "61", msgRetentionSeconds: "60" })).toBe(
    "rewindExceedsRetention",
  )
  expect(refusal("SetQueueAttributes", { rewindSeconds: "1296000" })).toBe("accepted")
  const deadLetterPolicy = '{"deadLetterQueue":"dead","policy":1,"maxTimeToLive":300}'
  expect(refusal("CreateQueue", { deadLetterPolicy, msgRetentionSeconds: "300" })).toMatch(/^deadLetterPolicyInvalid/)
  expect(refusal("CreateQueue", { deadLetterPolicy, msgRetentionSeconds: "301" })).toBe("accepted")
})

test("a queue cannot be its own dead letter queue, in any case", () => {
  expect(refusal("CreateQueue", { queueName: "Orders", deadLetterQueueName: "orders", maxReceiveCount: "3" })).toMatch(
    /^deadLetterPolicyInvalid/,
  )
})

test("a missing or malformed queue name", () => {
  for (const action of ACTION_NAMES) {
    if (!("queueName" in actionRow(action).parameters)) continue
    expect(refusal(action, { queueName: "" }), action).toBe("parameterMissing queueName")
    expect(refusal(action, { queueName: "9" }), action).toBe("queueNameInvalid")
  }
  expect(refusal("ListDeadLetterSourceQueues", {})).toBe("parameterMissing deadLetterQueueName")
})

test("topics: names, tags, keys, words and endpoints", () => {
  const subscribe = { topicName: "t", subscriptionName: "s", protocol: "queue", endpoint: "q" }
  expect(refusal("CreateTopic", { topicName: "9" })).toBe("topicNameInvalid")
  expect(refusal("CreateTopic", { topicName: "t", filterType: "3" })).toBe("parameterOutOfRange filterType")
  expect(refusal("Unsubscribe", { topicName: "t", subscriptionName: "9" })).toBe("subscriptionNameInvalid")
  expect(refusal("Subscribe", { ...subscribe, protocol: "ftp" })).toBe("protocolUndefined protocol")
  expect(refusal("Subscribe", { ...subscribe, endpoint: "9" })).toBe("endpointIllegal")
  const http = { ...subscribe, protocol: "HTTP" }
  expect(refusal("Subscribe", { ...http, endpoint: "http://a b" })).toBe("endpointHasBlanks")
  expect(refusal("Subscribe", { ...http, endpoint: "ftp://a" })).toBe("endpointInvalid")
  expect(refusal("Subscribe", { ...http, endpoint: "http://" })).toBe("endpointInvalid")
  expect(refusal("Subscribe", { ...http, endpoint: "http://u:p@a/" })).toBe("endpointInvalid")
  expect(refusal("Subscribe", { ...http, endpoint: "http://a/", notifyStrategy: "x" })).toMatch(/^notifyStrategyUndef/)
  const six = Object.fromEntries(Array.from({ length: 6 }, (_, index) => [String(index), "a"]))
  const indexed = (name: string) => Object.fromEntries(Object.entries(six).map(([n, v]) => [`${name}.${n}`, v]))
  expect(refusal("Subscribe", { ...subscribe, ...indexed("filterTag") })).toBe("tooManyFilterTags")
  expect(refusal("Subscribe", { ...subscribe, ...indexed("bindingKey") })).toBe("tooManyBindingKeys")
  const publish = { topicName: "t", msgBody: "m" }
  expect(refusal("PublishMessage", { ...publish, ...indexed("msgTag") })).toBe("tooManyMessageTags")
  expect(refusal("PublishMessage", { ...publish, routingKey: "a".repeat(65) })).toBe("parameterOutOfRange routingKey")
  expect(refusal("PublishMessage", { ...publish, routingKey: ".".repeat(16) })).toBe("tooManyDelimiters")
  expect(read("PublishMessage", { ...publish, routingKey: "", "msgTag.1": "red" })).toEqual({
    ok: true,
    value: { topicName: "t", msgBody: Buffer.from("m"), msgTag: ["red"], attributes: [] },
  })
  expect(read("Subscribe", { ...http, endpoint: "http://a/", notifyContentFormat: "simplified" })).toMatchObject({
    value: { protocol: "http", notifyContentFormat: "SIMPLIFIED" },
  })
})

test("unknown parameters are ignored", () => {
  const params = { UserpollingWaitSeconds: "x", Region: "gz", "msgBody.1": "array", msgBody: "m" }
  expect(read("SendMessage", params)).toEqual({
    ok: true,
    value: { queueName: "q", msgBody: body("m"), delaySeconds: 0, attributes: [] },
  })
})

test("SendMessage: body, delay, client message id and attributes", () => {
  expect(
    read("SendMessage", {
      msgBody: "你好&=+/",
      delaySeconds: "3600",
      clientMessageId: "id-1",
      "attribute.0.name": "a",
      "attribute.0.value": "b",
    }),
  ).toEqual({
    ok: true,
    value: {
      queueName: "q",
      msgBody: body("你好&=+/"),
      delaySeconds: 3_600,
      clientMessageId: "id-1",
      attributes: [{ name: "a", type: "string", value: Uint8Array.of(0x62) }],
    },
  })
})

test("SendMessage: what is wrong gets its own error", () => {
  expect(refusal("SendMessage", {})).toBe("parameterMissing msgBody")
  expect(refusal("SendMessage", { msgBody: "" })).toBe("messageEmpty")
  expect(refusal("SendMessage", { msgBody: "x".repeat(1_048_576) })).toBe("accepted")
  expect(refusal("SendMessage", { msgBody: "x".repeat(1_048_577) })).toBe("messageTooLarge")
  expect(refusal("SendMessage", { msgBody: "你".repeat(349_526) })).toBe("messageTooLarge")
  expect(refusal("SendMessage", { msgBody: "m", delaySeconds: "3601" })).toBe("delayOutOfRange delaySeconds")
  expect(refusal("SendMessage", { msgBody: "m", delaySeconds: "-1" })).toBe("delayOutOfRange delaySeconds")
  expect(refusal("SendMessage", { msgBody: "m", clientMessageId: "ä".repeat(64) })).toBe("accepted")
  expect(refusal("SendMessage", { msgBody: "m", clientMessageId: "ä".repeat(65) })).toBe(
    "parameterOutOfRange clientMessageId",
  )
})

test("BatchSendMessage: bodies come in the order of their numbers, from 0 or from 1", () => {
  const texts = fc.array(fc.string({ minLength: 1, unit: "grapheme" }), { minLength: 1, maxLength: 16 })
  fc.assert(
    fc.property(texts, fc.constantFrom(0, 1), (bodies, base) => {
      const pairs = bodies.map((text, index): [string, string] => [`msgBody.${String(base + index)}`, text])
      const params = Object.fromEntries(pairs.reverse())
      expect(read("BatchSendMessage", params)).toEqual({
        ok: true,
        value: { queueName: "q", delaySeconds: 0, msgBody: bodies.map(body) },
      })
    }),
  )
})

test("BatchSendMessage: ids and attributes belong to the body of the same number and may be left out", () => {
  const attributes = '[{"name":"n","value":"AA==","type":"binary"}]'
  expect(
    read("BatchSendMessage", {
      "msgBody.1": "a",
      "msgBody.2": "b",
      "clientMessageId.2": "id",
      "attributes.1": attributes,
      "attributes.2": "",
    }),
  ).toEqual({
    ok: true,
    value: {
      queueName: "q",
      delaySeconds: 0,
      msgBody: [body("a"), body("b")],
      clientMessageId: [undefined, "id"],
      attributes: [[{ name: "n", type: "binary", value: Uint8Array.of(0) }], undefined],
    },
  })
  expect(refusal("BatchSendMessage", { "msgBody.1": "a", "clientMessageId.0": "id" })).toBe(
    "parameterNotConsecutive clientMessageId",
  )
  expect(refusal("BatchSendMessage", { "msgBody.0": "a", "clientMessageId.1": "id" })).toBe(
    "parameterNotConsecutive clientMessageId",
  )
  expect(refusal("BatchSendMessage", { "msgBody.0": "a", "clientMessageId.x": "id" })).toBe(
    "parameterKeyFormat clientMessageId.x",
  )
  expect(refusal("BatchSendMessage", { "msgBody.0": "a", "attributes.0": "{}" })).toMatch(/^attributeInvalid/)
})

test("BatchSendMessage: what is wrong gets its own error", () => {
  const numbered = (count: number, text: string): Record<string, string> =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`msgBody.${String(index)}`, text]))
  expect(refusal("BatchSendMessage", { msgBody: "not a batch" })).toBe("parameterMissing msgBody")
  expect(refusal("BatchSendMessage", numbered(17, "m"))).toBe("parameterBatchSize msgBody")
  expect(refusal("BatchSendMessage", { "msgBody.1": "a", "msgBody.3": "c" })).toBe("parameterNotConsecutive msgBody")
  expect(refusal("BatchSendMessage", { "msgBody.1": "a", "msgBody.2": "" })).toBe("messageEmpty")
  expect(refusal("BatchSendMessage", numbered(16, "x".repeat(65_536)))).toBe("accepted")
  expect(refusal("BatchSendMessage", { ...numbered(15, "x".repeat(65_536)), "msgBody.15": "x".repeat(65_537) })).toBe(
    "batchTooLarge",
  )
})

test("receives: no wait and no visibility of their own unless given", () => {
  expect(read("ReceiveMessage", {})).toEqual({ ok: true, value: { queueName: "q" } })
  expect(read("BatchReceiveMessage", { numOfMsg: "16", pollingWaitSeconds: "30", visibilityTimeout: "1" })).toEqual({
    ok: true,
    value: { queueName: "q", numOfMsg: 16, pollingWaitSeconds: 30, visibilityTimeout: 1 },
  })
  expect(refusal("BatchReceiveMessage", {})).toBe("parameterMissing numOfMsg")
  expect(refusal("BatchReceiveMessage", { numOfMsg: "17" })).toBe("parameterOutOfRange numOfMsg")
  expect(refusal("ReceiveMessage", { pollingWaitSeconds: "31" })).toBe("parameterOutOfRange pollingWaitSeconds")
  expect(refusal("ReceiveMessage", { visibilityTimeout: "0" })).toBe("parameterOutOfRange visibilityTimeout")
})

test("a handle that is not one is refused alone, and left to the answer per handle in a batch", () => {
  const receiptHandle = encodeReceiptHandle({ slot: 3, deliveryNumber: 9 })
  expect(read("DeleteMessage", { receiptHandle })).toEqual({ ok: true, value: { queueName: "q", receiptHandle } })
  expect(refusal("DeleteMessage", { receiptHandle: "rubbish" })).toBe("receiptHandleMalformed")
  expect(refusal("DeleteMessage", {})).toBe("parameterMissing receiptHandle")
  expect(read("BatchDeleteMessage", { "receiptHandle.0": receiptHandle, "receiptHandle.1": "rubbish" })).toEqual({
    ok: true,
    value: { queueName: "q", receiptHandle: [receiptHandle, "rubbish"] },
  })
  expect(refusal("BatchDeleteMessage", {})).toBe("parameterMissing receiptHandle")
})

test("change visibility takes 0, which a receive does not", () => {
  const receiptHandle = "1"
  expect(read("ChangeMessageVisibility", { receiptHandle, visibilityTimeout: "0" })).toEqual({
    ok: true,
    value: { queueName: "q", receiptHandle, visibilityTimeout: 0 },
  })
  expect(refusal("ChangeMessageVisibility", { receiptHandle })).toBe("parameterMissing visibilityTimeout")
  expect(refusal("ChangeMessageVisibility", { receiptHandle, visibilityTimeout: "43201" })).toBe(
    "parameterOutOfRange visibilityTimeout",
  )
})

test("lists, peeks and rewinds", () => {
  expect(readParameters("ListQueue", new Map())).toEqual({ ok: true, value: { offset: 0, limit: 20 } })
  expect(readParameters("ListQueue", new Map([["searchWord", ""]]))).toEqual({
    ok: true,
    value: { offset: 0, limit: 20 },
  })
  expect(refusal("ListQueue", { limit: "101" })).toBe("parameterOutOfRange limit")
  expect(read("PeekMessage", { startSeq: "9007199254740992" })).toMatchObject({ error: "parameterOutOfRange" })
  expect(read("PeekMessage", { startSeq: "9007199254740991" })).toEqual({
    ok: true,
    value: { queueName: "q", numOfMsg: 1, startSeq: 9_007_199_254_740_991 },
  })
  expect(read("RewindQueue", { startConsumeTime: "1700000000" })).toEqual({
    ok: true,
    value: { queueName: "q", startConsumeTime: 1_700_000_000, dryRun: 0 },
  })
  expect(refusal("RewindQueue", { startConsumeTime: "-1" })).toBe("rewindTimeInvalid startConsumeTime")
  expect(readParameters("GetClusterStatus", new Map([["queueName", "9"]]))).toEqual({ ok: true, value: {} })
})

test("common parameters: a nonce near 2^63 stays text", () => {
  const common = {
    Action: "SendMessage",
    SecretId: "AKIDx",
    Timestamp: "1700000000",
    Nonce: "9223372036854775807",
    Signature: "s",
  }
  expect(readCommonParameters(new Map(Object.entries(common)))).toEqual({
    ok: true,
    value: { ...common, Timestamp: 1_700_000_000 },
  })
  for (const name of Object.keys(common)) {
    const params = new Map(Object.entries(common))
    params.delete(name)
    expect(readCommonParameters(params)).toEqual({ ok: false, error: "parameterMissing", args: [name] })
  }
  expect(readCommonParameters(new Map(Object.entries({ ...common, Nonce: "-1" })))).toMatchObject({
    error: "parameterTypeError",
    args: ["Nonce"],
  })
  expect(readCommonParameters(new Map(Object.entries({ ...common, clientRequestId: "x" })))).toMatchObject({
    error: "parameterTypeError",
  })
})

test("values have the types that their rows give", () => {
  const result = readParameters(
    "SendMessage",
    new Map([
      ["queueName", "q"],
      ["msgBody", "m"],
    ]),
  )
  if (!result.ok) throw new Error(result.error)
  // tsc is the test: certain where required or with a fallback, else possibly undefined.
  const certain: { queueName: string; msgBody: Uint8Array; delaySeconds: number } = result.value
  const possible: string | undefined = result.value.clientMessageId
  expect([certain.delaySeconds, possible]).toEqual([0, undefined])
})

test("property: whatever the parameters, reading ends in a value or a refusal and never throws", () => {
  const names = [
    "queueName",
    "msgBody",
    "msgBody.1",
    "msgBody.x",
    "deadLetterPolicy",
    "attribute.1.name",
    "attributes.1",
    "numOfMsg",
    "limit",
    "receiptHandle",
    "receiptHandle.0",
  ]
  const maps = fc.dictionary(
    fc.oneof(fc.constantFrom(...names), fc.string()),
    fc.oneof(fc.string(), fc.json(), fc.integer().map(String)),
  )
  fc.assert(
    fc.property(fc.constantFrom(...ACTION_NAMES), maps, (action, params) => {
      expect(typeof readParameters(action, new Map(Object.entries(params))).ok).toBe("boolean")
    }),
    { numRuns: 2000 },
  )
})
