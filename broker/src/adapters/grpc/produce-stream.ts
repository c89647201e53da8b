/**
 * `Produce`: batches in, results out. It reads one batch at a time and stops while too much is undecided; a batch counts
 * until the transport has taken its result, so a client that does not read its results is not read either.
 */
import { LIMITS, WireError, WireWriter } from "@opencmq/proto"
import type { RequestContext, ValueOf } from "../../node/service-types.ts"
import type { ByteStream, StreamReader, StreamTools } from "./byte-stream.ts"
import { FieldReader } from "./field-reader.ts"
import { wireRefusal } from "./refusal.ts"
import type { Refusal } from "./refusal.ts"
import { readProduceRequest, writeBatchResult } from "./stream-codec.ts"
import type { WireProduceRequest, WireRefusal } from "./wire-types.ts"

/** Batches and bytes of batches that have no result yet, or whose result is not yet written. Then nothing is read. */
const UNDECIDED_COUNT_MAX = 64
const UNDECIDED_BYTES_MAX = 4_194_304

type Result = ValueOf<"sendMessages"> | WireRefusal

/** One stream. */
export class ProduceStream implements StreamReader {
  private readonly stream: ByteStream
  private readonly tools: StreamTools
  private queueName = ""
  private undecidedCount = 0
  private undecidedBytes = 0
  private isReading = true
  /** Why the stream ends when everything is decided. */
  private ending: "no" | "halfClosed" | "draining" = "no"
  /** Results that wait for the write before them, and what they take off the account when they are written. */
  private results = new WireWriter()
  private waitingCount = 0
  private waitingBytes = 0
  private isWriting = false
  private isFlushPlanned = false

  constructor(stream: ByteStream, tools: StreamTools) {
    this.stream = stream
    this.tools = tools
  }

  message(bytes: Buffer): void {
    this.isReading = false
    const request = this.decode(bytes)
    if (request === undefined) return
    this.undecidedCount++
    this.undecidedBytes += bytes.length
    this.send(request, bytes.length)
    this.readMore()
  }

  halfClosed(): void {
    if (this.ending === "no") this.ending = "halfClosed"
    this.endIfDone()
  }

  gone(): void {
    // What was proposed is carried out; nobody is there to be told.
    this.ending = "halfClosed"
  }

  drain(): void {
    this.ending = "draining"
    this.endIfDone()
  }

  private decode(bytes: Buffer): WireProduceRequest | undefined {
    try {
      return readProduceRequest(bytes)
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      this.stream.end({ error: "requestInvalid", args: [], detail: `: ${error.message}` })
      return undefined
    }
  }

  private send(request: WireProduceRequest, frameBytes: number): void {
    const fields = new FieldReader()
    if (request.queueName !== "" || this.queueName === "") {
      this.queueName = fields.queueName("queue_name", request.queueName)
    }
    const messages = fields.messages(request.messages, LIMITS.streamBatchCount.max)
    const refused: Refusal | undefined = fields.refusal
    if (refused !== undefined) {
      // The name of a refused batch is not that of the next one.
      if (refused.field === "queue_name") this.queueName = ""
      this.decided(request.batchId, wireRefusal(refused), frameBytes)
      return
    }
    const { requestTimeoutMs, service } = this.tools
    const context: RequestContext = {
      requestId: this.stream.requestId,
      caller: this.stream.caller,
      timeoutMs: requestTimeoutMs,
      cancelled: false,
      onCancel: undefined,
    }
    service.execute(
      "sendMessages",
      { queueName: this.queueName, messages },
      {
        context,
        done: (reply) => {
          this.decided(request.batchId, reply.ok ? reply.value : wireRefusal(reply), frameBytes)
          return true
        },
      },
    )
  }

  private decided(batchId: Uint8Array, result: Result, frameBytes: number): void {
    writeBatchResult(this.results, batchId, result)
    this.waitingCount++
    this.waitingBytes += frameBytes
    if (this.isFlushPlanned || this.isWriting) return
    this.isFlushPlanned = true
    // One commit decides many batches in one turn: their results go out together.
    queueMicrotask(() => {
      this.isFlushPlanned = false
      this.flush()
    })
  }

  private flush(): void {
    if (this.isWriting || this.waitingCount === 0) return
    const [count, bytes] = [this.waitingCount, this.waitingBytes]
    this.waitingCount = 0
    this.waitingBytes = 0
    this.isWriting = true
    const frame = this.results.finish()
    this.results = new WireWriter()
    this.stream.write(frame, () => {
      this.isWriting = false
      this.undecidedCount -= count
      this.undecidedBytes -= bytes
      this.flush()
      this.readMore()
      this.endIfDone()
    })
  }

  private readMore(): void {
    if (this.isReading || this.ending !== "no") return
    if (this.undecidedCount >= UNDECIDED_COUNT_MAX || this.undecidedBytes >= UNDECIDED_BYTES_MAX) return
    this.isReading = true
    this.stream.read()
  }

  private endIfDone(): void {
    if (this.ending === "no" || this.undecidedCount > 0) return
    this.stream.end(this.ending === "draining" ? { error: "shuttingDown", args: [] } : undefined)
  }
}
