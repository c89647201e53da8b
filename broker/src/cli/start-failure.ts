/**
 * Why a broker cannot start, in one line, where the operator and not the program is wrong: a port or a directory that
 * is taken, data of somebody else, no permission. Whatever else goes wrong keeps its stack.
 */
import { createServer } from "node:net"
import { LogStoreError } from "../adapters/log/log-options.ts"
import { LevelStoreError } from "../adapters/store/level-store.ts"
import { DataDisagreement } from "../node/node-boot.ts"
import { CliFailure } from "./failure.ts"

const DATA_TROUBLE: readonly LogStoreError["kind"][] = [
  "wrongCluster",
  "wrongNode",
  "wrongSet",
  "wrongIncarnation",
  "newerFormat",
  "hardStateMissing",
  "hardStateDamaged",
  "noSpace",
]

const START_EMPTY =
  "while the other nodes run, start this one with an empty directory and the same node id: it gets everything back from them (docs/operations.md)"

/** The failure to be told, undefined for an error that nobody expects. */
export function operatorError(error: unknown, where: { readonly dataDir: string }): CliFailure | undefined {
  if (!(error instanceof Error)) return undefined
  if (error instanceof CliFailure) return error
  const { dataDir } = where
  if (error instanceof LevelStoreError && error.kind === "locked") {
    return new CliFailure("failure", `data directory ${dataDir} is in use by another process; another opencmq on it?`)
  }
  if (error instanceof LevelStoreError && error.kind === "damaged") {
    return new CliFailure("failure", `data directory ${dataDir}: ${error.path}: ${error.text}; ${START_EMPTY}`)
  }
  if (error instanceof DataDisagreement) {
    return new CliFailure("failure", `data directory ${dataDir}: ${error.message}; ${START_EMPTY}`)
  }
  if (error instanceof LogStoreError && DATA_TROUBLE.includes(error.kind)) {
    return new CliFailure("failure", `data directory ${dataDir}: ${error.path}: ${error.text}`)
  }
  const { code } = error as NodeJS.ErrnoException
  if (code !== undefined && Object.hasOwn(DIRECTORY_TROUBLE, code)) {
    const path = (error as NodeJS.ErrnoException).path ?? dataDir
    const place = path === dataDir ? "" : ` (${path})`
    return new CliFailure("failure", `data directory ${dataDir}${place}: ${DIRECTORY_TROUBLE[code] ?? code} (${code})`)
  }
  return operatorError(error.cause, where)
}

const DIRECTORY_TROUBLE: Readonly<Record<string, string>> = {
  EACCES: "no permission",
  EEXIST: "is a file, not a directory",
  ENOSPC: "the disk is full",
  ENOTDIR: "is a file, not a directory, or lies below one",
  EPERM: "no permission; it must belong to the user who runs opencmq",
  EROFS: "cannot be written: the file system is read-only",
}

/** What will be listened on. */
export interface ListenAddress {
  /** For people: `HTTP`, `HTTP of node 2`. */
  readonly what: string
  readonly host: string
  readonly port: number
}

/**
 * Listens on all of these for a moment. The servers would find the same out, each in words of its own, gRPC's library in
 * lines of its own on stderr.
 *
 * @throws CliFailure for the first that cannot be listened on.
 */
export async function checkListen(addresses: readonly ListenAddress[], otherPort: string): Promise<void> {
  for (const address of addresses) {
    const error = await listenError(address)
    if (error === undefined) continue
    const { what, host, port } = address
    const subject = `${host}:${String(port)} (${what})`
    const text = LISTEN_TROUBLE[error.code ?? ""] ?? `cannot be listened on: ${error.message}`
    const advice = error.code === "EADDRINUSE" ? `; another opencmq running here? try ${otherPort}` : ""
    throw new CliFailure("failure", `${subject} ${text}${advice}`)
  }
}

const LISTEN_TROUBLE: Readonly<Record<string, string>> = {
  EACCES: "cannot be listened on: no permission (ports below 1024 are for root)",
  EADDRINUSE: "is in use",
  EADDRNOTAVAIL: "is no address of this computer",
  ENOTFOUND: "is a name that cannot be resolved",
}

function listenError({ host, port }: ListenAddress): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once("error", resolve)
    server.listen({ host, port }, () => {
      server.close(() => {
        resolve(undefined)
      })
    })
  })
}
