/** How much proposed data waits for a quorum: the leader's own limit, so that a lost quorum cannot fill its memory. */
import type { Entry, LogIndex } from "./types.ts"

interface WaitingEntry {
  readonly index: LogIndex
  readonly bytes: number
}

/** Counts bytes of data, not overhead: empty entries are free. Entries of former leaders are not counted. */
export class UncommittedBytes {
  private readonly waiting: WaitingEntry[] = []
  private bytesNow = 0

  get bytes(): number {
    return this.bytesNow
  }

  /** True when `bytes` more may be proposed. When nothing waits, anything may, or a large entry could never go. */
  admits(bytes: number, maxBytes: number): boolean {
    return this.bytesNow === 0 || this.bytesNow + bytes <= maxBytes
  }

  add(entry: Entry): void {
    const bytes = entry.data.byteLength
    if (bytes === 0) return
    this.waiting.push({ index: entry.index, bytes })
    this.bytesNow += bytes
  }

  committed(index: LogIndex): void {
    let count = 0
    for (const entry of this.waiting) {
      if (entry.index > index) break
      this.bytesNow -= entry.bytes
      count++
    }
    if (count > 0) this.waiting.splice(0, count)
  }
}
