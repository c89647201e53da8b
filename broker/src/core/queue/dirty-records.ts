/**
 * What changed since the state was last written down, so that a checkpoint costs what changed and not what is there.
 *
 * Each thing is listed once (its own flag says that it is on the list). A chunk that was never written leaves no
 * trace when it goes.
 */
import type { MessageChunk } from "./message-chunk.ts"

/** A queue, a topic or a subscription as far as these lists need it. */
export interface Marked {
  readonly id: number
  isDirty: boolean
  isStored: boolean
}

/** Things of one kind that changed, and ids of those that are gone. */
export class MarkList<T extends Marked> {
  #changed: T[] = []
  #dropped: number[] = []

  changed(item: T): void {
    if (item.isDirty) return
    item.isDirty = true
    this.#changed.push(item)
  }

  dropped(item: T): void {
    if (item.isStored) this.#dropped.push(item.id)
  }

  /** Hands everything out and forgets it. What was dropped meanwhile may be among the changed. */
  take(): { readonly changed: readonly T[]; readonly dropped: readonly number[] } {
    const taken = { changed: this.#changed, dropped: this.#dropped }
    for (const item of this.#changed) item.isDirty = false
    this.#changed = []
    this.#dropped = []
    return taken
  }
}

/** Names a chunk that has to be removed from the checkpoint. */
export interface DroppedChunk {
  readonly queueId: number
  readonly baseSequence: number
}

export class DirtyRecords<Q extends Marked> {
  #chunks: MessageChunk[] = []
  #droppedChunks: DroppedChunk[] = []
  readonly #queues = new MarkList<Q>()
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
    this.#queues.changed(queue)
  }

  queueDropped(queue: Q): void {
    this.#queues.dropped(queue)
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
    const queues = this.#queues.take()
    const taken = {
      chunks: this.#chunks.filter((chunk) => !chunk.isDropped),
      droppedChunks: this.#droppedChunks,
      queues: queues.changed,
      droppedQueues: queues.dropped,
      names: this.#names,
    }
    for (const chunk of this.#chunks) chunk.isDirty = false
    this.#chunks = []
    this.#droppedChunks = []
    this.#names = new Set()
    return taken
  }
}
