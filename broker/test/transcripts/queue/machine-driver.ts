/**
 * Drives a real queue machine through the real bytes: every command is written into an entry, read back and applied,
 * and every message that comes out is read from the entry that holds it.
 */
import { EntryBuilder, EntryReader, type HandleParts } from "../../../src/codec/command-codec.ts"
import { readBody, verifyRecord, type OutgoingRecord } from "../../../src/codec/message-record.ts"
import type {
  QueueAttributes,
  RedriveOrder,
  SubscriptionAttributes,
  TopicAttributes,
} from "../../../src/core/queue/command.ts"
import type { QueryPolicy } from "../../../src/core/queue/half-messages.ts"
import { defaultMachineLimits, type MachineLimits } from "../../../src/core/queue/machine-limits.ts"
import type { MachineMutant } from "../../../src/core/queue/machine-mutant.ts"
import type { Outcome, Provenance } from "../../../src/core/queue/outcome.ts"
import { emptyOutcome, QueueMachine } from "../../../src/core/queue/queue-machine.ts"

export const START_MS = 1_700_000_000_000

export const plainAttributes: QueueAttributes = {
  maxMsgHeapCount: 1_000_000,
  pollingWaitMs: 0,
  visibilityTimeoutMs: 30_000,
  maxMsgBytes: 65_536,
  msgRetentionMs: 3_600_000,
  rewindMs: 0,
  deadLetterPolicy: undefined,
}

export interface Received extends HandleParts {
  readonly msgId: number
  readonly body: string
  readonly dequeueCount: number
  readonly enqueuedAtMs: number
  readonly firstDequeuedAtMs: number
  readonly nextVisibleAtMs: number
  readonly provenance: Provenance | undefined
}

export interface MachineDriverOptions {
  readonly limits?: Partial<MachineLimits>
  readonly mutant?: MachineMutant
}

/** Message ids are counted from 1 in the order of sending, so that a story can be read. */
export class MachineDriver {
  machine: QueueMachine
  readonly outcome: Outcome = emptyOutcome()
  nowMs = START_MS
  readonly #limits: MachineLimits
  readonly #mutant: MachineMutant | undefined
  #index = 0
  readonly #builder = new EntryBuilder()
  readonly #reader = new EntryReader()
  readonly #entries = new Map<number, Uint8Array>()
  readonly #msgIds = new Map<string, number>()

  constructor(options: MachineDriverOptions = {}) {
    this.#limits = { ...defaultMachineLimits, ...options.limits }
    this.#mutant = options.mutant
    this.machine = new QueueMachine(this.#limits, this.#mutant)
  }

  /** Puts commands into one entry at the present time and applies them; `outcome` is that of the last one. */
  run(fill: (builder: EntryBuilder) => void): Outcome {
    this.#builder.begin({ setId: 0 })
    fill(this.#builder)
    const data = this.#builder.finish(this.nowMs)
    const { stampMs } = this.#reader.open(data)
    this.#entries.set(++this.#index, data)
    this.machine.beginEntry(this.#index, stampMs)
    for (let command = this.#reader.next(); command !== undefined; command = this.#reader.next()) {
      this.machine.apply(command, this.outcome)
    }
    return this.outcome
  }

  /** The next entry has this index. */
  skipTo(index: number): void {
    this.#index = index - 1
  }

  advance(byMs: number): void {
    this.nowMs += byMs
    this.run((builder) => {
      builder.addAdmin({ kind: "expire" })
    })
  }

  /** A machine made from the records of this one, or from those given, takes its place. */
  restart(records?: Iterable<readonly [Uint8Array, Uint8Array]>): void {
    const restored = new QueueMachine(this.#limits, this.#mutant)
    if (records === undefined) {
      this.machine.collectAll((key, value) => {
        if (value !== undefined) restored.restore(key, value)
      })
    } else for (const [key, value] of records) restored.restore(key, value)
    restored.finishRestore()
    this.machine = restored
  }

  queueId(queueName: string): number {
    return this.machine.findQueue(queueName) ?? 999
  }

  create(queueName: string, attributes: Partial<QueueAttributes> = {}): Outcome {
    return this.run((builder) => {
      builder.addAdmin({ kind: "createQueue", queueName, attributes: { ...plainAttributes, ...attributes } })
    })
  }

  send(queueName: string, bodies: readonly string[], what: Partial<OutgoingRecord> = {}): Outcome {
    const messages = bodies.map((body) => outgoing(body, what))
    return this.run((builder) => builder.addSend({ queueId: this.queueId(queueName), messages }))
  }

  redrive(queueName: string, order: Partial<RedriveOrder> = {}): Outcome {
    return this.run((builder) => {
      builder.addAdmin({ kind: "startRedrive", queueName, order: { ...wholeQueue, ...order } })
    })
  }

  cancelRedrive(queueName: string): Outcome {
    return this.run((builder) => {
      builder.addAdmin({ kind: "cancelRedrive", queueName })
    })
  }

  prepare(queueName: string, bodies: readonly string[], what: Partial<QueryPolicy> = {}): Outcome {
    const messages = bodies.map((body) => outgoing(body))
    const policy = { firstQueryIntervalMs: 5000, maxQueryCount: 15, ...what }
    return this.run((builder) => builder.addPrepare({ queueId: this.queueId(queueName), messages, ...policy }))
  }

  /** By the numbers of the messages. Which of them failed. */
  confirm(queueName: string, msgIds: readonly number[], isCommit: boolean): boolean[] {
    const places = [...this.#msgIds.keys()]
    const decisions = msgIds.map((msgId) => {
      const [entryIndex = 0, ordinal = 0] = (places[msgId - 1] ?? "").split("/").map(Number)
      return { entryIndex, ordinal, isCommit }
    })
    this.run((builder) => {
      builder.addConfirm({ queueId: this.queueId(queueName), decisions })
    })
    return [...this.outcome.failed]
  }

  createTopic(topicName: string, attributes: Partial<TopicAttributes> = {}): Outcome {
    return this.run((builder) => {
      builder.addAdmin({ kind: "createTopic", topicName, attributes: { ...plainTopic, ...attributes } })
    })
  }

  /** @param to a queue by its name, or an address. */
  subscribe(topicName: string, to: string, what: SubscribeOptions = {}): Outcome {
    const { subscriptionName = "sub", ...attributes } = what
    const isAddress = to.includes("://")
    const endpoint = isAddress ? ({ kind: "http", url: to } as const) : ({ kind: "queue", queueName: to } as const)
    return this.run((builder) => {
      builder.addAdmin({
        kind: "subscribe",
        topicName,
        subscriptionName,
        endpoint,
        attributes: { ...plainSubscription, ...attributes },
      })
    })
  }

  publish(topicName: string, bodies: readonly string[], what: Partial<OutgoingRecord> = {}): Outcome {
    const messages = bodies.map((body) => outgoing(body, what))
    const topicId = this.machine.findTopic(topicName) ?? 999
    return this.run((builder) => builder.addPublish({ topicId, messages }))
  }

  /** As the leader does after pushing. */
  reportPush(
    place: { readonly topicName: string; readonly subscriptionName?: string },
    report: { readonly deliveredThrough?: number; readonly failedSequence?: number },
  ): Outcome {
    const subscriptionId = this.machine.findSubscription(place.topicName, place.subscriptionName ?? "sub") ?? 999
    const { deliveredThrough = 0, failedSequence = 0 } = report
    return this.run((builder) => {
      builder.addReportPush({ subscriptionId, deliveredThrough, failedSequence })
    })
  }

  /** Bodies that wait in a queue or, by its id, for a subscription, with their sequences. */
  waiting(queueId: number): readonly (readonly [number, string])[] {
    const peeked = this.machine.peek({ queueId, fromSequence: 0, maxCount: 1024 })
    return (peeked?.sequences ?? []).map((sequence, index) => {
      const entryIndex = peeked?.entryIndexes[index] ?? 0
      const record = { entryIndex, offset: peeked?.offsets[index] ?? 0, length: peeked?.lengths[index] ?? 0 }
      return [sequence, this.record(record).body]
    })
  }

  receive(queueName: string, maxCount = 1, visibilityTimeoutMs = -1): Received[] {
    const queueId = this.queueId(queueName)
    this.run((builder) => {
      builder.addReceive({ queueId, maxCount, visibilityTimeoutMs })
    })
    return this.lastReceived()
  }

  /** What the last receive handed out. */
  lastReceived(): Received[] {
    const { received } = this.outcome
    return Array.from({ length: received.count }, (_, index) => {
      const record = this.record({
        entryIndex: received.entryIndexes[index] ?? 0,
        offset: received.offsets[index] ?? 0,
        length: received.lengths[index] ?? 0,
      })
      return {
        msgId: record.msgId,
        body: record.body,
        slot: received.slots[index] ?? -1,
        deliveryNumber: received.deliveryNumbers[index] ?? -1,
        dequeueCount: received.dequeueCounts[index] ?? -1,
        enqueuedAtMs: received.enqueuedAtMs[index] ?? -1,
        firstDequeuedAtMs: received.firstDequeuedAtMs[index] ?? -1,
        nextVisibleAtMs: received.nextVisibleAtMs[index] ?? -1,
        provenance: received.provenances[index],
      }
    })
  }

  /** Which handles failed. */
  delete(queueName: string, handles: readonly HandleParts[]): boolean[] {
    const queueId = this.queueId(queueName)
    this.run((builder) => {
      builder.addDelete({ queueId, handles })
    })
    return [...this.outcome.failed]
  }

  changeVisibility(queueName: string, handles: readonly HandleParts[], visibilityTimeoutMs: number): boolean[] {
    const queueId = this.queueId(queueName)
    this.run((builder) => {
      builder.addChangeVisibility({ queueId, handles, visibilityTimeoutMs })
    })
    return [...this.outcome.failed]
  }

  /** The number of the message that was stored there. */
  msgId(entryIndex: number, ordinal: number): number {
    const key = `${String(entryIndex)}/${String(ordinal)}`
    const known = this.#msgIds.get(key)
    if (known !== undefined) return known
    this.#msgIds.set(key, this.#msgIds.size + 1)
    return this.#msgIds.size
  }

  recordBytes(place: { readonly entryIndex: number; readonly offset: number; readonly length: number }): Uint8Array {
    const { entryIndex, offset, length } = place
    const bytes = this.#entries.get(entryIndex)?.subarray(offset, offset + length)
    if (bytes === undefined || !verifyRecord(bytes)) throw new Error("the machine points to something else")
    return bytes
  }

  /** Number and body of the message whose record lies there. */
  record(place: { readonly entryIndex: number; readonly offset: number; readonly length: number }): {
    readonly msgId: number
    readonly body: string
  } {
    const bytes = this.recordBytes(place)
    const { entryIndex } = place
    const ordinal = new DataView(bytes.buffer, bytes.byteOffset).getUint16(6, true)
    return { msgId: this.msgId(entryIndex, ordinal), body: Buffer.from(readBody(bytes)).toString() }
  }
}

export interface SubscribeOptions extends Partial<SubscriptionAttributes> {
  readonly subscriptionName?: string
}

/** Everything, each message to its source. */
const wholeQueue: RedriveOrder = {
  targetQueueName: "",
  sourceQueueName: "",
  enqueuedFromMs: 0,
  enqueuedUntilMs: Number.MAX_SAFE_INTEGER,
  messagesPerSecond: 1_000,
}
const plainTopic: TopicAttributes = { maxMsgBytes: 65_536, filterType: "tags", msgRetentionMs: 86_400_000 }
const plainSubscription: SubscriptionAttributes = {
  notifyStrategy: "exponentialDecay",
  notifyContentFormat: "simplified",
  filterTags: [],
  bindingKeys: [],
}

export function outgoing(body: string, what: Partial<OutgoingRecord> = {}): OutgoingRecord {
  return { body: Buffer.from(body), delayMs: 0, clientMessageId: "", attributes: [], ...what }
}
