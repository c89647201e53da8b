/**
 * The account system: keeps the books, takes credits directly when it is not too busy, and pulls the others from the
 * queue, credit by credit, each once by its transfer id. The red-packet side never pushes money through the queue;
 * this side fetches it.
 */
import type { Consumer, Queue } from "@opencmq/client-sdk"
import { parseCredit } from "./credit-message.ts"
import { Ledger, TRANSIT } from "./domain/ledger.ts"
import type { Posting, Transfer } from "./domain/ledger.ts"
import type { Random } from "./domain/random.ts"

/** How a direct credit ended, as its caller sees it. `noAnswer`: it may have been posted. */
export type DirectCredit = "credited" | "busy" | "noAnswer"

/** What an account side is made of. */
export type AccountSideOptions = Readonly<{
  random: Random
  /** Direct credits that are refused, 0 to 100. */
  refusePercent: number
  /** Direct credits that are posted but whose answer is lost, 0 to 100; together with the refused ones at most 100. */
  lostAnswerPercent: number
  /** Told of every error of the consumer. */
  onError: (error: unknown) => void
}>

/** Counts of credits. */
export type CreditCounts = Readonly<{
  /** Distinct credits in the books, however they came. */
  credited: number
  /** Of these, those that came through the queue. */
  creditedFromQueue: number
  /** Credits that came again and changed nothing. */
  duplicatesPrevented: number
}>

/**
 * What a dying broker handed out without the answer arriving comes back after so long. Posting takes far less, and is
 * renewed if it does not.
 */
const VISIBILITY_SECONDS = 5

/** The account system of the demo. */
export class AccountSide {
  readonly ledger = new Ledger()
  readonly #options: AccountSideOptions
  readonly #counts = { credited: 0, creditedFromQueue: 0, duplicatesPrevented: 0 }
  readonly #listeners = new Set<() => void>()
  #consumer: Consumer | undefined

  constructor(options: AccountSideOptions) {
    this.#options = options
    this.ledger.open(TRANSIT, 0)
  }

  /** A copy of the counts. */
  get counts(): CreditCounts {
    return { ...this.#counts }
  }

  /** Takes a packet's money from its sender into transit. */
  debit(transfer: Transfer): Posting {
    return this.ledger.post(transfer)
  }

  /** The attempt that is made first, while the phone waits. */
  creditDirectly(transfer: Transfer): DirectCredit {
    const { random, refusePercent, lostAnswerPercent } = this.#options
    const chance = random(100)
    if (chance < refusePercent) return "busy"
    this.#credit(transfer)
    return chance < refusePercent + lostAnswerPercent ? "noAnswer" : "credited"
  }

  /** Begins to pull credits from the queue. Credit first, then delete: a crash between the two costs a duplicate. */
  pull(queue: Queue): void {
    const { onError } = this.#options
    const options = { concurrency: 64, waitSeconds: 10, visibilityTimeoutSeconds: VISIBILITY_SECONDS, onError }
    this.#consumer = queue.consumer(options, (message) => {
      const posting = this.#credit(parseCredit(message.body))
      if (posting === "posted") this.#counts.creditedFromQueue += 1
      if (posting !== "posted" && posting !== "exists") throw new Error(`credit refused: ${posting}`)
    })
  }

  /** Resolves when so many distinct credits are in the books, or the signal aborts. */
  async untilCredited(count: number, signal: AbortSignal): Promise<void> {
    while (this.#counts.credited < count && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const listener = (): void => {
          this.#listeners.delete(listener)
          signal.removeEventListener("abort", listener)
          resolve()
        }
        this.#listeners.add(listener)
        signal.addEventListener("abort", listener)
      })
    }
  }

  async stop(): Promise<void> {
    await this.#consumer?.stop()
  }

  #credit(transfer: Transfer): Posting {
    const posting = this.ledger.post(transfer)
    if (posting === "posted") this.#counts.credited += 1
    if (posting === "exists") this.#counts.duplicatesPrevented += 1
    for (const listener of [...this.#listeners]) listener()
    return posting
  }
}
