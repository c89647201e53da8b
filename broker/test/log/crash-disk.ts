/**
 * A disk in memory that can be cut off at any operation. What a power cut leaves: of each file any subset of the 512-byte
 * sectors written since its last sync, of each directory a prefix of the changes since its last sync. Nothing happens by
 * itself: `run` carries out operations in the order they were asked for.
 */
import type { Disk, DiskFile, Done } from "../../src/ports.ts"

export const SECTOR = 512

export class DiskError extends Error {
  override readonly name = "DiskError"
  readonly code: string
  constructor(code: string, text: string) {
    super(`${code}: ${text}`)
    this.code = code
  }
}

/** Small seeded generator (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

class Inode {
  bytes = new Uint8Array(0)
  durableSize = 0
  /** Old content of sectors written since the last sync. */
  dirty = new Map<number, Uint8Array>()
  /** Sectors that a failed sync lost: reads show them, the platter holds this. */
  lost = new Map<number, Uint8Array>()

  write(chunk: Uint8Array, position: number): void {
    const end = position + chunk.length
    this.remember(position, end)
    if (end > this.bytes.length) this.resize(end)
    this.bytes.set(chunk, position)
  }

  resize(size: number): void {
    const next = new Uint8Array(size)
    next.set(this.bytes.subarray(0, size))
    this.bytes = next
  }

  remember(start: number, end: number): void {
    for (let sector = Math.floor(start / SECTOR); sector * SECTOR < end; sector++) {
      if (this.dirty.has(sector)) continue
      const old = this.lost.get(sector) ?? new Uint8Array(SECTOR)
      if (!this.lost.delete(sector)) old.set(this.bytes.subarray(sector * SECTOR, (sector + 1) * SECTOR))
      this.dirty.set(sector, old)
    }
  }

  sync(): void {
    this.dirty.clear()
    this.durableSize = this.bytes.length
  }

  /** A failed sync: the pages count as clean, and never reach the platter. */
  lose(): void {
    for (const [sector, old] of this.dirty) this.lost.set(sector, old)
    this.dirty.clear()
  }

  clone(): Inode {
    const copy = new Inode()
    copy.bytes = Uint8Array.from(this.bytes)
    copy.durableSize = this.durableSize
    for (const [sector, old] of this.dirty) copy.dirty.set(sector, Uint8Array.from(old))
    for (const [sector, old] of this.lost) copy.lost.set(sector, Uint8Array.from(old))
    return copy
  }

  /** What is left after a power cut. */
  survive(random: () => number, keep: number): Inode {
    const copy = this.clone()
    const whole = new Uint8Array(Math.max(this.bytes.length, this.durableSize))
    whole.set(this.bytes)
    for (const [sector, old] of [...this.dirty, ...this.lost]) {
      if (!this.lost.has(sector) && random() < keep) continue
      whole.set(old.subarray(0, Math.max(0, Math.min(SECTOR, whole.length - sector * SECTOR))), sector * SECTOR)
    }
    const size = random() < keep ? this.bytes.length : this.durableSize
    copy.bytes = whole.slice(0, size)
    copy.lost.clear()
    copy.sync()
    return copy
  }
}

type DirectoryChange = (names: Map<string, Inode>) => void

export interface DiskFaults {
  /** Error of the n-th sync from now (0 = the next); the pages count as clean afterwards, although they are lost. */
  failSyncIn?: number
  failWriteIn?: number
  /** The n-th write from now stops after this many bytes, without an error. */
  shortWriteIn?: number
  shortWriteBytes?: number
  /** Bytes of files that may be allocated in all; more gives ENOSPC (or a short write first). */
  capacityBytes?: number
  /** Even writes into allocated blocks fail with ENOSPC (a copy-on-write file system). */
  isCompletelyFull?: boolean
  /** Files whose reads fail with EIO. */
  unreadable?: string
}

interface Operation {
  readonly kind: string
  readonly apply: () => void
}

export class CrashDisk implements Disk {
  readonly faults: DiskFaults = {}
  /** Names of everything done, for messages of failing tests. */
  readonly history: string[] = []
  #directories = new Set<string>(["."])
  readonly #names = new Map<string, Inode>()
  readonly #durableNames = new Map<string, Inode>()
  #changes: { readonly directory: string; readonly apply: DirectoryChange }[] = []
  readonly #queue: Operation[] = []
  #isDead = false
  /** Disk operations carried out so far. */
  operationCount = 0
  /** The power goes when this many operations were carried out; that last one only in part. */
  crashAt = Infinity

  get isDead(): boolean {
    return this.#isDead
  }

  /** Carries out everything, and what follows from it. */
  run(): void {
    for (let operation = this.#queue.shift(); operation !== undefined; operation = this.#queue.shift()) {
      if (this.#isDead) return
      operation.apply()
    }
  }

  /** One operation; false when nothing is waiting. */
  step(): boolean {
    const operation = this.#queue.shift()
    if (operation === undefined || this.#isDead) return false
    operation.apply()
    return true
  }

  defer = (run: () => void): void => {
    this.#queue.push({ kind: "defer", apply: run })
  }

  /** The process is gone; what it had written is still in the page cache. */
  kill(): CrashDisk {
    this.#isDead = true
    const next = new CrashDisk()
    const clones = new Map<Inode, Inode>()
    const cloned = (inode: Inode): Inode => {
      const copy = clones.get(inode) ?? inode.clone()
      clones.set(inode, copy)
      return copy
    }
    next.#directories = new Set(this.#directories)
    for (const [name, inode] of this.#names) next.#names.set(name, cloned(inode))
    for (const [name, inode] of this.#names) next.#durableNames.set(name, cloned(inode))
    return next
  }

  /** The power is gone: any subset of unsynced sectors survives, and a prefix of the unsynced changes of directories. */
  powerCut(random: () => number, keep = random()): CrashDisk {
    this.#isDead = true
    const names = new Map(this.#durableNames)
    const stopped = new Set<string>()
    for (const change of this.#changes) {
      if (stopped.has(change.directory)) continue
      if (random() < keep) change.apply(names)
      else stopped.add(change.directory)
    }
    const next = new CrashDisk()
    next.#directories = new Set(this.#directories)
    const survivors = new Map<Inode, Inode>()
    for (const [name, inode] of names) {
      const survivor = survivors.get(inode) ?? inode.survive(random, keep)
      survivors.set(inode, survivor)
      next.#names.set(name, survivor)
      next.#durableNames.set(name, survivor)
    }
    return next
  }

  /** An independent copy of the present content, all of it durable. */
  copy(): CrashDisk {
    const next = new CrashDisk()
    next.#directories = new Set(this.#directories)
    for (const [name, inode] of this.#names) {
      const copy = inode.clone()
      copy.lost.clear()
      copy.sync()
      next.#names.set(name, copy)
      next.#durableNames.set(name, copy)
    }
    return next
  }

  paths(): string[] {
    return [...this.#names.keys()].sort()
  }

  /** The bytes of a file, to be looked at or damaged. */
  content(path: string): Uint8Array {
    const inode = this.#names.get(path)
    if (inode === undefined) throw new Error(`no file ${path}`)
    return inode.bytes
  }

  put(path: string, bytes: Uint8Array): void {
    const inode = new Inode()
    inode.bytes = Uint8Array.from(bytes)
    inode.sync()
    this.#names.set(path, inode)
    this.#durableNames.set(path, inode)
    this.#directories.add(path.slice(0, path.lastIndexOf("/")))
  }

  delete(path: string): void {
    this.#names.delete(path)
    this.#durableNames.delete(path)
  }

  get allocatedBytes(): number {
    let bytes = 0
    for (const inode of new Set(this.#names.values())) bytes += inode.bytes.length
    return bytes
  }

  list(directory: string, done: Done<readonly string[]>): void {
    this.#operation(`list ${directory}`, () => {
      if (!this.#directories.has(directory)) {
        done(new DiskError("ENOENT", directory), [])
        return
      }
      const names = this.paths()
        .filter((path) => parentOf(path) === directory)
        .map((path) => path.slice(directory.length + 1))
      const below = [...this.#directories]
        .filter((path) => path !== directory && parentOf(path) === directory)
        .map((path) => path.slice(path.lastIndexOf("/") + 1))
      done(undefined, [...names, ...below])
    })
  }

  open(path: string, options: { readonly create: boolean }, done: Done<DiskFile>): void {
    this.#operation(`open ${path}`, () => {
      let inode = this.#names.get(path)
      if (inode === undefined) {
        if (!options.create || !this.#directories.has(parentOf(path))) {
          done(new DiskError("ENOENT", path), undefined as never)
          return
        }
        const fresh = new Inode()
        inode = fresh
        this.#change(parentOf(path), (names) => names.set(path, fresh))
      }
      done(undefined, new CrashFile(this, inode, path))
    })
  }

  rename(from: string, to: string, done: Done): void {
    this.#operation(`rename ${from} ${to}`, () => {
      const inode = this.#names.get(from)
      if (inode === undefined) {
        done(new DiskError("ENOENT", from))
        return
      }
      this.#change(parentOf(to), (names) => {
        names.delete(from)
        names.set(to, inode)
      })
      done(undefined)
    })
  }

  remove(path: string, done: Done): void {
    this.#operation(`remove ${path}`, () => {
      if (!this.#names.has(path)) {
        done(new DiskError("ENOENT", path))
        return
      }
      this.#change(parentOf(path), (names) => names.delete(path))
      done(undefined)
    })
  }

  makeDirectory(path: string, done: Done): void {
    this.#operation(`mkdir ${path}`, () => {
      this.#directories.add(path)
      done(undefined)
    })
  }

  syncDirectory(path: string, done: Done): void {
    this.#operation(`syncdir ${path}`, () => {
      for (const change of this.#changes.filter((each) => each.directory === path)) change.apply(this.#durableNames)
      this.#changes = this.#changes.filter((each) => each.directory !== path)
      done(undefined)
    })
  }

  /** Queues an operation; the one at `crashAt` is begun, and everything stops. */
  #operation(name: string, apply: () => void, applyPart?: () => void): void {
    this.#queue.push({
      kind: name,
      apply: () => {
        this.operationCount++
        this.history.push(name)
        if (this.operationCount >= this.crashAt) {
          applyPart?.()
          this.#isDead = true
          return
        }
        apply()
      },
    })
  }

  fileOperation(name: string, apply: () => void, applyPart?: () => void): void {
    this.#operation(name, apply, applyPart)
  }

  #change(directory: string, apply: DirectoryChange): void {
    apply(this.#names)
    this.#changes.push({ directory, apply })
  }
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf("/")
  return slash < 0 ? "." : path.slice(0, slash)
}

class CrashFile implements DiskFile {
  readonly #disk: CrashDisk
  readonly #inode: Inode
  readonly #path: string

  constructor(disk: CrashDisk, inode: Inode, path: string) {
    this.#disk = disk
    this.#inode = inode
    this.#path = path
  }

  sizeBytes(done: Done<number>): void {
    this.#disk.fileOperation(`size ${this.#path}`, () => {
      done(undefined, this.#inode.bytes.length)
    })
  }

  write(buffers: readonly Uint8Array[], position: number, done: Done<number>): void {
    const put = (): void => {
      let at = position
      for (const buffer of buffers) {
        this.#inode.write(buffer, at)
        at += buffer.length
      }
    }
    const total = buffers.reduce((sum, buffer) => sum + buffer.length, 0)
    this.#disk.fileOperation(
      `write ${this.#path} ${total}@${position}`,
      () => {
        this.#write({ buffers, position, total }, done)
      },
      put,
    )
  }

  #write(what: { buffers: readonly Uint8Array[]; position: number; total: number }, done: Done<number>): void {
    const { faults } = this.#disk
    const { total, position } = what
    if (countDown(faults, "failWriteIn")) {
      done(new DiskError("EIO", this.#path), 0)
      return
    }
    let allowed = total
    if (faults.isCompletelyFull === true) allowed = 0
    const growth = position + total - this.#inode.bytes.length
    if (faults.capacityBytes !== undefined && growth > 0) {
      const room = faults.capacityBytes - this.#disk.allocatedBytes
      if (growth > room) allowed = Math.max(0, total - growth + room)
    }
    if (countDown(faults, "shortWriteIn")) allowed = Math.min(allowed, faults.shortWriteBytes ?? 0)
    if (allowed === 0) {
      done(new DiskError("ENOSPC", this.#path), 0)
      return
    }
    let left = allowed
    let at = position
    for (const buffer of what.buffers) {
      const chunk = buffer.subarray(0, Math.min(left, buffer.length))
      this.#inode.write(chunk, at)
      at += chunk.length
      left -= chunk.length
    }
    done(undefined, allowed)
  }

  read(target: Uint8Array, position: number, done: Done<number>): void {
    this.#disk.fileOperation(`read ${this.#path} ${target.length}@${position}`, () => {
      if (this.#disk.faults.unreadable === this.#path) {
        done(new DiskError("EIO", this.#path), 0)
        return
      }
      const found = this.#inode.bytes.subarray(position, position + target.length)
      target.set(found)
      done(undefined, found.length)
    })
  }

  sync(done: Done): void {
    this.#disk.fileOperation(`sync ${this.#path}`, () => {
      if (countDown(this.#disk.faults, "failSyncIn")) {
        this.#inode.lose()
        done(new DiskError("EIO", this.#path))
        return
      }
      this.#inode.sync()
      done(undefined)
    })
  }

  truncate(sizeBytes: number, done: Done): void {
    this.#disk.fileOperation(`truncate ${this.#path}`, () => {
      this.#inode.remember(sizeBytes, this.#inode.bytes.length)
      this.#inode.resize(sizeBytes)
      done(undefined)
    })
  }

  close(done: Done): void {
    this.#disk.fileOperation(`close ${this.#path}`, () => {
      done(undefined)
    })
  }
}

function countDown(faults: DiskFaults, name: "failSyncIn" | "failWriteIn" | "shortWriteIn"): boolean {
  const left = faults[name]
  if (left === undefined) return false
  if (left > 0) {
    faults[name] = left - 1
    return false
  }
  delete faults[name]
  return true
}
