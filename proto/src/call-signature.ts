/**
 * The signature of a gRPC call, in its metadata: what is signed, and how (ADR 0021). Both ends must agree to the letter,
 * so it exists once, here.
 *
 * The first line names the scheme, so that no signature made for the HTTP face fits here, nor the other way round. It
 * does not look at timestamp or nonce, and it knows no keys: who asks brings the SecretKey.
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto"

/** Names of the metadata. All texts; each once. */
export const CALL_METADATA = {
  secretId: "opencmq-secret-id",
  /** Unix seconds, as `Timestamp` of the HTTP face. */
  timestamp: "opencmq-timestamp",
  /** 1 to 20 digits, random; each once. */
  nonce: "opencmq-nonce",
  /** SHA-256 of the request message's bytes, 64 lower-case hex digits; absent = the bytes are not covered. */
  contentHash: "opencmq-content-sha256",
  /** base64 of the HMAC-SHA256, 44 characters. */
  signature: "opencmq-signature",
} as const

/** What is signed of a call. */
export type SignableCall = Readonly<{
  /** `/opencmq.v1.MessageService/Send` */
  path: string
  secretId: string
  timestamp: string
  nonce: string
  /** "" = not sent. */
  contentHash: string
}>

const SCHEME = "OPENCMQ-GRPC-HMAC-SHA256"

/** The text to sign: scheme, path, SecretId, timestamp, nonce and content hash, one a line, no line end behind the last. */
export function callText(call: SignableCall): string {
  return [SCHEME, call.path, call.secretId, call.timestamp, call.nonce, call.contentHash].join("\n")
}

/** The signature of a call: base64, 44 characters. */
export function signCall(call: SignableCall, secretKey: string): string {
  return createHmac("sha256", secretKey).update(callText(call), "utf8").digest("base64")
}

/** Whether a signature is that of the call. Compares in constant time; the length of a signature is no secret. */
export function verifyCall(call: SignableCall, given: Readonly<{ signature: string; secretKey: string }>): boolean {
  const expected = Buffer.from(signCall(call, given.secretKey), "latin1")
  const signature = Buffer.from(given.signature, "utf8")
  return expected.length === signature.length && timingSafeEqual(expected, signature)
}

/** The content hash of a request message. */
export function bytesHash(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex")
}
