/**
 * Opens the files of a log: finds out what it holds, sets aside what is not its own, finishes what was interrupted, and
 * makes the end trustworthy. DESIGN.md, "Opening", gives the rules and their reasons.
 *
 * Never truncates below what may have been acknowledged, never deletes what it does not know, never starts as empty.
 */
import { crc32 } from "../../codec/crc.ts"
import type { LogIndex } from "../../core/raft/types.ts"
import type { LogRecovery } from "../../ports.ts"
import { closeFile, removeFile, renameFile, syncDirectory } from "./file-io.ts"
import { HARD_STATE_NAMES, HardStateFile } from "./hard-state-file.ts"
import { FLOOR_ALL } from "./hard-state-slot.ts"
import type { StoredState } from "./hard-state-slot.ts"
import { LogStoreError, isMissing } from "./log-options.ts"
import type { LogMutations, SegmentedLogSetup } from "./log-options.ts"
import { parseSegmentName, segmentPath, stagedPath } from "./log-parts.ts"
import { LogRebuild } from "./log-rebuild.ts"
import { LogState } from "./log-state.ts"
import { OffsetIndex } from "./offset-index.ts"
import { isListLost, rewrittenEntries } from "./rewritten-entries.ts"
import { Segment } from "./segment.ts"
import { SegmentLoader, findSegment, sampleWords } from "./segment-loader.ts"
import type { FoundSegment, LoadedSegment } from "./segment-loader.ts"
import { isSpareName } from "./segment-pool.ts"
import type { SegmentPool } from "./segment-pool.ts"
import type { WriterIds } from "./batch-builder.ts"
import { beginFreshSegment } from "./fresh-segment.ts"
import type { FreshSegment } from "./fresh-segment.ts"
import { attempt } from "./task.ts"
import type { Task } from "./task.ts"

const QUARANTINE = "quarantine"

export interface RecoveryRequest {
  readonly setup: SegmentedLogSetup
  readonly ids: WriterIds
  readonly mutations: LogMutations
  readonly pool: SegmentPool
}

export interface RecoveredLog {
  readonly state: LogState
  readonly hardState: HardStateFile
  /** First word of each sector of the active segment's file. */
  readonly samples: Uint32Array
  /** Complete staged segments of an install that was not decided: consensus says what becomes of them. */
  readonly staged: readonly Segment[]
  readonly recovery: LogRecovery
  /** Sealed segments that lost what helps to notice further damage: worth writing anew. */
  readonly weakened: readonly Segment[]
}

/** Hash of a cluster id, as it stands in segments and batches. */
export function clusterHashOf(clusterId: string): number {
  return crc32(Buffer.from(clusterId, "utf8"))
}

/** Opens the log; refuses with a `LogStoreError`. */
export function* recoverLog(request: RecoveryRequest): Task<RecoveredLog> {
  const { options, disk } = request.setup
  const names = yield* sortFiles(request)
  const segmentNames = names.map(parseSegmentName).filter((name) => name !== undefined)
  const hardState = yield* HardStateFile.load(
    { disk, directory: options.directory, identity: options.identity, mutations: request.mutations },
    { names, hasLogFiles: segmentNames.length > 0 },
  )
  const { sequences, undecided } = yield* settleStaged(request, { names: segmentNames, stored: hardState.state })
  const opened = new OpenedFiles(request, hardState.state)
  yield* opened.findAll(sequences)
  const staged = yield* opened.loadUndecided(undecided)
  yield* opened.loadAll()
  const { activeSequence, floorSequence } = hardState.state
  const nextSequence = Math.max(activeSequence + 1, floorSequence, ...segmentNames.map((name) => name.sequence + 1))
  const end = yield* opened.makeTrustworthy({ hardState, nextSequence })
  if (hardState.state.isInstalling) {
    hardState.state.isInstalling = false
    yield* hardState.save()
  }
  return { ...opened.result({ hardState, end, nextSequence }), staged }
}

/** Lists the directory, making it if need be; moves what is unknown to the quarantine and removes unfinished drafts. */
function* sortFiles(request: RecoveryRequest): Task<readonly string[]> {
  const { options, disk } = request.setup
  const { directory } = options
  const listed = yield* attempt<readonly string[]>((done) => {
    disk.list(directory, done)
  })
  if (listed.error !== undefined) {
    if (!isMissing(listed.error)) throw listed.error
    yield* makeDirectory(request, directory)
    return []
  }
  const names: string[] = []
  let movedCount = 0
  for (const name of [...listed.value].sort()) {
    const known = name.endsWith(".tmp") ? name.slice(0, -".tmp".length) : name
    const isKnown = isSpareName(known) || parseSegmentName(known) !== undefined || isHardStateName(known)
    if (name === QUARANTINE) continue
    if (!isKnown) {
      if (movedCount++ === 0) yield* makeDirectory(request, `${directory}/${QUARANTINE}`)
      yield* renameFile(disk, `${directory}/${name}`, `${directory}/${QUARANTINE}/${name}`)
    } else if (name !== known) yield* removeFile(disk, `${directory}/${name}`)
    else names.push(name)
  }
  if (movedCount > 0) yield* syncDirectory(disk, `${directory}/${QUARANTINE}`)
  // Also makes durable what an earlier life left renamed but not synced, before anything is concluded from it.
  yield* syncDirectory(disk, directory)
  for (const name of names) if (isSpareName(name)) request.pool.adopt(name)
  return names
}

function isHardStateName(name: string): boolean {
  return (HARD_STATE_NAMES as readonly string[]).includes(name)
}

function* makeDirectory(request: RecoveryRequest, path: string): Task {
  const { disk } = request.setup
  const made = yield* attempt<void>((done) => {
    disk.makeDirectory(path, done)
  })
  if (made.error !== undefined && (made.error as { code?: unknown }).code !== "EEXIST") throw made.error
  const slash = path.lastIndexOf("/")
  yield* syncDirectory(disk, slash < 0 ? "." : path.slice(0, slash))
}

/** Finishes an interrupted snapshot install; what was staged for one that was not decided stays aside. */
function* settleStaged(
  request: RecoveryRequest,
  found: { readonly names: readonly { sequence: number; isStaged: boolean }[]; readonly stored: StoredState },
): Task<{ readonly sequences: readonly number[]; readonly undecided: readonly number[] }> {
  const { options, disk } = request.setup
  const sequences: number[] = []
  const undecided: number[] = []
  let changeCount = 0
  for (const { sequence, isStaged } of found.names) {
    if (!isStaged) {
      sequences.push(sequence)
      continue
    }
    if (!found.stored.isInstalling) {
      undecided.push(sequence)
      continue
    }
    changeCount++
    const staged = stagedPath(options.directory, sequence)
    if (sequence >= found.stored.stagedSequence) {
      yield* renameFile(disk, staged, segmentPath(options.directory, sequence))
      sequences.push(sequence)
    } else yield* removeFile(disk, staged)
  }
  if (changeCount > 0) yield* syncDirectory(disk, options.directory)
  const byNumber = (left: number, right: number): number => left - right
  return { sequences: sequences.sort(byNumber), undecided: undecided.sort(byNumber) }
}

/** The segment files of one opening. */
class OpenedFiles {
  readonly #request: RecoveryRequest
  readonly #stored: StoredState
  readonly #rebuild: LogRebuild
  readonly #loader = new SegmentLoader()
  readonly #ordinary: FoundSegment[] = []
  readonly #stagedFound: FoundSegment[] = []
  readonly #staged: Segment[] = []
  readonly #weakened: Segment[] = []
  #isAmbiguous = false
  #last: { found: FoundSegment; loaded: LoadedSegment; segment: Segment } | undefined

  constructor(request: RecoveryRequest, stored: StoredState) {
    this.#request = request
    this.#stored = stored
    this.#rebuild = new LogRebuild(stored.baseIndex)
  }

  /** Opens every segment file and reads its header; foreign ones go to the quarantine, void ones become spares. */
  *findAll(sequences: readonly number[]): Task {
    const { options, disk } = this.#request.setup
    for (const sequence of sequences) {
      const path = segmentPath(options.directory, sequence)
      const found = yield* findSegment(disk, path, sequence)
      const standing = this.#standing(found)
      if (standing === "foreign") {
        yield* closeFile(found.file)
        yield* makeDirectory(this.#request, `${options.directory}/${QUARANTINE}`)
        yield* renameFile(disk, path, path.replace(/([^/]*)$/, `${QUARANTINE}/$1`))
        yield* syncDirectory(disk, options.directory)
      } else if (standing === "void") yield* this.#recycle(found)
      else if (standing === "staged") this.#stagedFound.push(found)
      else this.#ordinary.push(found)
    }
  }

  /** Opens what was staged and sealed before a crash. One that cannot be read is as good as not sent. */
  *loadUndecided(sequences: readonly number[]): Task<readonly Segment[]> {
    const { options, disk } = this.#request.setup
    const staged: Segment[] = []
    for (const sequence of sequences) {
      const path = stagedPath(options.directory, sequence)
      const found = yield* findSegment(disk, path, sequence)
      const segment = found.header?.isStaged === true ? yield* this.#loadStaged(found) : undefined
      if (segment !== undefined) staged.push(segment)
      else {
        yield* closeFile(found.file)
        yield* removeFile(disk, path)
      }
    }
    return staged
  }

  /** Reads the content of every segment, in the order of writing. */
  *loadAll(): Task {
    for (const found of this.#stagedFound) {
      const segment = yield* this.#loadStaged(found)
      if (segment !== undefined) this.#staged.push(segment)
    }
    for (const [place, found] of this.#ordinary.entries()) {
      const isLast = place === this.#ordinary.length - 1
      const successor = this.#ordinary.slice(place + 1).find((other) => other.header?.prevSequence === found.sequence)
      const { ids, mutations } = this.#request
      const request = { ids, mutations, found, isLast, sealedEnd: successor?.header?.prevEndOffset }
      const loaded = yield* this.#loader.load(request)
      const segment = this.#segmentOf(found, loaded.scan.end)
      this.#rebuild.beginSegment(segment, found.header)
      if (found.header?.isRewritten === true) {
        const entries = rewrittenEntries(found.header, { parts: loaded.scan.parts, bytes: loaded.bytes })
        this.#rebuild.takeRewritten(entries, loaded.bytes)
        if (isListLost(found.header, { parts: loaded.scan.parts, bytes: loaded.bytes })) this.#weakened.push(segment)
        this.#rebuild.endRewritten(found.header)
      } else {
        for (const part of loaded.scan.parts) {
          // What nothing shows to be durable goes into a fresh segment instead.
          if (isLast && part.offset === loaded.scan.unwitnessedFrom) continue
          this.#rebuild.take(part, loaded.bytes)
        }
      }
      this.#rebuild.endSegment(loaded.bytes)
      if (loaded.scan.parts.some((part) => part.kind === "gap")) this.#weakened.push(segment)
      if (isLast) this.#last = { found, loaded, segment }
    }
  }

  /** Sees to it that the end of the log may be trusted and appended to: goes on in the last segment, or in a fresh one. */
  *makeTrustworthy(context: { readonly hardState: HardStateFile; readonly nextSequence: number }): Task<FreshSegment> {
    this.#checkTerms()
    const last = this.#last
    this.#isAmbiguous = this.#findAmbiguity()
    if (last !== undefined && this.#mayGoOn(last)) {
      return { samples: sampleWords(last.loaded.bytes, last.segment.fileBytes), chain: last.loaded.scan.chain }
    }
    if (last !== undefined) last.segment.endOffset = last.loaded.scan.unwitnessedFrom ?? last.loaded.scan.end
    const { setup, ids, pool } = this.#request
    return yield* beginFreshSegment({
      setup,
      ids,
      pool,
      hardState: context.hardState,
      rebuild: this.#rebuild,
      last,
      sequence: context.nextSequence,
      isAmbiguous: this.#isAmbiguous,
    })
  }

  /** True when an acknowledged end of the log may be missing. */
  #findAmbiguity(): boolean {
    if (this.#missesNewest()) return true
    if (this.#last === undefined) return false
    const { found, loaded } = this.#last
    if (loaded.scan.tail === "ambiguous") return true
    const trustedEnd = found.header?.trustedEnd ?? 0
    const hasNew = loaded.scan.parts.some((part) => part.offset >= trustedEnd && part.entries.length > 0)
    return found.header?.isAmbiguous === true && !hasNew
  }

  /** True when a segment was begun of which there is no file. */
  #missesNewest(): boolean {
    const { activeSequence, floorIndex, floorSequence } = this.#stored
    const isVoid = floorIndex === FLOOR_ALL && activeSequence < floorSequence
    return !isVoid && activeSequence > (this.#last?.found.sequence ?? 0)
  }

  result(context: { hardState: HardStateFile; end: FreshSegment; nextSequence: number }): Omit<RecoveredLog, "staged"> {
    const rebuild = this.#rebuild
    const { baseIndex, baseTerm } = this.#stored
    const lastIndex = Math.max(baseIndex, rebuild.lastIndex)
    const terms = rebuild.termsFrom(baseIndex + 1)
    const state = new LogState({ baseIndex, baseTerm, lastIndex, terms })
    this.#placeSegments(state, rebuild.segments)
    const active = state.active
    const isFresh = active.sequence >= context.nextSequence
    state.nextSequence = context.nextSequence + (isFresh ? 1 : 0)
    state.tail.truncationCount = rebuild.truncation.count
    state.tail.truncationFirst = rebuild.truncation.first
    state.tail.commitIndex = Math.max(rebuild.commitIndex, this.#stored.commitIndex)
    state.tail.chain = context.end.chain
    const commitIndex = Math.max(baseIndex, Math.min(state.tail.commitIndex, lastIndex))
    const { currentTerm, votedFor } = this.#stored
    const isNew = currentTerm === 0 && lastIndex === 0
    const recovery: LogRecovery = {
      hardState: isNew ? undefined : { currentTerm, votedFor, commitIndex },
      baseIndex,
      baseTerm,
      lastIndex,
      terms,
      configurations: rebuild.configurations,
      damaged: lostRanges(state),
      ambiguousTail: this.#isAmbiguous,
    }
    return { state, hardState: context.hardState, samples: context.end.samples, recovery, weakened: this.#weakened }
  }

  /** Terms are durable before entries of that term: anything else means that the hard state is an old copy. */
  #checkTerms(): void {
    const { currentTerm, baseIndex } = this.#stored
    if (this.#rebuild.lastIndex <= baseIndex || this.#rebuild.lastTerm <= currentTerm) return
    if (this.#request.mutations.has("damagedHardStateIsEmpty")) return
    throw new LogStoreError("hardStateDamaged", {
      path: `${this.#request.setup.options.directory}/${HARD_STATE_NAMES[0]}`,
      text: `says term ${currentTerm}, but the log has entries of term ${this.#rebuild.lastTerm}: it is an old copy`,
    })
  }

  /** Live segments by index; empty ones are dead until the base has passed what they held. */
  #placeSegments(state: LogState, segments: readonly Segment[]): void {
    const { floorIndex, floorSequence } = this.#stored
    const active = segments.at(-1)
    for (const segment of [...this.#staged, ...segments]) {
      if (!segment.isStaged && segment.sequence < floorSequence) segment.index.dropThrough(floorIndex)
      if (segment === active) continue
      segment.index.trim()
      if (segment.isEmpty) state.bury(segment)
      else state.insert(segment)
    }
    if (active !== undefined) state.activate(active)
  }

  #mayGoOn(last: { found: FoundSegment; loaded: LoadedSegment }): boolean {
    const { scan, isSealed } = last.loaded
    const isPreallocated = last.found.header !== undefined && last.found.header.fileBytes === last.found.sizeBytes
    const isComplete = this.#rebuild.lastIndex >= this.#stored.baseIndex
    const isWhole = scan.tail === "whole" && scan.unwitnessedFrom === undefined && !scan.isDirty
    return isPreallocated && isComplete && isWhole && !isSealed && !this.#missesNewest()
  }

  #standing(found: FoundSegment): "ordinary" | "staged" | "void" | "foreign" {
    const { header, sequence } = found
    const { floorIndex, floorSequence, stagedSequence } = this.#stored
    const isBelowFloor = sequence < floorSequence && floorIndex === FLOOR_ALL
    if (header === undefined) return isBelowFloor ? "foreign" : "ordinary"
    const { ids } = this.#request
    const isOurs = header.clusterHash === ids.clusterHash && header.nodeId === ids.nodeId && header.setId === ids.setId
    if (!isOurs || header.sequence !== sequence) return "foreign"
    if (header.isStaged) return sequence < stagedSequence ? "void" : "staged"
    return isBelowFloor ? "void" : "ordinary"
  }

  *#recycle(found: FoundSegment): Task {
    const { setup, pool } = this.#request
    yield* closeFile(found.file)
    const spare = yield* pool.recycle(found.path, found.header?.fileBytes ?? 0)
    yield* syncDirectory(setup.disk, setup.options.directory)
    if (spare !== undefined) pool.release(spare)
  }

  *#loadStaged(found: FoundSegment): Task<Segment | undefined> {
    const { header } = found
    if (header === undefined) return undefined
    const { ids, mutations } = this.#request
    const loaded = yield* this.#loader.load({ ids, mutations, found, isLast: false, sealedEnd: undefined })
    const segment = this.#segmentOf(found, loaded.scan.end)
    for (const entry of rewrittenEntries(header, { parts: loaded.scan.parts, bytes: loaded.bytes })) {
      if (entry.isLost) segment.index.appendLost(entry.index)
      else segment.index.append(entry.index, entry.offset, entry.length)
    }
    segment.highestIndex = segment.index.lastIndex
    const hasGap = loaded.scan.parts.some((part) => part.kind === "gap")
    if (hasGap || isListLost(header, { parts: loaded.scan.parts, bytes: loaded.bytes })) this.#weakened.push(segment)
    return segment
  }

  #segmentOf(found: FoundSegment, endOffset: number): Segment {
    const { header, sequence, path, file } = found
    const isSparse = header?.isSparse === true
    const index = new OffsetIndex(header?.firstIndex ?? 1, { isSparse })
    const isStaged = header?.isStaged === true
    const fileBytes = header === undefined || header.fileBytes === found.sizeBytes ? found.sizeBytes : 0
    const prev = { sequence: header?.prevSequence ?? 0, endOffset: header?.prevEndOffset ?? 0 }
    const size = header?.isRewritten === true ? 0 : fileBytes
    return new Segment({ sequence, path, file, isStaged, index, endOffset, prev, fileBytes: size })
  }
}

/** Ranges of entries whose bytes are lost, ascending. */
export function lostRanges(state: LogState): { firstIndex: LogIndex; lastIndex: LogIndex }[] {
  const ranges: { firstIndex: LogIndex; lastIndex: LogIndex }[] = []
  for (const { index } of state.segments) {
    if (index.lostCount === 0) continue
    for (let slot = 0; slot < index.count; slot++) {
      if (!index.isLost(slot)) continue
      const lost = index.indexAt(slot)
      const range = ranges.at(-1)
      if (range !== undefined && range.lastIndex === lost - 1) range.lastIndex = lost
      else ranges.push({ firstIndex: lost, lastIndex: lost })
    }
  }
  return ranges
}
