/**
 * Judges what one publisher, one address and one queue behind a topic have seen. One message is published after the other,
 * so the keys are in the order of publication; of a message whose outcome is unknown nobody knows when it was published.
 */
import type { AttemptOutcome } from "./history.ts"

export interface TopicHistory {
  /** By key. */
  readonly published: Map<number, AttemptOutcome>
  /** Keys in the order in which the address took them; an address may get a message twice. */
  readonly pushed: number[]
  /** In the order in which the queue's only consumer received them. */
  readonly received: { readonly key: number; readonly msgId: string; readonly dequeueCount: number }[]
  /** Bodies that were not whole, or nobody's. */
  readonly corruptBodies: string[]
}

export interface TopicTally {
  readonly published: number
  readonly acknowledged: number
  readonly unknown: number
  readonly pushed: number
  readonly pushedAgain: number
  readonly received: number
}

export function emptyTopicHistory(): TopicHistory {
  return { published: new Map(), pushed: [], received: [], corruptBodies: [] }
}

export function tallyTopic({ published, pushed, received }: TopicHistory): TopicTally {
  const outcomes = [...published.values()]
  return {
    published: published.size,
    acknowledged: outcomes.filter((outcome) => outcome === "ack").length,
    unknown: outcomes.filter((outcome) => outcome === "unknown").length,
    pushed: pushed.length,
    pushedAgain: pushed.length - new Set(pushed).size,
    received: received.length,
  }
}

/** Acknowledged and not there yet. */
export function missingKeys({ published, pushed, received }: TopicHistory): {
  readonly pushes: readonly number[]
  readonly receives: readonly number[]
} {
  const acknowledged = [...published].filter(([, outcome]) => outcome === "ack").map(([key]) => key)
  const pushedKeys = new Set(pushed)
  const receivedKeys = new Set(received.map(({ key }) => key))
  return {
    pushes: acknowledged.filter((key) => !pushedKeys.has(key)),
    receives: acknowledged.filter((key) => !receivedKeys.has(key)),
  }
}

/** Everything that is wrong, in words. */
export function judgeTopic(history: TopicHistory): readonly string[] {
  const { published, pushed, received, corruptBodies } = history
  const { pushes, receives } = missingKeys(history)
  const firstDeliveries = received.filter(({ dequeueCount }) => dequeueCount === 1).map(({ key }) => key)
  return [
    ...complaint("acknowledged, but never pushed", pushes),
    ...complaint("acknowledged, but never received", receives),
    ...complaint("pushed, but not published", strangers(pushed, published)),
    ...complaint("received, but not published", strangers(firstDeliveries, published)),
    ...complaint("pushed out of order", outOfOrder([...new Set(pushed)], published)),
    ...complaint("received out of order", outOfOrder(firstDeliveries, published)),
    ...complaint("twice in the queue", storedTwice(received)),
    ...complaint("not whole", corruptBodies),
  ]
}

function complaint(what: string, examples: readonly (number | string)[]): readonly string[] {
  if (examples.length === 0) return []
  return [`topic: ${String(examples.length)} x ${what}: ${examples.slice(0, 5).join(", ")}`]
}

function strangers(keys: readonly number[], published: TopicHistory["published"]): readonly number[] {
  return keys.filter((key) => (published.get(key) ?? "refused") === "refused")
}

/** Those that came behind a later one; unknown ones may have been published at any time. */
function outOfOrder(keys: readonly number[], published: TopicHistory["published"]): readonly number[] {
  let newest = 0
  return keys
    .filter((key) => published.get(key) === "ack")
    .filter((key) => {
      const isLate = key < newest
      newest = Math.max(newest, key)
      return isLate
    })
}

function storedTwice(received: TopicHistory["received"]): readonly number[] {
  const ids = new Map<number, string>()
  const twice = new Set<number>()
  for (const { key, msgId } of received) {
    if ((ids.get(key) ?? msgId) !== msgId) twice.add(key)
    ids.set(key, msgId)
  }
  return [...twice]
}
