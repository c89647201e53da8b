/**
 * A queue in memory with CMQ's rules as far as the SDK can see them: visibility, delay, receive counts, handles that
 * end with their delivery, de-duplication, dead letters, rewind. Time is handed in; nothing happens by itself.
 */
import type { DeadLetterPolicy, ErrorName } from "@opencmq/proto"

export type StoredMessage = {
  readonly msgId: string
  readonly body: string
  readonly attributes: unknown
  readonly sentAtMs: number
  visibleAtMs: number
  firstDequeuedAtMs: number
  dequeueCount: number
  /** Of the newest delivery; undefined when it was given back, or never received. */
  receiptHandle: string | undefined
  deletedAtMs: number | undefined
  provenance: Readonly<Record<string, unknown>> | undefined
}

export type SendOrder = Readonly<{
  body: string
  attributes: unknown
  clientMessageId: string | undefined
  delaySeconds: number
}>

export type Attributes = {
  maxMsgHeapNum: number
  pollingWaitSeconds: number
  visibilityTimeout: number
  maxMsgSize: number
  msgRetentionSeconds: number
  rewindSeconds: number
  deadLetterPolicy: DeadLetterPolicy | undefined
}

/** One number for all queues: no handle and no id is ever given twice. */
let lastNumber = 0

function nextNumber(): string {
  lastNumber += 1
  return String(lastNumber)
}

export class ScriptedQueue {
  readonly name: string
  readonly attributes: Attributes
  readonly createdAtMs: number
  messages: StoredMessage[] = []
  readonly #idByClientMessageId = new Map<string, string>()

  constructor(name: string, attributes: Attributes, nowMs: number) {
    this.name = name
    this.attributes = attributes
    this.createdAtMs = nowMs
  }

  send(order: SendOrder, nowMs: number): Readonly<{ msgId: string; duplicate: boolean }> {
    const known = order.clientMessageId === undefined ? undefined : this.#idByClientMessageId.get(order.clientMessageId)
    if (known !== undefined) return { msgId: known, duplicate: true }
    const msgId = nextNumber()
    if (order.clientMessageId !== undefined) this.#idByClientMessageId.set(order.clientMessageId, msgId)
    this.messages.push({
      msgId,
      body: order.body,
      attributes: order.attributes,
      sentAtMs: nowMs,
      visibleAtMs: nowMs + order.delaySeconds * 1_000,
      firstDequeuedAtMs: 0,
      dequeueCount: 0,
      receiptHandle: undefined,
      deletedAtMs: undefined,
      provenance: undefined,
    })
    return { msgId, duplicate: false }
  }

  /** @param deadLetters - where messages go that were received too often. */
  receive(
    order: Readonly<{ max: number; visibilitySeconds: number; deadLetters: ScriptedQueue | undefined }>,
    nowMs: number,
  ): StoredMessage[] {
    this.#moveDeadLetters(order.deadLetters, nowMs)
    const ready = this.messages.filter((each) => each.deletedAtMs === undefined && each.visibleAtMs <= nowMs)
    const received = ready.slice(0, order.max)
    for (const message of received) {
      message.receiptHandle = nextNumber()
      message.dequeueCount += 1
      if (message.firstDequeuedAtMs === 0) message.firstDequeuedAtMs = nowMs
      message.visibleAtMs = nowMs + order.visibilitySeconds * 1_000
    }
    return received
  }

  delete(receiptHandle: string, nowMs: number): ErrorName | undefined {
    const message = this.#held(receiptHandle, nowMs)
    if (message === undefined) return "receiptHandleInvalid"
    message.deletedAtMs = nowMs
    message.receiptHandle = undefined
    return undefined
  }

  /** @returns when it becomes visible, or undefined for a handle that is not valid. */
  changeVisibility(order: Readonly<{ receiptHandle: string; seconds: number }>, nowMs: number): number | undefined {
    const message = this.#held(order.receiptHandle, nowMs)
    if (message === undefined) return undefined
    message.visibleAtMs = nowMs + order.seconds * 1_000
    if (order.seconds === 0) message.receiptHandle = undefined
    return message.visibleAtMs
  }

  /** Somebody else's doing: the handle of whoever holds the message ends. */
  takeAway(msgId: string, nowMs: number): void {
    const message = this.messages.find((each) => each.msgId === msgId)
    if (message === undefined) throw new Error(`no message ${msgId}`)
    message.receiptHandle = undefined
    message.visibleAtMs = nowMs
  }

  /** How many came back, or would. */
  rewind(startMs: number, isDryRun: boolean): number {
    const chosen = this.messages.filter(({ sentAtMs, deletedAtMs }) => sentAtMs >= startMs && deletedAtMs !== undefined)
    if (!isDryRun) for (const message of chosen) message.deletedAtMs = undefined
    return chosen.length
  }

  /** When the next hidden message becomes visible by itself. */
  nextVisibleAtMs(nowMs: number): number | undefined {
    const hidden = this.messages.filter((each) => each.deletedAtMs === undefined && each.visibleAtMs > nowMs)
    return hidden.length === 0 ? undefined : Math.min(...hidden.map((each) => each.visibleAtMs))
  }

  counts(nowMs: number) {
    const alive = this.messages.filter((each) => each.deletedAtMs === undefined)
    const hidden = alive.filter((each) => each.visibleAtMs > nowMs)
    return {
      activeMsgNum: alive.length - hidden.length,
      inactiveMsgNum: hidden.filter((each) => each.dequeueCount > 0).length,
      delayMsgNum: hidden.filter((each) => each.dequeueCount === 0).length,
      rewindmsgNum: this.messages.length - alive.length,
      minMsgTime: Math.floor((alive[0]?.sentAtMs ?? 0) / 1_000),
    }
  }

  #held(receiptHandle: string, nowMs: number): StoredMessage | undefined {
    return this.messages.find(
      (each) => each.receiptHandle === receiptHandle && each.deletedAtMs === undefined && each.visibleAtMs > nowMs,
    )
  }

  #moveDeadLetters(target: ScriptedQueue | undefined, nowMs: number): void {
    const policy = this.attributes.deadLetterPolicy
    if (target === undefined || policy?.kind !== "maxReceiveCount") return
    const isDead = (each: StoredMessage): boolean =>
      each.deletedAtMs === undefined && each.visibleAtMs <= nowMs && each.dequeueCount >= policy.maxReceiveCount
    for (const message of this.messages.filter(isDead)) {
      target.messages.push({
        ...message,
        visibleAtMs: nowMs,
        dequeueCount: 0,
        firstDequeuedAtMs: 0,
        receiptHandle: undefined,
        provenance: {
          deadLetterReason: policy.kind,
          originalQueueName: this.name,
          originalEnqueueTime: Math.floor(message.sentAtMs / 1_000),
          originalFirstDequeueTime: Math.floor(message.firstDequeuedAtMs / 1_000),
          originalDequeueCount: message.dequeueCount,
        },
      })
    }
    this.messages = this.messages.filter((each) => !isDead(each))
  }
}
