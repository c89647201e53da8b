/**
 * Many subscriptions on one topic: what a publish costs by the number of subscriptions that want the message, and how much
 * memory each subscription takes. Endpoints are queues, so that a delivery is the broker's work alone.
 *
 * Requests go to the leader, one by one, through the SDK's transport: no batch, no retry hides a cost.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { HttpTransport } from "@opencmq/client-sdk"
import type { AttemptRequest, Parameter } from "@opencmq/client-sdk"
import { CpuMeter } from "../cpu-meter.ts"
import { LocalCluster } from "../local-cluster.ts"
import { LatencyHistogram } from "../percentiles.ts"
import { residentBytes } from "../process-usage.ts"
import { startProgress } from "../progress.ts"
import type { Report, ResultRow } from "../report.ts"

export interface TopicOptions {
  readonly subscriptions: number
  /** That the subscriptions deliver into, by turns. */
  readonly queues: number
  /** Of each row, about. */
  readonly deliveries: number
}

const TOPIC = "bench-topic"
const REQUESTS_AT_ONCE = 16
/** A row with few deliveries is long enough to be measured, one with many is not endless. */
const PUBLISHES_MAX = 4_000
const PUBLISHES_MIN = 10
/** Collectors come to rest before memory is read. */
const SETTLE_MS = 10_000
const MIB = 1_048_576
const KIB = 1_024
const REQUEST_TIMEOUT_MS = 60_000

export async function runTopic(options: TopicOptions): Promise<Report> {
  const cluster = await LocalCluster.create({
    extraArguments: ["--subscriptions-per-topic-count", String(options.subscriptions)],
  })
  const transport = new HttpTransport()
  try {
    await cluster.startAll()
    const { endpoint } = cluster.node(await cluster.waitLeader())
    const leader = new Requests(transport, { endpoint, ...cluster.keys })
    return await measure(cluster, leader, options)
  } finally {
    transport.close()
    await cluster.dispose({ timeoutMs: 30_000 })
  }
}

async function measure(cluster: LocalCluster, leader: Requests, options: TopicOptions): Promise<Report> {
  const { subscriptions } = options
  await leader.send("CreateTopic", [["topicName", TOPIC]])
  await manyTimes(options.queues, "queues", (index) => leader.send("CreateQueue", [["queueName", queueName(index)]]))
  await sleep(SETTLE_MS)
  const before = residentOf(cluster)
  const meter = new CpuMeter(cluster.pids)
  await manyTimes(subscriptions, "subscriptions", (index) => leader.send("Subscribe", subscription(index, options)))
  const subscribeUs = meter.perMessage(subscriptions).servers ?? 0
  await sleep(SETTLE_MS)
  const after = residentOf(cluster)
  const rows: ResultRow[] = []
  for (const matching of [0, 1, Math.min(100, subscriptions), subscriptions]) {
    rows.push(await publishMany(cluster, leader, { matching, deliveries: options.deliveries }))
  }
  const grown = after.map((bytes, index) => (bytes - (before[index] ?? 0)) / subscriptions / KIB)
  const described = grown.map((kib, index) => `${kib.toFixed(1)} KiB (node ${String(index + 1)})`)
  return {
    name: `Topic: ${subscriptions.toLocaleString("en-US")} subscriptions, endpoints are ${String(options.queues)} queues`,
    rows,
    notes: [
      `Memory of a subscription: ${described.join(", ")}; RSS before and after, ten seconds later each.`,
      `A Subscribe took ${subscribeUs.toFixed(0)} µs of CPU time; RSS is ${after.map((bytes) => (bytes / MIB).toFixed(0)).join(", ")} MiB.`,
      "CPU: all brokers together. A delivery is a message in a queue; publishing itself is in its cost.",
    ],
  }
}

/** Tags so that 1, 100 or all of them want a message. */
function subscription(index: number, { queues }: TopicOptions): readonly Parameter[] {
  const tags = ["all", ...(index < 100 ? ["hundred"] : []), ...(index === 0 ? ["one"] : [])]
  return [
    ["topicName", TOPIC],
    ["subscriptionName", `s${String(index)}`],
    ["protocol", "queue"],
    ["endpoint", queueName(index % queues)],
    ["notifyContentFormat", "SIMPLIFIED"],
    ...tags.map((tag, place): Parameter => [`filterTag.${String(place + 1)}`, tag]),
  ]
}

function tagFor(matching: number): string {
  if (matching === 0) return "none"
  if (matching === 1) return "one"
  return matching === 100 ? "hundred" : "all"
}

async function publishMany(
  cluster: LocalCluster,
  leader: Requests,
  { matching, deliveries }: { readonly matching: number; readonly deliveries: number },
): Promise<ResultRow> {
  const wanted = Math.ceil(deliveries / Math.max(1, matching))
  const publishes = Math.max(PUBLISHES_MIN, Math.min(PUBLISHES_MAX, wanted))
  const latency = new LatencyHistogram()
  const meter = new CpuMeter(cluster.pids)
  await manyTimes(publishes, `publish to ${String(matching)}`, async (index) => {
    const startMs = performance.now()
    const body: Parameter = ["msgBody", `message ${String(index)}`]
    await leader.send("PublishMessage", [["topicName", TOPIC], body, ["msgTag.1", tagFor(matching)]])
    latency.record(performance.now() - startMs)
  })
  const cpuUs = meter.perMessage(publishes).servers ?? 0
  const { p50Ms, p99Ms } = latency.percentiles()
  return {
    matching,
    publishes,
    "p50 ms": p50Ms,
    "p99 ms": p99Ms,
    "servers µs/publish": cpuUs,
    "servers µs/delivery": matching === 0 ? "" : cpuUs / matching,
  }
}

function queueName(index: number): string {
  return `bench-queue-${String(index)}`
}

function residentOf(cluster: LocalCluster): readonly number[] {
  return cluster.pids.map((pid) => residentBytes(pid)?.now ?? 0)
}

/** Some at once, each of them a request. */
async function manyTimes(count: number, name: string, run: (index: number) => Promise<void>): Promise<void> {
  const progress = startProgress(name, count)
  let next = 0
  let done = 0
  const loop = async (): Promise<void> => {
    while (next < count) {
      await run(next++)
      done++
      progress.update(done, "")
    }
  }
  try {
    await Promise.all(Array.from({ length: Math.min(REQUESTS_AT_ONCE, count) }, loop))
  } finally {
    progress.stop()
  }
}

/** Requests to one node, each exactly once. */
class Requests {
  readonly #transport: HttpTransport
  readonly #target: { readonly endpoint: string; readonly secretId: string; readonly secretKey: string }
  #count = 0

  constructor(
    transport: HttpTransport,
    target: { readonly endpoint: string; readonly secretId: string; readonly secretKey: string },
  ) {
    this.#transport = transport
    this.#target = target
  }

  /** @throws Error when it is refused: the measurement is worth nothing then. */
  async send(action: AttemptRequest["action"], parameters: readonly Parameter[]): Promise<void> {
    const { endpoint, secretId, secretKey } = this.#target
    const { fields } = await this.#transport.attempt({
      endpoint,
      action,
      parameters,
      credentials: { secretId, secretKey, signatureMethod: "HmacSHA256" },
      timestampSeconds: Math.floor(Date.now() / 1_000),
      nonce: String(++this.#count),
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    })
    if (fields["code"] !== 0) throw new Error(`${action}: ${String(fields["message"])}`)
  }
}
