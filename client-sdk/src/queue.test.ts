import { expect, test } from "vitest"
import { ScriptedServer } from "../test-support/scripted-server.ts"
import { Account } from "./account.ts"

test("a message that was sent is received with its body, attributes and times, and deleted", async () => {
  await using server = await ScriptedServer.start()
  using account = new Account(server.accountOptions)
  const queue = await account.createQueue("orders", { visibilityTimeoutSeconds: 60 })
  const sent = await queue.send("héllo & = + / 你好", {
    attributes: { traceparent: "00-1", blob: new Uint8Array([0, 255]) },
  })
  expect(sent.duplicate).toBe(false)
  const message = await queue.receive({ waitSeconds: 0 })
  expect(message?.msgId).toBe(sent.msgId)
  expect(message?.body).toBe("héllo & = + / 你好")
  expect(Buffer.from(message?.bytes ?? []).toString("utf8")).toBe("héllo & = + / 你好")
  expect(message?.attributes).toEqual(
    new Map<string, unknown>([
      ["traceparent", "00-1"],
      ["blob", new Uint8Array([0, 255])],
    ]),
  )
  expect(message?.dequeueCount).toBe(1)
  expect(message?.nextVisibleTime).toBeInstanceOf(Date)
  expect(message?.deadLetter).toBeUndefined()
  await message?.delete()
  expect(server.bodiesOf("orders")).toEqual([])
  expect(await queue.receive({ waitSeconds: 0 })).toBeUndefined()
})
