/**
 * Feeds a follower that is too far behind for the log: the checkpoint's records, then the entries that live messages
 * point to, in numbered chunks with a window. A broken connection is resumed at the first chunk that was not stored.
 *
 * The view of the checkpoint stays as it was at index S, while messages go on being deleted: an entry that has died in
 * the meantime is left out, because the log behind S tells the follower of that death too.
 */
import type { InstallSnapshot, LogIndex, NodeId, SnapshotMeta } from "../core/raft/types.ts"
import { encodeEntries, encodeRecords } from "../codec/peer-codec.ts"
import type { OutgoingPeerFrame, SnapshotContent } from "../codec/peer-codec.ts"
import type { CheckpointView, Logger } from "../ports.ts"
import type { SetReplica } from "./set-replica.ts"

const CHUNK_BYTES = 512 * 1024
const WINDOW_CHUNKS = 8
/** A transfer without any progress for so many ticks is given up; the core then tries again. */
const PATIENCE_TICKS = 600

export interface SnapshotSenderParts {
  readonly replica: SetReplica
  readonly logger: Logger
  /** The checkpoint as it is now, with what it stands for. */
  readonly openView: (done: (error: Error | undefined, view: CheckpointView, meta: SnapshotMeta) => void) => void
  readonly send: (peer: NodeId, frame: OutgoingPeerFrame) => boolean
}

interface Chunk {
  readonly sequence: number
  readonly content: SnapshotContent
  readonly bytes: Uint8Array[]
}

interface Transfer {
  readonly peer: NodeId
  readonly transferId: number
  readonly message: InstallSnapshot
  readonly view: CheckpointView
  /** Made and not yet known to be stored, ascending. */
  readonly unstored: Chunk[]
  nextSequence: number
  readingChunk: boolean
  phase: "records" | "entries" | "complete"
  liveIndexes: readonly LogIndex[]
  livePosition: number
  quietTicks: number
}

export class SnapshotSender {
  readonly #parts: SnapshotSenderParts
  readonly #transfers = new Map<NodeId, Transfer>()
  readonly #opening = new Set<NodeId>()
  #lastTransferId = 0

  constructor(parts: SnapshotSenderParts) {
    this.#parts = parts
  }

  get activeCount(): number {
    return this.#transfers.size
  }

  /** Highest index up to which the log may be forgotten: where the oldest snapshot under way ends. */
  compactionLimit(): LogIndex {
    if (this.#opening.size > 0) return 0
    let limit = Number.POSITIVE_INFINITY
    for (const transfer of this.#transfers.values()) {
      limit = Math.min(limit, transfer.message.snapshot.lastIncludedIndex)
    }
    return limit
  }

  /** The core wants this peer to get a snapshot. */
  start(message: InstallSnapshot): void {
    const peer = message.to
    if (this.#transfers.has(peer) || this.#opening.has(peer)) return
    this.#opening.add(peer)
    this.#parts.openView((error, view, meta) => {
      this.#opening.delete(peer)
      if (error !== undefined) {
        this.#parts.logger.warn({ peer, error: error.message }, "no snapshot could be opened")
        this.#parts.replica.raft.snapshotSent(peer, false)
        this.#parts.replica.wake()
        return
      }
      this.#begin({ ...message, snapshot: meta }, view)
    })
  }

  connected(peer: NodeId): void {
    const transfer = this.#transfers.get(peer)
    if (transfer !== undefined) this.#sendBegin(transfer)
  }

  ackReceived(
    peer: NodeId,
    ack: { readonly transferId: number; readonly nextSequence: number; readonly state: string },
  ): void {
    const transfer = this.#transfers.get(peer)
    if (transfer?.transferId !== ack.transferId) return
    transfer.quietTicks = 0
    if (ack.state === "installed") this.#finish(transfer, true)
    else if (ack.state === "refused" || ack.nextSequence < this.#oldestUnstored(transfer)) this.#finish(transfer, false)
    else this.#advance(transfer, ack.nextSequence)
  }

  tick(): void {
    for (const transfer of this.#transfers.values()) {
      transfer.quietTicks++
      if (transfer.quietTicks >= PATIENCE_TICKS) this.#finish(transfer, false)
      else if (transfer.quietTicks % RESEND_TICKS === 0) this.#sendBegin(transfer)
    }
  }

  /** This node no longer leads. */
  stopAll(): void {
    for (const transfer of [...this.#transfers.values()]) this.#finish(transfer, false)
  }

  #begin(message: InstallSnapshot, view: CheckpointView): void {
    const transfer: Transfer = {
      peer: message.to,
      transferId: this.#newTransferId(message),
      message,
      view,
      unstored: [],
      nextSequence: 0,
      readingChunk: false,
      phase: "records",
      liveIndexes: [],
      livePosition: 0,
      quietTicks: 0,
    }
    this.#transfers.set(message.to, transfer)
    const { lastIncludedIndex } = message.snapshot
    this.#parts.logger.info({ peer: message.to, lastIncludedIndex }, "sending a snapshot")
    this.#sendBegin(transfer)
  }

  /** Unlike the ids of an earlier leader or process with near certainty: the receiver only resumes what it knows. */
  #newTransferId(message: InstallSnapshot): number {
    this.#lastTransferId++
    return (message.term * 65_536 + message.from * 1024 + (this.#lastTransferId % 1024)) % 0x1_0000_0000
  }

  #sendBegin(transfer: Transfer): void {
    const { setId } = this.#parts.replica
    this.#parts.send(transfer.peer, {
      kind: "snapshotBegin",
      setId,
      transferId: transfer.transferId,
      message: transfer.message,
    })
  }

  #oldestUnstored(transfer: Transfer): number {
    return transfer.unstored[0]?.sequence ?? transfer.nextSequence
  }

  #advance(transfer: Transfer, storedBelow: number): void {
    const before = transfer.unstored.length
    while (transfer.unstored[0] !== undefined && transfer.unstored[0].sequence < storedBelow) transfer.unstored.shift()
    // No progress: the receiver asks again from here (it was reconnected, or chunks were lost).
    if (transfer.unstored.length === before) for (const chunk of transfer.unstored) this.#sendChunk(transfer, chunk)
    this.#produce(transfer)
  }

  #produce(transfer: Transfer): void {
    if (transfer.readingChunk || transfer.unstored.length >= WINDOW_CHUNKS) return
    if (transfer.phase === "complete") this.#sendEnd(transfer)
    else if (transfer.phase === "records") this.#produceRecords(transfer)
    else this.#produceEntries(transfer)
  }

  #produceRecords(transfer: Transfer): void {
    transfer.readingChunk = true
    transfer.view.next(CHUNK_BYTES, (error, records) => {
      transfer.readingChunk = false
      if (!this.#isCurrent(transfer)) return
      if (error !== undefined) {
        this.#finish(transfer, false)
        return
      }
      if (records.length === 0) this.#beginEntries(transfer)
      else this.#addChunk(transfer, "records", encodeRecords(records))
      this.#produce(transfer)
    })
  }

  #beginEntries(transfer: Transfer): void {
    const live = new Set<LogIndex>()
    const toIndex = transfer.message.snapshot.lastIncludedIndex
    this.#parts.replica.machine.visitLive({ fromIndex: 1, toIndex }, (index) => {
      live.add(index)
    })
    transfer.liveIndexes = [...live].sort((left, right) => left - right)
    transfer.phase = "entries"
  }

  #produceEntries(transfer: Transfer): void {
    const fromIndex = transfer.liveIndexes[transfer.livePosition]
    if (fromIndex === undefined) {
      transfer.phase = "complete"
      this.#produce(transfer)
      return
    }
    const toIndex = endOfRun(transfer.liveIndexes, transfer.livePosition)
    transfer.readingChunk = true
    this.#parts.replica.log.readEntries({ fromIndex, toIndex, maxBytes: CHUNK_BYTES }, (error, entries) => {
      transfer.readingChunk = false
      if (!this.#isCurrent(transfer)) return
      if (error !== undefined || entries === "compacted" || entries.length === 0) {
        // Dead since, or unreadable here: the receiver repairs the latter as it would rot of its own.
        transfer.livePosition++
      } else {
        transfer.livePosition += entries.length
        this.#addChunk(transfer, "entries", encodeEntries(entries))
      }
      this.#produce(transfer)
    })
  }

  #addChunk(transfer: Transfer, content: SnapshotContent, bytes: Uint8Array[]): void {
    const chunk: Chunk = { sequence: transfer.nextSequence++, content, bytes }
    transfer.unstored.push(chunk)
    this.#sendChunk(transfer, chunk)
  }

  #sendChunk(transfer: Transfer, chunk: Chunk): void {
    const { setId } = this.#parts.replica
    const { sequence, content, bytes } = chunk
    // Every frame carries its own checksum, and entries and records carry theirs to the disk: none is made here.
    const frame = {
      kind: "snapshotChunk",
      setId,
      transferId: transfer.transferId,
      sequence,
      content,
      crc: 0,
      bytes,
    } as const
    this.#parts.send(transfer.peer, frame)
  }

  #sendEnd(transfer: Transfer): void {
    const { setId } = this.#parts.replica
    const { transferId, nextSequence: chunkCount } = transfer
    this.#parts.send(transfer.peer, { kind: "snapshotEnd", setId, transferId, chunkCount, crc: 0 })
  }

  #isCurrent(transfer: Transfer): boolean {
    return this.#transfers.get(transfer.peer) === transfer
  }

  #finish(transfer: Transfer, installed: boolean): void {
    this.#transfers.delete(transfer.peer)
    transfer.view.close(() => undefined)
    this.#parts.logger.info({ peer: transfer.peer, installed }, "snapshot transfer ended")
    this.#parts.replica.raft.snapshotSent(transfer.peer, installed)
    this.#parts.replica.wake()
  }
}

const RESEND_TICKS = 20

/** The last index of the run of consecutive indexes that begins at `position`. */
function endOfRun(indexes: readonly LogIndex[], position: number): LogIndex {
  let end = position
  while ((indexes[end + 1] ?? -1) === (indexes[end] ?? 0) + 1) end++
  return indexes[end] ?? 0
}
