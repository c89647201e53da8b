/**
 * Min-heap of message sequences: what became active again behind the delivery front, oldest first.
 *
 * Nothing is removed from its middle: an element whose message has gone meanwhile is met and dropped at the top.
 * Not persisted; rebuilt from the messages after a restore.
 */

/** Plain numbers in a growing array; capacity follows the content down again. */
export class SequenceHeap {
  #items: number[] = []

  get size(): number {
    return this.#items.length
  }

  /** The smallest sequence; undefined when empty. O(1). */
  first(): number | undefined {
    return this.#items[0]
  }

  /** O(log n). */
  add(sequence: number): void {
    const items = this.#items
    let position = items.length
    items.push(sequence)
    while (position > 0) {
      const parent = (position - 1) >>> 1
      const parentSequence = items[parent] as number
      if (parentSequence <= sequence) break
      items[position] = parentSequence
      position = parent
    }
    items[position] = sequence
  }

  /** Takes the smallest away. Does nothing when empty. O(log n). */
  removeFirst(): void {
    const items = this.#items
    const last = items.pop()
    if (last === undefined || items.length === 0) return
    let position = 0
    for (;;) {
      let child = position * 2 + 1
      if (child >= items.length) break
      if (child + 1 < items.length && (items[child + 1] as number) < (items[child] as number)) child++
      const childSequence = items[child] as number
      if (childSequence >= last) break
      items[position] = childSequence
      position = child
    }
    items[position] = last
  }

  /** Drops every sequence at or above the bound. O(n log n), for rewinds only. */
  keepBelow(bound: number): void {
    const kept = this.#items.filter((sequence) => sequence < bound)
    this.#items = []
    for (const sequence of kept) this.add(sequence)
  }

  clear(): void {
    this.#items = []
  }
}
