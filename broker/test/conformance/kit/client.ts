/**
 * A CMQ client written from cmq-api.md §1 alone. It shares no code with @opencmq/proto, so that an error of ours on
 * both sides cannot cancel out; it can imitate every client that was seen on the wire.
 */
import { createHmac, randomBytes } from "node:crypto"
import { Agent, request } from "node:http"
import type { IncomingHttpHeaders } from "node:http"
import { SECRET_ID, SECRET_KEY } from "./face.ts"

export interface Style {
  readonly method: "GET" | "POST"
  readonly path: "/v2/index.php" | "/"
  /** `absent` and `HmacSHA1` sign with SHA-1; `sha256` is the literal of the TCP SDK. */
  readonly signatureMethod: "HmacSHA1" | "HmacSHA256" | "absent" | "sha256"
  readonly contentType: "application/x-www-form-urlencoded" | "*/*;charset=utf-8" | "absent"
  readonly blank: "+" | "%20"
  /** Value of the Host header; undefined = 127.0.0.1 with the port. */
  readonly host: string | undefined
  /** Python, PHP and qcloudapi leave values that begin with @ out of the signed string, on POST. */
  readonly isAtOmitted: boolean
  /** First number of arrays. */
  readonly base: 0 | 1
}

export const PLAIN: Style = {
  method: "POST",
  path: "/v2/index.php",
  signatureMethod: "HmacSHA256",
  contentType: "application/x-www-form-urlencoded",
  blank: "%20",
  host: undefined,
  isAtOmitted: false,
  base: 1,
}

export type Params = Readonly<Record<string, string | number | readonly (string | number)[]>>

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** The reply as JSON; `{}` when it is none. */
  readonly json: Record<string, unknown>
}

export interface Wire {
  readonly method: string
  /** Path and query. */
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array
}

const agent = new Agent({ keepAlive: true, maxSockets: 64 })

export class CmqClient {
  private readonly port: number
  readonly style: Style
  readonly secretId: string
  readonly secretKey: string

  constructor(port: number, style: Partial<Style> = {}, key = { secretId: SECRET_ID, secretKey: SECRET_KEY }) {
    this.port = port
    this.style = { ...PLAIN, ...style }
    this.secretId = key.secretId
    this.secretKey = key.secretKey
  }

  with(style: Partial<Style>): CmqClient {
    return new CmqClient(this.port, { ...this.style, ...style }, this)
  }

  call(action: string, params: Params = {}): Promise<Answer> {
    return this.send(this.wire(action, params))
  }

  /** Calls and insists on success. */
  async ok(action: string, params: Params = {}): Promise<Record<string, unknown>> {
    const answer = await this.call(action, params)
    if (answer.json["code"] !== 0) throw new Error(`${action}: ${answer.text}`)
    return answer.json
  }

  /** `code` and the number in the brackets, such as `4440/10100`; `0` on success. */
  async code(action: string, params: Params = {}): Promise<string> {
    return codeOf(await this.call(action, params))
  }

  /** The request as it goes on the wire. */
  wire(action: string, params: Params = {}): Wire {
    return this.encode(this.signed(this.common(action, params)))
  }

  /** All parameters but the signature. */
  common(action: string, params: Params): Map<string, string> {
    const all = new Map<string, string>([
      ["Action", action],
      ["SecretId", this.secretId],
      ["Timestamp", String(Math.floor(Date.now() / 1000))],
      ["Nonce", String(randomBytes(6).readUIntBE(0, 6) + 1_000_000)],
    ])
    if (this.style.signatureMethod !== "absent") all.set("SignatureMethod", this.style.signatureMethod)
    for (const [name, value] of Object.entries(params)) {
      if (typeof value === "object") {
        for (const [index, element] of value.entries())
          all.set(`${name}.${String(index + this.style.base)}`, String(element))
      } else all.set(name, String(value))
    }
    return all
  }

  signed(params: Map<string, string>): Map<string, string> {
    const { method, path, signatureMethod } = this.style
    const hash = signatureMethod === "HmacSHA256" || signatureMethod === "sha256" ? "sha256" : "sha1"
    const isOmitted = (value: string): boolean => this.style.isAtOmitted && method === "POST" && value.startsWith("@")
    const text = [...params]
      .filter(([, value]) => !isOmitted(value))
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => `${name.replaceAll("_", ".")}=${value}`)
      .join("&")
    const hmac = createHmac(hash, this.secretKey).update(`${method}${this.hostHeader()}${path}?${text}`, "utf8")
    return new Map([...params, ["Signature", hmac.digest("base64")]])
  }

  encode(params: Map<string, string>): Wire {
    const { method, path, contentType } = this.style
    const encoded = [...params].map(([name, value]) => `${this.escape(name)}=${this.escape(value)}`).join("&")
    const headers: Record<string, string> = { host: this.hostHeader() }
    if (method === "GET") return { method, target: `${path}?${encoded}`, headers, body: "" }
    if (contentType !== "absent") headers["content-type"] = contentType
    return { method, target: path, headers, body: encoded }
  }

  send(wire: Wire): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const { method, target: path, headers, body } = wire
      const length = Buffer.byteLength(body)
      const all = method === "GET" ? headers : { ...headers, "content-length": String(length) }
      const outgoing = request(
        { host: "127.0.0.1", port: this.port, method, path, headers: all, agent },
        (response) => {
          const chunks: Buffer[] = []
          response.on("data", (chunk: Buffer) => chunks.push(chunk))
          response.on("error", reject)
          response.on("end", () => {
            const text = Buffer.concat(chunks).toString("utf8")
            resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json: parse(text) })
          })
        },
      )
      outgoing.on("error", reject)
      outgoing.end(body)
    })
  }

  private hostHeader(): string {
    return this.style.host ?? `127.0.0.1:${String(this.port)}`
  }

  private escape(text: string): string {
    const escaped = encodeURIComponent(text)
    return this.style.blank === "+" ? escaped.replaceAll("%20", "+") : escaped
  }
}

export function codeOf({ json, text }: Answer): string {
  const code = json["code"]
  if (code === 0) return "0"
  const message = json["message"]
  const moduleCode = typeof message === "string" ? /^\((\d+)\)/.exec(message)?.[1] : undefined
  return typeof code === "number" ? `${String(code)}/${moduleCode ?? "?"}` : text
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return {}
  }
}
