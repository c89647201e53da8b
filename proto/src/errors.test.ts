import fc from "fast-check"
import { expect, test } from "vitest"
import {
  ERROR_ARGUMENT_LENGTH_MAX,
  ERROR_NAMES,
  GRPC_STATUS,
  OWN_MODULE_CODE_MIN,
  errorByCode,
  errorByReply,
  errorRow,
  errorText,
  moduleCodeOf,
} from "./errors.ts"

test("OpenCMQ's own module codes begin at 20000 and Tencent's stay below", () => {
  for (const name of ERROR_NAMES) {
    const row = errorRow(name)
    const isOwn = row.moduleCode >= OWN_MODULE_CODE_MIN
    expect(isOwn, `${name}: ${row.source}`).toBe(/^OpenCMQ|OpenCMQ's|D:236/.test(row.source))
    expect(row.moduleCode).toBeLessThan(100_000)
    expect(row.code).toBeGreaterThan(0)
  }
})

test("a pair of codes names one error, save where CMQ itself uses it twice", () => {
  const names = new Map<string, string[]>()
  for (const name of ERROR_NAMES) {
    const row = errorRow(name)
    const pair = `${String(row.code)}/${String(row.moduleCode)}`
    names.set(pair, [...(names.get(pair) ?? []), name])
  }
  const shared = [...names].filter(([, sharing]) => sharing.length > 1)
  expect(Object.fromEntries(shared)).toEqual({
    "4000/10680": ["rewindTimeInvalid", "tooManyBindingKeys"],
    "4000/10700": ["rewindExceedsRetention", "routingKeyMissing"],
    "6040/10660": ["queueDeletedRecently", "topicDeletedRecently"],
    "6070/10690": ["tooManyUnacked", "tooManyDelayed"],
  })
})

test("errors that share a pair of codes are treated alike by a client", () => {
  for (const name of ERROR_NAMES) {
    const { code, moduleCode, retriable, outcome } = errorRow(name)
    const found = errorByCode(code, moduleCode)
    expect(found).toBeDefined()
    if (found !== undefined) expect(errorRow(found)).toMatchObject({ code, moduleCode, retriable, outcome })
  }
})

test("a retriable error never says that the request was applied", () => {
  for (const name of ERROR_NAMES) {
    const row = errorRow(name)
    if (row.retriable) expect(row.outcome, name).not.toBe("applied")
    expect(GRPC_STATUS[row.grpc], name).toBeTypeOf("number")
  }
})

test("the outcome is unknown only where the request may have been applied", () => {
  const unknown = ERROR_NAMES.filter((name) => errorRow(name).outcome === "unknown")
  expect(unknown).toEqual([
    "internal",
    "sendFailed",
    "receiveFailed",
    "deleteMessageFailed",
    "setQueueAttributesFailed",
    "deleteQueueFailed",
    "unknownOutcome",
  ])
})

test("the text begins with the module code in brackets", () => {
  expect(errorText("noMessage")).toBe("(10200)no message")
  expect(errorText("queueNotFound")).toBe("(10100)queue is not existed, or deleted")
  expect(errorText("parameterMissing", "queueName")).toBe("(10390)lacked of required parameter queueName")
  expect(errorText("secretIdMalformed")).toBe("(10450)secret id dosen't begin with AKID")
  expect(errorText("requestExpired", 7200)).toContain("more than 7200 seconds")
})

test("arguments are taken as they are, cut when long, and left out when missing", () => {
  expect(errorText("actionNotFound", "$& %s")).toBe("(10430)action name $& %s is not existed")
  expect(errorText("actionNotFound")).toBe("(10430)action name  is not existed")
  expect(errorText("noMessage", "extra")).toBe("(10200)no message")
  expect(errorText("actionNotFound", "x".repeat(1_000_000)).length).toBeLessThan(ERROR_ARGUMENT_LENGTH_MAX + 100)
})

test("the module code is read from the first brackets of a text", () => {
  fc.assert(
    fc.property(fc.constantFrom(...ERROR_NAMES), fc.string(), (name, argument) => {
      expect(moduleCodeOf(errorText(name, argument))).toBe(errorRow(name).moduleCode)
    }),
  )
  for (const text of ["", "no message", "()x", "(12x)", "x(10200)"]) expect(moduleCodeOf(text)).toBeUndefined()
})

test("the way back: the module code decides, the public code helps out", () => {
  expect(errorByCode(7000, 10200)).toBe("noMessage")
  expect(errorByCode(4000, 10470)).toBe("receiptHandleMalformed")
  expect(errorByCode(4490, 10470)).toBe("subscriptionAlreadyExists")
  expect(errorByCode(4000, 10670)).toBe("tooManyFilterTags")
  expect(errorByCode(6050, 10670)).toBe("rewindNotEnabled")
  expect(errorByCode(4500, 10480)).toBe("subscriptionLimitReached")
  expect(errorByCode(4500, 20011)).toBe("nonceReplayed")
  // The new gateway's public code with the old module code.
  expect(errorByCode(4000, 10210)).toBe("queueAlreadyExists")
  // No brackets, or a number that nobody knows.
  expect(errorByCode(6010, undefined)).toBe("deletePartiallyFailed")
  expect(errorByCode(6000, 19999)).toBe("internal")
  expect(errorByCode(4440, undefined)).toBe("queueNotFound")
  expect(errorByCode(12345, undefined)).toBeUndefined()
})

test("a reply leads back to the very row it was made from, also where CMQ uses two numbers twice", () => {
  for (const name of ERROR_NAMES) {
    const { code } = errorRow(name)
    const text = errorText(name, "an argument", 7, "another")
    const found = errorByReply(code, text)
    // Only rows with the same numbers and the same words cannot be told apart.
    expect(found === name || errorText(found ?? "internal", "an argument", 7, "another") === text, name).toBe(true)
  }
  expect(errorByReply(4000, errorText("routingKeyMissing"))).toBe("routingKeyMissing")
  expect(errorByReply(4000, errorText("tooManyBindingKeys"))).toBe("tooManyBindingKeys")
  expect(errorByReply(4440, "(10100)words of another version")).toBe("queueNotFound")
  expect(errorByReply(12345, "nothing known")).toBeUndefined()
})
