/**
 * Several brokers, one of them dead: the SDK goes on with the others, follows the leader that replies name, and a send
 * that had to be repeated is stored once.
 */
/* eslint no-console: "off" -- an example talks to its reader */
import { Account, CmqError } from "@opencmq/client-sdk"
import { connection } from "./connection.ts"

const { endpoints, ...keys } = connection()

// Nobody listens on port 1: the first endpoint is as good as a dead broker.
const cmq = new Account({ ...keys, endpoints: ["http://127.0.0.1:1", ...endpoints] })
const queue = await cmq.ensureQueue("example-fail-over")

// The SDK makes such an id for every message by itself and keeps it through its retries. Give your own when you repeat
// a send yourself: the second one stores nothing and answers with the first one's msgId.
const first = await queue.send("paid 10.00", { clientMessageId: "order-4711" })
const second = await queue.send("paid 10.00", { clientMessageId: "order-4711" })
console.log(`same message: ${String(first.msgId === second.msgId)}`)

for (const { endpoint, isLeader, failureCount } of cmq.endpoints()) {
  console.log(`${endpoint}${isLeader ? " (leader)" : ""}: ${failureCount === 0 ? "healthy" : "put aside"}`)
}
await queue.deleteQueue()

// What went wrong is one class; `outcome` says what is certain.
try {
  await queue.send("too late")
} catch (thrown) {
  const error = CmqError.from(thrown)
  console.log(`${error.name} (${String(error.code)}): outcome ${error.outcome}, retriable ${String(error.retriable)}`)
}
cmq.close()
