/**
 * A message for later: it is stored at once, and invisible until its delay has ended.
 */
/* eslint no-console: "off" -- an example talks to its reader */
import { Account } from "@opencmq/client-sdk"
import { connection } from "./connection.ts"

const cmq = new Account(connection())
const reminders = await cmq.ensureQueue("example-reminders")

await reminders.send("drink some water", { delaySeconds: 1 })
const early = await reminders.receive({ waitSeconds: 0 })
console.log(`at once: ${early === undefined ? "nothing yet" : early.body}`)

// A loop over messages; leaving it gives back whatever was not handed out.
for await (const message of reminders.consume({ waitSeconds: 10 })) {
  console.log(`after a second: ${message.body}`)
  await message.delete()
  break
}

await reminders.deleteQueue()
cmq.close()
