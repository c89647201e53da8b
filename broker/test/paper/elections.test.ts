// Raft §5.1, §5.2, §5.4.1; thesis §3.10 (transfer), §4.2.3 (disruptive servers), §9.6 (pre-vote).
import { expect, test } from "vitest"
import { createRandom } from "../../src/core/random.ts"
import { simpleConfiguration } from "../../src/core/raft/configuration.ts"
import {
  append,
  appendReply,
  entriesAfter,
  heartbeat,
  heartbeatReply,
  Replica,
  timeoutNow,
  voteReply,
  voteRequest,
} from "./kit/replica.ts"
import { bytes, TestCluster } from "./kit/test-cluster.ts"

test("§5.1: a server with an old term is told the current one and follows it", () => {
  const replica = new Replica({ term: 3 })
  replica.receive(heartbeat({ term: 7, from: 3 }))
  expect(replica.status).toMatchObject({ term: 7, leaderId: 3, role: "follower" })
})

test("§5.1: a request with an old term is rejected", () => {
  const replica = new Replica({ term: 3 })
  expect(replica.receive(voteRequest({ term: 2 }))).toMatchObject([{ term: 3, voteGranted: false }])
  expect(replica.receive(heartbeat({ term: 2 }))).toMatchObject([{ term: 3, success: false }])
})

test("§5.2: all start as followers", () => {
  expect(new Replica().status).toMatchObject({ role: "follower", term: 0, leaderId: 0 })
})

test("§5.2: a follower stays one as long as it hears its leader", () => {
  const replica = new Replica()
  for (let round = 0; round < 20; round++) {
    replica.receive(heartbeat({ term: 1 }))
    replica.ticks(9)
  }
  expect(replica.status).toMatchObject({ role: "follower", term: 1, leaderId: 2 })
})

test("§5.2: a candidate with votes of a majority leads; with one vote it waits", () => {
  const replica = new Replica({ voters: [1, 2, 3, 4, 5] })
  replica.timeOut()
  replica.receive(voteReply({ from: 2, preVote: true }), voteReply({ from: 3, preVote: true }))
  replica.receive(voteReply({ from: 2 }), voteReply({ from: 2 }))
  expect(replica.status.role).toBe("candidate")
  replica.receive(voteReply({ from: 5 }))
  expect(replica.status.role).toBe("leader")
})

test("§5.2: a vote is given to at most one candidate of a term, first come first served", () => {
  const replica = new Replica()
  expect(replica.receive(voteRequest({ from: 2, term: 4 }))).toMatchObject([{ voteGranted: true }])
  expect(replica.receive(voteRequest({ from: 3, term: 4 }))).toMatchObject([{ voteGranted: false }])
  expect(replica.receive(voteRequest({ from: 3, term: 5 }))).toMatchObject([{ voteGranted: true }])
})

test("§5.2: a candidate that a majority refuses becomes a follower and tries again later", () => {
  const replica = new Replica()
  replica.timeOut()
  replica.receive(voteReply({ preVote: true }))
  replica.receive(voteReply({ from: 2, voteGranted: false }), voteReply({ from: 3, voteGranted: false }))
  expect(replica.status).toMatchObject({ role: "follower", term: 1, leaderId: 0 })
  replica.timeOut()
  expect(replica.status.role).toBe("preCandidate")
})

test("§5.2: election timeouts are random, from the whole interval, and drawn again each time", () => {
  const drawn = new Set<number>()
  for (let seed = 1; seed <= 200; seed++) drawn.add(new Replica({ seed }).status.electionTimeout)
  expect([...drawn].sort((left, right) => left - right)).toEqual([10, 11, 12, 13, 14, 15, 16])
  const random = createRandom(7)
  expect(Array.from({ length: 5 }, () => random.nextInt(7))).not.toEqual(
    Array.from({ length: 5 }, () => random.nextInt(7)),
  )
})

test("§5.2: votes that are late, or for another question, are not counted", () => {
  const replica = new Replica({ term: 4 })
  replica.timeOut()
  replica.receive(voteReply({ term: 5, preVote: true }))
  replica.receive(voteReply({ from: 3, term: 5, preVote: true }), voteReply({ from: 3, term: 4 }))
  expect(replica.status.role).toBe("candidate")
})

test.each([
  { name: "later last term", mine: [1, 1], lastLogIndex: 1, lastLogTerm: 2, granted: true },
  { name: "earlier last term, longer log", mine: [1, 2], lastLogIndex: 9, lastLogTerm: 1, granted: false },
  { name: "equal term, equal length", mine: [1, 2], lastLogIndex: 2, lastLogTerm: 2, granted: true },
  { name: "equal term, longer", mine: [1, 2], lastLogIndex: 3, lastLogTerm: 2, granted: true },
  { name: "equal term, shorter by one", mine: [1, 2, 2], lastLogIndex: 2, lastLogTerm: 2, granted: false },
  { name: "empty against empty", mine: [], lastLogIndex: 0, lastLogTerm: 0, granted: true },
])("§5.4.1: who is at least as up to date gets the vote ($name)", ({ mine, granted, ...last }) => {
  for (const preVote of [true, false]) {
    const replica = new Replica({ log: mine, term: 5 })
    expect(replica.receive(voteRequest({ term: 6, preVote, ...last }))).toMatchObject([
      { voteGranted: granted, preVote },
    ])
  }
})

test("§5.4.1: entries that are not yet on the disk count, because the reply waits for them", () => {
  const replica = new Replica()
  replica.raft.step(append({ term: 1, entries: entriesAfter(0, [1]) }))
  replica.process()
  replica.raft.step(voteRequest({ term: 2, from: 3, leadershipTransfer: true }))
  expect(replica.sentAtOnce()).toEqual([])
  replica.persist()
  replica.persist()
  expect(replica.outbox).toMatchObject([{ success: true }, { kind: "requestVoteReply", voteGranted: false }])
})

test("§5.6: messages that get no answer are sent again", () => {
  const replica = new Replica()
  expect(replica.timeOut()).toHaveLength(2)
  replica.receive(voteReply({ from: 2, term: 0, preVote: true, voteGranted: false }))
  expect(replica.ticks(2)).toMatchObject([{ kind: "requestVote", to: 3, preVote: true }])
})

test("thesis 9.6: a pre-vote changes nobody's term and no vote", () => {
  const replica = new Replica({ term: 3 })
  expect(replica.timeOut()).toMatchObject([
    { preVote: true, term: 4 },
    { preVote: true, term: 4 },
  ])
  expect(replica.status).toMatchObject({ role: "preCandidate", term: 3, votedFor: 0 })
  const voter = new Replica({ term: 3 })
  expect(voter.receive(voteRequest({ term: 9, preVote: true }))).toMatchObject([{ voteGranted: true, term: 9 }])
  expect(voter.status).toMatchObject({ term: 3, votedFor: 0 })
  expect(voter.storage).toEqual([])
})

test("thesis 9.6: a node that is cut off never raises its term", () => {
  const cluster = new TestCluster({ count: 3 })
  cluster.elect(1)
  cluster.isolate(3)
  cluster.run(200)
  expect(cluster.node(3).raft.status().term).toBe(1)
  cluster.heal()
  cluster.run(20)
  expect(cluster.leader()?.nodeId).toBe(1)
  expect(cluster.node(1).raft.status().term).toBe(1)
})

test("thesis 9.6: the pre-vote is refused by who would not vote", () => {
  const replica = new Replica({ log: [1, 2] })
  expect(replica.receive(voteRequest({ term: 9, preVote: true, lastLogIndex: 1, lastLogTerm: 1 }))).toMatchObject([
    { voteGranted: false, term: 2 },
  ])
})

test("thesis 4.2.3: a voter that hears its leader does not look at requests", () => {
  const replica = new Replica()
  replica.receive(heartbeat({ term: 1 }))
  replica.ticks(9)
  for (const preVote of [true, false]) {
    expect(replica.receive(voteRequest({ from: 3, term: 5, preVote, lastLogIndex: 9, lastLogTerm: 5 }))).toEqual([])
  }
  expect(replica.status).toMatchObject({ term: 1, leaderId: 2 })
  replica.ticks(1)
  expect(replica.receive(voteRequest({ from: 3, term: 5, lastLogIndex: 9, lastLogTerm: 5 }))).toMatchObject([
    { voteGranted: true },
  ])
})

test("thesis 6.2: a leader that does not hear a majority within an election timeout steps down", () => {
  const replica = new Replica().lead()
  replica.ticks(9)
  expect(replica.status.role).toBe("leader")
  replica.ticks(1)
  expect(replica.status).toMatchObject({ role: "follower", term: 1, leaderId: 0 })
})

test("thesis 6.2: one of two followers is enough to stay leader", () => {
  const replica = new Replica().lead()
  for (let round = 0; round < 10; round++) {
    replica.heartbeatAnsweredBy(3)
    replica.ticks(9)
  }
  expect(replica.status.role).toBe("leader")
})

test("thesis 3.10: a transfer refuses proposals, waits for the target, and tells it to campaign", () => {
  const replica = new Replica().lead()
  replica.acknowledgedBy(2)
  replica.raft.propose([bytes("x")])
  replica.sent()
  expect(replica.raft.transferLeadership(3)).toBe(true)
  expect(replica.raft.propose([bytes("y")])).toEqual({ ok: false, refusal: "transferring", leaderId: 1 })
  expect(replica.raft.proposeConfiguration([{ kind: "addLearner", nodeId: 9 }])).toMatchObject({
    refusal: "transferring",
  })
  const order = { kind: "timeoutNow", from: 1, to: 3, term: 1 }
  expect(replica.receive(appendReply({ from: 3, index: 1 }))).not.toContainEqual(order)
  expect(replica.receive(appendReply({ from: 3, index: 2 }))).toContainEqual(order)
})

test("thesis 3.10: a transfer to a node that is up to date starts at once", () => {
  const replica = new Replica().lead()
  replica.acknowledgedBy(2, 3)
  expect(replica.raft.transferLeadership(2)).toBe(true)
  expect(replica.sent()).toMatchObject([{ kind: "timeoutNow", to: 2, term: 1 }])
})

test("thesis 3.10: a transfer that takes longer than an election timeout is given up", () => {
  const replica = new Replica().lead()
  replica.acknowledgedBy(2)
  replica.raft.transferLeadership(3)
  for (let tick = 0; tick < 10; tick++) {
    replica.heartbeatAnsweredBy(2)
    replica.ticks(1)
  }
  expect(replica.status).toMatchObject({ role: "leader", transferTarget: 0 })
  expect(replica.raft.propose([bytes("x")]).ok).toBe(true)
})

test("thesis 3.10: only a voter other than the leader can be the target", () => {
  const configuration = simpleConfiguration([1, 2, 3], [4])
  const replica = new Replica({ configuration }).lead()
  expect([1, 4, 9].map((target) => replica.raft.transferLeadership(target))).toEqual([false, false, false])
  expect(new Replica().raft.transferLeadership(2)).toBe(false)
})

test("thesis 3.10: TimeoutNow starts an election without a pre-vote, which voters answer although they hear the leader", () => {
  const target = new Replica()
  target.receive(heartbeat({ term: 1 }))
  expect(target.receive(timeoutNow({ term: 1 }))).toMatchObject([
    { preVote: false, leadershipTransfer: true, term: 2 },
    { preVote: false, leadershipTransfer: true, term: 2 },
  ])
  const voter = new Replica()
  voter.receive(heartbeat({ term: 1 }))
  expect(voter.receive(voteRequest({ from: 3, term: 2, leadershipTransfer: true }))).toMatchObject([
    { voteGranted: true },
  ])
})

test("a whole transfer keeps everything and needs no timeout", () => {
  const cluster = new TestCluster({ count: 3 })
  const { raft } = cluster.elect(1)
  raft.propose([bytes("x")])
  raft.transferLeadership(3)
  cluster.settle()
  expect(cluster.leader()?.nodeId).toBe(3)
  expect(cluster.node(3).raft.status()).toMatchObject({ term: 2, commitIndex: 3 })
})

test("a broken connection to the leader is a reason to campaign now; the survivors take turns", () => {
  const cluster = new TestCluster({ count: 3 })
  cluster.elect(1)
  cluster.node(1).crash()
  for (const nodeId of [2, 3]) cluster.node(nodeId).raft.peerUnreachable(1)
  cluster.settle()
  expect(cluster.leader()?.raft.status()).toMatchObject({ nodeId: 3, term: 2 })
})

test("a broken connection to a leader that others hear disturbs nobody", () => {
  const cluster = new TestCluster({ count: 3 })
  cluster.elect(1)
  cluster.node(3).raft.peerUnreachable(1)
  cluster.settle()
  cluster.run(5)
  expect(cluster.leader()?.nodeId).toBe(1)
  expect(cluster.node(3).raft.status()).toMatchObject({ role: "follower", leaderId: 1, term: 1 })
})

test("the survivor whose turn is later waits its ticks, unless it votes or hears a leader meanwhile", () => {
  const replica = new Replica({ term: 1, voters: [1, 2, 3, 4, 5] })
  replica.receive(heartbeat({ term: 1, from: 5 }))
  replica.raft.peerUnreachable(5)
  expect(replica.ticks(2)).toEqual([])
  expect(replica.ticks(1)).toHaveLength(4)
  const other = new Replica({ term: 1, voters: [1, 2, 3, 4, 5] })
  other.receive(heartbeat({ term: 1, from: 5 }))
  other.raft.peerUnreachable(5)
  other.receive(voteRequest({ from: 2, term: 2 }))
  expect(other.ticks(9)).toEqual([])
})

test("nodes that were started together campaign in turn once they see a majority, long before a timeout", () => {
  const cluster = new TestCluster({ count: 3 })
  cluster.elect(1)
  for (const nodeId of [1, 2, 3]) cluster.node(nodeId).restart()
  cluster.settle()
  expect(cluster.leader()).toBeUndefined()
  // The turn of term 1 is the third node's.
  cluster.node(2).raft.peerReachable(3)
  cluster.node(3).raft.peerReachable(2)
  cluster.settle()
  expect(cluster.leader()?.raft.status()).toMatchObject({ nodeId: 3, term: 2 })
})

test("a voter whose turn is later leaves the others their ticks, and campaigns when they do not", () => {
  const replica = new Replica({ term: 1, voters: [1, 2, 3, 4, 5] })
  replica.raft.peerReachable(4)
  expect(replica.ticks(2)).toEqual([])
  replica.raft.peerReachable(5)
  expect(replica.ticks(2)).toEqual([])
  expect(replica.ticks(1)).toHaveLength(4)
})

test("what is reached beyond a majority is no reason to campaign", () => {
  const replica = new Replica({ term: 0, voters: [1, 2, 3] })
  replica.raft.peerReachable(2)
  expect(replica.sent()).toHaveLength(2)
  replica.receive(voteReply({ from: 2, term: 0, preVote: true, voteGranted: false }))
  replica.receive(voteReply({ from: 3, term: 0, preVote: true, voteGranted: false }))
  expect(replica.status.role).toBe("follower")
  replica.raft.peerReachable(3)
  replica.raft.peerUnreachable(3)
  expect(replica.ticks(1)).toEqual([])
})

test("who hears a leader does not campaign when it sees a majority", () => {
  const replica = new Replica({ term: 1, voters: [1, 2, 3] })
  replica.receive(heartbeat({ term: 1, from: 2 }))
  replica.sent()
  replica.raft.peerReachable(2)
  replica.raft.peerReachable(3)
  expect(replica.ticks(4)).toEqual([])
  expect(replica.status).toMatchObject({ role: "follower", leaderId: 2 })
})

test("of two nodes that ask for pre-votes at once, one keeps on and the other withdraws, so that no vote is split", () => {
  const cluster = new TestCluster({ count: 3 })
  cluster.elect(1)
  cluster.node(1).crash()
  for (const nodeId of [2, 3]) {
    const { raft } = cluster.node(nodeId)
    while (raft.status().role === "follower") raft.tick()
  }
  cluster.settle()
  expect(cluster.leader()?.raft.status()).toMatchObject({ nodeId: 3, term: 2 })
})

test("who withdrew asks again soon, when the other did not win", () => {
  const replica = new Replica({ term: 1, voters: [1, 2, 3] })
  replica.timeOut()
  expect(replica.status.role).toBe("preCandidate")
  const [reply] = replica.receive(voteRequest({ from: 2, term: 2, preVote: true }))
  expect(reply).toMatchObject({ kind: "requestVoteReply", to: 2, preVote: true, voteGranted: true })
  expect(replica.status.role).toBe("follower")
  expect(replica.ticks(2)).toEqual([])
  expect(replica.ticks(1)).toHaveLength(2)
})

test("only a tie is decided so: who asked for pre-votes long ago grants those of others and holds up nobody", () => {
  const cluster = new TestCluster({ count: 3 })
  cluster.elect(1)
  const node = cluster.node(3)
  while (node.raft.status().role === "follower") node.raft.tick()
  const { lastIndex } = node.raft.status()
  const request = voteRequest({ from: 2, to: 3, term: 2, preVote: true, lastLogIndex: lastIndex, lastLogTerm: 1 })
  const answerOf = () => {
    node.settle()
    node.outbox = []
    node.raft.step(request)
    node.settle()
    return node.outbox
  }
  expect(answerOf()).toMatchObject([{ kind: "requestVoteReply", to: 2, voteGranted: false }])
  for (let tick = 0; tick < 2; tick++) node.raft.tick()
  expect(answerOf()).toMatchObject([{ kind: "requestVoteReply", to: 2, voteGranted: true }])
})

test("a heartbeat of an unknown node does not make it a peer", () => {
  const replica = new Replica().lead()
  replica.receive(heartbeatReply({ from: 9 }), appendReply({ from: 9, index: 1 }))
  expect(replica.status.peers.map((peer) => peer.nodeId)).toEqual([2, 3])
  expect(replica.status.commitIndex).toBe(0)
})
