/**
 * THE options table: everything that `opencmq server` can be told, one row an option.
 *
 * The name is the key in the YAML file; the flag is the name in kebab-case (`--node-id`), the environment variable is
 * `OPENCMQ_` and the name in capitals (`OPENCMQ_NODE_ID`). A flag goes before the environment, that before the file,
 * that before the default: `cli/resolve-options.ts` decides it for all of them. docs/options.md is made from this
 * table, and a test compares the two.
 */
import { createHash } from "node:crypto"
import { LIMITS } from "@opencmq/proto"

/** The key pair of development mode. Public: whoever reads this file has it. */
export const DEVELOPMENT_SECRET_ID = "AKIDopencmqdevelopment"
export const DEVELOPMENT_SECRET_KEY = "opencmq-development-secret-key"

/** Where a client looks for a broker when it is told nothing. */
export const DEFAULT_ENDPOINT = "http://127.0.0.1:7070"

/** A node of the cluster, as `peers` lists it. */
export interface PeerOption {
  readonly id: number
  readonly host: string
  readonly port: number
}

export type OptionGroup = "Node" | "Addresses" | "Access" | "Push" | "Storage" | "Consensus" | "Limits" | "Logging"

interface RowCommon {
  readonly group: OptionGroup
  readonly help: string
  /** Never shown, never logged. */
  readonly isSecret?: true
  /** All nodes of a cluster must have the same value; part of `clusterConfigHash`. */
  readonly mustAgree?: true
}

/** One option. `default: undefined` = none; such an option may be absent. */
export type OptionRow =
  | (RowCommon & {
      readonly kind: "integer"
      readonly min: number
      readonly max: number
      readonly unit: "bytes" | "count" | "ms" | "number" | "s"
      readonly default: number
    })
  | (RowCommon & {
      readonly kind: "text"
      readonly pattern: RegExp
      /** What the pattern says, in words. */
      readonly allowed: string
      readonly default: string | undefined
    })
  | (RowCommon & { readonly kind: "choice"; readonly choices: readonly string[]; readonly default: string })
  | (RowCommon & { readonly kind: "boolean"; readonly default: boolean })
  | (RowCommon & { readonly kind: "peers"; readonly default: readonly PeerOption[] })

const port = { group: "Addresses", kind: "integer", min: 0, max: 65_535, unit: "number" } as const
const host = {
  group: "Addresses",
  kind: "text",
  pattern: /^[A-Za-z0-9._:%-]{1,255}$/,
  allowed: "a host name or an address",
  default: "127.0.0.1",
} as const

/** Every option, by name. The order is that of docs/options.md and of `opencmq server --help`. */
export const OPTIONS = {
  // --- Node -----------------------------------------------------------------------------------------------
  nodeId: {
    group: "Node",
    kind: "integer",
    min: 1,
    max: 65_535,
    unit: "number",
    default: 1,
    help: "This node in the cluster. Stays with the data directory for good.",
  },
  clusterId: {
    group: "Node",
    kind: "text",
    pattern: /^[A-Za-z0-9._-]{1,64}$/,
    allowed: "1 to 64 letters, digits, `.`, `_`, `-`",
    default: "opencmq",
    help: "The cluster. Nodes and data directories of another one are refused.",
  },
  peers: {
    group: "Node",
    kind: "peers",
    default: [],
    help: "All nodes with their peer addresses, this one too: `1=10.0.0.1:7072,2=10.0.0.2:7072,3=10.0.0.3:7072`. Empty: a single node.",
  },
  devMode: {
    group: "Node",
    kind: "boolean",
    default: false,
    help: "For development: the public key pair when none is given, and refused signatures are explained.",
  },

  // --- Addresses ------------------------------------------------------------------------------------------
  httpHost: { ...host, help: "Where HTTP is listened for: CMQ's API, /metrics and the health pages." },
  httpPort: { ...port, default: 7070, help: "0 = one that the system chooses." },
  httpAddress: {
    group: "Addresses",
    kind: "text",
    pattern: /^https?:\/\/[^\s/?#@]+\/?$/,
    allowed: "an address as http://host:port",
    default: undefined,
    help: "Where clients reach this node by HTTP; told to SDKs that look for the leader. Absent: made of host and port.",
  },
  httpServer: {
    group: "Addresses",
    kind: "choice",
    choices: ["auto", "uws", "node"],
    default: "auto",
    help: "uWebSockets.js, or node:http. auto = the first that can be loaded.",
  },
  grpcHost: { ...host, help: "Where gRPC is listened for." },
  grpcPort: { ...port, default: 7071, help: "0 = one that the system chooses." },
  peerHost: { ...host, help: "Where the other nodes are listened for." },
  peerPort: { ...port, default: 7072, help: "0 = one that the system chooses." },
  tcpHost: { ...host, help: "Where CMQ's TCP protocol is listened for (docs/tcp-api.md)." },
  tcpPort: { ...port, default: 7073, help: "0 = one that the system chooses." },
  tcpAddress: {
    group: "Addresses",
    kind: "text",
    pattern: /^[A-Za-z0-9._-]{1,255}:\d{1,5}$/,
    allowed: "an address as host:port, no IPv6",
    default: undefined,
    help: "Where clients reach this node by TCP; told to them by QueryQueueRoute and QueryTopicRoute. Absent: made of host and port; of the host that the client asked, when tcpHost is 0.0.0.0.",
  },

  // --- Access ---------------------------------------------------------------------------------------------
  secretId: {
    group: "Access",
    kind: "text",
    pattern: /^[\x21-\x7e]{1,128}$/,
    allowed: "1 to 128 visible ASCII characters",
    default: undefined,
    help: "SecretId of the key pair with which requests are signed.",
  },
  secretKey: {
    group: "Access",
    kind: "text",
    pattern: /^[\x20-\x7e]{1,256}$/,
    allowed: "1 to 256 ASCII characters",
    default: undefined,
    isSecret: true,
    help: "SecretKey of the key pair.",
  },
  allowAnonymous: {
    group: "Access",
    kind: "boolean",
    default: false,
    help: "Take requests without a signature, too.",
  },
  timestampWindowSeconds: {
    group: "Access",
    kind: "integer",
    min: 0,
    max: LIMITS.timestampWindowSeconds.max,
    unit: "s",
    default: LIMITS.timestampWindowSeconds.default,
    help: "How far the Timestamp of a request may be from this node's time. 0 = not looked at.",
  },
  nonceReplay: {
    group: "Access",
    kind: "choice",
    choices: ["refuse", "allow"],
    default: "refuse",
    help: "What happens to an exact copy of a signed request, at the node that took it, for 5 to 10 minutes (ADR 0013).",
  },
  peerSecret: {
    group: "Access",
    kind: "text",
    pattern: /^[\x20-\x7e]{16,256}$/,
    allowed: "16 to 256 ASCII characters",
    default: undefined,
    isSecret: true,
    help: "Shared by the nodes of a cluster: proves to each other that they belong to it.",
  },

  // --- Push -----------------------------------------------------------------------------------------------
  pushAllow: {
    group: "Push",
    kind: "text",
    pattern: /^[A-Za-z0-9.:/[\]_,-]{0,4096}$/,
    allowed: "addresses, networks and name:port, with commas between them",
    default: "",
    help: "Private places that subscriptions may push to: `10.0.0.0/8`, `10.1.2.3:25`, `hooks.intern:8080`, with commas. Public addresses need no entry.",
  },
  pushSigningKey: {
    group: "Push",
    kind: "text",
    pattern: /^whsec_[A-Za-z0-9+/=]{32,120}( whsec_[A-Za-z0-9+/=]{32,120})?$/,
    allowed: "`whsec_` and base64 of 24 to 64 bytes; two with a blank between them while one replaces the other",
    default: undefined,
    isSecret: true,
    help: "Signs what is pushed, so that receivers can tell it from a stranger's (Standard Webhooks). Absent: unsigned, as CMQ's are.",
  },

  // --- Storage --------------------------------------------------------------------------------------------
  dataDir: {
    group: "Storage",
    kind: "text",
    pattern: /^[^\0]{1,1024}$/,
    allowed: "a path",
    default: "data",
    help: "Where this node keeps its data. Made when it is missing.",
  },
  inMemory: {
    group: "Storage",
    kind: "boolean",
    default: false,
    help: "Keep nothing on disk. For tests: what was acknowledged is lost with the process.",
  },
  segmentBytes: {
    group: "Storage",
    kind: "integer",
    min: 4_194_304,
    max: 1_073_741_824,
    unit: "bytes",
    default: 67_108_864,
    help: "Size of a segment file of the log. One frame of entries must fit.",
  },
  cacheBytes: {
    group: "Storage",
    kind: "integer",
    min: 65_536,
    max: 68_719_476_736,
    unit: "bytes",
    default: 1_048_576,
    help: "Recent entries kept in memory, so that receives need not read the disk.",
  },

  // --- Consensus ------------------------------------------------------------------------------------------
  tickMs: {
    group: "Consensus",
    kind: "integer",
    min: 5,
    max: 1_000,
    unit: "ms",
    default: 50,
    mustAgree: true,
    help: "Step of the consensus clock; the two times below are counted in it.",
  },
  heartbeatMs: {
    group: "Consensus",
    kind: "integer",
    min: 5,
    max: 10_000,
    unit: "ms",
    default: 250,
    mustAgree: true,
    help: "How often a leader with nothing to say shows that it is alive.",
  },
  electionTimeoutMs: {
    group: "Consensus",
    kind: "integer",
    min: 50,
    max: 60_000,
    unit: "ms",
    default: 750,
    mustAgree: true,
    help: "Without a leader for so long (to two thirds longer): election. A broken connection starts one at once.",
  },

  // --- Limits ---------------------------------------------------------------------------------------------
  maxConnections: {
    group: "Limits",
    kind: "integer",
    min: 1,
    max: 1_000_000,
    unit: "count",
    default: 20_000,
    help: "Connections of clients at once; one more is closed.",
  },
  requestTimeoutMs: {
    group: "Limits",
    kind: "integer",
    min: 100,
    max: 600_000,
    unit: "ms",
    default: 5_000,
    help: "How long a request is tried, long poll not counted, before it is answered with an error.",
  },
  deduplicationWindowSeconds: {
    group: "Limits",
    kind: "integer",
    min: LIMITS.deduplicationWindowSeconds.min,
    max: LIMITS.deduplicationWindowSeconds.max,
    unit: "s",
    default: LIMITS.deduplicationWindowSeconds.default,
    mustAgree: true,
    help: "How long a client message id is remembered. 0 = not at all.",
  },
  queuesPerAccountCount: {
    group: "Limits",
    kind: "integer",
    min: LIMITS.queuesPerAccountCount.min,
    max: LIMITS.queuesPerAccountCount.max,
    unit: "count",
    default: LIMITS.queuesPerAccountCount.default,
    mustAgree: true,
    help: "Queues in the cluster.",
  },
  subscriptionsPerTopicCount: {
    group: "Limits",
    kind: "integer",
    min: LIMITS.subscriptionsPerTopicCount.min,
    max: LIMITS.subscriptionsPerTopicCount.max,
    unit: "count",
    default: LIMITS.subscriptionsPerTopicCount.default,
    mustAgree: true,
    help: "Subscriptions of one topic.",
  },
  queueRecreateWaitSeconds: {
    group: "Limits",
    kind: "integer",
    min: LIMITS.queueRecreateWaitSeconds.min,
    max: LIMITS.queueRecreateWaitSeconds.max,
    unit: "s",
    default: LIMITS.queueRecreateWaitSeconds.default,
    mustAgree: true,
    help: "How long the name of a deleted queue cannot be used again.",
  },

  // --- Logging --------------------------------------------------------------------------------------------
  logLevel: {
    group: "Logging",
    kind: "choice",
    choices: ["debug", "info", "warn", "error", "silent"],
    default: "info",
    help: "What is logged, to stderr: this level and those behind it.",
  },
  logFormat: {
    group: "Logging",
    kind: "choice",
    choices: ["auto", "json", "pretty"],
    default: "auto",
    help: "auto = text on a terminal, JSON elsewhere.",
  },
} as const satisfies Record<string, OptionRow>

export type OptionName = keyof typeof OPTIONS

export const OPTION_NAMES = Object.keys(OPTIONS) as readonly OptionName[]

/** The row, widened. O(1). */
export function optionRow(name: OptionName): OptionRow {
  return OPTIONS[name]
}

type ValueOf<Row extends OptionRow> = Row extends { kind: "integer" }
  ? number
  : Row extends { kind: "boolean" }
    ? boolean
    : Row extends { kind: "peers" }
      ? readonly PeerOption[]
      : Row extends { kind: "choice"; choices: readonly (infer Choice)[] }
        ? Choice
        : Row extends { default: string }
          ? string
          : string | undefined

/** What `opencmq server` runs with. */
export type ServerOptions = { readonly [Name in OptionName]: ValueOf<(typeof OPTIONS)[Name]> }

/** What `opencmq dev` runs with. */
export interface DevOptions {
  readonly nodes: 1 | 3
  /** HTTP, gRPC, peer and TCP port of node i are so many + 100 (i - 1), + 1, + 2 and + 3. */
  readonly basePort: number
  readonly dataDir: string
  /** One JSON object a line on stdout, instead of text. */
  readonly json: boolean
  readonly logLevel: ServerOptions["logLevel"]
  /** Handed on to the brokers, so that every `OPENCMQ_*` option reaches them. */
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly secretId: string
  readonly secretKey: string
}

/** `nodeId` -> `--node-id`. */
export function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}

/** `nodeId` -> `OPENCMQ_NODE_ID`. */
export function environmentNameOf(name: string): string {
  return `OPENCMQ_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`
}

/** Variables beside those of the options: of the commands that talk to a broker, and the place of the file. */
export const OTHER_ENVIRONMENT_NAMES = ["OPENCMQ_CONFIG", "OPENCMQ_ENDPOINTS"] as const

/** An option's value as text; a secret's is hidden. */
export function optionText(name: OptionName, value: ServerOptions[OptionName]): string {
  if (value === undefined) return ""
  if (optionRow(name).isSecret === true) return "[hidden]"
  if (typeof value !== "object") return String(value)
  return value.map(peerText).join(",")
}

function peerText({ id, host: name, port: number }: PeerOption): string {
  return `${String(id)}=${name.includes(":") ? `[${name}]` : name}:${String(number)}`
}

/** What all nodes of a cluster must have alike, for their handshake: 16 hex digits. Addresses may differ. */
export function clusterConfigHash(options: ServerOptions): string {
  const shared = OPTION_NAMES.filter((name) => optionRow(name).mustAgree === true)
  const lines = shared.map((name) => `${name}=${optionText(name, options[name])}`)
  lines.push(`nodes=${options.peers.map(({ id }) => id).join(",")}`)
  return createHash("sha256").update(lines.join("\n")).digest("hex").slice(0, 16)
}
