/**
 * New key pairs. They are made on the node that was asked, and go to the leader sealed: a SecretKey never crosses from
 * node to node, and is told once, to whoever asked for it.
 */
import type { KeyVault, Logger, MintedKey, Timers } from "../ports.ts"
import type { LeaderUseCase } from "./leader-service.ts"
import type { MintedUseCase, Reply, RequestContext, RequestOf, UseCaseName, ValueOf } from "./service-types.ts"

export interface MintCall<K extends UseCaseName> {
  readonly context: RequestContext
  readonly done: (reply: Reply<ValueOf<K>>) => boolean | undefined
}

/** What takes requests to the leader. */
export interface Carrier {
  execute<K extends LeaderUseCase | "clusterStatus">(name: K, request: RequestOf<K>, call: MintCall<K>): void
}

export interface KeyMintParts {
  readonly vault: KeyVault
  readonly logger: Logger
  readonly timers: Pick<Timers, "soon">
  readonly carrier: Carrier
}

/** Stands before the carrier, and makes the keys of requests that want one. */
export class KeyMint {
  readonly #parts: KeyMintParts

  constructor(parts: KeyMintParts) {
    this.#parts = parts
  }

  execute<K extends UseCaseName>(name: K, request: RequestOf<K>, call: MintCall<K>): void {
    const isMinted = name === "createKey" || name === "rotateKey"
    // The compiler does not narrow a type parameter by a comparison.
    if (isMinted) this.#mint(name, request as RequestOf<MintedUseCase>, call as MintCall<UseCaseName>)
    else
      this.#parts.carrier.execute(
        name as LeaderUseCase,
        request as RequestOf<LeaderUseCase>,
        call as MintCall<UseCaseName>,
      )
  }

  #mint(name: MintedUseCase, request: RequestOf<MintedUseCase>, call: MintCall<MintedUseCase>): void {
    const { vault, timers, carrier } = this.#parts
    const minted = vault.mint()
    if (minted === undefined) {
      timers.soon(() => call.done({ ok: false, error: "masterKeyMissing", args: [] }))
      return
    }
    const { secretId, sealedSecret } = minted
    const told = { context: call.context, done: this.#told(minted, call) }
    if (name === "createKey") {
      carrier.execute("storeKey", { ...(request as RequestOf<"createKey">), secretId, sealedSecret }, told)
    } else {
      const replaced = (request as RequestOf<"rotateKey">).secretId
      carrier.execute("replaceKey", { secretId: replaced, newSecretId: secretId, sealedSecret }, told)
    }
  }

  #told({ secretId, secretKey }: MintedKey, { done }: MintCall<MintedUseCase>): MintCall<"storeKey">["done"] {
    return (reply) => {
      if (!reply.ok) return done(reply)
      const { accountName } = reply.value
      this.#parts.logger.info({ secretId, accountName }, "a key pair was made")
      return done({ ok: true, value: { secretId, secretKey, accountName } })
    }
  }
}

/** Without a master key no key pair is made, kept or known but that of the options. */
export const CLOSED_VAULT: KeyVault = {
  mint: () => undefined,
  open: () => undefined,
  handleKeyOf: () => [0, 0, 0, 0],
}
