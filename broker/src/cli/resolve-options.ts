/**
 * Decides what each option is: flag before environment before file before default. Whatever is wrong is said with the
 * name, the value, where it came from and what is allowed; with one problem nothing starts.
 */
import { LineCounter, isMap, isScalar, parseDocument } from "yaml"
import { z } from "zod"
import {
  DEVELOPMENT_SECRET_ID,
  DEVELOPMENT_SECRET_KEY,
  OPTION_NAMES,
  OTHER_ENVIRONMENT_NAMES,
  environmentNameOf,
  flagOf,
  optionRow,
  type OptionName,
  type OptionRow,
  type PeerOption,
  type ServerOptions,
} from "../options.ts"
import { nearest } from "./nearest.ts"

export interface OptionSources {
  /** By option name; as written on the command line. */
  readonly flags: Readonly<Record<string, string | undefined>>
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly file: { readonly path: string; readonly text: string } | undefined
}

/** Where the value of each option came from: `flag --node-id`, `OPENCMQ_NODE_ID`, `opencmq.yaml:3`, `default`. */
export type OptionOrigins = Readonly<Record<OptionName, string>>

export type ResolvedOptions =
  | {
      readonly ok: true
      readonly options: ServerOptions
      readonly origins: OptionOrigins
      readonly warnings: readonly string[]
    }
  | {
      readonly ok: false
      readonly problems: readonly string[]
      readonly warnings: readonly string[]
      /** What they would be, when each alone is right and only together they are not. */
      readonly found: { readonly options: ServerOptions; readonly origins: OptionOrigins } | undefined
    }

interface Found {
  readonly raw: unknown
  readonly origin: string
}

export function resolveOptions(sources: OptionSources): ResolvedOptions {
  const problems: string[] = []
  const file = readFile(sources.file, problems)
  const warnings = unknownVariables(sources.environment)
  const options: Record<string, unknown> = {}
  const origins: Record<string, string> = {}
  for (const name of OPTION_NAMES) {
    const row = optionRow(name)
    const found = find(name, sources, file)
    origins[name] = found?.origin ?? "default"
    options[name] = row.default
    if (found === undefined) continue
    const checked = schemaOf(row).safeParse(found.raw)
    if (checked.success) options[name] = checked.data
    else
      problems.push(
        `${name} (${found.origin}): ${shown(row, found.raw)} is not allowed; ${allowed(row)}${quoted(row, found.raw)}`,
      )
  }
  if (problems.length > 0) return { ok: false, problems, warnings, found: undefined }
  fillDevelopmentKeys(options, origins)
  const resolved = { options: options as unknown as ServerOptions, origins: origins as OptionOrigins }
  problems.push(...contradictions(resolved.options, resolved.origins))
  warnings.push(...doubts(resolved.options))
  return problems.length > 0 ? { ok: false, problems, warnings, found: resolved } : { ok: true, ...resolved, warnings }
}

function find(name: OptionName, sources: OptionSources, file: ReadonlyMap<string, Found>): Found | undefined {
  const flag = sources.flags[name]
  if (flag !== undefined) return { raw: flag, origin: `flag ${flagOf(name)}` }
  const variable = environmentNameOf(name)
  const value = sources.environment[variable]
  // An empty variable is how many tools say "not set".
  if (value !== undefined && value !== "") return { raw: value, origin: variable }
  return file.get(name)
}

function readFile(file: OptionSources["file"], problems: string[]): ReadonlyMap<string, Found> {
  const found = new Map<string, Found>()
  if (file === undefined) return found
  const lines = new LineCounter()
  const document = parseDocument(file.text, { lineCounter: lines, prettyErrors: false, logLevel: "silent" })
  const place = (offset: number) => `${file.path}:${String(lines.linePos(offset).line)}`
  for (const error of document.errors) problems.push(`${place(error.pos[0])}: ${error.message}`)
  const { contents } = document
  if (contents === null || problems.length > 0) return found
  if (!isMap(contents)) {
    problems.push(`${file.path}:1: a list of "option: value" is expected`)
    return found
  }
  for (const { key, value } of contents.items) {
    const name = isScalar(key) ? String(key.value) : String(key)
    const at = place(isScalar(key) ? (key.range?.[0] ?? 0) : 0)
    if (!OPTION_NAMES.includes(name as OptionName)) {
      problems.push(`${name} (${at}): unknown option${suggestion(name, OPTION_NAMES)}`)
      continue
    }
    const raw = contents.get(name, false) as unknown
    if (raw !== null) found.set(name, { raw: isMap(value) ? value.toJSON() : raw, origin: at })
  }
  return found
}

/** One warning for each variable `OPENCMQ_...` that nothing reads. */
export function unknownVariables(environment: OptionSources["environment"]): string[] {
  const known = [...OPTION_NAMES.map(environmentNameOf), ...OTHER_ENVIRONMENT_NAMES]
  return Object.keys(environment)
    .filter((name) => name.startsWith("OPENCMQ_") && !known.includes(name))
    .map((name) => `${name} (environment): unknown variable, left alone${suggestion(name, known)}`)
}

function suggestion(name: string, known: readonly string[]): string {
  const near = nearest(name, known)
  return near === undefined ? "" : `; did you mean "${near}"?`
}

function schemaOf(row: OptionRow): z.ZodType {
  switch (row.kind) {
    case "integer":
      return z.preprocess(
        (raw) => (typeof raw === "string" && /^-?\d{1,15}$/.test(raw) ? Number(raw) : raw),
        z.int().min(row.min).max(row.max),
      )
    case "text":
      return z.string().regex(row.pattern)
    case "choice":
      return z.enum(row.choices)
    case "boolean":
      return z.preprocess((raw) => (raw === "true" ? true : raw === "false" ? false : raw), z.boolean())
    case "peers":
      return z.preprocess(parsePeers, peerList)
  }
}

const peerList = z
  .array(
    z.object({
      id: z.int().min(1).max(65_535),
      host: z.string().min(1).max(255),
      port: z.int().min(1).max(65_535),
    }),
  )
  .max(63)
  .refine((peers) => new Set(peers.map(({ id }) => id)).size === peers.length)

/** `1=host:port,2=[::1]:port`, or in a file a mapping from id to `host:port`. Anything else is left to be refused. */
function parsePeers(raw: unknown): unknown {
  if (typeof raw === "object" && raw !== null) return parsePeerPairs(Object.entries(raw as Record<string, unknown>))
  if (typeof raw !== "string") return raw
  const items = raw.split(",").filter((item) => item.trim() !== "")
  return parsePeerPairs(items.map((item) => splitOnce(item.trim())))
}

function splitOnce(item: string): readonly [string, string] {
  const at = item.indexOf("=")
  return at < 0 ? [item, ""] : [item.slice(0, at), item.slice(at + 1)]
}

function parsePeerPairs(pairs: readonly (readonly [string, unknown])[]): PeerOption[] {
  const peers = pairs.map(([id, address]) => {
    const match = /^(?:\[([0-9A-Fa-f:.%]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(String(address).trim())
    return { id: /^\d+$/.test(id) ? Number(id) : NaN, host: match?.[1] ?? match?.[2] ?? "", port: Number(match?.[3]) }
  })
  return peers.sort((a, b) => a.id - b.id)
}

function shown(row: OptionRow, raw: unknown): string {
  if (row.isSecret === true) return "its value"
  return typeof raw === "string" ? `"${raw}"` : JSON.stringify(raw)
}

/** YAML takes an unquoted 123 for a number. */
function quoted(row: OptionRow, raw: unknown): string {
  return row.kind === "text" && typeof raw !== "string" ? ", as a text: put it in quotes" : ""
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

function fillDevelopmentKeys(options: Record<string, unknown>, origins: Record<string, string>): void {
  if (options["devMode"] !== true || options["secretId"] !== undefined || options["secretKey"] !== undefined) return
  options["secretId"] = DEVELOPMENT_SECRET_ID
  options["secretKey"] = DEVELOPMENT_SECRET_KEY
  origins["secretId"] = origins["secretKey"] = "default of devMode"
}

/** Options that are right alone and wrong together. */
function contradictions(options: ServerOptions, origins: OptionOrigins): string[] {
  const found: string[] = []
  const { peers, nodeId, secretId, secretKey } = options
  if (peers.length > 0 && !peers.some(({ id }) => id === nodeId)) {
    found.push(
      `peers (${origins.peers}): node ${String(nodeId)} itself is missing; list all nodes (nodeId: ${origins.nodeId})`,
    )
  }
  if ((secretId === undefined) !== (secretKey === undefined)) {
    const [given, missing] = secretId === undefined ? ["secretKey", "secretId"] : ["secretId", "secretKey"]
    found.push(`${missing}: is missing, though ${given} is set; a key pair has both`)
  }
  if (secretId === undefined && secretKey === undefined && !options.allowAnonymous) {
    found.push(
      "secretId, secretKey: no key pair, so every request would be refused; set both (OPENCMQ_SECRET_ID, OPENCMQ_SECRET_KEY), or --allow-anonymous, or --dev-mode",
    )
  }
  for (const name of ["httpHost", "tcpHost"] as const) {
    if (secretKey !== DEVELOPMENT_SECRET_KEY || isLoopback(options[name])) continue
    found.push(
      `secretKey (${origins.secretKey}): the key of development mode is public, and ${name} ${options[name]} (${origins[name]}) can be reached by others; set a key pair of your own`,
    )
  }
  if (options.heartbeatMs < options.tickMs) {
    found.push(
      `heartbeatMs (${origins.heartbeatMs}): ${String(options.heartbeatMs)} is less than tickMs ${String(options.tickMs)}`,
    )
  }
  if (options.electionTimeoutMs < 3 * options.heartbeatMs) {
    found.push(
      `electionTimeoutMs (${origins.electionTimeoutMs}): ${String(options.electionTimeoutMs)} is less than 3 x heartbeatMs ${String(options.heartbeatMs)}`,
    )
  }
  return [...found, ...sharedPorts(options, origins)]
}

function sharedPorts(options: ServerOptions, origins: OptionOrigins): string[] {
  const owners = new Map<number, OptionName>()
  const found: string[] = []
  for (const name of ["httpPort", "grpcPort", "peerPort", "tcpPort"] as const) {
    const value = options[name]
    const owner = owners.get(value)
    if (value !== 0 && owner !== undefined) {
      found.push(`${name} (${origins[name]}): ${String(value)} is ${owner} already (${origins[owner]})`)
    }
    owners.set(value, name)
  }
  return found
}

/** What may be meant, and often is not. */
function doubts(options: ServerOptions): string[] {
  const found: string[] = []
  if (options.inMemory) found.push("inMemory: nothing is kept; what was acknowledged is lost with the process")
  if (options.allowAnonymous && !isLoopback(options.httpHost)) {
    found.push(`allowAnonymous: whoever reaches ${options.httpHost}:${String(options.httpPort)} may do everything`)
  }
  if (options.peers.length > 1 && options.peerSecret === undefined && !isLoopback(options.peerHost)) {
    found.push("peerSecret: is not set; whoever reaches the peer port and knows clusterId is taken for a node")
  }
  if (options.peers.length > 1 && options.httpAddress === undefined && isWildcard(options.httpHost)) {
    found.push(
      `httpAddress: is not set, and httpHost ${options.httpHost} is no address to go to: clients cannot be told where the leader is`,
    )
  }
  if (options.peers.length === 2)
    found.push("peers: with two nodes nothing works while either is down; three are better")
  return found
}

function isWildcard(host: string): boolean {
  return host === "0.0.0.0" || host === "::"
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host)
}
