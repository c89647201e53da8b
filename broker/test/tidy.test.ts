// The house linter: what neither tsc, ESLint, Prettier nor the layer check can see. It reads the files that git knows
// or would take, so it holds for a file before it is committed.
import { execFileSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import { basename, dirname, extname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { expect, test } from "vitest"

const root = join(dirname(fileURLToPath(import.meta.url)), "../..")
const files = listFiles()
const codeFiles = files.filter((file) => [".ts", ".mjs", ".cjs", ".sh"].includes(extname(file)))

// Names that tools or custom fix for us.
const fixedNames = new Set([
  "ARCHITECTURE.md",
  "CHANGELOG.md",
  "CONTRIBUTING.md",
  "DESIGN.md",
  "Dockerfile",
  "LICENSE",
  "README.md",
  "SECURITY.md",
])

test("names of files and folders are kebab-case", () => {
  const isKebab = (name: string) => /^\.?[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*$/.test(name)
  const wrong = files.filter((file) => !fixedNames.has(basename(file)) && !file.split("/").every(isKebab))
  const wrongFixed = files.filter((file) => fixedNames.has(basename(file)) && !dirname(file).split("/").every(isKebab))
  expect([...wrong, ...wrongFixed.filter((file) => dirname(file) !== ".")]).toEqual([])
})

test("a note about work to be done names its issue", () => {
  // Spelled apart, or this file would report itself.
  const note = new RegExp(`\\b(${["TO" + "DO", "FIX" + "ME", "XX" + "X"].join("|")})\\b(?! ?\\(?#\\d+)`)
  expect(linesThatMatch(codeFiles, note)).toEqual([])
})

test("no file names a path of somebody's machine", () => {
  const path = new RegExp(
    `(?<![\\w.~@-])/(${["wo" + "rk", "ro" + "ot", "tmp/bash" + "_jobs", "Us" + "ers"].join("|")})/`,
  )
  expect(linesThatMatch(files, path)).toEqual([])
})

test("no file names a package registry's host", () => {
  const host = new RegExp(`//(${"reg"}istry\\.|[\\w.-]*(artifactory|nexus|verdaccio))`)
  expect(linesThatMatch(files, host)).toEqual([])
  expect(linesThatMatch(["package-lock.json"], /"resolved": "http/)).toEqual([])
})

test("every decision record is in the index", () => {
  const folder = join(root, "docs/adr")
  const index = readFileSync(join(folder, "README.md"), "utf8")
  const records = readdirSync(folder).filter((name) => /^\d{4}-.*\.md$/.test(name))
  expect(records.length).toBeGreaterThan(0)
  expect(records.filter((name) => !index.includes(`(${name})`))).toEqual([])
  const numbers = records.map((name) => name.slice(0, 4))
  expect(numbers.length).toBe(new Set(numbers).size)
})

test("no source file is longer than 500 lines, tables excepted", () => {
  const tables = namedTables()
  expect(tables).toContain("proto/src/errors.ts")
  const isTest = (file: string) => file.endsWith(".test.ts") || file.includes("/test/") || file.includes("/src/gen/")
  const long = codeFiles.filter(
    (file) => !tables.includes(file) && !isTest(file) && textOf(file).split("\n").length > 501,
  )
  expect(long).toEqual([])
})

test("relative links of the documents lead somewhere", () => {
  const broken: string[] = []
  for (const file of files.filter((name) => name.endsWith(".md"))) {
    const prose = textOf(file)
      .replace(/^```[\s\S]*?^```/gm, "")
      .replace(/`[^`\n]*`/g, "")
    for (const [, target = ""] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^([a-z]+:|#)/.test(target)) continue
      const path = join(root, dirname(file), decodeURI(target.replace(/#.*$/, "")))
      if (!existsSync(path)) broken.push(`${file}: ${target}`)
    }
  }
  expect(broken).toEqual([])
})

function listFiles(): string[] {
  const out = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  })
  // A file that was deleted but not yet committed is still listed.
  return [...new Set(out.split("\0"))].filter((file) => file !== "" && existsSync(join(root, file)))
}

function textOf(file: string): string {
  const path = join(root, file)
  return statSync(path).isFile() ? readFileSync(path, "utf8") : ""
}

function linesThatMatch(among: readonly string[], pattern: RegExp): string[] {
  return among.flatMap((file) =>
    textOf(file)
      .split("\n")
      .flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1}: ${line.trim().slice(0, 100)}`] : [])),
  )
}

/** The tables that may grow are named once, in eslint.config.mjs. */
function namedTables(): string[] {
  const list = /const tables = \[([^\]]*)\]/.exec(textOf("eslint.config.mjs"))?.[1] ?? ""
  return [...list.matchAll(/"([^"]+)"/g)].map(([, name = ""]) => name)
}
