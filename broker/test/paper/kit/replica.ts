/** One replica under a microscope: a node with a prepared disk, and messages written by hand. */
import { simpleConfiguration } from "../../../src/core/raft/configuration.ts"
import { encodeConfiguration } from "../../../src/core/raft/configuration-codec.ts"
import type { RaftFault } from "../../../src/core/raft/faults.ts"
import type { RaftStatus } from "../../../src/core/raft/status.ts"
import type {
  AppendEntries,
  AppendEntriesReply,
  Configuration,
  Entry,
  Heartbeat,
  HeartbeatReply,
  InstallSnapshot,
  LogIndex,
  Message,
  NodeId,
  RequestVote,
  RequestVoteReply,
  Term,
  TimeoutNow,
} from "../../../src/core/raft/types.ts"
import { bytes } from "./test-cluster.ts"
import { TestNode } from "./test-node.ts"
import type { RaftSettings } from "./test-node.ts"

export interface ReplicaOptions {
  readonly voters?: readonly NodeId[]
  readonly configuration?: Configuration
  /** Current term on disk; by default that of the last entry. */
  readonly term?: Term
  readonly votedFor?: NodeId
  /** Terms of the entries on disk, from index 1. */
  readonly log?: readonly Term[]
  readonly commitIndex?: LogIndex
  readonly settings?: RaftSettings
  readonly faults?: readonly RaftFault[]
  readonly mayVote?: boolean
  readonly seed?: number
}

/** A command whose data tells where it is from. */
export function entry(index: LogIndex, term: Term): Entry {
  return { index, term, kind: "commands", data: bytes(`${index}@${term}`) }
}

export function configurationEntry(index: LogIndex, term: Term, configuration: Configuration): Entry {
  return { index, term, kind: "configuration", data: encodeConfiguration(configuration) }
}

/** Entries of the given terms behind `prevIndex`. */
export function entriesAfter(prevIndex: LogIndex, terms: readonly Term[]): Entry[] {
  return terms.map((term, place) => entry(prevIndex + 1 + place, term))
}

/** Node 1, restarted on the disk that `options` describe. */
export class Replica extends TestNode {
  constructor(options: ReplicaOptions = {}) {
    const configuration = options.configuration ?? simpleConfiguration(options.voters ?? [1, 2, 3])
    super({
      nodeId: 1,
      configuration,
      seed: options.seed ?? 1,
      settings: options.settings ?? {},
      faults: new Set(options.faults ?? []),
    })
    const log = options.log ?? []
    this.disk.entries = entriesAfter(0, log)
    this.disk.hardState = {
      currentTerm: options.term ?? log.at(-1) ?? 0,
      votedFor: options.votedFor ?? 0,
      commitIndex: options.commitIndex ?? 0,
    }
    this.mayVote = options.mayVote ?? true
    this.restart()
  }

  get status(): RaftStatus {
    return this.raft.status()
  }

  /** Steps messages in; what it sends comes when the disk has done its work. */
  receive(...messages: readonly Message[]): readonly Message[] {
    for (const message of messages) this.raft.step(message)
    return this.sent()
  }

  /** Lets the disk do everything, and returns what was sent. */
  sent(): readonly Message[] {
    this.settle()
    const messages = this.outbox
    this.outbox = []
    return messages
  }

  /** What may leave before the disk has done anything. */
  sentAtOnce(): readonly Message[] {
    while (this.process() !== undefined);
    const messages = this.outbox
    this.outbox = []
    return messages
  }

  ticks(count: number): readonly Message[] {
    for (let tick = 0; tick < count; tick++) this.raft.tick()
    return this.sent()
  }

  /** Ticks until it campaigns. */
  timeOut(): readonly Message[] {
    return this.ticks(this.status.electionTimeout - 0)
  }

  /** Makes it leader of the next term by the votes of its peers. Its first entry is not yet committed. */
  lead(): this {
    this.timeOut()
    const { term } = this.status
    const peers = this.raft.status().configuration.voters.filter((voter) => voter !== 1)
    for (const preVote of [true, false]) {
      for (const from of peers) {
        this.raft.step(voteReply({ from, term: term + 1, preVote, voteGranted: true }))
        this.settle()
      }
    }
    if (this.status.role !== "leader") throw new Error("the replica was not elected")
    this.outbox = []
    return this
  }

  /** `peer` acknowledges everything there is. */
  acknowledgedBy(...peers: readonly NodeId[]): readonly Message[] {
    const { term, lastIndex } = this.status
    return this.receive(...peers.map((from) => appendReply({ from, term, index: lastIndex })))
  }

  /** Node `from` answers the newest heartbeat. */
  heartbeatAnsweredBy(from: NodeId, readRound = 0): readonly Message[] {
    return this.receive({ kind: "heartbeatReply", from, to: 1, term: this.status.term, readRound })
  }
}

type Part<M> = Partial<Omit<M, "kind">>

export function voteRequest(part: Part<RequestVote>): RequestVote {
  return {
    kind: "requestVote",
    from: 2,
    to: 1,
    term: 1,
    preVote: false,
    leadershipTransfer: false,
    lastLogIndex: 0,
    lastLogTerm: 0,
    ...part,
  }
}

export function voteReply(part: Part<RequestVoteReply>): RequestVoteReply {
  return { kind: "requestVoteReply", from: 2, to: 1, term: 1, preVote: false, voteGranted: true, ...part }
}

export function append(part: Part<AppendEntries>): AppendEntries {
  return {
    kind: "appendEntries",
    from: 2,
    to: 1,
    term: 1,
    prevLogIndex: 0,
    prevLogTerm: 0,
    entries: [],
    leaderCommit: 0,
    ...part,
  }
}

export function appendReply(part: Part<AppendEntriesReply>): AppendEntriesReply {
  return {
    kind: "appendEntriesReply",
    from: 2,
    to: 1,
    term: 1,
    success: true,
    index: 0,
    hintIndex: 0,
    hintTerm: 0,
    ...part,
  }
}

export function heartbeat(part: Part<Heartbeat>): Heartbeat {
  return { kind: "heartbeat", from: 2, to: 1, term: 1, leaderCommit: 0, readRound: 0, ...part }
}

export function heartbeatReply(part: Part<HeartbeatReply>): HeartbeatReply {
  return { kind: "heartbeatReply", from: 2, to: 1, term: 1, readRound: 0, ...part }
}

export function timeoutNow(part: Part<TimeoutNow>): TimeoutNow {
  return { kind: "timeoutNow", from: 2, to: 1, term: 1, ...part }
}

export function install(
  lastIncludedIndex: LogIndex,
  lastIncludedTerm: Term,
  part: Part<InstallSnapshot> = {},
): InstallSnapshot {
  const snapshot = { lastIncludedIndex, lastIncludedTerm, configuration: simpleConfiguration([1, 2, 3]) }
  return { kind: "installSnapshot", from: 2, to: 1, term: lastIncludedTerm, snapshot, ...part }
}
