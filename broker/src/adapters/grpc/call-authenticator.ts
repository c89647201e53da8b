/**
 * Who calls: key, signature in the metadata, time window, and whether the call is a copy of an earlier one (ADR 0021).
 *
 * It needs the metadata only, so a stranger's call is refused before a byte of its message is accepted. An unknown key and
 * a wrong signature take the same path, the same time and the same answer, so nobody can find out which keys exist.
 */
import type { Metadata } from "@grpc/grpc-js"
import { CALL_METADATA, LIMITS, bytesHash, callText, isWithin, parseInteger, verifyCall } from "@opencmq/proto"
import type { SignableCall } from "@opencmq/proto"
import { OPERATOR, STRANGER } from "../../node/caller.ts"
import type { Caller } from "../../node/caller.ts"
import type { Metrics } from "../../node/metrics.ts"
import { CopyGuard, KeyCheck } from "../../node/request-guard.ts"
import type { KeyRing, RequestGuardOptions } from "../../node/request-guard.ts"
import type { Clock } from "../../ports.ts"
import type { Refusal } from "./refusal.ts"

/** What an operator may choose; the same options as the HTTP face has, with the same meaning. */
export interface CallAuthenticationOptions extends RequestGuardOptions {
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
  readonly keys: KeyRing
  readonly clock: Clock
  readonly metrics: Metrics
  readonly options: CallAuthenticationOptions
}

const REASONS = ["malformed", "signature", "content", "expired", "replayed", "full"] as const

const NONCE = /^\d{1,20}$/
const SECRET_ID = /^[\x21-\x7e]{1,128}$/
const CONTENT_HASH = /^[0-9a-f]{64}$/

/** Checks calls one by one; holds the memory of recent ones. */
export class CallAuthenticator {
  private readonly parts: CallAuthenticatorParts
  private readonly keys: KeyCheck<(typeof REASONS)[number]>
  private readonly copies: CopyGuard

  constructor(parts: CallAuthenticatorParts) {
    this.parts = parts
    this.keys = new KeyCheck("grpc", REASONS, parts)
    this.copies = new CopyGuard(parts.clock, parts.options)
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
      return this.keys.fail("malformed", { ...REFUSED, detail: `: ${malformed} is missing or malformed` })
    }
    const refusal = this.checkSignature(call, signature)
    if (refusal !== undefined) return refusal
    const expired = this.copies.checkTime(Number(call.timestamp))
    if (expired !== undefined) return this.keys.fail("expired", expired)
    const copy = this.copies.checkCopy(secretId, signature)
    return copy === undefined ? undefined : this.keys.fail(copy.reason, copy.refusal)
  }

  /** Who calls, by metadata that were found to be right. */
  callerOf(metadata: Metadata): Caller {
    const secretId = textOf(metadata, CALL_METADATA.secretId)
    if (secretId !== "") return this.keys.callerOf(secretId)
    return this.parts.options.allowAnonymous ? OPERATOR : STRANGER
  }

  /** Whether the bytes of the request are those that were signed; what was not covered is not looked at. */
  checkContent(bytes: Uint8Array, metadata: Metadata): Refusal | undefined {
    const contentHash = textOf(metadata, CALL_METADATA.contentHash)
    // Of a call without a signature nothing was checked, a hash neither.
    if (contentHash === "" || bytesHash(bytes) === contentHash) return undefined
    return this.keys.fail("content", {
      ...REFUSED,
      detail: `: the request is not the one of ${CALL_METADATA.contentHash}`,
    })
  }

  private checkSignature(call: SignableCall, signature: string): Refusal | undefined {
    const { secretKey, isKnown } = this.keys.secretKeyOf(call.secretId)
    const isValid = verifyCall(call, { signature, secretKey })
    if (isValid && isKnown) return undefined
    if (!this.parts.options.isDevelopment) return this.keys.fail("signature", REFUSED)
    const detail = `, the server signed this text: ${JSON.stringify(callText(call))}`
    return this.keys.fail("signature", { ...REFUSED, detail })
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
