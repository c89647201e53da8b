/**
 * Receives that wait for a message. Known to the leader only and not replicated: a waiting poll owns nothing, so a
 * fail-over costs it nothing but being asked again.
 *
 * First come, first served within a queue. Time is told by `expire(nowMs)`; the heap of deadlines makes ten thousand
 * idle polls as cheap as one.
 */
import type { QueueId } from "../core/queue/command.ts"
import { DeadlineList } from "./deadline-list.ts"

export interface LongPoll {
  readonly queueId: QueueId
  readonly maxCount: number
  /** Monotonic milliseconds. */
  readonly deadlineMs: number
  /** There may be messages now: try to receive. */
  readonly tryReceive: () => void
  /** Nothing came in time. */
  readonly timedOut: () => void
  /** This node no longer leads. */
  readonly released: () => void
}

export class LongPolls {
  readonly #byQueue = new Map<QueueId, Set<LongPoll>>()
  readonly #deadlines = new DeadlineList<LongPoll>()
  #count = 0

  get count(): number {
    return this.#count
  }

  countOf(queueId: QueueId): number {
    return this.#byQueue.get(queueId)?.size ?? 0
  }

  add(poll: LongPoll): void {
    let waiting = this.#byQueue.get(poll.queueId)
    if (waiting === undefined) {
      waiting = new Set()
      this.#byQueue.set(poll.queueId, waiting)
    }
    waiting.add(poll)
    this.#count++
    this.#deadlines.add(poll.deadlineMs, poll)
  }

  /** False when it was no longer waiting. */
  remove(poll: LongPoll): boolean {
    const waiting = this.#byQueue.get(poll.queueId)
    if (waiting?.delete(poll) !== true) return false
    this.#count--
    if (waiting.size === 0) this.#byQueue.delete(poll.queueId)
    this.#deadlines.remove(poll)
    return true
  }

  /** Wakes as many polls of the queue as can share `activeCount` messages. */
  wake(queueId: QueueId, activeCount: number): void {
    let left = activeCount
    for (const poll of this.#byQueue.get(queueId) ?? []) {
      if (left <= 0) return
      left -= poll.maxCount
      this.remove(poll)
      poll.tryReceive()
    }
  }

  /** Ends the polls whose time is over. */
  expire(nowMs: number): void {
    for (;;) {
      const poll = this.#deadlines.takeDue(nowMs)
      if (poll === undefined) return
      this.remove(poll)
      poll.timedOut()
    }
  }

  /** The earliest deadline, monotonic milliseconds. */
  nextDeadlineMs(): number | undefined {
    return this.#deadlines.earliestMs()
  }

  /** Every waiting poll, oldest first within a queue, taken out: for a change of leader or a stop. */
  takeAll(): LongPoll[] {
    const all: LongPoll[] = []
    for (const waiting of this.#byQueue.values()) all.push(...waiting)
    for (const poll of all) this.remove(poll)
    return all
  }
}
