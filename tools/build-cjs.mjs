// Makes the CommonJS half of the published packages (ADR 0027): `node tools/build-cjs.mjs`, and before `npm pack`.
// The ESM half is what tsc writes into dist/. Each of its files is rewritten for `require`, its declarations are copied: the
// same text means CommonJS when the nearest package.json says so.
import { transform } from "esbuild"
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Those that strangers install, in the order in which they depend on each other. */
export const PUBLISHED = ["proto", "client-sdk"]

/** CommonJS has no `import.meta`; the folder of the file says the same. */
const META_URL = 'const importMetaUrl = require("node:url").pathToFileURL(__filename).href;'

/**
 * @param {string} name - folder of the package
 * @param {string} out - where to; dist/cjs of the package unless a test wants it elsewhere
 */
export async function buildCjs(name, out = join(root, name, "dist/cjs")) {
  const dist = join(root, name, "dist")
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out, { recursive: true })
  const paths = readdirSync(dist, { recursive: true }).filter((path) => !/^(cjs|api)[\\/]/.test(path))
  for (const path of paths) {
    const from = join(dist, path)
    const to = join(out, path)
    mkdirSync(dirname(to), { recursive: true })
    if (path.endsWith(".d.ts")) copyFileSync(from, to)
    else if (path.endsWith(".js")) writeFileSync(to, await asCommonJs(readFileSync(from, "utf8")))
  }
  writeFileSync(join(out, "package.json"), '{ "type": "commonjs" }\n')
}

/** File by file, not in one bundle: entries that share a file must share its classes. */
async function asCommonJs(source) {
  const { code } = await transform(source, {
    format: "cjs",
    platform: "node",
    target: "node20.15",
    define: { "import.meta.url": "importMetaUrl" },
    ...(source.includes("import.meta.url") && { banner: META_URL }),
  })
  return code.replace(/\n\/\/# sourceMappingURL=.*\n?$/, "\n")
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const name of PUBLISHED) {
    if (!existsSync(join(root, name, "dist/index.js"))) throw new Error("compile first: node tools/setup.mjs")
    await buildCjs(name)
  }
}
