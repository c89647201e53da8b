/**
 * What all faces do alike about who asks (ADR 0013): look up the key, count what is refused, and refuse what is too old or
 * a copy of an earlier request.
 */
import type { ErrorName } from "@opencmq/proto"
import type { Clock } from "../ports.ts"
import type { Counter, Metrics } from "./metrics.ts"
import { NonceCache } from "./nonce-cache.ts"

/** The key pairs of the cluster: SecretId -> SecretKey. A Map will do. */
export interface KeyRing {
  get(secretId: string): string | undefined
}

/** Why a request is not carried out: a row of the error table and the words for its text. */
export interface GuardRefusal {
  readonly error: ErrorName
  readonly args: readonly (string | number)[]
  /** Said behind the row's own text; never secret. */
  readonly detail?: string
}

/** What an operator may choose. */
export interface RequestGuardOptions {
  /** How far a timestamp may be from this node's clock, either way; 0 = not looked at. 7,200 s is the rule of API 2.0. */
  readonly timestampWindowSeconds: number
  /** Whether copies of a request are refused. */
  readonly nonceReplay: boolean
  /** For how long after its arrival a request is remembered, at least. */
  readonly nonceWindowSeconds: number
  /** Requests of one key remembered in one window; the next one is refused as `overloaded`. */
  readonly nonceEntriesPerKey: number
}

/** What an unknown key is checked with, so that it takes the same path and the same time. Nobody gets in by it. */
const NO_KEY = "no key of anybody: whoever signs with it is refused"

/** Looks up keys, and counts the refusals of one face by their reason. */
export class KeyCheck<Reason extends string> {
  readonly #keys: KeyRing
  readonly #failures = new Map<Reason, Counter>()

  constructor(face: "http" | "grpc" | "tcp", reasons: readonly Reason[], parts: KeyCheckParts) {
    this.#keys = parts.keys
    for (const reason of reasons) this.#failures.set(reason, parts.metrics.counter("authFailures", face, reason))
  }

  /** With what to check a signature. Whatever it says, a key that is not known is refused. */
  secretKeyOf(secretId: string): { readonly secretKey: string; readonly isKnown: boolean } {
    const secretKey = this.#keys.get(secretId)
    return { secretKey: secretKey ?? NO_KEY, isKnown: secretKey !== undefined }
  }

  /** Counts a refusal, and gives it back. */
  fail<R>(reason: Reason, refusal: R): R {
    this.#failures.get(reason)?.add(1)
    return refusal
  }
}

/** What a `KeyCheck` is made from. */
export interface KeyCheckParts {
  readonly keys: KeyRing
  readonly metrics: Metrics
}

/** Refuses what was signed too long ago or in the future, and copies. Holds the memory of recent requests. */
export class CopyGuard {
  readonly #clock: Clock
  readonly #options: RequestGuardOptions
  readonly #nonces: NonceCache

  constructor(clock: Clock, options: RequestGuardOptions) {
    this.#clock = clock
    this.#options = options
    this.#nonces = new NonceCache({
      windowMs: options.nonceWindowSeconds * 1000,
      maxEntriesPerKey: options.nonceEntriesPerKey,
    })
  }

  /** @param timestamp - Unix seconds. */
  checkTime(timestamp: number): GuardRefusal | undefined {
    const window = this.#options.timestampWindowSeconds
    const now = Math.floor(this.#clock.wallMs() / 1000)
    if (window === 0 || Math.abs(now - timestamp) <= window) return undefined
    return { error: "requestExpired", args: [window], detail: `, which is ${String(now)}` }
  }

  /** @param signature - already found to be right. */
  checkCopy(secretId: string, signature: string): { reason: "replayed" | "full"; refusal: GuardRefusal } | undefined {
    if (!this.#options.nonceReplay) return undefined
    const verdict = this.#nonces.remember(secretId, signature, this.#clock.monotonicMs())
    if (verdict === "fresh") return undefined
    const error = verdict === "replayed" ? "nonceReplayed" : "overloaded"
    return { reason: verdict, refusal: { error, args: [] } }
  }
}
