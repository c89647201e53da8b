/**
 * What a large backlog costs: memory while it grows, and time to serve again after all nodes were killed.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { Account } from "@opencmq/client-sdk"
import type { Queue } from "@opencmq/client-sdk"
import { LocalCluster } from "../local-cluster.ts"
import { bodiesOf, sendLoops } from "../load.ts"
import { residentBytes } from "../process-usage.ts"
import { startProgress } from "../progress.ts"
import type { Report, ResultRow } from "../report.ts"

export interface BacklogOptions {
  readonly messages: number
  readonly bodyBytes: number
  /** Where the data goes; it needs three times messages x bytes. */
  readonly folder: string | undefined
}

/** What the founding issue demands. */
const MEMORY_TARGET_BYTES = 400 * 1_048_576
const RESTART_TARGET_S = 5

const LOOPS = 16
const FILL_HOURS_MAX = 4
const SETTLE_MS = 10_000
const SAMPLES = 50
const MIB = 1_048_576
const RECEIVE_EVERY_MS = 10
const RESTART_GIVE_UP_MS = 600_000
const QUEUE = "backlog"

/** Resident bytes of each node at a size of the backlog. */
interface Sample {
  readonly messages: number
  readonly bytes: readonly number[]
}

/** Resident memory of each node while a backlog grows, and how much each further million messages adds. */
export async function runMemory(options: BacklogOptions): Promise<Report> {
  return withBacklog(options, async ({ cluster, samples, elapsedMs }) => {
    await sleep(SETTLE_MS)
    const last: Sample = {
      messages: options.messages,
      bytes: cluster.nodes.map(({ id }) => residentOf(cluster, id).now),
    }
    const slopes = cluster.nodes.map((_, index) => slopePerMillion([...samples, last], index))
    const rows = cluster.nodes.map(({ id }, index): ResultRow => {
      const peakMiB = residentOf(cluster, id).peak / MIB
      const nowMiB = (last.bytes[index] ?? 0) / MIB
      return {
        node: id,
        messages: options.messages,
        "RSS MiB": nowMiB,
        "peak MiB": peakMiB,
        "MiB per further million": slopes[index] ?? 0,
        "target MiB": MEMORY_TARGET_BYTES / MIB,
        met: peakMiB * MIB < MEMORY_TARGET_BYTES ? "yes" : "NO",
      }
    })
    const rate = Math.round((options.messages * 1_000) / elapsedMs)
    return {
      name: `Memory: ${options.messages.toLocaleString("en-US")} waiting messages of ${String(options.bodyBytes)} B`,
      rows,
      notes: [
        `Filled at ${String(rate)} msgs/s; RSS ten seconds later. The slope is that of the second half of the fill.`,
      ],
    }
  })
}

/** Seconds from the start of three killed nodes to the first message received. */
export async function runRestart(options: BacklogOptions & { readonly times: number }): Promise<Report> {
  return withBacklog(options, async ({ cluster, queue }) => {
    const rows: ResultRow[] = []
    for (let time = 1; time <= options.times; time += 1) {
      await Promise.all(cluster.nodes.map(({ id }) => cluster.kill(id)))
      const startMs = performance.now()
      for (const { id } of cluster.nodes) cluster.start(id)
      await receiveFirst(queue, startMs)
      const seconds = (performance.now() - startMs) / 1_000
      await Promise.all(cluster.nodes.map(({ id }) => cluster.waitReady(id, RESTART_GIVE_UP_MS)))
      rows.push({
        restart: time,
        "waiting messages": options.messages,
        "first receive s": seconds,
        "all ready s": (performance.now() - startMs) / 1_000,
        "target s": RESTART_TARGET_S,
        met: seconds <= RESTART_TARGET_S ? "yes" : "NO",
      })
    }
    return {
      name: `Restart: all three nodes killed with ${options.messages.toLocaleString("en-US")} messages waiting`,
      rows,
      notes: ["Files are in the page cache: a computer that was switched off reads them from the disk first."],
    }
  })
}

interface Backlog {
  readonly cluster: LocalCluster
  readonly queue: Queue
  readonly samples: readonly Sample[]
  readonly elapsedMs: number
}

async function withBacklog(options: BacklogOptions, measure: (backlog: Backlog) => Promise<Report>): Promise<Report> {
  const cluster = await LocalCluster.create(options.folder === undefined ? {} : { folder: options.folder })
  const account = new Account({ endpoints: cluster.endpoints, ...cluster.keys, timeoutMs: 60_000 })
  try {
    await cluster.startAll()
    const queue = await account.createQueue(QUEUE)
    const startMs = performance.now()
    const samples = await fill(cluster, queue, options)
    return await measure({ cluster, queue, samples, elapsedMs: performance.now() - startMs })
  } finally {
    account.close()
    await cluster.dispose({ timeoutMs: 30_000 })
  }
}

async function fill(cluster: LocalCluster, queue: Queue, options: BacklogOptions): Promise<readonly Sample[]> {
  const progress = startProgress("fill", options.messages)
  const samples: Sample[] = []
  const step = Math.max(1, Math.floor(options.messages / SAMPLES))
  let nextSample = step
  const onSent = (sent: number): void => {
    if (sent < nextSample) return
    nextSample += step
    const bytes = cluster.nodes.map(({ id }) => residentOf(cluster, id).now)
    samples.push({ messages: sent, bytes })
    progress.update(sent, bytes.map((each) => `${(each / MIB).toFixed(0)} MiB`).join(" "))
  }
  const limits = { untilMs: performance.now() + FILL_HOURS_MAX * 3_600_000, messages: options.messages }
  const result = await sendLoops(queue, { loops: LOOPS, bodies: bodiesOf(options.bodyBytes), limits, onSent })
  progress.stop()
  if (result.messages < options.messages) throw new Error(`only ${String(result.messages)} messages were sent`)
  return samples
}

async function receiveFirst(queue: Queue, startMs: number): Promise<void> {
  while (performance.now() < startMs + RESTART_GIVE_UP_MS) {
    const message = await queue.receive({ waitSeconds: 0, visibilityTimeoutSeconds: 1 }).catch(() => undefined)
    if (message !== undefined) return
    await sleep(RECEIVE_EVERY_MS)
  }
  throw new Error(`nothing was received within ${String(RESTART_GIVE_UP_MS)} ms`)
}

function residentOf(cluster: LocalCluster, nodeId: number): { readonly now: number; readonly peak: number } {
  const pid = cluster.pidOf(nodeId)
  return (pid === undefined ? undefined : residentBytes(pid)) ?? { now: 0, peak: 0 }
}

/** Least-squares slope of the second half of the samples, MiB a million messages. */
export function slopePerMillion(samples: readonly Sample[], node: number): number {
  const half = samples.slice(Math.floor(samples.length / 2))
  const points = half.map(({ messages, bytes }) => ({ x: messages / 1_000_000, y: (bytes[node] ?? 0) / MIB }))
  const meanX = points.reduce((sum, { x }) => sum + x, 0) / points.length
  const meanY = points.reduce((sum, { y }) => sum + y, 0) / points.length
  const covariance = points.reduce((sum, { x, y }) => sum + (x - meanX) * (y - meanY), 0)
  const variance = points.reduce((sum, { x }) => sum + (x - meanX) ** 2, 0)
  return variance === 0 ? 0 : covariance / variance
}
