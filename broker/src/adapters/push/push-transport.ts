/** The push client as the node knows it: one message to one address, and what became of it. */
import type { Clock, Logger, OutgoingPush, PushResult, PushTransport } from "../../ports.ts"
import { readEndpoint } from "./endpoint.ts"
import { PushClient } from "./push-client.ts"
import { writePush } from "./push-message.ts"

/** OpenCMQ knows no accounts by number. */
const TOPIC_OWNER = 0

export interface PushTransportParts {
  readonly client: PushClient
  readonly clock: Clock
  readonly logger: Logger
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

  /** Ends what is under way. */
  close(): Promise<void> {
    return this.#parts.client.close()
  }

  async #send(push: OutgoingPush): Promise<PushResult> {
    const { client, clock, logger, signingKeys: keys } = this.#parts
    const endpoint = readEndpoint(push.url)
    if (!endpoint.ok) return "failed"
    const notifyContentFormat = push.notifyContentFormat === "json" ? "JSON" : "SIMPLIFIED"
    const message = { ...push, topicOwner: TOPIC_OWNER, notifyContentFormat } as const
    const content = writePush(message, keys.length === 0 ? undefined : { keys, nowMs: clock.wallMs() })
    const outcome = await client.push({ endpoint: endpoint.value, ...content })
    if (outcome.kind === "delivered") return "delivered"
    const { requestId, topicName, subscriptionName } = push
    logger.debug({ requestId, topicName, subscriptionName, reason: outcome.reason }, "a push was not delivered")
    return outcome.reason === "busy" ? "busy" : "failed"
  }
}
