/** The use cases of topics and subscriptions, carried out on the leader. */
import type { ErrorName } from "@opencmq/proto"
import type { SubscriptionId, TopicId } from "../core/queue/command.ts"
import { sentMessageIds, subscriptionIdText, topicIdText } from "./message-views.ts"
import type { PushTransport } from "../ports.ts"
import type { NodeMetrics } from "./node-metrics.ts"
import type { RequestOf, SubscriptionStatus, TopicStatus, UseCaseName, ValueOf } from "./service-types.ts"
import { nothing, refused, type LeaderCall, type SetAccess } from "./set-access.ts"

type TopicUseCase =
  | "createTopic"
  | "setTopicAttributes"
  | "deleteTopic"
  | "getTopicAttributes"
  | "listTopics"
  | "publishMessages"
  | "subscribe"
  | "setSubscriptionAttributes"
  | "unsubscribe"
  | "getSubscriptionAttributes"
  | "listSubscriptions"

export type Handlers<Names extends UseCaseName> = {
  readonly [K in Names]: (request: RequestOf<K>, call: LeaderCall<ValueOf<K>>) => void
}

/** What of a set this service needs. */
export type TopicAccess = Pick<SetAccess, "setId" | "machine" | "change" | "propose" | "read">

export interface TopicServiceParts {
  readonly access: TopicAccess
  readonly metrics: Pick<NodeMetrics, "messagesPublished">
  /** Publishes are refused while it says so (disk or memory is short). */
  readonly sendRefusal: () => ErrorName | undefined
  readonly pushTransport: Pick<PushTransport, "refuseEndpoint">
}

export class TopicService {
  readonly #access: TopicAccess
  readonly #metrics: TopicServiceParts["metrics"]
  readonly #sendRefusal: () => ErrorName | undefined
  readonly #pushTransport: TopicServiceParts["pushTransport"]
  readonly handlers: Handlers<TopicUseCase> = {
    createTopic: (request, call) => {
      this.#access.change({ kind: "createTopic", ...request }, call, ({ queueId }) => this.#topicId(queueId))
    },
    setTopicAttributes: (request, call) => {
      this.#access.change({ kind: "setTopicAttributes", ...request }, call, ({ queueId }) => this.#topicId(queueId))
    },
    deleteTopic: (request, call) => {
      this.#access.change({ kind: "deleteTopic", ...request }, call, nothing)
    },
    getTopicAttributes: ({ topicName }, call) => {
      this.#readTopic(topicName, call, (topicId) => {
        call.done({ ok: true, value: this.#topicStatus(topicId) })
      })
    },
    listTopics: (request, call) => {
      this.#access.read(call, () => {
        const { totalCount, topics } = this.#access.machine.listTopics(request)
        const rows = topics.map(({ topicId, topicName }) => ({ ...this.#topicId(topicId), topicName }))
        call.done({ ok: true, value: { totalCount, topics: rows } })
      })
    },
    publishMessages: (request, call) => {
      this.#publish(request, call)
    },
    subscribe: (request, call) => {
      const { endpoint } = request
      const refusal = endpoint.kind === "http" ? this.#pushTransport.refuseEndpoint?.(endpoint.url) : undefined
      if (refusal !== undefined) call.done(refused(refusal))
      else this.#access.change({ kind: "subscribe", ...request }, call, ({ queueId }) => this.#subscriptionId(queueId))
    },
    setSubscriptionAttributes: (request, call) => {
      const command = { kind: "setSubscriptionAttributes", ...request } as const
      this.#access.change(command, call, ({ queueId }) => this.#subscriptionId(queueId))
    },
    unsubscribe: (request, call) => {
      this.#access.change({ kind: "unsubscribe", ...request }, call, nothing)
    },
    getSubscriptionAttributes: ({ topicName, subscriptionName }, call) => {
      this.#readTopic(topicName, call, () => {
        const subscriptionId = this.#access.machine.findSubscription(topicName, subscriptionName)
        if (subscriptionId === undefined) call.done(refused("subscriptionNotFound"))
        else call.done({ ok: true, value: this.#subscriptionStatus(subscriptionId) })
      })
    },
    listSubscriptions: (request, call) => {
      this.#readTopic(request.topicName, call, () => {
        const list = this.#access.machine.listSubscriptions(request.topicName, request)
        const rows = (list?.subscriptions ?? []).map(({ subscriptionId, ...row }) => ({
          ...this.#subscriptionId(subscriptionId),
          ...row,
        }))
        call.done({ ok: true, value: { totalCount: list?.totalCount ?? 0, subscriptions: rows } })
      })
    },
  }

  constructor(parts: TopicServiceParts) {
    this.#access = parts.access
    this.#metrics = parts.metrics
    this.#sendRefusal = parts.sendRefusal
    this.#pushTransport = parts.pushTransport
  }

  #readTopic<T>(topicName: string, call: LeaderCall<T>, run: (topicId: TopicId) => void): void {
    this.#access.read(call, () => {
      const topicId = this.#access.machine.findTopic(topicName)
      if (topicId === undefined) call.done(refused("topicNotFound"))
      else run(topicId)
    })
  }

  #publish(request: RequestOf<"publishMessages">, call: LeaderCall<ValueOf<"publishMessages">>): void {
    const refusal = this.#sendRefusal()
    if (refusal !== undefined) {
      call.done(refused(refusal))
      return
    }
    const { topicName, messages } = request
    const topicId = this.#access.machine.findTopic(topicName)
    // That a topic is missing is said only after a ReadIndex round.
    if (topicId === undefined) {
      this.#readTopic(topicName, call, (found) => {
        this.#proposePublish(found, messages, call)
      })
    } else this.#proposePublish(topicId, messages, call)
  }

  #proposePublish(
    topicId: TopicId,
    messages: RequestOf<"publishMessages">["messages"],
    call: LeaderCall<ValueOf<"publishMessages">>,
  ): void {
    this.#access.propose(
      (builder) => {
        builder.addPublish({ topicId, messages: messages.map((message) => ({ delayMs: 0, ...message })) })
      },
      call,
      ({ sent, count }) => {
        const value = { ...sentMessageIds(this.#access.setId, sent), deliveryCount: count }
        const subscriptionCount = this.#access.machine.subscriptionCount(topicId)
        this.#metrics.messagesPublished(value.duplicates, { subscriptionCount, deliveryCount: count })
        return { ok: true, value }
      },
    )
  }

  #topicId(topicId: TopicId): { readonly topicId: string } {
    return { topicId: topicIdText(this.#access.setId, topicId) }
  }

  #subscriptionId(subscriptionId: SubscriptionId): { readonly subscriptionId: string } {
    return { subscriptionId: subscriptionIdText(this.#access.setId, subscriptionId) }
  }

  #topicStatus(topicId: TopicId): TopicStatus {
    const status = this.#access.machine.topicStatus(topicId)
    if (status === undefined) throw new Error(`topic ${String(topicId)} vanished between two lines of one turn`)
    const { totals, ...rest } = status
    return { ...rest, ...this.#topicId(topicId), publishedCount: totals.published, unmatchedCount: totals.unmatched }
  }

  #subscriptionStatus(subscriptionId: SubscriptionId): SubscriptionStatus {
    const status = this.#access.machine.subscriptionStatus(subscriptionId)
    if (status === undefined) {
      throw new Error(`subscription ${String(subscriptionId)} vanished between two lines of one turn`)
    }
    const { topicId, nextAttemptAtMs = 0, ...rest } = status
    return { ...rest, ...this.#topicId(topicId), ...this.#subscriptionId(subscriptionId), nextAttemptAtMs }
  }
}
