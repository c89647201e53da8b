/**
 * Publishing: a message to every subscription that wants it, in the same step.
 *
 * One position for each; the record is stored once. A queue that is there and has room gets the message at once, unless
 * older ones still wait for it; everything else goes through the subscription's backlog (`deliveries.ts`).
 */
import type { PublishMessages } from "./command.ts"
import { noteSend } from "./client-ids.ts"
import { handOver, keepWaiting } from "./deliveries.ts"
import type { MachineState } from "./machine-state.ts"
import type { Outcome } from "./outcome.ts"
import { wholeNumber } from "./queue-attributes.ts"
import { settle } from "./retention.ts"
import type { MessageLabels } from "./subscription-index.ts"
import type { Subscription, Topic } from "./topic.ts"

const COUNT_MAX = 65_536

interface PublishRequest {
  readonly command: PublishMessages
  readonly count: number
  readonly outcome: Outcome
}

/** PublishMessage, BatchPublishMessage: all or none are published. What no subscription wants is dropped (D:tag). */
export function applyPublish(state: MachineState, command: PublishMessages, outcome: Outcome): void {
  const topic = state.topics.get(command.messages.queueId)
  if (topic === undefined) {
    outcome.refusal = "topicNotFound"
    return
  }
  outcome.queueId = topic.id
  const request = { command, count: wholeNumber(command.messages.count, COUNT_MAX), outcome }
  const ringBefore = state.deduplication.next
  if (refusePublish(state, topic, request)) {
    state.deduplication.rollBack(ringBefore)
    return
  }
  state.deduplication.evict()
  for (let index = 0; index < request.count; index++) {
    if (outcome.sent.duplicates[index] === true) continue
    outcome.count += publishOne(state, topic, { command, index })
  }
  outcome.sent.count = request.count
  state.dirtyTopics.changed(topic)
}

/** Fills `outcome.sent` and the de-duplication table; true (and `refusal` set) when the request is refused. */
function refusePublish(state: MachineState, topic: Topic, { command, count, outcome }: PublishRequest): boolean {
  const { messages, routingKeys } = command
  const { maxMsgBytes, filterType } = topic.attributes
  if (topic.subscriptions.size === 0) outcome.refusal = "topicHasNoSubscription"
  for (let index = 0; index < count && outcome.refusal === undefined; index++) {
    if (!((messages.bodyLengths[index] ?? 0) <= maxMsgBytes)) outcome.refusal = "messageTooLarge"
    else if (filterType === "bindingKeys" && (routingKeys[index] ?? "") === "") outcome.refusal = "routingKeyMissing"
    noteSend(state, outcome.sent, { command: messages, index })
  }
  return outcome.refusal !== undefined
}

/** Returns how many subscriptions got it. */
function publishOne(
  state: MachineState,
  topic: Topic,
  { command, index }: { readonly command: PublishMessages; readonly index: number },
): number {
  state.describeSent(command.messages, index)
  const labels = { tags: command.tags[index] ?? [], routingKey: command.routingKeys[index] ?? "" }
  const wanting = wantingOf(state, topic, labels)
  topic.totals.published++
  if (wanting.length === 0) topic.totals.unmatched++
  for (const subscription of wanting) {
    settle(state, subscription.backlog)
    const mayOvertake = subscription.backlog.activeCount === 0 || state.mutant === "freshOvertakesBacklog"
    if (!mayOvertake || !handOver(state, subscription)) keepWaiting(state, subscription)
  }
  return wanting.length
}

function wantingOf(state: MachineState, topic: Topic, labels: MessageLabels): readonly Subscription[] {
  const wanting = topic.subscriptions.matching(topic.attributes.filterType, labels)
  if (state.mutant === "publishToNonMatching") return topic.subscriptions.sorted()
  return state.mutant === "matchingSkipped" ? wanting.slice(1) : wanting
}
