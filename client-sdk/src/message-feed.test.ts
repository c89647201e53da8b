import { expect, test } from "vitest"
import { eventually } from "../test-support/eventually.ts"
import { HeldTransport, receivedFields } from "../test-support/held-transport.ts"
import { ManualClock } from "../test-support/manual-clock.ts"
import { Account } from "./account.ts"

function stage() {
  const transport = new HeldTransport()
  const clock = new ManualClock()
  const keys = { endpoints: ["http://held:1"], secretId: "id", secretKey: "key" }
  const account = new Account({ ...keys, transport, clock, suspectAfterMs: 0, random: () => 0 })
  return { transport, clock, queue: account.queue("orders") }
}

const turns = async () => {
  for (let turn = 0; turn < 10; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
}

test("full answers open further polls, up to what is wanted; a short one closes them again", async () => {
  const { transport, queue } = stage()
  const consumer = queue.consumer({ concurrency: 80 }, () => new Promise(() => undefined))
  const asked = () => transport.attempts.map((each) => Number(each.params.get("numOfMsg")))
  expect(asked()).toEqual([16])
  transport.attempts[0]?.answer(receivedFields(16))
  await eventually(() => transport.attempts.length === 3)
  await turns()
  expect(asked()).toEqual([16, 16, 16])
  transport.attempts[1]?.answer(receivedFields(16))
  transport.attempts[2]?.answer(receivedFields(16))
  await eventually(() => transport.attempts.length === 5)
  await turns()
  // 48 are held, so two polls of 16 are all that is wanted.
  expect(asked()).toEqual([16, 16, 16, 16, 16])
  transport.attempts[3]?.answer(receivedFields(1))
  await turns()
  expect(asked()).toHaveLength(5)
  expect(consumer.heldCount).toBe(49)
})

test("what a poll brings after the stop was asked for is never begun and goes back at once", async () => {
  const { transport, queue, clock } = stage()
  const begun: string[] = []
  const consumer = queue.consumer({ concurrency: 2 }, (message) => {
    begun.push(message.body)
  })
  const stopped = consumer.stop()
  const poll = transport.attempts[0]
  expect(poll?.signal.aborted).toBe(true)
  poll?.answer(receivedFields(2))
  await eventually(() => transport.attempts.length === 3)
  for (const attempt of transport.attempts.slice(1)) {
    expect(attempt.action).toBe("ChangeMessageVisibility")
    expect(attempt.params.get("visibilityTimeout")).toBe("0")
    attempt.answer({})
  }
  expect(await stopped).toEqual({ finished: 0, givenBack: 2, abandoned: 0 })
  expect(begun).toEqual([])
  expect(clock.timerCount).toBe(0)
})

test("what a poll brings after the loop was left goes back too", async () => {
  const { transport, queue, clock } = stage()
  const messages = queue.consume()
  const next = messages.next()
  const left = messages.return?.()
  expect(await next).toEqual({ done: true, value: undefined })
  transport.attempts[0]?.answer(receivedFields(1))
  await eventually(() => transport.attempts.length === 2)
  expect(transport.attempts[1]?.params.get("visibilityTimeout")).toBe("0")
  transport.attempts[1]?.answer({})
  await left
  expect(clock.timerCount).toBe(0)
})
