/**
 * Who asks: key, signature, time window, and whether the request is a copy of an earlier one (ADR 0013).
 *
 * An unknown key and a wrong signature take the same path, the same time and the same answer, so nobody can find out
 * which keys exist. Keys are given; where they come from is not known here.
 */
import { randomBytes } from "node:crypto"
import { readCommonParameters, verify } from "@opencmq/proto"
import type { ActionName } from "@opencmq/proto"
import type { Counter, Metrics } from "../../node/metrics.ts"
import type { Clock } from "../../ports.ts"
import type { Refusal } from "./error-reply.ts"
import type { HttpRequest } from "./http-message.ts"
import { NonceCache } from "../../node/nonce-cache.ts"

/** The key pairs of the cluster: SecretId -> SecretKey. A Map will do. */
export interface KeyRing {
  get(secretId: string): string | undefined
}

/** What an operator may choose. */
export interface AuthenticationOptions {
  /** How far `Timestamp` may be from this node's clock, either way; 0 = not looked at. 7,200 s is the rule of API 2.0. */
  readonly timestampWindowSeconds: number
  /** Whether copies of a request are refused. */
  readonly nonceReplay: boolean
  /** For how long after its arrival a request is remembered, at least. */
  readonly nonceWindowSeconds: number
  /** Requests of one key remembered in one window; the next one is refused as `overloaded`. */
  readonly nonceEntriesPerKey: number
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

type FailureReason = (typeof REASONS)[number]

/** Checks requests one by one; holds the memory of recent ones. */
export class Authenticator {
  private readonly parts: AuthenticatorParts
  private readonly nonces: NonceCache
  private readonly failures: Readonly<Record<FailureReason, Counter>>
  /** What an unknown key is checked with, so that it takes the same time. */
  private readonly noKey = randomBytes(32).toString("base64")

  constructor(parts: AuthenticatorParts) {
    const { metrics, options } = parts
    this.parts = parts
    this.nonces = new NonceCache({
      windowMs: options.nonceWindowSeconds * 1000,
      maxEntriesPerKey: options.nonceEntriesPerKey,
    })
    const entries = REASONS.map((reason) => [reason, metrics.counter("authFailures", "http", reason)] as const)
    this.failures = Object.fromEntries(entries) as Record<FailureReason, Counter>
  }

  /**
   * @param params - all parameters of the request, decoded.
   * @returns undefined when the request may be carried out.
   */
  check(request: HttpRequest, params: ReadonlyMap<string, string>, action: ActionName): Refusal | undefined {
    const { options } = this.parts
    if (options.allowAnonymous && params.has("appId") && !params.has("Signature")) return undefined
    const common = readCommonParameters(params)
    if (!common.ok) return this.fail("malformed", common)
    const { SecretId, Timestamp, Nonce, Signature } = common.value
    if (options.isAkidRequired && !SecretId.startsWith("AKID")) {
      return this.fail("malformed", { error: "secretIdMalformed", args: [] })
    }
    const refusal = this.checkSignature(request, params, SecretId) ?? this.checkTime(Timestamp)
    if (refusal !== undefined || !options.nonceReplay) return refusal
    if (Nonce.length < WEAK_NONCE_DIGITS && isReceive(action)) return undefined
    return this.checkReplay(SecretId, Signature)
  }

  private checkSignature(
    request: HttpRequest,
    params: ReadonlyMap<string, string>,
    secretId: string,
  ): Refusal | undefined {
    const key = this.parts.keys.get(secretId)
    const signable = { method: request.method, host: request.header("host"), path: request.path, params }
    const verification = verify(signable, key ?? this.noKey)
    if (verification.isValid && key !== undefined) return undefined
    const refusal = { error: "authenticationFailed", args: [] } as const
    if (!this.parts.options.isDevelopment) return this.fail("signature", refusal)
    const shown = verification.canonicalString
    const text = shown.length > SHOWN_LENGTH_MAX ? `${shown.slice(0, SHOWN_LENGTH_MAX)}...` : shown
    const detail = `, the server signed with ${verification.hash} this string: ${text}`
    return this.fail("signature", { ...refusal, detail })
  }

  private checkTime(timestamp: number): Refusal | undefined {
    const window = this.parts.options.timestampWindowSeconds
    const now = Math.floor(this.parts.clock.wallMs() / 1000)
    if (window === 0 || Math.abs(now - timestamp) <= window) return undefined
    const detail = `, which is ${String(now)}`
    return this.fail("expired", { error: "requestExpired", args: [window], detail })
  }

  private checkReplay(secretId: string, signature: string): Refusal | undefined {
    switch (this.nonces.remember(secretId, signature, this.parts.clock.monotonicMs())) {
      case "fresh":
        return undefined
      case "replayed":
        return this.fail("replayed", { error: "nonceReplayed", args: [] })
      case "full":
        return this.fail("full", { error: "overloaded", args: [] })
    }
  }

  private fail(reason: FailureReason, refusal: Refusal): Refusal {
    this.failures[reason].add(1)
    return refusal
  }
}

function isReceive(action: ActionName): boolean {
  return action === "ReceiveMessage" || action === "BatchReceiveMessage"
}
