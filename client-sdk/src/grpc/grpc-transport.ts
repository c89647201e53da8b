/**
 * Messages over gRPC, the rest over HTTP (ADR 0027). Sends go through one `Produce` stream an endpoint, consumers are fed
 * by `Consume` streams which also carry their settlements; single receives and late settlements are unary calls.
 * Administration, topics, peeks and probes are left to the HTTP transport, at the same nodes.
 */
import type { ChannelCredentials } from "@grpc/grpc-js"
import { credentials } from "@grpc/grpc-js"
import { LIMITS, WireError, errorRow, errorText } from "@opencmq/proto"
import type { ErrorName } from "@opencmq/proto"
import { HttpTransport } from "../http-transport.ts"
import type { HttpTransportOptions } from "../http-transport.ts"
import type { Fields } from "../reply-fields.ts"
import { TransportError } from "../transport.ts"
import type { AttemptReply, AttemptRequest, MessageStream, MessageStreamOrder, Transport } from "../transport.ts"
import { networkError, refusalOf, replyOf, successOf } from "./call-error.ts"
import { GrpcConnection } from "./connection.ts"
import { ConsumeStream } from "./consume-stream.ts"
import { readReceived, readSettled, writeReceive, writeSettlement } from "./message-codec.ts"
import type { Settlement, SettlementResult } from "./message-codec.ts"
import { ProduceStream } from "./produce-stream.ts"

/** Options of `GrpcTransport`. */
export type GrpcTransportOptions = Readonly<{
  /**
   * Where an endpoint's gRPC port is: `host:port` for `http://host:port`. Default: the next port, as brokers have it
   * (7071 beside 7070).
   */
  address?: (endpoint: string) => string
  /** Default: TLS for https endpoints, else none. */
  credentials?: ChannelCredentials
  /** Time to connect. Milliseconds, default 1,000. */
  connectTimeoutMs?: number
  /** Of the HTTP half. */
  http?: HttpTransportOptions
}>

type Handler = (request: AttemptRequest) => Promise<AttemptReply>

/** What is known of one endpoint. */
type Endpoint = {
  readonly connection: GrpcConnection
  produce: ProduceStream | undefined
  /** By queue; the newest. */
  readonly consume: Map<string, ConsumeStream>
}

/** Made by the user, given to `new Account({ transport })`. */
export class GrpcTransport implements Transport {
  readonly #options: GrpcTransportOptions
  readonly #http: HttpTransport
  readonly #endpoints = new Map<string, Endpoint>()
  readonly #handlers: Readonly<Partial<Record<AttemptRequest["action"], Handler>>>
  /** A stream takes larger batches than a request. */
  readonly sendBatchCountMax = LIMITS.streamBatchCount.max

  constructor(options: GrpcTransportOptions = {}) {
    this.#options = options
    this.#http = new HttpTransport(options.http)
    this.#handlers = {
      SendMessage: (request) => this.#send(request),
      BatchSendMessage: (request) => this.#send(request),
      ReceiveMessage: (request) => this.#receive(request, 1),
      BatchReceiveMessage: (request) => this.#receive(request, numberOf(request, "numOfMsg") ?? 1),
      DeleteMessage: async (request) => singleReply(await this.#settle(request, undefined)),
      BatchDeleteMessage: async (request) => batchReply(await this.#settle(request, undefined), handlesOf(request)),
      ChangeMessageVisibility: async (request) =>
        singleReply(await this.#settle(request, numberOf(request, "visibilityTimeout") ?? 0)),
    }
  }

  async attempt(request: AttemptRequest): Promise<AttemptReply> {
    const handler = this.#handlers[request.action]
    if (handler === undefined) return this.#http.attempt(request)
    try {
      return await handler(request)
    } catch (thrown) {
      if (thrown instanceof WireError) throw networkError(`an answer that is none: ${thrown.message}`, thrown)
      if (thrown instanceof TransportError) throw thrown
      return refusalOf(thrown)
    }
  }

  openStream(order: MessageStreamOrder): MessageStream {
    const { connection, consume } = this.#endpoint(order.endpoint)
    const stream = new ConsumeStream(connection.stream("Consume", order), {
      ...order,
      onEnd: (end) => {
        if (consume.get(order.queueName) === stream) consume.delete(order.queueName)
        order.onEnd(end)
      },
    })
    consume.set(order.queueName, stream)
    return stream
  }

  probe(endpoint: string, signal: AbortSignal): Promise<void> {
    return this.#http.probe(endpoint, signal)
  }

  close(): void {
    for (const { connection, produce, consume } of this.#endpoints.values()) {
      // A closed channel lets its calls go on, and they would keep the program alive.
      produce?.cancel()
      for (const stream of consume.values()) stream.cancel()
      connection.close()
    }
    this.#endpoints.clear()
    this.#http.close()
  }

  #endpoint(endpoint: string): Endpoint {
    const known = this.#endpoints.get(endpoint)
    if (known !== undefined) return known
    const { address = nextPort, connectTimeoutMs = 1_000 } = this.#options
    const isTls = endpoint.startsWith("https:")
    const connection = new GrpcConnection(address(endpoint), {
      credentials: this.#options.credentials ?? (isTls ? credentials.createSsl() : undefined),
      connectTimeoutMs,
    })
    const made: Endpoint = { connection, produce: undefined, consume: new Map() }
    this.#endpoints.set(endpoint, made)
    return made
  }

  async #send(request: AttemptRequest): Promise<AttemptReply> {
    const endpoint = this.#endpoint(request.endpoint)
    await endpoint.connection.ready(request.signal)
    if (endpoint.produce === undefined) {
      const produce: ProduceStream = new ProduceStream(endpoint.connection.stream("Produce", request), () => {
        if (endpoint.produce === produce) endpoint.produce = undefined
      })
      endpoint.produce = produce
    }
    const { signal, messages = [] } = request
    return endpoint.produce.send({ queueName: textOf(request, "queueName"), messages, signal })
  }

  async #receive(request: AttemptRequest, max: number): Promise<AttemptReply> {
    const bytes = writeReceive(textOf(request, "queueName"), {
      max,
      waitSeconds: numberOf(request, "pollingWaitSeconds"),
      visibilityTimeoutSeconds: numberOf(request, "visibilityTimeout"),
    })
    const messages = readReceived(await this.#endpoint(request.endpoint).connection.unary("Receive", bytes, request))
    const [first] = messages
    return first === undefined ? refused("noMessage") : successOf({ ...first, msgInfoList: messages })
  }

  /** Over the stream that feeds this queue's consumer, while there is one. */
  async #settle(request: AttemptRequest, visibilityTimeoutSeconds: number | undefined): Promise<SettlementResult> {
    const { connection, consume } = this.#endpoint(request.endpoint)
    const queueName = textOf(request, "queueName")
    const settlement: Settlement = { receiptHandles: handlesOf(request), visibilityTimeoutSeconds }
    const stream = consume.get(queueName)
    if (stream?.isOpen === true) return stream.settle(settlement, request.signal)
    const method = visibilityTimeoutSeconds === undefined ? "Delete" : "ChangeVisibility"
    return readSettled(await connection.unary(method, writeSettlement(queueName, settlement), request))
  }
}

function nextPort(endpoint: string): string {
  const { hostname, port, protocol } = new URL(endpoint)
  const httpPort = port === "" ? (protocol === "https:" ? 443 : 80) : Number(port)
  return `${hostname}:${String(httpPort + 1)}`
}

function textOf({ parameters }: AttemptRequest, name: string): string {
  return parameters.find(([each]) => each === name)?.[1] ?? ""
}

function numberOf(request: AttemptRequest, name: string): number | undefined {
  const text = textOf(request, name)
  return text === "" ? undefined : Number(text)
}

function handlesOf({ parameters }: AttemptRequest): readonly string[] {
  return parameters.flatMap(([name, value]) => (/^receiptHandle(\.|$)/.test(name) ? [value] : []))
}

function refused(error: ErrorName, more: Fields = {}): AttemptReply {
  return replyOf({ code: errorRow(error).code, message: errorText(error), requestId: "", ...more })
}

function singleReply({ failures: [failure], nextVisibleTime, refusal }: SettlementResult): AttemptReply {
  const why = refusal ?? failure
  return why === undefined ? successOf({ nextVisibleTime }) : replyOf({ requestId: "", ...why })
}

/** As BatchDeleteMessage answers. */
function batchReply({ failures, refusal }: SettlementResult, handles: readonly string[]): AttemptReply {
  if (refusal !== undefined) return replyOf({ requestId: "", ...refusal })
  if (failures.length === 0) return successOf({})
  return refused(failures.length === handles.length ? "deleteFailed" : "deletePartiallyFailed", { errorList: failures })
}
