/**
 * One node of a test: a real `Raft` with a driver whose every step the test takes by hand.
 *
 * `process` takes one `Ready`; what it asks of the disk waits in `storage` until `persist`; what it sends waits in `outbox`.
 * A crash forgets all of it except the disk.
 */
import { createRandom } from "../../../src/core/random.ts"
import type { FaultSwitches, RaftFault } from "../../../src/core/raft/faults.ts"
import type { RaftOptions } from "../../../src/core/raft/options.ts"
import type { Raft } from "../../../src/core/raft/raft.ts"
import type {
  Configuration,
  EntriesFetch,
  Entry,
  LogIndex,
  LogWrite,
  Message,
  NodeId,
  ReadState,
  Ready,
  SnapshotMeta,
} from "../../../src/core/raft/types.ts"
import { createMutantRaft } from "./mutant-raft.ts"
import { TestDisk } from "./test-disk.ts"

export type RaftSettings = Partial<
  Omit<RaftOptions, "nodeId" | "configuration" | "hardState" | "log" | "appliedIndex" | "mayVote" | "random">
>

export interface TestNodeOptions {
  readonly nodeId: NodeId
  readonly configuration: Configuration
  readonly seed: number
  readonly settings?: RaftSettings
  readonly faults?: ReadonlySet<RaftFault>
}

export type StorageTask =
  { readonly kind: "write"; readonly write: LogWrite } | { readonly kind: "restore"; readonly snapshot: SnapshotMeta }

const SETTINGS = {
  electionTicks: 10,
  heartbeatTicks: 2,
  maxInflightEntriesBytes: 1 << 20,
  maxInflightMessages: 16,
  maxAppendBytes: 1 << 16,
  maxUncommittedBytes: 1 << 20,
  maxApplyBytes: 1 << 16,
  cacheBytes: 1 << 20,
}

export class TestNode {
  readonly nodeId: NodeId
  readonly disk: TestDisk
  raft: Raft
  isUp = true
  mayVote = true
  storage: StorageTask[] = []
  outbox: Message[] = []
  fetches: EntriesFetch[] = []
  applyFetches: NonNullable<Ready["applyFetch"]>[] = []
  appliedEntries: Entry[] = []
  reads: ReadState[] = []
  readsAborted: number[] = []
  /** What the log in memory holds, as far as it was handed out: index to entry. */
  handedOut = new Map<LogIndex, Entry>()
  private readonly options: TestNodeOptions
  private starts = 0

  constructor(options: TestNodeOptions) {
    this.nodeId = options.nodeId
    this.options = options
    this.disk = new TestDisk(options.configuration)
    this.raft = this.start()
  }

  get faults(): FaultSwitches {
    return this.options.faults ?? new Set()
  }

  /** Takes one Ready and begins what it asks for. Applies at once. */
  process(): Ready | undefined {
    const isExpected = this.raft.hasReady()
    const ready = this.raft.ready()
    if (ready !== undefined && !isExpected) throw new Error("hasReady() missed work")
    if (ready === undefined) {
      if (this.raft.hasReady()) throw new Error("hasReady() promises work for ever")
      return undefined
    }
    if (ready.restore !== undefined) {
      this.storage.push({ kind: "restore", snapshot: ready.restore })
      this.handedOut.clear()
    }
    if (ready.write !== undefined) {
      this.storage.push({ kind: "write", write: ready.write })
      this.note(ready.write.entries)
    }
    this.outbox.push(...ready.messages)
    this.fetches.push(...ready.fetches)
    if (ready.applyFetch !== undefined) this.applyFetches.push(ready.applyFetch)
    this.reads.push(...ready.reads)
    this.readsAborted.push(...ready.readsAborted)
    const last = ready.committedEntries.at(-1)
    this.appliedEntries.push(...ready.committedEntries)
    if (last !== undefined) this.raft.applied(last.index)
    return ready
  }

  /** Completes the oldest task of the disk. Returns it, or undefined when there is none. */
  persist(): StorageTask | undefined {
    const task = this.storage.shift()
    if (task === undefined) return undefined
    this.carryOut(task)
    if (task.kind === "write") {
      this.outbox.push(...task.write.messages)
      this.raft.persisted(task.write.sequence)
    } else this.raft.restored(task.snapshot)
    return task
  }

  /** Answers the oldest request for entries from the disk: for a peer, else for the state machine. */
  serveFetch(): boolean {
    const fetch = this.fetches.shift()
    if (fetch !== undefined) {
      const isGone = fetch.fromIndex <= this.disk.snapshot.lastIncludedIndex
      this.raft.entriesFetched(fetch, isGone ? "compacted" : this.read(fetch))
      return true
    }
    const applyFetch = this.applyFetches.shift()
    if (applyFetch === undefined) return false
    this.raft.applyFetched(applyFetch.fromIndex, this.read(applyFetch))
    return true
  }

  /** Everything that this node can do by itself, until it has nothing left to do. */
  settle(): void {
    for (let round = 0; round < 1000; round++) {
      const ready = this.process()
      const task = this.persist()
      if (ready === undefined && task === undefined && !this.serveFetch()) return
    }
    throw new Error(`node ${this.nodeId} does not come to rest`)
  }

  compact(index: LogIndex): void {
    this.disk.compact(index)
    this.raft.compact(index)
  }

  /** Loses the memory. The first `survivingTasks` of the disk's tasks happened although nobody was told. */
  crash(survivingTasks = 0): void {
    for (const task of this.storage.slice(0, survivingTasks)) this.carryOut(task)
    this.isUp = false
    this.storage = []
    this.outbox = []
    this.fetches = []
    this.applyFetches = []
    this.reads = []
    this.readsAborted = []
  }

  /** Loses the disk as well. The node knows it, so it does not vote. */
  wipe(): void {
    this.crash()
    this.disk.hardState = { currentTerm: 0, votedFor: 0, commitIndex: 0 }
    this.disk.reset({ lastIncludedIndex: 0, lastIncludedTerm: 0, configuration: this.options.configuration })
    this.mayVote = false
  }

  restart(): void {
    this.isUp = true
    this.raft = this.start()
  }

  private start(): Raft {
    const { snapshot, hardState } = this.disk
    this.starts++
    this.appliedEntries = []
    this.handedOut = new Map(this.disk.entries.map((entry) => [entry.index, entry]))
    const options: RaftOptions = {
      ...SETTINGS,
      ...this.options.settings,
      nodeId: this.nodeId,
      configuration: snapshot.configuration,
      hardState,
      log: this.disk.recover(),
      appliedIndex: snapshot.lastIncludedIndex,
      mayVote: this.mayVote,
      random: createRandom(this.options.seed * 1_000_003 + this.nodeId * 1009 + this.starts),
    }
    return createMutantRaft(options, this.options.faults ?? new Set())
  }

  private carryOut(task: StorageTask): void {
    if (task.kind === "write") this.disk.write(task.write)
    else this.disk.reset(task.snapshot)
  }

  private note(entries: readonly Entry[]): void {
    const first = entries[0]
    if (first === undefined) return
    for (let index = first.index; this.handedOut.has(index); index++) this.handedOut.delete(index)
    for (const entry of entries) this.handedOut.set(entry.index, entry)
  }

  private read(range: { fromIndex: LogIndex; toIndex: LogIndex; maxBytes: number }): Entry[] {
    const entries: Entry[] = []
    let bytes = 0
    for (let index = range.fromIndex; index <= range.toIndex; index++) {
      const entry = this.disk.entryAt(index)
      if (entry === undefined) break
      bytes += entry.data.byteLength
      if (bytes > range.maxBytes && entries.length > 0) break
      entries.push(entry)
    }
    return entries
  }
}
