/** What may be chosen about the TCP face. Sizes and times come from the limits table of `@opencmq/proto`. */
import { LIMITS } from "@opencmq/proto"

/** Bounds of the face; every one of them is there so that no client can take more than its share. */
export interface TcpFaceOptions {
  /** Sockets at once; one more is closed. */
  readonly maxConnections: number
  /** How long a request may take in the broker, long poll not counted. */
  readonly requestTimeoutMs: number
  readonly maxFrameBytes: number
  /** Before authentication. */
  readonly maxStrangerFrameBytes: number
  /** Without a reply yet, of one connection. */
  readonly maxRequests: number
  /** Replies that wait in a connection when one more is to be sent. */
  readonly maxBacklogBytes: number
  readonly authenticationSeconds: number
  readonly idleSeconds: number
  readonly stallSeconds: number
  /** The first request's number; undefined = anywhere, so that those of two runs differ. Below 2^52. */
  readonly firstRequestNumber: number | undefined
}

/** The usual bounds. */
export const TCP_FACE_DEFAULTS: TcpFaceOptions = {
  maxConnections: 20_000,
  requestTimeoutMs: 5_000,
  maxFrameBytes: LIMITS.tcpFrameBytes.max,
  maxStrangerFrameBytes: LIMITS.tcpStrangerFrameBytes.max,
  maxRequests: LIMITS.tcpRequestsPerConnectionCount.max,
  maxBacklogBytes: LIMITS.tcpBacklogBytes.max,
  authenticationSeconds: LIMITS.tcpAuthenticationSeconds.max,
  idleSeconds: LIMITS.tcpIdleSeconds.max,
  stallSeconds: LIMITS.tcpStallSeconds.max,
  firstRequestNumber: undefined,
}
