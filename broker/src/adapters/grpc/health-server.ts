/**
 * The gRPC port, for now with `grpc.health.v1` only: orchestrators can probe it, and clients learn early that the port
 * is right. The message API comes with its own release.
 */
import { Server, ServerCredentials } from "@grpc/grpc-js"
import { HealthImplementation } from "grpc-health-check"
import type { BrokerService } from "../../node/service-types.ts"
import type { Timers } from "../../ports.ts"

export interface GrpcHealthParts {
  readonly service: BrokerService
  readonly timers: Timers
  readonly listen: { readonly host: string; readonly port: number }
}

export interface GrpcHealthServer {
  readonly port: number
  close(): void
}

/** How often readiness is looked at, in milliseconds. */
const LOOK_MS = 1000
/** Bounds what one connection may ask of us at once (reliability.md: Node's default is 2^32 - 1). */
const STREAMS_MAX = 128

/** Serves `Check` and `Watch` for the whole server (""). Rejects with the bind error. */
export async function startGrpcHealth(parts: GrpcHealthParts): Promise<GrpcHealthServer> {
  const health = new HealthImplementation({ "": "NOT_SERVING" })
  const server = new Server({
    "grpc.max_concurrent_streams": STREAMS_MAX,
    "grpc.max_receive_message_length": 64 * 1024,
  })
  health.addToServer(server)
  const look = (): void => {
    health.setStatus("", parts.service.notReadyReason() === undefined ? "SERVING" : "NOT_SERVING")
  }
  const port = await bind(server, parts.listen)
  look()
  const cancel = parts.timers.every(LOOK_MS, look)
  return {
    port,
    close: () => {
      cancel()
      server.forceShutdown()
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
