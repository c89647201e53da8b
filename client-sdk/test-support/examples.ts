/**
 * The programs that people copy: those in `examples/` and the blocks of the README, each with what it says when it
 * works, so that one that does nothing does not pass. Tests run them against scripted and against real brokers.
 */
import { readFileSync, readdirSync } from "node:fs"
import { env } from "node:process"
import { fileURLToPath } from "node:url"
import { connection } from "../examples/connection.ts"

/** Of the package; imports of the README's programs are resolved from here. */
export const packageFolder = fileURLToPath(new URL("../", import.meta.url))
const folder = `${packageFolder}examples/`

const lines: Readonly<Record<string, string>> = {
  "send-receive.ts": 'received "three apples", attributes: [["content-type","text/plain"]]',
  "consumer.ts": "deleted: 50",
  "delayed.ts": "after a second: drink some water",
  "dead-letter.ts": "from example-payments: maxReceiveCount after 2 receives",
  "fail-over.ts": "same message: true",
}

/** What each block of the README says when it is run as it stands. */
const readmeLines = ["three apples", "queueNotFound notApplied"]

/** Every file of the folder, also one that has no line here: then nothing can say it. */
export const EXAMPLES = readdirSync(folder)
  .filter((name) => name.endsWith(".ts") && name !== "connection.ts")
  .map((name) => ({ name, path: `${folder}${name}`, line: lines[name] ?? "this example has no line in the test" }))

/** The JavaScript blocks of the README, each of which must stand alone. */
export const README_BLOCKS = Array.from(
  readFileSync(`${packageFolder}README.md`, "utf8").matchAll(/^```[jt]s\n(.*?)^```$/gms),
  ([, code = ""], index) => ({ code, line: readmeLines[index] ?? "this block has no line in the test" }),
)

export interface Brokers {
  readonly endpoints: readonly string[]
  readonly secretId: string
  readonly secretKey: string
}

/** A block with these brokers and keys in place of those of `npm start`; nothing else is changed. */
export function programOf(code: string, brokers: Brokers): string {
  const { secretId, secretKey } = connection({})
  return code
    .replace(/endpoints: \[.*?\]/, `endpoints: ${JSON.stringify(brokers.endpoints)}`)
    .replace(secretId, brokers.secretId)
    .replace(secretKey, brokers.secretKey)
}

/** The same for the examples, which look there. */
export function environmentOf({ endpoints, secretId, secretKey }: Brokers) {
  return {
    PATH: env["PATH"],
    OPENCMQ_ENDPOINTS: endpoints.join(","),
    OPENCMQ_SECRET_ID: secretId,
    OPENCMQ_SECRET_KEY: secretKey,
  }
}
