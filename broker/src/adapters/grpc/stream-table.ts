/** The two streams, by the method's name: what carries each of them out. */
import type { ByteStream, StreamReader, StreamTools } from "./byte-stream.ts"
import { ConsumeStream } from "./consume-stream.ts"
import { ProduceStream } from "./produce-stream.ts"

/** Opens a stream that was let in. */
export type StreamRow = (stream: ByteStream, tools: StreamTools) => StreamReader

/** The table itself. */
export const STREAM_TABLE: Readonly<Record<string, StreamRow>> = {
  Produce: (stream, tools) => new ProduceStream(stream, tools),
  Consume: (stream, tools) => new ConsumeStream(stream, tools),
}
