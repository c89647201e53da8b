/**
 * The key pairs that requests may be signed with: that of this node's options, and those of the applied state. On a
 * follower the applied state may be a moment old; what a key may do is decided by the leader.
 */
import type { AccessKey } from "../core/queue/access-keys.ts"
import type { KeyVault, Logger } from "../ports.ts"
import { OPERATOR } from "./caller.ts"
import type { Caller } from "./caller.ts"
import type { KeyRing } from "./request-guard.ts"

export interface ClusterKeysParts {
  /** Undefined = there is none. */
  readonly operator: { readonly secretId: string; readonly secretKey: string } | undefined
  readonly findKey: (secretId: string) => AccessKey | undefined
  readonly vault: KeyVault
  readonly logger: Logger
}

export class ClusterKeys implements KeyRing {
  readonly #parts: ClusterKeysParts
  /** Opening takes microseconds, and each request asks. Secrets go with their keys. */
  readonly #opened = new WeakMap<AccessKey, { readonly secretKey: string | undefined }>()

  constructor(parts: ClusterKeysParts) {
    this.#parts = parts
  }

  get(secretId: string): string | undefined {
    const { operator, findKey } = this.#parts
    if (secretId === operator?.secretId) return operator.secretKey
    const key = findKey(secretId)
    return key === undefined ? undefined : this.#open(key)
  }

  callerOf(secretId: string): Caller {
    return secretId === this.#parts.operator?.secretId ? OPERATOR : { kind: "key", secretId }
  }

  #open(key: AccessKey): string | undefined {
    const known = this.#opened.get(key)
    if (known !== undefined) return known.secretKey
    const { vault, logger } = this.#parts
    const { secretId, sealedSecret } = key
    const secretKey = vault.open(secretId, sealedSecret)
    if (secretKey === undefined) {
      logger.warn({ secretId }, "a key pair cannot be opened: it was sealed under another master key")
    }
    this.#opened.set(key, { secretKey })
    return secretKey
  }
}
