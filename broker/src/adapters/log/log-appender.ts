/**
 * Writes to the end of the log. One flush at a time: one batch, one gathered write, one sync; what arrives meanwhile is the
 * next batch. The only file that appends to a segment.
 *
 * Order inside a flush: hard state (if term or vote changed), entries, acknowledgement. After a failed write or sync
 * nothing is taken any more and nothing is tried again (D4). Without space the writes stay queued, unacknowledged (D5).
 */
import { assert } from "../../core/assert.ts"
import { SECTOR_BYTES, batchLayout, entryBytes } from "../../codec/log-record.ts"
import type { Entry, LogIndex, LogWrite } from "../../core/raft/types.ts"
import type { DiskFile } from "../../ports.ts"
import { buildBatch } from "./batch-builder.ts"
import type { BatchRequest, BuiltBatch } from "./batch-builder.ts"
import { renameFile, syncDirectory, syncFile, writeWhole } from "./file-io.ts"
import { LogStoreError, isNoSpace } from "./log-options.ts"
import { segmentPath } from "./log-parts.ts"
import type { LogParts } from "./log-parts.ts"
import { OffsetIndex } from "./offset-index.ts"
import { Segment } from "./segment.ts"
import { DATA_START, dataEnd, encodeFooter, encodeSegmentHeader } from "./segment-header.ts"
import { Gate, attempt, runTask, wait } from "./task.ts"
import type { Task } from "./task.ts"

/** Part of the queue that goes out with one flush. */
interface Plan {
  readonly entries: readonly Entry[]
  /** Writes that are complete with this flush. */
  readonly writeCount: number
  /** Entries already taken of the write behind them. */
  readonly nextCursor: number
}

export class LogAppender {
  readonly #parts: LogParts
  #samples: Uint32Array
  #queue: LogWrite[] = []
  /** Entries of `#queue[0]` that are durable already (a write larger than a flush goes out in pieces). */
  #cursor = 0
  #logicalLastIndex: LogIndex
  #isFlushing = false
  #isHeld = false
  #isMarkDue = false
  /** True since the last flush, until a mark says that it is durable. */
  #isUnmarked = false
  /** True when the write now at the head of the queue had its term and vote saved. */
  #isStateSaved = false
  /** Set while the disk is full and nothing can be done but wait. */
  #isStalled = false
  #failure: Error | undefined
  readonly #idle = new Gate()
  /** Opens after every flush. */
  readonly #pause = new Gate()

  constructor(parts: LogParts, samples: Uint32Array) {
    this.#parts = parts
    this.#samples = samples
    this.#logicalLastIndex = parts.state.lastIndex
  }

  /** Last index including what is queued. */
  get logicalLastIndex(): LogIndex {
    return this.#logicalLastIndex
  }

  get failure(): Error | undefined {
    return this.#failure
  }

  get hasQueued(): boolean {
    return this.#queue.length > 0
  }

  /** Gate that opens when the flush under way has ended; undefined when none is. */
  busyGate(): Gate | undefined {
    return this.#isFlushing ? this.#pause : undefined
  }

  write(write: LogWrite): void {
    if (this.#failure !== undefined) return
    const first = write.entries[0]
    if (first !== undefined) {
      assert(first.index <= this.#logicalLastIndex + 1, "a write leaves no gap in the log")
      assert(first.index > this.#parts.state.baseIndex, "a write begins above the base")
      for (const entry of write.entries) this.#assertFits(entry)
      this.#logicalLastIndex = write.entries.at(-1)?.index ?? this.#logicalLastIndex
      this.#parts.recent.add(write.entries)
    }
    this.#queue.push(write)
    if (!this.#isStalled) this.wake()
  }

  /** Goes on with what is queued, if nothing stands in the way. */
  wake(): void {
    if (this.#isFlushing || this.#isHeld || this.#failure !== undefined) return
    if (this.#queue.length === 0 && !this.#isMarkDue) return
    this.#isStalled = false
    this.#isFlushing = true
    runTask(this.#flushAll(), (error) => {
      this.#isFlushing = false
      if (error !== undefined) this.fail(error)
      this.#pause.open()
      this.#idle.open()
      if (!this.#isStalled) this.wake()
    })
  }

  /** When the log is idle: notes on the disk, without a sync, that everything so far is durable. */
  markIdle(): void {
    if (this.#isFlushing || this.#isHeld || !this.#isUnmarked) return
    this.#isMarkDue = true
    this.wake()
  }

  /** Latches the log: `events.failed` once, then silence. */
  fail(error: Error): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    this.#queue = []
    this.#parts.events.failed(error)
  }

  /** Waits for the flush under way and lets no other begin until `release`. Writes queue up meanwhile. */
  *hold(): Task {
    assert(!this.#isHeld, "maintenance runs one job at a time")
    this.#isHeld = true
    yield* this.#whenIdle()
  }

  release(): void {
    this.#isHeld = false
    this.wake()
  }

  /** Waits until everything queued is durable or cannot become so now. */
  *drain(): Task {
    this.wake()
    yield* this.#whenIdle()
  }

  /** Begins a new segment (held), so that the one now active can be rewritten or dropped. False without space. */
  *roll(): Task<boolean> {
    const { state, pool, hardState, disk, options } = this.#parts
    const spare = yield* pool.take(1)
    if (spare === undefined) return false
    const old = state.segments.at(-1)
    if (old !== undefined) yield* this.writeFooter(old)
    const header = encodeSegmentHeader({
      ...this.#parts.ids,
      sequence: state.nextSequence,
      fileBytes: options.segmentBytes,
      isRewritten: false,
      isStaged: false,
      isSparse: false,
      isAmbiguous: false,
      firstIndex: state.lastIndex + 1,
      prevIndex: state.lastIndex,
      prevTerm: state.lastTerm,
      prevTermRun: state.termRunAt(state.lastIndex),
      lastIndex: 0,
      lastTerm: 0,
      truncationCount: state.tail.truncationCount,
      truncationFirst: state.tail.truncationFirst,
      prevSequence: old?.sequence ?? 0,
      prevEndOffset: old?.endOffset ?? 0,
      chainSeed: state.tail.chain,
      trustedEnd: DATA_START,
      commitIndex: state.tail.commitIndex,
    })
    const sequence = state.nextSequence++
    yield* writeWhole(spare.file, [header.block], 0)
    yield* syncFile(spare.file)
    const path = segmentPath(options.directory, sequence)
    yield* renameFile(disk, spare.path, path)
    yield* syncDirectory(disk, options.directory)
    const prev = { sequence: old?.sequence ?? 0, endOffset: old?.endOffset ?? 0 }
    const { file, samples } = spare
    const index = new OffsetIndex(state.lastIndex + 1, { isSparse: false })
    const shape = { fileBytes: options.segmentBytes, isStaged: false, endOffset: DATA_START }
    state.activate(new Segment({ sequence, path, file, prev, index, ...shape }))
    this.#samples = samples
    this.#isUnmarked = false
    state.tail.chain = header.checksum
    hardState.state.activeSequence = sequence
    yield* hardState.save()
    pool.fillInBackground()
    return true
  }

  /** Ends the log in good order: a synced note that nothing is missing. */
  *writeClean(): Task {
    const { active } = this.#parts.state
    if (active.endOffset + SECTOR_BYTES > dataEnd(active.fileBytes)) return
    const batch = this.#emptyBatch("clean")
    yield* writeWhole(active.file, batch.buffers, active.endOffset)
    yield* syncFile(active.file)
    active.endOffset += batch.bytes
    this.#parts.state.tail.chain = batch.checksum
    this.#isUnmarked = false
  }

  /** The log was replaced (snapshot install): what is queued now comes behind `lastIndex`. */
  restart(lastIndex: LogIndex): void {
    this.#logicalLastIndex = lastIndex
  }

  *#whenIdle(): Task {
    while (this.#isFlushing) {
      yield* wait<void>((done) => {
        this.#idle.pass(done)
      })
    }
  }

  *#flushAll(): Task {
    while (!this.#isHeld && this.#failure === undefined) {
      if (this.#queue.length === 0) {
        if (this.#isMarkDue) yield* this.#writeMark()
        return
      }
      if (!(yield* this.#flushOnce())) {
        this.#isStalled = true
        return
      }
      this.#pause.open()
    }
  }

  /** False when there is no space: everything stays queued. */
  *#flushOnce(): Task<boolean> {
    const head = this.#queue[0]
    assert(head !== undefined, "a flush has something to write")
    if (this.#cursor === 0 && !(yield* this.#saveHardState(head))) return false
    let plan = this.#takePlan()
    if (plan.entries.length === 0 && plan.writeCount === 0) {
      // The next entry does not fit into the rest of the segment.
      if (!(yield* this.roll())) return false
      plan = this.#takePlan()
    }
    if (plan.entries.length > 0) {
      if (!(yield* this.#writePlan(plan))) return false
    } else if (!this.#isStateSaved) {
      yield* this.#writeMark()
    }
    this.#finish(plan)
    return true
  }

  /** Makes term and vote of a write durable, before any of its entries is. */
  *#saveHardState(write: LogWrite): Task<boolean> {
    this.#isStateSaved = false
    const { hardState } = this.#parts
    const wanted = write.hardState
    if (wanted === undefined || !this.#changesVote(write)) return true
    const { currentTerm, votedFor } = hardState.state
    hardState.state.currentTerm = wanted.currentTerm
    hardState.state.votedFor = wanted.votedFor
    hardState.state.commitIndex = Math.max(hardState.state.commitIndex, wanted.commitIndex)
    const outcome = yield* attempt<void>((done) => {
      runTask(hardState.save(), done)
    })
    this.#isStateSaved = outcome.error === undefined
    if (outcome.error === undefined) return true
    if (isNoSpace(outcome.error)) {
      this.#parts.pool.noteShort()
      // Not saved: the next attempt must not take it for saved.
      hardState.state.currentTerm = currentTerm
      hardState.state.votedFor = votedFor
      return false
    }
    throw outcome.error
  }

  #changesVote(write: LogWrite): boolean {
    const { state } = this.#parts.hardState
    const wanted = write.hardState
    if (wanted === undefined) return false
    return wanted.currentTerm !== state.currentTerm || wanted.votedFor !== state.votedFor
  }

  /** As many queued entries as fit into one batch; none when even the first does not fit into the segment. */
  #takePlan(): Plan {
    const { state, options } = this.#parts
    const room = dataEnd(state.active.fileBytes) - state.active.endOffset
    const entries: Entry[] = []
    let bytes = 0
    let nextIndex: LogIndex | undefined
    for (let place = 0; place < this.#queue.length; place++) {
      const write = this.#queue[place]
      if (write === undefined) break
      if (place > 0 && (this.#changesVote(write) || !continues(write, nextIndex))) {
        return { entries, writeCount: place, nextCursor: 0 }
      }
      this.#noteCommit(write)
      for (let at = place === 0 ? this.#cursor : 0; at < write.entries.length; at++) {
        const entry = write.entries[at]
        if (entry === undefined) break
        const grown = bytes + entryBytes(entry.data.length)
        const isFull = batchLayout(grown).batchBytes > room || (entries.length > 0 && grown > options.flushBytes)
        if (isFull) return { entries, writeCount: place, nextCursor: at }
        bytes = grown
        entries.push(entry)
        nextIndex = entry.index + 1
      }
    }
    return { entries, writeCount: this.#queue.length, nextCursor: 0 }
  }

  #noteCommit(write: LogWrite): void {
    const { tail } = this.#parts.state
    tail.commitIndex = Math.max(tail.commitIndex, write.hardState?.commitIndex ?? 0)
  }

  /** Writes and syncs one batch. A full disk is met once by going on in another segment; then the log waits. */
  *#writePlan(plan: Plan): Task<boolean> {
    for (let round = 0; ; round++) {
      const { active } = this.#parts.state
      const request = this.#batchRequest(plan.entries)
      const batch = buildBatch(request)
      const outcome = yield* attempt<void>((done) => {
        runTask(this.#writeBatch(active.file, batch), done)
      })
      if (outcome.error === undefined) {
        this.#apply(plan.entries, { request, batch })
        return true
      }
      if (!isNoSpace(outcome.error)) throw outcome.error
      this.#parts.pool.noteShort()
      // What was written in part lies behind the end that the next segment will name: it never counts.
      const isFruitless = round > 0 || active.endOffset === DATA_START
      if (isFruitless || !(yield* this.roll())) return false
    }
  }

  *#writeBatch(file: DiskFile, batch: BuiltBatch): Task {
    const { mutations, state } = this.#parts
    const position = state.active.endOffset
    if (mutations.has("shortWriteIgnored")) {
      yield* wait<number>((done) => {
        file.write(batch.buffers, position, done)
      })
    } else {
      yield* writeWhole(file, batch.buffers, position)
    }
    if (mutations.has("ackBeforeSync")) {
      const sequence = this.#queue[this.#takePlan().writeCount - 1]?.sequence
      if (sequence !== undefined) this.#parts.events.persisted(sequence)
    }
    const synced = yield* attempt<void>((done) => {
      file.sync(done)
    })
    if (synced.error === undefined) return
    // A full disk found out by the sync has lost data all the same: it latches like any other failure.
    if (!mutations.has("retrySyncAfterEio"))
      throw new LogStoreError("failed", syncFailure(state.active.path, synced.error))
    yield* syncFile(file)
  }

  #batchRequest(entries: readonly Entry[]): BatchRequest {
    const { state, ids } = this.#parts
    const { tail, active } = state
    const firstIndex = entries[0]?.index ?? state.lastIndex + 1
    const cuts = firstIndex <= state.lastIndex
    assert(firstIndex <= state.lastIndex + 1, "a batch leaves no gap in the log")
    const prevTerm = state.terms.termAt(firstIndex - 1)
    assert(prevTerm !== undefined, "a batch begins behind the base")
    return {
      kind: "entries",
      ids,
      entries,
      sequence: active.sequence,
      offset: active.endOffset,
      firstIndex,
      prevTerm,
      prevTermRun: state.termRunAt(firstIndex - 1),
      commitIndex: tail.commitIndex,
      chain: tail.chain,
      truncationCount: tail.truncationCount + (cuts ? 1 : 0),
      truncationFirst: cuts ? firstIndex : tail.truncationFirst,
      samples: this.#samples,
    }
  }

  #emptyBatch(kind: "mark" | "clean"): BuiltBatch {
    return buildBatch({ ...this.#batchRequest([]), kind })
  }

  /** The batch is durable: tables, terms and the end of the log follow. */
  #apply(entries: readonly Entry[], written: { request: BatchRequest; batch: BuiltBatch }): void {
    const { state } = this.#parts
    const { request, batch } = written
    state.truncateFrom(request.firstIndex)
    const { active } = state
    for (const [place, entry] of entries.entries()) {
      active.index.append(entry.index, batch.offsets[place] ?? 0, entry.data.length)
      state.terms.append(entry.term)
    }
    active.endOffset += batch.bytes
    active.highestIndex = Math.max(active.highestIndex, active.index.lastIndex)
    state.tail.chain = batch.checksum
    state.tail.truncationCount = request.truncationCount
    state.tail.truncationFirst = request.truncationFirst
    this.#isUnmarked = true
  }

  /** Takes the plan off the queue and acknowledges it. */
  #finish(plan: Plan): void {
    const { state, recent, events } = this.#parts
    const done = this.#queue.splice(0, plan.writeCount)
    this.#cursor = plan.nextCursor
    let safe = state.lastIndex
    // A queued write may cut the log: what it put into the cache is not durable.
    for (let place = this.#cursor > 0 ? 1 : 0; place < this.#queue.length; place++) {
      safe = Math.min(safe, (this.#queue[place]?.entries[0]?.index ?? Infinity) - 1)
    }
    recent.durable(safe)
    const last = done.at(-1)
    if (last !== undefined) events.persisted(last.sequence)
  }

  /** Not synced, and overwritten by the next batch: only a note. Without room or space it is left out. */
  *#writeMark(): Task {
    this.#isMarkDue = false
    const { active } = this.#parts.state
    const room = active.endOffset + SECTOR_BYTES <= dataEnd(active.fileBytes)
    const batch = room ? this.#emptyBatch("mark") : undefined
    const outcome = yield* attempt<number>((done) => {
      if (batch === undefined) active.file.sizeBytes(done)
      else active.file.write(batch.buffers, active.endOffset, done)
    })
    if (outcome.error !== undefined && !isNoSpace(outcome.error)) throw outcome.error
    this.#isUnmarked = false
  }

  /** Tells the next life of the file what lies in it. On a full disk the old footer stays, which is only less precise. */
  *writeFooter(segment: Segment): Task {
    if (segment.fileBytes === 0) return
    const { sequence, endOffset, fileBytes } = segment
    const footer = encodeFooter({ sequence, endOffset, samples: this.#samples }, fileBytes)
    const outcome = yield* attempt<void>((done) => {
      runTask(writeWhole(segment.file, [footer], dataEnd(fileBytes)), done)
    })
    if (outcome.error !== undefined && !isNoSpace(outcome.error)) throw outcome.error
    if (outcome.error === undefined) yield* syncFile(segment.file)
  }

  #assertFits(entry: Entry): void {
    const { segmentBytes, directory } = this.#parts.options
    if (batchLayout(entryBytes(entry.data.length)).batchBytes <= dataEnd(segmentBytes) - DATA_START) return
    const text = `entry ${entry.index} of ${entry.data.length} bytes does not fit into a segment of ${segmentBytes}`
    throw new LogStoreError("refused", { path: directory, text })
  }
}

function continues(write: LogWrite, nextIndex: LogIndex | undefined): boolean {
  const first = write.entries[0]
  return first === undefined || nextIndex === undefined || first.index === nextIndex
}

function syncFailure(path: string, cause: Error): { path: string; text: string; cause: Error } {
  return { path, text: `sync failed (${cause.message}); nothing may be assumed about what was written`, cause }
}
