/**
 * Writes what changed in the machine to the checkpoint store, now and then, and lets the log forget what is no longer
 * needed: entries for consensus and replay (compaction), and segments in which nothing is alive (space).
 *
 * Order, which the whole of recovery rests on: the checkpoint is durable BEFORE the log's base moves, and the base is
 * never above the checkpoint.
 */
import type { LogIndex, Term } from "../core/raft/types.ts"
import type { CheckpointRecord, CheckpointStore, Logger, SegmentOverview } from "../ports.ts"
import { encodeNodeRecord, NODE_RECORD_KEY } from "./node-record.ts"
import type { SetReplica } from "./set-replica.ts"

export interface CheckpointerOptions {
  /** A checkpoint is taken after so many bytes of applied entries ... */
  readonly everyBytes: number
  /** ... or after so many ticks, if anything was applied. */
  readonly everyTicks: number
  /** Most bytes of log that are kept for a follower that lags; behind that it gets a snapshot. */
  readonly keptForFollowersBytes: number
  /** A segment is rewritten when less than this share of its entries is alive (0 to 1). */
  readonly cleanBelowLiveShare: number
}

export interface CheckpointerParts {
  readonly replica: SetReplica
  readonly store: CheckpointStore
  readonly logger: Logger
  readonly options: CheckpointerOptions
  /** The base stays at or below this while a snapshot is on its way, or the receiver could not go on from it. */
  readonly compactionLimit: () => LogIndex
  readonly fatal: (error: Error) => void
}

export class Checkpointer {
  readonly #replica: SetReplica
  readonly #store: CheckpointStore
  readonly #logger: Logger
  readonly #options: CheckpointerOptions
  readonly #compactionLimit: () => LogIndex
  readonly #fatal: (error: Error) => void
  #durable: { readonly index: LogIndex; readonly term: Term }
  #appliedBytes = 0
  #ticks = 0
  #busy = false
  #paused = false
  #stopped = false
  /** Who wants checkpoint and log for himself, oldest first. */
  readonly #waiting: (() => void)[] = []
  #checkpointCount = 0
  /** Sealed segments that were looked at as of this live count and found worth keeping: not looked at again at once. */
  readonly #keptUntilTick = new Map<LogIndex, number>()

  constructor(parts: CheckpointerParts) {
    this.#replica = parts.replica
    this.#store = parts.store
    this.#logger = parts.logger
    this.#options = parts.options
    this.#compactionLimit = parts.compactionLimit
    this.#fatal = parts.fatal
    this.#durable = { index: parts.replica.appliedIndex, term: parts.replica.appliedTerm }
  }

  get checkpointCount(): number {
    return this.#checkpointCount
  }

  /** What the durable checkpoint is as of. */
  get durable(): { readonly index: LogIndex; readonly term: Term } {
    return this.#durable
  }

  applied(bytes: number): void {
    this.#appliedBytes += bytes
    if (this.#appliedBytes >= this.#options.everyBytes) this.#take()
  }

  tick(): void {
    this.#ticks++
    if (this.#ticks % this.#options.everyTicks === 0 && this.#replica.appliedIndex > this.#durable.index) this.#take()
    else if (this.#ticks % RECLAIM_TICKS === 0) this.#reclaim()
  }

  /**
   * Gives the checkpoint and the log to `run` alone (snapshot install, a view for a snapshot, stop): it is called when
   * nobody else uses them, and until `resume` no checkpoint is taken and nobody else is let in.
   */
  pause(run: () => void): void {
    this.#waiting.push(run)
    this.#letNextIn()
  }

  resume(): void {
    this.#paused = false
    this.#letNextIn()
  }

  /** The checkpoint was replaced by a snapshot as of this entry. */
  replaced(index: LogIndex, term: Term): void {
    this.#durable = { index, term }
    this.#appliedBytes = 0
  }

  stop(): void {
    this.#stopped = true
  }

  /** Takes a checkpoint at once (before a clean stop, so that the next start is quick). */
  finish(done: () => void): void {
    this.pause(() => {
      this.#paused = false
      this.#waiting.unshift(done)
      this.#take()
      this.#letNextIn()
    })
  }

  #take(): void {
    if (this.#busy || this.#paused || this.#stopped) return
    const index = this.#replica.appliedIndex
    const term = this.#replica.appliedTerm
    if (index <= this.#durable.index) return
    this.#busy = true
    this.#appliedBytes = 0
    const records = this.#collect(index, term)
    this.#store.write(records, (error) => {
      if (this.#stopped) return
      this.#busy = false
      if (error !== undefined) {
        this.#fatal(new Error(`the checkpoint at index ${String(index)} could not be written`, { cause: error }))
        return
      }
      this.#checkpointCount++
      this.#durable = { index, term }
      this.#compact()
      this.#reclaim()
      this.#letNextIn()
    })
  }

  #collect(index: LogIndex, term: Term): CheckpointRecord[] {
    const records: CheckpointRecord[] = []
    this.#replica.machine.collectDirty((key, value) => {
      records.push({ key, value })
    })
    const value = encodeNodeRecord({
      setId: this.#replica.setId,
      appliedIndex: index,
      appliedTerm: term,
      configurations: this.#replica.configurations.slice(-CONFIGURATIONS_KEPT),
      installing: false,
    })
    records.push({ key: NODE_RECORD_KEY, value })
    return records
  }

  #letNextIn(): void {
    if (this.#busy || this.#paused) return
    const run = this.#waiting.shift()
    if (run === undefined) return
    this.#paused = true
    run()
  }

  /** Moves the base of the log up to the checkpoint, but not past a follower that can still be fed from the log. */
  #compact(): void {
    const status = this.#replica.raft.status()
    let index = Math.min(this.#durable.index, this.#compactionLimit())
    for (const peer of status.peers) {
      if (peer.state !== "snapshot") index = Math.min(index, Math.max(peer.matchIndex, this.#oldestKeptFor()))
    }
    if (index <= status.baseIndex) return
    const term = this.#replica.raft.termAt(index)
    if (term === undefined) return
    this.#replica.raft.compact(index)
    this.#replica.log.compact(index, term)
  }

  /** Index at which the newest `keptForFollowersBytes` of the log begin. */
  #oldestKeptFor(): LogIndex {
    let bytes = 0
    const segments = this.#replica.log.segments()
    for (let i = segments.length - 1; i >= 0; i--) {
      const segment = segments[i]
      if (segment === undefined) break
      bytes += segment.bytes
      if (bytes > this.#options.keptForFollowersBytes) return segment.firstIndex
    }
    return 0
  }

  #reclaim(): void {
    if (this.#busy || this.#paused || this.#stopped) return
    const baseIndex = this.#replica.raft.status().baseIndex
    const sealed = this.#replica.log.segments().filter((segment) => !segment.active && segment.lastIndex <= baseIndex)
    const oldestLive = this.#replica.machine.oldestLiveIndex() ?? Number.POSITIVE_INFINITY
    const dead = sealed.filter((segment) => segment.lastIndex < oldestLive).map((segment) => segment.firstIndex)
    if (dead.length > 0) this.#drop(dead)
    else this.#lookAtOneSegment(sealed)
  }

  /** One old segment at a time: drop it when nothing in it is alive, rewrite it when little is. */
  #lookAtOneSegment(sealed: readonly SegmentOverview[]): void {
    const segment = sealed.find((each) => (this.#keptUntilTick.get(each.firstIndex) ?? 0) <= this.#ticks)
    if (segment === undefined) return
    const live = new Set<LogIndex>()
    this.#replica.machine.visitLive({ fromIndex: segment.firstIndex, toIndex: segment.lastIndex }, (index) => {
      live.add(index)
    })
    if (live.size === 0) this.#drop([segment.firstIndex])
    else if (live.size < segment.entryCount * this.#options.cleanBelowLiveShare) this.#rewrite(segment, live)
    else this.#keptUntilTick.set(segment.firstIndex, this.#ticks + LOOK_AGAIN_TICKS)
  }

  #drop(firstIndexes: readonly LogIndex[]): void {
    this.#run("drop", (done) => {
      this.#replica.log.drop(firstIndexes, done)
    })
    for (const firstIndex of firstIndexes) this.#keptUntilTick.delete(firstIndex)
  }

  #rewrite(segment: SegmentOverview, live: ReadonlySet<LogIndex>): void {
    const keep = [...live].sort((left, right) => left - right)
    this.#run("rewrite", (done) => {
      this.#replica.log.rewrite(segment.firstIndex, keep, done)
    })
    this.#keptUntilTick.set(segment.firstIndex, this.#ticks + LOOK_AGAIN_TICKS)
  }

  #run(what: string, start: (done: (error: Error | undefined) => void) => void): void {
    this.#busy = true
    start((error) => {
      if (this.#stopped) return
      this.#busy = false
      // Space that could not be won back is tried again later; nothing depends on it.
      if (error !== undefined) this.#logger.warn({ what, error: error.message }, "log space was not reclaimed")
      this.#letNextIn()
    })
  }
}

/** Configurations remembered in a checkpoint: more than the log can still be cut back through. */
const CONFIGURATIONS_KEPT = 64
const RECLAIM_TICKS = 20
const LOOK_AGAIN_TICKS = 600
