/**
 * Where a subscription wants its messages: the `endpoint` of Subscribe, read once into the parts that a request is made of.
 * Everything later uses these parts; nobody looks at the text again, so no two readers can understand it differently.
 *
 * CMQ: it begins with `http://`, has a domain name or an IP address, at most 500 characters and no blanks (Subscribe,
 * CreateCmqSubscribe). `https://` is OpenCMQ's own and needs the operator's consent.
 */
import { isIP } from "node:net"
import { accept, LIMITS, refuse } from "@opencmq/proto"
import type { Reading } from "@opencmq/proto"

/** An endpoint whose form is right. Whether it may be pushed to is address-guard.ts's to say. */
export interface Endpoint {
  readonly isHttps: boolean
  /** A name in ASCII, lower case, without a dot at its end; or an IP address in its plain form, without brackets. */
  readonly host: string
  /** Whether `host` is an IP address. */
  readonly isAddress: boolean
  /** 1 to 65,535. */
  readonly port: number
  /** Path and query as they are sent, in ASCII; begins with `/`. A fragment is never sent. */
  readonly path: string
  /** What the header `Host` says. */
  readonly hostHeader: string
}

export interface EndpointOptions {
  /** Whether `https://` is taken too. CMQ itself refuses it. */
  readonly isHttpsAllowed?: boolean
}

const HTTP_PORT = 80
const HTTPS_PORT = 443

/** Longest name of the DNS (RFC 1035 §2.3.4). */
const NAME_LENGTH_MAX = 253
const NAME_PATTERN = /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/

/** Blanks of every script, and control characters: the URL parser would drop some of them in silence. */

const BLANK_PATTERN = /[\s\u0000-\u001f\u007f-\u009f\u200b\u2060]/

/** Scheme and authority. A backslash is a slash to browsers and none to RFC 3986: nowhere allowed before the path. */
const AUTHORITY_PATTERN = /^(https?):\/\/([^/?#\\]+)(?=[/?#]|$)/i

/**
 * Reads an endpoint. Odd spellings of an IPv4 address (decimal, octal, hexadecimal, short, percent-encoded, full-width)
 * become the address that they mean, as WHATWG's URL standard says.
 *
 * Refuses: `endpointHasBlanks`; `endpointInvalid` for what is no URL, is too long or has another scheme;
 * `endpointIllegal` for credentials, a port 0, a name that no DNS knows, and https without consent.
 */
export function readEndpoint(text: string, options: EndpointOptions = {}): Reading<Endpoint> {
  if (BLANK_PATTERN.test(text)) return refuse("endpointHasBlanks")
  const [, scheme = "", authority = ""] = AUTHORITY_PATTERN.exec(text) ?? []
  if (authority === "" || text.length > LIMITS.endpointLength.max || !URL.canParse(text))
    return refuse("endpointInvalid")
  const isHttps = scheme.toLowerCase() === "https"
  if (authority.includes("@") || (isHttps && options.isHttpsAllowed !== true)) return refuse("endpointIllegal")
  const url = new URL(text)
  const host = plainHost(url.hostname)
  const port = url.port === "" ? (isHttps ? HTTPS_PORT : HTTP_PORT) : Number(url.port)
  if (host === undefined || port === 0) return refuse("endpointIllegal")
  return accept({
    isHttps,
    host,
    isAddress: isIP(host) !== 0,
    port,
    path: url.pathname + url.search,
    hostHeader: url.host,
  })
}

function plainHost(hostname: string): string | undefined {
  if (hostname.startsWith("[")) return hostname.slice(1, -1)
  const name = hostname.endsWith(".") ? hostname.slice(0, -1) : hostname
  return name.length <= NAME_LENGTH_MAX && NAME_PATTERN.test(name) ? name : undefined
}
