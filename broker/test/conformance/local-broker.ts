/**
 * A broker in this process for the conformance suite: the real queue machine and the real codecs, but no Raft, no disk
 * and no peers. Every command is applied at once, as entry after entry of a log that is kept in memory.
 *
 * Its clock is the real one plus what `advance` added, so that a test need not wait for a visibility timeout.
 */
import { randomBytes } from "node:crypto"
import { MasterKeyVault } from "../../src/adapters/system/master-key-vault.ts"
import { EntryBuilder, EntryReader } from "../../src/codec/command-codec.ts"
import type { AccessKey } from "../../src/core/queue/access-keys.ts"
import type { QueueId } from "../../src/core/queue/command.ts"
import { defaultMachineLimits } from "../../src/core/queue/machine-limits.ts"
import type { Outcome } from "../../src/core/queue/outcome.ts"
import type { HalfQuery } from "../../src/core/queue/machine-state.ts"
import { QueueMachine, emptyOutcome } from "../../src/core/queue/queue-machine.ts"
import { AccessControl } from "../../src/node/access-control.ts"
import { OPERATOR } from "../../src/node/caller.ts"
import { KeyMint } from "../../src/node/key-mint.ts"
import type { Carrier } from "../../src/node/key-mint.ts"
import { ClusterKeys } from "../../src/node/key-ring.ts"
import { keyHandlers } from "../../src/node/key-service.ts"
import { deliveredMessage, peekedMessage, queueIdText, sentMessageIds } from "../../src/node/message-views.ts"
import type { QueueSample } from "../../src/node/metrics.ts"
import type {
  BrokerService,
  ClusterStatus,
  DeliveredMessage,
  MintedUseCase,
  QueueStatus,
  Reply,
  RequestContext,
  RequestOf,
  UseCaseName,
  ValueOf,
} from "../../src/node/service-types.ts"
import { RedriveService, type RedriveAccess } from "../../src/node/redrive-service.ts"
import { SearchService, type SearchAccess } from "../../src/node/search-service.ts"
import { RETRY, type LeaderCall } from "../../src/node/set-access.ts"
import type { Logger } from "../../src/ports.ts"
import { SECRET_ID, SECRET_KEY } from "./kit/keys.ts"
import { TopicService, type TopicAccess } from "../../src/node/topic-service.ts"
import { TransactionService } from "../../src/node/transaction-service.ts"

type Call<K extends UseCaseName> = {
  readonly context: RequestContext
  readonly done: (reply: Reply<ValueOf<K>>) => boolean | undefined
}

type UseCaseTable = {
  readonly [K in Exclude<UseCaseName, MintedUseCase>]: (request: RequestOf<K>, call: Call<K>) => void
}

/** Carried out by the node's own services. */
type AdaptedUseCase =
  | keyof TopicService["handlers"]
  | keyof TransactionService["handlers"]
  | keyof RedriveService["handlers"]
  | keyof SearchService["handlers"]
  | keyof ReturnType<typeof keyHandlers>

const SET_ID = 0
const SILENT: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }

const NO_QUEUES = { totalCount: 0, queues: [] }

/** Things a test may look at or turn. */
export interface LocalBrokerState {
  leader: string | undefined
  notReady: string | undefined
  /** Deliveries that a face could not hand over and that were given back. */
  givenBackCount: number
}

export class LocalBroker implements BrokerService {
  readonly state: LocalBrokerState = { leader: "127.0.0.1:7070", notReady: undefined, givenBackCount: 0 }
  readonly setId = SET_ID
  /** As of a replica. */
  halvesQueried: ((queries: readonly HalfQuery[]) => void) | undefined
  readonly machine = new QueueMachine({ ...defaultMachineLimits, queueNameReuseMs: 10_000 })
  readonly #view = { setId: SET_ID, machine: this.machine }
  readonly #builder = new EntryBuilder()
  readonly #reader = new EntryReader()
  readonly #outcome = emptyOutcome()
  readonly #entries = new Map<number, Uint8Array>()
  readonly #waiting = new Map<QueueId, Set<() => void>>()
  readonly #vault = new MasterKeyVault(randomBytes(32).toString("base64"))
  readonly #findKey = (secretId: string): AccessKey | undefined => this.machine.findKey(secretId)
  readonly #control = new AccessControl({ findKey: this.#findKey, vault: this.#vault })
  /** Its own pair may do everything; others are in the machine. */
  readonly keys = new ClusterKeys({
    operator: { secretId: SECRET_ID, secretKey: SECRET_KEY },
    findKey: this.#findKey,
    vault: this.#vault,
    logger: SILENT,
  })
  readonly #ticker: NodeJS.Timeout
  #index = 0
  #aheadMs = 0

  constructor() {
    this.#ticker = setInterval(() => {
      this.#expire()
    }, 10)
    this.#ticker.unref()
  }

  /** Lets time pass at once. */
  advance(ms: number): void {
    this.#aheadMs += ms
    this.#expire()
  }

  /** How far `advance` has turned the clock. */
  aheadSeconds(): number {
    return this.#aheadMs / 1000
  }

  close(): void {
    clearInterval(this.#ticker)
  }

  /** For /metrics. */
  *samples(): Iterable<QueueSample> {
    for (const { queueId } of this.machine.listQueues({ searchWord: "", offset: 0, limit: 1_000 }).queues) {
      const { attributes, ...status } = this.#status(queueId)
      const { bytes = 0, totals } = this.machine.queueStatus(queueId) ?? {}
      const facts = { bytes, expiredCount: totals?.expired ?? 0, deadLetteredCount: totals?.deadLettered ?? 0 }
      yield { ...status, ...facts, deadLetterQueueName: attributes.deadLetterPolicy?.deadLetterQueue ?? "" }
    }
  }

  waitingCount(): number {
    let count = 0
    for (const polls of this.#waiting.values()) count += polls.size
    return count
  }

  leaderHint = (): string | undefined => this.state.leader

  notReadyReason(): string | undefined {
    return this.state.notReady
  }

  execute<K extends UseCaseName>(name: K, request: RequestOf<K>, call: Call<K>): void {
    // A face must not count on an answer before `execute` has returned.
    setImmediate(() => {
      this.#mint.execute(name, request, call)
    })
  }

  /** As the leader does it: nothing is carried out that its caller may not. */
  readonly #carrier: Carrier = {
    execute: (name, request, call) => {
      const admission = this.#control.admit({ name, request, caller: call.context.caller })
      if (admission.isAllowed) this.#useCases[name](admission.request, call)
      else call.done({ ok: false, error: admission.error, args: [] })
    },
  }

  readonly #useCases: UseCaseTable = {
    createQueue: (request, call) => {
      this.#change({ kind: "createQueue", ...request }, call, (outcome) => ({ queueId: this.#idText(outcome.queueId) }))
    },
    setQueueAttributes: (request, call) => {
      this.#change({ kind: "setQueueAttributes", ...request }, call, (outcome) => ({
        queueId: this.#idText(outcome.queueId),
      }))
    },
    deleteQueue: (request, call) => {
      this.#change({ kind: "deleteQueue", ...request }, call, () => ({}))
    },
    clearQueue: (request, call) => {
      this.#change({ kind: "clearQueue", ...request }, call, ({ count }) => ({ count }))
    },
    rewindQueue: (request, call) => {
      this.#change({ kind: "rewindQueue", ...request }, call, ({ count }) => ({ count }))
    },
    unbindDeadLetterQueue: (request, call) => {
      this.#change({ kind: "unbindDeadLetterQueue", ...request }, call, () => ({}))
    },
    getQueueAttributes: ({ queueName }, call) => {
      this.#withQueue(queueName, call, (queueId) => call.done({ ok: true, value: this.#status(queueId) }))
    },
    listQueues: (request, call) => {
      call.done({ ok: true, value: this.#page(this.machine.listQueues(request)) })
    },
    listDeadLetterSources: (request, call) => {
      this.#withQueue(request.queueName, call, () =>
        call.done({
          ok: true,
          value: this.#page(this.machine.listDeadLetterSources(request.queueName, request) ?? NO_QUEUES),
        }),
      )
    },
    sendMessages: ({ queueName, messages }, call) => {
      this.#withQueue(queueName, call, (queueId) => {
        const outcome = this.#apply((builder) => builder.addSend({ queueId, messages }))
        call.done(replyOf(outcome, () => sentMessageIds(SET_ID, outcome.sent)))
        this.#wake()
      })
    },
    receiveMessages: (request, call) => {
      this.#withQueue(request.queueName, call, (queueId) => {
        this.#receive(queueId, request, call)
      })
    },
    deleteMessages: ({ queueName, handles }, call) => {
      this.#withQueue(queueName, call, (queueId) => {
        const outcome = this.#apply((builder) => {
          builder.addDelete({ queueId, handles })
        })
        call.done(replyOf(outcome, () => ({ failed: outcome.failed.slice(0, handles.length) })))
      })
    },
    changeVisibility: ({ queueName, handles, visibilityTimeoutMs }, call) => {
      this.#withQueue(queueName, call, (queueId) => {
        const outcome = this.#apply((builder) => {
          builder.addChangeVisibility({ queueId, handles, visibilityTimeoutMs })
        })
        const { nextVisibleAtMs } = outcome
        call.done(replyOf(outcome, () => ({ failed: outcome.failed.slice(0, handles.length), nextVisibleAtMs })))
        this.#wake()
      })
    },
    peekMessages: ({ queueName, maxCount, fromSequence }, call) => {
      this.#withQueue(queueName, call, (queueId) => {
        const facts = this.machine.peek({ queueId, fromSequence, maxCount })
        const messages = []
        for (let i = 0; i < (facts?.count ?? 0); i++) {
          if (facts !== undefined)
            messages.push(peekedMessage(this.#view, facts, { i, record: this.#record(facts, i) }))
        }
        call.done({ ok: true, value: { messages } })
      })
    },
    ...this.#adaptedUseCases(),
    clusterStatus: (_request, call) => {
      call.done({ ok: true, value: this.#clusterStatus() })
    },
  }

  readonly #mint = new KeyMint({
    vault: this.#vault,
    logger: SILENT,
    timers: { soon: setImmediate },
    carrier: this.#carrier,
  })

  // ---------------------------------------------------------------------------------------- topics and keys

  /** The node's own services, over this machine. */
  #adaptedUseCases(): Pick<UseCaseTable, AdaptedUseCase> {
    const access = this.#setAccess()
    const { handlers } = new TopicService({
      access,
      metrics: { messagesPublished: () => undefined },
      sendRefusal: () => undefined,
      pushTransport: {},
      hasReached: () => true,
    })
    const transactions = new TransactionService({
      access,
      metrics: { messagesSent: () => undefined },
      sendRefusal: () => undefined,
      readRecords: (positions, done) => {
        done(
          undefined,
          Array.from({ length: positions.count }, (_, i) => this.#record(positions, i)),
        )
      },
    })
    const all = {
      ...handlers,
      ...transactions.handlers,
      ...new RedriveService(access).handlers,
      ...new SearchService(access).handlers,
      ...keyHandlers(access),
    }
    const adapted = Object.entries(all).map(([name, carryOut]) => {
      const run = (request: never, call: Call<never>): void => {
        const done = (reply: Reply<never> | typeof RETRY): void => {
          if (reply !== RETRY) call.done(reply)
        }
        ;(carryOut as unknown as (request: never, call: LeaderCall<never>) => void)(request, {
          caller: OPERATOR,
          deadlineMs: Number.POSITIVE_INFINITY,
          done,
          cancel: undefined,
        })
      }
      return [name, run]
    })
    return Object.fromEntries(adapted) as Pick<UseCaseTable, AdaptedUseCase>
  }

  #setAccess(): TopicAccess & RedriveAccess & SearchAccess {
    const nowMs = (): number => Date.now() + this.#aheadMs
    const propose: TopicAccess["propose"] = (append, call, reply) => {
      const outcome = this.#apply(append)
      const { refusal } = outcome
      const answer = refusal === undefined ? reply(outcome) : ({ ok: false, error: refusal, args: [] } as const)
      if (answer !== undefined) call.done(answer)
      this.#wake()
    }
    return {
      setId: SET_ID,
      machine: this.machine,
      get nowMs() {
        return nowMs()
      },
      propose,
      termAt: () => 1,
      soon: (run) => setImmediate(run),
      readRecords: (positions, done) => {
        setImmediate(() => {
          done(
            undefined,
            Array.from({ length: positions.count }, (_, i) => this.#record(positions, i)),
          )
        })
      },
      change: (command, call, value) => {
        propose(
          (builder) => {
            builder.addAdmin(command)
          },
          call,
          (outcome) => ({ ok: true, value: value(outcome) }),
        )
      },
      read: (_call, run) => {
        this.#expire()
        run()
      },
    }
  }

  // ---------------------------------------------------------------------------------------- receiving

  #receive(queueId: QueueId, request: RequestOf<"receiveMessages">, call: Call<"receiveMessages">): void {
    const own = this.machine.queueStatus(queueId)?.attributes.pollingWaitMs ?? 0
    if (this.#tryReceive(queueId, request, call)) return
    const waitMs = request.pollingWaitMs ?? own
    const polls = this.#waiting.get(queueId) ?? new Set()
    this.#waiting.set(queueId, polls)
    const stop = (): void => {
      clearTimeout(timer)
      polls.delete(retry)
      call.context.onCancel = undefined
    }
    const retry = (): void => {
      if (this.#tryReceive(queueId, request, call)) stop()
    }
    const timer = setTimeout(() => {
      stop()
      call.done({ ok: false, error: "noMessage", args: [] })
    }, waitMs)
    polls.add(retry)
    call.context.onCancel = () => {
      stop()
      call.done({ ok: false, error: "noMessage", args: [] })
    }
  }

  /** False when there was nothing. */
  #tryReceive(queueId: QueueId, request: RequestOf<"receiveMessages">, call: Call<"receiveMessages">): boolean {
    const { maxCount, visibilityTimeoutMs = -1 } = request
    const outcome = this.#apply((builder) => {
      builder.addReceive({ queueId, maxCount, visibilityTimeoutMs })
    })
    if (outcome.refusal === "noMessage") return false
    const messages: DeliveredMessage[] = []
    for (let i = 0; i < outcome.received.count; i++) {
      messages.push(deliveredMessage(this.#view, outcome.received, { i, record: this.#record(outcome.received, i) }))
    }
    const own = this.#control.withOwnHandles(call.context.caller, messages)
    const isHandedOver = call.done(replyOf(outcome, () => ({ messages: own })))
    if (isHandedOver === false && messages.length > 0) {
      this.state.givenBackCount += messages.length
      const handles = messages.map((message) => message.deliveryHandle)
      this.#apply((builder) => {
        builder.addChangeVisibility({ queueId, handles, visibilityTimeoutMs: 0 })
      })
      setImmediate(() => {
        this.#wake()
      })
    }
    return true
  }

  #wake(): void {
    const queried = this.machine.takeQueried()
    if (queried.length > 0) this.halvesQueried?.(queried)
    for (const queueId of this.machine.takeWakened()) {
      for (const retry of [...(this.#waiting.get(queueId) ?? [])]) retry()
    }
  }

  // ---------------------------------------------------------------------------------------- the log

  #apply(append: (builder: EntryBuilder) => unknown): Outcome {
    this.#builder.begin({ setId: SET_ID })
    append(this.#builder)
    const data = this.#builder.finish(Date.now() + this.#aheadMs)
    const index = ++this.#index
    this.#entries.set(index, data)
    this.machine.beginEntry(index, this.#reader.open(data).stampMs)
    const command = this.#reader.next()
    if (command !== undefined) this.machine.apply(command, this.#outcome)
    return this.#outcome
  }

  #record(
    facts: {
      readonly entryIndexes: ArrayLike<number>
      readonly offsets: ArrayLike<number>
      readonly lengths: ArrayLike<number>
    },
    i: number,
  ): Uint8Array {
    const offset = facts.offsets[i] ?? 0
    return (this.#entries.get(facts.entryIndexes[i] ?? 0) as Uint8Array).subarray(
      offset,
      offset + (facts.lengths[i] ?? 0),
    )
  }

  #expire(): void {
    const dueAtMs = this.machine.nextDeadlineMs()
    if (dueAtMs === undefined || dueAtMs > Date.now() + this.#aheadMs) return
    this.#apply((builder) => {
      builder.addAdmin({ kind: "expire" })
    })
    this.#wake()
  }

  #change<K extends UseCaseName>(
    command: Parameters<EntryBuilder["addAdmin"]>[0],
    call: Call<K>,
    value: (outcome: Outcome) => ValueOf<K>,
  ): void {
    const outcome = this.#apply((builder) => {
      builder.addAdmin(command)
    })
    call.done(replyOf(outcome, () => value(outcome)))
    this.#wake()
  }

  #withQueue<K extends UseCaseName>(queueName: string, call: Call<K>, run: (queueId: QueueId) => void): void {
    this.#expire()
    const queueId = this.machine.findQueue(queueName)
    if (queueId === undefined) call.done({ ok: false, error: "queueNotFound", args: [] })
    else run(queueId)
  }

  // ---------------------------------------------------------------------------------------- views

  #idText(queueId: QueueId): string {
    return queueIdText(SET_ID, queueId)
  }

  #status(queueId: QueueId): QueueStatus {
    const status = this.machine.queueStatus(queueId)
    if (status === undefined) throw new Error("a queue vanished")
    const queueName = this.machine.queueName(queueId) ?? ""
    const oldestUnconsumedAtMs = status.oldestUnconsumedAtMs ?? 0
    return { ...status, queueId: this.#idText(queueId), queueName, oldestUnconsumedAtMs }
  }

  #page(page: ReturnType<QueueMachine["listQueues"]>): ValueOf<"listQueues"> {
    const queues = page.queues.map(({ queueId, queueName }) => ({ queueId: this.#idText(queueId), queueName }))
    return { totalCount: page.totalCount, queues }
  }

  #clusterStatus(): ClusterStatus {
    return {
      clusterId: "local",
      setId: SET_ID,
      nodeId: 1,
      leaderId: 1,
      leaderHttpAddress: this.state.leader ?? "",
      term: 1,
      commitIndex: this.#index,
      appliedIndex: this.#index,
      stateHash: "",
      nodes: [],
    }
  }
}

function replyOf<T>(outcome: Outcome, value: () => T): Reply<T> {
  if (outcome.refusal === undefined) return { ok: true, value: value() }
  return { ok: false, error: outcome.refusal, args: [] }
}
