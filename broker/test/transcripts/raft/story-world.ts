/**
 * The world of the Raft transcripts: carries out commands against real replicas and prints what happened.
 *
 *     add-nodes 3 [voters=(1,2)] [learners=(3)] [setting=n]   restart/crash n [surviving=k]   add-node n   wipe n
 *     tick n [k]        campaign n         propose n "x" ["y"]    configure n addVoter=4 remove=2     read n context
 *     transfer n to=m   unreachable n peer=m   compact n index=i   snapshot-sent n peer=m [failed]    reset-peer n peer=m
 *     process-ready n   persist n [k]      serve-fetch n          deliver-msgs n… [drop=(m)] [from=(m)]
 *     append n from=m term=t prev=i@t entries=(t,t) commit=i     (a message written by hand)
 *     request-vote n from=m term=t last=i@t [preVote] [transfer]     install n from=m last=i@t
 *     stabilize [n…] [quiet]   isolate n…   heal   status [n…]    log n…      load n terms=(1,1,2) [term=3] [commit=1]
 */
import { EMPTY_CONFIGURATION, simpleConfiguration } from "../../../src/core/raft/configuration.ts"
import type { ConfigurationChange, NodeId } from "../../../src/core/raft/types.ts"
import { Invariants } from "../../paper/kit/invariants.ts"
import { append, entriesAfter, install, voteRequest } from "../../paper/kit/replica.ts"
import { bytes, TestCluster } from "../../paper/kit/test-cluster.ts"
import type { TestNode } from "../../paper/kit/test-node.ts"
import { printEntry, printMessage, printReady, printStatus, printTask } from "./print.ts"

interface Arguments {
  readonly ids: readonly number[]
  readonly words: readonly string[]
  readonly texts: readonly string[]
  readonly options: ReadonlyMap<string, readonly string[]>
}

type Command = (world: StoryWorld, args: Arguments) => readonly string[]

const MAX_ROUNDS = 500

export class StoryWorld {
  private clusterNow: TestCluster | undefined
  private invariantsNow: Invariants | undefined

  run(command: string): readonly string[] {
    const [name = ""] = command.split(" ", 1)
    const action = COMMANDS[name]
    if (action === undefined) throw new Error(`unknown command: ${command}`)
    return action(this, parseArguments(command.slice(name.length)))
  }

  get cluster(): TestCluster {
    if (this.clusterNow === undefined) throw new Error("a story begins with add-nodes")
    return this.clusterNow
  }

  begin(args: Arguments): void {
    const [count = 0] = args.ids
    const voters = args.options.get("voters")?.map(Number) ?? Array.from({ length: count }, (_, place) => place + 1)
    const learners = args.options.get("learners")?.map(Number) ?? []
    const settings: Record<string, number> = {}
    for (const [name, [value = ""]] of args.options) {
      if (name !== "voters" && name !== "learners") settings[name] = Number(value)
    }
    const configuration = simpleConfiguration(voters, learners)
    this.clusterNow = new TestCluster({ count, configuration, settings })
    this.invariantsNow = new Invariants(this.clusterNow)
  }

  node(args: Arguments): TestNode {
    return this.cluster.node(args.ids[0] ?? 0)
  }

  nodes(args: Arguments): readonly TestNode[] {
    const ids = args.ids.length > 0 ? args.ids : [...this.cluster.nodes.keys()]
    return ids.map((nodeId) => this.cluster.node(nodeId)).filter((node) => node.isUp)
  }

  process(node: TestNode): readonly string[] {
    const ready = node.process()
    this.invariantsNow?.check(node)
    this.collect(node)
    return ready === undefined ? [] : printReady(ready)
  }

  persist(node: TestNode): readonly string[] {
    const task = node.persist()
    if (task === undefined) return []
    const lines = [printTask(task), ...node.outbox.map((message) => `  sent ${printMessage(message)}`)]
    this.collect(node)
    return lines
  }

  deliver(nodeId: NodeId, args: Arguments): readonly string[] {
    const from = args.options.get("from")?.map(Number)
    const dropped = args.options.get("drop")?.map(Number) ?? []
    const mine = this.cluster.network.filter((each) => each.to === nodeId && (from?.includes(each.from) ?? true))
    this.cluster.network = this.cluster.network.filter((message) => !mine.includes(message))
    return mine.map((message) => {
      const isLost = dropped.includes(message.from) || !this.cluster.node(nodeId).isUp
      if (!isLost) this.cluster.deliver(message)
      return `${printMessage(message)}${isLost ? " LOST" : ""}`
    })
  }

  forget(nodeId: NodeId): void {
    this.invariantsNow?.forget(nodeId)
  }

  private collect(node: TestNode): void {
    for (const message of node.outbox) this.invariantsNow?.checkSent(node, message)
    this.cluster.collect()
  }
}

const COMMANDS: Readonly<Record<string, Command>> = {
  "add-nodes": (world, args) => {
    world.begin(args)
    return ok()
  },
  "add-node": (world, args) => {
    world.cluster.addNode(args.ids[0] ?? 0, EMPTY_CONFIGURATION)
    return ok()
  },
  load: (world, args) => {
    const node = world.node(args)
    const terms = args.options.get("terms")?.map(Number)
    if (terms !== undefined) node.disk.entries = entriesAfter(0, terms)
    const currentTerm = numberOption(args, "term", terms?.at(-1) ?? 0)
    node.disk.hardState = { currentTerm, votedFor: 0, commitIndex: numberOption(args, "commit", 0) }
    node.restart()
    return ok()
  },
  append: (world, args) => {
    const [prevLogIndex = 0, prevLogTerm = 0] = (args.options.get("prev")?.[0] ?? "0@0").split("@").map(Number)
    const terms = args.options.get("entries")?.map(Number) ?? []
    world.node(args).raft.step(
      append({
        from: numberOption(args, "from", 0),
        to: args.ids[0] ?? 0,
        term: numberOption(args, "term", 0),
        prevLogIndex,
        prevLogTerm,
        entries: entriesAfter(prevLogIndex, terms),
        leaderCommit: numberOption(args, "commit", 0),
      }),
    )
    return ok()
  },
  "request-vote": (world, args) => {
    const [lastLogIndex = 0, lastLogTerm = 0] = (args.options.get("last")?.[0] ?? "0@0").split("@").map(Number)
    world.node(args).raft.step(
      voteRequest({
        from: numberOption(args, "from", 0),
        to: args.ids[0] ?? 0,
        term: numberOption(args, "term", 0),
        lastLogIndex,
        lastLogTerm,
        preVote: args.words.includes("preVote"),
        leadershipTransfer: args.words.includes("transfer"),
      }),
    )
    return ok()
  },
  install: (world, args) => {
    const [index = 0, term = 0] = (args.options.get("last")?.[0] ?? "0@0").split("@").map(Number)
    world.node(args).raft.step(install(index, term, { from: numberOption(args, "from", 0), to: args.ids[0] ?? 0 }))
    return ok()
  },
  tick: (world, args) => {
    for (let tick = 0; tick < (args.ids[1] ?? 1); tick++) world.node(args).raft.tick()
    return [world.node(args).raft.status().role]
  },
  campaign: (world, args) => {
    const { raft } = world.node(args)
    for (let tick = 0; tick < 100 && raft.status().role === "follower"; tick++) raft.tick()
    return [raft.status().role]
  },
  propose: (world, args) => {
    const result = world.node(args).raft.propose(args.texts.map(bytes))
    return [result.ok ? `ok ${result.firstIndex}@${result.term}` : `${result.refusal} leader=${result.leaderId}`]
  },
  configure: (world, args) => {
    const changes: ConfigurationChange[] = []
    for (const [kind, values] of args.options) {
      const changeKind = kind as ConfigurationChange["kind"]
      changes.push(...values.map((value) => ({ kind: changeKind, nodeId: Number(value) })))
    }
    const result = world.node(args).raft.proposeConfiguration(changes)
    return [result.ok ? `ok ${result.index}@${result.term}` : result.refusal]
  },
  read: (world, args) => [world.node(args).raft.readIndex(args.ids[1] ?? 0) ? "ok" : "notLeader"],
  transfer: (world, args) => [world.node(args).raft.transferLeadership(numberOption(args, "to", 0)) ? "ok" : "refused"],
  unreachable: (world, args) => {
    world.node(args).raft.peerUnreachable(numberOption(args, "peer", 0))
    return ok()
  },
  "reset-peer": (world, args) => {
    world.node(args).raft.peerReset(numberOption(args, "peer", 0))
    return ok()
  },
  compact: (world, args) => {
    world.node(args).compact(numberOption(args, "index", 0))
    return ok()
  },
  "snapshot-sent": (world, args) => {
    world.node(args).raft.snapshotSent(numberOption(args, "peer", 0), !args.words.includes("failed"))
    return ok()
  },
  "process-ready": (world, args) => orNothing(world.process(world.node(args))),
  persist: (world, args) => {
    const lines: string[] = []
    for (let count = 0; count < (args.ids[1] ?? 1); count++) lines.push(...world.persist(world.node(args)))
    return orNothing(lines)
  },
  "serve-fetch": (world, args) => [world.node(args).serveFetch() ? "ok" : "nothing"],
  "deliver-msgs": (world, args) => orNothing(args.ids.flatMap((nodeId) => world.deliver(nodeId, args))),
  stabilize,
  isolate: (world, args) => {
    world.cluster.isolate(...args.ids)
    return ok()
  },
  heal: (world) => {
    world.cluster.heal()
    return ok()
  },
  crash: (world, args) => {
    const node = world.node(args)
    node.crash(numberOption(args, "surviving", 0))
    world.forget(node.nodeId)
    // What was under way to it is lost with its connections.
    world.cluster.network = world.cluster.network.filter((message) => message.to !== node.nodeId)
    return ok()
  },
  restart: (world, args) => {
    world.node(args).restart()
    return ok()
  },
  status: (world, args) => world.nodes(args).flatMap((node) => printStatus(node.raft.status())),
  log: (world, args) =>
    world.nodes(args).map((node) => {
      const { lastIncludedIndex, lastIncludedTerm } = node.disk.snapshot
      const base = lastIncludedIndex > 0 ? `snapshot up to ${lastIncludedIndex}@${lastIncludedTerm}; ` : ""
      return `${node.nodeId}: ${base}${node.disk.entries.map(printEntry).join(", ")}`
    }),
}

/** Everybody does everything, in the order of ids: Ready, disk, fetches, network; until nothing is left. */
function stabilize(world: StoryWorld, args: Arguments): readonly string[] {
  const lines: string[] = []
  const note = (nodeId: NodeId, added: readonly string[]): void => {
    if (added.length > 0) lines.push(`node ${nodeId}`, ...added.map((line) => `  ${line}`))
  }
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const before = lines.length
    for (const node of world.nodes(args)) {
      note(node.nodeId, world.process(node))
      note(node.nodeId, world.persist(node))
      if (node.serveFetch()) note(node.nodeId, ["fetched"])
    }
    for (const node of world.nodes(args)) note(node.nodeId, prefixed("receive ", world.deliver(node.nodeId, args)))
    if (lines.length === before) return args.words.includes("quiet") ? ok() : orNothing(lines)
  }
  throw new Error("the story does not come to rest")
}

function prefixed(prefix: string, lines: readonly string[]): readonly string[] {
  return lines.map((line) => `${prefix}${line}`)
}

function ok(): readonly string[] {
  return ["ok"]
}

function orNothing(lines: readonly string[]): readonly string[] {
  return lines.length > 0 ? lines : ["nothing"]
}

function numberOption(args: Arguments, name: string, fallback: number): number {
  const [value] = args.options.get(name) ?? []
  return value === undefined ? fallback : Number(value)
}

function parseArguments(source: string): Arguments {
  const ids: number[] = []
  const words: string[] = []
  const texts: string[] = []
  const options = new Map<string, readonly string[]>()
  for (const [part] of source.matchAll(/"[^"]*"|\w+=\([^)]*\)|\S+/g)) {
    const [name = "", value] = part.split("=", 2)
    if (part.startsWith('"')) texts.push(part.slice(1, -1))
    else if (value !== undefined) options.set(name, value.replaceAll(/[()]/g, "").split(/[ ,]+/))
    else if (/^\d+$/.test(part)) ids.push(Number(part))
    else words.push(part)
  }
  return { ids, words, texts, options }
}
