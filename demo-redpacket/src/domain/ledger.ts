/**
 * The books: double entry, whole fen, each transfer once by its id. No money is made or lost in here, whatever is
 * posted; what can go wrong is that a transfer is never posted, and then its money stays in transit.
 */

/** A movement of money. The id is its identity: the same id is the same movement. */
export type Transfer = Readonly<{
  id: string
  from: string
  to: string
  /** 1 or more. */
  amountFen: number
}>

/** What became of a posting. `exists`: the very same transfer had been posted; nothing changed. */
export type Posting = "posted" | "exists" | "conflict" | "insufficient"

/** Where money is between its sender and its receiver. */
export const TRANSIT = "transit"

/** Accounts and transfers in memory. */
export class Ledger {
  readonly #balances = new Map<string, number>()
  readonly #transfers = new Map<string, Transfer>()

  /** Opens an account with money in it. @throws RangeError unless it is new and the money whole fen, 0 or more. */
  open(account: string, balanceFen: number): void {
    if (this.#balances.has(account) || !Number.isSafeInteger(balanceFen) || balanceFen < 0) {
      throw new RangeError(`account ${account} cannot be opened with ${String(balanceFen)} fen`)
    }
    this.#balances.set(account, balanceFen)
  }

  /**
   * Posts a transfer once.
   *
   * @returns `conflict` when the id is known with other contents (never overwritten) or the transfer makes no sense;
   * `insufficient` when the giving account has less. Nothing changes then.
   */
  post(transfer: Transfer): Posting {
    const known = this.#transfers.get(transfer.id)
    if (known !== undefined) return isSame(known, transfer) ? "exists" : "conflict"
    const { from, to, amountFen } = transfer
    const fromFen = this.#balances.get(from)
    const toFen = this.#balances.get(to)
    if (fromFen === undefined || toFen === undefined || from === to) return "conflict"
    if (!Number.isSafeInteger(amountFen) || amountFen < 1) return "conflict"
    if (fromFen < amountFen) return "insufficient"
    this.#balances.set(from, fromFen - amountFen)
    this.#balances.set(to, toFen + amountFen)
    this.#transfers.set(transfer.id, transfer)
    return "posted"
  }

  /** @throws RangeError for an account that was never opened. */
  balanceFen(account: string): number {
    const balance = this.#balances.get(account)
    if (balance === undefined) throw new RangeError(`no account ${account}`)
    return balance
  }

  /** All money of all accounts, transit included. */
  totalFen(): number {
    let total = 0
    for (const balance of this.#balances.values()) total += balance
    return total
  }
}

function isSame(one: Transfer, other: Transfer): boolean {
  return one.from === other.from && one.to === other.to && one.amountFen === other.amountFen
}
