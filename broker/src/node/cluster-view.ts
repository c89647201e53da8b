/** What one node knows of its cluster. Pure. */
import type { NodeId } from "../core/raft/types.ts"
import { allMembers } from "../core/raft/configuration.ts"
import type { NodeOptions } from "./node-options.ts"
import type { ClusterStatus, NodeStatus } from "./service-types.ts"
import type { SetReplica } from "./set-replica.ts"

export interface ClusterViewParts {
  readonly options: NodeOptions
  readonly replica: SetReplica
  readonly addressOf: (nodeId: NodeId) => string
  readonly isConnected: (nodeId: NodeId) => boolean
}

/** Hashing is O(messages) and blocks the node meanwhile: above this count the status goes without. */
const HASHED_MESSAGES_MAX = 200_000

function stateHashOf({ machine }: SetReplica): string {
  let messageCount = 0
  for (const { queueId } of machine.listQueues({ searchWord: "", offset: 0, limit: Number.MAX_SAFE_INTEGER }).queues) {
    const status = machine.queueStatus(queueId)
    if (status === undefined) continue
    const { activeCount, inactiveCount, delayedCount, halfCount, rewindableCount } = status
    messageCount += activeCount + inactiveCount + delayedCount + halfCount + rewindableCount
  }
  return messageCount > HASHED_MESSAGES_MAX ? "" : machine.stateHash().toString(16)
}

export function clusterStatusOf({ options, replica, addressOf, isConnected }: ClusterViewParts): ClusterStatus {
  const status = replica.raft.status()
  const address = (nodeId: NodeId): string => (nodeId === options.nodeId ? options.httpAddress : addressOf(nodeId))
  const nodes = allMembers(status.configuration).map((nodeId): NodeStatus => {
    const isSelf = nodeId === options.nodeId
    const known = status.peers.find((peer) => peer.nodeId === nodeId)
    return {
      nodeId,
      role: isSelf ? status.role : nodeId === status.leaderId ? "leader" : "follower",
      httpAddress: address(nodeId),
      reachable: isSelf || isConnected(nodeId),
      matchIndex: isSelf ? status.durableIndex : known?.matchIndex,
    }
  })
  return {
    clusterId: options.clusterId,
    setId: options.setId,
    nodeId: options.nodeId,
    leaderId: status.leaderId,
    leaderHttpAddress: address(status.leaderId),
    term: status.term,
    commitIndex: status.commitIndex,
    appliedIndex: replica.appliedIndex,
    stateHash: stateHashOf(replica),
    nodes,
  }
}
