/**
 * Judges a history. Messages of a CMQ queue are independent objects, so each message's short history is judged alone
 * and the whole takes linear time (sorting of a handful of events per message aside).
 *
 *   absent --send--> waiting --receive--> leased(count) --delete(count)--> deleted
 *                       ^                    |
 *                       +--- lease ended, or given back
 *
 * Only what is certain is held against the broker: an event lies somewhere between start and end of its attempt, an
 * unknown attempt may or may not have happened. "Nothing to receive" proves nothing and is not recorded.
 */
import type { Delivery, History, MessageHistory, Settlement } from "./history.ts"

/** Kinds of broken promises. */
export const VIOLATIONS = [
  /** Acknowledged, and after the drain neither delivered nor left to be deleted. */
  "lost",
  /** Delivered after a delete was confirmed, or under a newer receipt than the one whose delete was confirmed. */
  "resurrected",
  /** Delivered to somebody while somebody else's visibility timeout ran. */
  "duplicatedInsideLease",
  /** Stored twice: two message ids for one body, though nobody sent it twice without a client message id. */
  "storedTwice",
  /** Delivered though it was never sent, or though every attempt to send it was refused. */
  "phantom",
  /** Delivered under another id than the one that was acknowledged. */
  "wrongId",
  /** A body with a wrong checksum. */
  "corrupt",
  /** Two deliveries with one receive count, or counts against the order of time. */
  "countWrong",
  /** A receive count that jumped further than receives explain of which nobody knows what they took. */
  "countUnexplained",
  /** Delivered before its delay was over. */
  "early",
  /** A handle refused while its lease ran and nobody had settled it. */
  "handleRefusedInsideLease",
  "odd",
] as const

export type ViolationKind = (typeof VIOLATIONS)[number]

export interface Violation {
  readonly kind: ViolationKind
  readonly key: number
  readonly text: string
}

/**
 * How much earlier than a lease's or delay's end something may happen, milliseconds: the broker's clock in the log and
 * the clock of this process are read at different moments, both of one computer.
 */
export const TOLERANCE_MS = 100
/** The broker says the end of a lease in whole seconds. It is rounded down, so it needs no further tolerance. */

/** Counts over all messages. */
export interface Tally {
  /** Messages, not attempts. */
  acknowledged: number
  refused: number
  /** Messages whose send ended unknown. */
  unknown: number
  /** Of those, the ones that turned up. */
  unknownDelivered: number
  /** Deliveries. */
  received: number
  /** Deliveries beyond the first of a message: legal when a lease had ended. */
  redelivered: number
  /** Messages whose delete was confirmed. */
  deleted: number
}

export interface Judgement {
  readonly tally: Tally
  readonly counts: Readonly<Record<ViolationKind, number>>
  /** The first of each kind, at most `EXAMPLES_MAX`. */
  readonly examples: readonly Violation[]
}

const EXAMPLES_MAX = 5
const LOOK_BACK_MS = 4_000

/**
 * @param isDrained - whether all nodes were up at the end and receives went on until nothing came any more; without that
 * a message that was not delivered may still be waiting, and is not called lost.
 */
export function judge(history: History, isDrained = true): Judgement {
  const violations: Violation[] = []
  const tally: Tally = {
    acknowledged: 0,
    refused: 0,
    unknown: 0,
    unknownDelivered: 0,
    received: 0,
    redelivered: 0,
    deleted: 0,
  }
  const ghosts = possibleGhosts(history)
  for (const message of history.messages.values()) {
    const report = (kind: ViolationKind, text: string): void => {
      violations.push({ kind, key: message.key, text: `${text}\n${storyOf(message)}` })
    }
    count(message, tally)
    judgeSends(message, report)
    if (isDrained) judgeLoss(message, report)
    judgeDeletes(message, report)
    judgeLeases(message, report)
    judgeCounts(message, ghosts, (kind, text) => {
      report(kind, `${text}${kind === "countUnexplained" ? receivesBefore(message, history) : ""}`)
    })
  }
  for (const text of history.corruptBodies) violations.push({ kind: "corrupt", key: 0, text })
  for (const text of history.oddities) violations.push({ kind: "odd", key: 0, text })
  return { tally, counts: countByKind(violations), examples: examplesOf(violations) }
}

type Reporter = (kind: ViolationKind, text: string) => void

function count({ sends, deliveries, settlements }: MessageHistory, tally: Tally): void {
  tally.received += deliveries.length
  tally.redelivered += Math.max(0, deliveries.length - 1)
  if (settlements.some(isConfirmedDelete)) tally.deleted += 1
  if (sends.some(({ outcome }) => outcome === "ack")) tally.acknowledged += 1
  else if (sends.some(({ outcome }) => outcome === "unknown")) {
    tally.unknown += 1
    if (deliveries.length > 0) tally.unknownDelivered += 1
  } else if (sends.length > 0) tally.refused += 1
}

function judgeSends({ sends, deliveries }: MessageHistory, report: Reporter): void {
  const effective = sends.filter(({ outcome }) => outcome !== "refused")
  const acknowledgedIds = sends.filter(({ outcome }) => outcome === "ack").map(({ msgId }) => msgId)
  const ids = new Set([...acknowledgedIds, ...deliveries.map(({ msgId }) => msgId)])
  if (ids.size > 1) {
    const isForeign = acknowledgedIds.length > 0 && !deliveries.some(({ msgId }) => acknowledgedIds.includes(msgId))
    report(isForeign ? "wrongId" : "storedTwice", `message ids ${[...ids].join(", ")}`)
  }
  const firstStartMs = Math.min(...effective.map(({ startMs }) => startMs))
  for (const delivery of deliveries) {
    if (effective.length === 0 || delivery.endMs < firstStartMs) {
      report("phantom", `delivered at ${at(delivery.endMs)}, never sent before`)
      break
    }
    const delayMs = effective[0]?.delayMs ?? 0
    if (delivery.endMs < firstStartMs + delayMs - TOLERANCE_MS) {
      report("early", `delivered ${String(Math.round(delivery.endMs - firstStartMs))} ms after a send with a delay`)
    }
  }
}

function judgeLoss({ sends, deliveries, settlements }: MessageHistory, report: Reporter): void {
  if (!sends.some(({ outcome }) => outcome === "ack")) return
  if (deliveries.length === 0) report("lost", "acknowledged and never delivered")
  else if (!settlements.some(({ kind, outcome }) => kind === "delete" && isPossible(outcome))) {
    report("lost", "acknowledged, delivered, never deleted, and gone")
  }
}

function judgeDeletes({ deliveries, settlements }: MessageHistory, report: Reporter): void {
  for (const settlement of settlements) {
    if (!isConfirmedDelete(settlement)) continue
    const later = deliveries.find(
      ({ startMs, dequeueCount }) => startMs >= settlement.endMs || dequeueCount > settlement.dequeueCount,
    )
    if (later === undefined) continue
    const how = `delivery ${String(later.dequeueCount)} at ${at(later.endMs)}`
    report("resurrected", `${how}, delete of ${String(settlement.dequeueCount)} confirmed at ${at(settlement.endMs)}`)
    return
  }
}

function judgeLeases(message: MessageHistory, report: Reporter): void {
  const deliveries = inOrder(message.deliveries)
  for (const [index, delivery] of deliveries.entries()) {
    const own = message.settlements
      .filter(({ dequeueCount }) => dequeueCount === delivery.dequeueCount)
      .sort((a, b) => a.startMs - b.startMs)
    const leaseEndMs = leaseEndOf(delivery, own)
    const next = deliveries[index + 1]
    if (next !== undefined && next.endMs < leaseEndMs - TOLERANCE_MS) {
      const aheadMs = Math.round(leaseEndMs - next.endMs)
      report("duplicatedInsideLease", `delivery ${String(next.dequeueCount)} came ${String(aheadMs)} ms too early`)
    }
    judgeRefusals({ message, delivery, own, leaseEndMs }, report)
  }
}

/**
 * Earliest end that the lease of a delivery can have. A lease begins no earlier than the attempt that got it, and it
 * ends no earlier than the broker says. What is unknown counts as if it had been carried out at once.
 */
function leaseEndOf(delivery: Delivery, own: readonly Settlement[]): number {
  let endMs = Math.max(delivery.startMs + delivery.visibilityMs, delivery.nextVisibleAtMs)
  for (const change of own) {
    if (change.kind !== "changeVisibility") continue
    if (change.outcome === "ack") endMs = change.startMs + change.visibilityMs
  }
  for (const change of own) {
    const isOpen = change.kind === "changeVisibility" && change.outcome === "unknown"
    if (isOpen) endMs = Math.min(endMs, change.startMs + change.visibilityMs)
  }
  return endMs
}

function judgeRefusals(
  lease: {
    readonly message: MessageHistory
    readonly delivery: Delivery
    readonly own: readonly Settlement[]
    readonly leaseEndMs: number
  },
  report: Reporter,
): void {
  for (const refused of lease.own) {
    if (refused.outcome !== "handleRefused" || refused.endMs >= lease.leaseEndMs - TOLERANCE_MS) continue
    const isExplained = lease.message.settlements.some((other) => {
      const mayHaveEnded = other.kind === "delete" || other.visibilityMs === 0
      return other !== refused && mayHaveEnded && isPossible(other.outcome) && other.startMs < refused.endMs
    })
    if (!isExplained) {
      report("handleRefusedInsideLease", `${refused.kind} of delivery ${String(lease.delivery.dequeueCount)} refused`)
    }
  }
}

/**
 * Starts, sorted, of receives that may have taken messages which then reached nobody: the outcome is unknown, or a fault
 * was there, in which case the node that was asked may have repeated the receive at another leader.
 */
function possibleGhosts({ receives, disturbances }: History): readonly number[] {
  return receives
    .filter(
      ({ startMs, endMs, outcome }) =>
        outcome === "unknown" || disturbances.some(({ fromMs, toMs }) => startMs <= toMs && endMs >= fromMs),
    )
    .map(({ startMs }) => startMs)
    .sort((a, b) => a - b)
}

function judgeCounts(message: MessageHistory, ghosts: readonly number[], report: Reporter): void {
  const deliveries = inOrder(message.deliveries)
  for (const [index, delivery] of deliveries.entries()) {
    const next = deliveries[index + 1]
    if (next?.dequeueCount === delivery.dequeueCount) {
      report("countWrong", `two deliveries say that they are number ${String(delivery.dequeueCount)}`)
    } else if (next !== undefined && next.endMs < delivery.startMs) {
      report("countWrong", `delivery ${String(next.dequeueCount)} came before ${String(delivery.dequeueCount)}`)
    }
    const unseen = delivery.dequeueCount - (index + 1)
    const explained = countBefore(ghosts, delivery.endMs)
    if (unseen > explained) {
      const text = `delivery ${String(delivery.dequeueCount)} is the ${String(index + 1)}. that arrived`
      report("countUnexplained", `${text}; ${String(explained)} receives before may have taken more than they brought`)
      return
    }
  }
}

/** What consumers were told in the seconds before the first delivery: one of them may have been given a ghost. */
function receivesBefore({ deliveries }: MessageHistory, { receives }: History): string {
  const toMs = Math.min(...deliveries.map(({ startMs }) => startMs))
  return receives
    .filter(({ startMs, endMs }) => endMs >= toMs - LOOK_BACK_MS && startMs < toMs)
    .map(({ client, startMs, endMs, answer }) => `\n    ${at(startMs)}..${at(endMs)} ${client}: received ${answer}`)
    .join("")
}

function inOrder(deliveries: readonly Delivery[]): readonly Delivery[] {
  return [...deliveries].sort((a, b) => a.dequeueCount - b.dequeueCount || a.endMs - b.endMs)
}

/** How many of the sorted times are before `timeMs`; binary search. */
function countBefore(times: readonly number[], timeMs: number): number {
  let low = 0
  let high = times.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((times[middle] ?? 0) < timeMs) low = middle + 1
    else high = middle
  }
  return low
}

function isConfirmedDelete({ kind, outcome }: Settlement): boolean {
  return kind === "delete" && outcome === "ack"
}

function isPossible(outcome: Settlement["outcome"]): boolean {
  return outcome === "ack" || outcome === "unknown"
}

function countByKind(violations: readonly Violation[]): Record<ViolationKind, number> {
  const counts = Object.fromEntries(VIOLATIONS.map((kind) => [kind, 0])) as Record<ViolationKind, number>
  for (const { kind } of violations) counts[kind] += 1
  return counts
}

function examplesOf(violations: readonly Violation[]): readonly Violation[] {
  return VIOLATIONS.flatMap((kind) => violations.filter((each) => each.kind === kind).slice(0, EXAMPLES_MAX))
}

/** Everything about a message in the order of time, for whoever has to understand a violation. */
function storyOf({ key, sends, deliveries, settlements }: MessageHistory): string {
  const events = [
    ...sends.map((each) => ({ each, what: `send ${each.outcome} ${each.msgId}` })),
    ...deliveries.map((each) => ({
      each,
      what: `receive ${String(each.dequeueCount)} of ${each.msgId} until ${at(each.nextVisibleAtMs)}, asked ${String(each.visibilityMs)} ms`,
    })),
    ...settlements.map((each) => ({
      each,
      what: `${each.kind} of ${String(each.dequeueCount)} ${each.outcome} (${String(each.visibilityMs)} ms)`,
    })),
  ].sort((a, b) => a.each.startMs - b.each.startMs)
  const lines = events.map(({ each, what }) => `    ${at(each.startMs)}..${at(each.endMs)} ${each.client}: ${what}`)
  return [`  message ${String(key)}`, ...lines].join("\n")
}

function at(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(11, 23)
}
