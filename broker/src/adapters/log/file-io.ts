/**
 * Small steps on files that the parts of the log share: whole writes, whole reads, atomic creation.
 */
import type { Disk, DiskFile } from "../../ports.ts"
import { attempt, wait } from "./task.ts"
import type { Task } from "./task.ts"

/** The disk took fewer bytes than it was given, twice: it is full. */
export class ShortWrite extends Error {
  override readonly name = "ShortWrite"
  readonly code = "ENOSPC"
}

function totalBytes(buffers: readonly Uint8Array[]): number {
  let total = 0
  for (const buffer of buffers) total += buffer.length
  return total
}

/** The buffers without their first `count` bytes. */
function behind(buffers: readonly Uint8Array[], count: number): Uint8Array[] {
  const rest: Uint8Array[] = []
  let skip = count
  for (const buffer of buffers) {
    if (skip >= buffer.length) {
      skip -= buffer.length
      continue
    }
    rest.push(skip === 0 ? buffer : buffer.subarray(skip))
    skip = 0
  }
  return rest
}

/** Writes all bytes; a short write is continued once, and then counts as a full disk (D5). */
export function* writeWhole(file: DiskFile, buffers: readonly Uint8Array[], position: number): Task {
  const total = totalBytes(buffers)
  const first = yield* wait<number>((done) => {
    file.write(buffers, position, done)
  })
  if (first === total) return
  const rest = behind(buffers, first)
  const second = yield* wait<number>((done) => {
    file.write(rest, position + first, done)
  })
  if (first + second !== total) {
    throw new ShortWrite(`${first + second} of ${total} bytes at ${position} were written`)
  }
}

const READ_PIECE_BYTES = 8 * 1024 * 1024

/** Fills `target` as far as the file goes; the value is the count of bytes read. */
export function* readWhole(file: DiskFile, target: Uint8Array, position: number): Task<number> {
  let count = 0
  while (count < target.length) {
    const piece = target.subarray(count, Math.min(target.length, count + READ_PIECE_BYTES))
    const at = position + count
    const got = yield* wait<number>((done) => {
      file.read(piece, at, done)
    })
    if (got === 0) break
    count += got
  }
  return count
}

export function* openFile(disk: Disk, path: string, create: boolean): Task<DiskFile> {
  return yield* wait<DiskFile>((done) => {
    disk.open(path, { create }, done)
  })
}

export function* syncFile(file: DiskFile): Task {
  yield* wait<void>((done) => {
    file.sync(done)
  })
}

/** Closes without caring for the outcome: nothing that matters waits for a close. */
export function* closeFile(file: DiskFile): Task {
  yield* attempt<void>((done) => {
    file.close(done)
  })
}

export function* syncDirectory(disk: Disk, path: string): Task {
  yield* wait<void>((done) => {
    disk.syncDirectory(path, done)
  })
}

export function* renameFile(disk: Disk, from: string, to: string): Task {
  yield* wait<void>((done) => {
    disk.rename(from, to, done)
  })
}

/** Removes a file; the outcome does not matter, for it is found again at the next opening. */
export function* removeFile(disk: Disk, path: string): Task {
  yield* attempt<void>((done) => {
    disk.remove(path, done)
  })
}

export function* listDirectory(disk: Disk, path: string): Task<readonly string[]> {
  return yield* wait<readonly string[]>((done) => {
    disk.list(path, done)
  })
}
