/** docs/http-api.md says what the action table says, and its examples are what the broker answers. */
import { readFileSync, writeFileSync } from "node:fs"
import { ACTION_NAMES, ERRORS, actionRow } from "@opencmq/proto"
import { expect, test } from "vitest"
import { ACTION_ERRORS, ACTION_EXAMPLES, COMMON_ERRORS } from "./kit/action-examples.ts"
import { CmqClient } from "./kit/client.ts"
import type { Params } from "./kit/client.ts"
import { SERVERS, openFace } from "./kit/face.ts"
import { BEGIN, END, actionsPart } from "./kit/http-api-page.ts"

const PAGE = new URL("../../../docs/http-api.md", import.meta.url)

test("the sections of the actions are those of the table", () => {
  const page = readFileSync(PAGE, "utf8")
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)]
  expect(begin).toBeGreaterThan(0)
  expect(end).toBeGreaterThan(begin)
  const updated = page.slice(0, begin) + actionsPart() + page.slice(end + END.length)
  if (process.env["UPDATE"] === "1") writeFileSync(PAGE, updated)
  else expect(page).toBe(updated)
})

test("every action has an example and its errors", () => {
  expect(ACTION_EXAMPLES.map(({ action }) => action).toSorted()).toEqual(ACTION_NAMES.toSorted())
  const names = [...COMMON_ERRORS, ...Object.values(ACTION_ERRORS).flat()]
  for (const name of names) expect(ERRORS).toHaveProperty(name)
})

test("the replies of the examples have the fields of the table, and no others", () => {
  for (const { action, reply } of ACTION_EXAMPLES) {
    const { code, message: _message, requestId: _requestId, ...fields } = reply
    const known = Object.keys(actionRow(action).reply)
    expect(known, action).toEqual(expect.arrayContaining(Object.keys(fields)))
    const certain = Object.entries(actionRow(action).reply).filter(([, type]) => !type.endsWith("?"))
    if (code === 0) expect(Object.keys(fields), action).toEqual(expect.arrayContaining(certain.map(([name]) => name)))
  }
})

test("the examples run, in their order, and answer as the page says", async () => {
  const face = await openFace(SERVERS[0] ?? "node")
  const client = new CmqClient(face.port)
  let handles: string[] = []
  let halfMsgId = ""
  for (const { action, params, reply } of ACTION_EXAMPLES) {
    // UnbindDeadLetterQueue needs a policy to take away; the page does not show how it came there.
    if (action === "UnbindDeadLetterQueue") await bindDeadLetterQueue(client)
    // Its producer is asked only after the first interval.
    if (action === "ListHalfMessage") face.broker.advance(5_000)
    const { json } = await client.call(action, realParams(params, { handles, halfMsgId }))
    if (action === "SendHalfMessage") halfMsgId = String(json["msgId"])
    expect(shapeOf(json), `${action}: ${JSON.stringify(json)}`).toEqual(shapeOf(reply))
    const received =
      action === "BatchReceiveMessage" ? json["msgInfoList"] : action === "ReceiveMessage" ? [json] : undefined
    if (received !== undefined)
      handles = (received as { receiptHandle: string }[]).map(({ receiptHandle }) => receiptHandle)
  }
  await face.close()
})

async function bindDeadLetterQueue(client: CmqClient): Promise<void> {
  await client.ok("CreateQueue", { queueName: "letters" })
  await client.ok("SetQueueAttributes", { queueName: "orders", deadLetterQueueName: "letters", maxReceiveCount: 3 })
}

/** The handles, ids and times of this run in place of those on the page. */
function realParams(
  params: Params,
  { handles, halfMsgId }: { readonly handles: readonly string[]; readonly halfMsgId: string },
): Params {
  const { receiptHandle, startConsumeTime, msgId } = params
  return {
    ...params,
    ...(msgId !== undefined && { msgId: halfMsgId }),
    ...(typeof receiptHandle === "string" && { receiptHandle: handles[0] ?? "" }),
    ...(typeof receiptHandle === "object" && { receiptHandle: [handles[0] ?? "", "7"] }),
    ...(startConsumeTime !== undefined && { startConsumeTime: Math.floor(Date.now() / 1000) - 60 }),
  }
}

/** Names and types, and the values of what says the same at every run. */
function shapeOf(value: unknown, name = ""): unknown {
  if (Array.isArray(value)) return value.map((each) => shapeOf(each))
  if (typeof value === "object" && value !== null) {
    if (name === "cluster") return "object"
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, shapeOf(each, key)]))
  }
  const isSteady = !/Time$|^requestId$|^msgId$|^receiptHandle$|^queueId$|^sequence$|^nextSeq$/.test(name)
  return isSteady ? value : typeof value
}
