/** The disk of one node: what survives a crash. Writes are whole; the tests decide when each happens. */
import type { ConfigurationAt } from "../../../src/core/raft/configuration-history.ts"
import { decodeConfiguration } from "../../../src/core/raft/configuration-codec.ts"
import type { RecoveredLog } from "../../../src/core/raft/options.ts"
import type { TermRun } from "../../../src/core/raft/term-runs.ts"
import type { Configuration, Entry, HardState, LogIndex, LogWrite, SnapshotMeta } from "../../../src/core/raft/types.ts"

export class TestDisk {
  hardState: HardState = { currentTerm: 0, votedFor: 0, commitIndex: 0 }
  snapshot: SnapshotMeta
  entries: Entry[] = []

  constructor(configuration: Configuration) {
    this.snapshot = { lastIncludedIndex: 0, lastIncludedTerm: 0, configuration }
  }

  get lastIndex(): LogIndex {
    return this.snapshot.lastIncludedIndex + this.entries.length
  }

  entryAt(index: LogIndex): Entry | undefined {
    return this.entries[index - this.snapshot.lastIncludedIndex - 1]
  }

  write(write: LogWrite): void {
    if (write.hardState !== undefined) {
      const { currentTerm, votedFor } = this.hardState
      const next = write.hardState
      if (next.currentTerm < currentTerm) throw new Error(`the term on disk fell from ${currentTerm}`)
      if (next.currentTerm === currentTerm && votedFor !== 0 && next.votedFor !== votedFor) {
        throw new Error(`two votes in term ${currentTerm}: ${votedFor} and ${next.votedFor}`)
      }
      this.hardState = next
    }
    const first = write.entries[0]
    if (first === undefined) return
    if (first.index > this.lastIndex + 1) throw new Error(`a gap in the log before ${first.index}`)
    if (first.index <= this.snapshot.lastIncludedIndex) throw new Error(`a write into the snapshot at ${first.index}`)
    this.entries.length = first.index - this.snapshot.lastIncludedIndex - 1
    this.entries.push(...write.entries)
  }

  reset(snapshot: SnapshotMeta): void {
    this.snapshot = snapshot
    this.entries = []
  }

  compact(index: LogIndex): void {
    if (index <= this.snapshot.lastIncludedIndex) return
    const configuration =
      this.configurations().findLast((each) => each.index <= index)?.configuration ?? this.snapshot.configuration
    const term = this.entryAt(index)?.term ?? 0
    this.entries = this.entries.slice(index - this.snapshot.lastIncludedIndex)
    this.snapshot = { lastIncludedIndex: index, lastIncludedTerm: term, configuration }
  }

  recover(): RecoveredLog {
    const terms: TermRun[] = []
    for (const entry of this.entries) {
      if (terms.at(-1)?.term !== entry.term) terms.push({ firstIndex: entry.index, term: entry.term })
    }
    return {
      baseIndex: this.snapshot.lastIncludedIndex,
      baseTerm: this.snapshot.lastIncludedTerm,
      terms,
      lastIndex: this.lastIndex,
      configurations: this.configurations(),
    }
  }

  private configurations(): ConfigurationAt[] {
    return this.entries
      .filter((entry) => entry.kind === "configuration")
      .map((entry) => ({ index: entry.index, configuration: decodeConfiguration(entry.data) }))
  }
}
