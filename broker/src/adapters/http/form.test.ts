import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { NAME_BYTES_MAX, VALUE_BYTES_MAX, readForm } from "./form.ts"

const LIMITS = { maxParameters: 64 }
const NONE = new Uint8Array(0)

function read(body: string | Uint8Array, query = ""): ReturnType<typeof readForm> {
  return readForm(Buffer.from(query, "latin1"), typeof body === "string" ? Buffer.from(body, "utf8") : body, LIMITS)
}

function paramsOf(body: string, query = ""): Record<string, string> {
  const form = read(body, query)
  return form.ok ? Object.fromEntries(form.params) : expect.fail(JSON.stringify(form.refusal))
}

function refusalOf(body: string | Uint8Array, query = ""): string {
  const form = read(body, query)
  return form.ok ? "accepted" : `${form.refusal.error} ${form.refusal.args.join()}`
}

describe("forms that are read", () => {
  test("plus and %20 are both a blank; escapes in either case", () => {
    expect(paramsOf("a=x+y&b=x%20y&c=%e4%bd%A0&d=%2B%26%3D")).toEqual({ a: "x y", b: "x y", c: "你", d: "+&=" })
  })

  test("bytes that are not escaped are taken as they are, when they are UTF-8", () => {
    expect(paramsOf("msgBody=你好/é")).toEqual({ msgBody: "你好/é" })
  })

  test("a value holds equals signs; a name without one has an empty value; empty pairs are nothing", () => {
    expect(paramsOf("&&a=b=c&&d&e=&")).toEqual({ a: "b=c", d: "", e: "" })
  })

  test("query and body come together, the query first", () => {
    const form = read("b=2&c=3", "a=1")
    expect(form.ok && [...form.params.keys()]).toEqual(["a", "b", "c"])
  })

  test("names like __proto__ and constructor are names like any other", () => {
    const form = read("__proto__=1&constructor=2&toString=3")
    expect(form.ok && [...form.params]).toEqual([
      ["__proto__", "1"],
      ["constructor", "2"],
      ["toString", "3"],
    ])
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined()
  })

  test("a byte order mark and a NUL in a value stay", () => {
    expect(paramsOf("msgBody=%EF%BB%BFa%00b")).toEqual({ msgBody: "\ufeffa\u0000b" })
  })

  test("a body value may be longer than any other", () => {
    const long = "x".repeat(VALUE_BYTES_MAX + 1)
    expect(paramsOf(`msgBody=${long}`)["msgBody"]).toHaveLength(VALUE_BYTES_MAX + 1)
    expect(paramsOf(`msgBody.3=${long}`)["msgBody.3"]).toHaveLength(VALUE_BYTES_MAX + 1)
  })
})

describe("forms that are refused", () => {
  test.each([
    ["a=1&a=1", "parameterNotRepeatable a"],
    ["a=1&%61=2", "parameterNotRepeatable a"],
    ["a=%", "requestTooLarge the escapes of parameter a"],
    ["a=%4", "requestTooLarge the escapes of parameter a"],
    ["a=%4&b=1", "requestTooLarge the escapes of parameter a"],
    ["a=%zz", "requestTooLarge the escapes of parameter a"],
    ["a=%u4f60", "requestTooLarge the escapes of parameter a"],
    ["%a=1", "requestTooLarge a parameter name with a broken escape"],
    ["=1", "parameterKeyFormat "],
    ["a%3Db=1", "parameterKeyFormat a=b"],
    ["a%26b=1", "parameterKeyFormat a&b"],
    ["a%00=1", "parameterKeyFormat a?"],
    ["a%0d%0ab=1", "parameterKeyFormat a??b"],
    ["a+b=1", "parameterKeyFormat a?b"],
    ["%E4%BD%A0=1", "parameterKeyFormat ???"],
    ["a=%ff", "bodyUnreadable a"],
    ["a=%C0%80", "bodyUnreadable a"],
    ["a=%ED%A0%80", "bodyUnreadable a"],
    ["a=%F4%90%80%80", "bodyUnreadable a"],
    ["a=%E4%BD", "bodyUnreadable a"],
    ["msgBody=%E4%BD", "bodyUnreadable msgBody"],
    [`a=${"x".repeat(VALUE_BYTES_MAX + 1)}`, "parameterOutOfRange a"],
  ])("%s", (body, refusal) => {
    expect(refusalOf(body)).toBe(refusal)
  })

  test("a parameter in the query and again in the body", () => {
    expect(refusalOf("queueName=b", "queueName=a")).toBe("parameterNotRepeatable queueName")
  })

  test("a name that is too long is not echoed whole", () => {
    expect(refusalOf(`${"n".repeat(100_000)}=1`)).toBe(`parameterKeyFormat ${"n".repeat(NAME_BYTES_MAX)}`)
  })

  test("one parameter too many", () => {
    const names = Array.from({ length: LIMITS.maxParameters + 1 }, (_, index) => `p${String(index)}=1`)
    expect(read(names.slice(1).join("&")).ok).toBe(true)
    expect(refusalOf(names.join("&"))).toBe("requestTooLarge more than 64 parameters")
  })

  test("raw bytes that are not UTF-8", () => {
    expect(refusalOf(Uint8Array.of(0x61, 0x3d, 0xff))).toBe("bodyUnreadable a")
  })
})

describe("any input", () => {
  // FORM_FUZZ_RUNS=10000000 for the long run (test/conformance/README.md).
  const numRuns = Number(process.env["FORM_FUZZ_RUNS"] ?? 20_000)

  test("what URLSearchParams writes is read back", () => {
    const name = fc.stringMatching(/^[A-Za-z_.][A-Za-z0-9_.-]{0,20}$/)
    const pairs = fc.uniqueArray(fc.tuple(name, fc.string({ unit: "grapheme" })), { selector: ([key]) => key })
    fc.assert(
      fc.property(pairs, (list) => {
        const form = read(new URLSearchParams(list).toString())
        expect(form.ok && [...form.params]).toEqual(list)
      }),
      { numRuns: Math.min(numRuns, 2_000) },
    )
  })

  test("never throws, never gives what is not UTF-8, never more than was sent", { timeout: 3_600_000 }, () => {
    const structured = fc
      .array(
        fc.constantFrom("a", "=", "&", "%", "%4", "%41", "%ff", "%E4%BD%A0", "+", "\u0000", "msgBody.1", "__proto__"),
      )
      .map((parts) => Buffer.from(parts.join(""), "latin1"))
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), structured), (input) => {
        const form = readForm(NONE, input, LIMITS)
        if (!form.ok) return form.refusal.args.every((argument) => String(argument).length <= 200)
        let length = 0
        for (const [key, value] of form.params) {
          length += key.length + Buffer.byteLength(value)
          if (!/^[\x21-\x7e]{1,128}$/.test(key) || Buffer.from(value).toString() !== value) return false
        }
        return length <= input.length
      }),
      { numRuns },
    )
  })
})
