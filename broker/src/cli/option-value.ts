/**
 * What a value of an option may be, by the kind of its row: how it is read, and the words for it. Five kinds of one value each:
 * a schema library would cost every start of a broker more than all of this (ADR 0023).
 */
import type { OptionRow, PeerOption } from "../options.ts"

const PEERS_MAX = 63
const ID_MAX = 65_535
const PORT_MAX = 65_535

/** The value that a text of a flag, or a value of a file, stands for; undefined when the row does not allow it. */
export function readOptionValue(row: OptionRow, raw: unknown): unknown {
  switch (row.kind) {
    case "integer": {
      const value = typeof raw === "string" && /^-?\d{1,15}$/.test(raw) ? Number(raw) : raw
      return isWholeNumber(value, row.min, row.max) ? value : undefined
    }
    case "text":
      return typeof raw === "string" && row.pattern.test(raw) ? raw : undefined
    case "choice":
      return row.choices.find((choice) => choice === raw)
    case "boolean":
      if (raw === true || raw === "true") return true
      return raw === false || raw === "false" ? false : undefined
    case "peers":
      return readPeers(raw)
  }
}

function isWholeNumber(value: unknown, min: number, max: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max
}

/** `1=host:port,2=[::1]:port`, or in a file a mapping from id to `host:port`. By id. */
function readPeers(raw: unknown): PeerOption[] | undefined {
  const pairs = peerPairs(raw)
  if (pairs === undefined || pairs.length > PEERS_MAX) return undefined
  const peers = pairs.map(([id, address]) => readPeer(id, address)).filter((peer) => peer !== undefined)
  const isEachOnce = new Set(peers.map(({ id }) => id)).size === pairs.length
  return isEachOnce ? peers.sort((a, b) => a.id - b.id) : undefined
}

function peerPairs(raw: unknown): readonly (readonly [string, unknown])[] | undefined {
  if (typeof raw === "object" && raw !== null) return Object.entries(raw as Record<string, unknown>)
  if (typeof raw !== "string") return undefined
  const items = raw.split(",").map((item) => item.trim())
  return items.filter((item) => item !== "").map(splitOnce)
}

function splitOnce(item: string): readonly [string, string] {
  const at = item.indexOf("=")
  return at < 0 ? [item, ""] : [item.slice(0, at), item.slice(at + 1)]
}

function readPeer(id: string, address: unknown): PeerOption | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.%]{1,255})\]|([A-Za-z0-9._-]{1,255})):(\d{1,5})$/.exec(String(address).trim())
  const host = match?.[1] ?? match?.[2]
  const peer = { id: /^\d+$/.test(id) ? Number(id) : 0, host: host ?? "", port: Number(match?.[3]) }
  const isAllowed = isWholeNumber(peer.id, 1, ID_MAX) && host !== undefined && isWholeNumber(peer.port, 1, PORT_MAX)
  return isAllowed ? peer : undefined
}

/** What a value must be, in words. */
export function allowed(row: OptionRow): string {
  switch (row.kind) {
    case "integer":
      return `a whole number from ${String(row.min)} to ${String(row.max)}${UNIT_WORDS[row.unit]}`
    case "text":
      return row.allowed
    case "choice":
      return `one of ${row.choices.join(", ")}`
    case "boolean":
      return "true or false"
    case "peers":
      return "a list as 1=host:port,2=host:port, each id (1 to 65535) once"
  }
}

const UNIT_WORDS = { bytes: " (bytes)", count: "", ms: " (milliseconds)", number: "", s: " (seconds)" } as const
