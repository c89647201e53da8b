import { expect, test } from "vitest"
import { ATTRIBUTE_NAME_PATTERN, LIMIT_NAMES, LIMITS, foldName, isQueueName, isWithin, limitRow } from "./limits.ts"

test("every limit has a range, and its default lies within", () => {
  for (const name of LIMIT_NAMES) {
    const row = limitRow(name)
    expect(row.min, name).toBeLessThanOrEqual(row.max)
    expect(Number.isSafeInteger(row.min) && Number.isSafeInteger(row.max), name).toBe(true)
    if (row.default !== undefined) expect(isWithin(row, row.default), name).toBe(true)
    if (row.isConfigurable) expect(row.default, `${name} is configurable and needs a default`).toBeDefined()
  }
})

test("names end in the unit that the row gives", () => {
  const ending = { bytes: /Bytes$/, characters: /Length$/, s: /Seconds$/ }
  for (const name of LIMIT_NAMES) {
    const { unit } = limitRow(name)
    if (unit === "bytes" || unit === "characters" || unit === "s") expect(name).toMatch(ending[unit])
  }
})

test("CMQ's figures are the published ones", () => {
  expect(LIMITS.maxMsgHeapNum).toMatchObject({ min: 1_000_000, max: 1_000_000_000, default: 100_000_000 })
  expect(LIMITS.pollingWaitSeconds).toMatchObject({ min: 0, max: 30, default: 0 })
  expect(LIMITS.visibilityTimeoutSeconds).toMatchObject({ min: 1, max: 43_200, default: 30 })
  expect(LIMITS.maxMsgSizeBytes).toMatchObject({ min: 1_024, max: 1_048_576, default: 65_536 })
  expect(LIMITS.msgRetentionSeconds).toMatchObject({ min: 60, max: 1_296_000, default: 345_600 })
  expect(LIMITS.rewindSeconds).toMatchObject({ min: 0, max: 1_296_000, default: 0 })
  expect(LIMITS.delaySeconds).toMatchObject({ min: 0, max: 3_600 })
  expect(LIMITS.maxReceiveCount).toMatchObject({ min: 1, max: 1_000 })
  expect(LIMITS.maxTimeToLiveSeconds).toMatchObject({ min: 300, max: 43_200 })
  expect(LIMITS.batchCount.max).toBe(16)
  expect(LIMITS.deadLetterSourcesCount.max).toBe(6)
})

test("a raw request has room for the largest batch, whatever form encoding makes of it", () => {
  const decoded = LIMITS.batchBodyBytes.max + LIMITS.batchCount.max * LIMITS.attributesTotalBytes.max
  expect(3 * decoded).toBeLessThan(LIMITS.requestRawBytes.default)
})

test("a queue name is a letter, then up to 63 letters, digits, dashes and underscores", () => {
  for (const name of ["a", "Orders", "a-b_c9", "q-retry", "q-dlq", "a".repeat(64)])
    expect(isQueueName(name), name).toBe(true)
  for (const name of ["", "9a", "-a", "_a", "a b", "a.b", "a\n", "队列", "a".repeat(65)])
    expect(isQueueName(name), name).toBe(false)
})

test("names that differ in case only are the same name", () => {
  expect(foldName("Orders-ABC_9")).toBe(foldName("orders-abc_9"))
})

test("an attribute name is up to 256 letters, digits, underscores, dashes and dots", () => {
  for (const name of ["traceparent", "content-type", "a.b_c", "9"])
    expect(ATTRIBUTE_NAME_PATTERN.test(name), name).toBe(true)
  for (const name of ["", "a b", "a/b", "ä", "a".repeat(257)])
    expect(ATTRIBUTE_NAME_PATTERN.test(name), name).toBe(false)
})

test("a fraction or a number outside is not within a limit", () => {
  expect([0, 1, 16, 17, 1.5, Number.NaN].map((value) => isWithin(LIMITS.numOfMsg, value))).toEqual([
    false,
    true,
    true,
    false,
    false,
    false,
  ])
})
