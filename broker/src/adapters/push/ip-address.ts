/**
 * IP addresses and networks as bytes in network order: 4 for IPv4, 16 for IPv6. Strict on purpose: the odd spellings of an
 * address (`0x7f.1`, `2130706433`) are undone by the URL parser in endpoint.ts, and nobody else may bring them.
 */
import { isIPv4, isIPv6 } from "node:net"

/** All addresses whose first `prefixBits` bits are those of `bytes`; the other bits of `bytes` are 0. */
export interface IpNetwork {
  readonly bytes: Uint8Array
  /** 0 to 32 or 128. */
  readonly prefixBits: number
}

/** Why a text is not a network. `hostBitsSet`: `10.0.0.1/8`, where 10.0.0.0/8 or 10.0.0.1/32 may have been meant. */
export type NetworkProblem = "addressInvalid" | "prefixInvalid" | "hostBitsSet"

const MAPPED_PREFIX_BITS = 96
const MAPPED_BYTES = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff)

/**
 * The bytes of an address in its plain form: four decimal numbers without leading zeros, or IPv6 without a zone.
 *
 * @returns undefined for everything else. `::ffff:1.2.3.4` stays IPv6; see `unmapped`.
 */
export function parseAddress(text: string): Uint8Array | undefined {
  if (isIPv4(text)) return Uint8Array.from(text.split("."), Number)
  if (!isIPv6(text) || text.includes("%")) return undefined
  // At most one "::", or it would be no address.
  const [front = "", back = ""] = text.split("::")
  const bytes = new Uint8Array(16)
  bytes.set(groupBytes(front))
  const tail = groupBytes(back)
  bytes.set(tail, bytes.length - tail.length)
  return bytes
}

function groupBytes(groups: string): number[] {
  if (groups === "") return []
  return groups.split(":").flatMap((group) => {
    if (group.includes(".")) return group.split(".").map(Number)
    const value = Number.parseInt(group, 16)
    return [value >> 8, value & 0xff]
  })
}

/** The IPv4 address that an IPv4-mapped one (`::ffff:0:0/96`) means to the kernel; every other address as it is. */
export function unmapped(bytes: Uint8Array): Uint8Array {
  return bytes.length === 16 && MAPPED_BYTES.every((byte, at) => bytes[at] === byte) ? bytes.subarray(12) : bytes
}

/** The network that holds one address only. */
export function singleAddress(bytes: Uint8Array): IpNetwork {
  const own = unmapped(bytes)
  return { bytes: own, prefixBits: own.length * 8 }
}

/** A network in CIDR notation, `10.0.0.0/8` or `fd00::/8`. A mapped one becomes the IPv4 network that it means. */
export function parseNetwork(text: string): IpNetwork | NetworkProblem {
  const [, address = "", prefix = ""] = /^([^/]*)\/(\d{1,3})$/.exec(text) ?? []
  if (prefix === "") return "prefixInvalid"
  const bytes = parseAddress(address)
  if (bytes === undefined) return "addressInvalid"
  const prefixBits = Number(prefix)
  if (prefixBits > bytes.length * 8) return "prefixInvalid"
  const isClean = bytes.every((byte, at) => (byte & ~byteMask(prefixBits, at)) === 0)
  if (!isClean) return "hostBitsSet"
  const own = unmapped(bytes)
  if (own.length === bytes.length || prefixBits < MAPPED_PREFIX_BITS) return { bytes, prefixBits }
  return { bytes: own, prefixBits: prefixBits - MAPPED_PREFIX_BITS }
}

/** Whether the address, IPv4 or IPv6 as the network is, lies in it. At most 16 steps. */
export function contains(network: IpNetwork, bytes: Uint8Array): boolean {
  if (bytes.length !== network.bytes.length) return false
  return network.bytes.every((byte, at) => ((bytes[at] ?? 0) & byteMask(network.prefixBits, at)) === byte)
}

/** The bits of the byte at `at` that belong to the prefix. */
function byteMask(prefixBits: number, at: number): number {
  const bits = Math.min(Math.max(prefixBits - at * 8, 0), 8)
  return (0xff << (8 - bits)) & 0xff
}
