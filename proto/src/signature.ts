/**
 * The request signature of CMQ API 2.0: canonical string and HMAC. Both ends must agree to the letter, so it
 * exists once, here, for the broker and the SDK. It runs on every request: one sort, one pass, one HMAC.
 *
 * It does not look at Timestamp or Nonce, and it knows no keys: who asks brings the SecretKey.
 * Source: cmq-api.md §1 [D:sign; W, every SDK].
 */
import { createHmac, timingSafeEqual } from "node:crypto"

/** Hash under the HMAC. SHA-1 is what CMQ takes when a request names none. */
export type SignatureHash = "sha1" | "sha256"

/** What is signed of a request. */
export type SignableRequest = Readonly<{
  /** `GET` or `POST`; other spellings are raised to capitals. */
  method: string
  /** Host header as received, with the port when there is one (cmq-api.md §0.2). */
  host: string
  /** Path as requested, without the query: `/v2/index.php` or `/`. */
  path: string
  /** Every parameter, decoded; `Signature` may be among them and is left out. */
  params: ReadonlyMap<string, string>
}>

/** The dialects of clients that sign the same request differently (cmq-api.md §0.5 and §1). */
export type CanonicalDialect = Readonly<{
  /** Python, PHP and qcloudapi leave parameters out whose value begins with `@`, on POST only. */
  isAtOmitted?: boolean
  /** qcloudapi leaves a name alone that begins with `_`, instead of writing `.` for each `_`. */
  isLeadingUnderscoreKept?: boolean
}>

/** What `verify` found. */
export type Verification = Readonly<{
  isValid: boolean
  /** The string that the signature fits or, when none fits, the one of the standard dialect (shown in development mode). */
  canonicalString: string
  /** The hash that the request asked for. */
  hash: SignatureHash
}>

/** Length of a base64 signature, by hash: 20 and 32 bytes. */
const SIGNATURE_LENGTH = { sha1: 28, sha256: 44 } as const

/**
 * The string to sign: METHOD, host, path, `?`, then every parameter but `Signature` as `name=value` joined by `&`,
 * sorted by name (UTF-16 code units, so `msgBody.10` stands before `msgBody.2`), `_` in names written `.`, values raw.
 *
 * @param dialect - the standard one when absent.
 */
export function canonicalString(request: SignableRequest, dialect: CanonicalDialect = {}): string {
  const { params } = request
  const method = request.method.toUpperCase()
  const isAtOmitted = dialect.isAtOmitted === true && method === "POST"
  const names: string[] = []
  for (const [name, value] of params) {
    if (name === "Signature" || (isAtOmitted && value.startsWith("@"))) continue
    names.push(name)
  }
  // Without a comparison function `sort` compares code units: CMQ's order, and no locale in it.
  names.sort()
  let text = `${method}${request.host}${request.path}?`
  let separator = ""
  for (const name of names) {
    text += `${separator}${signedName(name, dialect)}=${params.get(name) ?? ""}`
    separator = "&"
  }
  return text
}

function signedName(name: string, dialect: CanonicalDialect): string {
  if (!name.includes("_")) return name
  if (dialect.isLeadingUnderscoreKept === true && name.startsWith("_")) return name
  return name.replaceAll("_", ".")
}

/**
 * The hash that a request asks for: `HmacSHA256`, and the literal `sha256` of the TCP SDK's CloudApiManager, mean
 * SHA-256; absent or anything else means SHA-1. Source: cmq-api.md §1 [D:sign; S:tcp].
 */
export function signatureHash(signatureMethod: string | undefined): SignatureHash {
  return signatureMethod === "HmacSHA256" || signatureMethod === "sha256" ? "sha256" : "sha1"
}

/**
 * The `Signature` of a request: base64, 28 characters for SHA-1 and 44 for SHA-256, not yet URL-encoded.
 *
 * The hash follows the request's own `SignatureMethod`, which is signed like any other parameter.
 */
export function sign(request: SignableRequest, secretKey: string): string {
  const hash = signatureHash(request.params.get("SignatureMethod"))
  return signText(canonicalString(request), secretKey, hash)
}

/**
 * HMAC of a text in base64. The TCP protocol signs `client_id + secret_id` with it (cmq-api.md §2).
 */
export function signText(text: string, secretKey: string, hash: SignatureHash): string {
  return createHmac(hash, secretKey).update(text, "utf8").digest("base64")
}

/**
 * Checks the `Signature` among a request's parameters, in every dialect that could have made it.
 *
 * A request without names that begin with `_` and without `@` values has only one dialect, so the common case
 * costs one HMAC. Signatures are compared in constant time; their length is no secret.
 * Whoever accepts the `@` dialect accepts, as CMQ does, that such values are not protected by the signature.
 */
export function verify(request: SignableRequest, secretKey: string): Verification {
  const hash = signatureHash(request.params.get("SignatureMethod"))
  const signature = request.params.get("Signature") ?? ""
  const standard = canonicalString(request)
  if (signature.length !== SIGNATURE_LENGTH[hash]) return { isValid: false, canonicalString: standard, hash }
  const given = Buffer.from(signature, "utf8")
  const fits = (text: string): boolean => isSameBytes(Buffer.from(signText(text, secretKey, hash), "utf8"), given)
  if (fits(standard)) return { isValid: true, canonicalString: standard, hash }
  for (const dialect of otherDialects(request)) {
    const text = canonicalString(request, dialect)
    if (fits(text)) return { isValid: true, canonicalString: text, hash }
  }
  return { isValid: false, canonicalString: standard, hash }
}

function isSameBytes(expected: Uint8Array, given: Uint8Array): boolean {
  return expected.length === given.length && timingSafeEqual(expected, given)
}

/** The dialects other than the standard one that would sign this request differently; at most three. */
function otherDialects(request: SignableRequest): readonly CanonicalDialect[] {
  const isPost = request.method.toUpperCase() === "POST"
  let hasAtValue = false
  let hasLeadingUnderscore = false
  for (const [name, value] of request.params) {
    if (name === "Signature") continue
    hasAtValue ||= isPost && value.startsWith("@")
    hasLeadingUnderscore ||= name.startsWith("_")
  }
  const dialects: CanonicalDialect[] = []
  if (hasAtValue) dialects.push({ isAtOmitted: true })
  if (hasLeadingUnderscore) dialects.push({ isLeadingUnderscoreKept: true })
  if (hasAtValue && hasLeadingUnderscore) dialects.push({ isAtOmitted: true, isLeadingUnderscoreKept: true })
  return dialects
}
