/**
 * From what is on the disk to a running replica, and from a received snapshot to a new machine.
 *
 * Every step can be repeated: a crash anywhere in here leaves a disk from which the same steps lead to the same state.
 * Nothing is ever taken for empty because it cannot be read: any doubt is an error that names the file or table.
 */
import { QueueMachine } from "../core/queue/queue-machine.ts"
import type { MachineLimits } from "../core/queue/machine-limits.ts"
import type { Random } from "../core/random.ts"
import { simpleConfiguration } from "../core/raft/configuration.ts"
import { decodeConfiguration } from "../core/raft/configuration-codec.ts"
import type { ConfigurationAt } from "../core/raft/configuration-history.ts"
import { Raft } from "../core/raft/raft.ts"
import type { SnapshotMeta } from "../core/raft/types.ts"
import type {
  CheckpointStore,
  CheckpointView,
  Clock,
  Done,
  LogEvents,
  LogRecovery,
  LogStore,
  Timers,
} from "../ports.ts"
import type { Checkpointer } from "./checkpointer.ts"
import { LogClock } from "./log-clock.ts"
import { MACHINE_LIMITS, RAFT_LIMITS } from "./node-options.ts"
import type { NodeOptions } from "./node-options.ts"
import { decodeNodeRecord, encodeNodeRecord, isNodeRecordKey, NODE_RECORD_KEY, snapshotMetaOf } from "./node-record.ts"
import type { NodeRecord } from "./node-record.ts"
import { SetReplica } from "./set-replica.ts"
import type { SetReplicaUser } from "./set-replica.ts"

export interface BootParts {
  readonly options: NodeOptions
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly checkpoint: CheckpointStore
  readonly openLog: (events: LogEvents, done: Done<{ readonly log: LogStore; readonly recovery: LogRecovery }>) => void
  readonly events: LogEvents
  readonly user: SetReplicaUser
  readonly createRaft: CreateRaft
  readonly createMachine: CreateMachine
}

export type CreateMachine = (limits: MachineLimits) => QueueMachine
export type CreateRaft = (options: ConstructorParameters<typeof Raft>[0]) => Raft

export interface Booted {
  readonly replica: SetReplica
  readonly recovery: LogRecovery
}

interface Opened {
  readonly machine: QueueMachine
  readonly record: NodeRecord | undefined
  readonly log: LogStore
  readonly recovery: LogRecovery
}

export function bootReplica(parts: BootParts, done: Done<Booted>): void {
  const fail = (error: Error): void => {
    done(error, undefined as never)
  }
  loadMachine(parts.checkpoint, parts.createMachine(machineLimits(parts.options)), (readError, loaded) => {
    if (readError !== undefined) return fail(readError)
    parts.openLog(parts.events, (openError, opened) => {
      if (openError !== undefined) return fail(openError)
      const both: Opened = { ...loaded, ...opened }
      finishInstall(parts, both, (installError) => {
        if (installError !== undefined) return fail(installError)
        const problem = disagreement(both)
        if (problem !== undefined) return fail(new DataDisagreement(problem))
        done(undefined, { replica: buildReplica(parts, both), recovery: both.recovery })
      })
    })
  })
}

export function machineLimits(options: NodeOptions): MachineLimits {
  return {
    ...MACHINE_LIMITS,
    queueCount: options.queueCountMax,
    subscriptionsPerTopic: options.subscriptionsPerTopicMax,
    deduplicationWindowMs: options.deduplicationWindowMs,
    queueNameReuseMs: options.queueNameReuseMs,
  }
}

function loadMachine(
  store: CheckpointStore,
  machine: QueueMachine,
  done: Done<{ readonly machine: QueueMachine; readonly record: NodeRecord | undefined }>,
): void {
  let record: NodeRecord | undefined
  let restoredCount = 0
  store.read(
    (records) => {
      for (const { key, value } of records) {
        if (isNodeRecordKey(key)) record = decodeNodeRecord(value)
        else {
          machine.restore(key, value)
          restoredCount++
        }
      }
    },
    (error) => {
      if (error === undefined && restoredCount > 0) machine.finishRestore()
      done(error, { machine, record })
    },
  )
}

/** The process died between the new checkpoint and the cut of the log: the log is put behind it now. */
function finishInstall(parts: BootParts, opened: Opened, done: Done): void {
  const { record, log } = opened
  if (record?.installing !== true) {
    log.discardStaged(done)
    return
  }
  // The log had got through with it: a second reset would find nothing staged and forget the bodies.
  if (opened.recovery.baseIndex >= record.appliedIndex) {
    markInstalled(parts.checkpoint, record, done)
    return
  }
  log.reset(snapshotMetaOf(record), (error) => {
    if (error !== undefined) done(error)
    else markInstalled(parts.checkpoint, record, done)
  })
}

function markInstalled(store: CheckpointStore, record: NodeRecord, done: Done): void {
  store.write([{ key: NODE_RECORD_KEY, value: encodeNodeRecord({ ...record, installing: false }) }], done)
}

/** Checkpoint and log of one directory do not belong together: one of them was lost or put back. */
export class DataDisagreement extends Error {
  override readonly name = "DataDisagreement"
}

function disagreement({ record, recovery }: Opened): string | undefined {
  const appliedIndex = record?.appliedIndex ?? 0
  if (record?.installing === true) return undefined
  if (recovery.baseIndex > appliedIndex) {
    return `the checkpoint ends at index ${String(appliedIndex)}, but the log begins behind ${String(recovery.baseIndex)}: the checkpoint is older than the log allows`
  }
  if (recovery.lastIndex < appliedIndex) {
    return `the log ends at index ${String(recovery.lastIndex)}, before the checkpoint at ${String(appliedIndex)}: segments are missing`
  }
  return undefined
}

function buildReplica(parts: BootParts, opened: Opened): SetReplica {
  const { options } = parts
  const { machine, record, log } = opened
  const recovery = record?.installing === true ? behind(snapshotMetaOf(record), opened.recovery) : opened.recovery
  const founding: ConfigurationAt = { index: 0, configuration: simpleConfiguration(options.voters) }
  const configurations = record?.configurations ?? [founding]
  const atBase = configurations.findLast((each) => each.index <= recovery.baseIndex) ?? founding
  const appliedIndex = record?.appliedIndex ?? 0
  const raft = parts.createRaft({
    nodeId: options.nodeId,
    configuration: atBase.configuration,
    hardState: recovery.hardState ?? { currentTerm: 0, votedFor: 0, commitIndex: 0 },
    log: {
      ...recovery,
      configurations: recovery.configurations.map(({ index, data }) => ({
        index,
        configuration: decodeConfiguration(data),
      })),
    },
    appliedIndex,
    electionTicks: options.electionTicks,
    heartbeatTicks: options.heartbeatTicks,
    ...RAFT_LIMITS,
    mayVote: recovery.damaged.length === 0 && !recovery.ambiguousTail && !isEmptyMember(options, recovery),
    random: parts.random,
  })
  return new SetReplica({
    setId: options.setId,
    nodeId: options.nodeId,
    raft,
    log,
    machine,
    appliedIndex,
    appliedTerm: record?.appliedTerm ?? 0,
    configurations,
    logClock: new LogClock(parts.clock, machine.nowMs),
    timers: parts.timers,
    user: parts.user,
  })
}

/** A member of a set of several that knows nothing: see founding.ts. */
export function isEmptyMember(options: NodeOptions, recovery: LogRecovery): boolean {
  return recovery.hardState === undefined && options.voters.length > 1
}

/** What recovery would have found had it run after the reset. */
function behind(meta: SnapshotMeta, recovery: LogRecovery): LogRecovery {
  const termThere = recovery.terms.findLast((run) => run.firstIndex <= meta.lastIncludedIndex)?.term
  const isKept = recovery.lastIndex > meta.lastIncludedIndex && termThere === meta.lastIncludedTerm
  return {
    ...recovery,
    baseIndex: meta.lastIncludedIndex,
    baseTerm: meta.lastIncludedTerm,
    lastIndex: isKept ? recovery.lastIndex : meta.lastIncludedIndex,
    terms: isKept ? termsBehind(recovery, meta.lastIncludedIndex) : [],
    configurations: recovery.configurations.filter(({ index }) => isKept && index > meta.lastIncludedIndex),
    damaged: [],
  }
}

function termsBehind(recovery: LogRecovery, index: number): LogRecovery["terms"] {
  const later = recovery.terms.filter((run) => run.firstIndex > index + 1)
  const covering = recovery.terms.findLast((run) => run.firstIndex <= index + 1)
  return covering === undefined ? later : [{ firstIndex: index + 1, term: covering.term }, ...later]
}

// ------------------------------------------------------------------------------------------ snapshots

export interface InstallParts {
  readonly options: NodeOptions
  readonly replica: SetReplica
  readonly checkpoint: CheckpointStore
  readonly checkpointer: Checkpointer
  readonly createMachine: CreateMachine
}

/** The core accepted the snapshot whose data is staged: make it the state of this node. */
export function installSnapshot(parts: InstallParts, meta: SnapshotMeta, done: Done<QueueMachine>): void {
  const { checkpoint, checkpointer, replica } = parts
  const record: NodeRecord = {
    setId: replica.setId,
    appliedIndex: meta.lastIncludedIndex,
    appliedTerm: meta.lastIncludedTerm,
    configurations: [{ index: meta.lastIncludedIndex, configuration: meta.configuration }],
    installing: true,
  }
  const fail = (error: Error): void => {
    done(error, undefined as never)
  }
  checkpointer.pause(() => {
    checkpoint.stage([{ key: NODE_RECORD_KEY, value: encodeNodeRecord(record) }], (stageError) => {
      if (stageError !== undefined) return fail(stageError)
      // The bodies first: once the checkpoint is replaced, a crash leads on to the end of the install, never back.
      replica.log.sealStaged((sealError) => {
        if (sealError !== undefined) return fail(sealError)
        checkpoint.replaceByStaged((replaceError) => {
          if (replaceError !== undefined) return fail(replaceError)
          replica.log.reset(meta, (resetError) => {
            if (resetError !== undefined) return fail(resetError)
            reload(parts, record, done)
          })
        })
      })
    })
  })
}

function reload(parts: InstallParts, record: NodeRecord, done: Done<QueueMachine>): void {
  markInstalled(parts.checkpoint, record, (markError) => {
    if (markError !== undefined) {
      done(markError, undefined as never)
      return
    }
    loadMachine(parts.checkpoint, parts.createMachine(machineLimits(parts.options)), (error, loaded) => {
      if (error === undefined) parts.checkpointer.replaced(record.appliedIndex, record.appliedTerm)
      done(error, loaded.machine)
      // Only now: a checkpoint of the old machine over the new records would be the end of both.
      if (error === undefined) parts.checkpointer.resume()
    })
  })
}

/** The durable checkpoint as it is now, and the snapshot it stands for. */
export function openSnapshotView(
  parts: InstallParts,
  done: (error: Error | undefined, view: CheckpointView, meta: SnapshotMeta) => void,
): void {
  const { checkpoint, checkpointer, replica } = parts
  checkpointer.pause(() => {
    const { index, term } = checkpointer.durable
    const at = replica.configurations.findLast((each) => each.index <= index)
    checkpoint.openView((error, view) => {
      checkpointer.resume()
      const configuration = at?.configuration ?? simpleConfiguration(parts.options.voters)
      const problem = index === 0 ? new Error("no checkpoint has been taken yet") : error
      done(problem, view, { lastIncludedIndex: index, lastIncludedTerm: term, configuration })
    })
  })
}
