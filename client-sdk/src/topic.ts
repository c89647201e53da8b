/**
 * One topic: everything a program does with it. Making a `Topic` asks nobody anything; the first call does.
 */
import { isQueueName } from "@opencmq/proto"
import { checkArray, checkOptions, checkString } from "./argument-check.ts"
import type { CallOptions, Caller } from "./caller.ts"
import { argumentInvalid } from "./cmq-error.ts"
import { PAGE_ROWS, listParameters } from "./list-options.ts"
import type { ListOptions } from "./list-options.ts"
import { publishMessage, publishMessages } from "./publish.ts"
import type { PublishBatchOptions, PublishOptions } from "./publish.ts"
import { listOf, numberOf, textOf } from "./reply-fields.ts"
import { asOutgoing } from "./send.ts"
import type { OutgoingMessage, SendResult } from "./send.ts"
import { Subscription } from "./subscription.ts"
import {
  endpointParametersOf,
  readEndpoint,
  readTopicStatus,
  subscriptionParametersOf,
  topicParametersOf,
} from "./topic-attributes.ts"
import type { SubscriptionEndpoint, SubscriptionOrder, TopicAttributes, TopicStatus } from "./topic-attributes.ts"
import type { Parameter } from "./transport.ts"

/** A row of a list. */
export type SubscriptionEntry = Readonly<{
  subscriptionId: string
  subscriptionName: string
  endpoint: SubscriptionEndpoint
}>

/** One page of a list. */
export type SubscriptionList = Readonly<{
  /** All that match, on whatever page. */
  totalCount: number
  subscriptions: readonly SubscriptionEntry[]
}>

/** A topic by name. Made by `Account.topic`; errors are those of `Queue`. */
export class Topic {
  /** As it was given. A broker finds a topic by its exact spelling, though no two may differ in case alone. */
  readonly name: string
  readonly #caller: Caller

  /**
   * @internal
   * @throws CmqError `argumentInvalid` when no topic can have that name; TypeError when it is no string.
   */
  constructor(name: string, caller: Caller) {
    checkString("the name of a topic", name)
    if (!isQueueName(name)) throw argumentInvalid(`${JSON.stringify(name)} is not a topic name`)
    this.name = name
    this.#caller = caller
  }

  // --- The topic itself ---------------------------------------------------------------------------------

  /** Attributes and counts. */
  async attributes(options?: CallOptions): Promise<TopicStatus> {
    const { fields } = await this.#caller.call({ action: "GetTopicAttributes", parameters: this.#names, options })
    return readTopicStatus(fields)
  }

  /** Changes the longest body; what a topic filters by is fixed for its life. */
  async setAttributes(attributes: Pick<TopicAttributes, "maxMsgSizeBytes">, options?: CallOptions): Promise<void> {
    const parameters = [...this.#names, ...topicParametersOf(attributes)]
    await this.#caller.call({ action: "SetTopicAttributes", parameters, options })
  }

  /** Deletes the topic. @throws CmqError `topicHasSubscriptions` while it has any. */
  async deleteTopic(options?: CallOptions): Promise<void> {
    await this.#caller.call({
      action: "DeleteTopic",
      parameters: this.#names,
      options,
      accepts: (refusal, wasRepeatedBlindly) => wasRepeatedBlindly && refusal === "topicNotFound",
    })
  }

  // --- Publishing ---------------------------------------------------------------------------------------

  /**
   * Publishes one message to every subscription that wants it; resolves when a majority has it on disk. Repeated
   * attempts publish it once.
   *
   * @throws CmqError `topicHasNoSubscription`. That no subscription wants the message is no error.
   */
  async publish(body: string | Uint8Array, options: PublishOptions = {}): Promise<SendResult> {
    return publishMessage(this.#caller, { topicName: this.name, body, options })
  }

  /** Publishes 1 to 16 messages, 1 MiB in all, in one request: all, or none. Tags and routing key are those of all. */
  async publishBatch(
    messages: readonly (string | Uint8Array | OutgoingMessage)[],
    options: PublishBatchOptions = {},
  ): Promise<readonly SendResult[]> {
    checkArray("the messages of a batch", messages)
    return publishMessages(this.#caller, { topicName: this.name, messages: messages.map(asOutgoing), options })
  }

  // --- Subscriptions ------------------------------------------------------------------------------------

  /** A subscription by name; asks nobody anything. */
  subscription(name: string): Subscription {
    return new Subscription(this.name, name, this.#caller)
  }

  /**
   * Makes a subscription: what is published from now on, and wanted, goes to a queue or to an address.
   *
   * @throws CmqError `subscriptionAlreadyExists`; with outcome `unknown` it may be our own earlier attempt that made it.
   */
  async subscribe(name: string, order: SubscriptionOrder, options?: CallOptions): Promise<Subscription> {
    const subscription = this.subscription(name)
    checkOptions("what a subscription is made of", order)
    const parameters: Parameter[] = [
      ...this.#names,
      ["subscriptionName", name],
      ...endpointParametersOf(order.endpoint),
      ...subscriptionParametersOf(order),
    ]
    await this.#caller.call({ action: "Subscribe", parameters, options })
    return subscription
  }

  /** One page of the subscriptions, by name. */
  async listSubscriptions(options: ListOptions = {}): Promise<SubscriptionList> {
    const parameters = [...this.#names, ...listParameters(options)]
    const { fields } = await this.#caller.call({ action: "ListSubscriptionByTopic", parameters, options })
    const subscriptions = listOf(fields["subscriptionList"]).map((each) => ({
      subscriptionId: textOf(each["subscriptionId"]),
      subscriptionName: textOf(each["subscriptionName"]),
      endpoint: readEndpoint(each),
    }))
    return { totalCount: numberOf(fields["totalCount"]), subscriptions }
  }

  /** Every subscription, page by page: for a `for await` loop. */
  async *subscriptions(options: Omit<ListOptions, "offset" | "limit"> = {}): AsyncGenerator<SubscriptionEntry, void> {
    for (let offset = 0; ; offset += PAGE_ROWS) {
      const { subscriptions } = await this.listSubscriptions({ ...options, offset, limit: PAGE_ROWS })
      yield* subscriptions
      if (subscriptions.length < PAGE_ROWS) return
    }
  }

  get #names(): readonly Parameter[] {
    return [["topicName", this.name]]
  }
}
