/** How queues come, change and go in the books. */
import type { Command, QueueId } from "../../src/core/queue/command.ts"
import type { Outcome } from "../../src/core/queue/outcome.ts"
import type { QueueMachine } from "../../src/core/queue/queue-machine.ts"
import { REGISTER_QUEUE } from "./queue-books.ts"
import type { QueueBooks, QueueLife } from "./queue-books.ts"
import { Violation } from "./world.ts"
import type { World } from "./world.ts"

export type QueueCommand = Extract<
  Command,
  {
    kind: "createQueue" | "setQueueAttributes" | "deleteQueue" | "clearQueue" | "rewindQueue" | "unbindDeadLetterQueue"
  }
>

export class QueueLives {
  readonly #world: World
  readonly #books: QueueBooks
  readonly #machine: QueueMachine

  constructor(world: World, books: QueueBooks, machine: QueueMachine) {
    this.#world = world
    this.#books = books
    this.#machine = machine
  }

  /** The machine has applied it, and did not refuse. */
  apply(command: QueueCommand, { queueId, count }: Outcome): void {
    this.#world.marks.hit(`queue: ${command.kind}`)
    if (command.kind === "createQueue") {
      this.#create(queueId, command.queueName)
      return
    }
    const queue = this.#books.queues.get(queueId)
    if (queue === undefined) return
    switch (command.kind) {
      case "setQueueAttributes":
        if (command.change.msgRetentionMs !== undefined || command.change.rewindMs !== undefined) queue.isVague = true
        if (queue.name === REGISTER_QUEUE) {
          this.#books.registerValues.push({ value: command.change.pollingWaitMs ?? 0, worldMs: this.#world.nowMs })
        }
        queue.attributes = this.#machine.queueStatus(queueId)?.attributes ?? queue.attributes
        return
      case "deleteQueue":
        queue.deletedWorldMs = this.#world.nowMs
        for (const message of queue.live) message.place = "dropped"
        queue.live.clear()
        return
      case "clearQueue":
        for (const message of queue.live) message.place = "dropped"
        for (const message of this.#books.messages.values()) {
          if (message.queueId === queueId) message.isRewindable = false
        }
        queue.live.clear()
        return
      case "rewindQueue":
        this.#rewound(queue, command.startConsumeAtMs, count)
        return
      case "unbindDeadLetterQueue":
        for (const other of this.#books.queues.values()) {
          other.attributes = this.#machine.queueStatus(other.queueId)?.attributes ?? other.attributes
        }
        return
    }
  }

  #create(queueId: QueueId, name: string): void {
    const attributes = this.#machine.queueStatus(queueId)?.attributes
    if (attributes === undefined) {
      this.#fail("a created queue exists", name)
      return
    }
    if (this.#books.queues.has(queueId)) this.#fail("queue ids are never used twice", name)
    if (this.#books.find(name) !== undefined) this.#fail("one queue a name", name)
    const queue: QueueLife = {
      queueId,
      name,
      createdWorldMs: this.#world.nowMs,
      deletedWorldMs: Number.POSITIVE_INFINITY,
      attributes,
      isVague: false,
      live: new Set(),
      publishedCount: 0,
      newestTaken: 0,
    }
    this.#books.queues.set(queueId, queue)
    this.#books.byName.set(name, [...(this.#books.byName.get(name) ?? []), queue])
  }

  #rewound(queue: QueueLife, startAtMs: number, count: number): void {
    let candidates = 0
    for (const message of this.#books.messages.values()) {
      if (message.queueId !== queue.queueId || message.place !== "deleted" || message.enqueuedAtMs < startAtMs) continue
      candidates++
      message.isRewindable = true
    }
    if (count > candidates) {
      this.#fail("a rewind brings back only what was deleted", `${String(count)} of ${String(candidates)}`)
    }
    if (count > 0) this.#world.marks.hit("queue: rewind brought messages back")
    queue.isVague = true
  }

  #fail(rule: string, detail: string): void {
    this.#world.fail(new Violation(rule, detail))
  }
}
