/**
 * The Ready loop: the ONE place that knows the order persist -> send -> apply.
 *
 *   1. a snapshot to restore stops everything else until it is in place;
 *   2. the write goes to the log; what depends on it (`write.messages`, the leader's own count) waits for the disk;
 *   3. messages that depend on nothing leave at once, before the own sync: followers sync while we do;
 *   4. committed entries are applied; then reads whose index is reached are answered.
 *
 * It decides nothing about elections or commits (core/raft) nor about queues (core/queue), and it reads no clock:
 * `tick()` is called from outside.
 */
import type {
  EntriesFetch,
  Entry,
  LogIndex,
  LogWrite,
  Message,
  RaftStatusChange,
  ReadState,
  Ready,
  SnapshotMeta,
} from "../core/raft/types.ts"
import type { Raft } from "../core/raft/raft.ts"
import type { LogStore, Timers } from "../ports.ts"

/** What the driver calls; one object, so that the wiring is visible in one place (set-replica.ts). */
export interface RaftDriverUser {
  sendToPeers(messages: readonly Message[]): void
  /** Applies committed entries in order. Throwing here ends the node: replicas must never differ. */
  applyEntries(entries: readonly Entry[]): void
  /** A snapshot was accepted: put machine and log behind it, then call `done`. */
  restoreSnapshot(meta: SnapshotMeta, done: () => void): void
  statusChanged(status: RaftStatusChange): void
  readConfirmed(read: ReadState): void
  readAborted(context: number): void
  /** Bytes of committed entries could not be read here (rotten): repair, then call `retry`. */
  entriesDamaged(range: { readonly fromIndex: LogIndex; readonly toIndex: LogIndex }, retry: () => void): void
}

/** Most Readies carried out in one go before other events get their turn. */
const READIES_PER_TURN = 64

export class RaftDriver {
  readonly #raft: Raft
  readonly #log: LogStore
  readonly #timers: Timers
  readonly #user: RaftDriverUser
  /** Writes handed to the log whose messages wait for the disk, oldest first. */
  readonly #unsynced: { readonly sequence: number; readonly messages: readonly Message[] }[] = []
  #scheduled = false
  #restoring = false
  #stopped = false

  constructor(parts: { raft: Raft; log: LogStore; timers: Timers; user: RaftDriverUser }) {
    this.#raft = parts.raft
    this.#log = parts.log
    this.#timers = parts.timers
    this.#user = parts.user
  }

  /** Something may have changed in the core; what follows from it, if anything, is done at the end of this turn. */
  wake(): void {
    if (this.#scheduled || this.#stopped || !this.#raft.hasReady()) return
    this.#scheduled = true
    this.#timers.soon(() => {
      this.#scheduled = false
      this.#run()
    })
  }

  tick(): void {
    this.#raft.tick()
    // Most ticks of an idle node have nothing to say; the others need no turn of the event loop of their own.
    if (this.#raft.hasReady()) this.#run()
  }

  /** The log says that every write up to `sequence` is durable. */
  persisted(sequence: number): void {
    if (this.#stopped) return
    const durable: Message[] = []
    while (this.#unsynced[0] !== undefined && this.#unsynced[0].sequence <= sequence) {
      durable.push(...(this.#unsynced.shift()?.messages ?? []))
    }
    this.#raft.persisted(sequence)
    if (durable.length > 0) this.#user.sendToPeers(durable)
    this.#run()
  }

  stop(): void {
    this.#stopped = true
  }

  #run(): void {
    for (let round = 0; round < READIES_PER_TURN; round++) {
      if (this.#restoring || this.#stopped) return
      const ready = this.#raft.ready()
      if (ready === undefined) return
      this.#carryOut(ready)
    }
    this.wake()
  }

  #carryOut(ready: Ready): void {
    if (ready.status !== undefined) this.#user.statusChanged(ready.status)
    if (ready.restore !== undefined) {
      this.#restore(ready.restore, ready)
      return
    }
    this.#carryOutBehindRestore(ready)
  }

  #carryOutBehindRestore(ready: Ready): void {
    if (ready.write !== undefined) this.#persist(ready.write)
    if (ready.messages.length > 0) this.#user.sendToPeers(ready.messages)
    for (const fetch of ready.fetches) this.#fetchForPeer(fetch)
    this.#apply(ready)
    for (const read of ready.reads) this.#user.readConfirmed(read)
    for (const context of ready.readsAborted) this.#user.readAborted(context)
  }

  #persist(write: LogWrite): void {
    this.#unsynced.push({ sequence: write.sequence, messages: write.messages })
    this.#log.write(write)
  }

  #restore(meta: SnapshotMeta, ready: Ready): void {
    this.#restoring = true
    this.#user.restoreSnapshot(meta, () => {
      this.#restoring = false
      if (this.#stopped) return
      this.#raft.restored(meta)
      this.#carryOutBehindRestore(ready)
      this.wake()
    })
  }

  #apply(ready: Ready): void {
    const last = ready.committedEntries.at(-1)
    if (last !== undefined) {
      this.#user.applyEntries(ready.committedEntries)
      this.#raft.applied(last.index)
    }
    if (ready.applyFetch !== undefined) this.#fetchToApply(ready.applyFetch)
  }

  #fetchToApply(range: { readonly fromIndex: LogIndex; readonly toIndex: LogIndex; readonly maxBytes: number }): void {
    this.#log.readEntries(range, (error, entries) => {
      if (this.#stopped) return
      if (error !== undefined || entries === "compacted") {
        this.#user.entriesDamaged(range, () => {
          this.#fetchToApply(range)
        })
        return
      }
      this.#raft.applyFetched(range.fromIndex, entries)
      this.wake()
    })
  }

  #fetchForPeer(fetch: EntriesFetch): void {
    this.#log.readEntries(fetch, (error, entries) => {
      if (this.#stopped) return
      // Unreadable here: the follower cannot be fed from this log; a snapshot takes the place of what is missing.
      this.#raft.entriesFetched(fetch, error === undefined ? entries : "compacted")
      this.wake()
    })
  }
}
