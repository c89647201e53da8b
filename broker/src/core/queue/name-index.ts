/**
 * Things of a machine by name. Two names that differ only in case exclude each other (CMQ: "queue is already existed, case
 * insensitive"); a lookup is exact.
 */
import { foldedName } from "./folded-name.ts"

export class NameIndex<T extends { readonly name: string }> {
  readonly #byName = new Map<string, T>()
  readonly #foldedNames = new Set<string>()
  /** In the order of names; undefined = has to be sorted again. */
  #sorted: readonly T[] | undefined

  get size(): number {
    return this.#byName.size
  }

  /** Exact. */
  find(name: string): T | undefined {
    return this.#byName.get(name)
  }

  /** Also when only the case differs. */
  isTaken(name: string): boolean {
    return this.#foldedNames.has(foldedName(name))
  }

  /** In the order of their adding. */
  values(): IterableIterator<T> {
    return this.#byName.values()
  }

  /** In the order of names by code unit. O(n log n) after a change. */
  sorted(): readonly T[] {
    this.#sorted ??= [...this.#byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
    return this.#sorted
  }

  add(item: T): void {
    this.#byName.set(item.name, item)
    this.#foldedNames.add(foldedName(item.name))
    this.#sorted = undefined
  }

  remove(item: T): void {
    this.#byName.delete(item.name)
    this.#foldedNames.delete(foldedName(item.name))
    this.#sorted = undefined
  }
}
