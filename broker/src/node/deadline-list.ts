/** Items ordered by deadline, removable by identity: a binary heap whose removed items are skipped when met. */
export class DeadlineList<T extends object> {
  #heap: { readonly deadlineMs: number; readonly item: T }[] = []
  /** The deadline under which an item is valid; absent = removed. */
  readonly #valid = new Map<T, number>()

  get count(): number {
    return this.#valid.size
  }

  add(deadlineMs: number, item: T): void {
    this.#valid.set(item, deadlineMs)
    this.#heap.push({ deadlineMs, item })
    this.#siftUp(this.#heap.length - 1)
    if (this.#heap.length > 64 && this.#heap.length > 4 * this.#valid.size) this.#compact()
  }

  remove(item: T): void {
    this.#valid.delete(item)
  }

  earliestMs(): number | undefined {
    this.#dropRemoved()
    return this.#heap[0]?.deadlineMs
  }

  /** Takes out one item whose deadline is `nowMs` or earlier. */
  takeDue(nowMs: number): T | undefined {
    this.#dropRemoved()
    const first = this.#heap[0]
    if (first === undefined || first.deadlineMs > nowMs) return undefined
    this.#removeFirst()
    this.#valid.delete(first.item)
    return first.item
  }

  #dropRemoved(): void {
    for (;;) {
      const first = this.#heap[0]
      if (first === undefined || this.#valid.get(first.item) === first.deadlineMs) return
      this.#removeFirst()
    }
  }

  #compact(): void {
    const kept = this.#heap.filter((entry) => this.#valid.get(entry.item) === entry.deadlineMs)
    this.#heap = []
    for (const entry of kept) {
      this.#heap.push(entry)
      this.#siftUp(this.#heap.length - 1)
    }
  }

  #removeFirst(): void {
    const last = this.#heap.pop()
    if (last === undefined || this.#heap.length === 0) return
    this.#heap[0] = last
    this.#siftDown(0)
  }

  #siftUp(start: number): void {
    let child = start
    while (child > 0) {
      const parent = (child - 1) >> 1
      if (!this.#swapIfLater(parent, child)) return
      child = parent
    }
  }

  #siftDown(start: number): void {
    let parent = start
    for (;;) {
      const left = 2 * parent + 1
      const right = left + 1
      if (left >= this.#heap.length) return
      const earlier = this.#deadlineAt(right) < this.#deadlineAt(left) ? right : left
      if (!this.#swapIfLater(parent, earlier)) return
      parent = earlier
    }
  }

  #deadlineAt(position: number): number {
    return this.#heap[position]?.deadlineMs ?? Number.POSITIVE_INFINITY
  }

  #swapIfLater(parent: number, child: number): boolean {
    const upper = this.#heap[parent]
    const lower = this.#heap[child]
    if (upper === undefined || lower === undefined || upper.deadlineMs <= lower.deadlineMs) return false
    this.#heap[parent] = lower
    this.#heap[child] = upper
    return true
  }
}
