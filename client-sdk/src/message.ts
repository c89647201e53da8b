/**
 * A received message, and what its receiver may do with it. A message is *settled* once: deleted, or given back.
 */
import { decodeBody } from "./body.ts"
import type { CallOptions } from "./caller.ts"
import { numberOf, textOf, timeOf } from "./reply-fields.ts"
import type { Fields } from "./reply-fields.ts"

/** Where a dead letter came from. */
export type DeadLetter = Readonly<{
  /** `maxReceiveCount` or `maxTimeToLive`, as in its queue's policy. */
  reason: string
  sourceQueue: string
  /** When it was first sent. */
  enqueueTime: Date | undefined
  firstDequeueTime: Date | undefined
  /** How often it was received before. */
  dequeueCount: number
}>

/** What a message shows, received or peeked at. */
export type MessageView = Readonly<{
  msgId: string
  /** The body as text. Of a body that was sent as bytes and is no text: its UTF-8 reading, with replacement characters. */
  body: string
  /** The body as it was sent. */
  bytes: Uint8Array
  attributes: ReadonlyMap<string, string | Uint8Array>
  enqueueTime: Date
  /** Undefined when it was never received, or the server does not say. */
  firstDequeueTime: Date | undefined
  /** Undefined when it is visible now, or the server does not say. */
  nextVisibleTime: Date | undefined
  /** Times received, this one included. */
  dequeueCount: number
  /** Set on a message of a dead-letter queue. */
  deadLetter: DeadLetter | undefined
}>

/** What settles a message; `Queue` implements it. */
export interface MessageActions {
  /** @throws CmqError `receiptHandleInvalid` when the message is no longer ours. */
  deleteMessage(receiptHandle: string, options: CallOptions | undefined): Promise<void>
  changeVisibility(receiptHandle: string, seconds: number, options?: CallOptions): Promise<Date>
}

/** Keeps a message hidden while somebody works on it; `Lease` implements it. */
export interface MessageLease {
  /** Ends the extensions, and waits for one that is under way: so it never races what comes next. */
  release(): Promise<void>
  /** The user has set the visibility himself. */
  extended(seconds: number): void
}

/** How a message was settled. */
export type Settlement = "deleted" | "retried"

let attach: (message: Message, lease: MessageLease) => void
let release: (message: Message) => Promise<void>

/** A received message. It is ours until `nextVisibleTime`; then the broker gives it to somebody else. */
export class Message implements MessageView {
  static {
    attach = (message, lease) => {
      message.#lease = lease
    }
    release = async (message) => {
      await message.#lease?.release()
    }
  }

  readonly msgId: string
  /** Valid for this delivery only, until it is settled or its visibility timeout ends. */
  readonly receiptHandle: string
  readonly attributes: ReadonlyMap<string, string | Uint8Array>
  readonly enqueueTime: Date
  readonly firstDequeueTime: Date | undefined
  /** As it was received; later extensions do not change it. */
  readonly nextVisibleTime: Date | undefined
  readonly dequeueCount: number
  readonly deadLetter: DeadLetter | undefined
  readonly #text: string
  readonly #actions: MessageActions
  #bytes: Uint8Array | undefined
  readonly #isBinary: boolean
  #lease: MessageLease | undefined
  #settled: Settlement | undefined
  #settling: Promise<void> | undefined

  /**
   * Made by `Queue`; `fields` are those of a reply.
   *
   * @internal
   */
  constructor(fields: Fields, actions: MessageActions) {
    const view = readView(fields)
    this.msgId = view.msgId
    this.receiptHandle = textOf(fields["receiptHandle"])
    this.attributes = view.attributes
    this.enqueueTime = view.enqueueTime
    this.firstDequeueTime = view.firstDequeueTime
    this.nextVisibleTime = view.nextVisibleTime
    this.dequeueCount = view.dequeueCount
    this.deadLetter = view.deadLetter
    this.#text = view.text
    this.#bytes = view.binary
    this.#isBinary = view.binary !== undefined
    this.#actions = actions
  }

  get body(): string {
    return this.#isBinary ? Buffer.from(this.bytes).toString("utf8") : this.#text
  }

  get bytes(): Uint8Array {
    this.#bytes ??= new TextEncoder().encode(this.#text)
    return this.#bytes
  }

  /** How this message was settled through this object; undefined while it is not. */
  get settled(): Settlement | undefined {
    return this.#settled
  }

  /**
   * Deletes the message. Deletes of several messages travel together. Nothing happens when it is deleted already.
   *
   * @throws CmqError `receiptHandleInvalid` when the message is no longer ours: it will be, or was, given to another.
   */
  delete(options?: CallOptions): Promise<void> {
    return this.#settle("deleted", () => this.#actions.deleteMessage(this.receiptHandle, options))
  }

  /**
   * Gives the message back: it is received again, by anybody, after the delay.
   *
   * @param options - `delaySeconds` 0..43,200, default 0 = at once.
   * @throws CmqError `receiptHandleInvalid` when the message is no longer ours.
   */
  retry(options: CallOptions & Readonly<{ delaySeconds?: number }> = {}): Promise<void> {
    return this.#settle("retried", async () => {
      await this.#actions.changeVisibility(this.receiptHandle, options.delaySeconds ?? 0, options)
    })
  }

  /**
   * Keeps the message hidden for so long from now. Consumers do that by themselves.
   *
   * @param seconds - 1..43,200.
   * @returns when it becomes visible again.
   * @throws CmqError `receiptHandleInvalid` when the message is no longer ours.
   */
  async extend(seconds: number, options?: CallOptions): Promise<Date> {
    const nextVisibleTime = await this.#actions.changeVisibility(this.receiptHandle, seconds, options)
    this.#lease?.extended(seconds)
    return nextVisibleTime
  }

  async #settle(settlement: Settlement, act: () => Promise<void>): Promise<void> {
    while (this.#settling !== undefined) {
      // Its failure is told to whoever began it; here it only means that the message may still be settled.
      await this.#settling.catch(() => undefined)
    }
    if (this.#settled === settlement) return
    const settling = (async () => {
      await this.#lease?.release()
      await act()
      this.#settled = settlement
    })()
    this.#settling = settling
    try {
      await settling
    } finally {
      this.#settling = undefined
    }
  }
}

/** Ties a lease to a message, so that settling the message ends the lease first. Not part of the public names. */
export function attachLease(message: Message, lease: MessageLease): void {
  attach(message, lease)
}

/** Ends the lease of a message that is settled past it. Not part of the public names. */
export function releaseLease(message: Message): Promise<void> {
  return release(message)
}

/** A message of a peek: it can be looked at, and nothing else. */
export function readPeeked(fields: Fields): MessageView {
  const { text, binary, ...view } = readView(fields)
  const bytes = binary ?? new TextEncoder().encode(text)
  return { ...view, body: binary === undefined ? text : Buffer.from(binary).toString("utf8"), bytes }
}

function readView(
  fields: Fields,
): Omit<MessageView, "body" | "bytes"> & { text: string; binary: Uint8Array | undefined } {
  const { text, bytes, attributes } = decodeBody(textOf(fields["msgBody"]), fields["attributes"])
  return {
    msgId: textOf(fields["msgId"]),
    text,
    binary: bytes,
    attributes,
    enqueueTime: timeOf(fields["enqueueTime"]) ?? new Date(0),
    firstDequeueTime: timeOf(fields["firstDequeueTime"]),
    nextVisibleTime: timeOf(fields["nextVisibleTime"]),
    dequeueCount: numberOf(fields["dequeueCount"]),
    deadLetter: readDeadLetter(fields),
  }
}

function readDeadLetter(fields: Fields): DeadLetter | undefined {
  const reason = fields["deadLetterReason"]
  if (typeof reason !== "string" || reason === "") return undefined
  return {
    reason,
    sourceQueue: textOf(fields["originalQueueName"]),
    enqueueTime: timeOf(fields["originalEnqueueTime"]),
    firstDequeueTime: timeOf(fields["originalFirstDequeueTime"]),
    dequeueCount: numberOf(fields["originalDequeueCount"]),
  }
}
