/**
 * The red-packet system: packets are sent and opened, and each opened share is credited. Opening never waits for the
 * books: a credit that was refused, or whose answer was lost, goes to the queue and counts as *waiting* until the
 * account side has fetched it. Nothing is rolled back.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { CmqError } from "@opencmq/client-sdk"
import type { Sender } from "@opencmq/client-sdk"
import type { AccountSide } from "./account-side.ts"
import { formatCredit } from "./credit-message.ts"
import { TRANSIT } from "./domain/ledger.ts"
import type { Transfer } from "./domain/ledger.ts"
import type { Random } from "./domain/random.ts"
import { SHARE_FEN_MAX, splitPacket } from "./domain/split.ts"

/** What a red-packet side is made of. */
export type RedPacketSideOptions = Readonly<{
  accounts: AccountSide
  /** Of the credit queue. */
  sender: Pick<Sender, "send">
  random: Random
  users: readonly string[]
  sharesPerPacket: number
  /** Called after each packet; the next one waits for its promise. */
  onPacket: (openedPackets: number) => void | Promise<void>
}>

/** Counts of packets and shares. */
export type PacketCounts = Readonly<{
  packets: number
  /** Shares opened: each is a credit. */
  opened: number
  creditedDirectly: number
  /** Credits that the broker has acknowledged. */
  queued: number
  /** Packets whose sender had too little; no money moved. */
  refusedPackets: number
}>

/** Sends under way, at most. */
const SENDS_MAX = 512
/** Pause before a send is repeated that the SDK has given up. Milliseconds. */
const RESEND_PAUSE_MS = 200

/** The red-packet system of the demo. */
export class RedPacketSide {
  readonly #options: RedPacketSideOptions
  readonly #counts = { packets: 0, opened: 0, creditedDirectly: 0, queued: 0, refusedPackets: 0 }
  readonly #sends = new Set<Promise<void>>()

  constructor(options: RedPacketSideOptions) {
    this.#options = options
  }

  /** A copy of the counts. */
  get counts(): PacketCounts {
    return { ...this.#counts }
  }

  /**
   * Sends and opens so many packets; resolves when every credit is either in the books or acknowledged by the broker.
   *
   * @throws what a send threw that can never succeed, such as a missing queue.
   */
  async openPackets(count: number): Promise<void> {
    for (let packet = 1; packet <= count; packet++) {
      this.#openPacket(packet)
      if (this.#sends.size >= SENDS_MAX) await Promise.race(this.#sends)
      else if (packet % 64 === 0) await new Promise((resolve) => setImmediate(resolve))
      await this.#options.onPacket(packet)
    }
    await Promise.all(this.#sends)
  }

  #openPacket(packet: number): void {
    const { accounts, random, sharesPerPacket, users } = this.#options
    const totalFen = sharesPerPacket + random(sharesPerPacket * (SHARE_FEN_MAX - 1) + 1)
    const from = pick(users, random)
    const posting = accounts.debit({ id: `pay:${String(packet)}`, from, to: TRANSIT, amountFen: totalFen })
    if (posting !== "posted") {
      this.#counts.refusedPackets += 1
      return
    }
    this.#counts.packets += 1
    splitPacket(totalFen, sharesPerPacket, random).forEach((amountFen, share) => {
      const id = `crd:${String(packet)}:${String(share)}`
      this.#counts.opened += 1
      this.#creditShare({ id, from: TRANSIT, to: pick(users, random), amountFen })
    })
  }

  #creditShare(transfer: Transfer): void {
    if (this.#options.accounts.creditDirectly(transfer) === "credited") {
      this.#counts.creditedDirectly += 1
      return
    }
    // Refused, or nobody knows: both go the same way, and the transfer id keeps the second from counting twice.
    const send = this.#sendUntilAcknowledged(transfer).finally(() => this.#sends.delete(send))
    this.#sends.add(send)
    // `openPackets` waits for all; until then a failure must not count as unhandled.
    send.catch(() => undefined)
  }

  /** The SDK repeats by itself; what it gives up during a long outage is repeated here, with the same id. */
  async #sendUntilAcknowledged(transfer: Transfer): Promise<void> {
    for (;;) {
      try {
        await this.#options.sender.send(formatCredit(transfer), { clientMessageId: transfer.id })
        this.#counts.queued += 1
        return
      } catch (thrown) {
        const error = CmqError.from(thrown)
        if (!error.retriable && error.outcome !== "unknown") throw error
        await sleep(RESEND_PAUSE_MS)
      }
    }
  }
}

function pick(users: readonly string[], random: Random): string {
  const user = users[random(users.length)]
  if (user === undefined) throw new RangeError("there are no users")
  return user
}
