/**
 * One unary call on its way through the broker: its context for the node, its answer for the client.
 *
 * It answers exactly once, whoever comes first: the node, the client that cancels, its deadline, or the face when it
 * closes.
 */
import type { sendUnaryData, ServerUnaryCall } from "@grpc/grpc-js"
import { errorRow } from "@opencmq/proto"
import type { GrpcStatusName } from "@opencmq/proto"
import type { Caller } from "../../node/caller.ts"
import type { BrokerService, Reply, RequestContext, RequestOf, UseCaseName, ValueOf } from "../../node/service-types.ts"
import { FieldReader } from "./field-reader.ts"
import { statusOf } from "./refusal.ts"
import type { Refusal } from "./refusal.ts"

/** How the call of a method ended; `gone` = the client cancelled, or its deadline came. */
export type CallEnd = GrpcStatusName | "gone"

/** What a call needs of its surroundings. */
export interface CallHost {
  readonly service: BrokerService
  /** Told once, at the end, whatever the end is. */
  finished(call: UnaryCall, end: CallEnd): void
}

/** What is known of a call when it begins. */
export interface UnaryStart {
  /** `Send` */
  readonly operation: string
  readonly requestId: string
  readonly caller: Caller
  readonly timeoutMs: number
  /** Monotonic. */
  readonly startedAtMs: number
  /** Until the client's deadline; Infinity = it has none. */
  readonly leftMs: number
  readonly call: ServerUnaryCall<Buffer, Buffer>
  readonly respond: sendUnaryData<Buffer>
  readonly encode: (value: object) => Buffer
}

/** One call being carried out. */
export class UnaryCall implements RequestContext {
  /** Checks the fields of the request; with a refusal in it, nothing is executed. */
  readonly fields = new FieldReader()
  readonly operation: string
  readonly requestId: string
  readonly caller: Caller
  readonly timeoutMs: number
  readonly startedAtMs: number
  readonly leftMs: number
  cancelled = false
  onCancel: (() => void) | undefined
  private readonly host: CallHost
  private readonly respond: sendUnaryData<Buffer>
  private readonly encode: (value: object) => Buffer
  private isOver = false

  constructor(host: CallHost, start: UnaryStart) {
    this.host = host
    this.operation = start.operation
    this.requestId = start.requestId
    this.caller = start.caller
    this.timeoutMs = start.timeoutMs
    this.startedAtMs = start.startedAtMs
    this.leftMs = start.leftMs
    this.respond = start.respond
    this.encode = start.encode
    start.call.on("cancelled", () => {
      this.clientGone()
    })
  }

  /** Asks the node and answers with what `answerer` makes of it, or with a refusal. */
  execute<K extends UseCaseName>(name: K, request: RequestOf<K>, answerer: (value: ValueOf<K>) => object): void {
    if (this.fields.refusal !== undefined) {
      this.refuse(this.fields.refusal)
      return
    }
    this.host.service.execute(name, request, {
      context: this,
      done: (reply: Reply<ValueOf<K>>) => (reply.ok ? this.answer(answerer(reply.value)) : this.refuse(reply)),
    })
  }

  /** Answers without the node, or with the refusal of a field. */
  answerAtOnce(value: object): void {
    if (this.fields.refusal === undefined) this.answer(value)
    else this.refuse(this.fields.refusal)
  }

  /** @returns false when the client could not be told. */
  answer(value: object): boolean {
    if (this.isOver) return false
    this.isOver = true
    this.respond(null, this.encode(value))
    this.host.finished(this, "OK")
    return true
  }

  /** @returns false when the client could not be told. */
  refuse(refusal: Refusal): boolean {
    const { grpc } = errorRow(refusal.error)
    // "No message" is a fact, not a failure: an answer with nothing in it.
    if (grpc === "OK") return this.answer({})
    if (this.isOver) return false
    this.isOver = true
    this.respond(statusOf(refusal, this.requestId))
    this.host.finished(this, grpc)
    return true
  }

  /** Asks the node to wait no longer. What it answers still goes to the client: it may have taken messages already. */
  hurry(): void {
    if (!this.isOver) this.onCancel?.()
  }

  private clientGone(): void {
    if (this.isOver) return
    this.isOver = true
    this.host.finished(this, "gone")
    this.cancelled = true
    this.onCancel?.()
  }
}
