/**
 * The gRPC port: the API of `proto/opencmq/v1`, `grpc.health.v1`, server reflection v1 and v1alpha.
 *
 * Health and reflection answer strangers: probes and `grpcurl list` have no keys, and both say what the documents say.
 */
import { Server, ServerCredentials } from "@grpc/grpc-js"
import { ReflectionService } from "@grpc/reflection"
import { HealthImplementation } from "grpc-health-check"
import { LIMITS } from "@opencmq/proto"
import type { Metrics } from "../../node/metrics.ts"
import type { KeyRing } from "../../node/request-guard.ts"
import type { BrokerService } from "../../node/service-types.ts"
import type { Clock, Timers } from "../../ports.ts"
import { CALL_AUTHENTICATION_DEFAULTS, CallAuthenticator } from "./call-authenticator.ts"
import type { CallAuthenticationOptions } from "./call-authenticator.ts"
import { GrpcFace } from "./grpc-face.ts"
import { SERVICE_NAMES, loadApi } from "./service-definition.ts"

/** What an operator may choose. */
export interface GrpcServerOptions {
  readonly authentication: CallAuthenticationOptions
  /** How long a call may take in the broker, long poll not counted. */
  readonly requestTimeoutMs: number
  /** Longest message of a client. */
  readonly maxMessageBytes: number
  /** Calls and streams of one connection at once; one more waits at the client. */
  readonly maxStreams: number
  /** A connection that is silent for so long is asked whether it lives, and dropped without an answer. */
  readonly keepAliveMs: number
  readonly keepAliveTimeoutMs: number
}

/**
 * The defaults of `GrpcServerOptions`. A batch has at most 1 MiB of bodies and 16 x 16 KiB of attributes: 2 MiB are plenty.
 * 1,024 streams: a client whose long polls take them all could send nothing any more, and would not know why.
 */
export const GRPC_SERVER_DEFAULTS: GrpcServerOptions = {
  authentication: CALL_AUTHENTICATION_DEFAULTS,
  requestTimeoutMs: 8_000,
  maxMessageBytes: 2 * LIMITS.batchBodyBytes.max,
  maxStreams: 1_024,
  keepAliveMs: 60_000,
  keepAliveTimeoutMs: 20_000,
}

/** What the server is made from. */
export interface GrpcServerParts {
  readonly service: BrokerService
  readonly keys: KeyRing
  readonly clock: Clock
  readonly timers: Timers
  readonly metrics: Metrics
  readonly options: GrpcServerOptions
  readonly listen: { readonly host: string; readonly port: number }
}

/** A running server. */
export interface GrpcServer {
  readonly port: number
  /** Refuses what comes, ends what waits, and after `graceMs` cuts what is left. */
  close(how: { readonly graceMs: number }): Promise<void>
}

/** How often readiness is looked at, in milliseconds. */
const LOOK_MS = 1000

/** Rejects with the bind error, or when the `.proto` files cannot be read. */
export async function startGrpcServer(parts: GrpcServerParts): Promise<GrpcServer> {
  const { service, keys, clock, timers, metrics, options } = parts
  const api = await loadApi()
  const authenticator = new CallAuthenticator({ keys, clock, metrics, options: options.authentication })
  const { requestTimeoutMs } = options
  const face = new GrpcFace({ service, authenticator, clock, timers, metrics, requestTimeoutMs }, api.services)
  const server = new Server({
    interceptors: [face.interceptor],
    "grpc.max_receive_message_length": options.maxMessageBytes,
    // A receive may bring sixteen bodies of 1 MiB; what a client takes at most is the client's to say.
    "grpc.max_send_message_length": -1,
    "grpc.max_concurrent_streams": options.maxStreams,
    "grpc.keepalive_time_ms": options.keepAliveMs,
    "grpc.keepalive_timeout_ms": options.keepAliveTimeoutMs,
  })
  for (const each of api.services) server.addService(each.definition, face.implementationOf(each))
  new ReflectionService(api.reflectedFiles).addToServer(server)
  const health = new HealthImplementation()
  health.addToServer(server)
  const look = (): void => {
    const status = service.notReadyReason() === undefined ? "SERVING" : "NOT_SERVING"
    for (const name of ["", ...SERVICE_NAMES]) health.setStatus(name, status)
  }
  look()
  const port = await bind(server, parts.listen)
  const cancel = timers.every(LOOK_MS, look)
  return {
    port,
    close: async ({ graceMs }) => {
      cancel()
      face.drain()
      await shutDown(server, timers, graceMs)
    },
  }
}

function bind(server: Server, listen: { readonly host: string; readonly port: number }): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`${listen.host}:${String(listen.port)}`, ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(port)
      else reject(error)
    })
  })
}

function shutDown(server: Server, timers: Timers, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cancel = timers.after(graceMs, () => {
      server.forceShutdown()
    })
    server.tryShutdown(() => {
      cancel()
      resolve()
    })
  })
}
