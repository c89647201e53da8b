/**
 * One request of a client on its way through the broker: its context for the node, its reply for the client.
 *
 * It is context, callback and listener in one object, because there are twenty thousand of them a second. It answers
 * exactly once, whoever comes first: the node, a client that goes away, or the face when it closes.
 */
import { errorRow } from "@opencmq/proto"
import type { ActionName, ActionParameters } from "@opencmq/proto"
import type { Caller } from "../../node/caller.ts"
import type { BrokerService, Reply, RequestContext, RequestOf, UseCaseName, ValueOf } from "../../node/service-types.ts"
import { refusalJson, successJson } from "./error-reply.ts"
import type { Refusal } from "./error-reply.ts"
import type { HttpExchange, HttpListener, HttpReply } from "./http-message.ts"

/** The further members of a successful reply (`,"msgId":"1"`), or a refusal after all (`6010`). */
export type Answer = string | Refusal

/** Makes the answer from what the node gave; a plain function, shared by all calls. */
export type Answerer<K extends UseCaseName, N extends ActionName> = (value: ValueOf<K>, call: ActionCall<N>) => Answer

/** What a call needs of its surroundings. */
export interface CallHost {
  readonly service: BrokerService
  /** Where a client that found this face by such a `Host` header reaches it by TCP: `host:port`. */
  tcpAddressFor(hostHeader: string): string
  /** Wraps the JSON of a reply. */
  replyOf(call: ActionCall<ActionName>, json: string): HttpReply
  /** Told once, at the end, whatever the end is. `code` as in the reply; -1 = the client had gone. */
  finished(call: ActionCall<ActionName>, code: number): void
}

/** What is known of a request when its parameters have been read. */
export interface CallStart<N extends ActionName> {
  readonly caller: Caller
  readonly action: N
  readonly values: ActionParameters[N]
  readonly requestId: string
  readonly clientRequestId: string
  readonly timeoutMs: number
  readonly startedAtMs: number
  readonly exchange: HttpExchange
  /** As sent. */
  readonly hostHeader: string
}

/** One request being carried out. */
export class ActionCall<N extends ActionName> implements RequestContext, HttpListener {
  readonly action: N
  readonly values: ActionParameters[N]
  readonly requestId: string
  readonly caller: Caller
  readonly clientRequestId: string
  readonly timeoutMs: number
  /** Monotonic. */
  readonly startedAtMs: number
  cancelled = false
  onCancel: (() => void) | undefined
  private readonly exchange: HttpExchange
  private readonly host: CallHost
  private readonly hostHeader: string
  private isOver = false

  constructor(host: CallHost, start: CallStart<N>) {
    this.host = host
    this.action = start.action
    this.values = start.values
    this.requestId = start.requestId
    this.caller = start.caller
    this.clientRequestId = start.clientRequestId
    this.timeoutMs = start.timeoutMs
    this.startedAtMs = start.startedAtMs
    this.exchange = start.exchange
    this.hostHeader = start.hostHeader
    this.exchange.listener = this
  }

  /** Asks the node and answers with what `answerer` makes of it, or with the node's refusal. */
  execute<K extends UseCaseName>(name: K, request: RequestOf<K>, answerer: Answerer<K, N>): void {
    this.host.service.execute(name, request, {
      context: this,
      done: (reply: Reply<ValueOf<K>>) => (reply.ok ? this.answer(answerer(reply.value, this)) : this.answer(reply)),
    })
  }

  /** Asks the node and goes on with `next` when it was done; a refusal ends the call. */
  executeFirst<K extends UseCaseName>(name: K, request: RequestOf<K>, next: () => void): void {
    this.host.service.execute(name, request, {
      context: this,
      done: (reply: Reply<ValueOf<K>>) => {
        if (!reply.ok) return this.answer(reply)
        next()
        return true
      },
    })
  }

  /** Where this client reaches this node by TCP. */
  get tcpAddress(): string {
    return this.host.tcpAddressFor(this.hostHeader)
  }

  /** @returns false when the client could not be told. */
  answer(answer: Answer): boolean {
    return typeof answer === "string"
      ? this.end(0, successJson(this, answer))
      : this.end(errorRow(answer.error).code, refusalJson(this, answer))
  }

  clientGone(): void {
    if (this.isOver) return
    this.isOver = true
    this.host.finished(this, -1)
    this.cancel()
  }

  /** Asks the node to wait no longer. What it answers still goes to the client: it may have taken messages already. */
  hurry(): void {
    if (!this.isOver) this.onCancel?.()
  }

  private cancel(): void {
    this.cancelled = true
    this.onCancel?.()
  }

  private end(code: number, json: string): boolean {
    if (this.isOver) return false
    this.isOver = true
    const isSent = this.exchange.reply(this.host.replyOf(this, json))
    this.host.finished(this, isSent ? code : -1)
    return isSent
  }
}
