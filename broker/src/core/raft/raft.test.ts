import { expect, test } from "vitest"
import { bytes, TestCluster, text } from "../../../test/paper/kit/test-cluster.ts"

test("three nodes elect a leader, replicate and apply", () => {
  const cluster = new TestCluster({ count: 3 })
  const leader = cluster.elect(1)
  expect(leader.raft.propose([bytes("a"), bytes("b")])).toEqual({ ok: true, firstIndex: 2, term: 1 })
  cluster.settle()
  for (const node of cluster.nodes.values()) {
    cluster.run(2)
    expect(node.appliedEntries.map((entry) => text(entry.data))).toEqual(["", "a", "b"])
    expect(node.raft.status()).toMatchObject({ commitIndex: 3, lastIndex: 3, durableIndex: 3, leaderId: 1, term: 1 })
  }
})

test("a single voter elects itself and commits after its own write", () => {
  const cluster = new TestCluster({ count: 1 })
  const { raft } = cluster.elect(1)
  raft.propose([bytes("a")])
  const ready = raft.ready()
  expect(ready?.committedEntries).toEqual([])
  expect(raft.status().commitIndex).toBe(1)
  raft.persisted(ready?.write?.sequence ?? 0)
  expect(raft.status().commitIndex).toBe(2)
  expect(raft.ready()?.committedEntries.map((entry) => text(entry.data))).toEqual(["a"])
})

test("a replica at rest has nothing to do", () => {
  const cluster = new TestCluster({ count: 3 })
  cluster.elect(1)
  cluster.settle()
  for (const node of cluster.nodes.values()) {
    expect(node.raft.hasReady()).toBe(false)
    expect(node.raft.ready()).toBeUndefined()
  }
})
