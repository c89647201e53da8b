// What the SDK weighs in a program that uses all of it: bundled with `proto`, minified, gzipped. Also read by a test.
import { build } from "esbuild"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Without dependencies and lazy tables a queue client is small; raise this with a reason in the commit only. */
export const SIZE_BUDGET_BYTES = 32_000

/** @returns size and the packages that the sources import at run time, Node's own and ours left out. */
export async function weighSdk(entry = "client-sdk/src/index.ts") {
  const foreign = new Set()
  const { outputFiles } = await build({
    entryPoints: [join(root, entry)],
    bundle: true,
    minify: true,
    write: false,
    platform: "node",
    target: "node20.15",
    format: "esm",
    conditions: ["source"],
    plugins: [foreignPackages(foreign)],
    logLevel: "silent",
  })
  const [{ contents }] = outputFiles
  return { bytes: gzipSync(contents, { level: 9 }).length, budgetBytes: SIZE_BUDGET_BYTES, foreign: [...foreign] }
}

function foreignPackages(found) {
  return {
    name: "foreign-packages",
    setup(bundler) {
      bundler.onResolve({ filter: /^[^./]/ }, ({ path, kind }) => {
        if (kind === "entry-point" || path.startsWith("@opencmq/")) return undefined
        if (!path.startsWith("node:")) found.add(path)
        return { path, external: true }
      })
    },
  }
}
