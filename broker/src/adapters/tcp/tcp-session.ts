/**
 * One client's connection: authentication first, then requests side by side, replies in the order in which they are
 * ready. Whatever a client does wrong ends this connection and no other.
 *
 * Ticks are counted, not time: after a pause of the whole process a client is given its full span again.
 */
import type { Socket } from "node:net"
import type { Authenticator } from "./authenticate.ts"
import { AUTHENTICATE, COMMANDS, HEARTBEAT, TRANSACTION_QUERY, unknownCommand } from "./command-table.ts"
import { decodeRequest, encodeReply } from "./cmq-proto.ts"
import type { CmqQuery, CmqReply, CmqRequest } from "./cmq-proto.ts"
import type { TcpFaceOptions } from "./face-options.ts"
import { FrameReader } from "./frame-reader.ts"
import { producedQueue } from "./request-reader.ts"
import { RESULT_OK, refusalText, resultOf } from "./result.ts"
import type { Refusal } from "./result.ts"
import { TcpCall } from "./tcp-call.ts"
import type { CallHost } from "./tcp-call.ts"

/** What a connection needs of the face. */
export interface SessionHost {
  readonly service: CallHost["service"]
  readonly authenticator: Authenticator
  readonly options: TcpFaceOptions
  nowMs(): number
  /** Running number of a request, below 2^53. */
  nextRequestNumber(): number
  started(): void
  finished(call: TcpCall, result: number): void
  /** Once, when the connection has ended. */
  closed(session: TcpSession, reason: string): void
}

/** How long the other side may take to close after everything was said. */
const LINGER_TICKS = 3

/** Queues of one connection whose half messages it may be asked about; of further ones it is not asked. */
const PRODUCED_QUEUES_MAX = 256

const NO_REQUEST = "bytes that are no request"

/** One connection, from accept to close. */
export class TcpSession implements CallHost {
  readonly service: CallHost["service"]
  /** `address:port` of the client, for the log. */
  readonly remoteAddress: string
  readonly #host: SessionHost
  readonly #socket: Socket
  readonly #reader: FrameReader
  readonly #calls = new Set<TcpCall>()
  /** Queues to which it has sent. */
  readonly #produced = new Set<string>()
  #isAuthenticated = false
  #isDraining = false
  /** Nothing more is read, nothing more is said. */
  #isEnding = false
  #isCorked = false
  #reason: string | undefined
  /** Since accept. */
  #ageTicks = 0
  /** Since anything came. */
  #quietTicks = 0
  /** Since the client took anything of what waits for it. */
  #stallTicks = 0
  #endingTicks = 0
  #takenBytes = 0

  constructor(socket: Socket, host: SessionHost) {
    this.#socket = socket
    this.#host = host
    this.service = host.service
    this.remoteAddress = `${socket.remoteAddress ?? "?"}:${String(socket.remotePort ?? 0)}`
    this.#reader = new FrameReader(host.options.maxStrangerFrameBytes)
    socket.on("data", (chunk: Buffer) => {
      this.#receive(chunk)
    })
    // A client that says it sends no more is taken at its word: CMQ's close both ways at once.
    socket.on("end", () => {
      this.close("the client closed the connection")
    })
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.#reason ??= error.code ?? error.message
    })
    socket.on("close", () => {
      this.close("closed")
      host.closed(this, this.#reason ?? "closed")
    })
  }

  /** To be called each second. */
  tick(): void {
    const { options } = this.#host
    this.#ageTicks++
    this.#quietTicks++
    this.#stallTicks = this.#isStalled() ? this.#stallTicks + 1 : 0
    if (this.#isEnding) {
      this.#endingTicks++
      if (this.#endingTicks > LINGER_TICKS) this.close("the client did not close")
    } else if (!this.#isAuthenticated && this.#ageTicks > options.authenticationSeconds) {
      this.close("not authenticated in time")
    } else if (this.#quietTicks > options.idleSeconds) {
      this.close("nothing came, no heartbeat either")
    } else if (this.#stallTicks > options.stallSeconds) {
      this.close("the client takes nothing")
    }
  }

  /** Answers waiting pulls, refuses new requests, and ends when everything is answered. */
  drain(): void {
    this.#isDraining = true
    for (const call of [...this.#calls]) if (call.command.isPull) call.hurry()
    this.#endWhenDrained()
  }

  /** Ends the connection now. Requests under way are cancelled, their messages go back. */
  close(reason: string): void {
    this.#reason ??= reason
    this.#isEnding = true
    this.#socket.destroy()
    const calls = [...this.#calls]
    this.#calls.clear()
    for (const call of calls) call.clientGone()
  }

  isProducerOf(queueName: string): boolean {
    return this.#produced.has(queueName) && !this.#isEnding && !this.#isDraining
  }

  send(reply: CmqReply | CmqQuery): boolean {
    const socket = this.#socket
    if (socket.destroyed || socket.writableEnded) return false
    if (socket.writableLength > this.#host.options.maxBacklogBytes) {
      this.close("the client does not read its replies")
      return false
    }
    // What is said in one turn of the event loop leaves in one system call.
    if (!this.#isCorked) {
      this.#isCorked = true
      socket.cork()
      setImmediate(() => {
        this.#isCorked = false
        socket.uncork()
      })
    }
    for (const piece of encodeReply(reply)) socket.write(piece)
    return true
  }

  finished(call: TcpCall, result: number): void {
    this.#calls.delete(call)
    this.#host.finished(call, result)
    this.#endWhenDrained()
  }

  // --- What comes in ------------------------------------------------------------------------------------

  #receive(chunk: Buffer): void {
    this.#quietTicks = 0
    if (this.#isEnding) return
    const fault = this.#reader.read(chunk, (payload) => {
      this.#take(payload)
      return !this.#isEnding
    })
    if (fault !== undefined) this.close(fault)
  }

  #take(payload: Buffer): void {
    const request = decodeRequest(payload)
    if (request === undefined || request.cmd === TRANSACTION_QUERY) this.close(NO_REQUEST)
    else if (request.cmd === HEARTBEAT) return
    else if (request.cmd === AUTHENTICATE) this.#authenticate(request)
    else if (!this.#isAuthenticated) this.#refuse(request, { error: "connectionNotAuthenticated", args: [] })
    else this.#start(request)
  }

  #authenticate(request: CmqRequest): void {
    if (this.#isAuthenticated) {
      this.#refuse(request, { error: "connectionAlreadyAuthenticated", args: [] })
      return
    }
    const { authenticator, options } = this.#host
    const refusal = authenticator.check(request.tcpAuth)
    if (refusal === undefined) {
      this.#isAuthenticated = true
      this.#reader.maxFrameBytes = options.maxFrameBytes
      this.#say(request, { result: RESULT_OK })
    } else {
      this.#refuse(request, refusal)
      this.#end("authentication failed")
    }
  }

  #start(request: CmqRequest): void {
    const { options } = this.#host
    const queueName = producedQueue(request)
    if (queueName !== undefined && this.#produced.size < PRODUCED_QUEUES_MAX) this.#produced.add(queueName)
    const command = COMMANDS.get(request.cmd) ?? unknownCommand(request.cmd)
    const call = new TcpCall(this, {
      command,
      request,
      requestNumber: this.#host.nextRequestNumber(),
      timeoutMs: options.requestTimeoutMs,
      startedAtMs: this.#host.nowMs(),
    })
    const isOneTooMany = this.#calls.size >= options.maxRequests
    this.#calls.add(call)
    this.#host.started()
    if (this.#isDraining) call.answer({ error: "shuttingDown", args: [] })
    else if (isOneTooMany) call.answer({ error: "overloaded", args: [] })
    else command.run(call, request)
  }

  // --- What goes out ------------------------------------------------------------------------------------

  /** Of a request that does not come to a call. */
  #refuse(request: CmqRequest, refusal: Refusal): void {
    this.#say(request, { result: resultOf(refusal.error, false), error: refusalText(refusal) })
  }

  #say({ seqno, cmd }: CmqRequest, said: Pick<CmqReply, "result" | "error">): void {
    this.send({ seqno, cmd, requestId: this.#host.nextRequestNumber(), ...said })
  }

  #endWhenDrained(): void {
    if (this.#isDraining && this.#calls.size === 0) this.#end("the server closes")
  }

  /** Ends the connection after what was said; what still comes is not looked at. */
  #end(reason: string): void {
    if (this.#isEnding) return
    this.#reason ??= reason
    this.#isEnding = true
    this.#socket.end()
  }

  /** Whether replies wait, and none of them was taken since the last tick. */
  #isStalled(): boolean {
    const taken = this.#socket.bytesWritten - this.#socket.writableLength
    const isStalled = this.#socket.writableLength > 0 && taken === this.#takenBytes
    this.#takenBytes = taken
    return isStalled
  }
}
