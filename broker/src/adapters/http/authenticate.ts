/**
 * Who asks: key, signature, time window, and whether the request is a copy of an earlier one (ADR 0013).
 *
 * An unknown key and a wrong signature take the same path, the same time and the same answer, so nobody can find out
 * which keys exist. Keys are given; where they come from is not known here.
 */
import { readCommonParameters, verify } from "@opencmq/proto"
import type { ActionName } from "@opencmq/proto"
import { OPERATOR } from "../../node/caller.ts"
import type { Caller } from "../../node/caller.ts"
import type { Metrics } from "../../node/metrics.ts"
import { CopyGuard, KeyCheck } from "../../node/request-guard.ts"
import type { KeyRing, RequestGuardOptions } from "../../node/request-guard.ts"
import type { Clock } from "../../ports.ts"
import type { Refusal } from "./error-reply.ts"
import type { HttpRequest } from "./http-message.ts"

/** What an operator may choose. */
export interface AuthenticationOptions extends RequestGuardOptions {
  /** CMQ's rule that a SecretId begins with `AKID`. */
  readonly isAkidRequired: boolean
  /** Whether requests with `appId` and without a signature are served (Go SDK without keys). */
  readonly allowAnonymous: boolean
  /** Whether a refusal shows the string that was signed here: it holds the whole request, so in development only. */
  readonly isDevelopment: boolean
}

/** The defaults of `AuthenticationOptions`; ADR 0013 has the reasons. */
export const AUTHENTICATION_DEFAULTS: AuthenticationOptions = {
  timestampWindowSeconds: 7_200,
  nonceReplay: true,
  nonceWindowSeconds: 300,
  nonceEntriesPerKey: 6_000_000,
  isAkidRequired: true,
  allowAnonymous: false,
  isDevelopment: false,
}

/** What an `Authenticator` is made from. */
export interface AuthenticatorParts {
  readonly keys: KeyRing
  readonly clock: Clock
  readonly metrics: Metrics
  readonly options: AuthenticationOptions
}

/** Longest signed string that a refusal shows, in UTF-16 units. */
const SHOWN_LENGTH_MAX = 4_096

/**
 * Nonces of fewer digits come from clients that draw from 10,000 (cmq-sdk) or 65,536 numbers (qcloudapi-sdk). A loop of
 * equal receives then meets the same Timestamp and Nonce by chance: at 500 a second, twice a second.
 */
const WEAK_NONCE_DIGITS = 6

const REASONS = ["malformed", "signature", "expired", "replayed", "full"] as const

/** A request that is what its key signed. */
export interface Authenticated {
  readonly caller: Caller
}

/** Checks requests one by one; holds the memory of recent ones. */
export class Authenticator {
  private readonly parts: AuthenticatorParts
  private readonly keys: KeyCheck<(typeof REASONS)[number]>
  private readonly copies: CopyGuard

  constructor(parts: AuthenticatorParts) {
    this.parts = parts
    this.keys = new KeyCheck("http", REASONS, parts)
    this.copies = new CopyGuard(parts.clock, parts.options)
  }

  /**
   * @param params - all parameters of the request, decoded.
   * @returns who asks, or why nothing is carried out.
   */
  check(request: HttpRequest, params: ReadonlyMap<string, string>, action: ActionName): Authenticated | Refusal {
    const { options } = this.parts
    if (options.allowAnonymous && params.has("appId") && !params.has("Signature")) return { caller: OPERATOR }
    const common = readCommonParameters(params)
    if (!common.ok) return this.keys.fail("malformed", common)
    const { SecretId, Timestamp, Nonce, Signature } = common.value
    if (options.isAkidRequired && !SecretId.startsWith("AKID")) {
      return this.keys.fail("malformed", { error: "secretIdMalformed", args: [] })
    }
    const refusal = this.checkSignature(request, params, SecretId)
    if (refusal !== undefined) return refusal
    const expired = this.copies.checkTime(Timestamp)
    if (expired !== undefined) return this.keys.fail("expired", expired)
    if (Nonce.length < WEAK_NONCE_DIGITS && isReceive(action)) return this.authenticated(SecretId)
    const copy = this.copies.checkCopy(SecretId, Signature)
    return copy === undefined ? this.authenticated(SecretId) : this.keys.fail(copy.reason, copy.refusal)
  }

  private authenticated(secretId: string): Authenticated {
    return { caller: this.keys.callerOf(secretId) }
  }

  private checkSignature(
    request: HttpRequest,
    params: ReadonlyMap<string, string>,
    secretId: string,
  ): Refusal | undefined {
    const { secretKey, isKnown } = this.keys.secretKeyOf(secretId)
    const signable = { method: request.method, host: request.header("host"), path: request.path, params }
    const verification = verify(signable, secretKey)
    if (verification.isValid && isKnown) return undefined
    const refusal = { error: "authenticationFailed", args: [] } as const
    if (!this.parts.options.isDevelopment) return this.keys.fail("signature", refusal)
    const shown = verification.canonicalString
    const text = shown.length > SHOWN_LENGTH_MAX ? `${shown.slice(0, SHOWN_LENGTH_MAX)}...` : shown
    const detail = `, the server signed with ${verification.hash} this string: ${text}`
    return this.keys.fail("signature", { ...refusal, detail })
  }
}

function isReceive(action: ActionName): boolean {
  return action === "ReceiveMessage" || action === "BatchReceiveMessage"
}
