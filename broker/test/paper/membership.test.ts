// Raft §6, thesis chapter 4, and the correction of 2015 for single changes.
import { expect, test } from "vitest"
import { simpleConfiguration } from "../../src/core/raft/configuration.ts"
import {
  append,
  appendReply,
  configurationEntry,
  entriesAfter,
  Replica,
  voteReply,
  voteRequest,
} from "./kit/replica.ts"
import { bytes, TestCluster } from "./kit/test-cluster.ts"

const JOINT = { voters: [1, 4, 5], votersOutgoing: [1, 2, 3], learners: [], learnersNext: [] }

test("§6: a configuration is in force as soon as it is appended, on leader and follower", () => {
  const replica = new Replica().lead()
  replica.acknowledgedBy(2, 3)
  replica.raft.proposeConfiguration([{ kind: "addVoter", nodeId: 4 }])
  expect(replica.status).toMatchObject({
    configuration: { voters: [1, 2, 3, 4] },
    configurationIndex: 2,
    commitIndex: 1,
  })
  const follower = new Replica()
  follower.receive(append({ entries: [configurationEntry(1, 1, simpleConfiguration([1, 2]))] }))
  expect(follower.status.configuration.voters).toEqual([1, 2])
})

test("§6: a configuration that is cut from the log is undone", () => {
  const replica = new Replica({ log: [1] })
  replica.receive(
    append({ prevLogIndex: 1, prevLogTerm: 1, entries: [configurationEntry(2, 1, simpleConfiguration([1]))] }),
  )
  expect(replica.status.configuration.voters).toEqual([1])
  replica.receive(append({ term: 2, from: 3, prevLogIndex: 1, prevLogTerm: 1, entries: entriesAfter(1, [2]) }))
  expect(replica.status).toMatchObject({ configuration: { voters: [1, 2, 3] }, configurationIndex: 0 })
})

test("§6: a configuration above the base is found again after a restart", () => {
  const replica = new Replica()
  replica.receive(append({ entries: [configurationEntry(1, 1, simpleConfiguration([1, 2]))] }))
  replica.crash()
  replica.restart()
  expect(replica.status).toMatchObject({ configuration: { voters: [1, 2] }, configurationIndex: 1 })
})

test("§6: in a joint configuration both majorities commit", () => {
  const replica = new Replica().lead()
  replica.acknowledgedBy(2, 3)
  const changes = [4, 5].map((nodeId) => ({ kind: "addVoter", nodeId }) as const)
  const removals = [2, 3].map((nodeId) => ({ kind: "remove", nodeId }) as const)
  expect(replica.raft.proposeConfiguration([...changes, ...removals])).toEqual({ ok: true, index: 2, term: 1 })
  expect(replica.status.configuration).toEqual(JOINT)
  replica.sent()
  replica.receive(appendReply({ from: 4, index: 2 }), appendReply({ from: 5, index: 2 }))
  expect(replica.status.commitIndex).toBe(1)
  replica.receive(appendReply({ from: 2, index: 2 }))
  // Committed: the leader leaves the joint configuration by itself.
  expect(replica.status).toMatchObject({
    commitIndex: 2,
    lastIndex: 3,
    configuration: { voters: [1, 4, 5], votersOutgoing: [] },
  })
})

test("§6: in a joint configuration both majorities elect", () => {
  const replica = new Replica({ configuration: JOINT })
  replica.timeOut()
  replica.receive(voteReply({ from: 2, preVote: true }), voteReply({ from: 4, preVote: true }))
  replica.receive(voteReply({ from: 4 }), voteReply({ from: 5 }))
  expect(replica.status.role).toBe("candidate")
  replica.receive(voteReply({ from: 3 }))
  expect(replica.status.role).toBe("leader")
})

test("§6: a new leader finishes a joint configuration that it finds", () => {
  const cluster = new TestCluster({ count: 5, configuration: JOINT })
  const leader = cluster.elect(4)
  cluster.run(4)
  expect(leader.raft.status().configuration).toEqual(simpleConfiguration([1, 4, 5]))
  expect(cluster.node(5).raft.status().configuration).toEqual(simpleConfiguration([1, 4, 5]))
})

test("§6: a leader that is not in the new configuration steps down when it is committed, and not before", () => {
  const replica = new Replica().lead()
  replica.acknowledgedBy(2, 3)
  replica.raft.proposeConfiguration([{ kind: "remove", nodeId: 1 }])
  replica.sent()
  expect(replica.status.role).toBe("leader")
  replica.receive(appendReply({ from: 2, index: 2 }))
  // It does not count itself: two of two are needed.
  expect(replica.status).toMatchObject({ role: "leader", commitIndex: 1 })
  const last = replica.receive(appendReply({ from: 3, index: 2 }))
  expect(last).toContainEqual(expect.objectContaining({ kind: "appendEntries", to: 2, leaderCommit: 2 }))
  expect(last).toContainEqual({ kind: "timeoutNow", from: 1, to: 2, term: 1 })
  expect(replica.status).toMatchObject({ role: "follower", commitIndex: 2 })
})

test("§6: a removed node disturbs nobody, and stops when it has heard of its removal", () => {
  const cluster = new TestCluster({ count: 3 })
  cluster.elect(1).raft.proposeConfiguration([{ kind: "remove", nodeId: 3 }])
  cluster.settle()
  expect(
    cluster
      .leader()
      ?.raft.status()
      .peers.map((peer) => peer.nodeId),
  ).toEqual([2])
  const campaigns: string[] = []
  cluster.passes = (message) => {
    if (message.from === 3) campaigns.push(message.kind)
    return true
  }
  cluster.run(100)
  expect(cluster.leader()?.raft.status()).toMatchObject({ nodeId: 1, term: 1 })
  expect(campaigns).toEqual([])
})

test("§6: a removed node that did not hear of it is ignored", () => {
  const cluster = new TestCluster({ count: 3 })
  cluster.elect(1)
  cluster.isolate(3)
  cluster.node(1).raft.proposeConfiguration([{ kind: "remove", nodeId: 3 }])
  cluster.settle()
  cluster.heal()
  cluster.run(100)
  expect(cluster.leader()?.raft.status()).toMatchObject({ nodeId: 1, term: 1 })
})

test("thesis 4.2.1: learners get the log and are not counted", () => {
  const configuration = simpleConfiguration([1, 2, 3], [4])
  const replica = new Replica({ configuration }).lead()
  replica.receive(appendReply({ from: 4, index: 1 }))
  expect(replica.status).toMatchObject({ commitIndex: 0 })
  expect(replica.status.peers.map((peer) => peer.nodeId)).toEqual([2, 3, 4])
})

test("thesis 4.2.1: a learner does not campaign", () => {
  const replica = new Replica({ configuration: simpleConfiguration([2, 3], [1]) })
  expect(replica.ticks(100)).toEqual([])
  expect(replica.status.role).toBe("follower")
})

test("thesis 4.2.2: a leader that removed itself still campaigns, as long as it is not committed", () => {
  const cluster = new TestCluster({ count: 2, configuration: simpleConfiguration([1, 2]) })
  const leader = cluster.elect(1)
  cluster.isolate(1)
  leader.raft.proposeConfiguration([{ kind: "remove", nodeId: 1 }])
  cluster.settle()
  cluster.run(40)
  expect(leader.raft.status().role).not.toBe("leader")
  cluster.heal()
  // Node 2 has the shorter log and needs the vote of node 1, which has the longer one: only node 1 can win.
  cluster.run(60)
  expect(cluster.node(2).raft.status()).toMatchObject({ role: "leader", configuration: { voters: [2] } })
  expect(leader.raft.status()).toMatchObject({ role: "follower", commitIndex: 3 })
})

test("one change at a time", () => {
  const replica = new Replica().lead()
  replica.acknowledgedBy(2, 3)
  expect(replica.raft.proposeConfiguration([{ kind: "addLearner", nodeId: 4 }]).ok).toBe(true)
  expect(replica.raft.proposeConfiguration([{ kind: "addLearner", nodeId: 5 }])).toEqual({
    ok: false,
    refusal: "changePending",
  })
  replica.sent()
  replica.acknowledgedBy(2)
  expect(replica.raft.proposeConfiguration([{ kind: "addLearner", nodeId: 5 }]).ok).toBe(true)
})

test("changes are refused with a reason", () => {
  expect(new Replica().raft.proposeConfiguration([])).toEqual({ ok: false, refusal: "notLeader" })
  const replica = new Replica().lead()
  expect(replica.raft.proposeConfiguration([])).toEqual({ ok: false, refusal: "termNotCommitted" })
  replica.acknowledgedBy(2)
  expect(replica.raft.proposeConfiguration([])).toEqual({ ok: false, refusal: "invalidChange" })
  expect(replica.raft.proposeConfiguration([{ kind: "remove", nodeId: 7 }])).toEqual({
    ok: false,
    refusal: "invalidChange",
  })
})

test("a new member gets the whole log, as learner first and voter then, and can lead", () => {
  const cluster = new TestCluster({ count: 1 })
  const first = cluster.elect(1)
  cluster.addNode(2, { voters: [], votersOutgoing: [], learners: [], learnersNext: [] })
  first.raft.propose([bytes("x")])
  first.raft.proposeConfiguration([{ kind: "addLearner", nodeId: 2 }])
  cluster.run(3)
  expect(cluster.node(2).raft.status()).toMatchObject({ lastIndex: 3, configuration: { voters: [1], learners: [2] } })
  first.raft.proposeConfiguration([{ kind: "addVoter", nodeId: 2 }])
  cluster.run(3)
  first.raft.transferLeadership(2)
  cluster.settle()
  expect(cluster.leader()?.nodeId).toBe(2)
})

test("voters that become learners stay voters of the outgoing half until the joint configuration is left", () => {
  const cluster = new TestCluster({ count: 3 })
  const leader = cluster.elect(1)
  leader.raft.proposeConfiguration([2, 3].map((nodeId) => ({ kind: "addLearner", nodeId }) as const))
  expect(leader.raft.status().configuration).toEqual({
    voters: [1],
    votersOutgoing: [1, 2, 3],
    learners: [],
    learnersNext: [2, 3],
  })
  cluster.settle()
  expect(leader.raft.status().configuration).toEqual(simpleConfiguration([1], [2, 3]))
  leader.raft.propose([bytes("alone")])
  leader.settle()
  expect(leader.raft.status().commitIndex).toBe(leader.raft.status().lastIndex)
})

test("a vote is also given to a candidate that this node does not know", () => {
  const replica = new Replica()
  expect(replica.receive(voteRequest({ from: 9, term: 2 }))).toMatchObject([{ to: 9, voteGranted: true }])
})
