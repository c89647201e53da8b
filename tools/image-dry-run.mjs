// Shows that the Dockerfile works where there is no container engine. It reads the Dockerfile, carries out its COPY and
// RUN steps in empty folders (one a stage), starts what comes out as the image would, and asks it for its health.
//
//   node tools/image-dry-run.mjs [--keep] [--build-only]
//
// What it cannot show: the base image (this machine's Node and system stand in for it), layers, and the network of a
// container. Steps that need the base image's users or packages are skipped, see `skippedSteps`.
import { execFileSync, spawn, spawnSync } from "node:child_process"
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { dirname, join, resolve } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const flags = new Set(process.argv.slice(2))

// RUN steps that are not carried out, and why.
const skippedSteps = [
  { pattern: /^install -d -o node /, why: "makes a folder for the base image's user; a temporary folder stands in" },
  { pattern: /^(apt-get|useradd|groupadd|adduser|addgroup)\b/, why: "changes the base image's system" },
]
// The user that USER stands for: the base image's `node` is 1000. Taken only when this script runs as root.
const imageUser = { uid: 1000, gid: 1000 }
const healthDeadlineMs = 30_000
const stopDeadlineMs = 15_000

const scratch = mkdtempSync(join(tmpdir(), "opencmq-image-"))
chmodSync(scratch, 0o755)
try {
  const context = join(scratch, "context")
  makeContext(context)
  const image = build(parse(readFileSync(join(root, "Dockerfile"), "utf8")), context)
  say(`image built: ${(sizeBytes(image.folder) / 1e6).toFixed(1)} MB without the base image`)
  if (!flags.has("--build-only")) await serve(image)
  say("ok")
} finally {
  if (flags.has("--keep")) say(`kept: ${scratch}`)
  else rmSync(scratch, { recursive: true, force: true })
}

/** Instructions in order: {name, words} with continuation lines joined and comments dropped. */
function parse(text) {
  const lines = text
    .split("\n")
    .filter((line) => !/^\s*#/.test(line))
    .join("\n")
    .replace(/\\\n/g, " ")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
  return lines.map((line) => {
    const [, name, rest] = /^(\S+)\s+(.*)$/.exec(line)
    return { name: name.toUpperCase(), rest }
  })
}

function build(steps, context) {
  const stages = []
  for (const { name, rest } of steps) {
    const stage = stages.at(-1)
    if (name === "FROM") stages.push(newStage(rest, stages.length))
    else if (name === "WORKDIR")
      mkdirSync(inside(stage, (stage.workdir = resolve(stage.workdir, rest))), { recursive: true })
    else if (name === "ENV") assign(stage.env, rest)
    else if (name === "COPY") copy(stage, rest, { stages, context })
    else if (name === "RUN") runStep(stage, rest)
    else if (name === "ENTRYPOINT") stage.entrypoint = JSON.parse(rest)
    else if (name === "HEALTHCHECK") stage.healthcheck = JSON.parse(rest.slice(rest.indexOf("[")))
    else if (!["LABEL", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL"].includes(name))
      throw new Error(`unknown instruction ${name}`)
  }
  return stages.at(-1)
}

function newStage(rest, index) {
  const [image, , alias] = rest.split(/\s+/)
  const tag = /^node:(\d+)/.exec(image)?.[1]
  say(`stage ${alias ?? index} from ${image}; standing in: Node ${process.version}`)
  if (tag !== process.versions.node.split(".")[0]) say(`note: the image has Node ${tag}`)
  const folder = join(scratch, `stage-${index}`)
  mkdirSync(folder)
  return { alias: alias ?? String(index), folder, workdir: "/", env: {} }
}

function copy(stage, rest, { stages, context }) {
  const words = rest.split(/\s+/)
  const option = words[0].startsWith("--from=") ? words.shift() : undefined
  const from = option && stages.find(({ alias }) => alias === option.slice("--from=".length))
  if (option && !from) throw new Error(`COPY ${rest}: no such stage`)
  const target = words.pop()
  const targetPath = inside(stage, resolve(stage.workdir, target))
  for (const source of words) {
    const sourcePath = from ? inside(from, resolve(from.workdir, source)) : join(context, source)
    if (!existsSync(sourcePath)) throw new Error(`COPY ${rest}: ${source} is not there`)
    // As Docker does it: a folder's contents go into the target; a file goes under it if it ends in a slash.
    const intoFolder =
      !statSync(sourcePath).isDirectory() && (target.endsWith("/") || words.length > 1 || target === ".")
    const destination = intoFolder ? join(targetPath, source.split("/").at(-1)) : targetPath
    mkdirSync(dirname(destination), { recursive: true })
    cpSync(sourcePath, destination, { recursive: true, verbatimSymlinks: true })
  }
  say(`COPY ${rest}`)
}

function runStep(stage, command) {
  const skipped = skippedSteps.find(({ pattern }) => pattern.test(command))
  if (skipped) return say(`RUN ${command}  [skipped: ${skipped.why}]`)
  say(`RUN ${command}`)
  const { status } = spawnSync("/bin/sh", ["-c", command], {
    cwd: inside(stage, stage.workdir),
    env: { ...machineEnv(), ...stage.env },
    stdio: ["ignore", 2, 2],
  })
  if (status !== 0) throw new Error(`RUN ${command}: exit code ${status}`)
}

/** What would be sent to a container engine: the files git knows or would take, less those in .dockerignore. */
function makeContext(context) {
  const ignored = readFileSync(join(root, ".dockerignore"), "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map(ignorePattern)
  const list = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    maxBuffer: 1 << 26,
  })
  let count = 0
  for (const file of new Set(list.toString().split("\0"))) {
    if (file === "" || !existsSync(join(root, file)) || ignored.some((pattern) => pattern.test(file))) continue
    mkdirSync(dirname(join(context, file)), { recursive: true })
    cpSync(join(root, file), join(context, file))
    count += 1
  }
  say(`build context: ${count} files`)
}

function ignorePattern(glob) {
  const body = glob
    .replace(/[.+^${}()|[\]]/g, "\\$&")
    .replace(/^\*\*\//, "<any>")
    .replace(/\*/g, "[^/]*")
    .replace("<any>", "(.*/)?")
  return new RegExp(`^${body}(/|$)`)
}

/** Starts the image's ENTRYPOINT on free loopback ports, waits until its HEALTHCHECK passes, and stops it. */
async function serve(image) {
  const basePort = await freeBasePort()
  const dataDir = join(scratch, "data")
  mkdirSync(dataDir)
  const asRoot = process.getuid?.() === 0
  if (asRoot) chownSync(dataDir, imageUser.uid, imageUser.gid)
  const options = {
    cwd: inside(image, image.workdir),
    // Everything else comes from the image; ports move because the usual ones may be taken here, and hosts because
    // only a container has a network of its own.
    env: {
      PATH: process.env.PATH,
      HOME: dataDir,
      ...image.env,
      OPENCMQ_DATA_DIR: dataDir,
      OPENCMQ_HTTP_HOST: "127.0.0.1",
      OPENCMQ_GRPC_HOST: "127.0.0.1",
      OPENCMQ_PEER_HOST: "127.0.0.1",
      OPENCMQ_TCP_HOST: "127.0.0.1",
      OPENCMQ_HTTP_PORT: String(basePort),
      OPENCMQ_GRPC_PORT: String(basePort + 1),
      OPENCMQ_PEER_PORT: String(basePort + 2),
      OPENCMQ_TCP_PORT: String(basePort + 3),
      OPENCMQ_ENDPOINTS: `http://127.0.0.1:${basePort}`,
      // What an operator gives to `docker run -e`: the image has no key pair of its own.
      OPENCMQ_SECRET_ID: "AKIDimagedryrun",
      OPENCMQ_SECRET_KEY: "image-dry-run-secret-key",
    },
    ...(asRoot ? imageUser : {}),
  }
  const [command, ...args] = image.entrypoint.map((word) => mapped(image, word))
  say(`start: ${image.entrypoint.join(" ")} (base port ${basePort}${asRoot ? `, user ${imageUser.uid}` : ""})`)
  const server = spawn(command, args, { ...options, stdio: ["ignore", "inherit", "inherit"] })
  const ended = new Promise((done) => server.once("exit", (code, signal) => done({ code, signal })))
  try {
    await healthy(image, options, ended)
    server.kill("SIGTERM")
    const end = await Promise.race([ended, sleep(stopDeadlineMs, "late")])
    if (end === "late" || end.code !== 0) throw new Error(`after SIGTERM: ${JSON.stringify(end)}, wanted exit code 0`)
    say("stopped: exit code 0")
  } finally {
    if (server.exitCode === null && server.signalCode === null) server.kill("SIGKILL")
  }
}

async function healthy(image, options, ended) {
  const [command, ...args] = image.healthcheck.map((word) => mapped(image, word))
  const startedAt = Date.now()
  let gone
  void ended.then((end) => (gone = end))
  while (Date.now() - startedAt < healthDeadlineMs) {
    if (gone) throw new Error(`the server ended by itself: ${JSON.stringify(gone)}`)
    const { status } = spawnSync(command, args, { ...options, stdio: ["ignore", 2, "ignore"] })
    if (status === 0 && !gone) return say(`healthcheck: exit code 0 after ${Date.now() - startedAt} ms`)
    await sleep(200)
  }
  throw new Error(`healthcheck: not healthy within ${healthDeadlineMs} ms`)
}

/** Three neighbouring loopback ports that nobody listens on just now: HTTP, gRPC, peers. */
async function freeBasePort() {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const base = 20_000 + Math.floor(Math.random() * 20_000)
    const free = await Promise.all([base, base + 1, base + 2, base + 3].map(isFree))
    if (free.every(Boolean)) return base
  }
  throw new Error("no four free ports in a row were found")
}

function isFree(port) {
  return new Promise((done) => {
    const probe = createServer()
    probe.once("error", () => done(false))
    probe.listen(port, "127.0.0.1", () => probe.close(() => done(true)))
  })
}

function inside(stage, path) {
  return join(stage.folder, path)
}

function mapped(stage, word) {
  return word.startsWith("/") ? inside(stage, word) : word
}

function assign(env, rest) {
  for (const [, name, value] of rest.matchAll(/(\w+)=("[^"]*"|\S+)/g)) env[name] = value.replace(/^"|"$/g, "")
}

/** This machine's environment without what npm adds to the scripts it runs: a container has none of it. */
function machineEnv() {
  const isNpm = (name) => /^npm_(package|lifecycle|config_local_prefix|execpath|node_execpath|command)/.test(name)
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !isNpm(name) && name !== "INIT_CWD" && name !== "NODE_OPTIONS"),
  )
}

function sizeBytes(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).reduce(
    (sum, entry) => (entry.isFile() ? sum + statSync(join(entry.parentPath ?? entry.path, entry.name)).size : sum),
    0,
  )
}

function say(text) {
  process.stdout.write(`image: ${text}\n`)
}
