/** From positions and log records to what a face shows of a message. Pure. */
import { encodeMessageId, encodeReceiptHandle } from "@opencmq/proto"
import type { QueueId, SubscriptionId, TopicId } from "../core/queue/command.ts"
import type { Provenance, ReceivedMessages, SentMessages } from "../core/queue/outcome.ts"
import type { QueueMachine } from "../core/queue/queue-machine.ts"
import type { PeekedMessages } from "../core/queue/queue-reads.ts"
import { readAttributes, readBody, readClientMessageId, readOrdinal } from "../codec/message-record.ts"
import type { DeliveredMessage, DeliveredProvenance, PeekedMessage } from "./service-types.ts"

/** The set a message is in, and the machine that knows its queues. */
export interface ViewOfSet {
  readonly setId: number
  readonly machine: QueueMachine
}

export interface RecordAt {
  /** Position in the arrays of facts. */
  readonly i: number
  readonly record: Uint8Array
}

/** CMQ's `queue-xxxxxxxx`: an id that shows nothing of how many queues there were. */
export function queueIdText(setId: number, queueId: QueueId): string {
  return `queue-${mixedId(setId, queueId)}`
}

export function topicIdText(setId: number, topicId: TopicId): string {
  return `topic-${mixedId(setId, topicId)}`
}

export function subscriptionIdText(setId: number, subscriptionId: SubscriptionId): string {
  return `subsc-${mixedId(setId, subscriptionId)}`
}

function mixedId(setId: number, id: number): string {
  const mixed = Math.imul(id + setId * 0x01000193, 0x9e3779b1) >>> 0
  return mixed.toString(16).padStart(8, "0")
}

export function sentMessageIds(setId: number, sent: SentMessages): { msgIds: string[]; duplicates: boolean[] } {
  const msgIds: string[] = []
  const duplicates: boolean[] = []
  for (let i = 0; i < sent.count; i++) {
    msgIds.push(encodeMessageId({ setId, entryIndex: at(sent.entryIndexes, i), ordinal: at(sent.ordinals, i) }))
    duplicates.push(sent.duplicates[i] === true)
  }
  return { msgIds, duplicates }
}

export function deliveredMessage(set: ViewOfSet, facts: ReceivedMessages, { i, record }: RecordAt): DeliveredMessage {
  const deliveryHandle = { slot: at(facts.slots, i), deliveryNumber: at(facts.deliveryNumbers, i) }
  return {
    deliveryHandle,
    receiptHandle: encodeReceiptHandle(deliveryHandle),
    nextVisibleAtMs: at(facts.nextVisibleAtMs, i),
    // Last: a literal that begins with a spread takes a microsecond for each field behind it.
    ...shownMessage(set, facts, { i, record }),
  }
}

export function peekedMessage(set: ViewOfSet, facts: PeekedMessages, { i, record }: RecordAt): PeekedMessage {
  const dueAtMs = at(facts.dueAtMs, i)
  const state = facts.states[i] ?? "active"
  return {
    nextVisibleAtMs: state === "inactive" || state === "delayed" ? dueAtMs : 0,
    sequence: at(facts.sequences, i),
    state,
    dueAtMs,
    ...shownMessage(set, facts, { i, record }),
  }
}

type CommonFacts = Pick<ReceivedMessages | PeekedMessages, CommonFactName>
type CommonFactName = "entryIndexes" | "enqueuedAtMs" | "firstDequeuedAtMs" | "dequeueCounts" | "provenances"

function shownMessage(
  set: ViewOfSet,
  facts: CommonFacts,
  { i, record }: RecordAt,
): Omit<DeliveredMessage, "deliveryHandle" | "receiptHandle" | "nextVisibleAtMs"> {
  return {
    msgId: encodeMessageId({ setId: set.setId, entryIndex: at(facts.entryIndexes, i), ordinal: readOrdinal(record) }),
    body: readBody(record),
    attributes: readAttributes(record),
    clientMessageId: readClientMessageId(record),
    enqueuedAtMs: at(facts.enqueuedAtMs, i),
    firstDequeuedAtMs: at(facts.firstDequeuedAtMs, i),
    dequeueCount: at(facts.dequeueCounts, i),
    provenance: shownProvenance(set, facts.provenances[i]),
  }
}

/** With the name of the queue, or its id when it is gone. */
export function shownProvenance(set: ViewOfSet, provenance: Provenance | undefined): DeliveredProvenance | undefined {
  if (provenance === undefined) return undefined
  const { sourceQueueId, ...rest } = provenance
  return { ...rest, sourceQueueName: set.machine.queueName(sourceQueueId) ?? queueIdText(set.setId, sourceQueueId) }
}

function at(values: ArrayLike<number>, i: number): number {
  return values[i] ?? 0
}
