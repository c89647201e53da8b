/**
 * Thousands of sockets that say nothing, held by a process of their own: a process has too few file descriptors for
 * both ends of ten thousand connections.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"

/** Kept from the sockets: files, libraries, the other connections of a test run. */
const SPARE_DESCRIPTORS = 500

/** In waves, because the backlog of a listening socket is bounded. What the server ends is opened again. */
const HOLDER = `
const { connect } = require("node:net")
const [port, count] = process.argv.slice(1).map(Number)
const openOne = () => new Promise((resolve) => {
  const socket = connect({ port, host: "127.0.0.1" }, resolve)
  socket.on("error", (error) => { if (socket.connecting) throw error })
  socket.on("close", openOne)
  socket.resume()
})
const openAll = async () => {
  for (let left = count; left > 0; left -= 100) await Promise.all(Array.from({ length: Math.min(left, 100) }, openOne))
  process.stdout.write("open")
}
process.stdin.on("end", () => process.exit()).resume()
openAll()
`

/** How many of `wanted` sockets one process may hold here. */
export function socketsWithin(wanted: number): number {
  const report = process.report.getReport() as { readonly userLimits?: Record<string, { readonly soft: unknown }> }
  const soft = report.userLimits?.["open_files"]?.soft
  return typeof soft === "number" ? Math.min(wanted, soft - SPARE_DESCRIPTORS) : wanted
}

/** Resolves when all have been opened; the function ends them. */
export async function openIdleSockets(port: number, count: number): Promise<() => Promise<void>> {
  const holder = spawn(process.execPath, ["--eval", HOLDER, String(port), String(count)], {
    stdio: ["pipe", "pipe", "inherit"],
  })
  const ended = once(holder, "exit")
  await Promise.race([
    once(holder.stdout, "data"),
    ended.then(([code]) => {
      throw new Error(`the process with the sockets ended with code ${String(code)}`)
    }),
  ])
  return async () => {
    holder.stdin.end()
    await ended
  }
}
