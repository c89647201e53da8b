/**
 * What is counted and measured, as one table, and the small interface by which node and faces do it.
 *
 * A cell (`counter(...)` with its label values) is looked up once and kept, so that counting costs one addition. Numbers
 * that someone already holds (queue depths, Raft positions) are not counted here at all: `onScrape` asks for them.
 * Names follow Prometheus: `opencmq_`, base units, `_total` for counters (ecosystem.md §1b).
 */

/** One row of the table. */
export interface MetricRow {
  readonly name: string
  readonly kind: "counter" | "gauge" | "histogram"
  readonly help: string
  /** Label names, in the order in which values are given. Values are from small fixed sets: never a queue's name. */
  readonly labels: readonly string[]
  /** Histograms: upper bounds, ascending. */
  readonly buckets?: readonly number[]
}

/** 1 ms to 60 s: a group commit takes one to ten milliseconds, a long poll up to thirty seconds. */
const REQUEST_BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 35, 60]
const FSYNC_BUCKETS = [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5]
const SIZE_BUCKETS = [64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576]
const LATENCY_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 600, 3_600, 86_400]

/** Every metric but those of single queues (`QueueSample`) and of the process. */
export const METRICS = {
  // --- Messages -----------------------------------------------------------------------------------------
  messagesSent: {
    name: "opencmq_messages_sent_total",
    kind: "counter",
    help: "Messages stored and acknowledged.",
    labels: [],
  },
  topicPublished: {
    name: "opencmq_topic_published_total",
    kind: "counter",
    help: "Messages published to topics and acknowledged.",
    labels: [],
  },
  subscriptionFiltered: {
    name: "opencmq_subscription_filtered_total",
    kind: "counter",
    help: "Published messages that a subscription's filter kept from it, one for each subscription; counted by the leader.",
    labels: [],
  },
  pushFailures: {
    name: "opencmq_push_failures_total",
    kind: "counter",
    help: "Pushes of this node that were not delivered, by reason; busy ones are tried again and count as no failure.",
    labels: ["reason"],
  },
  messagesReceived: {
    name: "opencmq_messages_received_total",
    kind: "counter",
    help: "Deliveries handed to consumers.",
    labels: [],
  },
  messagesRedelivered: {
    name: "opencmq_messages_redelivered_total",
    kind: "counter",
    help: "Deliveries of a message that had been delivered before.",
    labels: [],
  },
  messagesDeleted: {
    name: "opencmq_messages_deleted_total",
    kind: "counter",
    help: "Messages deleted by consumers.",
    labels: [],
  },
  messagesDeduplicated: {
    name: "opencmq_messages_deduplicated_total",
    kind: "counter",
    help: "Sends that stored nothing because their client message id was known.",
    labels: [],
  },
  emptyReceives: {
    name: "opencmq_empty_receives_total",
    kind: "counter",
    help: "Receives that ended without a message.",
    labels: [],
  },
  messageSize: {
    name: "opencmq_message_size_bytes",
    kind: "histogram",
    help: "Bodies of sent messages.",
    labels: [],
    buckets: SIZE_BUCKETS,
  },
  deliveryLatency: {
    name: "opencmq_delivery_latency_seconds",
    kind: "histogram",
    help: "From enqueue to first receive.",
    labels: [],
    buckets: LATENCY_BUCKETS,
  },
  longPollsWaiting: {
    name: "opencmq_long_polls_waiting",
    kind: "gauge",
    help: "Receives that wait at this node.",
    labels: [],
  },
  queues: { name: "opencmq_queues", kind: "gauge", help: "Queues that exist.", labels: [] },

  // --- Faces --------------------------------------------------------------------------------------------
  requestDuration: {
    name: "opencmq_request_duration_seconds",
    kind: "histogram",
    help: "From the end of a request to its reply, long polls included.",
    labels: ["api", "operation", "code"],
    buckets: REQUEST_BUCKETS,
  },
  requestsInFlight: {
    name: "opencmq_requests_in_flight",
    kind: "gauge",
    help: "Requests that have no reply yet.",
    labels: ["api"],
  },
  connections: { name: "opencmq_connections", kind: "gauge", help: "Open client connections.", labels: ["api"] },
  authFailures: {
    name: "opencmq_auth_failures_total",
    kind: "counter",
    help: "Requests refused for who asked or how it was signed.",
    labels: ["api", "reason"],
  },

  // --- Raft and log -------------------------------------------------------------------------------------
  raftState: { name: "opencmq_raft_state", kind: "gauge", help: "1 for the role this node has.", labels: ["role"] },
  raftTerm: { name: "opencmq_raft_term", kind: "gauge", help: "Current term.", labels: [] },
  raftCommitIndex: { name: "opencmq_raft_commit_index", kind: "gauge", help: "Last committed entry.", labels: [] },
  raftApplyLag: {
    name: "opencmq_raft_apply_lag_entries",
    kind: "gauge",
    help: "Entries committed and not yet applied here.",
    labels: [],
  },
  raftFollowerLag: {
    name: "opencmq_raft_follower_lag_entries",
    kind: "gauge",
    help: "Leader only: entries that a follower does not have yet.",
    labels: ["peer"],
  },
  raftElections: {
    name: "opencmq_raft_elections_total",
    kind: "counter",
    help: "Elections this node stood in.",
    labels: [],
  },
  raftAppend: {
    name: "opencmq_raft_append_seconds",
    kind: "histogram",
    help: "From proposal to commit, of the entries this node proposed.",
    labels: [],
    buckets: REQUEST_BUCKETS,
  },
  walFsync: {
    name: "opencmq_wal_fsync_seconds",
    kind: "histogram",
    help: "One fdatasync of the log.",
    labels: [],
    buckets: FSYNC_BUCKETS,
  },
  walBytes: { name: "opencmq_wal_bytes", kind: "gauge", help: "Log segments on disk.", labels: [] },
  snapshotDuration: {
    name: "opencmq_snapshot_duration_seconds",
    kind: "histogram",
    help: "One checkpoint of the machine.",
    labels: [],
    buckets: REQUEST_BUCKETS,
  },
} as const satisfies Record<string, MetricRow>

type NameOf<Kind extends MetricRow["kind"]> = {
  [Name in keyof typeof METRICS]: (typeof METRICS)[Name]["kind"] extends Kind ? Name : never
}[keyof typeof METRICS]

/** Names of the counters in the table. */
export type CounterName = NameOf<"counter">
/** Names of the gauges in the table. */
export type GaugeName = NameOf<"gauge">
/** Names of the histograms in the table. */
export type HistogramName = NameOf<"histogram">

/** A number that only rises. */
export interface Counter {
  add(amount: number): void
}

/** A number that rises and falls. */
export interface Gauge {
  set(value: number): void
}

/** A distribution. */
export interface Histogram {
  observe(value: number): void
}

/** One queue at the moment of a scrape. */
export interface QueueSample {
  readonly queueName: string
  /** "" = none. */
  readonly deadLetterQueueName: string
  readonly activeCount: number
  readonly inactiveCount: number
  readonly delayedCount: number
  readonly halfCount: number
  readonly rewindableCount: number
  /** Enqueue time of the oldest message not yet deleted; 0 when there is none. Unix ms. */
  readonly oldestUnconsumedAtMs: number
  /** Records of all messages, rewindable ones too. */
  readonly bytes: number
  /** Dropped at the end of their retention, since the queue was created: replicated, so it outlives every node. */
  readonly expiredCount: number
  /** Moved to the dead-letter queue, likewise. */
  readonly deadLetteredCount: number
}

/** One subscription at the moment of a scrape. */
export interface SubscriptionSample {
  readonly topicName: string
  readonly subscriptionName: string
  /** Messages that could not be handed over at once. */
  readonly waitingCount: number
  /** Since the subscription was made: replicated, so it outlives every node. */
  readonly deliveredCount: number
  /** Given up after the last retry, or lost because too many waited, likewise. */
  readonly droppedCount: number
}

/** How node and faces count. Label values are given in the order of the table's label names. */
export interface Metrics {
  counter(name: CounterName, ...labels: readonly string[]): Counter
  gauge(name: GaugeName, ...labels: readonly string[]): Gauge
  histogram(name: HistogramName, ...labels: readonly string[]): Histogram
  /** Forgets the cells of a gauge whose labels come and go; those set next are the only ones. */
  clear(name: GaugeName): void
  /** Called right before each scrape, to set gauges whose numbers are held elsewhere. */
  onScrape(sample: () => void): void
  /** Where the series of single queues come from. Asked once a scrape; may be long, so it is walked once and not kept. */
  setQueues(source: () => Iterable<QueueSample>): void
  /** The same for the series of single subscriptions. */
  setSubscriptions(source: () => Iterable<SubscriptionSample>): void
}

/** The metrics as text, for whoever scrapes. */
export interface MetricsPage {
  readonly contentType: string
  /**
   * With `allQueues` the series of every queue and subscription and nothing else; otherwise everything, but of queues and
   * of subscriptions the largest only.
   */
  render(scope: { readonly allQueues: boolean }): Promise<string>
}
