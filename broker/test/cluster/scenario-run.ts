/**
 * One run of one scenario: cluster, load, faults, healing, drain, judgement.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { LocalCluster } from "@opencmq/bench/harness"
import { createRandom } from "../../src/core/random.ts"
import { judge } from "./checker.ts"
import type { Judgement } from "./checker.ts"
import { History } from "./history.ts"
import { Monitor, compareStates } from "./monitor.ts"
import { nowMs } from "./recording-transport.ts"
import { recover } from "./scenarios.ts"
import type { RoundContext, Scenario } from "./scenarios.ts"
import { SmallDisk } from "./small-disk.ts"
import { judgeTopic, tallyTopic } from "./topic-checker.ts"
import type { TopicHistory, TopicTally } from "./topic-checker.ts"
import { TopicLoad } from "./topic-load.ts"
import { Workload } from "./workload.ts"

export interface RunOptions {
  readonly seed: number
  /** Rounds are begun for so long; there is always one. */
  readonly seconds: number
  /** One round and no more. */
  readonly isSingleRound?: boolean
  /** Longest time for the queue to become empty; default a minute. */
  readonly drainMs?: number
  /** Whether logs and data of a failed run are kept; default true. */
  readonly isKept?: boolean
  readonly onProgress?: (text: string) => void
}

export interface ScenarioResult {
  readonly scenario: string
  readonly seed: number
  readonly judgement: Judgement
  /** What was really injected, with the second at which it was. */
  readonly faults: readonly string[]
  /** Undefined without a topic. */
  readonly topic: TopicTally | undefined
  /** Terms in which a leader was seen. */
  readonly leaderTerms: number
  readonly seconds: number
  /** Everything that is wrong, in words; empty = passed. */
  readonly failures: readonly string[]
  /** Logs and data of a failed run. */
  readonly folder: string | undefined
}

const QUEUE = "black-box"
const VISIBILITY_SECONDS = 3
const PAUSE_MS = 15
const BODY_BYTES_MAX = 3_000
const WARM_UP_MS = 700
const COOL_DOWN_MS = 500
/** After healing: requests that wait for a leader are answered within so long. */
const AFTERMATH_MS = 6_000
const DRAIN_TIMEOUT_MS = 60_000
const STATE_TIMEOUT_MS = 15_000
/** Fewer show nothing: a run that hardly sent anything is not passed. */
const ACKNOWLEDGED_MIN = 100
const PUBLISHED_MIN = 10
const UP_MS = 40_000
/** The address is on loopback, which is forbidden otherwise. */
const PUSH_ARGUMENTS = ["--push-allow", "127.0.0.0/8"]

/** Runs a scenario once. Never rejects: what goes wrong is a failure of the result. */
export async function runScenario(scenario: Scenario, options: RunOptions): Promise<ScenarioResult> {
  const startMs = performance.now()
  const folder = mkdtempSync(join(tmpdir(), `opencmq-${scenario.name}-`))
  const run = new Run(scenario, options, folder)
  try {
    await run.go()
  } catch (thrown) {
    run.failures.push(thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown))
  }
  await run.end()
  const judgement = judge(run.history, run.isDrained)
  const failures = [...run.failures, ...failuresOf(judgement, run.faults)]
  const isKept = failures.length > 0 && options.isKept !== false
  if (!isKept) rmSync(folder, { recursive: true, force: true })
  return {
    scenario: scenario.name,
    seed: options.seed,
    judgement,
    faults: run.faults,
    topic: run.topicHistory === undefined ? undefined : tallyTopic(run.topicHistory),
    leaderTerms: run.leaderTerms,
    seconds: (performance.now() - startMs) / 1_000,
    failures,
    folder: isKept ? folder : undefined,
  }
}

class Run {
  readonly history = new History()
  readonly faults: string[] = []
  readonly failures: string[] = []
  leaderTerms = 0
  isDrained = false
  /** Undefined without a topic. */
  topicHistory: TopicHistory | undefined
  readonly #scenario: Scenario
  readonly #options: RunOptions
  readonly #folder: string
  readonly #disks = new Map<number, SmallDisk>()
  readonly #startMs = performance.now()
  #cluster: LocalCluster | undefined
  #monitor: Monitor | undefined
  #workload: Workload | undefined
  #topicLoad: TopicLoad | undefined

  constructor(scenario: Scenario, options: RunOptions, folder: string) {
    this.#scenario = scenario
    this.#options = options
    this.#folder = folder
  }

  async go(): Promise<void> {
    const { hasProxies = false, hasTopic = false, smallDiskBytes } = this.#scenario
    const extraArguments = [...(this.#scenario.extraArguments ?? []), ...(hasTopic ? PUSH_ARGUMENTS : [])]
    const cluster = await LocalCluster.create({ folder: this.#folder, extraArguments, hasProxies })
    this.#cluster = cluster
    if (smallDiskBytes !== undefined) {
      for (const { id, dataDir } of cluster.nodes) this.#disks.set(id, new SmallDisk(dataDir, smallDiskBytes))
    }
    await cluster.startAll(UP_MS)
    await cluster.waitLeader()
    this.#monitor = new Monitor(cluster)
    const workload = new Workload({
      cluster,
      history: this.history,
      queueName: QUEUE,
      visibilitySeconds: VISIBILITY_SECONDS,
      seed: this.#options.seed,
      pauseMs: PAUSE_MS,
      bodyBytesMax: BODY_BYTES_MAX,
    })
    this.#workload = workload
    await workload.start()
    if (hasTopic) await this.#startTopic(cluster)
    await sleep(WARM_UP_MS)
    await this.#injectFaults(cluster)
    await sleep(COOL_DOWN_MS)
    await Promise.all([workload.stopProducing(), this.#topicLoad?.stopPublishing()])
    this.#say("drain")
    await this.#topicLoad?.settle(this.#options.drainMs ?? DRAIN_TIMEOUT_MS)
    const left = await workload.drain(this.#options.drainMs ?? DRAIN_TIMEOUT_MS)
    this.isDrained = true
    if (Object.keys(left).length > 0) this.failures.push(`the queue is not empty: ${JSON.stringify(left)}`)
    const difference = await compareStates(cluster, STATE_TIMEOUT_MS)
    if (difference !== undefined) this.failures.push(`the nodes differ: ${difference}`)
  }

  async end(): Promise<void> {
    try {
      await this.#topicLoad?.stop()
      await this.#workload?.stop()
      await this.#monitor?.stop()
    } catch (thrown) {
      this.failures.push(`the load could not be ended: ${String(thrown)}`)
    }
    for (const thrown of this.#workload?.failures ?? []) {
      this.failures.push(`a client failed: ${thrown instanceof Error ? String(thrown.stack) : String(thrown)}`)
    }
    this.failures.push(...(this.#monitor?.violations ?? []))
    if (this.topicHistory !== undefined) {
      const { acknowledged } = tallyTopic(this.topicHistory)
      if (acknowledged < PUBLISHED_MIN) this.failures.push(`only ${String(acknowledged)} publishes were acknowledged`)
      this.failures.push(...judgeTopic(this.topicHistory))
    }
    this.leaderTerms = this.#monitor?.leaderTerms ?? 0
    for (const { nodeId, exit } of this.#cluster?.unexpectedExits ?? []) {
      const words = this.#cluster?.lastLines(nodeId, 3) ?? ""
      this.failures.push(`node ${String(nodeId)} ended by itself (${String(exit.code ?? exit.signal)}): ${words}`)
    }
    await this.#cluster?.dispose({ keep: true })
    for (const disk of this.#disks.values()) disk.unmount()
  }

  async #startTopic(cluster: LocalCluster): Promise<void> {
    this.#topicLoad = new TopicLoad(cluster)
    this.topicHistory = this.#topicLoad.history
    await this.#topicLoad.start()
  }

  async #injectFaults(cluster: LocalCluster): Promise<void> {
    const random = createRandom(this.#options.seed)
    const untilMs = performance.now() + this.#options.seconds * 1_000
    const context: RoundContext = {
      cluster,
      random,
      disks: this.#disks,
      injected: (text) => {
        this.faults.push(`${this.#seconds()} ${text}`)
        this.#say(text)
      },
      wiped: (nodeId) => {
        this.#monitor?.forget(nodeId)
      },
      broken: (text) => {
        this.failures.push(`${this.#seconds()} ${text}`)
      },
    }
    do {
      const fromMs = nowMs()
      await this.#scenario.round(context)
      await recover(context)
      if (this.#scenario.isGentle !== true) this.history.disturbances.push({ fromMs, toMs: nowMs() + AFTERMATH_MS })
      await sleep(300 + random.nextInt(500))
    } while (performance.now() < untilMs && this.#options.isSingleRound !== true)
  }

  #seconds(): string {
    return `${((performance.now() - this.#startMs) / 1_000).toFixed(1)} s`
  }

  #say(text: string): void {
    this.#options.onProgress?.(`${this.#scenario.name}: ${text}`)
  }
}

function failuresOf(judgement: Judgement, faults: readonly string[]): readonly string[] {
  const failures = Object.entries(judgement.counts)
    .filter(([, count]) => count > 0)
    .map(([kind, count]) => {
      const examples = judgement.examples.filter((example) => example.kind === kind).map(({ text }) => text)
      return `${String(count)} x ${kind}\n${examples.join("\n")}`
    })
  const { acknowledged } = judgement.tally
  if (acknowledged < ACKNOWLEDGED_MIN) failures.push(`only ${String(acknowledged)} messages were acknowledged`)
  if (faults.length === 0) failures.push("no fault was injected")
  return failures
}
