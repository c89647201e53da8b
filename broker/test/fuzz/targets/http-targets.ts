/** What strangers send by HTTP, the texts inside of it, and what the SDK reads of a reply. */
import {
  decodeMessageId,
  decodeReceiptHandle,
  encodeMessageId,
  encodeReceiptHandle,
  errorRow,
  findAction,
  formatAttributes,
  formatDeadLetterPolicy,
  parseAttributes,
  parseDeadLetterPolicy,
  readCommonParameters,
  readParameters,
} from "@opencmq/proto"
import type { ErrorName } from "@opencmq/proto"
import { Message } from "../../../../client-sdk/src/message.ts"
import type { MessageActions } from "../../../../client-sdk/src/message.ts"
import { listOf } from "../../../../client-sdk/src/reply-fields.ts"
import type { Fields } from "../../../../client-sdk/src/reply-fields.ts"
import { readForm } from "../../../src/adapters/http/form.ts"
import { ACTION_EXAMPLES } from "../../conformance/kit/action-examples.ts"
import { demand } from "../fuzz-target.ts"
import type { FuzzTarget, Verdict } from "../fuzz-target.ts"

const EMPTY = new Uint8Array(0)
const FORM_LIMITS = { maxParameters: 64 }
/** Where a form is decoded: made anew for a longer input than any before, and kept. */
const FORM_SCRATCH_BYTES = 65_536
const COMMON = "SecretId=AKID&Timestamp=1700000000&Nonce=123&SignatureMethod=HmacSHA256&Signature=c2lnbmVk"

const ATTRIBUTES = formatAttributes([
  { name: "trace", type: "string", value: Buffer.from("00-ab-cd-01") },
  { name: "raw.bytes", type: "binary", value: Uint8Array.of(0, 1, 2, 255) },
])

/** Whatever is refused is a row of the error table. */
export function verdictOf(result: { readonly ok: boolean; readonly error?: ErrorName }): Verdict {
  if (result.ok) return "valid"
  demand(
    result.error !== undefined && typeof errorRow(result.error).code === "number",
    "a refusal is a row of the table",
  )
  return "refused"
}

const form: FuzzTarget = {
  name: "form",
  inputsInTest: 100_000,
  seeds: [
    Buffer.from(`${COMMON}&Action=SendMessage&queueName=orders&msgBody=hello+world%21&delaySeconds=3`),
    Buffer.from(`Action=SendMessage&queueName=orders&msgBody=${"%E9%98%9F%E5%88%97".repeat(12)}`),
    Buffer.from(`Action=X&msgBody=${"plain".repeat(70)}&n=${"a".repeat(90)}%20`),
    Buffer.from("a&b=&&c==&__proto__=x&%41=1"),
  ],
  allocationBytesMax: FORM_SCRATCH_BYTES,
  run: (input) => {
    const isSplit = input.length > 0 && (input[0] as number) % 2 === 0
    const half = isSplit ? input.length >>> 1 : 0
    const read = readForm(input.subarray(0, half), input.subarray(half), FORM_LIMITS)
    if (!read.ok) return verdictOf({ ok: false, error: read.refusal.error })
    demand(read.params.size <= FORM_LIMITS.maxParameters, "no more parameters than allowed")
    return "valid"
  },
}

const exampleForms = ACTION_EXAMPLES.map(({ action, params }) => {
  const pairs = new URLSearchParams()
  for (const [name, value] of Object.entries(params)) {
    if (!Array.isArray(value)) pairs.append(name, String(value))
    else
      value.forEach((each, index) => {
        pairs.append(`${name}.${String(index + 1)}`, String(each))
      })
  }
  return Buffer.from(`Action=${action}&${COMMON}&${pairs.toString()}`)
})

const parameters: FuzzTarget = {
  name: "parameters",
  inputsInTest: 30_000,
  seeds: [
    ...exampleForms,
    Buffer.from(
      "Action=SendMessage&queueName=orders&msgBody=b&attribute.1.name=a&attribute.1.value=v&attribute.1.type=string",
    ),
    Buffer.from(`Action=BatchSendMessage&queueName=o&msgBody.1=a&attributes.1=${encodeURIComponent(ATTRIBUTES)}`),
    Buffer.from(
      "Action=CreateQueue&queueName=o&deadLetterQueueName=d&policy=1&maxTimeToLive=300&msgRetentionSeconds=400",
    ),
  ],
  allocationBytesMax: FORM_SCRATCH_BYTES,
  run: (input) => {
    const read = readForm(EMPTY, input, FORM_LIMITS)
    if (!read.ok) return "refused"
    const action = findAction(read.params.get("Action") ?? "")
    if (action === undefined) return "refused"
    const common = verdictOf(readCommonParameters(read.params))
    const own = verdictOf(readParameters(action, read.params))
    return common === "valid" ? own : common
  },
}

const json: FuzzTarget = {
  name: "json",
  inputsInTest: 15_000,
  seeds: [
    Buffer.from(ATTRIBUTES),
    Buffer.from('[{"name":"n","value":"","type":"string"},{"name":"m","value":"\\u961f\\n"}]'),
    Buffer.from(formatDeadLetterPolicy({ kind: "maxReceiveCount", deadLetterQueue: "dead", maxReceiveCount: 3 })),
    Buffer.from('{"deadLetterQueue":"d","policy":"1","maxTimeToLive":"300"}'),
    Buffer.from("[".repeat(300) + "]".repeat(300)),
  ],
  allocationBytesMax: 1_024,
  run: (input) => {
    const text = input.toString("utf8")
    const attributes = verdictOf(parseAttributes(text))
    const policy = verdictOf(parseDeadLetterPolicy(text))
    return attributes === "valid" ? "valid" : policy
  },
}

const replies = ACTION_EXAMPLES.filter(({ action }) => action.includes("Message")).map(({ reply }) =>
  JSON.stringify(reply),
)
const noActions: MessageActions = {
  deleteMessage: () => Promise.resolve(),
  changeVisibility: () => Promise.resolve(new Date(0)),
}

/** The SDK believes no field of a reply: what is missing or of another type reads as empty. */
const sdkReply: FuzzTarget = {
  name: "sdk-reply",
  inputsInTest: 20_000,
  seeds: replies.map((text) => Buffer.from(text)),
  allocationBytesMax: 1_024,
  run: (input) => {
    let value: unknown
    try {
      value = JSON.parse(input.toString("utf8"))
    } catch (error) {
      if (error instanceof SyntaxError) return "refused"
      throw error
    }
    if (typeof value !== "object" || value === null) return "refused"
    const fields = value as Fields
    for (const each of [fields, ...listOf(fields["msgInfoList"])]) {
      const message = new Message(each, noActions)
      demand(typeof message.body === "string" && message.bytes instanceof Uint8Array, "a body is a text and bytes")
    }
    return "valid"
  },
}

const ids: FuzzTarget = {
  name: "ids",
  seeds: ["0", "65536", "1099511627777", "18446744073709551615", "18446744073709551616", "9007199254740993"].map(
    (each) => Buffer.from(each),
  ),
  allocationBytesMax: 0,
  run: (input) => {
    const text = input.toString("utf8")
    const parts = decodeReceiptHandle(text)
    const id = decodeMessageId(text)
    demand((parts === undefined) === (id === undefined), "both are the same numbers")
    if (parts === undefined || id === undefined) return "refused"
    demand(encodeReceiptHandle(parts) === text && encodeMessageId(id) === text, "a number has one spelling")
    return "valid"
  },
}

export const HTTP_TARGETS: readonly FuzzTarget[] = [form, parameters, json, sdkReply, ids]
