/**
 * What a leader knows of one peer, and how fast it may send to it.
 *
 *            success                 needs what is compacted
 *     probe ---------> replicate          +-----------+
 *       ^  <---------                     |           v
 *       |   rejection, unreachable      probe      snapshot
 *       +--------------------------------------- sent, failed, or match reaches the log
 *
 * probe: where the logs agree is not known; one message at a time. replicate: messages follow each other without waiting,
 * within a window of messages and bytes (`nextIndex` runs ahead of `matchIndex`). snapshot: nothing is sent until the driver or
 * the peer reports. Invariant: `matchIndex < nextIndex`; `matchIndex` rises only (reordered replies: pitfall 5).
 */
import { assert } from "../assert.ts"
import type { EntriesFetch, LogIndex } from "./types.ts"

/** See the picture at the head of this file. */
export type ProgressState = "probe" | "replicate" | "snapshot"

/** Limits of the window in state `replicate`. */
export interface WindowLimits {
  /** Most messages with entries under way to one peer. */
  readonly maxMessages: number
  /** Most bytes of entries under way to one peer; the message that passes it is still sent. */
  readonly maxBytes: number
}

interface InflightMessage {
  readonly lastIndex: LogIndex
  readonly bytes: number
}

/** The leader's view of one peer. */
export class Progress {
  /** Highest index known to be durable on the peer and equal to ours. */
  matchIndex: LogIndex = 0
  /** Next index to send. */
  nextIndex: LogIndex
  state: ProgressState = "probe"
  /** In `snapshot`: the last index that the snapshot under way includes. */
  pendingSnapshotIndex: LogIndex = 0
  /** Highest commit index that a message told the peer since the state last changed. */
  sentCommitIndex: LogIndex = 0
  /** Heard from since the last check of the quorum. */
  recentActive: boolean
  /** A message is owed even when there are no entries for it: it finds out whether earlier ones arrived. */
  appendDue = false
  /** Entries on their way from our disk for this peer; nothing is sent meanwhile. */
  fetch: EntriesFetch | undefined

  private readonly limits: WindowLimits
  private inflight: InflightMessage[] = []
  private inflightBytesNow = 0
  private waiting = false

  constructor(options: { nextIndex: LogIndex; recentActive: boolean; limits: WindowLimits }) {
    this.nextIndex = options.nextIndex
    this.recentActive = options.recentActive
    this.limits = options.limits
  }

  get inflightMessages(): number {
    return this.inflight.length
  }

  get inflightBytes(): number {
    return this.inflightBytesNow
  }

  /** True when no more entries may be under way. */
  get isWindowFull(): boolean {
    return this.inflight.length >= this.limits.maxMessages || this.inflightBytesNow >= this.limits.maxBytes
  }

  /** True when nothing may be sent now. A sign of life or a reply ends it. */
  get isPaused(): boolean {
    return this.state === "snapshot" || this.fetch !== undefined || this.waiting
  }

  /** A sign of life: one more message may be tried. In a full window it goes without entries. */
  resume(): void {
    this.waiting = false
  }

  /** Nothing can be done for the peer now; tried again after a sign of life. */
  wait(): void {
    this.waiting = true
  }

  /** A message with `count` entries of `bytes` in total was made. */
  sent(count: number, bytes: number): void {
    this.appendDue = false
    if (this.state === "probe") {
      this.waiting = true
      return
    }
    assert(this.state === "replicate", "nothing is sent beside a snapshot")
    if (count > 0) {
      this.nextIndex += count
      this.inflight.push({ lastIndex: this.nextIndex - 1, bytes })
      this.inflightBytesNow += bytes
    }
    this.waiting = this.isWindowFull
  }

  /** The peer has our log durably up to `index`. Returns true when that was not known. Late replies change nothing. */
  maybeAdvance(index: LogIndex): boolean {
    this.nextIndex = Math.max(this.nextIndex, index + 1)
    if (index <= this.matchIndex) return false
    this.matchIndex = index
    this.waiting = false
    return true
  }

  /**
   * The peer refused entries behind `rejectedIndex`; `guessIndex` is where the logs may agree at best. Returns false for
   * a late answer, which says nothing about now.
   */
  maybeBackOff(rejectedIndex: LogIndex, guessIndex: LogIndex): boolean {
    if (this.state === "snapshot") return false
    // What was acknowledged cannot be missing: this answer is older than the acknowledgement, or the peer lost its disk.
    if (rejectedIndex <= this.matchIndex) return false
    if (this.state === "replicate") {
      this.becomeProbe()
      return true
    }
    if (rejectedIndex !== this.nextIndex - 1) return false
    this.nextIndex = Math.max(Math.min(rejectedIndex, guessIndex + 1), this.matchIndex + 1)
    this.fetch = undefined
    this.waiting = false
    return true
  }

  /** Frees the window of messages that are answered by an acknowledgement of `index`. */
  freeInflightUpTo(index: LogIndex): void {
    let count = 0
    for (const message of this.inflight) {
      if (message.lastIndex > index) break
      this.inflightBytesNow -= message.bytes
      count++
    }
    if (count > 0) this.inflight.splice(0, count)
    this.waiting = false
  }

  becomeProbe(): void {
    const behindSnapshot = this.state === "snapshot" ? this.pendingSnapshotIndex + 1 : 0
    this.enter("probe")
    this.nextIndex = Math.max(this.matchIndex + 1, behindSnapshot)
  }

  becomeReplicate(): void {
    this.enter("replicate")
    this.nextIndex = this.matchIndex + 1
  }

  becomeSnapshot(lastIncludedIndex: LogIndex): void {
    this.enter("snapshot")
    this.pendingSnapshotIndex = lastIncludedIndex
  }

  /** The driver gave up on the snapshot, or delivered it. Either way one probe follows, after a sign of life. */
  snapshotEnded(delivered: boolean): void {
    assert(this.state === "snapshot", "a snapshot was under way")
    if (!delivered) this.pendingSnapshotIndex = 0
    this.becomeProbe()
    this.waiting = true
  }

  private enter(state: ProgressState): void {
    this.state = state
    this.pendingSnapshotIndex = 0
    this.sentCommitIndex = 0
    this.inflight = []
    this.inflightBytesNow = 0
    this.waiting = false
    this.fetch = undefined
  }
}
