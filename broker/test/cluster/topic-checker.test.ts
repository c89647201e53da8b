// Every kind of violation of the topic's promises, planted in a short history; what is allowed must pass.
import { expect, test } from "vitest"
import { emptyTopicHistory, judgeTopic, tallyTopic } from "./topic-checker.ts"
import type { TopicHistory } from "./topic-checker.ts"

/** Five acknowledged messages, pushed and received in order. */
function sound(): TopicHistory {
  const history = emptyTopicHistory()
  for (let key = 1; key <= 5; key++) {
    history.published.set(key, "ack")
    history.pushed.push(key)
    history.received.push({ key, msgId: `m${String(key)}`, dequeueCount: 1 })
  }
  return history
}

test("repeats, late unknown ones and refused ones are allowed", () => {
  const history = sound()
  history.published.set(6, "unknown")
  history.published.set(7, "refused")
  history.published.set(8, "ack")
  history.pushed.push(8, 2, 6, 8)
  history.received.push({ key: 8, msgId: "m8", dequeueCount: 1 }, { key: 6, msgId: "m6", dequeueCount: 1 })
  history.received.push({ key: 3, msgId: "m3", dequeueCount: 2 })
  expect(judgeTopic(history)).toEqual([])
  expect(tallyTopic(history)).toMatchObject({ published: 8, acknowledged: 6, unknown: 1, pushed: 9, pushedAgain: 2 })
})

const planted: readonly (readonly [string, (history: TopicHistory) => void])[] = [
  ["never pushed", ({ pushed }) => void pushed.splice(2, 1)],
  ["never received", ({ received }) => void received.splice(2, 1)],
  ["pushed, but not published", ({ pushed }) => void pushed.push(9)],
  ["received, but not published", ({ published }) => void published.set(5, "refused")],
  ["pushed out of order", ({ pushed }) => void pushed.splice(0, 2, 2, 1)],
  ["received out of order", ({ received }) => void received.reverse()],
  ["twice in the queue", ({ received }) => void received.push({ key: 1, msgId: "other", dequeueCount: 1 })],
  ["not whole", ({ corruptBodies }) => void corruptBodies.push("?")],
]

test.each(planted)("%s is noticed", (what, plant) => {
  const history = sound()
  plant(history)
  expect(judgeTopic(history).join()).toContain(what)
})
