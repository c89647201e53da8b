// Thesis §6.4: reads without a log entry.
import { expect, test } from "vitest"
import { simpleConfiguration } from "../../src/core/raft/configuration.ts"
import { append, Replica } from "./kit/replica.ts"
import { bytes, TestCluster } from "./kit/test-cluster.ts"

function leader(): Replica {
  const replica = new Replica().lead()
  replica.acknowledgedBy(2, 3)
  replica.reads = []
  return replica
}

test("thesis 6.4: a read is confirmed by a quorum that answers a heartbeat of its own round", () => {
  const replica = leader()
  expect(replica.raft.readIndex(7)).toBe(true)
  expect(replica.sent()).toMatchObject([
    { kind: "heartbeat", to: 2, readRound: 1 },
    { kind: "heartbeat", to: 3, readRound: 1 },
  ])
  expect(replica.reads).toEqual([])
  replica.heartbeatAnsweredBy(3, 1)
  expect(replica.reads).toEqual([{ context: 7, index: 1 }])
})

test("thesis 6.4: the index is the commit index of the moment when the round starts", () => {
  const replica = leader()
  replica.raft.readIndex(7)
  replica.sent()
  replica.raft.propose([bytes("x")])
  replica.sent()
  replica.acknowledgedBy(2)
  replica.heartbeatAnsweredBy(2, 1)
  expect(replica.reads).toEqual([{ context: 7, index: 1 }])
})

test("thesis 6.4: reads that come together share a round", () => {
  const replica = leader()
  for (const context of [1, 2, 3]) replica.raft.readIndex(context)
  expect(replica.sent()).toHaveLength(2)
  replica.heartbeatAnsweredBy(2, 1)
  expect(replica.reads.map((read) => read.context)).toEqual([1, 2, 3])
})

test("thesis 6.4: a later round confirms earlier reads, never the other way round", () => {
  const replica = leader()
  replica.raft.readIndex(1)
  replica.sent()
  replica.raft.readIndex(2)
  replica.sent()
  replica.heartbeatAnsweredBy(2, 1)
  expect(replica.reads.map((read) => read.context)).toEqual([1])
  replica.raft.readIndex(3)
  replica.sent()
  replica.heartbeatAnsweredBy(3, 3)
  expect(replica.reads.map((read) => read.context)).toEqual([1, 2, 3])
})

test("reads are taken back when leadership is lost", () => {
  const replica = leader()
  replica.raft.readIndex(1)
  replica.sent()
  replica.raft.readIndex(2)
  replica.receive(append({ from: 3, term: 9 }))
  expect(replica.reads).toEqual([])
  expect(replica.readsAborted).toEqual([1, 2])
  expect(replica.raft.readIndex(3)).toBe(false)
})

test("a single voter confirms its reads itself; learners are not asked", () => {
  const replica = new Replica({ configuration: simpleConfiguration([1], [2]) })
  replica.timeOut()
  replica.raft.readIndex(5)
  replica.settle()
  expect(replica.reads).toEqual([{ context: 5, index: 1 }])
})

test("in a joint configuration both majorities confirm", () => {
  const configuration = { voters: [1, 4, 5], votersOutgoing: [1, 2, 3], learners: [], learnersNext: [] }
  const cluster = new TestCluster({ count: 5, configuration })
  const node = cluster.elect(1)
  cluster.passes = (message) => message.kind !== "appendEntriesReply" && message.from !== 2 && message.from !== 3
  node.raft.readIndex(1)
  cluster.settle()
  // The joint configuration was left meanwhile; the new one alone decides.
  expect(node.raft.status().configuration.votersOutgoing).toEqual([])
  expect(node.reads).toHaveLength(1)
})

test("a read round that is lost is repeated by the next heartbeat", () => {
  const replica = leader()
  replica.raft.readIndex(1)
  replica.sent()
  expect(replica.ticks(2)).toMatchObject([{ kind: "heartbeat", readRound: 1 }, { readRound: 1 }])
})

test("a leader that was paused serves nothing until it has heard a quorum", () => {
  const cluster = new TestCluster({ count: 3 })
  const old = cluster.elect(1)
  cluster.isolate(1)
  for (let tick = 0; tick < 30; tick++) {
    for (const nodeId of [2, 3]) cluster.node(nodeId).raft.tick()
    cluster.settle()
  }
  const next = cluster.leader()
  next?.raft.propose([bytes("newer")])
  cluster.settle()
  // The old one wakes up and believes that it leads. No tick has passed for it.
  expect(next?.nodeId).not.toBe(1)
  old.reads = []
  expect(old.raft.readIndex(1)).toBe(true)
  cluster.heal()
  cluster.settle()
  expect(old.reads).toEqual([])
  expect(old.readsAborted).toEqual([1])
})
