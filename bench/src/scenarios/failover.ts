/**
 * How long nobody can send after the leader has gone: a client sends to all nodes all the time, each send begun on
 * schedule whether or not earlier ones were answered, so that a slow answer hides nothing.
 *
 * Two figures a trial. `resume`: from the signal to the first acknowledgement of a send that began after it.
 * `silence`: the longest time between two acknowledgements around the signal.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { Account, CmqError } from "@opencmq/client-sdk"
import type { Queue } from "@opencmq/client-sdk"
import { LocalCluster } from "../local-cluster.ts"
import { exactPercentiles } from "../percentiles.ts"
import { startProgress } from "../progress.ts"
import type { Report, ResultRow } from "../report.ts"

/** How the leader goes. */
export type LeaderLoss = "kill" | "pause" | "cut" | "term"

export const LEADER_LOSSES: readonly LeaderLoss[] = ["kill", "pause", "cut", "term"]

/** What the founding issue demands of the 99th percentile of `resume`, for SIGTERM of `silence`; milliseconds. */
export const FAILOVER_TARGETS_MS: Readonly<Record<LeaderLoss, number>> = {
  kill: 400,
  pause: 1_500,
  cut: 1_500,
  term: 100,
}

const WORDS: Readonly<Record<LeaderLoss, string>> = {
  kill: "SIGKILL",
  pause: "SIGSTOP",
  cut: "silent cut",
  term: "SIGTERM",
}

/** A send begins so often, at the nodes in turn. */
const SEND_EVERY_MS = 5
const SENDS_IN_FLIGHT_MAX = 2_000
const REQUEST_TIMEOUT_MS = 5_000
/** Load before the signal, and longest wait for an answer behind it. */
const WARM_UP_MS = 1_000
const GIVE_UP_MS = 15_000
/** After the first acknowledgement, to see whether it goes on. */
const AFTERWARDS_MS = 700

export interface FailoverOptions {
  readonly times: number
  readonly losses: readonly LeaderLoss[]
}

/** One trial. */
export interface FailoverTrial {
  readonly loss: LeaderLoss
  readonly leaderId: number
  readonly resumeMs: number
  readonly silenceMs: number
}

type Acknowledgement = { readonly beganMs: number; readonly atMs: number }

/** Sends to all nodes in turn, for as long as it runs. */
class SteadySender {
  readonly acknowledged: Acknowledgement[] = []
  refusedCount = 0
  readonly #accounts: readonly Account[]
  readonly #queues: readonly Queue[]
  readonly #timer: NodeJS.Timeout
  #turn = 0
  #inFlight = 0

  constructor(cluster: LocalCluster, queueName: string) {
    this.#accounts = cluster.endpoints.map(
      (endpoint) =>
        new Account({
          endpoints: [endpoint],
          ...cluster.keys,
          followUnknownLeaders: false,
          suspectAfterMs: 0,
          requestTimeoutMs: REQUEST_TIMEOUT_MS,
          timeoutMs: REQUEST_TIMEOUT_MS,
          retry: { maxRetries: 0 },
        }),
    )
    this.#queues = this.#accounts.map((account) => account.queue(queueName))
    this.#timer = setInterval(() => {
      void this.#sendOne()
    }, SEND_EVERY_MS)
  }

  stop(): void {
    clearInterval(this.#timer)
    for (const account of this.#accounts) account.close()
  }

  /** First acknowledgement of a send that began at or after a time. */
  firstAfter(timeMs: number): number | undefined {
    let first: number | undefined
    for (const { beganMs, atMs } of this.acknowledged) {
      if (beganMs >= timeMs && (first === undefined || atMs < first)) first = atMs
    }
    return first
  }

  /** Longest time without an acknowledgement that ended after `fromMs`. */
  longestSilenceAfter(fromMs: number): number {
    let longestMs = 0
    let beforeMs: number | undefined
    for (const { atMs } of this.acknowledged) {
      if (beforeMs !== undefined && atMs >= fromMs) longestMs = Math.max(longestMs, atMs - beforeMs)
      beforeMs = atMs
    }
    return longestMs
  }

  async #sendOne(): Promise<void> {
    const queue = this.#queues[this.#turn++ % this.#queues.length]
    if (queue === undefined || this.#inFlight >= SENDS_IN_FLIGHT_MAX) return
    const beganMs = performance.now()
    this.#inFlight += 1
    try {
      await queue.send("x")
      this.acknowledged.push({ beganMs, atMs: performance.now() })
    } catch (thrown) {
      if (!(thrown instanceof CmqError)) throw thrown
      this.refusedCount += 1
    } finally {
      this.#inFlight -= 1
    }
  }
}

function lose(cluster: LocalCluster, loss: LeaderLoss, leaderId: number): void {
  if (loss === "kill") void cluster.kill(leaderId)
  else if (loss === "term") void cluster.stop(leaderId)
  else if (loss === "pause") cluster.pause(leaderId)
  else cluster.proxies?.cut(leaderId)
}

async function restore(cluster: LocalCluster, loss: LeaderLoss, leaderId: number): Promise<void> {
  if (loss === "pause") cluster.continue(leaderId)
  else if (loss === "cut") cluster.proxies?.healAll()
  else {
    await cluster.waitExit(leaderId, GIVE_UP_MS)
    cluster.start(leaderId)
  }
  for (const { id } of cluster.nodes) await cluster.waitReady(id)
  await cluster.waitLeader()
}

/** One trial on a healthy cluster, which is healthy again afterwards. */
async function runTrial(cluster: LocalCluster, loss: LeaderLoss, queueName: string): Promise<FailoverTrial> {
  const leaderId = await cluster.waitLeader()
  const sender = new SteadySender(cluster, queueName)
  try {
    await sleep(WARM_UP_MS)
    const lostAtMs = performance.now()
    lose(cluster, loss, leaderId)
    let resumedAtMs: number | undefined
    while (resumedAtMs === undefined && performance.now() < lostAtMs + GIVE_UP_MS) {
      await sleep(SEND_EVERY_MS)
      resumedAtMs = sender.firstAfter(lostAtMs)
    }
    await sleep(AFTERWARDS_MS)
    const resumeMs = resumedAtMs === undefined ? GIVE_UP_MS : resumedAtMs - lostAtMs
    const silenceMs = resumedAtMs === undefined ? GIVE_UP_MS : sender.longestSilenceAfter(lostAtMs)
    return { loss, leaderId, resumeMs, silenceMs }
  } finally {
    sender.stop()
    await restore(cluster, loss, leaderId)
  }
}

/** Runs every loss so many times, in turns, on one cluster. */
export async function measureFailover(options: FailoverOptions): Promise<readonly FailoverTrial[]> {
  const cluster = await LocalCluster.create({ hasProxies: options.losses.includes("cut") })
  const progress = startProgress("fail-over", options.times * options.losses.length)
  const trials: FailoverTrial[] = []
  try {
    await cluster.startAll()
    const account = new Account({ endpoints: cluster.endpoints, ...cluster.keys })
    await account.ensureQueue("failover")
    account.close()
    for (let time = 0; time < options.times; time += 1) {
      for (const loss of options.losses) {
        trials.push(await runTrial(cluster, loss, "failover"))
        progress.update(trials.length, WORDS[loss])
      }
    }
    return trials
  } finally {
    progress.stop()
    await cluster.dispose()
  }
}

/** A row for each kind of loss. */
export function failoverReport(trials: readonly FailoverTrial[], losses: readonly LeaderLoss[]): Report {
  const rows = losses.flatMap((loss): ResultRow[] => {
    const own = trials.filter((trial) => trial.loss === loss)
    const resume = exactPercentiles(own.map(({ resumeMs }) => resumeMs))
    const silence = exactPercentiles(own.map(({ silenceMs }) => silenceMs))
    const judged = loss === "term" ? silence : resume
    return [
      {
        "leader loss": WORDS[loss],
        trials: resume.count,
        "resume min ms": resume.minMs,
        "p50 ms": resume.p50Ms,
        "p99 ms": resume.p99Ms,
        "max ms": resume.maxMs,
        "silence p50 ms": silence.p50Ms,
        "silence max ms": silence.maxMs,
        "target p99 ms": FAILOVER_TARGETS_MS[loss],
        met: judged.p99Ms <= FAILOVER_TARGETS_MS[loss] ? "yes" : "NO",
      },
    ]
  })
  return {
    name: "Fail-over: from the signal to the next acknowledged send",
    rows,
    notes: [
      "resume: to the first acknowledgement of a send that began after the signal. silence: longest time between two",
      "acknowledgements; for SIGTERM it is the one that the target is for, as the old leader serves on for a while.",
      "With fewer than 100 trials p99 is the maximum.",
    ],
  }
}
