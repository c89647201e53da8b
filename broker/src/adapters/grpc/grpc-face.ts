/**
 * A call from its bytes to the node, in the order in which it may be refused: who calls (before the message is read),
 * whether the bytes are those that were signed, what they say, which ranges they keep. What is refused here has changed
 * nothing.
 *
 * It catches what reading a request throws (bytes that are no such message); what the node throws goes up and ends the
 * process, because then nobody knows what is true any more.
 */
import { randomBytes } from "node:crypto"
import { ServerInterceptingCall } from "@grpc/grpc-js"
import type {
  handleUnaryCall,
  sendUnaryData,
  ServerInterceptingCallInterface,
  ServerInterceptor,
  ServerUnaryCall,
  UntypedServiceImplementation,
} from "@grpc/grpc-js"
import { errorRow } from "@opencmq/proto"
import type { Gauge, Histogram, Metrics } from "../../node/metrics.ts"
import type { BrokerService } from "../../node/service-types.ts"
import type { Clock, Timers } from "../../ports.ts"
import { RawStream } from "./byte-stream.ts"
import type { ByteStream, StreamReader } from "./byte-stream.ts"
import type { CallAuthenticator } from "./call-authenticator.ts"
import type { MethodRow } from "./method-row.ts"
import { METHOD_TABLE } from "./method-table.ts"
import { statusOf } from "./refusal.ts"
import type { Refusal } from "./refusal.ts"
import type { MethodCodec, ServiceCodec } from "./service-definition.ts"
import { STREAM_TABLE } from "./stream-table.ts"
import type { StreamRow } from "./stream-table.ts"
import { UnaryCall } from "./unary-call.ts"
import type { CallEnd, CallHost } from "./unary-call.ts"

/** What a `GrpcFace` is made from. */
export interface GrpcFaceParts {
  readonly service: BrokerService
  readonly authenticator: CallAuthenticator
  readonly clock: Clock
  readonly timers: Timers
  readonly metrics: Metrics
  /** How long a call may take in the broker, long poll not counted; a client's deadline may be earlier. */
  readonly requestTimeoutMs: number
}

const SHUTTING_DOWN: Refusal = { error: "shuttingDown", args: [] }

/** Carries the calls of `opencmq.v1`; other services pass through untouched. */
export class GrpcFace implements CallHost {
  readonly service: BrokerService
  private readonly parts: GrpcFaceParts
  private readonly methodsByPath: ReadonlyMap<string, MethodCodec>
  /** Receives that are under way, so that their waits can be ended when the face closes. */
  private readonly receives = new Set<UnaryCall>()
  private readonly streams = new Set<StreamReader>()
  private readonly durations = new Map<string, Histogram>()
  private readonly inFlight: Gauge
  private inFlightCount = 0
  private isDraining = false
  private requestCount = 0
  private readonly requestIdPrefix = `${randomBytes(5).toString("hex")}-`

  constructor(parts: GrpcFaceParts, services: readonly ServiceCodec[]) {
    this.parts = parts
    this.service = parts.service
    this.methodsByPath = new Map(services.flatMap(({ methods }) => methods.map((method) => [method.path, method])))
    this.inFlight = parts.metrics.gauge("requestsInFlight", "grpc")
    parts.metrics.onScrape(() => {
      this.inFlight.set(this.inFlightCount)
    })
  }

  /** Unary calls and streams that have no end yet. */
  get openCount(): number {
    return this.inFlightCount
  }

  /** What grpc-js calls for each method of a service. Throws when one has no row: a bug. */
  implementationOf({ methods }: ServiceCodec): UntypedServiceImplementation {
    return Object.fromEntries(methods.map((method) => [method.name, this.handlerOf(method)]))
  }

  /** Refuses strangers when their metadata has come, and carries the streams. */
  readonly interceptor: ServerInterceptor = (method, call) => {
    const known = this.methodsByPath.get(method.path)
    if (known === undefined) return new ServerInterceptingCall(call)
    return known.isStream ? this.streamCall(known, call) : this.checkedCall(known, call)
  }

  /**
   * No more calls: receives that wait are ended by the node, later calls are answered `shuttingDown`. A receive that
   * has taken messages already still brings them to its client.
   */
  drain(): void {
    this.isDraining = true
    for (const call of [...this.receives]) call.hurry()
    for (const reader of [...this.streams]) reader.drain()
  }

  finished(call: UnaryCall, end: CallEnd): void {
    this.inFlightCount--
    this.receives.delete(call)
    this.observe(call.operation, end, call.startedAtMs)
  }

  private handlerOf(method: MethodCodec): handleUnaryCall<Buffer, Buffer> {
    if (method.isStream) {
      if (STREAM_TABLE[method.name] === undefined) throw new Error(`STREAM_TABLE has no row for ${method.path}`)
      return () => {
        throw new Error("a stream is carried by its interceptor")
      }
    }
    const row = METHOD_TABLE[method.name]
    if (row === undefined) throw new Error(`METHOD_TABLE has no row for ${method.path}`)
    return (call, respond) => {
      this.serve({ method, row }, call, respond)
    }
  }

  private serve(
    { method, row }: { readonly method: MethodCodec; readonly row: MethodRow },
    call: ServerUnaryCall<Buffer, Buffer>,
    respond: sendUnaryData<Buffer>,
  ): void {
    const leftMs = Number(call.getDeadline()) - Date.now()
    const unary = new UnaryCall(this, {
      operation: method.name,
      requestId: this.nextRequestId(),
      timeoutMs: Math.max(1, Math.min(this.parts.requestTimeoutMs, leftMs)),
      startedAtMs: this.parts.clock.monotonicMs(),
      leftMs,
      call,
      respond,
      encode: (value) => method.encode(value),
    })
    this.inFlightCount++
    const request = this.read(method, call)
    if ("refusal" in request) {
      unary.refuse(request.refusal)
      return
    }
    if (method.name === "Receive") this.receives.add(unary)
    // The codec of this method made the value, so it is of the row's type.
    row(unary, request.value as never)
  }

  private read(
    method: MethodCodec,
    { request, metadata }: ServerUnaryCall<Buffer, Buffer>,
  ): { readonly refusal: Refusal } | { readonly value: unknown } {
    const refusal = this.isDraining ? SHUTTING_DOWN : this.parts.authenticator.checkContent(request, metadata)
    if (refusal !== undefined) return { refusal }
    try {
      return { value: method.decode(request) }
    } catch (error) {
      const why = error instanceof Error ? error.message : "unreadable"
      return { refusal: { error: "requestInvalid", args: [], detail: `: the message cannot be decoded: ${why}` } }
    }
  }

  private checkedCall(method: MethodCodec, call: ServerInterceptingCallInterface): ServerInterceptingCall {
    const startedAtMs = this.parts.clock.monotonicMs()
    return new ServerInterceptingCall(call, {
      start: (next) => {
        next({
          onReceiveMetadata: (metadata, go) => {
            const refusal = this.parts.authenticator.check(method.path, metadata)
            if (refusal === undefined) {
              go(metadata)
              return
            }
            call.sendStatus(statusOf(refusal, this.nextRequestId()))
            this.observe("refused", errorRow(refusal.error).grpc, startedAtMs)
          },
        })
      },
    })
  }

  private streamCall(method: MethodCodec, call: ServerInterceptingCallInterface): RawStream {
    const startedAtMs = this.parts.clock.monotonicMs()
    return new RawStream(call, {
      requestId: this.nextRequestId(),
      check: (metadata) => {
        const refusal = this.isDraining ? SHUTTING_DOWN : this.parts.authenticator.check(method.path, metadata)
        if (refusal !== undefined) this.observe("refused", errorRow(refusal.error).grpc, startedAtMs)
        return refusal
      },
      open: (stream) => this.openStream(method, stream),
      closed: (reader, end) => {
        this.inFlightCount--
        this.streams.delete(reader)
        this.observe(method.name, typeof end === "string" ? end : errorRow(end.error).grpc, startedAtMs)
      },
    })
  }

  private openStream(method: MethodCodec, stream: ByteStream): StreamReader {
    // That there is one, `handlerOf` has seen.
    const reader = (STREAM_TABLE[method.name] as StreamRow)(stream, this.parts)
    this.inFlightCount++
    this.streams.add(reader)
    return reader
  }

  private observe(operation: string, end: CallEnd, startedAtMs: number): void {
    const key = `${operation} ${end}`
    let cell = this.durations.get(key)
    if (cell === undefined) {
      cell = this.parts.metrics.histogram("requestDuration", "grpc", operation, end)
      this.durations.set(key, cell)
    }
    cell.observe((this.parts.clock.monotonicMs() - startedAtMs) / 1000)
  }

  private nextRequestId(): string {
    return this.requestIdPrefix + (++this.requestCount).toString(36)
  }
}
