import { expect, test } from "vitest"
import { createRandom } from "../random.ts"
import { ENTRY_OVERHEAD_BYTES, RaftLog } from "./raft-log.ts"
import { TermRuns } from "./term-runs.ts"
import type { Entry, Term } from "./types.ts"

function entry(index: number, term: Term, size = 0): Entry {
  return { index, term, kind: "commands", data: new Uint8Array(size) }
}

function emptyLog(cacheBytes = 1 << 20): RaftLog {
  return new RaftLog({
    baseIndex: 0,
    baseTerm: 0,
    terms: [],
    lastIndex: 0,
    commitIndex: 0,
    appliedIndex: 0,
    cacheBytes,
  })
}

test("term runs agree with a plain list, whatever is done to them", () => {
  const random = createRandom(21)
  for (let round = 0; round < 60; round++) {
    const runs = new TermRuns({ baseIndex: 0, baseTerm: 0, terms: [], lastIndex: 0 })
    let terms: number[] = [0]
    let base = 0
    for (let step = 0; step < 80; step++) {
      const action = random.nextInt(10)
      if (action < 7) {
        const term = Math.max(1, (terms.at(-1) ?? 0) + (random.nextInt(3) === 0 ? 1 + random.nextInt(2) : 0))
        runs.append(term)
        terms.push(term)
      } else if (action < 9) {
        const last = base + random.nextInt(terms.length - base)
        runs.truncate(last)
        terms = terms.slice(0, last + 1)
      } else {
        base += random.nextInt(terms.length - base)
        runs.compact(base)
      }
      const last = terms.length - 1
      expect([runs.baseIndex, runs.lastIndex, runs.lastTerm]).toEqual([base, last, terms[last]])
      for (let index = 0; index <= last + 1; index++) {
        expect(runs.termAt(index)).toBe(index < base ? undefined : terms[index])
      }
      const index = base + random.nextInt(last - base + 1)
      const term = random.nextInt(6)
      let slow = index
      while (slow >= base && (terms[slow] ?? 0) > term) slow--
      expect(runs.lastIndexWithTermAtMost(index, term)).toBe(slow)
    }
  }
})

test("term runs refuse what is not a log", () => {
  const make = (terms: { firstIndex: number; term: number }[], lastIndex = 5) =>
    new TermRuns({ baseIndex: 2, baseTerm: 3, terms, lastIndex })
  expect(make([{ firstIndex: 3, term: 3 }]).termAt(5)).toBe(3)
  expect(() => make([])).toThrow("cover")
  expect(() => make([{ firstIndex: 4, term: 3 }])).toThrow("first run")
  expect(() => make([{ firstIndex: 3, term: 2 }])).toThrow("terms of runs")
  expect(() =>
    make([
      { firstIndex: 3, term: 3 },
      { firstIndex: 4, term: 3 },
    ]),
  ).toThrow("terms of runs")
  expect(() => make([{ firstIndex: 3, term: 3 }], 2)).toThrow("cover")
})

test("a piece holds as much as fits, and at least one entry", () => {
  const log = emptyLog()
  log.append([entry(1, 1, 10), entry(2, 1, 10), entry(3, 1, 1000)])
  const lengths = [1, 2 * (10 + ENTRY_OVERHEAD_BYTES), 10_000].map(
    (maxBytes) => log.inMemory({ fromIndex: 1, toIndex: 3 }, maxBytes)?.length,
  )
  expect(lengths).toEqual([1, 2, 3])
  expect(log.inMemory({ fromIndex: 3, toIndex: 3 }, 1)?.map((each) => each.index)).toEqual([3])
})

test("the cache drops from the front what is durable, in bulk, and never what is not", () => {
  const log = emptyLog(10 * ENTRY_OVERHEAD_BYTES)
  for (let index = 1; index <= 500; index++) {
    log.append([entry(index, 1)])
    log.takeUnwritten()
    if (index % 7 === 0) log.markDurable(index - 3)
    expect(log.firstCachedIndex).toBeLessThanOrEqual(log.durableIndex + 1)
    expect(
      log.inMemory({ fromIndex: log.firstCachedIndex, toIndex: index }, Infinity)?.map((each) => each.index),
    ).toEqual(Array.from({ length: index - log.firstCachedIndex + 1 }, (_, place) => log.firstCachedIndex + place))
  }
  log.markDurable(500)
  expect(log.firstCachedIndex, "what is to be applied soon stays longer").toBe(461)
  log.commitTo(500)
  log.markApplying(480)
  log.markApplied(480)
  expect(log.firstCachedIndex).toBe(481)
  log.markApplying(500)
  log.markApplied(500)
  expect(log.firstCachedIndex).toBe(491)
  expect(log.cachedBytes).toBe(10 * ENTRY_OVERHEAD_BYTES)
  expect(log.inMemory({ fromIndex: 490, toIndex: 500 }, Infinity)).toBeUndefined()
})

test("truncation takes back what was durable and what was handed over", () => {
  const log = emptyLog()
  log.append([entry(1, 1), entry(2, 1), entry(3, 1)])
  log.takeUnwritten()
  log.markDurable(3)
  log.truncate(1)
  expect([log.lastIndex, log.durableIndex, log.hasUnwritten]).toEqual([1, 1, false])
  log.append([entry(2, 2)])
  expect(log.takeUnwritten()).toEqual([entry(2, 2)])
})

test("what is committed cannot be cut off, nor what is not there committed", () => {
  const log = emptyLog()
  log.append([entry(1, 1), entry(2, 1)])
  log.commitTo(2)
  expect(() => log.truncate(1)).toThrow("never removed")
  expect(() => log.commitTo(3)).toThrow("only entries of the log")
  log.commitTo(1)
  expect(log.commitIndex).toBe(2)
})

test("to be applied is what is committed and durable, one piece at a time", () => {
  const log = emptyLog()
  log.append([entry(1, 1), entry(2, 1), entry(3, 1)])
  log.takeUnwritten()
  log.commitTo(3)
  expect(log.applicable()).toBeUndefined()
  log.markDurable(2)
  expect(log.applicable()).toEqual({ fromIndex: 1, toIndex: 2 })
  log.markApplying(1)
  expect(log.applicable()).toBeUndefined()
  log.markApplied(1)
  expect(log.applicable()).toEqual({ fromIndex: 2, toIndex: 2 })
  expect(() => log.markApplying(3)).toThrow("committed and durable")
})
