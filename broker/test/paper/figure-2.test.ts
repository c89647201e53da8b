// One test per rule of the paper's figure 2 ("a condensed summary of the Raft consensus algorithm").
import { expect, test } from "vitest"
import { append, appendReply, entriesAfter, Replica, voteReply, voteRequest } from "./kit/replica.ts"
import { bytes, text } from "./kit/test-cluster.ts"

test("state: currentTerm, votedFor and log are updated on stable storage before responding to RPCs", () => {
  const replica = new Replica()
  replica.raft.step(voteRequest({ term: 3 }))
  expect(replica.sentAtOnce()).toEqual([])
  const { storage } = replica
  expect(storage).toMatchObject([{ kind: "write", write: { hardState: { currentTerm: 3, votedFor: 2 } } }])
  replica.persist()
  expect(replica.outbox).toMatchObject([{ kind: "requestVoteReply", voteGranted: true, to: 2, term: 3 }])

  replica.outbox = []
  replica.raft.step(append({ term: 3, entries: entriesAfter(0, [3]) }))
  expect(replica.sentAtOnce()).toEqual([])
  replica.persist()
  expect(replica.outbox).toMatchObject([{ kind: "appendEntriesReply", success: true, index: 1 }])
})

test("AppendEntries 1: reply false if term < currentTerm", () => {
  const replica = new Replica({ term: 5 })
  expect(replica.receive(append({ term: 4, entries: entriesAfter(0, [4]) }))).toMatchObject([
    { kind: "appendEntriesReply", success: false, term: 5, to: 2 },
  ])
  expect(replica.status.lastIndex).toBe(0)
})

test("AppendEntries 2: reply false if the log has no entry at prevLogIndex with prevLogTerm", () => {
  const replica = new Replica({ log: [1, 1, 2] })
  const tooFar = append({ term: 3, prevLogIndex: 7, prevLogTerm: 3, entries: entriesAfter(7, [3]) })
  expect(replica.receive(tooFar)).toMatchObject([{ success: false, index: 7 }])
  const otherTerm = append({ term: 3, prevLogIndex: 3, prevLogTerm: 3, entries: entriesAfter(3, [3]) })
  expect(replica.receive(otherTerm)).toMatchObject([{ success: false, index: 3 }])
  expect(replica.status.lastIndex).toBe(3)
})

test("AppendEntries 3: a conflicting entry is deleted, and all that follow it", () => {
  const replica = new Replica({ log: [1, 1, 2, 2, 2] })
  const message = append({ term: 3, prevLogIndex: 2, prevLogTerm: 1, entries: entriesAfter(2, [3]) })
  expect(replica.receive(message)).toMatchObject([{ success: true, index: 3 }])
  expect(replica.status).toMatchObject({ lastIndex: 3, lastTerm: 3 })
  expect(replica.disk.entries.map((each) => each.term)).toEqual([1, 1, 3])
})

test("AppendEntries 4: entries that are not already in the log are appended", () => {
  const replica = new Replica({ log: [1, 1] })
  const message = append({ term: 1, prevLogIndex: 1, prevLogTerm: 1, entries: entriesAfter(1, [1, 1, 1]) })
  expect(replica.receive(message)).toMatchObject([{ success: true, index: 4 }])
  expect(replica.disk.entries.map((each) => text(each.data))).toEqual(["1@1", "2@1", "3@1", "4@1"])
})

test("AppendEntries 5: commitIndex = min(leaderCommit, index of last new entry)", () => {
  const replica = new Replica({ log: [1, 1, 1, 1] })
  replica.receive(append({ prevLogIndex: 1, prevLogTerm: 1, entries: entriesAfter(1, [1]), leaderCommit: 4 }))
  expect(replica.status.commitIndex).toBe(2)
  replica.receive(append({ prevLogIndex: 4, prevLogTerm: 1, leaderCommit: 3 }))
  expect(replica.status.commitIndex).toBe(3)
})

test("RequestVote 1: reply false if term < currentTerm", () => {
  const replica = new Replica({ term: 5 })
  expect(replica.receive(voteRequest({ term: 4 }))).toMatchObject([{ voteGranted: false, term: 5 }])
})

test("RequestVote 2: vote for an up-to-date candidate if votedFor is null or that candidate", () => {
  const replica = new Replica({ term: 5 })
  expect(replica.receive(voteRequest({ term: 5, from: 3 }))).toMatchObject([{ voteGranted: true, to: 3 }])
  expect(replica.receive(voteRequest({ term: 5, from: 3 }))).toMatchObject([{ voteGranted: true, to: 3 }])
  expect(replica.receive(voteRequest({ term: 5, from: 2 }))).toMatchObject([{ voteGranted: false, to: 2 }])
})

test("all servers: entries up to commitIndex are applied, in order and once", () => {
  const replica = new Replica({ settings: { maxApplyBytes: 1 } })
  replica.receive(append({ entries: entriesAfter(0, [1, 1, 1]), leaderCommit: 2 }))
  replica.receive(append({ prevLogIndex: 3, prevLogTerm: 1, leaderCommit: 3 }))
  replica.receive(append({ entries: entriesAfter(0, [1, 1, 1]), leaderCommit: 2 }))
  expect(replica.appliedEntries.map((each) => each.index)).toEqual([1, 2, 3])
})

test.each([
  ["a request for a vote", voteRequest({ term: 9 })],
  ["an append", append({ term: 9 })],
  ["an answer", appendReply({ term: 9, success: false })],
  ["a vote", voteReply({ term: 9, voteGranted: false })],
])("all servers: %s with a higher term converts to follower in that term", (_, message) => {
  const replica = new Replica({ term: 1 }).lead()
  replica.receive({ ...message, preVote: false, leadershipTransfer: true } as typeof message)
  expect(replica.status).toMatchObject({ role: "follower", term: 9 })
  expect(replica.disk.hardState.currentTerm).toBe(9)
})

test("followers: without AppendEntries or a vote given, the election timeout converts to candidate", () => {
  const replica = new Replica()
  replica.ticks(replica.status.electionTimeout - 1)
  expect(replica.status.role).toBe("follower")
  expect(replica.ticks(1)).toMatchObject([{ kind: "requestVote" }, { kind: "requestVote" }])
})

test("candidates: a new term, a vote for itself, a new timeout, requests to all others", () => {
  const replica = new Replica({ term: 4 })
  replica.timeOut()
  const requests = replica.receive(voteReply({ term: 5, preVote: true }))
  expect(replica.disk.hardState).toMatchObject({ currentTerm: 5, votedFor: 1 })
  expect(requests).toMatchObject([
    { kind: "requestVote", to: 2, term: 5, preVote: false },
    { kind: "requestVote", to: 3, term: 5, preVote: false },
  ])
})

test("candidates: AppendEntries from a new leader converts to follower", () => {
  const replica = new Replica({ term: 4 })
  replica.timeOut()
  replica.receive(voteReply({ term: 5, preVote: true }))
  expect(replica.status.role).toBe("candidate")
  replica.receive(append({ term: 5, from: 3 }))
  expect(replica.status).toMatchObject({ role: "follower", term: 5, leaderId: 3 })
})

test("candidates: when the election timeout elapses, a new election starts", () => {
  const replica = new Replica({ term: 4 })
  replica.timeOut()
  replica.receive(voteReply({ term: 5, preVote: true }))
  replica.ticks(replica.status.electionTimeout)
  replica.receive(voteReply({ term: 6, preVote: true }))
  expect(replica.status).toMatchObject({ role: "candidate", term: 6 })
})

test("leaders: upon election entries are sent to each server at once, and heartbeats while idle", () => {
  const replica = new Replica({ term: 1 })
  replica.timeOut()
  replica.receive(voteReply({ term: 2, preVote: true }))
  const first = replica.receive(voteReply({ term: 2 }))
  expect(first).toMatchObject([
    { kind: "appendEntries", to: 2, entries: [{ index: 1, term: 2 }] },
    { kind: "appendEntries", to: 3, entries: [{ index: 1, term: 2 }] },
  ])
  replica.acknowledgedBy(2, 3)
  expect(replica.ticks(2)).toMatchObject([
    { kind: "heartbeat", to: 2 },
    { kind: "heartbeat", to: 3 },
  ])
})

test("leaders: a command is appended, and answered after it was applied", () => {
  const replica = new Replica().lead()
  replica.acknowledgedBy(2, 3)
  const proposed = replica.raft.propose([bytes("x")])
  expect(proposed).toEqual({ ok: true, firstIndex: 2, term: 1 })
  replica.settle()
  expect(replica.appliedEntries.map((each) => each.index)).toEqual([1])
  replica.acknowledgedBy(2)
  expect(replica.appliedEntries.map((each) => each.index)).toEqual([1, 2])
})

test("leaders: a follower gets the entries from its nextIndex on; nextIndex and matchIndex follow success", () => {
  const replica = new Replica().lead()
  replica.acknowledgedBy(2, 3)
  replica.raft.propose([bytes("x"), bytes("y")])
  expect(replica.sent()).toMatchObject([
    { to: 2, prevLogIndex: 1, entries: [{ index: 2 }, { index: 3 }] },
    { to: 3, prevLogIndex: 1, entries: [{ index: 2 }, { index: 3 }] },
  ])
  replica.acknowledgedBy(2)
  expect(replica.status.peers).toMatchObject([
    { nodeId: 2, matchIndex: 3, nextIndex: 4 },
    { nodeId: 3, matchIndex: 1, nextIndex: 4 },
  ])
})

test("leaders: after a rejection nextIndex goes back, and the append is tried again", () => {
  const replica = new Replica({ log: [1, 1, 1] }).lead()
  const rejected = appendReply({ term: 2, success: false, index: 3, hintIndex: 1, hintTerm: 1 })
  expect(replica.receive(rejected)).toMatchObject([{ to: 2, prevLogIndex: 1, entries: [{ index: 2 }, { index: 3 }] }])
})

test("leaders: N is committed when a majority has matchIndex >= N and log[N] is of the current term", () => {
  const replica = new Replica({ log: [1, 1] }).lead()
  replica.receive(appendReply({ term: 2, index: 2 }))
  expect(replica.status.commitIndex).toBe(0)
  replica.receive(appendReply({ term: 2, index: 3 }))
  expect(replica.status.commitIndex).toBe(3)
})
