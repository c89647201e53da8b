/**
 * Publishes to a topic with two subscriptions, an address on loopback and a queue, while nodes are killed. The address
 * refuses a push now and then; one consumer receives from the queue and deletes. Requests are written by hand and never
 * repeated.
 */
import { createServer } from "node:http"
import type { Server } from "node:http"
import type { AddressInfo } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import type { LocalCluster } from "@opencmq/bench/harness"
import { keyOfBody, makeBody } from "./message-body.ts"
import { outcomeOf, postSigned } from "./signed-post.ts"
import type { RawReply } from "./signed-post.ts"
import { emptyTopicHistory, missingKeys } from "./topic-checker.ts"

const TOPIC = { topicName: "black-box-topic" }
const INBOX = { queueName: "black-box-inbox" }
const PAUSE_MS = 40
const TIMEOUT_MS = 6_000
const SET_UP_MS = 20_000
const BODY_BYTES = 200
/** One push in so many is answered 503; the next try comes a second later. */
const REFUSED_EVERY = 40

export class TopicLoad {
  readonly history = emptyTopicHistory()
  readonly #cluster: LocalCluster
  readonly #receiver: Server
  #isPublishing = true
  #isConsuming = true
  #publishing: Promise<void> = Promise.resolve()
  #consuming: Promise<void> = Promise.resolve()
  #turn = 0
  #pushCount = 0

  constructor(cluster: LocalCluster) {
    this.#cluster = cluster
    this.#receiver = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () => {
        const isRefused = ++this.#pushCount % REFUSED_EVERY === 0
        if (!isRefused) this.#taken(Buffer.concat(chunks).toString())
        response.writeHead(isRefused ? 503 : 200).end()
      })
    })
  }

  /** Makes the topic and its subscriptions and begins. */
  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#receiver.listen(0, "127.0.0.1", resolve))
    const { port } = this.#receiver.address() as AddressInfo
    await this.#must("CreateQueue", { ...INBOX, visibilityTimeout: "3" })
    await this.#must("CreateTopic", TOPIC)
    const endpoint = `http://127.0.0.1:${String(port)}/hook`
    const format = { notifyContentFormat: "SIMPLIFIED" }
    const address = { subscriptionName: "hook", protocol: "http", endpoint }
    await this.#must("Subscribe", { ...TOPIC, ...format, ...address })
    const queue = { subscriptionName: "inbox", protocol: "queue", endpoint: INBOX.queueName }
    await this.#must("Subscribe", { ...TOPIC, ...format, ...queue })
    this.#publishing = this.#publish()
    this.#consuming = this.#consume()
  }

  /** Resolves when no publish is under way. */
  async stopPublishing(): Promise<void> {
    this.#isPublishing = false
    await this.#publishing
  }

  /** Waits until everything acknowledged is where it belongs, or the time is over. */
  async settle(timeoutMs: number): Promise<void> {
    const untilMs = performance.now() + timeoutMs
    for (;;) {
      const { pushes, receives } = missingKeys(this.history)
      if (pushes.length + receives.length === 0 || performance.now() > untilMs) return
      await sleep(100)
    }
  }

  async stop(): Promise<void> {
    await this.stopPublishing()
    this.#isConsuming = false
    await this.#consuming
    this.#receiver.closeAllConnections()
    await new Promise((resolve) => this.#receiver.close(resolve))
  }

  async #publish(): Promise<void> {
    for (let key = 1; this.#isPublishing; key++) {
      const reply = await this.#call("PublishMessage", { ...TOPIC, msgBody: makeBody(key, BODY_BYTES) })
      this.history.published.set(key, outcomeOf(reply))
      await sleep(PAUSE_MS)
    }
  }

  #taken(body: string): void {
    const key = keyOfBody(body)
    if (key === undefined) this.history.corruptBodies.push(body.slice(0, 80))
    else this.history.pushed.push(key)
  }

  async #consume(): Promise<void> {
    while (this.#isConsuming) {
      const reply = await this.#call("BatchReceiveMessage", { ...INBOX, numOfMsg: "16", pollingWaitSeconds: "0" })
      const messages = (reply.fields?.["msgInfoList"] ?? []) as readonly Record<string, unknown>[]
      for (const { msgBody, msgId, dequeueCount } of messages) {
        const key = keyOfBody(String(msgBody))
        if (key === undefined) this.history.corruptBodies.push(String(msgBody).slice(0, 80))
        else this.history.received.push({ key, msgId: String(msgId), dequeueCount: Number(dequeueCount) })
      }
      const handles = messages.map(
        ({ receiptHandle }, i) => [`receiptHandle.${String(i)}`, String(receiptHandle)] as const,
      )
      // What is not known to be deleted comes back, with a greater count.
      if (handles.length > 0) await this.#call("BatchDeleteMessage", { ...INBOX, ...Object.fromEntries(handles) })
      else await sleep(100)
    }
  }

  /** At each node in turn. */
  #call(action: string, fields: Readonly<Record<string, string>>): Promise<RawReply> {
    const { nodes, keys } = this.#cluster
    const host = nodes[this.#turn++ % nodes.length]?.http ?? ""
    return postSigned({ host, action, fields, timeoutMs: TIMEOUT_MS }, keys)
  }

  async #must(action: string, fields: Readonly<Record<string, string>>): Promise<void> {
    const untilMs = performance.now() + SET_UP_MS
    for (;;) {
      const reply = await this.#call(action, fields)
      if (outcomeOf(reply) === "ack") return
      if (performance.now() > untilMs) throw new Error(`${action} was not done: ${JSON.stringify(reply.fields)}`)
      await sleep(200)
    }
  }
}
