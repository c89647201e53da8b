/**
 * The shortest way round: send a message, receive it, delete it.
 *
 *   node --conditions=source --import tsx client-sdk/examples/send-receive.ts
 *
 * With `npm start` running nothing needs to be set; else OPENCMQ_ENDPOINTS, OPENCMQ_SECRET_ID and OPENCMQ_SECRET_KEY
 * say where and who.
 */
/* eslint no-console: "off" -- an example talks to its reader */
import { Account } from "@opencmq/client-sdk"
import { connection } from "./connection.ts"

const cmq = new Account(connection())

// Creates the queue unless it is there. A received message is hidden from others for 60 s.
const orders = await cmq.ensureQueue("example-orders", { visibilityTimeoutSeconds: 60 })

// Resolves when a majority of the brokers has the message on disk.
const sent = await orders.send("three apples", { attributes: { "content-type": "text/plain" } })
console.log(`sent ${sent.msgId}`)

// Waits up to 10 s for a message. Nothing there is `undefined`, not an error.
const message = await orders.receive({ waitSeconds: 10 })
if (message === undefined) throw new Error("nothing was received")
console.log(`received "${message.body}", attributes: ${JSON.stringify([...message.attributes])}`)

// Without this the message would come back when its visibility timeout ends.
await message.delete()
console.log("deleted")

await orders.deleteQueue()
cmq.close()
