// Makes the CommonJS half of the published packages (ADR 0027): `node tools/build-cjs.mjs`, and before `npm pack`.
// The ESM half is what tsc writes into dist/. From it one file is bundled for `require`, and its declarations are copied:
// the same text means CommonJS when the nearest package.json says so. Packages it depends on stay packages.
import { build } from "esbuild"
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
  const { exports } = JSON.parse(readFileSync(join(root, name, "package.json"), "utf8"))
  const entryPoints = Object.values(exports).flatMap((target) => target.import?.default ?? [])
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out, { recursive: true })
  await build({
    entryPoints: entryPoints.map((path) => join(root, name, path)),
    outbase: dist,
    outdir: out,
    bundle: true,
    // What several entries share exists once, or there would be two classes CmqError.
    plugins: [sharedEntry(name)],
    packages: "external",
    platform: "node",
    target: "node20.15",
    format: "cjs",
    define: { "import.meta.url": "importMetaUrl" },
    banner: { js: META_URL },
    logLevel: "warning",
  })
  for (const path of readdirSync(dist, { recursive: true })) {
    if (path.endsWith(".d.ts") && !path.startsWith("cjs")) {
      mkdirSync(dirname(join(out, path)), { recursive: true })
      copyFileSync(join(dist, path), join(out, path))
    }
  }
  writeFileSync(join(out, "package.json"), '{ "type": "commonjs" }\n')
}

/** An entry that imports the main one asks for the file beside it instead of a copy of its own. */
function sharedEntry(name) {
  const main = join(root, name, "dist/index.js")
  return {
    name: "shared-entry",
    setup(bundler) {
      bundler.onResolve({ filter: /\/index\.js$/ }, ({ path, importer, resolveDir }) => {
        if (importer === "" || join(resolveDir, path) !== main) return undefined
        return { path: "../index.js", external: true }
      })
    },
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const name of PUBLISHED) {
    if (!existsSync(join(root, name, "dist/index.js"))) throw new Error("compile first: node tools/setup.mjs")
    await buildCjs(name)
  }
}
