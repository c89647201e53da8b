/** Key rings for faces under test. */
import { OPERATOR, STRANGER } from "../../../src/node/caller.ts"
import type { KeyRing } from "../../../src/node/request-guard.ts"

export const SECRET_ID = "AKIDconformance0000000000000000000000"
export const SECRET_KEY = "conformanceSecretKey"

/** All of them may do everything. */
export function operatorKeys(pairs: ReadonlyMap<string, string> = new Map([[SECRET_ID, SECRET_KEY]])): KeyRing {
  return { get: (secretId) => pairs.get(secretId), callerOf: (secretId) => (pairs.has(secretId) ? OPERATOR : STRANGER) }
}
