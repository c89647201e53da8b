/**
 * Throughput through the SDK's batches of 16 over HTTP: sends alone, then sends, receives and deletes together.
 * CPU time of the brokers and of this client, apart, divided by messages: the steadier figure on a shared machine.
 */
import { Account } from "@opencmq/client-sdk"
import type { Queue } from "@opencmq/client-sdk"
import { CpuMeter } from "../cpu-meter.ts"
import { LocalCluster } from "../local-cluster.ts"
import { bodiesOf, receiveLoops, sendLoops } from "../load.ts"
import type { LoopResult } from "../load.ts"
import { startProgress } from "../progress.ts"
import type { Report, ResultRow } from "../report.ts"

export interface SmokeOptions {
  readonly seconds: number
  readonly bodyBytes: number
  /** Requests of 16 messages under way at once, in all. */
  readonly loops: number
  /** Brokers that are running; none = three of our own. */
  readonly endpoints: readonly string[]
  readonly secretId: string | undefined
  readonly secretKey: string | undefined
}

const WARM_UP_MS = 1_500
const PHASE_MESSAGES_MAX = 50_000_000
/** Time for receivers to find the queue empty when all sends are done. */
const DRAIN_MS_MAX = 120_000

export async function runSmoke(options: SmokeOptions): Promise<Report> {
  const cluster = options.endpoints.length === 0 ? await LocalCluster.create() : undefined
  try {
    await cluster?.startAll()
    await cluster?.waitLeader()
    const account = new Account({
      endpoints: cluster?.endpoints ?? options.endpoints,
      secretId: options.secretId ?? cluster?.keys.secretId ?? "",
      secretKey: options.secretKey ?? cluster?.keys.secretKey ?? "",
    })
    try {
      return await measure(account, options, cluster?.pids ?? [])
    } finally {
      account.close()
    }
  } finally {
    await cluster?.dispose()
  }
}

async function measure(account: Account, options: SmokeOptions, pids: readonly number[]): Promise<Report> {
  const name = `bench-smoke-${String(Date.now())}`
  const queue = await account.createQueue(name)
  const meter = new CpuMeter(pids)
  const progress = startProgress("smoke", 3)
  try {
    const bodies = bodiesOf(options.bodyBytes)
    const limits = { untilMs: performance.now() + WARM_UP_MS, messages: PHASE_MESSAGES_MAX }
    await sendLoops(queue, { loops: options.loops, bodies, limits })
    progress.update(1, "send")
    meter.reset()
    const send = rowOf("send", await sendPhase(queue, options, bodies), meter)
    progress.update(2, "send, receive, delete")
    await receiveLoops(queue, { loops: options.loops, isOver: (_deleted, wasEmpty) => wasEmpty })
    meter.reset()
    const cycle = rowOf("send + receive + delete", await cyclePhase(queue, options, bodies), meter)
    return {
      name: `Smoke: ${String(options.bodyBytes)} B, batches of 16, ${String(options.loops)} requests under way`,
      rows: [send, cycle],
      notes: [
        "Latency is that of a request of 16; with receives, of a receive with its delete. CPU: all brokers together.",
      ],
    }
  } finally {
    progress.stop()
    await queue.deleteQueue()
  }
}

function sendPhase(queue: Queue, options: SmokeOptions, bodies: readonly string[]): Promise<LoopResult> {
  const limits = { untilMs: performance.now() + options.seconds * 1_000, messages: PHASE_MESSAGES_MAX }
  return sendLoops(queue, { loops: options.loops, bodies, limits })
}

/** Half of the loops send, half receive and delete; over when everything sent has been deleted. */
async function cyclePhase(queue: Queue, options: SmokeOptions, bodies: readonly string[]): Promise<LoopResult> {
  const startMs = performance.now()
  const untilMs = startMs + options.seconds * 1_000
  const loops = Math.max(1, Math.floor(options.loops / 2))
  let sent: number | undefined
  const sending = sendLoops(queue, { loops, bodies, limits: { untilMs, messages: PHASE_MESSAGES_MAX } }).then(
    (result) => {
      sent = result.messages
    },
  )
  const receiving = receiveLoops(queue, {
    loops,
    isOver: (deleted) => (sent !== undefined && deleted >= sent) || performance.now() > untilMs + DRAIN_MS_MAX,
  })
  const [result] = await Promise.all([receiving, sending])
  return result
}

function rowOf(run: string, result: LoopResult, meter: CpuMeter): ResultRow {
  const cpu = meter.perMessage(Math.max(1, result.messages))
  const latency = result.latency.percentiles()
  return {
    run,
    messages: result.messages,
    "msgs/s": Math.round((result.messages * 1_000) / result.elapsedMs),
    "p50 ms": latency.p50Ms,
    "p99 ms": latency.p99Ms,
    "max ms": latency.maxMs,
    "servers µs/msg": cpu.servers ?? "not ours",
    "client µs/msg": cpu.client,
  }
}
