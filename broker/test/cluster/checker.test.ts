// The checker must bite: every kind of violation is planted once, beside histories that are legal though they look odd.
import { expect, test } from "vitest"
import { createRandom } from "../../src/core/random.ts"
import type { Random } from "../../src/core/random.ts"
import { TOLERANCE_MS, VIOLATIONS, judge } from "./checker.ts"
import type { ViolationKind } from "./checker.ts"
import { History } from "./history.ts"
import type { Delivery, SendAttempt, Settlement } from "./history.ts"

const LEASE_MS = 5_000

/** A history written down in a few words; every event takes 10 ms. */
class Story {
  readonly history = new History()

  send(key: number, startMs: number, more: Partial<SendAttempt> = {}): this {
    const attempt = {
      client: "p",
      startMs,
      endMs: startMs + 10,
      outcome: "ack",
      msgId: `id-${String(key)}`,
      delayMs: 0,
    }
    this.history.sent(key, { ...attempt, outcome: "ack", ...more })
    return this
  }

  // Four arguments keep a story on one line each.
  // eslint-disable-next-line max-params
  receive(key: number, startMs: number, dequeueCount: number, more: Partial<Delivery> = {}): this {
    this.history.received(key, {
      client: "c",
      startMs,
      endMs: startMs + 10,
      msgId: `id-${String(key)}`,
      receiptHandle: handleOf(key, dequeueCount),
      dequeueCount,
      visibilityMs: LEASE_MS,
      nextVisibleAtMs: 0,
      ...more,
    })
    return this
  }

  // eslint-disable-next-line max-params
  settle(key: number, startMs: number, dequeueCount: number, more: Partial<Settlement> = {}): this {
    const settlement = { client: "c", startMs, endMs: startMs + 10, outcome: "ack", visibilityMs: 0 } as const
    this.history.settled(handleOf(key, dequeueCount), { ...settlement, kind: "delete", ...more })
    return this
  }

  get violations(): readonly ViolationKind[] {
    const { counts } = judge(this.history)
    return VIOLATIONS.filter((kind) => counts[kind] > 0)
  }
}

function handleOf(key: number, dequeueCount: number): string {
  return `handle-${String(key)}-${String(dequeueCount)}`
}

test("an ordinary life is no violation", () => {
  const story = new Story().send(1, 0).receive(1, 20, 1).settle(1, 40, 1)
  expect(story.violations).toEqual([])
  expect(judge(story.history).tally).toMatchObject({ acknowledged: 1, received: 1, redelivered: 0, deleted: 1 })
})

test("what only looks odd is no violation", () => {
  const lapsed = new Story()
    .send(1, 0)
    .receive(1, 20, 1)
    .receive(1, 20 + LEASE_MS, 2)
    .settle(1, 6_000, 2)
  expect(lapsed.violations).toEqual([])
  const givenBack = new Story()
    .send(1, 0)
    .receive(1, 20, 1)
    .settle(1, 40, 1, { kind: "changeVisibility", outcome: "unknown" })
    .receive(1, 60, 2)
    .settle(1, 80, 2)
  expect(givenBack.violations).toEqual([])
  const unknownDelete = new Story().send(1, 0).receive(1, 20, 1).settle(1, 40, 1, { outcome: "unknown" })
  expect(unknownDelete.settle(1, 60, 1, { outcome: "handleRefused" }).violations).toEqual([])
  const unseen = new Story().send(1, 0)
  unseen.history.receives.push({ client: "c", startMs: 15, endMs: 20, outcome: "unknown", answer: "" })
  expect(unseen.receive(1, 20 + LEASE_MS, 2).settle(1, 5_100, 2).violations).toEqual([])
  const repeatedWithin = new Story().send(1, 0)
  repeatedWithin.history.receives.push({ client: "c", startMs: 15, endMs: 20, outcome: "ack", answer: "" })
  repeatedWithin.history.disturbances.push({ fromMs: 18, toMs: 30 })
  expect(repeatedWithin.receive(1, 20 + LEASE_MS, 2).settle(1, 5_100, 2).violations).toEqual([])
  const unknownSend = new Story().send(1, 0, { outcome: "unknown", msgId: "" }).send(2, 0, { outcome: "unknown" })
  expect(unknownSend.receive(1, 20, 1).settle(1, 40, 1).violations).toEqual([])
  const refusedSend = new Story().send(1, 0, { outcome: "refused", msgId: "" })
  expect(refusedSend.violations).toEqual([])
  const repeated = new Story()
    .send(1, 0, { outcome: "unknown", msgId: "" })
    .send(1, 20)
    .receive(1, 40, 1)
    .settle(1, 60, 1)
  expect(repeated.violations).toEqual([])
  const lateRefusal = new Story()
    .send(1, 0)
    .receive(1, 20, 1)
    .settle(1, 20 + LEASE_MS, 1, { outcome: "handleRefused" })
    .receive(1, 6_000, 2)
    .settle(1, 6_100, 2)
  expect(lateRefusal.violations).toEqual([])
})

const planted: readonly (readonly [ViolationKind, string, Story])[] = [
  ["lost", "acknowledged and never delivered", new Story().send(1, 0)],
  ["lost", "delivered, never deleted, gone", new Story().send(1, 0).receive(1, 20, 1)],
  [
    "lost",
    "the delete was refused, and yet it is gone",
    new Story().send(1, 0).receive(1, 20, 1).settle(1, 6_000, 1, { outcome: "handleRefused" }),
  ],
  [
    "resurrected",
    "received after its delete",
    new Story().send(1, 0).receive(1, 20, 1).settle(1, 40, 1).receive(1, 6_000, 2),
  ],
  [
    "resurrected",
    "a stale handle deleted under a newer delivery, all at one time",
    new Story()
      .send(1, 0)
      .receive(1, 20, 1)
      .receive(1, 5_030, 2, { endMs: 9_000 })
      .settle(1, 5_000, 1, { endMs: 9_000 }),
  ],
  [
    "duplicatedInsideLease",
    "two consumers at a time",
    new Story()
      .send(1, 0)
      .receive(1, 20, 1)
      .receive(1, LEASE_MS - TOLERANCE_MS - 20, 2, { client: "d" })
      .settle(1, 5_000, 2),
  ],
  [
    "duplicatedInsideLease",
    "before the end that the broker itself named",
    new Story()
      .send(1, 0)
      .receive(1, 20, 1, { visibilityMs: 1_000, nextVisibleAtMs: 4_000 })
      .receive(1, 3_000, 2)
      .settle(1, 3_100, 2),
  ],
  [
    "duplicatedInsideLease",
    "inside a lease that was extended",
    new Story()
      .send(1, 0)
      .receive(1, 20, 1)
      .settle(1, 4_000, 1, { kind: "changeVisibility", visibilityMs: 5_000 })
      .receive(1, 6_000, 2)
      .settle(1, 6_100, 2),
  ],
  [
    "storedTwice",
    "one body under two ids",
    new Story().send(1, 0).receive(1, 20, 1).settle(1, 40, 1).receive(1, 30, 3, { msgId: "other", endMs: 35 }),
  ],
  ["phantom", "never sent", new Story().receive(1, 20, 1).settle(1, 40, 1)],
  [
    "phantom",
    "sent, but refused",
    new Story().send(1, 0, { outcome: "refused", msgId: "" }).receive(1, 20, 1).settle(1, 40, 1),
  ],
  ["phantom", "delivered before it was sent", new Story().send(1, 100).receive(1, 20, 1).settle(1, 40, 1)],
  [
    "wrongId",
    "another id than was acknowledged",
    new Story().send(1, 0, { msgId: "x" }).receive(1, 20, 1).settle(1, 40, 1),
  ],
  [
    "countWrong",
    "the same number twice",
    new Story().send(1, 0).receive(1, 20, 1).receive(1, 6_000, 1, { receiptHandle: "h" }).settle(1, 6_100, 1),
  ],
  [
    "countWrong",
    "numbers against time",
    new Story().send(1, 0).receive(1, 20, 2).receive(1, 6_000, 1).settle(1, 6_100, 2, { outcome: "unknown" }),
  ],
  ["countUnexplained", "a jump", new Story().send(1, 0).receive(1, 20, 2).settle(1, 40, 2)],
  [
    "countUnexplained",
    "a jump, with an ordinary receive before",
    withReceive(new Story().send(1, 0).receive(1, 20, 2).settle(1, 40, 2)),
  ],
  ["early", "before its delay", new Story().send(1, 0, { delayMs: 1_000 }).receive(1, 500, 1).settle(1, 600, 1)],
  [
    "handleRefusedInsideLease",
    "though nobody touched it",
    new Story()
      .send(1, 0)
      .receive(1, 20, 1)
      .settle(1, 40, 1, { outcome: "handleRefused" })
      .receive(1, 6_000, 2)
      .settle(1, 6_100, 2),
  ],
  [
    "odd",
    "one handle for two deliveries",
    new Story()
      .send(1, 0)
      .receive(1, 20, 1)
      .receive(1, 6_000, 2, { receiptHandle: handleOf(1, 1) }),
  ],
]

function withReceive(story: Story): Story {
  story.history.receives.push({ client: "c", startMs: 15, endMs: 20, outcome: "ack", answer: "" })
  story.history.disturbances.push({ fromMs: 30, toMs: 50 })
  return story
}

test.each(planted)("%s is seen: %s", (kind, _text, story) => {
  expect(story.violations).toContain(kind)
})

test("damaged bodies and unknown handles are seen", () => {
  const story = new Story().send(1, 0).receive(1, 20, 1).settle(1, 40, 1)
  story.history.corruptBodies.push("a body")
  story.settle(7, 0, 7)
  expect(story.violations).toEqual(["corrupt", "odd"])
})

test("every kind of violation is planted above", () => {
  const kinds = new Set<ViolationKind>([...planted.map(([kind]) => kind), "corrupt"])
  expect(VIOLATIONS.filter((kind) => !kinds.has(kind))).toEqual([])
})

test("one bad message among ten thousand random legal ones is found, seed by seed", () => {
  const spoilers: readonly (readonly [ViolationKind, (story: Story, key: number, startMs: number) => void])[] = [
    ["lost", (story, key, startMs) => story.send(key, startMs)],
    [
      "resurrected",
      (story, key, startMs) =>
        story
          .send(key, startMs)
          .receive(key, startMs + 9, 1)
          .settle(key, startMs + 20, 1)
          .receive(key, startMs + 50, 2),
    ],
    [
      "duplicatedInsideLease",
      (story, key, startMs) =>
        story
          .send(key, startMs)
          .receive(key, startMs + 9, 1)
          .receive(key, startMs + 2_000, 2)
          .settle(key, startMs + 2_500, 2),
    ],
  ]
  for (const [seed, [kind, spoil]] of spoilers.entries()) {
    const random = createRandom(seed + 1)
    const story = new Story()
    for (let key = 1; key <= 10_000; key += 1) tellLegally(story, key, random)
    expect(story.violations).toEqual([])
    spoil(story, 10_001, random.nextInt(100_000))
    expect(story.violations).toContain(kind)
  }
})

function tellLegally(story: Story, key: number, random: Random): void {
  const startMs = random.nextInt(100_000)
  const lives = random.nextInt(4)
  story.send(key, startMs)
  let timeMs = startMs + 20
  for (let life = 1; life <= lives; life += 1) {
    story.receive(key, timeMs, life)
    timeMs += LEASE_MS + 50
  }
  story.receive(key, timeMs, lives + 1).settle(key, timeMs + 20, lives + 1)
}
