/**
 * Where the examples find their brokers: OPENCMQ_ENDPOINTS (several, with commas) or OPENCMQ_ENDPOINT, and the key
 * pair in OPENCMQ_SECRET_ID and OPENCMQ_SECRET_KEY.
 */
import { env } from "node:process"

export function connection() {
  const endpoints = env["OPENCMQ_ENDPOINTS"] ?? env["OPENCMQ_ENDPOINT"] ?? "http://127.0.0.1:7070"
  const secretId = env["OPENCMQ_SECRET_ID"]
  const secretKey = env["OPENCMQ_SECRET_KEY"]
  if (secretId === undefined || secretKey === undefined) {
    throw new Error("set OPENCMQ_SECRET_ID and OPENCMQ_SECRET_KEY; `npm start` prints both")
  }
  return { endpoints: endpoints.split(","), secretId, secretKey }
}
