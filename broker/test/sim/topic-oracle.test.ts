// The oracle of topics has to notice: bugs of the machine, and pushes that must not be. Entries are written by hand here,
// so each costs a few milliseconds; the same bugs in whole clusters are a matter of mutants.ts.
import { expect, test } from "vitest"
import { encodeMessageId } from "@opencmq/proto"
import { EntryBuilder } from "../../src/codec/command-codec.ts"
import type { SubscriptionAttributes } from "../../src/core/queue/command.ts"
import { defaultMachineLimits } from "../../src/core/queue/machine-limits.ts"
import type { MachineMutant } from "../../src/core/queue/machine-mutant.ts"
import type { OutgoingPush } from "../../src/ports.ts"
import { outgoing, plainAttributes, START_MS } from "../transcripts/queue/machine-driver.ts"
import { QueueOracle } from "./queue-oracle.ts"
import { World } from "./world.ts"

const TOPIC_ID = 1
const URL = "http://prompt.example/"
const PLAIN: SubscriptionAttributes = {
  notifyStrategy: "exponentialDecay",
  notifyContentFormat: "simplified",
  filterTags: [],
  bindingKeys: [],
}

/** A topic (id 1), a queue with room for one message (2), subscribed (3), an address (4), and one that wants red (5). */
class Story {
  readonly world = new World(1)
  readonly oracle: QueueOracle
  readonly #builder = new EntryBuilder()
  #nowMs = START_MS
  #index = 0
  #publishedAtMs = 0

  constructor(mutant?: MachineMutant) {
    this.oracle = new QueueOracle(this.world, { ...defaultMachineLimits, waitingPerSubscription: 3 }, mutant)
    this.entry((builder) => {
      const attributes = { maxMsgBytes: 65_536, filterType: "tags", msgRetentionMs: 600_000 } as const
      builder.addAdmin({ kind: "createTopic", topicName: "news", attributes })
      const small = { ...plainAttributes, maxMsgHeapCount: 1 }
      builder.addAdmin({ kind: "createQueue", queueName: "small", attributes: small })
      const topicName = "news"
      const queue = { kind: "queue", queueName: "small" } as const
      const address = { kind: "http", url: URL } as const
      const common = { kind: "subscribe", topicName } as const
      builder.addAdmin({ ...common, subscriptionName: "small", endpoint: queue, attributes: PLAIN })
      builder.addAdmin({ ...common, subscriptionName: "hook", endpoint: address, attributes: PLAIN })
      const red = { ...PLAIN, filterTags: ["red"] }
      builder.addAdmin({ ...common, subscriptionName: "red", endpoint: address, attributes: red })
    })
  }

  get complaint(): string | undefined {
    return this.world.violation?.rule
  }

  /** Returns its index. */
  entry(fill: (builder: EntryBuilder) => void, afterMs = 1): number {
    this.#builder.begin({ setId: 0 })
    fill(this.#builder)
    const data = Uint8Array.from(this.#builder.finish((this.#nowMs += afterMs)))
    this.oracle.apply({ index: ++this.#index, term: 1, kind: "commands", data })
    return this.#index
  }

  /** Returns the ids of the messages. */
  publish(bodies: readonly string[], tags: readonly string[] = []): readonly string[] {
    const messages = bodies.map((body) => outgoing(body, { tags }))
    const entryIndex = this.entry((builder) => builder.addPublish({ topicId: TOPIC_ID, messages }))
    this.#publishedAtMs = this.#nowMs
    return bodies.map((_, ordinal) => encodeMessageId({ setId: 0, entryIndex, ordinal }))
  }

  /** Of the address. */
  report(deliveredThrough: number, failedSequence = 0): void {
    this.entry((builder) => {
      builder.addReportPush({ subscriptionId: 4, deliveredThrough, failedSequence })
    })
  }

  pass(ms: number): void {
    this.entry((builder) => {
      builder.addAdmin({ kind: "expire" })
    }, ms)
  }

  outgoing(msgId: string, body: string): OutgoingPush {
    return {
      url: URL,
      requestId: "r",
      topicName: "news",
      subscriptionName: "hook",
      notifyContentFormat: "simplified",
      msgId,
      body: Buffer.from(body),
      tags: [],
      publishedAtMs: this.#publishedAtMs,
    }
  }

  /** Begins, arrives and is taken. */
  push(msgId: string, body: string): void {
    const push = this.outgoing(msgId, body)
    this.oracle.topics.pushBegun(push, true)
    this.oracle.topics.pushArrived(push, true)
  }

  refuse(msgId: string, body: string): void {
    const push = this.outgoing(msgId, body)
    this.oracle.topics.pushBegun(push, true)
    this.oracle.topics.pushArrived(push, false)
    this.oracle.topics.pushFailed(push)
  }
}

/** Everything once: direct, waiting, full, refused, retried, reported, lost. */
function everything(mutant?: MachineMutant): string | undefined {
  const story = new Story(mutant)
  const [a = "", b = ""] = story.publish(["a", "b"])
  story.push(a, "a")
  story.report(1)
  story.refuse(b, "b")
  story.report(0, 2)
  story.report(0, 2)
  story.entry((builder) => {
    builder.addReceive({ queueId: 2, maxCount: 1, visibilityTimeoutMs: -1 })
    builder.addAdmin({ kind: "clearQueue", queueName: "small" })
  })
  story.publish(["c"], ["red"])
  story.pass(1000)
  story.publish(["d", "e", "f"])
  story.oracle.topics.checkWaiting()
  return story.complaint
}

test("a machine without a bug is left in peace", () => {
  expect(everything()).toBeUndefined()
})

test.each([
  ["publishToNonMatching", "a message goes to those that want it"],
  ["matchingSkipped", "a message goes to those that want it"],
  ["freshOvertakesBacklog", "a subscription stands where the model says"],
  ["retryWithoutGap", "a pause is as long as the strategy says"],
  ["dropWithoutCount", "a subscription stands where the model says"],
  ["reportTakesOneTooMany", "a report takes away what was delivered"],
  ["lateFailureCounts", "a subscription stands where the model says"],
] as const)("%s is noticed: %s", (mutant, rule) => {
  expect(everything(mutant)).toBe(rule)
})

test("what nobody committed is not pushed, nor what a subscription does not want", () => {
  const uncommitted = new Story()
  uncommitted.push(encodeMessageId({ setId: 0, entryIndex: 2, ordinal: 0 }), "a")
  expect(uncommitted.complaint).toBe("only what is committed is pushed")
  const unwanted = new Story()
  const [msgId = ""] = unwanted.publish(["a"])
  unwanted.oracle.topics.pushBegun({ ...unwanted.outgoing(msgId, "a"), subscriptionName: "red" }, true)
  expect(unwanted.complaint).toBe("only what a subscription wants is pushed")
})

test("a push keeps the order, and carries what was published", () => {
  const early = new Story()
  const [, b = ""] = early.publish(["a", "b"])
  early.push(b, "b")
  expect(early.complaint).toBe("pushes keep the order and skip nothing")
  const changed = new Story()
  const [a = ""] = changed.publish(["a"])
  changed.push(a, "A")
  expect(changed.complaint).toBe("the pushed body is what was sent")
})

test("nothing is pushed in a pause, twice by one leader, or to who has unsubscribed", () => {
  const pausing = new Story()
  const [a = ""] = pausing.publish(["a"])
  const push = pausing.outgoing(a, "a")
  pausing.refuse(a, "a")
  pausing.report(0, 1)
  pausing.oracle.topics.pushBegun(push, false)
  expect(pausing.complaint).toBeUndefined()
  pausing.oracle.topics.pushBegun(push, true)
  expect(pausing.complaint).toBe("nothing is pushed in a pause")

  const twice = new Story()
  const [once = ""] = twice.publish(["a"])
  const again = twice.outgoing(once, "a")
  twice.push(once, "a")
  twice.report(1)
  twice.oracle.topics.pushBegun(again, true)
  expect(twice.complaint).toBe("what has left is not pushed")

  const gone = new Story()
  const [late = ""] = gone.publish(["a"])
  const unheard = gone.outgoing(late, "a")
  gone.entry((builder) => {
    builder.addAdmin({ kind: "unsubscribe", topicName: "news", subscriptionName: "hook" })
  })
  gone.oracle.topics.pushBegun(unheard, true)
  expect(gone.complaint).toBe("nothing goes to who has unsubscribed")
})

test("a report that nothing stands behind is noticed", () => {
  const lost = new Story()
  lost.publish(["a"])
  lost.report(1)
  expect(lost.complaint).toBe("what is reported was taken")
  const blamed = new Story()
  blamed.publish(["a"])
  blamed.report(0, 1)
  expect(blamed.complaint).toBe("a failure that is reported was one")
})
