/** The use cases of transactions, carried out on the leader. */
import { decodeMessageId } from "@opencmq/proto"
import type { ErrorName } from "@opencmq/proto"
import type { Decision } from "../codec/command-codec.ts"
import type { QueueId } from "../core/queue/command.ts"
import type { QueriedHalves } from "../core/queue/queue-reads.ts"
import type { LogStore } from "../ports.ts"
import { peekedMessage, sentMessageIds } from "./message-views.ts"
import type { NodeMetrics } from "./node-metrics.ts"
import type { QueriedHalf, RequestOf, ValueOf } from "./service-types.ts"
import { refused, type LeaderCall, type SetAccess } from "./set-access.ts"
import type { Handlers } from "./topic-service.ts"

type TransactionUseCase = "prepareMessages" | "confirmMessages" | "listQueriedHalves"

export interface TransactionServiceParts {
  readonly access: Pick<SetAccess, "setId" | "machine" | "propose" | "read">
  readonly metrics: Pick<NodeMetrics, "messagesSent">
  /** Half messages are refused while it says so (disk or memory is short); decisions go on. */
  readonly sendRefusal: () => ErrorName | undefined
  readonly readRecords: LogStore["readRecords"]
}

export class TransactionService {
  readonly #parts: TransactionServiceParts
  readonly handlers: Handlers<TransactionUseCase> = {
    prepareMessages: (request, call) => {
      const refusal = this.#parts.sendRefusal()
      if (refusal !== undefined) call.done(refused(refusal))
      else {
        this.#withQueue(request.queueName, call, (queueId) => {
          this.#prepare(queueId, request, call)
        })
      }
    },
    confirmMessages: (request, call) => {
      this.#withQueue(request.queueName, call, (queueId) => {
        this.#confirm(queueId, request, call)
      })
    },
    listQueriedHalves: (request, call) => {
      this.#readQueue(request.queueName, call, (queueId) => {
        this.#list(queueId, request, call)
      })
    },
  }

  constructor(parts: TransactionServiceParts) {
    this.#parts = parts
  }

  /** That a queue is missing is said only after a ReadIndex round. */
  #withQueue<T>(queueName: string, call: LeaderCall<T>, run: (queueId: QueueId) => void): void {
    const queueId = this.#parts.access.machine.findQueue(queueName)
    if (queueId === undefined) this.#readQueue(queueName, call, run)
    else run(queueId)
  }

  #readQueue<T>(queueName: string, call: LeaderCall<T>, run: (queueId: QueueId) => void): void {
    const { access } = this.#parts
    access.read(call, () => {
      const queueId = access.machine.findQueue(queueName)
      if (queueId === undefined) call.done(refused("queueNotFound"))
      else run(queueId)
    })
  }

  #prepare(
    queueId: QueueId,
    { messages, firstQueryIntervalMs, maxQueryCount }: RequestOf<"prepareMessages">,
    call: LeaderCall<ValueOf<"prepareMessages">>,
  ): void {
    const { access, metrics } = this.#parts
    access.propose(
      (builder) => {
        const halves = messages.map((message) => ({ ...message, delayMs: 0 }))
        builder.addPrepare({ queueId, messages: halves, firstQueryIntervalMs, maxQueryCount })
      },
      call,
      ({ sent }) => {
        const value = sentMessageIds(access.setId, sent)
        metrics.messagesSent(messages, value.duplicates)
        return { ok: true, value }
      },
    )
  }

  #confirm(
    queueId: QueueId,
    { decisions }: RequestOf<"confirmMessages">,
    call: LeaderCall<ValueOf<"confirmMessages">>,
  ): void {
    const { access } = this.#parts
    // An id that is none, or of another set, fails by itself and needs no command.
    const readable = decisions.map(({ msgId, isCommit }) => decisionOf(access.setId, msgId, isCommit))
    const known = readable.filter((decision) => decision !== undefined)
    if (known.length === 0) {
      call.done({ ok: true, value: { failed: decisions.map(() => true) } })
      return
    }
    access.propose(
      (builder) => {
        builder.addConfirm({ queueId, decisions: known })
      },
      call,
      (outcome) => {
        let next = 0
        const failed = readable.map((decision) => decision === undefined || outcome.failed[next++] === true)
        return { ok: true, value: { failed } }
      },
    )
  }

  #list(
    queueId: QueueId,
    { maxCount, fromSequence }: RequestOf<"listQueriedHalves">,
    call: LeaderCall<ValueOf<"listQueriedHalves">>,
  ): void {
    const { access, readRecords } = this.#parts
    const facts = access.machine.queriedHalves({ queueId, maxCount, fromSequence })
    if (facts === undefined) {
      call.done({ ok: true, value: { messages: [], nextSequence: 0 } })
      return
    }
    readRecords(facts, (error, records) => {
      const messages = error === undefined ? this.#shown(facts, records) : []
      call.done({ ok: true, value: { messages, nextSequence: facts.nextSequence ?? 0 } })
    })
  }

  #shown(facts: QueriedHalves, records: readonly (Uint8Array | undefined)[]): readonly QueriedHalf[] {
    return records.flatMap((record, i) => {
      if (record === undefined) return []
      const message = peekedMessage(this.#parts.access, facts, { i, record })
      return [{ ...message, queryCount: facts.queryCounts[i] ?? 0, maxQueryCount: facts.maxQueryCounts[i] ?? 0 }]
    })
  }
}

function decisionOf(setId: number, msgId: string, isCommit: boolean): Decision | undefined {
  const parts = decodeMessageId(msgId)
  return parts?.setId === setId ? { entryIndex: parts.entryIndex, ordinal: parts.ordinal, isCommit } : undefined
}
