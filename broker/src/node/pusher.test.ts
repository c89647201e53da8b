import { expect, test } from "vitest"
import { MachineDriver } from "../../test/transcripts/queue/machine-driver.ts"
import type { OutgoingPush, PushResult, PushTransport } from "../ports.ts"
import { Pusher } from "./pusher.ts"

const URL = "http://203.0.113.7/"

/** Pushes that the test answers one by one. */
class OpenPushes implements PushTransport {
  readonly seen: OutgoingPush[] = []
  readonly open: { readonly push: OutgoingPush; readonly done: (result: PushResult) => void }[] = []

  push(push: OutgoingPush, done: (result: PushResult) => void): void {
    this.seen.push(push)
    this.open.push({ push, done })
  }

  /** Answers the oldest of this subscription; its body. */
  answer(result: PushResult, subscriptionName = "sub"): string {
    const index = this.open.findIndex(({ push }) => push.subscriptionName === subscriptionName)
    const [first] = this.open.splice(index, index === -1 ? 0 : 1)
    if (first === undefined) throw new Error("no push is open")
    first.done(result)
    return Buffer.from(first.push.body).toString()
  }

  get openBodies(): string[] {
    return this.open.map(({ push }) => Buffer.from(push.body).toString())
  }
}

/** A leader whose proposals wait until the test lets them be applied. */
class Leader {
  readonly driver = new MachineDriver()
  readonly pushes = new OpenPushes()
  isRefusing = false
  #proposed: (() => void)[] = []

  readonly pusher = new Pusher({
    setId: 0,
    transport: this.pushes,
    machine: () => this.driver.machine,
    readRecords: ({ count, entryIndexes, offsets, lengths }, done) => {
      const place = (index: number) => ({
        entryIndex: entryIndexes[index] ?? 0,
        offset: offsets[index] ?? 0,
        length: lengths[index] ?? 0,
      })
      done(
        undefined,
        Array.from({ length: count }, (_, index) => this.driver.recordBytes(place(index))),
      )
    },
    propose: (append, done) => {
      if (this.isRefusing) {
        done(false)
        return
      }
      this.#proposed.push(() => {
        this.driver.run(append)
        done(true)
      })
    },
  })

  /** Applies what was proposed; returns how many commands that were. */
  apply(): number {
    const proposed = this.#proposed
    this.#proposed = []
    for (const run of proposed) run()
    this.pusher.wake(this.driver.machine.takeWakened())
    return proposed.length
  }

  publish(...bodies: string[]): void {
    this.driver.publish("news", bodies, { tags: ["a", "b"] })
    this.pusher.wake(this.driver.machine.takeWakened())
  }
}

function leader(): Leader {
  const made = new Leader()
  made.driver.createTopic("news")
  made.driver.subscribe("news", URL, { notifyContentFormat: "json" })
  return made
}

test("one message after the other, ahead of the reports, each with what a receiver needs", () => {
  const made = leader()
  made.publish("a", "b", "c")
  expect(made.pushes.openBodies).toEqual(["a"])
  made.pushes.answer("delivered")
  made.pushes.answer("delivered")
  expect(made.pushes.openBodies).toEqual(["c"])
  expect(made.driver.waiting(2)).toHaveLength(3)
  // Of "a" alone: the report was on its way when "b" was delivered.
  expect(made.apply()).toBe(1)
  expect(made.driver.waiting(2)).toHaveLength(2)
  made.pushes.answer("delivered")
  while (made.apply() > 0) continue
  expect(made.driver.waiting(2)).toHaveLength(0)
  expect([made.pusher.laneCount, made.pusher.isBusy]).toEqual([0, false])
  const ids = made.pushes.seen.map(({ msgId }) => msgId)
  expect(new Set(ids).size).toBe(3)
  expect(made.pushes.seen[0]).toMatchObject({
    url: URL,
    topicName: "news",
    subscriptionName: "sub",
    notifyContentFormat: "json",
    tags: ["a", "b"],
    publishedAtMs: made.driver.nowMs,
  })
})

test("a refused message is tried again when the machine says so, and holds up those behind it", () => {
  const made = leader()
  made.publish("a", "b")
  made.pushes.answer("failed")
  expect(made.pushes.openBodies).toEqual([])
  made.apply()
  expect(made.pusher.isBusy).toBe(false)
  made.publish("c")
  expect(made.pushes.openBodies).toEqual([])
  made.driver.advance(1000)
  made.pusher.wake(made.driver.machine.takeWakened())
  expect(made.pushes.openBodies).toEqual(["a"])
  for (const body of ["a", "b", "c"]) expect(made.pushes.answer("delivered")).toBe(body)
  while (made.apply() > 0) continue
  expect(made.driver.waiting(2)).toEqual([])
})

test("a dead subscriber does not slow another one", () => {
  const made = leader()
  made.driver.subscribe("news", URL, { subscriptionName: "alive" })
  made.publish("a", "b")
  expect(made.pushes.openBodies).toEqual(["a", "a"])
  made.pushes.answer("delivered", "alive")
  made.pushes.answer("delivered", "alive")
  made.pushes.answer("failed")
  while (made.apply() > 0) continue
  expect(made.driver.waiting(3)).toEqual([])
  expect(made.driver.waiting(2)).toHaveLength(2)
})

test("for want of room nothing fails: the push comes again with the next tick", () => {
  const made = leader()
  made.publish("a")
  made.pushes.answer("busy")
  expect([made.pushes.openBodies, made.pusher.isBusy]).toEqual([[], true])
  made.pusher.tick()
  expect(made.pushes.answer("delivered")).toBe("a")
  made.apply()
  expect(made.driver.machine.subscriptionStatus(2)).toMatchObject({ deliveredCount: 1, failureCount: 0 })
  expect(made.pusher.isBusy).toBe(false)
})

test("a message that comes while there is no room does not start a second lane", () => {
  const made = leader()
  made.publish("a")
  made.pushes.answer("busy")
  made.publish("b")
  expect(made.pushes.openBodies).toEqual([])
  made.pusher.tick()
  expect(made.pushes.openBodies).toEqual(["a"])
  made.pushes.answer("delivered")
  made.pushes.answer("delivered")
  while (made.apply() > 0) continue
  expect(made.pushes.seen.map(({ body }) => Buffer.from(body).toString())).toEqual(["a", "a", "b"])
  expect(made.driver.waiting(2)).toEqual([])
})

test("a report that was refused is made again with the next tick", () => {
  const made = leader()
  made.isRefusing = true
  made.publish("a")
  made.pushes.answer("delivered")
  expect(made.pusher.laneCount).toBe(1)
  made.isRefusing = false
  made.pusher.tick()
  expect(made.apply()).toBe(1)
  expect(made.driver.waiting(2)).toEqual([])
  expect(made.pushes.seen).toHaveLength(1)
})

test("what is answered after the lead was lost is not heeded; the next leader pushes again and skips nothing", () => {
  const made = leader()
  made.publish("a", "b")
  made.pusher.stop()
  made.pushes.answer("delivered")
  expect(made.apply()).toBe(0)
  made.pusher.start()
  expect(made.pushes.openBodies).toEqual(["a"])
})

test("an unsubscribed lane ends", () => {
  const made = leader()
  made.publish("a", "b")
  made.driver.run((builder) => {
    builder.addAdmin({ kind: "unsubscribe", topicName: "news", subscriptionName: "sub" })
  })
  made.pushes.answer("delivered")
  expect(made.pushes.openBodies).toEqual([])
  while (made.apply() > 0) continue
  expect(made.pusher.isBusy).toBe(false)
})
