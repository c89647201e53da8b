/**
 * What must hold in a cluster at every moment, checked from outside (Raft figure 3 and reliability.md section 3).
 *
 * The history of committed entries is kept here, not in the nodes: what was committed once is committed for all time.
 */
import { decodeConfiguration } from "../../../src/core/raft/configuration-codec.ts"
import { sameConfiguration } from "../../../src/core/raft/configuration.ts"
import { majorityOf } from "../../../src/core/raft/quorum.ts"
import type { RaftStatus } from "../../../src/core/raft/status.ts"
import type { Configuration, Entry, LogIndex, Message, NodeId, Term } from "../../../src/core/raft/types.ts"
import type { TestCluster } from "./test-cluster.ts"
import { text } from "./test-cluster.ts"
import type { TestNode } from "./test-node.ts"

/** A rule of Raft was broken. */
export class InvariantBroken extends Error {
  override readonly name = "InvariantBroken"
}

interface CommittedEntry {
  readonly fingerprint: string
  readonly entryTerm: Term
  /** Term of the node that was first seen to know that it is committed. */
  readonly seenInTerm: Term
}

interface Seen {
  term: Term
  commitIndex: LogIndex
}

export class Invariants {
  readonly history = new Map<LogIndex, CommittedEntry>()
  lastCommitted: LogIndex = 0
  /** A node lost its disk: commits can no longer be checked against the disks. */
  hasWipedNode = false
  private readonly cluster: TestCluster
  private readonly leaderOfTerm = new Map<Term, NodeId>()
  private readonly leaderLogs = new Map<Term, string[]>()
  private readonly matches = new Map<string, LogIndex>()
  private readonly seen = new Map<NodeId, Seen>()

  constructor(cluster: TestCluster) {
    this.cluster = cluster
  }

  /** A node restarted: its volatile marks may be lower than before. */
  forget(nodeId: NodeId): void {
    this.seen.delete(nodeId)
  }

  /** To be called when `node` has handed everything out (after `process`), and after each of its writes. */
  check(node: TestNode): void {
    const status = node.raft.status()
    this.checkMonotonic(node, status)
    this.checkCommitted(node, status)
    if (status.role === "leader") this.checkLeader(node, status)
    this.checkConfiguration(node, status)
  }

  /** No message leaves before what it promises is on the sender's disk (pitfall 2). */
  checkSent(node: TestNode, message: Message): void {
    const { hardState, lastIndex } = node.disk
    if (message.kind === "requestVoteReply" && message.voteGranted && !message.preVote) {
      const isDurable = hardState.currentTerm === message.term && hardState.votedFor === message.to
      must(isDurable || hardState.currentTerm > message.term, `vote of ${node.nodeId} left before it was durable`)
    }
    if (message.kind === "requestVote" && !message.preVote) {
      must(hardState.currentTerm >= message.term, `candidate ${node.nodeId} asks in a term that is not durable`)
    }
    if (message.kind === "appendEntriesReply" && message.success && hardState.currentTerm === message.term) {
      must(lastIndex >= message.index, `node ${node.nodeId} acknowledges ${message.index}, has ${lastIndex}`)
    }
  }

  /** Log Matching: two logs with the same term at an index are equal up to there. O(nodes² · entries). */
  checkLogMatching(): void {
    const nodes = [...this.cluster.nodes.values()]
    for (const left of nodes) {
      for (const right of nodes) {
        if (left.nodeId < right.nodeId) checkPair(left, right)
      }
    }
  }

  private checkMonotonic(node: TestNode, status: RaftStatus): void {
    const before = this.seen.get(node.nodeId)
    if (before !== undefined) {
      must(status.term >= before.term, `term of ${node.nodeId} fell`)
      must(status.commitIndex >= before.commitIndex, `commit index of ${node.nodeId} fell`)
    }
    must(status.appliedIndex <= status.commitIndex, `node ${node.nodeId} applied what is not committed`)
    must(status.commitIndex <= status.lastIndex, `node ${node.nodeId} committed what it does not have`)
    must(status.baseIndex <= status.appliedIndex, `node ${node.nodeId} compacted what it has not applied`)
    this.seen.set(node.nodeId, { term: status.term, commitIndex: before?.commitIndex ?? status.baseIndex })
  }

  private checkCommitted(node: TestNode, status: RaftStatus): void {
    const seen = this.seen.get(node.nodeId)
    if (seen === undefined) return
    for (let index = seen.commitIndex + 1; index <= status.commitIndex; index++) {
      const entry = node.handedOut.get(index)
      // Below a snapshot that was just installed.
      if (entry === undefined) continue
      const known = this.history.get(index)
      if (known === undefined) this.recordCommit(entry, status)
      else must(known.fingerprint === fingerprint(entry), `entry ${index} of ${node.nodeId} is not the committed one`)
    }
    seen.commitIndex = status.commitIndex
  }

  private recordCommit(entry: Entry, status: RaftStatus): void {
    const seenInTerm = status.term
    this.history.set(entry.index, { fingerprint: fingerprint(entry), entryTerm: entry.term, seenInTerm })
    this.lastCommitted = Math.max(this.lastCommitted, entry.index)
    if (this.hasWipedNode || status.role !== "leader") return
    // It may have been committed just before the present configuration was appended.
    const configurations = [status.configuration, this.configurationBefore(status)]
    const isDurable = configurations.some((configuration) => this.isDurableOnQuorum(configuration, entry))
    must(isDurable, `entry ${entry.index} is committed but not durable on a quorum`)
  }

  private configurationBefore(status: RaftStatus): Configuration {
    const node = this.cluster.node(status.nodeId)
    for (let index = status.configurationIndex - 1; index > status.baseIndex; index--) {
      const entry = node.handedOut.get(index)
      if (entry?.kind === "configuration") return decodeConfiguration(entry.data)
    }
    return node.disk.snapshot.configuration
  }

  private isDurableOnQuorum(configuration: Configuration, entry: Entry): boolean {
    return [configuration.voters, configuration.votersOutgoing].every((voters) => {
      const holders = voters.filter((voter) => this.isDurableOn(voter, entry))
      return voters.length === 0 || holders.length >= majorityOf(voters.length)
    })
  }

  private isDurableOn(nodeId: NodeId, entry: Entry): boolean {
    const disk = this.cluster.nodes.get(nodeId)?.disk
    if (disk === undefined) return false
    return disk.snapshot.lastIncludedIndex >= entry.index || disk.entryAt(entry.index)?.term === entry.term
  }

  private checkLeader(node: TestNode, status: RaftStatus): void {
    const leader = this.leaderOfTerm.get(status.term)
    must(leader === undefined || leader === node.nodeId, `term ${status.term} has leaders ${leader} and ${node.nodeId}`)
    if (leader === undefined) {
      this.leaderOfTerm.set(status.term, node.nodeId)
      this.checkLeaderComplete(node, status)
    }
    this.checkAppendOnly(node, status)
    for (const peer of status.peers) {
      const follower = this.cluster.nodes.get(peer.nodeId)
      must(peer.matchIndex < peer.nextIndex, `next of ${peer.nodeId} is not above match`)
      const matchKey = `${status.term}/${node.nodeId}/${peer.nodeId}`
      // A peer that was forgotten (removed, or its disk lost) starts again from 0.
      const isForgotten = peer.matchIndex === 0 || this.hasWipedNode
      must(isForgotten || peer.matchIndex >= (this.matches.get(matchKey) ?? 0), `match of ${peer.nodeId} fell`)
      this.matches.set(matchKey, peer.matchIndex)
      must(peer.matchIndex <= status.lastIndex, `match of ${peer.nodeId} is above the log of the leader`)
      if (follower === undefined || this.hasWipedNode || follower.disk.hardState.currentTerm > status.term) continue
      must(peer.matchIndex <= follower.disk.lastIndex, `match of ${peer.nodeId} is above its durable log`)
    }
    const uncommitted = [...node.handedOut.values()].filter((entry) => {
      return entry.kind === "configuration" && entry.index > status.commitIndex && entry.index <= status.lastIndex
    })
    must(uncommitted.length <= 1, `leader ${node.nodeId} has ${uncommitted.length} uncommitted configurations`)
  }

  private checkLeaderComplete(node: TestNode, status: RaftStatus): void {
    for (const [index, committed] of this.history) {
      if (committed.seenInTerm >= status.term || index <= status.baseIndex) continue
      const entry = node.handedOut.get(index)
      const isHeld = entry !== undefined && fingerprint(entry) === committed.fingerprint
      must(isHeld, `leader ${node.nodeId} of term ${status.term} lacks committed entry ${index}`)
    }
  }

  /** Leader Append-Only: a leader never changes or removes an entry of its log. */
  private checkAppendOnly(node: TestNode, status: RaftStatus): void {
    const log = this.leaderLogs.get(status.term) ?? []
    this.leaderLogs.set(status.term, log)
    must(log.length <= status.lastIndex + 1, `leader ${node.nodeId} removed entries`)
    for (let index = Math.max(log.length, 1); index <= status.lastIndex; index++) {
      const entry = node.handedOut.get(index)
      log[index] = entry === undefined ? "" : fingerprint(entry)
    }
  }

  /** In force is the last configuration of the log, also after it was cut back (Raft §6, pitfall 8). */
  private checkConfiguration(node: TestNode, status: RaftStatus): void {
    if (status.isRestoring) return
    let latest: Entry | undefined
    for (let index = status.lastIndex; index > status.baseIndex && latest === undefined; index--) {
      const entry = node.handedOut.get(index)
      if (entry?.kind === "configuration") latest = entry
    }
    if (latest === undefined) return
    const isInForce = sameConfiguration(decodeConfiguration(latest.data), status.configuration)
    must(isInForce, `node ${node.nodeId} does not act on the last configuration of its log`)
  }
}

/** Makes entries comparable: everything that makes them different. */
export function fingerprint(entry: Entry): string {
  return entry.kind === "commands"
    ? `${entry.term}:${text(entry.data)}`
    : `${entry.term}:configuration:${entry.data.join(",")}`
}

function checkPair(left: TestNode, right: TestNode): void {
  const last = Math.min(left.disk.lastIndex, right.disk.lastIndex)
  const first = Math.max(left.disk.snapshot.lastIncludedIndex, right.disk.snapshot.lastIncludedIndex) + 1
  let isEqualBelow = false
  for (let index = last; index >= first; index--) {
    const entries = [left.disk.entryAt(index), right.disk.entryAt(index)]
    if (entries[0]?.term === entries[1]?.term) isEqualBelow = true
    if (!isEqualBelow || entries[0] === undefined || entries[1] === undefined) continue
    must(
      fingerprint(entries[0]) === fingerprint(entries[1]),
      `logs of ${left.nodeId} and ${right.nodeId} differ at ${index} below an equal entry`,
    )
  }
}

function must(condition: boolean, message: string): void {
  if (!condition) throw new InvariantBroken(message)
}
