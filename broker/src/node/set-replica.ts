/**
 * One replica of one set: the Raft core, its log, the queue machine and the driver that joins them, with what only the
 * leader does (confirm reads, propose that time has passed).
 *
 * "Leader ready" means: this node is leader AND has applied everything committed before its term. Until then it answers
 * nothing from its machine, because it may not know yet what an earlier leader acknowledged.
 */
import type { QueueId } from "../core/queue/command.ts"
import type { HalfQuery } from "../core/queue/machine-state.ts"
import { emptyOutcome } from "../core/queue/queue-machine.ts"
import type { QueueMachine } from "../core/queue/queue-machine.ts"
import type { Raft } from "../core/raft/raft.ts"
import type { Entry, LogIndex, Message, RaftStatusChange, ReadState, SnapshotMeta } from "../core/raft/types.ts"
import type { ConfigurationAt } from "../core/raft/configuration-history.ts"
import { decodeConfiguration } from "../core/raft/configuration-codec.ts"
import { EntryReader } from "../codec/command-codec.ts"
import type { EntryBuilder } from "../codec/command-codec.ts"
import type { Cancel, LogStore, Timers } from "../ports.ts"
import type { LogClock } from "./log-clock.ts"
import { Proposals } from "./proposals.ts"
import type { CommandDone } from "./proposals.ts"
import { RaftDriver } from "./raft-driver.ts"

export interface SetReplicaParts {
  readonly setId: number
  readonly nodeId: number
  readonly raft: Raft
  readonly log: LogStore
  readonly machine: QueueMachine
  readonly appliedIndex: LogIndex
  readonly appliedTerm: number
  /** Configuration entries up to the applied index, oldest first. */
  readonly configurations: readonly ConfigurationAt[]
  readonly logClock: LogClock
  readonly timers: Timers
  readonly user: SetReplicaUser
}

/** What the replica tells the node around it. */
export interface SetReplicaUser {
  sendToPeers(messages: readonly Message[]): void
  /** Role, term, leader or readiness changed. */
  statusChanged(): void
  /** Entries were applied; these queues may have got messages. */
  applied(wakened: readonly QueueId[], entries: readonly Entry[]): void
  /** An entry that this node proposed is committed, so long after its proposal. */
  proposalCommitted(waitedMs: number): void
  restoreSnapshot(meta: SnapshotMeta, done: (machine: QueueMachine) => void): void
  entriesDamaged(range: { readonly fromIndex: LogIndex; readonly toIndex: LogIndex }, retry: () => void): void
}

/** Deadlines nearer than this get a timer of their own; later ones are looked at again at the next tick. */
const NEAR_DEADLINE_MS = 75

export class SetReplica {
  readonly setId: number
  readonly nodeId: number
  readonly raft: Raft
  readonly log: LogStore
  readonly logClock: LogClock
  /** Told which half messages producers are to be asked about; on every node, whoever leads. */
  halvesQueried: ((queries: readonly HalfQuery[]) => void) | undefined
  readonly #timers: Timers
  readonly #user: SetReplicaUser
  readonly #driver: RaftDriver
  readonly #proposals: Proposals
  readonly #reader = new EntryReader()
  readonly #outcome = emptyOutcome()
  readonly #configurations: ConfigurationAt[]
  #machine: QueueMachine
  #appliedIndex: LogIndex
  #appliedTerm: number
  #status: RaftStatusChange
  #leaderReady = false
  /** Reads gathered for the next ReadIndex round, those under way, and those confirmed but not yet applied. */
  #gatheredReads: ReadDone[] = []
  readonly #readsUnderWay = new Map<number, readonly ReadDone[]>()
  readonly #readsToApply: { readonly index: LogIndex; readonly waiting: readonly ReadDone[] }[] = []
  #readContext = 0
  #expireProposed = false
  #deadlineTimer: Cancel | undefined

  constructor(parts: SetReplicaParts) {
    this.setId = parts.setId
    this.nodeId = parts.nodeId
    this.raft = parts.raft
    this.log = parts.log
    this.logClock = parts.logClock
    this.#timers = parts.timers
    this.#user = parts.user
    this.#machine = parts.machine
    this.#appliedIndex = parts.appliedIndex
    this.#appliedTerm = parts.appliedTerm
    this.#configurations = [...parts.configurations]
    const { role, term, leaderId } = parts.raft.status()
    this.#status = { role, term, leaderId }
    this.#driver = new RaftDriver({ raft: parts.raft, log: parts.log, timers: parts.timers, user: this.#driverUser() })
    this.#proposals = new Proposals({
      setId: parts.setId,
      timers: parts.timers,
      stampMs: () => this.logClock.nowMs(),
      propose: (data) => this.#propose(data),
    })
  }

  get machine(): QueueMachine {
    return this.#machine
  }
  get status(): RaftStatusChange {
    return this.#status
  }
  get leaderReady(): boolean {
    return this.#leaderReady
  }
  get appliedIndex(): LogIndex {
    return this.#appliedIndex
  }
  get appliedTerm(): number {
    return this.#appliedTerm
  }
  get configurations(): readonly ConfigurationAt[] {
    return this.#configurations
  }
  get openProposalCount(): number {
    return this.#proposals.openCount
  }

  /** Log time until something in the machine is due; infinite on a node that does not lead. */
  msUntilDeadline(): number {
    const deadlineMs = this.#leaderReady ? this.#machine.nextDeadlineMs() : undefined
    return deadlineMs === undefined ? Number.POSITIVE_INFINITY : deadlineMs - this.logClock.nowMs()
  }

  /** The heartbeat of everything: called every `tickMs` of the options. */
  tick(): void {
    this.#driver.tick()
    if (this.#leaderReady) {
      this.logClock.reanchor()
      this.#proposeExpireIfDue()
    }
  }

  step(message: Message): void {
    this.raft.step(message)
    this.#driver.wake()
  }

  /** Runs after everything that is already waiting in this turn of the event loop. */
  soon(run: () => void): void {
    this.#timers.soon(run)
  }

  wake(): void {
    this.#driver.wake()
  }

  persisted(sequence: number): void {
    this.#driver.persisted(sequence)
  }

  /** Replicates a command. Refused at once (through `done`) when this node is not the leader. */
  propose(append: (builder: EntryBuilder) => void, done: CommandDone): void {
    this.#proposals.add(append, done)
  }

  /**
   * Calls `done(true)` when this node was leader at a moment after the call and has applied all that was committed
   * then (thesis 6.4); `done(false)` when it was not.
   */
  confirmRead(done: ReadDone): void {
    this.#gatheredReads.push(done)
    if (this.#gatheredReads.length > 1) return
    this.#timers.soon(() => {
      this.#startReadRound()
    })
  }

  stop(): void {
    this.#driver.stop()
    this.#deadlineTimer?.()
    this.#proposals.refuseGathered()
    this.#proposals.abandon(Number.POSITIVE_INFINITY)
    this.#abortReads()
  }

  #driverUser(): ConstructorParameters<typeof RaftDriver>[0]["user"] {
    return {
      sendToPeers: (messages) => {
        this.#user.sendToPeers(messages)
      },
      applyEntries: (entries) => {
        this.#applyEntries(entries)
      },
      restoreSnapshot: (meta, done) => {
        this.#user.restoreSnapshot(meta, (machine) => {
          this.#jumpTo(meta, machine)
          done()
        })
      },
      statusChanged: (status) => {
        this.#statusChanged(status)
      },
      readConfirmed: (read) => {
        this.#readConfirmed(read)
      },
      readAborted: (context) => {
        this.#finishRead(context, false)
      },
      entriesDamaged: (range, retry) => {
        this.#user.entriesDamaged(range, retry)
      },
    }
  }

  #propose(data: Uint8Array): ReturnType<Raft["propose"]> {
    const result = this.raft.propose([data])
    this.#driver.wake()
    return result
  }

  // ------------------------------------------------------------------------------------------ applying

  #applyEntries(entries: readonly Entry[]): void {
    for (const entry of entries) this.#applyEntry(entry)
    const wakened = this.#machine.takeWakened()
    const queried = this.#machine.takeQueried()
    if (queried.length > 0) this.halvesQueried?.(queried)
    this.#releaseReads()
    if (this.#leaderReady) this.#armDeadline()
    this.#user.applied(wakened, entries)
  }

  #applyEntry(entry: Entry): void {
    if (entry.kind === "configuration") {
      this.#configurations.push({ index: entry.index, configuration: decodeConfiguration(entry.data) })
    } else if (entry.data.length > 0) {
      this.#applyCommands(entry)
    }
    this.#appliedIndex = entry.index
    this.#appliedTerm = entry.term
  }

  #applyCommands(entry: Entry): void {
    const waiting = this.#proposals.claim(entry)
    const { stampMs } = this.#reader.open(entry.data)
    if (waiting !== undefined) this.#user.proposalCommitted(this.logClock.nowMs() - stampMs)
    this.#machine.beginEntry(entry.index, stampMs)
    for (let position = 0; ; position++) {
      const command = this.#reader.next()
      if (command === undefined) break
      this.#machine.apply(command, this.#outcome)
      waiting?.[position]?.(this.#outcome, undefined)
    }
  }

  #jumpTo(meta: SnapshotMeta, machine: QueueMachine): void {
    this.#machine = machine
    this.#appliedIndex = meta.lastIncludedIndex
    this.#appliedTerm = meta.lastIncludedTerm
    this.#configurations.splice(0, this.#configurations.length, {
      index: meta.lastIncludedIndex,
      configuration: meta.configuration,
    })
    this.#proposals.abandon(meta.lastIncludedIndex)
  }

  // ------------------------------------------------------------------------------------------ leadership

  #statusChanged(status: RaftStatusChange): void {
    const wasLeader = this.#status.role === "leader"
    const sameTerm = this.#status.term === status.term
    this.#status = status
    if (status.role !== "leader" || !sameTerm) this.#leaderReady = false
    if (wasLeader && status.role !== "leader") {
      this.#proposals.refuseGathered()
      this.#abortReads()
    }
    if (status.role === "leader" && !this.#leaderReady) {
      this.#proposals.settle((index) => this.raft.termAt(index))
      this.#awaitReadiness(status.term)
    }
    this.#user.statusChanged()
  }

  /** A confirmed and applied read proves that the no-op of the own term, and so everything before it, is applied. */
  #awaitReadiness(term: number): void {
    this.confirmRead((confirmed) => {
      if (!confirmed || this.#status.role !== "leader" || this.#status.term !== term) return
      this.#leaderReady = true
      this.logClock.atLeast(this.#machine.nowMs)
      this.#expireProposed = false
      this.#user.statusChanged()
      this.#armDeadline()
    })
  }

  #armDeadline(): void {
    if (this.#deadlineTimer !== undefined || this.#expireProposed) return
    const deadlineMs = this.#machine.nextDeadlineMs()
    if (deadlineMs === undefined) return
    const waitMs = deadlineMs - this.logClock.nowMs()
    if (waitMs > NEAR_DEADLINE_MS) return
    this.#deadlineTimer = this.#timers.after(Math.max(1, waitMs), () => {
      this.#deadlineTimer = undefined
      this.#proposeExpireIfDue()
    })
  }

  #proposeExpireIfDue(): void {
    if (!this.#leaderReady || this.#expireProposed) return
    const deadlineMs = this.#machine.nextDeadlineMs()
    if (deadlineMs === undefined) return
    if (deadlineMs > this.logClock.nowMs()) {
      this.#armDeadline()
      return
    }
    this.#expireProposed = true
    this.propose(
      (builder) => {
        builder.addAdmin({ kind: "expire" })
      },
      () => {
        this.#expireProposed = false
      },
    )
  }

  // ------------------------------------------------------------------------------------------ reads

  #startReadRound(): void {
    const waiting = this.#gatheredReads
    this.#gatheredReads = []
    const context = ++this.#readContext
    this.#readsUnderWay.set(context, waiting)
    if (!this.raft.readIndex(context)) this.#finishRead(context, false)
    this.#driver.wake()
  }

  #readConfirmed(read: ReadState): void {
    if (read.index <= this.#appliedIndex) {
      this.#finishRead(read.context, true)
      return
    }
    this.#readsToApply.push({ index: read.index, waiting: this.#readsUnderWay.get(read.context) ?? [] })
    this.#readsUnderWay.delete(read.context)
  }

  #releaseReads(): void {
    while (this.#readsToApply[0] !== undefined && this.#readsToApply[0].index <= this.#appliedIndex) {
      for (const done of this.#readsToApply.shift()?.waiting ?? []) done(true)
    }
  }

  #finishRead(context: number, confirmed: boolean): void {
    const waiting = this.#readsUnderWay.get(context) ?? []
    this.#readsUnderWay.delete(context)
    for (const done of waiting) done(confirmed)
  }

  #abortReads(): void {
    for (const context of [...this.#readsUnderWay.keys()]) this.#finishRead(context, false)
    for (const read of this.#readsToApply.splice(0)) for (const done of read.waiting) done(false)
  }
}

export type ReadDone = (confirmed: boolean) => void
