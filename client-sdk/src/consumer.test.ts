import { expect, test } from "vitest"
import { eventually, gate } from "../test-support/eventually.ts"
import { ManualClock } from "../test-support/manual-clock.ts"
import { ScriptedServer } from "../test-support/scripted-server.ts"
import { Account } from "./account.ts"
import type { ConsumerOptions, MessageHandler } from "./consumer.ts"
import { CmqError } from "./cmq-error.ts"
import type { Queue } from "./queue.ts"

type Reported = Readonly<{ during: string; error: unknown }>

async function stage(server: ScriptedServer, messages: number) {
  const clock = new ManualClock()
  const account = new Account({ ...server.accountOptions, clock, suspectAfterMs: 0, random: () => 0 })
  const queue = await account.createQueue("orders")
  await fill(queue, messages)
  const reported: Reported[] = []
  const consume = (options: ConsumerOptions, handler: MessageHandler) =>
    queue.consumer(
      {
        waitSeconds: 30,
        onError: (error, { during }) => {
          reported.push({ during, error })
        },
        ...options,
      },
      handler,
    )
  return { clock, account, queue, reported, consume }
}

async function fill(queue: Queue, count: number): Promise<void> {
  const sender = queue.sender()
  await Promise.all(Array.from({ length: count }, (_, number) => sender.send(`m${String(number)}`)))
}

/** Forever, unless aborted. */
function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => {
      reject(signal.reason instanceof Error ? signal.reason : new Error("aborted"))
    })
  })
}

test("a handler that resolves deletes its message, one that throws gives it back; its return value means nothing", async () => {
  await using server = await ScriptedServer.start()
  const { account, consume, reported } = await stage(server, 3)
  const seen: string[] = []
  // A value that other libraries take for "not acknowledged".
  const handler = ((message) => {
    seen.push(message.body)
    if (message.body === "m1" && message.dequeueCount === 1) throw new Error("not yet")
    return Promise.resolve([] as unknown as void)
  }) satisfies MessageHandler
  const consumer = consume({ concurrency: 1, retryDelaySeconds: 0 }, handler)
  await server.until(() => server.bodiesOf("orders").length === 0)
  expect(await consumer.stop()).toMatchObject({ givenBack: 0, abandoned: 0 })
  expect([...seen].sort()).toEqual(["m0", "m1", "m1", "m2"])
  expect(consumer.counters).toEqual({ received: 4, deleted: 3, retried: 1, lost: 0, undecided: 0, extended: 0 })
  expect(reported).toMatchObject([{ during: "handler", error: { message: "not yet" } }])
  account.close()
})

test("concurrency rolls above one batch: 40 handlers at once, and a new message for each that finishes", async () => {
  await using server = await ScriptedServer.start()
  const { account, consume } = await stage(server, 100)
  const gates: (() => void)[] = []
  let running = 0
  let most = 0
  const consumer = consume({ concurrency: 40 }, async () => {
    running += 1
    most = Math.max(most, running)
    const { opened, open } = gate()
    gates.push(open)
    await opened
    running -= 1
  })
  await eventually(() => running === 40)
  expect(consumer.heldCount).toBe(40)
  // One finishes, and one more begins while the other 39 go on: nothing waits for a batch to be over.
  gates[0]?.()
  await eventually(() => gates.length === 41)
  expect(running).toBe(40)
  const openAll = setInterval(() => {
    for (const open of gates) open()
  }, 1)
  await server.until(() => server.bodiesOf("orders").length === 0)
  clearInterval(openAll)
  await consumer.stop()
  expect(most).toBe(40)
  expect(consumer.counters).toMatchObject({ received: 100, deleted: 100 })
  account.close()
})

test("it never holds more than concurrency and prefetch, whatever the polls ask for", async () => {
  await using server = await ScriptedServer.start()
  const { account, consume, clock } = await stage(server, 60)
  const consumer = consume({ concurrency: 3, prefetch: 2 }, (_, { signal }) => untilAborted(signal))
  await eventually(() => consumer.heldCount === 5)
  const asked = server.requestsOf("BatchReceiveMessage").map((each) => Number(each.params.get("numOfMsg")))
  expect(asked).toEqual([5])
  const inactive = server.state.queue("orders")?.counts(server.state.nowMs).inactiveMsgNum
  expect(inactive).toBe(5)
  const stopped = consumer.stop({ drainMs: 0 })
  clock.advance(0)
  expect(await stopped).toMatchObject({ finished: 3, givenBack: 2 })
  account.close()
})

test("an idle queue is watched by one poll, however high the concurrency", async () => {
  await using server = await ScriptedServer.start()
  const { account, consume } = await stage(server, 0)
  const consumer = consume({ concurrency: 200 }, () => undefined)
  await server.until(() => server.requestsOf("BatchReceiveMessage").length === 1)
  await new Promise<void>((resolve) => setImmediate(resolve))
  expect(server.requestsOf("BatchReceiveMessage")).toHaveLength(1)
  await consumer.stop()
  account.close()
})

test("stop truly stops: the poll ends on the broker too, and no request follows", async () => {
  await using server = await ScriptedServer.start()
  const { account, consume, queue } = await stage(server, 0)
  const consumer = consume({ concurrency: 5 }, () => undefined)
  await server.until(() => server.requestsOf("BatchReceiveMessage").length === 1)
  expect(await consumer.stop()).toEqual({ finished: 0, givenBack: 0, abandoned: 0 })
  await server.until(() => server.cancelledPolls === 1)
  const requestsThen = server.requests.length
  await queue.send("too late")
  expect(server.requests).toHaveLength(requestsThen + 1)
  expect(consumer.counters.received).toBe(0)
  account.close()
})

test("stop waits for handlers, deletes what they finish, and gives unstarted messages back at once", async () => {
  await using server = await ScriptedServer.start()
  const { account, consume, queue } = await stage(server, 10)
  const { opened, open } = gate()
  const consumer = consume({ concurrency: 2, prefetch: 5 }, () => opened)
  await eventually(() => consumer.heldCount === 7)
  const stopped = consumer.stop({ drainMs: 60_000 })
  // Visible to others while the handlers still run.
  await server.until(() => server.state.queue("orders")?.counts(server.state.nowMs).activeMsgNum === 8)
  open()
  expect(await stopped).toEqual({ finished: 2, givenBack: 5, abandoned: 0 })
  expect(consumer.counters).toMatchObject({ received: 7, deleted: 2, retried: 5 })
  expect(await queue.receiveBatch({ waitSeconds: 0 })).toHaveLength(8)
  expect(await consumer.stop()).toEqual({ finished: 2, givenBack: 5, abandoned: 0 })
  account.close()
})

test("messages that a poll brings in the moment of the stop go back at once", async () => {
  await using server = await ScriptedServer.start()
  const { account, consume, queue } = await stage(server, 4)
  const started: string[] = []
  const consumer = consume({ concurrency: 4 }, (message) => {
    started.push(message.body)
  })
  // The reply is on its way to the loop when stop is called: the poll's promise has resolved, its messages are not taken.
  const { opened, open } = gate()
  server.script("BatchReceiveMessage", [{ kind: "delayReply", until: opened }])
  await server.until(() => server.requestsOf("BatchReceiveMessage").length > 0)
  const stopped = consumer.stop()
  open()
  await stopped
  const { received, retried, deleted } = consumer.counters
  expect(received).toBe(retried + deleted)
  expect(started).toHaveLength(deleted)
  server.advance(30_000)
  expect(await queue.receiveBatch({ waitSeconds: 0 })).toHaveLength(4 - deleted)
  account.close()
})

test("handlers that outlast the drain are told by their signal, then left behind", async () => {
  await using server = await ScriptedServer.start()
  const { account, consume, clock, queue } = await stage(server, 2)
  const deaf = gate()
  const consumer = consume({ concurrency: 2 }, (message, { signal }) =>
    message.body === "m0" ? untilAborted(signal) : deaf.opened,
  )
  await eventually(() => consumer.heldCount === 2)
  await server.until(() => server.requestsOf("BatchReceiveMessage").length >= 1)
  const stopped = consumer.stop({ drainMs: 5_000 })
  await eventually(() => clock.timerCount > 0)
  clock.advance(5_000)
  // The one that listens ends, and its message goes back; the deaf one has a second of grace.
  await eventually(() => consumer.counters.retried === 1)
  clock.advance(1_000)
  expect(await stopped).toEqual({ finished: 1, givenBack: 0, abandoned: 1 })
  expect((await queue.receive({ waitSeconds: 0 }))?.body).toBe("m0")
  // Late, but the message is still ours: what was done is not done again.
  deaf.open()
  await eventually(() => consumer.counters.deleted === 1)
  account.close()
})

test("the heartbeat keeps a long message hidden, in its handler and before it", async () => {
  await using server = await ScriptedServer.start()
  const { account, consume, clock, queue } = await stage(server, 2)
  const { opened, open } = gate()
  const consumer = consume({ concurrency: 1, prefetch: 1, visibilityTimeoutSeconds: 30 }, () => opened)
  await eventually(() => consumer.heldCount === 2)
  for (let renewal = 1; renewal <= 10; renewal++) {
    clock.advance(15_000)
    await eventually(() => consumer.counters.extended === 2 * renewal)
    server.advance(15_000)
  }
  expect(await queue.receive({ waitSeconds: 0 })).toBeUndefined()
  const handles = server.requestsOf("ChangeMessageVisibility").map((each) => each.params.get("receiptHandle"))
  expect(new Set(handles).size).toBe(2)
  open()
  await server.until(() => server.bodiesOf("orders").length === 0)
  await consumer.stop()
  expect(consumer.counters).toMatchObject({ deleted: 2, lost: 0 })
  account.close()
})

test("the heartbeat never races the delete: a renewal under way is awaited, and none follows", async () => {
  await using server = await ScriptedServer.start()
  const { account, consume, clock, reported } = await stage(server, 1)
  const handler = gate()
  const renewal = gate()
  const consumer = consume({ concurrency: 1, visibilityTimeoutSeconds: 30 }, () => handler.opened)
  await eventually(() => consumer.heldCount === 1)
  server.script("ChangeMessageVisibility", [{ kind: "delayBefore", until: renewal.opened }])
  clock.advance(15_000)
  await server.until(() => server.requestsOf("ChangeMessageVisibility").length === 1)
  handler.open()
  // The handler is done, the renewal is not: no delete may be sent.
  for (let turn = 0; turn < 20; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
  expect(server.requestsOf("BatchDeleteMessage")).toHaveLength(0)
  renewal.open()
  await eventually(() => consumer.counters.deleted === 1)
  await server.until(() => server.requestsOf("BatchReceiveMessage").length === 2)
  // Only the next poll's limit is left: no renewal is planned any more.
  expect(clock.timerCount).toBe(1)
  await consumer.stop()
  const order = server.requests.map((each) => each.action).filter((each) => /Change|Delete/.test(each))
  expect(order).toEqual(["ChangeMessageVisibility", "BatchDeleteMessage"])
  expect(consumer.counters).toMatchObject({ deleted: 1, lost: 0, extended: 1 })
  expect(reported).toEqual([])
  account.close()
})

test("when the handle is lost the handler's signal aborts, and nothing is settled for it", async () => {
  await using server = await ScriptedServer.start()
  const { account, consume, clock, reported } = await stage(server, 1)
  const reasons: unknown[] = []
  const consumer = consume({ concurrency: 1, visibilityTimeoutSeconds: 30 }, async (message, { signal }) => {
    if (message.dequeueCount > 1) return
    await untilAborted(signal).catch((reason: unknown) => reasons.push(reason))
  })
  await eventually(() => consumer.heldCount === 1)
  const stored = server.state.queue("orders")?.messages[0]
  server.state.queue("orders")?.takeAway(stored?.msgId ?? "", server.state.nowMs + 1_000_000)
  clock.advance(15_000)
  await eventually(() => reasons.length === 1)
  expect(reasons[0]).toMatchObject({ name: "receiptHandleInvalid" })
  await eventually(() => consumer.heldCount === 0)
  expect(server.requestsOf("BatchDeleteMessage")).toHaveLength(0)
  expect(consumer.counters).toMatchObject({ received: 1, lost: 1, deleted: 0, retried: 0 })
  expect(reported).toMatchObject([{ during: "lost", error: { name: "receiptHandleInvalid" } }])
  await consumer.stop()
  account.close()
})

test("a message that is lost before its handler began is never handled", async () => {
  await using server = await ScriptedServer.start()
  const { account, consume, clock } = await stage(server, 2)
  const { opened, open } = gate()
  const seen: string[] = []
  const consumer = consume({ concurrency: 1, prefetch: 1, visibilityTimeoutSeconds: 30 }, async (message) => {
    seen.push(message.body)
    await opened
  })
  await eventually(() => consumer.heldCount === 2)
  const waiting = server.state.queue("orders")?.messages.find((each) => each.body !== seen[0])
  server.state.queue("orders")?.takeAway(waiting?.msgId ?? "", server.state.nowMs + 1_000_000)
  clock.advance(15_000)
  await eventually(() => consumer.counters.lost === 1)
  open()
  await server.until(() => server.bodiesOf("orders").length === 1)
  await consumer.stop()
  expect(seen).toHaveLength(1)
  account.close()
})

test("a renewal that fails is tried again while there is time, then the message counts as lost", async () => {
  await using server = await ScriptedServer.start()
  const { account, consume, clock, reported } = await stage(server, 1)
  const lost: unknown[] = []
  const consumer = consume({ concurrency: 1, visibilityTimeoutSeconds: 30 }, (_, { signal }) =>
    untilAborted(signal).catch((reason: unknown) => {
      lost.push(reason)
    }),
  )
  await eventually(() => consumer.heldCount === 1)
  server.script(
    "ChangeMessageVisibility",
    Array.from({ length: 100 }, () => ({ kind: "answer", status: 403, body: "" }) as const),
  )
  let failures = 0
  clock.advance(15_000)
  while (lost.length === 0) {
    await eventually(() => reported.length > failures || lost.length > 0)
    failures = reported.length
    clock.advance(15_000 * 0.25)
  }
  expect(lost[0]).toBeInstanceOf(CmqError)
  expect(lost[0]).toMatchObject({ name: "timedOut" })
  expect(reported.filter((each) => each.during === "extend").length).toBeGreaterThan(2)
  expect(consumer.counters.lost).toBe(1)
  await consumer.stop()
  account.close()
})

test("a delete whose answer is lost is repeated, and what was done by the first attempt counts as done", async () => {
  await using server = await ScriptedServer.start()
  const { account, consume, reported } = await stage(server, 1)
  server.script("BatchDeleteMessage", [{ kind: "dropAfter" }])
  const consumer = consume({ concurrency: 1 }, () => undefined)
  await eventually(() => consumer.counters.deleted === 1)
  await consumer.stop()
  expect(server.requestsOf("BatchDeleteMessage")).toHaveLength(2)
  expect(consumer.counters).toMatchObject({ deleted: 1, lost: 0, undecided: 0 })
  expect(reported).toEqual([])
  account.close()
})

test("a delete that fails for good leaves its message undecided, and says so", async () => {
  await using server = await ScriptedServer.start()
  const { account, consume, reported } = await stage(server, 1)
  server.script("BatchDeleteMessage", [{ kind: "answer", status: 403, body: "" }])
  const consumer = consume({ concurrency: 1 }, () => undefined)
  await eventually(() => consumer.counters.undecided === 1)
  await consumer.stop()
  expect(reported).toMatchObject([{ during: "delete", error: { name: "replyUnreadable", outcome: "notApplied" } }])
  account.close()
})

test("deletes of handlers that finish together share requests", async () => {
  await using server = await ScriptedServer.start()
  const { account, consume } = await stage(server, 32)
  const { opened, open } = gate()
  const consumer = consume({ concurrency: 32 }, () => opened)
  await eventually(() => consumer.heldCount === 32)
  open()
  await server.until(() => server.bodiesOf("orders").length === 0)
  await consumer.stop()
  expect(server.requestsOf("BatchDeleteMessage")).toHaveLength(2)
  expect(server.requestsOf("DeleteMessage")).toHaveLength(0)
  account.close()
})

test("errors of polling go to the hook and never end the loop, not even an error of the hook", async () => {
  await using server = await ScriptedServer.start()
  const { account, consume, clock, reported } = await stage(server, 1)
  const errors = ["noLeader", "queueNotFound", "authenticationFailed", "receiveFailed"] as const
  server.script(
    "BatchReceiveMessage",
    errors.map((error) => ({ kind: "refuse", error }) as const),
  )
  const consumer = consume(
    {
      onError: (error) => {
        reported.push({ during: "receive", error })
        if (reported.length === 1) throw new Error("hook")
      },
    },
    () => undefined,
  )
  for (let failure = 1; failure <= errors.length; failure++) {
    await eventually(() => reported.length === failure)
    clock.advance(20_000)
  }
  await eventually(() => consumer.counters.deleted === 1)
  await consumer.stop()
  expect(reported.map((each) => (each.error as CmqError).name)).toEqual([...errors])
  account.close()
})

test("a delay for messages whose handler threw may depend on how often they were received", async () => {
  await using server = await ScriptedServer.start()
  const { account, consume } = await stage(server, 1)
  const consumer = consume({ concurrency: 1, retryDelaySeconds: (message) => 10 * message.dequeueCount }, () => {
    throw new Error("no")
  })
  await eventually(() => consumer.counters.retried === 1)
  server.advance(10_000)
  await eventually(() => consumer.counters.retried === 2)
  await consumer.stop()
  const delays = server.requestsOf("ChangeMessageVisibility").map((each) => each.params.get("visibilityTimeout"))
  expect(delays).toEqual(["10", "20"])
  account.close()
})

test("a handler may settle its message itself; nothing is done twice", async () => {
  await using server = await ScriptedServer.start()
  const { account, consume } = await stage(server, 2)
  const consumer = consume({ concurrency: 2 }, async (message) => {
    if (message.body === "m0") await message.delete()
    else {
      await message.retry({ delaySeconds: 100 })
      throw new Error("after settling")
    }
  })
  await eventually(() => consumer.counters.deleted + consumer.counters.retried === 2)
  await consumer.stop()
  expect(server.requestsOf("BatchDeleteMessage")).toHaveLength(1)
  expect(server.requestsOf("ChangeMessageVisibility")).toHaveLength(1)
  account.close()
})

test("a handler that takes too long is told, is no longer kept hidden, and may still finish", async () => {
  await using server = await ScriptedServer.start()
  const { account, consume, clock } = await stage(server, 1)
  const consumer = consume(
    { concurrency: 1, visibilityTimeoutSeconds: 30, maxProcessingSeconds: 40 },
    async (_, { signal }) => {
      await untilAborted(signal).catch(() => undefined)
    },
  )
  await eventually(() => consumer.heldCount === 1)
  clock.advance(15_000)
  await eventually(() => consumer.counters.extended === 1)
  clock.advance(15_000)
  await eventually(() => consumer.counters.extended === 2)
  clock.advance(10_000)
  await server.until(() => server.bodiesOf("orders").length === 0)
  await consumer.stop()
  expect(consumer.counters).toMatchObject({ deleted: 1, lost: 0 })
  account.close()
})

test("the signal of the options stops it, and so does leaving its block", async () => {
  await using server = await ScriptedServer.start()
  const { account, consume } = await stage(server, 0)
  const controller = new AbortController()
  const bySignal = consume({ signal: controller.signal }, () => undefined)
  await server.until(() => server.requestsOf("BatchReceiveMessage").length === 1)
  controller.abort()
  await server.until(() => server.cancelledPolls === 1)
  await bySignal.stop()
  {
    await using _ = consume({}, () => undefined)
    await server.until(() => server.requestsOf("BatchReceiveMessage").length === 2)
  }
  await server.until(() => server.cancelledPolls === 2)
  account.close()
})

test("options outside their range are refused", async () => {
  await using server = await ScriptedServer.start()
  const { account, consume } = await stage(server, 0)
  for (const options of [
    { concurrency: 0 },
    { concurrency: 1.5 },
    { visibilityTimeoutSeconds: 0 },
    { waitSeconds: 31 },
    { retryDelaySeconds: -1 },
  ]) {
    expect(() => consume(options, () => undefined)).toThrow(RangeError)
  }
  expect(() => consume({ concurrency: 0 }, () => undefined)).toThrow(
    "concurrency must be a whole number from 1 to 10000; given was 0",
  )
  account.close()
})

test("a message given back while stopping is never handed to a poll of the same consumer", async () => {
  await using server = await ScriptedServer.start()
  const { account, consume, queue } = await stage(server, 3)
  // One handler's slot is free, so a poll waits on the broker while messages are being given back.
  const { opened, open } = gate()
  const consumer = consume({ concurrency: 1, prefetch: 3 }, () => opened)
  await server.until(() => server.requestsOf("BatchReceiveMessage").length === 2)
  const stopped = consumer.stop()
  await server.until(() => server.cancelledPolls === 1)
  open()
  expect(await stopped).toEqual({ finished: 1, givenBack: 2, abandoned: 0 })
  expect(await queue.receiveBatch({ waitSeconds: 0 })).toHaveLength(2)
  account.close()
})

test("a handler that always throws sees its message again after growing delays, not at once", async () => {
  await using server = await ScriptedServer.start()
  const { account, consume } = await stage(server, 1)
  const consumer = consume({ concurrency: 1 }, () => {
    throw new Error("never")
  })
  for (let failure = 1; failure <= 9; failure++) {
    await eventually(() => consumer.counters.retried === failure)
    // It stays hidden: were it not, the long poll would have brought it.
    expect(server.state.queue("orders")?.counts(server.state.nowMs).activeMsgNum).toBe(0)
    server.advance(60_000)
  }
  const delays = server.requestsOf("ChangeMessageVisibility").map((each) => each.params.get("visibilityTimeout"))
  // The account's `random` gives 0: the shorter end of each range.
  expect(delays.slice(0, 9)).toEqual(["1", "1", "2", "4", "8", "16", "30", "30", "30"])
  await consumer.stop()
  account.close()
})

test("the delay after a failure is the user's: a number, a function, and the default where it gives none", async () => {
  await using server = await ScriptedServer.start()
  const { account, consume, reported } = await stage(server, 1)
  const given = [7, 2.5, 1e9, Number.NaN, -1]
  const consumer = consume(
    { concurrency: 1, retryDelaySeconds: (message) => given[message.dequeueCount - 1] ?? 0 },
    () => {
      throw new Error("never")
    },
  )
  for (let failure = 1; failure <= given.length; failure++) {
    await eventually(() => consumer.counters.retried === failure)
    server.advance(43_200_000)
  }
  await consumer.stop()
  const delays = server.requestsOf("ChangeMessageVisibility").map((each) => each.params.get("visibilityTimeout"))
  expect(delays.slice(0, given.length)).toEqual(["7", "3", "43200", "4", "8"])
  expect(reported.filter((each) => each.during === "retry")).toMatchObject([
    { error: { message: "retryDelaySeconds must give a number of seconds, 0 or more; it gave NaN" } },
    { error: { message: "retryDelaySeconds must give a number of seconds, 0 or more; it gave -1" } },
  ])
  account.close()
})

test("a consumer without a handler is refused at once", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue } = await stage(server, 0)
  const consumer = queue.consumer.bind(queue) as (...given: unknown[]) => unknown
  const wanted = "handler, the second argument of queue.consumer(options, handler), must be a function"
  expect(() => consumer({ concurrency: 5 })).toThrow(new TypeError(`${wanted}; given was undefined`))
  expect(() => consumer(() => undefined)).toThrow(new TypeError("options must be an object; given was a function"))
  expect(() => consumer({ retryDelaySeconds: "5" }, () => undefined)).toThrow(TypeError)
  expect(server.requestsOf("BatchReceiveMessage")).toHaveLength(0)
  account.close()
})
