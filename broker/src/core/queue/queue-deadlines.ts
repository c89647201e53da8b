/**
 * Which queue has the next deadline of its own: retention, rewind window or age of a waiting message.
 *
 * A binary heap of queues by (earliest time, queue id). The times in it may be too early, never too late: a queue
 * whose oldest message was deleted stays where it is until it comes to the top, and only there its time is computed
 * again. So the hot path compares one number. What is done when does not depend on such leftovers, because nothing is
 * done before the time at the top is exact. Not persisted.
 */

/** A queue as far as this heap needs it. */
export interface QueueDeadline {
  readonly id: number
  /** Unix ms; Infinity = nothing will happen. Not later than the truth. */
  nextStepAtMs: number
  /** Place in the heap; -1 = not in it. */
  heapPosition: number
}

export class QueueDeadlines<Q extends QueueDeadline> {
  readonly #items: Q[] = []
  readonly #compute: (queue: Q) => number

  /** @param compute the exact time of the queue's next step, Unix ms or Infinity. */
  constructor(compute: (queue: Q) => number) {
    this.#compute = compute
  }

  /** The queue whose exact time comes first; undefined when nothing will happen in any. Amortised O(log queues). */
  first(): Q | undefined {
    for (;;) {
      const queue = this.#items[0]
      if (queue === undefined) return undefined
      const exact = this.#compute(queue)
      if (exact === queue.nextStepAtMs) return queue
      this.set(queue, exact)
    }
  }

  /** A time not later than the exact one of `first()`; Infinity when there is none. O(1). */
  lowerBoundMs(): number {
    return this.#items[0]?.nextStepAtMs ?? Number.POSITIVE_INFINITY
  }

  /** Something in the queue will happen at this time at the latest. O(1) when something earlier is known. */
  atLatest(queue: Q, timeMs: number): void {
    if (timeMs < queue.nextStepAtMs) this.set(queue, timeMs)
  }

  /** Sets the time, Infinity = takes the queue out. */
  set(queue: Q, timeMs: number): void {
    queue.nextStepAtMs = timeMs
    if (timeMs === Number.POSITIVE_INFINITY) {
      this.#remove(queue)
      return
    }
    if (queue.heapPosition === -1) {
      queue.heapPosition = this.#items.length
      this.#items.push(queue)
    }
    this.#up(queue)
    this.#down(queue)
  }

  #remove(queue: Q): void {
    const position = queue.heapPosition
    if (position === -1) return
    queue.heapPosition = -1
    const last = this.#items.pop()
    if (last === undefined || last === queue) return
    this.#place(last, position)
    this.#up(last)
    this.#down(last)
  }

  #up(queue: Q): void {
    let position = queue.heapPosition
    while (position > 0) {
      const parentPosition = (position - 1) >>> 1
      const parent = this.#items[parentPosition] as Q
      if (!isBefore(queue, parent)) break
      this.#place(parent, position)
      position = parentPosition
    }
    this.#place(queue, position)
  }

  #down(queue: Q): void {
    let position = queue.heapPosition
    for (;;) {
      let childPosition = position * 2 + 1
      const left = this.#items[childPosition]
      if (left === undefined) break
      const right = this.#items[childPosition + 1]
      let child = left
      if (right !== undefined && isBefore(right, left)) {
        child = right
        childPosition++
      }
      if (!isBefore(child, queue)) break
      this.#place(child, position)
      position = childPosition
    }
    this.#place(queue, position)
  }

  #place(queue: Q, position: number): void {
    this.#items[position] = queue
    queue.heapPosition = position
  }
}

function isBefore(a: QueueDeadline, b: QueueDeadline): boolean {
  return a.nextStepAtMs < b.nextStepAtMs || (a.nextStepAtMs === b.nextStepAtMs && a.id < b.id)
}
