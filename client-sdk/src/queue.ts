/**
 * One queue: everything a program does with it. Making a `Queue` asks nobody anything; the first call does.
 */
import { LIMITS, isQueueName } from "@opencmq/proto"
import { checkArray, checkString } from "./argument-check.ts"
import { Batcher } from "./batcher.ts"
import type { CallOptions, Caller } from "./caller.ts"
import type { Clock } from "./clock.ts"
import { argumentInvalid } from "./cmq-error.ts"
import { Consumer } from "./consumer.ts"
import type { ConsumerOptions, MessageHandler } from "./consumer.ts"
import { MessageIterator } from "./message-iterator.ts"
import type { ConsumeOptions } from "./message-iterator.ts"
import { deleteAll, deleteMessage, deleteMessages } from "./delete.ts"
import type { DeleteHandleResult, DeleteResult } from "./delete.ts"
import { releaseLease } from "./message.ts"
import type { Message, MessageActions } from "./message.ts"
import { attributeParametersOf, readQueueStatus } from "./queue-attributes.ts"
import type { QueueAttributes, QueueStatus } from "./queue-attributes.ts"
import { openMessageStream, peekMessages, receiveMessage, receiveMessages } from "./receive.ts"
import type { Peek, PeekOptions, ReceiveBatchOptions, ReceiveOptions } from "./receive.ts"
import { cancelRedrive, describeRedrive, previewRedrive, startRedrive } from "./redrive.ts"
import type { RedriveOptions, RedrivePreview, RedriveStatus } from "./redrive.ts"
import { numberOf } from "./reply-fields.ts"
import type { Fields } from "./reply-fields.ts"
import { searchMessages } from "./search.ts"
import type { Search, SearchOptions } from "./search.ts"
import { asOutgoing, prepareMessage, sendMessage, sendMessages } from "./send.ts"
import type { OutgoingMessage, SendBatchOptions, SendOptions, SendResult } from "./send.ts"
import { Sender } from "./sender.ts"
import type { SenderOptions } from "./sender.ts"

/** What a queue works with. */
export type QueueTools = Readonly<{ caller: Caller; clock: Clock; random: () => number }>

/** Deletes of messages that may be under way at once; more wait and travel together. */
const DELETES_IN_FLIGHT_MAX = 8

/**
 * A queue by name. Made by `Account.queue`. Every method rejects with `CmqError`, or `AbortError` when aborted; for a
 * mistake in the program, an argument of the wrong type, with `TypeError`.
 */
export class Queue {
  /** As it was given. A broker finds a queue by its exact spelling, though no two may differ in case alone. */
  readonly name: string
  readonly #tools: QueueTools
  readonly #deletes: Batcher<string, DeleteHandleResult>

  /**
   * @internal
   * @throws CmqError `argumentInvalid` when no queue can have that name; TypeError when it is no string.
   */
  constructor(name: string, tools: QueueTools) {
    checkString("the name of a queue", name)
    if (!isQueueName(name)) throw argumentInvalid(`${JSON.stringify(name)} is not a queue name`)
    this.name = name
    this.#tools = tools
    this.#deletes = new Batcher<string, DeleteHandleResult>({
      clock: tools.clock,
      maxCount: LIMITS.batchCount.max,
      maxBytes: Number.MAX_SAFE_INTEGER,
      lingerMs: 0,
      maxInFlight: DELETES_IN_FLIGHT_MAX,
      bytesOf: () => 1,
      keyOf: () => 0,
      run: async (receiptHandles) => {
        const results = await deleteMessages(tools.caller, { queueName: name, receiptHandles, options: undefined })
        return results.map((value) => ({ ok: true, value }))
      },
    })
  }

  // --- The queue itself ---------------------------------------------------------------------------------

  /** Attributes and counts. */
  async attributes(options?: CallOptions): Promise<QueueStatus> {
    const reply = await this.#call("GetQueueAttributes", options)
    return readQueueStatus(reply)
  }

  /** Changes those attributes that are given. */
  async setAttributes(attributes: QueueAttributes, options?: CallOptions): Promise<void> {
    const parameters = [["queueName", this.name] as const, ...attributeParametersOf(attributes)]
    await this.#tools.caller.call({ action: "SetQueueAttributes", parameters, options })
  }

  /** Takes the dead-letter policy away from this queue. */
  async unbindDeadLetterQueue(options?: CallOptions): Promise<void> {
    await this.#call("UnbindDeadLetterQueue", options)
  }

  /** Deletes the queue with all its messages. That it is gone after a blind repetition counts as done. */
  async deleteQueue(options?: CallOptions): Promise<void> {
    await this.#tools.caller.call({
      action: "DeleteQueue",
      parameters: [["queueName", this.name]],
      options,
      accepts: (refusal, wasRepeatedBlindly) => wasRepeatedBlindly && refusal === "queueNotFound",
    })
  }

  /** Drops every message, whatever its state. Never repeated blindly: it might drop later messages. */
  async clear(options?: CallOptions): Promise<void> {
    await this.#call("ClearQueue", options)
  }

  /**
   * Makes messages that were sent at or after `to`, and deleted since, receivable again, for all consumers.
   *
   * @returns how many came back; with `dryRun` how many would, and nothing changes.
   */
  async rewind(options: CallOptions & Readonly<{ to: Date; dryRun?: boolean }>): Promise<number> {
    const startConsumeTime = String(Math.floor(options.to.getTime() / 1_000))
    const parameters: [string, string][] = [
      ["queueName", this.name],
      ["startConsumeTime", startConsumeTime],
    ]
    if (options.dryRun === true) parameters.push(["dryRun", "1"])
    const { fields } = await this.#tools.caller.call({ action: "RewindQueue", parameters, options })
    return numberOf(fields["rewoundMsgNum"])
  }

  /**
   * Starts the task that moves the dead letters in this queue back to where they came from, or to one queue. It runs in
   * the broker, whoever leads; a queue has one at a time. Never repeated blindly. An OpenCMQ extension.
   */
  startRedrive(options?: RedriveOptions): Promise<void> {
    return startRedrive(this.#tools.caller, { queueName: this.name, options })
  }

  /** What `startRedrive` would do; nothing changes. */
  previewRedrive(options?: RedriveOptions): Promise<RedrivePreview> {
    return previewRedrive(this.#tools.caller, { queueName: this.name, options })
  }

  /** How far the newest redrive is, also after its end. @throws CmqError `redriveNotFound` when there was none. */
  redriveStatus(options?: CallOptions): Promise<RedriveStatus> {
    return describeRedrive(this.#tools.caller, { queueName: this.name, options })
  }

  /** Ends the redrive; what was moved stays moved. @returns how many that were. */
  cancelRedrive(options?: CallOptions): Promise<number> {
    return cancelRedrive(this.#tools.caller, { queueName: this.name, options })
  }

  // --- Sending ------------------------------------------------------------------------------------------

  /** Sends one message; resolves when a majority has it on disk. Repeated attempts store it once. */
  async send(body: string | Uint8Array, options: SendOptions = {}): Promise<SendResult> {
    const message = prepareMessage({ ...options, body }, options.delaySeconds)
    return sendMessage(this.#tools.caller, { queueName: this.name, message, options })
  }

  /** Sends 1 to 16 messages, 1 MiB in all, in one request: all are stored, or none. */
  async sendBatch(
    messages: readonly (string | Uint8Array | OutgoingMessage)[],
    options: SendBatchOptions = {},
  ): Promise<readonly SendResult[]> {
    checkArray("the messages of a batch", messages)
    const prepared = messages.map((message) => prepareMessage(asOutgoing(message), options.delaySeconds))
    return sendMessages(this.#tools.caller, { queueName: this.name, messages: prepared, options })
  }

  /** Coalesces many sends into few requests, each send with its own promise: the fast way to send. */
  sender(options?: SenderOptions): Sender {
    const { caller, clock } = this.#tools
    return new Sender({ caller, clock, queueName: this.name }, options)
  }

  // --- Receiving ----------------------------------------------------------------------------------------

  /** Receives one message. @returns undefined when none came until the wait ended. */
  receive(options: ReceiveOptions = {}): Promise<Message | undefined> {
    return receiveMessage(this.#tools.caller, { queueName: this.name, actions: this.#actions, options })
  }

  /** Receives up to `max` messages; waits for the first only. @returns an empty list when none came. */
  receiveBatch(options: ReceiveBatchOptions = {}): Promise<readonly Message[]> {
    return receiveMessages(this.#tools.caller, { queueName: this.name, actions: this.#actions, options })
  }

  /** Shows messages without receiving them; nothing changes. An OpenCMQ extension. */
  peek(options: PeekOptions = {}): Promise<Peek> {
    return peekMessages(this.#tools.caller, { queueName: this.name, options })
  }

  /** Looks through the queue for messages; nothing changes. An OpenCMQ extension. */
  search(options: SearchOptions = {}): Promise<Search> {
    return searchMessages(this.#tools.caller, { queueName: this.name, options })
  }

  /**
   * Runs a handler for each message, several at a time. It begins at once; see `Consumer`.
   *
   * The handler resolves: the message is deleted. It throws: the message goes back to the queue, and is received again
   * after `retryDelaySeconds`.
   */
  consumer(options: ConsumerOptions, handler: MessageHandler): Consumer {
    return new Consumer({ tools: this.#consumerTools(), options, handler })
  }

  /**
   * Messages one after the other, for a `for await` loop that settles each with `delete` or `retry`. Messages are kept
   * hidden meanwhile. Leaving the loop gives what was not handed out back to the queue.
   */
  consume(options: ConsumeOptions = {}): AsyncIterableIterator<Message, undefined> {
    return new MessageIterator(this.#consumerTools(), options)
  }

  // --- Settling -----------------------------------------------------------------------------------------

  /** Deletes a received message. @throws CmqError `receiptHandleInvalid` when it is no longer ours. */
  async delete(message: Message | string, options?: CallOptions): Promise<DeleteResult> {
    await letGo(message)
    const receiptHandle = handleOf(message)
    return deleteMessage(this.#tools.caller, { queueName: this.name, receiptHandle, options })
  }

  /** Deletes any number of messages, 16 a request. @returns one result for each, in order; rejects only when aborted. */
  async deleteBatch(
    messages: readonly (Message | string)[],
    options?: CallOptions,
  ): Promise<readonly DeleteHandleResult[]> {
    await Promise.all(messages.map(letGo))
    const receiptHandles = messages.map(handleOf)
    return deleteAll(this.#tools.caller, { queueName: this.name, receiptHandles, options })
  }

  /**
   * Sets anew, from now, how long a received message stays hidden; 0 = give it back at once. An OpenCMQ extension.
   *
   * @returns when it becomes visible.
   */
  async changeVisibility(message: Message | string, seconds: number, options?: CallOptions): Promise<Date> {
    const { fields } = await this.#tools.caller.call({
      action: "ChangeMessageVisibility",
      parameters: [
        ["queueName", this.name],
        ["receiptHandle", handleOf(message)],
        ["visibilityTimeout", String(seconds)],
      ],
      options,
      // Giving back ends the handle: that it is gone after a blind repetition is our own work.
      accepts: (refusal, wasRepeatedBlindly) =>
        seconds === 0 && wasRepeatedBlindly && refusal === "receiptHandleInvalid",
    })
    const nextVisible = fields["nextVisibleTime"]
    return typeof nextVisible === "number" ? new Date(nextVisible * 1_000) : new Date(this.#tools.clock.unixMs())
  }

  get #actions(): MessageActions {
    return {
      deleteMessage: (receiptHandle, options) => this.#deleteCoalesced(receiptHandle, options),
      changeVisibility: (receiptHandle, seconds, options) => this.changeVisibility(receiptHandle, seconds, options),
    }
  }

  /** Through the batcher; with a time limit of its own it goes alone. */
  async #deleteCoalesced(receiptHandle: string, options: CallOptions | undefined): Promise<void> {
    if (options?.timeoutMs !== undefined) {
      await this.delete(receiptHandle, options)
      return
    }
    const result = await this.#deletes.add(receiptHandle, options?.signal)
    if (!result.ok) throw result.error
  }

  #consumerTools() {
    const { caller, clock, random } = this.#tools
    const { name, actions } = { name: this.name, actions: this.#actions }
    return {
      clock,
      random,
      // The consumer's loop has its own pauses; a call inside it only fails over.
      poll: (options: ReceiveBatchOptions) =>
        receiveMessages(caller, { queueName: name, actions, options, maxRetries: 0 }),
      openStream: caller.hasStreams ? openMessageStream(caller, { queueName: name, actions }) : undefined,
    }
  }

  async #call(
    action: "GetQueueAttributes" | "UnbindDeadLetterQueue" | "ClearQueue",
    options: CallOptions | undefined,
  ): Promise<Fields> {
    const { fields } = await this.#tools.caller.call({ action, parameters: [["queueName", this.name]], options })
    return fields
  }
}

function handleOf(message: Message | string): string {
  return typeof message === "string" ? message : message.receiptHandle
}

/** A consumer's message that is settled past its own methods must not be renewed any more. */
async function letGo(message: Message | string): Promise<void> {
  if (typeof message !== "string") await releaseLease(message)
}
