/** The gRPC face over a local broker, on a free port, and a client that shares no code with it but the `.proto` files. */
import { createHash, createHmac, randomInt } from "node:crypto"
import { fileURLToPath } from "node:url"
import * as grpc from "@grpc/grpc-js"
import * as loader from "@grpc/proto-loader"
import protobuf from "protobufjs"
import { expect } from "vitest"
import { GRPC_SERVER_DEFAULTS, startGrpcServer } from "../../../src/adapters/grpc/grpc-server.ts"
import type { GrpcServerOptions } from "../../../src/adapters/grpc/grpc-server.ts"
import { NodeTimers } from "../../../src/adapters/system/node-timers.ts"
import { LocalBroker } from "../local-broker.ts"
import { SECRET_ID, SECRET_KEY, TestClock } from "./face.ts"
import { makeTestMetrics } from "./test-metrics.ts"

const PROTO_ROOT = fileURLToPath(new URL("../../../../proto/", import.meta.url))
const FILES = ["queues", "messages", "topics", "cluster"].map((name) => `opencmq/v1/${name}.proto`)

/** As a stranger reads them: all as text that may not fit a number. */
const API = loader.loadSync(FILES, { includeDirs: [PROTO_ROOT], longs: String, enums: String, oneofs: true })

export interface TestGrpcFace {
  readonly broker: LocalBroker
  readonly clock: TestClock
  readonly port: number
  metricsText(): Promise<string>
  client(options?: grpc.ChannelOptions): GrpcClient
  /** Again is harmless. */
  close(): Promise<void>
}

export interface GrpcFaceChanges extends Partial<Omit<GrpcServerOptions, "authentication">> {
  readonly authentication?: Partial<GrpcServerOptions["authentication"]>
}

export async function openGrpcFace(changes: GrpcFaceChanges = {}): Promise<TestGrpcFace> {
  const broker = new LocalBroker()
  const clock = new TestClock()
  const clients: GrpcClient[] = []
  const metrics = makeTestMetrics()
  const { authentication, ...rest } = changes
  const server = await startGrpcServer({
    service: broker,
    keys: new Map([[SECRET_ID, SECRET_KEY]]),
    clock,
    timers: new NodeTimers(),
    metrics,
    listen: { host: "127.0.0.1", port: 0 },
    options: {
      ...GRPC_SERVER_DEFAULTS,
      ...rest,
      authentication: { ...GRPC_SERVER_DEFAULTS.authentication, ...authentication },
    },
  })
  let closing: Promise<void> | undefined
  return {
    broker,
    clock,
    port: server.port,
    metricsText: () => metrics.render({ allQueues: false }),
    client: (options = {}) => {
      const client = new GrpcClient(server.port, options)
      clients.push(client)
      return client
    },
    close: () => {
      closing ??= server.close({ graceMs: 500 }).then(() => {
        for (const client of clients) client.close()
        broker.close()
      })
      return closing
    },
  }
}

/** As `expect.poll`, for a machine that has other work. */
export function until<T>(look: () => T, intervalMs = 50): ReturnType<typeof expect.poll<T>> {
  return expect.poll(look, { timeout: 30_000, interval: intervalMs })
}

/** What a test may say of one call. */
export interface CallOptions {
  readonly secretId?: string
  readonly secretKey?: string
  readonly timestamp?: string
  readonly nonce?: string
  /** False: the bytes are not covered. */
  readonly isHashed?: boolean
  /** Looked at and changed before it is sent. */
  readonly change?: (metadata: grpc.Metadata) => void
  readonly deadlineMs?: number
  /** Sent instead of the request's own bytes. */
  readonly bytes?: Buffer
  /** What the signature covers instead of what is sent. */
  readonly hashed?: Buffer
}

export type Fields = Readonly<Record<string, unknown>>

/** A refused call, its details decoded with the well-known types of googleapis. */
export interface Refused {
  readonly code: grpc.status
  readonly message: string
  readonly info: {
    readonly reason: string
    readonly domain: string
    readonly metadata: Readonly<Record<string, string>>
  }
  readonly field: string | undefined
  readonly retryDelayMs: number | undefined
}

/** One call under way. */
export interface OpenCall {
  readonly call: grpc.ClientUnaryCall
  readonly answer: Promise<Fields>
}

export class GrpcClient {
  readonly #client: grpc.Client

  constructor(port: number, options: grpc.ChannelOptions) {
    this.#client = new grpc.Client(`127.0.0.1:${String(port)}`, grpc.credentials.createInsecure(), options)
  }

  close(): void {
    this.#client.close()
  }

  /** @param name - `QueueService/CreateQueue` */
  open(name: string, request: Fields, options: CallOptions = {}): OpenCall {
    const method = methodOf(name)
    const bytes = options.bytes ?? method.requestSerialize(request)
    const metadata = signed(method.path, options.isHashed === false ? undefined : (options.hashed ?? bytes), options)
    const deadline = options.deadlineMs === undefined ? {} : { deadline: Date.now() + options.deadlineMs }
    let started: grpc.ClientUnaryCall | undefined
    const answer = new Promise<Fields>((resolve, reject) => {
      const pass = (value: Buffer): Buffer => value
      started = this.#client.makeUnaryRequest(
        method.path,
        pass,
        (reply: Buffer) => method.responseDeserialize(reply) as Fields,
        bytes,
        metadata,
        deadline,
        (error, value) => {
          if (error === null) resolve(value as Fields)
          else reject(error)
        },
      )
    })
    return { call: started as grpc.ClientUnaryCall, answer }
  }

  call(name: string, request: Fields, options?: CallOptions): Promise<Fields> {
    return this.open(name, request, options).answer
  }

  /** The refusal of a call that must be refused. */
  async refused(name: string, request: Fields, options?: CallOptions): Promise<Refused> {
    try {
      const value = await this.call(name, request, options)
      throw new Error(`not refused: ${JSON.stringify(value)}`)
    } catch (error) {
      if (!isServiceError(error)) throw error
      return refusedOf(error)
    }
  }

  /** A stream of `MessageService`, or of any service when `definition` is given. */
  stream(name: string, options: CallOptions = {}): grpc.ClientDuplexStream<Fields, Fields> {
    const method = methodOf(name)
    return this.#client.makeBidiStreamRequest<Fields, Fields>(
      method.path,
      method.requestSerialize,
      method.responseDeserialize as (bytes: Buffer) => Fields,
      signed(method.path, undefined, options),
      options.deadlineMs === undefined ? {} : { deadline: Date.now() + options.deadlineMs },
    )
  }
}

type Method = grpc.MethodDefinition<object, object>

function methodOf(name: string): Method {
  const [service = "", method = ""] = name.split("/")
  return (API[`opencmq.v1.${service}`] as grpc.ServiceDefinition)[method] as Method
}

/** A request as one frame of gRPC on HTTP/2: not compressed, length, message. Source: grpc PROTOCOL-HTTP2.md. */
export function framed(name: string, request: Fields): Buffer {
  const bytes = methodOf(name).requestSerialize(request)
  const head = Buffer.alloc(5)
  head.writeUInt32BE(bytes.length, 1)
  return Buffer.concat([head, bytes])
}

/** The metadata as docs/grpc-api.md tells it. */
export function signed(path: string, bytes: Buffer | undefined, options: CallOptions): grpc.Metadata {
  const {
    secretId = SECRET_ID,
    secretKey = SECRET_KEY,
    timestamp = String(Math.floor(Date.now() / 1000)),
    nonce = String(randomInt(2 ** 47)),
  } = options
  const hash = bytes === undefined ? "" : createHash("sha256").update(bytes).digest("hex")
  const text = ["OPENCMQ-GRPC-HMAC-SHA256", path, secretId, timestamp, nonce, hash].join("\n")
  const metadata = new grpc.Metadata()
  metadata.set("opencmq-secret-id", secretId)
  metadata.set("opencmq-timestamp", timestamp)
  metadata.set("opencmq-nonce", nonce)
  if (hash !== "") metadata.set("opencmq-content-sha256", hash)
  metadata.set("opencmq-signature", createHmac("sha256", secretKey).update(text).digest("base64"))
  options.change?.(metadata)
  return metadata
}

// ---------------------------------------------------------------------------------------------- error details

/** google/rpc/status.proto and error_details.proto, as far as they are used. */
const RPC = protobuf.parse(
  `syntax = "proto3";
  package google.rpc;
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message Any { string type_url = 1; bytes value = 2; }
  message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }
  message Duration { int64 seconds = 1; int32 nanos = 2; }
  message RetryInfo { Duration retry_delay = 1; }
  message FieldViolation { string field = 1; string description = 2; }
  message BadRequest { repeated FieldViolation field_violations = 1; }`,
  { keepCase: false },
).root

interface RichStatus {
  readonly code: number
  readonly message: string
  readonly details: readonly { readonly typeUrl: string; readonly value: Buffer }[]
}

function decoded(type: string, bytes: Uint8Array): unknown {
  const reflected = RPC.lookupType(`google.rpc.${type}`)
  return reflected.toObject(reflected.decode(bytes), { longs: Number, defaults: true })
}

export function isServiceError(error: unknown): error is grpc.ServiceError {
  return error instanceof Error && "metadata" in error && "details" in error
}

export function refusedOf(error: grpc.StatusObject | grpc.ServiceError): Refused {
  const [bytes] = error.metadata.get("grpc-status-details-bin")
  if (!(bytes instanceof Buffer)) throw new Error(`without details: ${String(error.code)} ${error.details}`)
  const status = decoded("Status", bytes) as RichStatus
  if (status.code !== Number(error.code) || status.message !== error.details)
    throw new Error("details of another status")
  const details = new Map(
    status.details.map(({ typeUrl, value }) => {
      const type = typeUrl.slice("type.googleapis.com/google.rpc.".length)
      return [type, decoded(type, value)]
    }),
  )
  const badRequest = details.get("BadRequest") as { fieldViolations: { field: string }[] } | undefined
  const retry = details.get("RetryInfo") as { retryDelay: { seconds: number; nanos: number } } | undefined
  return {
    code: error.code,
    message: error.details,
    info: details.get("ErrorInfo") as Refused["info"],
    field: badRequest?.fieldViolations[0]?.field,
    retryDelayMs: retry === undefined ? undefined : retry.retryDelay.seconds * 1000 + retry.retryDelay.nanos / 1e6,
  }
}
