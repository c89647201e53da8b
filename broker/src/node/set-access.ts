/**
 * What every use case does with its set: proposes commands and waits for their outcome, or reads after a confirmed
 * ReadIndex round. Failures of proposals become replies here, in one place.
 */
import type { ErrorName } from "@opencmq/proto"
import type { AdminCommand, EntryBuilder } from "../codec/command-codec.ts"
import type { QueueId } from "../core/queue/command.ts"
import type { Outcome } from "../core/queue/outcome.ts"
import type { QueueMachine } from "../core/queue/queue-machine.ts"
import type { Caller } from "./caller.ts"
import type { ProposalFailure } from "./proposals.ts"
import type { Reply } from "./service-types.ts"
import type { SetReplica } from "./set-replica.ts"

/** Certainly not applied; worth another try somewhere. */
export const RETRY = Symbol("retry")

export interface LeaderCall<T> {
  /** Undefined = nobody known: nothing is done. */
  readonly caller: Caller | undefined
  /** Monotonic milliseconds at which the caller stops waiting. */
  readonly deadlineMs: number
  /** Exactly once. */
  readonly done: (result: Reply<T> | typeof RETRY) => void
  /** Set by the service while a long poll waits; the router calls it when the client has gone. */
  cancel: (() => void) | undefined
}

export class SetAccess {
  readonly replica: SetReplica

  constructor(replica: SetReplica) {
    this.replica = replica
  }

  get setId(): number {
    return this.replica.setId
  }

  get machine(): QueueMachine {
    return this.replica.machine
  }

  /** Log time now, Unix ms: what a command would be stamped with. */
  get nowMs(): number {
    return this.replica.logClock.nowMs()
  }

  /** The bytes of message records, as `LogStore.readRecords`. */
  readRecords(...args: Parameters<SetReplica["log"]["readRecords"]>): void {
    this.replica.log.readRecords(...args)
  }

  /** Term of an entry; undefined when the log no longer knows. */
  termAt(index: number): number | undefined {
    return this.replica.raft.termAt(index)
  }

  /** Gives the event loop back, then goes on. */
  soon(run: () => void): void {
    this.replica.soon(run)
  }

  /** One administrative command. */
  change<T>(command: AdminCommand, call: LeaderCall<T>, value: (outcome: Outcome) => T): void {
    this.propose(
      (builder) => {
        builder.addAdmin(command)
      },
      call,
      (outcome) => ({ ok: true, value: value(outcome) }),
    )
  }

  /** @param reply asked when the command was done, during the call; undefined = the call is answered later. */
  propose<T>(
    append: (builder: EntryBuilder) => void,
    call: LeaderCall<T>,
    reply: (outcome: Outcome) => Reply<T> | undefined,
  ): void {
    this.replica.propose(append, (outcome, failure) => {
      if (outcome === undefined) {
        call.done(failureReply(failure ?? "unknown"))
        return
      }
      if (outcome.refusal !== undefined) {
        call.done(refused(outcome.refusal))
        return
      }
      const answer = reply(outcome)
      if (answer !== undefined) call.done(answer)
    })
  }

  /** Runs when it is certain that this node led at a moment after the call, and has applied what was committed then. */
  read<T>(call: LeaderCall<T>, run: () => void): void {
    this.replica.confirmRead((confirmed) => {
      if (confirmed && this.replica.leaderReady) run()
      else call.done(RETRY)
    })
  }
}

/** A read of one queue; without one it is refused. */
export function readQueue<T>(
  access: Pick<SetAccess, "machine" | "read">,
  { queueName, call }: { readonly queueName: string; readonly call: LeaderCall<T> },
  run: (queueId: QueueId) => void,
): void {
  access.read(call, () => {
    const queueId = access.machine.findQueue(queueName)
    if (queueId === undefined) call.done(refused("queueNotFound"))
    else run(queueId)
  })
}

export function nothing(): Record<string, never> {
  return {}
}

export function refused(error: ErrorName): {
  readonly ok: false
  readonly error: ErrorName
  readonly args: readonly string[]
} {
  return { ok: false, error, args: [] }
}

export function failureReply(failure: ProposalFailure): ReturnType<typeof refused> | typeof RETRY {
  switch (failure) {
    case "notLeader":
    case "transferring":
    case "overwritten":
      return RETRY
    case "overloaded":
      return refused("overloaded")
    case "unknown":
      return refused("unknownOutcome")
  }
}
