/**
 * Cuts the power, or kills the process, at every disk operation of a script, and opens the log again: everything
 * acknowledged is there, nothing was invented, and opening once more finds the same.
 */
import { describe, expect, test } from "vitest"
import type { LogMutation } from "../../src/adapters/log/log-options.ts"
import type { Entry, LogWrite } from "../../src/ports.ts"
import { CrashDisk, seeded } from "./crash-disk.ts"
import { LogFixture, entriesOf, shown, writeOf } from "./log-fixture.ts"

interface Progress {
  readonly writes: LogWrite[]
  acknowledged: number
}

interface Script {
  readonly name: string
  readonly run: (fixture: LogFixture, progress: Progress) => void
}

function write(fixture: LogFixture, progress: Progress, ...writes: readonly LogWrite[]): void {
  progress.writes.push(...writes)
  fixture.write(...writes)
  fixture.disk.run()
  progress.acknowledged = Math.max(progress.acknowledged, fixture.lastAcknowledged)
}

const SCRIPTS: readonly Script[] = [
  {
    name: "appending, one write at a time",
    run: (fixture, progress) => {
      for (let at = 0; at < 12; at++) {
        write(
          fixture,
          progress,
          writeOf({ sequence: 1 + at, term: 1 + Math.floor(at / 5), from: 1 + at * 3, count: 3, bytes: 900 }),
        )
      }
    },
  },
  {
    name: "appending across segments, several writes in flight",
    run: (fixture, progress) => {
      for (let round = 0; round < 5; round++) {
        const writes = Array.from({ length: 4 }, (_, at) => {
          const number = round * 4 + at
          return writeOf({ sequence: 1 + number, term: 1 + round, from: 1 + number * 4, count: 4, bytes: 1500 })
        })
        write(fixture, progress, ...writes)
      }
    },
  },
  {
    name: "cutting and writing again, over segment borders",
    run: (fixture, progress) => {
      write(fixture, progress, writeOf({ sequence: 1, term: 1, from: 1, count: 40, bytes: 1000 }))
      write(fixture, progress, writeOf({ sequence: 2, term: 2, from: 35, count: 10, bytes: 500 }))
      write(fixture, progress, writeOf({ sequence: 3, term: 3, from: 20, count: 2, bytes: 100 }))
      write(fixture, progress, writeOf({ sequence: 4, term: 4, from: 21, count: 30, bytes: 1000 }))
      write(
        fixture,
        progress,
        writeOf({ sequence: 5, term: 5, from: 5, count: 1 }),
        writeOf({ sequence: 6, term: 6, from: 6, count: 1 }),
      )
    },
  },
  {
    name: "appending into recycled files",
    run: (fixture, progress) => {
      for (let round = 0; round < 4; round++) recycle(fixture, progress, round)
    },
  },
]

/** Writes 30 entries, compacts behind them and drops what is sealed, so that files come round. */
function recycle(fixture: LogFixture, progress: Progress, round: number): void {
  const from = 1 + round * 30
  write(fixture, progress, writeOf({ sequence: 1 + round * 2, term: 1, from, count: 30, bytes: 1100 }))
  if (fixture.disk.isDead) return
  const sealed = fixture.log.segments().filter((segment) => !segment.active)
  fixture.log.compact(sealed.at(-1)?.lastIndex ?? 0, 1)
  fixture.log.drop(
    sealed.map((segment) => segment.firstIndex),
    () => undefined,
  )
  write(fixture, progress, writeOf({ sequence: 2 + round * 2, term: 1, from: from + 30 }))
}

/** What the log may hold: the state after some write from the last acknowledged one on, with a prefix of the next one. */
function isPossible(found: readonly string[], progress: Progress, baseIndex = 0): boolean {
  let log: string[] = []
  const states: string[][] = progress.acknowledged === 0 ? [log] : []
  for (const { entries, sequence } of progress.writes) {
    const first = entries[0]
    if (first !== undefined) {
      const kept = log.slice(0, first.index - 1)
      const added = shown(entries)
      for (let count = 1; count < added.length && sequence > progress.acknowledged; count++) {
        states.push([...kept, ...added.slice(0, count)])
      }
      log = [...kept, ...added]
    }
    if (sequence >= progress.acknowledged) states.push(log)
  }
  const wanted = found.join()
  return states.some((state) => state.length - baseIndex === found.length && state.slice(baseIndex).join() === wanted)
}

/** The states before the acknowledged write are not enough: those entries must be there. */
function acknowledgedEntries(progress: Progress): Entry[] {
  let log: Entry[] = []
  for (const { entries, sequence } of progress.writes) {
    const first = entries[0]
    if (first === undefined) continue
    if (sequence <= progress.acknowledged) log = [...log.filter((entry) => entry.index < first.index), ...entries]
    // A later write may have cut them already, without having been acknowledged.
    else log = log.filter((entry) => entry.index < first.index)
  }
  return log
}

function check(disk: CrashDisk, progress: Progress): void {
  const fixture = LogFixture.open(disk)
  const { recovery } = fixture
  expect(recovery.damaged).toEqual([])
  expect(recovery.ambiguousTail).toBe(false)
  const { baseIndex } = recovery
  const found = shown(fixture.readAll())
  expect(found.length).toBe(recovery.lastIndex - baseIndex)
  const wanted = shown(acknowledgedEntries(progress).slice(baseIndex))
  expect(found.slice(0, wanted.length)).toEqual(wanted)
  expect(isPossible(found, progress, baseIndex)).toBe(true)
  const term =
    progress.writes.filter((each) => each.sequence <= progress.acknowledged).at(-1)?.hardState?.currentTerm ?? 0
  expect(recovery.hardState?.currentTerm ?? 0).toBeGreaterThanOrEqual(term)
  const again = LogFixture.open(disk.kill())
  expect(shown(again.readAll())).toEqual(found)
  expect(again.recovery.terms).toEqual(recovery.terms)
  // The log goes on from there.
  const next = writeOf({ sequence: 1, term: 99, from: recovery.lastIndex + 1, count: 2 })
  again.write(next)
  again.disk.run()
  expect(again.acknowledged).toEqual([1])
  const last = LogFixture.open(again.disk.powerCut(seeded(1), 0))
  expect(shown(last.readAll())).toEqual([...found, ...shown(next.entries)])
}

function operationsOf(script: Script): number {
  const disk = new CrashDisk()
  const fixture = LogFixture.open(disk)
  script.run(fixture, { writes: [], acknowledged: 0 })
  fixture.close()
  return disk.operationCount
}

/** Runs the script until the disk dies at operation `crashAt`. */
function runUntil(
  script: Script,
  crashAt: number,
  mutations: readonly LogMutation[] = [],
): { disk: CrashDisk; progress: Progress } {
  const disk = new CrashDisk()
  disk.crashAt = crashAt
  const progress: Progress = { writes: [], acknowledged: 0 }
  const fixture = LogFixture.tryOpen(disk, { mutations })
  if (fixture !== undefined) {
    disk.run()
    script.run(fixture, progress)
    if (!disk.isDead) {
      fixture.log.close(() => undefined)
      disk.run()
    }
    progress.acknowledged = Math.max(progress.acknowledged, fixture.lastAcknowledged)
  }
  return { disk, progress }
}

describe("crash at every disk operation", { timeout: 120_000 }, () => {
  for (const script of SCRIPTS) {
    const total = operationsOf(script)
    test(`${script.name}: power cut (${total} points)`, () => {
      for (let crashAt = 1; crashAt <= total + 1; crashAt++) {
        const { disk, progress } = runUntil(script, crashAt)
        for (const [round, keep] of [0, 1, undefined, undefined].entries()) {
          const random = seeded(crashAt * 10 + round)
          const left = disk.powerCut(random, keep ?? random())
          try {
            check(left, progress)
          } catch (error) {
            throw new Error(`crash at ${crashAt} (${disk.history.at(-1) ?? ""}), round ${round}`, { cause: error })
          }
        }
      }
    })

    test(`${script.name}: kill (${total} points)`, () => {
      for (let crashAt = 1; crashAt <= total + 1; crashAt++) {
        const { disk, progress } = runUntil(script, crashAt)
        try {
          check(disk.kill(), progress)
        } catch (error) {
          throw new Error(`crash at ${crashAt} (${disk.history.at(-1) ?? ""})`, { cause: error })
        }
      }
    })
  }

  test("crashes while recovering from a crash", () => {
    const script = SCRIPTS[1]
    if (script === undefined) throw new Error("no script")
    const total = operationsOf(script)
    for (let crashAt = 1; crashAt <= total; crashAt += 3) {
      const { disk, progress } = runUntil(script, crashAt)
      const random = seeded(crashAt)
      let left = disk.powerCut(random, random())
      for (let again = 1; again < 40; again += 2) {
        left.crashAt = again
        const fixture = LogFixture.tryOpen(left)
        if (fixture !== undefined) left.run()
        left = left.powerCut(random, random())
      }
      try {
        check(left, progress)
      } catch (error) {
        throw new Error(`crash at ${crashAt} (${disk.history.at(-1) ?? ""})`, { cause: error })
      }
    }
  })

  test("mutant ackBeforeSync is killed", () => {
    const script = SCRIPTS[0]
    if (script === undefined) throw new Error("no script")
    const failures: unknown[] = []
    for (let crashAt = 1; crashAt <= operationsOf(script); crashAt++) {
      const { disk, progress } = runUntil(script, crashAt, ["ackBeforeSync"])
      try {
        check(disk.powerCut(seeded(crashAt), 0), progress)
      } catch (error) {
        failures.push(error)
      }
    }
    expect(failures.length).toBeGreaterThan(0)
  })
})

test("entriesOf and isPossible agree on a whole script", () => {
  const progress: Progress = { writes: [writeOf({ sequence: 1, term: 1, from: 1, count: 3 })], acknowledged: 1 }
  expect(isPossible(shown(entriesOf({ from: 1, count: 3, term: 1 })), progress)).toBe(true)
  expect(isPossible(shown(entriesOf({ from: 1, count: 3, term: 2 })), progress)).toBe(false)
})
