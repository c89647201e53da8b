import { expect, test } from "vitest"
import { OutstandingWrites } from "./outstanding-writes.ts"
import { Progress } from "./progress.ts"
import { MAX_OPEN_READ_ROUNDS, ReadIndexQueue } from "./read-index.ts"
import { simpleConfiguration } from "./configuration.ts"
import { UncommittedBytes } from "./uncommitted-bytes.ts"

function progress(nextIndex = 10): Progress {
  return new Progress({ nextIndex, recentActive: true, limits: { maxMessages: 3, maxBytes: 100 } })
}

test("probe: one message, then nothing until an answer or a sign of life", () => {
  const peer = progress()
  peer.sent(2, 20)
  expect([peer.isPaused, peer.nextIndex]).toEqual([true, 10])
  peer.resume()
  expect(peer.isPaused).toBe(false)
})

test("replicate: next runs ahead; the window is full by messages or by bytes, and is freed by acknowledgements", () => {
  const peer = progress()
  peer.maybeAdvance(9)
  peer.becomeReplicate()
  peer.sent(1, 10)
  peer.sent(2, 10)
  expect([peer.nextIndex, peer.isPaused, peer.inflightMessages, peer.inflightBytes]).toEqual([13, false, 2, 20])
  peer.sent(1, 80)
  expect([peer.isPaused, peer.isWindowFull]).toEqual([true, true])
  peer.freeInflightUpTo(11)
  expect([peer.isPaused, peer.inflightMessages, peer.inflightBytes]).toEqual([false, 2, 90])
  peer.sent(1, 10)
  expect(peer.isWindowFull).toBe(true)
})

test.each([
  { name: "to the guess", rejected: 9, guess: 4, next: 5 },
  { name: "by one, if the guess is higher", rejected: 9, guess: 30, next: 9 },
  { name: "not below what is known to match", rejected: 9, guess: 0, next: 4 },
])("a rejected probe goes back $name", ({ rejected, guess, next }) => {
  const peer = progress()
  peer.maybeAdvance(3)
  expect([peer.maybeBackOff(rejected, guess), peer.nextIndex]).toEqual([true, next])
})

test("late rejections change nothing", () => {
  const peer = progress()
  peer.maybeAdvance(3)
  expect(peer.maybeBackOff(7, 1)).toBe(false)
  expect(peer.maybeBackOff(3, 1)).toBe(false)
  peer.becomeReplicate()
  expect(peer.maybeBackOff(2, 1)).toBe(false)
  expect([peer.state, peer.nextIndex]).toEqual(["replicate", 4])
})

test("snapshot: nothing is sent; after it a probe behind it, or where it was before", () => {
  const peer = progress()
  peer.becomeSnapshot(50)
  expect([peer.isPaused, peer.pendingSnapshotIndex]).toEqual([true, 50])
  expect(peer.maybeBackOff(9, 1)).toBe(false)
  peer.snapshotEnded(true)
  expect([peer.state, peer.nextIndex, peer.isPaused, peer.pendingSnapshotIndex]).toEqual(["probe", 51, true, 0])
  const other = progress()
  other.becomeSnapshot(50)
  other.snapshotEnded(false)
  expect([other.state, other.nextIndex]).toEqual(["probe", 1])
})

test("writes complete in order; clipped ranges prove nothing", () => {
  const writes = new OutstandingWrites()
  const vote = { currentTerm: 3, votedFor: 2 }
  expect(writes.add({ vote, firstIndex: 1, lastIndex: 5 })).toBe(1)
  writes.clip(2)
  expect(writes.add({ vote: undefined, firstIndex: 3, lastIndex: 4 })).toBe(2)
  expect(writes.complete(1)).toEqual({ lastIndex: 2, vote })
  expect(writes.complete(1)).toBeUndefined()
  writes.clip(0)
  expect(writes.complete(2)).toEqual({ lastIndex: 0, vote: undefined })
  expect(writes.isEmpty).toBe(true)
  expect(() => writes.complete(3)).toThrow("handed over")
})

test("reads: rounds are bounded, and those that are over the bound wait for the next", () => {
  const reads = new ReadIndexQueue()
  const voters = simpleConfiguration([1, 2, 3])
  for (let context = 0; context < MAX_OPEN_READ_ROUNDS + 5; context++) {
    reads.add(context, true)
    if (reads.isRoundDue) reads.startRound(7)
  }
  expect([reads.newestRound, reads.isRoundDue]).toEqual([MAX_OPEN_READ_ROUNDS, false])
  reads.acknowledge(2, MAX_OPEN_READ_ROUNDS)
  expect(reads.takeConfirmed(voters, 1)).toHaveLength(MAX_OPEN_READ_ROUNDS)
  reads.startRound(8)
  reads.acknowledge(3, MAX_OPEN_READ_ROUNDS + 1)
  expect(reads.takeConfirmed(voters, 1).map((read) => read.context)).toEqual([64, 65, 66, 67, 68])
  expect(reads.takeAll()).toEqual([])
})

test("uncommitted bytes: one proposal is always admitted when none waits, and empty entries are free", () => {
  const uncommitted = new UncommittedBytes()
  const entry = (index: number, size: number) =>
    ({ index, term: 1, kind: "commands", data: new Uint8Array(size) }) as const
  expect(uncommitted.admits(1000, 10)).toBe(true)
  uncommitted.add(entry(1, 0))
  uncommitted.add(entry(2, 8))
  expect([uncommitted.admits(2, 10), uncommitted.admits(3, 10)]).toEqual([true, false])
  uncommitted.committed(2)
  expect(uncommitted.bytes).toBe(0)
})
