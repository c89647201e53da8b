/**
 * One message or many to one queue, a bounded number under way.
 */
import { isUtf8 } from "node:buffer"
import { CmqError, type Queue, type SendOptions, type SendResult } from "@opencmq/client-sdk"
import type { CommandTools } from "./broker-target.ts"
import { EXIT_CODES } from "./exit-code.ts"
import { CliFailure } from "./failure.ts"
import { startProgress } from "./progress.ts"

export interface SendOrder {
  readonly queueName: string
  readonly body: string | Uint8Array
  /** Undefined = one message, its body as it is. */
  readonly count: number | undefined
  readonly batch: number
  readonly delaySeconds: number
  readonly attributes: ReadonlyMap<string, string>
}

/** Sends that wait for their answer at once. */
const WAITING_MAX = 2_048
const NUMBER = /\{\{\s*n\s*\}\}/g

interface Sent {
  count: number
  duplicates: number
  readonly msgIds: string[]
}

/** Sends all of it and says so. @throws CmqError of the first send that failed; those behind it are not begun. */
export async function sendAll(tools: CommandTools, order: SendOrder): Promise<number> {
  const { terminal, account, format } = tools
  const queue = account.queue(order.queueName)
  const options: SendOptions = { attributes: order.attributes, delaySeconds: order.delaySeconds }
  const sent: Sent = { count: 0, duplicates: 0, msgIds: [] }
  if (order.count === undefined) note(sent, await queue.send(order.body, options))
  else await sendNumbered(tools, { queue, order, options, sent })
  if (format === "json") {
    terminal.printJson({
      queueName: order.queueName,
      sent: sent.count,
      duplicates: sent.duplicates,
      msgIds: sent.msgIds,
    })
  } else if (order.count === undefined) {
    terminal.print(`sent ${sent.msgIds[0] ?? ""} to ${order.queueName}`)
  } else {
    terminal.print(`sent ${String(sent.count)} messages to ${order.queueName}`)
  }
  return EXIT_CODES.ok
}

function note(sent: Sent, result: SendResult): void {
  sent.count += 1
  if (result.duplicate) sent.duplicates += 1
  sent.msgIds.push(result.msgId)
}

interface Job {
  readonly queue: Queue
  readonly order: SendOrder
  readonly options: SendOptions
  readonly sent: Sent
}

async function sendNumbered({ terminal }: CommandTools, job: Job): Promise<void> {
  const { queue, order, options, sent } = job
  const count = order.count ?? 1
  const bodyOf = numberedBody(order.body)
  const sender = queue.sender({ batchCount: order.batch })
  const progress = startProgress(terminal, count)
  const waiting = new Set<Promise<void>>()
  const results: (SendResult | undefined)[] = []
  const failures: unknown[] = []
  for (let n = 1; n <= count && failures.length === 0; n += 1) {
    const one: Promise<void> = sender
      .send(bodyOf(n), options)
      .then(
        (result) => {
          results[n - 1] = result
          progress.update(results.length)
        },
        (thrown: unknown) => {
          failures.push(thrown)
        },
      )
      .finally(() => waiting.delete(one))
    waiting.add(one)
    if (waiting.size >= WAITING_MAX) await Promise.race(waiting)
  }
  await Promise.all(waiting)
  progress.stop()
  for (const result of results) if (result !== undefined) note(sent, result)
  const [first] = failures
  if (first === undefined) return
  terminal.note(`opencmq: ${String(sent.count)} of ${String(count)} messages were stored, then a send failed`)
  throw first instanceof Error ? first : CmqError.from(first)
}

/** The body of message n: `{{n}}` becomes the number. */
function numberedBody(body: string | Uint8Array): (n: number) => string | Uint8Array {
  if (typeof body !== "string" && !isUtf8(body)) return () => body
  const text = typeof body === "string" ? body : Buffer.from(body).toString("utf8")
  if (text === "") throw new CliFailure("usage", "an empty body", "give a body, --file, or something on stdin")
  return (n) => text.replace(NUMBER, String(n))
}
