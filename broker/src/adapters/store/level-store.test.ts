import { copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import type { CheckpointRecord, CheckpointStore, CheckpointView, Done } from "../../ports.ts"
import { openLevelStore } from "./level-store.ts"
import { MemoryStore } from "./memory-store.ts"

let directory = ""
let path = ""

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "opencmq-level-"))
  path = join(directory, "checkpoint")
})
afterEach(async () => {
  await rm(directory, { recursive: true })
})

function promised<T = void>(start: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => {
      if (error === undefined) resolve(value)
      else reject(error)
    })
  })
}

function record(key: string, value: string | undefined): CheckpointRecord {
  return { key: Buffer.from(key), value: value === undefined ? undefined : Buffer.from(value) }
}

async function readAll(store: CheckpointStore): Promise<string[]> {
  const lines: string[] = []
  await promised((done) => {
    store.read((records) => {
      for (const { key, value } of records)
        lines.push(`${Buffer.from(key).toString()}=${Buffer.from(value).toString()}`)
    }, done)
  })
  return lines
}

async function readView(view: CheckpointView, maxBytes: number): Promise<string[]> {
  const lines: string[] = []
  for (;;) {
    const piece = await promised<readonly { key: Uint8Array; value: Uint8Array }[]>((done) => {
      view.next(maxBytes, done)
    })
    if (piece.length === 0) break
    for (const { key, value } of piece) lines.push(`${Buffer.from(key).toString()}=${Buffer.from(value).toString()}`)
  }
  await promised((done) => {
    view.close(done)
  })
  return lines
}

const close = (store: CheckpointStore): Promise<void> =>
  promised((done) => {
    store.close(done)
  })
const write = (store: CheckpointStore, ...records: CheckpointRecord[]): Promise<void> =>
  promised((done) => {
    store.write(records, done)
  })

const KINDS: readonly [string, () => Promise<CheckpointStore>][] = [
  ["LevelStore", () => openLevelStore(path)],
  ["MemoryStore", () => Promise.resolve(new MemoryStore(setImmediate))],
]

describe.each(KINDS)("%s", (_name, open) => {
  test("records come back in key order, the newest value of each; an undefined value deletes", async () => {
    const store = await open()
    expect(await readAll(store)).toEqual([])
    await write(store, record("b", "1"), record("a", "2"), record("c", "3"))
    await write(store, record("b", "4"), record("c", undefined), record("", "empty"))
    expect(await readAll(store)).toEqual(["=empty", "a=2", "b=4"])
    await close(store)
  })

  test("a view stays as it is while writes go on, and comes in pieces", async () => {
    const store = await open()
    await write(
      store,
      ...Array.from({ length: 500 }, (_, at) => record(`key${String(at).padStart(4, "0")}`, "x".repeat(100))),
    )
    const view = await promised<CheckpointView>((done) => {
      store.openView(done)
    })
    await write(store, record("key0001", undefined), record("zzz", "new"))
    const lines = await readView(view, 4000)
    expect(lines).toHaveLength(500)
    expect(lines[1]).toMatch(/^key0001=/)
    expect(await readAll(store)).toHaveLength(500)
    await close(store)
  })

  test("staged records replace everything, or are discarded", async () => {
    const store = await open()
    const stage = (...records: CheckpointRecord[]): Promise<void> =>
      promised((done) => {
        store.stage(records, done)
      })
    await write(store, record("old", "1"))
    await stage(record("never", "1"))
    await promised((done) => {
      store.discardStaged(done)
    })
    await stage(record("new", "1"))
    await stage(record("newer", "2"))
    expect(await readAll(store)).toEqual(["old=1"])
    await promised((done) => {
      store.replaceByStaged(done)
    })
    expect(await readAll(store)).toEqual(["new=1", "newer=2"])
    await write(store, record("more", "3"))
    expect(await readAll(store)).toEqual(["more=3", "new=1", "newer=2"])
    await close(store)
  })
})

describe("LevelStore on disk", () => {
  test("what was written is there after reopening", async () => {
    const store = await openLevelStore(path)
    await write(store, record("a", "1"))
    await close(store)
    const again = await openLevelStore(path)
    expect(await readAll(again)).toEqual(["a=1"])
    await close(again)
  })

  test("a directory in use, without content, or with a missing part is refused, never taken for empty", async () => {
    const store = await openLevelStore(path)
    await write(store, record("a", "1"))
    await expect(openLevelStore(path)).rejects.toMatchObject({ kind: "locked" })
    await close(store)
    for (const name of await readdir(path)) {
      if (name === "LOCK" || name.startsWith("LOG")) continue
      const copy = join(directory, "copy")
      await rm(copy, { recursive: true, force: true })
      await writeCopy(path, copy, { name: "", bytes: Buffer.alloc(0) })
      await copyFile(`${path}.seal`, `${copy}.seal`)
      await rm(join(copy, name))
      await expect(openLevelStore(copy), name).rejects.toMatchObject({ kind: "damaged" })
    }
    await rm(path, { recursive: true })
    await expect(openLevelStore(path)).rejects.toMatchObject({ kind: "damaged" })
  })

  test("rot in LevelDB's own log is an error, not an older state", async () => {
    const store = await openLevelStore(path)
    for (let at = 0; at < 20; at++) await write(store, record(`key${at}`, `value ${at} `.repeat(20)))
    await close(store)
    const name = (await readdir(path)).find((each) => each.endsWith(".log")) ?? ""
    const whole = await readFile(join(path, name))
    let refusedCount = 0
    for (let at = 100; at < whole.length - 400; at += 331) {
      const bytes = Buffer.from(whole)
      bytes[at] = (bytes[at] ?? 0) ^ 0x10
      const copy = join(directory, "copy")
      await rm(copy, { recursive: true, force: true })
      await writeCopy(path, copy, { name, bytes })
      await copyFile(`${path}.seal`, `${copy}.seal`)
      const lines = await openLevelStore(copy).then(
        async (opened) => {
          const found = await readAll(opened).catch(() => undefined)
          await close(opened)
          return found
        },
        () => undefined,
      )
      if (lines === undefined) refusedCount++
      else expect(lines).toHaveLength(20)
    }
    expect(refusedCount).toBeGreaterThan(3)
  })

  test("a replacement is finished after a crash at each step", async () => {
    for (let step = 0; step < 4; step++) {
      const store = await openLevelStore(path)
      await write(store, record("old", String(step)))
      await promised((done) => {
        store.stage([record("new", String(step))], done)
      })
      await close(store)
      // The steps of replaceByStaged, up to the crash.
      if (step >= 1) await writeFile(`${path}.replace`, "")
      if (step >= 2) await rename(path, `${path}.old`)
      if (step >= 3) await rename(`${path}.staged`, path)
      const again = await openLevelStore(path)
      expect(await readAll(again)).toContain(step === 0 ? "old=0" : `new=${step}`)
      expect((await readdir(directory)).filter((name) => name.startsWith("checkpoint"))).toEqual([
        "checkpoint",
        "checkpoint.seal",
      ])
      await close(again)
    }
  })
})

async function writeCopy(from: string, to: string, change: { name: string; bytes: Buffer }): Promise<void> {
  await mkdir(to)
  for (const name of await readdir(from)) {
    await writeFile(join(to, name), name === change.name ? change.bytes : await readFile(join(from, name)))
  }
}
