import { describe, expect, test } from "vitest"
import { CrashDisk, seeded } from "../../../test/log/crash-disk.ts"
import { IDENTITY, LogFixture, entriesOf, shown, writeOf } from "../../../test/log/log-fixture.ts"
import type { Entry, RecordPositions } from "../../ports.ts"

describe("SegmentedLog", () => {
  test("a new log recovers nothing", () => {
    const { recovery } = LogFixture.open(new CrashDisk())
    expect(recovery).toEqual({
      hardState: undefined,
      baseIndex: 0,
      baseTerm: 0,
      lastIndex: 0,
      terms: [],
      configurations: [],
      damaged: [],
      ambiguousTail: false,
    })
  })

  test("what was acknowledged is there after close and reopen", () => {
    const disk = new CrashDisk()
    const fixture = LogFixture.open(disk)
    fixture.write(
      writeOf({ sequence: 1, term: 3, votedFor: 2 }),
      writeOf({ sequence: 2, term: 3, votedFor: 2, from: 1, count: 5, commitIndex: 2 }),
    )
    expect(fixture.acknowledged).toEqual([])
    disk.run()
    expect(fixture.lastAcknowledged).toBe(2)
    fixture.close()
    const again = LogFixture.open(disk)
    expect(again.recovery.hardState).toEqual({ currentTerm: 3, votedFor: 2, commitIndex: 2 })
    expect(again.recovery.terms).toEqual([{ firstIndex: 1, term: 3 }])
    expect(again.recovery.lastIndex).toBe(5)
    expect(shown(again.readAll())).toEqual(shown(entriesOf({ from: 1, count: 5, term: 3 })))
  })

  test("writes that arrive during a flush go out together with one sync and one acknowledgement", () => {
    const disk = new CrashDisk()
    const fixture = LogFixture.open(disk)
    fixture.write(writeOf({ sequence: 1, term: 1 }))
    disk.run()
    const before = disk.history.length
    for (let at = 0; at < 10; at++) fixture.write(writeOf({ sequence: 2 + at, term: 1, from: 1 + at, count: 1 }))
    disk.run()
    const syncs = disk.history.slice(before).filter((name) => name.startsWith("sync "))
    expect(syncs).toHaveLength(2)
    expect(fixture.acknowledged).toEqual([1, 2, 11])
  })

  test("the hard state is durable before the entries of the same write", () => {
    const disk = new CrashDisk()
    const fixture = LogFixture.open(disk)
    const before = disk.history.length
    fixture.write(writeOf({ sequence: 1, term: 1, from: 1, count: 1 }))
    disk.run()
    const kinds = disk.history.slice(before).filter((name) => /^(write|sync)/.test(name))
    // The first segment's file was opened under the name of a spare.
    expect(kinds.map((name) => name.replace(/ \d+@.*/, ""))).toEqual([
      "write log/hard-state.a",
      "sync log/hard-state.a",
      "write log/hard-state.b",
      "sync log/hard-state.b",
      "write log/000001.spare",
      "sync log/000001.spare",
    ])
  })

  test("entries fill segment after segment and are read from all of them", () => {
    const disk = new CrashDisk()
    const fixture = LogFixture.open(disk)
    fixture.write(writeOf({ sequence: 1, term: 1 }))
    for (let at = 0; at < 40; at++)
      fixture.write(writeOf({ sequence: 2 + at, term: 1, from: 1 + at * 5, count: 5, bytes: 700 }))
    disk.run()
    expect(fixture.log.segments().length).toBeGreaterThan(4)
    expect(shown(fixture.readAll())).toEqual(shown(entriesOf({ from: 1, count: 200, term: 1, bytes: 700 })))
    const again = LogFixture.open(disk.kill())
    expect(again.recovery.lastIndex).toBe(200)
    expect(shown(again.readAll())).toEqual(shown(entriesOf({ from: 1, count: 200, term: 1, bytes: 700 })))
    expect(again.log.segments().map((segment) => segment.active)).toContain(true)
  })

  test("a write at or below the last index cuts the log, now and after a crash", () => {
    const disk = new CrashDisk()
    const fixture = LogFixture.open(disk)
    fixture.write(
      writeOf({ sequence: 1, term: 1, from: 1, count: 60, bytes: 700 }),
      writeOf({ sequence: 2, term: 2, from: 11, count: 3 }),
      writeOf({ sequence: 3, term: 3, from: 13, count: 1 }),
    )
    disk.run()
    const expected = [
      ...entriesOf({ from: 1, count: 10, term: 1, bytes: 700 }),
      ...entriesOf({ from: 11, count: 2, term: 2 }),
      ...entriesOf({ from: 13, count: 1, term: 3 }),
    ]
    expect(shown(fixture.readAll())).toEqual(shown(expected))
    const again = LogFixture.open(disk.kill())
    expect(shown(again.readAll())).toEqual(shown(expected))
    expect(again.recovery.terms).toEqual([
      { firstIndex: 1, term: 1 },
      { firstIndex: 11, term: 2 },
      { firstIndex: 13, term: 3 },
    ])
    expect(again.recovery.configurations.map((configuration) => configuration.index)).toEqual([7])
  })

  test("message records are read with one read for neighbours, in the order asked", () => {
    const disk = new CrashDisk()
    const fixture = LogFixture.open(disk, { options: { verifyRecord: (bytes) => bytes.length !== 13 } })
    const entries = entriesOf({ from: 1, count: 20, term: 1, bytes: 300 })
    fixture.write({ ...writeOf({ sequence: 1, term: 1 }), entries })
    disk.run()
    const before = disk.history.length
    const positions: RecordPositions = {
      count: 5,
      entryIndexes: [7, 3, 99, 5, 3],
      offsets: [10, 0, 0, 20, 290],
      lengths: [50, 100, 10, 13, 100],
    }
    const records = fixture.call<readonly (Uint8Array | undefined)[]>((done) => {
      fixture.log.readRecords(positions, done)
    })
    const data = (index: number): Uint8Array => entries[index - 1]?.data ?? new Uint8Array(0)
    expect(records.map((record) => record && Buffer.from(record).toString("hex"))).toEqual([
      Buffer.from(data(7).subarray(10, 60)).toString("hex"),
      Buffer.from(data(3).subarray(0, 100)).toString("hex"),
      undefined,
      undefined,
      undefined,
    ])
    expect(disk.history.slice(before).filter((name) => name.startsWith("read"))).toHaveLength(1)
  })

  test("recent entries are read from memory", () => {
    const disk = new CrashDisk()
    const fixture = LogFixture.open(disk, { options: { cacheBytes: 3000 } })
    for (let at = 0; at < 50; at++) fixture.write(writeOf({ sequence: 1 + at, term: 1, from: 1 + at, count: 1 }))
    disk.run()
    const before = disk.history.length
    const read = (fromIndex: number): readonly Entry[] | "compacted" =>
      fixture.call((done) => {
        fixture.log.readEntries({ fromIndex, toIndex: 50, maxBytes: 1 }, done)
      })
    expect(read(50)).toHaveLength(1)
    expect(disk.history.length).toBe(before)
    expect(read(1)).toHaveLength(1)
    expect(disk.history.length).toBe(before + 1)
  })

  test("a data directory of another node, set, cluster or incarnation is refused", () => {
    const disk = new CrashDisk()
    LogFixture.open(disk).close()
    const open = (change: Partial<typeof IDENTITY>) => () =>
      LogFixture.open(disk.copy(), { options: { identity: { ...IDENTITY, ...change } } })
    expect(open({ clusterId: "other" })).toThrow(expect.objectContaining({ kind: "wrongCluster" }) as Error)
    expect(open({ nodeId: 3 })).toThrow(expect.objectContaining({ kind: "wrongNode" }) as Error)
    expect(open({ setId: 1 })).toThrow(expect.objectContaining({ kind: "wrongSet" }) as Error)
    expect(open({ incarnation: 2 })).toThrow(expect.objectContaining({ kind: "wrongIncarnation" }) as Error)
    expect(open({})).not.toThrow()
  })

  test("unknown files are set aside, not deleted", () => {
    const disk = new CrashDisk()
    LogFixture.open(disk).close()
    disk.put("log/notes.txt", Buffer.from("mine"))
    LogFixture.open(disk)
    expect(Buffer.from(disk.content("log/quarantine/notes.txt")).toString()).toBe("mine")
  })

  test("a dropped segment's file is kept until reads under way have ended", () => {
    const disk = new CrashDisk()
    const fixture = LogFixture.open(disk)
    fixture.write(writeOf({ sequence: 1, term: 1, from: 1, count: 60, bytes: 900 }))
    disk.run()
    fixture.log.compact(50, 1)
    const answers: string[][] = []
    fixture.log.readEntries({ fromIndex: 1, toIndex: 5, maxBytes: 100_000 }, (error, entries) => {
      if (error === undefined && entries !== "compacted") answers.push(shown(entries))
    })
    fixture.call((done) => {
      fixture.log.drop([1], done)
    })
    expect(answers).toEqual([shown(entriesOf({ from: 1, count: 5, term: 1, bytes: 900 }))])
    expect(
      fixture.call<readonly Entry[] | "compacted">((done) => {
        fixture.log.readEntries({ fromIndex: 1, toIndex: 5, maxBytes: 100_000 }, done)
      }),
    ).toBe("compacted")
  })

  test("active segments, segments above the base and unknown ones are not dropped", () => {
    const disk = new CrashDisk()
    const fixture = LogFixture.open(disk)
    fixture.write(writeOf({ sequence: 1, term: 1, from: 1, count: 60, bytes: 900 }))
    disk.run()
    const before = fixture.log.segments()
    fixture.log.compact(3, 1)
    fixture.call((done) => {
      fixture.log.drop([...before.map((segment) => segment.firstIndex), 12_345], done)
    })
    expect(fixture.log.segments()).toEqual(before)
    const rewrite = (): void => {
      fixture.call((done) => {
        fixture.log.rewrite(1, [2], done)
      })
    }
    expect(rewrite).toThrow(expect.objectContaining({ kind: "refused" }) as Error)
  })

  test("a cleaned segment keeps its first index, and can be cleaned again and dropped", () => {
    const disk = new CrashDisk()
    const fixture = LogFixture.open(disk)
    fixture.write(writeOf({ sequence: 1, term: 1, from: 1, count: 60, bytes: 900 }))
    disk.run()
    fixture.log.compact(50, 1)
    const rewrite = (keep: readonly number[]): void => {
      fixture.call((done) => {
        fixture.log.rewrite(1, keep, done)
      })
    }
    rewrite([2, 3, 9])
    expect(fixture.log.segments()[0]).toMatchObject({ firstIndex: 1, lastIndex: 9, entryCount: 3, contiguous: false })
    rewrite([9])
    const read = (log: LogFixture, fromIndex: number): readonly Entry[] | "compacted" =>
      log.call((done) => {
        log.log.readEntries({ fromIndex, toIndex: 50, maxBytes: 100_000 }, done)
      })
    const again = LogFixture.open(disk.powerCut(seeded(1), 0))
    expect(shown(read(again, 9) as Entry[])).toEqual(shown(entriesOf({ from: 9, count: 1, term: 1, bytes: 900 })))
    expect(read(again, 2)).toBe("compacted")
    again.call((done) => {
      again.log.drop([1], done)
    })
    expect(read(again, 9)).toBe("compacted")
    expect(again.recovery.damaged).toEqual([])
  })

  test("writes that come while an install runs wait for it", () => {
    const disk = new CrashDisk()
    const fixture = LogFixture.open(disk)
    fixture.write(writeOf({ sequence: 1, term: 1, from: 1, count: 10 }))
    const configuration = { voters: [1], votersOutgoing: [], learners: [], learnersNext: [] }
    let isDone = false
    fixture.log.stageEntries(entriesOf({ from: 4, count: 1, term: 1 }), () => undefined)
    fixture.log.reset({ lastIncludedIndex: 100, lastIncludedTerm: 2, configuration }, () => {
      isDone = true
      fixture.write(writeOf({ sequence: 2, term: 2, from: 101, count: 3 }))
    })
    disk.run()
    expect(isDone).toBe(true)
    expect(fixture.acknowledged).toEqual([1, 2])
    const again = LogFixture.open(disk.powerCut(seeded(1), 0))
    expect(again.recovery).toMatchObject({ baseIndex: 100, baseTerm: 2, lastIndex: 103, damaged: [] })
    expect(again.log.segments()[0]).toMatchObject({ firstIndex: 4, entryCount: 1 })
  })

  test("an entry found rotten while running is reported, and a repair brings it back, also in the active segment", () => {
    const disk = new CrashDisk()
    const fixture = LogFixture.open(disk)
    const entries = entriesOf({ from: 1, count: 5, term: 1, bytes: 900 })
    fixture.write({ ...writeOf({ sequence: 1, term: 1 }), entries })
    disk.run()
    const path = disk.paths().find((each) => each.endsWith(".seg")) ?? ""
    const bytes = Buffer.from(disk.content(path).buffer)
    const at = bytes.indexOf((entries[2]?.data ?? new Uint8Array(1)).subarray(0, 30))
    bytes[at] = (bytes[at] ?? 0) ^ 1
    expect(() => fixture.readAll(3)).toThrow(expect.objectContaining({ kind: "damaged" }) as Error)
    expect(shown(fixture.readAll(1, 2))).toEqual(shown(entries.slice(0, 2)))
    fixture.call((done) => {
      fixture.log.repair(entries.slice(2, 3), done)
    })
    expect(shown(fixture.readAll(1))).toEqual(shown(entries))
    fixture.write(writeOf({ sequence: 2, term: 1, from: 6, count: 1 }))
    disk.run()
    expect(LogFixture.open(disk.powerCut(seeded(1), 0)).recovery).toMatchObject({ lastIndex: 6, damaged: [] })
  })

  test("after close nothing is taken and every call is answered", () => {
    const disk = new CrashDisk()
    const fixture = LogFixture.open(disk)
    fixture.write(writeOf({ sequence: 1, term: 1, from: 1, count: 1 }))
    fixture.close()
    expect(fixture.acknowledged).toEqual([1])
    fixture.write(writeOf({ sequence: 2, term: 1, from: 2, count: 1 }))
    disk.run()
    expect(fixture.acknowledged).toEqual([1])
    expect(() => fixture.readAll()).toThrow(expect.objectContaining({ kind: "closed" }) as Error)
  })
})
