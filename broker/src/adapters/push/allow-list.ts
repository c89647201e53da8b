/**
 * What an operator allows in spite of the rules: private networks, or single places. Each entry is one of
 *
 * ```
 *   10.0.0.0/8   fd00::/8        a network: its addresses, at the ports that are open to all
 *   10.1.2.3     fd00::1         one address, likewise
 *   10.1.2.3:25  [fd00::1]:25    one address at one port, whatever the port
 *   hooks.intern.example:8080    one name at one port, to whatever addresses it resolves: its DNS is trusted
 * ```
 *
 * A network allows what is in it, a cloud's metadata service too: 0.0.0.0/0 turns the guard off for IPv4.
 */
import { readEndpoint } from "./endpoint.ts"
import { parseAddress, parseNetwork, singleAddress } from "./ip-address.ts"
import type { IpNetwork, NetworkProblem } from "./ip-address.ts"

/** Entries of one list; each is looked at for each address. */
export const ALLOW_ENTRIES_MAX = 256

export interface AllowList {
  readonly networks: readonly AllowedNetwork[]
  /** `name:port`, the name as in `Endpoint.host`. */
  readonly names: ReadonlySet<string>
}

export interface AllowedNetwork {
  readonly network: IpNetwork
  /** Only at this port; undefined = at every port that is open to all. */
  readonly port: number | undefined
}

/** Nothing beyond the rules. */
export const NOTHING_ALLOWED: AllowList = { networks: [], names: new Set() }

export type AllowProblem = NetworkProblem | "portMissing" | "hostInvalid" | "tooManyEntries"

/** The list, or the first entry that cannot be read and why. */
export type AllowListReading =
  | { readonly ok: true; readonly value: AllowList }
  | { readonly ok: false; readonly entry: string; readonly problem: AllowProblem }

/** Reads the entries, in the forms above and no other. Blanks around an entry are its owner's to remove. */
export function readAllowList(entries: readonly string[]): AllowListReading {
  const networks: AllowedNetwork[] = []
  const names = new Set<string>()
  for (const [index, entry] of entries.entries()) {
    const read = index < ALLOW_ENTRIES_MAX ? readEntry(entry) : "tooManyEntries"
    if (typeof read === "string") return { ok: false, entry, problem: read }
    if ("network" in read) networks.push(read)
    else names.add(nameAndPort(read))
  }
  return { ok: true, value: { networks, names } }
}

/** The key of `AllowList.names`. */
export function nameAndPort({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${host}:${String(port)}`
}

function readEntry(entry: string): AllowedNetwork | { readonly host: string; readonly port: number } | AllowProblem {
  if (entry.includes("/")) {
    const network = parseNetwork(entry)
    return typeof network === "string" ? network : { network, port: undefined }
  }
  const address = parseAddress(entry)
  if (address !== undefined) return { network: singleAddress(address), port: undefined }
  if (!/:\d{1,5}$/.test(entry)) return "portMissing"
  if (/[?#]/.test(entry)) return "hostInvalid"
  // The same reader as for endpoints, so that a name is found however it was spelled.
  const read = readEndpoint(`http://${entry}`)
  if (!read.ok) return "hostInvalid"
  const { host, port, isAddress } = read.value
  const bytes = isAddress ? parseAddress(host) : undefined
  return bytes === undefined ? { host, port } : { network: singleAddress(bytes), port }
}
