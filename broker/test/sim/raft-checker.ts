/**
 * The invariants of consensus (reliability.md section 3), watched from outside the nodes: what they hand to their logs,
 * what their logs called durable, what they send, what they believe committed. Nothing here is forgotten when a node
 * crashes, so a node that forgets is caught.
 */
import { Buffer } from "node:buffer"
import { decodePeerFrame } from "../../src/codec/peer-codec.ts"
import type { Message } from "../../src/core/raft/types.ts"
import type { Entry, LogIndex, LogRecovery, LogWrite, NodeId, SnapshotMeta, Term } from "../../src/ports.ts"
import type { Raft } from "../../src/core/raft/raft.ts"
import type { RaftStatus } from "../../src/core/raft/status.ts"
import { Violation } from "./world.ts"
import type { World } from "./world.ts"

/** One entry that any node ever wrote. Equal index and term means equal entry and equal past (log matching). */
interface KnownEntry {
  readonly entry: Entry
  readonly previousTerm: Term
}

/** What one node has on its disk by its own word, and what it is about to have. */
class NodeRecord {
  readonly nodeId: NodeId
  /** Terms by index of what is durable; below `baseIndex` a snapshot stands for it. */
  durableTerms: Term[] = []
  durableLast: LogIndex = 0
  baseIndex: LogIndex = 0
  /** The same for what was handed over. */
  writtenTerms: Term[] = []
  writtenLast: LogIndex = 0
  writtenBase: LogIndex = 0
  waiting: LogWrite[] = []
  resetting: SnapshotMeta | undefined
  durableTerm: Term = 0
  durableVote: NodeId = 0
  /** Of this incarnation. */
  seenTerm: Term = 0
  seenCommit: LogIndex = 0
  /** Commit was held against the history up to here; entries behind it were not handed to the log yet. */
  checkedCommit: LogIndex = 0
  seenApplied: LogIndex = 0
  seenRole = "follower"
  seenAtMs = 0
  /** For how long it has led a term that is over, while it could act (pauses not counted). */
  staleMs = 0
  /** What it knew of its followers when it was last looked at, in `matchTerm`. */
  matchTerm: Term = 0
  readonly match = new Map<NodeId, LogIndex>()
  /** Votes by term, over all lives. */
  readonly votes = new Map<Term, NodeId>()

  constructor(nodeId: NodeId) {
    this.nodeId = nodeId
  }

  isDurable(index: LogIndex, term: Term): boolean {
    return index <= this.baseIndex || (index <= this.durableLast && this.durableTerms[index] === term)
  }
}

export interface RaftCheckerUser {
  readonly voters: readonly NodeId[]
  /** The entry at `index` is committed: its place is now fixed for ever. Ascending, without gaps. */
  committed(entry: Entry): void
}

const KEY_TERMS = 1_000_000
/** Between two steps of a node that is not paused: it ticks at least every 400 ms. */
const PAUSE_MS = 1000
/** Several times the longest election timeout, at half speed. */
const STALE_LEADER_MS = 12_000

export class RaftChecker {
  readonly #world: World
  readonly #user: RaftCheckerUser
  readonly #nodes = new Map<NodeId, NodeRecord>()
  readonly #known = new Map<number, KnownEntry>()
  /** Terms of committed entries by index; the history that nobody may change. */
  readonly #committedTerms: Term[] = [0]
  /** In which term each was seen committed first, by index; never falls. */
  readonly #committedInTerms: Term[] = [0]
  readonly #leaders = new Map<Term, NodeId>()
  #highestTerm: Term = 0
  #checks = 0

  constructor(world: World, user: RaftCheckerUser) {
    this.#world = world
    this.#user = user
    for (const nodeId of user.voters) this.#nodes.set(nodeId, new NodeRecord(nodeId))
  }

  get committedIndex(): LogIndex {
    return this.#committedTerms.length - 1
  }

  /** Of any leader so far. */
  get highestTerm(): Term {
    return this.#highestTerm
  }

  get checkCount(): number {
    return this.#checks
  }

  get leaderCount(): number {
    return this.#leaders.size
  }

  /** Voters that hold this committed entry durably, for the fault atlas. */
  holdersOf(index: LogIndex): NodeId[] {
    const term = this.#committedTerms[index] ?? 0
    return [...this.#nodes.values()].filter((node) => node.isDurable(index, term)).map((node) => node.nodeId)
  }

  /** The machine lost its disk on purpose: it owes nothing any more. */
  wiped(nodeId: NodeId): void {
    this.#nodes.set(nodeId, new NodeRecord(nodeId))
  }

  // ------------------------------------------------------------------------------------------ log

  /** A node opened its log: whatever it had called durable must be there. */
  opened(nodeId: NodeId, recovery: LogRecovery): void {
    const node = this.#node(nodeId)
    this.#checkRecovered(node, recovery)
    const before = node.writtenTerms
    node.baseIndex = recovery.baseIndex
    node.durableTerms = []
    for (const [position, run] of recovery.terms.entries()) {
      const last = (recovery.terms[position + 1]?.firstIndex ?? recovery.lastIndex + 1) - 1
      for (let index = run.firstIndex; index <= last; index++) node.durableTerms[index] = run.term
    }
    node.durableTerms[recovery.baseIndex] = recovery.baseTerm
    node.durableLast = recovery.lastIndex
    for (let index = recovery.baseIndex + 1; index <= recovery.lastIndex; index++) {
      const term = node.durableTerms[index] ?? 0
      if (!this.#known.has(key(index, term))) {
        this.#fail("recovery invents nothing", node, `entry ${at(index, term)} was never written by anybody`)
      }
      if (before[index] === undefined) this.#world.marks.hit("log: recovered an entry never called durable")
    }
    node.writtenTerms = [...node.durableTerms]
    node.writtenLast = node.durableLast
    node.writtenBase = node.baseIndex
    node.waiting = []
    node.resetting = undefined
    node.durableTerm = recovery.hardState?.currentTerm ?? 0
    node.durableVote = recovery.hardState?.votedFor ?? 0
    node.seenTerm = node.durableTerm
    node.seenCommit = 0
    node.checkedCommit = 0
    node.seenApplied = 0
    node.seenRole = "follower"
    node.staleMs = 0
    node.match.clear()
  }

  /** A node could not read back what its log should hold. Said in the trace; what clients are told is judged elsewhere. */
  unreadable(nodeId: NodeId, what: string): void {
    this.#world.marks.hit("log: something could not be read")
    this.note(nodeId, () => `cannot read ${what}`)
  }

  note(nodeId: NodeId, text: () => string): void {
    this.#world.note(() => `n${String(nodeId)} ${text()}`)
  }

  written(nodeId: NodeId, write: LogWrite): void {
    const node = this.#node(nodeId)
    node.waiting.push(write)
    const first = write.entries[0]
    if (first === undefined) return
    if (first.index <= node.writtenLast) {
      this.#world.marks.hit("raft: log cut back by a leader")
      if (node.seenRole === "leader")
        this.#fail("leader append-only", node, `overwrites ${at(first.index, first.term)}`)
      const committedTerm = this.#committedTerms[first.index]
      if (
        committedTerm !== undefined &&
        committedTerm !== first.term &&
        node.writtenTerms[first.index] === committedTerm
      ) {
        this.#fail("committed entries stay", node, `overwrites committed ${at(first.index, committedTerm)}`)
      }
    } else if (first.index > node.writtenLast + 1) {
      this.#fail("a log has no gaps", node, `writes ${at(first.index, first.term)} behind ${String(node.writtenLast)}`)
    }
    let previousTerm = first.index - 1 === 0 ? 0 : (node.writtenTerms[first.index - 1] ?? 0)
    for (const entry of write.entries) {
      this.#checkKnown(node, entry, previousTerm)
      node.writtenTerms[entry.index] = entry.term
      previousTerm = entry.term
    }
    node.writtenLast = write.entries.at(-1)?.index ?? node.writtenLast
    node.writtenTerms.length = node.writtenLast + 1
  }

  persisted(nodeId: NodeId, sequence: number): void {
    const node = this.#node(nodeId)
    while (node.waiting[0] !== undefined && node.waiting[0].sequence <= sequence) {
      const write = node.waiting.shift() as LogWrite
      if (write.hardState !== undefined)
        this.#hardStateDurable(node, write.hardState.currentTerm, write.hardState.votedFor)
      for (const entry of write.entries) node.durableTerms[entry.index] = entry.term
      const last = write.entries.at(-1)
      if (last === undefined) continue
      node.durableLast = last.index
      node.durableTerms.length = last.index + 1
    }
  }

  resetBegun(nodeId: NodeId, meta: SnapshotMeta): void {
    const node = this.#node(nodeId)
    node.resetting = meta
    this.#world.marks.hit("raft: snapshot installed")
    const keepsSuffix = node.writtenTerms[meta.lastIncludedIndex] === meta.lastIncludedTerm
    if (keepsSuffix) this.#world.marks.hit("raft: snapshot installed with a matching suffix")
    else node.writtenLast = meta.lastIncludedIndex
    node.writtenTerms[meta.lastIncludedIndex] = meta.lastIncludedTerm
    node.writtenTerms.length = node.writtenLast + 1
    node.writtenBase = meta.lastIncludedIndex
  }

  resetDone(nodeId: NodeId, meta: SnapshotMeta): void {
    const node = this.#node(nodeId)
    const keepsSuffix = node.durableTerms[meta.lastIncludedIndex] === meta.lastIncludedTerm
    if (!keepsSuffix) node.durableLast = meta.lastIncludedIndex
    node.durableTerms[meta.lastIncludedIndex] = meta.lastIncludedTerm
    node.durableTerms.length = node.durableLast + 1
    node.baseIndex = meta.lastIncludedIndex
    node.resetting = undefined
  }

  // ------------------------------------------------------------------------------------------ behaviour

  /** Called after every step of a node. */
  observe(raft: Raft): void {
    const status = raft.status()
    const node = this.#node(status.nodeId)
    this.#checks++
    if (status.term < node.seenTerm)
      this.#fail("a term never falls", node, `${String(node.seenTerm)} to ${String(status.term)}`)
    if (status.commitIndex < node.seenCommit) {
      this.#fail("commit never falls", node, `${String(node.seenCommit)} to ${String(status.commitIndex)}`)
    }
    if (status.appliedIndex < node.seenApplied) this.#fail("applied never falls", node, String(status.appliedIndex))
    if (status.appliedIndex > status.commitIndex || status.commitIndex > status.lastIndex) {
      this.#fail(
        "applied <= commit <= last",
        node,
        `${String(status.appliedIndex)} ${String(status.commitIndex)} ${String(status.lastIndex)}`,
      )
    }
    node.seenTerm = status.term
    node.seenApplied = status.appliedIndex
    if (status.role !== node.seenRole) this.#roleChanged(node, status)
    node.seenCommit = status.commitIndex
    if (status.commitIndex > node.checkedCommit) this.#commitRose(node, raft, status.commitIndex)
    this.#checkStaleLeader(node, status)
    if (status.role === "leader") this.#checkMatch(node, status)
  }

  /** A frame leaves a node: nothing it promises may be less than durable. */
  sent(from: NodeId, frame: Uint8Array): void {
    const decoded = decodePeerFrame(frame)
    if (decoded.kind !== "raftMessages") return
    const node = this.#node(from)
    for (const message of decoded.messages) this.#checkMessage(node, message)
  }

  #checkMessage(node: NodeRecord, message: Message): void {
    switch (message.kind) {
      case "requestVoteReply":
        if (message.preVote || !message.voteGranted) return
        if (node.durableTerm !== message.term || node.durableVote !== message.to) {
          this.#fail(
            "a vote is durable before it is told",
            node,
            `votes for ${String(message.to)} in term ${String(message.term)}; the disk says ${String(node.durableVote)} in ${String(node.durableTerm)}`,
          )
        }
        this.#world.marks.hit("raft: vote given")
        return
      case "requestVote":
        if (!message.preVote && node.durableTerm < message.term) {
          this.#fail("a term is durable before it is told", node, `campaigns in ${String(message.term)}`)
        }
        return
      case "appendEntriesReply":
        if (message.success && message.index > node.durableLast && message.index > node.baseIndex) {
          this.#fail(
            "an entry is durable before it is acknowledged",
            node,
            `acknowledges ${String(message.index)}; durable up to ${String(node.durableLast)}`,
          )
        }
        if (!message.success) this.#world.marks.hit("raft: append refused")
        return
      case "appendEntries":
        if (message.entries.length > 0) this.#world.marks.hit("raft: entries sent")
        return
      case "timeoutNow":
        this.#world.marks.hit("raft: leadership transferred")
        return
      case "heartbeat":
        if (message.readRound > 0) this.#world.marks.hit("raft: read confirmed by a round")
        return
      case "heartbeatReply":
      case "installSnapshot":
        return
    }
  }

  // ------------------------------------------------------------------------------------------ parts

  #checkRecovered(node: NodeRecord, recovery: LogRecovery): void {
    const term = recovery.hardState?.currentTerm ?? 0
    const vote = recovery.hardState?.votedFor ?? 0
    if (term < node.durableTerm) {
      this.#fail("a term survives a crash", node, `${String(node.durableTerm)} became ${String(term)}`)
    }
    if (term === node.durableTerm && node.durableVote !== 0 && vote !== node.durableVote) {
      this.#fail(
        "a vote survives a crash",
        node,
        `in term ${String(term)}: ${String(node.durableVote)} became ${String(vote)}`,
      )
    }
    if (node.resetting !== undefined || recovery.ambiguousTail) return
    if (recovery.baseIndex > node.baseIndex + KEY_TERMS) return
    for (let index = Math.max(node.baseIndex, recovery.baseIndex) + 1; index <= node.durableLast; index++) {
      const expected = node.durableTerms[index] ?? 0
      const found = index > recovery.lastIndex ? 0 : termIn(recovery, index)
      if (found === expected) continue
      // A later write may have cut the log back before its own answer came.
      if (node.waiting.some((write) => (write.entries[0]?.index ?? Number.POSITIVE_INFINITY) <= index)) return
      this.#fail("a durable entry survives a crash", node, `${at(index, expected)} became term ${String(found)}`)
    }
  }

  #checkKnown(node: NodeRecord, entry: Entry, previousTerm: Term): void {
    const id = key(entry.index, entry.term)
    const known = this.#known.get(id)
    if (known === undefined) {
      this.#known.set(id, { entry, previousTerm })
      return
    }
    // Behind a snapshot the previous term is known from its end only.
    const pastDiffers = known.previousTerm !== previousTerm
    if (pastDiffers || known.entry.kind !== entry.kind || !isSame(known.entry.data, entry.data)) {
      this.#fail("log matching", node, `two different entries at ${at(entry.index, entry.term)}`)
    }
  }

  #hardStateDurable(node: NodeRecord, term: Term, vote: NodeId): void {
    if (term < node.durableTerm) this.#fail("a durable term never falls", node, String(term))
    const earlier = node.votes.get(term)
    if (earlier !== undefined && vote !== 0 && vote !== earlier) {
      this.#fail("one vote a term", node, `in term ${String(term)} for ${String(earlier)} and ${String(vote)}`)
    }
    if (vote !== 0) node.votes.set(term, vote)
    node.durableTerm = term
    node.durableVote = vote
  }

  #roleChanged(node: NodeRecord, status: RaftStatus): void {
    if (node.seenRole === "leader") this.#world.marks.hit("raft: leader stepped down")
    node.seenRole = status.role
    this.#world.note(() => `n${String(node.nodeId)} ${status.role} in term ${String(status.term)}`)
    this.#world.mix(status.term * 8 + node.nodeId)
    if (status.role !== "leader") return
    const other = this.#leaders.get(status.term)
    if (other !== undefined && other !== node.nodeId) {
      this.#fail("one leader a term", node, `term ${String(status.term)} already has leader ${String(other)}`)
    }
    this.#leaders.set(status.term, node.nodeId)
    this.#highestTerm = Math.max(this.#highestTerm, status.term)
    // A paused candidate may win an old term long after newer ones: it owes only what was committed before its term.
    const last = this.#committedInTerms.findLastIndex((committedIn) => committedIn < status.term)
    const term = this.#committedTerms[last] ?? 0
    if (last > node.writtenBase && node.writtenTerms[last] !== term) {
      this.#fail("leader completeness", node, `leads term ${String(status.term)} without committed ${at(last, term)}`)
    }
  }

  #commitRose(node: NodeRecord, raft: Raft, commitIndex: LogIndex): void {
    for (let index = node.checkedCommit + 1; index <= commitIndex; index++) {
      const term = raft.termAt(index)
      const fixed = this.#committedTerms[index]
      if (term === undefined) {
        if (fixed === undefined) this.#fail("a snapshot holds committed entries only", node, String(index))
      } else if (fixed === undefined) {
        if (!this.#known.has(key(index, term))) return
        this.#newlyCommitted(node, index, term)
      } else if (fixed !== term) {
        this.#fail(
          "committed entries stay",
          node,
          `${at(index, fixed)} is committed, this node committed term ${String(term)}`,
        )
      }
      node.checkedCommit = index
    }
  }

  #newlyCommitted(node: NodeRecord, index: LogIndex, term: Term): void {
    let holders = 0
    for (const other of this.#nodes.values()) if (other.isDurable(index, term)) holders++
    if (holders * 2 <= this.#nodes.size) {
      this.#fail(
        "committed means durable on a majority",
        node,
        `${at(index, term)} is durable on ${String(holders)} only`,
      )
    }
    const known = this.#known.get(key(index, term))
    if (known === undefined) {
      this.#fail("only what was proposed is committed", node, at(index, term))
      return
    }
    this.#committedTerms[index] = term
    this.#committedInTerms[index] = Math.max(this.#committedInTerms[index - 1] ?? 0, node.seenTerm)
    this.#world.mix(index)
    this.#world.mix(term)
    this.#user.committed(known.entry)
  }

  /** Check-quorum: a leader that the others have replaced cannot go on for long. */
  #checkStaleLeader(node: NodeRecord, status: RaftStatus): void {
    const gapMs = this.#world.nowMs - node.seenAtMs
    node.seenAtMs = this.#world.nowMs
    if (status.role !== "leader" || status.term >= this.#highestTerm) node.staleMs = 0
    else if (gapMs < PAUSE_MS) node.staleMs += gapMs
    if (node.staleMs > STALE_LEADER_MS)
      this.#fail("a replaced leader steps down", node, `still leads term ${String(status.term)}`)
  }

  /** Each change at once; what did not change now and then, because a follower may lose what it had. */
  #checkMatch(node: NodeRecord, status: RaftStatus): void {
    if (this.#leaders.get(status.term) !== node.nodeId) return
    if (node.matchTerm !== status.term) node.match.clear()
    node.matchTerm = status.term
    const isWhole = this.#checks % 4 === 0
    for (const peer of status.peers) {
      const seen = node.match.get(peer.nodeId)
      if (seen === peer.matchIndex && !isWhole) continue
      if (peer.matchIndex < (seen ?? 0)) this.#fail("match never falls in a term", node, `of n${String(peer.nodeId)}`)
      node.match.set(peer.nodeId, peer.matchIndex)
      const follower = this.#nodes.get(peer.nodeId)
      if (follower === undefined) continue
      // A deposed leader's knowledge may be overwritten by a newer one; only then may it be out of date.
      if (follower.durableTerm > status.term) continue
      const end = Math.max(follower.durableLast, follower.baseIndex)
      if (peer.matchIndex > end) {
        this.#fail(
          "match is at most what is durable",
          node,
          `n${String(peer.nodeId)} ${String(peer.matchIndex)} > ${String(end)}`,
        )
      }
    }
  }

  #node(nodeId: NodeId): NodeRecord {
    const node = this.#nodes.get(nodeId)
    if (node === undefined) throw new RangeError(`node ${String(nodeId)} is not of this set`)
    return node
  }

  #fail(rule: string, node: NodeRecord, detail: string): void {
    this.#world.fail(new Violation(rule, `node ${String(node.nodeId)}: ${detail}`))
  }
}

function key(index: LogIndex, term: Term): number {
  return index * KEY_TERMS + term
}

function at(index: LogIndex, term: Term): string {
  return `index ${String(index)} term ${String(term)}`
}

function termIn(recovery: LogRecovery, index: LogIndex): Term {
  if (index === recovery.baseIndex) return recovery.baseTerm
  return recovery.terms.findLast((run) => run.firstIndex <= index)?.term ?? 0
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || Buffer.compare(a, b) === 0
}
