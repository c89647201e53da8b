// Run by the Dockerfile, in the folder that becomes the image: deletes what this platform cannot load and what nobody
// reads at run time. Native packages bring a binary for every platform; uWebSockets.js alone 257 MB.
import { existsSync, readdirSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"

const { platform, arch, versions } = process
let freedBytes = 0

trim("node_modules/uWebSockets.js", (name) => {
  const ours = `uws_${platform}_${arch}_${versions.modules}.node`
  const needed = [ours, "uws.js", "ESM_wrapper.mjs", "package.json", "LICENSE"]
  return !needed.includes(name)
})
// node-gyp-build picks by folder; a folder name may list several processors (darwin-x64+arm64).
trim("node_modules/classic-level/prebuilds", (name) => {
  const [system, processors = ""] = name.split("-")
  return system !== platform || !processors.split("+").includes(arch)
})
trim("node_modules/classic-level", (name) => ["deps", "binding.cc", "binding.gyp"].includes(name))
for (const name of ["proto", "client-sdk", "broker"]) {
  trim(name, (entry) => !["dist", "package.json", "opencmq", "cmq", "node_modules"].includes(entry))
  trimDeep(join(name, "dist"), (entry) => /\.(tsbuildinfo|map|d\.ts)$/.test(entry))
}
console.log(`trim: freed ${Math.round(freedBytes / 1e6)} MB`)

function trim(folder, isSurplus) {
  if (!existsSync(folder)) return
  for (const name of readdirSync(folder)) if (isSurplus(name)) remove(join(folder, name))
}

function trimDeep(folder, isSurplus) {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile() && isSurplus(entry.name)) remove(join(entry.parentPath ?? entry.path, entry.name))
  }
}

function remove(path) {
  freedBytes += sizeBytes(path)
  rmSync(path, { recursive: true })
}

function sizeBytes(path) {
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.size
  return readdirSync(path).reduce((sum, name) => sum + sizeBytes(join(path, name)), 0)
}
