/**
 * Protobuf's wire form, walked field by field over the bytes as they came: bodies are views, not copies. Only what the
 * streams need. Source: protobuf.dev, "Encoding".
 *
 * It throws `WireError` at whatever is no message; who reads a request catches it and refuses the request.
 */
import { isUtf8 } from "node:buffer"

/** The bytes are not of the expected form. */
export class WireError extends Error {}

const VARINT = 0
const FIXED_64 = 1
const LENGTH = 2
const FIXED_32 = 5
const VARINT_BYTES_MAX = 10
/** Seven bytes of a varint have 49 bits: they fit a number. */
const EXACT_BYTES = 7
const FIELD_MAX = 536_870_911

/** Reads one message; messages inside of it have readers of their own. */
export class WireReader {
  private readonly buffer: Buffer
  private position = 0
  private type = VARINT
  /** Number of the field that `next` found. */
  field = 0

  constructor(buffer: Buffer) {
    this.buffer = buffer
  }

  /** Goes to the next field, whose value has to be read or skipped. False at the end. */
  next(): boolean {
    if (this.position >= this.buffer.length) return false
    const tag = this.varint()
    this.type = tag % 8
    this.field = (tag - this.type) / 8
    if (this.field < 1 || this.field > FIELD_MAX) throw new WireError("a field has no number")
    return true
  }

  /** An int32, int64, uint32 or uint64. What a number cannot hold exactly is about as large, and so out of every range. */
  number(): number {
    this.expect(VARINT)
    return this.varint()
  }

  /** The bytes of a varint, to be sent back as they are. */
  rawVarint(): Uint8Array {
    this.expect(VARINT)
    const start = this.position
    this.varint()
    return this.buffer.subarray(start, this.position)
  }

  /** A view of the bytes. */
  bytes(): Buffer {
    this.expect(LENGTH)
    return this.slice()
  }

  text(): string {
    const bytes = this.bytes()
    if (!isUtf8(bytes)) throw new WireError(`field ${String(this.field)} is not UTF-8`)
    return bytes.toString("utf8")
  }

  message(): WireReader {
    return new WireReader(this.bytes())
  }

  /** Leaves a field out that is not known here. */
  skip(): void {
    if (this.type === VARINT) this.varint()
    else if (this.type === LENGTH) this.slice()
    else if (this.type === FIXED_64) this.advance(8)
    else if (this.type === FIXED_32) this.advance(4)
    else throw new WireError(`wire type ${String(this.type)} is not known`)
  }

  private expect(type: number): void {
    if (this.type !== type) throw new WireError(`field ${String(this.field)} has another type`)
  }

  private slice(): Buffer {
    const length = this.varint()
    const start = this.position
    this.advance(length)
    return this.buffer.subarray(start, this.position)
  }

  private advance(bytes: number): void {
    if (!(bytes >= 0 && bytes <= this.buffer.length - this.position)) throw new WireError("the message ends too early")
    this.position += bytes
  }

  private varint(): number {
    const start = this.position
    let value = 0
    let scale = 1
    for (let count = 1; count <= EXACT_BYTES; count++) {
      const byte = this.buffer[this.position++]
      if (byte === undefined) throw new WireError("the message ends too early")
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
      scale *= 0x80
    }
    return this.longVarint(start)
  }

  /** Eight to ten bytes: negative numbers have ten. */
  private longVarint(start: number): number {
    this.position = start
    let value = 0n
    for (let count = 0; count < VARINT_BYTES_MAX; count++) {
      const byte = this.buffer[this.position++]
      if (byte === undefined) throw new WireError("the message ends too early")
      value |= BigInt(byte & 0x7f) << BigInt(7 * count)
      if (byte < 0x80) return Number(BigInt.asIntN(64, value))
    }
    throw new WireError("a number has more than ten bytes")
  }
}
