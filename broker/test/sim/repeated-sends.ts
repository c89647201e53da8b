/** Client message ids: what is sent or published again within the window is stored once, and named as the first time. */
import type { Outcome } from "../../src/core/queue/outcome.ts"
import type { LogIndex } from "../../src/ports.ts"
import { Violation } from "./world.ts"
import type { World } from "./world.ts"

interface FirstSend {
  readonly entryIndex: LogIndex
  readonly ordinal: number
  readonly atMs: number
}

/** A message of a command that was applied. */
export interface SentMessage {
  /** The queue's id, or the topic's. */
  readonly targetId: number
  readonly clientId: string
  readonly entryIndex: LogIndex
  readonly ordinal: number
  /** Log time. */
  readonly nowMs: number
}

export class RepeatedSends {
  readonly #world: World
  readonly #windowMs: number
  readonly #first = new Map<string, FirstSend>()

  constructor(world: World, windowMs: number) {
    this.#world = world
    this.#windowMs = windowMs
  }

  /** Whether message `i` of the outcome had been stored before; holds what the machine says against what was sent. */
  isRepeat(sent: Outcome["sent"], i: number, message: SentMessage): boolean {
    const { clientId, entryIndex, ordinal, nowMs } = message
    const key = `${String(message.targetId)}/${clientId}`
    const original = clientId === "" ? undefined : this.#first.get(key)
    if (sent.duplicates[i] === true) {
      this.#world.marks.hit("queue: repeated send stored once")
      if (original?.entryIndex !== sent.entryIndexes[i] || original?.ordinal !== sent.ordinals[i]) {
        this.#fail("a repeated send names the first", message)
      }
      return true
    }
    const isKnown = original !== undefined && nowMs < original.atMs + this.#windowMs
    if (isKnown) this.#fail("a repeated send is stored once", message)
    if (clientId !== "") this.#first.set(key, { entryIndex, ordinal, atMs: nowMs })
    return false
  }

  #fail(rule: string, { clientId, entryIndex }: SentMessage): void {
    this.#world.fail(new Violation(rule, `client id ${clientId} of entry ${String(entryIndex)}`))
  }
}
