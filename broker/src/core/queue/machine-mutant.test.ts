// Known bugs are put back into the machine, one at a time; the scenario that belongs to each must notice. The same
// scenario must be content with the real machine, or it proves nothing.
import { describe, expect, test } from "vitest"
import { MachineDriver, type MachineDriverOptions } from "../../../test/transcripts/queue/machine-driver.ts"
import type { MachineMutant } from "./machine-mutant.ts"

type Scenario = (options: MachineDriverOptions) => void

const scenarios: Readonly<Record<MachineMutant, Scenario>> = {
  deduplicationMissingInSnapshot: (options) => {
    const driver = new MachineDriver(options)
    driver.create("orders")
    driver.send("orders", ["a"], { clientMessageId: "k1" })
    driver.restart()
    driver.send("orders", ["a"], { clientMessageId: "k1" })
    expect(driver.outcome.sent.duplicates[0]).toBe(true)
    expect(driver.machine.activeCount(driver.queueId("orders"))).toBe(1)
  },

  staleHandleDeletes: (options) => {
    const driver = new MachineDriver(options)
    driver.create("orders")
    driver.send("orders", ["a"])
    const old = driver.receive("orders")
    driver.advance(30_000)
    driver.receive("orders")
    expect(driver.delete("orders", old)).toEqual([true])
  },

  receiveCountNotInLog: (options) => {
    const driver = new MachineDriver(options)
    driver.create("orders")
    driver.send("orders", ["a"])
    driver.receive("orders")
    driver.restart()
    driver.advance(30_000)
    expect(driver.receive("orders")[0]?.dequeueCount).toBe(2)
  },

  deadLetterMoveAsTwoEntries: (options) => {
    const driver = new MachineDriver(options)
    driver.create("dead")
    driver.create("orders", {
      deadLetterPolicy: { kind: "maxReceiveCount", deadLetterQueue: "dead", maxReceiveCount: 1 },
    })
    driver.send("orders", ["a"])
    driver.receive("orders")
    driver.advance(30_000)
    const places = ["orders", "dead"].map((name) => driver.machine.activeCount(driver.queueId(name)))
    expect(places).toEqual([0, 1])
    driver.restart()
    driver.advance(1)
    expect(driver.receive("dead")[0]?.body).toBe("a")
  },

  batchHalfApplied: (options) => {
    const driver = new MachineDriver(options)
    driver.create("orders", { maxMsgHeapCount: 2 })
    expect(driver.send("orders", ["a", "b", "c"]).refusal).toBe("queueHeapFull")
    expect(driver.machine.activeCount(driver.queueId("orders"))).toBe(0)
  },

  retentionIgnoresNow: (options) => {
    const driver = new MachineDriver({ ...options, limits: { timeStepsPerEntry: 0 } })
    driver.create("orders", { msgRetentionMs: 60_000 })
    driver.send("orders", ["a"])
    driver.advance(60_000)
    expect(driver.receive("orders")).toEqual([])
  },

  visibilityEndsEarly: (options) => {
    const driver = new MachineDriver(options)
    driver.create("orders")
    driver.send("orders", ["a"])
    driver.receive("orders")
    driver.advance(29_999)
    expect(driver.receive("orders")).toEqual([])
  },

  rewindDropsFront: (options) => {
    const driver = new MachineDriver(options)
    driver.create("orders", { rewindMs: 60_000 })
    driver.send("orders", ["a"])
    driver.delete("orders", driver.receive("orders"))
    const startConsumeAtMs = driver.nowMs
    driver.run((builder) => {
      builder.addAdmin({ kind: "rewindQueue", queueName: "orders", startConsumeAtMs })
    })
    expect(driver.receive("orders")[0]?.body).toBe("a")
  },

  deliveryNumberReused: (options) => {
    const driver = new MachineDriver(options)
    driver.create("orders")
    driver.send("orders", ["a"])
    const [first] = driver.receive("orders")
    driver.advance(30_000)
    const [second] = driver.receive("orders")
    expect(second?.deliveryNumber).toBeGreaterThan(first?.deliveryNumber ?? 0)
  },

  redriveCopies: (options) => {
    const driver = new MachineDriver(options)
    deadLetter(driver)
    driver.redrive("dead")
    driver.advance(1)
    const places = ["orders", "dead"].map((name) => driver.machine.activeCount(driver.queueId(name)))
    expect(places).toEqual([1, 0])
  },

  redriveMissingInSnapshot: (options) => {
    const driver = new MachineDriver(options)
    deadLetter(driver)
    driver.redrive("dead")
    driver.restart()
    driver.advance(1)
    expect(driver.receive("orders")[0]?.body).toBe("a")
  },

  redriveNeverEnds: (options) => {
    const driver = new MachineDriver(options)
    deadLetter(driver)
    driver.redrive("dead", { messagesPerSecond: 1 })
    // It fails again, and is back before the task takes its next turn.
    driver.advance(1)
    driver.receive("orders", 1, 500)
    driver.advance(500)
    driver.advance(60_000)
    expect(driver.machine.activeCount(driver.queueId("dead"))).toBe(1)
  },

  publishToNonMatching: (options) => {
    const driver = withTopic(options)
    driver.subscribe("news", URL, { filterTags: ["red"] })
    expect(driver.publish("news", ["a"], { tags: ["blue"] }).count).toBe(0)
  },

  matchingSkipped: (options) => {
    const driver = withTopic(options)
    driver.subscribe("news", "small", { subscriptionName: "one" })
    driver.subscribe("news", URL, { subscriptionName: "two" })
    driver.publish("news", ["a"])
    expect(driver.receive("small")[0]?.body).toBe("a")
  },

  freshOvertakesBacklog: (options) => {
    const driver = withTopic(options)
    driver.subscribe("news", "small")
    driver.publish("news", ["a", "b"])
    driver.delete("small", driver.receive("small"))
    driver.publish("news", ["c"])
    driver.advance(20_000)
    expect(driver.receive("small")[0]?.body).toBe("b")
  },

  backlogMissingInSnapshot: (options) => {
    const driver = withTopic(options)
    const { queueId } = driver.subscribe("news", URL)
    driver.publish("news", ["a"])
    driver.restart()
    expect(driver.waiting(queueId)).toEqual([[1, "a"]])
  },

  retryWithoutGap: (options) => {
    const driver = withTopic(options)
    driver.subscribe("news", URL)
    driver.publish("news", ["a"])
    driver.reportPush({ topicName: "news" }, { failedSequence: 1 })
    driver.advance(999)
    expect(driver.machine.waitingPushes()).toEqual([])
  },

  dropWithoutCount: (options) => {
    const driver = withTopic({ ...options, limits: { waitingPerSubscription: 1 } })
    const { queueId } = driver.subscribe("news", URL)
    driver.publish("news", ["a", "b"])
    expect(driver.machine.subscriptionStatus(queueId)).toMatchObject({ waitingCount: 1, droppedCount: 1 })
  },

  reportTakesOneTooMany: (options) => {
    const driver = withTopic(options)
    const { queueId } = driver.subscribe("news", URL)
    driver.publish("news", ["a", "b"])
    driver.reportPush({ topicName: "news" }, { deliveredThrough: 1 })
    expect(driver.waiting(queueId)).toEqual([[2, "b"]])
  },

  lateFailureCounts: (options) => {
    const driver = withTopic(options)
    const { queueId } = driver.subscribe("news", URL)
    driver.publish("news", ["a"])
    driver.reportPush({ topicName: "news" }, { failedSequence: 1 })
    driver.reportPush({ topicName: "news" }, { failedSequence: 1 })
    expect(driver.machine.subscriptionStatus(queueId)).toMatchObject({ failureCount: 1 })
  },

  halfMessageReceived: (options) => {
    const driver = new MachineDriver(options)
    driver.create("orders")
    driver.prepare("orders", ["a"])
    expect(driver.receive("orders")).toEqual([])
  },

  queryCountMissingInSnapshot: (options) => {
    const driver = new MachineDriver(options)
    driver.create("orders")
    driver.prepare("orders", ["a"], { firstQueryIntervalMs: 1000, maxQueryCount: 1 })
    driver.advance(1000)
    driver.restart()
    driver.advance(2000)
    expect(driver.machine.queueStatus(driver.queueId("orders"))?.halfCount).toBe(0)
  },

  revokedKeyComesBack: (options) => {
    const driver = new MachineDriver(options)
    const stored = new Map<string, readonly [Uint8Array, Uint8Array]>()
    const checkpoint = (): void => {
      driver.machine.collectDirty((key, value) => {
        if (value === undefined) stored.delete(String(key))
        else stored.set(String(key), [key, value])
      })
    }
    const key = { secretId: "AKID", accountName: "shop", permissions: [], sealedSecret: "" }
    driver.run((builder) => {
      builder.addAdmin({ kind: "createKey", ...key })
    })
    checkpoint()
    driver.run((builder) => {
      builder.addAdmin({ kind: "revokeKey", secretId: "AKID" })
    })
    checkpoint()
    driver.restart(stored.values())
    expect(driver.machine.findKey("AKID")).toBeUndefined()
  },
}

/** A dead letter of "orders" in "dead". */
function deadLetter(driver: MachineDriver): void {
  driver.create("dead")
  driver.create("orders", {
    deadLetterPolicy: { kind: "maxReceiveCount", deadLetterQueue: "dead", maxReceiveCount: 1 },
  })
  driver.send("orders", ["a"])
  driver.receive("orders")
  driver.advance(30_000)
}

const URL = "http://203.0.113.7/"

/** A topic, and a queue with room for one message. */
function withTopic(options: MachineDriverOptions): MachineDriver {
  const driver = new MachineDriver(options)
  driver.createTopic("news")
  driver.create("small", { maxMsgHeapCount: 1 })
  return driver
}

describe.each(Object.entries(scenarios) as [MachineMutant, Scenario][])("%s", (mutant, scenario) => {
  test("does not happen", () => {
    scenario({})
  })

  test("is noticed when it does", () => {
    expect(() => {
      scenario({ mutant })
    }).toThrow()
  })
})
