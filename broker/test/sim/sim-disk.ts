/**
 * The disk of one node, with what a crash leaves of it.
 *
 * Every file has what programs see (the page cache) and, for each 512-byte sector changed since the last sync, what the
 * platter still holds. A kill of the process loses only operations that had not reached the kernel. A power cut keeps any
 * subset of the changed sectors and a prefix of the unsynced changes of each directory. After a failed sync the pages
 * count as clean although they never reached the platter, so that a second sync "succeeds" (the fsyncgate of 2018).
 *
 *   written ---> changed --sync called--> syncing --done--> on the platter
 *                                            \--EIO-------> lost: shown by reads, gone with the power
 */
import type { Random } from "../../src/core/random.ts"
import type { Disk, DiskFile, Done } from "../../src/ports.ts"
import type { Incarnation } from "./sim-process.ts"
import { between, chance, exponential } from "./world.ts"
import type { World } from "./world.ts"

export const SECTOR_BYTES = 512

export interface DiskSettings {
  /** Mean of a sync; the shortest is 0.05 ms. */
  readonly meanSyncMs: number
  /** Share of syncs that take up to 1 s. */
  readonly slowSync: number
  /** Share of syncs that fail, and lose what they should have made durable. */
  readonly syncError: number
  /** Share of writes that stop short without an error. */
  readonly shortWrite: number
  /** Share of reads that fail. */
  readonly readError: number
}

export const HEALTHY_DISK: DiskSettings = { meanSyncMs: 0.5, slowSync: 0, syncError: 0, shortWrite: 0, readError: 0 }

export class DiskError extends Error {
  override readonly name = "DiskError"
  readonly code: string
  constructor(code: string, detail: string) {
    super(`${code}: ${detail}`)
    this.code = code
  }
}

/** Old content of changed sectors, by number of the sector. */
type Sectors = Map<number, Uint8Array>

const ZERO_SECTOR = new Uint8Array(SECTOR_BYTES)

/** A file without its name. */
class Inode {
  content = new Uint8Array(4096)
  sizeBytes = 0
  durableSizeBytes = 0
  /** Changed since the last call of sync. */
  changed: Sectors = new Map()
  /** Covered by the sync under way. */
  syncing: Sectors | undefined
  /** Shown by reads, but a failed sync lost them. */
  lost: Sectors = new Map()
  /** Sectors that only a truncation changed: they go back together, or not at all. */
  readonly cutAway = new Set<number>()
  /** Syncs wait for one another. */
  readonly waitingSyncs: (() => void)[] = []

  get allocatedBytes(): number {
    return Math.ceil(this.sizeBytes / SECTOR_BYTES) * SECTOR_BYTES
  }

  write(bytes: Uint8Array, position: number): void {
    const end = position + bytes.length
    this.#reserve(end)
    this.#remember(position, end)
    this.content.set(bytes, position)
    this.sizeBytes = Math.max(this.sizeBytes, end)
  }

  truncate(sizeBytes: number): void {
    if (sizeBytes < this.sizeBytes) {
      this.#remember(sizeBytes, this.sizeBytes, true)
      this.content.fill(0, sizeBytes, this.sizeBytes)
    }
    this.#reserve(sizeBytes)
    this.sizeBytes = sizeBytes
  }

  /** The sync under way has ended. */
  endSync(failed: boolean): void {
    const syncing = this.syncing ?? new Map<number, Uint8Array>()
    this.syncing = undefined
    if (!failed) return
    for (const [sector, old] of syncing) {
      // Changed again meanwhile: a later sync writes the whole sector, but until then the platter holds the oldest content.
      if (this.changed.has(sector)) this.changed.set(sector, old)
      else this.lost.set(sector, old)
    }
  }

  flipBit(position: number, bit: number): void {
    this.content[position] = (this.content[position] ?? 0) ^ (1 << bit)
  }

  /** The power went: what is found when it comes back. */
  settleAfterPowerCut(random: Random, keep: number): void {
    const keepsCut = chance(random, keep)
    const oldest = new Map<number, Uint8Array>()
    for (const [sector, old] of this.changed) {
      const isKept = this.cutAway.has(sector) ? keepsCut : chance(random, keep)
      if (!isKept) oldest.set(sector, old)
    }
    for (const [sector, old] of this.syncing ?? []) {
      const newestIsKept = this.changed.has(sector) && !oldest.has(sector)
      if (!newestIsKept && !chance(random, keep)) oldest.set(sector, old)
    }
    for (const [sector, old] of this.lost) oldest.set(sector, old)
    const sizeBytes = this.#sizeAfterPowerCut(random, keep, keepsCut)
    this.#reserve(Math.max(sizeBytes, this.durableSizeBytes))
    for (const [sector, old] of oldest) this.content.set(old, sector * SECTOR_BYTES)
    this.content.fill(0, sizeBytes)
    this.sizeBytes = sizeBytes
    this.durableSizeBytes = sizeBytes
    this.changed.clear()
    this.syncing = undefined
    this.lost.clear()
    this.cutAway.clear()
    this.waitingSyncs.length = 0
  }

  #sizeAfterPowerCut(random: Random, keep: number, keepsCut: boolean): number {
    if (this.sizeBytes < this.durableSizeBytes) return keepsCut ? this.sizeBytes : this.durableSizeBytes
    if (chance(random, keep)) return this.sizeBytes
    if (chance(random, 0.5)) return this.durableSizeBytes
    return Math.floor(between(random, this.durableSizeBytes, this.sizeBytes + 1))
  }

  #reserve(bytes: number): void {
    const sectors = Math.ceil(bytes / SECTOR_BYTES) * SECTOR_BYTES
    if (sectors <= this.content.length) return
    const content = new Uint8Array(Math.max(sectors, this.content.length * 2))
    content.set(this.content)
    this.content = content
  }

  /** Keeps the old content of the sectors of a range before it changes. */
  #remember(start: number, end: number, isCut = false): void {
    const last = Math.floor((end - 1) / SECTOR_BYTES)
    for (let sector = Math.floor(start / SECTOR_BYTES); sector <= last; sector++) {
      if (!isCut) this.cutAway.delete(sector)
      if (this.changed.has(sector)) continue
      this.changed.set(sector, this.lost.get(sector) ?? this.#sector(sector))
      this.lost.delete(sector)
      if (isCut) this.cutAway.add(sector)
    }
  }

  #sector(sector: number): Uint8Array {
    const start = sector * SECTOR_BYTES
    // Bytes behind the end are zero by construction.
    if (start >= this.sizeBytes) return ZERO_SECTOR
    return this.content.slice(start, start + SECTOR_BYTES)
  }
}

type DirectoryChange =
  { readonly name: string; readonly inode: Inode | undefined } | { readonly from: string; readonly to: string }

class Directory {
  readonly entries = new Map<string, Inode>()
  durable = new Map<string, Inode>()
  /** Since the last sync of the directory, oldest first. */
  changes: DirectoryChange[] = []

  set(name: string, inode: Inode): void {
    this.entries.set(name, inode)
    this.changes.push({ name, inode })
  }

  delete(name: string): void {
    this.entries.delete(name)
    this.changes.push({ name, inode: undefined })
  }

  rename(from: string, to: string): void {
    replay(this.entries, { from, to })
    this.changes.push({ from, to })
  }

  sync(changeCount: number): void {
    for (const change of this.changes.splice(0, changeCount)) replay(this.durable, change)
  }

  settleAfterPowerCut(random: Random, keep: number): void {
    let kept = 0
    while (kept < this.changes.length && chance(random, keep)) kept++
    this.sync(kept)
    this.changes = []
    this.entries.clear()
    for (const [name, inode] of this.durable) this.entries.set(name, inode)
  }
}

function replay(entries: Map<string, Inode>, change: DirectoryChange): void {
  if ("name" in change) {
    if (change.inode === undefined) entries.delete(change.name)
    else entries.set(change.name, change.inode)
    return
  }
  const inode = entries.get(change.from)
  if (inode === undefined) return
  entries.delete(change.from)
  entries.set(change.to, inode)
}

/** An operation that was asked for and has not been answered. */
interface Operation {
  /** Carries it out wholly; undefined when a crash may only do or not do it, never half. */
  readonly apply: () => void
  /** A part of it that may have happened when the process was killed in the middle. */
  readonly applyPart: ((share: number) => void) | undefined
}

export type PowerCutMode = "nothing" | "everything" | "some"

export class SimDisk {
  settings: DiskSettings = HEALTHY_DISK
  /** Bytes of file content that fit; further writes stop short and then fail with ENOSPC. */
  capacityBytes = Number.POSITIVE_INFINITY
  /** What happened to this disk since it was made; a node that ends because of it ends rightly. */
  injectedErrorCount = 0
  readonly #world: World
  readonly #random: Random
  readonly #nodeId: number
  readonly #directories = new Map<string, Directory>([["", new Directory()]])
  readonly #operations = new Set<Operation>()

  constructor(world: World, nodeId: number) {
    this.#world = world
    this.#nodeId = nodeId
    this.#random = world.fork(`disk ${String(nodeId)}`)
  }

  /** The disk as one life of the process sees it. */
  port(incarnation: Incarnation): Disk {
    return {
      list: (path, done) => {
        this.#run(incarnation, { apply: () => this.#list(path), done })
      },
      open: (path, { create }, done) => {
        this.#run(incarnation, { apply: () => this.#open(incarnation, path, create), done })
      },
      rename: (from, to, done) => {
        this.#run(incarnation, { apply: () => this.#rename(from, to), done })
      },
      remove: (path, done) => {
        this.#run(incarnation, { apply: () => this.#remove(path), done })
      },
      makeDirectory: (path, done) => {
        this.#run(incarnation, {
          apply: () => {
            const clean = normal(path)
            if (!this.#directories.has(clean)) this.#directories.set(clean, new Directory())
          },
          done,
        })
      },
      syncDirectory: (path, done) => {
        const changeCount = this.#directories.get(normal(path))?.changes.length ?? 0
        this.#run(incarnation, {
          apply: () => {
            this.#directory(path).sync(changeCount)
          },
          done,
          delayMs: this.#syncMs(),
        })
      },
    }
  }

  /** The process was killed: what it had asked the kernel for may or may not have been done. */
  processKilled(): void {
    for (const operation of this.#operations) {
      const luck = this.#random.nextFloat()
      if (luck < 0.4) operation.apply()
      else if (luck < 0.7) operation.applyPart?.(this.#random.nextFloat())
    }
    this.#operations.clear()
    for (const inode of this.#inodes()) {
      inode.waitingSyncs.length = 0
      // A sync that nobody waits for any more: the pages are still to be written some day.
      if (inode.syncing !== undefined) {
        for (const [sector, old] of inode.syncing) inode.changed.set(sector, old)
        inode.syncing = undefined
      }
    }
  }

  /** The machine lost its power. */
  powerCut(mode: PowerCutMode): void {
    for (const operation of this.#operations) {
      const luck = this.#random.nextFloat()
      if (luck < 0.3) operation.apply()
      else if (luck < 0.6) operation.applyPart?.(this.#random.nextFloat())
    }
    this.#operations.clear()
    const keep = { nothing: 0, everything: 1, some: between(this.#random, 0.05, 0.95) }[mode]
    const inodes = this.#inodes()
    let unsynced = 0
    for (const inode of inodes) {
      unsynced += inode.changed.size + (inode.syncing?.size ?? 0)
      if (inode.lost.size > 0) this.#world.marks.hit("disk: pages of a failed sync gone with the power")
      inode.settleAfterPowerCut(this.#random, keep)
    }
    if (unsynced > 0) this.#world.marks.hit(`disk: power cut with unsynced sectors, kept ${mode}`)
    for (const directory of this.#directories.values()) {
      if (directory.changes.length > 0) this.#world.marks.hit("disk: power cut with unsynced names")
      directory.settleAfterPowerCut(this.#random, keep)
    }
  }

  /** Everything is gone. */
  wipe(): void {
    this.#directories.clear()
    this.#directories.set("", new Directory())
    this.#operations.clear()
  }

  usedBytes(): number {
    let used = 0
    for (const directory of this.#directories.values()) {
      for (const inode of directory.entries.values()) used += inode.allocatedBytes
    }
    return used
  }

  /** Names of all files with their sizes, for tests and for rot. */
  files(): { readonly path: string; readonly sizeBytes: number }[] {
    const all: { path: string; sizeBytes: number }[] = []
    for (const [path, directory] of this.#directories) {
      for (const [name, inode] of directory.entries) {
        all.push({ path: path === "" ? name : `${path}/${name}`, sizeBytes: inode.sizeBytes })
      }
    }
    return all
  }

  /** What a program would read now. */
  contentOf(path: string): Uint8Array {
    const inode = this.#find(path)
    return inode.content.subarray(0, inode.sizeBytes)
  }

  flipBit(path: string, position: number): void {
    this.#find(path).flipBit(position, this.#random.nextInt(8))
  }

  // ------------------------------------------------------------------------------------------ files

  #file(incarnation: Incarnation, inode: Inode): DiskFile {
    return {
      sizeBytes: (done) => {
        this.#run(incarnation, { apply: () => inode.sizeBytes, done })
      },
      write: (buffers, position, done) => {
        this.#write(incarnation, inode, { buffers, position, done })
      },
      read: (target, position, done) => {
        this.#run(incarnation, { apply: () => this.#read(inode, target, position), done, delayMs: 0.05 })
      },
      sync: (done) => {
        this.#sync(incarnation, inode, done)
      },
      truncate: (sizeBytes, done) => {
        this.#run(incarnation, {
          apply: () => {
            this.#checkSpace(sizeBytes - inode.sizeBytes)
            inode.truncate(sizeBytes)
          },
          done,
        })
      },
      close: (done) => {
        this.#run(incarnation, { apply: () => undefined, done })
      },
    }
  }

  #read(inode: Inode, target: Uint8Array, position: number): number {
    if (chance(this.#random, this.settings.readError)) {
      this.#injected("disk: read failed")
      throw new DiskError("EIO", "read")
    }
    const count = Math.max(0, Math.min(target.length, inode.sizeBytes - position))
    target.set(inode.content.subarray(position, position + count))
    return count
  }

  #write(
    incarnation: Incarnation,
    inode: Inode,
    request: { readonly buffers: readonly Uint8Array[]; readonly position: number; readonly done: Done<number> },
  ): void {
    const { buffers, position } = request
    let total = 0
    for (const buffer of buffers) total += buffer.length
    this.#world.mix(total)
    const writeUpTo = (limit: number): number => {
      let at = position
      let left = limit
      for (const buffer of buffers) {
        if (left <= 0) break
        const part = buffer.length > left ? buffer.subarray(0, left) : buffer
        if (part.length > 0) inode.write(part, at)
        at += part.length
        left -= part.length
      }
      return at - position
    }
    this.#run(incarnation, {
      apply: () => writeUpTo(this.#writable(inode, position, total)),
      applyPart: (share) => {
        this.#world.marks.hit("disk: write torn by a crash")
        // Sectors are written wholly or not at all.
        const end = Math.floor((position + total * share) / SECTOR_BYTES) * SECTOR_BYTES
        writeUpTo(Math.max(0, end - position))
      },
      done: request.done,
      delayMs: 0.01 + total / 500_000,
    })
  }

  /** How many of these bytes the disk takes. Throws when it takes none. */
  #writable(inode: Inode, position: number, total: number): number {
    if (total > 1 && chance(this.#random, this.settings.shortWrite)) {
      this.#injected("disk: short write")
      return this.#random.nextInt(total)
    }
    const growth = position + total - inode.allocatedBytes
    if (growth <= 0 || this.capacityBytes === Number.POSITIVE_INFINITY) return total
    const free = Math.max(0, this.capacityBytes - this.usedBytes())
    if (growth <= free) return total
    const fits = total - (growth - free)
    this.#injected("disk: full")
    if (fits <= 0) throw new DiskError("ENOSPC", "write")
    return fits
  }

  #checkSpace(growthBytes: number): void {
    if (growthBytes <= 0 || this.capacityBytes === Number.POSITIVE_INFINITY) return
    if (growthBytes <= this.capacityBytes - this.usedBytes()) return
    this.#injected("disk: full")
    throw new DiskError("ENOSPC", "truncate")
  }

  #sync(incarnation: Incarnation, inode: Inode, done: Done): void {
    const start = (): void => {
      inode.syncing = inode.changed
      inode.changed = new Map()
      inode.cutAway.clear()
      const sizeBytes = inode.sizeBytes
      const fails = chance(this.#random, this.settings.syncError)
      incarnation.after(this.#syncMs(), () => {
        if (inode.syncing === undefined) return
        inode.endSync(fails)
        if (fails) this.#injected("disk: sync failed")
        else inode.durableSizeBytes = sizeBytes
        inode.waitingSyncs.shift()
        inode.waitingSyncs[0]?.()
        done(fails ? new DiskError("EIO", "fdatasync") : undefined, undefined)
      })
    }
    inode.waitingSyncs.push(start)
    if (inode.waitingSyncs.length === 1) start()
  }

  #injected(what: string): void {
    this.injectedErrorCount++
    this.#world.marks.hit(what)
    this.#world.note(() => `n${String(this.#nodeId)} ${what}`)
  }

  #syncMs(): number {
    const { meanSyncMs, slowSync } = this.settings
    if (chance(this.#random, slowSync)) {
      this.#world.marks.hit("disk: sync took up to a second")
      return this.#random.nextFloat() * 1000
    }
    return 0.05 + exponential(this.#random, meanSyncMs)
  }

  // ------------------------------------------------------------------------------------------ names

  #list(path: string): string[] {
    const clean = normal(path)
    const names = [...this.#directory(clean).entries.keys()]
    const prefix = clean === "" ? "" : `${clean}/`
    for (const other of this.#directories.keys()) {
      if (other !== "" && other !== clean && other.startsWith(prefix) && !other.slice(prefix.length).includes("/")) {
        names.push(other.slice(prefix.length))
      }
    }
    return names.sort()
  }

  #open(incarnation: Incarnation, path: string, create: boolean): DiskFile {
    const [directory, name] = this.#place(path)
    let inode = directory.entries.get(name)
    if (inode === undefined) {
      if (!create) throw new DiskError("ENOENT", path)
      inode = new Inode()
      directory.set(name, inode)
    }
    return this.#file(incarnation, inode)
  }

  #rename(from: string, to: string): void {
    const [source, sourceName] = this.#place(from)
    const [target, targetName] = this.#place(to)
    const inode = source.entries.get(sourceName)
    if (inode === undefined) throw new DiskError("ENOENT", from)
    if (source === target) {
      source.rename(sourceName, targetName)
      return
    }
    target.set(targetName, inode)
    source.delete(sourceName)
  }

  #remove(path: string): void {
    const [directory, name] = this.#place(path)
    if (!directory.entries.has(name)) throw new DiskError("ENOENT", path)
    directory.delete(name)
  }

  #find(path: string): Inode {
    const [directory, name] = this.#place(path)
    const inode = directory.entries.get(name)
    if (inode === undefined) throw new DiskError("ENOENT", path)
    return inode
  }

  #place(path: string): [Directory, string] {
    const clean = normal(path)
    const slash = clean.lastIndexOf("/")
    return [this.#directory(clean.slice(0, Math.max(0, slash))), clean.slice(slash + 1)]
  }

  #directory(path: string): Directory {
    const directory = this.#directories.get(normal(path))
    if (directory === undefined) throw new DiskError("ENOENT", path)
    return directory
  }

  #inodes(): Set<Inode> {
    const all = new Set<Inode>()
    for (const directory of this.#directories.values()) {
      for (const inode of directory.entries.values()) all.add(inode)
      for (const inode of directory.durable.values()) all.add(inode)
    }
    return all
  }

  /** Carries an operation out after a while, unless the process ends before. */
  #run<T>(
    incarnation: Incarnation,
    request: {
      readonly apply: () => T
      readonly applyPart?: (share: number) => void
      readonly done: Done<T>
      readonly delayMs?: number
    },
  ): void {
    const operation: Operation = {
      apply: () => {
        attempt(request.apply)
      },
      applyPart: request.applyPart,
    }
    this.#operations.add(operation)
    incarnation.after(request.delayMs ?? 0.02, () => {
      if (!this.#operations.delete(operation)) return
      const result = attempt(request.apply)
      if (result instanceof DiskError) request.done(result, undefined as T)
      else request.done(undefined, result)
    })
  }
}

/** Only a DiskError is an answer of the disk; anything else is a mistake of the simulator. */
function attempt<T>(apply: () => T): T | DiskError {
  try {
    return apply()
  } catch (error) {
    if (error instanceof DiskError) return error
    throw error
  }
}

function normal(path: string): string {
  return path
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/")
}
