// The machine against a slow, obvious model: objects in arrays, no chunks, no heaps, no hints. fast-check makes the
// commands and shrinks what fails; it prints the seed. The model shares nothing with the machine but the types.
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import type {
  Command,
  ConfirmMessages,
  DeadLetterPolicy,
  QueueAttributes,
  RedriveOrder,
  SendMessages,
  SetQueueAttributes,
} from "./command.ts"
import { defaultMachineLimits, type MachineLimits } from "./machine-limits.ts"
import type { HalfQuery } from "./machine-state.ts"
import type { Outcome, Provenance, Refusal } from "./outcome.ts"
import { emptyOutcome, QueueMachine } from "./queue-machine.ts"

const limits: MachineLimits = {
  queueCount: 3,
  topicCount: 0,
  subscriptionsPerTopic: 0,
  waitingPerSubscription: 0,
  delayedPerQueue: 3,
  halvesPerQueue: 4,
  inflightPerQueue: 6,
  keyCount: 0,
  keysPerAccount: 0,
  deadLetterSources: 1,
  deduplicationIds: 6,
  deduplicationWindowMs: 50,
  queueNameReuseMs: 30,
  timeStepsPerEntry: 1_000_000,
}

const names = ["orders", "Orders", "dead", "a-b", "zz"]

interface ModelMessage {
  sequence: number
  entryIndex: number
  offset: number
  length: number
  enqueuedAtMs: number
  state: "active" | "inactive" | "delayed" | "half" | "rewindable"
  dueAtMs: number
  /** Of a half message. */
  half: { ordinal: number; firstMs: number; maxQueryCount: number; queryCount: number } | undefined
  slot: number
  deliveryNumber: number
  dequeueCount: number
  firstDequeuedAtMs: number
  provenance: Provenance | undefined
}

interface ModelQueue {
  id: number
  name: string
  attributes: QueueAttributes
  createdAtMs: number
  modifiedAtMs: number
  nextSequence: number
  ageScan: number
  messages: ModelMessage[]
  totals: Record<
    "sent" | "movedIn" | "received" | "deleted" | "expired" | "deadLettered" | "cleared" | "rewound" | "redriven",
    number
  >
  redrive: ModelRedrive | undefined
}

interface ModelRedrive extends Omit<RedriveOrder, "targetQueueName" | "sourceQueueName"> {
  targetId: number
  sourceId: number
  state: "running" | "waiting" | "completed" | "cancelled" | "targetDeleted"
  startedAtMs: number
  endedAtMs: number
  /** Sequences that were there at the start and were not looked at. */
  left: number[]
  dueAtMs: number
  moved: number
  skipped: number
}

interface ModelId {
  key: string
  entryIndex: number
  ordinal: number
  expiresAtMs: number
}

interface Expected {
  refusal?: Refusal | undefined
  queueId?: number
  sent?: { entryIndex: number; ordinal: number; duplicate: boolean }[]
  received?: (ModelMessage & { nextVisibleAtMs: number })[]
  failed?: boolean[]
  nextVisibleAtMs?: number
  count?: number
}

interface Halves {
  readonly firstMs: number
  readonly maxQueryCount: number
}

class Model {
  queried: HalfQuery[] = []
  nowMs = 0
  index = 0
  queues: ModelQueue[] = []
  ids: ModelId[] = []
  evicted = 0
  deletedNames: { name: string; atMs: number }[] = []
  nextQueueId = 1
  nextDeliveryNumber = 1
  freeSlots: number[] = []
  usedEnd = 0
  usedCount = 0

  beginEntry(index: number, stampMs: number): void {
    this.index = index
    this.nowMs = Math.max(this.nowMs, stampMs)
    for (;;) {
      const slotEvent = this.firstSlotEvent()
      const queueEvent = this.firstQueueEvent()
      const redriveEvent = this.firstRedriveEvent()
      const firstMs = Math.min(slotEvent?.dueAtMs ?? Infinity, queueEvent?.dueAtMs ?? Infinity)
      if (redriveEvent !== undefined && redriveEvent.dueAtMs <= this.nowMs && redriveEvent.dueAtMs < firstMs) {
        this.turn(redriveEvent.queue, redriveEvent.redrive)
        continue
      }
      if (firstMs > this.nowMs) break
      if (slotEvent !== undefined && slotEvent.dueAtMs <= (queueEvent?.dueAtMs ?? Infinity)) {
        if (slotEvent.message.state === "half") this.endQueryGap(slotEvent.queue, slotEvent.message)
        else this.endDelayOrVisibility(slotEvent.queue, slotEvent.message)
      } else if (queueEvent !== undefined) this.stepQueue(queueEvent.queue)
    }
    while (this.ids.length > 0 && (this.ids[0]?.expiresAtMs ?? 0) <= this.nowMs) this.ids.shift()
  }

  nextDeadlineMs(): number | undefined {
    const events = [this.firstSlotEvent(), this.firstQueueEvent(), this.firstRedriveEvent()]
    const next = Math.min(...events.map((event) => event?.dueAtMs ?? Infinity))
    return next === Infinity ? undefined : next
  }

  firstSlotEvent(): { dueAtMs: number; queue: ModelQueue; message: ModelMessage } | undefined {
    const events = this.queues.flatMap((queue) =>
      queue.messages
        .filter(({ state }) => state !== "active" && state !== "rewindable")
        .map((message) => ({ dueAtMs: message.dueAtMs, queue, message })),
    )
    return events.sort((a, b) => a.dueAtMs - b.dueAtMs || a.message.slot - b.message.slot)[0]
  }

  firstQueueEvent(): { dueAtMs: number; queue: ModelQueue } | undefined {
    const events = this.queues.map((queue) => ({ dueAtMs: this.queueDueAtMs(queue), queue }))
    return events.sort((a, b) => a.dueAtMs - b.dueAtMs || a.queue.id - b.queue.id)[0]
  }

  firstRedriveEvent(): { dueAtMs: number; queue: ModelQueue; redrive: ModelRedrive } | undefined {
    const events = this.queues.flatMap((queue) => {
      const { redrive } = queue
      return redrive === undefined || redrive.endedAtMs > 0 ? [] : [{ dueAtMs: redrive.dueAtMs, queue, redrive }]
    })
    return events.sort((a, b) => a.dueAtMs - b.dueAtMs || a.queue.id - b.queue.id)[0]
  }

  startRedrive(queue: ModelQueue, order: RedriveOrder): Expected {
    if (queue.redrive?.endedAtMs === 0) return { refusal: "redriveRunning" }
    const idOf = (name: string) => (name === "" ? 0 : this.queues.find((each) => each.name === name)?.id)
    const [targetId, sourceId] = [idOf(order.targetQueueName), idOf(order.sourceQueueName)]
    if (targetId === undefined || targetId === queue.id) return { refusal: "redriveTargetInvalid" }
    if (sourceId === undefined) return { refusal: "redriveSourceInvalid" }
    const { enqueuedFromMs, enqueuedUntilMs, messagesPerSecond } = order
    const left = queue.messages.map(({ sequence }) => sequence)
    const begun = { state: "running" as const, startedAtMs: this.nowMs, endedAtMs: 0, dueAtMs: this.nowMs }
    const scope = { targetId, sourceId, enqueuedFromMs, enqueuedUntilMs, messagesPerSecond }
    queue.redrive = { ...scope, ...begun, left, moved: 0, skipped: 0 }
    return {}
  }

  turn(queue: ModelQueue, redrive: ModelRedrive): void {
    this.settle(queue)
    const end = (state: ModelRedrive["state"]) => Object.assign(redrive, { state, endedAtMs: this.nowMs })
    redrive.state = "running"
    const present = new Set(queue.messages.map(({ sequence }) => sequence))
    redrive.left = redrive.left.filter((sequence) => present.has(sequence))
    let moved = 0
    while (moved < Math.max(1, Math.floor(redrive.messagesPerSecond / 10))) {
      const message = queue.messages.find(({ sequence }) => sequence === redrive.left[0])
      if (message === undefined) {
        end("completed")
        break
      }
      const target = this.destination(queue, redrive, message)
      if (typeof target === "object") {
        this.settle(target)
        if (target.messages.filter(({ state }) => state !== "rewindable").length >= target.attributes.maxMsgHeapCount) {
          redrive.state = "waiting"
          break
        }
        const { entryIndex, offset, length } = message
        this.remove(queue, message)
        this.store(target, { entryIndex, offset, length, provenance: undefined })
        queue.totals.redriven++
        target.totals.movedIn++
        redrive.moved++
        moved++
      } else if (target === "skipped") redrive.skipped++
      redrive.left.shift()
    }
    if (redrive.targetId > 0 && !this.queues.some(({ id }) => id === redrive.targetId)) end("targetDeleted")
    if (redrive.state === "waiting") redrive.dueAtMs = this.nowMs + 1_000
    else {
      const from = Math.max(redrive.dueAtMs, this.nowMs - 1_000)
      redrive.dueAtMs = from + Math.ceil((moved * 1_000) / redrive.messagesPerSecond)
    }
  }

  destination(
    queue: ModelQueue,
    redrive: ModelRedrive,
    { enqueuedAtMs, provenance, state }: ModelMessage,
  ): ModelQueue | "skipped" | "outside" {
    const { targetId, sourceId, enqueuedFromMs, enqueuedUntilMs } = redrive
    const from = provenance?.sourceQueueId ?? 0
    const isOutside = enqueuedAtMs < enqueuedFromMs || enqueuedAtMs >= enqueuedUntilMs || state === "rewindable"
    if (isOutside || (sourceId > 0 && from !== sourceId)) return "outside"
    const target = this.queues.find(({ id }) => id === (targetId === 0 ? from : targetId))
    return target === undefined || target === queue || state !== "active" ? "skipped" : target
  }

  queueDueAtMs(queue: ModelQueue): number {
    const { msgRetentionMs, rewindMs, deadLetterPolicy } = queue.attributes
    let due = Infinity
    for (const message of queue.messages) {
      due = Math.min(due, message.enqueuedAtMs + msgRetentionMs)
      if (message.state === "rewindable") due = Math.min(due, message.enqueuedAtMs + Math.min(rewindMs, msgRetentionMs))
      if (deadLetterPolicy?.kind === "maxTimeToLive" && message.sequence >= queue.ageScan) {
        due = Math.min(due, message.enqueuedAtMs + deadLetterPolicy.maxTimeToLiveMs)
      }
    }
    return due
  }

  stepQueue(queue: ModelQueue): void {
    this.settle(queue)
    const policy = queue.attributes.deadLetterPolicy
    if (policy?.kind !== "maxTimeToLive") return
    for (const message of [...queue.messages]) {
      if (message.sequence < queue.ageScan || message.enqueuedAtMs + policy.maxTimeToLiveMs > this.nowMs) continue
      queue.ageScan = message.sequence + 1
      if (message.state === "active") this.moveToDeadLetter(queue, message, "maxTimeToLive")
    }
  }

  settle(queue: ModelQueue): void {
    const { msgRetentionMs, rewindMs } = queue.attributes
    for (const message of [...queue.messages]) {
      if (message.enqueuedAtMs + msgRetentionMs > this.nowMs) continue
      if (message.state !== "rewindable") queue.totals.expired++
      this.remove(queue, message)
    }
    for (const message of [...queue.messages]) {
      const isOver = message.enqueuedAtMs + Math.min(rewindMs, msgRetentionMs) <= this.nowMs
      if (message.state === "rewindable" && isOver) this.remove(queue, message)
    }
  }

  endQueryGap(queue: ModelQueue, message: ModelMessage): void {
    if (message.half === undefined) throw new Error("the model has lost a half message")
    const { half } = message
    if (message.enqueuedAtMs + queue.attributes.msgRetentionMs <= this.nowMs) {
      queue.totals.expired++
      this.remove(queue, message)
    } else if (half.queryCount === half.maxQueryCount) {
      mark("rolledBackUnanswered")
      queue.totals.cleared++
      this.remove(queue, message)
    } else {
      half.queryCount++
      let gapMs = half.firstMs
      for (let nth = 0; nth < half.queryCount; nth++) gapMs = Math.min(gapMs * 2, 600_000)
      message.dueAtMs = this.nowMs + Math.max(1, half.firstMs, gapMs)
      this.queried.push({ queueId: queue.id, entryIndex: message.entryIndex, ordinal: half.ordinal })
    }
  }

  confirm(queue: ModelQueue, command: ConfirmMessages): Expected {
    const failed: boolean[] = []
    for (let index = 0; index < command.count; index++) {
      const message = queue.messages.find(
        ({ half, entryIndex }) =>
          entryIndex === command.entryIndexes[index] && half?.ordinal === command.ordinals[index],
      )
      failed.push(message === undefined)
      if (message === undefined) continue
      mark(command.isCommit[index] === true ? "committed" : "rolledBack")
      if (command.isCommit[index] === true) this.endDelayOrVisibility(queue, message)
      else {
        queue.totals.cleared++
        this.remove(queue, message)
      }
    }
    return { failed }
  }

  endDelayOrVisibility(queue: ModelQueue, message: ModelMessage): void {
    const { msgRetentionMs, deadLetterPolicy: policy } = queue.attributes
    if (message.enqueuedAtMs + msgRetentionMs <= this.nowMs) {
      queue.totals.expired++
      this.remove(queue, message)
      return
    }
    if (policy?.kind === "maxReceiveCount" && message.dequeueCount >= policy.maxReceiveCount) {
      this.moveToDeadLetter(queue, message, "maxReceiveCount")
      return
    }
    if (policy?.kind === "maxTimeToLive" && message.enqueuedAtMs + policy.maxTimeToLiveMs <= this.nowMs) {
      this.moveToDeadLetter(queue, message, "maxTimeToLive")
      return
    }
    if (message.state === "delayed" || message.state === "half") this.freeSlot(message)
    message.state = "active"
    message.half = undefined
  }

  moveToDeadLetter(queue: ModelQueue, message: ModelMessage, reason: Provenance["reason"]): void {
    const target = this.queues.find(({ name }) => name === queue.attributes.deadLetterPolicy?.deadLetterQueue)
    if (target === undefined) throw new Error("the model has no dead-letter queue")
    const { entryIndex, offset, length } = message
    const provenance: Provenance = {
      sourceQueueId: queue.id,
      reason,
      originalEnqueuedAtMs: message.enqueuedAtMs,
      originalFirstDequeuedAtMs: message.firstDequeuedAtMs,
      originalDequeueCount: message.dequeueCount,
    }
    this.remove(queue, message)
    queue.totals.deadLettered++
    this.store(target, { entryIndex, offset, length, provenance })
    target.totals.movedIn++
  }

  store(queue: ModelQueue, what: Pick<ModelMessage, "entryIndex" | "offset" | "length" | "provenance">): ModelMessage {
    const message: ModelMessage = {
      ...what,
      sequence: queue.nextSequence++,
      enqueuedAtMs: this.nowMs,
      state: "active",
      half: undefined,
      dueAtMs: 0,
      slot: -1,
      deliveryNumber: 0,
      dequeueCount: 0,
      firstDequeuedAtMs: 0,
    }
    queue.messages.push(message)
    return message
  }

  remove(queue: ModelQueue, message: ModelMessage): void {
    this.freeSlot(message)
    queue.messages.splice(queue.messages.indexOf(message), 1)
  }

  takeSlot(message: ModelMessage): void {
    message.slot = this.freeSlots.pop() ?? this.usedEnd++
    this.usedCount++
  }

  freeSlot(message: ModelMessage): void {
    if (message.slot === -1) return
    this.freeSlots.push(message.slot)
    message.slot = -1
    if (--this.usedCount > 0) return
    this.freeSlots = []
    this.usedEnd = 0
  }

  apply(command: Command): Expected {
    switch (command.kind) {
      case "expire":
        return {}
      case "createQueue":
        return this.create(command.queueName, command.attributes)
      case "prepareMessages": {
        const { messages, firstQueryIntervalMs: firstMs, maxQueryCount } = command
        const queue = this.queues.find(({ id }) => id === messages.queueId)
        if (queue === undefined) return { refusal: "queueNotFound" }
        this.settle(queue)
        return { queueId: queue.id, ...this.send(queue, messages, { firstMs, maxQueryCount }) }
      }
      case "sendMessages":
      case "confirmMessages":
      case "receiveMessages":
      case "deleteMessages":
      case "changeVisibility": {
        const queue = this.queues.find(({ id }) => id === command.queueId)
        if (queue === undefined) return { refusal: "queueNotFound" }
        this.settle(queue)
        return { queueId: queue.id, ...this.applyHot(queue, command) }
      }
      case "setQueueAttributes":
      case "deleteQueue":
      case "clearQueue":
      case "rewindQueue":
      case "startRedrive":
      case "cancelRedrive":
      case "unbindDeadLetterQueue": {
        const queue = this.queues.find(({ name }) => name === command.queueName)
        if (queue === undefined) {
          return { refusal: "queueNotFound" }
        }
        return { queueId: queue.id, ...this.applyAdmin(queue, command) }
      }
      case "createTopic":
      case "setTopicAttributes":
      case "deleteTopic":
      case "subscribe":
      case "setSubscriptionAttributes":
      case "unsubscribe":
      case "publishMessages":
      case "reportPush":
        throw new Error(`${command.kind}: topics have tests of their own (topic-machine.test.ts)`)
      case "createKey":
      case "rotateKey":
      case "revokeKey":
        throw new Error(`${command.kind}: key pairs have a model of their own (key-commands.test.ts)`)
    }
  }

  create(queueName: string, attributes: QueueAttributes): Expected {
    const folded = queueName.toLowerCase()
    if (this.queues.some(({ name }) => name.toLowerCase() === folded)) return { refusal: "queueAlreadyExists" }
    this.deletedNames = this.deletedNames.filter(({ atMs }) => atMs + limits.queueNameReuseMs > this.nowMs)
    if (this.deletedNames.some(({ name }) => name === folded)) return { refusal: "queueDeletedRecently" }
    if (this.queues.length >= limits.queueCount) return { refusal: "queueLimitReached" }
    const refusal = this.refuseAttributes(queueName, undefined, attributes)
    if (refusal !== undefined) return { refusal }
    const queue: ModelQueue = {
      id: this.nextQueueId++,
      name: queueName,
      attributes,
      createdAtMs: this.nowMs,
      modifiedAtMs: this.nowMs,
      nextSequence: 1,
      ageScan: 1,
      messages: [],
      totals: {
        sent: 0,
        movedIn: 0,
        received: 0,
        deleted: 0,
        expired: 0,
        deadLettered: 0,
        cleared: 0,
        rewound: 0,
        redriven: 0,
      },
      redrive: undefined,
    }
    this.queues.push(queue)
    return { queueId: queue.id }
  }

  sourcesOf(queueName: string): ModelQueue[] {
    return this.queues.filter(({ attributes }) => attributes.deadLetterPolicy?.deadLetterQueue === queueName)
  }

  refuseAttributes(queueName: string, queue: ModelQueue | undefined, attributes: QueueAttributes): Refusal | undefined {
    const policy = attributes.deadLetterPolicy
    if (attributes.rewindMs > attributes.msgRetentionMs) return "rewindExceedsRetention"
    if (policy === undefined) return undefined
    if (policy.deadLetterQueue === queueName || this.sourcesOf(queueName).length > 0) return "deadLetterPolicyInvalid"
    if (policy.kind === "maxTimeToLive" && policy.maxTimeToLiveMs >= attributes.msgRetentionMs) {
      return "deadLetterPolicyInvalid"
    }
    const target = this.queues.find(({ name }) => name === policy.deadLetterQueue)
    if (target === undefined) return "deadLetterQueueNotFound"
    if (target.attributes.deadLetterPolicy !== undefined) return "deadLetterPolicyInvalid"
    const others = this.sourcesOf(policy.deadLetterQueue).filter((source) => source !== queue)
    return others.length >= limits.deadLetterSources ? "deadLetterSourceLimit" : undefined
  }

  setAttributes(queue: ModelQueue, attributes: QueueAttributes): void {
    this.settle(queue)
    const before = JSON.stringify(queue.attributes.deadLetterPolicy)
    if (JSON.stringify(attributes.deadLetterPolicy) !== before) queue.ageScan = 1
    queue.attributes = attributes
    queue.modifiedAtMs = this.nowMs
    if (attributes.rewindMs > 0) return
    for (const message of [...queue.messages]) if (message.state === "rewindable") this.remove(queue, message)
  }

  applyAdmin(queue: ModelQueue, command: Extract<Command, { queueName: string }>): Expected {
    switch (command.kind) {
      case "createQueue":
        throw new Error("treated before")
      case "setQueueAttributes": {
        const { deadLetterPolicy, ...numbers } = command.change
        const policy =
          deadLetterPolicy === undefined ? queue.attributes.deadLetterPolicy : (deadLetterPolicy ?? undefined)
        const attributes: QueueAttributes = { ...queue.attributes, ...numbers, deadLetterPolicy: policy }
        const refusal = this.refuseAttributes(queue.name, queue, attributes)
        if (refusal !== undefined) return { refusal }
        this.setAttributes(queue, attributes)
        return {}
      }
      case "deleteQueue":
        if (this.sourcesOf(queue.name).length > 0) return { refusal: "deadLetterQueueInUse" }
        for (const message of [...queue.messages]) this.remove(queue, message)
        this.queues.splice(this.queues.indexOf(queue), 1)
        this.deletedNames.push({ name: queue.name.toLowerCase(), atMs: this.nowMs })
        return {}
      case "clearQueue": {
        this.settle(queue)
        const count = queue.messages.length
        queue.totals.cleared += queue.messages.filter(({ state }) => state !== "rewindable").length
        for (const message of [...queue.messages]) this.remove(queue, message)
        queue.ageScan = queue.nextSequence
        return { count }
      }
      case "rewindQueue":
        return this.rewind(queue, command.startConsumeAtMs)
      case "startRedrive":
        return this.startRedrive(queue, command.order)
      case "cancelRedrive": {
        const { redrive } = queue
        if (redrive?.endedAtMs !== 0) return { refusal: "redriveNotRunning" }
        Object.assign(redrive, { state: "cancelled", endedAtMs: this.nowMs })
        return { count: redrive.moved }
      }
      case "unbindDeadLetterQueue":
        if (queue.attributes.deadLetterPolicy === undefined) return { refusal: "deadLetterQueueNotFound" }
        this.settle(queue)
        this.setAttributes(queue, { ...queue.attributes, deadLetterPolicy: undefined })
        return {}
    }
  }

  rewind(queue: ModelQueue, startAtMs: number): Expected {
    const { rewindMs } = queue.attributes
    if (rewindMs === 0) return { refusal: "rewindNotEnabled" }
    this.settle(queue)
    const oldest = queue.messages.find(({ state }) => state !== "rewindable")?.enqueuedAtMs ?? this.nowMs
    if (startAtMs < this.nowMs - rewindMs || startAtMs > oldest) return { refusal: "rewindTimeInvalid" }
    let count = 0
    for (const message of queue.messages) {
      if (message.state !== "rewindable" || message.enqueuedAtMs < startAtMs) continue
      Object.assign(message, { state: "active", dequeueCount: 0, firstDequeuedAtMs: 0 })
      count++
    }
    queue.totals.rewound += count
    return { count }
  }

  applyHot(queue: ModelQueue, command: Extract<Command, { queueId: number }>): Expected {
    switch (command.kind) {
      case "sendMessages":
        return this.send(queue, command, undefined)
      case "confirmMessages":
        return this.confirm(queue, command)
      case "receiveMessages": {
        const active = queue.messages.filter(({ state }) => state === "active")
        const inactive = queue.messages.filter(({ state }) => state === "inactive")
        if (active.length === 0) return { refusal: "noMessage" }
        if (inactive.length >= limits.inflightPerQueue) return { refusal: "tooManyUnacked" }
        const room = Math.min(Math.max(1, command.maxCount), limits.inflightPerQueue - inactive.length)
        const own = queue.attributes.visibilityTimeoutMs
        const visibilityMs = command.visibilityTimeoutMs === -1 ? own : command.visibilityTimeoutMs
        return { received: active.slice(0, room).map((message) => this.deliver(queue, message, visibilityMs)) }
      }
      case "deleteMessages":
      case "changeVisibility": {
        const visibilityMs = command.kind === "changeVisibility" ? command.visibilityTimeoutMs : 0
        const failed = []
        for (let index = 0; index < command.count; index++) {
          const message = queue.messages.find(
            ({ state, slot, deliveryNumber, dueAtMs }) =>
              state === "inactive" &&
              slot === command.slots[index] &&
              deliveryNumber === command.deliveryNumbers[index] &&
              this.nowMs < dueAtMs,
          )
          failed.push(message === undefined)
          if (message === undefined) continue
          if (command.kind === "deleteMessages") this.delete(queue, message)
          else if (visibilityMs === 0) this.endDelayOrVisibility(queue, message)
          else message.dueAtMs = this.nowMs + visibilityMs
        }
        return command.kind === "deleteMessages" ? { failed } : { failed, nextVisibleAtMs: this.nowMs + visibilityMs }
      }
    }
  }

  delete(queue: ModelQueue, message: ModelMessage): void {
    const { rewindMs, msgRetentionMs } = queue.attributes
    queue.totals.deleted++
    if (rewindMs > 0 && message.enqueuedAtMs + Math.min(rewindMs, msgRetentionMs) > this.nowMs) {
      this.freeSlot(message)
      Object.assign(message, { state: "rewindable", dequeueCount: 0, firstDequeuedAtMs: 0 })
    } else this.remove(queue, message)
  }

  deliver(queue: ModelQueue, message: ModelMessage, visibilityMs: number): ModelMessage & { nextVisibleAtMs: number } {
    if (message.slot === -1) this.takeSlot(message)
    message.state = "inactive"
    message.deliveryNumber = this.nextDeliveryNumber++
    message.dequeueCount++
    if (message.dequeueCount === 1) message.firstDequeuedAtMs = this.nowMs
    message.dueAtMs = this.nowMs + visibilityMs
    queue.totals.received++
    return { ...message, nextVisibleAtMs: message.dueAtMs }
  }

  send(queue: ModelQueue, command: SendMessages, halves: Halves | undefined): Expected {
    const sent: { entryIndex: number; ordinal: number; duplicate: boolean }[] = []
    const newIds: ModelId[] = []
    const fresh: number[] = []
    for (let index = 0; index < command.count; index++) {
      if ((command.bodyLengths[index] ?? 0) > queue.attributes.maxMsgBytes) return { refusal: "messageTooLarge" }
      const key = `${String(queue.id)}:${command.clientIdWords.slice(index * 4, index * 4 + 4).join()}`
      const first = command.hasClientId[index] ? [...this.ids, ...newIds].find((id) => id.key === key) : undefined
      if (first !== undefined) {
        sent.push({ entryIndex: first.entryIndex, ordinal: first.ordinal, duplicate: true })
        continue
      }
      const ordinal = command.ordinals[index] ?? 0
      const id = { key, entryIndex: this.index, ordinal, expiresAtMs: this.nowMs + limits.deduplicationWindowMs }
      if (command.hasClientId[index]) newIds.push(id)
      sent.push({ entryIndex: this.index, ordinal, duplicate: false })
      fresh.push(index)
    }
    const unconsumed = queue.messages.filter(({ state }) => state !== "rewindable").length
    if (unconsumed + fresh.length > queue.attributes.maxMsgHeapCount) return { refusal: "queueHeapFull" }
    const delayed = queue.messages.filter(({ state }) => state === "delayed").length
    const delayOf = (index: number) => (halves === undefined ? (command.delaysMs[index] ?? 0) : 0)
    const newDelayed = fresh.filter((index) => delayOf(index) > 0).length
    if (newDelayed > 0 && delayed + newDelayed > limits.delayedPerQueue) return { refusal: "tooManyDelayed" }
    const halfCount = queue.messages.filter(({ state }) => state === "half").length
    if (halves !== undefined && fresh.length > 0 && halfCount + fresh.length > limits.halvesPerQueue) {
      return { refusal: "tooManyHalfMessages" }
    }
    this.ids.push(...newIds)
    while (this.ids.length > limits.deduplicationIds) {
      this.ids.shift()
      this.evicted++
    }
    for (const index of fresh) {
      const offset = command.recordOffsets[index] ?? 0
      const length = command.recordLengths[index] ?? 0
      const message = this.store(queue, { entryIndex: this.index, offset, length, provenance: undefined })
      queue.totals.sent++
      const delayMs = delayOf(index)
      if (delayMs === 0 && halves === undefined) continue
      this.takeSlot(message)
      if (halves !== undefined) {
        message.state = "half"
        message.half = { ...halves, ordinal: command.ordinals[index] ?? 0, queryCount: 0 }
        message.dueAtMs = this.nowMs + Math.max(1, halves.firstMs)
        continue
      }
      message.state = "delayed"
      message.dueAtMs = this.nowMs + delayMs
    }
    return { sent }
  }
}

// ------------------------------------------------------------------------------------------------ random commands

interface Op {
  kind: string
  /** Raw material for whatever the command needs. */
  queue: number
  count: number
  x: number
  y: number
  advanceMs: number
}

const weights: Record<string, number> = {
  send: 8,
  sendMany: 2,
  prepare: 3,
  confirm: 4,
  receive: 9,
  delete: 8,
  changeVisibility: 3,
  create: 3,
  set: 4,
  deleteQueue: 2,
  clear: 1,
  rewind: 9,
  unbind: 1,
  redrive: 2,
  cancelRedrive: 1,
  expire: 2,
  checkpoint: 2,
}

const opArbitrary: fc.Arbitrary<Op> = fc.record({
  kind: fc.oneof(...Object.entries(weights).map(([kind, weight]) => ({ weight, arbitrary: fc.constant(kind) }))),
  queue: fc.nat(4),
  count: fc.integer({ min: 1, max: 4 }),
  x: fc.nat(10_000),
  y: fc.nat(10_000),
  advanceMs: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 3, arbitrary: fc.nat(15) }, fc.nat(60)),
})

function pick<T>(list: readonly T[], random: number): T {
  return list[random % list.length] as T
}

function policyOf({ queue, x, y }: Op): DeadLetterPolicy | undefined {
  const deadLetterQueue = y % 5 < 4 ? "dead" : pick(names, y)
  if (x % 3 === 0) return { kind: "maxReceiveCount", deadLetterQueue, maxReceiveCount: 1 + (queue % 3) }
  if (x % 3 === 1) return { kind: "maxTimeToLive", deadLetterQueue, maxTimeToLiveMs: 10 + (y % 50) }
  return undefined
}

function attributesOf(op: Op): QueueAttributes {
  const { x, y } = op
  return {
    maxMsgHeapCount: pick([5, 12, 1000], x),
    pollingWaitMs: 0,
    visibilityTimeoutMs: pick([10, 30, 0], y),
    maxMsgBytes: pick([5, 100, 100], x >> 2),
    msgRetentionMs: pick([40, 120, 400], y >> 2),
    rewindMs: pick([0, 30, 60], x >> 4),
    deadLetterPolicy: y % 2 === 0 ? policyOf(op) : undefined,
  }
}

function changeOf(op: Op): SetQueueAttributes["change"] {
  const { x, y } = op
  const all = attributesOf(op)
  return {
    ...(x % 2 === 0 ? { msgRetentionMs: all.msgRetentionMs } : {}),
    ...(x % 3 === 0 ? { rewindMs: all.rewindMs } : {}),
    ...(y % 3 === 0 ? { maxMsgHeapCount: all.maxMsgHeapCount } : {}),
    ...(y % 3 === 1 ? { deadLetterPolicy: policyOf(op) ?? null } : {}),
  }
}

/** How often something was seen, over all runs: a model test that never gets anywhere proves nothing. */
const seen = new Map<string, number>()

function mark(what: string, times = 1): void {
  seen.set(what, (seen.get(what) ?? 0) + times)
}

/** Fixed, so that every run of the suite does the same; change it by hand for a longer search. */
const SEED = 20_260_704
const RUNS = 120

class World {
  readonly model = new Model()
  machine: QueueMachine
  twin: QueueMachine
  readonly limits: MachineLimits
  readonly outcome = emptyOutcome()
  readonly twinOutcome = emptyOutcome()
  readonly store = new Map<string, { key: Uint8Array; value: Uint8Array }>()
  readonly handles: { queueId: number; slot: number; deliveryNumber: number }[] = []
  readonly queried: HalfQuery[] = []
  readonly halves: { queueId: number; entryIndex: number; ordinal: number }[] = []
  /** Of the next message of the entry. */
  ordinal = 0
  lastDeliveryNumber = 0
  index = 0
  nowMs = 1000

  constructor(machineLimits: MachineLimits) {
    this.limits = machineLimits
    this.machine = new QueueMachine(machineLimits)
    this.twin = this.machine
  }

  command(op: Op): Command {
    const queueName = pick(names, op.queue)
    const queueId = this.machine.findQueue(queueName) ?? 1 + (op.x % 3)
    switch (op.kind) {
      case "send":
        return this.send(queueId, op, op.count)
      case "sendMany":
        return this.send(queueId, op, 20 + (op.y % 30))
      case "prepare":
        return {
          kind: "prepareMessages",
          messages: this.send(queueId, op, Math.min(op.count, 2)),
          firstQueryIntervalMs: pick([5, 10, 20, 0], op.y),
          maxQueryCount: pick([0, 1, 2, 5], op.x >> 3),
        }
      case "confirm": {
        const chosen = Array.from({ length: op.count }, (_, nth) => this.halves.at(-1 - ((op.x + nth) % 5)))
        return {
          kind: "confirmMessages",
          queueId: op.y % 10 === 0 ? queueId : (chosen[0]?.queueId ?? queueId),
          count: op.count,
          entryIndexes: chosen.map((half) => half?.entryIndex ?? op.x),
          ordinals: chosen.map((half) => half?.ordinal ?? 0),
          isCommit: chosen.map((_, nth) => (op.y + nth) % 3 > 0),
        }
      }
      case "receive":
        return {
          kind: "receiveMessages",
          queueId,
          maxCount: op.count * (op.x % 2 === 0 ? 1 : 3),
          visibilityTimeoutMs: pick([-1, -1, 5, 40], op.y),
        }
      case "delete":
      case "changeVisibility": {
        const chosen = Array.from({ length: op.count }, (_, nth) => this.handles.at(-1 - ((op.x + nth) % 5)))
        const slots = chosen.map((parts) => parts?.slot ?? op.x)
        const deliveryNumbers = chosen.map((parts) => parts?.deliveryNumber ?? op.y)
        const ofHandle = chosen[0]?.queueId ?? queueId
        const base = { queueId: op.y % 10 === 0 ? queueId : ofHandle, count: op.count, slots, deliveryNumbers }
        if (op.kind === "delete") return { kind: "deleteMessages", ...base }
        return { kind: "changeVisibility", ...base, visibilityTimeoutMs: pick([0, 0, 20], op.y) }
      }
      case "create":
        return { kind: "createQueue", queueName, attributes: attributesOf(op) }
      case "set":
        return { kind: "setQueueAttributes", queueName, change: changeOf(op) }
      case "deleteQueue":
        return { kind: "deleteQueue", queueName }
      case "clear":
        return { kind: "clearQueue", queueName }
      case "rewind":
        return { kind: "rewindQueue", queueName, startConsumeAtMs: this.rewindTime(queueId, op) }
      case "unbind":
        return { kind: "unbindDeadLetterQueue", queueName }
      case "redrive":
        return { kind: "startRedrive", queueName: op.y % 4 === 0 ? queueName : "dead", order: this.redriveOrder(op) }
      case "cancelRedrive":
        return { kind: "cancelRedrive", queueName: "dead" }
      default:
        return { kind: "expire" }
    }
  }

  /** Mostly a time that is allowed, or one beside it. */
  rewindTime(queueId: number, op: Op): number {
    const status = this.machine.queueStatus(queueId)
    const earliest = this.machine.nowMs - (status?.attributes.rewindMs ?? 0)
    const latest = status?.oldestUnconsumedAtMs ?? this.machine.nowMs
    return pick([earliest, earliest - 1, latest, latest + 1, Math.max(earliest, latest - (op.x % 20))], op.y)
  }

  redriveOrder(op: Op): RedriveOrder {
    const aroundMs = this.machine.nowMs - (op.x % 60)
    return {
      targetQueueName: pick(["", "", "", "orders", "zz", "dead"], op.x),
      sourceQueueName: pick(["", "", "orders", "zz"], op.y),
      enqueuedFromMs: op.x % 5 === 0 ? aroundMs : 0,
      enqueuedUntilMs: op.y % 5 === 0 ? aroundMs : Number.MAX_SAFE_INTEGER,
      messagesPerSecond: pick([1_000, 20, 200, 35], op.x + op.y),
    }
  }

  /** What a dry run says, however many time steps are left over. */
  preview(command: Command): { refusal: Refusal | undefined; count: number } | undefined {
    if (command.kind !== "rewindQueue") return undefined
    const { startConsumeAtMs, queueName } = command
    const queueId = this.machine.findQueue(queueName) ?? 999
    return this.machine.previewRewind({ queueId, startConsumeAtMs, nowMs: this.machine.nowMs })
  }

  send(queueId: number, op: Op, count: number): SendMessages {
    const each = Array.from({ length: count }, (_, nth) => nth)
    this.ordinal += count
    return {
      kind: "sendMessages",
      queueId,
      count,
      recordOffsets: each.map((nth) => 16 + nth * 50),
      recordLengths: each.map((nth) => 24 + nth),
      bodyLengths: each.map((nth) => (op.x % 40 === 0 && nth === count - 1 ? 50 : 3)),
      ordinals: each.map((nth) => this.ordinal - count + nth),
      delaysMs: each.map((nth) => (op.y % 5 === 0 && nth % 2 === 0 ? 1 + (op.x % 40) : 0)),
      clientIdWords: each.flatMap((nth) => [(op.x + nth) % 7, 0, 0, count > 4 ? 1 : 0]),
      hasClientId: each.map((nth) => (op.x + nth) % 3 === 0),
    }
  }

  step(op: Op, check: (command: Command) => void): void {
    if (op.advanceMs > 0 || op.x % 3 === 0) {
      // Stamps of a new leader may be behind.
      this.nowMs += op.advanceMs
      const stampMs = op.x % 11 === 0 ? this.nowMs - 40 : this.nowMs
      this.index += 1 + (op.y % 2)
      this.ordinal = 0
      this.machine.beginEntry(this.index, stampMs)
      this.queried.push(...this.machine.takeQueried())
      if (this.twin !== this.machine) this.twin.beginEntry(this.index, stampMs)
      this.model.beginEntry(this.index, stampMs)
    }
    if (op.kind === "checkpoint") {
      this.checkpoint(op)
      return
    }
    const command = this.command(op)
    const preview = this.preview(command)
    this.machine.apply(command, this.outcome)
    if (preview !== undefined) {
      expect(preview).toEqual({ refusal: this.outcome.refusal, count: this.outcome.count })
    }
    if (this.twin !== this.machine) {
      this.twin.apply(command, this.twinOutcome)
      expect(visible(this.twinOutcome)).toEqual(visible(this.outcome))
    }
    check(command)
    const { received, sent } = this.outcome
    if (command.kind === "prepareMessages") {
      for (let nth = 0; nth < sent.count; nth++) {
        const place = { entryIndex: sent.entryIndexes[nth] ?? 0, ordinal: sent.ordinals[nth] ?? 0 }
        this.halves.push({ queueId: this.outcome.queueId, ...place })
      }
    }
    mark(this.outcome.refusal ?? command.kind)
    mark("duplicate", this.outcome.sent.duplicates.slice(0, this.outcome.sent.count).filter(Boolean).length)
    mark("validHandle", this.outcome.failed.filter((isFailed) => !isFailed).length)
    mark("deadLetterReceived", received.provenances.slice(0, received.count).filter(Boolean).length)
    for (let nth = 0; nth < received.count; nth++) {
      const deliveryNumber = received.deliveryNumbers[nth] ?? 0
      expect(deliveryNumber).toBeGreaterThan(this.lastDeliveryNumber)
      this.lastDeliveryNumber = deliveryNumber
      this.handles.push({ queueId: this.outcome.queueId, slot: received.slots[nth] ?? 0, deliveryNumber })
    }
  }

  /** What changed goes into the store; the store must equal the whole state, and a machine made of it the machine. */
  checkpoint(op: Op): void {
    this.machine.collectDirty((key, value) => {
      const name = Buffer.from(key).toString("hex")
      if (value === undefined) {
        // A deleted name may come and go between two checkpoints; of nothing else are traces of traces kept.
        const isDeletedName = key[0] === 5
        expect(this.store.has(name) || isDeletedName, `removes what was never written: ${name}`).toBe(true)
        this.store.delete(name)
      } else this.store.set(name, { key, value })
    })
    const all = new Map<string, string>()
    this.machine.collectAll((key, value) => all.set(hex(key), hex(value)))
    expect(new Map([...this.store].map(([name, { value }]) => [name, hex(value)]))).toEqual(all)
    const restored = new QueueMachine(this.limits)
    const records = [...this.store.values()]
    if (op.x % 2 === 0) records.reverse()
    for (const { key, value } of records) restored.restore(key, value)
    restored.finishRestore()
    expect(restored.stateHash()).toBe(this.machine.stateHash())
    this.twin = this.machine
    this.machine = restored
  }
}

function hex(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? "" : Buffer.from(bytes).toString("hex")
}

function visible(outcome: Outcome): Expected {
  const { sent, received } = outcome
  return {
    refusal: outcome.refusal,
    queueId: outcome.queueId,
    sent: Array.from({ length: sent.count }, (_, nth) => ({
      entryIndex: sent.entryIndexes[nth] ?? -1,
      ordinal: sent.ordinals[nth] ?? -1,
      duplicate: sent.duplicates[nth] ?? false,
    })),
    received: Array.from({ length: received.count }, (_, nth) => ({
      sequence: 0,
      entryIndex: received.entryIndexes[nth] ?? -1,
      offset: received.offsets[nth] ?? -1,
      length: received.lengths[nth] ?? -1,
      enqueuedAtMs: received.enqueuedAtMs[nth] ?? -1,
      state: "inactive" as const,
      half: undefined,
      dueAtMs: 0,
      slot: received.slots[nth] ?? -1,
      deliveryNumber: received.deliveryNumbers[nth] ?? -1,
      dequeueCount: received.dequeueCounts[nth] ?? -1,
      firstDequeuedAtMs: received.firstDequeuedAtMs[nth] ?? -1,
      provenance: received.provenances[nth],
      nextVisibleAtMs: received.nextVisibleAtMs[nth] ?? -1,
    })),
    failed: [...outcome.failed],
    nextVisibleAtMs: outcome.nextVisibleAtMs,
    count: outcome.count,
  }
}

function expectOutcome(outcome: Outcome, expected: Expected, command: Command): void {
  const seen = visible(outcome)
  const received = (expected.received ?? []).map((message) => ({
    ...message,
    sequence: 0,
    dueAtMs: 0,
    half: undefined,
  }))
  const whole: Expected = {
    refusal: expected.refusal,
    queueId: expected.queueId ?? 0,
    sent: expected.sent ?? [],
    received,
    failed: expected.failed ?? [],
    nextVisibleAtMs: expected.nextVisibleAtMs ?? 0,
    count: expected.count ?? 0,
  }
  expect(seen, command.kind).toEqual(whole)
}

function expectSameState(machine: QueueMachine, model: Model): void {
  expect(machine.nextDeadlineMs()).toBe(model.nextDeadlineMs())
  expect(machine.touchedCount).toBe(model.usedCount)
  expect(machine.deduplicationCount).toBe(model.ids.length)
  expect(machine.deduplicationEvictedCount).toBe(model.evicted)
  const sorted = [...model.queues].sort((a, b) => (a.name < b.name ? -1 : 1))
  expect(machine.listQueues({ searchWord: "", offset: 0, limit: 100 })).toEqual({
    totalCount: sorted.length,
    queues: sorted.map(({ id, name }) => ({ queueId: id, queueName: name })),
  })
  for (const queue of model.queues) expectSameQueue(machine, model, queue)
  const live = model.queues.flatMap(({ messages }) => messages.map(({ entryIndex }) => entryIndex))
  expect(machine.oldestLiveIndex()).toBe(live.length === 0 ? undefined : Math.min(...live))
  const visited: number[] = []
  const range = { fromIndex: Math.floor(model.index / 2), toIndex: model.index - 1 }
  machine.visitLive(range, (entryIndex) => visited.push(entryIndex))
  const expected = live.filter((entryIndex) => entryIndex >= range.fromIndex && entryIndex <= range.toIndex)
  expect(visited.sort((a, b) => a - b)).toEqual(expected.sort((a, b) => a - b))
}

function expectSameQueue(machine: QueueMachine, model: Model, queue: ModelQueue): void {
  const countOf = (state: ModelMessage["state"]) => queue.messages.filter((message) => message.state === state).length
  expect(machine.queueStatus(queue.id)).toEqual({
    queueId: queue.id,
    queueName: queue.name,
    attributes: queue.attributes,
    createdAtMs: queue.createdAtMs,
    modifiedAtMs: queue.modifiedAtMs,
    activeCount: countOf("active"),
    inactiveCount: countOf("inactive"),
    delayedCount: countOf("delayed"),
    halfCount: countOf("half"),
    rewindableCount: countOf("rewindable"),
    oldestUnconsumedAtMs: queue.messages.find(({ state }) => state !== "rewindable")?.enqueuedAtMs,
    bytes: queue.messages.reduce((sum, { length }) => sum + length, 0),
    totals: queue.totals,
    deadLetterSources: model
      .sourcesOf(queue.name)
      .map(({ name }) => name)
      .sort(),
  })
  expect(machine.activeCount(queue.id)).toBe(countOf("active"))
  expectSameRedrive(machine, model, queue)
  expectSameHalves(machine, model, queue)
  // A message whose retention was cut short in this entry is not shown, although nothing has cleared it away yet.
  const { msgRetentionMs, rewindMs } = queue.attributes
  const shown = queue.messages.filter(({ enqueuedAtMs }) => enqueuedAtMs + msgRetentionMs > model.nowMs)
  const peeked = machine.peek({ queueId: queue.id, fromSequence: 0, maxCount: 1000 })
  expect(peeked?.sequences).toEqual(shown.map(({ sequence }) => sequence))
  expect(peeked?.states).toEqual(shown.map(({ state }) => state))
  expect(peeked?.entryIndexes).toEqual(shown.map(({ entryIndex }) => entryIndex))
  expect(peeked?.dequeueCounts).toEqual(shown.map(({ dequeueCount }) => dequeueCount))
  expect(peeked?.provenances).toEqual(shown.map(({ provenance }) => provenance))
  expect(peeked?.dueAtMs).toEqual(
    shown.map(({ state, enqueuedAtMs, dueAtMs }) => {
      if (state === "rewindable") return enqueuedAtMs + Math.min(rewindMs, msgRetentionMs)
      return state === "active" ? enqueuedAtMs + msgRetentionMs : dueAtMs
    }),
  )
}

function expectSameRedrive(machine: QueueMachine, model: Model, { id, redrive }: ModelQueue): void {
  const status = machine.redriveStatus(id)
  if (redrive === undefined) {
    expect(status).toBeUndefined()
    return
  }
  const nameOf = (queueId: number) =>
    queueId === 0 ? "" : (model.queues.find((queue) => queue.id === queueId)?.name ?? "?")
  const { targetId, sourceId, moved, skipped, left, dueAtMs: _dueAtMs, ...facts } = redrive
  expect(status).toEqual({
    ...facts,
    targetQueueName: nameOf(targetId),
    sourceQueueName: nameOf(sourceId),
    movedCount: moved,
    skippedCount: skipped,
    leftAtMostCount: expect.any(Number) as number,
  })
  expect(status?.leftAtMostCount).toBeGreaterThanOrEqual(redrive.state === "completed" ? 0 : left.length)
  mark(redrive.state)
  mark("redriveSkipped", skipped)
}

function expectSameHalves(machine: QueueMachine, model: Model, queue: ModelQueue): void {
  const asked = queue.messages.filter(
    ({ half, enqueuedAtMs }) =>
      (half?.queryCount ?? 0) > 0 && enqueuedAtMs + queue.attributes.msgRetentionMs > model.nowMs,
  )
  const listed = machine.queriedHalves({ queueId: queue.id, fromSequence: 0, maxCount: 1000 })
  expect(listed?.sequences).toEqual(asked.map(({ sequence }) => sequence))
  expect(listed?.queryCounts).toEqual(asked.map(({ half }) => half?.queryCount))
  expect(listed?.maxQueryCounts).toEqual(asked.map(({ half }) => half?.maxQueryCount))
}

/** Each message is in exactly one place. */
function expectSums(machine: QueueMachine): void {
  for (const { queueId } of machine.listQueues({ searchWord: "", offset: 0, limit: 100 }).queues) {
    const status = machine.queueStatus(queueId)
    if (status === undefined) throw new Error("a listed queue has a status")
    const { totals, activeCount, inactiveCount, delayedCount, halfCount } = status
    for (const [total, count] of Object.entries(totals)) if (count > 0) mark(total)
    expect(totals.sent + totals.movedIn).toBe(
      activeCount +
        inactiveCount +
        delayedCount +
        halfCount +
        (totals.deleted - totals.rewound) +
        totals.expired +
        totals.deadLettered +
        totals.redriven +
        totals.cleared,
    )
  }
}

const start: Op[] = [
  { kind: "create", queue: 2, count: 1, x: 2, y: 11, advanceMs: 1 },
  { kind: "create", queue: 0, count: 1, x: 35, y: 5, advanceMs: 1 },
]

describe("the queue machine and the model", () => {
  test("agree on every outcome and every state, through any checkpoints", () => {
    fc.assert(
      fc.property(fc.array(opArbitrary, { minLength: 5, maxLength: 120, size: "max" }), (ops) => {
        const world = new World(limits)
        for (const op of [...start, ...ops]) {
          world.step(op, (command) => {
            expectOutcome(world.outcome, world.model.apply(command), command)
          })
          expect(world.queried.splice(0)).toEqual(world.model.queried.splice(0))
          expectSameState(world.machine, world.model)
          expectSums(world.machine)
        }
        expect(world.twin.stateHash()).toBe(world.machine.stateHash())
      }),
      { numRuns: RUNS, seed: SEED },
    )
  }, 60_000)

  test("with few time steps an entry, a restored replica still goes the same way and sums hold", () => {
    fc.assert(
      fc.property(
        fc.array(opArbitrary, { minLength: 5, maxLength: 150, size: "max" }),
        fc.integer({ min: 1, max: 4 }),
        (ops, timeStepsPerEntry) => {
          const world = new World({ ...limits, timeStepsPerEntry })
          for (const op of [...start, ...ops]) {
            world.step(op, () => {
              const { received } = world.outcome
              const retentionMs = world.machine.queueStatus(world.outcome.queueId)?.attributes.msgRetentionMs ?? 0
              for (let nth = 0; nth < received.count; nth++) {
                expect((received.enqueuedAtMs[nth] ?? 0) + retentionMs).toBeGreaterThan(world.machine.nowMs)
              }
            })
            expectSums(world.machine)
          }
          expect(world.twin.stateHash()).toBe(world.machine.stateHash())
          expect(world.twin.nextDeadlineMs()).toBe(world.machine.nextDeadlineMs())
        },
      ),
      { numRuns: RUNS, seed: SEED },
    )
  }, 60_000)
})

test("the random commands got everywhere", () => {
  const wanted = [
    ...["sendMessages", "receiveMessages", "deleteMessages", "changeVisibility", "createQueue", "setQueueAttributes"],
    ...["deleteQueue", "clearQueue", "rewindQueue", "unbindDeadLetterQueue", "expire", "duplicate", "validHandle"],
    ...["queueNotFound", "queueAlreadyExists", "queueLimitReached", "queueDeletedRecently", "queueHeapFull"],
    ...["messageTooLarge", "tooManyDelayed", "tooManyUnacked", "noMessage", "rewindNotEnabled", "rewindTimeInvalid"],
    ...["rewindExceedsRetention", "deadLetterQueueNotFound", "deadLetterQueueInUse", "deadLetterPolicyInvalid"],
    ...["deadLetterSourceLimit", "deadLetterReceived"],
    ...["prepareMessages", "confirmMessages", "tooManyHalfMessages", "committed", "rolledBack", "rolledBackUnanswered"],
    ...["sent", "movedIn", "received", "deleted", "expired", "deadLettered", "cleared", "rewound", "redriven"],
    ...["startRedrive", "cancelRedrive", "redriveRunning", "redriveNotRunning", "redriveTargetInvalid"],
    ...["redriveSourceInvalid", "redriveSkipped", "running", "completed"],
  ]
  expect(wanted.filter((what) => (seen.get(what) ?? 0) < 3)).toEqual([])
})

test("the default limits are CMQ's where it has published one", () => {
  expect(defaultMachineLimits.delayedPerQueue).toBe(20_000)
  expect(defaultMachineLimits.deadLetterSources).toBe(6)
})
