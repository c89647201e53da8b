/**
 * The way in: endpoints, keys, and what concerns no single queue. One `Account` a program is enough; it keeps the
 * connections, the retry budget and what is known about the endpoints.
 */
import { AccountKeys } from "./account-keys.ts"
import { traceMessage } from "./search.ts"
import type { MessageTrace } from "./search.ts"
import { checkOptions, checkString, typeError } from "./argument-check.ts"
import { AttemptRunner } from "./attempt-runner.ts"
import { Caller } from "./caller.ts"
import type { CallOptions } from "./caller.ts"
import { systemClock } from "./clock.ts"
import type { Clock } from "./clock.ts"
import { CmqError, argumentInvalid } from "./cmq-error.ts"
import { EndpointPool, normalizeEndpoint } from "./endpoint-pool.ts"
import type { EndpointHealth } from "./endpoint-pool.ts"
import { EndpointWatch } from "./endpoint-watch.ts"
import { HttpTransport } from "./http-transport.ts"
import { PAGE_ROWS, listParameters } from "./list-options.ts"
import type { ListOptions } from "./list-options.ts"
import { Queue } from "./queue.ts"
import { attributeParametersOf } from "./queue-attributes.ts"
import type { QueueAttributes } from "./queue-attributes.ts"
import { listOf, numberOf, textOf } from "./reply-fields.ts"
import type { Fields } from "./reply-fields.ts"
import { retrySettings } from "./retry-policy.ts"
import type { RetryOptions } from "./retry-policy.ts"
import { Topic } from "./topic.ts"
import { topicParametersOf } from "./topic-attributes.ts"
import type { TopicAttributes } from "./topic-attributes.ts"
import type { Credentials, Parameter, Transport } from "./transport.ts"

/** Options of an account. */
export type AccountOptions = Readonly<{
  /** Addresses of brokers, `http://host:port`; any node of a cluster serves. At least one. */
  endpoints: readonly string[]
  secretId: string
  secretKey: string
  /** Default `HmacSHA256`. */
  signatureMethod?: Credentials["signatureMethod"]
  /** Of one attempt, milliseconds, default 10,000; a long poll adds its wait. */
  requestTimeoutMs?: number
  /** Of one call with all its attempts, milliseconds, default 30,000; a long poll adds its wait. */
  timeoutMs?: number
  retry?: RetryOptions
  /** Whether to go to a leader that a reply names and `endpoints` does not. Default true; never from https to http. */
  followUnknownLeaders?: boolean
  /** Silence after which an endpoint with requests under way is probed. Milliseconds, default 500; 0 = never. */
  suspectAfterMs?: number
  /** Time for such a probe; then everything under way there goes elsewhere. Milliseconds, default 500. */
  probeTimeoutMs?: number
  /** Default: `HttpTransport`. */
  transport?: Transport
  /** Default: the system's clock. */
  clock?: Clock
  /** For jitter, from 0 to below 1. Default `Math.random`. */
  random?: () => number
}>

/** Options of `Account.listQueues`. */
export type ListQueuesOptions = ListOptions

/** A row of a list. */
export type QueueEntry = Readonly<{ queueId: string; queueName: string }>

/** One page of a list. */
export type QueueList = Readonly<{
  /** All that match, on whatever page. */
  totalCount: number
  queues: readonly QueueEntry[]
}>

/** A row of a list. */
export type TopicEntry = Readonly<{ topicId: string; topicName: string }>

/** One page of a list. */
export type TopicList = Readonly<{
  /** All that match, on whatever page. */
  totalCount: number
  topics: readonly TopicEntry[]
}>

/** Who leads, who follows and how far each is, as the broker describes it; see docs/http-api.md, GetClusterStatus. */
export type ClusterStatus = Readonly<Record<string, unknown>>

/** A cluster, as one key pair sees it. */
export class Account {
  /** The key pairs of the cluster; only who may administer it can use this. */
  readonly keys: AccountKeys
  readonly #caller: Caller
  readonly #pool: EndpointPool
  readonly #transport: Transport
  readonly #clock: Clock
  readonly #random: () => number

  /**
   * Opens no connection yet.
   *
   * @throws TypeError when endpoints or keys are missing; CmqError `argumentInvalid` for endpoints that are none.
   */
  constructor(options: AccountOptions) {
    checkAccountOptions(options)
    if (options.endpoints.length === 0) throw argumentInvalid("an account needs at least one endpoint")
    const clock = options.clock ?? systemClock
    const transport = options.transport ?? new HttpTransport({ clock })
    const pool = new EndpointPool({
      origins: [...new Set(options.endpoints.map(normalizeEndpoint))],
      followUnknownLeaders: options.followUnknownLeaders ?? true,
      nowMs: () => clock.monotonicMs(),
    })
    const watch = new EndpointWatch({
      clock,
      suspectAfterMs: options.suspectAfterMs ?? 500,
      probeTimeoutMs: options.probeTimeoutMs ?? 500,
      probe: (endpoint, signal) => transport.probe(endpoint, signal),
    })
    const { secretId, secretKey, signatureMethod = "HmacSHA256" } = options
    this.#clock = clock
    this.#pool = pool
    this.#transport = transport
    this.#random = options.random ?? Math.random
    this.#caller = new Caller({
      runner: new AttemptRunner({
        transport,
        credentials: { secretId, secretKey, signatureMethod },
        clock,
        pool,
        watch,
      }),
      pool,
      clock,
      retry: retrySettings(options.retry),
      requestTimeoutMs: options.requestTimeoutMs ?? 10_000,
      timeoutMs: options.timeoutMs ?? 30_000,
      random: this.#random,
    })
    this.keys = new AccountKeys(this.#caller)
  }

  /**
   * A queue by name; asks nobody anything.
   *
   * @throws CmqError `argumentInvalid` when no queue can have that name; TypeError when it is no string.
   */
  queue(name: string): Queue {
    return new Queue(name, { caller: this.#caller, clock: this.#clock, random: this.#random })
  }

  /**
   * Creates a queue.
   *
   * @throws CmqError `queueAlreadyExists`; with outcome `unknown` it may be our own earlier attempt that created it.
   */
  async createQueue(name: string, attributes: QueueAttributes = {}, options?: CallOptions): Promise<Queue> {
    const queue = this.queue(name)
    const parameters: Parameter[] = [["queueName", name], ...attributeParametersOf(attributes)]
    await this.#caller.call({ action: "CreateQueue", parameters, options })
    return queue
  }

  /** Creates a queue unless it exists. The attributes of one that exists are not changed. */
  async ensureQueue(name: string, attributes: QueueAttributes = {}, options?: CallOptions): Promise<Queue> {
    try {
      return await this.createQueue(name, attributes, options)
    } catch (thrown) {
      if (thrown instanceof CmqError && thrown.name === "queueAlreadyExists") return this.queue(name)
      throw thrown
    }
  }

  /** One page of the queues, by name. */
  async listQueues(options: ListQueuesOptions = {}): Promise<QueueList> {
    return readQueueList(await this.#list("ListQueue", [], options))
  }

  /** Every queue, page by page: for a `for await` loop. */
  async *queues(options: Omit<ListOptions, "offset" | "limit"> = {}): AsyncGenerator<QueueEntry, void> {
    for (let offset = 0; ; offset += PAGE_ROWS) {
      const page = await this.listQueues({ ...options, offset, limit: PAGE_ROWS })
      yield* page.queues
      if (page.queues.length < PAGE_ROWS) return
    }
  }

  /** One page of the queues whose dead letters go to the queue `name`. */
  async listDeadLetterSources(name: string, options: ListQueuesOptions = {}): Promise<QueueList> {
    return readQueueList(await this.#list("ListDeadLetterSourceQueues", [["deadLetterQueueName", name]], options))
  }

  /**
   * A topic by name; asks nobody anything.
   *
   * @throws CmqError `argumentInvalid` when no topic can have that name; TypeError when it is no string.
   */
  topic(name: string): Topic {
    return new Topic(name, this.#caller)
  }

  /**
   * Creates a topic.
   *
   * @throws CmqError `topicAlreadyExists`; with outcome `unknown` it may be our own earlier attempt that created it.
   */
  async createTopic(name: string, attributes: TopicAttributes = {}, options?: CallOptions): Promise<Topic> {
    const topic = this.topic(name)
    const parameters: Parameter[] = [["topicName", name], ...topicParametersOf(attributes)]
    await this.#caller.call({ action: "CreateTopic", parameters, options })
    return topic
  }

  /** Creates a topic unless it exists. The attributes of one that exists are not changed. */
  async ensureTopic(name: string, attributes: TopicAttributes = {}, options?: CallOptions): Promise<Topic> {
    try {
      return await this.createTopic(name, attributes, options)
    } catch (thrown) {
      if (thrown instanceof CmqError && thrown.name === "topicAlreadyExists") return this.topic(name)
      throw thrown
    }
  }

  /** One page of the topics, by name. */
  async listTopics(options: ListOptions = {}): Promise<TopicList> {
    const fields = await this.#list("ListTopic", [], options)
    const topics = listOf(fields["topicList"]).map((each) => ({
      topicId: textOf(each["topicId"]),
      topicName: textOf(each["topicName"]),
    }))
    return { totalCount: numberOf(fields["totalCount"]), topics }
  }

  /** Every topic, page by page: for a `for await` loop. */
  async *topics(options: Omit<ListOptions, "offset" | "limit"> = {}): AsyncGenerator<TopicEntry, void> {
    for (let offset = 0; ; offset += PAGE_ROWS) {
      const { topics } = await this.listTopics({ ...options, offset, limit: PAGE_ROWS })
      yield* topics
      if (topics.length < PAGE_ROWS) return
    }
  }

  /** Who leads, who follows and how far each is. */
  async clusterStatus(options?: CallOptions): Promise<ClusterStatus> {
    const { fields } = await this.#caller.call({ action: "GetClusterStatus", parameters: [], options })
    const cluster = fields["cluster"]
    return typeof cluster === "object" && cluster !== null ? (cluster as ClusterStatus) : {}
  }

  /** Where a message is, by its id alone. @throws CmqError `messageNotFound` when it is nowhere. An OpenCMQ extension. */
  trace(msgId: string, options?: CallOptions): Promise<MessageTrace> {
    return traceMessage(this.#caller, { msgId, options })
  }

  /** What this account knows about its endpoints. */
  endpoints(): readonly EndpointHealth[] {
    return this.#pool.health()
  }

  /** Retries left in the budget; 0 during a long outage. */
  get retriesLeft(): number {
    return this.#caller.retriesLeft
  }

  /** Ends calls under way with `closed`, refuses new ones and closes all connections. Stop consumers and senders first. */
  close(): void {
    this.#caller.close()
    this.#transport.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  async #list(
    action: "ListQueue" | "ListDeadLetterSourceQueues" | "ListTopic",
    parameters: readonly Parameter[],
    options: ListQueuesOptions,
  ): Promise<Fields> {
    const all = [...parameters, ...listParameters(options)]
    const { fields } = await this.#caller.call({ action, parameters: all, options })
    return fields
  }
}

function checkAccountOptions(options: AccountOptions): void {
  checkOptions("the options of an Account", options)
  const endpoints: unknown = options.endpoints
  if (!Array.isArray(endpoints)) {
    throw typeError("endpoints", 'an array of addresses like "http://127.0.0.1:7070"', endpoints)
  }
  for (const [index, endpoint] of endpoints.entries()) checkString(`endpoints[${String(index)}]`, endpoint)
  checkString("secretId", options.secretId)
  checkString("secretKey", options.secretKey)
}

function readQueueList(fields: Fields): QueueList {
  const queues = listOf(fields["queueList"]).map((each) => ({
    queueId: textOf(each["queueId"]),
    queueName: textOf(each["queueName"]),
  }))
  return { totalCount: numberOf(fields["totalCount"]), queues }
}
