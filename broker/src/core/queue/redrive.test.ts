// What the model test does not reach by chance: rates over time, standstills, queues that go, many messages.
import { expect, test } from "vitest"
import { MachineDriver } from "../../../test/transcripts/queue/machine-driver.ts"
import type { RedriveOrder } from "./command.ts"

const byCount = { kind: "maxReceiveCount", deadLetterQueue: "dead", maxReceiveCount: 1 } as const

/** Dead letters of "orders" and "refunds" in "dead", so many of each. */
function withDeadLetters(count: number, options: ConstructorParameters<typeof MachineDriver>[0] = {}): MachineDriver {
  const driver = new MachineDriver(options)
  driver.create("dead")
  for (const name of ["orders", "refunds"]) {
    driver.create(name, { deadLetterPolicy: byCount })
    driver.send(
      name,
      Array.from({ length: count }, (_, nth) => `${name} ${String(nth)}`),
    )
    for (let got = 0; got < count; got += 256) driver.receive(name, 256)
  }
  driver.advance(30_000)
  while ((driver.machine.nextDeadlineMs() ?? Infinity) <= driver.nowMs) driver.advance(0)
  return driver
}

function activeCounts(driver: MachineDriver): Record<string, number> {
  const names = ["dead", "orders", "refunds"]
  return Object.fromEntries(names.map((name) => [name, driver.machine.activeCount(driver.queueId(name))]))
}

function statusOf(driver: MachineDriver) {
  return driver.machine.redriveStatus(driver.queueId("dead"))
}

function preview(driver: MachineDriver, order: Partial<RedriveOrder> = {}) {
  const all = { targetQueueName: "", sourceQueueName: "", enqueuedFromMs: 0, enqueuedUntilMs: 2 ** 53 - 1 }
  return driver.machine.previewRedrive({
    queueId: driver.queueId("dead"),
    order: { ...all, messagesPerSecond: 1, ...order },
  })
}

test("each message goes to its own source, as new there: counted from 0, without a past", () => {
  const driver = withDeadLetters(2)
  expect(preview(driver)).toEqual({
    refusal: undefined,
    moveCount: 4,
    skipCount: 0,
    targets: [
      { queueName: "orders", count: 2 },
      { queueName: "refunds", count: 2 },
    ],
  })
  driver.redrive("dead")
  driver.advance(1)
  expect(activeCounts(driver)).toEqual({ dead: 0, orders: 2, refunds: 2 })
  expect(statusOf(driver)).toMatchObject({ state: "completed", movedCount: 4, skippedCount: 0, leftAtMostCount: 0 })
  const [first] = driver.receive("refunds")
  expect(first).toMatchObject({ body: "refunds 0", dequeueCount: 1, provenance: undefined, enqueuedAtMs: driver.nowMs })
})

test("a rate is kept in log time, however often entries come", () => {
  for (const stepMs of [1, 40, 1_000]) {
    const driver = withDeadLetters(50)
    driver.redrive("dead", { messagesPerSecond: 20 })
    for (let passedMs = 0; passedMs < 2_000; passedMs += stepMs) driver.advance(stepMs)
    // The first two move at once, then two every 100 ms.
    expect(statusOf(driver)?.movedCount, `entries every ${String(stepMs)} ms`).toBe(42)
  }
})

test("after a standstill no more than a second is made up for", () => {
  const driver = withDeadLetters(100)
  driver.redrive("dead", { messagesPerSecond: 20 })
  driver.advance(0)
  driver.advance(60_000)
  expect(statusOf(driver)?.movedCount).toBe(2 + 22)
})

test("filters: by the queue it came from, by when it came, to one queue", () => {
  const driver = withDeadLetters(3)
  const cameAtMs = driver.nowMs
  driver.advance(1_000)
  driver.create("inbox")
  expect(preview(driver, { sourceQueueName: "orders" })).toMatchObject({ moveCount: 3, skipCount: 0 })
  expect(preview(driver, { enqueuedUntilMs: cameAtMs })).toMatchObject({ moveCount: 0 })
  expect(preview(driver, { enqueuedFromMs: cameAtMs })).toMatchObject({ moveCount: 6 })
  expect(preview(driver, { targetQueueName: "nowhere" })).toMatchObject({ refusal: "redriveTargetInvalid" })
  expect(preview(driver, { sourceQueueName: "nowhere" })).toMatchObject({ refusal: "redriveSourceInvalid" })
  driver.redrive("dead", { sourceQueueName: "orders", targetQueueName: "inbox" })
  driver.advance(1)
  expect(driver.receive("inbox", 16).map(({ body }) => body)).toEqual(["orders 0", "orders 1", "orders 2"])
  expect(activeCounts(driver)).toEqual({ dead: 3, orders: 0, refunds: 0 })
})

test("what is in use or has no queue to go to is skipped and stays", () => {
  const driver = withDeadLetters(2)
  driver.send("dead", ["sent here"])
  driver.receive("dead")
  driver.run((builder) => {
    builder.addAdmin({ kind: "deleteQueue", queueName: "refunds" })
  })
  expect(preview(driver)).toMatchObject({ moveCount: 1, skipCount: 4 })
  driver.redrive("dead")
  driver.advance(1)
  expect(statusOf(driver)).toMatchObject({ state: "completed", movedCount: 1, skippedCount: 4 })
  expect(driver.machine.queueStatus(driver.queueId("dead"))).toMatchObject({ activeCount: 3, inactiveCount: 1 })
})

test("a full queue makes the task wait, and it goes on when there is room", () => {
  const driver = withDeadLetters(2)
  driver.create("small", { maxMsgHeapCount: 1 })
  driver.redrive("dead", { targetQueueName: "small" })
  driver.advance(1)
  expect(statusOf(driver)).toMatchObject({ state: "waiting", movedCount: 1 })
  driver.delete("small", driver.receive("small"))
  driver.advance(1_000)
  expect(statusOf(driver)).toMatchObject({ state: "waiting", movedCount: 2 })
})

test("cancelled: what was moved stays moved, nothing follows, and another may begin", () => {
  const driver = withDeadLetters(5)
  driver.redrive("dead", { messagesPerSecond: 10 })
  driver.advance(100)
  expect(driver.redrive("dead").refusal).toBe("redriveRunning")
  expect(driver.cancelRedrive("dead")).toMatchObject({ refusal: undefined, count: 2 })
  driver.advance(60_000)
  expect(statusOf(driver)).toMatchObject({ state: "cancelled", movedCount: 2 })
  expect(activeCounts(driver)).toEqual({ dead: 8, orders: 2, refunds: 0 })
  expect(driver.cancelRedrive("dead").refusal).toBe("redriveNotRunning")
  driver.redrive("dead")
  driver.advance(1)
  expect(activeCounts(driver)).toMatchObject({ dead: 0 })
})

test("a target that is deleted ends the task, a queue that is deleted takes it along", () => {
  const driver = withDeadLetters(5)
  driver.create("inbox")
  driver.redrive("dead", { targetQueueName: "inbox", messagesPerSecond: 10 })
  driver.advance(1)
  driver.run((builder) => {
    builder.addAdmin({ kind: "deleteQueue", queueName: "inbox" })
  })
  driver.advance(1_000)
  expect(statusOf(driver)).toMatchObject({ state: "targetDeleted", movedCount: 1, targetQueueName: "?" })
  for (const queueName of ["orders", "refunds"]) {
    driver.run((builder) => {
      builder.addAdmin({ kind: "unbindDeadLetterQueue", queueName })
    })
  }
  driver.redrive("dead", { messagesPerSecond: 10 })
  driver.run((builder) => {
    builder.addAdmin({ kind: "deleteQueue", queueName: "dead" })
  })
  driver.restart()
  driver.advance(60_000)
  // It had its first turn with the entry that deleted the queue.
  expect(activeCounts(driver)).toEqual({ dead: 0, orders: 1, refunds: 0 })
  const keys: number[] = []
  driver.machine.collectAll((key) => keys.push(key[0] ?? -1))
  expect(keys).not.toContain(9)
})

test("one entry looks at no more messages than it may, and the next goes on", () => {
  const driver = withDeadLetters(40, { limits: { timeStepsPerEntry: 10 } })
  driver.redrive("dead", { messagesPerSecond: 50_000, sourceQueueName: "refunds" })
  driver.advance(1)
  // The letters of "orders" lie in front: they are looked at, too.
  expect(statusOf(driver)).toMatchObject({ state: "running", movedCount: 0, leftAtMostCount: 70 })
  expect(driver.machine.nextDeadlineMs()).toBeLessThanOrEqual(driver.nowMs)
  for (let entries = 0; entries < 8; entries++) driver.advance(1)
  expect(statusOf(driver)).toMatchObject({ state: "completed", movedCount: 40 })
})
