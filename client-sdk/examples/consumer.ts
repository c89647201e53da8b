/**
 * A worker: a handler for each message, several at a time, stopped in an orderly way.
 */
/* eslint no-console: "off" -- an example talks to its reader */
import { Account } from "@opencmq/client-sdk"
import { connection } from "./connection.ts"

const cmq = new Account(connection())
const jobs = await cmq.ensureQueue("example-jobs")

// Many sends, few requests: each `send` has its own promise.
const sender = jobs.sender()
await Promise.all(Array.from({ length: 50 }, (_, number) => sender.send(`job ${String(number)}`)))
await sender.close()

let left = 50
let allDone = (): void => undefined
const done = new Promise<void>((resolve) => {
  allDone = resolve
})

const consumer = jobs.consumer(
  {
    // More than one batch of 16 is no problem: a new message is fetched as each one finishes.
    concurrency: 20,
    // Renewed at half time for as long as the handler runs.
    visibilityTimeoutSeconds: 30,
    // A message whose handler threw waits longer each time.
    retryDelaySeconds: (message) => Math.min(2 ** (message.dequeueCount - 1) - 1, 60),
    onError: (error, { during }) => {
      console.log(`${during}: ${String(error)}`)
    },
  },
  // Resolves: the message is deleted. Throws: it goes back to the queue. `signal` aborts when the message is lost.
  (message, { signal }) => {
    signal.throwIfAborted()
    if (message.body === "job 7" && message.dequeueCount === 1) throw new Error("job 7 fails once")
    left -= 1
    if (left === 0) allDone()
  },
)

await done
// Ends the polls, on the broker too, gives back what was not begun, and waits for handlers.
await consumer.stop({ drainMs: 10_000 })
console.log(consumer.counters)

await jobs.deleteQueue()
cmq.close()
