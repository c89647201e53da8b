/** One signed request of a program without any SDK. */
import { request as httpRequest } from "node:http"
import { sign } from "@opencmq/proto"

export interface SignedPost {
  /** `address:port`. */
  readonly host: string
  readonly action: string
  readonly fields: Readonly<Record<string, string>>
  readonly timeoutMs: number
}

/** Undefined fields: there was no whole reply. Not even connected: it was surely not carried out. */
export interface RawReply {
  readonly wasConnected: boolean
  readonly fields: Readonly<Record<string, unknown>> | undefined
}

/** What a reply says of the request. */
export function outcomeOf({ wasConnected, fields }: RawReply): "ack" | "refused" | "unknown" {
  if (fields?.["code"] === 0) return "ack"
  return wasConnected ? rawOutcome(fields) : "refused"
}

/** Codes below 6000 are refusals of the request as it stands; the others say that something went wrong inside. */
function rawOutcome(fields: RawReply["fields"]): "refused" | "unknown" {
  const code = Number(fields?.["code"] ?? Number.NaN)
  return code >= 4_000 && code < 6_000 ? "refused" : "unknown"
}

/** Signed as CMQ's documentation says, on a connection of its own. Never rejects. */
export function postSigned(
  order: SignedPost,
  keys: { readonly secretId: string; readonly secretKey: string },
): Promise<RawReply> {
  const path = "/v2/index.php"
  const params = new Map([
    ["Action", order.action],
    ["Nonce", String(Math.floor(Math.random() * Number.MAX_SAFE_INTEGER))],
    ["SecretId", keys.secretId],
    ["Timestamp", String(Math.floor(Date.now() / 1_000))],
    ...Object.entries(order.fields),
  ])
  params.set("Signature", sign({ method: "POST", host: order.host, path, params }, keys.secretKey))
  const form = new URLSearchParams([...params]).toString()
  return new Promise((resolve) => {
    let wasConnected = false
    const outgoing = httpRequest(`http://${order.host}${path}`, {
      method: "POST",
      agent: false,
      timeout: order.timeoutMs,
    })
    const fail = (): void => {
      outgoing.destroy()
      resolve({ wasConnected, fields: undefined })
    }
    outgoing.on("socket", (socket) => {
      socket.on("connect", () => {
        wasConnected = true
      })
    })
    outgoing.on("timeout", fail)
    outgoing.on("error", fail)
    outgoing.on("response", (incoming) => {
      const chunks: Buffer[] = []
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk))
      incoming.on("error", fail)
      incoming.on("end", () => {
        resolve({ wasConnected, fields: readJson(Buffer.concat(chunks).toString("utf8")) })
      })
    })
    outgoing.end(form)
  })
}

function readJson(text: string): RawReply["fields"] {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return undefined
  }
}
