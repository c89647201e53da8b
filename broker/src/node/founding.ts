/**
 * Whether a node that starts with an empty disk may vote.
 *
 * Such a node is either founding a new set or has lost its disk; in the second case it may have forgotten votes and
 * entries that it had promised to keep, and its voice could bury acknowledged messages (reliability.md D12, Raft
 * pitfall 15). So it asks everyone first:
 *
 *   every other voter was met and has committed nothing   -> the set is new: it votes
 *   somebody has committed something                      -> it lost its disk: it votes once it holds all of that again
 *   somebody was not met yet                              -> it waits
 */
import type { LogIndex, NodeId } from "../core/raft/types.ts"

export class Founding {
  readonly #others: readonly NodeId[]
  readonly #committed = new Map<NodeId, LogIndex>()
  #isOpen: boolean

  /** @param isEmpty the disk held no state at start. */
  constructor(parts: { readonly isEmpty: boolean; readonly others: readonly NodeId[] }) {
    this.#others = parts.others
    this.#isOpen = parts.isEmpty && parts.others.length > 0
  }

  /** True while this node must not vote. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  /** True when it is known that others have data which this node has lost. */
  get isRecovering(): boolean {
    return this.#isOpen && this.#mostCommitted() > 0
  }

  met(peer: NodeId, commitIndex: LogIndex): void {
    if (this.#others.includes(peer)) this.#committed.set(peer, Math.max(commitIndex, this.#committed.get(peer) ?? 0))
  }

  /** Looks again; true exactly once, when the node may vote from now on. `ownIndex`: durable and committed here. */
  settled(ownIndex: LogIndex): boolean {
    if (!this.#isOpen) return false
    const mostCommitted = this.#mostCommitted()
    const everyoneMet = this.#others.every((peer) => this.#committed.has(peer))
    const isNewSet = everyoneMet && mostCommitted === 0
    const hasAllBack = mostCommitted > 0 && ownIndex >= mostCommitted
    if (!isNewSet && !hasAllBack) return false
    this.#isOpen = false
    return true
  }

  #mostCommitted(): LogIndex {
    return Math.max(0, ...this.#committed.values())
  }
}
