/** One `Consume` stream: messages of one queue against credits, and settlements the other way. */
import { WireError } from "@opencmq/proto"
import { onAbort } from "../abort.ts"
import type { AttemptReply, MessageStream, MessageStreamOrder } from "../transport.ts"
import { TransportError } from "../transport.ts"
import { networkError, refusalOf } from "./call-error.ts"
import type { ByteStream } from "./connection.ts"
import { readConsumed, writeConsume } from "./message-codec.ts"
import type { Settlement, SettlementResult } from "./message-codec.ts"

type Waiting = Readonly<{
  resolve: (result: SettlementResult) => void
  reject: (error: unknown) => void
}>

/** Messages in, settlements out. */
export class ConsumeStream implements MessageStream {
  readonly #order: MessageStreamOrder
  readonly #stream: ByteStream
  readonly #waiting = new Map<number, Waiting>()
  #lastSettlementId = 0
  #isOpen = true
  #isOver = false

  constructor(stream: ByteStream, order: MessageStreamOrder) {
    this.#stream = stream
    this.#order = order
    stream.on("data", (bytes: Buffer) => {
      this.#arrived(bytes)
    })
    stream.on("error", (error) => {
      this.#over(error)
    })
    stream.on("end", () => {
      this.#over(undefined)
    })
    const { queueName, visibilityTimeoutSeconds } = order
    stream.write(writeConsume({ queueName, visibilityTimeoutSeconds }))
  }

  /** Whether settlements can still be written. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  addCredits(credits: number): void {
    if (this.#isOpen) this.#stream.write(writeConsume({ credits }))
  }

  end(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#stream.end()
  }

  cancel(): void {
    this.#isOpen = false
    this.#stream.cancel()
  }

  /** @throws what `refusalOf` makes a reply or an error of. */
  settle(settlement: Settlement, signal: AbortSignal): Promise<SettlementResult> {
    this.#lastSettlementId += 1
    const settlementId = this.#lastSettlementId
    return new Promise((resolve, reject) => {
      const removeListener = onAbort(signal, () => {
        this.#waiting.delete(settlementId)
        reject(networkError("aborted while the settlement was under way"))
      })
      this.#waiting.set(settlementId, {
        resolve: (result) => {
          removeListener()
          resolve(result)
        },
        reject: (error) => {
          removeListener()
          // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- what grpc-js said
          reject(error)
        },
      })
      this.#stream.write(writeConsume({ settlementId, settlement }))
    })
  }

  #arrived(bytes: Buffer): void {
    try {
      const { messages, settlements } = readConsumed(bytes)
      for (const result of settlements) {
        this.#waiting.get(result.settlementId)?.resolve(result)
        this.#waiting.delete(result.settlementId)
      }
      if (messages.length > 0) this.#order.onMessages(messages)
    } catch (thrown) {
      if (!(thrown instanceof WireError)) throw thrown
      this.#stream.destroy(networkError(`an answer that is none: ${thrown.message}`))
    }
  }

  #over(cause: unknown): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#isOpen = false
    const all = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const { reject } of all) reject(cause ?? networkError("the stream ended"))
    this.#order.onEnd(cause === undefined ? undefined : endOf(cause))
  }
}

/** As data: the stream's reader has nobody to throw at. */
function endOf(cause: unknown): AttemptReply | TransportError {
  try {
    return refusalOf(cause)
  } catch (thrown) {
    return thrown instanceof TransportError ? thrown : networkError("the stream failed", thrown)
  }
}
