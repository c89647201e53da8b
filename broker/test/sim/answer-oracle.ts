/** What clients were told, held against what really happened. Each answer is judged at the moment a node gives it. */
import { Buffer } from "node:buffer"
import { decodeMessageId } from "@opencmq/proto"
import { readBody } from "../../src/codec/message-record.ts"
import type { DeliveredMessage, Handle } from "../../src/node/service-types.ts"
import { deliveryKey, describeDelivery, messageKey } from "./queue-books.ts"
import type { QueueBooks } from "./queue-books.ts"
import { Violation } from "./world.ts"
import type { World } from "./world.ts"

export class AnswerOracle {
  readonly #world: World
  readonly #books: QueueBooks

  constructor(world: World, books: QueueBooks) {
    this.#world = world
    this.#books = books
  }

  /** @param name of the queue, or the topic. */
  sendAcknowledged(name: string, bodies: readonly Uint8Array[], msgIds: readonly string[]): void {
    if (msgIds.length !== bodies.length) this.#fail("an acknowledgement names every message", name)
    for (const [i, body] of bodies.entries()) {
      const id = decodeMessageId(msgIds[i] ?? "")
      const key = id === undefined ? -1 : messageKey(id.entryIndex, id.ordinal)
      const message = this.#books.messages.get(key) ?? this.#books.published.get(key)
      if (message === undefined) {
        this.#fail("what is acknowledged is committed", `send to ${name}, message id ${String(msgIds[i])}`)
      } else if (Buffer.compare(readBody(message.record), body) !== 0) {
        this.#fail(
          "what is acknowledged is what was sent",
          `message ${String(message.entryIndex)}/${String(message.ordinal)}`,
        )
      }
    }
  }

  delivered(client: string, queueName: string, messages: readonly DeliveredMessage[]): void {
    for (const told of messages) {
      const delivery = this.#books.deliveries.get(
        deliveryKey(told.deliveryHandle.slot, told.deliveryHandle.deliveryNumber),
      )
      const id = decodeMessageId(told.msgId)
      const what = `message ${told.msgId} delivery ${String(told.deliveryHandle.deliveryNumber)} to ${client} from ${queueName}`
      if (delivery === undefined) {
        this.#fail("only committed deliveries are told", what)
        continue
      }
      const { message } = delivery
      if (id?.entryIndex !== message.entryIndex || id.ordinal !== message.ordinal)
        this.#fail("a delivery names its message", what)
      if (delivery.taker !== undefined) this.#fail("a delivery has one taker", `${what}; told ${delivery.taker} before`)
      delivery.taker = client
      if (told.dequeueCount !== delivery.count) this.#fail("the told receive count is right", what)
      if (told.nextVisibleAtMs !== delivery.nextVisibleAtMs) this.#fail("the told visibility is right", what)
      if (Buffer.compare(told.body, readBody(message.record)) !== 0) this.#fail("the body is what was sent", what)
      if (told.clientMessageId !== message.clientId) this.#fail("the client id is what was sent", what)
    }
  }

  deleteAcknowledged(handles: readonly Handle[], failed: readonly boolean[]): void {
    for (const [i, each] of handles.entries()) {
      const delivery = this.#books.deliveries.get(deliveryKey(each.slot, each.deliveryNumber))
      if (delivery === undefined) continue
      if (failed[i] === false && !delivery.isDeleted)
        this.#fail("an acknowledged delete is committed", describeDelivery(delivery))
      if (failed[i] === true && !delivery.wasRefused)
        this.#fail("a refused delete was refused", describeDelivery(delivery))
    }
  }

  /** A client was told that there is no such queue: some moment of its waiting must have been so. */
  queueMissing(queueName: string, askedWorldMs: number): void {
    this.#checkMissing(queueName, this.#books.byName.get(queueName) ?? [], askedWorldMs)
  }

  topicMissing(topicName: string, askedWorldMs: number): void {
    const lives = this.#books.topics.filter(({ name }) => name === topicName)
    this.#checkMissing(topicName, lives, askedWorldMs)
  }

  #checkMissing(
    name: string,
    lives: readonly { readonly createdWorldMs: number; readonly deletedWorldMs: number }[],
    askedWorldMs: number,
  ): void {
    const wasThereAllTheTime = lives.some(
      ({ createdWorldMs, deletedWorldMs }) =>
        createdWorldMs < askedWorldMs && deletedWorldMs === Number.POSITIVE_INFINITY,
    )
    if (wasThereAllTheTime) this.#fail("reads are linearizable", `${name} was called missing`)
  }

  /** The register queue's value as read: what was last committed when the read began, or something committed since. */
  registerRead(value: number, askedWorldMs: number): void {
    this.#world.marks.hit("read: register read")
    const values = this.#books.registerValues
    const position = values.findLastIndex((each) => each.worldMs < askedWorldMs)
    const isKnown = position < 0 && value === 0
    if (isKnown || values.slice(Math.max(0, position)).some((each) => each.value === value)) return
    const last = String(values[position]?.value ?? 0)
    this.#fail(
      "reads are linearizable",
      `register shows ${String(value)}, but ${last} was committed before the read began`,
    )
  }

  #fail(rule: string, detail: string): void {
    this.#world.fail(new Violation(rule, detail))
  }
}
