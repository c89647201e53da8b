/**
 * The frame on a client's connection (cmq-api.md §2):
 *
 * ```
 * 0 u16 zero
 * 2 u32 length   little-endian, of the whole frame: 6 and what follows
 * 6 payload      one CMQProto
 * ```
 *
 * There is no checksum: a stream that is out of step shows by its two zeros, or by a payload that is no CMQProto.
 */

export const FRAME_HEADER_BYTES = 6

/** What is set aside for a payload that has not come yet; it grows with what comes, not with what is promised. */
const FIRST_PIECE_BYTES = 4_096

/** The header of a frame with a payload of so many bytes. */
export function frameHeader(payloadBytes: number): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_BYTES)
  header.writeUInt32LE(FRAME_HEADER_BYTES + payloadBytes, 2)
  return header
}

/** Takes the stream of one connection apart. After a fault it is not used again. */
export class FrameReader {
  /** Of a whole frame. May be raised while reading: a stranger is allowed less. */
  maxFrameBytes: number
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES)
  #headerBytes = 0
  /** Of the frame whose header is complete. */
  #payloadLength = 0
  /** The first bytes of a payload that did not come in one piece. */
  #partial: Buffer | undefined
  #partialBytes = 0

  constructor(maxFrameBytes: number) {
    this.maxFrameBytes = maxFrameBytes
  }

  /** Bytes set aside for what is not complete. */
  get heldBytes(): number {
    return this.#partial?.length ?? 0
  }

  /**
   * Calls `visit` with each payload that is complete, until it returns false.
   *
   * @param chunk - the reader's and the visitor's from here on: payloads may be views of it.
   * @returns what is wrong with the stream, or undefined.
   */
  read(chunk: Buffer, visit: (payload: Buffer) => boolean): string | undefined {
    let at = 0
    while (at < chunk.length) {
      if (this.#headerBytes < FRAME_HEADER_BYTES) {
        const taken = Math.min(FRAME_HEADER_BYTES - this.#headerBytes, chunk.length - at)
        chunk.copy(this.#header, this.#headerBytes, at, at + taken)
        this.#headerBytes += taken
        at += taken
        const fault = this.#checkHeader()
        if (fault !== undefined) return fault
        if (at === chunk.length) return undefined
      }
      const missing = this.#payloadLength - this.#partialBytes
      const piece = chunk.subarray(at, at + missing)
      at += piece.length
      const payload = this.#add(piece)
      if (payload === undefined) continue
      this.#headerBytes = 0
      if (!visit(payload)) return undefined
    }
    return undefined
  }

  /** As soon as it can be said: a browser or a TLS client is noticed by its first byte. */
  #checkHeader(): string | undefined {
    if (this.#header[0] !== 0 || (this.#headerBytes > 1 && this.#header[1] !== 0)) return "no frame of CMQ's protocol"
    if (this.#headerBytes < FRAME_HEADER_BYTES) return undefined
    const length = this.#header.readUInt32LE(2)
    // No CMQProto is empty: an empty payload would be one without its required fields.
    if (length <= FRAME_HEADER_BYTES) return `frame of ${String(length)} bytes`
    if (length > this.maxFrameBytes) {
      return `frame of ${String(length)} bytes, at most ${String(this.maxFrameBytes)} are taken`
    }
    this.#payloadLength = length - FRAME_HEADER_BYTES
    return undefined
  }

  /** @returns the payload when this was its last piece. */
  #add(piece: Buffer): Buffer | undefined {
    if (this.#partial === undefined && piece.length === this.#payloadLength) return piece
    const bytes = this.#partialBytes + piece.length
    const partial = this.#roomFor(bytes)
    piece.copy(partial, this.#partialBytes)
    this.#partialBytes = bytes
    if (bytes < this.#payloadLength) return undefined
    this.#partial = undefined
    this.#partialBytes = 0
    return partial.subarray(0, bytes)
  }

  #roomFor(bytes: number): Buffer {
    if (this.#partial !== undefined && this.#partial.length >= bytes) return this.#partial
    const length = Math.min(this.#payloadLength, Math.max(FIRST_PIECE_BYTES, 2 * bytes))
    const roomier = Buffer.allocUnsafeSlow(length)
    this.#partial?.copy(roomier, 0, 0, this.#partialBytes)
    this.#partial = roomier
    return roomier
  }
}
