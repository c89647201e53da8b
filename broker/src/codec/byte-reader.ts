/**
 * Reads little-endian fields one after the other. Every read is checked against the end: bytes from a disk or a peer
 * may be anything. Slices share memory with the source.
 */
const TWO_32 = 0x1_0000_0000

/** The bytes do not have the shape they should have. */
export class DecodeError extends Error {
  override readonly name = "DecodeError"
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

export class ByteReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** Position of the next read, from 0. */
  get position(): number {
    return this.#at
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.#bytes.length - this.#at
  }

  uint8(): number {
    return this.#bytes.readUInt8(this.#take(1))
  }

  uint16(): number {
    return this.#bytes.readUInt16LE(this.#take(2))
  }

  uint32(): number {
    return this.#bytes.readUInt32LE(this.#take(4))
  }

  /** Eight bytes holding a whole number from 0 to 2^53 - 1; anything larger is refused. */
  uint64(): number {
    const at = this.#take(8)
    const high = this.#bytes.readUInt32LE(at + 4)
    if (high > 0x1f_ffff) throw new DecodeError(`number at ${at} is larger than 2^53 - 1`)
    return high * TWO_32 + this.#bytes.readUInt32LE(at)
  }

  float64(): number {
    return this.#bytes.readDoubleLE(this.#take(8))
  }

  varuint(): number {
    let value = 0
    let scale = 1
    for (let count = 0; count < 8; count++) {
      const byte = this.uint8()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break
        return value
      }
      scale *= 0x80
    }
    throw new DecodeError(`number before ${this.#at} is larger than 2^53 - 1`)
  }

  boolean(): boolean {
    const value = this.uint8()
    if (value > 1) throw new DecodeError(`boolean is ${value}`)
    return value === 1
  }

  /** `count` bytes, sharing memory with the source. */
  raw(count: number): Buffer {
    const at = this.#take(count)
    return this.#bytes.subarray(at, at + count)
  }

  /** Bytes with their length as varuint before them. */
  bytes(): Buffer {
    return this.raw(this.varuint())
  }

  /** UTF-8 with its length in bytes as varuint before it; broken UTF-8 is refused. */
  string(): string {
    const bytes = this.bytes()
    try {
      return utf8.decode(bytes)
    } catch (cause) {
      throw new DecodeError(`text before ${this.#at} is not UTF-8`, { cause })
    }
  }

  skip(count: number): void {
    this.#take(count)
  }

  /** Asserts that everything was read. */
  end(): void {
    if (this.remaining !== 0) throw new DecodeError(`${this.remaining} bytes are left over`)
  }

  #take(count: number): number {
    const at = this.#at
    if (count < 0 || at + count > this.#bytes.length) {
      throw new DecodeError(`${count} bytes wanted at ${at}, ${this.#bytes.length - at} are there`)
    }
    this.#at = at + count
    return at
  }
}
