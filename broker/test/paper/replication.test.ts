// Raft §5.3 (log replication), §5.4.2 (figure 8), §7 (snapshots); thesis §10.2 (pipelining, writing in parallel).
import { expect, test } from "vitest"
import { append, appendReply, entriesAfter, heartbeatReply, install, Replica } from "./kit/replica.ts"
import { bytes, TestCluster } from "./kit/test-cluster.ts"

test("§5.3: a leader's first entry of its term commits what former leaders left", () => {
  const replica = new Replica({ log: [1, 1] }).lead()
  expect(replica.status).toMatchObject({ lastIndex: 3, commitIndex: 0 })
  replica.acknowledgedBy(3)
  expect(replica.appliedEntries.map((each) => each.index)).toEqual([1, 2, 3])
})

test("§5.3: followers learn the commit index with the next message, and apply", () => {
  const cluster = new TestCluster({ count: 3 })
  cluster.elect(1).raft.propose([bytes("x")])
  cluster.settle()
  expect(cluster.node(2).raft.status().commitIndex).toBe(2)
  expect(cluster.node(3).raft.status().appliedIndex).toBe(2)
})

test("§5.3, figure 7: whatever a follower's log looks like, it becomes the leader's", () => {
  const leaderLog = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6]
  const followers = [
    [1, 1, 1, 4, 4, 5, 5, 6, 6],
    [1, 1, 1, 4],
    [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
    [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
    [1, 1, 1, 4, 4, 4, 4],
    [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
  ]
  for (const log of followers) {
    const cluster = new TestCluster({ count: 3 })
    cluster.node(1).disk.entries = entriesAfter(0, leaderLog)
    cluster.node(1).disk.hardState = { currentTerm: 7, votedFor: 0, commitIndex: 0 }
    cluster.node(2).disk.entries = entriesAfter(0, log)
    cluster.node(2).disk.hardState = { currentTerm: 7, votedFor: 0, commitIndex: 0 }
    for (const node of cluster.nodes.values()) node.restart()
    cluster.elect(1)
    const terms = [...leaderLog, cluster.node(1).raft.status().term]
    for (const node of cluster.nodes.values()) expect(node.disk.entries.map((entry) => entry.term)).toEqual(terms)
  }
})

test("§5.3: the hint skips whole terms: a long divergence costs a few messages", () => {
  const cluster = new TestCluster({ count: 3 })
  const common = Array.from({ length: 10 }, () => 1)
  const write = (nodeId: number, log: number[]): void => {
    cluster.node(nodeId).disk.entries = entriesAfter(0, log)
    cluster.node(nodeId).disk.hardState = { currentTerm: 5, votedFor: 0, commitIndex: 0 }
    cluster.node(nodeId).restart()
  }
  write(1, [...common, ...Array.from({ length: 200 }, () => 5)])
  write(2, [...common, ...Array.from({ length: 100 }, () => 2), ...Array.from({ length: 90 }, () => 4)])
  write(3, [...common])
  let appends = 0
  cluster.passes = (message) => {
    if (message.kind === "appendEntries" && message.to === 2) appends++
    return true
  }
  cluster.elect(1)
  expect(cluster.node(2).disk.entries.map((entry) => entry.term)).toEqual([
    ...common,
    ...Array.from({ length: 200 }, () => 5),
    6,
  ])
  expect(appends).toBeLessThan(10)
})

test("§5.4.2, figure 8: an entry of an older term is not committed by counting", () => {
  // (a) S1 leads term 2 and replicates index 2 to S2 only. (b) S5 leads term 3 and writes another index 2.
  // (c) S1 leads term 4, and copies its index 2 to S3: a majority holds it, and yet (d) S5 may overwrite it.
  const cluster = new TestCluster({ count: 5 })
  const logs: Record<number, number[]> = { 1: [1, 2], 2: [1, 2], 3: [1], 4: [1], 5: [1, 3] }
  for (const node of cluster.nodes.values()) {
    node.disk.entries = entriesAfter(0, logs[node.nodeId] ?? [])
    node.disk.hardState = { currentTerm: 3, votedFor: 0, commitIndex: 1 }
    node.restart()
  }
  // The entry of term 4 itself reaches nobody.
  cluster.passes = (message) =>
    message.to !== 5 &&
    message.from !== 5 &&
    (message.kind !== "appendEntries" || message.entries.every((entry) => entry.term < 4))
  for (const node of cluster.nodes.values()) node.raft.status()
  const leader = cluster.node(1)
  for (let tick = 0; tick < 20 && leader.raft.status().role !== "leader"; tick++) {
    leader.raft.tick()
    cluster.settle()
  }
  // S3 gets index 2 of term 2 from S1.
  cluster.deliver(append({ from: 1, to: 3, term: 4, prevLogIndex: 1, prevLogTerm: 1, entries: entriesAfter(1, [2]) }))
  cluster.settle()
  expect([1, 2, 3].map((nodeId) => cluster.node(nodeId).disk.entries[1]?.term)).toEqual([2, 2, 2])
  expect(leader.raft.status()).toMatchObject({ role: "leader", term: 4, commitIndex: 1 })
  // (e) Only with an own entry on a majority are both committed.
  cluster.heal()
  cluster.run(4)
  expect(leader.raft.status().commitIndex).toBe(3)
})

test("thesis 10.2.1: the leader sends before its own disk is done, and commits without itself", () => {
  const replica = new Replica().lead()
  replica.acknowledgedBy(2, 3)
  replica.raft.propose([bytes("x")])
  expect(replica.sentAtOnce()).toHaveLength(2)
  replica.raft.step(appendReply({ from: 2, index: 2 }))
  expect(replica.status.commitIndex).toBe(1)
  replica.raft.step(appendReply({ from: 3, index: 2 }))
  expect(replica.status.commitIndex).toBe(2)
  // But it applies only what its own disk has.
  replica.sentAtOnce()
  expect(replica.appliedEntries.map((each) => each.index)).toEqual([1])
  replica.settle()
  expect(replica.appliedEntries.map((each) => each.index)).toEqual([1, 2])
})

test("thesis 10.2.2: messages follow each other without waiting, within the window of messages", () => {
  const replica = new Replica({ settings: { maxInflightMessages: 2, maxAppendBytes: 1 } }).lead()
  replica.acknowledgedBy(2, 3)
  replica.raft.propose([bytes("a"), bytes("b"), bytes("c"), bytes("d")])
  const toTwo = replica.sent().filter((message) => message.to === 2)
  expect(toTwo).toMatchObject([{ entries: [{ index: 2 }] }, { entries: [{ index: 3 }] }])
  expect(replica.receive(appendReply({ index: 2 })).filter((message) => message.to === 2)).toMatchObject([
    { entries: [{ index: 4 }] },
  ])
})

test("the window is bounded in bytes too; one entry always goes", () => {
  const replica = new Replica({ settings: { maxInflightEntriesBytes: 100, maxAppendBytes: 10 } }).lead()
  replica.acknowledgedBy(2, 3)
  replica.raft.propose([bytes("x".repeat(500)), bytes("y")])
  expect(replica.sent().filter((message) => message.to === 2)).toMatchObject([{ entries: [{ index: 2 }] }])
  expect(replica.receive(appendReply({ index: 2 })).filter((message) => message.to === 2)).toMatchObject([
    { entries: [{ index: 3 }] },
  ])
})

test("in a full window an answer to a heartbeat sends a message without entries, which finds losses", () => {
  const replica = new Replica({ settings: { maxInflightMessages: 1, maxAppendBytes: 1 } }).lead()
  replica.acknowledgedBy(2, 3)
  replica.raft.propose([bytes("a"), bytes("b")])
  replica.sent()
  expect(replica.heartbeatAnsweredBy(2)).toMatchObject([{ to: 2, prevLogIndex: 2, entries: [] }])
  expect(replica.receive(appendReply({ success: false, index: 2, hintIndex: 1, hintTerm: 1 }))).toMatchObject([
    { to: 2, prevLogIndex: 1, entries: [{ index: 2 }] },
  ])
})

test("a probe is alone: one message until the answer, or a sign of life", () => {
  const replica = new Replica({ log: [1] }).lead()
  replica.raft.propose([bytes("a")])
  expect(replica.sent()).toEqual([])
  expect(replica.status.peers).toMatchObject([{ state: "probe", isPaused: true }, { state: "probe" }])
  expect(replica.heartbeatAnsweredBy(2)).toMatchObject([{ to: 2, prevLogIndex: 1 }])
  expect(replica.receive(appendReply({ term: 2, index: 1 }))).toMatchObject([{ to: 2, prevLogIndex: 1 }])
  expect(replica.status.peers).toMatchObject([{ state: "replicate", matchIndex: 1, nextIndex: 4 }, { state: "probe" }])
})

test("entries that are not in memory are asked from the disk, once", () => {
  const replica = new Replica({ log: [1, 1, 1, 1], settings: { maxAppendBytes: 70 } }).lead()
  replica.raft.step(appendReply({ term: 2, success: false, index: 4, hintIndex: 1, hintTerm: 1 }))
  const ready = replica.process()
  expect(ready?.fetches).toEqual([{ peer: 2, term: 2, fromIndex: 2, toIndex: 4, maxBytes: 70 }])
  expect(ready?.messages).toEqual([])
  replica.raft.step(appendReply({ term: 2, success: false, index: 4, hintIndex: 1, hintTerm: 1 }))
  expect(replica.process()).toBeUndefined()
  replica.serveFetch()
  expect(replica.sent()).toMatchObject([
    { to: 2, prevLogIndex: 1, entries: [{ index: 2 }, { index: 3 }, { index: 4 }] },
  ])
})

test("an answer from the disk that comes after the leadership is ignored", () => {
  const replica = new Replica({ log: [1, 1, 1, 1] }).lead()
  replica.raft.step(appendReply({ term: 2, success: false, index: 4, hintIndex: 1, hintTerm: 1 }))
  replica.process()
  replica.raft.step(append({ term: 9, from: 3 }))
  replica.serveFetch()
  expect(replica.sent().filter((message) => message.kind === "appendEntries")).toEqual([])
})

test("entries that the disk cannot give are asked for again after a sign of life, not at once", () => {
  const replica = new Replica({ log: [1, 1, 1, 1] }).lead()
  replica.raft.step(appendReply({ term: 2, success: false, index: 4, hintIndex: 1, hintTerm: 1 }))
  const [fetch] = replica.process()?.fetches ?? []
  if (fetch === undefined) throw new Error("a fetch is expected")
  replica.raft.entriesFetched(fetch, "compacted")
  expect(replica.process()).toBeUndefined()
  replica.raft.step(heartbeatReply({ term: 2 }))
  expect(replica.process()?.fetches).toEqual([fetch])
})

test("what is applied comes in pieces, also from the disk", () => {
  const replica = new Replica({ log: [1, 1, 1, 1], commitIndex: 3, settings: { maxApplyBytes: 5 } })
  const first = replica.process()
  expect(first?.applyFetch).toEqual({ fromIndex: 1, toIndex: 3, maxBytes: 5 })
  expect(replica.process()).toBeUndefined()
  replica.settle()
  expect(replica.appliedEntries.map((each) => each.index)).toEqual([1, 2, 3])
})

test("memory is bounded: durable entries leave the cache, others never do", () => {
  const replica = new Replica({ settings: { cacheBytes: 0 } })
  replica.raft.step(append({ entries: entriesAfter(0, [1, 1, 1]) }))
  replica.process()
  expect(replica.status.cachedBytes).toBeGreaterThan(0)
  replica.persist()
  expect(replica.status.cachedBytes).toBe(0)
})

test("proposals are refused when too much waits for a quorum, but one is always taken", () => {
  const replica = new Replica({ settings: { maxUncommittedBytes: 100 } }).lead()
  expect(replica.raft.propose([bytes("x".repeat(1000))]).ok).toBe(true)
  expect(replica.raft.propose([bytes("y")])).toMatchObject({ ok: false, refusal: "overloaded" })
  replica.sent()
  replica.acknowledgedBy(2)
  expect(replica.raft.propose([bytes("y")]).ok).toBe(true)
})

test("§7: a follower that needs compacted entries gets a snapshot, and the rest of the log behind it", () => {
  const cluster = new TestCluster({ count: 3 })
  const leader = cluster.elect(1)
  cluster.isolate(3)
  leader.raft.propose([bytes("a"), bytes("b"), bytes("c")])
  cluster.settle()
  leader.compact(3)
  cluster.heal()
  cluster.run(4)
  expect(cluster.node(3).disk.snapshot.lastIncludedIndex).toBe(3)
  expect(cluster.node(3).raft.status()).toMatchObject({ baseIndex: 3, commitIndex: 4, appliedIndex: 4, lastIndex: 4 })
  expect(leader.raft.status().peers).toMatchObject([{ state: "replicate" }, { state: "replicate", matchIndex: 4 }])
})

test("§7: the snapshot replaces a log that does not contain it; the leader hears of it when it is durable", () => {
  const replica = new Replica({ log: [1, 1, 2] })
  replica.raft.step(install(5, 3))
  expect(replica.process()?.restore).toMatchObject({ lastIncludedIndex: 5, lastIncludedTerm: 3 })
  expect(replica.outbox).toEqual([])
  expect(replica.status).toMatchObject({
    baseIndex: 5,
    lastIndex: 5,
    commitIndex: 5,
    appliedIndex: 5,
    isRestoring: true,
  })
  expect(replica.sent()).toMatchObject([{ kind: "appendEntriesReply", success: true, index: 5 }])
})

test("§7: a snapshot that the log contains keeps the entries behind it", () => {
  const replica = new Replica({ log: [1, 1, 2, 3] })
  expect(replica.receive(install(3, 2, { term: 3 }))).toMatchObject([{ success: true, index: 3 }])
  expect(replica.status).toMatchObject({ baseIndex: 0, lastIndex: 4, commitIndex: 3, isRestoring: false })
})

test("§7: a snapshot brings its configuration", () => {
  const replica = new Replica()
  const configuration = { voters: [2, 3, 4], votersOutgoing: [], learners: [1], learnersNext: [] }
  replica.receive(install(5, 3, { snapshot: { lastIncludedIndex: 5, lastIncludedTerm: 3, configuration } }))
  expect(replica.status.configuration).toEqual(configuration)
  replica.ticks(50)
  expect(replica.status.role).toBe("follower")
})
