/**
 * The segmented log: the one place where message bodies are stored (ADR 0005). This file joins the parts:
 *
 *   write ---> LogAppender --- batches ---> active segment      LogReader <--- readEntries, readRecords
 *                   | roll                                          |
 *              SegmentPool <--- spares --- LogMaintenance: drop, rewrite, repair, stage, reset
 *
 * Runs over any Disk: no clock, no random, no promise, no node:fs.
 */
import { assert } from "../../core/assert.ts"
import type { Entry, LogIndex, LogWrite, SnapshotMeta, Term } from "../../core/raft/types.ts"
import type { DiskSpace, Done, LogRecovery, LogStore, RecordPositions, SegmentOverview } from "../../ports.ts"
import { closeFile } from "./file-io.ts"
import { LogAppender } from "./log-appender.ts"
import { LogMaintenance } from "./log-maintenance.ts"
import { LogStoreError, NO_MUTATIONS, isNoSpace } from "./log-options.ts"
import type { LogMutations, SegmentedLogSetup } from "./log-options.ts"
import type { LogParts } from "./log-parts.ts"
import { LogReader } from "./log-reader.ts"
import type { EntriesRange } from "./log-reader.ts"
import { clusterHashOf, recoverLog } from "./log-recovery.ts"
import { RecentEntries } from "./recent-entries.ts"
import type { Segment } from "./segment.ts"
import { SegmentPool } from "./segment-pool.ts"
import { DATA_START } from "./segment-header.ts"
import { runTask } from "./task.ts"
import type { Task } from "./task.ts"

export interface OpenedLog {
  readonly log: SegmentedLog
  readonly recovery: LogRecovery
}

/**
 * Opens the log in its directory, or makes it. Refuses with a `LogStoreError`; nothing of what is there is changed then,
 * except that the quarantine may have taken in unknown files.
 */
export function openSegmentedLog(setup: SegmentedLogSetup, done: Done<OpenedLog>): void {
  openLogWith({ setup, mutations: NO_MUTATIONS }, done)
}

/** For `openSegmentedLog` and `openMutantLog` only. */
export function openLogWith(
  request: { readonly setup: SegmentedLogSetup; readonly mutations: LogMutations },
  done: Done<OpenedLog>,
): void {
  checkOptions(request.setup)
  const { options } = request.setup
  const pending = later<OpenedLog>(options.defer, done)
  runTask(openLog(request), pending.done)
  pending.returned()
}

function checkOptions({ options }: SegmentedLogSetup): void {
  const { segmentBytes } = options
  assert(
    segmentBytes % 4096 === 0 && segmentBytes >= 4 * DATA_START,
    "segmentBytes is a multiple of 4096, at least 32 KiB",
  )
  assert(segmentBytes <= 0x7fff_0000, "offsets in a segment fit 32 bits")
  assert(options.reserveSegments >= 1, "at least one spare segment is held back")
  const idBytes = Buffer.byteLength(options.identity.clusterId)
  assert(idBytes >= 1 && idBytes <= 64, "a cluster id has 1 to 64 bytes")
}

/** Calls back later when the answer is there before the call has returned. */
function later<T>(defer: (run: () => void) => void, done: Done<T>): { done: Done<T>; returned: () => void } {
  let hasReturned = false
  return {
    done: (error, value) => {
      if (hasReturned) done(error, value)
      else {
        defer(() => {
          done(error, value)
        })
      }
    },
    returned: () => {
      hasReturned = true
    },
  }
}

function* openLog(request: { readonly setup: SegmentedLogSetup; readonly mutations: LogMutations }): Task<OpenedLog> {
  const { setup, mutations } = request
  const { options, disk, events } = setup
  const { clusterId, nodeId, setId } = options.identity
  const ids = { clusterHash: clusterHashOf(clusterId), nodeId, setId }
  // The pool is needed to open the log it belongs to.
  const opened: { log?: SegmentedLog } = {}
  const pool = new SegmentPool({
    disk,
    directory: options.directory,
    segmentBytes: options.segmentBytes,
    reserveSegments: options.reserveSegments,
    lowChanged: () => opened.log?.spaceChanged(),
    failed: (error) => opened.log?.fail(error),
    busy: () => opened.log?.busyGate(),
  })
  const found = yield* recoverLog({ setup, ids, mutations, pool })
  const { state, hardState, samples, staged, recovery } = found
  const recent = new RecentEntries(options.cacheBytes)
  const parts: LogParts = { options, disk, events, ids, state, pool, hardState, recent, mutations }
  const log = new SegmentedLog(parts, { samples, staged })
  opened.log = log
  pool.fillInBackground()
  log.strengthen(found.weakened)
  return { log, recovery }
}

/** See `LogStore`. Made by `openSegmentedLog`. */
export class SegmentedLog implements LogStore {
  readonly #parts: LogParts
  readonly #appender: LogAppender
  readonly #reader: LogReader
  readonly #maintenance: LogMaintenance
  readonly #jobs: { readonly start: () => Task; readonly done: Done }[] = []
  #isJobRunning = false
  #isClosed = false

  constructor(parts: LogParts, found: { readonly samples: Uint32Array; readonly staged: readonly Segment[] }) {
    this.#parts = parts
    this.#appender = new LogAppender(parts, found.samples)
    this.#reader = new LogReader(parts, () => this.#appender.logicalLastIndex)
    this.#maintenance = new LogMaintenance(parts, {
      appender: this.#appender,
      reader: this.#reader,
      staged: found.staged,
    })
  }

  write(write: LogWrite): void {
    if (!this.#isClosed) this.#appender.write(write)
  }

  readEntries(range: EntriesRange, done: Done<readonly Entry[] | "compacted">): void {
    this.#answer(this.#reader.readEntries(range), done)
  }

  readRecords(positions: RecordPositions, done: Done<readonly (Uint8Array | undefined)[]>): void {
    this.#answer(this.#reader.readRecords(positions), done)
  }

  segments(): readonly SegmentOverview[] {
    const { state } = this.#parts
    return state.segments.map((segment) => segment.overview(segment === state.active))
  }

  compact(index: LogIndex, term: Term): void {
    const { state, hardState } = this.#parts
    if (index <= state.baseIndex) return
    assert(state.terms.termAt(index) === term, "the log is compacted at an entry it holds")
    state.terms.compact(index)
    hardState.state.baseIndex = index
    hardState.state.baseTerm = term
    if (this.#maintenance.hasDeadSegments) this.#enqueue(() => this.#maintenance.drop([]), ignore)
  }

  drop(firstIndexes: readonly LogIndex[], done: Done): void {
    this.#enqueue(
      () => this.#maintenance.drop(firstIndexes),
      (error) => {
        if (error === undefined) this.probeSpace()
        done(error)
      },
    )
  }

  rewrite(firstIndex: LogIndex, keep: readonly LogIndex[], done: Done): void {
    this.#enqueue(() => this.#maintenance.rewrite(firstIndex, keep), done)
  }

  stageEntries(entries: readonly Entry[], done: Done): void {
    this.#enqueue(() => this.#maintenance.stage(entries), done)
  }

  discardStaged(done: Done): void {
    this.#enqueue(() => this.#maintenance.discardStaged(), done)
  }

  sealStaged(done: Done): void {
    this.#enqueue(() => this.#maintenance.sealStaged(), done)
  }

  reset(meta: SnapshotMeta, done: Done): void {
    this.#enqueue(() => this.#maintenance.reset(meta), done)
  }

  repair(entries: readonly Entry[], done: Done): void {
    this.#enqueue(() => this.#maintenance.repair(entries), done)
  }

  space(): DiskSpace {
    return { low: this.#parts.pool.isLow, usedBytes: this.#parts.state.usedBytes() }
  }

  /** Looks whether there is space again, and goes on with writes that wait for it. */
  probeSpace(): void {
    if (this.#isClosed) return
    this.#parts.pool.probe()
    this.#appender.wake()
  }

  /**
   * To be called now and then (about every second) while the node runs: looks for space, and when the log is idle notes on
   * the disk that everything in it is durable, so that later rot of the last batch is not taken for an unfinished write.
   */
  tick(): void {
    this.probeSpace()
    if (!this.#isClosed) this.#appender.markIdle()
  }

  /** Writes what is queued, notes that the log ended in good order, and closes the files. */
  close(done: Done): void {
    this.#enqueue(() => this.#close(), done)
    this.#isClosed = true
  }

  /** Gate that opens when the flush under way has ended. */
  busyGate(): ReturnType<LogAppender["busyGate"]> {
    return this.#appender.busyGate()
  }

  /** The pool found more or less space. */
  spaceChanged(): void {
    this.#parts.options.defer(() => {
      if (this.#isClosed) return
      this.#parts.events.spaceChanged(this.space())
      this.#appender.wake()
    })
  }

  /** Opening found segments whose bookkeeping is damaged. */
  strengthen(segments: readonly Segment[]): void {
    if (segments.length > 0) this.#enqueue(() => this.#maintenance.strengthen(segments), ignore)
  }

  /** A write or sync outside the appender failed. */
  fail(error: Error): void {
    this.#appender.fail(error)
  }

  *#close(): Task {
    const { state, pool, hardState } = this.#parts
    yield* this.#appender.drain()
    yield* this.#appender.hold()
    yield* pool.stop()
    if (this.#appender.failure === undefined && !this.#appender.hasQueued) yield* this.#appender.writeClean()
    yield* this.#maintenance.close()
    for (const segment of [...state.segments, ...state.dead]) yield* closeFile(segment.file)
    yield* hardState.close()
  }

  #answer<T>(task: Task<T>, done: Done<T>): void {
    const pending = later(this.#parts.options.defer, done)
    if (this.#isClosed) pending.done(this.#closedError(), undefined as T)
    else runTask(task, pending.done)
    pending.returned()
  }

  #enqueue(start: () => Task, done: Done): void {
    if (this.#isClosed) {
      this.#parts.options.defer(() => {
        done(this.#closedError())
      })
      return
    }
    this.#jobs.push({ start, done })
    if (this.#jobs.length === 1 && !this.#isJobRunning) this.#parts.options.defer(() => this.#runJobs())
  }

  #runJobs(): void {
    const job = this.#jobs[0]
    if (job === undefined || this.#isJobRunning) return
    this.#isJobRunning = true
    runTask(this.#guarded(job.start), (error) => {
      this.#jobs.shift()
      this.#isJobRunning = false
      if (error !== undefined && isDiskFailure(error)) this.#appender.fail(error)
      job.done(error)
      this.#runJobs()
    })
  }

  *#guarded(start: () => Task): Task {
    const { failure } = this.#appender
    if (failure !== undefined && !this.#isClosed) {
      const text = "the log failed earlier and takes nothing more"
      throw new LogStoreError("failed", { path: this.#parts.options.directory, text, cause: failure })
    }
    yield* start()
  }

  #closedError(): LogStoreError {
    return new LogStoreError("closed", { path: this.#parts.options.directory, text: "the log is closed" })
  }
}

function ignore(): void {
  // Nobody waits for it; a failure of the disk latches the log by itself.
}

/** Refusals and lack of space leave the log as it was; anything else means that the disk cannot be trusted. */
function isDiskFailure(error: Error): boolean {
  if (isNoSpace(error)) return false
  return !(error instanceof LogStoreError) || error.kind === "failed"
}
