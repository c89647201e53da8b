/**
 * Topics: what was published reaches every subscription that wanted it, in order, or waits, or is lost by a rule that is
 * written down; nothing else does. Told in the order of the committed log, as the queue oracle is.
 *
 * A small model of each subscription (`subscription-model.ts`) goes beside the machine, and both must say the same after
 * every command that touches it. A message that the model puts into a queue becomes a message of the queue oracle there,
 * which follows it to its end. Of an address it is known what was pushed, taken and answered; the reports in the log are
 * held against that.
 */
import { Buffer } from "node:buffer"
import { decodeMessageId } from "@opencmq/proto"
import type { Command, FilterType } from "../../src/core/queue/command.ts"
import type { Outcome } from "../../src/core/queue/outcome.ts"
import type { QueueMachine } from "../../src/core/queue/queue-machine.ts"
import { readBody, readClientMessageId, readRoutingKey, readTags } from "../../src/codec/message-record.ts"
import type { Entry, OutgoingPush } from "../../src/ports.ts"
import { messageKey } from "./queue-books.ts"
import type { QueueBooks, TopicLife } from "./queue-books.ts"
import type { RepeatedSends } from "./repeated-sends.ts"
import { SubscriptionModel } from "./subscription-model.ts"
import type { HandOver, Place, PublishedMessage } from "./subscription-model.ts"
import { Violation } from "./world.ts"
import type { World } from "./world.ts"

export type TopicCommand = Extract<
  Command,
  {
    kind:
      | "createTopic"
      | "deleteTopic"
      | "publishMessages"
      | "reportPush"
      | "setSubscriptionAttributes"
      | "setTopicAttributes"
      | "subscribe"
      | "unsubscribe"
  }
>

export interface TopicOracleParts {
  readonly world: World
  readonly machine: QueueMachine
  readonly books: QueueBooks
  readonly repeatedSends: RepeatedSends
  readonly waitingMax: number
  /** Makes it a message of the queue, if the queue is there and has room. */
  readonly handOver: HandOver
}

interface TopicModel extends TopicLife {
  readonly filterType: FilterType
  retentionMs: number
  /** In the order of their ids. */
  readonly subscriptions: SubscriptionModel[]
}

export class TopicOracle {
  readonly #parts: TopicOracleParts
  readonly #topics = new Map<number, TopicModel>()
  readonly #subscriptions = new Map<number, { readonly topic: TopicModel; readonly model: SubscriptionModel }>()

  constructor(parts: TopicOracleParts) {
    this.#parts = parts
  }

  // ------------------------------------------------------------------------------------------ committed entries

  /** Log time has advanced: retention, then the pauses that are over. */
  timePassed(): void {
    const { nowMs } = this.#parts.machine
    for (const { topic, model } of this.#subscriptions.values()) {
      let isChanged = this.#expire(topic, model)
      while (model.pausedUntilMs <= nowMs) {
        this.#mark(model.endpoint.kind === "http" ? "push: pause over" : "topic: waiting messages tried again")
        const before = model.dropped
        model.goOn(nowMs, this.#parts.handOver)
        if (model.dropped > before) this.#mark("topic: given up after the last retry")
        isChanged = true
      }
      if (isChanged) this.#compare(model)
    }
  }

  apply(entry: Entry, command: TopicCommand, outcome: Outcome): void {
    switch (command.kind) {
      case "publishMessages":
        this.#published(entry, command, outcome)
        return
      case "reportPush":
        this.#reported(command, outcome)
        return
      case "createTopic":
        if (outcome.refusal === undefined) this.#createTopic(outcome.queueId, command)
        return
      case "deleteTopic":
      case "setTopicAttributes":
        if (outcome.refusal === undefined) this.#topicChanged(command, outcome)
        return
      case "subscribe":
        if (outcome.refusal === undefined) this.#subscribed(command, outcome.queueId)
        return
      case "setSubscriptionAttributes":
      case "unsubscribe":
        if (outcome.refusal === undefined) this.#subscriptionChanged(command, outcome.queueId)
        return
    }
  }

  /** Everything that the machine says of all subscriptions. */
  compareAll(): void {
    for (const { model } of this.#subscriptions.values()) this.#compare(model)
  }

  #published(entry: Entry, command: Extract<Command, { kind: "publishMessages" }>, outcome: Outcome): void {
    const { messages } = command
    const topic = this.#topics.get(messages.queueId)
    const isLonely = topic?.subscriptions.length === 0
    if (isLonely && outcome.refusal === undefined) this.#fail("a topic without subscriptions takes nothing", topic.name)
    if (!isLonely && outcome.refusal === "topicHasNoSubscription") this.#fail("refusals are right", outcome.refusal)
    if (outcome.refusal !== undefined || topic === undefined) return
    let wanted = 0
    for (let i = 0; i < messages.count; i++) {
      const message = describePublished(entry, command, i)
      const { entryIndex, ordinal, record } = message
      const clientId = readClientMessageId(record)
      const sent = { targetId: topic.topicId, clientId, entryIndex, ordinal, nowMs: this.#parts.machine.nowMs }
      if (this.#parts.repeatedSends.isRepeat(outcome.sent, i, sent)) this.#mark("topic: repeated publish stored once")
      else wanted += this.#publishOne(topic, message)
    }
    if (outcome.count !== wanted) {
      this.#fail(
        "a message goes to those that want it",
        `${topic.name}: to ${String(outcome.count)}, not ${String(wanted)}`,
      )
    }
    for (const model of topic.subscriptions) this.#compare(model)
  }

  #publishOne(topic: TopicModel, message: PublishedMessage): number {
    const { machine, books, handOver } = this.#parts
    books.published.set(messageKey(message.entryIndex, message.ordinal), message)
    const wanting = topic.subscriptions.filter((model) => model.wants(topic.filterType, message))
    for (const model of wanting) {
      this.#expire(topic, model)
      const isBehind = model.waiting.length > 0
      model.publish(message, machine.nowMs, handOver)
      const { fate } = model.places.get(message) ?? {}
      if (fate === "overflowed") this.#mark("topic: lost because too many wait")
      if (fate === "waits" && model.endpoint.kind === "queue") {
        this.#mark(isBehind ? "topic: waits behind others" : "topic: the queue is full or missing")
      }
    }
    if (wanting.length === 0) this.#mark("topic: wanted by nobody")
    return wanting.length
  }

  #reported({ subscriptionId, deliveredThrough, failedSequence }: ReportPush, outcome: Outcome): void {
    const found = this.#subscriptions.get(subscriptionId)
    if ((found === undefined) !== (outcome.refusal === "subscriptionNotFound")) {
      this.#fail("refusals are right", `report for ${String(subscriptionId)}: ${String(outcome.refusal)}`)
    }
    if (found === undefined) {
      this.#mark("push: report for a subscription that is gone")
      return
    }
    const { topic, model } = found
    this.#expire(topic, model)
    const head = model.waiting.find((place) => place.sequence > deliveredThrough)
    const before = { failures: head?.failures ?? 0, dropped: model.dropped }
    const left = model.report(deliveredThrough, failedSequence, this.#parts.machine.nowMs)
    if (left.length === 0 && (head?.failures ?? 0) === before.failures) this.#mark("push: report that came too late")
    for (const place of left) if (!place.isTaken) this.#fail("what is reported was taken", describePlace(model, place))
    if (head !== undefined && head.failures > head.failedPushes) {
      this.#fail("a failure that is reported was one", describePlace(model, head))
    }
    if (model.dropped > before.dropped) this.#mark("topic: given up after the last retry")
    if (outcome.count !== left.length) this.#fail("a report takes away what was delivered", model.name)
    this.#compare(model)
  }

  #createTopic(topicId: number, { topicName, attributes }: Extract<Command, { kind: "createTopic" }>): void {
    const { books, world } = this.#parts
    if (books.topics.some((each) => each.name === topicName && each.deletedWorldMs === Number.POSITIVE_INFINITY)) {
      this.#fail("one topic a name", topicName)
    }
    const topic: TopicModel = {
      topicId,
      name: topicName,
      createdWorldMs: world.nowMs,
      deletedWorldMs: Number.POSITIVE_INFINITY,
      filterType: attributes.filterType,
      retentionMs: attributes.msgRetentionMs,
      subscriptions: [],
    }
    books.topics.push(topic)
    this.#topics.set(topicId, topic)
  }

  #topicChanged(
    command: Extract<Command, { kind: "deleteTopic" | "setTopicAttributes" }>,
    { queueId: topicId }: Outcome,
  ): void {
    const topic = this.#topics.get(topicId)
    if (topic?.name !== command.topicName) {
      this.#fail("a topic is found by its name", command.topicName)
    } else if (command.kind === "deleteTopic") {
      if (topic.subscriptions.length > 0) this.#fail("a topic with subscriptions stays", topic.name)
      topic.deletedWorldMs = this.#parts.world.nowMs
      this.#topics.delete(topicId)
    } else {
      for (const model of topic.subscriptions) this.#expire(topic, model)
      topic.retentionMs = command.change.msgRetentionMs ?? topic.retentionMs
    }
  }

  #subscribed(command: Extract<Command, { kind: "subscribe" }>, id: number): void {
    const topic = [...this.#topics.values()].find(({ name }) => name === command.topicName)
    const { subscriptionName: name, endpoint, attributes } = command
    if (topic === undefined || topic.subscriptions.some((model) => model.name === name)) {
      this.#fail("one subscription a name, of a topic that is there", `${command.topicName}/${name}`)
      return
    }
    const { waitingMax } = this.#parts
    const model = new SubscriptionModel({ id, name, endpoint, attributes, waitingMax })
    topic.subscriptions.push(model)
    this.#subscriptions.set(id, { topic, model })
    this.#parts.books.subscriptions.push({ topicName: topic.name, model })
  }

  #subscriptionChanged(
    command: Extract<Command, { kind: "setSubscriptionAttributes" | "unsubscribe" }>,
    id: number,
  ): void {
    const found = this.#subscriptions.get(id)
    if (found?.model.name !== command.subscriptionName) {
      this.#fail("a subscription is found by its name", command.subscriptionName)
    } else if (command.kind === "setSubscriptionAttributes") {
      this.#mark("topic: filter changed")
      found.model.attributes = { ...found.model.attributes, ...command.change }
    } else {
      if (found.model.waiting.length > 0) this.#mark("topic: unsubscribed with messages that wait")
      found.model.end()
      this.#subscriptions.delete(id)
      found.topic.subscriptions.splice(found.topic.subscriptions.indexOf(found.model), 1)
    }
  }

  #expire(topic: TopicModel, model: SubscriptionModel): boolean {
    const count = model.expire(this.#parts.machine.nowMs, topic.retentionMs)
    if (count > 0) this.#mark("topic: waited longer than the retention")
    return count > 0
  }

  #compare(model: SubscriptionModel): void {
    const status = this.#parts.machine.subscriptionStatus(model.id)
    if (Number.isNaN(model.pausedUntilMs)) {
      const [leastMs, mostMs] = model.pause
      const untilMs = status?.nextAttemptAtMs ?? 0
      model.pausedUntilMs = Math.min(mostMs, Math.max(leastMs, untilMs))
      if (untilMs !== model.pausedUntilMs) {
        this.#fail("a pause is as long as the strategy says", `${model.name}: until ${String(untilMs)}`)
      }
    }
    const untilMs = model.isPausing ? model.pausedUntilMs : undefined
    const ours = [model.waiting.length, model.delivered, model.dropped, model.failures, untilMs]
    const { waitingCount, deliveredCount, droppedCount, failureCount, nextAttemptAtMs } = status ?? {}
    const theirs = [waitingCount, deliveredCount, droppedCount, failureCount, nextAttemptAtMs]
    if (ours.some((value, i) => value !== theirs[i])) {
      const what = "waiting, delivered, dropped, failures, pause until"
      this.#fail(
        "a subscription stands where the model says",
        `${model.name}: ${String(theirs)}, not ${String(ours)} (${what})`,
      )
    }
  }

  // ------------------------------------------------------------------------------------------ pushes

  /** A node begins a push. @param isCurrent it leads and has applied everything that is committed. */
  pushBegun(push: OutgoingPush, isCurrent: boolean): void {
    const found = this.#findPush(push)
    if (found === undefined) return
    const { model, place } = found
    const what = describePlace(model, place)
    if (Buffer.compare(push.body, readBody(place.message.record)) !== 0)
      this.#fail("the pushed body is what was sent", what)
    if (push.tags.join() !== place.message.tags.join()) this.#fail("the pushed tags are what was sent", what)
    if (push.publishedAtMs !== place.enqueuedAtMs) this.#fail("the time of publication is right", what)
    if (!isCurrent) {
      this.#mark("push: by a leader that is behind")
      return
    }
    if (model.isGone) this.#fail("nothing goes to who has unsubscribed", what)
    if (model.isPausing) this.#fail("nothing is pushed in a pause", what)
    if (place.fate !== "waits" && place.fate !== "expired")
      this.#fail("what has left is not pushed", `${what}: ${place.fate}`)
  }

  /** It reached the address. @param isTaken the address will answer that it has it, whether the answer arrives or not. */
  pushArrived(push: OutgoingPush, isTaken: boolean): void {
    const found = this.#findPush(push)
    if (found === undefined) return
    const { model, place } = found
    if (place.isTaken) this.#mark("push: pushed again although it was taken")
    for (const earlier of model.waiting) {
      if (earlier.sequence >= place.sequence) break
      if (!earlier.isTaken && !this.#isOverdue(model, earlier)) {
        this.#fail(
          "pushes keep the order and skip nothing",
          `${describePlace(model, place)} before ${describePlace(model, earlier)}`,
        )
      }
    }
    if (isTaken) place.isTaken = true
  }

  /** The leader is told that it failed. */
  pushFailed(push: OutgoingPush): void {
    const found = this.#findPush(push)
    if (found !== undefined) found.place.failedPushes++
  }

  /** A shorter retention holds at once for what waits, though it is taken away with the next entry. */
  #isOverdue({ id }: SubscriptionModel, { enqueuedAtMs }: Place): boolean {
    const retentionMs = this.#subscriptions.get(id)?.topic.retentionMs ?? 0
    return enqueuedAtMs + retentionMs <= this.#parts.machine.nowMs
  }

  #findPush(push: OutgoingPush): { readonly model: SubscriptionModel; readonly place: Place } | undefined {
    const { books } = this.#parts
    const id = decodeMessageId(push.msgId)
    const message = id === undefined ? undefined : books.published.get(messageKey(id.entryIndex, id.ordinal))
    const what = `${push.msgId} to ${push.subscriptionName}`
    if (message === undefined) {
      this.#fail("only what is committed is pushed", what)
      return undefined
    }
    for (const { topicName, model } of books.subscriptions) {
      if (topicName !== push.topicName || model.name !== push.subscriptionName) continue
      const place = model.places.get(message)
      if (place !== undefined) return { model, place }
    }
    this.#fail("only what a subscription wants is pushed", what)
    return undefined
  }

  // ------------------------------------------------------------------------------------------ the end

  /** Subscriptions that exist. */
  subscriptions(): readonly { readonly topicName: string; readonly model: SubscriptionModel }[] {
    return [...this.#subscriptions.values()].map(({ topic, model }) => ({ topicName: topic.name, model }))
  }

  /** What waits is what the model says, message by message. */
  checkWaiting(): void {
    this.compareAll()
    for (const { model } of this.#subscriptions.values()) {
      const request = { queueId: model.id, fromSequence: 0, maxCount: this.#parts.waitingMax }
      const { count = 0, sequences = [], entryIndexes = [], offsets = [] } = this.#parts.machine.peek(request) ?? {}
      const isSame =
        count === model.waiting.length &&
        model.waiting.every(
          ({ message, sequence }, i) =>
            sequences[i] === sequence && entryIndexes[i] === message.entryIndex && offsets[i] === message.offset,
        )
      if (!isSame) this.#fail("what waits is what was not delivered yet", model.name)
    }
  }

  #mark(name: string): void {
    this.#parts.world.marks.hit(name)
  }

  #fail(rule: string, detail: string): void {
    this.#parts.world.fail(new Violation(rule, `${detail} (log index ${String(this.#parts.machine.appliedIndex)})`))
  }
}

type ReportPush = Extract<Command, { kind: "reportPush" }>

/** Tags and routing key as the record has them: what the command says was read from it by the code under test. */
function describePublished(
  entry: Entry,
  { messages }: Extract<Command, { kind: "publishMessages" }>,
  i: number,
): PublishedMessage {
  const offset = messages.recordOffsets[i] ?? 0
  const record = entry.data.subarray(offset, offset + (messages.recordLengths[i] ?? 0))
  return {
    entryIndex: entry.index,
    ordinal: messages.ordinals[i] ?? 0,
    offset,
    record,
    tags: readTags(record),
    routingKey: readRoutingKey(record),
  }
}

function describePlace(model: SubscriptionModel, { message, sequence }: Place): string {
  return `message ${String(message.entryIndex)}/${String(message.ordinal)}, ${String(sequence)}. of ${model.name}`
}
