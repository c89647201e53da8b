/**
 * What three brokers that nobody asks anything cost: CPU time over a while, as a share of one core.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { LocalCluster } from "../local-cluster.ts"
import { cpuMicroseconds, residentBytes } from "../process-usage.ts"
import type { Report, ResultRow } from "../report.ts"

/** Compilers and collectors of the processes come to rest, too. */
const SETTLE_MS = 30_000
const MIB = 1_048_576
/** All three together, of one core; the founding issue's figure. */
const TARGET_PERCENT = 2

export async function runIdle(options: { readonly seconds: number }): Promise<Report> {
  const cluster = await LocalCluster.create()
  try {
    await cluster.startAll()
    const leader = await cluster.waitLeader()
    await sleep(SETTLE_MS)
    const cpuOf = (nodeId: number): number => cpuMicroseconds(cluster.pidOf(nodeId) ?? 0) ?? 0
    const before = cluster.nodes.map(({ id }) => cpuOf(id))
    const startMs = performance.now()
    await sleep(options.seconds * 1_000)
    const elapsedUs = (performance.now() - startMs) * 1_000
    const shares = cluster.nodes.map(({ id }, index) => ((cpuOf(id) - (before[index] ?? 0)) * 100) / elapsedUs)
    const rows = cluster.nodes.map(({ id }, index): ResultRow => ({
      node: id === leader ? `${String(id)} (leader)` : String(id),
      "% of one core": shares[index] ?? 0,
      "RSS MiB": (residentBytes(cluster.pidOf(id) ?? 0)?.now ?? 0) / MIB,
    }))
    const total = shares.reduce((sum, share) => sum + share, 0)
    const verdict = total < TARGET_PERCENT ? "yes" : "NO"
    rows.push({
      node: `all (target ${String(TARGET_PERCENT)} %, met: ${verdict})`,
      "% of one core": total,
      "RSS MiB": "",
    })
    return {
      name: `Idle: three nodes, ${String(options.seconds)} s`,
      rows,
      notes: ["From /proc/<pid>/stat, in steps of 10 ms of CPU time."],
    }
  } finally {
    await cluster.dispose()
  }
}
