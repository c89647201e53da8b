/**
 * Everything that changes files other than by appending: dropping and rewriting segments, repair, snapshot install. One job
 * at a time, beside the appends; jobs that touch what consensus still needs hold the appender.
 *
 * Each job can be cut off by a crash at every step: what is new gets its name only when it is whole and durable, and what is
 * old goes only when the new is durable (D18).
 */
import { NO_NODE } from "../../core/raft/types.ts"
import type { Entry, LogIndex, SnapshotMeta, Term } from "../../core/raft/types.ts"
import type { LogAppender } from "./log-appender.ts"
import { closeFile, removeFile, renameFile, syncDirectory } from "./file-io.ts"
import { FLOOR_ALL } from "./hard-state-slot.ts"
import { LogStoreError } from "./log-options.ts"
import { segmentPath, stagedPath } from "./log-parts.ts"
import type { LogParts } from "./log-parts.ts"
import type { LogReader } from "./log-reader.ts"
import type { Segment } from "./segment.ts"
import { SegmentWriter } from "./segment-writer.ts"
import { attempt, runTask, wait } from "./task.ts"
import type { Task } from "./task.ts"

const NO_REPLACEMENTS: ReadonlyMap<LogIndex, Entry> = new Map()
const NOTHING_BEFORE = { sequence: 0, endOffset: 0 }
const NO_BYTES = new Uint8Array(0)

export class LogMaintenance {
  readonly #parts: LogParts
  readonly #appender: LogAppender
  readonly #reader: LogReader
  /** The staged segment being written, and those complete. */
  #staging: SegmentWriter | undefined
  #staged: Segment[]

  constructor(
    parts: LogParts,
    work: { readonly appender: LogAppender; readonly reader: LogReader; readonly staged: readonly Segment[] },
  ) {
    this.#parts = parts
    this.#appender = work.appender
    this.#reader = work.reader
    this.#staged = [...work.staged]
  }

  /** Segments of which every entry was overwritten, and whose history nobody needs any more. */
  get hasDeadSegments(): boolean {
    const { state } = this.#parts
    return state.dead.some((segment) => segment.highestIndex <= state.baseIndex)
  }

  *drop(firstIndexes: readonly LogIndex[]): Task {
    const { state } = this.#parts
    const segments = firstIndexes.map((firstIndex) => this.#sealedBelowBase(firstIndex))
    const live = segments.filter((segment) => segment !== undefined)
    yield* this.#saveBase()
    yield* this.#retire([...live, ...state.dead.filter((segment) => segment.highestIndex <= state.baseIndex)])
  }

  *rewrite(firstIndex: LogIndex, keep: readonly LogIndex[]): Task {
    const segment = this.#sealedBelowBase(firstIndex)
    if (segment === undefined) throw this.#refusal(`no sealed segment below the base begins at ${firstIndex}`)
    yield* this.#saveBase()
    if (keep.length === 0) yield* this.#retire([segment])
    else yield* this.#rewriteSegment(segment, { keep, isSparse: true, replacements: NO_REPLACEMENTS })
  }

  /** Puts fetched entries in the place of lost ones. Entries that are not lost, or not here, are passed over. */
  *repair(entries: readonly Entry[]): Task {
    const { state } = this.#parts
    yield* this.#appender.hold()
    try {
      const groups = new Map<Segment, Map<LogIndex, Entry>>()
      for (const entry of entries) {
        const segment = state.find(entry.index)
        if (segment?.index.isLost(segment.index.slotOf(entry.index)) !== true) continue
        const group = groups.get(segment) ?? new Map<LogIndex, Entry>()
        groups.set(segment, group.set(entry.index, entry))
      }
      if (groups.has(state.active) && !(yield* this.#appender.roll())) {
        throw new LogStoreError("noSpace", { path: this.#parts.options.directory, text: "no space for a repair" })
      }
      for (const [segment, replacements] of groups) {
        const { index } = segment
        const keep = Array.from({ length: index.count }, (_, slot) => index.indexAt(slot))
        yield* this.#rewriteSegment(segment, { keep, isSparse: index.isSparse, replacements })
      }
    } finally {
      this.#appender.release()
    }
  }

  /** Writes segments anew whose own bookkeeping is damaged, so that further damage is noticed again. */
  *strengthen(segments: readonly Segment[]): Task {
    const { state } = this.#parts
    yield* this.#appender.hold()
    try {
      for (const segment of segments) {
        const { index } = segment
        if (segment.isEmpty || segment === state.active || !state.segments.includes(segment)) continue
        const keep = Array.from({ length: index.count }, (_, slot) => index.indexAt(slot))
        yield* this.#rewriteSegment(segment, { keep, isSparse: index.isSparse, replacements: NO_REPLACEMENTS })
      }
    } finally {
      this.#appender.release()
    }
  }

  *stage(entries: readonly Entry[]): Task {
    const { state, options, disk, ids } = this.#parts
    for (const entry of entries) {
      const isFull = this.#staging !== undefined && this.#staging.bytes > options.segmentBytes
      if (isFull) yield* this.#finishStaging()
      if (this.#staging === undefined) {
        const sequence = state.nextSequence++
        const path = stagedPath(options.directory, sequence)
        const { directory } = options
        const shape = { isStaged: true, isSparse: true, firstIndex: entry.index, prev: NOTHING_BEFORE }
        this.#staging = yield* SegmentWriter.open({ disk, ids, directory, path, sequence, ...shape })
      }
      yield* this.#staging.add(entry, false)
    }
  }

  *sealStaged(): Task {
    yield* this.#finishStaging()
  }

  *discardStaged(): Task {
    const { disk, options } = this.#parts
    if (this.#staging !== undefined) yield* this.#staging.abandon()
    this.#staging = undefined
    for (const segment of this.#staged) {
      yield* closeFile(segment.file)
      yield* removeFile(disk, segment.path)
    }
    this.#staged = []
    yield* syncDirectory(disk, options.directory)
  }

  /** The log now begins behind the snapshot; what was staged takes the place of everything older. */
  *reset(meta: SnapshotMeta): Task {
    const { lastIncludedIndex, lastIncludedTerm } = meta
    const { state } = this.#parts
    if (lastIncludedIndex < state.baseIndex)
      throw this.#refusal(`a snapshot up to ${lastIncludedIndex} is below the base`)
    yield* this.#appender.drain()
    yield* this.#appender.hold()
    try {
      if (this.#appender.hasQueued) {
        throw new LogStoreError("noSpace", {
          path: this.#parts.options.directory,
          text: "earlier writes wait for space",
        })
      }
      yield* this.#finishStaging()
      const keepsSuffix = state.terms.termAt(lastIncludedIndex) === lastIncludedTerm
      yield* this.#decideInstall({ lastIncludedIndex, lastIncludedTerm, keepsSuffix })
      yield* this.#carryOutInstall({ lastIncludedIndex, lastIncludedTerm, keepsSuffix })
    } finally {
      this.#appender.release()
    }
  }

  *close(): Task {
    if (this.#staging !== undefined) yield* this.#staging.abandon()
    for (const segment of this.#staged) yield* closeFile(segment.file)
  }

  /** From this save on, opening the log finishes the install. */
  *#decideInstall(install: Install): Task {
    const { hardState, state } = this.#parts
    const stored = hardState.state
    stored.baseIndex = install.lastIncludedIndex
    stored.baseTerm = install.lastIncludedTerm
    stored.commitIndex = Math.max(stored.commitIndex, install.lastIncludedIndex)
    // The term of the snapshot may be newer than what consensus has made durable; in that term nobody was voted for.
    if (install.lastIncludedTerm > stored.currentTerm) {
      stored.currentTerm = install.lastIncludedTerm
      stored.votedFor = NO_NODE
    }
    stored.floorIndex = install.keepsSuffix ? install.lastIncludedIndex : FLOOR_ALL
    stored.floorSequence = state.nextSequence
    stored.stagedSequence = this.#staged[0]?.sequence ?? state.nextSequence
    stored.isInstalling = true
    yield* hardState.save()
  }

  *#carryOutInstall(install: Install): Task {
    const { state, hardState, options, disk, recent, mutations } = this.#parts
    const adopted: Segment[] = []
    for (const segment of this.#staged) {
      const path = segmentPath(options.directory, segment.sequence)
      yield* renameFile(disk, segment.path, path)
      adopted.push(segment.movedTo(path))
    }
    this.#staged = []
    if (!mutations.has("snapshotWithoutDirectorySync")) yield* syncDirectory(disk, options.directory)
    hardState.state.isInstalling = false
    yield* hardState.save()
    const old = [...state.segments, ...state.dead].filter(
      (segment) => !install.keepsSuffix || this.#isVoid(segment, install),
    )
    if (install.keepsSuffix) state.terms.compact(install.lastIncludedIndex)
    else {
      yield* this.#appender.writeFooter(state.active)
      state.terms.reset(install.lastIncludedIndex, install.lastIncludedTerm)
      state.tail.chain = 0
      recent.clear()
    }
    state.tail.commitIndex = Math.max(state.tail.commitIndex, install.lastIncludedIndex)
    yield* this.#recycle(old)
    if (state.segments.length === 0 && !(yield* this.#appender.roll())) {
      throw new LogStoreError("failed", { path: options.directory, text: "no space for the log behind the snapshot" })
    }
    for (const segment of adopted) state.insert(segment)
    this.#appender.restart(state.lastIndex)
  }

  /** Takes what the snapshot covers out of a segment; true when nothing is left that anybody needs. */
  #isVoid(segment: Segment, install: Install): boolean {
    const { state } = this.#parts
    if (segment.isStaged) return true
    segment.index.dropThrough(install.lastIncludedIndex)
    if (!segment.isEmpty || segment === state.active) return false
    if (segment.highestIndex <= install.lastIncludedIndex) return true
    // What was cut off above the snapshot must stay known as cut off.
    state.remove(segment)
    state.bury(segment)
    return false
  }

  *#finishStaging(): Task {
    const writer = this.#staging
    if (writer === undefined) return
    this.#staging = undefined
    const { lastIndex, lastTerm } = writer
    const counts = { truncationCount: 0, truncationFirst: 0, commitIndex: 0 }
    this.#staged.push(yield* writer.finish({ lastIndex, lastTerm, ...counts }))
  }

  #sealedBelowBase(firstIndex: LogIndex): Segment | undefined {
    const { state } = this.#parts
    const segment = state.findByFirstIndex(firstIndex)
    if (segment === undefined || segment === state.active || segment.index.lastIndex > state.baseIndex) return undefined
    return segment
  }

  /** The base must be durable before anything below it goes. */
  *#saveBase(): Task {
    const { hardState, state } = this.#parts
    if (hardState.savedBaseIndex >= state.baseIndex) return
    yield* hardState.save()
  }

  /** Takes segments out of the log. */
  *#retire(segments: readonly Segment[]): Task {
    for (const segment of segments) yield* this.#forgetOverwrittenBefore(segment)
    yield* this.#recycle(segments)
  }

  /**
   * A dropped segment may be what says that the end of an earlier one was overwritten. The earlier one is rewritten first, or
   * its overwritten entries would come back at the next opening.
   */
  *#forgetOverwrittenBefore(segment: Segment): Task {
    for (const earlier of [...this.#parts.state.segments]) {
      const { index } = earlier
      if (earlier.sequence >= segment.sequence || earlier.isStaged || earlier.highestIndex <= index.lastIndex) continue
      if (index.isSparse || earlier === this.#parts.state.active) continue
      const keep = Array.from({ length: index.count }, (_, slot) => index.indexAt(slot))
      yield* this.#rewriteSegment(earlier, { keep, isSparse: false, replacements: NO_REPLACEMENTS })
    }
  }

  *#recycle(segments: readonly Segment[]): Task {
    if (segments.length === 0) return
    const { state, pool, disk, options } = this.#parts
    for (const segment of segments) state.remove(segment)
    const spares: string[] = []
    for (const segment of segments) {
      yield* this.#closeWhenIdle(segment)
      const spare = yield* pool.recycle(segment.path, segment.fileBytes)
      if (spare !== undefined) spares.push(spare)
    }
    yield* syncDirectory(disk, options.directory)
    for (const spare of spares) pool.release(spare)
  }

  *#closeWhenIdle(segment: Segment): Task {
    if (segment.isBeingRead) {
      yield* wait<void>((done) => {
        segment.whenIdle(done)
      })
    }
    yield* closeFile(segment.file)
  }

  /** Writes the segment anew with what is kept, and puts the new file in its place. */
  *#rewriteSegment(segment: Segment, plan: RewritePlan): Task {
    const { state, options, disk, ids } = this.#parts
    const { sequence, path, isStaged, index, prev } = segment
    const { directory } = options
    const shape = { isStaged, prev, isSparse: plan.isSparse || index.isSparse, firstIndex: index.firstIndex }
    const writer = yield* SegmentWriter.open({ disk, ids, directory, path, sequence, ...shape })
    const { lastIndex } = index
    const end = {
      lastIndex,
      lastTerm: this.#termOf(lastIndex, plan.replacements),
      truncationCount: state.tail.truncationCount,
      truncationFirst: state.tail.truncationFirst,
      commitIndex: Math.min(state.tail.commitIndex, lastIndex),
    }
    const outcome = yield* attempt<Segment>((done) => {
      runTask(this.#copyKept({ segment, writer, plan, end }), done)
    })
    if (outcome.error !== undefined) {
      yield* writer.abandon()
      throw outcome.error
    }
    const fresh = outcome.value
    // A suffix may have been cut off meanwhile; never so below the base.
    fresh.index.truncateFrom(segment.index.lastIndex + 1)
    state.remove(segment)
    state.insert(fresh)
    yield* this.#closeWhenIdle(segment)
  }

  *#copyKept(copy: CopyRequest): Task<Segment> {
    const { segment, writer, plan } = copy
    let ready: readonly Entry[] = []
    let lastTerm: Term = 0
    for (const wanted of plan.keep) {
      if (segment.index.slotOf(wanted) < 0) continue
      let entry = plan.replacements.get(wanted) ?? ready.find((each) => each.index === wanted)
      if (entry === undefined) {
        ready = yield* this.#reader.readSegment(segment, wanted)
        entry = ready.find((each) => each.index === wanted)
      }
      const term = this.#termOf(wanted, plan.replacements)
      lastTerm = entry?.term ?? Math.max(term, lastTerm, 1)
      yield* writer.add(
        entry ?? { index: wanted, term: lastTerm, kind: "commands", data: NO_BYTES },
        entry === undefined,
      )
    }
    return yield* writer.finish({ ...copy.end, lastTerm: Math.max(copy.end.lastTerm, lastTerm) })
  }

  /** Term of an entry above the base, as consensus knows it; 0 below. */
  #termOf(index: LogIndex, replacements: ReadonlyMap<LogIndex, Entry>): Term {
    return replacements.get(index)?.term ?? this.#parts.state.terms.termAt(index) ?? 0
  }

  #refusal(text: string): LogStoreError {
    return new LogStoreError("refused", { path: this.#parts.options.directory, text })
  }
}

interface Install {
  readonly lastIncludedIndex: LogIndex
  readonly lastIncludedTerm: Term
  readonly keepsSuffix: boolean
}

interface RewritePlan {
  /** Ascending. */
  readonly keep: readonly LogIndex[]
  readonly isSparse: boolean
  readonly replacements: ReadonlyMap<LogIndex, Entry>
}

interface CopyRequest {
  readonly segment: Segment
  readonly writer: SegmentWriter
  readonly plan: RewritePlan
  readonly end: {
    readonly lastIndex: LogIndex
    readonly lastTerm: Term
    readonly truncationCount: number
    readonly truncationFirst: LogIndex
    readonly commitIndex: LogIndex
  }
}
