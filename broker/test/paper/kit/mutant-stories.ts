/**
 * For each fault of `faults.ts` a short story that goes well without it and breaks a promise with it.
 *
 * A story throws when the promise is broken. `mutants.test.ts` runs each of them twice.
 */
import { createRandom } from "../../../src/core/random.ts"
import { simpleConfiguration } from "../../../src/core/raft/configuration.ts"
import type { RaftFault } from "../../../src/core/raft/faults.ts"
import { Invariants } from "./invariants.ts"
import { RandomNetwork } from "./random-network.ts"
import {
  append,
  appendReply,
  configurationEntry,
  entriesAfter,
  heartbeat,
  install,
  Replica,
  voteRequest,
} from "./replica.ts"
import { bytes, TestCluster } from "./test-cluster.ts"

type Story = (faults: readonly RaftFault[]) => void

function must(condition: boolean, promise: string): void {
  if (!condition) throw new Error(`broken: ${promise}`)
}

/** Two candidates of one term get the vote of a node that crashes in between. */
const voteTwice: Story = (faults) => {
  const voter = new Replica({ faults, term: 1 })
  voter.receive(voteRequest({ from: 2, term: 2 }))
  voter.crash()
  voter.restart()
  const [reply] = voter.receive(voteRequest({ from: 3, term: 2 }))
  must(reply?.kind !== "requestVoteReply" || !reply.voteGranted, "one vote in a term, also over a crash")
}

export const STORIES: Readonly<Record<RaftFault, Story>> = {
  selfCountBeforeSync: (faults) => {
    const leader = new Replica({ faults }).lead()
    leader.acknowledgedBy(2, 3)
    leader.raft.propose([bytes("x")])
    leader.raft.step(appendReply({ from: 2, index: 2 }))
    must(leader.status.commitIndex === 1, "the leader counts itself only when its disk has the entry")
  },
  voteNotPersisted: voteTwice,
  termNotPersisted: (faults) => {
    const node = new Replica({ faults, term: 1 })
    node.receive(heartbeat({ term: 7 }))
    node.crash()
    node.restart()
    must(node.status.term === 7, "a term that was answered survives a crash")
  },
  replyBeforeSync: (faults) => {
    const voter = new Replica({ faults })
    voter.raft.step(voteRequest({ term: 2 }))
    must(voter.sentAtOnce().length === 0, "a vote leaves after it is durable")
  },
  upToDateOffByOne: (faults) => {
    const voter = new Replica({ faults, log: [1, 1] })
    const [reply] = voter.receive(voteRequest({ term: 2, lastLogIndex: 1, lastLogTerm: 1 }))
    must(reply?.kind !== "requestVoteReply" || !reply.voteGranted, "a shorter log gets no vote")
  },
  commitOldTermByCount: (faults) => {
    const leader = new Replica({ faults, log: [1, 2], term: 3 }).lead()
    leader.receive(appendReply({ from: 2, term: 4, index: 2 }))
    must(leader.status.commitIndex === 0, "an entry of an older term is not committed by counting (figure 8)")
  },
  truncateWithoutConflict: (faults) => {
    const node = new Replica({ faults })
    node.receive(append({ entries: entriesAfter(0, [1, 1, 1]) }))
    node.receive(append({ entries: entriesAfter(0, [1]) }))
    must(node.disk.lastIndex === 3, "a late short append removes nothing that was acknowledged")
  },
  commitBeyondLastNew: (faults) => {
    const node = new Replica({ faults, log: [1, 1, 1] })
    // The leader's log differs behind index 1; it has committed up to 3.
    node.receive(append({ term: 2, prevLogIndex: 1, prevLogTerm: 1, leaderCommit: 3 }))
    must(node.status.commitIndex === 1, "nothing is committed that the leader has not shown to be equal")
  },
  matchLoweredByLateReply: (faults) => {
    const leader = new Replica({ faults }).lead()
    leader.raft.propose([bytes("x")])
    leader.sent()
    leader.receive(appendReply({ index: 2 }), appendReply({ index: 1 }))
    must(leader.status.peers[0]?.matchIndex === 2, "a late answer does not lower the match index")
  },
  readIndexWithoutRound: (faults) => {
    const leader = new Replica({ faults }).lead()
    leader.acknowledgedBy(2, 3)
    leader.raft.readIndex(1)
    leader.sent()
    must(leader.reads.length === 0, "a read is confirmed by a round of heartbeats")
  },
  readIndexBeforeNoOp: (faults) => {
    const leader = new Replica({ faults, log: [1, 1] }).lead()
    leader.raft.readIndex(1)
    leader.sent()
    leader.heartbeatAnsweredBy(2, 1)
    must(leader.reads.length === 0, "a read waits for an entry of the own term")
  },
  secondConfigurationWhilePending: (faults) => {
    const leader = new Replica({ faults }).lead()
    leader.acknowledgedBy(2, 3)
    leader.raft.proposeConfiguration([{ kind: "addVoter", nodeId: 4 }])
    const second = leader.raft.proposeConfiguration([{ kind: "addVoter", nodeId: 5 }])
    must(!second.ok, "one change at a time")
  },
  configurationBeforeOwnTerm: disjointMajorities,
  configurationNotRolledBack: (faults) => {
    const node = new Replica({ faults, log: [1] })
    const entry = configurationEntry(2, 1, simpleConfiguration([1]))
    node.receive(append({ prevLogIndex: 1, prevLogTerm: 1, entries: [entry] }))
    node.receive(append({ term: 2, from: 3, prevLogIndex: 1, prevLogTerm: 1, entries: entriesAfter(1, [2]) }))
    must(node.status.configuration.voters.length === 3, "a configuration that is cut from the log is undone")
  },
  suffixDroppedOnInstall: (faults) => {
    const node = new Replica({ faults })
    node.receive(append({ entries: entriesAfter(0, [1, 1, 1]) }))
    node.receive(install(2, 1))
    must(node.disk.lastIndex === 3, "a snapshot does not remove what was acknowledged behind it")
  },
  lateWriteAcknowledgesOverwritten: overwrittenWhileWriting,
  noPreVote: (faults) => {
    const cluster = new TestCluster({ count: 3, faults })
    cluster.elect(1)
    cluster.isolate(3)
    cluster.run(100)
    const { term } = cluster.node(3).raft.status()
    must(term === 1, "a node that is cut off does not raise its term")
  },
  noCheckQuorum: (faults) => {
    const cluster = new TestCluster({ count: 3, faults })
    cluster.elect(1)
    cluster.isolate(1)
    cluster.run(40)
    must(cluster.node(1).raft.status().role !== "leader", "a leader without a quorum steps down")
  },
  wipedNodeVotes: (faults) => {
    // 1 and 2 hold a committed entry, 3 does not. 2 loses its disk, 1 is away: 3 must not win with the vote of 2.
    const cluster = new TestCluster({ count: 3, faults })
    const invariants = new Invariants(cluster)
    cluster.elect(1)
    cluster.isolate(3)
    cluster.node(1).raft.propose([bytes("acknowledged")])
    cluster.settle()
    invariants.check(cluster.node(1))
    cluster.node(1).crash()
    cluster.node(2).wipe()
    cluster.node(2).restart()
    cluster.heal()
    cluster.run(60)
    invariants.check(cluster.node(3))
  },
}

/** The bug of 2015: two leaders, each with its own uncommitted change, and majorities that do not meet. */
function disjointMajorities(faults: readonly RaftFault[]): void {
  const cluster = new TestCluster({ count: 5, faults, configuration: simpleConfiguration([1, 2, 3, 4]) })
  const invariants = new Invariants(cluster)
  // Leader 1 adds node 5 and tells nobody.
  const first = cluster.elect(1)
  cluster.isolate(1)
  first.raft.proposeConfiguration([{ kind: "addVoter", nodeId: 5 }])
  first.settle()
  cluster.collect()
  // Node 2 is elected by 3 and 4, and its first entry reaches nobody. It removes node 1, and commits that with 3 only.
  const among = (...group: readonly number[]): void => {
    cluster.passes = (message) => group.includes(message.from) && group.includes(message.to)
  }
  cluster.passes = (message) => message.from !== 1 && message.to !== 1 && message.kind !== "appendEntries"
  cluster.deliver({ kind: "timeoutNow", from: 1, to: 2, term: 1 })
  cluster.settle()
  cluster.node(2).raft.proposeConfiguration([{ kind: "remove", nodeId: 1 }])
  among(2, 3)
  cluster.run(8)
  invariants.check(cluster.node(2))
  // Node 1 comes back with 4 and 5: three of its five.
  among(1, 4, 5)
  cluster.run(60)
  invariants.check(cluster.node(1))
}

/** The ABA race: indexes that a slow write covers are overwritten, and the write completes after that. */
function overwrittenWhileWriting(faults: readonly RaftFault[]): void {
  const node = new Replica({ faults })
  node.raft.step(append({ term: 1, entries: entriesAfter(0, [1, 1, 1]) }))
  node.process()
  node.raft.step(append({ term: 2, from: 3, entries: entriesAfter(0, [2, 2]) }))
  node.process()
  // Entries 1 to 3 of term 1 are durable now: they are not in the log any more.
  node.persist()
  must(node.status.durableIndex === 0, "a late write does not vouch for entries that overwrote its own")
}

/** Seeds of the random network that must end in a broken invariant within `seeds`; returns how many it took. */
export function seedsToKill(fault: RaftFault, seeds: number): number | undefined {
  const random = createRandom(2026)
  for (let attempt = 1; attempt <= seeds; attempt++) {
    const seed = 1 + random.nextInt(1_000_000)
    const worlds = [
      { count: 3, steps: 6000, wipe: attempt % 2 === 0 },
      { count: 5, steps: 12000, membership: true },
    ]
    for (const world of worlds) {
      try {
        new RandomNetwork({ ...world, seed, faults: [fault] }).run()
      } catch {
        return attempt
      }
    }
  }
  return undefined
}
