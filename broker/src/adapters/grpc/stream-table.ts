/** The two streams, by the method's name: what carries each of them out. */
import type { BrokerService } from "../../node/service-types.ts"
import type { ByteStream, StreamReader } from "./byte-stream.ts"

/** What a stream may use. */
export interface StreamTools {
  readonly service: BrokerService
  /** How long one batch or settlement may take in the broker. */
  readonly requestTimeoutMs: number
}

/** Opens a stream that was let in. */
export type StreamRow = (stream: ByteStream, tools: StreamTools) => StreamReader

/** The table itself. */
export const STREAM_TABLE: Readonly<Record<string, StreamRow>> = {}
