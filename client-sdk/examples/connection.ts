/**
 * Where the examples find their brokers, as the command line tool does: OPENCMQ_ENDPOINTS (several with commas), else
 * the first broker of `npm start`; the key pair in OPENCMQ_SECRET_ID and OPENCMQ_SECRET_KEY, else the public one that
 * brokers for development take.
 */
import { env } from "node:process"

export function connection(environment: Readonly<Record<string, string | undefined>> = env) {
  const named = (environment["OPENCMQ_ENDPOINTS"] ?? "").split(",").map((each) => each.trim())
  const endpoints = named.filter((each) => each !== "")
  // Set to nothing counts as not set.
  const secretId = environment["OPENCMQ_SECRET_ID"] ?? ""
  const secretKey = environment["OPENCMQ_SECRET_KEY"] ?? ""
  if ((secretId === "") !== (secretKey === "")) {
    throw new Error("half a key pair: set OPENCMQ_SECRET_ID and OPENCMQ_SECRET_KEY, or neither for the development key")
  }
  return {
    endpoints: endpoints.length > 0 ? endpoints : ["http://127.0.0.1:7070"],
    secretId: secretId === "" ? "AKIDopencmqdevelopment" : secretId,
    secretKey: secretKey === "" ? "opencmq-development-secret-key" : secretKey,
  }
}
