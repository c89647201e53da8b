/**
 * What a rewritten segment holds: found entries, and in the place of rotten ones entries without bytes.
 */
import { ENTRY_HEADER_BYTES } from "../../codec/log-record.ts"
import type { LogIndex, Term } from "../../core/raft/types.ts"
import type { SegmentHeader } from "./segment-header.ts"
import type { ScannedEntry, ScannedPart } from "./segment-scan.ts"

/** Every entry that the segment should have, ascending. */
export function rewrittenEntries(
  header: SegmentHeader,
  content: { readonly parts: readonly ScannedPart[]; readonly bytes: Buffer },
): readonly ScannedEntry[] {
  const found = new Map<LogIndex, ScannedEntry>()
  for (const part of content.parts) {
    if (part.kind === "batch" && part.header.kind === "index") continue
    // The index list itself has term 0; it may turn up in a stretch without headers.
    for (const entry of part.entries) if (entry.term > 0) found.set(entry.index, entry)
  }
  const expected = header.isSparse ? listedIndexes(content) : consecutive(header.firstIndex, header.lastIndex)
  const indexes = expected ?? [...found.keys()].sort((left, right) => left - right)
  return withTerms(indexes, { found, lastTerm: header.lastTerm })
}

/** In the place of a lost entry: the term of the next one as far as that one says, else of the one before. */
function withTerms(
  indexes: readonly LogIndex[],
  known: { readonly found: ReadonlyMap<LogIndex, ScannedEntry>; readonly lastTerm: Term },
): readonly ScannedEntry[] {
  const nexts: (ScannedEntry | undefined)[] = []
  let next: ScannedEntry | undefined
  for (const index of indexes.toReversed()) {
    next = known.found.get(index) ?? next
    nexts.push(next)
  }
  nexts.reverse()
  let before: Term | undefined
  return indexes.map((index, place) => {
    const following = nexts[place]
    if (following?.index === index) {
      before = following.term
      return following
    }
    const isOfNext = following === undefined || index >= following.index - following.termRun
    const term = isOfNext ? (following?.term ?? known.lastTerm) : (before ?? following.term)
    return { index, term, kind: "commands", termRun: 0, offset: 0, length: 0, isLost: true }
  })
}

function consecutive(firstIndex: LogIndex, lastIndex: LogIndex): LogIndex[] {
  return Array.from({ length: Math.max(0, lastIndex - firstIndex + 1) }, (_, place) => firstIndex + place)
}

/** True when the list of indexes is rotten: the next damage could lose an entry unnoticed. */
export function isListLost(
  header: SegmentHeader,
  content: { readonly parts: readonly ScannedPart[]; readonly bytes: Buffer },
): boolean {
  return header.isSparse && listedIndexes(content) === undefined
}

/** The list at the end of a sparse segment; undefined when it is rotten too. */
function listedIndexes(content: {
  readonly parts: readonly ScannedPart[]
  readonly bytes: Buffer
}): LogIndex[] | undefined {
  const last = content.parts.at(-1)
  const list = last?.kind === "batch" && last.header.kind === "index" ? last.entries[0] : undefined
  if (list === undefined || list.isLost) return undefined
  const indexes: LogIndex[] = []
  const start = list.offset + ENTRY_HEADER_BYTES
  for (let at = start; at < start + list.length; at += 8) {
    indexes.push(content.bytes.readUInt32LE(at) + content.bytes.readUInt32LE(at + 4) * 0x1_0000_0000)
  }
  return indexes
}
