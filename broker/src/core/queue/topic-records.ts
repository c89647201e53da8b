/** Topics and subscriptions as records of the checkpoint, version 1; the keys are in `machine-records.ts`. */
import type { Endpoint, FilterType, NotifyContentFormat, NotifyStrategy } from "./command.ts"
import { openRecord, RECORD_VERSION } from "./machine-records.ts"
import type { MachineState } from "./machine-state.ts"
import { readTexts, type RecordReader, RecordWriter, textBytes, textsBytes, writeTexts } from "./record-bytes.ts"
import type { Subscription, Topic } from "./topic.ts"

/** Places in these lists are written down: new ones at the end. */
const filterTypes: readonly FilterType[] = ["tags", "bindingKeys"]
const endpointKinds: readonly Endpoint["kind"][] = ["queue", "http"]
const strategies: readonly NotifyStrategy[] = ["backoff", "exponentialDecay"]
const formats: readonly NotifyContentFormat[] = ["json", "simplified"]

const TOPIC_NUMBERS = 6
const SUBSCRIPTION_NUMBERS = 7

export function topicValue(topic: Topic): Uint8Array {
  const { attributes, totals } = topic
  const writer = new RecordWriter(2 + textBytes(topic.name) + TOPIC_NUMBERS * 8)
  writer.u8(RECORD_VERSION)
  writer.u8(filterTypes.indexOf(attributes.filterType))
  writer.text(topic.name)
  writer.f64(topic.createdAtMs)
  writer.f64(topic.modifiedAtMs)
  writer.f64(attributes.maxMsgBytes)
  writer.f64(attributes.msgRetentionMs)
  writer.f64(totals.published)
  writer.f64(totals.unmatched)
  return writer.bytes
}

/** Makes the topic, without subscriptions. */
export function restoreTopic(state: MachineState, topicId: number, value: Uint8Array): void {
  const reader = openRecord(value)
  const filterType = oneOf(filterTypes, reader)
  const name = reader.text()
  const createdAtMs = reader.f64()
  const modifiedAtMs = reader.f64()
  const attributes = { filterType, maxMsgBytes: reader.f64(), msgRetentionMs: reader.f64() }
  const topic = state.topics.add({ id: topicId, name, createdAtMs }, attributes)
  topic.modifiedAtMs = modifiedAtMs
  topic.totals.published = reader.f64()
  topic.totals.unmatched = reader.f64()
  topic.isStored = true
  reader.end()
}

export function subscriptionValue(subscription: Subscription): Uint8Array {
  const { attributes, endpoint, name } = subscription
  const address = endpoint.kind === "queue" ? endpoint.queueName : endpoint.url
  const listBytes = textsBytes(attributes.filterTags) + textsBytes(attributes.bindingKeys)
  const textsLength = textBytes(name) + textBytes(address) + listBytes
  const writer = new RecordWriter(4 + 4 + textsLength + SUBSCRIPTION_NUMBERS * 8)
  writer.u8(RECORD_VERSION)
  writer.u8(endpointKinds.indexOf(endpoint.kind))
  writer.u8(strategies.indexOf(attributes.notifyStrategy))
  writer.u8(formats.indexOf(attributes.notifyContentFormat))
  writer.u32(subscription.topic.id)
  writer.text(name)
  writer.text(address)
  writeTexts(writer, attributes.filterTags)
  writeTexts(writer, attributes.bindingKeys)
  writer.f64(subscription.createdAtMs)
  writer.f64(subscription.modifiedAtMs)
  writer.f64(subscription.failedSequence)
  writer.f64(subscription.failureCount)
  writer.f64(subscription.nextAttemptAtMs)
  writer.f64(subscription.deliveredCount)
  writer.f64(subscription.droppedCount)
  return writer.bytes
}

/** Its topic and its backlog have been restored. */
export function restoreSubscription(state: MachineState, subscriptionId: number, value: Uint8Array): void {
  const reader = openRecord(value)
  const kind = oneOf(endpointKinds, reader)
  const notifyStrategy = oneOf(strategies, reader)
  const notifyContentFormat = oneOf(formats, reader)
  const topic = state.topics.get(reader.u32())
  const backlog = state.registry.get(subscriptionId)
  const name = reader.text()
  const address = reader.text()
  if (topic === undefined) throw new RangeError("corrupt checkpoint: a subscription of a topic that is missing")
  if (backlog?.name !== "") throw new RangeError("corrupt checkpoint: a subscription without its backlog")
  const endpoint: Endpoint = kind === "queue" ? { kind, queueName: address } : { kind, url: address }
  const attributes = {
    notifyStrategy,
    notifyContentFormat,
    filterTags: readTexts(reader),
    bindingKeys: readTexts(reader),
  }
  const what = { id: subscriptionId, name, endpoint, attributes, createdAtMs: reader.f64() }
  const subscription = state.topics.addSubscription(topic, what, backlog)
  subscription.modifiedAtMs = reader.f64()
  subscription.failedSequence = reader.f64()
  subscription.failureCount = reader.f64()
  subscription.nextAttemptAtMs = reader.f64()
  subscription.deliveredCount = reader.f64()
  subscription.droppedCount = reader.f64()
  subscription.isStored = true
  reader.end()
}

function oneOf<T>(list: readonly T[], reader: RecordReader): T {
  const item = list[reader.u8()]
  if (item === undefined) throw new RangeError("corrupt checkpoint: a topic or subscription of an unknown kind")
  return item
}
