/**
 * The load: producers and consumers of different habits at every node, all at once, through the SDK and by hand.
 *
 * Each client knows only its endpoints. Some keep to one node and never repeat; one of each kind uses all nodes with
 * the SDK's retries; one producer writes its requests by hand, without a client message id. Consumers mostly delete;
 * now and then they forget a message, give it back, keep it longer, or delete it close to the end of its lease.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { Account, CmqError } from "@opencmq/client-sdk"
import type { Consumer, Message, Queue } from "@opencmq/client-sdk"
import type { LocalCluster } from "@opencmq/bench/harness"
import { createRandom } from "../../src/core/random.ts"
import type { Random } from "../../src/core/random.ts"
import type { History } from "./history.ts"
import { makeBody } from "./message-body.ts"
import { RecordingTransport, nowMs } from "./recording-transport.ts"
import { outcomeOf, postSigned } from "./signed-post.ts"

export interface WorkloadOptions {
  readonly cluster: LocalCluster
  readonly history: History
  readonly queueName: string
  /** The queue's visibility timeout. */
  readonly visibilitySeconds: number
  readonly seed: number
  /** Pause of a producer after each request, milliseconds: how hard it presses. */
  readonly pauseMs: number
  /** Longest body, bytes. */
  readonly bodyBytesMax: number
}

const ATTEMPT_TIMEOUT_MS = 6_000
/** After a failure: nobody hammers a broker that is down. */
const PAUSE_AFTER_FAILURE_MS = 50
const DRAIN_POLL_MS = 200
/** Share of received messages, in 1,000, that a consumer treats in another way than to delete it at once. */
const HABITS = { forget: 20, giveBack: 20, extend: 20, late: 10 } as const

export class Workload {
  readonly #options: WorkloadOptions
  readonly #accounts: Account[] = []
  readonly #producing: Promise<void>[] = []
  readonly #consuming: Promise<void>[] = []
  readonly #consumers: Consumer[] = []
  #nextKey = 1
  #isProducing = true
  #isConsuming = true
  #isDraining = false
  /** What no promise of the history covers, such as an exception that is not a `CmqError`. */
  readonly failures: unknown[] = []

  constructor(options: WorkloadOptions) {
    this.#options = options
  }

  get sentCount(): number {
    return this.#nextKey - 1
  }

  /** Makes the queue and starts all clients. */
  async start(): Promise<void> {
    const { cluster, queueName, visibilitySeconds } = this.#options
    await this.#accountFor("setup", cluster.endpoints).ensureQueue(queueName, {
      visibilityTimeoutSeconds: visibilitySeconds,
    })
    for (const { id, endpoint } of cluster.nodes) {
      this.#producing.push(this.#guard(this.#produceBatches(`producer-${String(id)}`, [endpoint])))
      this.#consuming.push(this.#guard(this.#consumeByHand(`consumer-${String(id)}`, endpoint)))
    }
    this.#producing.push(this.#guard(this.#produceBatches("producer-all", cluster.endpoints)))
    this.#producing.push(this.#guard(this.#produceRaw("producer-raw")))
    this.#consumers.push(this.#startConsumer("consumer-all"))
  }

  /** Resolves when no send is under way. */
  async stopProducing(): Promise<void> {
    this.#isProducing = false
    await Promise.all(this.#producing)
  }

  /**
   * Goes on consuming, and now deletes everything, until the queue counts nothing.
   *
   * @returns the counters that are not zero; empty when the queue is.
   */
  async drain(timeoutMs: number): Promise<Readonly<Record<string, number>>> {
    this.#isDraining = true
    const account = this.#accountFor("drain", this.#options.cluster.endpoints)
    const queue = account.queue(this.#options.queueName)
    const untilMs = nowMs() + timeoutMs
    let left: Record<string, number> = {}
    while (nowMs() < untilMs) {
      const status = await queue.attributes().catch(() => undefined)
      if (status !== undefined) {
        const { activeMsgNum, inactiveMsgNum, delayMsgNum } = status
        left = Object.fromEntries(
          Object.entries({ activeMsgNum, inactiveMsgNum, delayMsgNum }).filter(([, count]) => count !== 0),
        )
        if (Object.keys(left).length === 0) break
      }
      await sleep(DRAIN_POLL_MS)
    }
    return left
  }

  /** Ends the consumers. */
  async stop(): Promise<void> {
    this.#isProducing = false
    this.#isConsuming = false
    for (const consumer of this.#consumers) await consumer.stop()
    await Promise.all([...this.#producing, ...this.#consuming])
    for (const account of this.#accounts) account.close()
  }

  #accountFor(client: string, endpoints: readonly string[]): Account {
    const { cluster, history, visibilitySeconds } = this.#options
    const isSingle = endpoints.length === 1
    const account = new Account({
      endpoints,
      ...cluster.keys,
      transport: new RecordingTransport({ client, history, queueVisibilityMs: visibilitySeconds * 1_000 }),
      followUnknownLeaders: !isSingle,
      requestTimeoutMs: ATTEMPT_TIMEOUT_MS,
      ...(isSingle ? { timeoutMs: ATTEMPT_TIMEOUT_MS, retry: { maxRetries: 0 } } : {}),
    })
    this.#accounts.push(account)
    return account
  }

  /** An exception that the SDK does not promise is a finding, and does not end the run unseen. */
  async #guard(running: Promise<void>): Promise<void> {
    try {
      await running
    } catch (thrown) {
      this.failures.push(thrown)
    }
  }

  #randomFor(client: string): Random {
    let seed = this.#options.seed
    for (const letter of client) seed = (seed * 31 + letter.charCodeAt(0)) % 1_000_000_007
    return createRandom(seed)
  }

  #nextBody(random: Random): string {
    const bytes = 60 + random.nextInt(this.#options.bodyBytesMax - 60)
    return makeBody(this.#nextKey++, bytes)
  }

  // --- Producers ----------------------------------------------------------------------------------------

  async #produceBatches(client: string, endpoints: readonly string[]): Promise<void> {
    const random = this.#randomFor(client)
    const queue = this.#accountFor(client, endpoints).queue(this.#options.queueName)
    while (this.#isProducing) {
      const bodies = Array.from({ length: 1 + random.nextInt(16) }, () => this.#nextBody(random))
      const delaySeconds = random.nextInt(20) === 0 ? 1 : 0
      const isDone = await isFulfilled(queue.sendBatch(bodies, { delaySeconds }))
      await sleep(isDone ? this.#options.pauseMs : PAUSE_AFTER_FAILURE_MS)
    }
  }

  async #produceRaw(client: string): Promise<void> {
    const random = this.#randomFor(client)
    const { cluster, queueName } = this.#options
    for (let turn = 0; this.#isProducing; turn += 1) {
      const node = cluster.nodes[turn % cluster.nodes.length]
      if (node === undefined) return
      const isDone = await this.#sendRaw({ client, host: node.http, queueName, body: this.#nextBody(random) })
      await sleep(isDone ? this.#options.pauseMs : PAUSE_AFTER_FAILURE_MS)
    }
  }

  /** One SendMessage, as a program without any SDK would write it. */
  async #sendRaw(order: RawSend): Promise<boolean> {
    const { keys } = this.#options.cluster
    const key = this.#nextKey - 1
    const startMs = nowMs()
    const { client, host, queueName, body } = order
    const fields = { queueName, msgBody: body }
    const reply = await postSigned({ host, action: "SendMessage", fields, timeoutMs: ATTEMPT_TIMEOUT_MS }, keys)
    const outcome = outcomeOf(reply)
    const isAck = outcome === "ack"
    const msgId = isAck ? String(reply.fields?.["msgId"]) : ""
    this.#options.history.sent(key, { client, startMs, endMs: nowMs(), outcome, msgId, delayMs: 0 })
    return isAck
  }

  // --- Consumers ----------------------------------------------------------------------------------------

  async #consumeByHand(client: string, endpoint: string): Promise<void> {
    const random = this.#randomFor(client)
    const queue = this.#accountFor(client, [endpoint]).queue(this.#options.queueName)
    while (this.#isConsuming) {
      const max = 1 + random.nextInt(16)
      let messages: readonly Message[]
      try {
        messages = await queue.receiveBatch({ max, waitSeconds: 1 })
      } catch (thrown) {
        if (!(thrown instanceof CmqError)) throw thrown
        await sleep(PAUSE_AFTER_FAILURE_MS)
        continue
      }
      await this.#settle(queue, messages, random)
    }
  }

  async #settle(queue: Queue, messages: readonly Message[], random: Random): Promise<void> {
    const toDelete: Message[] = []
    for (const message of messages) {
      const habit = this.#isDraining ? 1_000 : random.nextInt(1_000)
      if (habit < HABITS.forget) continue
      if (habit < HABITS.forget + HABITS.giveBack) await isFulfilled(queue.changeVisibility(message, 0))
      else {
        if (habit < HABITS.forget + HABITS.giveBack + HABITS.extend) {
          await isFulfilled(queue.changeVisibility(message, this.#options.visibilitySeconds + 1))
        } else if (habit < HABITS.forget + HABITS.giveBack + HABITS.extend + HABITS.late) {
          await sleep(this.#options.visibilitySeconds * 1_000 - random.nextInt(400))
        }
        toDelete.push(message)
      }
    }
    // What is not known to be deleted comes back when its lease has ended, and is deleted then.
    await queue.deleteBatch(toDelete)
  }

  /** The SDK's own loop, with its renewals; what it cannot settle comes back by itself. */
  #startConsumer(client: string): Consumer {
    const random = this.#randomFor(client)
    const queue = this.#accountFor(client, this.#options.cluster.endpoints).queue(this.#options.queueName)
    const { visibilitySeconds } = this.#options
    return queue.consumer(
      {
        concurrency: 8,
        visibilityTimeoutSeconds: visibilitySeconds,
        waitSeconds: 1,
        // What is given back comes again at once: the drain shall not wait for anything but the brokers.
        retryDelaySeconds: 0,
        onError: () => undefined,
      },
      async () => {
        const habit = this.#isDraining ? 1_000 : random.nextInt(1_000)
        // Longer than the lease: it must be renewed meanwhile.
        if (habit < HABITS.late) await sleep((visibilitySeconds + 1) * 1_000)
        else if (habit < HABITS.late + HABITS.giveBack) throw new Error("given back on purpose")
      },
    )
  }
}

/** @returns false for a `CmqError`; anything else is passed on. */
async function isFulfilled(call: Promise<unknown>): Promise<boolean> {
  try {
    await call
    return true
  } catch (thrown) {
    if (!(thrown instanceof CmqError)) throw thrown
    return false
  }
}

type RawSend = { readonly client: string; readonly host: string; readonly queueName: string; readonly body: string }
