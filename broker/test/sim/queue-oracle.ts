/**
 * What became of every message, told in the order of the committed log and checked step by step.
 *
 *   absent -> visible -> leased(delivery) -> deleted | dead-lettered | expired | dropped
 *
 * The oracle applies the committed entries to a machine of its own, which never crashed and never read a checkpoint, and
 * holds every outcome against one small automaton per message that knows nothing of chunks, slots tables or heaps. What
 * clients were told is then held against what really happened (`answer-oracle.ts`). Times are log time, so the checks are exact.
 */
import type { Command, QueueId } from "../../src/core/queue/command.ts"
import type { MachineLimits } from "../../src/core/queue/machine-limits.ts"
import type { Outcome } from "../../src/core/queue/outcome.ts"
import type { MachineMutant } from "../../src/core/queue/machine-mutant.ts"
import { emptyOutcome, QueueMachine } from "../../src/core/queue/queue-machine.ts"
import { EntryReader } from "../../src/codec/command-codec.ts"
import { readClientMessageId } from "../../src/codec/message-record.ts"
import type { Entry, LogIndex } from "../../src/ports.ts"
import { AnswerOracle } from "./answer-oracle.ts"
import { DEAD_QUEUE, deliveryKey, describeDelivery, messageKey, QueueBooks } from "./queue-books.ts"
import type { Delivery, MessageLife, QueueLife } from "./queue-books.ts"
import { QueueLives } from "./queue-lives.ts"
import { RepeatedSends } from "./repeated-sends.ts"
import type { PublishedMessage } from "./subscription-model.ts"
import { TopicOracle } from "./topic-oracle.ts"
import { Violation } from "./world.ts"
import type { World } from "./world.ts"

export class QueueOracle {
  readonly machine: QueueMachine
  readonly answers: AnswerOracle
  readonly topics: TopicOracle
  readonly #world: World
  readonly #books = new QueueBooks()
  readonly #reader = new EntryReader()
  readonly #outcome: Outcome = emptyOutcome()
  /** By entry and offset, as deliveries name them. */
  readonly #byRecord = new Map<number, MessageLife>()
  /** Published messages, by queue, entry and offset. */
  readonly #copies = new Map<string, MessageLife>()
  readonly #lives: QueueLives
  readonly #repeatedSends: RepeatedSends
  #index: LogIndex = 0
  #hash: { readonly index: LogIndex; readonly value: number } | undefined
  #commandCount = 0

  /** @param mutant a known bug that the oracle's machine shares with the nodes', so that only the automata can notice. */
  constructor(world: World, limits: MachineLimits, mutant?: MachineMutant) {
    this.#world = world
    this.answers = new AnswerOracle(world, this.#books)
    this.machine = new QueueMachine(limits, mutant)
    this.#lives = new QueueLives(world, this.#books, this.machine)
    this.#repeatedSends = new RepeatedSends(world, limits.deduplicationWindowMs)
    this.topics = new TopicOracle({
      world,
      machine: this.machine,
      books: this.#books,
      repeatedSends: this.#repeatedSends,
      waitingMax: limits.waitingPerSubscription,
      handOver: (queueName, message) => this.#handOver(queueName, message),
    })
  }

  get commandCount(): number {
    return this.#commandCount
  }

  get sentCount(): number {
    return this.#books.messages.size
  }

  get deliveryCount(): number {
    return this.#books.deliveries.size
  }

  /** Of the oracle's machine, after the entry applied last. */
  stateHash(): number {
    if (this.#hash?.index !== this.#index) this.#hash = { index: this.#index, value: this.machine.stateHash() }
    return this.#hash.value
  }

  // ------------------------------------------------------------------------------------------ committed entries

  apply(entry: Entry): void {
    this.#index = entry.index
    if (entry.kind === "commands" && entry.data.length > 0) {
      const { stampMs } = this.#reader.open(entry.data)
      this.#checkStamp(stampMs)
      const beforeMs = this.machine.nowMs
      this.machine.beginEntry(entry.index, stampMs)
      if (this.machine.nowMs < beforeMs)
        this.#fail("log time never falls", `${String(beforeMs)} to ${String(this.machine.nowMs)}`)
      this.topics.timePassed()
      for (let command = this.#reader.next(); command !== undefined; command = this.#reader.next()) {
        this.#commandCount++
        this.machine.apply(command, this.#outcome)
        this.#check(entry, command)
      }
      if (this.#index % 16 === 0) this.#checkAll()
      this.machine.takeWakened()
    }
  }

  #checkAll(): void {
    for (const queue of this.#books.queues.values()) this.#checkCounts(queue)
    this.topics.compareAll()
  }

  #checkStamp(stampMs: number): void {
    if (stampMs <= this.machine.nowMs) this.#world.marks.hit("clock: entry stamped behind log time")
    if (stampMs - this.machine.nowMs > 600_000 && this.machine.nowMs > 0) this.#world.marks.hit("clock: log time leapt")
  }

  #check(entry: Entry, command: Command): void {
    const outcome = this.#outcome
    if (outcome.refusal !== undefined) this.#world.marks.hit(`queue: refused ${outcome.refusal}`)
    switch (command.kind) {
      case "sendMessages":
        if (outcome.refusal === undefined) this.#sent(entry, command)
        return
      case "receiveMessages":
        this.#received(command.queueId, command.visibilityTimeoutMs)
        return
      case "deleteMessages":
        if (outcome.refusal === undefined) this.#deleted(command)
        return
      case "changeVisibility":
        if (outcome.refusal === undefined) this.#visibilityChanged(command)
        return
      case "expire":
        this.#world.marks.hit("queue: expire command")
        return
      case "createQueue":
      case "setQueueAttributes":
      case "deleteQueue":
      case "clearQueue":
      case "rewindQueue":
      case "unbindDeadLetterQueue":
        if (outcome.refusal === undefined) this.#lives.apply(command, outcome)
        return
      case "createTopic":
      case "deleteTopic":
      case "publishMessages":
      case "reportPush":
      case "setSubscriptionAttributes":
      case "setTopicAttributes":
      case "subscribe":
      case "unsubscribe":
        this.topics.apply(entry, command, outcome)
        return
      // The workload makes no half messages yet.
      case "prepareMessages":
      case "confirmMessages":
      // Nor redrives, nor keys.
      case "startRedrive":
      case "cancelRedrive":
      case "createKey":
      case "rotateKey":
      case "revokeKey":
        return
    }
  }

  #sent(entry: Entry, command: Extract<Command, { kind: "sendMessages" }>): void {
    for (let i = 0; i < command.count; i++) {
      const offset = command.recordOffsets[i] ?? 0
      const record = entry.data.subarray(offset, offset + (command.recordLengths[i] ?? 0))
      const clientId = readClientMessageId(record)
      const place = { entryIndex: entry.index, ordinal: command.ordinals[i] ?? 0 }
      const { queueId } = command
      const sent = { ...place, targetId: queueId, clientId, nowMs: this.machine.nowMs }
      if (this.#repeatedSends.isRepeat(this.#outcome.sent, i, sent)) continue
      const delayMs = command.delaysMs[i] ?? 0
      if (delayMs > 0) this.#world.marks.hit("queue: delayed send")
      const message = this.#store({ ...place, record, clientId, queueId, delayMs, publishedNumber: 0 })
      this.#books.messages.set(messageKey(place.entryIndex, place.ordinal), message)
      this.#byRecord.set(recordKey(entry.index, offset), message)
    }
  }

  #store(
    sent: Pick<MessageLife, "entryIndex" | "ordinal" | "record" | "clientId" | "queueId" | "publishedNumber"> & {
      readonly delayMs: number
    },
  ): MessageLife {
    const { delayMs, ...what } = sent
    const nowMs = this.machine.nowMs
    const message: MessageLife = {
      ...what,
      enqueuedAtMs: nowMs,
      availableAtMs: nowMs + delayMs,
      place: "live",
      isRewindable: false,
      lease: undefined,
      count: 0,
      lastNumber: 0,
    }
    this.#books.queues.get(sent.queueId)?.live.add(message)
    return message
  }

  /** A published message becomes one of the queue, if the queue is there and has room. */
  #handOver(queueName: string, { entryIndex, ordinal, offset, record }: PublishedMessage): boolean {
    const queue = this.#books.find(queueName)
    if (queue === undefined || !this.#hasRoom(queue)) return false
    const { queueId } = queue
    const publishedNumber = ++queue.publishedCount
    const clientId = readClientMessageId(record)
    const message = this.#store({ entryIndex, ordinal, record, clientId, queueId, delayMs: 0, publishedNumber })
    this.#copies.set(copyKey(queueId, entryIndex, offset), message)
    return true
  }

  #hasRoom({ live, attributes }: QueueLife): boolean {
    const { maxMsgHeapCount, msgRetentionMs } = attributes
    if (live.size < maxMsgHeapCount) return true
    let count = 0
    for (const { enqueuedAtMs } of live) if (enqueuedAtMs + msgRetentionMs > this.machine.nowMs) count++
    return count < maxMsgHeapCount
  }

  #received(queueId: QueueId, askedVisibilityMs: number): void {
    const outcome = this.#outcome
    const queue = this.#books.queues.get(queueId)
    if (outcome.refusal === "noMessage" && queue !== undefined) this.#checkNothingVisible(queue)
    if (outcome.refusal !== undefined || queue === undefined) return
    const nowMs = this.machine.nowMs
    const { received } = outcome
    for (let i = 0; i < received.count; i++) {
      const entryIndex = received.entryIndexes[i] ?? 0
      const offset = received.offsets[i] ?? 0
      const message =
        this.#byRecord.get(recordKey(entryIndex, offset)) ?? this.#copies.get(copyKey(queueId, entryIndex, offset))
      if (message === undefined) {
        this.#fail("only what was sent is received", `entry ${String(received.entryIndexes[i])}`)
        return
      }
      const number = received.deliveryNumbers[i] ?? 0
      const what = `message ${String(message.entryIndex)}/${String(message.ordinal)} delivery ${String(number)} of ${queue.name}`
      if (message.queueId !== queueId) this.#deadLettered(message, { i, queue, what })
      if (message.place !== "live") this.#cameBack(message, what)
      if (nowMs < message.availableAtMs) this.#fail("a delayed message waits", what)
      if (message.lease !== undefined && nowMs < message.lease.untilMs) {
        this.#fail(
          "nobody else inside the visibility timeout",
          `${what}: hidden until ${String(message.lease.untilMs)}, now ${String(nowMs)}`,
        )
      }
      if (message.lease !== undefined) this.#world.marks.hit("queue: delivered again after its visibility timeout")
      if (received.dequeueCounts[i] !== message.count + 1) {
        this.#fail(
          "receive counts are right",
          `${what}: ${String(received.dequeueCounts[i])} after ${String(message.count)}`,
        )
      }
      if (number <= message.lastNumber)
        this.#fail("delivery numbers rise", `${what} after ${String(message.lastNumber)}`)
      if (received.enqueuedAtMs[i] !== message.enqueuedAtMs) this.#fail("the enqueue time stays", what)
      if (nowMs >= message.enqueuedAtMs + queue.attributes.msgRetentionMs)
        this.#fail("nothing is received after its retention", what)
      const visibilityMs = askedVisibilityMs === -1 ? queue.attributes.visibilityTimeoutMs : askedVisibilityMs
      const nextVisibleAtMs = nowMs + visibilityMs
      if (received.nextVisibleAtMs[i] !== nextVisibleAtMs) this.#fail("the visibility timeout is what was asked", what)
      if (message.count === 0) this.#checkOrder(queue, message, what)
      this.#lease(message, { queueId, slot: received.slots[i] ?? 0, number, nextVisibleAtMs })
    }
  }

  /** Published messages are received in the order in which they came; one that was received before may come at any time. */
  #checkOrder(queue: QueueLife, message: MessageLife, what: string): void {
    if (message.publishedNumber === 0) return
    if (message.publishedNumber < queue.newestTaken) this.#fail("published messages keep their order", what)
    queue.newestTaken = message.publishedNumber
  }

  #lease(message: MessageLife, to: { queueId: QueueId; slot: number; number: number; nextVisibleAtMs: number }): void {
    message.count++
    message.lastNumber = to.number
    const delivery: Delivery = {
      ...to,
      message,
      atMs: this.machine.nowMs,
      count: message.count,
      taker: undefined,
      isDeleted: false,
      wasRefused: false,
    }
    const id = deliveryKey(to.slot, to.number)
    if (this.#books.deliveries.has(id)) this.#fail("a receipt handle is given once", id)
    this.#books.deliveries.set(id, delivery)
    message.lease = { delivery, untilMs: to.nextVisibleAtMs }
  }

  #deadLettered(message: MessageLife, seen: { i: number; queue: QueueLife; what: string }): void {
    const provenance = this.#outcome.received.provenances[seen.i]
    const source = this.#books.queues.get(message.queueId)
    if (provenance?.sourceQueueId !== message.queueId || source === undefined) {
      this.#fail("a message stays in its queue", seen.what)
      return
    }
    this.#world.marks.hit(`queue: dead letter by ${provenance.reason}`)
    if (provenance.originalEnqueuedAtMs !== message.enqueuedAtMs) this.#fail("provenance: enqueue time", seen.what)
    if (provenance.originalDequeueCount !== message.count) this.#fail("provenance: receive count", seen.what)
    if (message.place === "deleted" && !message.isRewindable)
      this.#fail("nothing deleted comes back", `${seen.what} as a dead letter`)
    const movedAtMs = this.#outcome.received.enqueuedAtMs[seen.i] ?? 0
    if (message.lease !== undefined && movedAtMs < message.lease.untilMs) {
      this.#fail("a dead letter moves after its visibility timeout", seen.what)
    }
    source.live.delete(message)
    seen.queue.live.add(message)
    message.place = "live"
    message.queueId = seen.queue.queueId
    message.enqueuedAtMs = movedAtMs
    message.availableAtMs = movedAtMs
    message.lease = undefined
    message.count = 0
  }

  #cameBack(message: MessageLife, what: string): void {
    if (!message.isRewindable) {
      this.#fail(message.place === "deleted" ? "nothing deleted comes back" : "nothing dropped comes back", what)
      return
    }
    this.#world.marks.hit("queue: rewound message received again")
    message.place = "live"
    message.isRewindable = false
    message.lease = undefined
    message.count = 0
    message.availableAtMs = 0
    this.#books.queues.get(message.queueId)?.live.add(message)
  }

  #checkNothingVisible(queue: QueueLife): void {
    if (queue.isVague || queue.attributes.deadLetterPolicy !== undefined) return
    const nowMs = this.machine.nowMs
    for (const message of queue.live) {
      const isExpired = message.enqueuedAtMs + queue.attributes.msgRetentionMs <= nowMs
      const isLeased = message.lease !== undefined && nowMs < message.lease.untilMs
      if (isExpired || isLeased || nowMs < message.availableAtMs) continue
      this.#fail(
        "nothing visible is withheld",
        `message ${String(message.entryIndex)}/${String(message.ordinal)} of ${queue.name}`,
      )
      return
    }
  }

  #deleted(command: Extract<Command, { kind: "deleteMessages" }>): void {
    const nowMs = this.machine.nowMs
    for (let i = 0; i < command.count; i++) {
      const delivery = this.#books.deliveries.get(deliveryKey(command.slots[i] ?? 0, command.deliveryNumbers[i] ?? 0))
      const isNewest = delivery !== undefined && this.#isHeld(delivery, command.queueId, nowMs)
      if (this.#outcome.failed[i] === true) {
        this.#world.marks.hit("queue: delete with a stale handle refused")
        if (delivery !== undefined) delivery.wasRefused = true
        if (isNewest && !this.#isVague(delivery)) this.#fail("the newest handle deletes", describeDelivery(delivery))
        continue
      }
      if (delivery === undefined || !isNewest) {
        this.#fail(
          "only the newest handle deletes, and only in time",
          delivery === undefined ? "unknown handle" : describeDelivery(delivery),
        )
        continue
      }
      delivery.isDeleted = true
      delivery.message.place = "deleted"
      delivery.message.isRewindable = false
      delivery.message.lease = undefined
      this.#books.queues.get(delivery.queueId)?.live.delete(delivery.message)
    }
  }

  #visibilityChanged(command: Extract<Command, { kind: "changeVisibility" }>): void {
    const nowMs = this.machine.nowMs
    for (let i = 0; i < command.count; i++) {
      const delivery = this.#books.deliveries.get(deliveryKey(command.slots[i] ?? 0, command.deliveryNumbers[i] ?? 0))
      const isNewest = delivery !== undefined && this.#isHeld(delivery, command.queueId, nowMs)
      if (this.#outcome.failed[i] === true) {
        if (isNewest && !this.#isVague(delivery))
          this.#fail("the newest handle changes visibility", describeDelivery(delivery))
        continue
      }
      if (delivery === undefined || !isNewest) {
        this.#fail(
          "only the newest handle changes visibility",
          delivery === undefined ? "unknown" : describeDelivery(delivery),
        )
        continue
      }
      this.#world.marks.hit(
        command.visibilityTimeoutMs === 0 ? "queue: message given back" : "queue: visibility changed",
      )
      const { lease } = delivery.message
      if (lease !== undefined) lease.untilMs = nowMs + command.visibilityTimeoutMs
    }
  }

  #isHeld(delivery: Delivery, queueId: QueueId, nowMs: number): boolean {
    const { lease, place } = delivery.message
    return place === "live" && delivery.queueId === queueId && lease?.delivery === delivery && nowMs < lease.untilMs
  }

  /** Retention may have taken the message while it was hidden. */
  #isVague(delivery: Delivery): boolean {
    const queue = this.#books.queues.get(delivery.queueId)
    if (queue === undefined || queue.isVague) return true
    return this.machine.nowMs >= delivery.message.enqueuedAtMs + queue.attributes.msgRetentionMs
  }

  /** Σ(visible + delayed + in flight) = sent − deleted − expired − moved. */
  #checkCounts(queue: QueueLife): void {
    if (queue.isVague || queue.attributes.deadLetterPolicy !== undefined) return
    const status = this.machine.queueStatus(queue.queueId)
    if (status === undefined || queue.attributes.maxMsgHeapCount === 0) return
    const nowMs = this.machine.nowMs
    let live = 0
    let isMovedInto = false
    for (const message of queue.live) {
      if (message.enqueuedAtMs + queue.attributes.msgRetentionMs > nowMs) live++
      else queue.live.delete(message)
    }
    for (const other of this.#books.queues.values()) {
      if (other.attributes.deadLetterPolicy?.deadLetterQueue === queue.name) isMovedInto = true
    }
    const counted = status.activeCount + status.inactiveCount + status.delayedCount
    if (!isMovedInto && counted !== live && queue.name !== DEAD_QUEUE) {
      this.#fail("counters agree with the messages", `${queue.name}: counts ${String(counted)}, has ${String(live)}`)
    }
  }

  // ------------------------------------------------------------------------------------------ the end

  /** Names of the queues that exist. */
  queueNames(): string[] {
    return [...this.#books.queues.values()]
      .filter((queue) => queue.deletedWorldMs === Number.POSITIVE_INFINITY)
      .map((queue) => queue.name)
  }

  /** Everything was drained: whatever is still alive in the books was lost. */
  checkDrained(): void {
    const nowMs = this.machine.nowMs
    for (const queue of this.#books.queues.values()) {
      const status = this.machine.queueStatus(queue.queueId)
      if (status === undefined) continue
      const left = status.activeCount + status.inactiveCount + status.delayedCount
      if (left !== 0) this.#fail("the queue is empty after the drain", `${queue.name}: ${String(left)} left`)
      for (const message of queue.live) {
        const mayHaveExpired = queue.isVague || message.enqueuedAtMs + queue.attributes.msgRetentionMs <= nowMs
        if (mayHaveExpired) continue
        this.#fail(
          "nothing acknowledged is lost",
          `message ${String(message.entryIndex)}/${String(message.ordinal)} of ${queue.name}`,
        )
      }
    }
  }

  #fail(rule: string, detail: string): void {
    this.#world.fail(new Violation(rule, `${detail} (log index ${String(this.#index)})`))
  }
}

function recordKey(entryIndex: LogIndex, offset: number): number {
  return entryIndex * 0x40_0000 + offset
}

function copyKey(queueId: QueueId, entryIndex: LogIndex, offset: number): string {
  return `${String(queueId)}/${String(entryIndex)}/${String(offset)}`
}
