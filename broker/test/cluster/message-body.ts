/**
 * Bodies that tell who they are and whether they arrived whole: `key:checksum:payload`, the payload being made from
 * the key, so that a body cannot be mistaken for another one.
 */
import { createHash } from "node:crypto"

const FORM = /^m(\d{1,12}):([0-9a-f]{16}):/

/** @param bytes - of the whole body; at least what key and checksum need. */
export function makeBody(key: number, bytes: number): string {
  const seed = createHash("sha256").update(String(key)).digest("base64url")
  const head = `m${String(key)}:${"0".repeat(16)}:`
  const payload = seed.repeat(Math.ceil(Math.max(0, bytes - head.length) / seed.length)).slice(0, bytes - head.length)
  return `m${String(key)}:${checksum(key, payload)}:${payload}`
}

/** The key of a body. @returns undefined when it is not whole, or not one of ours. */
export function keyOfBody(body: string): number | undefined {
  const found = FORM.exec(body)
  if (found === null) return undefined
  const key = Number(found[1])
  return checksum(key, body.slice(found[0].length)) === found[2] ? key : undefined
}

function checksum(key: number, payload: string): string {
  return createHash("sha256")
    .update(`${String(key)}:${payload}`)
    .digest("hex")
    .slice(0, 16)
}
