/**
 * Spare segment files: zero-filled beforehand in slices, or recycled from dropped segments. Writing into a file whose blocks
 * are allocated is faster and calmer, and it cannot run out of space.
 *
 * The last `reserveSegments` files are the ballast: they are handed out only when no new file can be made, so that deletes
 * and receives go on for a while on a full disk; the very last one waits for the next opening of the log.
 */
import type { Disk, DiskFile } from "../../ports.ts"
import {
  closeFile,
  openFile,
  readWhole,
  removeFile,
  renameFile,
  syncDirectory,
  syncFile,
  writeWhole,
} from "./file-io.ts"
import { isNoSpace } from "./log-options.ts"
import { dataEnd, decodeFooter, footerBytes } from "./segment-header.ts"
import { Gate, attempt, runTask, wait } from "./task.ts"
import type { Task } from "./task.ts"

const FILL_SLICE_BYTES = 1024 * 1024
/** Recycled files kept beyond the reserve: under load they come and go about as fast as segments are begun. */
const SPARE_SEGMENTS_MAX = 4
const SPARE_PATTERN = /^(\d{6,15})\.spare$/

export interface PoolParts {
  readonly disk: Disk
  readonly directory: string
  readonly segmentBytes: number
  readonly reserveSegments: number
  /** Called when `isLow` changed. */
  readonly lowChanged: () => void
  /** A write or sync failed for another reason than space. */
  readonly failed: (error: Error) => void
  /** A gate to wait at while the log has something better to do; undefined when it is idle. */
  readonly busy: () => Gate | undefined
}

/** A file ready to become a segment. */
export interface SpareFile {
  readonly path: string
  readonly file: DiskFile
  /** First word of each sector as it lies in the file. */
  readonly samples: Uint32Array
}

export function isSpareName(name: string): boolean {
  return SPARE_PATTERN.test(name)
}

export class SegmentPool {
  readonly #parts: PoolParts
  readonly #paths: string[] = []
  #nextNumber = 1
  /** True since no new file could be made, or the disk took a write only in part. */
  #isShort = false
  #isFilling = false
  #isHurried = false
  #isStopped = false
  readonly #filled = new Gate()
  /** Where filling waits while the log is busy; opened by the end of a flush, or by a flush that needs the file. */
  readonly #pause = new Gate()

  constructor(parts: PoolParts) {
    this.#parts = parts
  }

  get count(): number {
    return this.#paths.length
  }

  /** True when ordinary writes must be refused: what is left is held for receives and deletes. */
  get isLow(): boolean {
    return this.#isShort && this.#paths.length <= this.#parts.reserveSegments
  }

  /** Takes in a file found at opening. */
  adopt(name: string): void {
    const number = Number(SPARE_PATTERN.exec(name)?.[1] ?? 0)
    this.#nextNumber = Math.max(this.#nextNumber, number + 1)
    this.#paths.push(`${this.#parts.directory}/${name}`)
  }

  /** A write met a full disk although its blocks should have been allocated. */
  noteShort(): void {
    this.#change(() => {
      this.#isShort = true
    })
  }

  /** Space may have come back: the next attempt to make a file decides. */
  probe(): void {
    if (!this.#isShort) return
    // Files that came back by recycling end the shortage without an attempt.
    if (this.#paths.length > this.#parts.reserveSegments) {
      this.#change(() => {
        this.#isShort = false
      })
    }
    this.fillInBackground()
  }

  /** Keeps one file more than the reserve; makes what is missing, slice by slice, while the log is idle. */
  fillInBackground(): void {
    if (this.#isFilling || this.#isStopped || this.#paths.length > this.#parts.reserveSegments) return
    this.#isFilling = true
    runTask(this.#fill(), (error) => {
      this.#isFilling = false
      this.#filled.open()
      if (error !== undefined) this.#parts.failed(error)
      else if (!this.#isShort) this.fillInBackground()
    })
  }

  /**
   * A file for the next segment. Ordinarily the reserve stays untouched and the call waits for a new file; when none can be
   * made, the reserve is used down to `keep` files. Undefined when there is nothing to give.
   */
  *take(keep: number): Task<SpareFile | undefined> {
    for (;;) {
      const usable = this.#isShort ? keep : this.#parts.reserveSegments
      if (this.#paths.length > usable) {
        const spare = yield* this.#openSpare()
        if (spare !== undefined) return spare
        continue
      }
      if (this.#isShort) return undefined
      this.#isHurried = true
      this.#pause.open()
      this.fillInBackground()
      if (!this.#isFilling) return undefined
      yield* wait<void>((done) => {
        this.#filled.pass(done)
      })
      this.#isHurried = false
    }
  }

  /** Makes one file at once, for a log that is just being opened. Undefined when there is no space. */
  *takeAtOpening(): Task<SpareFile | undefined> {
    while (this.#paths.length > 0) {
      const spare = yield* this.#openSpare()
      if (spare !== undefined) return spare
    }
    this.#isHurried = true
    yield* this.#fill()
    this.#isHurried = false
    return this.#paths.length > 0 ? yield* this.#openSpare() : undefined
  }

  /**
   * Turns the file of a dropped segment into a spare, or removes it when there are enough. The caller syncs the directory and
   * then calls `release`: before that, a crash may bring the segment back.
   */
  *recycle(path: string, fileBytes: number): Task<string | undefined> {
    const { disk, directory, segmentBytes, reserveSegments } = this.#parts
    if (fileBytes !== segmentBytes || this.#paths.length >= reserveSegments + SPARE_SEGMENTS_MAX) {
      yield* removeFile(disk, path)
      return undefined
    }
    const spare = this.#newPath(directory)
    yield* renameFile(disk, path, spare)
    return spare
  }

  /** A recycled file may be used from now on. */
  release(path: string): void {
    this.#change(() => {
      this.#paths.push(path)
      if (this.#paths.length > this.#parts.reserveSegments) this.#isShort = false
    })
  }

  /** No more files are made; waits until the one being made is left. */
  *stop(): Task {
    this.#isStopped = true
    while (this.#isFilling) {
      yield* wait<void>((done) => {
        this.#filled.pass(done)
      })
    }
  }

  #newPath(directory: string): string {
    const number = this.#nextNumber++
    return `${directory}/${String(number).padStart(6, "0")}.spare`
  }

  #change(change: () => void): void {
    const before = this.isLow
    change()
    if (this.isLow !== before) this.#parts.lowChanged()
  }

  /** Opens the oldest spare; one whose footer is unreadable is zero-filled again first. */
  *#openSpare(): Task<SpareFile | undefined> {
    const { disk, segmentBytes } = this.#parts
    const path = this.#paths.shift()
    if (path === undefined) return undefined
    const file = yield* openFile(disk, path, false)
    const size = yield* wait<number>((done) => {
      file.sizeBytes(done)
    })
    if (size !== segmentBytes) {
      yield* closeFile(file)
      yield* removeFile(disk, path)
      return undefined
    }
    const bytes = Buffer.alloc(footerBytes(segmentBytes))
    yield* readWhole(file, bytes, dataEnd(segmentBytes))
    const footer = decodeFooter(bytes, segmentBytes)
    if (footer.kind === "sealed") return { path, file, samples: footer.footer.samples }
    if (footer.kind === "virgin") return { path, file, samples: footer.samples }
    yield* this.#zero(file, () => undefined)
    return { path, file, samples: new Uint32Array(segmentBytes / 512) }
  }

  /** Makes one file. No space is no error: it is remembered. */
  *#fill(): Task {
    const { disk, directory } = this.#parts
    const path = this.#newPath(directory)
    const draft = `${path}.tmp`
    const outcome = yield* attempt<boolean>((done) => {
      runTask(this.#makeFile(draft), done)
    })
    if (outcome.error !== undefined) {
      yield* removeFile(disk, draft)
      if (!isNoSpace(outcome.error)) throw outcome.error
      this.noteShort()
      return
    }
    if (!outcome.value) return
    yield* renameFile(disk, draft, path)
    yield* syncDirectory(disk, directory)
    this.#change(() => {
      this.#paths.push(path)
      this.#isShort = false
    })
  }

  *#makeFile(draft: string): Task<boolean> {
    const file = yield* openFile(this.#parts.disk, draft, true)
    const outcome = yield* attempt<boolean>((done) => {
      runTask(
        this.#zero(file, () => (this.#isHurried ? undefined : this.#parts.busy())),
        done,
      )
    })
    yield* closeFile(file)
    if (outcome.error !== undefined) throw outcome.error
    return outcome.value
  }

  /** Fills with zeros, slice by slice, while nothing is `busy`. False when the log is closed meanwhile. */
  *#zero(file: DiskFile, busy: () => Gate | undefined): Task<boolean> {
    const { segmentBytes } = this.#parts
    const slice = new Uint8Array(Math.min(FILL_SLICE_BYTES, segmentBytes))
    for (let at = 0; at < segmentBytes; at += slice.length) {
      if (this.#isStopped) return false
      const gate = busy()
      if (gate !== undefined) {
        yield* wait<void>((done) => {
          this.#pause.pass(done)
          gate.pass(() => {
            this.#pause.open()
          })
        })
      }
      yield* writeWhole(file, [slice.subarray(0, Math.min(slice.length, segmentBytes - at))], at)
      yield* syncFile(file)
    }
    return true
  }
}
