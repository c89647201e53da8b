/** What a node counts about messages and about itself; the cells are looked up once. */
import type { Counter, Histogram, Metrics } from "./metrics.ts"
import type { OutgoingMessage, DeliveredMessage } from "./service-types.ts"

export class NodeMetrics {
  readonly #sent: Counter
  readonly #published: Counter
  readonly #filtered: Counter
  readonly #received: Counter
  readonly #redelivered: Counter
  readonly #deleted: Counter
  readonly #deduplicated: Counter
  readonly #empty: Counter
  readonly #size: Histogram
  readonly #latency: Histogram
  readonly elections: Counter
  readonly checkpointSeconds: Histogram
  readonly appendSeconds: Histogram

  constructor(metrics: Metrics) {
    this.#sent = metrics.counter("messagesSent")
    this.#published = metrics.counter("topicPublished")
    this.#filtered = metrics.counter("subscriptionFiltered")
    this.#received = metrics.counter("messagesReceived")
    this.#redelivered = metrics.counter("messagesRedelivered")
    this.#deleted = metrics.counter("messagesDeleted")
    this.#deduplicated = metrics.counter("messagesDeduplicated")
    this.#empty = metrics.counter("emptyReceives")
    this.#size = metrics.histogram("messageSize")
    this.#latency = metrics.histogram("deliveryLatency")
    this.elections = metrics.counter("raftElections")
    this.checkpointSeconds = metrics.histogram("snapshotDuration")
    this.appendSeconds = metrics.histogram("raftAppend")
  }

  messagesSent(messages: readonly OutgoingMessage[], duplicates: readonly boolean[]): void {
    let duplicateCount = 0
    for (let i = 0; i < messages.length; i++) {
      if (duplicates[i] === true) duplicateCount++
      else this.#size.observe(messages[i]?.body.length ?? 0)
    }
    this.#sent.add(messages.length - duplicateCount)
    if (duplicateCount > 0) this.#deduplicated.add(duplicateCount)
  }

  /** Each message was offered to all subscriptions of its topic, and went to `deliveryCount` of them, all together. */
  messagesPublished(
    duplicates: readonly boolean[],
    { subscriptionCount, deliveryCount }: { readonly subscriptionCount: number; readonly deliveryCount: number },
  ): void {
    const duplicateCount = duplicates.filter((isDuplicate) => isDuplicate).length
    const publishedCount = duplicates.length - duplicateCount
    this.#published.add(publishedCount)
    // A subscription may have come or gone within the entry that published.
    this.#filtered.add(Math.max(0, publishedCount * subscriptionCount - deliveryCount))
    if (duplicateCount > 0) this.#deduplicated.add(duplicateCount)
  }

  messagesReceived(messages: readonly DeliveredMessage[]): void {
    this.#received.add(messages.length)
    for (const message of messages) {
      if (message.dequeueCount > 1) this.#redelivered.add(1)
      else this.#latency.observe(Math.max(0, message.firstDequeuedAtMs - message.enqueuedAtMs) / 1000)
    }
  }

  messagesDeleted(count: number): void {
    this.#deleted.add(count)
  }

  emptyReceive(): void {
    this.#empty.add(1)
  }
}
