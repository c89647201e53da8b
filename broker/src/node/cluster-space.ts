/** Which nodes have little disk space left, as they say with their messages, and what that means for sends. */
import type { ErrorName } from "@opencmq/proto"
import type { NodeId } from "../core/raft/types.ts"
import type { SetReplica } from "./set-replica.ts"

export class ClusterSpace {
  readonly #replica: SetReplica
  readonly #lowAt = new Set<NodeId>()

  constructor(replica: SetReplica) {
    this.#replica = replica
  }

  heard(peer: NodeId, isLow: boolean): void {
    if (isLow) this.#lowAt.add(peer)
    else this.#lowAt.delete(peer)
  }

  /** Sends wait until a majority, this node among it, has room again; receives and deletes go on meanwhile. */
  readonly sendRefusal = (): ErrorName | undefined => {
    if (this.#replica.log.space().low) return "diskFull"
    if (this.#lowAt.size === 0) return undefined
    const { voters } = this.#replica.raft.status().configuration
    const lowCount = voters.filter((nodeId) => this.#lowAt.has(nodeId)).length
    return lowCount > (voters.length - 1) / 2 ? "diskFull" : undefined
  }
}
