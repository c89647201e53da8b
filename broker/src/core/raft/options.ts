/** What a `Raft` is built from: the recovered log and the limits. All checked by assertion: options come from our own table. */
import { assert } from "../assert.ts"
import type { Random } from "../random.ts"
import type { ConfigurationAt } from "./configuration-history.ts"
import type { TermRun } from "./term-runs.ts"
import type { Configuration, HardState, LogIndex, NodeId, Term } from "./types.ts"

/** A recovered log, told without its entries. Everything in it is durable. */
export interface RecoveredLog {
  /** The entry before the first: the last that the snapshot covers, or 0. */
  readonly baseIndex: LogIndex
  readonly baseTerm: Term
  /** Runs that cover `baseIndex + 1` to `lastIndex`; empty when the log is empty. */
  readonly terms: readonly TermRun[]
  readonly lastIndex: LogIndex
  /** The configuration entries found above the base, ascending. */
  readonly configurations: readonly ConfigurationAt[]
}

/** See each field. Sizes are in bytes, times in ticks (the driver decides how long a tick is). */
export interface RaftOptions {
  readonly nodeId: NodeId
  /**
   * The configuration in force at `log.baseIndex`: of the snapshot, or for an empty log the one the set was created with.
   * A node that is started to join later has `EMPTY_CONFIGURATION`.
   */
  readonly configuration: Configuration
  /** Last durable one; `{ currentTerm: 0, votedFor: 0, commitIndex: 0 }` on a new disk. */
  readonly hardState: HardState
  readonly log: RecoveredLog
  /** The state machine holds everything up to here; at least `log.baseIndex`. */
  readonly appliedIndex: LogIndex
  /**
   * Least number of ticks without a leader before an election. Each wait is drawn anew from
   * `[electionTicks, electionTicks + ceil(electionTicks * 2 / 3))`. Also the time for which a voter believes in a leader it
   * heard, the interval of the leader's check of its quorum, and the time a leadership transfer may take.
   */
  readonly electionTicks: number
  /** Ticks between heartbeats; less than `electionTicks`. */
  readonly heartbeatTicks: number
  /** Most bytes of entries under way to one peer. */
  readonly maxInflightEntriesBytes: number
  /** Most messages with entries under way to one peer. */
  readonly maxInflightMessages: number
  /** Most bytes of entries in one message; one entry always goes. */
  readonly maxAppendBytes: number
  /** Most bytes of proposed data that wait for a quorum; one proposal is always accepted when none waits. */
  readonly maxUncommittedBytes: number
  /** Most bytes of entries in one `Ready.committedEntries`; one entry always goes. */
  readonly maxApplyBytes: number
  /** Bytes of applied entries that stay in memory for slow peers; four times as many while they wait to be applied. */
  readonly cacheBytes: number
  /**
   * False for a node that lost its disk, or part of it: it may have forgotten votes and entries that it promised to keep, so it
   * neither votes nor campaigns until `Raft.allowVoting()` (pitfall 15).
   */
  readonly mayVote: boolean
  readonly random: Random
}

/** Asserts what the fields' comments say. */
export function checkOptions(options: RaftOptions): void {
  const { log, hardState } = options
  assert(Number.isInteger(options.nodeId) && options.nodeId >= 1, "a node id is an integer from 1")
  assert(Number.isInteger(options.electionTicks) && options.electionTicks >= 2, "electionTicks is at least 2")
  assert(Number.isInteger(options.heartbeatTicks) && options.heartbeatTicks >= 1, "heartbeatTicks is at least 1")
  assert(options.heartbeatTicks < options.electionTicks, "heartbeats come more often than elections")
  const sizes = [
    options.maxInflightEntriesBytes,
    options.maxInflightMessages,
    options.maxAppendBytes,
    options.maxUncommittedBytes,
    options.maxApplyBytes,
  ]
  for (const size of sizes) assert(size > 0, "limits are positive")
  assert(options.cacheBytes >= 0, "the cache has a size")
  assert(options.appliedIndex >= log.baseIndex && options.appliedIndex <= log.lastIndex, "applied lies in the log")
  assert(
    log.configurations.every((each) => each.index > log.baseIndex && each.index <= log.lastIndex),
    "configurations lie in the log",
  )
  assert(hardState.currentTerm >= (log.terms.at(-1)?.term ?? log.baseTerm), "no entry is newer than the term")
}
