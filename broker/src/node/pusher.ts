/**
 * Pushes what waits for subscriptions with an address, on the leader: one message of a subscription after the other, all
 * subscriptions beside each other.
 *
 * What became of it goes into the log as a report (`reportPush`); the machine takes delivered messages away and decides
 * when a refused one is tried again. Pushing runs ahead of the reports, so an address is as fast as it answers; when this
 * node loses the lead between a push and its report, the next leader pushes again. Nothing is skipped: a message leaves
 * the backlog by a report, by its last failure, or by its age alone.
 */
import { encodeMessageId } from "@opencmq/proto"
import type { EntryBuilder } from "../codec/command-codec.ts"
import { readBody, readOrdinal, readTags } from "../codec/message-record.ts"
import type { SubscriptionId } from "../core/queue/command.ts"
import type { PeekedMessages } from "../core/queue/queue-reads.ts"
import type { QueueMachine } from "../core/queue/queue-machine.ts"
import type { SetReplica } from "./set-replica.ts"
import type { OutgoingPush, PushTransport, RecordPositions } from "../ports.ts"

/** Subscriptions that are pushed to at once; the others wait their turn. */
const LANES_MAX = 256
/** Bytes of records read and not yet pushed, all subscriptions together; a single message may go over it. */
const BYTES_MAX = 64 << 20
/** Records read at once for one subscription. */
const READ_BYTES_MAX = 64 << 10
const READ_COUNT_MAX = 16
/** Messages pushed and not yet reported, of one subscription. */
const UNREPORTED_MAX = 256

export interface PusherParts {
  readonly setId: number
  readonly transport: PushTransport
  /** The present one: a snapshot brings another. */
  readonly machine: () => QueueMachine
  readonly readRecords: (
    positions: RecordPositions,
    done: (error: Error | undefined, records: readonly (Uint8Array | undefined)[]) => void,
  ) => void
  /** `done` is told whether the command was applied. */
  readonly propose: (append: (builder: EntryBuilder) => void, done: (isApplied: boolean) => void) => void
}

/** What this leader knows of the delivery to one subscription beyond what the machine knows. */
interface Lane {
  readonly subscriptionId: SubscriptionId
  /** First sequence that was not pushed yet. */
  cursor: number
  deliveredThrough: number
  failedSequence: number
  reportedThrough: number
  isPushing: boolean
  isReporting: boolean
  /** Ends when everything is reported, and comes again with the next tick. */
  isPostponed: boolean
}

export class Pusher {
  readonly #parts: PusherParts
  /** Lanes with a push or a report under way. */
  readonly #lanes = new Map<SubscriptionId, Lane>()
  /** In the order in which they were woken. */
  readonly #waiting = new Set<SubscriptionId>()
  /** The transport had no room for them; they wait for the next tick. */
  readonly #postponed = new Set<SubscriptionId>()
  #bytes = 0
  #requestCount = 0
  /** Results of an earlier lead are not heeded. */
  #lead = 0

  constructor(parts: PusherParts) {
    this.#parts = parts
  }

  /** Subscriptions that are being pushed to. */
  get laneCount(): number {
    return this.#lanes.size
  }

  /** Whether `tick` has something to do. */
  get isBusy(): boolean {
    return this.#lanes.size + this.#waiting.size + this.#postponed.size > 0
  }

  /** This node leads and has applied everything committed: begins with whatever waits. */
  start(): void {
    this.stop()
    this.wake(this.#parts.machine().waitingPushes())
  }

  /** This node no longer leads. Pushes under way end by themselves, unheard. */
  stop(): void {
    this.#lead++
    this.#lanes.clear()
    this.#waiting.clear()
    this.#postponed.clear()
    this.#bytes = 0
  }

  /** These may have something to be pushed; ids of queues are left alone. */
  wake(ids: readonly SubscriptionId[]): void {
    for (const id of ids) {
      // A lane looks again by itself before it ends; whoever found no room waits for the tick, or would get a second lane.
      if (this.#lanes.has(id) || this.#postponed.has(id)) continue
      if (this.#parts.machine().subscriptionStatus(id)?.endpoint.kind === "http") this.#waiting.add(id)
    }
    this.#admit()
  }

  /** Reports that were refused for want of room are tried again. Called at each tick. */
  tick(): void {
    for (const lane of this.#lanes.values()) if (!lane.isPushing && !lane.isReporting) this.#goOn(lane)
    for (const id of this.#postponed) this.#waiting.add(id)
    this.#postponed.clear()
    this.#admit()
  }

  #admit(): void {
    for (const subscriptionId of this.#waiting) {
      if (this.#lanes.size >= LANES_MAX || this.#bytes >= BYTES_MAX) return
      this.#waiting.delete(subscriptionId)
      const lane: Lane = {
        subscriptionId,
        cursor: 0,
        deliveredThrough: 0,
        failedSequence: 0,
        reportedThrough: 0,
        isPushing: false,
        isReporting: false,
        isPostponed: false,
      }
      this.#lanes.set(subscriptionId, lane)
      this.#goOn(lane)
    }
  }

  /** Pushes the next messages if there are any; reports what was not reported; otherwise the lane ends. */
  #goOn(lane: Lane): void {
    if (!lane.isReporting && isReportDue(lane)) this.#report(lane)
    if (lane.isPushing || lane.failedSequence > 0) return
    if (lane.cursor - lane.reportedThrough > UNREPORTED_MAX && lane.isReporting) return
    const found = lane.isPostponed ? undefined : this.#next(lane)
    if (found !== undefined) this.#read(lane, found)
    else if (!lane.isReporting && !isReportDue(lane)) {
      this.#lanes.delete(lane.subscriptionId)
      if (lane.isPostponed) this.#postponed.add(lane.subscriptionId)
      this.#admit()
    }
  }

  #next(lane: Lane): PeekedMessages | undefined {
    const machine = this.#parts.machine()
    const status = machine.subscriptionStatus(lane.subscriptionId)
    if (status?.endpoint.kind !== "http" || status.nextAttemptAtMs !== undefined) return undefined
    const request = { queueId: lane.subscriptionId, fromSequence: lane.cursor, maxCount: READ_COUNT_MAX }
    const peeked = machine.peek(request)
    return peeked === undefined || peeked.count === 0 ? undefined : peeked
  }

  #read(lane: Lane, found: PeekedMessages): void {
    const lead = this.#lead
    let count = 0
    let bytes = 0
    while (count < found.count && (count === 0 || bytes + (found.lengths[count] ?? 0) <= READ_BYTES_MAX)) {
      bytes += found.lengths[count++] ?? 0
    }
    lane.isPushing = true
    if (lane.reportedThrough === 0) lane.reportedThrough = (found.sequences[0] ?? 1) - 1
    this.#bytes += bytes
    const { entryIndexes, offsets, lengths } = found
    this.#parts.readRecords({ count, entryIndexes, offsets, lengths }, (error, records) => {
      if (lead !== this.#lead) return
      this.#pushFrom({ lane, found, records: error === undefined ? records : [], count, bytes }, 0)
    })
  }

  #pushFrom(batch: Batch, index: number): void {
    const { lane, found, records, count } = batch
    const sequence = found.sequences[index] ?? 0
    const push = this.#outgoing(batch, index)
    if (index === count) this.#ended(batch)
    else if (records[index] === undefined) this.#failed(batch, sequence)
    else if (push === undefined) this.#ended(batch)
    else {
      const lead = this.#lead
      this.#parts.transport.push(push, (result) => {
        if (lead !== this.#lead) return
        if (result === "failed") this.#failed(batch, sequence)
        else if (result === "busy") this.#postpone(batch)
        else {
          lane.cursor = sequence + 1
          lane.deliveredThrough = sequence
          if (!lane.isReporting) this.#report(lane)
          this.#pushFrom(batch, index + 1)
        }
      })
    }
  }

  #failed(batch: Batch, sequence: number): void {
    batch.lane.failedSequence = sequence
    this.#ended(batch)
  }

  /** Not the subscriber's fault: it is no failure. What was delivered before is reported as always. */
  #postpone(batch: Batch): void {
    const { lane } = batch
    lane.isPostponed = true
    this.#ended(batch)
  }

  #ended({ lane, bytes }: Batch): void {
    lane.isPushing = false
    this.#bytes -= bytes
    this.#goOn(lane)
    this.#admit()
  }

  #report(lane: Lane): void {
    const lead = this.#lead
    const { subscriptionId, deliveredThrough, failedSequence } = lane
    lane.isReporting = true
    this.#parts.propose(
      (builder) => {
        builder.addReportPush({ subscriptionId, deliveredThrough, failedSequence })
      },
      (isApplied) => {
        if (lead !== this.#lead) return
        lane.isReporting = false
        // Without effect now; `tick` tries again.
        if (!isApplied) return
        lane.reportedThrough = deliveredThrough
        if (failedSequence > 0) {
          lane.failedSequence = 0
          // Where the machine says, which may be the next message already.
          lane.cursor = 0
        }
        this.#goOn(lane)
      },
    )
  }

  /** Undefined when the subscription is gone. */
  #outgoing({ lane, found, records }: Batch, index: number): OutgoingPush | undefined {
    const status = this.#parts.machine().subscriptionStatus(lane.subscriptionId)
    const record = records[index]
    if (status?.endpoint.kind !== "http" || record === undefined) return undefined
    const entryIndex = found.entryIndexes[index] ?? 0
    const msgId = encodeMessageId({ setId: this.#parts.setId, entryIndex, ordinal: readOrdinal(record) })
    return {
      url: status.endpoint.url,
      requestId: `${msgId}-${(++this.#requestCount).toString(36)}`,
      topicName: status.topicName,
      subscriptionName: status.subscriptionName,
      notifyContentFormat: status.attributes.notifyContentFormat,
      msgId,
      body: readBody(record),
      tags: readTags(record),
      publishedAtMs: found.enqueuedAtMs[index] ?? 0,
    }
  }
}

/** The pusher of a replica. */
export function pusherOf(replica: SetReplica, transport: PushTransport): Pusher {
  return new Pusher({
    setId: replica.setId,
    transport,
    machine: () => replica.machine,
    readRecords: (positions, done) => {
      replica.log.readRecords(positions, done)
    },
    propose: (append, done) => {
      replica.propose(append, (outcome) => {
        done(outcome !== undefined)
      })
    },
  })
}

/** Messages that are pushed one after the other. */
interface Batch {
  readonly lane: Lane
  readonly found: PeekedMessages
  readonly records: readonly (Uint8Array | undefined)[]
  readonly count: number
  readonly bytes: number
}

function isReportDue(lane: Lane): boolean {
  return lane.deliveredThrough > lane.reportedThrough || lane.failedSequence > 0
}
