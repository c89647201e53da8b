/**
 * The checkpoint in a LevelDB directory (classic-level). One atomic, synced batch for each write.
 *
 * LevelDB drops damaged records of its own log in silence and does not check blocks that it reads, so that rot could pass for
 * an older or an empty state. Hence three guards: every value carries a checksum over key and value; every batch leaves a
 * numbered seal, of which none may be missing; and a file beside the directory knows the number of the newest seal. What fails
 * a guard is an error, never an older or empty checkpoint.
 *
 * Beside the directory lie, with the endings `.seal` (the newest seal), `.new` (being made), `.staged` (snapshot install),
 * `.replace` (the install was decided), `.old` (replaced): opening finishes or removes all but the first.
 */
import { open, readFile, readdir, rename, rm, writeFile } from "node:fs/promises"
import { dirname } from "node:path"
import { ClassicLevel } from "classic-level"
import type { Iterator as LevelIteratorOf } from "classic-level"
import { crc32 } from "../../codec/crc.ts"
import type { CheckpointRecord, CheckpointStore, CheckpointView, Done } from "../../ports.ts"

export type LevelStoreErrorKind =
  /** Something is missing or rotten. */
  | "damaged"
  /** Another process has it open. */
  | "locked"
  | "failed"

export class LevelStoreError extends Error {
  override readonly name = "LevelStoreError"
  readonly kind: LevelStoreErrorKind
  readonly path: string
  readonly text: string

  constructor(kind: LevelStoreErrorKind, content: { path: string; text: string; cause?: unknown }) {
    super(`${content.path}: ${content.text}`, { cause: content.cause })
    this.kind = kind
    this.path = content.path
    this.text = content.text
  }
}

type Level = ClassicLevel<Buffer, Buffer>
type LevelIterator = LevelIteratorOf<Level, Buffer, Buffer>
type Pair = { readonly key: Uint8Array; readonly value: Uint8Array }

const SEAL_PREFIX = 0
const RECORD_PREFIX = 1
/** Seals older than this are removed: LevelDB has long moved what they guard into its tables. */
const SEALS_KEPT = 4096
const READ_PIECE_BYTES = 1024 * 1024
const READ_PIECE_COUNT = 10_000
const BLOCK_CACHE_BYTES = 1024 * 1024

/** Opens the checkpoint directory, or makes it; its parent must exist. Rejects with a `LevelStoreError`. */
export async function openLevelStore(path: string): Promise<LevelStore> {
  await settleReplacement(path)
  const sealed = (await exists(path)) ? await openSealed(path) : await makeSealed(path)
  return new LevelStore(path, sealed)
}

/** An open database and the number of its newest seal. */
interface SealedLevel {
  readonly level: Level
  sealNumber: number
}

export class LevelStore implements CheckpointStore {
  readonly #path: string
  #live: SealedLevel
  #staged: SealedLevel | undefined
  /** Changes are carried out one after the other. */
  #last: Promise<unknown> = Promise.resolve()

  /** Made by `openLevelStore`. */
  constructor(path: string, live: SealedLevel) {
    this.#path = path
    this.#live = live
  }

  write(records: readonly CheckpointRecord[], done: Done): void {
    this.#inTurn(async () => {
      await writeSealed(this.#live, { records, sync: true })
      await noteSeal(this.#path, this.#live.sealNumber)
    }, done)
  }

  read(visit: (records: readonly Pair[]) => void, done: Done): void {
    this.#inTurn(async () => {
      const iterator = recordsOf(this.#live.level, READ_PIECE_BYTES)
      try {
        for (;;) {
          const piece = await this.#nextPiece(iterator)
          if (piece.length === 0) return
          visit(piece)
        }
      } finally {
        await iterator.close()
      }
    }, done)
  }

  openView(done: Done<CheckpointView>): void {
    this.#inTurn(() => {
      const snapshot = this.#live.level.snapshot()
      let iterator: LevelIterator | undefined
      const view: CheckpointView = {
        next: (maxBytes, nextDone) => {
          iterator ??= recordsOf(this.#live.level, maxBytes, snapshot)
          settle(this.#nextPiece(iterator), nextDone)
        },
        close: (closeDone) => {
          settle(
            Promise.resolve(iterator?.close()).then(() => snapshot.close()),
            closeDone,
          )
        },
      }
      return Promise.resolve(view)
    }, done)
  }

  stage(records: readonly CheckpointRecord[], done: Done): void {
    this.#inTurn(async () => {
      this.#staged ??= await this.#beginStaging()
      await writeSealed(this.#staged, { records, sync: false })
    }, done)
  }

  discardStaged(done: Done): void {
    this.#inTurn(async () => {
      await this.#staged?.level.close()
      this.#staged = undefined
      await removeTree(`${this.#path}.staged`)
    }, done)
  }

  replaceByStaged(done: Done): void {
    this.#inTurn(async () => {
      const staged = this.#staged ?? (await this.#beginStaging())
      // The last batch is synced, and with it everything before it.
      await writeSealed(staged, { records: [], sync: true })
      await staged.level.close()
      this.#staged = undefined
      await this.#live.level.close()
      await writeFile(`${this.#path}.replace`, "", { flush: true })
      await syncDirectory(`${this.#path}.staged`)
      await syncDirectory(dirname(this.#path))
      await settleReplacement(this.#path)
      this.#live = await openSealed(this.#path)
      await noteSeal(this.#path, this.#live.sealNumber)
    }, done)
  }

  close(done: Done): void {
    this.#inTurn(async () => {
      await this.#staged?.level.close()
      await this.#live.level.close()
    }, done)
  }

  async #beginStaging(): Promise<SealedLevel> {
    await removeTree(`${this.#path}.staged`)
    // Numbers rise across replacements, so that the noted one is never ahead of what is there.
    return createLevel(`${this.#path}.staged`, this.#live.sealNumber + 1)
  }

  async #nextPiece(iterator: LevelIterator): Promise<readonly Pair[]> {
    const pairs: Pair[] = []
    for (const [key, value] of await iterator.nextv(READ_PIECE_COUNT)) {
      const record = { key: key.subarray(1), value: value.subarray(4) }
      if (value.length < 4 || value.readUInt32LE(0) !== checksum(record)) {
        throw new LevelStoreError("damaged", {
          path: this.#path,
          text: `the value of key ${key.toString("hex")} is rotten`,
        })
      }
      pairs.push(record)
    }
    return pairs
  }

  #inTurn<T>(run: () => Promise<T>, done: Done<T>): void {
    const turn = this.#last.then(run)
    this.#last = turn.catch(() => undefined)
    settle(turn, done)
  }
}

/** Hands the outcome of a promise to a callback; what the callback throws is an uncaught error, not a lost rejection. */
function settle<T>(promise: Promise<T>, done: Done<T>): void {
  promise.then(
    (value) => {
      setImmediate(done, undefined, value)
    },
    (cause: unknown) => {
      setImmediate(
        done,
        cause instanceof Error ? cause : new Error("the store failed strangely", { cause }),
        undefined as T,
      )
    },
  )
}

function checksum(record: Pair): number {
  return crc32(record.value, crc32(record.key))
}

function recordKey(key: Uint8Array): Buffer {
  const prefixed = Buffer.allocUnsafe(key.length + 1)
  prefixed[0] = RECORD_PREFIX
  prefixed.set(key, 1)
  return prefixed
}

function sealKey(number: number): Buffer {
  const key = Buffer.alloc(9)
  key[0] = SEAL_PREFIX
  key.writeBigUInt64BE(BigInt(number), 1)
  return key
}

async function writeSealed(
  sealed: SealedLevel,
  batch: { readonly records: readonly CheckpointRecord[]; readonly sync: boolean },
): Promise<void> {
  const chained = sealed.level.batch()
  for (const { key, value } of batch.records) {
    if (value === undefined) {
      chained.del(recordKey(key))
      continue
    }
    const guarded = Buffer.allocUnsafe(value.length + 4)
    guarded.writeUInt32LE(checksum({ key, value }), 0)
    guarded.set(value, 4)
    chained.put(recordKey(key), guarded)
  }
  const number = sealed.sealNumber + 1
  chained.put(sealKey(number), Buffer.alloc(0))
  if (number > SEALS_KEPT) chained.del(sealKey(number - SEALS_KEPT))
  await chained.write({ sync: batch.sync })
  sealed.sealNumber = number
}

function recordsOf(level: Level, pieceBytes: number, snapshot?: ReturnType<Level["snapshot"]>): LevelIterator {
  const range = { gte: Buffer.of(RECORD_PREFIX), lt: Buffer.of(RECORD_PREFIX + 1), highWaterMarkBytes: pieceBytes }
  return level.iterator(snapshot === undefined ? range : { ...range, snapshot })
}

function levelAt(path: string): Level {
  // Records are read once, at the start: a block cache would hold what nobody asks for again.
  return new ClassicLevel<Buffer, Buffer>(path, {
    keyEncoding: "buffer",
    valueEncoding: "buffer",
    cacheSize: BLOCK_CACHE_BYTES,
  })
}

/** A new database with its first seal, durable. */
async function createLevel(path: string, firstSeal: number): Promise<SealedLevel> {
  const level = levelAt(path)
  await level.open({ createIfMissing: true, errorIfExists: true })
  const sealed = { level, sealNumber: firstSeal - 1 }
  await writeSealed(sealed, { records: [], sync: true })
  return sealed
}

/** Made beside its place and moved there whole: a directory in its place always has a seal. */
async function makeSealed(path: string): Promise<SealedLevel> {
  if ((await exists(`${path}.old`)) || (await exists(`${path}.seal`))) {
    throw new LevelStoreError("damaged", { path, text: "is missing, although its seal or an older one lies beside it" })
  }
  await removeTree(`${path}.new`)
  const made = await createLevel(`${path}.new`, 1)
  await made.level.close()
  await syncDirectory(`${path}.new`)
  await rename(`${path}.new`, path)
  await syncDirectory(dirname(path))
  return openSealed(path)
}

async function openSealed(path: string): Promise<SealedLevel> {
  const level = levelAt(path)
  try {
    await level.open({ createIfMissing: false })
    const sealNumber = await newestSeal(level, path)
    const noted = await notedSeal(path)
    if (noted !== undefined && noted > sealNumber) {
      throw new LevelStoreError("damaged", {
        path,
        text: `ends at write ${sealNumber}, but write ${noted} was acknowledged`,
      })
    }
    return { level, sealNumber }
  } catch (cause) {
    await level.close()
    if (cause instanceof LevelStoreError) throw cause
    const reason = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
    const isLocked = (reason as { code?: unknown }).code === "LEVEL_LOCKED"
    const text = isLocked ? "is in use by another process" : `cannot be opened: ${String(reason)}`
    throw new LevelStoreError(isLocked ? "locked" : "damaged", { path, text, cause })
  }
}

/** Number of the newest seal; refuses when one before it is missing. */
async function newestSeal(level: Level, path: string): Promise<number> {
  let newest: number | undefined
  for await (const key of level.keys({ gte: Buffer.of(SEAL_PREFIX), lt: Buffer.of(RECORD_PREFIX) })) {
    const number = Number(key.readBigUInt64BE(1))
    if (newest !== undefined && number !== newest + 1) {
      throw new LevelStoreError("damaged", { path, text: `write ${newest + 1} is missing, write ${number} is there` })
    }
    newest = number
  }
  if (newest === undefined) throw new LevelStoreError("damaged", { path, text: "holds no seal at all" })
  return newest
}

const SEAL_BYTES = 12

/** Writes the number beside the directory: one sector, synced. */
async function noteSeal(path: string, number: number): Promise<void> {
  const bytes = Buffer.alloc(SEAL_BYTES)
  bytes.writeBigUInt64LE(BigInt(number), 0)
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 8)), 8)
  const isNew = !(await exists(`${path}.seal`))
  const file = await open(`${path}.seal`, isNew ? "w" : "r+")
  try {
    await file.write(bytes, 0, SEAL_BYTES, 0)
    await file.datasync()
  } finally {
    await file.close()
  }
  if (isNew) await syncDirectory(dirname(path))
}

/** The number noted last; undefined when there is none, or none that can be read: then it guards nothing this once. */
async function notedSeal(path: string): Promise<number | undefined> {
  if (!(await exists(`${path}.seal`))) return undefined
  const bytes = await readFile(`${path}.seal`)
  if (bytes.length !== SEAL_BYTES || bytes.readUInt32LE(8) !== crc32(bytes.subarray(0, 8))) return undefined
  return Number(bytes.readBigUInt64LE(0))
}

/** Finishes a replacement that was decided; removes what never was. */
async function settleReplacement(path: string): Promise<void> {
  const parent = dirname(path)
  if (await exists(`${path}.replace`)) {
    if (await exists(`${path}.staged`)) {
      if (await exists(path)) {
        await removeTree(`${path}.old`)
        await rename(path, `${path}.old`)
      }
      await rename(`${path}.staged`, path)
      await syncDirectory(parent)
    }
    await removeTree(`${path}.old`)
    await rm(`${path}.replace`, { force: true })
    await syncDirectory(parent)
    return
  }
  await removeTree(`${path}.staged`)
  await removeTree(`${path}.new`)
}

async function exists(path: string): Promise<boolean> {
  const name = path.slice(dirname(path).length + 1)
  return (await readdir(dirname(path))).includes(name)
}

async function removeTree(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true })
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r")
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
