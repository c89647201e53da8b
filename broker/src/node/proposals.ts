/**
 * Commands on their way into the log: gathers what arrives into one entry, remembers who waits for which command of
 * which entry, and tells each of them what became of it.
 *
 * An entry is closed at the end of a turn of the event loop, or when it is full. While `MAX_OPEN_ENTRIES` are on their
 * way, arrivals gather in the next one: under load batches grow by themselves, without a timer (design decision 4).
 *
 * A command whose entry was overwritten was certainly NOT applied; one that is still open when its deadline comes, or
 * when the node stops, is UNKNOWN, and is said to be so.
 */
import type { Outcome } from "../core/queue/outcome.ts"
import type { Entry, LogIndex, ProposeRefusal, ProposeResult, Term } from "../core/raft/types.ts"
import { EntryBuilder } from "../codec/command-codec.ts"
import type { Timers } from "../ports.ts"

/** Entries proposed and not yet applied before the next one is held back to grow. */
const MAX_OPEN_ENTRIES = 4
/** An entry is closed when it has grown to this. */
const FULL_ENTRY_BYTES = 1 << 20
/** Ordinals of messages are 16 bits of the message id. */
const FULL_ENTRY_COMMANDS = 4096

/** `notApplied`: certainly without effect. `unknown`: may still take effect. */
export type ProposalFailure = ProposeRefusal | "overwritten" | "unknown"

/** Exactly one call: with the outcome (valid only during the call), or with the failure. */
export type CommandDone = (outcome: Outcome | undefined, failure: ProposalFailure | undefined) => void

interface OpenEntry {
  readonly term: Term
  readonly waiting: readonly CommandDone[]
}

export interface ProposalsParts {
  readonly setId: number
  readonly timers: Timers
  readonly stampMs: () => number
  readonly propose: (data: Uint8Array) => ProposeResult
}

export class Proposals {
  readonly #parts: ProposalsParts
  readonly #builder = new EntryBuilder()
  #waiting: CommandDone[] = []
  readonly #open = new Map<LogIndex, OpenEntry>()
  #flushScheduled = false

  constructor(parts: ProposalsParts) {
    this.#parts = parts
    this.#builder.begin({ setId: parts.setId })
  }

  /** Commands gathered or proposed and not yet answered. */
  get openCount(): number {
    return this.#open.size
  }

  /** Writes a command into the entry being gathered. Throws nothing: the edge has checked every range. */
  add(append: (builder: EntryBuilder) => void, done: CommandDone): void {
    append(this.#builder)
    this.#waiting.push(done)
    if (this.#builder.byteLength >= FULL_ENTRY_BYTES || this.#builder.commandCount >= FULL_ENTRY_COMMANDS) {
      this.#flush()
    } else {
      this.#scheduleFlush()
    }
  }

  /** The functions waiting for the commands of this entry, in order; undefined when nobody here does. */
  claim(entry: Entry): readonly CommandDone[] | undefined {
    const open = this.#open.get(entry.index)
    if (open === undefined) return undefined
    this.#open.delete(entry.index)
    if (this.#waiting.length > 0) this.#scheduleFlush()
    if (open.term === entry.term) return open.waiting
    for (const done of open.waiting) done(undefined, "overwritten")
    return undefined
  }

  /** Leadership is gone: what was not proposed yet certainly never will be. Proposed entries may still commit. */
  refuseGathered(): void {
    const waiting = this.#takeGathered()
    for (const done of waiting) done(undefined, "notLeader")
  }

  /**
   * This node became leader: its log now holds whatever was committed, so what is not in it was certainly not applied
   * (leader completeness, Raft §5.4).
   */
  settle(termAt: (index: LogIndex) => Term | undefined): void {
    for (const [index, open] of this.#open) {
      if (termAt(index) === open.term) continue
      this.#open.delete(index)
      for (const done of open.waiting) done(undefined, "overwritten")
    }
  }

  /** Nothing will be learnt any more (the machine jumped over these entries, or the node stops). */
  abandon(upTo: LogIndex): void {
    for (const [index, open] of this.#open) {
      if (index > upTo) continue
      this.#open.delete(index)
      for (const done of open.waiting) done(undefined, "unknown")
    }
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled || this.#open.size >= MAX_OPEN_ENTRIES) return
    this.#flushScheduled = true
    this.#parts.timers.soon(() => {
      this.#flushScheduled = false
      if (this.#waiting.length > 0 && this.#open.size < MAX_OPEN_ENTRIES) this.#flush()
    })
  }

  #flush(): void {
    const data = this.#builder.finish(this.#parts.stampMs())
    const waiting = this.#takeGathered()
    const result = this.#parts.propose(data)
    if (result.ok) {
      this.#open.set(result.firstIndex, { term: result.term, waiting })
      return
    }
    for (const done of waiting) done(undefined, result.refusal)
  }

  #takeGathered(): CommandDone[] {
    const waiting = this.#waiting
    this.#waiting = []
    this.#builder.begin({ setId: this.#parts.setId })
    return waiting
  }
}
