/** The key pairs of a machine by id and by SecretId. What a permission or a sealed secret says is not known here. */
import type { CreateKey, KeyId } from "./command.ts"
import type { MarkList } from "./dirty-records.ts"

export type KeyFacts = Omit<CreateKey, "kind"> & { readonly id: KeyId; readonly createdAtMs: number }

/** One key pair. Nothing of it changes but that it goes: whoever knows a key knows what it may do. */
export class AccessKey implements KeyFacts {
  readonly id: KeyId
  readonly secretId: string
  readonly accountName: string
  readonly permissions: readonly string[]
  readonly sealedSecret: string
  readonly createdAtMs: number
  isDirty = false
  isStored = false

  constructor(facts: KeyFacts) {
    this.id = facts.id
    this.secretId = facts.secretId
    this.accountName = facts.accountName
    this.permissions = facts.permissions
    this.sealedSecret = facts.sealedSecret
    this.createdAtMs = facts.createdAtMs
  }

  /** By which keys are listed and searched: those of an account stand together. */
  get name(): string {
    return `${this.accountName} ${this.secretId}`
  }
}

export class KeyRegistry {
  readonly #bySecretId = new Map<string, AccessKey>()
  readonly #dirty: MarkList<AccessKey>

  constructor(dirty: MarkList<AccessKey>) {
    this.#dirty = dirty
  }

  get count(): number {
    return this.#bySecretId.size
  }

  find(secretId: string): AccessKey | undefined {
    return this.#bySecretId.get(secretId)
  }

  /** In the order of ids: the same on all replicas, restored or not. */
  byId(): readonly AccessKey[] {
    return [...this.#bySecretId.values()].sort((a, b) => a.id - b.id)
  }

  /** In the order of accounts by code unit. */
  sorted(): readonly AccessKey[] {
    return [...this.#bySecretId.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** Keys of one account. O(keys). */
  countOf(accountName: string): number {
    let count = 0
    for (const key of this.#bySecretId.values()) if (key.accountName === accountName) count++
    return count
  }

  create(facts: KeyFacts): AccessKey {
    const key = this.add(facts)
    this.#dirty.changed(key)
    return key
  }

  /** Also used by a restore. */
  add(facts: KeyFacts): AccessKey {
    const key = new AccessKey(facts)
    this.#bySecretId.set(key.secretId, key)
    return key
  }

  remove(key: AccessKey): void {
    this.#bySecretId.delete(key.secretId)
    this.#dirty.dropped(key)
  }
}
