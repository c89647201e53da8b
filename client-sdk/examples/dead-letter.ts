/**
 * A message that nobody can work with: after two receives without a delete the broker moves it to another queue, where
 * it tells where it came from.
 */
/* eslint no-console: "off" -- an example talks to its reader */
import { Account } from "@opencmq/client-sdk"
import { connection } from "./connection.ts"

const cmq = new Account(connection())
// The dead-letter queue must exist before it is named.
const dead = await cmq.ensureQueue("example-dead")
const payments = await cmq.ensureQueue("example-payments", {
  deadLetterPolicy: { kind: "maxReceiveCount", deadLetterQueue: "example-dead", maxReceiveCount: 2 },
})

await payments.send("not a payment at all")
for (let attempt = 1; attempt <= 2; attempt++) {
  const message = await payments.receive({ waitSeconds: 10 })
  console.log(`attempt ${String(attempt)}: cannot read "${message?.body ?? ""}"`)
  await message?.retry()
}
// The broker moves it when it would be received once too often.
await payments.receive({ waitSeconds: 0 })

const letter = await dead.receive({ waitSeconds: 10 })
if (letter === undefined) throw new Error("no dead letter came")
const { sourceQueue, reason, dequeueCount } = letter.deadLetter ?? {}
console.log(
  `dead letter "${letter.body}" from ${sourceQueue ?? "?"}: ${reason ?? "?"} after ${String(dequeueCount)} receives`,
)
await letter.delete()

await payments.deleteQueue()
await dead.deleteQueue()
cmq.close()
