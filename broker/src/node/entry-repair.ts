/**
 * Brings back log entries whose bytes are rotten on this disk, from any peer that has them (reliability.md D7, D8, D16).
 *
 * An entry is taken only with the index asked for and the term that this node's own log still knows for it: same index
 * and term means same entry (log matching). While anything is damaged the node neither votes nor leads, so that what it
 * may have forgotten cannot be outvoted.
 */
import type { Entry, LogIndex, NodeId } from "../core/raft/types.ts"
import type { OutgoingPeerFrame } from "../codec/peer-codec.ts"
import type { LogRecovery, Logger } from "../ports.ts"
import type { SetReplica } from "./set-replica.ts"

const REPAIR_BYTES_MAX = 4 * 1024 * 1024
const ASK_AGAIN_TICKS = 20

export interface EntryRepairParts {
  readonly replica: SetReplica
  readonly logger: Logger
  readonly peers: readonly NodeId[]
  readonly recovery: LogRecovery
  readonly send: (peer: NodeId, frame: OutgoingPeerFrame) => boolean
  /** Everything is back: the node may vote, as far as its log is concerned. */
  readonly whole: () => void
}

interface DamagedRange {
  readonly firstIndex: LogIndex
  readonly lastIndex: LogIndex
}

export class EntryRepair {
  readonly #parts: EntryRepairParts
  #damaged: DamagedRange[]
  #waiting: (() => void)[] = []
  /** The last record was damaged and cut off; it may have been acknowledged. */
  #tailDoubtfulBehind: LogIndex | undefined
  readonly #peersWithoutTail = new Set<NodeId>()
  #askedPeer = 0
  #ticks = 0

  constructor(parts: EntryRepairParts) {
    this.#parts = parts
    this.#damaged = [...parts.recovery.damaged]
    this.#tailDoubtfulBehind = parts.recovery.ambiguousTail ? parts.recovery.lastIndex : undefined
  }

  get damagedCount(): number {
    return this.#damaged.reduce((count, range) => count + range.lastIndex - range.firstIndex + 1, 0)
  }

  get isWhole(): boolean {
    return this.#damaged.length === 0 && this.#tailDoubtfulBehind === undefined
  }

  /** Entries in this range could not be read; `retry` is called when they are back. */
  found(range: { readonly fromIndex: LogIndex; readonly toIndex: LogIndex }, retry: () => void): void {
    const known = this.#damaged.some((each) => each.firstIndex <= range.fromIndex && each.lastIndex >= range.fromIndex)
    if (!known) this.#damaged.push({ firstIndex: range.fromIndex, lastIndex: range.fromIndex })
    this.#waiting.push(retry)
    this.#ask()
  }

  tick(): void {
    this.#ticks++
    if (this.isWhole) return
    this.#settleTail()
    if (this.#ticks % ASK_AGAIN_TICKS === 1) this.#ask()
  }

  /** A peer asks for entries that are rotten there. */
  requested(
    peer: NodeId,
    request: {
      readonly requestId: number
      readonly firstIndex: LogIndex
      readonly lastIndex: LogIndex
      readonly maxBytes: number
    },
  ): void {
    const range = {
      fromIndex: request.firstIndex,
      toIndex: request.lastIndex,
      maxBytes: Math.min(request.maxBytes, REPAIR_BYTES_MAX),
    }
    this.#parts.replica.log.readEntries(range, (error, entries) => {
      const found = error === undefined && entries !== "compacted" ? entries : []
      const { setId } = this.#parts.replica
      this.#parts.send(peer, { kind: "repairReply", setId, requestId: request.requestId, entries: found })
    })
  }

  replied(peer: NodeId, requestId: number, entries: readonly Entry[]): void {
    if (requestId === TAIL_REQUEST) {
      if (entries.length === 0) this.#peersWithoutTail.add(peer)
      return
    }
    const wanted = entries.filter((entry) => this.#isWanted(entry))
    if (wanted.length === 0) return
    this.#parts.replica.log.repair(wanted, (error) => {
      if (error !== undefined) {
        this.#parts.logger.warn({ error: error.message }, "a damaged entry could not be replaced")
        return
      }
      this.#parts.logger.info({ count: wanted.length, peer }, "damaged entries were replaced")
      for (const entry of wanted) this.#mended(entry.index)
      this.#finishIfWhole()
      this.#ask()
    })
  }

  #isWanted(entry: Entry): boolean {
    const isDamaged = this.#damaged.some((range) => range.firstIndex <= entry.index && entry.index <= range.lastIndex)
    const knownTerm = this.#parts.replica.raft.termAt(entry.index)
    return isDamaged && (knownTerm === undefined || knownTerm === entry.term)
  }

  #mended(index: LogIndex): void {
    const rest: DamagedRange[] = []
    for (const range of this.#damaged) {
      if (index < range.firstIndex || index > range.lastIndex) {
        rest.push(range)
        continue
      }
      if (range.firstIndex < index) rest.push({ firstIndex: range.firstIndex, lastIndex: index - 1 })
      if (index < range.lastIndex) rest.push({ firstIndex: index + 1, lastIndex: range.lastIndex })
    }
    this.#damaged = rest
  }

  #ask(): void {
    const { peers, replica, send } = this.#parts
    if (peers.length === 0) return
    const { setId } = replica
    const range = this.#damaged[0]
    if (range !== undefined) {
      const peer = peers[this.#askedPeer++ % peers.length] ?? 0
      const { firstIndex, lastIndex } = range
      send(peer, {
        kind: "repairRequest",
        setId,
        requestId: RANGE_REQUEST,
        firstIndex,
        lastIndex,
        maxBytes: REPAIR_BYTES_MAX,
      })
    }
    if (this.#tailDoubtfulBehind === undefined) return
    const firstIndex = this.#tailDoubtfulBehind + 1
    for (const peer of peers) {
      send(peer, {
        kind: "repairRequest",
        setId,
        requestId: TAIL_REQUEST,
        firstIndex,
        lastIndex: firstIndex,
        maxBytes: 1,
      })
    }
  }

  /** The doubt is over when a leader brought the log past the cut, or when no other node has anything there. */
  #settleTail(): void {
    const behind = this.#tailDoubtfulBehind
    if (behind === undefined) return
    const isBroughtBack = this.#parts.replica.raft.status().durableIndex > behind
    const isNowhere = this.#parts.peers.every((peer) => this.#peersWithoutTail.has(peer))
    if (!isBroughtBack && !isNowhere) return
    this.#tailDoubtfulBehind = undefined
    this.#finishIfWhole()
  }

  #finishIfWhole(): void {
    if (this.#damaged.length === 0) {
      const waiting = this.#waiting
      this.#waiting = []
      for (const retry of waiting) retry()
    }
    if (this.isWhole) this.#parts.whole()
    this.#parts.replica.wake()
  }
}

const RANGE_REQUEST = 1
const TAIL_REQUEST = 2
