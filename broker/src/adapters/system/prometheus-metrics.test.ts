import { readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { expect, test } from "vitest"
import { METRICS } from "../../node/metrics.ts"
import type { QueueSample } from "../../node/metrics.ts"
import { makePrometheusMetrics } from "./prometheus-metrics.ts"

function makeMetrics(queueSeriesMax = 3): ReturnType<typeof makePrometheusMetrics> {
  return makePrometheusMetrics({ version: "1.2.3", commit: "abc", nodeId: 2, queueSeriesMax, withProcess: false })
}

function sampleOf(queueName: string, activeCount: number): QueueSample {
  const counts = { inactiveCount: 0, delayedCount: 0, halfCount: 0, rewindableCount: 0, oldestUnconsumedAtMs: 0 }
  const totals = { bytes: 0, expiredCount: 0, deadLetteredCount: 0 }
  return { queueName, deadLetterQueueName: "", activeCount, ...counts, ...totals }
}

const PAGE = { allQueues: false }
const root = join(dirname(fileURLToPath(import.meta.url)), "../..")

function isFeeder(path: string): boolean {
  return path.endsWith(".ts") && !path.endsWith(".test.ts") && !path.endsWith("node/metrics.ts")
}

test("names follow Prometheus: a prefix, _total for counters, a unit for histograms", () => {
  for (const row of Object.values(METRICS)) {
    expect(row.name).toMatch(/^opencmq_[a-z_]+$/)
    expect(row.name.endsWith("_total")).toBe(row.kind === "counter")
    if (row.kind === "histogram") {
      expect(row.name).toMatch(/_(seconds|bytes)$/)
      expect(row.buckets).toEqual(row.buckets.toSorted((a, b) => a - b))
    }
  }
  const names = Object.values(METRICS).map(({ name }) => name)
  expect(new Set(names).size).toBe(names.length)
})

test("a cell is the same one each time it is asked for", async () => {
  const metrics = makeMetrics()
  metrics.counter("messagesSent").add(16)
  metrics.counter("messagesSent").add(1)
  metrics.counter("authFailures", "http", "signature").add(2)
  metrics.gauge("raftState", "leader").set(1)
  const text = await metrics.render(PAGE)
  expect(text).toContain("# TYPE opencmq_messages_sent_total counter\nopencmq_messages_sent_total 17\n")
  expect(text).toContain(`opencmq_auth_failures_total{api="http",reason="signature"} 2`)
  expect(text).toContain(`opencmq_raft_state{role="leader"} 1`)
  expect(text).toContain(`opencmq_build_info{version="1.2.3",commit="abc",node="2"} 1`)
})

test("what was never counted is there as 0, if it has no labels", async () => {
  const text = await makeMetrics().render(PAGE)
  expect(text).toContain("opencmq_messages_deleted_total 0")
  expect(text).toContain("opencmq_wal_fsync_seconds_count 0")
})

test("buckets are cumulative and hold their upper bound", async () => {
  const metrics = makeMetrics()
  const cell = metrics.histogram("walFsync")
  for (const value of [0.0001, 0.00011, 0.3, 99]) cell.observe(value)
  const text = await metrics.render(PAGE)
  const bucket = (bound: string): string | undefined =>
    new RegExp(`opencmq_wal_fsync_seconds_bucket\\{le="${bound.replace("+", "\\+")}"\\} (\\d+)`).exec(text)?.[1]
  expect([bucket("0.0001"), bucket("0.0002"), bucket("0.1"), bucket("0.5"), bucket("5"), bucket("+Inf")]).toEqual([
    "1",
    "2",
    "2",
    "3",
    "3",
    "4",
  ])
  expect(text).toContain("opencmq_wal_fsync_seconds_count 4")
})

test("labels that do not fit the table are a bug", () => {
  expect(() => makeMetrics().counter("messagesSent", "orders")).toThrow(RangeError)
  expect(() => makeMetrics().gauge("raftState")).toThrow(RangeError)
})

test("every row of the table has somebody who feeds it", () => {
  const sources = readdirSync(root, { recursive: true, encoding: "utf8" }).filter(isFeeder)
  const text = sources.map((path) => readFileSync(join(root, path), "utf8")).join("\n")
  const unfed = Object.keys(METRICS).filter((name) => !text.includes(`("${name}"`))
  expect(unfed).toEqual([])
})

test("every row of the table is on its page, with its labels", () => {
  const page = readFileSync(join(root, "../../docs/metrics.md"), "utf8")
  for (const { name, kind, labels, help } of Object.values(METRICS)) {
    const labelTexts = labels.map((label) => `\`${label}\``).join(" ")
    expect(page.replaceAll(/ +/g, " ")).toContain(
      `| \`${name}\` | ${kind} | ${labelTexts} | ${help} |`.replaceAll(/ +/g, " "),
    )
  }
})

test("a gauge that was cleared shows what was set since", async () => {
  const metrics = makeMetrics()
  metrics.gauge("raftFollowerLag", "2").set(7)
  metrics.gauge("raftFollowerLag", "3").set(8)
  metrics.clear("raftFollowerLag")
  metrics.gauge("raftFollowerLag", "3").set(9)
  const lines = (await metrics.render(PAGE)).split("\n").filter((line) => line.startsWith("opencmq_raft_follower_lag"))
  expect(lines).toEqual([`opencmq_raft_follower_lag_entries{peer="3"} 9`])
})

test("a queue's bytes, expired and dead-lettered messages are told", async () => {
  const metrics = makeMetrics()
  metrics.setQueues(() => [{ ...sampleOf("old", 1), bytes: 1024, expiredCount: 3, deadLetteredCount: 4 }])
  const text = await metrics.render(PAGE)
  expect(text).toContain(`opencmq_queue_bytes{queue="old"} 1024\n`)
  expect(text).toContain(`opencmq_messages_expired_total{queue="old"} 3\n`)
  expect(text).toContain(`opencmq_messages_dead_lettered_total{queue="old"} 4\n`)
})

test("samplers run right before each scrape", async () => {
  const metrics = makeMetrics()
  const term = metrics.gauge("raftTerm")
  let count = 0
  metrics.onScrape(() => {
    term.set(++count)
  })
  await metrics.render(PAGE)
  expect(await metrics.render(PAGE)).toContain("opencmq_raft_term 2")
})

test("of 10,000 queues the deepest few are shown, a queue that is gone is not", async () => {
  const metrics = makeMetrics(3)
  let queues = Array.from({ length: 10_000 }, (_, index) => sampleOf(`q${String(index)}`, index))
  metrics.setQueues(() => queues)
  const shown = (text: string): string[] =>
    [...text.matchAll(/opencmq_queue_info\{queue="(\w+)"/g)].map((match) => match[1] ?? "")
  expect(shown(await metrics.render(PAGE)).toSorted()).toEqual(["q9997", "q9998", "q9999"])
  const startedAt = process.cpuUsage()
  expect(shown(await metrics.render({ allQueues: true }))).toHaveLength(10_000)
  expect(process.cpuUsage(startedAt).user).toBeLessThan(500_000)
  queues = [sampleOf("only", 1)]
  expect(shown(await metrics.render(PAGE))).toEqual(["only"])
})

test("of single subscriptions those furthest behind are shown, and all when asked for", async () => {
  const metrics = makeMetrics(3)
  metrics.setSubscriptions(() =>
    Array.from({ length: 1_000 }, (_, index) => ({
      topicName: "news",
      subscriptionName: `s${String(index)}`,
      // The last ones wait for most, all others for nothing.
      waitingCount: Math.max(0, index - 997),
      deliveredCount: index === 5 ? 9 : 1,
      droppedCount: 2,
    })),
  )
  const text = await metrics.render(PAGE)
  expect(text.match(/^opencmq_subscription_backlog_messages\{.*/gm)).toEqual([
    'opencmq_subscription_backlog_messages{topic="news",subscription="s999"} 2',
    'opencmq_subscription_backlog_messages{topic="news",subscription="s998"} 1',
    'opencmq_subscription_backlog_messages{topic="news",subscription="s5"} 0',
  ])
  expect(text).toContain('opencmq_subscription_deliveries_total{topic="news",subscription="s5"} 9\n')
  expect(text).toContain('opencmq_subscription_dropped_total{topic="news",subscription="s5"} 2\n')
  const all = await metrics.render({ allQueues: true })
  expect(all.match(/^opencmq_subscription_deliveries_total\{/gm)).toHaveLength(1_000)
})

test("the age of the oldest message is told in seconds", async () => {
  const metrics = makeMetrics()
  metrics.setQueues(() => [{ ...sampleOf("old", 1), oldestUnconsumedAtMs: Date.now() - 60_000 }])
  const text = await metrics.render(PAGE)
  const age = Number(/opencmq_queue_oldest_message_age_seconds\{queue="old"\} ([\d.]+)/.exec(text)?.[1])
  expect(age).toBeGreaterThanOrEqual(60)
  expect(age).toBeLessThan(65)
})
