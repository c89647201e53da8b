/** One endpoint's connection: signed calls over it, and whether it is there at all. */
import { Client, Metadata, connectivityState, credentials } from "@grpc/grpc-js"
import type { ChannelCredentials, ClientDuplexStream } from "@grpc/grpc-js"
import { CALL_METADATA, bytesHash, signCall } from "@opencmq/proto"
import { onAbort } from "../abort.ts"
import type { Stamp } from "../transport.ts"
import { networkError, notConnected } from "./call-error.ts"

/** A stream of encoded messages both ways. */
export type ByteStream = ClientDuplexStream<Buffer, Buffer>

/** Of `MessageService`. */
export type MethodName = "Receive" | "Delete" | "ChangeVisibility" | "Produce" | "Consume"

/** 16 bodies of 1 MiB with their attributes fit several times over. */
const REPLY_BYTES_MAX = 64 * 1_048_576
const KEEP_ALIVE_MS = 10_000
const KEEP_ALIVE_ANSWER_MS = 5_000
/** The pool of endpoints has pauses of its own; these only keep a dead address from being dialled without end. */
const RECONNECT_MS = { first: 100, longest: 1_000 } as const

const asItIs = (bytes: Buffer): Buffer => bytes

/** Calls over one HTTP/2 connection, which opens with the first of them and again after it broke. */
export class GrpcConnection {
  readonly #client: Client
  readonly #connectTimeoutMs: number

  constructor(
    address: string,
    options: Readonly<{ credentials: ChannelCredentials | undefined; connectTimeoutMs: number }>,
  ) {
    this.#connectTimeoutMs = options.connectTimeoutMs
    this.#client = new Client(address, options.credentials ?? credentials.createInsecure(), {
      "grpc.max_receive_message_length": REPLY_BYTES_MAX,
      "grpc.keepalive_time_ms": KEEP_ALIVE_MS,
      "grpc.keepalive_timeout_ms": KEEP_ALIVE_ANSWER_MS,
      "grpc.initial_reconnect_backoff_ms": RECONNECT_MS.first,
      "grpc.max_reconnect_backoff_ms": RECONNECT_MS.longest,
      // Retries are the caller's: it signs each attempt anew.
      "grpc.enable_retries": 0,
      // Two transports of one program are two connections, or closing one would end the other's streams.
      "grpc.use_local_subchannel_pool": 1,
    })
  }

  close(): void {
    this.#client.close()
  }

  /** Resolves when there is a connection. @throws TransportError `notApplied` when there is none. */
  async ready(signal: AbortSignal): Promise<void> {
    const channel = this.#client.getChannel()
    const deadlineMs = Date.now() + this.#connectTimeoutMs
    for (;;) {
      const state = channel.getConnectivityState(true)
      if (state === connectivityState.READY) return
      if (state === connectivityState.TRANSIENT_FAILURE) throw notConnected("no gRPC connection")
      if (state === connectivityState.SHUTDOWN) throw notConnected("the transport is closed")
      const isChanged = await new Promise<boolean>((resolve) => {
        const removeListener = onAbort(signal, () => {
          resolve(false)
        })
        channel.watchConnectivityState(state, deadlineMs, (error) => {
          removeListener()
          resolve(error === undefined)
        })
      })
      if (!isChanged) throw notConnected("no gRPC connection in time")
    }
  }

  /** Rejects with what grpc-js says. */
  async unary(method: MethodName, bytes: Buffer, order: Stamp & Readonly<{ signal: AbortSignal }>): Promise<Buffer> {
    await this.ready(order.signal)
    const path = pathOf(method)
    return new Promise((resolve, reject) => {
      const call = this.#client.makeUnaryRequest(
        path,
        asItIs,
        asItIs,
        bytes,
        signed(path, order, bytesHash(bytes)),
        {},
        (error, reply) => {
          removeListener()
          if (error !== null) reject(error)
          else if (reply === undefined) reject(networkError("an answer without a message"))
          else resolve(reply)
        },
      )
      const removeListener = onAbort(order.signal, () => {
        call.cancel()
      })
    })
  }

  stream(method: MethodName, stamp: Stamp): ByteStream {
    const path = pathOf(method)
    return this.#client.makeBidiStreamRequest(path, asItIs, asItIs, signed(path, stamp, ""), {})
  }
}

function pathOf(method: MethodName): string {
  return `/opencmq.v1.MessageService/${method}`
}

function signed(path: string, stamp: Stamp, contentHash: string): Metadata {
  const { secretId, secretKey } = stamp.credentials
  const call = { path, secretId, timestamp: String(stamp.timestampSeconds), nonce: stamp.nonce, contentHash }
  const metadata = new Metadata()
  metadata.set(CALL_METADATA.secretId, secretId)
  metadata.set(CALL_METADATA.timestamp, call.timestamp)
  metadata.set(CALL_METADATA.nonce, call.nonce)
  if (contentHash !== "") metadata.set(CALL_METADATA.contentHash, contentHash)
  metadata.set(CALL_METADATA.signature, signCall(call, secretKey))
  return metadata
}
