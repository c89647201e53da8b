/**
 * The whole story, from full purses to the final count. It talks to whatever brokers it is given.
 */
import { randomUUID } from "node:crypto"
import { setTimeout as sleep } from "node:timers/promises"
import type { Account, Queue } from "@opencmq/client-sdk"
import { AccountSide } from "./account-side.ts"
import { TRANSIT } from "./domain/ledger.ts"
import { seededRandom } from "./domain/random.ts"
import { RedPacketSide } from "./red-packet-side.ts"

/** What the story is told with. */
export type DemoOptions = Readonly<{
  cmq: Account
  packets: number
  sharesPerPacket: number
  refusePercent: number
  lostAnswerPercent: number
  seed: number
  /** After so long it gives up and says what is missing. Milliseconds. */
  timeoutMs: number
  /** Called as packets are opened. The next one waits for its promise. */
  onPacket: (openedPackets: number) => void | Promise<void>
  /** Errors that were survived. */
  onError: (error: unknown) => void
}>

/** What came out. All money in fen. */
export type DemoResult = Readonly<{
  packets: number
  shares: number
  creditedDirectly: number
  sentToQueue: number
  creditedFromQueue: number
  duplicatesPrevented: number
  /** Opened shares that are in nobody's purse. */
  lost: number
  moneyBeforeFen: number
  /** In purses; what is still in transit is not counted. */
  moneyAfterFen: number
  /** Messages that were left behind in the queue. */
  leftInQueue: number
  isRight: boolean
}>

const USERS = 1_000
const PURSE_FEN = 1_000_000
/** Pause between two looks at a queue that is running dry. Milliseconds. */
const LOOK_PAUSE_MS = 200

/** Runs it. Never decides about exit codes: `isRight` does. */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const { cmq, packets } = options
  // A queue of its own each time: a run that was broken off leaves nothing that the next one would count.
  const name = `redpacket-${randomUUID().slice(0, 8)}`
  const dead = await cmq.ensureQueue(`${name}-dead`)
  const queue = await cmq.ensureQueue(name, {
    deadLetterPolicy: { kind: "maxReceiveCount", deadLetterQueue: dead.name, maxReceiveCount: 16 },
  })
  const users = Array.from({ length: USERS }, (_, number) => `user-${String(number)}`)
  const random = seededRandom(options.seed)
  const accounts = new AccountSide({ ...options, random })
  for (const user of users) accounts.ledger.open(user, PURSE_FEN)
  const moneyBeforeFen = accounts.ledger.totalFen()
  const sender = queue.sender()
  const redPackets = new RedPacketSide({ ...options, accounts, sender, random, users })
  const deadline = AbortSignal.timeout(options.timeoutMs)

  accounts.pull(queue)
  await redPackets.openPackets(packets)
  await sender.close()
  await accounts.untilCredited(redPackets.counts.opened, deadline)
  const leftInQueue = await untilEmpty(queue, deadline)
  await accounts.stop()
  await queue.deleteQueue()
  await dead.deleteQueue()

  const { opened, ...packetCounts } = redPackets.counts
  const { credited, creditedFromQueue, duplicatesPrevented } = accounts.counts
  const moneyAfterFen = accounts.ledger.totalFen() - accounts.ledger.balanceFen(TRANSIT)
  const lost = opened - credited
  return {
    packets: packetCounts.packets,
    shares: opened,
    creditedDirectly: packetCounts.creditedDirectly,
    sentToQueue: packetCounts.queued,
    creditedFromQueue,
    duplicatesPrevented,
    lost,
    moneyBeforeFen,
    moneyAfterFen,
    leftInQueue,
    isRight: lost === 0 && moneyAfterFen === moneyBeforeFen && leftInQueue === 0,
  }
}

/** Waits for duplicates that are still on their way. @returns what was left when the time was over. */
async function untilEmpty(queue: Queue, deadline: AbortSignal): Promise<number> {
  for (;;) {
    const { activeMsgNum, inactiveMsgNum, delayMsgNum } = await queue.attributes()
    const left = activeMsgNum + inactiveMsgNum + delayMsgNum
    if (left === 0 || deadline.aborted) return left
    await sleep(LOOK_PAUSE_MS)
  }
}
