/**
 * Protobuf's wire form, written straight into one growing buffer: what the hot streams and the error details are made
 * with. Only what those need: varints that fit a number, bytes, texts and messages. A field with its default is left out,
 * as proto3 does it. Source: protobuf.dev, "Encoding".
 */

const FIRST_BYTES = 1024
/** A varint of a whole number below 2^53 has at most eight bytes; a tag here at most two. */
const VARINT_BYTES_MAX = 10
const VARINT = 0
const LENGTH = 2

/** Writes one message; `finish` gives its bytes and the writer is used no more. */
export class WireWriter {
  private buffer: Buffer
  private end = 0

  /** @param sizeHint - about how many bytes it will be. */
  constructor(sizeHint = FIRST_BYTES) {
    this.buffer = Buffer.allocUnsafe(Math.max(sizeHint, VARINT_BYTES_MAX))
  }

  /** Bytes written so far. */
  get length(): number {
    return this.end
  }

  /** A whole number from 0 to 2^53 - 1: int32, int64, uint32, uint64, enum. */
  number(field: number, value: number): void {
    if (value === 0) return
    this.tag(field, VARINT)
    this.varint(value)
  }

  flag(field: number, value: boolean): void {
    this.number(field, value ? 1 : 0)
  }

  /** A number whose varint somebody else wrote; empty = left out. */
  rawVarint(field: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.tag(field, VARINT)
    this.append(bytes)
  }

  text(field: number, value: string): void {
    if (value !== "") this.repeatedText(field, value)
  }

  /** An element of a repeated field, or a member of a oneof: written even when it is empty. */
  repeatedText(field: number, value: string): void {
    const length = Buffer.byteLength(value, "utf8")
    this.tag(field, LENGTH)
    this.varint(length)
    this.reserve(length)
    this.end += this.buffer.write(value, this.end, "utf8")
  }

  bytes(field: number, value: Uint8Array): void {
    if (value.length > 0) this.repeatedBytes(field, value)
  }

  /** As `repeatedText`. */
  repeatedBytes(field: number, value: Uint8Array): void {
    this.tag(field, LENGTH)
    this.varint(value.length)
    this.append(value)
  }

  /** A message inside this one; `write` writes its fields. Its length is put before it when it is known. */
  message(field: number, write: () => void): void {
    this.tag(field, LENGTH)
    const start = this.end
    // Most messages here are longer than 127 bytes and shorter than 16 KiB: two bytes fit without a move.
    this.reserve(VARINT_BYTES_MAX)
    this.end += 2
    write()
    const length = this.end - start - 2
    const lengthBytes = varintBytes(length)
    if (lengthBytes !== 2) {
      this.reserve(VARINT_BYTES_MAX)
      this.buffer.copyWithin(start + lengthBytes, start + 2, this.end)
    }
    this.end = start
    this.varint(length)
    this.end += length
  }

  /** The bytes; they are not copied. */
  finish(): Buffer {
    return this.buffer.subarray(0, this.end)
  }

  private tag(field: number, type: number): void {
    this.varint(field * 8 + type)
  }

  private varint(value: number): void {
    this.reserve(VARINT_BYTES_MAX)
    let rest = value
    while (rest >= 0x80) {
      this.buffer[this.end++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.buffer[this.end++] = rest
  }

  private append(bytes: Uint8Array): void {
    this.reserve(bytes.length)
    this.buffer.set(bytes, this.end)
    this.end += bytes.length
  }

  private reserve(bytes: number): void {
    if (this.end + bytes <= this.buffer.length) return
    const grown = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.end + bytes))
    this.buffer.copy(grown, 0, 0, this.end)
    this.buffer = grown
  }
}

function varintBytes(value: number): number {
  let count = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) count++
  return count
}
