import { Buffer } from "node:buffer"
import { beforeEach, expect, test } from "vitest"
import type { Disk, DiskFile } from "../../src/ports.ts"
import { HEALTHY_DISK, SimDisk } from "./sim-disk.ts"
import { SimProcess } from "./sim-process.ts"
import { World } from "./world.ts"

let world: World
let process: SimProcess
let disk: SimDisk
let port: Disk

beforeEach(() => {
  world = new World(11)
  process = new SimProcess(world, 1)
  disk = new SimDisk(world, 1)
  port = disk.port(process.start())
})

/** Carries out one operation of a port to its end. */
function finish<T>(start: (done: (error: Error | undefined, value: T) => void) => void): T {
  let outcome: { readonly error: Error | undefined; readonly value: T } | undefined
  start((error, value) => {
    outcome = { error, value }
  })
  world.runWhile(() => outcome === undefined, world.nowMs + 10_000)
  if (outcome === undefined) throw new Error("the disk never answered")
  if (outcome.error !== undefined) throw outcome.error
  return outcome.value
}

function open(path: string): DiskFile {
  return finish<DiskFile>((done) => {
    port.open(path, { create: true }, done)
  })
}

function write(file: DiskFile, text: string, position: number): number {
  return finish<number>((done) => {
    file.write([Buffer.from(text)], position, done)
  })
}

function sync(file: DiskFile): void {
  finish<void>((done) => {
    file.sync(done)
  })
}

function syncRoot(): void {
  finish<void>((done) => {
    port.syncDirectory("", done)
  })
}

function text(path: string): string {
  return Buffer.from(disk.contentOf(path)).toString()
}

function cutPower(mode: "nothing" | "everything" | "some"): void {
  process.end()
  disk.powerCut(mode)
  port = disk.port(process.start())
}

test("what was synced survives a power cut, what was not is gone", () => {
  const file = open("a")
  write(file, "kept", 0)
  sync(file)
  syncRoot()
  write(file, "lost", 600)
  cutPower("nothing")
  // The file may have grown, by nothing but zeros.
  expect(text("a").replace(/\0+$/, "")).toBe("kept")
})

test("a kill of the process keeps what the kernel had", () => {
  const file = open("a")
  write(file, "unsynced", 0)
  process.end()
  disk.processKilled()
  expect(text("a")).toBe("unsynced")
})

test("a file whose name was not synced is forgotten with the power", () => {
  const file = open("a")
  write(file, "content", 0)
  sync(file)
  cutPower("nothing")
  expect(disk.files()).toEqual([])
})

test("a rename that was not synced is undone", () => {
  const file = open("a")
  write(file, "content", 0)
  sync(file)
  syncRoot()
  finish<void>((done) => {
    port.rename("a", "b", done)
  })
  cutPower("nothing")
  expect(disk.files().map((each) => each.path)).toEqual(["a"])
})

test("after a failed sync reads show the data, a second sync succeeds, and the power takes it", () => {
  const file = open("a")
  write(file, "old", 0)
  sync(file)
  syncRoot()
  write(file, "new", 0)
  disk.settings = { ...HEALTHY_DISK, syncError: 1 }
  expect(() => {
    sync(file)
  }).toThrow("EIO")
  disk.settings = HEALTHY_DISK
  sync(file)
  expect(text("a")).toBe("new")
  cutPower("everything")
  expect(text("a")).toBe("old")
})

test("a sector written while a sync is under way is not covered by it", () => {
  const file = open("a")
  write(file, "first", 0)
  let isSynced = false
  file.sync(() => {
    isSynced = true
  })
  write(file, "later", 0)
  world.runWhile(() => !isSynced, world.nowMs + 1000)
  syncRoot()
  cutPower("nothing")
  expect(["first", "later"]).toContain(text("a"))
})

test("a write that was cut off by the power is torn at a sector", () => {
  const lengths = new Set<number>()
  for (let i = 0; i < 60; i++) {
    const file = open(`f${String(i)}`)
    syncRoot()
    file.write([Buffer.alloc(2048, 1)], 0, () => undefined)
    cutPower("everything")
    const content = disk.contentOf(`f${String(i)}`)
    expect(content.length % 512).toBe(0)
    lengths.add(content.length)
  }
  expect(lengths.size).toBeGreaterThan(2)
})

test("a full disk writes short without an error, and then refuses", () => {
  const file = open("a")
  disk.capacityBytes = 1024
  expect(write(file, "x".repeat(3000), 0)).toBe(1024)
  expect(() => write(file, "x", 1024)).toThrow("ENOSPC")
  expect(write(file, "y", 0)).toBe(1)
})

test("a truncation that was not synced comes back as a whole", () => {
  const file = open("a")
  write(file, "x".repeat(2000), 0)
  sync(file)
  syncRoot()
  finish<void>((done) => {
    file.truncate(100, done)
  })
  cutPower("nothing")
  expect(text("a")).toBe("x".repeat(2000))
})
