import { expect, test } from "vitest"
import type { Entry } from "../../core/raft/types.ts"
import type { Done } from "../../ports.ts"
import { entriesOf, shown, writeOf } from "../../../test/log/log-fixture.ts"
import { MemoryLog } from "./memory-log.ts"

test("MemoryLog acknowledges later, cuts, compacts, cleans and installs like the real one", () => {
  const queue: (() => void)[] = []
  const acknowledged: number[] = []
  const events = {
    persisted: (sequence: number) => acknowledged.push(sequence),
    failed: () => undefined,
    spaceChanged: () => undefined,
  }
  const log = new MemoryLog({ events, defer: (run) => queue.push(run) })
  const run = (): void => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) next()
  }
  const read = (fromIndex: number): string[] | "compacted" => {
    const found: (readonly Entry[] | "compacted")[] = []
    const done: Done<readonly Entry[] | "compacted"> = (_, value) => found.push(value)
    log.readEntries({ fromIndex, toIndex: 9999, maxBytes: 1e9 }, done)
    run()
    const [entries] = found
    return entries === undefined || entries === "compacted" ? "compacted" : shown(entries)
  }
  log.write(writeOf({ sequence: 1, term: 1, from: 1, count: 2000 }))
  log.write(writeOf({ sequence: 2, term: 2, from: 1990, count: 100 }))
  expect(acknowledged).toEqual([])
  run()
  expect(acknowledged).toEqual([1, 2])
  expect(read(1985)).toEqual(
    shown([...entriesOf({ from: 1985, count: 5, term: 1 }), ...entriesOf({ from: 1990, count: 100, term: 2 })]),
  )
  log.compact(1500, 1)
  log.drop([1], () => undefined)
  expect(read(1)).toBe("compacted")
  expect(read(1024)).toHaveLength(1066)
  log.stageEntries(entriesOf({ from: 7, count: 1, term: 1 }), () => undefined)
  const configuration = { voters: [1], votersOutgoing: [], learners: [], learnersNext: [] }
  log.reset({ lastIncludedIndex: 3000, lastIncludedTerm: 5, configuration }, () => undefined)
  expect(read(7)).toEqual(shown(entriesOf({ from: 7, count: 1, term: 1 })))
  expect(read(1500)).toBe("compacted")
  log.write(writeOf({ sequence: 3, term: 5, from: 3001, count: 1 }))
  expect(read(3001)).toHaveLength(1)
  expect(log.space().usedBytes).toBeGreaterThan(0)
})
