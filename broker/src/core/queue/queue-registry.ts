/**
 * The queues of a machine by id and by name, which of them are dead-letter queues of which, and the names that were
 * deleted a moment ago.
 */
import type { QueueAttributes } from "./command.ts"
import type { ChunkPool } from "./chunk-list.ts"
import type { DirtyRecords } from "./dirty-records.ts"
import { foldedName } from "./folded-name.ts"
import type { MachineLimits } from "./machine-limits.ts"
import { NameIndex } from "./name-index.ts"
import { Queue, type QueueIdentity } from "./queue.ts"
import type { TouchedMessages } from "./touched-messages.ts"

/** What the registry gets from its machine. */
export interface RegistryParts {
  readonly limits: MachineLimits
  readonly touched: TouchedMessages
  readonly pool: ChunkPool
  readonly dirty: DirtyRecords<Queue>
}

export class QueueRegistry {
  readonly #parts: RegistryParts
  readonly #byId = new Map<number, Queue>()
  /** Without the backlogs of subscriptions. */
  readonly #named = new NameIndex<Queue>()
  /** Folded name -> Unix ms of its deletion, oldest deletion first. Persisted. */
  #deletedNames = new Map<string, number>()
  /** Id of the next queue, topic or subscription. Persisted. */
  nextQueueId = 1

  constructor(parts: RegistryParts) {
    this.#parts = parts
  }

  /** Backlogs of subscriptions are not counted. */
  get count(): number {
    return this.#named.size
  }

  get deletedNames(): ReadonlyMap<string, number> {
    return this.#deletedNames
  }

  get(queueId: number): Queue | undefined {
    return this.#byId.get(queueId)
  }

  /** Exact. */
  find(queueName: string): Queue | undefined {
    return this.#named.find(queueName)
  }

  isTaken(queueName: string): boolean {
    return this.#named.isTaken(queueName)
  }

  /** @param name of a queue; of a topic with a slash before it. */
  wasDeletedRecently(name: string, nowMs: number): boolean {
    this.#forgetDeletedNames(nowMs)
    return this.#deletedNames.has(foldedName(name))
  }

  /** Those with a name, in the order of their names by code unit. O(n log n) after a change. */
  sorted(): readonly Queue[] {
    return this.#named.sorted()
  }

  /** Backlogs, too, in no order that replicas share. */
  all(): IterableIterator<Queue> {
    return this.#byId.values()
  }

  /** Backlogs, too, in the order of ids: the same on all replicas, restored or not. */
  byId(): readonly Queue[] {
    return [...this.#byId.values()].sort((a, b) => a.id - b.id)
  }

  create(queueName: string, attributes: QueueAttributes, nowMs: number): Queue {
    const queue = this.add({ id: this.nextQueueId++, name: queueName, createdAtMs: nowMs }, attributes)
    this.bindDeadLetterQueue(queue)
    this.#parts.dirty.queueChanged(queue)
    return queue
  }

  /** Without the link to its dead-letter queue. One without a name is the backlog of a subscription. Also used by a restore. */
  add(identity: QueueIdentity, attributes: QueueAttributes): Queue {
    const { touched, pool, dirty } = this.#parts
    const queue = new Queue(identity, attributes, { touched, pool, watcher: dirty })
    this.#byId.set(queue.id, queue)
    if (queue.name !== "") this.#named.add(queue)
    return queue
  }

  /** The queue is empty, and no dead-letter queue. */
  remove(queue: Queue, nowMs: number): void {
    queue.deadLetterQueue?.deadLetterSources.delete(queue)
    this.#byId.delete(queue.id)
    this.#named.remove(queue)
    this.#parts.dirty.queueDropped(queue)
    this.nameDeleted(queue.name, nowMs)
  }

  /** @param name of a queue; of a topic with a slash before it. */
  nameDeleted(name: string, nowMs: number): void {
    this.#forgetDeletedNames(nowMs)
    if (this.#parts.limits.queueNameReuseMs > 0) this.rememberDeletedName(foldedName(name), nowMs)
  }

  /** It is empty. */
  removeBacklog(queue: Queue): void {
    this.#byId.delete(queue.id)
    this.#parts.dirty.queueDropped(queue)
  }

  /** Makes the link that the policy of the queue's attributes says. */
  bindDeadLetterQueue(queue: Queue): void {
    queue.deadLetterQueue?.deadLetterSources.delete(queue)
    const policy = queue.attributes.deadLetterPolicy
    queue.deadLetterQueue = policy === undefined ? undefined : this.find(policy.deadLetterQueue)
    queue.deadLetterQueue?.deadLetterSources.add(queue)
  }

  /** @param name folded; of a topic with a slash before it. */
  rememberDeletedName(name: string, deletedAtMs: number): void {
    this.#deletedNames.delete(name)
    this.#deletedNames.set(name, deletedAtMs)
    this.#parts.dirty.nameChanged(name)
  }

  /** Restored names came in the order of their keys. */
  sortDeletedNames(): void {
    this.#deletedNames = new Map([...this.#deletedNames].sort(([, a], [, b]) => a - b))
  }

  #forgetDeletedNames(nowMs: number): void {
    for (const [name, deletedAtMs] of this.#deletedNames) {
      if (deletedAtMs + this.#parts.limits.queueNameReuseMs > nowMs) break
      this.#deletedNames.delete(name)
      this.#parts.dirty.nameChanged(name)
    }
  }
}
