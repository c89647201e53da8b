/**
 * Watches the nodes from outside during a run: who says that it leads, in which term, and how far everybody is.
 * Two leaders of one term, a term or (while a process lives) an applied index that goes back are broken promises.
 */
import { setTimeout as sleep } from "node:timers/promises"
import type { ClusterView, LocalCluster } from "@opencmq/bench/harness"

const POLL_MS = 250

export class Monitor {
  /** Empty when nothing was wrong. */
  readonly violations: string[] = []
  /** Terms in which somebody was seen to lead. */
  readonly #leaders = new Map<number, number>()
  readonly #last = new Map<number, { readonly pid: number; readonly view: ClusterView }>()
  readonly #cluster: LocalCluster
  #isRunning = true
  readonly #running: Promise<void>

  constructor(cluster: LocalCluster) {
    this.#cluster = cluster
    this.#running = this.#watch()
  }

  get leaderTerms(): number {
    return this.#leaders.size
  }

  /** The node begins again from nothing: what it said before does not bind it. */
  forget(nodeId: number): void {
    this.#last.delete(nodeId)
  }

  async stop(): Promise<void> {
    this.#isRunning = false
    await this.#running
  }

  async #watch(): Promise<void> {
    while (this.#isRunning) {
      await Promise.all(this.#cluster.nodes.map(({ id }) => this.#look(id)))
      await sleep(POLL_MS)
    }
  }

  async #look(nodeId: number): Promise<void> {
    const pid = this.#cluster.pidOf(nodeId)
    if (pid === undefined) return
    const view = await this.#cluster.status(nodeId)
    // A node that was restarted meanwhile answered as somebody else.
    if (view === undefined || this.#cluster.pidOf(nodeId) !== pid) return
    if (view.nodeId !== nodeId) this.violations.push(`node ${String(nodeId)} says that it is ${String(view.nodeId)}`)
    if (view.leaderId === nodeId) this.#sawLeader(view)
    const last = this.#last.get(nodeId)
    this.#last.set(nodeId, { pid, view })
    if (last === undefined) return
    if (view.term < last.view.term) {
      this.violations.push(
        `the term of node ${String(nodeId)} went from ${String(last.view.term)} to ${String(view.term)}`,
      )
    }
    if (last.pid === pid && view.appliedIndex < last.view.appliedIndex) {
      this.violations.push(
        `node ${String(nodeId)} applied ${String(last.view.appliedIndex)}, then ${String(view.appliedIndex)}`,
      )
    }
  }

  #sawLeader({ term, nodeId }: ClusterView): void {
    const before = this.#leaders.get(term)
    if (before !== undefined && before !== nodeId) {
      this.violations.push(`nodes ${String(before)} and ${String(nodeId)} both lead in term ${String(term)}`)
    }
    this.#leaders.set(term, nodeId)
  }
}

/** Waits until all nodes have applied the same entries. @returns what differs, undefined when nothing does. */
export async function compareStates(cluster: LocalCluster, timeoutMs: number): Promise<string | undefined> {
  const untilMs = performance.now() + timeoutMs
  let difference = "no node answered"
  while (performance.now() < untilMs) {
    const views = await Promise.all(cluster.nodes.map(({ id }) => cluster.status(id)))
    const known = views.filter((view) => view !== undefined)
    const indexes = new Set(known.map(({ appliedIndex }) => appliedIndex))
    const hashes = new Set(known.map(({ stateHash }) => stateHash))
    difference = known
      .map(({ nodeId, appliedIndex, stateHash }) => `node ${String(nodeId)}: ${stateHash} at ${String(appliedIndex)}`)
      .join("; ")
    const areComparable = known.length === cluster.nodes.length && indexes.size === 1
    if (areComparable && hashes.size === 1 && !hashes.has("")) return undefined
    await sleep(POLL_MS)
  }
  return difference
}
