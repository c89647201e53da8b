/** Numbers that the node holds anyway, shown when somebody scrapes. */
import type { BrokerNode } from "./broker-node.ts"
import type { Metrics, QueueSample } from "./metrics.ts"
import type { Role } from "../core/raft/types.ts"

const ROLES: readonly Role[] = ["follower", "preCandidate", "candidate", "leader"]

export function exposeNode(metrics: Metrics, node: BrokerNode): void {
  const term = metrics.gauge("raftTerm")
  const commitIndex = metrics.gauge("raftCommitIndex")
  const applyLag = metrics.gauge("raftApplyLag")
  const walBytes = metrics.gauge("walBytes")
  const longPolls = metrics.gauge("longPollsWaiting")
  const queues = metrics.gauge("queues")
  const roles = ROLES.map((role) => ({ role, gauge: metrics.gauge("raftState", role) }))
  metrics.onScrape(() => {
    const status = node.replica.raft.status()
    term.set(status.term)
    commitIndex.set(status.commitIndex)
    applyLag.set(status.commitIndex - node.replica.appliedIndex)
    walBytes.set(node.replica.log.space().usedBytes)
    longPolls.set(node.leader.longPollCount)
    queues.set(node.replica.machine.listQueues({ searchWord: "", offset: 0, limit: 1 }).totalCount)
    for (const { role, gauge } of roles) gauge.set(role === status.role ? 1 : 0)
    // Who leads no longer knows nothing of the others.
    metrics.clear("raftFollowerLag")
    for (const peer of status.peers) {
      metrics.gauge("raftFollowerLag", String(peer.nodeId)).set(status.lastIndex - peer.matchIndex)
    }
  })
  metrics.setQueues(() => samplesOf(node))
  metrics.setSubscriptions(() => node.replica.machine.subscriptionSamples())
}

function* samplesOf(node: BrokerNode): Iterable<QueueSample> {
  const { machine } = node.replica
  const { queues } = machine.listQueues({ searchWord: "", offset: 0, limit: Number.MAX_SAFE_INTEGER })
  for (const { queueId, queueName } of queues) {
    const status = machine.queueStatus(queueId)
    if (status === undefined) continue
    yield {
      queueName,
      deadLetterQueueName: status.attributes.deadLetterPolicy?.deadLetterQueue ?? "",
      activeCount: status.activeCount,
      inactiveCount: status.inactiveCount,
      delayedCount: status.delayedCount,
      halfCount: status.halfCount,
      rewindableCount: status.rewindableCount,
      oldestUnconsumedAtMs: status.oldestUnconsumedAtMs ?? 0,
      bytes: status.bytes,
      expiredCount: status.totals.expired,
      deadLetteredCount: status.totals.deadLettered,
    }
  }
}
