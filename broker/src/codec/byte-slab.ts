/**
 * Hands out pieces of large blocks, one behind the other. A block is free again when its last piece is forgotten.
 *
 * For bytes that live equally long, and not for long: entries on their way into the log. Taken from the system one by one,
 * their ever different sizes leave holes in its heap that nothing else fits into (ADR 0017).
 */
import { Buffer } from "node:buffer"

const BLOCK_BYTES = 1 << 20
/** Longer pieces are taken from the system: they would waste the rest of a block. */
const PIECE_BYTES_MAX = BLOCK_BYTES / 4
const NO_BLOCK = Buffer.alloc(0)

export class ByteSlab {
  #block = NO_BLOCK
  #end = 0

  /** A piece of so many bytes, whatever they are. No other piece shares them. */
  take(bytes: number): Buffer {
    if (bytes > PIECE_BYTES_MAX) return Buffer.allocUnsafeSlow(bytes)
    if (this.#end + bytes > this.#block.length) {
      this.#block = Buffer.allocUnsafeSlow(BLOCK_BYTES)
      this.#end = 0
    }
    const piece = this.#block.subarray(this.#end, this.#end + bytes)
    this.#end += bytes
    return piece
  }
}
