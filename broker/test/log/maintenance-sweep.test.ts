/**
 * Cuts the power at every disk operation of cleaning, dropping, repair and snapshot install (D18): what is alive stays
 * readable, and an install is done wholly or not at all.
 */
import { describe, expect, test } from "vitest"
import type { LogMutation } from "../../src/adapters/log/log-options.ts"
import type { Entry, SnapshotMeta } from "../../src/ports.ts"
import { CrashDisk, seeded } from "./crash-disk.ts"
import { LogFixture, entriesOf, shown, writeOf } from "./log-fixture.ts"

/** What must hold after a crash, sharpened by the script as it goes. */
interface Promises {
  /** Readable, whatever happens from now on. */
  readonly alive: Map<number, Entry>
  lastIndexAtLeast: number
  baseIndexAtLeast: number
  /** Nothing at or below is in the log but what is alive. */
  resetDone: number
  /** Readable if the snapshot turns out to be installed. */
  installed: readonly Entry[]
}

interface Script {
  readonly name: string
  readonly prepare?: (disk: CrashDisk) => CrashDisk
  readonly run: (fixture: LogFixture, promises: Promises) => void
}

function promiseAlive(promises: Promises, entries: readonly Entry[]): void {
  for (const entry of entries) promises.alive.set(entry.index, entry)
}

/** Writes and, when it was acknowledged, promises. */
function put(
  fixture: LogFixture,
  promises: Promises,
  shape: { from: number; count: number; term: number; bytes?: number },
): void {
  const sequence = fixture.lastAcknowledged + 1
  const write = writeOf({ sequence, ...shape })
  // Not acknowledged yet, it may already have cut the log.
  for (const index of [...promises.alive.keys()]) if (index >= shape.from) promises.alive.delete(index)
  promises.lastIndexAtLeast = Math.min(promises.lastIndexAtLeast, shape.from - 1)
  fixture.write(write)
  fixture.disk.run()
  if (fixture.lastAcknowledged !== sequence) return
  promiseAlive(promises, write.entries)
  promises.lastIndexAtLeast = shape.from + shape.count - 1
}

/** Calls and says whether it came to its end. */
function tried(fixture: LogFixture, start: (done: (error: Error | undefined) => void) => void): boolean {
  let isDone = false
  start((error) => {
    if (error !== undefined) throw error
    isDone = true
  })
  fixture.disk.run()
  return isDone
}

function keepOnly(promises: Promises, keep: readonly number[], range: { firstIndex: number; lastIndex: number }): void {
  for (const index of [...promises.alive.keys()]) {
    if (index >= range.firstIndex && index <= range.lastIndex && !keep.includes(index)) promises.alive.delete(index)
  }
}

const META: SnapshotMeta = {
  lastIncludedIndex: 100,
  lastIncludedTerm: 4,
  configuration: { voters: [1, 2, 3], votersOutgoing: [], learners: [], learnersNext: [] },
}
const STAGED = [5, 17, 33, 80, 95].map((index) => entriesOf({ from: index, count: 1, term: 3, bytes: 400 })[0] as Entry)

function cleaning(fixture: LogFixture, promises: Promises): void {
  put(fixture, promises, { from: 1, count: 40, term: 1, bytes: 1500 })
  // An end that is overwritten, so that dropped segments are what says so.
  put(fixture, promises, { from: 30, count: 40, term: 2, bytes: 1500 })
  put(fixture, promises, { from: 60, count: 45, term: 3, bytes: 1500 })
  if (fixture.disk.isDead) return
  fixture.log.compact(80, 3)
  for (let round = 0; round < 3; round++) {
    const sealed = fixture.log.segments().filter((segment) => !segment.active && segment.lastIndex <= 80)
    const segment = sealed[round]
    if (segment === undefined) break
    const keep = round === 1 ? [] : [segment.firstIndex + 1, segment.lastIndex]
    keepOnly(promises, keep, segment)
    const isDone = tried(fixture, (done) => {
      if (round === 1) fixture.log.drop([segment.firstIndex], done)
      else fixture.log.rewrite(segment.firstIndex, keep, done)
    })
    if (!isDone) return
    promises.baseIndexAtLeast = 80
    put(fixture, promises, { from: promises.lastIndexAtLeast + 1, count: 12, term: 4 + round, bytes: 1500 })
  }
}

function installOver(suffixTerm: number) {
  return (fixture: LogFixture, promises: Promises): void => {
    // Entries of STAGED are the same everywhere: committed long ago.
    const own = entriesOf({ from: 1, count: 60, term: 3, bytes: 400 })
    fixture.write({ ...writeOf({ sequence: 1, term: suffixTerm }), entries: own })
    fixture.disk.run()
    put(fixture, promises, { from: 61, count: 50, term: suffixTerm, bytes: 400 })
    if (fixture.disk.isDead) return
    for (const entry of STAGED.slice(0, 2)) {
      if (
        !tried(fixture, (done) => {
          fixture.log.stageEntries([entry], done)
        })
      )
        return
    }
    if (
      !tried(fixture, (done) => {
        fixture.log.stageEntries(STAGED.slice(2), done)
      })
    )
      return
    const keepsSuffix = suffixTerm === META.lastIncludedTerm
    const staged = new Set(STAGED.map((entry) => entry.index))
    for (const index of [...promises.alive.keys()]) {
      if ((index <= 100 || !keepsSuffix) && !staged.has(index)) promises.alive.delete(index)
    }
    // The decision may fall either way until the call is answered: entries below the snapshot are promised afterwards.
    for (const index of staged) promises.alive.delete(index)
    promises.installed = STAGED
    promises.lastIndexAtLeast = keepsSuffix ? 110 : 0
    if (
      !tried(fixture, (done) => {
        fixture.log.reset(META, done)
      })
    )
      return
    promises.resetDone = 100
    promises.baseIndexAtLeast = 100
    if (!keepsSuffix) promises.lastIndexAtLeast = 100
    promiseAlive(promises, STAGED)
    put(fixture, promises, { from: promises.lastIndexAtLeast + 1, count: 30, term: 6, bytes: 1500 })
  }
}

function repairing(fixture: LogFixture, promises: Promises): void {
  const truth = entriesOf({ from: 1, count: 40, term: 1, bytes: 1500 })
  promises.lastIndexAtLeast = 40
  const lost = new Set<number>()
  for (const range of fixture.recovery.damaged) {
    for (let index = range.firstIndex; index <= range.lastIndex; index++) lost.add(index)
  }
  promiseAlive(
    promises,
    truth.filter((entry) => !lost.has(entry.index)),
  )
  put(fixture, promises, { from: 41, count: 3, term: 2 })
  const wanted = truth.filter((entry) => lost.has(entry.index))
  if (
    tried(fixture, (done) => {
      fixture.log.repair(wanted, done)
    })
  )
    promiseAlive(promises, wanted)
  put(fixture, promises, { from: 44, count: 3, term: 2 })
}

/** Two segments damaged, and a damaged batch at the very end. */
function damagedDisk(disk: CrashDisk): CrashDisk {
  const fixture = LogFixture.open(disk)
  fixture.write(writeOf({ sequence: 1, term: 1, from: 1, count: 40, bytes: 1500 }))
  disk.run()
  fixture.log.tick()
  disk.run()
  const next = disk.copy()
  const segments = next.paths().filter((path) => path.endsWith(".seg"))
  for (const path of segments) next.content(path)[8192 + 3000] = (next.content(path)[8192 + 3000] ?? 0) ^ 1
  return next
}

const SCRIPTS: readonly Script[] = [
  { name: "cleaning and dropping", run: cleaning },
  { name: "snapshot install over a log that does not match", run: installOver(3) },
  { name: "snapshot install that keeps a matching suffix", run: installOver(4) },
  { name: "repair", prepare: damagedDisk, run: repairing },
]

function runUntil(
  script: Script,
  crashAt: number,
  mutations: readonly LogMutation[] = [],
): { disk: CrashDisk; promises: Promises } {
  const fresh = new CrashDisk()
  const disk = script.prepare === undefined ? fresh : script.prepare(fresh)
  disk.crashAt = crashAt
  const promises: Promises = { alive: new Map(), lastIndexAtLeast: 0, baseIndexAtLeast: 0, resetDone: 0, installed: [] }
  const fixture = LogFixture.tryOpen(disk, { mutations })
  if (fixture !== undefined) {
    disk.run()
    script.run(fixture, promises)
  }
  return { disk, promises }
}

function readOne(fixture: LogFixture, index: number): string {
  const found = fixture.call<readonly Entry[] | "compacted">((done) => {
    fixture.log.readEntries({ fromIndex: index, toIndex: index, maxBytes: 1 }, done)
  })
  return found === "compacted" ? "compacted" : shown(found).join()
}

function check(disk: CrashDisk, promises: Promises): void {
  const fixture = LogFixture.open(disk)
  const { recovery } = fixture
  expect(recovery.ambiguousTail).toBe(false)
  expect(recovery.baseIndex).toBeGreaterThanOrEqual(promises.baseIndexAtLeast)
  expect(recovery.lastIndex).toBeGreaterThanOrEqual(promises.lastIndexAtLeast)
  for (const entry of promises.alive.values()) expect(readOne(fixture, entry.index)).toBe(shown([entry]).join())
  if (recovery.baseIndex === META.lastIncludedIndex) {
    for (const entry of promises.installed) expect(readOne(fixture, entry.index)).toBe(shown([entry]).join())
  }
  const damaged = new Set(recovery.damaged.map((range) => range.firstIndex))
  for (let index = recovery.baseIndex + 1; index <= recovery.lastIndex; index++) {
    if (!damaged.has(index)) expect(readOne(fixture, index)).toMatch(new RegExp(`^${index}/`))
  }
  if (promises.resetDone > 0) {
    for (let index = 1; index <= promises.resetDone; index++) {
      if (!promises.alive.has(index)) expect(readOne(fixture, index)).toBe("compacted")
    }
  }
  const segments = fixture.log.segments()
  expect(new Set(segments.map((segment) => segment.firstIndex)).size).toBe(segments.length)
  const next = writeOf({ sequence: 1, term: 99, from: recovery.lastIndex + 1, count: 2 })
  fixture.write(next)
  disk.run()
  const again = LogFixture.open(disk.powerCut(seeded(5), 0))
  for (const entry of [...promises.alive.values(), ...next.entries]) {
    expect(readOne(again, entry.index)).toBe(shown([entry]).join())
  }
}

describe("crash at every operation of maintenance", { timeout: 120_000 }, () => {
  for (const script of SCRIPTS) {
    const total = runUntil(script, Infinity).disk.operationCount
    test(`${script.name} (${total} points)`, () => {
      for (let crashAt = 1; crashAt <= total + 1; crashAt++) {
        const { disk, promises } = runUntil(script, crashAt)
        for (const [round, keep] of [0, 1, undefined].entries()) {
          const random = seeded(crashAt * 10 + round)
          try {
            check(disk.powerCut(random, keep ?? random()), promises)
          } catch (error) {
            throw new Error(`crash at ${crashAt} (${disk.history.at(-1) ?? ""}), round ${round}`, { cause: error })
          }
        }
      }
    })
  }

  test("mutant snapshotWithoutDirectorySync is killed", () => {
    let noticed = 0
    for (const script of SCRIPTS.slice(1, 3)) {
      const total = runUntil(script, Infinity, ["snapshotWithoutDirectorySync"]).disk.operationCount
      for (let crashAt = 1; crashAt <= total; crashAt++) {
        const { disk, promises } = runUntil(script, crashAt, ["snapshotWithoutDirectorySync"])
        try {
          check(disk.powerCut(seeded(crashAt), 0), promises)
        } catch {
          noticed++
        }
      }
    }
    expect(noticed).toBeGreaterThan(0)
  })
})
