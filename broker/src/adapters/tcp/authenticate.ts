/**
 * Who opened a connection: the signature of its first request (cmq-api.md §2). It signs who asks, no time and no
 * random, so whoever has seen one can use it again: SECURITY.md says what follows from that.
 *
 * An unknown key and a wrong signature take the same path and the same answer.
 */
import { randomBytes, timingSafeEqual } from "node:crypto"
import { refuse, signText, signatureHash } from "@opencmq/proto"
import type { Counter, Metrics } from "../../node/metrics.ts"
import type { AuthBody } from "./cmq-proto.ts"
import type { Refusal } from "./result.ts"

/** The key pairs of the cluster: SecretId -> SecretKey. A Map will do. */
export interface KeyRing {
  get(secretId: string): string | undefined
}

/** Checks the first request of connections. */
export class Authenticator {
  readonly #keys: KeyRing
  readonly #malformed: Counter
  readonly #mismatched: Counter
  /** What an unknown key is checked with, so that it takes the same time. */
  readonly #noKey = randomBytes(32).toString("base64")

  constructor(keys: KeyRing, metrics: Metrics) {
    this.#keys = keys
    this.#malformed = metrics.counter("authFailures", "tcp", "malformed")
    this.#mismatched = metrics.counter("authFailures", "tcp", "signature")
  }

  /** @returns undefined when the connection may be used. */
  check(body: AuthBody = {}): Refusal | undefined {
    const { secretId = "", signature = "", clientId = "", signatureMethod } = body
    const missing = secretId === "" ? "secret_id" : signature === "" ? "signature" : undefined
    if (missing !== undefined) {
      this.#malformed.add(1)
      return refuse("parameterMissing", missing)
    }
    const key = this.#keys.get(secretId)
    const expected = signText(clientId + secretId, key ?? this.#noKey, signatureHash(signatureMethod))
    if (isSameText(expected, signature) && key !== undefined) return undefined
    this.#mismatched.add(1)
    return refuse("authenticationFailed")
  }
}

/** In constant time; the length is no secret. */
function isSameText(expected: string, given: string): boolean {
  const [left, right] = [Buffer.from(expected, "utf8"), Buffer.from(given, "utf8")]
  return left.length === right.length && timingSafeEqual(left, right)
}
