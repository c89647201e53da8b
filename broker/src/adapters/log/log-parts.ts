/**
 * What the working parts of one open log share. Made by recovery.
 */
import type { Disk, LogEvents } from "../../ports.ts"
import type { WriterIds } from "./batch-builder.ts"
import type { HardStateFile } from "./hard-state-file.ts"
import type { LogMutations, SegmentedLogOptions } from "./log-options.ts"
import type { LogState } from "./log-state.ts"
import type { RecentEntries } from "./recent-entries.ts"
import type { SegmentPool } from "./segment-pool.ts"

export interface LogParts {
  readonly options: SegmentedLogOptions
  readonly disk: Disk
  readonly events: LogEvents
  readonly ids: WriterIds
  readonly state: LogState
  readonly pool: SegmentPool
  readonly hardState: HardStateFile
  readonly recent: RecentEntries
  readonly mutations: LogMutations
}

const SEQUENCE_DIGITS = 16

/** Path of the segment with this number. */
export function segmentPath(directory: string, sequence: number): string {
  return `${directory}/${String(sequence).padStart(SEQUENCE_DIGITS, "0")}.seg`
}

/** Path of a segment that belongs to a snapshot not yet installed. */
export function stagedPath(directory: string, sequence: number): string {
  return `${directory}/${String(sequence).padStart(SEQUENCE_DIGITS, "0")}.staged`
}

const SEGMENT_PATTERN = /^(\d{16})\.(seg|staged)$/

/** What a file name says, or undefined when it is not a segment's. */
export function parseSegmentName(name: string): { sequence: number; isStaged: boolean } | undefined {
  const match = SEGMENT_PATTERN.exec(name)
  return match === null ? undefined : { sequence: Number(match[1]), isStaged: match[2] === "staged" }
}
