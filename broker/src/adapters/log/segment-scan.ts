/**
 * Reads the batches of one segment file out of its bytes, and says what is damaged and how. No disk, no state.
 *
 * A flush is one batch, and it begins only when the flush before it is durable. So whatever lies before a readable batch was
 * durable: damage there is rot. Only the last batch can be unfinished; `tail` says how it was judged (DESIGN.md).
 */
import { crc32 } from "../../codec/crc.ts"
import {
  BATCH_HEADER_BYTES,
  BATCH_MAGIC,
  ENTRY_HEADER_BYTES,
  SECTOR_BYTES,
  batchChecksum,
  decodeBatchHeader,
  decodeEntryHeader,
  entryBytes,
  sectorsPerBit,
} from "../../codec/log-record.ts"
import type { BatchHeader } from "../../codec/log-record.ts"
import type { EntryKind, LogIndex, Term } from "../../core/raft/types.ts"
import type { WriterIds } from "./batch-builder.ts"
import type { LogMutations } from "./log-options.ts"
import { DATA_START } from "./segment-header.ts"

export interface ScanRequest {
  /** The file from its start. */
  readonly bytes: Buffer
  readonly sequence: number
  readonly ids: WriterIds
  /** Checksum that the first batch must carry as its chain; undefined when the segment header is lost. */
  readonly chain: number | undefined
  /** Batches end here at the latest. */
  readonly end: number
  /** True when `end` is where the last durable batch ended: nothing before it can be unfinished. */
  readonly isSealed: boolean
  /** Everything before this offset was durable before the file got its name. */
  readonly trustedEnd: number
  /** First word of each sector before this life of the file; undefined when not known. */
  readonly stale: Uint32Array | undefined
  readonly mutations: LogMutations
}

export interface ScannedEntry {
  readonly index: LogIndex
  readonly term: Term
  readonly kind: EntryKind
  /** How many entries directly before have the same term (see `EntryHeader.termRun`). */
  readonly termRun: number
  /** Of the entry header in the file. */
  readonly offset: number
  readonly length: number
  /** True when the payload is rotten or was lost earlier. */
  readonly isLost: boolean
}

/** A batch, or a stretch of the file where one or more batch headers are unreadable. */
export type ScannedPart =
  | {
      readonly kind: "batch"
      readonly offset: number
      readonly header: BatchHeader
      readonly entries: readonly ScannedEntry[]
      readonly isDamaged: boolean
    }
  | { readonly kind: "gap"; readonly offset: number; readonly end: number; readonly entries: readonly ScannedEntry[] }

export interface ScanResult {
  readonly parts: readonly ScannedPart[]
  /** End of the last part that counts. */
  readonly end: number
  /** Chain for a batch written at `end`. */
  readonly chain: number
  /**
   * - `whole`: the log ends behind the last part;
   * - `torn`: an unfinished write was cut off; it was never acknowledged;
   * - `ambiguous`: the last batch is damaged, and nothing shows whether it was acknowledged.
   */
  readonly tail: "whole" | "torn" | "ambiguous"
  /** Offset of the last batch when nothing shows that it is durable. */
  readonly unwitnessedFrom: number | undefined
  /** Something lies behind the end: the file must not be appended to. */
  readonly isDirty: boolean
}

export function scanSegment(request: ScanRequest): ScanResult {
  const walked = walk(request)
  const parts = walked.parts
  if (request.mutations.has("midLogCrcTreatedAsTail")) return cutAtFirstDamage(walked)
  if (request.isSealed) {
    if (walked.end < request.end) {
      parts.push(gapOf(request, walked.end, request.end))
    }
    return { parts, end: request.end, chain: walked.chain, tail: "whole", unwitnessedFrom: undefined, isDirty: true }
  }
  return judgeTail(request, walked)
}

interface Walk {
  readonly parts: ScannedPart[]
  end: number
  chain: number
  /** Everything before this offset is known to have been durable. */
  witness: number
}

function walk(request: ScanRequest): Walk {
  const { bytes } = request
  const parts: ScannedPart[] = []
  let chain = request.chain
  let at = DATA_START
  let witness = request.trustedEnd
  while (at < request.end) {
    const header = batchAt(request, at)
    if (header !== undefined && header.kind !== "mark" && (chain === undefined || header.chain === chain)) {
      parts.push(batchOf(request, at, header))
      chain = batchChecksum(bytes, at)
      witness = Math.max(witness, at)
      at += header.batchBytes
      continue
    }
    if (header?.kind === "mark") witness = Math.max(witness, at)
    const next = findBatch(request, at + SECTOR_BYTES)
    if (next === undefined) break
    parts.push(gapOf(request, at, next))
    witness = Math.max(witness, next)
    at = next
    chain = undefined
  }
  return { parts, end: at, chain: chain ?? 0, witness }
}

/** A readable header that was written for this very place. */
function batchAt(request: ScanRequest, at: number): BatchHeader | undefined {
  const header = decodeBatchHeader(request.bytes, at)
  if (header === undefined || header.sequence !== request.sequence || header.offset !== at) return undefined
  const { ids } = request
  if (header.setId !== ids.setId || header.nodeId !== ids.nodeId || header.clusterHash !== ids.clusterHash)
    return undefined
  const { batchBytes, bodyBytes, bitsBytes } = header
  if (batchBytes < SECTOR_BYTES || at + batchBytes > request.bytes.length) return undefined
  if (bitsBytes > bodyBytes || BATCH_HEADER_BYTES + bodyBytes > batchBytes) return undefined
  return header
}

/** The next place at or behind `from` where a readable batch begins. */
function findBatch(request: ScanRequest, from: number): number | undefined {
  for (let at = from; at < request.end; at += SECTOR_BYTES) {
    if (batchAt(request, at) !== undefined) return at
  }
  return undefined
}

function batchOf(request: ScanRequest, offset: number, header: BatchHeader): ScannedPart {
  const start = offset + BATCH_HEADER_BYTES + header.bitsBytes
  const entries = entriesBetween(request, start, offset + BATCH_HEADER_BYTES + header.bodyBytes)
  const isDamaged = entries.length !== header.entryCount || entries.some((entry) => entry.isLost && entry.length > 0)
  return { kind: "batch", offset, header, entries, isDamaged }
}

function gapOf(request: ScanRequest, offset: number, end: number): ScannedPart {
  return { kind: "gap", offset, end, entries: entriesBetween(request, offset, end) }
}

/** Entries whose headers are readable; behind an unreadable one the search goes on in steps of eight bytes. */
function entriesBetween(request: ScanRequest, from: number, to: number): ScannedEntry[] {
  const { bytes, sequence } = request
  const entries: ScannedEntry[] = []
  const end = Math.min(to, bytes.length)
  let at = from
  while (at + ENTRY_HEADER_BYTES <= end) {
    const header = decodeEntryHeader(bytes, at, { sequence, offset: at })
    if (header === undefined || at + ENTRY_HEADER_BYTES + header.payloadBytes > end) {
      at += 8
      continue
    }
    const start = at + ENTRY_HEADER_BYTES
    const isRotten = crc32(bytes.subarray(start, start + header.payloadBytes)) !== header.payloadCrc
    entries.push({
      index: header.index,
      term: header.term,
      kind: header.kind,
      termRun: header.termRun,
      offset: at,
      length: header.payloadBytes,
      isLost: isRotten || header.isDamaged,
    })
    at += entryBytes(header.payloadBytes)
  }
  return entries
}

/** The segment was still written to when the node stopped: is its end whole, unfinished, or rotten? */
function judgeTail(request: ScanRequest, walked: Walk): ScanResult {
  const { parts } = walked
  const last = parts.at(-1)
  const { mutations } = request
  const base = { parts, end: walked.end, chain: walked.chain }
  if (walked.end < request.trustedEnd) {
    parts.push(gapOf(request, walked.end, request.trustedEnd))
    return { ...base, end: request.trustedEnd, tail: "whole", unwitnessedFrom: undefined, isDirty: true }
  }
  const isWitnessed = walked.end <= walked.witness || (last?.kind === "batch" && last.header.kind === "clean")
  if (last?.kind === "batch" && last.isDamaged && !isWitnessed) {
    if (showsStaleSector(request, last.offset, last.header) || mutations.has("tailCrcAlwaysTruncated")) {
      parts.pop()
      return {
        parts,
        end: last.offset,
        chain: last.header.chain,
        tail: "torn",
        unwitnessedFrom: undefined,
        isDirty: true,
      }
    }
    return { ...base, tail: "ambiguous", unwitnessedFrom: last.offset, isDirty: true }
  }
  const unwitnessedFrom = isWitnessed || last === undefined ? undefined : last.offset
  if (walked.end + SECTOR_BYTES <= request.end && !isStale(request, walked.end)) {
    const tail = mutations.has("tailCrcAlwaysTruncated") ? "torn" : "ambiguous"
    // It may also be rot in a sector that was never written: the last readable batch is not proven durable by it.
    return { ...base, tail, unwitnessedFrom, isDirty: true }
  }
  return { ...base, tail: "whole", unwitnessedFrom, isDirty: isDirtyBehind(request, walked.end) }
}

/** True when a sector of the batch provably still holds what was there before the batch. */
function showsStaleSector(request: ScanRequest, offset: number, header: BatchHeader): boolean {
  const { bytes, stale } = request
  if (stale === undefined) return false
  const perBit = sectorsPerBit(header)
  const sectorCount = Math.ceil((BATCH_HEADER_BYTES + header.bodyBytes) / SECTOR_BYTES)
  for (let sector = 1; sector < sectorCount; sector++) {
    const bit = Math.floor(sector / perBit)
    const provesNothing = ((bytes[offset + BATCH_HEADER_BYTES + (bit >>> 3)] ?? 0) & (1 << (bit & 7))) !== 0
    const at = offset + sector * SECTOR_BYTES
    if (!provesNothing && bytes.readUInt32LE(at) === stale[at / SECTOR_BYTES]) return true
  }
  return false
}

/** True when the sector at `at`, where the next batch would begin, was not written in this life of the file. */
function isStale(request: ScanRequest, at: number): boolean {
  const { bytes, stale } = request
  const word = bytes.readUInt32LE(at)
  if (word === BATCH_MAGIC) {
    const header = decodeBatchHeader(bytes, at)
    if (header === undefined) return false
    return header.kind === "mark" || header.sequence !== request.sequence || header.offset !== at
  }
  return stale !== undefined && word === stale[at / SECTOR_BYTES]
}

/** True when anything behind the end was written in this life of the file (a mark at the end itself does not count). */
function isDirtyBehind(request: ScanRequest, end: number): boolean {
  const { bytes, stale } = request
  if (stale === undefined) return true
  for (let at = end; at + SECTOR_BYTES <= request.end; at += SECTOR_BYTES) {
    if (bytes.readUInt32LE(at) === stale[at / SECTOR_BYTES]) continue
    if (at === end && isStale(request, at)) continue
    return true
  }
  return false
}

/** The bug that destroys logs: everything behind the first damage is taken for an unfinished write. */
function cutAtFirstDamage(walked: Walk): ScanResult {
  const place = walked.parts.findIndex((part) => part.kind === "gap" || part.isDamaged)
  const cut = place < 0 ? walked.end : (walked.parts[place]?.offset ?? walked.end)
  const parts = place < 0 ? walked.parts : walked.parts.slice(0, place)
  return { parts, end: cut, chain: walked.chain, tail: "torn", unwitnessedFrom: undefined, isDirty: true }
}
