/**
 * Forms (`application/x-www-form-urlencoded`) from bytes, in one pass over query and body.
 *
 * Stricter than a browser, because a signature hangs on every byte: a broken escape, bytes that are not UTF-8, and a
 * parameter given twice (also once in the query and once in the body) are refused, never guessed. Names are kept in
 * a Map, so `__proto__` is a name like any other.
 *
 * Invariant: work and memory are linear in the length of the input, whatever is in it.
 */
import { isUtf8 } from "node:buffer"
import type { ErrorName } from "@opencmq/proto"
import type { Refusal } from "./error-reply.ts"

/** Bounds of one form; the length of the whole is the server's business. */
export interface FormLimits {
  readonly maxParameters: number
}

/** The parameters, decoded, in the order of arrival; or the refusal. */
export type FormResult =
  | { readonly ok: true; readonly params: ReadonlyMap<string, string> }
  | { readonly ok: false; readonly refusal: Refusal }

/** Longest parameter name, in bytes. CMQ's longest is under 30. */
export const NAME_BYTES_MAX = 128
/** Longest value of any parameter but a body, in bytes; the longest legal one is an attribute value of 8 KiB in base64. */
export const VALUE_BYTES_MAX = 16_384

const AMPERSAND = 0x26
const EQUALS = 0x3d
const PERCENT = 0x25
const PLUS = 0x2b
const SPACE = 0x20
const DELETE = 0x7f

/** Value of a hexadecimal digit by its byte, 255 for any other byte. */
const HEX = new Uint8Array(256).fill(255)
for (let digit = 0; digit < 16; digit++) {
  const text = digit.toString(16)
  HEX[text.charCodeAt(0)] = digit
  HEX[text.toUpperCase().charCodeAt(0)] = digit
}

/**
 * Reads the parameters of a request: those of the query, then those of the body.
 *
 * Refusals: `requestTooLarge` (too many parameters, or an escape that is none), `parameterKeyFormat`,
 * `parameterNotRepeatable`, `parameterOutOfRange` (value too long), `bodyUnreadable` (not UTF-8).
 */
export function readForm(query: Uint8Array, body: Uint8Array, limits: FormLimits): FormResult {
  const reader = new FormReader(limits)
  const refusal = reader.read(query) ?? reader.read(body)
  return refusal === undefined ? { ok: true, params: reader.params } : { ok: false, refusal }
}

/**
 * Where a name or a value is decoded before it becomes a string; used again and again, since reading never waits.
 * It grows to the longest one seen and shrinks no more: the server bounds it.
 */
let scratch = Buffer.allocUnsafe(65_536)

class FormReader {
  readonly params = new Map<string, string>()
  private readonly limits: FormLimits
  /** Bytes of `scratch` that the last `decode` wrote, and whether all of them are below 0x80. */
  private length = 0
  private isAscii = true
  private refusal: Refusal | undefined

  constructor(limits: FormLimits) {
    this.limits = limits
  }

  read(bytes: Uint8Array): Refusal | undefined {
    const input = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    if (scratch.length < input.length) scratch = Buffer.allocUnsafe(input.length)
    let position = 0
    while (position < input.length) {
      if (input[position] === AMPERSAND) {
        position++
        continue
      }
      const end = this.readPair(input, position)
      if (end < 0) return this.refusal
      position = end
    }
    return undefined
  }

  /** @returns where the pair ends, or -1 when refused. */
  private readPair(input: Buffer, start: number): number {
    const nameEnd = this.decode(input, start, true)
    if (nameEnd < 0) return this.refuse("requestTooLarge", "a parameter name with a broken escape")
    const name = this.readName()
    if (name === undefined) return -1
    if (this.params.has(name)) return this.refuse("parameterNotRepeatable", name)
    if (this.params.size >= this.limits.maxParameters) {
      return this.refuse("requestTooLarge", `more than ${String(this.limits.maxParameters)} parameters`)
    }
    if (input[nameEnd] !== EQUALS) {
      this.params.set(name, "")
      return nameEnd
    }
    const plainEnd = plainRunEnd(input, nameEnd + 1)
    if (plainEnd >= 0) return this.readPlainValue(name, input.subarray(nameEnd + 1, plainEnd)) ? plainEnd : -1
    const valueEnd = this.decode(input, nameEnd + 1, false)
    if (valueEnd < 0) return this.refuse("requestTooLarge", `the escapes of parameter ${name}`)
    return this.readValue(name) ? valueEnd : -1
  }

  /**
   * Decodes into `scratch` up to `&`, the end, and for a name up to `=`.
   *
   * @returns the place of the terminator, or -1 on `%` without two hexadecimal digits.
   */
  private decode(input: Uint8Array, start: number, isName: boolean): number {
    // Locals: this loop runs over every byte that anybody sends.
    const target = scratch
    const inputLength = input.length
    let length = 0
    let seen = 0
    let position = start
    for (; position < inputLength; position++) {
      let byte = input[position] as number
      if (byte <= EQUALS) {
        if (byte === AMPERSAND || (isName && byte === EQUALS)) break
        if (byte === PLUS) byte = SPACE
        else if (byte === PERCENT) {
          byte = escapedByte(input, position)
          if (byte < 0) return -1
          position += 2
        }
      }
      seen |= byte
      target[length++] = byte
    }
    this.length = length
    this.isAscii = seen < 0x80
    return position
  }

  /** A name is 1 to 128 printable ASCII characters without `&`, `=` and blank: whatever else would make signing ambiguous. */
  private readName(): string | undefined {
    const name = scratch.toString("latin1", 0, Math.min(this.length, NAME_BYTES_MAX))
    if (this.length > 0 && this.length <= NAME_BYTES_MAX && isPrintable(scratch, this.length)) return name
    this.refuse("parameterKeyFormat", name.replaceAll(/[^\x21-\x7e]/g, "?"))
    return undefined
  }

  private readValue(name: string): boolean {
    if (this.isAscii && this.length <= VALUE_BYTES_MAX) {
      this.params.set(name, scratch.toString("latin1", 0, this.length))
      return true
    }
    return this.readPlainValue(name, scratch.subarray(0, this.length))
  }

  /** A value that needs no decoding any more. */
  private readPlainValue(name: string, value: Buffer): boolean {
    if (value.length > VALUE_BYTES_MAX && !name.startsWith("msgBody")) {
      this.refuse("parameterOutOfRange", name)
      return false
    }
    if (!isUtf8(value)) {
      this.refuse("bodyUnreadable", name)
      return false
    }
    this.params.set(name, value.toString("utf8"))
    return true
  }

  private refuse(error: ErrorName, argument: string): -1 {
    this.refusal = { error, args: [argument] }
    return -1
  }
}

/** From here on it is worth asking for the next escape instead of looking at each byte. */
const LONG_VALUE_BYTES = 256

/**
 * Where a long value without any escape ends, or -1 for every other value.
 *
 * The searches run at memory speed, and each stops at the end of the value or soon behind: what they pass over is
 * passed over once more, so a form of many such values still costs linear time.
 */
function plainRunEnd(input: Buffer, start: number): number {
  // Most values are short; most long ones with escapes show one soon.
  const probe = Math.min(start + LONG_VALUE_BYTES, input.length)
  for (let position = start; position < probe; position++) {
    const byte = input[position] as number
    if (byte === PERCENT || byte === PLUS || byte === AMPERSAND) return -1
  }
  const found = input.indexOf(AMPERSAND, probe)
  const end = found === -1 ? input.length : found
  const value = input.subarray(probe, end)
  return value.includes(PERCENT) || value.includes(PLUS) ? -1 : end
}

/** The byte that `%xx` stands for, or -1. */
function escapedByte(input: Uint8Array, position: number): number {
  if (position + 2 >= input.length) return -1
  const high = HEX[input[position + 1] as number] as number
  const low = HEX[input[position + 2] as number] as number
  return (high | low) > 15 ? -1 : (high << 4) | low
}

function isPrintable(bytes: Uint8Array, length: number): boolean {
  for (let index = 0; index < length; index++) {
    const byte = bytes[index] as number
    if (byte <= SPACE || byte >= DELETE || byte === AMPERSAND || byte === EQUALS) return false
  }
  return true
}
