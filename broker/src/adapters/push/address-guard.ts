/**
 * Which addresses may be pushed to. Whoever may subscribe chooses where this process connects to (server-side request
 * forgery, OWASP API7), so only the public Internet is open, and an operator names what else is.
 *
 * IPv4 lists what is closed; IPv6 lists what is open (2000::/3 is all that was ever given out) and what is closed in it.
 * The rows are IANA's special-purpose registries (RFC 6890 and later), and addresses of clouds that look public.
 * Pure: it resolves nothing. push-client.ts calls it with every address of a name, and connects to one of them.
 */
import { assert } from "../../core/assert.ts"
import { nameAndPort } from "./allow-list.ts"
import type { AllowList } from "./allow-list.ts"
import type { Endpoint } from "./endpoint.ts"
import { contains, parseAddress, parseNetwork, unmapped } from "./ip-address.ts"
import type { IpNetwork } from "./ip-address.ts"

/** Closed networks. More than one may hold an address; the first one names the reason. */
const FORBIDDEN_ROWS = [
  ["0.0.0.0/8", "unspecified"], // RFC 791: "this network"; Linux takes 0.0.0.0 for loopback
  ["10.0.0.0/8", "private"], // RFC 1918
  ["100.64.0.0/10", "shared"], // RFC 6598, carrier-grade NAT; Alibaba's metadata is 100.100.100.200
  ["127.0.0.0/8", "loopback"],
  ["169.254.0.0/16", "linkLocal"], // RFC 3927; metadata of most clouds is 169.254.169.254, Tencent's 169.254.0.23
  ["172.16.0.0/12", "private"],
  ["192.0.0.0/24", "reserved"], // RFC 6890, IETF protocols; Oracle's older metadata is 192.0.0.192
  ["192.0.2.0/24", "documentation"], // RFC 5737
  ["192.88.99.0/24", "reserved"], // RFC 7526, 6to4 relays
  ["192.168.0.0/16", "private"],
  ["198.18.0.0/15", "benchmarking"], // RFC 2544
  ["198.51.100.0/24", "documentation"],
  ["203.0.113.0/24", "documentation"],
  ["168.63.129.16/32", "metadata"], // Azure's host, at a public address
  ["224.0.0.0/4", "multicast"],
  ["255.255.255.255/32", "broadcast"],
  ["240.0.0.0/4", "reserved"],
  ["::/128", "unspecified"],
  ["::1/128", "loopback"],
  ["::/96", "embedded"], // RFC 4291, IPv4-compatible
  ["::ffff:0:0:0/96", "embedded"], // RFC 2765, IPv4-translated
  ["64:ff9b:1::/48", "embedded"], // RFC 8215, NAT64 of one site
  ["100::/64", "reserved"], // RFC 6666, discard
  ["2001::/32", "embedded"], // RFC 4380, Teredo
  ["2001:2::/48", "benchmarking"], // RFC 5180
  ["2001::/23", "reserved"], // RFC 2928, IETF protocols: ORCHID and others
  ["2001:db8::/32", "documentation"],
  ["2002::/16", "embedded"], // RFC 7526, 6to4
  ["3fff::/20", "documentation"], // RFC 9637
  ["fc00::/7", "private"], // RFC 4193; AWS's metadata is fd00:ec2::254
  ["fe80::/10", "linkLocal"],
  ["fec0::/10", "private"], // RFC 3879, site-local
  ["ff00::/8", "multicast"],
] as const

const FORBIDDEN = FORBIDDEN_ROWS.map(([text, reason]) => ({ network: network(text), reason }))

/** Translators of the network itself (RFC 6052): the DNS of an IPv6-only site gives it for every IPv4 host. */
const NAT64 = network("64:ff9b::/96")
const GLOBAL_UNICAST = network("2000::/3")

/** Below 1,024 live protocols that would read a POST as commands (SMTP for one). */
const OPEN_PORT_MIN = 1_024
const HTTP_PORTS: readonly number[] = [80, 443]

/**
 * Why not. `notGlobal`: an IPv6 address that nobody was given; `embedded`: it stands for an IPv4 address, by a way that is
 * out of use; `notAddress`: no address in its plain form, or none at all; `port`: below 1,024 and not for HTTP.
 */
export type ForbiddenReason = (typeof FORBIDDEN_ROWS)[number][1] | "notGlobal" | "notAddress" | "port"

export type Verdict = { readonly kind: "allowed" } | { readonly kind: "forbidden"; readonly reason: ForbiddenReason }

const ALLOWED: Verdict = { kind: "allowed" }

/**
 * Whether a request to this endpoint may be sent to any of these addresses: allowed only if each one is, since it is the
 * owner of the name who chose their order.
 *
 * @param addresses - all that the name resolved to, or the endpoint's own; none is forbidden.
 */
export function judgeAddresses(endpoint: Endpoint, addresses: readonly string[], allowList: AllowList): Verdict {
  const isTrusted = !endpoint.isAddress && allowList.names.has(nameAndPort(endpoint))
  if (addresses.length === 0) return forbidden("notAddress")
  for (const address of addresses) {
    const bytes = parseAddress(address)
    if (bytes === undefined) return forbidden("notAddress")
    const verdict = isTrusted ? ALLOWED : judge(unmapped(bytes), endpoint.port, allowList)
    if (verdict.kind === "forbidden") return verdict
  }
  return ALLOWED
}

/**
 * What can be said of an endpoint before its name is resolved, for whoever subscribes: its port, and its address if it has
 * one. `allowed` is no promise; every push is judged again.
 */
export function judgeEndpoint(endpoint: Endpoint, allowList: AllowList): Verdict {
  if (endpoint.isAddress) return judgeAddresses(endpoint, [endpoint.host], allowList)
  if (isOpenPort(endpoint.port) || allowList.names.has(nameAndPort(endpoint))) return ALLOWED
  // An address at this port may be on the list; which one it is, the resolver will say.
  return allowList.networks.some(({ port }) => port === endpoint.port) ? ALLOWED : forbidden("port")
}

function judge(bytes: Uint8Array, port: number, allowList: AllowList): Verdict {
  const entries = allowList.networks.filter((entry) => contains(entry.network, bytes))
  if (entries.some((entry) => entry.port === port)) return ALLOWED
  if (!isOpenPort(port)) return forbidden("port")
  return entries.some((entry) => entry.port === undefined) ? ALLOWED : judgeByRules(bytes)
}

function judgeByRules(bytes: Uint8Array): Verdict {
  if (contains(NAT64, bytes)) return judgeByRules(bytes.subarray(12))
  const row = FORBIDDEN.find(({ network }) => contains(network, bytes))
  if (row !== undefined) return forbidden(row.reason)
  return bytes.length === 4 || contains(GLOBAL_UNICAST, bytes) ? ALLOWED : forbidden("notGlobal")
}

function isOpenPort(port: number): boolean {
  return port >= OPEN_PORT_MIN || HTTP_PORTS.includes(port)
}

function forbidden(reason: ForbiddenReason): Verdict {
  return { kind: "forbidden", reason }
}

function network(text: string): IpNetwork {
  const parsed = parseNetwork(text)
  assert(typeof parsed !== "string", "the table of forbidden addresses holds networks")
  return parsed
}
