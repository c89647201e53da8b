/**
 * The real file system, by `node:fs` callbacks in libuv's thread pool (`fs.promises` costs a third more per write).
 * Nothing is retried and nothing is judged here: that is the log's business.
 */
import fs from "node:fs"
import { dirname, join } from "node:path"
import { performance } from "node:perf_hooks"
import type { Disk, DiskFile, Done } from "../../ports.ts"

/** What may be watched from outside. */
export interface NodeDiskHooks {
  /** A sync of a file ended, well or not; how long it took. */
  readonly synced?: (milliseconds: number) => void
}

type NodeError = NodeJS.ErrnoException | null

export class NodeDisk implements Disk {
  readonly #root: string
  readonly #hooks: NodeDiskHooks

  /** Paths given to the methods are relative to `root`, which must exist. */
  constructor(root: string, hooks: NodeDiskHooks = {}) {
    this.#root = root
    this.#hooks = hooks
  }

  list(directory: string, done: Done<readonly string[]>): void {
    fs.readdir(this.#path(directory), (error, names) => {
      answer(done, error, names)
    })
  }

  open(path: string, options: { readonly create: boolean }, done: Done<DiskFile>): void {
    const { O_RDWR, O_CREAT } = fs.constants
    fs.open(this.#path(path), options.create ? O_RDWR | O_CREAT : O_RDWR, 0o600, (error, descriptor) => {
      if (error === null) done(undefined, new NodeDiskFile(descriptor, this.#hooks))
      else done(error, undefined as never)
    })
  }

  rename(from: string, to: string, done: Done): void {
    fs.rename(this.#path(from), this.#path(to), (error) => {
      answer(done, error, undefined)
    })
  }

  remove(path: string, done: Done): void {
    fs.unlink(this.#path(path), (error) => {
      answer(done, error, undefined)
    })
  }

  /** Makes missing parents too; an existing directory is fine. Parents that were made are synced by their parents. */
  makeDirectory(path: string, done: Done): void {
    const whole = this.#path(path)
    fs.mkdir(whole, { recursive: true, mode: 0o700 }, (error, first) => {
      if (error !== null || first === undefined || first === whole) answer(done, error, undefined)
      else this.#syncUpwards(whole, first, done)
    })
  }

  syncDirectory(path: string, done: Done): void {
    syncWholeDirectory(this.#path(path), done)
  }

  /** Syncs the parents of everything from `path` up to `first`, the topmost directory that was made. */
  #syncUpwards(path: string, first: string, done: Done): void {
    const parent = dirname(path)
    syncWholeDirectory(parent, (error) => {
      if (error !== undefined || path === first) done(error)
      else this.#syncUpwards(parent, first, done)
    })
  }

  #path(path: string): string {
    return join(this.#root, path)
  }
}

function syncWholeDirectory(path: string, done: Done): void {
  fs.open(path, fs.constants.O_RDONLY, (openError, descriptor) => {
    if (openError !== null) {
      done(openError)
      return
    }
    fs.fsync(descriptor, (syncError) => {
      fs.close(descriptor, (closeError) => {
        answer(done, syncError ?? closeError ?? null, undefined)
      })
    })
  })
}

function answer<T>(done: Done<T>, error: NodeError, value: T): void {
  done(error ?? undefined, value)
}

class NodeDiskFile implements DiskFile {
  readonly #descriptor: number
  readonly #hooks: NodeDiskHooks

  constructor(descriptor: number, hooks: NodeDiskHooks) {
    this.#descriptor = descriptor
    this.#hooks = hooks
  }

  sizeBytes(done: Done<number>): void {
    fs.fstat(this.#descriptor, (error, stats) => {
      if (error === null) done(undefined, stats.size)
      else done(error, 0)
    })
  }

  write(buffers: readonly Uint8Array[], position: number, done: Done<number>): void {
    const only = buffers.length === 1 ? buffers[0] : undefined
    if (only !== undefined) {
      fs.write(this.#descriptor, only, 0, only.length, position, (error, count) => {
        answer(done, error, count)
      })
      return
    }
    fs.writev(this.#descriptor, buffers as Uint8Array[], position, (error, count) => {
      answer(done, error, count)
    })
  }

  read(target: Uint8Array, position: number, done: Done<number>): void {
    fs.read(this.#descriptor, target, 0, target.length, position, (error, count) => {
      answer(done, error, count)
    })
  }

  sync(done: Done): void {
    const startedMs = performance.now()
    fs.fdatasync(this.#descriptor, (error) => {
      this.#hooks.synced?.(performance.now() - startedMs)
      answer(done, error, undefined)
    })
  }

  truncate(sizeBytes: number, done: Done): void {
    fs.ftruncate(this.#descriptor, sizeBytes, (error) => {
      answer(done, error, undefined)
    })
  }

  close(done: Done): void {
    fs.close(this.#descriptor, (error) => {
      answer(done, error ?? null, undefined)
    })
  }
}
