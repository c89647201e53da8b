/**
 * The frame on a peer connection. Little-endian:
 *
 * ```
 * 0 u32 length   of the payload; 0 = "I am alive", nothing follows
 * 4 u32 crc32    of the payload
 * 8 u32 check    length XOR crc32 XOR "OCMQ": a rotten length is noticed at once, not after waiting for its bytes
 * 12 payload
 * ```
 *
 * TCP's own checksum has 16 bits; a frame that fails here ends the connection (reliability.md P6).
 */
import { ByteSlab } from "../../codec/byte-slab.ts"
import { crc32 } from "../../codec/crc.ts"
import type { PartWriter } from "../../codec/part-writer.ts"

export const FRAME_HEADER_BYTES = 12
const CHECK_SEED = 0x51_4d_43_4f

/** Appends one frame made of these parts. */
export function writeFrame(writer: PartWriter, parts: readonly Uint8Array[]): void {
  let length = 0
  let crc = 0
  for (const part of parts) {
    length += part.length
    crc = crc32(part, crc)
  }
  writer.u32(length)
  writer.u32(crc)
  writer.u32((length ^ crc ^ CHECK_SEED) >>> 0)
  for (const part of parts) writer.bytes(part)
}

/** Takes the stream of one connection apart. After a fault it is not used again. */
export class FrameReader {
  /** May be raised while reading: a stranger is allowed less than a peer. */
  maxFrameBytes: number
  readonly #slab = new ByteSlab()
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES)
  #headerBytes = 0
  /** The payload that is not complete yet. */
  #payload: Buffer | undefined
  #payloadBytes = 0
  #crc = 0

  constructor(maxFrameBytes: number) {
    this.maxFrameBytes = maxFrameBytes
  }

  /**
   * Calls `visit` with each payload that is complete, until it returns false. Payloads are copies and the visitor's to
   * keep: `chunk` may be used again.
   *
   * @returns what is wrong with the stream, or undefined.
   */
  read(chunk: Buffer, visit: (payload: Uint8Array) => boolean): string | undefined {
    let at = 0
    while (at < chunk.length) {
      if (this.#payload !== undefined) {
        at += this.#fill(this.#payload, chunk.subarray(at))
      } else {
        const taken = Math.min(FRAME_HEADER_BYTES - this.#headerBytes, chunk.length - at)
        chunk.copy(this.#header, this.#headerBytes, at, at + taken)
        this.#headerBytes += taken
        at += taken
        if (this.#headerBytes < FRAME_HEADER_BYTES) return undefined
        const fault = this.#begin()
        if (fault !== undefined) return fault
        const length = this.#header.readUInt32LE(0)
        if (length === 0) continue
        this.#payload = this.#slab.take(length)
        this.#payloadBytes = 0
      }
      const payload = this.#payload
      if (payload === undefined || this.#payloadBytes < payload.length) continue
      this.#payload = undefined
      if (crc32(payload) !== this.#crc) return `checksum of a frame of ${String(payload.length)} bytes is wrong`
      if (!visit(payload)) return undefined
    }
    return undefined
  }

  /** The header is complete: checks it. */
  #begin(): string | undefined {
    this.#headerBytes = 0
    const length = this.#header.readUInt32LE(0)
    this.#crc = this.#header.readUInt32LE(4)
    if ((length ^ this.#crc ^ CHECK_SEED) >>> 0 !== this.#header.readUInt32LE(8)) return "header of a frame is damaged"
    if (length > this.maxFrameBytes) {
      return `frame of ${String(length)} bytes, at most ${String(this.maxFrameBytes)} are taken`
    }
    return undefined
  }

  #fill(payload: Buffer, rest: Buffer): number {
    const taken = Math.min(payload.length - this.#payloadBytes, rest.length)
    rest.copy(payload, this.#payloadBytes, 0, taken)
    this.#payloadBytes += taken
    return taken
  }
}
