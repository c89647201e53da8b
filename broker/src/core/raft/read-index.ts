/**
 * Linearizable reads without a log entry (thesis §6.4).
 *
 * A read may be served at the commit index of the moment it was asked, once a quorum has confirmed *after* that moment
 * that this node still leads. A confirmation is a round of heartbeats with a number; all reads that wait when a round starts
 * share it. Rounds are numbered within a term, so a late reply can only confirm an old round (pitfall 10).
 * No clock is involved: a leader that was paused learns that it is not one any more, and serves nothing (pitfall 11).
 */
import { assert } from "../assert.ts"
import { jointCommitIndex } from "./quorum.ts"
import type { Configuration, LogIndex, NodeId, ReadState } from "./types.ts"

/** Most rounds waiting for confirmation; further reads wait for the next round. Keeps every loop short. */
export const MAX_OPEN_READ_ROUNDS = 64

interface ReadRound {
  readonly round: number
  readonly index: LogIndex
  readonly contexts: readonly number[]
}

/** The reads of one leadership. */
export class ReadIndexQueue {
  private waitingForTerm: number[] = []
  private collecting: number[] = []
  private rounds: ReadRound[] = []
  private readonly confirmedRoundOf = new Map<NodeId, number>()
  private newest = 0

  /** Number of the newest round; 0 before the first. */
  get newestRound(): number {
    return this.newest
  }

  /** True when a round can be started for reads that wait. */
  get isRoundDue(): boolean {
    return this.collecting.length > 0 && this.rounds.length < MAX_OPEN_READ_ROUNDS
  }

  /**
   * Takes a read in. Until an entry of the leader's own term is committed, it does not know what is committed and the read
   * waits (thesis §6.4, step 1).
   */
  add(context: number, isOwnTermCommitted: boolean): void {
    if (isOwnTermCommitted) this.collecting.push(context)
    else this.waitingForTerm.push(context)
  }

  /** An entry of the own term is committed now. */
  ownTermCommitted(): void {
    if (this.waitingForTerm.length === 0) return
    this.collecting.push(...this.waitingForTerm)
    this.waitingForTerm = []
  }

  /** Starts a round for all reads that wait. The caller sends heartbeats with `newestRound` after this. */
  startRound(commitIndex: LogIndex): void {
    assert(this.isRoundDue, "a round is started for somebody")
    this.newest++
    this.rounds.push({ round: this.newest, index: commitIndex, contexts: this.collecting })
    this.collecting = []
  }

  /** `peer` answered a heartbeat that carried `round`: it follows this leader after the start of that round. */
  acknowledge(peer: NodeId, round: number): void {
    this.confirmedRoundOf.set(peer, Math.max(round, this.confirmedRoundOf.get(peer) ?? 0))
  }

  /** Takes out the reads that a quorum has confirmed; the leader itself counts if it is a voter. */
  takeConfirmed(configuration: Configuration, leaderId: NodeId): readonly ReadState[] {
    if (this.rounds.length === 0) return []
    const confirmed = jointCommitIndex(configuration, (voter) =>
      voter === leaderId ? this.newest : (this.confirmedRoundOf.get(voter) ?? 0),
    )
    const ready = this.rounds.filter((each) => each.round <= confirmed)
    this.rounds = this.rounds.filter((each) => each.round > confirmed)
    return ready.flatMap((each) => each.contexts.map((context) => ({ context, index: each.index })))
  }

  /** Takes out everything that is not confirmed: leadership is lost. */
  takeAll(): readonly number[] {
    const contexts = [...this.rounds.flatMap((each) => each.contexts), ...this.collecting, ...this.waitingForTerm]
    this.rounds = []
    this.collecting = []
    this.waitingForTerm = []
    return contexts
  }
}
