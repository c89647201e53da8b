import { expect, test } from "vitest"
import { eventually } from "../test-support/eventually.ts"
import { ManualClock } from "../test-support/manual-clock.ts"
import { ScriptedServer } from "../test-support/scripted-server.ts"
import { Account } from "./account.ts"
import type { Message } from "./message.ts"

async function stage(server: ScriptedServer, bodies: readonly string[]) {
  const clock = new ManualClock()
  const account = new Account({ ...server.accountOptions, clock, suspectAfterMs: 0, random: () => 0 })
  const queue = await account.createQueue("orders")
  if (bodies.length > 0) await queue.sendBatch(bodies)
  return { clock, account, queue }
}

test("a loop receives message by message, and leaving it ends the poll", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue } = await stage(server, ["a", "b", "c"])
  const bodies: string[] = []
  for await (const message of queue.consume({ waitSeconds: 30 })) {
    bodies.push(message.body)
    await message.delete()
    if (bodies.length === 3) break
  }
  expect(bodies).toEqual(["a", "b", "c"])
  expect(server.bodiesOf("orders")).toEqual([])
  account.close()
})

test("an aborted signal ends the loop without an error, and the poll on the broker too", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue } = await stage(server, [])
  const controller = new AbortController()
  const finished = (async () => {
    for await (const message of queue.consume({ signal: controller.signal, waitSeconds: 30 })) await message.delete()
  })()
  await server.until(() => server.requestsOf("BatchReceiveMessage").length === 1)
  controller.abort()
  await finished
  await server.until(() => server.cancelledPolls === 1)
  account.close()
})

test("with concurrency 1 a message that is not settled is let go: it is not kept hidden any more", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue, clock } = await stage(server, ["a", "b"])
  const messages = queue.consume({ visibilityTimeoutSeconds: 30 })
  const first = await messages.next()
  const second = await messages.next()
  expect([first.value?.body, second.value?.body]).toEqual(["a", "b"])
  clock.advance(15_000)
  await server.until(() => server.requestsOf("ChangeMessageVisibility").length === 1)
  expect(server.requestsOf("ChangeMessageVisibility")[0]?.params.get("receiptHandle")).toBe(second.value?.receiptHandle)
  await messages.return?.()
  account.close()
})

test("above 1 the loop waits while so many messages are not settled", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue } = await stage(server, ["a", "b", "c"])
  const messages = queue.consume({ concurrency: 2, waitSeconds: 30 })
  const held: (Message | undefined)[] = [(await messages.next()).value, (await messages.next()).value]
  let isThere = false
  const third = messages.next().then((result) => {
    isThere = true
    return result
  })
  for (let turn = 0; turn < 20; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
  expect(isThere).toBe(false)
  await held[0]?.delete()
  expect((await third).value?.body).toBe("c")
  await messages.return?.()
  account.close()
})

test("leaving gives back at once what was fetched and not handed out", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue } = await stage(server, ["a", "b", "c", "d"])
  for await (const message of queue.consume({ concurrency: 4 })) {
    await message.delete()
    break
  }
  expect((await queue.receiveBatch({ waitSeconds: 0 })).map((each) => each.body)).toEqual(["b", "c", "d"])
  account.close()
})

test("after its end it hands out nothing more", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue } = await stage(server, ["a"])
  const messages = queue.consume()
  await messages.return?.()
  expect(await messages.next()).toEqual({ done: true, value: undefined })
  expect(server.requestsOf("BatchReceiveMessage")).toHaveLength(0)
  account.close()
})

test("errors of polling go to the hook, and the loop goes on", async () => {
  await using server = await ScriptedServer.start()
  const { account, queue, clock } = await stage(server, ["a"])
  server.script("BatchReceiveMessage", [{ kind: "refuse", error: "noLeader" }])
  const errors: unknown[] = []
  const messages = queue.consume({ onError: (error) => errors.push(error) })
  const next = messages.next()
  await eventually(() => errors.length === 1)
  clock.advance(100)
  expect((await next).value?.body).toBe("a")
  await messages.return?.()
  account.close()
})
