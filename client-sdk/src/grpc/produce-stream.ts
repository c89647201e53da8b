/** One `Produce` stream: batches of all the queues that are sent to through one endpoint, each with its own answer. */
import { WireError } from "@opencmq/proto"
import { onAbort } from "../abort.ts"
import type { PreparedMessage } from "../prepared-message.ts"
import type { AttemptReply } from "../transport.ts"
import { networkError, refusalOf, replyOf, successOf } from "./call-error.ts"
import type { ByteStream } from "./connection.ts"
import { readProduced, writeProduce } from "./message-codec.ts"
import type { BatchResult } from "./message-codec.ts"

type Waiting = Readonly<{
  resolve: (reply: AttemptReply) => void
  reject: (error: unknown) => void
}>

/** A batch for the stream. */
export type Batch = Readonly<{ queueName: string; messages: readonly PreparedMessage[]; signal: AbortSignal }>

/** Sends batches, several under way at once. */
export class ProduceStream {
  readonly #stream: ByteStream
  readonly #waiting = new Map<number, Waiting>()
  #lastBatchId = 0
  #lastAnsweredId = 0
  #isOpen = true

  /** @param onOver - called when it takes no more batches. */
  constructor(stream: ByteStream, onOver: () => void) {
    this.#stream = stream
    const over = (): void => {
      this.#isOpen = false
      onOver()
    }
    this.#retire = () => {
      if (!this.#isOpen) return
      over()
      stream.end()
    }
    stream.on("data", (bytes: Buffer) => {
      this.#answered(bytes)
    })
    stream.on("error", (error) => {
      over()
      this.#endAll(error)
    })
    stream.on("end", () => {
      over()
      this.#endAll(networkError("the stream ended"))
    })
  }

  readonly #retire: () => void

  /** Ends it at once; what waits fails. */
  cancel(): void {
    this.#stream.cancel()
  }

  /** @throws TransportError. @returns results, or a refusal. */
  send({ queueName, messages, signal }: Batch): Promise<AttemptReply> {
    this.#lastBatchId += 1
    const batchId = this.#lastBatchId
    return new Promise((resolve, reject) => {
      const removeListener = onAbort(signal, () => {
        this.#waiting.delete(batchId)
        // Nothing came since: the next attempt had better have a stream of its own. What waits here still may end well.
        if (this.#lastAnsweredId < batchId) this.#retire()
        reject(networkError("aborted while the batch was under way"))
      })
      this.#waiting.set(batchId, {
        resolve: (reply) => {
          removeListener()
          resolve(reply)
        },
        reject: (error) => {
          removeListener()
          // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- made by refusalOf or networkError
          reject(error)
        },
      })
      this.#stream.write(writeProduce(queueName, batchId, messages))
    })
  }

  #answered(bytes: Buffer): void {
    let results: readonly BatchResult[]
    try {
      results = readProduced(bytes)
    } catch (thrown) {
      if (!(thrown instanceof WireError)) throw thrown
      this.#stream.destroy(networkError(`an answer that is none: ${thrown.message}`))
      return
    }
    for (const { batchId, messages, refusal } of results) {
      this.#lastAnsweredId = batchId
      const waiting = this.#waiting.get(batchId)
      this.#waiting.delete(batchId)
      if (refusal !== undefined) waiting?.resolve(replyOf({ requestId: "", ...refusal }))
      else waiting?.resolve(successOf({ ...messages[0], msgList: messages }))
    }
  }

  #endAll(cause: unknown): void {
    const all = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const { resolve, reject } of all) {
      try {
        resolve(refusalOf(cause))
      } catch (thrown) {
        reject(thrown)
      }
    }
  }
}
