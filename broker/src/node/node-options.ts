/** What a broker node is built with, and the limits that keep everything in it bounded. */
import { LIMITS } from "@opencmq/proto"
import type { NodeId } from "../core/raft/types.ts"
import type { CheckpointerOptions } from "./checkpointer.ts"

export interface NodeOptions {
  readonly clusterId: string
  readonly nodeId: NodeId
  readonly setId: number
  /** The voters of the set when it is founded; afterwards the log says who they are. */
  readonly voters: readonly NodeId[]
  /** Where clients reach this node, for hints to other clients; "" = nowhere. */
  readonly httpAddress: string
  readonly tickMs: number
  /** Least ticks without a leader before an election. */
  readonly electionTicks: number
  readonly heartbeatTicks: number
  /** A node that is further behind than so many entries does not call itself ready. */
  readonly readyLagEntries: number
  /** Requests waiting or under way at once. */
  readonly maxRequests: number
  readonly deduplicationWindowMs: number
  readonly queueCountMax: number
  readonly subscriptionsPerTopicMax: number
  readonly queueNameReuseMs: number
  readonly checkpoint: CheckpointerOptions
}

export const NODE_DEFAULTS = {
  setId: 0,
  httpAddress: "",
  tickMs: 50,
  electionTicks: 15,
  heartbeatTicks: 5,
  readyLagEntries: 10_000,
  maxRequests: 100_000,
  deduplicationWindowMs: 300_000,
  queueCountMax: 10_000,
  subscriptionsPerTopicMax: LIMITS.subscriptionsPerTopicCount.default,
  queueNameReuseMs: 10_000,
  checkpoint: {
    everyBytes: 64 << 20,
    everyTicks: 200,
    keptForFollowersBytes: 256 << 20,
    cleanBelowLiveShare: 0.4,
  },
} as const satisfies Partial<NodeOptions>

/** Bytes and counts of the Raft core that a user has no reason to turn. */
export const RAFT_LIMITS = {
  maxInflightEntriesBytes: 16 << 20,
  maxInflightMessages: 256,
  maxAppendBytes: 2 << 20,
  maxUncommittedBytes: 64 << 20,
  maxApplyBytes: 8 << 20,
  // Small on purpose: what outlives two collections of the young is held until a full one (ADR 0017).
  cacheBytes: 1 << 20,
} as const

/** Counts of the queue machine (docs/limits.md). Equal on all nodes of a set, or they would apply entries differently. */
export const MACHINE_LIMITS = {
  delayedPerQueue: LIMITS.delayedPerQueueCount.default,
  halvesPerQueue: LIMITS.halfMessagesPerQueueCount.default,
  inflightPerQueue: LIMITS.inFlightPerQueueCount.default,
  topicCount: LIMITS.topicsPerAccountCount.default,
  waitingPerSubscription: 100_000_000,
  deadLetterSources: LIMITS.deadLetterSourcesCount.max,
  deduplicationIds: LIMITS.deduplicationIdsPerSetCount.default,
  timeStepsPerEntry: 10_000,
} as const
