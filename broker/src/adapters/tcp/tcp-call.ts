/**
 * One request of a client on its way through the broker: its context for the node, its reply for the connection.
 *
 * It answers exactly once, whoever comes first: the node, or the end of the connection.
 */
import type { BrokerService, Reply, RequestContext, RequestOf, UseCaseName, ValueOf } from "../../node/service-types.ts"
import type { CmqReply, CmqRequest, ReplyBody } from "./cmq-proto.ts"
import { RESULT_OK, refusalText, resultOf } from "./result.ts"
import type { Refusal } from "./result.ts"

/** How one command is carried out. */
export interface Command {
  /** The action of the HTTP face that does the same; for texts and metrics. */
  readonly name: string
  /** Whether it may wait, and hands out messages. */
  readonly isPull: boolean
  run(call: TcpCall, request: CmqRequest): void
}

/** What a call needs of its connection. */
export interface CallHost {
  readonly service: BrokerService
  /** @returns false when the client has gone, or is cut because it does not read. */
  send(reply: CmqReply): boolean
  /** Told once, at the end. `result` before ADR 0020 made it another one for the client; -1 = the client had gone. */
  finished(call: TcpCall, result: number): void
}

/** What is known of a request when its command has been found. */
export interface CallStart {
  readonly command: Command
  readonly request: CmqRequest
  /** Below 2^53. */
  readonly requestNumber: number
  readonly timeoutMs: number
  /** Monotonic. */
  readonly startedAtMs: number
}

/** One request being carried out. */
export class TcpCall implements RequestContext {
  readonly command: Command
  readonly requestId: string
  readonly timeoutMs: number
  readonly startedAtMs: number
  cancelled = false
  onCancel: (() => void) | undefined
  readonly #host: CallHost
  readonly #start: CallStart
  #isOver = false

  constructor(host: CallHost, start: CallStart) {
    this.#host = host
    this.#start = start
    this.command = start.command
    this.requestId = String(start.requestNumber)
    this.timeoutMs = start.timeoutMs
    this.startedAtMs = start.startedAtMs
  }

  /** Asks the node and answers with what `answerer` makes of it, or with the node's refusal. */
  execute<K extends UseCaseName>(
    name: K,
    request: RequestOf<K>,
    answerer: (value: ValueOf<K>) => ReplyBody | Refusal,
  ): void {
    this.#host.service.execute(name, request, {
      context: this,
      done: (reply: Reply<ValueOf<K>>) => this.answer(reply.ok ? answerer(reply.value) : reply),
    })
  }

  /** @returns false when the client could not be told. */
  answer(answer: ReplyBody | Refusal): boolean {
    if (this.#isOver) return false
    this.#isOver = true
    const isSent = this.#host.send(this.#replyOf(answer))
    const result = "error" in answer ? resultOf(answer.error, false) : RESULT_OK
    this.#host.finished(this, isSent ? result : -1)
    return isSent
  }

  /** The connection has ended. */
  clientGone(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#host.finished(this, -1)
    this.cancelled = true
    this.onCancel?.()
  }

  /** Asks the node to wait no longer. What it answers still goes to the client: it may have taken messages already. */
  hurry(): void {
    if (!this.#isOver) this.onCancel?.()
  }

  #replyOf(answer: ReplyBody | Refusal): CmqReply {
    const { request, requestNumber, command } = this.#start
    const head = { seqno: request.seqno, cmd: request.cmd, requestId: requestNumber }
    if (!("error" in answer)) return { result: RESULT_OK, ...head, ...answer }
    const { delResult, transactionConfirmReply } = answer
    return {
      ...head,
      result: resultOf(answer.error, command.isPull),
      error: refusalText(answer),
      ...(delResult !== undefined && { delResult }),
      ...(transactionConfirmReply !== undefined && { transactionConfirmReply }),
    }
  }
}
