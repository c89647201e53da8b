/**
 * Who calls: key, signature in the metadata, time window, and whether the call is a copy of an earlier one (ADR 0021).
 *
 * It needs the metadata only, so a stranger's call is refused before a byte of its message is accepted. An unknown key and
 * a wrong signature take the same path, the same time and the same answer, so nobody can find out which keys exist.
 */
import { randomBytes } from "node:crypto"
import type { Metadata } from "@grpc/grpc-js"
import { CALL_METADATA, LIMITS, bytesHash, callText, isWithin, parseInteger, verifyCall } from "@opencmq/proto"
import type { SignableCall } from "@opencmq/proto"
import type { Counter, Metrics } from "../../node/metrics.ts"
import { NonceCache } from "../../node/nonce-cache.ts"
import type { Clock } from "../../ports.ts"
import type { Refusal } from "./refusal.ts"

/** What an operator may choose; the same options as the HTTP face has, with the same meaning. */
export interface CallAuthenticationOptions {
  /** How far the timestamp may be from this node's clock, either way; 0 = not looked at. */
  readonly timestampWindowSeconds: number
  /** Whether copies of a call are refused. */
  readonly nonceReplay: boolean
  /** For how long after its arrival a call is remembered, at least. */
  readonly nonceWindowSeconds: number
  /** Calls of one key remembered in one window; the next one is refused as `overloaded`. */
  readonly nonceEntriesPerKey: number
  /** Whether calls without a SecretId and without a signature are served. */
  readonly allowAnonymous: boolean
  /** Whether a refusal shows the text that was signed here: for development only. */
  readonly isDevelopment: boolean
}

/** The defaults of `CallAuthenticationOptions`; ADR 0013 has the reasons. */
export const CALL_AUTHENTICATION_DEFAULTS: CallAuthenticationOptions = {
  timestampWindowSeconds: LIMITS.timestampWindowSeconds.default,
  nonceReplay: true,
  nonceWindowSeconds: LIMITS.nonceWindowSeconds.default,
  nonceEntriesPerKey: LIMITS.nonceCacheCount.default,
  allowAnonymous: false,
  isDevelopment: false,
}

/** What a `CallAuthenticator` is made from. */
export interface CallAuthenticatorParts {
  /** The key pairs of the cluster: SecretId -> SecretKey. A Map will do. */
  readonly keys: { get(secretId: string): string | undefined }
  readonly clock: Clock
  readonly metrics: Metrics
  readonly options: CallAuthenticationOptions
}

const REASONS = ["malformed", "signature", "content", "expired", "replayed", "full"] as const

type FailureReason = (typeof REASONS)[number]

const NONCE = /^\d{1,20}$/
const SECRET_ID = /^[\x21-\x7e]{1,128}$/
const CONTENT_HASH = /^[0-9a-f]{64}$/

/** Checks calls one by one; holds the memory of recent ones. */
export class CallAuthenticator {
  private readonly parts: CallAuthenticatorParts
  private readonly nonces: NonceCache
  private readonly failures: Readonly<Record<FailureReason, Counter>>
  /** What an unknown key is checked with, so that it takes the same time. */
  private readonly noKey = randomBytes(32).toString("base64")

  constructor(parts: CallAuthenticatorParts) {
    const { metrics, options } = parts
    this.parts = parts
    this.nonces = new NonceCache({
      windowMs: options.nonceWindowSeconds * 1000,
      maxEntriesPerKey: options.nonceEntriesPerKey,
    })
    const entries = REASONS.map((reason) => [reason, metrics.counter("authFailures", "grpc", reason)] as const)
    this.failures = Object.fromEntries(entries) as Record<FailureReason, Counter>
  }

  /**
   * @param path - `/opencmq.v1.MessageService/Send`
   * @returns undefined when the call may go on.
   */
  check(path: string, metadata: Metadata): Refusal | undefined {
    const { options } = this.parts
    const secretId = textOf(metadata, CALL_METADATA.secretId)
    const signature = textOf(metadata, CALL_METADATA.signature)
    if (options.allowAnonymous && secretId === "" && signature === "") return undefined
    const call: SignableCall = {
      path,
      secretId,
      timestamp: textOf(metadata, CALL_METADATA.timestamp),
      nonce: textOf(metadata, CALL_METADATA.nonce),
      contentHash: textOf(metadata, CALL_METADATA.contentHash),
    }
    const malformed = malformedKey(call, signature)
    if (malformed !== undefined) {
      return this.fail("malformed", { ...REFUSED, detail: `: ${malformed} is missing or malformed` })
    }
    const refusal = this.checkSignature(call, signature) ?? this.checkTime(Number(call.timestamp))
    if (refusal !== undefined || !options.nonceReplay) return refusal
    return this.checkReplay(secretId, signature)
  }

  /** Whether the bytes of the request are those that were signed; what was not covered is not looked at. */
  checkContent(bytes: Uint8Array, metadata: Metadata): Refusal | undefined {
    const contentHash = textOf(metadata, CALL_METADATA.contentHash)
    // Of a call without a signature nothing was checked, a hash neither.
    if (contentHash === "" || bytesHash(bytes) === contentHash) return undefined
    return this.fail("content", { ...REFUSED, detail: `: the request is not the one of ${CALL_METADATA.contentHash}` })
  }

  private checkSignature(call: SignableCall, signature: string): Refusal | undefined {
    const key = this.parts.keys.get(call.secretId)
    const isValid = verifyCall(call, { signature, secretKey: key ?? this.noKey })
    if (isValid && key !== undefined) return undefined
    if (!this.parts.options.isDevelopment) return this.fail("signature", REFUSED)
    const detail = `, the server signed this text: ${JSON.stringify(callText(call))}`
    return this.fail("signature", { ...REFUSED, detail })
  }

  private checkTime(timestamp: number): Refusal | undefined {
    const window = this.parts.options.timestampWindowSeconds
    const now = Math.floor(this.parts.clock.wallMs() / 1000)
    if (window === 0 || Math.abs(now - timestamp) <= window) return undefined
    const detail = `, which is ${String(now)}`
    return this.fail("expired", { error: "requestExpired", args: [window], detail })
  }

  private checkReplay(secretId: string, signature: string): Refusal | undefined {
    const verdict = this.nonces.remember(secretId, signature, this.parts.clock.monotonicMs())
    if (verdict === "fresh") return undefined
    return verdict === "replayed"
      ? this.fail("replayed", { error: "nonceReplayed", args: [] })
      : this.fail("full", { error: "overloaded", args: [] })
  }

  private fail(reason: FailureReason, refusal: Refusal): Refusal {
    this.failures[reason].add(1)
    return refusal
  }
}

const REFUSED: Refusal = { error: "authenticationFailed", args: [] }

/** "" when it is not there, or more than once. */
function textOf(metadata: Metadata, key: string): string {
  const values = metadata.get(key)
  const [value] = values
  return values.length === 1 && typeof value === "string" ? value : ""
}

function malformedKey(call: SignableCall, signature: string): string | undefined {
  const timestamp = parseInteger(call.timestamp)
  if (!SECRET_ID.test(call.secretId)) return CALL_METADATA.secretId
  if (timestamp === undefined || !isWithin(LIMITS.timestamp, timestamp)) return CALL_METADATA.timestamp
  if (!NONCE.test(call.nonce)) return CALL_METADATA.nonce
  if (call.contentHash !== "" && !CONTENT_HASH.test(call.contentHash)) return CALL_METADATA.contentHash
  return signature === "" ? CALL_METADATA.signature : undefined
}
