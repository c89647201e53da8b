/**
 * A cursor for writing and one for reading the records of a checkpoint. Little-endian; columns of numbers are copied
 * as they lie in memory, which is little-endian on every platform Node runs on (asserted when a machine is made).
 *
 * Reading checks bounds: a record that is shorter than it says is corrupt, and restoring it fails.
 */

/** A typed array as far as copying its bytes is concerned. */
export interface Column {
  readonly buffer: ArrayBufferLike
  readonly byteOffset: number
  readonly BYTES_PER_ELEMENT: number
  readonly length: number
}

/** True where a column may be copied as bytes. */
export function isLittleEndian(): boolean {
  return new Uint8Array(new Uint32Array([1]).buffer)[0] === 1
}

/** Writes into an array of exactly the announced size. */
export class RecordWriter {
  readonly bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(byteLength: number) {
    this.bytes = new Uint8Array(byteLength)
    this.#view = new DataView(this.bytes.buffer)
  }

  u8(value: number): void {
    this.#view.setUint8(this.#at, value)
    this.#at += 1
  }

  u32(value: number): void {
    this.#view.setUint32(this.#at, value, true)
    this.#at += 4
  }

  f64(value: number): void {
    this.#view.setFloat64(this.#at, value, true)
    this.#at += 8
  }

  /** `textBytes(value)` bytes: the number of UTF-16 code units and the units. Total: lone surrogates survive. */
  text(value: string): void {
    this.u32(value.length)
    for (let index = 0; index < value.length; index++) {
      this.#view.setUint16(this.#at, value.charCodeAt(index), true)
      this.#at += 2
    }
  }

  /** The elements `from .. from + count - 1`. */
  column(column: Column, from: number, count: number): void {
    const size = column.BYTES_PER_ELEMENT
    this.bytes.set(new Uint8Array(column.buffer, column.byteOffset + from * size, count * size), this.#at)
    this.#at += count * size
  }
}

/** Size of a text in a record. */
export function textBytes(value: string): number {
  return 4 + value.length * 2
}

/** Reads from front to back. Throws a RangeError beyond the end. */
export class RecordReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1))
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true)
  }

  f64(): number {
    return this.#view.getFloat64(this.#take(8), true)
  }

  text(): string {
    const length = this.u32()
    const at = this.#take(length * 2)
    let value = ""
    for (let index = 0; index < length; index++) {
      value += String.fromCharCode(this.#view.getUint16(at + index * 2, true))
    }
    return value
  }

  /** Fills the elements `from .. from + count - 1`. */
  column(column: Column, from: number, count: number): void {
    const size = column.BYTES_PER_ELEMENT
    if (from + count > column.length) throw new RangeError("corrupt checkpoint: a column that is too long")
    const at = this.#take(count * size)
    const target = new Uint8Array(column.buffer, column.byteOffset + from * size, count * size)
    target.set(this.#bytes.subarray(at, at + count * size))
  }

  /** Whether something is left to be read. */
  get hasMore(): boolean {
    return this.#at < this.#bytes.length
  }

  /** Throws unless everything was read. */
  end(): void {
    if (this.#at !== this.#bytes.length) throw new RangeError("corrupt checkpoint: bytes left over in a record")
  }

  #take(byteLength: number): number {
    const at = this.#at
    if (byteLength > this.#bytes.length - at) throw new RangeError("corrupt checkpoint: a record cut short")
    this.#at = at + byteLength
    return at
  }
}

/** Size of a list of texts in a record. */
export function textsBytes(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + textBytes(text), 4)
}

export function writeTexts(writer: RecordWriter, texts: readonly string[]): void {
  writer.u32(texts.length)
  for (const text of texts) writer.text(text)
}

export function readTexts(reader: RecordReader): string[] {
  const texts: string[] = []
  const count = reader.u32()
  for (let index = 0; index < count; index++) texts.push(reader.text())
  return texts
}
