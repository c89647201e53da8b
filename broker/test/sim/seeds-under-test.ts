/** A range of seeds as vitest tests, and what must have been seen in all of them together. */
import { afterAll, describe, expect, test } from "vitest"
import { Campaign } from "./campaign.ts"
import { runSeed } from "./run-seed.ts"

const SEEDS_PER_TEST = 20

/** Rare paths that any two hundred seeds take; one that stays away means that the simulator no longer goes there. */
const MARKS_DEMANDED = [
  "client: died with messages in hand",
  "client: lost patience",
  "client: send repeated with the same ids",
  "clock: skewed",
  "disk: full",
  "disk: pages of a failed sync gone with the power",
  "disk: power cut with unsynced sectors, kept nothing",
  "disk: power cut with unsynced sectors, kept some",
  "disk: short write",
  "disk: sync failed",
  "disk: sync took up to a second",
  "log: disk space back",
  "log: disk space low",
  "log: recovered",
  "network: connection reset",
  "network: direction clogged",
  "network: frame doubled",
  "network: frame lost",
  "network: frame lost in a cut",
  "network: frame out of order",
  "partition: flapping",
  "partition: halves",
  "partition: isolateLeader",
  "partition: oneWay",
  "partition: oneWayFromLeader",
  "partition: ring",
  "process: all crashed at once",
  "process: ended by itself after a disk error",
  "process: graceful stop",
  "process: kill of the leader",
  "process: leader paused",
  "process: powerCut of the leader",
  "push: by a leader that is behind",
  "push: given up after its timeout",
  "push: no room in the transport",
  "push: pause over",
  "push: pushed again although it was taken",
  "push: report that came too late",
  "push: taken, but the answer came too late",
  "push: taken, but the answer was lost",
  "queue: clearQueue",
  "queue: dead letter by maxReceiveCount",
  "queue: dead letter by maxTimeToLive",
  "queue: delayed send",
  "queue: delete with a stale handle refused",
  "queue: deleteQueue",
  "queue: delivered again after its visibility timeout",
  "queue: expire command",
  "queue: message given back",
  "queue: refused noMessage",
  "queue: refused queueHeapFull",
  "queue: repeated send stored once",
  "queue: rewound message received again",
  "queue: visibility changed",
  "raft: append refused",
  "raft: leader stepped down",
  "raft: leadership transferred",
  "raft: log cut back by a leader",
  "raft: read confirmed by a round",
  "raft: snapshot installed",
  "raft: vote given",
  "read: register read",
  "topic: filter changed",
  "topic: given up after the last retry",
  "topic: lost because too many wait",
  "topic: repeated publish stored once",
  "topic: the queue is full or missing",
  "topic: unsubscribed with messages that wait",
  "topic: waited longer than the retention",
  "topic: waiting messages tried again",
  "topic: waits behind others",
  "topic: wanted by nobody",
] as const

/** Makes the tests for `count` seeds from `from` on, and one that looks at their sum. */
export function testSeeds(from: number, count: number): void {
  const campaign = new Campaign()
  describe(`seeds ${String(from)} to ${String(from + count - 1)}`, () => {
    for (let first = from; first < from + count; first += SEEDS_PER_TEST) {
      const last = Math.min(first + SEEDS_PER_TEST, from + count) - 1
      test(`no rule is broken by seeds ${String(first)} to ${String(last)}`, () => {
        const broken: string[] = []
        for (let seed = first; seed <= last; seed++) {
          const result = runSeed({ seed })
          campaign.add(result, seed % 100 === 0 ? runSeed({ seed }) : undefined)
          if (result.violation === undefined) continue
          const replay = `npm run sim -- --seed ${String(seed)} --trace`
          broken.push(`${result.violation.message} (in ${result.phase}; ${replay})`)
        }
        expect(broken).toEqual([])
      })
    }

    test("together they go everywhere, and long enough", () => {
      expect(campaign.failures.filter((failure) => failure.phase === "twice")).toEqual([])
      const missing = MARKS_DEMANDED.filter((mark) => !campaign.marks.has(mark))
      expect(missing).toEqual([])
      // 400 seeds make at least 40 simulated hours.
      expect(campaign.simulatedMs / campaign.seedCount).toBeGreaterThanOrEqual(360_000)
      expect(campaign.okCount("sendMessages") / campaign.seedCount).toBeGreaterThan(50)
    })
  })
  afterAll(() => {
    process.stdout.write(`${campaign.text()}\n`)
  })
}
