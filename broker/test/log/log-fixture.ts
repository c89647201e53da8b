/**
 * Opens logs on a crash disk and remembers what was written and acknowledged, so that a test can say after any crash what must
 * be there.
 */
import { openMutantLog } from "../../src/adapters/log/mutant-log.ts"
import { LOG_DEFAULTS } from "../../src/adapters/log/log-options.ts"
import type { LogMutation, SegmentedLogOptions } from "../../src/adapters/log/log-options.ts"
import type { SegmentedLog } from "../../src/adapters/log/segmented-log.ts"
import type { DiskSpace, Done, Entry, LogRecovery, LogWrite } from "../../src/ports.ts"
import type { CrashDisk } from "./crash-disk.ts"

export const SEGMENT_BYTES = 32 * 1024
export const IDENTITY = { clusterId: "test-cluster", nodeId: 2, setId: 0, incarnation: 1 }

export interface FixtureOptions {
  readonly mutations?: readonly LogMutation[]
  readonly options?: Partial<SegmentedLogOptions>
}

export function logOptions(disk: CrashDisk, changes: Partial<SegmentedLogOptions> = {}): SegmentedLogOptions {
  return {
    ...LOG_DEFAULTS,
    identity: IDENTITY,
    segmentBytes: SEGMENT_BYTES,
    reserveSegments: 1,
    cacheBytes: 0,
    verifyRecord: () => true,
    defer: disk.defer,
    ...changes,
  }
}

/** An open log with its events. */
export class LogFixture {
  readonly disk: CrashDisk
  readonly log: SegmentedLog
  readonly recovery: LogRecovery
  readonly acknowledged: number[] = []
  readonly spaces: DiskSpace[] = []
  failure: Error | undefined

  private constructor(disk: CrashDisk, opened: { log: SegmentedLog; recovery: LogRecovery }) {
    this.disk = disk
    this.log = opened.log
    this.recovery = opened.recovery
  }

  /** Opens; throws what the log refuses with, undefined when the disk died meanwhile. */
  static tryOpen(disk: CrashDisk, fixture: FixtureOptions = {}): LogFixture | undefined {
    const results: { error: Error | undefined; opened: LogFixture | undefined }[] = []
    const events = {
      persisted: (sequence: number) => results[0]?.opened?.acknowledged.push(sequence),
      failed: (error: Error) => {
        const opened = results[0]?.opened
        if (opened !== undefined) opened.failure = error
      },
      spaceChanged: (space: DiskSpace) => results[0]?.opened?.spaces.push(space),
    }
    const setup = { options: logOptions(disk, fixture.options), disk, events }
    openMutantLog({ setup, mutations: fixture.mutations ?? [] }, (error, value) => {
      results.push({ error, opened: error === undefined ? new LogFixture(disk, value) : undefined })
    })
    while (results.length === 0 && disk.step());
    const result = results[0]
    if (result?.error !== undefined) throw result.error
    if (result === undefined && !disk.isDead) throw new Error("opening never ended")
    return result?.opened
  }

  static open(disk: CrashDisk, fixture: FixtureOptions = {}): LogFixture {
    const opened = LogFixture.tryOpen(disk, fixture)
    if (opened === undefined) throw new Error("the disk is dead")
    disk.run()
    return opened
  }

  get lastAcknowledged(): number {
    return this.acknowledged.at(-1) ?? 0
  }

  write(...writes: readonly LogWrite[]): this {
    for (const write of writes) this.log.write(write)
    return this
  }

  /** Calls a method that takes a callback, and runs the disk until it answers. */
  call<T = void>(start: (done: Done<T>) => void): T {
    let result: { error: Error | undefined; value: T } | undefined
    start((error, value) => {
      if (result !== undefined) throw new Error("a callback came twice")
      result = { error, value }
    })
    if (result !== undefined) throw new Error("the callback came before the call returned")
    this.disk.run()
    const settled = result as { error: Error | undefined; value: T } | undefined
    if (settled === undefined) throw new Error("no answer")
    if (settled.error !== undefined) throw settled.error
    return settled.value
  }

  close(): void {
    this.call((done) => {
      this.log.close(done)
    })
  }

  /** Every entry from `fromIndex` on. */
  readAll(fromIndex = this.recovery.baseIndex + 1, toIndex = Number.MAX_SAFE_INTEGER): Entry[] {
    const entries: Entry[] = []
    for (;;) {
      const next = fromIndex + entries.length
      const found = this.call<readonly Entry[] | "compacted">((done) => {
        this.log.readEntries({ fromIndex: next, toIndex, maxBytes: 4000 }, done)
      })
      if (found === "compacted") throw new Error(`entry ${next} is not there`)
      if (found.length === 0) return entries
      entries.push(...found)
    }
  }
}

const payloads = new Map<string, Uint8Array>()

/** Bytes that depend on index, term and length, and look random. */
export function payload(index: number, term: number, length: number): Uint8Array {
  const name = `${index}/${term}/${length}`
  const bytes = payloads.get(name) ?? makePayload(index, term, length)
  payloads.set(name, bytes)
  return bytes
}

function makePayload(index: number, term: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  let state = Math.imul(index, 0x9e3779b1) ^ Math.imul(term, 0x85ebca6b)
  for (let at = 0; at < length; at++) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + at
    bytes[at] = state >>> 24
  }
  return bytes
}

export interface EntryShape {
  readonly from: number
  readonly count: number
  readonly term: number
  readonly bytes?: number
}

export function entriesOf(shape: EntryShape): Entry[] {
  const { from, count, term, bytes = 100 } = shape
  return Array.from({ length: count }, (_, at) => ({
    index: from + at,
    term,
    kind: (from + at) % 7 === 0 ? ("configuration" as const) : ("commands" as const),
    data: payload(from + at, term, bytes + ((from + at) % 5)),
  }))
}

export interface WriteShape extends Partial<EntryShape> {
  readonly sequence: number
  readonly term: number
  readonly votedFor?: number
  readonly commitIndex?: number
}

export function writeOf(shape: WriteShape): LogWrite {
  const { sequence, term, votedFor = 0, commitIndex = 0, from, count = 0, bytes } = shape
  const entries = from === undefined ? [] : entriesOf({ from, count, term, ...(bytes === undefined ? {} : { bytes }) })
  return { sequence, hardState: { currentTerm: term, votedFor, commitIndex }, entries, messages: [] }
}

/** Readable form of entries, for comparing. */
export function shown(entries: readonly Entry[]): string[] {
  return entries.map((entry) => {
    const isRight = Buffer.compare(entry.data, payload(entry.index, entry.term, entry.data.length)) === 0
    return `${entry.index}/${entry.term}/${entry.kind}/${entry.data.length}${isRight ? "" : " WRONG BYTES"}`
  })
}
