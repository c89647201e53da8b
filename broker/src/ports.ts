/**
 * What the node needs from the world, as small roles. Adapters implement them with files and sockets; the
 * simulator implements them with a virtual disk, network and clock. Callback style on purpose: the simulator
 * decides the order of completions, and the hot path makes no promise per message.
 *
 * Rule for every callback: it is never called before the method that takes it has returned.
 */
import type {
  Configuration,
  Entry,
  HardState,
  LogIndex,
  LogWrite,
  NodeId,
  SnapshotMeta,
  Term,
} from "./core/raft/types.ts"

export interface Clock {
  /** Milliseconds since an arbitrary start of this process; never goes back. Never sent or stored. */
  monotonicMs(): number
  /** Unix time in milliseconds; may jump. */
  wallMs(): number
}

/** Stops a timer. Calling it twice is harmless. */
export type Cancel = () => void

export interface Timers {
  /** Runs after everything that is already waiting in this turn of the event loop (`setImmediate`). */
  soon(run: () => void): void
  after(delayMs: number, run: () => void): Cancel
  every(periodMs: number, run: () => void): Cancel
}

export interface Logger {
  debug(fields: Readonly<Record<string, unknown>>, text: string): void
  info(fields: Readonly<Record<string, unknown>>, text: string): void
  warn(fields: Readonly<Record<string, unknown>>, text: string): void
  error(fields: Readonly<Record<string, unknown>>, text: string): void
}

/** Done callbacks: `error` first, as in Node. */
export type Done<T = void> = (error: Error | undefined, value: T) => void

// ---------------------------------------------------------------------------------------------- disk

/**
 * The file system as the log sees it. Paths are relative to the data directory, with `/`.
 * Errors carry Node's `code` (`ENOSPC`, `EIO`, `ENOENT`, ...).
 */
export interface Disk {
  list(directory: string, done: Done<readonly string[]>): void
  /** Opens for reading and writing; creates an empty file when `create` and it is missing. */
  open(path: string, options: { readonly create: boolean }, done: Done<DiskFile>): void
  rename(from: string, to: string, done: Done): void
  remove(path: string, done: Done): void
  makeDirectory(path: string, done: Done): void
  /** Makes creations, renames and removals in this directory durable. */
  syncDirectory(path: string, done: Done): void
}

export interface DiskFile {
  sizeBytes(done: Done<number>): void
  /**
   * Writes the buffers one after the other at `position`. The value is the count of bytes written, which may be
   * SHORT without an error (a full disk does that): the caller checks it.
   */
  write(buffers: readonly Uint8Array[], position: number, done: Done<number>): void
  /** Fills `target` from `position`; the value is the count of bytes read (short at the end of the file). */
  read(target: Uint8Array, position: number, done: Done<number>): void
  /** fdatasync. After an error nothing may be assumed about earlier writes, and the call is never repeated. */
  sync(done: Done): void
  truncate(sizeBytes: number, done: Done): void
  close(done: Done): void
}

// ---------------------------------------------------------------------------------------------- log

/** Where one message record lies: `length` bytes at `offset` of the data of entry `entryIndex`. */
export interface RecordPositions {
  readonly count: number
  readonly entryIndexes: ArrayLike<LogIndex>
  readonly offsets: ArrayLike<number>
  readonly lengths: ArrayLike<number>
}

export interface LogRecovery {
  /** `undefined` on a node that never had any state. */
  readonly hardState: HardState | undefined
  /** The entry before the first one that consensus still has. Entries `baseIndex + 1 .. lastIndex` are all there. */
  readonly baseIndex: LogIndex
  readonly baseTerm: Term
  readonly lastIndex: LogIndex
  /** Runs of equal term covering `baseIndex + 1 .. lastIndex`. */
  readonly terms: readonly { readonly firstIndex: LogIndex; readonly term: Term }[]
  /** Configuration entries above the base, oldest first (data undecoded). */
  readonly configurations: readonly { readonly index: LogIndex; readonly data: Uint8Array }[]
  /** Entries whose bytes are rotten and must be fetched from a peer. A node with any may not lead. */
  readonly damaged: readonly { readonly firstIndex: LogIndex; readonly lastIndex: LogIndex }[]
  /** True when the last record is damaged and might have been acknowledged: no votes until a leader brought it back. */
  readonly ambiguousTail: boolean
}

export interface SegmentOverview {
  readonly firstIndex: LogIndex
  readonly lastIndex: LogIndex
  readonly entryCount: number
  readonly bytes: number
  /** False after cleaning: some entries of the range are gone. */
  readonly contiguous: boolean
  /** The segment now written to; never dropped or rewritten. */
  readonly active: boolean
}

export interface DiskSpace {
  /** True when ordinary writes must be refused; what remains is held for receives and deletes. */
  readonly low: boolean
  /** Bytes of log in use, all segments. */
  readonly usedBytes: number
}

/** The segmented log. One writer. Entries are kept until `drop`/`rewrite` says that nothing in them is alive. */
export interface LogStore {
  /**
   * Queues a write; writes become durable in order, several with one sync. Answers come through the `LogEvents`
   * given at opening. A write that starts at or before the last index cuts the log back first.
   */
  write(write: LogWrite): void
  /** Whole entries, consecutive from `fromIndex`, at most `maxBytes` (but at least one). "compacted" when not there. */
  readEntries(
    range: { readonly fromIndex: LogIndex; readonly toIndex: LogIndex; readonly maxBytes: number },
    done: Done<readonly Entry[] | "compacted">,
  ): void
  /**
   * The bytes of message records, in the order asked, from the recent-entries cache or by reads of neighbouring runs.
   * `undefined` in place of a record whose bytes are not here or fail their checksum.
   */
  readRecords(positions: RecordPositions, done: Done<readonly (Uint8Array | undefined)[]>): void
  segments(): readonly SegmentOverview[]
  /** Consensus no longer needs entries up to `index` (they may stay for their bodies). */
  compact(index: LogIndex, term: Term): void
  /** Removes segments (or recycles their files) that lie wholly below the base and hold nothing alive. */
  drop(firstIndexes: readonly LogIndex[], done: Done): void
  /** Rewrites a sealed segment below the base with only these entries (ascending), original indexes kept. */
  rewrite(firstIndex: LogIndex, keep: readonly LogIndex[], done: Done): void
  /**
   * Snapshot install: entries that live messages point to, ascending, all at or below the snapshot. Stored aside
   * until `reset` makes them part of the log.
   */
  stageEntries(entries: readonly Entry[], done: Done): void
  discardStaged(done: Done): void
  /**
   * Makes durable what was staged: from now on it outlives a crash, until `reset` or `discardStaged`, in this life or the
   * next. Comes before the state machine's checkpoint is replaced, for behind that point there is no way back.
   */
  sealStaged(done: Done): void
  /**
   * The log now begins behind the snapshot: everything older is replaced by what was staged; a suffix that matches
   * (entry at lastIncludedIndex has lastIncludedTerm) is kept.
   */
  reset(meta: SnapshotMeta, done: Done): void
  /** Replaces damaged entries by these (fetched from a peer; term and checksum were compared). */
  repair(entries: readonly Entry[], done: Done): void
  space(): DiskSpace
  close(done: Done): void
}

export interface LogEvents {
  /** Every write up to this sequence is durable. */
  persisted(sequence: number): void
  /** A write or sync failed: the log takes nothing more; the node must stop. */
  failed(error: Error): void
  spaceChanged(space: DiskSpace): void
}

// ---------------------------------------------------------------------------------------------- checkpoint

export interface CheckpointRecord {
  readonly key: Uint8Array
  /** `undefined` deletes the key. */
  readonly value: Uint8Array | undefined
}

/** A sorted, crash-safe table that holds the machine's state as of one applied index. */
export interface CheckpointStore {
  /** Atomic and durable: after a crash either all of it is there or nothing. */
  write(records: readonly CheckpointRecord[], done: Done): void
  /** Every record, in key order, in pieces. `visit` is called for each piece; done at the end. */
  read(visit: (records: readonly { readonly key: Uint8Array; readonly value: Uint8Array }[]) => void, done: Done): void
  /** A consistent view that stays as it is while writes go on. */
  openView(done: Done<CheckpointView>): void
  /** Replaces everything by the staged records (snapshot install), atomically. */
  stage(records: readonly CheckpointRecord[], done: Done): void
  discardStaged(done: Done): void
  replaceByStaged(done: Done): void
  close(done: Done): void
}

export interface CheckpointView {
  /** The next records in key order, about `maxBytes` of them; an empty list at the end. */
  next(maxBytes: number, done: Done<readonly { readonly key: Uint8Array; readonly value: Uint8Array }[]>): void
  close(done: Done): void
}

// ---------------------------------------------------------------------------------------------- peers

/** Connections to the other nodes. Frames may be lost, never torn or reordered within one connection. */
export interface PeerTransport {
  /** The frame is the concatenation of the parts. False when it was dropped: not connected, or too much is waiting. */
  send(peer: NodeId, parts: readonly Uint8Array[]): boolean
  connected(peer: NodeId): boolean
}

export interface PeerEvents {
  /** One whole frame whose checksum was right. The bytes are the receiver's to keep. */
  frame(peer: NodeId, bytes: Uint8Array): void
  connected(peer: NodeId): void
  /** The connection ended or broke (not: was never made). */
  disconnected(peer: NodeId): void
}

export type { Configuration, Entry, HardState, LogIndex, LogWrite, NodeId, SnapshotMeta, Term }

/** One message on its way to a subscriber's address. */
export interface OutgoingPush {
  /** `http://...`; where it may lead is the transport's business. */
  readonly url: string
  /** Of this try, for the logs of both sides. */
  readonly requestId: string
  readonly topicName: string
  readonly subscriptionName: string
  readonly notifyContentFormat: "json" | "simplified"
  readonly msgId: string
  readonly body: Uint8Array
  readonly tags: readonly string[]
  /** Unix ms. */
  readonly publishedAtMs: number
}

/** What became of a push. `busy`: nothing was sent for want of room here; `failed`: whatever else went wrong. */
export type PushResult = "delivered" | "failed" | "busy"

/** Why nothing may be pushed to an address: rows of the error table. */
export type EndpointRefusal = "endpointInvalid" | "endpointIllegal" | "endpointHasBlanks"

/** Sends messages to subscribers' addresses. */
export interface PushTransport {
  /** `done` exactly once, never before the call returns. */
  push(push: OutgoingPush, done: (result: PushResult) => void): void
  /**
   * Asked when somebody subscribes, about what can be said before a name is resolved; undefined = nothing against it. Every
   * push is judged again. Transports of tests may leave it out.
   */
  refuseEndpoint?(url: string): EndpointRefusal | undefined
}
