/**
 * Decides what each option is: flag before environment before file before default. Whatever is wrong is said with the
 * name, the value, where it came from and what is allowed; with one problem nothing starts.
 */
import {
  DEVELOPMENT_MASTER_KEY,
  DEVELOPMENT_SECRET_ID,
  DEVELOPMENT_SECRET_KEY,
  OPTION_NAMES,
  OTHER_ENVIRONMENT_NAMES,
  environmentNameOf,
  flagOf,
  optionRow,
  type OptionName,
  type OptionRow,
  type ServerOptions,
} from "../options.ts"
import type { ConfigFile, Found } from "./config-file.ts"
import { suggestion } from "./nearest.ts"
import { allowed, readOptionValue } from "./option-value.ts"

export interface OptionSources {
  /** By option name; as written on the command line. */
  readonly flags: Readonly<Record<string, string | undefined>>
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly file: ConfigFile | undefined
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

export function resolveOptions(sources: OptionSources): ResolvedOptions {
  const problems: string[] = [...(sources.file?.problems ?? [])]
  const warnings = unknownVariables(sources.environment)
  const options: Record<string, unknown> = {}
  const origins: Record<string, string> = {}
  for (const name of OPTION_NAMES) {
    const row = optionRow(name)
    const found = find(name, sources)
    origins[name] = found?.origin ?? "default"
    options[name] = row.default
    if (found === undefined) continue
    const value = readOptionValue(row, found.raw)
    if (value !== undefined) options[name] = value
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

function find(name: OptionName, sources: OptionSources): Found | undefined {
  const flag = sources.flags[name]
  if (flag !== undefined) return { raw: flag, origin: `flag ${flagOf(name)}` }
  const variable = environmentNameOf(name)
  const value = sources.environment[variable]
  // An empty variable is how many tools say "not set".
  if (value !== undefined && value !== "") return { raw: value, origin: variable }
  return sources.file?.values.get(name)
}

/** One warning for each variable `OPENCMQ_...` that nothing reads. */
export function unknownVariables(environment: OptionSources["environment"]): string[] {
  const known = [...OPTION_NAMES.map(environmentNameOf), ...OTHER_ENVIRONMENT_NAMES]
  return Object.keys(environment)
    .filter((name) => name.startsWith("OPENCMQ_") && !known.includes(name))
    .map((name) => `${name} (environment): unknown variable, left alone${suggestion(name, known)}`)
}

function shown(row: OptionRow, raw: unknown): string {
  if (row.isSecret === true) return "its value"
  return typeof raw === "string" ? `"${raw}"` : JSON.stringify(raw)
}

/** YAML takes an unquoted 123 for a number. */
function quoted(row: OptionRow, raw: unknown): string {
  return row.kind === "text" && typeof raw !== "string" ? ", as a text: put it in quotes" : ""
}

function fillDevelopmentKeys(options: Record<string, unknown>, origins: Record<string, string>): void {
  if (options["devMode"] !== true) return
  fillKeyPair(options, origins)
  // Only where the key pair is as public, and so the ports are loopback's.
  if (options["masterKey"] !== undefined || options["secretKey"] !== DEVELOPMENT_SECRET_KEY) return
  options["masterKey"] = DEVELOPMENT_MASTER_KEY
  origins["masterKey"] = "default of devMode"
}

function fillKeyPair(options: Record<string, unknown>, origins: Record<string, string>): void {
  if (options["secretId"] !== undefined || options["secretKey"] !== undefined) return
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
