/**
 * What the clients do: producers, consumers and an operator, each a loop of its own with think time, talking to any node.
 * They retry, give up, forget to delete, delete too late, change visibility and die, as the seed decides.
 */
import { Buffer } from "node:buffer"
import type { QueueAttributes } from "../../src/core/queue/command.ts"
import type { Random } from "../../src/core/random.ts"
import type { DeliveredMessage, OutgoingMessage, RequestOf, UseCaseName } from "../../src/node/service-types.ts"
import type { CallEnd, ClientCalls } from "./client-calls.ts"
import { DEAD_QUEUE, REGISTER_QUEUE } from "./queue-books.ts"
import type { SimCluster } from "./sim-cluster.ts"
import { WALL_EPOCH_MS } from "./sim-clock.ts"
import type { WorkloadSettings } from "./swarm.ts"
import { between, chance, exponential, pick } from "./world.ts"

const TIMEOUT_MS = 5000
const SEND_ATTEMPTS = 4
const TEMPORARY_QUEUE = "temporary"

export class Workload {
  readonly #cluster: SimCluster
  readonly #calls: ClientCalls
  readonly #settings: WorkloadSettings
  readonly #random: Random
  #isRunning = false
  /** 1 = as drawn; 0.1 = a tenth of the load. */
  #intensity = 1
  #bodyCount = 0
  #clientCount = 0
  #registerValue = 0

  constructor(cluster: SimCluster, calls: ClientCalls) {
    this.#cluster = cluster
    this.#calls = calls
    this.#settings = cluster.swarm.workload
    this.#random = cluster.world.fork("workload")
  }

  /** Creates the queues, then starts the clients. */
  begin(): void {
    this.#isRunning = true
    const specs = Object.entries(queueSpecs(this.#random))
    const createNext = (): void => {
      const spec = specs.shift()
      if (spec === undefined) {
        this.#startClients()
        return
      }
      this.#untilAnswered("createQueue", { queueName: spec[0], attributes: spec[1] }, createNext)
    }
    createNext()
  }

  setIntensity(intensity: number): void {
    this.#intensity = intensity
  }

  end(): void {
    this.#isRunning = false
  }

  #startClients(): void {
    for (let i = 0; i < this.#settings.producers; i++) this.#startProducer()
    for (let i = 0; i < this.#settings.consumers; i++) this.#startConsumer()
    this.#startRegister()
    for (let i = 0; i < this.#settings.admins; i++) this.#startAdmin()
  }

  // ------------------------------------------------------------------------------------------ producers

  #startProducer(): void {
    const client = this.#newClient("producer")
    const next = (): void => {
      this.#think(() => {
        if (!this.#isRunning) return
        this.#sendOnce(client, next)
      })
    }
    next()
  }

  #sendOnce(client: string, done: () => void): void {
    const queueName = pick(this.#random, SEND_TO)
    const count = chance(this.#random, this.#settings.batch) ? 1 + this.#random.nextInt(16) : 1
    const messages = Array.from({ length: count }, () => this.#newMessage(client, queueName))
    const isRepeatable = messages.every((message) => message.clientMessageId !== "")
    const attempt = (attemptsLeft: number): void => {
      this.#call(client, { name: "sendMessages", request: { queueName, messages } }, (end) => {
        const isOver = end.kind === "reply" && (end.reply.ok || end.reply.error !== "unknownOutcome")
        const mayRepeat = end.kind === "notReached" || isRepeatable
        if (isOver || attemptsLeft <= 1 || !mayRepeat || !this.#isRunning) {
          // Now and then a client sends again although it was told "ok" (its own crash, for one).
          if (isOver && isRepeatable && attemptsLeft > 1 && chance(this.#random, 0.05)) attempt(1)
          else done()
          return
        }
        this.#cluster.world.marks.hit("client: send repeated with the same ids")
        this.#cluster.world.after(between(this.#random, 10, 1000), () => {
          attempt(attemptsLeft - 1)
        })
      })
    }
    attempt(SEND_ATTEMPTS)
  }

  #newMessage(client: string, queueName: string): OutgoingMessage {
    const number = ++this.#bodyCount
    const padding = chance(this.#random, 0.05) ? this.#random.nextInt(4000) : this.#random.nextInt(60)
    const isDelayed = queueName === "slow" ? chance(this.#random, 0.5) : chance(this.#random, 0.05)
    return {
      body: Buffer.from(`${String(number)}.${client}.`.padEnd(12 + padding, ".")),
      delayMs: isDelayed ? Math.floor(between(this.#random, 100, 20_000)) : 0,
      clientMessageId: chance(this.#random, this.#settings.withClientId) ? `${client}-${String(number)}` : "",
      attributes: chance(this.#random, 0.1) ? [{ name: "trace", type: "string", value: Buffer.from("t") }] : [],
    }
  }

  // ------------------------------------------------------------------------------------------ consumers

  #startConsumer(): void {
    const client = this.#newClient("consumer")
    const next = (): void => {
      this.#think(() => {
        if (this.#isRunning) this.#receiveOnce(client, next)
      })
    }
    next()
  }

  #receiveOnce(client: string, done: () => void): void {
    const random = this.#random
    const queueName = pick(random, RECEIVE_FROM)
    const request = {
      queueName,
      maxCount: chance(random, this.#settings.batch) ? 16 : 1,
      pollingWaitMs: chance(random, this.#settings.longPoll) ? Math.floor(between(random, 100, 10_000)) : 0,
      visibilityTimeoutMs: chance(random, 0.3) ? Math.floor(between(random, 500, 30_000)) : undefined,
    }
    this.#call(client, { name: "receiveMessages", request }, (end) => {
      if (end.kind !== "reply" || !end.reply.ok) {
        done()
        return
      }
      if (this.#cluster.swarm.faults.has("clientDeaths") && chance(random, 0.1)) {
        this.#cluster.world.marks.hit("client: died with messages in hand")
        this.#cluster.world.after(between(random, 1000, 10_000), () => {
          this.#startConsumer()
        })
        return
      }
      this.#work({ client, queueName, messages: end.reply.value.messages }, done)
    })
  }

  #work(
    job: { readonly client: string; readonly queueName: string; readonly messages: readonly DeliveredMessage[] },
    done: () => void,
  ): void {
    const random = this.#random
    const luck = random.nextFloat()
    const { queueName } = job
    const handles = job.messages.map((message) => message.deliveryHandle)
    if (queueName === "poison" ? luck < 0.8 : luck < 0.1) {
      done()
      return
    }
    const isSlow = chance(random, 0.08)
    this.#cluster.world.after(isSlow ? between(random, 2000, 40_000) : exponential(random, 200), () => {
      if (luck > 0.85) {
        const visibilityTimeoutMs = chance(random, 0.4) ? 0 : Math.floor(between(random, 500, 20_000))
        this.#call(job.client, { name: "changeVisibility", request: { queueName, handles, visibilityTimeoutMs } }, done)
        return
      }
      this.#call(job.client, { name: "deleteMessages", request: { queueName, handles } }, (end) => {
        // Now and then a delete is repeated, although it was answered.
        if (end.kind !== "reply" || chance(random, 0.05))
          this.#call(job.client, { name: "deleteMessages", request: { queueName, handles } }, done)
        else done()
      })
    })
  }

  // ------------------------------------------------------------------------------------------ operators

  /** One writer counts the register up; readers see it never fall back. */
  #startRegister(): void {
    const write = (): void => {
      this.#think(() => {
        if (!this.#isRunning) return
        const change = { pollingWaitMs: ++this.#registerValue }
        this.#call("register", { name: "setQueueAttributes", request: { queueName: REGISTER_QUEUE, change } }, write)
      })
    }
    const read = (): void => {
      this.#think(() => {
        if (this.#isRunning)
          this.#call("reader", { name: "getQueueAttributes", request: { queueName: REGISTER_QUEUE } }, read)
      })
    }
    write()
    read()
  }

  #startAdmin(): void {
    const client = this.#newClient("admin")
    const next = (): void => {
      this.#think(() => {
        if (!this.#isRunning) return
        const random = this.#random
        const queueName = pick(random, SEND_TO)
        const luck = random.nextFloat()
        if (luck < 0.25)
          this.#call(client, { name: "peekMessages", request: { queueName, maxCount: 16, fromSequence: 0 } }, next)
        else if (luck < 0.4) this.#call(client, { name: "getQueueAttributes", request: { queueName } }, next)
        else if (luck < 0.5)
          this.#call(client, { name: "listQueues", request: { searchWord: "", offset: 0, limit: 20 } }, next)
        else if (luck < 0.55) this.#call(client, { name: "clusterStatus", request: {} }, next)
        else if (luck < 0.65) this.#rewind(client, next)
        else if (luck < 0.75) this.#call(client, { name: "deleteQueue", request: { queueName: TEMPORARY_QUEUE } }, next)
        else if (luck < 0.9)
          this.#call(client, { name: "createQueue", request: { queueName: TEMPORARY_QUEUE, attributes: PLAIN } }, next)
        else if (luck < 0.93)
          this.#call(
            client,
            { name: "clearQueue", request: { queueName: pick(random, ["short", TEMPORARY_QUEUE]) } },
            next,
          )
        else
          this.#call(
            client,
            { name: "listDeadLetterSources", request: { queueName: DEAD_QUEUE, searchWord: "", offset: 0, limit: 20 } },
            next,
          )
      })
    }
    next()
  }

  #rewind(client: string, done: () => void): void {
    const startConsumeAtMs = Math.floor(WALL_EPOCH_MS + this.#cluster.world.nowMs - between(this.#random, 0, 60_000))
    this.#call(client, { name: "rewindQueue", request: { queueName: "rewound", startConsumeAtMs } }, done)
  }

  // ------------------------------------------------------------------------------------------ common

  #call<K extends UseCaseName>(
    client: string,
    ask: { readonly name: K; readonly request: RequestOf<K> },
    done: (end: CallEnd<K>) => void,
  ): void {
    const waitMs = (ask.request as Partial<RequestOf<"receiveMessages">>).pollingWaitMs ?? 0
    const isImpatient = chance(this.#random, 0.05)
    this.#calls.call({
      ...ask,
      client,
      nodeId: pick(this.#random, this.#cluster.nodes).nodeId,
      timeoutMs: isImpatient ? 100 + this.#random.nextInt(1000) : TIMEOUT_MS,
      patienceMs: isImpatient ? -50 : waitMs + TIMEOUT_MS,
      cancels: chance(this.#random, 0.8),
      done,
    })
  }

  /** For the queues of the workload: again and again, at any node, until it is certain. */
  #untilAnswered<K extends UseCaseName>(name: K, request: RequestOf<K>, done: () => void): void {
    this.#calls.call({
      client: "founder",
      nodeId: pick(this.#random, this.#cluster.nodes).nodeId,
      name,
      request,
      timeoutMs: TIMEOUT_MS,
      patienceMs: TIMEOUT_MS,
      cancels: false,
      done: (end) => {
        const isDone = end.kind === "reply" && (end.reply.ok || end.reply.error === "queueAlreadyExists")
        if (isDone) done()
        else
          this.#cluster.world.after(200, () => {
            this.#untilAnswered(name, request, done)
          })
      },
    })
  }

  #think(then: () => void): void {
    this.#cluster.world.after(exponential(this.#random, this.#settings.thinkMs / this.#intensity), then)
  }

  #newClient(kind: string): string {
    return `${kind}${String(++this.#clientCount)}`
  }
}

const SEND_TO = ["orders", "orders", "orders", "slow", "poison", "aged", "rewound", "short", TEMPORARY_QUEUE] as const
const RECEIVE_FROM = [...SEND_TO, DEAD_QUEUE, "poison"] as const

const PLAIN: QueueAttributes = {
  maxMsgHeapCount: 1_000_000,
  pollingWaitMs: 0,
  visibilityTimeoutMs: 10_000,
  maxMsgBytes: 65_536,
  msgRetentionMs: 24 * 3_600_000,
  rewindMs: 0,
  deadLetterPolicy: undefined,
}

function queueSpecs(random: Random): Record<string, QueueAttributes> {
  const ms = (low: number, high: number): number => Math.floor(between(random, low, high))
  return {
    [REGISTER_QUEUE]: PLAIN,
    [DEAD_QUEUE]: { ...PLAIN, visibilityTimeoutMs: ms(1000, 10_000) },
    orders: { ...PLAIN, visibilityTimeoutMs: ms(2000, 15_000), pollingWaitMs: ms(0, 3000) },
    slow: { ...PLAIN, visibilityTimeoutMs: ms(20_000, 120_000) },
    poison: {
      ...PLAIN,
      visibilityTimeoutMs: ms(1000, 4000),
      deadLetterPolicy: {
        kind: "maxReceiveCount",
        deadLetterQueue: DEAD_QUEUE,
        maxReceiveCount: 1 + random.nextInt(3),
      },
    },
    aged: {
      ...PLAIN,
      deadLetterPolicy: { kind: "maxTimeToLive", deadLetterQueue: DEAD_QUEUE, maxTimeToLiveMs: ms(5000, 60_000) },
    },
    rewound: { ...PLAIN, visibilityTimeoutMs: ms(1000, 5000), rewindMs: ms(20_000, 120_000) },
    short: { ...PLAIN, msgRetentionMs: ms(5000, 60_000), maxMsgHeapCount: 40 },
  }
}
