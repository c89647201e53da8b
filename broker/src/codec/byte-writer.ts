/**
 * Writes little-endian fields one after the other into a buffer that grows. The mirror of `ByteReader`.
 */
const MAX_SAFE = Number.MAX_SAFE_INTEGER
const TWO_32 = 0x1_0000_0000

export class ByteWriter {
  #bytes: Buffer
  #length = 0

  /** `capacityBytes` is what is set aside at first; the buffer doubles when it is full. */
  constructor(capacityBytes = 256) {
    this.#bytes = Buffer.allocUnsafe(Math.max(16, capacityBytes))
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length
  }

  uint8(value: number): void {
    const at = this.#take(1)
    this.#bytes.writeUInt8(value, at)
  }

  uint16(value: number): void {
    const at = this.#take(2)
    this.#bytes.writeUInt16LE(value, at)
  }

  uint32(value: number): void {
    const at = this.#take(4)
    this.#bytes.writeUInt32LE(value, at)
  }

  /** A whole number from 0 to 2^53 - 1 in eight bytes. */
  uint64(value: number): void {
    if (!Number.isInteger(value) || value < 0 || value > MAX_SAFE) throw new RangeError(`not a safe uint64: ${value}`)
    const at = this.#take(8)
    this.#bytes.writeUInt32LE(value % TWO_32, at)
    this.#bytes.writeUInt32LE(Math.floor(value / TWO_32), at + 4)
  }

  /** A whole number from -(2^53 - 1) to 2^53 - 1 in eight bytes (IEEE 754, exact for whole numbers). */
  float64(value: number): void {
    const at = this.#take(8)
    this.#bytes.writeDoubleLE(value, at)
  }

  /** A whole number from 0 to 2^53 - 1 in one to eight bytes, seven bits a byte, low bits first (LEB128). */
  varuint(value: number): void {
    if (!Number.isInteger(value) || value < 0 || value > MAX_SAFE) throw new RangeError(`not a safe varuint: ${value}`)
    let rest = value
    while (rest >= 0x80) {
      this.uint8((rest % 0x80) | 0x80)
      rest = Math.floor(rest / 0x80)
    }
    this.uint8(rest)
  }

  boolean(value: boolean): void {
    this.uint8(value ? 1 : 0)
  }

  /** The bytes as they are, without a length. */
  raw(bytes: Uint8Array): void {
    const at = this.#take(bytes.length)
    this.#bytes.set(bytes, at)
  }

  /** Length as varuint, then the bytes. */
  bytes(bytes: Uint8Array): void {
    this.varuint(bytes.length)
    this.raw(bytes)
  }

  /** Length in bytes as varuint, then UTF-8. */
  string(text: string): void {
    const byteCount = Buffer.byteLength(text, "utf8")
    this.varuint(byteCount)
    const at = this.#take(byteCount)
    this.#bytes.write(text, at, byteCount, "utf8")
  }

  /** `count` zero bytes. */
  zeros(count: number): void {
    const at = this.#take(count)
    this.#bytes.fill(0, at, at + count)
  }

  /** Overwrites four bytes that were written before. */
  patchUint32(at: number, value: number): void {
    if (at < 0 || at + 4 > this.#length) throw new RangeError(`patch at ${at} is outside ${this.#length} bytes`)
    this.#bytes.writeUInt32LE(value, at)
  }

  /** What was written, without a copy: the writer must not be used afterwards. */
  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  #take(count: number): number {
    const at = this.#length
    const end = at + count
    if (end > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(end, this.#bytes.length * 2))
      this.#bytes.copy(larger, 0, 0, at)
      this.#bytes = larger
    }
    this.#length = end
    return at
  }
}
