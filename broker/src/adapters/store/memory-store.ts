/**
 * A checkpoint in memory, for tests and for the in-memory mode. Nothing survives the process.
 */
import type { CheckpointRecord, CheckpointStore, CheckpointView, Done } from "../../ports.ts"

interface Pair {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

type Table = Map<string, Pair>

function put(table: Table, records: readonly CheckpointRecord[]): void {
  for (const { key, value } of records) {
    const name = Buffer.from(key).toString("hex")
    if (value === undefined) table.delete(name)
    else table.set(name, { key: Uint8Array.from(key), value: Uint8Array.from(value) })
  }
}

function sorted(table: Table): Pair[] {
  return [...table.values()].sort((left, right) => Buffer.compare(left.key, right.key))
}

export class MemoryStore implements CheckpointStore {
  readonly #defer: (run: () => void) => void
  #live: Table = new Map()
  #staged: Table = new Map()

  /** `defer` runs callbacks after the method that took them has returned. */
  constructor(defer: (run: () => void) => void) {
    this.#defer = defer
  }

  write(records: readonly CheckpointRecord[], done: Done): void {
    put(this.#live, records)
    this.#answer(done)
  }

  read(visit: (records: readonly Pair[]) => void, done: Done): void {
    const records = sorted(this.#live)
    this.#defer(() => {
      if (records.length > 0) visit(records)
      done(undefined)
    })
  }

  openView(done: Done<CheckpointView>): void {
    const records = sorted(this.#live)
    let at = 0
    const view: CheckpointView = {
      next: (maxBytes, nextDone) => {
        const from = at
        for (let bytes = 0; at < records.length && bytes < maxBytes; at++) {
          const record = records[at]
          bytes += (record?.key.length ?? 0) + (record?.value.length ?? 0)
        }
        const piece = records.slice(from, at)
        this.#defer(() => {
          nextDone(undefined, piece)
        })
      },
      close: (closeDone) => {
        this.#answer(closeDone)
      },
    }
    this.#defer(() => {
      done(undefined, view)
    })
  }

  stage(records: readonly CheckpointRecord[], done: Done): void {
    put(this.#staged, records)
    this.#answer(done)
  }

  discardStaged(done: Done): void {
    this.#staged = new Map()
    this.#answer(done)
  }

  replaceByStaged(done: Done): void {
    this.#live = this.#staged
    this.#staged = new Map()
    this.#answer(done)
  }

  close(done: Done): void {
    this.#answer(done)
  }

  #answer(done: Done): void {
    this.#defer(() => {
      done(undefined)
    })
  }
}
