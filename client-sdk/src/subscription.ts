/**
 * One subscription of a topic. Making a `Subscription` asks nobody anything; the first call does.
 */
import { isQueueName } from "@opencmq/proto"
import { checkOptions, checkString } from "./argument-check.ts"
import type { CallOptions, Caller } from "./caller.ts"
import { argumentInvalid } from "./cmq-error.ts"
import { readSubscriptionStatus, subscriptionParametersOf } from "./topic-attributes.ts"
import type { SubscriptionAttributes, SubscriptionStatus } from "./topic-attributes.ts"
import type { Parameter } from "./transport.ts"

/** A subscription by its topic's name and its own. Made by `Topic.subscription`; errors are those of `Queue`. */
export class Subscription {
  readonly topicName: string
  readonly name: string
  readonly #caller: Caller

  /**
   * @internal
   * @throws CmqError `argumentInvalid` when no subscription can have that name; TypeError when it is no string.
   */
  constructor(topicName: string, name: string, caller: Caller) {
    checkString("the name of a subscription", name)
    if (!isQueueName(name)) throw argumentInvalid(`${JSON.stringify(name)} is not a subscription name`)
    this.topicName = topicName
    this.name = name
    this.#caller = caller
  }

  /** Attributes, and how many messages wait. */
  async attributes(options?: CallOptions): Promise<SubscriptionStatus> {
    const parameters = this.#names
    const { fields } = await this.#caller.call({ action: "GetSubscriptionAttributes", parameters, options })
    return readSubscriptionStatus(fields)
  }

  /**
   * Changes those attributes that are given; messages that wait are delivered by the new ones.
   *
   * @throws CmqError `argumentInvalid` for an empty list, which the wire cannot tell from one that is not given.
   */
  async setAttributes(attributes: SubscriptionAttributes, options?: CallOptions): Promise<void> {
    checkOptions("the attributes of a subscription", attributes)
    if (attributes.filterTags?.length === 0) throw argumentInvalid("to take all tags away: clearFilterTags()")
    if (attributes.bindingKeys?.length === 0) throw argumentInvalid("a subscription keeps at least one binding key")
    const parameters = [...this.#names, ...subscriptionParametersOf(attributes)]
    await this.#caller.call({ action: "SetSubscriptionAttributes", parameters, options })
  }

  /** Takes all tags away: every message is wanted. */
  async clearFilterTags(options?: CallOptions): Promise<void> {
    await this.#caller.call({ action: "ClearSubscriptionFilterTags", parameters: this.#names, options })
  }

  /** Ends the subscription, with everything that waits for it. */
  async unsubscribe(options?: CallOptions): Promise<void> {
    await this.#caller.call({
      action: "Unsubscribe",
      parameters: this.#names,
      options,
      accepts: (refusal, wasRepeatedBlindly) => wasRepeatedBlindly && refusal === "subscriptionNotFound",
    })
  }

  get #names(): readonly Parameter[] {
    return [
      ["topicName", this.topicName],
      ["subscriptionName", this.name],
    ]
  }
}
