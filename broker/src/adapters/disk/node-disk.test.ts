import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, expect, test } from "vitest"
import type { DiskFile, Done } from "../../ports.ts"
import { NodeDisk } from "./node-disk.ts"

let root = ""
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "opencmq-disk-"))
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

test("files are made, written in pieces, read back short at the end, renamed, listed and removed", async () => {
  const syncs: number[] = []
  const disk = new NodeDisk(root, { synced: (milliseconds) => syncs.push(milliseconds) })
  await promised((done) => {
    disk.makeDirectory("a/b", done)
  })
  await promised((done) => {
    disk.makeDirectory("a/b", done)
  })
  const file = await promised<DiskFile>((done) => {
    disk.open("a/b/x", { create: true }, done)
  })
  const write = (buffers: Uint8Array[], position: number): Promise<number> =>
    promised((done) => {
      file.write(buffers, position, done)
    })
  expect(await write([Buffer.from("hello "), Buffer.from("world")], 4)).toBe(11)
  expect(await write([Buffer.from("HE")], 4)).toBe(2)
  await promised((done) => {
    file.sync(done)
  })
  expect(syncs).toHaveLength(1)
  const target = Buffer.alloc(20, 0x2e)
  const count = await promised<number>((done) => {
    file.read(target, 2, done)
  })
  expect(count).toBe(13)
  expect(target.toString("latin1")).toBe("\0\0HEllo world.......")
  await promised((done) => {
    file.truncate(6, done)
  })
  expect(
    await promised<number>((done) => {
      file.sizeBytes(done)
    }),
  ).toBe(6)
  await promised((done) => {
    file.close(done)
  })
  await promised((done) => {
    disk.rename("a/b/x", "a/y", done)
  })
  await promised((done) => {
    disk.syncDirectory("a", done)
  })
  const list = (): Promise<readonly string[]> =>
    promised((done) => {
      disk.list("a", done)
    })
  expect([...(await list())].sort()).toEqual(["b", "y"])
  await promised((done) => {
    disk.remove("a/y", done)
  })
  expect(await list()).toEqual(["b"])
})

test("errors carry their code", async () => {
  const disk = new NodeDisk(root)
  const open = promised<DiskFile>((done) => {
    disk.open("nothing", { create: false }, done)
  })
  await expect(open).rejects.toMatchObject({ code: "ENOENT" })
  const list = promised<readonly string[]>((done) => {
    disk.list("nothing", done)
  })
  await expect(list).rejects.toMatchObject({ code: "ENOENT" })
})
