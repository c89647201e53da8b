/**
 * A bounds-checked cursor over received bytes, the other end of `PartWriter`. Little-endian. Every length is compared
 * with what is there before anything is made of it; what does not fit is a `CodecError`.
 */
import { Buffer, isUtf8 } from "node:buffer"
import { CodecError } from "./codec-error.ts"

const TWO_TO_32 = 0x1_0000_0000
/** 2^53 / 2^32: an upper half at or above it makes a number that JavaScript cannot hold. */
const HIGH_WORD_LIMIT = 0x20_0000

/** Reads once from front to back. */
export class PartReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.#bytes.length - this.#at
  }

  u8(): number {
    return this.#bytes[this.#take(1)] as number
  }

  u16(): number {
    return this.#bytes.readUInt16LE(this.#take(2))
  }

  u32(): number {
    return this.#bytes.readUInt32LE(this.#take(4))
  }

  i32(): number {
    return this.#bytes.readInt32LE(this.#take(4))
  }

  u64(): number {
    const at = this.#take(8)
    const high = this.#bytes.readUInt32LE(at + 4)
    if (high >= HIGH_WORD_LIMIT) throw new CodecError("a u64 above 2^53 - 1")
    return high * TWO_TO_32 + this.#bytes.readUInt32LE(at)
  }

  f64(): number {
    return this.#bytes.readDoubleLE(this.#take(8))
  }

  /** A view of the received bytes, no copy. */
  bytes(length: number): Uint8Array {
    const at = this.#take(length)
    return new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + at, length)
  }

  /** Everything that is left, as a view. */
  rest(): Uint8Array {
    return this.bytes(this.remaining)
  }

  shortText(): string {
    return this.#utf8(this.u8())
  }

  text(): string {
    return this.#utf8(this.u32())
  }

  /** UTF-8 of a length that was read before. */
  textOf(length: number): string {
    return this.#utf8(length)
  }

  /** A count of things of at least `bytesEach` bytes that are still to come: refused when they cannot be there. */
  checkCount(count: number, bytesEach: number): number {
    if (count * bytesEach > this.remaining) {
      throw new CodecError(`${String(count)} items announced, ${String(this.remaining)} bytes left`)
    }
    return count
  }

  /** Throws when bytes are left over. */
  end(): void {
    if (this.remaining > 0) throw new CodecError(`${String(this.remaining)} bytes too many`)
  }

  #utf8(length: number): string {
    const at = this.#take(length)
    const slice = this.#bytes.subarray(at, at + length)
    if (!isUtf8(slice)) throw new CodecError("a text that is not UTF-8")
    return slice.toString("utf8")
  }

  #take(length: number): number {
    const at = this.#at
    if (length > this.#bytes.length - at) {
      throw new CodecError(`${String(length)} bytes wanted at ${String(at)}, ${String(this.remaining)} are there`)
    }
    this.#at = at + length
    return at
  }
}
