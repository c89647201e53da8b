/**
 * Ports for broker processes: below the range from which the system takes ports for outgoing connections, so that
 * nothing else is given one of them between two starts of a node.
 */
import { createServer } from "node:net"
import type { Server } from "node:net"

const FIRST_PORT = 18_000
const LAST_PORT = 31_000
const ATTEMPTS_MAX = 200

/**
 * Finds `count` consecutive ports on which nobody listens.
 *
 * @param random - from 0 to below 1; several helpers on one computer then rarely look at the same place.
 * @returns the first of them.
 */
export async function findFreePorts(count: number, random: () => number = Math.random): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const first = FIRST_PORT + Math.floor(random() * (LAST_PORT - FIRST_PORT - count))
    const ports = Array.from({ length: count }, (_, index) => first + index)
    const free = await Promise.all(ports.map(isFree))
    if (free.every(Boolean)) return first
  }
  throw new Error(`no ${String(count)} free ports in a row after ${String(ATTEMPTS_MAX)} attempts`)
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server: Server = createServer()
    server.once("error", () => {
      resolve(false)
    })
    server.listen({ port, host: "127.0.0.1" }, () => {
      server.close(() => {
        resolve(true)
      })
    })
  })
}
