/**
 * Metrics by prom-client. Cells count in plain numbers; prom-client is asked once a scrape, since its own counters cost
 * about a microsecond each time and are used at every request.
 *
 * Bounded: label values come from small fixed sets, and of single queues only the largest are shown unless all are
 * asked for, so that 10,000 queues do not drown whoever scrapes.
 */
import { Gauge as PromGauge, Registry, collectDefaultMetrics } from "prom-client"
import type { MetricValue } from "prom-client"
import { METRICS } from "../../node/metrics.ts"
import type {
  Counter,
  CounterName,
  Gauge,
  GaugeName,
  Histogram,
  HistogramName,
  MetricRow,
  Metrics,
  MetricsPage,
  QueueSample,
  SubscriptionSample,
} from "../../node/metrics.ts"
import { SAMPLES_PER_TURN, head, nextTurn } from "./series-text.ts"
import { subscriptionText } from "./subscription-series.ts"

/** What the metrics are made from. */
export interface PrometheusOptions {
  readonly version: string
  readonly commit: string
  readonly nodeId: number
  /** Queues with series of their own on /metrics: those with most messages. */
  readonly queueSeriesMax: number
  /** Whether to add `process_*` and `nodejs_*`. */
  readonly withProcess: boolean
}

/** How often the delay of the event loop is sampled; each sample wakes the process. prom-client's own 10 ms cost 0.2 % of a core. */
const LOOP_SAMPLE_MS = 1000

/** Queues on /metrics by default. */
export const QUEUE_SERIES_MAX = 200

type MetricName = keyof typeof METRICS

/** Makes an empty set of metrics; one a process. */
export function makePrometheusMetrics(options: PrometheusOptions): Metrics & MetricsPage {
  return new PrometheusMetrics(options)
}

class PrometheusMetrics implements Metrics, MetricsPage {
  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE
  private readonly options: PrometheusOptions
  private readonly registry = new Registry()
  private readonly families = new Map<MetricName, Family>()
  private readonly samplers: (() => void)[] = []
  private queues: () => Iterable<QueueSample> = () => []
  private subscriptions: () => Iterable<SubscriptionSample> = () => []

  constructor(options: PrometheusOptions) {
    this.options = options
    for (const [name, row] of Object.entries(METRICS) as [MetricName, MetricRow][]) {
      const family = new Family(row)
      this.families.set(name, family)
      // A registry asks its metrics for `name` and `get()` only; the class of prom-client is wider.
      this.registry.registerMetric(family as never)
    }
    const labels = { version: options.version, commit: options.commit, node: String(options.nodeId) }
    const build = { name: "opencmq_build_info", help: "What runs here; always 1.", labelNames: Object.keys(labels) }
    new PromGauge({ ...build, registers: [this.registry] }).set(labels, 1)
    if (options.withProcess) {
      collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: LOOP_SAMPLE_MS })
    }
  }

  counter(name: CounterName, ...labels: readonly string[]): Counter {
    return this.familyOf(name).number(labels)
  }

  gauge(name: GaugeName, ...labels: readonly string[]): Gauge {
    return this.familyOf(name).number(labels)
  }

  histogram(name: HistogramName, ...labels: readonly string[]): Histogram {
    return this.familyOf(name).distribution(labels)
  }

  clear(name: GaugeName): void {
    this.familyOf(name).clear()
  }

  onScrape(sample: () => void): void {
    this.samplers.push(sample)
  }

  setQueues(source: () => Iterable<QueueSample>): void {
    this.queues = source
  }

  setSubscriptions(source: () => Iterable<SubscriptionSample>): void {
    this.subscriptions = source
  }

  async render({ allQueues }: { readonly allQueues: boolean }): Promise<string> {
    for (const sample of this.samplers) sample()
    const queues: QueueSample[] = []
    for (const queue of this.queues()) {
      queues.push(queue)
      if (queues.length % SAMPLES_PER_TURN === 0) await nextTurn()
    }
    const shownMax = allQueues ? Number.POSITIVE_INFINITY : this.options.queueSeriesMax
    const subscriptions = await subscriptionText(this.subscriptions(), shownMax)
    const texts = [await queueText(largest(queues, shownMax)), subscriptions].join("\n")
    return allQueues ? texts : `${await this.registry.metrics()}\n${texts}`
  }

  private familyOf(name: MetricName): Family {
    const family = this.families.get(name)
    if (family === undefined) throw new RangeError(`no metric ${name}`)
    return family
  }
}

/** One metric with all its cells, in the shape that a prom-client registry asks for. */
class Family {
  readonly name: string
  private readonly row: MetricRow
  private readonly numbers = new Map<string, NumberCell>()
  private readonly distributions = new Map<string, DistributionCell>()

  constructor(row: MetricRow) {
    this.name = row.name
    this.row = row
    // A metric without labels exists from the start, so that its absence means that the node is gone.
    if (row.labels.length > 0) return
    if (row.kind === "histogram") this.distribution([])
    else this.number([])
  }

  number(labels: readonly string[]): NumberCell {
    return cellOf(this.numbers, labels, () => new NumberCell(this.labelsOf(labels)))
  }

  distribution(labels: readonly string[]): DistributionCell {
    const make = (): DistributionCell => new DistributionCell(this.labelsOf(labels), this.row.buckets ?? [])
    return cellOf(this.distributions, labels, make)
  }

  clear(): void {
    this.numbers.clear()
  }

  /** Called by the registry. */
  get(): Promise<object> {
    const values: MetricValue<string>[] = []
    for (const cell of this.numbers.values()) values.push({ value: cell.value, labels: cell.labels })
    for (const cell of this.distributions.values()) values.push(...cell.values(this.name))
    const { name, row } = this
    return Promise.resolve({ name, help: row.help, type: row.kind, values })
  }

  private labelsOf(values: readonly string[]): Labels {
    if (values.length !== this.row.labels.length) throw new RangeError(`${this.name} needs other labels`)
    return Object.fromEntries(this.row.labels.map((label, index) => [label, values[index] ?? ""]))
  }
}

type Labels = Readonly<Record<string, string>>

function cellOf<Cell>(cells: Map<string, Cell>, labels: readonly string[], make: () => Cell): Cell {
  const key = labels.join("\u0000")
  let cell = cells.get(key)
  if (cell === undefined) {
    cell = make()
    cells.set(key, cell)
  }
  return cell
}

class NumberCell implements Counter, Gauge {
  readonly labels: Labels
  value = 0

  constructor(labels: Labels) {
    this.labels = labels
  }

  add(amount: number): void {
    this.value += amount
  }

  set(value: number): void {
    this.value = value
  }
}

class DistributionCell implements Histogram {
  private readonly labels: Labels
  private readonly bounds: readonly number[]
  /** One more than bounds: the last counts what is above all of them. */
  private readonly counts: Float64Array
  private sum = 0

  constructor(labels: Labels, bounds: readonly number[]) {
    this.labels = labels
    this.bounds = bounds
    this.counts = new Float64Array(bounds.length + 1)
  }

  observe(value: number): void {
    const { bounds, counts } = this
    let index = 0
    while (index < bounds.length && value > (bounds[index] as number)) index++
    counts[index] = (counts[index] as number) + 1
    this.sum += value
  }

  values(name: string): MetricValue<string>[] {
    const lines: NamedValue[] = []
    let total = 0
    for (const [index, bound] of [...this.bounds.map(String), "+Inf"].entries()) {
      total += this.counts[index] ?? 0
      lines.push({ metricName: `${name}_bucket`, value: total, labels: { ...this.labels, le: bound } })
    }
    lines.push({ metricName: `${name}_sum`, value: this.sum, labels: this.labels })
    lines.push({ metricName: `${name}_count`, value: total, labels: this.labels })
    return lines
  }
}

/** A line whose name is not the metric's own. */
type NamedValue = MetricValue<string> & { readonly metricName: string }

const QUEUE_FAMILIES = {
  facts: "opencmq_queue_info gauge One for each queue; always 1.",
  messages: "opencmq_queue_messages gauge Messages of a queue by state. CMQ: active, inactive, delay, rewind.",
  age: "opencmq_queue_oldest_message_age_seconds gauge Age of the oldest message not yet deleted; 0 when there is none.",
  bytes: "opencmq_queue_bytes gauge Records of the messages of a queue, rewindable ones too.",
  expired: "opencmq_messages_expired_total counter Messages of a queue dropped at the end of their retention.",
  deadLettered: "opencmq_messages_dead_lettered_total counter Messages of a queue moved to its dead-letter queue.",
} as const

/**
 * The series of single queues, written by hand: prom-client takes 0.1 ms a queue, and there may be 10,000. Names of
 * queues hold nothing that would have to be escaped.
 */
async function queueText(queues: readonly QueueSample[]): Promise<string> {
  const nowMs = Date.now()
  const texts = {
    facts: head(QUEUE_FAMILIES.facts),
    messages: head(QUEUE_FAMILIES.messages),
    age: head(QUEUE_FAMILIES.age),
    bytes: head(QUEUE_FAMILIES.bytes),
    expired: head(QUEUE_FAMILIES.expired),
    deadLettered: head(QUEUE_FAMILIES.deadLettered),
  }
  for (const [index, sample] of queues.entries()) {
    if (index % SAMPLES_PER_TURN === SAMPLES_PER_TURN - 1) await nextTurn()
    const queue = `{queue="${sample.queueName}"`
    const messages = `opencmq_queue_messages${queue},state=`
    const oldest = sample.oldestUnconsumedAtMs
    const age = oldest === 0 ? 0 : Math.max(0, nowMs - oldest) / 1000
    texts.facts += `opencmq_queue_info${queue},dead_letter_queue="${sample.deadLetterQueueName}"} 1\n`
    texts.messages +=
      `${messages}"visible"} ${String(sample.activeCount)}\n${messages}"inflight"} ${String(sample.inactiveCount)}\n` +
      `${messages}"delayed"} ${String(sample.delayedCount)}\n${messages}"rewindable"} ${String(sample.rewindableCount)}\n` +
      `${messages}"half"} ${String(sample.halfCount)}\n`
    texts.age += `opencmq_queue_oldest_message_age_seconds${queue}} ${String(age)}\n`
    texts.bytes += `opencmq_queue_bytes${queue}} ${String(sample.bytes)}\n`
    texts.expired += `opencmq_messages_expired_total${queue}} ${String(sample.expiredCount)}\n`
    texts.deadLettered += `opencmq_messages_dead_lettered_total${queue}} ${String(sample.deadLetteredCount)}\n`
  }
  return Object.values(texts).join("\n")
}

function largest(queues: readonly QueueSample[], count: number): readonly QueueSample[] {
  if (queues.length <= count) return queues
  return queues.toSorted((a, b) => depthOf(b) - depthOf(a) || (a.queueName < b.queueName ? -1 : 1)).slice(0, count)
}

function depthOf({ activeCount, inactiveCount, delayedCount, halfCount }: QueueSample): number {
  return activeCount + inactiveCount + delayedCount + halfCount
}
