/**
 * The same scenarios over HTTP, TCP, gRPC and the SDK, against a follower of three real nodes: all faces must answer alike,
 * refusal by refusal. A table says what; `face-drivers.ts` says how each face puts it.
 */
import { Account } from "@opencmq/client-sdk"
import type { QueueAttributes } from "@opencmq/client-sdk"
import { LocalCluster } from "@opencmq/bench/harness"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { message } from "../conformance/kit/protobuf-wire.ts"
import { TcpClient } from "../conformance/kit/tcp-client.ts"
import { openDrivers, portOf, Refused } from "./face-drivers.ts"
import type { FaceDriver, Labels, Received } from "./face-drivers.ts"
import { QcloudClient } from "./qcloud-client.ts"

/** What a step answers: bodies, the number of message ids, what became of each handle, or a refusal. */
type Outcome = readonly (string | undefined)[] | number | { readonly refused: string }

interface Scenario {
  readonly name: string
  readonly queue?: QueueAttributes
  /** A topic of this kind, to which the queue subscribes with these tags or binding keys. */
  readonly topic?: { readonly filterType: "tags" | "bindingKeys"; readonly wants: readonly string[] }
  readonly steps: readonly { readonly run: (walk: Walk) => Promise<Outcome>; readonly gives: Outcome }[]
}

/** One scenario on its way through one face. */
class Walk {
  readonly #face: FaceDriver
  readonly #queueName: string
  #received: readonly Received[] = []

  constructor(face: FaceDriver, queueName: string) {
    this.#face = face
    this.#queueName = queueName
  }

  async send(bodies: readonly string[], delaySeconds = 0, queueName = this.#queueName): Promise<number> {
    const ids = await this.#face.send(queueName, bodies, delaySeconds)
    expect(new Set(ids).size).toBe(ids.length)
    return ids.length
  }

  async receive(max = 1, waitSeconds = 0, queueName = this.#queueName): Promise<readonly string[]> {
    this.#received = await this.#face.receive(queueName, { max, waitSeconds })
    return this.#received.map(({ body, dequeueCount }) => `${body} ${String(dequeueCount)}`)
  }

  /** To the topic of the scenario. */
  async publish(bodies: readonly string[], labels: Labels = {}, topicName = this.#queueName): Promise<number> {
    const ids = await this.#face.publish(topicName, bodies, labels)
    return new Set(ids).size
  }

  /** Those of the newest receive, by their places; other handles as they are. */
  remove(places: readonly (number | string)[], queueName = this.#queueName): Promise<readonly (string | undefined)[]> {
    const handles = places.map((place) =>
      typeof place === "string" ? place : (this.#received[place]?.receiptHandle ?? ""),
    )
    return this.#face.remove(queueName, handles)
  }
}

const OK = undefined
const TOO_LONG = "x".repeat(2000)

const SCENARIOS: readonly Scenario[] = [
  {
    name: "a message is sent, received, deleted and gone",
    steps: [
      { run: (walk) => walk.send(["hello"]), gives: 1 },
      { run: (walk) => walk.receive(), gives: ["hello 1"] },
      { run: (walk) => walk.remove([0]), gives: [OK] },
      { run: (walk) => walk.receive(), gives: [] },
    ],
  },
  {
    name: "a batch keeps its order, and each handle is settled for itself",
    steps: [
      { run: (walk) => walk.send(["a", "b", "c"]), gives: 3 },
      { run: (walk) => walk.receive(16), gives: ["a 1", "b 1", "c 1"] },
      { run: (walk) => walk.remove([0, 2]), gives: [OK, OK] },
      { run: (walk) => walk.remove([0, 1]), gives: ["receiptHandleInvalid", OK] },
      { run: (walk) => walk.remove([0, 1, 2]), gives: Array<string>(3).fill("receiptHandleInvalid") },
      { run: (walk) => walk.receive(16), gives: [] },
    ],
  },
  {
    name: "any bytes of UTF-8 come back as they were sent",
    steps: [
      { run: (walk) => walk.send(["你好 \u{1F600} a+b=c&d %41 \u0000 \n"]), gives: 1 },
      { run: (walk) => walk.receive(), gives: ["你好 \u{1F600} a+b=c&d %41 \u0000 \n 1"] },
    ],
  },
  {
    name: "what was not deleted comes again, counted, and the old handle is void",
    queue: { visibilityTimeoutSeconds: 1 },
    steps: [
      { run: (walk) => walk.send(["again"]), gives: 1 },
      { run: (walk) => walk.receive(), gives: ["again 1"] },
      { run: (walk) => walk.receive(1, 5), gives: ["again 2"] },
      { run: (walk) => walk.remove([0]), gives: [OK] },
    ],
  },
  {
    name: "a delayed message waits",
    steps: [
      { run: (walk) => walk.send(["later"], 1), gives: 1 },
      { run: (walk) => walk.receive(), gives: [] },
      { run: (walk) => walk.receive(1, 5), gives: ["later 1"] },
    ],
  },
  {
    name: "a batch is stored whole or not at all",
    queue: { maxMsgSizeBytes: 1024 },
    steps: [
      { run: (walk) => walk.send(["fits", TOO_LONG]), gives: { refused: "messageTooLarge" } },
      { run: (walk) => walk.send([TOO_LONG]), gives: { refused: "messageTooLarge" } },
      { run: (walk) => walk.receive(16), gives: [] },
    ],
  },
  {
    name: "a queue that is not there is not there for anything",
    steps: [
      { run: (walk) => walk.send(["x"], 0, "nowhere"), gives: { refused: "queueNotFound" } },
      { run: (walk) => walk.receive(1, 0, "nowhere"), gives: { refused: "queueNotFound" } },
      { run: (walk) => walk.remove(["281474976710657"], "nowhere"), gives: { refused: "queueNotFound" } },
    ],
  },
  {
    name: "a handle of another queue is void",
    steps: [
      { run: (walk) => walk.send(["mine"]), gives: 1 },
      { run: (walk) => walk.receive(), gives: ["mine 1"] },
      { run: (walk) => walk.remove([0], "other"), gives: ["receiptHandleInvalid"] },
      { run: (walk) => walk.remove([0]), gives: [OK] },
    ],
  },
  {
    name: "a topic by tags: what the subscription wants comes, the rest is dropped",
    topic: { filterType: "tags", wants: ["red", "blue"] },
    steps: [
      { run: (walk) => walk.publish(["one"], { tags: ["red"] }), gives: 1 },
      { run: (walk) => walk.publish(["none"], { tags: ["green"] }), gives: 1 },
      { run: (walk) => walk.publish(["two", "three"], { tags: ["green", "blue"] }), gives: 2 },
      { run: (walk) => walk.receive(16), gives: ["one 1", "two 1", "three 1"] },
    ],
  },
  {
    name: "a topic by binding keys, which needs a routing key",
    topic: { filterType: "bindingKeys", wants: ["order.*.paid"] },
    steps: [
      { run: (walk) => walk.publish(["yes"], { routingKey: "order.7.paid" }), gives: 1 },
      { run: (walk) => walk.publish(["no"], { routingKey: "order.7.8.paid" }), gives: 1 },
      { run: (walk) => walk.publish(["keyless"]), gives: { refused: "routingKeyMissing" } },
      { run: (walk) => walk.receive(16), gives: ["yes 1"] },
    ],
  },
  {
    name: "a topic that is not there, and labels beyond their limits",
    topic: { filterType: "tags", wants: [] },
    steps: [
      { run: (walk) => walk.publish(["x"], {}, "nowhere"), gives: { refused: "topicNotFound" } },
      {
        run: (walk) => walk.publish(["x"], { tags: ["a", "b", "c", "d", "e", "f"] }),
        gives: { refused: "tooManyMessageTags" },
      },
      { run: (walk) => walk.publish(["kept"]), gives: 1 },
      { run: (walk) => walk.receive(16), gives: ["kept 1"] },
    ],
  },
  {
    name: "the delay, the wait and the number of messages have ranges",
    steps: [
      { run: (walk) => walk.send(["x"], 3601), gives: { refused: "delayOutOfRange" } },
      { run: (walk) => walk.receive(1, 31), gives: { refused: "parameterOutOfRange" } },
      { run: (walk) => walk.receive(17), gives: { refused: "parameterOutOfRange" } },
    ],
  },
]

const FACES = ["HTTP", "TCP", "gRPC", "SDK"] as const

let cluster: LocalCluster
let follower: LocalCluster["nodes"][number]
let account: Account
let drivers: readonly FaceDriver[]

beforeAll(async () => {
  cluster = await LocalCluster.create()
  await cluster.startAll()
  const leaderId = await cluster.waitLeader()
  follower = cluster.nodes.find(({ id }) => id !== leaderId) ?? cluster.node(1)
  drivers = await openDrivers(follower, portOf(follower.http) + 3, cluster.keys)
  account = new Account({ endpoints: [follower.endpoint], ...cluster.keys })
  await account.createQueue("other")
})

afterAll(async () => {
  account.close()
  for (const driver of drivers) driver.close()
  await cluster.dispose()
})

describe.each(FACES)("over %s", (faceName) => {
  for (const [place, scenario] of SCENARIOS.entries()) {
    const { name, steps } = scenario
    test(name, async () => {
      const face = drivers.find((driver) => driver.name === faceName)
      if (face === undefined) throw new Error(`there is no driver for ${faceName}`)
      const queueName = `${faceName}-${String(place)}`
      await prepare(scenario, queueName)
      const walk = new Walk(face, queueName)
      const outcomes: Outcome[] = []
      for (const { run } of steps) outcomes.push(await outcomeOf(() => run(walk)))
      expect(outcomes).toEqual(steps.map(({ gives }) => gives))
    })
  }
})

async function prepare({ queue = {}, topic }: Scenario, name: string): Promise<void> {
  await account.createQueue(name, queue)
  if (topic === undefined) return
  const made = await account.createTopic(name, { filterType: topic.filterType })
  await made.subscribe("to-queue", {
    endpoint: { queue: name },
    ...(topic.filterType === "tags" ? { filterTags: topic.wants } : { bindingKeys: topic.wants }),
  })
}

/** Results of CMQ's TCP protocol. */
const OUTCOME_UNKNOWN = 6000n
const ALREADY_DECIDED = 6040n

/** The last test: it kills the leader of the others. */
test("half messages outlive their leader: they are decided over any face, and their producer is asked", async () => {
  const queueName = "halves"
  const queue = await account.createQueue(queueName)
  const producer = await TcpClient.open(portOf(follower.http) + 3, cluster.keys)
  const http = new QcloudClient(follower.http, cluster.keys, "queue")
  const send = async (body: string, seconds: bigint): Promise<bigint> => {
    const { msgids } = await producer.call("send", [1, queueName], [2, body], [4, 1n], [5, seconds])
    return msgids[0] ?? 0n
  }
  const confirm = (msgId: bigint, state: bigint) =>
    producer.call("confirm", [1, queueName], [2, message([1, msgId], [2, state])])
  const asked = (msgId: bigint) => producer.replies.some(({ query }) => query?.msgId === msgId)
  const first = await send("committed after the kill", 600n)
  const undecided = await send("committed when asked", 2n)
  const unwanted = await send("rolled back", 600n)
  const half = { queueName, msgBody: "over HTTP", firstQueryInterval: 3600 }
  const { msgId: last } = await http.ok("SendHalfMessage", half)

  await cluster.kill(await cluster.waitLeader())
  // The first request may have gone to the leader in its last moment: then its outcome is unknown, and it is asked again.
  const decide = async (msgId: bigint, state: bigint): Promise<bigint> => {
    const { result } = await confirm(msgId, state)
    if (result !== OUTCOME_UNKNOWN) return result
    const again = await decide(msgId, state)
    return again === ALREADY_DECIDED ? 0n : again
  }
  expect(await decide(unwanted, 2n)).toBe(0n)
  expect(await decide(first, 1n)).toBe(0n)
  await http.ok("ConfirmTransaction", { queueName, msgId: last, decision: "commit" })
  await expect.poll(() => asked(undecided), { timeout: 20_000 }).toBe(true)
  expect([asked(first), asked(unwanted)]).toEqual([false, false])
  const { msgInfoList } = await http.ok("ListHalfMessage", { queueName })
  expect(msgInfoList).toMatchObject([{ msgId: String(undecided), state: "half" }])
  expect((await confirm(undecided, 1n)).result).toBe(0n)
  expect((await confirm(undecided, 1n)).result).toBe(ALREADY_DECIDED)

  const received = await queue.receiveBatch({ max: 16 })
  expect(received.map(({ body }) => body)).toEqual(["committed after the kill", "committed when asked", "over HTTP"])
  expect(await http.ok("GetQueueAttributes", { queueName })).toMatchObject({ halfMsgNum: 0, activeMsgNum: 0 })
  producer.close()
})

async function outcomeOf(run: () => Promise<Outcome>): Promise<Outcome> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof Refused) return { refused: error.error }
    throw error
  }
}
