/** The push client as the node knows it: one message to one address, and what became of it. */
import type { Clock, EndpointRefusal, Logger, OutgoingPush, PushResult, PushTransport } from "../../ports.ts"
import type { Metrics } from "../../node/metrics.ts"
import { readEndpoint } from "./endpoint.ts"
import { PushClient } from "./push-client.ts"
import type { PushFailure } from "./push-exchange.ts"
import { writePush } from "./push-message.ts"

/** OpenCMQ knows no accounts by number. */
const TOPIC_OWNER = 0

export interface PushTransportParts {
  readonly client: PushClient
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Pick<Metrics, "counter">
  /** From `readSigningKey`; empty = unsigned, as CMQ's are. */
  readonly signingKeys: readonly Uint8Array[]
}

/** Pushes by HTTP POST. */
export class HttpPushTransport implements PushTransport {
  readonly #parts: PushTransportParts

  constructor(parts: PushTransportParts) {
    this.#parts = parts
  }

  push(push: OutgoingPush, done: (result: PushResult) => void): void {
    void this.#send(push).then(done)
  }

  /** Whether a subscription may name this address; without asking the DNS (`judgeEndpoint`). */
  refuseEndpoint(url: string): EndpointRefusal | undefined {
    const endpoint = readEndpoint(url)
    if (!endpoint.ok) return endpoint.error as EndpointRefusal
    return this.#parts.client.mayTake(endpoint.value) ? undefined : "endpointIllegal"
  }

  /** Ends what is under way. */
  close(): Promise<void> {
    return this.#parts.client.close()
  }

  async #send(push: OutgoingPush): Promise<PushResult> {
    const { client, clock, signingKeys: keys } = this.#parts
    const endpoint = readEndpoint(push.url)
    if (!endpoint.ok) return this.#failed(push, "endpoint")
    const notifyContentFormat = push.notifyContentFormat === "json" ? "JSON" : "SIMPLIFIED"
    const message = { ...push, topicOwner: TOPIC_OWNER, notifyContentFormat } as const
    const content = writePush(message, keys.length === 0 ? undefined : { keys, nowMs: clock.wallMs() })
    const outcome = await client.push({ endpoint: endpoint.value, ...content })
    if (outcome.kind === "delivered") return "delivered"
    return outcome.reason === "busy" ? "busy" : this.#failed(push, outcome.reason)
  }

  #failed({ requestId, topicName, subscriptionName }: OutgoingPush, reason: PushFailure | "endpoint"): PushResult {
    this.#parts.metrics.counter("pushFailures", reason).add(1)
    this.#parts.logger.debug({ requestId, topicName, subscriptionName, reason }, "a push was not delivered")
    return "failed"
  }
}
