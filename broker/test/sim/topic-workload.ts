/**
 * What clients do with topics: publish to two of them, one with tags and one with binding keys, subscribe queues and
 * addresses, change filters, unsubscribe and come back. Their queues are small, and now and then one of them is deleted.
 */
import { Buffer } from "node:buffer"
import type {
  Endpoint,
  QueueAttributes,
  SubscriptionAttributes,
  TopicAttributes,
} from "../../src/core/queue/command.ts"
import type { Random } from "../../src/core/random.ts"
import type { PublishedMessage, RequestOf, UseCaseName } from "../../src/node/service-types.ts"
import type { CallEnd, ClientCalls } from "./client-calls.ts"
import type { ReceiverName } from "./push-receivers.ts"
import type { SimCluster } from "./sim-cluster.ts"
import { between, chance, exponential, pick } from "./world.ts"

export const TAG_TOPIC = "news"
export const KEY_TOPIC = "events"
/** Queues that subscriptions deliver into; the first is roomy. Nobody sends to them. */
export const INBOXES = ["inbox", "small-inbox", "key-inbox"] as const

const TIMEOUT_MS = 5000
const PUBLISH_ATTEMPTS = 3
const TAGS = ["red", "green", "blue"] as const
const ROUTING_KEYS = ["eu.de.new", "eu.fr.paid", "us.new", "us..paid"] as const
/** Of the subscriptions of the second topic; the last wants nothing of it. */
const BINDING_KEYS = [["#"], ["eu.#"], ["*.new", "us.*.paid"], ["*.*.paid"], ["none.of.these"]] as const

export class TopicWorkload {
  readonly #cluster: SimCluster
  readonly #calls: ClientCalls
  readonly #random: Random
  readonly #specs: readonly SubscriptionSpec[]
  /** The others stay as they are: at the end something is demanded of them. */
  readonly #changeable: readonly SubscriptionSpec[]
  #isRunning = false
  /** 1 = as ever; 0.1 = a tenth of the load. */
  #intensity = 1
  #bodyCount = 0

  constructor(cluster: SimCluster, calls: ClientCalls) {
    this.#cluster = cluster
    this.#calls = calls
    this.#random = cluster.world.fork("topic workload")
    this.#specs = subscriptionSpecs(this.#random, (name) => cluster.receivers.urlOf(name))
    this.#changeable = this.#specs.filter(({ subscriptionName: name }) => name !== "prompt" && name !== "dead")
  }

  /** Creates everything, then starts the clients. */
  begin(): void {
    this.#isRunning = true
    const retentionMs = pick(this.#random, [20_000, 60_000, 86_400_000])
    const steps: ((done: () => void) => void)[] = []
    for (const queueName of INBOXES) {
      const attributes = inboxAttributes(queueName)
      steps.push((done) => {
        this.#untilDone("createQueue", { queueName, attributes }, done)
      })
    }
    for (const topicName of [TAG_TOPIC, KEY_TOPIC]) {
      const attributes = topicAttributes(topicName, retentionMs)
      steps.push((done) => {
        this.#untilDone("createTopic", { topicName, attributes }, done)
      })
    }
    for (const spec of this.#specs) {
      steps.push((done) => {
        this.#untilDone("subscribe", spec, done)
      })
    }
    const next = (): void => {
      const step = steps.shift()
      if (step !== undefined) step(next)
      else this.#startClients()
    }
    next()
  }

  setIntensity(intensity: number): void {
    this.#intensity = intensity
  }

  end(): void {
    this.#isRunning = false
  }

  /** One more message for everybody, until it is acknowledged; `done` gets its body. */
  publishFresh(done: (body: string) => void): void {
    const message = { ...this.#newMessage("fresh"), tags: [], clientMessageId: "fresh" }
    this.#untilDone("publishMessages", { topicName: TAG_TOPIC, messages: [message] }, () => {
      done(Buffer.from(message.body).toString())
    })
  }

  /** Takes every subscription away. */
  unsubscribeAll(done: () => void): void {
    const left = [...this.#cluster.oracle.topics.subscriptions()]
    const next = (): void => {
      const each = left.shift()
      if (each === undefined) {
        done()
        return
      }
      const request = { topicName: each.topicName, subscriptionName: each.model.name }
      this.#untilDone("unsubscribe", request, next)
    }
    next()
  }

  #startClients(): void {
    this.#loop(700, (next) => {
      this.#publish(next)
    })
    this.#loop(1000, (next) => {
      this.#consume(next)
    })
    this.#loop(8000, (next) => {
      this.#change(next)
    })
  }

  #loop(thinkMs: number, act: (next: () => void) => void): void {
    const next = (): void => {
      this.#cluster.world.after(exponential(this.#random, thinkMs / this.#intensity), () => {
        if (this.#isRunning) act(next)
      })
    }
    next()
  }

  // ------------------------------------------------------------------------------------------ clients

  #publish(done: () => void): void {
    const topicName = pick(this.#random, [TAG_TOPIC, TAG_TOPIC, KEY_TOPIC])
    const count = chance(this.#random, 0.3) ? 1 + this.#random.nextInt(16) : 1
    const messages = Array.from({ length: count }, () => this.#newMessage("publisher"))
    const isRepeatable = messages.every(({ clientMessageId }) => clientMessageId !== "")
    const attempt = (attemptsLeft: number): void => {
      this.#call("publishMessages", { topicName, messages }, (end) => {
        const isOver = end.kind === "reply" && (end.reply.ok || end.reply.error !== "unknownOutcome")
        if (isOver || attemptsLeft <= 1 || !(isRepeatable || end.kind === "notReached") || !this.#isRunning) {
          if (isOver && isRepeatable && attemptsLeft > 1 && chance(this.#random, 0.05)) attempt(1)
          else done()
          return
        }
        this.#cluster.world.after(between(this.#random, 10, 1000), () => {
          attempt(attemptsLeft - 1)
        })
      })
    }
    attempt(PUBLISH_ATTEMPTS)
  }

  #newMessage(client: string): PublishedMessage {
    const number = ++this.#bodyCount
    return {
      body: Buffer.from(`${String(number)}.${client}`.padEnd(12 + this.#random.nextInt(60), ".")),
      clientMessageId: chance(this.#random, 0.5) ? `${client}-${String(number)}` : "",
      attributes: [],
      tags: TAGS.filter(() => chance(this.#random, 0.3)),
      routingKey: pick(this.#random, ROUTING_KEYS),
    }
  }

  #consume(done: () => void): void {
    const queueName = pick(this.#random, INBOXES)
    const common = { queueName, pollingWaitMs: 0, visibilityTimeoutMs: undefined }
    this.#call("receiveMessages", { ...common, maxCount: 16 }, (end) => {
      if (end.kind !== "reply" || !end.reply.ok || chance(this.#random, 0.1)) {
        done()
        return
      }
      const handles = end.reply.value.messages.map((message) => message.deliveryHandle)
      this.#call("deleteMessages", { queueName, handles }, done)
    })
  }

  #change(done: () => void): void {
    const luck = this.#random.nextFloat()
    const spec = pick(this.#random, this.#changeable)
    const { topicName, subscriptionName, attributes } = spec
    const place = { topicName, subscriptionName }
    if (luck < 0.3) {
      const change = { ...attributes, ...drawFilter(this.#random) }
      this.#call("setSubscriptionAttributes", { ...place, change }, done)
    } else if (luck < 0.45) {
      this.#call("unsubscribe", place, () => {
        this.#call("subscribe", spec, done)
      })
    } else if (luck < 0.55) this.#call("subscribe", spec, done)
    else if (luck < 0.65) this.#replaceQueue(done)
    else if (luck < 0.75) this.#call("getSubscriptionAttributes", place, done)
    else if (luck < 0.8) this.#call("deleteTopic", { topicName }, done)
    else if (luck < 0.85) this.#call("createTopic", { topicName, attributes: topicAttributes(topicName, 60_000) }, done)
    else {
      const msgRetentionMs = pick(this.#random, [10_000, 30_000, 86_400_000])
      this.#call("setTopicAttributes", { topicName, change: { msgRetentionMs } }, done)
    }
  }

  /** While it is away, and its name with it, its messages wait. */
  #replaceQueue(done: () => void): void {
    const queueName = pick(this.#random, INBOXES)
    this.#call("deleteQueue", { queueName }, () => {
      this.#cluster.world.after(between(this.#random, 10_000, 40_000), () => {
        this.#untilDone("createQueue", { queueName, attributes: inboxAttributes(queueName) }, done)
      })
    })
  }

  // ------------------------------------------------------------------------------------------ common

  #call<K extends UseCaseName>(name: K, request: RequestOf<K>, done: (end: CallEnd<K>) => void): void {
    const nodeId = pick(this.#random, this.#cluster.nodes).nodeId
    const common = { timeoutMs: TIMEOUT_MS, patienceMs: TIMEOUT_MS, cancels: false }
    this.#calls.call({ client: "topics", nodeId, name, request, ...common, done })
  }

  /** Again and again, at any node, until it is certain. */
  #untilDone<K extends UseCaseName>(name: K, request: RequestOf<K>, done: () => void): void {
    this.#call(name, request, (end) => {
      const isDone = end.kind === "reply" && (end.reply.ok || DONE_BEFORE.has(end.reply.error))
      if (isDone) done()
      else
        this.#cluster.world.after(200, () => {
          this.#untilDone(name, request, done)
        })
    })
  }
}

/** Said of something that an earlier attempt, of which nothing was heard, has done. */
const DONE_BEFORE: ReadonlySet<string> = new Set([
  "queueAlreadyExists",
  "topicAlreadyExists",
  "subscriptionAlreadyExists",
  "subscriptionNotFound",
  "topicNotFound",
])

type SubscriptionSpec = RequestOf<"subscribe">

function drawFilter(random: Random): Pick<SubscriptionAttributes, "filterTags" | "bindingKeys"> {
  return {
    filterTags: TAGS.filter(() => chance(random, 0.4)),
    bindingKeys: pick(random, BINDING_KEYS),
  }
}

function subscriptionSpecs(random: Random, urlOf: (name: ReceiverName) => string): readonly SubscriptionSpec[] {
  const spec = (topicName: string, endpoint: Endpoint, isPlain = false): SubscriptionSpec => ({
    topicName,
    subscriptionName: endpoint.kind === "queue" ? endpoint.queueName : (endpoint.url.split(/[/.]+/)[1] ?? ""),
    endpoint,
    attributes: {
      notifyStrategy: pick(random, ["backoff", "exponentialDecay"] as const),
      notifyContentFormat: "simplified",
      ...drawFilter(random),
      ...(isPlain ? { filterTags: [], bindingKeys: ["#"] } : {}),
    },
  })
  const [inbox, smallInbox, keyInbox] = INBOXES
  const http = (name: ReceiverName): Endpoint => ({ kind: "http", url: urlOf(name) })
  return [
    spec(TAG_TOPIC, { kind: "queue", queueName: inbox }),
    spec(TAG_TOPIC, { kind: "queue", queueName: smallInbox }),
    spec(TAG_TOPIC, http("prompt"), true),
    spec(TAG_TOPIC, http("flaky")),
    spec(TAG_TOPIC, http("dead"), true),
    spec(KEY_TOPIC, { kind: "queue", queueName: keyInbox }),
    spec(KEY_TOPIC, http("slow")),
    spec(KEY_TOPIC, http("flaky")),
  ]
}

function topicAttributes(topicName: string, msgRetentionMs: number): TopicAttributes {
  return { maxMsgBytes: 65_536, filterType: topicName === TAG_TOPIC ? "tags" : "bindingKeys", msgRetentionMs }
}

function inboxAttributes(queueName: string): QueueAttributes {
  return {
    maxMsgHeapCount: queueName === "small-inbox" ? 12 : 1_000_000,
    pollingWaitMs: 0,
    visibilityTimeoutMs: 5000,
    maxMsgBytes: 65_536,
    msgRetentionMs: 24 * 3_600_000,
    rewindMs: 0,
    deadLetterPolicy: undefined,
  }
}
