/**
 * What changed since the state was last written down, so that a checkpoint costs what changed and not what is there.
 *
 * Each thing is listed once (its own flag says that it is on the list). A chunk that was never written leaves no
 * trace when it goes.
 */
import type { MessageChunk } from "./message-chunk.ts"

/** A queue as far as this list needs it. */
export interface QueueMark {
  readonly id: number
  isDirty: boolean
  isStored: boolean
}

/** Names a chunk that has to be removed from the checkpoint. */
export interface DroppedChunk {
  readonly queueId: number
  readonly baseSequence: number
}

export class DirtyRecords<Q extends QueueMark> {
  #chunks: MessageChunk[] = []
  #droppedChunks: DroppedChunk[] = []
  #queues: Q[] = []
  #droppedQueues: number[] = []
  #names = new Set<string>()

  chunkChanged(chunk: MessageChunk): void {
    if (chunk.isDirty) return
    chunk.isDirty = true
    this.#chunks.push(chunk)
  }

  chunkDropped(chunk: MessageChunk): void {
    chunk.isDropped = true
    if (chunk.isStored) this.#droppedChunks.push({ queueId: chunk.queueId, baseSequence: chunk.baseSequence })
  }

  queueChanged(queue: Q): void {
    if (queue.isDirty) return
    queue.isDirty = true
    this.#queues.push(queue)
  }

  queueDropped(queue: Q): void {
    if (queue.isStored) this.#droppedQueues.push(queue.id)
  }

  /** A deleted name was remembered or forgotten. */
  nameChanged(name: string): void {
    this.#names.add(name)
  }

  /** Hands everything out and forgets it. Things dropped meanwhile are left out of the changed ones. */
  take(): {
    readonly chunks: readonly MessageChunk[]
    readonly droppedChunks: readonly DroppedChunk[]
    readonly queues: readonly Q[]
    readonly droppedQueues: readonly number[]
    readonly names: ReadonlySet<string>
  } {
    const taken = {
      chunks: this.#chunks.filter((chunk) => !chunk.isDropped),
      droppedChunks: this.#droppedChunks,
      queues: this.#queues,
      droppedQueues: this.#droppedQueues,
      names: this.#names,
    }
    for (const chunk of this.#chunks) chunk.isDirty = false
    for (const queue of this.#queues) queue.isDirty = false
    this.#chunks = []
    this.#droppedChunks = []
    this.#queues = []
    this.#droppedQueues = []
    this.#names = new Set()
    return taken
  }
}
