/**
 * Two small files that hold what must survive besides the entries: whose data this is, term and vote, where the log begins,
 * and how far a snapshot install has come.
 *
 * Both copies are written, one after the other, before a save counts: whichever single copy is torn by a crash or rots
 * later, the other one says all that was promised. Both unreadable means: refuse to open, never start as empty (D9).
 */
import type { LogIndex } from "../../core/raft/types.ts"
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
import { decodeSlot, emptyState, encodeSlot, SLOT_BYTES } from "./hard-state-slot.ts"
import type { Slot, StoredState } from "./hard-state-slot.ts"
import { LogStoreError } from "./log-options.ts"
import type { LogIdentity, LogMutations } from "./log-options.ts"
import { Gate, wait } from "./task.ts"
import type { Task } from "./task.ts"

export const HARD_STATE_NAMES = ["hard-state.a", "hard-state.b"] as const
export interface HardStateParts {
  readonly disk: Disk
  readonly directory: string
  readonly identity: LogIdentity
  readonly mutations: LogMutations
}

export class HardStateFile {
  readonly #parts: HardStateParts
  /** What the next save writes. Change it, then save. */
  readonly state: StoredState
  #files: DiskFile[] = []
  #generation: number
  /** Base of the newest save: what lies below it may go. */
  #savedBaseIndex: LogIndex
  #changeCount = 0
  #savedCount = 0
  #isSaving = false
  readonly #saved = new Gate()

  private constructor(parts: HardStateParts, slot: { generation: number; state: StoredState }) {
    this.#parts = parts
    this.#generation = slot.generation
    this.state = slot.state
    this.#savedBaseIndex = slot.state.baseIndex
  }

  get savedBaseIndex(): LogIndex {
    return this.#savedBaseIndex
  }

  /**
   * Reads the copies found in the directory, or makes them in a new one. Refuses data of another node or cluster, and data
   * whose both copies are unreadable.
   */
  static *load(parts: HardStateParts, found: { names: readonly string[]; hasLogFiles: boolean }): Task<HardStateFile> {
    const slots: { path: string; slot: Slot | undefined }[] = []
    for (const name of HARD_STATE_NAMES) {
      if (found.names.includes(name)) slots.push(yield* readSlot(parts, `${parts.directory}/${name}`))
    }
    const best = slots
      .map((each) => each.slot)
      .filter((slot) => slot !== undefined)
      .sort((left, right) => right.generation - left.generation)[0]
    if (best === undefined) {
      refuseWithoutState(parts, { paths: slots.map((each) => each.path), hasLogFiles: found.hasLogFiles })
      const fresh = new HardStateFile(parts, { generation: 0, state: emptyState() })
      yield* fresh.#createFiles([])
      return fresh
    }
    checkIdentity(parts, best.identity)
    const loaded = new HardStateFile(parts, { generation: best.generation, state: best.state })
    // The copy that says all stays as it is until the other one does too.
    const good = slots.filter((each) => each.slot?.generation === best.generation).map((each) => each.path)
    yield* loaded.#createFiles(good)
    return loaded
  }

  /** Makes `state` durable. Saves are carried out one at a time; one save may serve several callers. */
  *save(): Task {
    this.#changeCount++
    const mine = this.#changeCount
    while (this.#isSaving) {
      yield* wait<void>((done) => {
        this.#saved.pass(done)
      })
    }
    if (this.#savedCount >= mine) return
    this.#isSaving = true
    const covered = this.#changeCount
    try {
      this.#generation++
      const bytes = this.#encode()
      const { baseIndex } = this.state
      for (const file of this.#files) {
        yield* writeWhole(file, [bytes], 0)
        yield* syncFile(file)
      }
      this.#savedCount = covered
      this.#savedBaseIndex = baseIndex
    } finally {
      this.#isSaving = false
      this.#saved.open()
    }
  }

  *close(): Task {
    for (const file of this.#files) yield* closeFile(file)
    this.#files = []
  }

  #encode(): Buffer {
    return encodeSlot({ generation: this.#generation, identity: this.#parts.identity, state: this.state })
  }

  /** Makes every copy that is not in `goodPaths` anew, beside its place, and puts it there whole. */
  *#createFiles(goodPaths: readonly string[]): Task {
    const { disk, directory } = this.#parts
    if (goodPaths.length < HARD_STATE_NAMES.length) {
      for (const name of HARD_STATE_NAMES) {
        const path = `${directory}/${name}`
        if (goodPaths.includes(path)) continue
        const fresh = yield* openFile(disk, `${path}.tmp`, true)
        yield* writeWhole(fresh, [this.#encode()], 0)
        yield* syncFile(fresh)
        yield* closeFile(fresh)
        yield* renameFile(disk, `${path}.tmp`, path)
        yield* syncDirectory(disk, directory)
      }
    }
    for (const name of HARD_STATE_NAMES) {
      this.#files.push(yield* openFile(disk, `${directory}/${name}`, false))
      yield* removeFile(disk, `${directory}/${name}.tmp`)
    }
  }
}

function* readSlot(parts: HardStateParts, path: string): Task<{ path: string; slot: Slot | undefined }> {
  const file = yield* openFile(parts.disk, path, false)
  const bytes = Buffer.alloc(SLOT_BYTES)
  const count = yield* readWhole(file, bytes, 0)
  yield* closeFile(file)
  const slot = decodeSlot(bytes.subarray(0, count))
  if (slot === "newer") {
    throw new LogStoreError("newerFormat", {
      path,
      text: "written by a newer version of OpenCMQ; it was left as it is",
    })
  }
  return { path, slot }
}

function refuseWithoutState(parts: HardStateParts, found: { paths: readonly string[]; hasLogFiles: boolean }): void {
  if (parts.mutations.has("damagedHardStateIsEmpty")) return
  if (found.paths.length > 0) {
    throw new LogStoreError("hardStateDamaged", {
      path: found.paths.join(", "),
      text: "no readable copy of the node's term and vote; start the node with an empty directory and the same node id, never with an old copy (docs/operations.md)",
    })
  }
  if (found.hasLogFiles) {
    throw new LogStoreError("hardStateMissing", {
      path: parts.directory,
      text: "there are log files but no hard-state file; the node does not start as if it were empty",
    })
  }
}

function checkIdentity(parts: HardStateParts, stored: LogIdentity): void {
  const { identity } = parts
  const path = `${parts.directory}/${HARD_STATE_NAMES[0]}`
  if (stored.clusterId !== identity.clusterId) {
    const text = `data of cluster "${stored.clusterId}", this node belongs to "${identity.clusterId}"`
    throw new LogStoreError("wrongCluster", { path, text })
  }
  if (stored.nodeId !== identity.nodeId) {
    throw new LogStoreError("wrongNode", {
      path,
      text: `data of node ${stored.nodeId}, this is node ${identity.nodeId}`,
    })
  }
  if (stored.setId !== identity.setId) {
    throw new LogStoreError("wrongSet", { path, text: `data of set ${stored.setId}, this is set ${identity.setId}` })
  }
  if (stored.incarnation !== identity.incarnation) {
    const text = `data of incarnation ${stored.incarnation}, this node is incarnation ${identity.incarnation}`
    throw new LogStoreError("wrongIncarnation", { path, text })
  }
}
