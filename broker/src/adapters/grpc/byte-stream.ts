/**
 * A bidirectional stream below grpc-js's own: one message is read when one is asked for, and each write tells when the
 * transport has taken it. grpc-js's duplex stream reads up to sixteen messages ahead, which is too much memory when a
 * message may have two megabytes, and it costs an object and some turns of the event loop a message.
 *
 * It is an interceptor's call that never hands the stream on: the registered handler is not reached.
 */
import { Metadata, ServerInterceptingCall } from "@grpc/grpc-js"
import type { ServerInterceptingCallInterface } from "@grpc/grpc-js"
import { STRANGER } from "../../node/caller.ts"
import type { Caller } from "../../node/caller.ts"
import type { BrokerService } from "../../node/service-types.ts"
import type { Clock, Timers } from "../../ports.ts"
import { statusOf } from "./refusal.ts"
import type { Refusal } from "./refusal.ts"

/** What carries a method of the API out: told what comes, in the order in which it comes. */
export interface StreamReader {
  /** One message, after `read` was called. The first is read without being asked for. */
  message(bytes: Buffer): void
  /** The client sends no more. After `read`, instead of a message. */
  halfClosed(): void
  /** The stream is over and its client gone: nothing that is written reaches it. At most once, and last. */
  gone(): void
  /** The face closes: end as soon as what is under way is done. */
  drain(): void
}

/** What a reader may do. After `end` nothing reaches it, and what it does has no effect. */
export interface ByteStream {
  readonly requestId: string
  readonly caller: Caller
  /** Asks for one message. */
  read(): void
  /** `written` is called when the transport has taken the bytes; never when the stream ends before. */
  write(bytes: Buffer, written: () => void): void
  /** Ends the stream, with OK or with a refusal. */
  end(refusal?: Refusal): void
}

/** What a reader may use of the broker. */
export interface StreamTools {
  readonly service: BrokerService
  readonly clock: Clock
  readonly timers: Timers
  /** How long one batch or settlement may take in the broker. */
  readonly requestTimeoutMs: number
}

/** What a stream needs of its surroundings. */
export interface StreamHost {
  readonly requestId: string
  /** Asked when the metadata has come; a refusal ends the stream before anything of it is read. */
  check(metadata: Metadata): Refusal | undefined
  /** Of metadata that were let in. */
  callerOf(metadata: Metadata): Caller
  open(stream: ByteStream): StreamReader
  /** Told once, at the end, if the stream was opened; undefined = the client had gone. */
  closed(reader: StreamReader, end: Refusal | "OK" | "gone"): void
}

/** One stream. */
export class RawStream extends ServerInterceptingCall implements ByteStream {
  readonly requestId: string
  caller: Caller = STRANGER
  private readonly host: StreamHost
  private reader: StreamReader | undefined
  private isOver = false
  private isReadWanted = false
  private isPumping = false

  constructor(next: ServerInterceptingCallInterface, host: StreamHost) {
    super(next)
    this.host = host
    this.requestId = host.requestId
  }

  /** Called by grpc-js with the listener of the registered handler, which is not used. */
  override start(): void {
    super.start({
      onReceiveMetadata: (metadata) => {
        this.opened(metadata)
      },
      onReceiveMessage: (bytes: Buffer) => {
        if (!this.isOver) this.reader?.message(bytes)
      },
      onReceiveHalfClose: () => {
        if (!this.isOver) this.reader?.halfClosed()
      },
      onCancel: () => {
        this.clientGone()
      },
    })
  }

  read(): void {
    this.isReadWanted = true
    this.pump()
  }

  write(bytes: Buffer, written: () => void): void {
    if (this.isOver) return
    this.sendMessage(bytes, () => {
      if (!this.isOver) written()
    })
  }

  end(refusal?: Refusal): void {
    if (this.isOver) return
    this.isOver = true
    if (this.reader !== undefined) this.host.closed(this.reader, refusal ?? "OK")
    this.sendStatus(refusal === undefined ? OK : statusOf(refusal, this.requestId))
  }

  /** A message that is there already comes within `startRead`: a loop, or many small ones would use up the stack. */
  private pump(): void {
    if (this.isPumping) return
    this.isPumping = true
    while (this.isReadWanted && !this.isOver) {
      this.isReadWanted = false
      this.startRead()
    }
    this.isPumping = false
  }

  private opened(metadata: Metadata): void {
    const refusal = this.host.check(metadata)
    if (refusal !== undefined) {
      this.end(refusal)
      return
    }
    this.caller = this.host.callerOf(metadata)
    // The client learns that it was let in before the first answer.
    this.sendMetadata(new Metadata())
    this.reader = this.host.open(this)
    this.read()
  }

  private clientGone(): void {
    if (this.isOver) return
    this.isOver = true
    if (this.reader === undefined) return
    this.host.closed(this.reader, "gone")
    this.reader.gone()
  }
}

const OK = { code: 0, details: "OK" }
