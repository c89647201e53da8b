/**
 * A credit as it travels through the queue: JSON, small, with the transfer id that makes it safe to receive twice.
 */
import type { Transfer } from "./domain/ledger.ts"

const VERSION = 1

/** Body of the message. */
export function formatCredit(transfer: Transfer): string {
  return JSON.stringify({ v: VERSION, ...transfer })
}

/** @throws Error for a body that is no credit: the message goes back, and in the end to the dead-letter queue. */
export function parseCredit(body: string): Transfer {
  const fields = JSON.parse(body) as Readonly<Record<string, unknown>> | null
  const { v, id, from, to, amountFen } = fields ?? {}
  const isCredit = v === VERSION && typeof id === "string" && typeof from === "string" && typeof to === "string"
  if (!isCredit || typeof amountFen !== "number") throw new Error("not a credit")
  return { id, from, to, amountFen }
}
