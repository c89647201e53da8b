/**
 * Takes a snapshot in: stores its chunks aside in order, and when all are there steps the announcement into the core,
 * which decides whether it wants it. Staged data has no effect until the core restores it (broker-node.ts).
 */
import type { InstallSnapshot, NodeId } from "../core/raft/types.ts"
import { decodeEntries, decodeRecords } from "../codec/peer-codec.ts"
import type { OutgoingPeerFrame, SnapshotChunkFrame } from "../codec/peer-codec.ts"
import type { CheckpointStore, Logger } from "../ports.ts"
import type { SetReplica } from "./set-replica.ts"

export interface SnapshotReceiverParts {
  readonly replica: SetReplica
  readonly store: CheckpointStore
  readonly logger: Logger
  readonly send: (peer: NodeId, frame: OutgoingPeerFrame) => boolean
}

interface Arrival {
  readonly peer: NodeId
  readonly transferId: number
  readonly message: InstallSnapshot
  nextSequence: number
  /** Chunks that came while an earlier one was being stored, ascending; no more than the sender's window. */
  readonly queue: SnapshotChunkFrame[]
  storing: boolean
  stepped: boolean
}

const QUEUED_CHUNKS_MAX = 16

export class SnapshotReceiver {
  readonly #parts: SnapshotReceiverParts
  #arrival: Arrival | undefined

  constructor(parts: SnapshotReceiverParts) {
    this.#parts = parts
  }

  begin(peer: NodeId, transferId: number, message: InstallSnapshot): void {
    if (message.snapshot.lastIncludedIndex <= this.#parts.replica.appliedIndex) {
      this.#ack({ peer, transferId, nextSequence: 0 }, "installed")
      return
    }
    const arrival = this.#arrival
    if (arrival?.transferId === transferId && arrival.peer === peer) {
      if (!arrival.storing) this.#ack(arrival, "receiving")
      return
    }
    if (arrival?.storing === true || arrival?.stepped === true) return
    this.#restart({ peer, transferId, message, nextSequence: 0, queue: [], storing: true, stepped: false })
  }

  chunk(peer: NodeId, frame: SnapshotChunkFrame): void {
    const arrival = this.#arrival
    if (arrival?.transferId !== frame.transferId || arrival.peer !== peer) return
    const expected = arrival.nextSequence + arrival.queue.length + (arrival.storing ? 1 : 0)
    if (frame.sequence !== expected || arrival.queue.length >= QUEUED_CHUNKS_MAX) return
    arrival.queue.push(frame)
    this.#storeNext(arrival)
  }

  #storeNext(arrival: Arrival): void {
    if (arrival.storing) return
    const frame = arrival.queue.shift()
    if (frame === undefined) return
    arrival.storing = true
    const stored = (error: Error | undefined): void => {
      if (this.#arrival !== arrival) return
      arrival.storing = false
      if (error !== undefined) {
        this.#refuse(arrival, error)
        return
      }
      arrival.nextSequence++
      this.#ack(arrival, "receiving")
      this.#storeNext(arrival)
    }
    if (frame.content === "records") this.#parts.store.stage(decodeRecords(frame.bytes), stored)
    else this.#parts.replica.log.stageEntries(decodeEntries(frame.bytes), stored)
  }

  end(peer: NodeId, transferId: number, chunkCount: number): void {
    const arrival = this.#arrival
    if (arrival?.transferId !== transferId || arrival.peer !== peer) return
    if (arrival.storing || arrival.queue.length > 0 || arrival.nextSequence !== chunkCount || arrival.stepped) return
    arrival.stepped = true
    const { replica } = this.#parts
    replica.step(arrival.message)
    const { isRestoring, commitIndex } = replica.raft.status()
    const isTaken = isRestoring || commitIndex >= arrival.message.snapshot.lastIncludedIndex
    // It would stand in the way of every later one.
    if (!isTaken) this.#refuse(arrival, new Error("the leader that sent it has been replaced"))
  }

  tick(): void {
    const arrival = this.#arrival
    if (arrival === undefined) return
    if (arrival.message.snapshot.lastIncludedIndex > this.#parts.replica.appliedIndex) return
    this.#arrival = undefined
    this.#ack(arrival, "installed")
  }

  #restart(arrival: Arrival): void {
    this.#arrival = arrival
    const { lastIncludedIndex } = arrival.message.snapshot
    this.#parts.logger.info({ peer: arrival.peer, lastIncludedIndex }, "receiving a snapshot")
    this.#parts.store.discardStaged((storeError) => {
      this.#parts.replica.log.discardStaged((logError) => {
        if (this.#arrival !== arrival) return
        arrival.storing = false
        const error = storeError ?? logError
        if (error === undefined) this.#ack(arrival, "receiving")
        else this.#refuse(arrival, error)
      })
    })
  }

  #refuse(arrival: Arrival, error: Error): void {
    this.#arrival = undefined
    this.#parts.logger.warn({ peer: arrival.peer, error: error.message }, "the snapshot could not be stored")
    this.#ack(arrival, "refused")
  }

  #ack(
    arrival: Pick<Arrival, "peer" | "transferId" | "nextSequence">,
    state: "receiving" | "installed" | "refused",
  ): void {
    const { peer, transferId, nextSequence } = arrival
    this.#parts.send(peer, { kind: "snapshotAck", setId: this.#parts.replica.setId, transferId, nextSequence, state })
  }
}
