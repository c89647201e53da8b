/**
 * Who opened a connection: the signature of its first request (cmq-api.md §2). It signs who asks, no time and no
 * random, so whoever has seen one can use it again: SECURITY.md says what follows from that.
 *
 * An unknown key and a wrong signature take the same path and the same answer.
 */
import { timingSafeEqual } from "node:crypto"
import { refuse, signText, signatureHash } from "@opencmq/proto"
import type { Caller } from "../../node/caller.ts"
import type { Metrics } from "../../node/metrics.ts"
import { KeyCheck } from "../../node/request-guard.ts"
import type { KeyRing } from "../../node/request-guard.ts"
import type { AuthBody } from "./cmq-proto.ts"
import type { Refusal } from "./result.ts"

/** Checks the first request of connections. */
export class Authenticator {
  readonly #keys: KeyCheck<"malformed" | "signature">

  constructor(keys: KeyRing, metrics: Metrics) {
    this.#keys = new KeyCheck("tcp", ["malformed", "signature"], { keys, metrics })
  }

  /** @returns undefined when the connection may be used. */
  check(body: AuthBody = {}): Refusal | undefined {
    const { secretId = "", signature = "", clientId = "", signatureMethod } = body
    const missing = secretId === "" ? "secret_id" : signature === "" ? "signature" : undefined
    if (missing !== undefined) return this.#keys.fail("malformed", refuse("parameterMissing", missing))
    const { secretKey, isKnown } = this.#keys.secretKeyOf(secretId)
    const expected = signText(clientId + secretId, secretKey, signatureHash(signatureMethod))
    if (isSameText(expected, signature) && isKnown) return undefined
    return this.#keys.fail("signature", refuse("authenticationFailed"))
  }

  /** Who asks on a connection whose first request was found to be right. */
  callerOf({ secretId = "" }: AuthBody = {}): Caller {
    return this.#keys.callerOf(secretId)
  }
}

/** In constant time; the length is no secret. */
function isSameText(expected: string, given: string): boolean {
  const [left, right] = [Buffer.from(expected, "utf8"), Buffer.from(given, "utf8")]
  return left.length === right.length && timingSafeEqual(left, right)
}
