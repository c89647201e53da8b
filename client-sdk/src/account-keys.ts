/** The key pairs of the cluster, for whoever may administer it. */
import { checkString } from "./argument-check.ts"
import type { CallOptions, Caller } from "./caller.ts"
import { listParameters } from "./list-options.ts"
import type { ListOptions } from "./list-options.ts"
import { listOf, numberOf, textOf, timeOf } from "./reply-fields.ts"
import type { Fields } from "./reply-fields.ts"
import type { Parameter } from "./transport.ts"

/** A key pair that was made; nobody is told its secret again. */
export type NewKey = Readonly<{ secretId: string; secretKey: string; accountName: string }>

/** A row of a list. */
export type KeyEntry = Readonly<{
  secretId: string
  accountName: string
  /** As `send:queue:orders-*`. */
  permissions: readonly string[]
  createTime: Date | undefined
}>

/** One page of a list. */
export type KeyList = Readonly<{
  /** All that match, on whatever page. */
  totalCount: number
  keys: readonly KeyEntry[]
}>

/** What `Account.keys` is. */
export class AccountKeys {
  readonly #caller: Caller

  /** @internal */
  constructor(caller: Caller) {
    this.#caller = caller
  }

  /**
   * Makes a key pair of an account.
   *
   * @throws CmqError `accountKeyLimitReached`, `permissionInvalid`, `masterKeyMissing`. With outcome `unknown` there may be
   * a key whose secret nobody knows: look with `list`, and revoke it.
   */
  async create(accountName: string, permissions: readonly string[], options?: CallOptions): Promise<NewKey> {
    checkString("the name of an account", accountName)
    const rows = permissions.map((text, index): Parameter => [`permission.${String(index + 1)}`, text])
    const parameters: Parameter[] = [["accountName", accountName], ...rows]
    const { fields } = await this.#caller.call({ action: "CreateKey", parameters, options })
    return readNewKey(fields)
  }

  /** Makes a second key pair for the account of this one; the first stays until it is revoked. */
  async rotate(secretId: string, options?: CallOptions): Promise<NewKey> {
    const { fields } = await this.#caller.call({ action: "RotateKey", parameters: keyId(secretId), options })
    return readNewKey(fields)
  }

  /** Ends a key pair, everywhere and at once. */
  async revoke(secretId: string, options?: CallOptions): Promise<void> {
    await this.#caller.call({ action: "RevokeKey", parameters: keyId(secretId), options })
  }

  /** One page, by account. */
  async list(options: ListOptions = {}): Promise<KeyList> {
    const { fields } = await this.#caller.call({ action: "ListKey", parameters: listParameters(options), options })
    const keys = listOf(fields["keyList"]).map((each) => ({
      secretId: textOf(each["secretId"]),
      accountName: textOf(each["accountName"]),
      permissions: Array.isArray(each["permissions"]) ? each["permissions"].map(textOf) : [],
      createTime: timeOf(each["createTime"]),
    }))
    return { totalCount: numberOf(fields["totalCount"]), keys }
  }
}

function keyId(secretId: string): Parameter[] {
  checkString("a SecretId", secretId)
  return [["keyId", secretId]]
}

function readNewKey(fields: Fields): NewKey {
  const { secretId, secretKey, accountName } = fields
  return { secretId: textOf(secretId), secretKey: textOf(secretKey), accountName: textOf(accountName) }
}
