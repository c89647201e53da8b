/**
 * The subscriptions of one topic by name and by what they want, so that a publish looks at those that may match and not
 * at all ten thousand. The indexes are rebuilt when the first message after a change comes. Not persisted.
 */
import { matchesBindingKey, type BindingKey } from "./subscription-filter.ts"
import type { FilterType } from "./command.ts"
import { NameIndex } from "./name-index.ts"

/** A subscription as far as this index needs it. */
export interface IndexedSubscription {
  readonly id: number
  readonly name: string
  readonly attributes: { readonly filterTags: readonly string[]; readonly bindingKeys: readonly string[] }
  readonly bindingKeys: readonly BindingKey[]
  /** Number of the message for which it was found last. */
  matchMark: number
}

/** What a message says about itself. */
export interface MessageLabels {
  readonly tags: readonly string[]
  readonly routingKey: string
}

export class SubscriptionIndex<S extends IndexedSubscription> {
  readonly #named = new NameIndex<S>()
  #isStale = false
  /** Without tags: they want every message. */
  #untagged: S[] = []
  #byTag = new Map<string, S[]>()
  /** Binding keys without wildcards. */
  #byKey = new Map<string, S[]>()
  #withWildcards: S[] = []
  #mark = 0

  get size(): number {
    return this.#named.size
  }

  /** Exact. */
  find(name: string): S | undefined {
    return this.#named.find(name)
  }

  /** Also when only the case differs. */
  isTaken(name: string): boolean {
    return this.#named.isTaken(name)
  }

  /** In the order of their adding. */
  values(): IterableIterator<S> {
    return this.#named.values()
  }

  /** In the order of names by code unit. O(n log n) after a change. */
  sorted(): readonly S[] {
    return this.#named.sorted()
  }

  add(subscription: S): void {
    this.#named.add(subscription)
    this.#isStale = true
  }

  remove(subscription: S): void {
    this.#named.remove(subscription)
    this.#isStale = true
  }

  filtersChanged(): void {
    this.#isStale = true
  }

  /** The subscriptions that want the message, each once, in the order of their ids. */
  matching(filterType: FilterType, labels: MessageLabels): readonly S[] {
    if (this.#isStale) this.#rebuild()
    this.#mark++
    const found: S[] = []
    if (filterType === "tags") this.#findByTags(labels.tags, found)
    else this.#findByKey(labels.routingKey, found)
    return found.sort((a, b) => a.id - b.id)
  }

  #findByTags(tags: readonly string[], found: S[]): void {
    for (const subscription of this.#untagged) found.push(subscription)
    for (const tag of tags) for (const subscription of this.#byTag.get(tag) ?? []) this.#addOnce(subscription, found)
  }

  #findByKey(routingKey: string, found: S[]): void {
    for (const subscription of this.#byKey.get(routingKey) ?? []) this.#addOnce(subscription, found)
    if (this.#withWildcards.length === 0) return
    const words = routingKey.split(".")
    for (const subscription of this.#withWildcards) {
      if (subscription.bindingKeys.some((key) => matchesBindingKey(key, words))) this.#addOnce(subscription, found)
    }
  }

  #addOnce(subscription: S, found: S[]): void {
    if (subscription.matchMark === this.#mark) return
    subscription.matchMark = this.#mark
    found.push(subscription)
  }

  #rebuild(): void {
    this.#isStale = false
    this.#untagged = []
    this.#byTag = new Map()
    this.#byKey = new Map()
    this.#withWildcards = []
    for (const subscription of this.#named.values()) {
      subscription.matchMark = 0
      const { filterTags } = subscription.attributes
      if (filterTags.length === 0) this.#untagged.push(subscription)
      for (const tag of filterTags) addTo(this.#byTag, tag, subscription)
      for (const key of subscription.bindingKeys) {
        if (key.anyWord === 0 && key.anyWords === 0) addTo(this.#byKey, key.text, subscription)
      }
      if (subscription.bindingKeys.some((key) => key.anyWord !== 0 || key.anyWords !== 0)) {
        this.#withWildcards.push(subscription)
      }
    }
    this.#mark = 0
  }
}

function addTo<S>(lists: Map<string, S[]>, key: string, item: S): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [item])
  else list.push(item)
}
