/**
 * The data directory of `opencmq dev`: it holds the data of a certain number of nodes and serves no other number,
 * because the nodes know their cluster from their logs.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { CliFailure } from "./failure.ts"
import { operatorError } from "./start-failure.ts"

const FILE_NAME = "dev.json"

/** @throws CliFailure when the directory holds a cluster of another size. */
export function checkDevData(dataDir: string, nodes: number): void {
  const held = heldNodes(dataDir)
  if (held === undefined || held === nodes) return
  const cluster = held === 1 ? "a single node" : `a cluster of ${String(held)} nodes`
  throw new CliFailure("failure", `${dataDir} holds ${cluster}; use --nodes ${String(held)} or another --data-dir`)
}

/** Makes the directory and remembers in it how many nodes it is for. @throws CliFailure when that cannot be. */
export function claimDevData(dataDir: string, nodes: number): void {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
    const path = join(dataDir, FILE_NAME)
    if (!existsSync(path)) writeFileSync(path, `${JSON.stringify({ nodes })}\n`, { mode: 0o600 })
  } catch (thrown) {
    throw operatorError(thrown, { dataDir }) ?? thrown
  }
}

function heldNodes(dataDir: string): number | undefined {
  try {
    const { nodes } = JSON.parse(readFileSync(join(dataDir, FILE_NAME), "utf8")) as { readonly nodes?: unknown }
    if (nodes === 1 || nodes === 3) return nodes
  } catch {
    // Absent (older data have none) or unreadable: the nodes' directories tell as much.
  }
  if (existsSync(join(dataDir, "node-2"))) return 3
  return existsSync(join(dataDir, "node-1")) ? 1 : undefined
}
