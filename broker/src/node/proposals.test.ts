import { expect, test } from "vitest"
import { EntryReader } from "../codec/command-codec.ts"
import { emptyOutcome } from "../core/queue/queue-machine.ts"
import type { Entry, ProposeResult } from "../core/raft/types.ts"
import type { Timers } from "../ports.ts"
import { Proposals } from "./proposals.ts"

/** A leader's log without a cluster, and turns of the event loop that the test takes one by one. */
class Desk {
  readonly entries: Entry[] = []
  refusal: Exclude<ProposeResult, { ok: true }>["refusal"] | undefined
  #turn: (() => void)[] = []

  readonly timers: Timers = {
    soon: (run) => this.#turn.push(run),
    after: () => () => undefined,
    every: () => () => undefined,
  }

  readonly proposals = new Proposals({
    setId: 0,
    timers: this.timers,
    stampMs: () => 1000,
    propose: (data) => this.#propose(data),
  })

  send(log: string[], name: string): void {
    this.proposals.add(
      (builder) => {
        builder.addReceive({ queueId: 1, maxCount: 1, visibilityTimeoutMs: -1 })
      },
      (outcome, failure) => log.push(`${name}: ${outcome === undefined ? String(failure) : "applied"}`),
    )
  }

  endTurn(): void {
    const turn = this.#turn
    this.#turn = []
    for (const run of turn) run()
  }

  apply(entry: Entry | undefined): void {
    if (entry === undefined) throw new Error("nothing to apply")
    for (const done of this.proposals.claim(entry) ?? []) done(emptyOutcome(), undefined)
  }

  #propose(data: Uint8Array): ProposeResult {
    if (this.refusal !== undefined) return { ok: false, refusal: this.refusal, leaderId: 0 }
    const entry: Entry = { index: this.entries.length + 1, term: 1, kind: "commands", data }
    this.entries.push(entry)
    return { ok: true, firstIndex: entry.index, term: entry.term }
  }
}

test("what arrives in one turn shares an entry, and each is told its own outcome", () => {
  const desk = new Desk()
  const log: string[] = []
  desk.send(log, "a")
  desk.send(log, "b")
  expect(desk.entries).toHaveLength(0)
  desk.endTurn()
  expect(desk.entries).toHaveLength(1)
  expect(new EntryReader().open(desk.entries[0]?.data ?? new Uint8Array()).commandCount).toBe(2)
  desk.apply(desk.entries[0])
  expect(log).toEqual(["a: applied", "b: applied"])
})

test("while four entries are open, arrivals gather in the fifth", () => {
  const desk = new Desk()
  const log: string[] = []
  for (let turn = 0; turn < 10; turn++) {
    desk.send(log, String(turn))
    desk.endTurn()
  }
  expect(desk.entries).toHaveLength(4)
  desk.apply(desk.entries[0])
  desk.endTurn()
  expect(desk.entries).toHaveLength(5)
  expect(new EntryReader().open(desk.entries[4]?.data ?? new Uint8Array()).commandCount).toBe(6)
})

test("an entry of another term at the same index means: certainly not applied", () => {
  const desk = new Desk()
  const log: string[] = []
  desk.send(log, "a")
  desk.endTurn()
  desk.apply({ index: 1, term: 2, kind: "commands", data: new Uint8Array() })
  expect(log).toEqual(["a: overwritten"])
})

test("a new leader settles what its log no longer holds, so that nothing is held back for ever", () => {
  const desk = new Desk()
  const log: string[] = []
  for (const name of ["a", "b", "c", "d", "e"]) {
    desk.send(log, name)
    desk.endTurn()
  }
  desk.proposals.settle((index) => (index <= 2 ? 1 : undefined))
  expect(log).toEqual(["c: overwritten", "d: overwritten"])
  expect(desk.proposals.openCount).toBe(2)
})

test("what was gathered when the lead was lost is refused; what was proposed stays open", () => {
  const desk = new Desk()
  const log: string[] = []
  desk.send(log, "proposed")
  desk.endTurn()
  desk.send(log, "gathered")
  desk.proposals.refuseGathered()
  expect(log).toEqual(["gathered: notLeader"])
  desk.proposals.abandon(Number.POSITIVE_INFINITY)
  expect(log).toEqual(["gathered: notLeader", "proposed: unknown"])
})

test("a refusal of the core reaches every command of the entry", () => {
  const desk = new Desk()
  const log: string[] = []
  desk.refusal = "overloaded"
  desk.send(log, "a")
  desk.send(log, "b")
  desk.endTurn()
  expect(log).toEqual(["a: overloaded", "b: overloaded"])
})
