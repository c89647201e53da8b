/**
 * gRPC on three real nodes while their leader is killed: streams that produce, unary calls that publish to a topic, streams
 * that consume. Whatever was acknowledged is there, once. Whatever was not is repeated with its client_message_id.
 */
import { setTimeout as sleep } from "node:timers/promises"
import type { ClientDuplexStream, Metadata } from "@grpc/grpc-js"
import { LocalCluster } from "@opencmq/bench/harness"
import { afterAll, beforeAll, expect, test } from "vitest"
import { GrpcClient, isServiceError } from "../conformance/kit/grpc-face.ts"
import type { Fields } from "../conformance/kit/grpc-face.ts"

const QUEUE = "orders"
const TOPIC = "news"
const BATCH_MESSAGES = 4
const WINDOW_BATCHES = 4
const CREDITS = 64
/** The shortest: what was on its way to a client when the leader fell comes again soon. */
const VISIBILITY_MS = 1_000
const PAUSE_MS = 50
/** Messages that each has to get acknowledged before, and again after, the leader is killed. */
const ENOUGH = 60

let cluster: LocalCluster
let leaderId: number
let clients: readonly GrpcClient[] = []

beforeAll(async () => {
  cluster = await LocalCluster.create()
  await cluster.startAll()
  leaderId = await cluster.waitLeader()
  clients = cluster.nodes.map(({ grpc }) => new GrpcClient(Number(grpc.split(":")[1]), {}))
  const requests: readonly (readonly [string, Fields])[] = [
    ["QueueService/CreateQueue", { queueName: QUEUE }],
    ["TopicService/CreateTopic", { topicName: TOPIC }],
    ["TopicService/Subscribe", { topicName: TOPIC, subscriptionName: "s", queueName: QUEUE }],
  ]
  for (const [node, request] of requests.entries()) await patientCall(node, ...request)
})

afterAll(async () => {
  for (const client of clients) client.close()
  await cluster.dispose()
})

/** @param nth - of the nodes, counted round and round. */
function clientOf(nth: number): GrpcClient {
  return clients[nth % clients.length] as GrpcClient
}

function call(nth: number, name: string, request: Fields): Promise<Fields> {
  return clientOf(nth).call(name, request, { ...cluster.keys, deadlineMs: 8_000 })
}

/** A node is ready a little before its gRPC face listens. */
function patientCall(node: number, name: string, request: Fields): Promise<Fields> {
  const change = (metadata: Metadata): void => {
    metadata.setOptions({ waitForReady: true })
  }
  return clientOf(node).call(name, request, { ...cluster.keys, deadlineMs: 60_000, change })
}

type Stream = ClientDuplexStream<Fields, Fields>
type Row = Readonly<Record<string, unknown>>

function rows(response: Fields, field: string): readonly Row[] {
  return (response[field] ?? []) as Row[]
}

/** A stream that is opened again at the next node whenever it breaks. */
abstract class Talker {
  brokenCount = 0
  protected stream: Stream
  protected isStopped = false
  #node: number
  readonly #method: string

  constructor(method: string, node: number) {
    this.#method = method
    this.#node = node
    this.stream = this.#open()
  }

  stop(): void {
    this.isStopped = true
    this.stream.end()
  }

  protected abstract opened(): void
  protected abstract heard(response: Fields): void

  #open(): Stream {
    const stream = clientOf(this.#node).stream(`MessageService/${this.#method}`, cluster.keys)
    stream.on("data", (response: Fields) => {
      this.heard(response)
    })
    stream.on("error", () => {
      if (this.isStopped) return
      this.brokenCount++
      this.#node++
      setTimeout(() => {
        if (this.isStopped) return
        this.stream = this.#open()
        this.opened()
      }, PAUSE_MS)
    })
    return stream
  }
}

/** What clients know: bodies that were acknowledged, with the id that they were told. */
const acknowledged = new Map<string, string>()
/** Refusals that are for good; there must be none. */
const faults: string[] = []

class Producer extends Talker {
  acknowledgedCount = 0
  repeatedCount = 0
  isFinishing = false
  readonly #name: string
  readonly #undecided = new Map<string, readonly string[]>()
  #lastBatch = 0

  constructor(name: string, node: number) {
    super("Produce", node)
    this.#name = name
    this.opened()
  }

  get isDecided(): boolean {
    return this.#undecided.size === 0
  }

  protected opened(): void {
    for (const batchId of this.#undecided.keys()) this.#repeat(batchId)
    this.#fill()
  }

  protected heard(response: Fields): void {
    for (const { batchId, messages = [], refusal } of rows(response, "batches")) {
      const bodies = this.#undecided.get(String(batchId)) ?? []
      if (refusal === undefined || refusal === null) {
        this.#undecided.delete(String(batchId))
        this.acknowledgedCount += bodies.length
        bodies.forEach((body, index) => acknowledged.set(body, String((messages as readonly Row[])[index]?.["msgId"])))
      } else if (mayRepeat(refusal as Row)) setTimeout(() => this.#repeat(String(batchId)), PAUSE_MS)
      else faults.push(JSON.stringify(refusal))
    }
    this.#fill()
  }

  #fill(): void {
    while (this.#undecided.size < WINDOW_BATCHES && !this.isFinishing) {
      const batchId = String(++this.#lastBatch)
      const bodies = Array.from({ length: BATCH_MESSAGES }, (_, index) => `${this.#name}-${batchId}-${String(index)}`)
      this.#undecided.set(batchId, bodies)
      this.#write(batchId, bodies)
    }
  }

  #repeat(batchId: string): void {
    const bodies = this.#undecided.get(batchId)
    if (bodies === undefined || this.isStopped) return
    this.repeatedCount++
    this.#write(batchId, bodies)
  }

  #write(batchId: string, bodies: readonly string[]): void {
    this.stream.write({ queueName: QUEUE, batchId, messages: bodies.map(messageOf) })
  }
}

function messageOf(body: string): Row {
  return { body: Buffer.from(body), clientMessageId: body }
}

function mayRepeat({ isRetriable, outcome }: Row): boolean {
  return isRetriable === true || outcome === "OUTCOME_UNKNOWN"
}

/** Publishes by unary calls, each at another node; what fails is repeated at the next. */
class Publisher {
  acknowledgedCount = 0
  isFinishing = false
  readonly ended: Promise<void>

  constructor() {
    this.ended = this.#run()
  }

  async #run(): Promise<void> {
    for (let nth = 0; !this.isFinishing; nth++) {
      const bodies = Array.from({ length: BATCH_MESSAGES }, (_, index) => `published-${String(nth)}-${String(index)}`)
      const { messages } = await this.#publish({ topicName: TOPIC, messages: bodies.map(messageOf) }, nth)
      bodies.forEach((body, index) => acknowledged.set(body, String((messages as readonly Row[])[index]?.["msgId"])))
      this.acknowledgedCount += bodies.length
    }
  }

  async #publish(request: Fields, first: number): Promise<Fields> {
    for (let nth = first; ; nth++) {
      try {
        return await call(nth, "TopicService/Publish", request)
      } catch (error) {
        if (!isServiceError(error)) throw error
        await sleep(PAUSE_MS)
      }
    }
  }
}

/** Every message that some stream brought: body to the ids under which it came. */
const received = new Map<string, Set<string>>()

class Consumer extends Talker {
  #settlementId = 0

  constructor(node: number) {
    super("Consume", node)
    this.opened()
  }

  protected opened(): void {
    this.stream.write({ queueName: QUEUE, visibilityTimeoutMs: VISIBILITY_MS, addCredits: CREDITS })
  }

  protected heard(response: Fields): void {
    const messages = rows(response, "messages")
    for (const { body, msgId } of messages) {
      const text = String(body)
      received.set(text, (received.get(text) ?? new Set()).add(String(msgId)))
    }
    if (messages.length === 0) return
    const deleteHandles = messages.map(({ receiptHandle }) => receiptHandle)
    // A delete that fails, or is lost, brings the message again.
    this.stream.write({ addCredits: messages.length, settlementId: ++this.#settlementId, deleteHandles })
  }
}

async function left(): Promise<number> {
  const { activeCount, inactiveCount } = await call(leaderId % 3, "QueueService/GetQueue", { queueName: QUEUE })
  return Number(activeCount ?? 0) + Number(inactiveCount ?? 0)
}

test("the leader is killed under Produce, Publish and Consume: nothing acknowledged is lost or there twice", async () => {
  const patience = { timeout: 60_000, interval: PAUSE_MS }
  // One at each node: at the leader, too.
  const consumers = cluster.nodes.map((_, node) => new Consumer(node))
  const producers = cluster.nodes.map((_, node) => new Producer(`produced-${String(node)}`, node))
  const publisher = new Publisher()
  const everyone = [...producers, publisher]
  const counts = () => everyone.map(({ acknowledgedCount }) => acknowledgedCount)
  const progress = (from: readonly number[]) =>
    expect.poll(() => counts().every((count, index) => count >= (from[index] ?? 0) + ENOUGH), patience).toBe(true)

  await progress([])
  const { signal } = await cluster.kill(leaderId)
  expect(signal).toBe("SIGKILL")
  await progress(counts())

  for (const each of everyone) each.isFinishing = true
  await publisher.ended
  await expect.poll(() => producers.every(({ isDecided }) => isDecided), patience).toBe(true)
  await expect.poll(left, patience).toBe(0)
  for (const each of [...producers, ...consumers]) each.stop()

  const lost = [...acknowledged.keys()].filter((body) => !received.has(body))
  const twice = [...received].filter(([, ids]) => ids.size > 1)
  const otherIds = [...acknowledged].filter(([body, msgId]) => received.get(body)?.has(msgId) !== true)
  expect({ lost, twice, otherIds, faults }).toEqual({ lost: [], twice: [], otherIds: [], faults: [] })
  // Every message was repeated until it was acknowledged.
  expect(received.size).toBe(acknowledged.size)
  // The fall was felt: streams broke, and what they had not decided went out again.
  expect(consumers.map(({ brokenCount }) => brokenCount)[leaderId - 1]).toBeGreaterThan(0)
  expect(producers[leaderId - 1]?.brokenCount).toBeGreaterThan(0)
  expect(producers[leaderId - 1]?.repeatedCount).toBeGreaterThan(0)
})
