// One test per pitfall of the reliability research (section 3): the ways in which Raft implementations have gone wrong.
import { expect, test } from "vitest"
import { STALLED_DISK_ELECTION_TIMEOUTS } from "../../src/core/raft/leader.ts"
import { simpleConfiguration } from "../../src/core/raft/configuration.ts"
import {
  append,
  appendReply,
  configurationEntry,
  entriesAfter,
  heartbeat,
  install,
  Replica,
  voteReply,
  voteRequest,
} from "./kit/replica.ts"
import { STORIES } from "./kit/mutant-stories.ts"
import { RandomNetwork } from "./kit/random-network.ts"
import { bytes, TestCluster } from "./kit/test-cluster.ts"

test("pitfall 1: figure 8: an older term's entry on a majority is not committed, an own one behind it commits both", () => {
  const leader = new Replica({ log: [1, 2], term: 3 }).lead()
  leader.receive(appendReply({ from: 2, term: 4, index: 2 }), appendReply({ from: 3, term: 4, index: 2 }))
  expect(leader.status.commitIndex).toBe(0)
  leader.receive(appendReply({ from: 2, term: 4, index: 3 }))
  expect(leader.status.commitIndex).toBe(3)
})

test("pitfall 2: a crash between vote and reply leaves either no reply or a durable vote", () => {
  const voter = new Replica()
  voter.raft.step(voteRequest({ term: 1, from: 2 }))
  voter.process()
  voter.crash(0)
  voter.restart()
  expect(voter.receive(voteRequest({ term: 1, from: 3 }))).toMatchObject([{ voteGranted: true, to: 3 }])
  const other = new Replica()
  other.raft.step(voteRequest({ term: 1, from: 2 }))
  other.process()
  other.crash(1)
  other.restart()
  expect(other.receive(voteRequest({ term: 1, from: 3 }))).toMatchObject([{ voteGranted: false }])
})

test("pitfall 2: a vote waits for the entries that it was compared with", () => {
  const voter = new Replica()
  voter.raft.step(append({ entries: entriesAfter(0, [1, 1]) }))
  voter.process()
  voter.raft.step(voteRequest({ from: 3, term: 2, lastLogIndex: 2, lastLogTerm: 1, leadershipTransfer: true }))
  voter.process()
  voter.persist()
  expect(voter.outbox.map((message) => message.kind)).toEqual(["appendEntriesReply"])
  voter.persist()
  expect(voter.outbox.map((message) => message.kind)).toEqual(["appendEntriesReply", "requestVoteReply"])
})

test("pitfall 2: a candidate counts its own vote, and asks for others, when the vote is durable", () => {
  const candidate = new Replica({ voters: [1] })
  for (let tick = 0; tick < 20 && candidate.status.role !== "candidate"; tick++) candidate.raft.tick()
  candidate.process()
  expect(candidate.status.role).toBe("candidate")
  candidate.persist()
  expect(candidate.status.role).toBe("leader")
})

test("pitfall 3: late, short, repeated and empty appends cut nothing off", () => {
  const node = new Replica()
  node.receive(append({ entries: entriesAfter(0, [1, 1, 1, 1]) }))
  node.receive(append({ entries: entriesAfter(0, [1, 1]) }))
  node.receive(append({ prevLogIndex: 1, prevLogTerm: 1 }))
  node.receive(append({ entries: entriesAfter(0, [1, 1, 1, 1]) }))
  expect(node.disk.lastIndex).toBe(4)
  expect(node.status.durableIndex).toBe(4)
})

test("pitfall 4: commit reaches no further than what the message showed to be equal, also by heartbeats", () => {
  const node = new Replica({ log: [1, 1, 1] })
  node.receive(append({ term: 2, prevLogIndex: 1, prevLogTerm: 1, entries: entriesAfter(1, [1]), leaderCommit: 9 }))
  expect(node.status.commitIndex).toBe(2)
  const leader = new Replica({ log: [1] }).lead()
  leader.raft.propose([bytes("x")])
  leader.sent()
  leader.receive(appendReply({ from: 2, term: 2, index: 3 }))
  expect(leader.ticks(2)).toMatchObject([
    { kind: "heartbeat", to: 2, leaderCommit: 3 },
    { kind: "heartbeat", to: 3, leaderCommit: 0 },
  ])
})

test("pitfall 5: reordered and repeated answers lower nothing", () => {
  const leader = new Replica().lead()
  leader.raft.propose([bytes("a"), bytes("b")])
  leader.sent()
  leader.receive(appendReply({ index: 3 }), appendReply({ index: 1 }), appendReply({ index: 2 }))
  leader.receive(appendReply({ success: false, index: 1 }), appendReply({ success: false, index: 3 }))
  expect(leader.status.peers[0]).toMatchObject({ matchIndex: 3, nextIndex: 4, state: "replicate" })
})

test("pitfall 6: a snapshot keeps a matching suffix, and one that is older than the commit is refused", () => {
  const node = new Replica({ log: [1, 1, 1, 1] })
  node.receive(install(2, 1))
  expect(node.status).toMatchObject({ lastIndex: 4, commitIndex: 2, baseIndex: 0 })
  expect(node.receive(install(1, 1))).toMatchObject([{ success: true, index: 2 }])
  expect(node.status.isRestoring).toBe(false)
})

test("pitfall 6: a crash before the restore is done leaves the old log, and nobody was told", () => {
  const node = new Replica({ log: [1, 1] })
  node.raft.step(install(9, 1))
  node.process()
  node.crash(0)
  expect(node.outbox).toEqual([])
  node.restart()
  expect(node.status).toMatchObject({ lastIndex: 2, baseIndex: 0 })
  expect(node.receive(install(9, 1))).toMatchObject([{ success: true, index: 9 }])
})

test("pitfall 6: acknowledgements of entries that a snapshot threw away unwritten are not sent", () => {
  const node = new Replica()
  node.raft.step(append({ entries: entriesAfter(0, [1, 1]) }))
  node.raft.step(install(9, 1))
  expect(node.sentAtOnce()).toEqual([])
  expect(node.sent()).toMatchObject([{ index: 9 }])
})

test("pitfall 7: no change before an entry of the own term is committed: majorities stay joined (2015)", () => {
  expect(() => STORIES.configurationBeforeOwnTerm([])).not.toThrow()
  expect(() => STORIES.configurationBeforeOwnTerm(["configurationBeforeOwnTerm"])).toThrow(/not the committed one/)
})

test("pitfall 8: a configuration works from its append, and its loss brings the former one back, voters and all", () => {
  const node = new Replica({ log: [1] })
  const wider = configurationEntry(2, 1, simpleConfiguration([1, 2, 3, 4, 5]))
  node.receive(append({ prevLogIndex: 1, prevLogTerm: 1, entries: [wider] }))
  expect(node.timeOut()).toHaveLength(4)
  node.receive(append({ term: 2, prevLogIndex: 1, prevLogTerm: 1, entries: entriesAfter(1, [2]) }))
  expect(node.timeOut()).toHaveLength(2)
})

test("pitfall 9: a removed leader goes after the commit, a removed node is quiet, a joint configuration is finished", () => {
  const cluster = new TestCluster({ count: 5 })
  const leader = cluster.elect(1)
  leader.raft.proposeConfiguration([1, 2].map((nodeId) => ({ kind: "remove", nodeId }) as const))
  cluster.settle()
  cluster.run(100)
  expect(cluster.leader()?.raft.status().configuration).toEqual(simpleConfiguration([3, 4, 5]))
  expect([1, 2].map((nodeId) => cluster.node(nodeId).raft.status().role)).toEqual(["follower", "follower"])
  expect(cluster.leader()?.raft.status().term).toBe(2)
})

test("pitfall 10: a read waits for the own term's commit, then for a round that starts after it", () => {
  const leader = new Replica({ log: [1, 1] }).lead()
  leader.raft.readIndex(1)
  leader.sent()
  leader.ticks(2)
  leader.heartbeatAnsweredBy(2, 0)
  expect(leader.reads).toEqual([])
  const round = leader.acknowledgedBy(2).filter((message) => message.kind === "heartbeat")
  expect(round).toMatchObject([{ readRound: 1 }, { readRound: 1 }])
  leader.heartbeatAnsweredBy(2, 0)
  expect(leader.reads).toEqual([])
  leader.heartbeatAnsweredBy(2, 1)
  expect(leader.reads).toEqual([{ context: 1, index: 3 }])
})

test("pitfall 10: an answer to an earlier round confirms no later read", () => {
  const leader = new Replica().lead()
  leader.acknowledgedBy(2, 3)
  leader.raft.readIndex(1)
  leader.sent()
  leader.raft.readIndex(2)
  leader.sent()
  leader.heartbeatAnsweredBy(3, 1)
  leader.heartbeatAnsweredBy(3, 1)
  expect(leader.reads).toEqual([{ context: 1, index: 1 }])
})

test("pitfall 11: no lease: however few ticks have passed, a read needs answers", () => {
  const leader = new Replica().lead()
  leader.acknowledgedBy(2, 3)
  leader.raft.readIndex(1)
  leader.sent()
  expect(leader.reads).toEqual([])
})

test("pitfall 13: a pre-candidate with a higher term raises nobody's term, and a node stuck in one is freed", () => {
  const cluster = new TestCluster({ count: 3 })
  cluster.elect(1)
  // Node 3 comes back with a term that ran away (an old version without pre-vote, say).
  cluster.node(3).crash()
  cluster.node(3).disk.hardState = { currentTerm: 9, votedFor: 3, commitIndex: 0 }
  cluster.node(3).restart()
  cluster.run(60)
  const leader = cluster.leader()?.raft.status()
  expect(leader?.term).toBeGreaterThanOrEqual(10)
  expect(cluster.node(3).raft.status()).toMatchObject({ leaderId: leader?.nodeId, term: leader?.term })
})

test("pitfall 14: a learner that is a voter in a configuration it has not seen gives its vote", () => {
  const learner = new Replica({ configuration: simpleConfiguration([2, 3], [1]) })
  expect(learner.receive(voteRequest({ from: 3, term: 2 }))).toMatchObject([{ voteGranted: true }])
  expect(learner.receive(voteRequest({ from: 3, term: 3, preVote: true }))).toMatchObject([{ voteGranted: true }])
})

test("pitfall 15: a wiped node neither votes nor campaigns, until it is told that it may", () => {
  const node = new Replica({ mayVote: false })
  expect(node.receive(voteRequest({ term: 2 }), voteRequest({ term: 3, preVote: true }))).toMatchObject([
    { voteGranted: false },
    { voteGranted: false },
  ])
  node.ticks(100)
  expect(node.status).toMatchObject({ role: "follower", term: 2 })
  node.raft.allowVoting()
  expect(node.receive(voteRequest({ term: 3 }))).toMatchObject([{ voteGranted: true }])
})

test("pitfall 15: a wiped node gets its log back from a leader that forgets what it had acknowledged", () => {
  const cluster = new TestCluster({ count: 3 })
  const leader = cluster.elect(1)
  leader.raft.propose([bytes("x")])
  cluster.settle()
  cluster.node(3).wipe()
  cluster.node(3).restart()
  cluster.run(10)
  expect(cluster.node(3).raft.status().lastIndex).toBe(0)
  leader.raft.peerReset(3)
  cluster.run(10)
  expect(cluster.node(3).raft.status()).toMatchObject({ lastIndex: 2, commitIndex: 2 })
})

test("pitfall 16: a leader whose disk stands still gives the lead away", () => {
  const cluster = new TestCluster({ count: 3 })
  const leader = cluster.elect(1)
  leader.persist = () => undefined
  leader.raft.propose([bytes("x")])
  for (let tick = 0; tick < STALLED_DISK_ELECTION_TIMEOUTS * 10 - 1; tick++) cluster.run(1)
  expect(cluster.leader()?.nodeId).toBe(1)
  // The others have committed the entry without it.
  expect(leader.raft.status().commitIndex).toBe(2)
  cluster.run(2)
  expect(cluster.leader()?.nodeId).toBe(2)
})

test("pitfall 17: a node that does not lead never names itself as the leader", () => {
  const node = new Replica().lead()
  node.acknowledgedBy(2, 3)
  node.ticks(10)
  node.ticks(10)
  expect(node.raft.propose([bytes("x")])).toMatchObject({ ok: false, refusal: "notLeader", leaderId: 0 })
  node.receive(heartbeat({ term: 5, from: 3 }))
  expect(node.raft.propose([bytes("x")])).toMatchObject({ leaderId: 3 })
})

test("pitfall 18: the same inputs give the same outputs", () => {
  const options = { seed: 4711, count: 5, steps: 6000, membership: true }
  expect(new RandomNetwork(options).run()).toEqual(new RandomNetwork(options).run())
})

test("the ABA race: a slow write that was overwritten vouches for nothing, in any order of events", () => {
  const node = new Replica()
  node.raft.step(append({ term: 1, entries: entriesAfter(0, [1, 1]) }))
  node.process()
  node.raft.step(append({ term: 2, from: 3, entries: entriesAfter(0, [2]) }))
  node.process()
  // The first leader comes back, re-elected in term 3, and its log has entries of term 1 at the same places again.
  node.raft.step(append({ term: 3, from: 2, entries: entriesAfter(0, [1, 1, 3]) }))
  node.process()
  const durable = [0, 0, 3].map((expected) => {
    node.persist()
    return [expected, node.status.durableIndex]
  })
  expect(durable).toEqual([
    [0, 0],
    [0, 0],
    [3, 3],
  ])
})

test("late votes of an election that is over do nothing", () => {
  const leader = new Replica().lead()
  leader.receive(
    voteReply({ from: 3 }),
    voteReply({ from: 3, voteGranted: false }),
    voteReply({ from: 2, preVote: true }),
  )
  expect(leader.status).toMatchObject({ role: "leader", term: 1 })
})
