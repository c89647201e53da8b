/**
 * One TCP connection between two nodes, either end of it: frames out, frames in. Knows nothing of peers or handshakes.
 *
 * What is sent during one turn of the event loop leaves in one writev at its end. Both ends say "I am alive" when they
 * have nothing else to say; an end that hears nothing for `SILENCE_TICKS` closes (a peer that vanished without a word).
 * Ticks are counted, not time: after a pause of the whole process the other side is given its full span again.
 */
import { createConnection, type Socket } from "node:net"
import { PartWriter } from "../../codec/part-writer.ts"
import { FRAME_HEADER_BYTES, FrameReader, writeFrame } from "./frame-reader.ts"

export const TICK_MS = 1000
/** Nothing sent for so many ticks: a sign of life goes out (1 to 2 s). */
const KEEP_ALIVE_TICKS = 2
/** Nothing received for so many ticks: the connection is taken for dead (3 to 4 s). */
export const SILENCE_TICKS = 4

export interface ConnectionEvents {
  /** A whole frame whose checksum was right. */
  frame(payload: Uint8Array): void
  /** Exactly once, never from within a method of `Connection`. */
  closed(reason: string): void
}

/**
 * What dialed connections read into, all of them: its bytes are taken out before the next read. Node would set 64 KiB aside
 * for each read and cut them down to a few (ADR 0019).
 */
const READ_BUFFER = Buffer.allocUnsafeSlow(65_536)

/** A connection to there, and its socket, which is not connected yet. */
export function dialConnection(
  { host, port }: { readonly host: string; readonly port: number },
  maxFrameBytes: number,
  events: ConnectionEvents,
): { readonly connection: Connection; readonly socket: Socket } {
  const socket = createConnection({
    host,
    port,
    onread: {
      buffer: READ_BUFFER,
      callback: (length) => {
        connection.receive(READ_BUFFER.subarray(0, length))
        return true
      },
    },
  })
  const connection = new Connection(socket, maxFrameBytes, events)
  return { connection, socket }
}

export class Connection {
  readonly #socket: Socket
  readonly #reader: FrameReader
  readonly #visit: (payload: Uint8Array) => boolean
  #batch: PartWriter | undefined
  #batchBytes = 0
  #quietTicks = 0
  #idleTicks = 0
  #reason: string | undefined

  constructor(socket: Socket, maxFrameBytes: number, events: ConnectionEvents) {
    this.#socket = socket
    this.#reader = new FrameReader(maxFrameBytes)
    this.#visit = (payload) => {
      events.frame(payload)
      return !socket.destroyed
    }
    socket.setNoDelay(true)
    // Nothing comes this way on a dialed one.
    socket.on("data", (chunk: Buffer) => {
      this.receive(chunk)
    })
    socket.on("end", () => {
      this.close("the other side closed the connection")
    })
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.#reason ??= error.code ?? error.message
    })
    socket.on("close", () => {
      events.closed(this.#reason ?? "closed")
    })
  }

  /** Bytes that were sent here and have not been taken by the kernel. */
  get queuedBytes(): number {
    return this.#batchBytes + this.#socket.writableLength
  }

  /** Ticks since anything was received. */
  get quietTicks(): number {
    return this.#quietTicks
  }

  /** The next bytes of the stream. They are the caller's again when this returns. */
  receive(chunk: Buffer): void {
    this.#quietTicks = 0
    const fault = this.#reader.read(chunk, this.#visit)
    if (fault !== undefined) this.close(fault)
  }

  allowFrameBytes(maxFrameBytes: number): void {
    this.#reader.maxFrameBytes = maxFrameBytes
  }

  /** Queues one frame. An empty one is the sign of life. */
  send(parts: readonly Uint8Array[], payloadBytes: number): void {
    this.#idleTicks = 0
    if (this.#batch === undefined) {
      this.#batch = new PartWriter()
      setImmediate(() => {
        this.#flush()
      })
    }
    writeFrame(this.#batch, parts)
    this.#batchBytes += FRAME_HEADER_BYTES + payloadBytes
  }

  /** To be called each `TICK_MS`. */
  tick(): void {
    this.#quietTicks += 1
    this.#idleTicks += 1
    if (this.#quietTicks >= SILENCE_TICKS) {
      this.close(`nothing was heard for ${String(SILENCE_TICKS * TICK_MS)} ms`)
    } else if (this.#idleTicks >= KEEP_ALIVE_TICKS) {
      this.send([], 0)
    }
  }

  /** Ends the connection now; what is queued is lost. */
  close(reason: string): void {
    this.#reason ??= reason
    this.#socket.destroy()
  }

  /** Ends the connection after what is queued was sent. */
  finish(reason: string): void {
    this.#flush()
    this.#reason ??= reason
    this.#socket.end()
  }

  #flush(): void {
    const batch = this.#batch
    if (batch === undefined) return
    this.#batch = undefined
    this.#batchBytes = 0
    const socket = this.#socket
    if (socket.destroyed || socket.writableEnded) return
    socket.cork()
    for (const part of batch.finish()) socket.write(part)
    socket.uncork()
  }
}
