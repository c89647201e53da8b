/**
 * The series of single subscriptions, written by hand as those of queues are. There may be millions, so those that are not
 * shown are dropped while they come: never more than twice as many as are shown are held.
 */
import type { SubscriptionSample } from "../../node/metrics.ts"
import { SAMPLES_PER_TURN, head, nextTurn } from "./series-text.ts"

const FAMILIES = {
  deliveries: "opencmq_subscription_deliveries_total counter Messages handed over to the endpoint of a subscription.",
  backlog: "opencmq_subscription_backlog_messages gauge Messages that wait for the endpoint of a subscription.",
  dropped:
    "opencmq_subscription_dropped_total counter Messages given up after the last retry, or lost because too many waited.",
} as const

/** @param shownMax - the subscriptions furthest behind; among equals those that were handed most. */
export async function subscriptionText(samples: Iterable<SubscriptionSample>, shownMax: number): Promise<string> {
  let deliveries = head(FAMILIES.deliveries)
  let backlog = head(FAMILIES.backlog)
  let dropped = head(FAMILIES.dropped)
  for (const sample of await furthestBehind(samples, shownMax)) {
    const labels = `{topic="${sample.topicName}",subscription="${sample.subscriptionName}"}`
    deliveries += `opencmq_subscription_deliveries_total${labels} ${String(sample.deliveredCount)}\n`
    backlog += `opencmq_subscription_backlog_messages${labels} ${String(sample.waitingCount)}\n`
    dropped += `opencmq_subscription_dropped_total${labels} ${String(sample.droppedCount)}\n`
  }
  return [deliveries, backlog, dropped].join("\n")
}

async function furthestBehind(
  samples: Iterable<SubscriptionSample>,
  count: number,
): Promise<readonly SubscriptionSample[]> {
  let kept: SubscriptionSample[] = []
  let seen = 0
  for (const sample of samples) {
    kept.push(sample)
    if (kept.length >= 2 * count) kept = kept.sort(byNeed).slice(0, count)
    if (++seen % SAMPLES_PER_TURN === 0) await nextTurn()
  }
  return kept.sort(byNeed).slice(0, count)
}

function byNeed(a: SubscriptionSample, b: SubscriptionSample): number {
  const difference = b.waitingCount - a.waitingCount || b.deliveredCount - a.deliveredCount
  if (difference !== 0) return difference
  return `${a.topicName} ${a.subscriptionName}` < `${b.topicName} ${b.subscriptionName}` ? -1 : 1
}
