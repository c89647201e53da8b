/**
 * The queue machine: every queue of a set, changed by the commands of the log and by nothing else.
 *
 * It is told the index and the stamp of each entry, then its commands, one after the other. It never reads a clock,
 * throws nothing for any command, and gives every replica the same state at the same index. Bodies of messages never
 * come here: it knows where in the log their records lie. DESIGN.md beside this file has the pictures.
 */
import { assert } from "../assert.ts"
import type { AccessKey } from "./access-keys.ts"
import type { Command, QueueId, SubscriptionId, TopicId } from "./command.ts"
import { collectAll, collectDirty, hashState, MachineRestore, type RecordVisitor } from "./machine-checkpoint.ts"
import {
  locateRecord,
  recordsOfEntry,
  type EntryRequest,
  type LiveRecords,
  type LocatedMessages,
  type RecordRequest,
} from "./locate.ts"
import type { MachineLimits } from "./machine-limits.ts"
import type { MachineMutant } from "./machine-mutant.ts"
import { MachineState, type HalfQuery } from "./machine-state.ts"
import type { Outcome } from "./outcome.ts"
import {
  listQueues,
  oldestLiveIndex,
  pageOf,
  peekMessages,
  queriedHalves,
  readQueueStatus,
  sortedByName,
  visitLive,
  type EntryRange,
  type PeekedMessages,
  type PeekRequest,
  type QueriedHalves,
  type QueueList,
  type QueueListRequest,
  type QueueStatus,
} from "./queue-reads.ts"
import { isLittleEndian } from "./record-bytes.ts"
import {
  previewRedrive,
  readRedrive,
  type RedrivePreview,
  type RedrivePreviewRequest,
  type RedriveStatus,
} from "./redrive-reads.ts"
import { previewRewind, type Counted, type RewindPreviewRequest } from "./rewind.ts"
import { runDueSteps } from "./time-steps.ts"
import { APPLIERS, type Applier } from "./command-table.ts"
import {
  listSubscriptions,
  listTopics,
  readSubscriptionStatus,
  readTopicStatus,
  subscriptionSamples,
  waitingPushes,
  type SubscriptionList,
  type SubscriptionProgress,
  type SubscriptionStatus,
  type TopicList,
  type TopicStatus,
} from "./topic-reads.ts"

/** An outcome to be filled again and again by `QueueMachine.apply`. */
export function emptyOutcome(): Outcome {
  return {
    refusal: undefined,
    queueId: 0,
    sent: { count: 0, entryIndexes: [], ordinals: [], duplicates: [] },
    received: {
      count: 0,
      entryIndexes: [],
      offsets: [],
      lengths: [],
      slots: [],
      deliveryNumbers: [],
      dequeueCounts: [],
      enqueuedAtMs: [],
      firstDequeuedAtMs: [],
      nextVisibleAtMs: [],
      provenances: [],
    },
    failed: [],
    nextVisibleAtMs: 0,
    count: 0,
  }
}

export class QueueMachine {
  readonly #state: MachineState
  #restore: MachineRestore | undefined

  /** @param mutant a known bug, for tests alone; see `machine-mutant.ts`. */
  constructor(limits: MachineLimits, mutant?: MachineMutant) {
    assert(isLittleEndian(), "columns are copied as they lie in memory")
    this.#state = new MachineState(limits, mutant)
  }

  /** Log time, Unix ms: the greatest stamp so far. */
  get nowMs(): number {
    return this.#state.nowMs
  }

  /** Index of the newest entry begun; 0 before the first. */
  get appliedIndex(): number {
    return this.#state.appliedIndex
  }

  /** Client message ids that had to be forgotten before their time, since ever. */
  get deduplicationEvictedCount(): number {
    return this.#state.deduplication.evictedCount
  }

  /** Client message ids remembered now. */
  get deduplicationCount(): number {
    return this.#state.deduplication.size
  }

  /** Messages that are inactive, delayed or were returned, in all queues. */
  get touchedCount(): number {
    return this.#state.touched.usedCount
  }

  /**
   * Starts on the commands of an entry: log time advances to its stamp, if that is later, and what is due happens, at
   * most `limits.timeStepsPerEntry` steps of it. Asserts that indexes rise; they need not be consecutive.
   */
  beginEntry(index: number, stampMs: number): void {
    const state = this.#state
    assert(Number.isSafeInteger(index) && index > state.appliedIndex, "entries are applied in order, once")
    state.appliedIndex = index
    if (stampMs > state.nowMs && stampMs <= Number.MAX_SAFE_INTEGER) state.nowMs = Math.floor(stampMs)
    state.finishHalfMoved()
    runDueSteps(state)
  }

  /** Applies one command of the entry begun last. Overwrites the outcome. Total: refuses, but never throws. */
  apply(command: Command, outcome: Outcome): void {
    resetOutcome(outcome)
    // The table is typed row by row; together the rows are more than the compiler can follow.
    ;(APPLIERS[command.kind] as Applier<Command>)(this.#state, command, outcome)
  }

  /**
   * Earliest time at which something happens by itself: a delay or a visibility timeout ends, a producer is to be asked,
   * retention or a rewind window ends, a waiting message becomes a dead letter by age, the pause of a subscription is over,
   * a redrive takes its turn. The machine never acts on it: the leader proposes `expire` when the time has come (ADR 0004).
   * Forgetting client message ids needs no entry and does not count.
   *
   * @returns Unix ms, in the past when steps are left over; undefined when nothing is pending. Amortised O(1).
   */
  nextDeadlineMs(): number | undefined {
    const queueAtMs = this.#state.deadlines.first()?.nextStepAtMs ?? Number.POSITIVE_INFINITY
    const retryAtMs = this.#state.retries.first()?.nextStepAtMs ?? Number.POSITIVE_INFINITY
    const redriveAtMs = this.#state.redrives.first()?.nextStepAtMs ?? Number.POSITIVE_INFINITY
    const next = Math.min(queueAtMs, retryAtMs, redriveAtMs, this.#state.touched.firstDueAtMs())
    return next === Number.POSITIVE_INFINITY ? undefined : next
  }

  /**
   * Queues that may have got active messages since the last call, and subscriptions that may have something to be
   * pushed. Whoever does not lead may leave them.
   */
  takeWakened(): readonly QueueId[] {
    const { wakened } = this.#state
    if (wakened.size === 0) return nobody
    const taken = [...wakened]
    wakened.clear()
    return taken
  }

  /** Half messages whose producers are to be asked, since the last call. */
  takeQueried(): readonly HalfQuery[] {
    const { queried } = this.#state
    if (queried.length === 0) return noQuery
    this.#state.queried = []
    return queried
  }

  /** Half messages of a queue whose producers were asked; undefined for an unknown queue. */
  queriedHalves(request: PeekRequest): QueriedHalves | undefined {
    return queriedHalves(this.#state, request)
  }

  /** Exact; two queues never differ in case alone. */
  findQueue(queueName: string): QueueId | undefined {
    return this.#state.registry.find(queueName)?.id
  }

  queueName(queueId: QueueId): string | undefined {
    return this.#state.registry.get(queueId)?.name
  }

  queueStatus(queueId: QueueId): QueueStatus | undefined {
    return readQueueStatus(this.#state, queueId)
  }

  get queueCount(): number {
    return this.#state.registry.count
  }

  listQueues(request: QueueListRequest): QueueList {
    return listQueues(this.#state.registry.sorted(), request)
  }

  /** The queues whose policy names this one; undefined when there is no queue of that name. */
  listDeadLetterSources(queueName: string, request: QueueListRequest): QueueList | undefined {
    const target = this.#state.registry.find(queueName)
    return target === undefined ? undefined : listQueues(sortedByName(target.deadLetterSources), request)
  }

  /** Exact; two topics never differ in case alone. */
  findTopic(topicName: string): TopicId | undefined {
    return this.#state.topics.find(topicName)?.id
  }

  get topicCount(): number {
    return this.#state.topics.count
  }

  topicStatus(topicId: TopicId): TopicStatus | undefined {
    return readTopicStatus(this.#state, topicId)
  }

  listTopics(request: QueueListRequest): TopicList {
    return listTopics(this.#state, request)
  }

  /** Exact, within the topic. */
  findSubscription(topicName: string, subscriptionName: string): SubscriptionId | undefined {
    return this.#state.topics.find(topicName)?.subscriptions.find(subscriptionName)?.id
  }

  /** How far each has come, for the metrics. */
  subscriptionSamples(): Iterable<SubscriptionProgress> {
    return subscriptionSamples(this.#state)
  }

  /** 0 for an unknown topic. */
  subscriptionCount(topicId: TopicId): number {
    return this.#state.topics.get(topicId)?.subscriptions.size ?? 0
  }

  subscriptionStatus(subscriptionId: SubscriptionId): SubscriptionStatus | undefined {
    return readSubscriptionStatus(this.#state, subscriptionId)
  }

  /** Undefined for an unknown topic. */
  listSubscriptions(topicName: string, request: QueueListRequest): SubscriptionList | undefined {
    return listSubscriptions(this.#state, topicName, request)
  }

  /** Exact. O(1): asked for every request. */
  findKey(secretId: string): AccessKey | undefined {
    return this.#state.keys.find(secretId)
  }

  /** By account and SecretId; the search word may be in either. O(keys). */
  listKeys(request: QueueListRequest): { readonly totalCount: number; readonly page: readonly AccessKey[] } {
    return pageOf(this.#state.keys.sorted(), request)
  }

  /** Subscriptions with an address whose oldest waiting message may be pushed now: for a new leader. O(subscriptions). */
  waitingPushes(): readonly SubscriptionId[] {
    return waitingPushes(this.#state)
  }

  /** Shows messages without changing anything, those of a subscription's backlog, too; undefined for an unknown queue. */
  peek(request: PeekRequest): PeekedMessages | undefined {
    return peekMessages(this.#state, request)
  }

  /** How many messages a rewind would bring back; undefined for an unknown queue. O(messages of the queue). */
  previewRewind(request: RewindPreviewRequest): Counted | undefined {
    return previewRewind(this.#state, request)
  }

  /** The newest redrive of a queue; undefined for one without. O(1). */
  redriveStatus(queueId: QueueId): RedriveStatus | undefined {
    return readRedrive(this.#state, queueId)
  }

  /** What a redrive would do now; undefined for an unknown queue. O(messages of the queue). */
  previewRedrive(request: RedrivePreviewRequest): RedrivePreview | undefined {
    return previewRedrive(this.#state, request)
  }

  /** What of an entry is still pointed to: its live records. O(chunks). */
  recordsOfEntry(request: EntryRequest): LiveRecords {
    return recordsOfEntry(this.#state, request)
  }

  /** In which queues and backlogs the message of a record is, and how. O(chunks). */
  locateRecord(request: RecordRequest): LocatedMessages {
    return locateRecord(this.#state, request)
  }

  /** Messages that a receive could hand out now; 0 for an unknown queue. O(1). */
  activeCount(queueId: QueueId): number {
    return this.#state.registry.get(queueId)?.activeCount ?? 0
  }

  /** Smallest entry index that a stored message points to, rewindable ones included. O(chunks) at best. */
  oldestLiveIndex(): number | undefined {
    return oldestLiveIndex(this.#state)
  }

  /** For log cleaning: the entries in the range (both ends included) that still hold something; they may repeat. */
  visitLive(range: EntryRange, visit: (entryIndex: number) => void): void {
    visitLive(this.#state, range, visit)
  }

  /** Every record of the state. For a snapshot or a comparison; the own checkpoint is fed by `collectDirty` alone. */
  collectAll(visit: RecordVisitor): void {
    collectAll(this.#state, visit)
  }

  /** The records that changed since the last call (or since the restore), and marks them clean. */
  collectDirty(visit: RecordVisitor): void {
    collectDirty(this.#state, visit)
  }

  /** Brings a record back, into a machine that has not applied anything; in any order. Throws a RangeError if corrupt. */
  restore(key: Uint8Array, value: Uint8Array): void {
    assert(this.#state.appliedIndex === 0, "a machine is restored before it applies anything")
    this.#restore ??= new MachineRestore(this.#state)
    this.#restore.add(key, value)
  }

  /** After the last record. Queues with active messages count as wakened. */
  finishRestore(): void {
    assert(this.#restore !== undefined, "a restore was begun")
    this.#restore.finish()
    this.#restore = undefined
  }

  /** Equal on all replicas at the same applied index, restored ones included. A safe integer. O(state). */
  stateHash(): number {
    return hashState(this.#state)
  }
}

const nobody: readonly QueueId[] = []
const noQuery: readonly HalfQuery[] = []

function resetOutcome(outcome: Outcome): void {
  outcome.refusal = undefined
  outcome.queueId = 0
  outcome.sent.count = 0
  outcome.received.count = 0
  outcome.failed.length = 0
  outcome.nextVisibleAtMs = 0
  outcome.count = 0
}
