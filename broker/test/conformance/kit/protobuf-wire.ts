/**
 * Protobuf's wire format by hand, without a description and without protobufjs: the tests of the TCP face are a second
 * opinion on what the broker's codec says. A field is `[number, value]`: bigint = varint, text or bytes = with length.
 */

export type WireField = readonly [number: number, value: bigint | string | Uint8Array]

/** A field as it was read. */
export interface ReadField {
  readonly number: number
  readonly value: bigint | Buffer
}

export function message(...fields: readonly WireField[]): Buffer {
  return Buffer.concat(
    fields.flatMap(([number, value]) => {
      if (typeof value === "bigint") return [varint(BigInt(number) << 3n), varint(BigInt.asUintN(64, value))]
      const bytes = typeof value === "string" ? Buffer.from(value, "utf8") : value
      return [varint((BigInt(number) << 3n) | 2n), varint(BigInt(bytes.length)), bytes]
    }),
  )
}

export function varint(value: bigint): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  return Buffer.from([...bytes, Number(rest)])
}

/** In the order of the bytes. @throws RangeError on what is no message of varints and lengths. */
export function fieldsOf(bytes: Buffer): ReadField[] {
  const fields: ReadField[] = []
  let at = 0
  const next = (): bigint => {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes.readUInt8(at++)
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    throw new RangeError("a varint without an end")
  }
  while (at < bytes.length) {
    const tag = next()
    const number = Number(tag >> 3n)
    const kind = tag & 7n
    const value = next()
    if (kind === 0n) fields.push({ number, value })
    else if (kind === 2n && at + Number(value) <= bytes.length) {
      fields.push({ number, value: bytes.subarray(at, (at += Number(value))) })
    } else throw new RangeError(`field ${String(number)} of wire type ${String(kind)}`)
  }
  return fields
}

/** The numbers of a field that may be repeated. */
export function numbersIn(fields: readonly ReadField[], number: number): bigint[] {
  return fields.flatMap((field) => (field.number === number && typeof field.value === "bigint" ? [field.value] : []))
}

/** The texts, bytes or messages of a field that may be repeated. */
export function piecesIn(fields: readonly ReadField[], number: number): Buffer[] {
  return fields.flatMap((field) => (field.number === number && typeof field.value !== "bigint" ? [field.value] : []))
}
