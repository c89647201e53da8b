/**
 * What the log does when the disk says no: failed syncs, failed and short writes, a full disk (D4, D5, D6), and what lies in
 * recycled files.
 */
import { describe, expect, test } from "vitest"
import type { Entry } from "../../src/ports.ts"
import { CrashDisk, DiskError, seeded } from "./crash-disk.ts"
import { LogFixture, SEGMENT_BYTES, entriesOf, shown, writeOf } from "./log-fixture.ts"

function opened(options: Parameters<typeof LogFixture.open>[1] = {}): LogFixture {
  const fixture = LogFixture.open(new CrashDisk(), options)
  fixture.write(writeOf({ sequence: 1, term: 1, from: 1, count: 3 }))
  fixture.disk.run()
  return fixture
}

describe("a failed sync or write", () => {
  test("a failed sync latches the log: one failure event, no acknowledgement, no second sync, no more writes", () => {
    const fixture = opened()
    fixture.disk.faults.failSyncIn = 0
    fixture.write(writeOf({ sequence: 2, term: 1, from: 4, count: 1 }))
    fixture.write(writeOf({ sequence: 3, term: 1, from: 5, count: 1 }))
    fixture.disk.run()
    expect(fixture.acknowledged).toEqual([1])
    expect(fixture.failure).toMatchObject({ kind: "failed" })
    const before = fixture.disk.history.length
    fixture.failure = undefined
    fixture.write(writeOf({ sequence: 4, term: 1, from: 6, count: 1 }))
    fixture.log.tick()
    fixture.disk.run()
    expect(fixture.disk.history.length).toBe(before)
    expect(fixture.failure).toBeUndefined()
    const drop = (): void => {
      fixture.call((done) => {
        fixture.log.drop([1], done)
      })
    }
    expect(drop).toThrow(expect.objectContaining({ kind: "failed" }) as Error)
  })

  test("after a failed sync the end is written again before it is trusted", () => {
    const fixture = opened()
    fixture.disk.faults.failSyncIn = 0
    fixture.write(writeOf({ sequence: 2, term: 1, from: 4, count: 2 }))
    fixture.disk.run()
    // The process restarts; the page cache still shows what the disk never got.
    const again = LogFixture.open(fixture.disk.kill())
    expect(again.recovery.lastIndex).toBe(5)
    const after = LogFixture.open(again.disk.powerCut(seeded(1), 0))
    expect(after.recovery.lastIndex).toBe(5)
    expect(shown(after.readAll())).toEqual(shown(entriesOf({ from: 1, count: 5, term: 1 })))
  })

  test("mutant retrySyncAfterEio is killed: it acknowledges what is lost", () => {
    const fixture = LogFixture.open(new CrashDisk(), { mutations: ["retrySyncAfterEio"] })
    fixture.write(writeOf({ sequence: 1, term: 1 }))
    fixture.disk.run()
    fixture.disk.faults.failSyncIn = 0
    fixture.write(writeOf({ sequence: 2, term: 1, from: 1, count: 2 }))
    fixture.disk.run()
    expect(fixture.acknowledged).toEqual([1, 2])
    expect(LogFixture.open(fixture.disk.powerCut(seeded(1), 0)).recovery.lastIndex).toBe(0)
  })

  test("a failed write latches too", () => {
    const fixture = opened()
    fixture.disk.faults.failWriteIn = 0
    fixture.write(writeOf({ sequence: 2, term: 1, from: 4, count: 1 }))
    fixture.disk.run()
    expect(fixture.failure).toBeInstanceOf(DiskError)
    expect(fixture.acknowledged).toEqual([1])
  })

  test("a failed save of the hard state latches before any entry is written", () => {
    const fixture = opened()
    fixture.disk.faults.failSyncIn = 1
    const before = fixture.disk.history.length
    fixture.write(writeOf({ sequence: 2, term: 2, votedFor: 3, from: 4, count: 1 }))
    fixture.disk.run()
    expect(fixture.failure).toBeDefined()
    expect(fixture.disk.history.slice(before).some((name) => name.includes(".s"))).toBe(false)
    expect(fixture.acknowledged).toEqual([1])
  })
})

describe("short writes", () => {
  test("the rest of a short write is written at its place", () => {
    const fixture = opened()
    fixture.disk.faults.shortWriteIn = 0
    fixture.disk.faults.shortWriteBytes = 700
    fixture.write(writeOf({ sequence: 2, term: 1, from: 4, count: 5, bytes: 300 }))
    fixture.disk.run()
    expect(fixture.acknowledged).toEqual([1, 2])
    const expected = [
      ...entriesOf({ from: 1, count: 3, term: 1 }),
      ...entriesOf({ from: 4, count: 5, term: 1, bytes: 300 }),
    ]
    expect(shown(LogFixture.open(fixture.disk.powerCut(seeded(1), 0)).readAll())).toEqual(shown(expected))
  })

  test("mutant shortWriteIgnored is killed: what it acknowledged is gone", () => {
    const fixture = LogFixture.open(new CrashDisk(), { mutations: ["shortWriteIgnored"] })
    fixture.write(writeOf({ sequence: 1, term: 1 }))
    fixture.disk.run()
    fixture.disk.faults.shortWriteIn = 0
    fixture.disk.faults.shortWriteBytes = 700
    fixture.write(writeOf({ sequence: 2, term: 1, from: 1, count: 5, bytes: 300 }))
    fixture.disk.run()
    expect(fixture.acknowledged).toEqual([1, 2])
    expect(LogFixture.open(fixture.disk.powerCut(seeded(1), 0)).recovery.lastIndex).toBe(0)
  })
})

/** Writes single entries until the log stops acknowledging, or `limit` are through. */
function fill(fixture: LogFixture, limit: number): number {
  const start = fixture.log.segments().at(-1)?.lastIndex ?? 0
  for (let count = 1; count <= limit; count++) {
    const sequence = fixture.lastAcknowledged + 1
    fixture.write(writeOf({ sequence, term: 1, from: start + count, count: 1, bytes: 1900 }))
    fixture.disk.run()
    if (fixture.lastAcknowledged !== sequence) return start + count
  }
  throw new Error("the disk never got full")
}

describe("a full disk", () => {
  test("low space is told while writes go on into the reserve, then writes wait, and go on when space came back", () => {
    const fixture = opened({ options: { reserveSegments: 3 } })
    const { disk } = fixture
    disk.faults.capacityBytes = disk.allocatedBytes + 2 * SEGMENT_BYTES
    expect(fixture.log.space().low).toBe(false)
    const stuckAt = fill(fixture, 500)
    expect(fixture.spaces.map((space) => space.low)).toEqual([true])
    expect(fixture.log.space().low).toBe(true)
    expect(fixture.failure).toBeUndefined()
    // The entries behind the first "low" went into the reserve.
    expect(fixture.log.segments().length).toBeGreaterThanOrEqual(5)
    // Nothing helps but space.
    fixture.log.probeSpace()
    disk.run()
    expect(fixture.log.space().low).toBe(true)
    const sequence = fixture.lastAcknowledged + 1
    disk.faults.capacityBytes += 10 * SEGMENT_BYTES
    fixture.log.probeSpace()
    disk.run()
    expect(fixture.lastAcknowledged).toBe(sequence)
    expect(fixture.spaces.map((space) => space.low)).toEqual([true, false])
    expect(shown(fixture.readAll(4))).toEqual(shown(entriesOf({ from: 4, count: stuckAt - 3, term: 1, bytes: 1900 })))
  })

  test("dropping segments gives the space back without asking the file system", () => {
    const fixture = opened({ options: { reserveSegments: 2 } })
    const { disk } = fixture
    disk.faults.capacityBytes = disk.allocatedBytes + SEGMENT_BYTES
    fill(fixture, 500)
    const waiting = fixture.lastAcknowledged + 1
    const sealed = fixture.log.segments().filter((segment) => !segment.active)
    fixture.log.compact(sealed.at(-1)?.lastIndex ?? 0, 1)
    fixture.call((done) => {
      fixture.log.drop(
        sealed.map((segment) => segment.firstIndex),
        done,
      )
    })
    expect(fixture.lastAcknowledged).toBe(waiting)
    expect(fixture.log.space().low).toBe(false)
    expect(fixture.spaces.map((space) => space.low)).toEqual([true, false])
  })

  test("a node whose disk filled up opens again", () => {
    const fixture = opened({ options: { reserveSegments: 2 } })
    fixture.disk.faults.capacityBytes = fixture.disk.allocatedBytes + SEGMENT_BYTES
    const stuckAt = fill(fixture, 500)
    for (const left of [fixture.disk.kill(), fixture.disk.powerCut(seeded(2), 0.5)]) {
      left.faults.capacityBytes = left.allocatedBytes
      const again = LogFixture.open(left, { options: { reserveSegments: 2 } })
      expect(again.recovery.lastIndex).toBeGreaterThanOrEqual(stuckAt - 1)
      expect(again.recovery.ambiguousTail).toBe(false)
      expect(again.log.space().low).toBe(true)
    }
  })

  test("a file system without any space, even for allocated blocks, stalls and recovers without loss", () => {
    const fixture = opened({ options: { reserveSegments: 2 } })
    fixture.disk.faults.isCompletelyFull = true
    fixture.write(writeOf({ sequence: 2, term: 2, from: 4, count: 2 }))
    fixture.write(writeOf({ sequence: 3, term: 2, from: 6, count: 2 }))
    fixture.disk.run()
    expect(fixture.acknowledged).toEqual([1])
    expect(fixture.failure).toBeUndefined()
    fixture.disk.faults.isCompletelyFull = false
    fixture.log.probeSpace()
    fixture.disk.run()
    expect(fixture.lastAcknowledged).toBe(3)
    const after = LogFixture.open(fixture.disk.powerCut(seeded(1), 0))
    expect(after.recovery.hardState?.currentTerm).toBe(2)
    expect(after.recovery.lastIndex).toBe(7)
  })

  test("a write cut short by a full disk goes on in another segment and leaves no trace", () => {
    const fixture = opened({ options: { reserveSegments: 2 } })
    fixture.disk.faults.shortWriteIn = 0
    fixture.disk.faults.shortWriteBytes = 600
    const { faults } = fixture.disk
    // The continuation fails too: the disk is full for just these two writes.
    fixture.write(writeOf({ sequence: 2, term: 1, from: 4, count: 4, bytes: 600 }))
    while (faults.shortWriteIn !== undefined && fixture.disk.step());
    faults.isCompletelyFull = true
    fixture.disk.step()
    delete faults.isCompletelyFull
    fixture.disk.run()
    expect(fixture.acknowledged).toEqual([1, 2])
    expect(fixture.log.segments()).toHaveLength(2)
    const after = LogFixture.open(fixture.disk.powerCut(seeded(1), 0))
    expect(after.recovery.damaged).toEqual([])
    const expected = [
      ...entriesOf({ from: 1, count: 3, term: 1 }),
      ...entriesOf({ from: 4, count: 4, term: 1, bytes: 600 }),
    ]
    expect(shown(after.readAll())).toEqual(shown(expected))
  })
})

describe("recycled files", () => {
  /** A log whose active segment lies in a file that held another segment before. */
  function recycled(): { fixture: LogFixture; lastIndex: number } {
    const fixture = opened()
    let last = 3
    for (let round = 0; round < 4; round++) {
      const sequence = fixture.lastAcknowledged + 1
      fixture.write(writeOf({ sequence, term: 1, from: last + 1, count: 40, bytes: 900 }))
      fixture.disk.run()
      last += 40
      const sealed = fixture.log.segments().filter((segment) => !segment.active)
      fixture.log.compact(sealed.at(-1)?.lastIndex ?? 0, 1)
      fixture.call((done) => {
        fixture.log.drop(
          sealed.map((segment) => segment.firstIndex),
          done,
        )
      })
    }
    return { fixture, lastIndex: last }
  }

  test("files of dropped segments are used again", () => {
    const { fixture } = recycled()
    expect(fixture.disk.history.filter((name) => /^rename .*\.seg .*\.spare$/.test(name)).length).toBeGreaterThan(3)
  })

  test("old content behind the end is never taken for entries, at any cut", () => {
    const { fixture, lastIndex } = recycled()
    const base = fixture.disk
    const rolled = fixture.log.segments().at(-1)?.firstIndex ?? 0
    expect(rolled).toBeGreaterThan(1)
    for (let round = 0; round < 30; round++) {
      const disk = base.copy()
      const again = LogFixture.open(disk)
      expect(again.recovery.lastIndex).toBe(lastIndex)
      again.write(writeOf({ sequence: 1, term: 2, from: lastIndex + 1, count: 12, bytes: 400 + round }))
      // Cut in the middle of the write, or of the sync.
      disk.crashAt = disk.operationCount + 5 + (round % 2)
      disk.run()
      const random = seeded(round)
      const after = LogFixture.open(disk.powerCut(random, random()))
      expect(after.recovery.ambiguousTail).toBe(false)
      expect(after.recovery.damaged).toEqual([])
      const found: readonly Entry[] = after.readAll(lastIndex + 1)
      const wanted = entriesOf({ from: lastIndex + 1, count: 12, term: 2, bytes: 400 + round })
      expect(shown(found)).toEqual(shown(wanted.slice(0, found.length)))
      expect([0, 12]).toContain(found.length)
    }
  })

  test("a flipped bit in the last batch of a recycled file is doubtful, not unfinished", () => {
    const { fixture, lastIndex } = recycled()
    fixture.write(
      writeOf({ sequence: fixture.lastAcknowledged + 1, term: 1, from: lastIndex + 1, count: 3, bytes: 900 }),
    )
    fixture.disk.run()
    const before = LogFixture.open(fixture.disk.copy())
    expect(before.recovery.lastIndex).toBe(lastIndex + 3)
    const newest = fixture.disk.paths().findLast((path) => path.endsWith(".seg")) ?? ""
    const disk = fixture.disk.copy()
    const bytes = Buffer.from(disk.content(newest).buffer)
    const data = entriesOf({ from: lastIndex + 2, count: 1, term: 1, bytes: 900 })[0]?.data ?? new Uint8Array(1)
    const at = bytes.indexOf(data.subarray(20, 60))
    bytes[at] = (bytes[at] ?? 0) ^ 4
    const after = LogFixture.open(disk)
    expect(after.recovery.ambiguousTail).toBe(true)
    expect(after.recovery.damaged).toEqual([{ firstIndex: lastIndex + 2, lastIndex: lastIndex + 2 }])
    expect(after.recovery.lastIndex).toBe(lastIndex + 3)
  })
})
