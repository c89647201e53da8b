/**
 * The checkpoint table of one node. Each write is atomic, and durable when it is answered; one that was under way at a
 * crash is wholly there or wholly not, as the seed decides.
 */
import { Buffer } from "node:buffer"
import type { Random } from "../../src/core/random.ts"
import type { CheckpointRecord, CheckpointStore, Done } from "../../src/ports.ts"
import type { Incarnation } from "./sim-process.ts"
import { chance, exponential } from "./world.ts"
import type { World } from "./world.ts"

export interface StoredRecord {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

const READ_PIECE_RECORDS = 64

export class SimCheckpoint {
  meanWriteMs = 1
  readonly #world: World
  readonly #random: Random
  /** By key as latin-1 text: its order is the order of the bytes. */
  #records = new Map<string, StoredRecord>()
  /** Staged records survive a crash only by luck; the node throws them away when it starts. */
  #staged = new Map<string, StoredRecord>()
  readonly #underWay = new Set<() => void>()

  constructor(world: World, nodeId: number) {
    this.#world = world
    this.#random = world.fork(`checkpoint ${String(nodeId)}`)
  }

  port(incarnation: Incarnation): CheckpointStore {
    const run = <T>(apply: () => T, done: Done<T>): void => {
      this.#run(incarnation, apply, done)
    }
    return {
      write: (records, done) => {
        const copy = records.map(copyRecord)
        run(() => {
          put(this.#records, copy)
        }, done)
      },
      read: (visit, done) => {
        const all = sorted(this.#records)
        incarnation.after(0.1, () => {
          for (let at = 0; at < all.length; at += READ_PIECE_RECORDS) visit(all.slice(at, at + READ_PIECE_RECORDS))
          done(undefined, undefined)
        })
      },
      openView: (done) => {
        const all = sorted(this.#records)
        let at = 0
        incarnation.after(0.1, () => {
          done(undefined, {
            next: (maxBytes, nextDone) => {
              const piece: StoredRecord[] = []
              let bytes = 0
              while (at < all.length && (piece.length === 0 || bytes < maxBytes)) {
                const record = all[at++] as StoredRecord
                bytes += record.key.length + record.value.length
                piece.push(record)
              }
              incarnation.after(0.1, () => {
                nextDone(undefined, piece)
              })
            },
            close: (closeDone) => {
              incarnation.after(0.01, () => {
                closeDone(undefined, undefined)
              })
            },
          })
        })
      },
      stage: (records, done) => {
        const copy = records.map(copyRecord)
        run(() => {
          put(this.#staged, copy)
        }, done)
      },
      discardStaged: (done) => {
        run(() => {
          this.#staged = new Map()
        }, done)
      },
      replaceByStaged: (done) => {
        run(() => {
          this.#records = this.#staged
          this.#staged = new Map()
        }, done)
      },
      close: (done) => {
        incarnation.after(0.01, () => {
          done(undefined, undefined)
        })
      },
    }
  }

  /** The process or the machine stopped: what was under way is there or not. */
  crashed(): void {
    for (const apply of this.#underWay) {
      if (chance(this.#random, 0.5)) {
        this.#world.marks.hit("checkpoint: write under way at a crash was kept")
        apply()
      } else {
        this.#world.marks.hit("checkpoint: write under way at a crash was lost")
        break
      }
    }
    this.#underWay.clear()
  }

  wipe(): void {
    this.#records = new Map()
    this.#staged = new Map()
    this.#underWay.clear()
  }

  records(): readonly StoredRecord[] {
    return sorted(this.#records)
  }

  #run<T>(incarnation: Incarnation, apply: () => T, done: Done<T>): void {
    this.#underWay.add(apply)
    incarnation.after(0.1 + exponential(this.#random, this.meanWriteMs), () => {
      if (!this.#underWay.delete(apply)) return
      done(undefined, apply())
    })
  }
}

function put(target: Map<string, StoredRecord>, records: readonly CheckpointRecord[]): void {
  for (const { key, value } of records) {
    const name = Buffer.from(key).toString("latin1")
    if (value === undefined) target.delete(name)
    else target.set(name, { key, value })
  }
}

/** As the real table does: the bytes are taken when they are handed over. */
function copyRecord({ key, value }: CheckpointRecord): CheckpointRecord {
  return { key: Uint8Array.from(key), value: value === undefined ? undefined : Uint8Array.from(value) }
}

function sorted(records: ReadonlyMap<string, StoredRecord>): StoredRecord[] {
  return [...records.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, record]) => record)
}
