// Whether the packages could be published as they are: `npm run publishable`. Packs them as npm would, then has publint and
// attw look at what was packed, compiles and runs a consumer of either module system against it, builds the API pages
// without a warning and weighs the SDK. Needs what `npm ci` installed, and no network.
import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { PUBLISHED } from "./build-cjs.mjs"
import { weighSdk } from "./weigh-sdk.mjs"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const folder = mkdtempSync(join(tmpdir(), "opencmq-publishable-"))

/** What a user writes first, in both module systems. It connects to nobody. */
const BODY = `
const account: Account = new Account({ endpoints: ["http://127.0.0.1:7070"], secretId: "id", secretKey: "key" })
const queue: Queue = account.queue("orders")
const attributes: QueueAttributes = { visibilityTimeoutSeconds: 60 }
async function use(signal: AbortSignal): Promise<void> {
  await account.createQueue("orders", attributes)
  for await (const message of queue.consume({ signal })) await message.delete()
  await account.topic("news").publish("hello", { tags: ["red"] })
}
try {
  account.queue("1 is no letter")
} catch (thrown) {
  if (!(thrown instanceof CmqError)) throw thrown
  const name: CmqErrorName = thrown.name
  console.log(name, typeof use)
}
account.close()
`
const CONSUMERS = {
  "consumer.mts": `import { Account, CmqError } from "@opencmq/client-sdk"
import type { CmqErrorName, Queue, QueueAttributes } from "@opencmq/client-sdk"
${BODY}`,
  "consumer.cts": `import sdk = require("@opencmq/client-sdk")
import type { CmqErrorName, QueueAttributes } from "@opencmq/client-sdk"
const { Account, CmqError } = sdk
type Account = sdk.Account
type Queue = sdk.Queue
${BODY}`,
}

try {
  const packages = PUBLISHED.map(pack)
  for (const { name, tarball, unpacked } of packages) {
    step(`publint ${name}`, "publint/src/cli.js", { words: ["run", "--strict", "--pack", "false", unpacked] })
    const entries = name === "proto" ? ["--exclude-entrypoints", "cmq/cmq.proto"] : []
    // node10 is the resolution of a TypeScript that knows no "exports"; no Node that runs this is as old.
    step(`attw ${name}`, "@arethetypeswrong/cli/dist/index.js", {
      words: [tarball, "--profile", "node16", ...entries],
    })
  }
  compileAndRun()
  const words = ["--options", join(root, "client-sdk/typedoc.json"), "--out", join(folder, "api")]
  step("typedoc", "typedoc/bin/typedoc", { words, cwd: join(root, "client-sdk") })
  const { bytes, budgetBytes } = await weighSdk()
  say(`size: ${bytes} bytes minified and gzipped, budget ${budgetBytes}`)
  if (bytes > budgetBytes) stop("the SDK is over its budget")
  say("publishable")
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function pack(name) {
  const words = ["pack", "--json", "--pack-destination", folder, "--workspace", name]
  const cli = process.env.npm_execpath ?? ""
  const npm = cli.endsWith("npm-cli.js") ? [process.execPath, cli] : ["npm"]
  const [packed] = packedList(run(`npm pack ${name}`, [...npm, ...words], root).stdout)
  const tarball = join(folder, packed.filename)
  const unpacked = join(folder, "node_modules/@opencmq", name)
  mkdirSync(unpacked, { recursive: true })
  run("tar", ["tar", "xzf", tarball, "--strip-components=1", "-C", unpacked], folder)
  const strange = packed.files.filter(({ path }) => /\.test\.|tsbuildinfo|test-support/.test(path))
  if (strange.length > 0) stop(`${name} packs what nobody needs: ${strange.map(({ path }) => path).join(", ")}`)
  say(`packed ${name}: ${packed.files.length} files, ${packed.size} bytes`)
  return { name, tarball, unpacked }
}

/** What prepack prints may stand before it. Older npm: a list, newer: by name. */
function packedList(text) {
  const parsed = JSON.parse(text.slice(text.search(/^[[{]/m)))
  return Array.isArray(parsed) ? parsed : Object.values(parsed)
}

function compileAndRun() {
  for (const [name, text] of Object.entries(CONSUMERS)) writeFileSync(join(folder, name), text)
  mkdirSync(join(folder, "node_modules/@types"), { recursive: true })
  for (const name of ["@types/node", "undici-types"])
    symlinkSync(join(root, "node_modules", name), join(folder, "node_modules", name))
  writeFileSync(join(folder, "package.json"), "{}\n")
  for (const module of ["node16", "nodenext"]) {
    const flags = ["--strict", "--module", module, "--target", "es2022", "--types", "node", "--lib", "es2023"]
    step(`tsc --module ${module}`, "typescript/bin/tsc", { words: [...flags, ...Object.keys(CONSUMERS)], cwd: folder })
  }
  for (const file of ["consumer.mjs", "consumer.cjs"]) {
    const { stdout } = run(file, [process.execPath, file], folder)
    if (stdout !== "argumentInvalid function\n") stop(`${file} printed ${stdout}`)
    say(`${file} ran`)
  }
}

/** Runs a tool of node_modules. */
function step(what, script, { words, cwd = root }) {
  run(what, [process.execPath, join(root, "node_modules", script), ...words], cwd)
  say(`${what}: clean`)
}

function run(what, [command, ...words], cwd) {
  const done = spawnSync(command, words, { cwd, encoding: "utf8" })
  if (done.status !== 0) stop(`${what} failed:\n${done.stdout}${done.stderr}${done.error?.message ?? ""}`)
  return done
}

function say(text) {
  console.log(text)
}

function stop(text) {
  console.error(text)
  rmSync(folder, { recursive: true, force: true })
  process.exit(1)
}
