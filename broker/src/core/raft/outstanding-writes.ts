/**
 * The writes that the driver has and has not reported as durable, and what each of them will prove.
 *
 * Guards against the ABA race: a node hands over entries, has them overwritten by another leader's, and even gets equal
 * indexes back, before the first write is reported. When entries are cut off, the ranges of earlier writes are clipped, so
 * that a late report can never vouch for an entry that is no longer the one it wrote.
 */
import { assert } from "../assert.ts"
import type { LogIndex, NodeId, Term } from "./types.ts"

/** What a completed write made durable. */
export interface CompletedWrites {
  /** The log is durable up to here; 0 when the writes prove nothing about today's log. */
  readonly lastIndex: LogIndex
  /** Term and vote on the disk now; undefined when none of the writes carried them. */
  readonly vote: PersistedVote | undefined
}

/** The part of `HardState` that is a promise. */
export interface PersistedVote {
  readonly currentTerm: Term
  readonly votedFor: NodeId
}

interface OutstandingWrite {
  readonly sequence: number
  readonly vote: PersistedVote | undefined
  readonly firstIndex: LogIndex
  /** Falls when entries are cut off; below `firstIndex` means: nothing of it is left. */
  lastIndex: LogIndex
}

/** Order: first in, first out. */
export class OutstandingWrites {
  private readonly queue: OutstandingWrite[] = []
  private lastSequence = 0

  get isEmpty(): boolean {
    return this.queue.length === 0
  }

  /** Registers a write and returns its sequence. An empty range has `lastIndex < firstIndex`. */
  add(write: { vote: PersistedVote | undefined; firstIndex: LogIndex; lastIndex: LogIndex }): number {
    this.lastSequence++
    this.queue.push({ sequence: this.lastSequence, ...write })
    return this.lastSequence
  }

  /** Entries behind `lastIndex` were cut off: no write handed over so far vouches for that part again. */
  clip(lastIndex: LogIndex): void {
    for (const write of this.queue) write.lastIndex = Math.min(write.lastIndex, lastIndex)
  }

  /** All writes up to `sequence` are durable. Undefined when that was known. */
  complete(sequence: number): CompletedWrites | undefined {
    assert(sequence <= this.lastSequence, "only a write that was handed over completes")
    let lastIndex = 0
    let vote: PersistedVote | undefined
    let count = 0
    for (const write of this.queue) {
      if (write.sequence > sequence) break
      if (write.lastIndex >= write.firstIndex) lastIndex = Math.max(lastIndex, write.lastIndex)
      vote = write.vote ?? vote
      count++
    }
    if (count === 0) return undefined
    this.queue.splice(0, count)
    return { lastIndex, vote }
  }
}
