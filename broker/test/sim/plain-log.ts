/**
 * A log without files: entries in memory, durable after a simulated sync. For tests of the simulator itself and for runs
 * in which the disk is not the question. It keeps everything, so it has no segments to drop.
 */
import type { Random } from "../../src/core/random.ts"
import type { Entry, HardState, LogEvents, LogRecovery, LogStore, LogWrite, SnapshotMeta } from "../../src/ports.ts"
import type { Incarnation } from "./sim-process.ts"
import { exponential } from "./world.ts"

/** What survives a crash. */
export class PlainLogDisk {
  entries = new Map<number, Entry>()
  baseIndex = 0
  baseTerm = 0
  lastIndex = 0
  hardState: HardState | undefined
  staged = new Map<number, Entry>()
}

export interface PlainLogParts {
  readonly disk: PlainLogDisk
  readonly incarnation: Incarnation
  readonly events: LogEvents
  readonly random: Random
  readonly meanSyncMs: number
}

export function openPlainLog(parts: PlainLogParts): { readonly log: LogStore; readonly recovery: LogRecovery } {
  return { log: new PlainLog(parts), recovery: recover(parts.disk) }
}

class PlainLog implements LogStore {
  readonly #parts: PlainLogParts
  readonly #waiting: LogWrite[] = []
  #isSyncing = false

  constructor(parts: PlainLogParts) {
    this.#parts = parts
  }

  write(write: LogWrite): void {
    this.#waiting.push(write)
    this.#sync()
  }

  #sync(): void {
    if (this.#isSyncing || this.#waiting.length === 0) return
    this.#isSyncing = true
    const batch = this.#waiting.splice(0)
    this.#later(0.05 + exponential(this.#parts.random, this.#parts.meanSyncMs), () => {
      this.#isSyncing = false
      const { disk } = this.#parts
      for (const write of batch) {
        if (write.hardState !== undefined) disk.hardState = write.hardState
        const first = write.entries[0]
        if (first === undefined) continue
        for (let index = first.index; index <= disk.lastIndex; index++) disk.entries.delete(index)
        for (const entry of write.entries) disk.entries.set(entry.index, entry)
        disk.lastIndex = write.entries.at(-1)?.index ?? disk.lastIndex
      }
      this.#parts.events.persisted(batch.at(-1)?.sequence ?? 0)
      this.#sync()
    })
  }

  readEntries: LogStore["readEntries"] = ({ fromIndex, toIndex, maxBytes }, done) => {
    const entries: Entry[] = []
    let bytes = 0
    for (let index = fromIndex; index <= toIndex; index++) {
      const entry = this.#find(index)
      if (entry === undefined || (entries.length > 0 && bytes + entry.data.length > maxBytes)) break
      entries.push(entry)
      bytes += entry.data.length
    }
    this.#later(0.1, () => {
      done(undefined, entries.length === 0 ? "compacted" : entries)
    })
  }

  readRecords: LogStore["readRecords"] = (positions, done) => {
    const records: (Uint8Array | undefined)[] = []
    for (let i = 0; i < positions.count; i++) {
      const offset = positions.offsets[i] ?? 0
      const entry = this.#find(positions.entryIndexes[i] ?? 0)
      records.push(entry?.data.subarray(offset, offset + (positions.lengths[i] ?? 0)))
    }
    this.#later(0.1, () => {
      done(undefined, records)
    })
  }

  segments: LogStore["segments"] = () => []

  compact(index: number, term: number): void {
    this.#parts.disk.baseIndex = index
    this.#parts.disk.baseTerm = term
  }

  drop: LogStore["drop"] = (_firstIndexes, done) => {
    this.#later(0.1, () => {
      done(undefined)
    })
  }

  rewrite: LogStore["rewrite"] = (_firstIndex, _keep, done) => {
    this.#later(0.1, () => {
      done(undefined)
    })
  }

  stageEntries: LogStore["stageEntries"] = (entries, done) => {
    this.#later(0.1, () => {
      for (const entry of entries) this.#parts.disk.staged.set(entry.index, entry)
      done(undefined)
    })
  }

  discardStaged: LogStore["discardStaged"] = (done) => {
    this.#later(0.1, () => {
      this.#parts.disk.staged.clear()
      done(undefined)
    })
  }

  reset(meta: SnapshotMeta, done: (error: Error | undefined) => void): void {
    this.#later(0.1, () => {
      const { disk } = this.#parts
      const keepsSuffix = disk.entries.get(meta.lastIncludedIndex)?.term === meta.lastIncludedTerm
      const kept = [...disk.entries.values()].filter((entry) => keepsSuffix && entry.index > meta.lastIncludedIndex)
      disk.entries = new Map([...disk.staged.values(), ...kept].map((entry) => [entry.index, entry]))
      disk.staged = new Map()
      disk.baseIndex = meta.lastIncludedIndex
      disk.baseTerm = meta.lastIncludedTerm
      disk.lastIndex = kept.at(-1)?.index ?? meta.lastIncludedIndex
      done(undefined)
    })
  }

  repair: LogStore["repair"] = (_entries, done) => {
    this.#later(0.1, () => {
      done(undefined)
    })
  }

  space: LogStore["space"] = () => ({ low: false, usedBytes: 0 })

  close: LogStore["close"] = (done) => {
    this.#later(0.1, () => {
      done(undefined)
    })
  }

  #find(index: number): Entry | undefined {
    for (let i = this.#waiting.length - 1; i >= 0; i--) {
      const found = this.#waiting[i]?.entries.find((entry) => entry.index === index)
      if (found !== undefined) return found
    }
    return this.#parts.disk.entries.get(index)
  }

  #later(delayMs: number, run: () => void): void {
    this.#parts.incarnation.after(delayMs, run)
  }
}

function recover(disk: PlainLogDisk): LogRecovery {
  const terms: { firstIndex: number; term: number }[] = []
  const configurations: { index: number; data: Uint8Array }[] = []
  for (let index = disk.baseIndex + 1; index <= disk.lastIndex; index++) {
    const entry = disk.entries.get(index)
    if (entry === undefined) throw new RangeError(`the plain log has no entry ${String(index)}`)
    if (terms.at(-1)?.term !== entry.term) terms.push({ firstIndex: index, term: entry.term })
    if (entry.kind === "configuration") configurations.push({ index, data: entry.data })
  }
  return {
    hardState: disk.hardState,
    baseIndex: disk.baseIndex,
    baseTerm: disk.baseTerm,
    lastIndex: disk.lastIndex,
    terms,
    configurations,
    damaged: [],
    ambiguousTail: false,
  }
}
