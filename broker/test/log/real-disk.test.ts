/**
 * The segmented log on a real file system, and the bytes of released formats.
 */
import { cp, mkdtemp, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { NodeDisk } from "../../src/adapters/disk/node-disk.ts"
import { LOG_DEFAULTS } from "../../src/adapters/log/log-options.ts"
import { openSegmentedLog } from "../../src/adapters/log/segmented-log.ts"
import type { OpenedLog } from "../../src/adapters/log/segmented-log.ts"
import type { Done, Entry } from "../../src/ports.ts"
import { IDENTITY, SEGMENT_BYTES, entriesOf, shown, writeOf } from "./log-fixture.ts"

let root = ""
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "opencmq-log-"))
})
afterEach(async () => {
  await rm(root, { recursive: true })
})

function promised<T = void>(start: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => {
      if (error === undefined) resolve(value)
      else reject(error)
    })
  })
}

interface Running extends OpenedLog {
  persisted(sequence: number): Promise<void>
}

async function open(segmentBytes = SEGMENT_BYTES): Promise<Running> {
  let acknowledged = 0
  const waiting: { sequence: number; resolve: () => void }[] = []
  const opened = await promised<OpenedLog>((done) => {
    openSegmentedLog(
      {
        options: {
          ...LOG_DEFAULTS,
          identity: IDENTITY,
          segmentBytes,
          cacheBytes: 0,
          verifyRecord: () => true,
          defer: setImmediate,
        },
        disk: new NodeDisk(root),
        events: {
          persisted: (sequence) => {
            acknowledged = sequence
            for (const each of waiting) if (each.sequence <= acknowledged) each.resolve()
          },
          failed: (error) => {
            throw error
          },
          spaceChanged: () => undefined,
        },
      },
      done,
    )
  })
  return {
    ...opened,
    persisted: (sequence) =>
      new Promise((resolve) => {
        waiting.push({ sequence, resolve })
        if (sequence <= acknowledged) resolve()
      }),
  }
}

function readAll(
  { log, recovery }: Running,
  fromIndex = recovery.baseIndex + 1,
): Promise<readonly Entry[] | "compacted"> {
  return promised((done) => {
    log.readEntries({ fromIndex, toIndex: 10_000, maxBytes: 10_000_000 }, done)
  })
}

const close = (running: Running): Promise<void> =>
  promised((done) => {
    running.log.close(done)
  })

describe("SegmentedLog over NodeDisk", () => {
  test("writes, rolls, cleans, drops, and finds everything again", async () => {
    const first = await open()
    for (let at = 0; at < 50; at++) {
      first.log.write(writeOf({ sequence: 1 + at, term: 1, from: 1 + at * 4, count: 4, bytes: 900 }))
    }
    await first.persisted(50)
    first.log.compact(120, 1)
    const sealed = first.log.segments().filter((segment) => !segment.active && segment.lastIndex <= 120)
    const [drop, clean] = sealed
    if (drop === undefined || clean === undefined) throw new Error("too few segments")
    await promised((done) => {
      first.log.drop([drop.firstIndex], done)
    })
    await promised((done) => {
      first.log.rewrite(clean.firstIndex, [clean.firstIndex + 1], done)
    })
    await close(first)
    const second = await open()
    expect(second.recovery).toMatchObject({ baseIndex: 120, lastIndex: 200, damaged: [], ambiguousTail: false })
    const entries = await readAll(second)
    expect(shown(entries as Entry[])).toEqual(shown(entriesOf({ from: 121, count: 80, term: 1, bytes: 900 })))
    expect(second.log.segments()[0]).toMatchObject({ firstIndex: clean.firstIndex, entryCount: 1, contiguous: false })
    await close(second)
  })

  test("a directory that appears deep in nothing is made", async () => {
    const running = await open()
    expect(running.recovery.hardState).toBeUndefined()
    await close(running)
    expect(await readdir(root)).toEqual(["log"])
  })
})

describe("format version 1", () => {
  test("reads the log that version 1 wrote", async () => {
    await cp(join(import.meta.dirname, "../golden/log/v1"), join(root, "log"), { recursive: true })
    const running = await open()
    expect(running.recovery).toMatchObject({
      hardState: { currentTerm: 3, votedFor: 2, commitIndex: 34 },
      baseIndex: 20,
      baseTerm: 1,
      lastIndex: 36,
      damaged: [],
      ambiguousTail: false,
    })
    expect(running.recovery.terms).toEqual([
      { firstIndex: 21, term: 1 },
      { firstIndex: 31, term: 2 },
      { firstIndex: 35, term: 3 },
    ])
    const expected = [
      ...entriesOf({ from: 21, count: 10, term: 1, bytes: 1500 }),
      ...entriesOf({ from: 31, count: 4, term: 2, bytes: 40 }),
      ...entriesOf({ from: 35, count: 2, term: 3, bytes: 40 }),
    ]
    expect(shown((await readAll(running)) as Entry[])).toEqual(shown(expected))
    // A body kept below the base.
    expect(shown((await readAll(running, 3)) as Entry[])).toEqual(
      shown(entriesOf({ from: 3, count: 1, term: 1, bytes: 1500 })),
    )
    await close(running)
  })
})
