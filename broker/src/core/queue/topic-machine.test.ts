import { describe, expect, test } from "vitest"
import { MachineDriver, plainAttributes } from "../../../test/transcripts/queue/machine-driver.ts"
import { createRandom } from "../random.ts"
import { defaultMachineLimits } from "./machine-limits.ts"
import { retryGapMs } from "./push-retry.ts"

const URL = "http://203.0.113.7/hook"

function bodies(driver: MachineDriver, queueId: number): string[] {
  return driver.waiting(queueId).map(([, body]) => body)
}

/** A topic with three queues behind it. */
function threeQueues(): MachineDriver {
  const driver = new MachineDriver()
  driver.createTopic("news")
  for (const name of ["all", "red", "both"]) driver.create(name)
  driver.subscribe("news", "all", { subscriptionName: "all" })
  driver.subscribe("news", "red", { subscriptionName: "red", filterTags: ["red"] })
  driver.subscribe("news", "both", { subscriptionName: "both", filterTags: ["red", "blue"] })
  return driver
}

function received(driver: MachineDriver, queueName: string): string[] {
  return driver.receive(queueName, 16).map(({ body }) => body)
}

describe("publishing to queues", () => {
  test("a message goes to every subscription that wants it, once, and is stored once", () => {
    const driver = threeQueues()
    driver.publish("news", ["plain"])
    driver.publish("news", ["r"], { tags: ["red"] })
    expect(driver.publish("news", ["rb"], { tags: ["red", "blue"] }).count).toBe(3)
    driver.publish("news", ["g"], { tags: ["green"] })
    const places = ["all", "red", "both"].map((name) => {
      const peeked = driver.machine.peek({ queueId: driver.queueId(name), fromSequence: 0, maxCount: 9 })
      return `${String(peeked?.entryIndexes.at(-1))}/${String(peeked?.offsets.at(-1))}`
    })
    expect(received(driver, "all")).toEqual(["plain", "r", "rb", "g"])
    expect(received(driver, "red")).toEqual(["r", "rb"])
    expect(received(driver, "both")).toEqual(["r", "rb"])
    // Of "rb" in both; "all" got another one after it.
    expect(places[1]).toBe(places[2])
  })

  test("by binding keys; a message without a routing key is refused", () => {
    const driver = new MachineDriver()
    driver.createTopic("orders", { filterType: "bindingKeys" })
    driver.create("eu")
    driver.create("any")
    expect(driver.subscribe("orders", "eu").refusal).toBe("bindingKeyMissing")
    driver.subscribe("orders", "eu", { subscriptionName: "eu", bindingKeys: ["eu.*", "eu.#.paid"] })
    driver.subscribe("orders", "any", { subscriptionName: "any", bindingKeys: ["#"] })
    expect(driver.publish("orders", ["x"]).refusal).toBe("routingKeyMissing")
    driver.publish("orders", ["a"], { routingKey: "eu.new" })
    driver.publish("orders", ["b"], { routingKey: "eu.de.fast.paid" })
    driver.publish("orders", ["c"], { routingKey: "us.new" })
    expect(received(driver, "eu")).toEqual(["a", "b"])
    expect(received(driver, "any")).toEqual(["a", "b", "c"])
  })

  test("refusals change nothing", () => {
    const driver = threeQueues()
    const before = driver.machine.topicStatus(1)
    expect(driver.publish("absent", ["x"]).refusal).toBe("topicNotFound")
    expect(driver.publish("news", ["x", "y".repeat(70_000)]).refusal).toBe("messageTooLarge")
    expect(driver.createTopic("NEWS").refusal).toBe("topicAlreadyExists")
    expect(driver.subscribe("news", "all", { subscriptionName: "ALL" }).refusal).toBe("subscriptionAlreadyExists")
    expect(driver.subscribe("news", "absent", { subscriptionName: "x" }).refusal).toBe("queueNotFound")
    const json = { subscriptionName: "x", notifyContentFormat: "json" } as const
    expect(driver.subscribe("news", "all", json).refusal).toBe("notifyContentFormatNotSimplified")
    driver.run((builder) => {
      builder.addAdmin({ kind: "deleteTopic", topicName: "news" })
    })
    expect(driver.outcome.refusal).toBe("topicHasSubscriptions")
    expect(driver.machine.topicStatus(1)).toEqual(before)
    expect(received(driver, "all")).toEqual([])
    driver.createTopic("lonely")
    expect(driver.publish("lonely", ["x"]).refusal).toBe("topicHasNoSubscription")
  })

  test("a repeated client message id is not published again", () => {
    const driver = threeQueues()
    driver.publish("news", ["once"], { clientMessageId: "id-1" })
    const again = driver.publish("news", ["once"], { clientMessageId: "id-1" })
    expect([again.count, again.sent.duplicates[0]]).toEqual([0, true])
    expect(received(driver, "all")).toEqual(["once"])
  })

  test("what a full or missing queue does not take waits, in order, and comes later", () => {
    const driver = new MachineDriver()
    driver.createTopic("news")
    driver.create("small", { maxMsgHeapCount: 1 })
    const { queueId: subscriptionId } = driver.subscribe("news", "small")
    driver.publish("news", ["a", "b", "c"])
    expect(bodies(driver, subscriptionId)).toEqual(["b", "c"])
    driver.delete("small", driver.receive("small", 16))
    driver.publish("news", ["d"])
    // "d" must not overtake, though there is room.
    expect(bodies(driver, subscriptionId)).toEqual(["b", "c", "d"])
    driver.advance(1000)
    expect(received(driver, "small")).toEqual(["b"])
    expect(bodies(driver, subscriptionId)).toEqual(["c", "d"])
    driver.run((builder) => {
      builder.addAdmin({ kind: "deleteQueue", queueName: "small" })
    })
    driver.advance(10_000)
    driver.create("small")
    driver.restart()
    driver.advance(600_000)
    expect(received(driver, "small")).toEqual(["c", "d"])
    expect(driver.machine.subscriptionStatus(subscriptionId)).toMatchObject({ waitingCount: 0, deliveredCount: 4 })
  })

  test("an unsubscribed queue gets nothing more, and what waited is gone", () => {
    const driver = new MachineDriver()
    driver.createTopic("news")
    driver.create("small", { maxMsgHeapCount: 1 })
    const { queueId } = driver.subscribe("news", "small")
    driver.publish("news", ["a", "b"])
    driver.run((builder) => {
      builder.addAdmin({ kind: "unsubscribe", topicName: "news", subscriptionName: "sub" })
      builder.addAdmin({ kind: "deleteTopic", topicName: "news" })
    })
    expect(driver.outcome.refusal).toBeUndefined()
    expect(driver.waiting(queueId)).toEqual([])
    expect(driver.createTopic("news").refusal).toBe("topicDeletedRecently")
    driver.restart()
    driver.advance(20_000)
    expect(driver.createTopic("news").refusal).toBeUndefined()
    expect(driver.machine.nextDeadlineMs()).toBe(driver.nowMs - 20_000 + plainAttributes.msgRetentionMs)
  })
})

describe("pushing to an address", () => {
  function pushed(strategy: "backoff" | "exponentialDecay" = "exponentialDecay") {
    const driver = new MachineDriver()
    driver.createTopic("news")
    const { queueId: subscriptionId } = driver.subscribe("news", URL, { notifyStrategy: strategy })
    driver.machine.takeWakened()
    driver.publish("news", ["a", "b", "c"])
    return { driver, subscriptionId }
  }
  const news = { topicName: "news" }

  test("wakes the leader, and a report takes away what was delivered", () => {
    const { driver, subscriptionId } = pushed()
    expect(driver.machine.takeWakened()).toEqual([subscriptionId])
    expect(driver.machine.waitingPushes()).toEqual([subscriptionId])
    expect(driver.reportPush(news, { deliveredThrough: 2 }).count).toBe(2)
    expect(driver.waiting(subscriptionId)).toEqual([[3, "c"]])
    // Of another leader, late: nothing.
    expect(driver.reportPush(news, { deliveredThrough: 1, failedSequence: 2 }).count).toBe(0)
    expect(driver.machine.subscriptionStatus(subscriptionId)).toMatchObject({ deliveredCount: 2, failureCount: 0 })
  })

  test("what waits keeps its place in the log, however old it is", () => {
    const { driver, subscriptionId } = pushed()
    const first = driver.machine.appliedIndex
    driver.create("busy")
    driver.send("busy", ["x"])
    expect(driver.machine.oldestLiveIndex()).toBe(first)
    const live: number[] = []
    driver.machine.visitLive({ fromIndex: 1, toIndex: first }, (index) => live.push(index))
    expect(live).toEqual([first, first, first])
    driver.reportPush(news, { deliveredThrough: 3 })
    expect(driver.waiting(subscriptionId)).toEqual([])
    expect(driver.machine.oldestLiveIndex()).toBeGreaterThan(first)
  })

  test("a failure pauses the subscription until its time, over a restart", () => {
    const { driver, subscriptionId } = pushed()
    driver.machine.takeWakened()
    driver.reportPush(news, { failedSequence: 1 })
    expect(driver.machine.waitingPushes()).toEqual([])
    expect(driver.machine.nextDeadlineMs()).toBe(driver.nowMs + 1000)
    driver.publish("news", ["d"])
    driver.restart()
    driver.machine.takeWakened()
    driver.advance(999)
    expect(driver.machine.waitingPushes()).toEqual([])
    driver.advance(1)
    expect(driver.machine.takeWakened()).toEqual([subscriptionId])
    expect(driver.machine.waitingPushes()).toEqual([subscriptionId])
    driver.reportPush(news, { failedSequence: 1 })
    expect(driver.machine.nextDeadlineMs()).toBe(driver.nowMs + 2000)
  })

  test("after the last retry the message is dropped and the next one's turn comes at once", () => {
    const { driver, subscriptionId } = pushed("backoff")
    for (let failure = 1; failure <= 4; failure++) {
      driver.reportPush(news, { failedSequence: 1 })
      driver.advance(retryGapMs("backoff", failure, 1) ?? 0)
    }
    expect(driver.machine.waitingPushes()).toEqual([subscriptionId])
    expect(driver.waiting(subscriptionId)[0]).toEqual([2, "b"])
    expect(driver.machine.subscriptionStatus(subscriptionId)).toMatchObject({ droppedCount: 1, failureCount: 0 })
  })

  test("what is too old is dropped, also while it pauses", () => {
    const { driver, subscriptionId } = pushed()
    for (let nth = 0; nth < 12; nth++) {
      driver.reportPush(news, { failedSequence: 1 })
      driver.advance((driver.machine.subscriptionStatus(subscriptionId)?.nextAttemptAtMs ?? 0) - driver.nowMs)
    }
    driver.advance(86_400_000)
    expect(driver.waiting(subscriptionId)).toEqual([])
    driver.publish("news", ["fresh"])
    expect(driver.machine.waitingPushes()).toEqual([subscriptionId])
    expect(driver.machine.subscriptionStatus(subscriptionId)).toMatchObject({ failureCount: 0, waitingCount: 1 })
  })

  test("too many waiting messages are lost for that subscription alone", () => {
    const driver = new MachineDriver({ limits: { ...defaultMachineLimits, waitingPerSubscription: 2 } })
    driver.createTopic("news")
    driver.create("inbox")
    const { queueId: dead } = driver.subscribe("news", URL, { subscriptionName: "dead" })
    driver.subscribe("news", "inbox", { subscriptionName: "alive" })
    driver.publish("news", ["a", "b", "c"])
    expect(bodies(driver, dead)).toEqual(["a", "b"])
    expect(driver.machine.subscriptionStatus(dead)?.droppedCount).toBe(1)
    expect(received(driver, "inbox")).toEqual(["a", "b", "c"])
  })
})

test("ten thousand random steps: a machine restored from its changes goes the same way", () => {
  const random = createRandom(7)
  const driver = new MachineDriver({ limits: { ...defaultMachineLimits, queueNameReuseMs: 0 } })
  const records = new Map<string, readonly [Uint8Array, Uint8Array]>()
  const pick = <T>(items: readonly T[]): T => items[random.nextInt(items.length)] as T
  driver.createTopic("t", { msgRetentionMs: 60_000 })
  for (let step = 0; step < 10_000; step++) {
    const name = pick(["a", "b", "c"])
    const subscriptionName = pick(["s1", "s2", "s3"])
    const kind = random.nextInt(12)
    if (kind === 0) driver.create(name, { maxMsgHeapCount: 3, visibilityTimeoutMs: 500 })
    else if (kind === 1)
      driver.run((builder) => {
        builder.addAdmin({ kind: "deleteQueue", queueName: name })
      })
    else if (kind === 2) {
      const filterTags = pick([[], ["x"], ["x", "y"]])
      driver.subscribe("t", pick([name, URL]), { subscriptionName, filterTags, notifyStrategy: "backoff" })
    } else if (kind === 3)
      driver.run((builder) => {
        builder.addAdmin({ kind: "unsubscribe", topicName: "t", subscriptionName })
      })
    else if (kind === 4) driver.delete(name, driver.receive(name, 2))
    else if (kind === 5) driver.advance(pick([1, 500, 10_000, 30_000]))
    else if (kind < 8) {
      const id = driver.machine.findSubscription("t", subscriptionName) ?? 0
      const head = driver.waiting(id)[0]?.[0] ?? 0
      const report = pick([{ deliveredThrough: head + 1 }, { failedSequence: head }, { deliveredThrough: 1 }])
      driver.reportPush({ topicName: "t", subscriptionName }, report)
    } else driver.publish("t", ["m"], { tags: pick([[], ["x"], ["y"], ["x", "z"]]) })
    if (step % 100 !== 0) continue
    driver.machine.collectDirty((key, value) => {
      if (value === undefined) records.delete(key.join())
      else records.set(key.join(), [key, value])
    })
    const hash = driver.machine.stateHash()
    const next = driver.machine.nextDeadlineMs()
    driver.restart(records.values())
    expect([step, driver.machine.stateHash(), driver.machine.nextDeadlineMs()]).toEqual([step, hash, next])
  }
  const status = driver.machine.topicStatus(1)
  expect(status?.totals.published).toBeGreaterThan(2000)
})
