/**
 * Causes the faults that a seed has drawn, at moments drawn from it, and takes them back when the phase ends.
 *
 * It may do anything that the promise of the broker covers: any number of crashes at once, cuts in any shape. It never
 * takes the disks of a majority away for good, for that is where the promise ends.
 */
import type { Random } from "../../src/core/random.ts"
import type { FaultClass } from "./swarm.ts"
import { HEALTHY_DISK } from "./sim-disk.ts"
import type { PowerCutMode } from "./sim-disk.ts"
import { QUIET_NETWORK } from "./sim-network.ts"
import type { SimCluster, SimNode } from "./sim-cluster.ts"
import { between, chance, exponential, pick, shuffled } from "./world.ts"

const PARTITION_SHAPES = [
  "halves",
  "isolate",
  "isolateLeader",
  "ring",
  "oneWay",
  "oneWayFromLeader",
  "flapping",
] as const

export class Nemesis {
  readonly #cluster: SimCluster
  readonly #random: Random
  #isActive = false
  #faultCount = 0

  constructor(cluster: SimCluster) {
    this.#cluster = cluster
    this.#random = cluster.world.fork("nemesis")
  }

  get faultCount(): number {
    return this.#faultCount
  }

  /** Begins to cause faults. */
  begin(): void {
    this.#isActive = true
    const { swarm, network } = this.#cluster
    network.settings = swarm.network
    for (const fault of swarm.faults) this.#scheduleNext(fault)
    if (swarm.faults.has("clocks")) for (const node of this.#cluster.nodes) this.#skew(node)
  }

  /** No more faults: everything heals, except that nothing is started that is down. */
  end(): void {
    this.#isActive = false
    const { network, nodes } = this.#cluster
    network.settings = { ...QUIET_NETWORK }
    network.healAll()
    for (const node of nodes) {
      node.disk.settings = HEALTHY_DISK
      node.disk.capacityBytes = Number.POSITIVE_INFINITY
      node.process.resume()
    }
  }

  #scheduleNext(fault: FaultClass): void {
    const { world, swarm } = this.#cluster
    world.after(exponential(this.#random, swarm.faultEveryMs * RARITY[fault]), () => {
      if (!this.#isActive) return
      this.#cause(fault)
      this.#scheduleNext(fault)
    })
  }

  #cause(fault: FaultClass): void {
    this.#faultCount++
    switch (fault) {
      case "partitions":
        this.#partition()
        return
      case "kills":
        this.#crashOne("kill")
        return
      case "powerCuts":
        this.#crashOne("powerCut")
        return
      case "killAll":
        this.#crashAll()
        return
      case "pauses":
        this.#cluster.pause(
          this.#victim(),
          chance(this.#random, 0.3) ? between(this.#random, 1000, 8000) : between(this.#random, 20, 1000),
        )
        return
      case "syncErrors":
        this.#failSyncs()
        return
      case "fullDisk":
        this.#fillDisk()
        return
      case "clocks":
        this.#skew(pick(this.#random, this.#cluster.nodes))
        return
      case "gracefulStops":
        this.#stopOne()
        return
      case "network":
        this.#cluster.network.reset(pick(this.#random, this.#cluster.nodes).nodeId, this.#victim().nodeId)
        return
      case "slowDisk":
      case "clientDeaths":
        return
    }
  }

  // ------------------------------------------------------------------------------------------ processes

  #victim(): SimNode {
    const { nodes } = this.#cluster
    const leader = this.#cluster.leader()
    return leader !== undefined && chance(this.#random, 0.5) ? leader : pick(this.#random, nodes)
  }

  #crashOne(kind: "kill" | "powerCut"): void {
    this.#crash(this.#victim(), kind)
    if (chance(this.#random, 0.15)) this.#crash(pick(this.#random, this.#cluster.nodes), kind)
  }

  #crash(node: SimNode, kind: "kill" | "powerCut"): void {
    const mode: PowerCutMode = pick(this.#random, ["nothing", "some", "some", "everything"])
    this.#cluster.crash(node, kind, mode)
    this.#startLater(
      node,
      chance(this.#random, 0.2) ? between(this.#random, 10_000, 40_000) : between(this.#random, 50, 4000),
    )
  }

  #crashAll(): void {
    this.#cluster.world.marks.hit("process: all crashed at once")
    const kind = this.#cluster.swarm.faults.has("powerCuts") && chance(this.#random, 0.5) ? "powerCut" : "kill"
    for (const node of this.#cluster.nodes) this.#crash(node, kind)
  }

  #stopOne(): void {
    const node = this.#victim()
    this.#cluster.stop(node, () => {
      this.#startLater(node, between(this.#random, 100, 3000))
    })
  }

  #startLater(node: SimNode, delayMs: number): void {
    this.#cluster.world.after(delayMs, () => {
      if (!node.isHeldDown) this.#cluster.start(node)
    })
  }

  // ------------------------------------------------------------------------------------------ network

  #partition(): void {
    const { world, network, nodes } = this.#cluster
    const shape = pick(this.#random, PARTITION_SHAPES)
    const durationMs = chance(this.#random, 0.3)
      ? between(this.#random, 5000, 20_000)
      : between(this.#random, 200, 5000)
    world.marks.hit(`partition: ${shape}`)
    world.note(() => `partition ${shape} for ${durationMs.toFixed(0)} ms`)
    const order = shuffled(this.#random, nodes)
    const leader = this.#cluster.leader() ?? order[0]
    const cut = (from: SimNode | undefined, to: SimNode | undefined): void => {
      if (from !== undefined && to !== undefined && from !== to) network.setBlocked(from.nodeId, to.nodeId, true)
    }
    const isolate = (alone: SimNode | undefined, both = true): void => {
      for (const other of nodes) {
        cut(alone, other)
        if (both) cut(other, alone)
      }
    }
    switch (shape) {
      case "halves":
        for (const [i, a] of order.entries()) for (const [j, b] of order.entries()) if (i % 2 !== j % 2) cut(a, b)
        break
      case "isolate":
        isolate(order[0])
        break
      case "isolateLeader":
        isolate(leader)
        break
      case "ring":
        // Each node sees its neighbours only: with three nodes one pair is cut.
        for (const [i, a] of order.entries()) {
          for (const [j, b] of order.entries()) {
            const distance = Math.min((i - j + order.length) % order.length, (j - i + order.length) % order.length)
            if (distance > 1 || (order.length === 3 && i + j === 1)) cut(a, b)
          }
        }
        break
      case "oneWay":
        cut(order[0], order[1])
        break
      case "oneWayFromLeader":
        isolate(leader, false)
        break
      case "flapping":
        this.#flap(order[0], order[1], world.nowMs + durationMs)
        return
    }
    world.after(durationMs, () => {
      if (this.#isActive) network.healAll()
    })
  }

  #flap(a: SimNode | undefined, b: SimNode | undefined, untilMs: number): void {
    const { world, network } = this.#cluster
    if (a === undefined || b === undefined) return
    let isCut = false
    const flip = (): void => {
      if (!this.#isActive) return
      const isOver = world.nowMs >= untilMs
      isCut = !isCut && !isOver
      network.setBlocked(a.nodeId, b.nodeId, isCut)
      network.setBlocked(b.nodeId, a.nodeId, isCut)
      if (!isOver) world.after(200, flip)
    }
    flip()
  }

  // ------------------------------------------------------------------------------------------ disks and clocks

  #failSyncs(): void {
    const { world, swarm } = this.#cluster
    const node = this.#victim()
    node.disk.settings = { ...swarm.disk, syncError: 0.5, shortWrite: chance(this.#random, 0.3) ? 0.2 : 0 }
    world.after(between(this.#random, 100, 2000), () => {
      node.disk.settings = this.#isActive ? swarm.disk : HEALTHY_DISK
    })
  }

  #fillDisk(): void {
    const { world } = this.#cluster
    const node = this.#victim()
    if (node.process.state === "down") return
    world.note(() => `n${String(node.nodeId)} disk nearly full`)
    node.disk.capacityBytes = node.disk.usedBytes() + this.#random.nextInt(64 << 10)
    world.after(between(this.#random, 1000, 20_000), () => {
      node.disk.capacityBytes = Number.POSITIVE_INFINITY
    })
  }

  #skew(node: SimNode): void {
    const { clock } = node
    this.#cluster.world.marks.hit("clock: skewed")
    if (chance(this.#random, 0.6)) clock.setRate(pick(this.#random, [0.5, 0.9, 0.999, 1, 1.001, 1.1, 2]))
    if (chance(this.#random, 0.6)) clock.setWallOffset(between(this.#random, -3_600_000, 3_600_000))
    this.#cluster.world.note(
      () => `n${String(node.nodeId)} clock rate ${String(clock.rate)} offset ${clock.wallOffsetMs.toFixed(0)} ms`,
    )
  }
}

/** How much rarer than `faultEveryMs`. */
const RARITY: Readonly<Record<FaultClass, number>> = {
  network: 2,
  partitions: 1.5,
  kills: 1,
  powerCuts: 1,
  killAll: 4,
  pauses: 1,
  syncErrors: 2,
  slowDisk: 1000,
  fullDisk: 2,
  clocks: 2,
  gracefulStops: 2,
  clientDeaths: 1000,
}
