/**
 * The use cases, carried out on the leader: names to ids, commands to proposals, outcomes and log records to replies.
 *
 * It answers `RETRY` when the request was certainly not applied and another node (or a later moment) may do it: the
 * router then tries again until the request's deadline. A refusal that rests only on what this machine knows (no such
 * queue) is confirmed by a ReadIndex round first, so that a deposed leader cannot lie.
 */
import type { QueueId } from "../core/queue/command.ts"
import type { ReceivedMessages } from "../core/queue/outcome.ts"
import type { QueueMachine } from "../core/queue/queue-machine.ts"
import type { ErrorName } from "@opencmq/proto"
import { allMembers } from "../core/raft/configuration.ts"
import type { Clock, PushTransport } from "../ports.ts"
import type { AccessControl } from "./access-control.ts"
import { keyHandlers } from "./key-service.ts"
import type { MemberLevels } from "./member-levels.ts"
import { deliveredMessage, peekedMessage, queueIdText, sentMessageIds } from "./message-views.ts"
import { LongPolls } from "./long-polls.ts"
import type { LongPoll } from "./long-polls.ts"
import type {
  DeliveredMessage,
  Handle,
  MintedUseCase,
  QueueStatus,
  RequestOf,
  UseCaseName,
  ValueOf,
} from "./service-types.ts"
import { RedriveService } from "./redrive-service.ts"
import { SearchService } from "./search-service.ts"
import type { SetReplica } from "./set-replica.ts"
import type { NodeMetrics } from "./node-metrics.ts"
import { failureReply, nothing, readQueue, refused, RETRY, SetAccess, type LeaderCall } from "./set-access.ts"
import { TopicService, type Handlers } from "./topic-service.ts"
import { TransactionService } from "./transaction-service.ts"

export interface LeaderServiceParts {
  readonly replica: SetReplica
  readonly clock: Clock
  readonly metrics: NodeMetrics
  readonly control: AccessControl
  /** Sends are refused while true (disk or memory is short); receives and deletes go on. */
  readonly sendRefusal: () => ErrorName | undefined
  readonly pushTransport: PushTransport
  readonly link: { readonly levels: MemberLevels }
}

/** Use cases that the leader does; the others are every node's own. */
export type LeaderUseCase = Exclude<UseCaseName, "clusterStatus" | MintedUseCase>

export class LeaderService {
  readonly #replica: SetReplica
  readonly #access: SetAccess
  readonly #clock: Clock
  readonly #metrics: NodeMetrics
  readonly #control: AccessControl
  readonly #sendRefusal: () => ErrorName | undefined
  readonly #polls = new LongPolls()
  #isEnding = false
  readonly #topics: TopicService
  readonly #transactions: TransactionService
  readonly #handlers: Handlers<
    Exclude<
      LeaderUseCase,
      | keyof (TopicService & TransactionService & RedriveService & SearchService)["handlers"]
      | keyof ReturnType<typeof keyHandlers>
    >
  > = {
    createQueue: (request, call) => {
      this.#access.change({ kind: "createQueue", ...request }, call, (outcome) => ({
        queueId: this.#queueIdText(outcome.queueId),
      }))
    },
    setQueueAttributes: (request, call) => {
      this.#access.change({ kind: "setQueueAttributes", ...request }, call, (outcome) => ({
        queueId: this.#queueIdText(outcome.queueId),
      }))
    },
    deleteQueue: (request, call) => {
      this.#access.change({ kind: "deleteQueue", ...request }, call, nothing)
    },
    clearQueue: (request, call) => {
      this.#access.change({ kind: "clearQueue", ...request }, call, (outcome) => ({ count: outcome.count }))
    },
    rewindQueue: (request, call) => {
      this.#access.change({ kind: "rewindQueue", ...request }, call, (outcome) => ({ count: outcome.count }))
    },
    unbindDeadLetterQueue: (request, call) => {
      this.#access.change({ kind: "unbindDeadLetterQueue", ...request }, call, nothing)
    },
    getQueueAttributes: (request, call) => {
      this.#readQueue(request.queueName, call, (queueId) => {
        call.done({ ok: true, value: this.#queueStatus(queueId) })
      })
    },
    listQueues: (request, call) => {
      this.#access.read(call, () => {
        call.done({ ok: true, value: this.#queuePage(this.#machine.listQueues(request)) })
      })
    },
    listDeadLetterSources: (request, call) => {
      this.#readQueue(request.queueName, call, () => {
        const sources = this.#machine.listDeadLetterSources(request.queueName, request)
        call.done({ ok: true, value: this.#queuePage(sources ?? NO_QUEUES) })
      })
    },
    sendMessages: (request, call) => {
      this.#send(request, call)
    },
    receiveMessages: (request, call) => {
      this.#receive(request, call)
    },
    deleteMessages: (request, call) => {
      this.#delete(request, call)
    },
    changeVisibility: (request, call) => {
      this.#changeVisibility(request, call)
    },
    peekMessages: (request, call) => {
      this.#peek(request, call)
    },
  }

  readonly #all: Handlers<LeaderUseCase>

  constructor(parts: LeaderServiceParts) {
    this.#replica = parts.replica
    this.#clock = parts.clock
    this.#metrics = parts.metrics
    this.#control = parts.control
    this.#sendRefusal = parts.sendRefusal
    this.#access = new SetAccess(parts.replica)
    const { link, replica } = parts
    const hasReached = (level: number): boolean => {
      const { configuration, nodeId } = replica.raft.status()
      return link.levels.haveReached(level, allMembers(configuration), nodeId)
    }
    this.#topics = new TopicService({ ...parts, access: this.#access, hasReached })
    this.#transactions = new TransactionService({
      access: this.#access,
      metrics: parts.metrics,
      sendRefusal: parts.sendRefusal,
      readRecords: (positions, done) => {
        replica.log.readRecords(positions, done)
      },
    })
    const redrives = new RedriveService(this.#access)
    const searches = new SearchService(this.#access)
    this.#all = {
      ...this.#handlers,
      ...this.#topics.handlers,
      ...this.#transactions.handlers,
      ...redrives.handlers,
      ...searches.handlers,
      ...keyHandlers(this.#access),
    }
  }

  get longPollCount(): number {
    return this.#polls.count
  }

  longPollCountOf(queueId: QueueId): number {
    return this.#polls.countOf(queueId)
  }

  execute<K extends LeaderUseCase>(name: K, request: RequestOf<K>, call: LeaderCall<ValueOf<K>>): void {
    const admission = this.#control.admit({ name, request, caller: call.caller })
    if (admission.isAllowed) this.#all[name](admission.request, call)
    else call.done(refused(admission.error))
  }

  /** Entries were applied: these queues may have messages for waiting polls. */
  wakePolls(queueIds: readonly QueueId[]): void {
    for (const queueId of queueIds) {
      if (this.#polls.countOf(queueId) > 0) this.#polls.wake(queueId, this.#machine.activeCount(queueId))
    }
  }

  /** Ends long polls whose time is over. Called at each tick. */
  expirePolls(): void {
    this.#polls.expire(this.#clock.monotonicMs())
  }

  /** This node no longer leads: whoever waits has to be answered elsewhere. */
  releasePolls(): void {
    for (const poll of this.#polls.takeAll()) poll.released()
  }

  /** The node stops: waiting polls are answered "no message, ask again" now, and no further one waits. */
  answerPolls(): void {
    this.#isEnding = true
    for (const poll of this.#polls.takeAll()) poll.timedOut()
  }

  get #machine(): QueueMachine {
    return this.#replica.machine
  }

  // ------------------------------------------------------------------------------------------ administration

  #readQueue<T>(queueName: string, call: LeaderCall<T>, run: (queueId: QueueId) => void): void {
    readQueue(this.#access, { queueName, call }, run)
  }

  /** Finds the queue in the applied state; that it is missing is said only after a ReadIndex round. */
  #withQueue<T>(queueName: string, call: LeaderCall<T>, run: (queueId: QueueId) => void): void {
    const queueId = this.#machine.findQueue(queueName)
    if (queueId === undefined) this.#readQueue(queueName, call, run)
    else run(queueId)
  }

  // ------------------------------------------------------------------------------------------ messages

  #send(request: RequestOf<"sendMessages">, call: LeaderCall<ValueOf<"sendMessages">>): void {
    const refusal = this.#sendRefusal()
    if (refusal !== undefined) {
      call.done(refused(refusal))
      return
    }
    this.#withQueue(request.queueName, call, (queueId) => {
      this.#access.propose(
        (builder) => {
          builder.addSend({ queueId, messages: request.messages })
        },
        call,
        (outcome) => {
          const value = sentMessageIds(this.#replica.setId, outcome.sent)
          this.#metrics.messagesSent(request.messages, value.duplicates)
          return { ok: true, value }
        },
      )
    })
  }

  #receive(request: RequestOf<"receiveMessages">, call: LeaderCall<ValueOf<"receiveMessages">>): void {
    this.#withQueue(request.queueName, call, (queueId) => {
      const pollingWaitMs = request.pollingWaitMs ?? this.#machine.queueStatus(queueId)?.attributes.pollingWaitMs ?? 0
      const receive: PendingReceive = {
        queueId,
        request,
        call,
        pollUntilMs: Math.min(this.#clock.monotonicMs() + pollingWaitMs, call.deadlineMs),
      }
      if (this.#machine.activeCount(queueId) > 0) this.#proposeReceive(receive)
      else this.#poll(receive)
    })
  }

  #poll(receive: PendingReceive): void {
    const { call } = receive
    if (!this.#replica.leaderReady) {
      call.done(RETRY)
      return
    }
    if (this.#isEnding || receive.pollUntilMs <= this.#clock.monotonicMs()) {
      this.#metrics.emptyReceive()
      call.done(refused("noMessage"))
      return
    }
    const poll: LongPoll = {
      queueId: receive.queueId,
      maxCount: receive.request.maxCount,
      deadlineMs: receive.pollUntilMs,
      tryReceive: () => {
        call.cancel = undefined
        const { error } = this.#control.admit({
          name: "receiveMessages",
          request: receive.request,
          caller: call.caller,
        })
        // Its key was revoked while it waited.
        if (error !== undefined) call.done(refused(error))
        else this.#proposeReceive(receive)
      },
      timedOut: () => {
        call.cancel = undefined
        this.#metrics.emptyReceive()
        call.done(refused("noMessage"))
      },
      released: () => {
        call.cancel = undefined
        call.done(RETRY)
      },
    }
    call.cancel = () => {
      if (this.#polls.remove(poll)) call.done(refused("noMessage"))
    }
    this.#polls.add(poll)
  }

  #proposeReceive(receive: PendingReceive): void {
    const { queueId, request, call } = receive
    this.#replica.propose(
      (builder) => {
        builder.addReceive({
          queueId,
          maxCount: request.maxCount,
          visibilityTimeoutMs: request.visibilityTimeoutMs ?? -1,
        })
      },
      (outcome, failure) => {
        if (outcome === undefined) call.done(failureReply(failure ?? "unknown"))
        else if (outcome.refusal === "noMessage") this.#poll(receive)
        else if (outcome.refusal !== undefined) call.done(refused(outcome.refusal))
        else this.#deliver(queueId, outcome.received, call)
      },
    )
  }

  #deliver(queueId: QueueId, received: ReceivedMessages, call: LeaderCall<ValueOf<"receiveMessages">>): void {
    const facts = copyReceived(received)
    this.#replica.log.readRecords(facts, (error, records) => {
      const messages: DeliveredMessage[] = []
      const unreadable: Handle[] = []
      for (let i = 0; i < facts.count; i++) {
        const record = error === undefined ? records[i] : undefined
        const message = record === undefined ? undefined : deliveredMessage(this.#replica, facts, { i, record })
        if (message === undefined)
          unreadable.push({ slot: facts.slots[i] ?? 0, deliveryNumber: facts.deliveryNumbers[i] ?? 0 })
        else messages.push(message)
      }
      if (unreadable.length > 0) this.#giveBack(queueId, unreadable)
      if (messages.length > 0) this.#metrics.messagesReceived(messages)
      const own = this.#control.withOwnHandles(call.caller, messages)
      call.done(own.length > 0 ? { ok: true, value: { messages: own } } : refused("internal"))
    })
  }

  /** Bodies that cannot be read here must not look received. */
  #giveBack(queueId: QueueId, handles: readonly Handle[]): void {
    this.#replica.propose(
      (builder) => {
        builder.addChangeVisibility({ queueId, handles, visibilityTimeoutMs: UNREADABLE_RETRY_MS })
      },
      () => undefined,
    )
  }

  #delete(request: RequestOf<"deleteMessages">, call: LeaderCall<ValueOf<"deleteMessages">>): void {
    this.#withQueue(request.queueName, call, (queueId) => {
      this.#access.propose(
        (builder) => {
          builder.addDelete({ queueId, handles: request.handles })
        },
        call,
        (outcome) => {
          const failed = outcome.failed.slice(0, request.handles.length)
          this.#metrics.messagesDeleted(failed.filter((isFailed) => !isFailed).length)
          return { ok: true, value: { failed } }
        },
      )
    })
  }

  #changeVisibility(request: RequestOf<"changeVisibility">, call: LeaderCall<ValueOf<"changeVisibility">>): void {
    const { handles, visibilityTimeoutMs } = request
    this.#withQueue(request.queueName, call, (queueId) => {
      this.#access.propose(
        (builder) => {
          builder.addChangeVisibility({ queueId, handles, visibilityTimeoutMs })
        },
        call,
        (outcome) => ({
          ok: true,
          value: { failed: outcome.failed.slice(0, handles.length), nextVisibleAtMs: outcome.nextVisibleAtMs },
        }),
      )
    })
  }

  #peek(request: RequestOf<"peekMessages">, call: LeaderCall<ValueOf<"peekMessages">>): void {
    this.#readQueue(request.queueName, call, (queueId) => {
      const facts = this.#machine.peek({ queueId, fromSequence: request.fromSequence, maxCount: request.maxCount })
      if (facts === undefined) {
        call.done({ ok: true, value: { messages: [] } })
        return
      }
      this.#replica.log.readRecords(facts, (error, records) => {
        const messages = []
        for (let i = 0; i < facts.count; i++) {
          const record = error === undefined ? records[i] : undefined
          const message = record === undefined ? undefined : peekedMessage(this.#replica, facts, { i, record })
          if (message !== undefined) messages.push(message)
        }
        call.done({ ok: true, value: { messages } })
      })
    })
  }

  // ------------------------------------------------------------------------------------------ views

  #queueIdText(queueId: QueueId): string {
    return queueIdText(this.#replica.setId, queueId)
  }

  #queueStatus(queueId: QueueId): QueueStatus {
    const status = this.#machine.queueStatus(queueId)
    if (status === undefined) throw new Error(`queue ${String(queueId)} vanished between two lines of one turn`)
    return {
      queueName: this.#machine.queueName(queueId) ?? "",
      queueId: this.#queueIdText(queueId),
      attributes: status.attributes,
      createdAtMs: status.createdAtMs,
      modifiedAtMs: status.modifiedAtMs,
      activeCount: status.activeCount,
      inactiveCount: status.inactiveCount,
      delayedCount: status.delayedCount,
      halfCount: status.halfCount,
      rewindableCount: status.rewindableCount,
      oldestUnconsumedAtMs: status.oldestUnconsumedAtMs ?? 0,
    }
  }

  #queuePage(page: ReturnType<QueueMachine["listQueues"]>): ValueOf<"listQueues"> {
    return {
      totalCount: page.totalCount,
      queues: page.queues.map((queue) => ({ queueId: this.#queueIdText(queue.queueId), queueName: queue.queueName })),
    }
  }
}

const NO_QUEUES: ReturnType<QueueMachine["listQueues"]> = { totalCount: 0, queues: [] }

/** A message whose bytes could not be read is offered again after this, when the repair may have brought them back. */
const UNREADABLE_RETRY_MS = 1000

interface PendingReceive {
  readonly queueId: QueueId
  readonly request: RequestOf<"receiveMessages">
  readonly call: LeaderCall<ValueOf<"receiveMessages">>
  /** Monotonic milliseconds. */
  readonly pollUntilMs: number
}

function copyReceived(received: ReceivedMessages): ReceivedMessages {
  const { count } = received
  return {
    count,
    entryIndexes: received.entryIndexes.slice(0, count),
    offsets: received.offsets.slice(0, count),
    lengths: received.lengths.slice(0, count),
    slots: received.slots.slice(0, count),
    deliveryNumbers: received.deliveryNumbers.slice(0, count),
    dequeueCounts: received.dequeueCounts.slice(0, count),
    enqueuedAtMs: received.enqueuedAtMs.slice(0, count),
    firstDequeuedAtMs: received.firstDequeuedAtMs.slice(0, count),
    nextVisibleAtMs: received.nextVisibleAtMs.slice(0, count),
    provenances: received.provenances.slice(0, count),
  }
}
