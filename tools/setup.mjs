// Makes a clone ready to run: installs packages and compiles, each only when needed.
// `npm start` and `npm test` call it first. It uses Node's own modules only (nothing is installed yet), says on stderr
// what it does, and leaves stdout alone, so that `npm start --silent -- --json` prints JSON and nothing else.
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
// In the order in which they depend on each other. Test projects are left to `npm run types`: a test that does not
// compile must not keep a broker from starting.
const packages = ["proto", "client-sdk", "broker", "demo-redpacket", "bench"]
const setupStamp = join(root, "node_modules/.opencmq-setup")
const buildStamp = join(root, "node_modules/.opencmq-build")

checkNode()
install()
build()

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
  if (major < 20 || (major === 20 && minor < 15)) stop(`OpenCMQ needs Node 20.15 or newer; this is ${process.version}.`)
  if (!process.argv.includes("--for-tests")) return
  // What vite (under vitest) and ESLint ask for.
  if ((major === 20 && minor < 19) || major === 21 || (major === 22 && minor < 13)) {
    stop(`the tests need Node 20.19 or 22.13 or newer; this is ${process.version}, enough for npm start.`)
  }
}

function install() {
  const lock = readFileSync(join(root, "package-lock.json"))
  const wanted = `${sha256(lock)} ${process.version} ${process.platform}-${process.arch}`
  const found = readOrEmpty(setupStamp)
  if (found === wanted) return
  const sameNode = found === "" || found.split(" ")[1] === process.version
  if (sameNode && isInstalled(JSON.parse(lock.toString()))) {
    writeFileSync(setupStamp, wanted)
    return
  }
  say(
    found === ""
      ? "installing packages (npm ci) ..."
      : "installing packages again (npm ci): the lock file or Node changed ...",
  )
  const flags = ["--include=dev", "--no-audit", "--no-fund", "--loglevel=error"]
  if (!npm(["ci", ...flags])) {
    say("npm ci failed (its words are above); trying npm install, which takes what this registry can give ...")
    if (!npm(["install", "--no-package-lock", ...flags])) {
      stop("packages cannot be installed. Is the registry reachable (npm ping)? Is the disk full? Then run: npm ci")
    }
  }
  writeFileSync(setupStamp, wanted)
}

/** Whether what npm says it installed (its hidden lock file) is what the lock file asks for and is
 * on the disk, as after `npm install` by hand. */
function isInstalled(lock) {
  const hidden = join(root, "node_modules/.package-lock.json")
  if (!existsSync(hidden)) return false
  const installed = JSON.parse(readFileSync(hidden, "utf8")).packages
  return Object.entries(lock.packages).every(([path, wanted]) => {
    if (!path.startsWith("node_modules/") || wanted.link || wanted.optional) return true
    const there = installed[path]
    const isListed = there !== undefined && there.version === wanted.version && there.integrity === wanted.integrity
    return isListed && existsSync(join(root, path, "package.json"))
  })
}

function build() {
  const wanted = sourcesFingerprint()
  const main = join(root, "broker/dist/main.js")
  if (readOrEmpty(buildStamp) === wanted && packages.every((name) => existsSync(join(root, name, "dist")))) return
  say("compiling (tsc -b) ...")
  const tsc = join(root, "node_modules/typescript/bin/tsc")
  if (!run(process.execPath, [tsc, "-b", ...packages])) {
    stop("the sources do not compile (see above).")
  }
  linkCommand(main)
  writeFileSync(buildStamp, wanted)
}

/** npm links the commands of a workspace only if their file is there at install time; ours is compiled later. */
function linkCommand(main) {
  if (process.platform === "win32") return
  chmodSync(main, 0o755)
  const link = join(root, "node_modules/.bin/opencmq")
  rmSync(link, { force: true })
  symlinkSync("../../broker/dist/main.js", link)
}

/** Names, sizes and times of all that decides what tsc writes. About a millisecond per hundred files. */
function sourcesFingerprint() {
  const lines = [readOrEmpty(setupStamp)]
  const add = (path) => {
    const { mtimeMs, size } = statSync(path)
    lines.push(`${path} ${mtimeMs} ${size}`)
  }
  add(join(root, "tsconfig.base.json"))
  for (const name of packages) {
    add(join(root, name, "tsconfig.json"))
    add(join(root, name, "package.json"))
    for (const entry of readdirSync(join(root, name, "src"), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || entry.name.endsWith(".test.ts")) continue
      add(join(entry.parentPath ?? entry.path, entry.name))
    }
  }
  return sha256(lines.sort().join("\n"))
}

function npm(args) {
  // npm names itself to the scripts it runs; so the same npm is used, whatever else is on the PATH.
  const cli = process.env.npm_execpath
  if (cli?.endsWith("npm-cli.js")) return run(process.execPath, [cli, ...args])
  return run(process.platform === "win32" ? "npm.cmd" : "npm", args)
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ["ignore", 2, 2] })
  if (error) say(error.message)
  return status === 0
}

function readOrEmpty(path) {
  try {
    return readFileSync(path, "utf8")
  } catch (error) {
    if (error.code === "ENOENT") return ""
    throw error
  }
}

function sha256(data) {
  return createHash("sha256").update(data).digest("hex")
}

function say(text) {
  process.stderr.write(`setup: ${text}\n`)
}

function stop(text) {
  say(text)
  process.exit(1)
}
