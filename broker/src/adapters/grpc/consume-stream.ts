/**
 * `Consume`: credits and settlements in, messages and their results out. It asks the node for messages only against
 * credits, and only when the transport has taken all that was written before, so a client that does not read holds at
 * most one batch here. What cannot be written goes back to the queue.
 */
import { LIMITS, errorRow, WireError, WireWriter } from "@opencmq/proto"
import type { ErrorName } from "@opencmq/proto"
import { OPERATOR } from "../../node/caller.ts"
import type { Cancel } from "../../ports.ts"
import type { DeliveredMessage, Reply, RequestContext, ValueOf } from "../../node/service-types.ts"
import type { ByteStream, StreamReader, StreamTools } from "./byte-stream.ts"
import { FieldReader } from "./field-reader.ts"
import { Settlements } from "./settlements.ts"
import { readConsumeRequest, writeDelivered, writeSettlement } from "./stream-codec.ts"
import type { WireConsumeRequest } from "./wire-types.ts"

/** About so many bytes a response, and so many of bodies a receive asks for, by the size of those before. */
const FRAME_BYTES = 1_048_576
const FIRST_RECEIVE_COUNT = 16
/** The node waits so long for a first message before it is asked again, in milliseconds. */
const POLL_MS = LIMITS.pollingWaitSeconds.max * 1000
/** After an answer without messages that came too early (no leader, a node that stops), in milliseconds. */
const RETRY_MS = 250
/** Requests with settlements that have no result yet, or whose result is not yet written. Then nothing is read. */
const UNSETTLED_COUNT_MAX = 64

interface QueueChoice {
  readonly queueName: string
  readonly visibilityTimeoutMs: number | undefined
}

/** One stream. */
export class ConsumeStream implements StreamReader {
  private readonly stream: ByteStream
  private readonly tools: StreamTools
  private readonly settlements: Settlements
  private choice: QueueChoice | undefined
  private credits = 0
  private receiveCount = FIRST_RECEIVE_COUNT
  /** Of the receive under way. */
  private receiving: RequestContext | undefined
  private cancelRetry: Cancel | undefined
  private isReading = true
  private isWriting = false
  private isOver = false
  private ending: "no" | "halfClosed" | "draining" = "no"
  /** Messages taken from the queue and not yet given to the transport, and those that it has not yet taken. */
  private pending: readonly DeliveredMessage[] = []
  private unwritten: readonly DeliveredMessage[] = []

  constructor(stream: ByteStream, tools: StreamTools) {
    this.stream = stream
    this.tools = tools
    const { service, requestTimeoutMs } = tools
    const ready = (): void => {
      this.flush()
    }
    this.settlements = new Settlements({ service, timeoutMs: requestTimeoutMs, stream, ready })
  }

  message(bytes: Buffer): void {
    this.isReading = false
    const request = this.decode(bytes)
    if (request === undefined || !this.choose(request)) return
    this.credits = Math.min(this.credits + Math.max(0, request.addCredits), LIMITS.consumeCreditsCount.max)
    this.settlements.add(request, this.choice?.queueName ?? "")
    this.receive()
    this.readMore()
  }

  halfClosed(): void {
    if (this.ending === "no") this.ending = "halfClosed"
    this.stopReceiving()
    this.endIfDone()
  }

  gone(): void {
    this.isOver = true
    this.stopReceiving()
    this.giveBack([...this.unwritten, ...this.pending])
    this.pending = []
    this.unwritten = []
  }

  drain(): void {
    this.ending = "draining"
    this.stopReceiving()
    this.endIfDone()
  }

  private decode(bytes: Buffer): WireConsumeRequest | undefined {
    try {
      return readConsumeRequest(bytes)
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      this.endWith("requestInvalid", `: ${error.message}`)
      return undefined
    }
  }

  /** The first request says which queue. False: it may not, and the stream is over. */
  private choose({ queueName, visibilityTimeoutMs }: WireConsumeRequest): boolean {
    if (this.choice !== undefined) return true
    const fields = new FieldReader()
    fields.queueName("queue_name", queueName)
    fields.optionalMs("visibility_timeout_ms", visibilityTimeoutMs, LIMITS.visibilityTimeoutSeconds)
    if (fields.refusal !== undefined) {
      this.isOver = true
      this.stream.end(fields.refusal)
      return false
    }
    this.choice = { queueName, visibilityTimeoutMs }
    return true
  }

  private receive(): void {
    const { choice } = this
    if (choice === undefined || this.receiving !== undefined || this.cancelRetry !== undefined) return
    if (this.credits === 0 || this.isWriting || this.pending.length > 0 || this.isOver || this.ending !== "no") return
    const { clock, requestTimeoutMs, service } = this.tools
    const startedAtMs = clock.monotonicMs()
    const context: RequestContext = {
      requestId: this.stream.requestId,
      caller: this.stream.caller,
      timeoutMs: requestTimeoutMs,
      cancelled: false,
      onCancel: undefined,
    }
    this.receiving = context
    const maxCount = Math.min(this.credits, this.receiveCount)
    service.execute(
      "receiveMessages",
      { ...choice, maxCount, pollingWaitMs: POLL_MS },
      { context, done: (reply) => this.received(reply, startedAtMs) },
    )
  }

  private received(reply: Reply<ValueOf<"receiveMessages">>, startedAtMs: number): boolean {
    this.receiving = undefined
    if (this.isOver || this.ending !== "no") {
      this.endIfDone()
      return false
    }
    if (!reply.ok) {
      this.notReceived(reply.error, this.tools.clock.monotonicMs() - startedAtMs)
      return true
    }
    const { messages } = reply.value
    this.credits -= messages.length
    this.pending = messages
    this.learnSize(messages)
    this.flush()
    return true
  }

  private notReceived(error: ErrorName, elapsedMs: number): void {
    const isWorthRetry = error === "noMessage" || (errorRow(error).retriable && error !== "shuttingDown")
    if (!isWorthRetry) {
      this.endWith(error)
      return
    }
    const delayMs = elapsedMs < RETRY_MS ? RETRY_MS : 0
    this.cancelRetry = this.tools.timers.after(delayMs, () => {
      this.cancelRetry = undefined
      this.receive()
    })
  }

  /** The next receive asks for about one frame of messages like these. */
  private learnSize(messages: readonly DeliveredMessage[]): void {
    let bytes = 1
    for (const { body } of messages) bytes += body.length
    const fitting = Math.floor((FRAME_BYTES * messages.length) / bytes)
    this.receiveCount = Math.max(1, Math.min(fitting, this.receiveCount * 4, LIMITS.streamBatchCount.max))
  }

  /** Writes what is there, one response at a time. */
  private flush(): void {
    if (this.isWriting || this.isOver) return
    const settled = this.settlements.take()
    const count = this.fittingCount()
    if (settled.length === 0 && count === 0) return
    this.unwritten = this.pending.slice(0, count)
    this.pending = this.pending.slice(count)
    const writer = new WireWriter()
    for (const message of this.unwritten) writeDelivered(writer, message)
    for (const result of settled) writeSettlement(writer, result)
    this.isWriting = true
    this.stream.write(writer.finish(), () => {
      this.isWriting = false
      this.unwritten = []
      this.settlements.written(settled.length)
      this.flush()
      this.receive()
      this.readMore()
      this.endIfDone()
    })
  }

  private fittingCount(): number {
    let bytes = 0
    let count = 0
    for (const { body } of this.pending) {
      bytes += body.length
      if (count > 0 && bytes > FRAME_BYTES) break
      count++
    }
    return count
  }

  private readMore(): void {
    if (this.isReading || this.isOver || this.ending !== "no") return
    if (this.settlements.openCount >= UNSETTLED_COUNT_MAX) return
    this.isReading = true
    this.stream.read()
  }

  private stopReceiving(): void {
    this.cancelRetry?.()
    this.cancelRetry = undefined
    const { receiving } = this
    if (receiving === undefined) return
    receiving.cancelled = true
    receiving.onCancel?.()
  }

  private giveBack(messages: readonly DeliveredMessage[]): void {
    if (messages.length === 0) return
    const handles = messages.map((message) => message.deliveryHandle)
    const requestId = `${this.stream.requestId}/give-back`
    this.tools.service.execute(
      "changeVisibility",
      { queueName: this.choice?.queueName ?? "", handles, visibilityTimeoutMs: 0 },
      {
        context: {
          requestId,
          // The node's own doing: it has the handles of the machine, not those that the caller was to get.
          caller: OPERATOR,
          timeoutMs: this.tools.requestTimeoutMs,
          cancelled: false,
          onCancel: undefined,
        },
        done: () => undefined,
      },
    )
  }

  private endWith(error: ErrorName, detail?: string): void {
    if (this.isOver) return
    this.isOver = true
    this.stopReceiving()
    this.stream.end({ error, args: [], ...(detail !== undefined && { detail }) })
  }

  private endIfDone(): void {
    if (this.ending === "no" || this.isOver || this.isWriting || this.receiving !== undefined) return
    if (this.pending.length > 0 || this.settlements.openCount > 0) return
    this.isOver = true
    this.stream.end(this.ending === "draining" ? { error: "shuttingDown", args: [] } : undefined)
  }
}
