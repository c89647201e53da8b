/**
 * How a client of the simulation talks to a node: over a network of its own, with a patience of its own, and with three
 * possible ends: an answer, "not reached" (certainly not applied), or "unknown".
 *
 * Every answer is held against the books at the moment the node gives it: what it promises must be true by then.
 */
import { OPERATOR } from "../../src/node/caller.ts"
import type { Random } from "../../src/core/random.ts"
import type { Reply, RequestContext, RequestOf, UseCaseName, ValueOf } from "../../src/node/service-types.ts"
import type { NodeId } from "../../src/ports.ts"
import { REGISTER_QUEUE } from "./queue-books.ts"
import type { SimCluster } from "./sim-cluster.ts"
import { exponential, Violation } from "./world.ts"

export type CallEnd<K extends UseCaseName> =
  | { readonly kind: "reply"; readonly reply: Reply<ValueOf<K>> }
  | { readonly kind: "notReached" }
  | { readonly kind: "unknown" }

export interface CallSpec<K extends UseCaseName> {
  readonly client: string
  readonly nodeId: NodeId
  readonly name: K
  readonly request: RequestOf<K>
  readonly timeoutMs: number
  /** Patience beyond the node's own deadline, in world time. */
  readonly patienceMs: number
  /** True: a client that loses patience tells the node so (its socket closes). */
  readonly cancels: boolean
  readonly done: (end: CallEnd<K>) => void
}

interface OpenCall {
  readonly nodeId: NodeId
  readonly what: string
  readonly givenUpAtMs: number
  readonly connectionLost: () => void
}

/** Of the queue that an answer can call missing. */
function queueNameOf({ name, request }: { readonly name: UseCaseName; readonly request: unknown }): string {
  if (name !== "subscribe") return (request as { readonly queueName: string }).queueName
  const { endpoint } = request as RequestOf<"subscribe">
  return endpoint.kind === "queue" ? endpoint.queueName : ""
}

export class ClientCalls {
  readonly #cluster: SimCluster
  readonly #random: Random
  readonly #open = new Set<OpenCall>()
  /** What came back, by use case and end. */
  readonly counts = new Map<string, number>()
  #lastRequestId = 0

  constructor(cluster: SimCluster) {
    this.#cluster = cluster
    this.#random = cluster.world.fork("client network")
    cluster.onEnd = (nodeId) => {
      for (const call of [...this.#open]) if (call.nodeId === nodeId) call.connectionLost()
    }
  }

  get openCount(): number {
    return this.#open.size
  }

  /** Calls that a live node has kept longer than any deadline allows. */
  overdue(): string[] {
    return [...this.#open].filter((call) => call.givenUpAtMs < this.#cluster.world.nowMs).map((call) => call.what)
  }

  call<K extends UseCaseName>(spec: CallSpec<K>): void {
    const { world } = this.#cluster
    const askedMs = world.nowMs
    let isFinished = false
    const finish = (end: CallEnd<K>): void => {
      if (isFinished) return
      isFinished = true
      this.#count(spec.name, end)
      spec.done(end)
    }
    const context: RequestContext = {
      requestId: String(++this.#lastRequestId),
      caller: OPERATOR,
      timeoutMs: spec.timeoutMs,
      cancelled: false,
      onCancel: undefined,
    }
    world.after(spec.timeoutMs + spec.patienceMs, () => {
      if (isFinished) return
      world.marks.hit("client: lost patience")
      finish({ kind: "unknown" })
      if (!spec.cancels) return
      context.cancelled = true
      this.#cluster.node(spec.nodeId).process.enter(() => context.onCancel?.())
    })
    world.after(this.#delayMs(), () => {
      this.#arrive(spec, { context, askedMs, finish, isAbandoned: () => isFinished })
    })
  }

  #arrive<K extends UseCaseName>(
    spec: CallSpec<K>,
    state: {
      readonly context: RequestContext
      readonly askedMs: number
      readonly finish: (end: CallEnd<K>) => void
      readonly isAbandoned: () => boolean
    },
  ): void {
    const { world } = this.#cluster
    const node = this.#cluster.node(spec.nodeId)
    const { broker } = node
    if (broker === undefined || node.process.state === "down") {
      world.after(this.#delayMs(), () => {
        state.finish({ kind: "notReached" })
      })
      return
    }
    const open: OpenCall = {
      nodeId: spec.nodeId,
      what: `${spec.name} of ${spec.client} at n${String(spec.nodeId)} since ${state.askedMs.toFixed(0)}`,
      // The node's clock may run at half speed, and it may be paused.
      givenUpAtMs: world.nowMs + 3 * (spec.timeoutMs + spec.patienceMs) + 60_000,
      connectionLost: () => {
        this.#open.delete(open)
        state.finish({ kind: "unknown" })
      },
    }
    this.#open.add(open)
    let isReturned = false
    let isAnswered = false
    node.process.enter(() => {
      broker.execute(spec.name, spec.request, {
        context: state.context,
        done: (reply) => {
          if (!isReturned) world.fail(new Violation("no answer before the call returns", open.what))
          if (isAnswered) world.fail(new Violation("one answer a request", open.what))
          isAnswered = true
          this.#open.delete(open)
          this.#cluster.observe(node)
          this.#check(spec, { reply, askedMs: state.askedMs, isTaken: !state.isAbandoned() })
          if (state.isAbandoned()) return false
          world.after(this.#delayMs(), () => {
            state.finish({ kind: "reply", reply })
          })
          return true
        },
      })
      isReturned = true
    })
  }

  #check<K extends UseCaseName>(
    spec: CallSpec<K>,
    answer: { readonly reply: Reply<ValueOf<K>>; readonly askedMs: number; readonly isTaken: boolean },
  ): void {
    const { answers } = this.#cluster.oracle
    const { reply, askedMs } = answer
    const request = spec.request as { readonly queueName: string; readonly topicName: string }
    if (!reply.ok) {
      if (reply.error === "queueNotFound") answers.queueMissing(queueNameOf(spec), askedMs)
      if (reply.error === "topicNotFound") answers.topicMissing(request.topicName, askedMs)
      if (reply.error === "internal") this.#cluster.world.fail(new Violation("no internal errors", spec.name))
      return
    }
    switch (spec.name) {
      case "sendMessages": {
        const sent = spec.request as RequestOf<"sendMessages">
        const { msgIds } = reply.value as ValueOf<"sendMessages">
        answers.sendAcknowledged(
          sent.queueName,
          sent.messages.map((message) => message.body),
          msgIds,
        )
        return
      }
      case "publishMessages": {
        const { messages } = spec.request as RequestOf<"publishMessages">
        const { msgIds } = reply.value as ValueOf<"publishMessages">
        answers.sendAcknowledged(
          request.topicName,
          messages.map((message) => message.body),
          msgIds,
        )
        return
      }
      case "receiveMessages":
        if (answer.isTaken)
          answers.delivered(spec.client, request.queueName, (reply.value as ValueOf<"receiveMessages">).messages)
        return
      case "deleteMessages":
        answers.deleteAcknowledged(
          (spec.request as RequestOf<"deleteMessages">).handles,
          (reply.value as ValueOf<"deleteMessages">).failed,
        )
        return
      case "getQueueAttributes":
        if (request.queueName === REGISTER_QUEUE) {
          answers.registerRead((reply.value as ValueOf<"getQueueAttributes">).attributes.pollingWaitMs, askedMs)
        }
        return
      case "changeVisibility":
      case "clearQueue":
      case "clusterStatus":
      case "createKey":
      case "createQueue":
      case "deleteQueue":
      case "listDeadLetterSources":
      case "listKeys":
      case "listQueues":
      case "peekMessages":
      case "replaceKey":
      case "revokeKey":
      case "rewindQueue":
      case "rotateKey":
      case "setQueueAttributes":
      case "storeKey":
      case "unbindDeadLetterQueue":
      case "createTopic":
      case "deleteTopic":
      case "getSubscriptionAttributes":
      case "getTopicAttributes":
      case "listSubscriptions":
      case "listTopics":
      case "setSubscriptionAttributes":
      case "setTopicAttributes":
      case "subscribe":
      case "unsubscribe":
      // The workload makes no half messages yet.
      case "prepareMessages":
      case "confirmMessages":
      case "listQueriedHalves":
      // Nor does it redrive or search.
      case "startRedrive":
      case "cancelRedrive":
      case "describeRedrive":
      case "previewRedrive":
      case "previewRewind":
      case "searchMessages":
      case "traceMessage":
        return
    }
  }

  #count(name: UseCaseName, end: CallEnd<UseCaseName>): void {
    const what = end.kind !== "reply" ? end.kind : end.reply.ok ? "ok" : end.reply.error
    const key = `${name} ${what}`
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1)
    this.#cluster.world.mix(key.length)
  }

  #delayMs(): number {
    return 0.1 + Math.min(1000, exponential(this.#random, 1))
  }
}
