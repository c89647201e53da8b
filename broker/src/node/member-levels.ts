/**
 * What the members of a set can read. A command that an older member cannot read would end it, so it must not be proposed
 * before every member has said that it can (ADR 0009).
 *
 * Members say it when they meet, in their hello; what one said is kept while it is away, and until it says something else.
 * Nothing is written down: that a level was reached once shows in the machine (a topic exists), so a leader that has just
 * started asks nobody to be there for what is in use already.
 */
import type { NodeId } from "../core/raft/types.ts"

/** Queues: command kinds 1 to 11. What a hello that names no level stands for. */
const FIRST_LEVEL = 1
/** Topics: kinds 12 to 19. */
export const TOPIC_LEVEL = 2
/** What this program can read; rises with every level that is added here. */
export const OWN_LEVEL = TOPIC_LEVEL

export class MemberLevels {
  readonly #said = new Map<NodeId, number>()

  /** @param level - as it came in the hello: anything. */
  said(peer: NodeId, level: unknown): void {
    this.#said.set(peer, typeof level === "number" && level >= FIRST_LEVEL ? level : FIRST_LEVEL)
  }

  /** Whether each of these has said that it can read commands of this level. This node can. */
  haveReached(level: number, members: readonly NodeId[], own: NodeId): boolean {
    return members.every((member) => member === own || (this.#said.get(member) ?? 0) >= level)
  }
}
