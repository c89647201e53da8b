/** Several test nodes and the messages between them. The test says who is delivered what, and when. */
import { simpleConfiguration } from "../../../src/core/raft/configuration.ts"
import type { RaftFault } from "../../../src/core/raft/faults.ts"
import type { Configuration, Message, NodeId } from "../../../src/core/raft/types.ts"
import { TestNode } from "./test-node.ts"
import type { RaftSettings } from "./test-node.ts"

export interface TestClusterOptions {
  /** Ids from 1; all of them voters unless `configuration` says otherwise. */
  readonly count: number
  readonly configuration?: Configuration
  readonly seed?: number
  readonly settings?: RaftSettings
  readonly faults?: readonly RaftFault[]
}

export class TestCluster {
  readonly nodes = new Map<NodeId, TestNode>()
  /** Sent and not delivered, in the order of sending. */
  network: Message[] = []
  /** Messages that this refuses are lost when they are collected. */
  passes: (message: Message) => boolean = () => true
  private readonly options: TestClusterOptions

  constructor(options: TestClusterOptions) {
    this.options = options
    for (let nodeId = 1; nodeId <= options.count; nodeId++) this.addNode(nodeId)
  }

  addNode(nodeId: NodeId, configuration = this.initialConfiguration()): TestNode {
    const { seed = 1, settings = {}, faults = [] } = this.options
    const node = new TestNode({ nodeId, configuration, seed, settings, faults: new Set(faults) })
    this.nodes.set(nodeId, node)
    return node
  }

  node(nodeId: NodeId): TestNode {
    const node = this.nodes.get(nodeId)
    if (node === undefined) throw new Error(`no node ${nodeId}`)
    return node
  }

  /** Moves what the nodes have sent into the network. What is for a node that is down is lost. */
  collect(): void {
    for (const node of this.nodes.values()) {
      const isLost = (message: Message): boolean => this.nodes.get(message.to)?.isUp !== true || !this.passes(message)
      this.network.push(...node.outbox.filter((message) => !isLost(message)))
      node.outbox = []
    }
  }

  deliver(message: Message): void {
    const node = this.nodes.get(message.to)
    if (node?.isUp === true) node.raft.step(message)
  }

  /** Runs disks and network, in order and without loss, until nothing is left to do. */
  settle(): void {
    for (let round = 0; round < 1000; round++) {
      for (const node of this.nodes.values()) if (node.isUp) node.settle()
      this.collect()
      const messages = this.network
      if (messages.length === 0) return
      this.network = []
      for (const message of messages) this.deliver(message)
    }
    throw new Error("the cluster does not come to rest")
  }

  /** Ticks every node that is up, and lets the cluster come to rest after each tick. */
  run(ticks: number): void {
    for (let tick = 0; tick < ticks; tick++) {
      for (const node of this.nodes.values()) if (node.isUp) node.raft.tick()
      this.settle()
    }
  }

  /** Ticks one node until it leads. */
  elect(nodeId: NodeId): TestNode {
    const node = this.node(nodeId)
    for (let tick = 0; tick < 100 && node.raft.status().role !== "leader"; tick++) {
      node.raft.tick()
      this.settle()
    }
    if (node.raft.status().role !== "leader") throw new Error(`node ${nodeId} was not elected`)
    return node
  }

  /** The leader of the highest term among the nodes that are up. */
  leader(): TestNode | undefined {
    const leaders = [...this.nodes.values()].filter((node) => node.isUp && node.raft.status().role === "leader")
    return leaders.sort((left, right) => right.raft.status().term - left.raft.status().term)[0]
  }

  /** Cuts `nodeIds` off from all others, both ways. */
  isolate(...nodeIds: readonly NodeId[]): void {
    this.passes = (message) => nodeIds.includes(message.from) === nodeIds.includes(message.to)
  }

  heal(): void {
    this.passes = () => true
  }

  private initialConfiguration(): Configuration {
    const all = Array.from({ length: this.options.count }, (_, place) => place + 1)
    return this.options.configuration ?? simpleConfiguration(all)
  }
}

/** Text as the data of a proposal. */
export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** The data of an entry as text. */
export function text(data: Uint8Array): string {
  return new TextDecoder().decode(data)
}
