import { expect, test } from "vitest"
import { rejection } from "../test-support/eventually.ts"
import { ScriptedServer } from "../test-support/scripted-server.ts"
import { Account } from "./account.ts"

/** As a program in JavaScript calls it. */
function newAccount(...given: unknown[]): unknown {
  return Reflect.construct(Account, given)
}

const keys = { secretId: "id", secretKey: "key" }
const endpoints = ["http://127.0.0.1:7070"]
const address = 'an array of addresses like "http://127.0.0.1:7070"'

test.for([
  [undefined, "the options of an Account must be an object; given was undefined"],
  [{}, `endpoints must be ${address}; given was undefined`],
  [{ ...keys, endpoints: endpoints[0] }, `endpoints must be ${address}; given was a string`],
  [{ ...keys, endpoints: [null] }, "endpoints[0] must be a string; given was null"],
  [{ endpoints, secretKey: "key" }, "secretId must be a string; given was undefined"],
  [{ endpoints, secretId: "id", secretKey: 4711 }, "secretKey must be a string; given was a number"],
] as const)("an account made of %j is a TypeError that says what is wanted", ([given, message]) => {
  expect(() => newAccount(given)).toThrow(new TypeError(message))
})

test("an argument of the wrong type rejects with a TypeError, and nothing is sent", async () => {
  await using server = await ScriptedServer.start()
  const account = new Account(server.accountOptions)
  const queue = await account.createQueue("orders")
  const sender = queue.sender()
  const sent = server.requests.length
  const wrong = { a: 1 } as unknown as string
  const body = "the body of a message must be a string or a Uint8Array (JSON.stringify makes a string of an object)"
  for (const sending of [queue.send(wrong), sender.send(wrong)]) {
    expect(await rejection(sending)).toEqual(new TypeError(`${body}; given was an object`))
  }
  expect(await rejection(queue.sendBatch([wrong]))).toEqual(new TypeError(`${body}; given was undefined`))
  expect(await rejection(queue.sendBatch(wrong as unknown as string[]))).toBeInstanceOf(TypeError)
  expect(await rejection(queue.sendBatch([null as unknown as string]))).toMatchObject({
    name: "TypeError",
    message: expect.stringMatching(/given was null$/) as string,
  })
  expect(() => account.queue(undefined as unknown as string)).toThrow(
    new TypeError("the name of a queue must be a string; given was undefined"),
  )
  expect(server.requests).toHaveLength(sent)
  account.close()
})

test("a reply's `duplicate` is read as the broker writes it: true, or not there", async () => {
  await using server = await ScriptedServer.start()
  const account = new Account(server.accountOptions)
  const queue = await account.createQueue("orders")
  const answer = (fields: string) =>
    ({ kind: "answer", status: 200, body: `{"code":0,"message":"","requestId":"1",${fields}}` }) as const
  server.script("SendMessage", [answer('"msgId":"a","duplicate":true'), answer('"msgId":"b"')])
  server.script("BatchSendMessage", [answer('"msgList":[{"msgId":"a","duplicate":true},{"msgId":"c"}]')])
  expect(await queue.send("a")).toEqual({ msgId: "a", duplicate: true })
  expect(await queue.send("b")).toEqual({ msgId: "b", duplicate: false })
  expect(await queue.sendBatch(["a", "c"])).toEqual([
    { msgId: "a", duplicate: true },
    { msgId: "c", duplicate: false },
  ])
  account.close()
})
