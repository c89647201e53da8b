/**
 * Writes a frame as a list of parts: small fields go into a shared chunk, large byte arrays are taken as they are, so
 * that the body of a message is not copied on its way to a socket. All integers are little-endian.
 *
 * Whoever gets the parts may keep them, and must not change them: a slice of a chunk is never written twice.
 */
import { Buffer } from "node:buffer"

/** Byte arrays up to this length are copied: an own part costs more than so many bytes. */
const COPY_BYTES_MAX = 2_048
const CHUNK_BYTES = 32_768

const TWO_TO_32 = 0x1_0000_0000

/** Rests that are smaller are not worth keeping. */
const SPARE_BYTES_MIN = 256
const SPARES_MAX = 8

/**
 * Free rests of chunks, shared by all writers: a small frame costs no allocation of its own. One for each writer that
 * is at work, since a connection gathers frames in one writer while others write them.
 */
const spares: Buffer[] = []
const NO_CHUNK = Buffer.alloc(0)

/** One frame being written. Not used again after `finish`. */
export class PartWriter {
  readonly #parts: Uint8Array[] = []
  #chunk = spares.pop() ?? NO_CHUNK
  #start = 0
  #end = 0

  u8(value: number): void {
    this.#reserve(1)
    this.#chunk[this.#end++] = value
  }

  u16(value: number): void {
    this.#reserve(2)
    this.#end = this.#chunk.writeUInt16LE(value, this.#end)
  }

  u32(value: number): void {
    this.#reserve(4)
    this.#end = this.#chunk.writeUInt32LE(value, this.#end)
  }

  i32(value: number): void {
    this.#reserve(4)
    this.#end = this.#chunk.writeInt32LE(value, this.#end)
  }

  /** A whole number from 0 to 2^53 - 1, in 8 bytes. Throws a RangeError for any other. */
  u64(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${String(value)} is not a u64 below 2^53`)
    this.#reserve(8)
    this.#end = this.#chunk.writeUInt32LE(value % TWO_TO_32, this.#end)
    this.#end = this.#chunk.writeUInt32LE(Math.floor(value / TWO_TO_32), this.#end)
  }

  f64(value: number): void {
    this.#reserve(8)
    this.#end = this.#chunk.writeDoubleLE(value, this.#end)
  }

  /** The bytes alone; their length is the caller's to write. */
  bytes(value: Uint8Array): void {
    const { length } = value
    if (length <= COPY_BYTES_MAX) {
      this.#reserve(length)
      this.#chunk.set(value, this.#end)
      this.#end += length
      return
    }
    this.#cut()
    this.#parts.push(value)
  }

  /** u8 length and UTF-8. Throws a RangeError above 255 bytes. */
  shortText(value: string): void {
    const length = Buffer.byteLength(value)
    if (length > 255) throw new RangeError(`a text of ${String(length)} bytes has no place in 255`)
    this.u8(length)
    this.#utf8(value, length)
  }

  /** u32 length and UTF-8. */
  text(value: string): void {
    const length = Buffer.byteLength(value)
    this.u32(length)
    this.#utf8(value, length)
  }

  /** UTF-8 alone, of a byte length that the caller has measured and written. */
  textOf(value: string, length: number): void {
    this.#utf8(value, length)
  }

  /** The parts of the frame, in order; none is empty. */
  finish(): Uint8Array[] {
    this.#cut()
    const rest = this.#chunk.subarray(this.#end)
    if (rest.length >= SPARE_BYTES_MIN && spares.length < SPARES_MAX) spares.push(rest)
    this.#chunk = NO_CHUNK
    this.#start = 0
    this.#end = 0
    return this.#parts
  }

  #utf8(value: string, length: number): void {
    this.#reserve(length)
    this.#end += this.#chunk.write(value, this.#end, length, "utf8")
  }

  #reserve(length: number): void {
    if (this.#end + length <= this.#chunk.length) return
    this.#cut()
    this.#chunk = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, length))
    this.#start = 0
    this.#end = 0
  }

  #cut(): void {
    if (this.#end > this.#start) this.#parts.push(this.#chunk.subarray(this.#start, this.#end))
    this.#start = this.#end
  }
}
