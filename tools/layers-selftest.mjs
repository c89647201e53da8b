// Checks the checkers. A checker that sees nothing passes everything (dependency-cruiser 17 with TypeScript 7 says "no
// violations" and has read no file), so this script plants one violation of each rule and demands a complaint for each.
//
// It works in a copy under the system's temporary folder: the real tree may be in use. Three checkers run side by side:
// dependency-cruiser (layers), ESLint (typed rules) and tsc (the pure core has no Node).
import { spawn } from "node:child_process"
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join, relative } from "node:path"
import { fileURLToPath } from "node:url"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const packages = ["proto", "broker", "client-sdk", "demo-redpacket", "bench"]
const layerConfig = createRequire(import.meta.url)(join(root, ".dependency-cruiser.cjs"))

// What the planted files import. One file a layer, so that no plant depends on the real sources.
const targets = [
  "proto/src",
  "broker/src/core",
  "broker/src/core/raft",
  "broker/src/core/queue",
  "broker/src/codec",
  "broker/src/node",
  "broker/src/adapters/log",
  "broker/src/adapters/http",
  "broker/src/cli",
  "client-sdk/src",
].map((folder) => ({ file: `${folder}/planted-target.ts`, text: "export const target = 1\n" }))

// Files that are part of a plant but not complained about themselves.
const accomplices = [
  { file: "broker/src/node/planted-b.ts", text: 'import { a } from "./planted-a.ts"\nexport const b = a\n' },
  // The core's own settings, on the planted files alone: an import from outside would stop tsc before it looks at names.
  {
    file: "broker/src/core/tsconfig.planted.json",
    text: '{ "extends": "./tsconfig.json", "include": ["planted-pure-*.ts"] }\n',
  },
]

const from = (path) => `import { target } from "${path}"\nexport const planted = target\n`

const layerPlants = [
  {
    rule: "no-cycles",
    file: "broker/src/node/planted-a.ts",
    text: 'import { b } from "./planted-b.ts"\nexport const a = b\n',
  },
  { rule: "core-imports-core", file: "broker/src/core/planted-up.ts", text: from("../codec/planted-target.ts") },
  {
    rule: "core-imports-core",
    file: "broker/src/core/planted-node.ts",
    text: 'import { readFileSync } from "node:fs"\nexport const planted = readFileSync\n',
  },
  {
    rule: "core-imports-core",
    file: "broker/src/core/planted-package.ts",
    text: 'import type { Logger } from "pino"\nexport type Planted = Logger\n',
  },
  {
    rule: "raft-knows-no-queue",
    file: "broker/src/core/raft/planted-side.ts",
    text: from("../queue/planted-target.ts"),
  },
  {
    rule: "queue-knows-no-raft",
    file: "broker/src/core/queue/planted-side.ts",
    text: from("../raft/planted-target.ts"),
  },
  { rule: "codec-is-pure", file: "broker/src/codec/planted-up.ts", text: from("../node/planted-target.ts") },
  {
    rule: "codec-is-pure",
    file: "broker/src/codec/planted-node.ts",
    text: 'import { readFileSync } from "node:fs"\nexport const planted = readFileSync\n',
  },
  { rule: "node-uses-ports", file: "broker/src/node/planted-up.ts", text: from("../adapters/log/planted-target.ts") },
  {
    rule: "node-uses-ports",
    file: "broker/src/node/planted-package.ts",
    text: 'import { pino } from "pino"\nexport const planted = pino\n',
  },
  {
    rule: "adapters-do-not-meet",
    file: "broker/src/adapters/log/planted-side.ts",
    text: from("../http/planted-target.ts"),
  },
  {
    rule: "adapters-do-not-meet",
    file: "broker/src/adapters/planted-new/planted-side.ts",
    text: from("../log/planted-target.ts"),
  },
  {
    rule: "adapters-look-down",
    file: "broker/src/adapters/log/planted-up.ts",
    text: from("../../cli/planted-target.ts"),
  },
  { rule: "ports-know-only-core", file: "broker/src/ports.ts", text: from("./codec/planted-target.ts") },
  {
    rule: "only-cli-uses-sdk",
    file: "broker/src/adapters/http/planted-sdk.ts",
    text: 'import * as sdk from "@opencmq/client-sdk"\nexport const planted = sdk\n',
  },
  {
    rule: "sdk-is-a-stranger",
    file: "client-sdk/src/planted-path.ts",
    text: from("../../broker/src/codec/planted-target.ts"),
  },
  {
    rule: "sdk-is-a-stranger",
    file: "demo-redpacket/src/planted-path.ts",
    text: from("../../broker/src/node/planted-target.ts"),
  },
  {
    rule: "sdk-is-a-stranger",
    file: "bench/src/planted-path.ts",
    text: from("../../broker/src/core/planted-target.ts"),
  },
  {
    rule: "tests-of-strangers",
    file: "client-sdk/src/planted.test.ts",
    text: from("../../broker/src/node/planted-target.ts"),
  },
  {
    rule: "proto-is-the-bottom",
    file: "proto/src/planted-up.ts",
    text: from("../../client-sdk/src/planted-target.ts"),
  },
  {
    rule: "no-planted-bugs",
    file: "broker/src/cli/planted-mutant.ts",
    text: from("../adapters/log/mutant-log.ts"),
  },
  {
    rule: "no-undeclared",
    file: "client-sdk/src/planted-undeclared.ts",
    text: 'import { pino } from "pino"\nexport const planted = pino\n',
  },
  { rule: "no-undeclared", file: "client-sdk/src/planted-missing.ts", text: from("./not-there.ts") },
  {
    rule: "no-dev-tools-in-src",
    file: "client-sdk/src/planted-tool.ts",
    text: 'import { test } from "vitest"\nexport const planted = test\n',
  },
]

// Arrows that are allowed: a rule that complains about these is as wrong as one that is silent.
const legalPlants = [
  { file: "broker/src/core/queue/planted-legal.ts", text: from("../planted-target.ts") },
  {
    file: "broker/src/codec/planted-legal.ts",
    text:
      from("../core/raft/planted-target.ts") +
      'export { crc32 } from "@node-rs/crc32"\nexport { Buffer } from "node:buffer"\n',
  },
  {
    file: "broker/src/node/planted-legal.ts",
    text: from("../codec/planted-target.ts") + 'export * as proto from "@opencmq/proto"\n',
  },
  {
    file: "broker/src/adapters/http/planted-legal.ts",
    text:
      from("../../node/planted-target.ts") +
      'export * as proto from "@opencmq/proto"\nexport * as http from "node:http"\n',
  },
  {
    file: "broker/src/cli/planted-legal.ts",
    text:
      from("../adapters/http/planted-target.ts") +
      'export * as sdk from "@opencmq/client-sdk"\nexport { pino } from "pino"\n',
  },
  { file: "bench/src/planted-legal.ts", text: 'export * as sdk from "@opencmq/client-sdk"\n' },
]

const promise = "declare const work: { run(): Promise<number>; list: number[] }\n"
const lintPlants = [
  {
    rule: "@typescript-eslint/no-floating-promises",
    name: "floating-method",
    text: `${promise}export function plant() {\n  work.run()\n}\n`,
  },
  {
    rule: "@typescript-eslint/no-floating-promises",
    name: "floating-import",
    text: 'import { readFile } from "node:fs/promises"\nexport function plant() {\n  readFile("x")\n}\n',
  },
  {
    rule: "@typescript-eslint/no-floating-promises",
    name: "floating-list",
    text: `${promise}export function plant() {\n  work.list.map(() => work.run())\n}\n`,
  },
  {
    rule: "@typescript-eslint/no-misused-promises",
    name: "promise-as-condition",
    text: `${promise}export function plant() {\n  if (work.run()) return 1\n  return 2\n}\n`,
  },
  {
    rule: "@typescript-eslint/no-misused-promises",
    name: "async-for-each",
    text: `${promise}export function plant() {\n  work.list.forEach(async () => {\n    await work.run()\n  })\n}\n`,
  },
  {
    rule: "@typescript-eslint/switch-exhaustiveness-check",
    name: "missing-case",
    text: 'export function plant(role: "leader" | "follower") {\n  switch (role) {\n    case "leader":\n      return 1\n  }\n  return 2\n}\n',
  },
  {
    rule: "@typescript-eslint/only-throw-error",
    name: "throws-text",
    text: 'export function plant() {\n  throw "text"\n}\n',
  },
  {
    rule: "@typescript-eslint/no-non-null-assertion",
    name: "non-null",
    text: "export function plant(list: number[]) {\n  return list[0]!\n}\n",
  },
  { rule: "@typescript-eslint/naming-convention", name: "bad-type-name", text: "export class QueueManager {}\n" },
  {
    rule: "no-empty",
    name: "empty-catch",
    text: "export function plant(f: () => void) {\n  try {\n    f()\n  } catch {}\n}\n",
  },
  {
    rule: "preserve-caught-error",
    name: "lost-cause",
    text: 'export function plant(f: () => void) {\n  try {\n    f()\n  } catch (error) {\n    throw new Error("lost")\n  }\n}\n',
  },
  { rule: "no-restricted-syntax", name: "default-export", text: "export default 1\n" },
  { rule: "no-restricted-properties", name: "reads-environment", text: 'export const plant = process.env["HOME"]\n' },
  { rule: "no-console", name: "console", text: "export function plant() {\n  console.log(1)\n}\n" },
  {
    rule: "max-lines-per-function",
    name: "long-function",
    text: `export function plant(n: number) {\n${"  n += 1\n".repeat(70)}  return n\n}\n`,
  },
  {
    rule: "max-params",
    name: "four-arguments",
    text: "export function plant(a: number, b: number, c: number, d: number) {\n  return a + b + c + d\n}\n",
  },
  { rule: "max-lines", name: "long-file", text: "export const plant = 1\n" + "// a line\n".repeat(500) },
  { rule: "no-restricted-globals", folder: "core", name: "reads-clock", text: "export const plant = Date.now()\n" },
  { rule: "no-restricted-globals", folder: "core", name: "makes-date", text: "export const plant = new Date()\n" },
  { rule: "no-restricted-syntax", folder: "core", name: "throws-dice", text: "export const plant = Math.random()\n" },
  { rule: "no-restricted-syntax", folder: "core", name: "default-in-core", text: "export default 1\n" },
  {
    rule: "no-restricted-syntax",
    folder: "codec",
    name: "waits",
    text: "export async function plant() {\n  await Promise.resolve()\n}\n",
  },
  {
    rule: "no-restricted-properties",
    name: "mocks",
    test: true,
    text: 'import { vi } from "vitest"\nvi.mock("./x.ts")\n',
  },
].map(({ rule, folder = "node", name, test, text }) => ({
  rule,
  file: `broker/src/${folder}/planted-lint-${name}${test ? ".test" : ""}.ts`,
  text,
}))

const purityPlants = [
  ...["setTimeout(() => 1, 1)", "process.exit()", "Buffer.alloc(1)", "console.log(1)", "performance.now()"].map(
    (use) => [use.split(/[.(]/)[0], `export const plant = ${use}\n`],
  ),
  ["imports-node", 'import { readFileSync } from "node:fs"\nexport const plant = readFileSync\n'],
].map(([name, text]) => ({ rule: "tsc: pure core", file: `broker/src/core/planted-pure-${name}.ts`, text }))

const copy = mkdtempSync(join(tmpdir(), "opencmq-selftest-"))
let failures = 0
try {
  makeCopy()
  const groups = await Promise.all([checkLayers(), checkLint(), checkPurity()])
  if (failures === 0) process.stdout.write(`✔ self-test: ${groups.join(", ")}\n`)
} finally {
  rmSync(copy, { recursive: true, force: true })
}
process.exitCode = failures === 0 ? 0 : 1

async function checkLayers() {
  const everyRule = layerConfig.forbidden.map(({ name }) => name)
  for (const rule of everyRule)
    if (!layerPlants.some((plant) => plant.rule === rule)) fail(`no violation is planted for layer rule ${rule}`)

  const out = await node("dependency-cruiser/bin/dependency-cruise.mjs", [
    ...packages,
    "--config",
    ".dependency-cruiser.cjs",
    "--output-type",
    "json",
  ])
  const { modules, summary } = JSON.parse(out)
  const complaints = new Set(summary.violations.map(({ from: file, rule }) => `${file} ${rule.name}`))
  demand(layerPlants, complaints, "layers")
  for (const { file } of legalPlants) {
    for (const complaint of complaints)
      if (complaint.startsWith(`${file} `)) fail(`layers: an allowed arrow is reported: ${complaint}`)
  }
  const seen = new Set(modules.map(({ source }) => source))
  for (const file of sourceFiles()) if (!seen.has(file)) fail(`layers: dependency-cruiser does not see ${file}`)
  return `${layerPlants.length} planted violations of ${everyRule.length} layer rules`
}

async function checkLint() {
  const out = await node("eslint/bin/eslint.js", ["--format", "json", ...lintPlants.map(({ file }) => file)])
  const complaints = new Set()
  for (const { filePath, messages } of JSON.parse(out)) {
    for (const { ruleId, message } of messages) {
      const file = relative(copy, filePath)
      complaints.add(`${file} ${ruleId}`)
      if (ruleId === null) fail(`lint: ${file}: ${message}`)
    }
  }
  demand(lintPlants, complaints, "lint")
  return `${lintPlants.length} of lint rules`
}

async function checkPurity() {
  const out = await node("typescript/bin/tsc", [
    "-p",
    "broker/src/core/tsconfig.planted.json",
    "--noEmit",
    "--pretty",
    "false",
  ])
  const complaints = new Set([...out.matchAll(/^([^\s(]+)\(.*error TS/gm)].map(([, file]) => `${file} tsc: pure core`))
  demand(purityPlants, complaints, "types")
  return `${purityPlants.length} of the pure core`
}

function demand(plants, complaints, checker) {
  for (const { rule, file } of plants) {
    if (!complaints.has(`${file} ${rule}`)) fail(`${checker}: no complaint of ${rule} about ${file}`)
  }
}

function makeCopy() {
  const wanted = (path) => !/\/(node_modules|dist|dist-test)$/.test(path)
  const settings = [
    ".dependency-cruiser.cjs",
    "eslint.config.mjs",
    "package.json",
    "tsconfig.base.json",
    "tsconfig.json",
    "tsconfig.tools.json",
    "vitest.config.ts",
  ]
  for (const name of settings) cpSync(join(root, name), join(copy, name))
  for (const name of packages) cpSync(join(root, name), join(copy, name), { recursive: true, filter: wanted })
  linkModules()
  for (const { file, text } of [
    ...targets,
    ...accomplices,
    ...layerPlants,
    ...legalPlants,
    ...lintPlants,
    ...purityPlants,
  ]) {
    mkdirSync(dirname(join(copy, file)), { recursive: true })
    writeFileSync(join(copy, file), text)
  }
}

/** The installed packages, except our own: those must be the copies, or the plants would be looked for in the real tree. */
function linkModules() {
  const there = join(root, "node_modules")
  mkdirSync(join(copy, "node_modules/@opencmq"), { recursive: true })
  for (const name of readdirSync(there)) {
    if (name !== "@opencmq" && !name.startsWith(".")) symlinkSync(join(there, name), join(copy, "node_modules", name))
  }
  for (const name of packages) symlinkSync(join(copy, name), join(copy, "node_modules/@opencmq", name))
}

function* sourceFiles() {
  for (const name of packages) {
    if (!existsSync(join(copy, name, "src"))) continue
    for (const entry of readdirSync(join(copy, name, "src"), { recursive: true, withFileTypes: true })) {
      if (entry.isFile() && /\.ts$/.test(entry.name))
        yield relative(copy, join(entry.parentPath ?? entry.path, entry.name))
    }
  }
}

/** Runs a tool of node_modules in the copy and gives what it printed; a complaint makes its exit code non-zero. */
function node(tool, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(root, "node_modules", tool), ...args], {
      cwd: copy,
      stdio: ["ignore", "pipe", "inherit"],
    })
    const chunks = []
    child.stdout.on("data", (chunk) => chunks.push(chunk))
    child.on("error", reject)
    child.on("close", () => resolve(Buffer.concat(chunks).toString()))
  })
}

function fail(text) {
  failures += 1
  process.stderr.write(`✘ ${text}\n`)
}
