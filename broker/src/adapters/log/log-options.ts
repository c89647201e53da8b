/**
 * What the log is told when it is opened, and how it refuses.
 */
import type { NodeId } from "../../core/raft/types.ts"
import type { Disk, LogEvents } from "../../ports.ts"

/** Whose data it is. Written into the hard state and, in short, into every segment and batch. */
export interface LogIdentity {
  /** 1 to 64 bytes of UTF-8. */
  readonly clusterId: string
  readonly nodeId: NodeId
  readonly setId: number
  /** Rises when a node comes back with empty disks (D12, D13). */
  readonly incarnation: number
}

export interface SegmentedLogOptions {
  /** Where the files lie, relative to the data directory. */
  readonly directory: string
  readonly identity: LogIdentity
  /** Size of a segment file; a multiple of 4096, at least 16 KiB. No entry may be larger than about 15/16 of it. */
  readonly segmentBytes: number
  /** Spare segment files held back for times without space. One more is always held back for the next opening. */
  readonly reserveSegments: number
  /** Payload bytes of recent entries kept in memory. */
  readonly cacheBytes: number
  /** Most bytes of one flush (one batch on the disk); at least one entry goes out whatever its size. */
  readonly flushBytes: number
  /** Checks a message record's own checksum; the log itself knows entries only. */
  readonly verifyRecord: (bytes: Uint8Array) => boolean
  /** Runs something later in the same turn (`Timers.soon`): answers out of memory must not come before the call returns. */
  readonly defer: (run: () => void) => void
}

export const LOG_DEFAULTS = {
  directory: "log",
  segmentBytes: 64 * 1024 * 1024,
  reserveSegments: 2,
  cacheBytes: 1024 * 1024,
  flushBytes: 1024 * 1024,
} as const

/** Everything that `openSegmentedLog` needs. */
export interface SegmentedLogSetup {
  readonly options: SegmentedLogOptions
  readonly disk: Disk
  readonly events: LogEvents
}

/** Why the log refuses to open, or to answer. */
export type LogErrorKind =
  /** Both copies of the hard state are unreadable. */
  | "hardStateDamaged"
  /** There are log files but no hard state: the node must not start as empty. */
  | "hardStateMissing"
  | "wrongCluster"
  | "wrongNode"
  | "wrongSet"
  | "wrongIncarnation"
  /** Written by a newer version of the program. */
  | "newerFormat"
  /** Bytes of an entry are rotten or unreadable. */
  | "damaged"
  /** There is not even space for the one segment that opening needs. */
  | "noSpace"
  /** A write or a sync failed before; nothing is taken any more. */
  | "failed"
  | "closed"
  /** The request cannot be carried out (unknown segment, entry too large). */
  | "refused"

/** `text` of the parts says what a person has to know; `path` is relative to the data directory. */
export class LogStoreError extends Error {
  override readonly name = "LogStoreError"
  readonly kind: LogErrorKind
  readonly path: string
  readonly text: string

  constructor(kind: LogErrorKind, content: { path: string; text: string; cause?: Error }) {
    super(`${content.path}: ${content.text}`, content.cause === undefined ? undefined : { cause: content.cause })
    this.kind = kind
    this.path = content.path
    this.text = content.text
  }
}

/**
 * Bugs put back on purpose, to show that the tests would find them. Nothing but `openMutantLog` (mutant-log.ts, which no
 * production file imports) can hand one in.
 */
export type LogMutation =
  | "ackBeforeSync"
  | "retrySyncAfterEio"
  | "midLogCrcTreatedAsTail"
  | "tailCrcAlwaysTruncated"
  | "shortWriteIgnored"
  | "snapshotWithoutDirectorySync"
  | "damagedHardStateIsEmpty"

export type LogMutations = ReadonlySet<LogMutation>
export const NO_MUTATIONS: LogMutations = new Set()

/** True for "no space left" in its various spellings: it may pass; any other write error latches the log. */
export function isNoSpace(error: Error | undefined): boolean {
  const code = (error as { code?: unknown } | undefined)?.code
  return code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG"
}

/** True when the file or directory is simply not there. */
export function isMissing(error: Error | undefined): boolean {
  return (error as { code?: unknown } | undefined)?.code === "ENOENT"
}
