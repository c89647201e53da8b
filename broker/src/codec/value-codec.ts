/**
 * Plain values as compact tagged bytes: what a follower forwards to the leader, and the answer.
 *
 * Takes undefined, null, booleans, numbers, strings, Uint8Array, arrays and plain objects; anything else is a bug of
 * the caller. Byte arrays come back as views of the given bytes. A key of an object is written once; the next objects
 * name it by its number, so a batch of like messages costs one byte a key.
 *
 * ```
 * tag        what follows
 * 00 01      undefined, null
 * 02 03      false, true
 * 04         i32: a whole number
 * 05         f64: any other number (-0, NaN and the infinities too)
 * 06         u32 length, UTF-8
 * 07         u32 length, bytes
 * 08         u32 count, that many values
 * 09         u16 count, that many (key, value)
 * 40 - 7f    UTF-8 of 0 to 63 bytes
 * 80 - ff    the whole number 0 to 127
 *
 * key        00 - fe: number of a key met before in this value, in order of first use
 *            ff: u8 length, UTF-8; becomes the next number while numbers last
 * ```
 *
 * A text with half a surrogate pair comes back with U+FFFD in its place, as everywhere in UTF-8.
 */
import { Buffer } from "node:buffer"
import { CodecError } from "./codec-error.ts"
import { PartReader } from "./part-reader.ts"
import { PartWriter } from "./part-writer.ts"

/** Deepest nesting of arrays and objects, the outermost counted. */
export const VALUE_DEPTH_MAX = 16
/** Most values in one encoded value, nested ones counted: bounds the memory that a small frame can ask for. */
export const VALUE_COUNT_MAX = 1_000_000

const UNDEFINED = 0x00
const NULL = 0x01
const FALSE = 0x02
const TRUE = 0x03
const INT32 = 0x04
const FLOAT64 = 0x05
const TEXT = 0x06
const BYTES = 0x07
const ARRAY = 0x08
const OBJECT = 0x09
const SHORT_TEXT = 0x40
const SHORT_TEXT_BYTES_MAX = 0x3f
const SMALL_INT = 0x80
const SMALL_INT_MAX = 0x7f

const NEW_KEY = 0xff
const KNOWN_KEYS_MAX = 0xff
const KEY_COUNT_MAX = 0xffff

/**
 * The value as parts; large byte arrays are taken as they are.
 *
 * @throws TypeError for what is not a plain value, or is nested deeper than `VALUE_DEPTH_MAX`: a bug of the caller.
 */
export function encodeValue(value: unknown): Uint8Array[] {
  const writer = new PartWriter()
  new ValueEncoder(writer).write(value, VALUE_DEPTH_MAX)
  return writer.finish()
}

/**
 * The value again. Byte arrays are views of `bytes`.
 *
 * @throws CodecError when the bytes are not exactly one encoded value, or hold a key `__proto__`.
 */
export function decodeValue(bytes: Uint8Array): unknown {
  const reader = new PartReader(bytes)
  const value = new ValueDecoder(reader).read(VALUE_DEPTH_MAX)
  reader.end()
  return value
}

class ValueEncoder {
  readonly #writer: PartWriter
  readonly #keyNumbers = new Map<string, number>()

  constructor(writer: PartWriter) {
    this.#writer = writer
  }

  write(value: unknown, depthLeft: number): void {
    switch (typeof value) {
      case "undefined":
        return this.#writer.u8(UNDEFINED)
      case "boolean":
        return this.#writer.u8(value ? TRUE : FALSE)
      case "number":
        return this.#writeNumber(value)
      case "string":
        return this.#writeText(value)
      case "object":
        return this.#writeObject(value, depthLeft)
      case "bigint":
      case "function":
      case "symbol":
        throw new TypeError(`a ${typeof value} cannot be encoded`)
    }
  }

  #writeNumber(value: number): void {
    const writer = this.#writer
    if ((value | 0) !== value || Object.is(value, -0)) {
      writer.u8(FLOAT64)
      writer.f64(value)
    } else if (value >= 0 && value <= SMALL_INT_MAX) {
      writer.u8(SMALL_INT | value)
    } else {
      writer.u8(INT32)
      writer.i32(value)
    }
  }

  #writeText(value: string): void {
    const writer = this.#writer
    // No text is shorter in UTF-8 than in UTF-16 units, so a long one need not be measured twice.
    const length = value.length <= SHORT_TEXT_BYTES_MAX ? Buffer.byteLength(value) : Infinity
    if (length <= SHORT_TEXT_BYTES_MAX) {
      writer.u8(SHORT_TEXT | length)
      writer.textOf(value, length)
    } else {
      writer.u8(TEXT)
      writer.text(value)
    }
  }

  #writeObject(value: object | null, depthLeft: number): void {
    const writer = this.#writer
    if (value === null) return writer.u8(NULL)
    if (value instanceof Uint8Array) {
      writer.u8(BYTES)
      writer.u32(value.length)
      return writer.bytes(value)
    }
    if (depthLeft === 0) throw new TypeError(`a value nested deeper than ${String(VALUE_DEPTH_MAX)}`)
    if (Array.isArray(value)) {
      writer.u8(ARRAY)
      writer.u32(value.length)
      for (const item of value) this.write(item, depthLeft - 1)
      return
    }
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype !== Object.prototype && prototype !== null) throw new TypeError("only plain objects can be encoded")
    this.#writeFields(value as Record<string, unknown>, depthLeft)
  }

  #writeFields(value: Record<string, unknown>, depthLeft: number): void {
    const keys = Object.keys(value)
    if (keys.length > KEY_COUNT_MAX) throw new TypeError(`an object of ${String(keys.length)} keys`)
    this.#writer.u8(OBJECT)
    this.#writer.u16(keys.length)
    for (const key of keys) {
      this.#writeKey(key)
      this.write(value[key], depthLeft - 1)
    }
  }

  #writeKey(key: string): void {
    const known = this.#keyNumbers.get(key)
    if (known !== undefined) return this.#writer.u8(known)
    if (key === "__proto__") throw new TypeError("a key __proto__ cannot be encoded")
    if (this.#keyNumbers.size < KNOWN_KEYS_MAX) this.#keyNumbers.set(key, this.#keyNumbers.size)
    this.#writer.u8(NEW_KEY)
    this.#writer.shortText(key)
  }
}

class ValueDecoder {
  readonly #reader: PartReader
  readonly #keys: string[] = []
  #valuesLeft = VALUE_COUNT_MAX

  constructor(reader: PartReader) {
    this.#reader = reader
  }

  read(depthLeft: number): unknown {
    if (this.#valuesLeft-- === 0) throw new CodecError(`more than ${String(VALUE_COUNT_MAX)} values`)
    const reader = this.#reader
    const tag = reader.u8()
    if (tag >= SMALL_INT) return tag - SMALL_INT
    if (tag >= SHORT_TEXT) return reader.textOf(tag - SHORT_TEXT)
    switch (tag) {
      case UNDEFINED:
        return undefined
      case NULL:
        return null
      case FALSE:
        return false
      case TRUE:
        return true
      case INT32:
        return reader.i32()
      case FLOAT64:
        return reader.f64()
      case TEXT:
        return reader.text()
      case BYTES:
        return reader.bytes(reader.u32())
      case ARRAY:
        return this.#readArray(depthLeft)
      case OBJECT:
        return this.#readFields(depthLeft)
      default:
        throw new CodecError(`no value has the tag 0x${tag.toString(16)}`)
    }
  }

  #readArray(depthLeft: number): unknown[] {
    const count = this.#reader.checkCount(this.#reader.u32(), 1)
    checkDepth(depthLeft)
    const items: unknown[] = []
    for (let i = 0; i < count; i += 1) items.push(this.read(depthLeft - 1))
    return items
  }

  #readFields(depthLeft: number): Record<string, unknown> {
    const count = this.#reader.checkCount(this.#reader.u16(), 2)
    checkDepth(depthLeft)
    const value: Record<string, unknown> = {}
    for (let i = 0; i < count; i += 1) {
      const key = this.#readKey()
      value[key] = this.read(depthLeft - 1)
    }
    return value
  }

  #readKey(): string {
    const number = this.#reader.u8()
    if (number !== NEW_KEY) {
      const known = this.#keys[number]
      if (known === undefined) throw new CodecError(`key ${String(number)} was not met before`)
      return known
    }
    const key = this.#reader.shortText()
    // Assigned to a plain object it would change the object's prototype instead of adding a field.
    if (key === "__proto__") throw new CodecError("a key __proto__")
    if (this.#keys.length < KNOWN_KEYS_MAX) this.#keys.push(key)
    return key
  }
}

function checkDepth(depthLeft: number): void {
  if (depthLeft === 0) throw new CodecError(`a value nested deeper than ${String(VALUE_DEPTH_MAX)}`)
}
