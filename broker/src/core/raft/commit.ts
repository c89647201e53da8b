/**
 * When an entry is committed, and what follows from it (Raft §5.3, §5.4.2, §6).
 *
 * Membership changes live here too, because a commit completes one stage of them and begins the next. One change at a time, and none
 * before the leader has committed an entry of its own term (pitfall 7). A change of more than one voter goes through a joint
 * configuration, which the leader, or its successor, leaves by itself (pitfall 9).
 */
import { applyConfigurationChanges, isJoint, isVoter, leaveJointConfiguration } from "./configuration.ts"
import { encodeConfiguration } from "./configuration-codec.ts"
import { appendOwn } from "./proposals.ts"
import { jointCommitIndex } from "./quorum.ts"
import { replicate } from "./replication.ts"
import { isOwnTermCommitted, syncProgress } from "./state.ts"
import type { Leadership, RaftState } from "./state.ts"
import { abdicate } from "./transfer.ts"
import { NO_NODE } from "./types.ts"
import type { Configuration, ConfigurationChange, ConfigurationRefusal, LogIndex, NodeId, Term } from "./types.ts"

/** Where the change stands in the log, or why it was refused. */
export type ConfigurationResult =
  | { readonly ok: true; readonly index: LogIndex; readonly term: Term }
  | { readonly ok: false; readonly refusal: ConfigurationRefusal }

/**
 * Commits what a quorum has durably, if it reaches into the own term. An older entry is never committed by counting: it is
 * committed by an own one behind it (Raft §5.4.2, figure 8; pitfall 1). The leader may have stepped down when this returns.
 */
export function maybeCommit(state: RaftState, leadership: Leadership): void {
  const { log } = state
  const { configuration } = state.configurations.latest
  const index = jointCommitIndex(configuration, (voter) => matchIndexOf(state, leadership, voter))
  if (index <= log.commitIndex) return
  if (log.termAt(index) !== state.currentTerm && !state.faults.has("commitOldTermByCount")) return
  log.commitTo(index)
  leadership.isReplicationDue = true
  leadership.uncommitted.committed(index)
  if (isOwnTermCommitted(state)) leadership.reads.ownTermCommitted()
  continueChange(state, leadership)
}

/** Proposes a change of the membership; it is in force at once on this node, and undone if the entry is lost. */
export function proposeChange(state: RaftState, changes: readonly ConfigurationChange[]): ConfigurationResult {
  const { leadership } = state
  if (leadership === undefined) return { ok: false, refusal: "notLeader" }
  if (leadership.transferTarget !== NO_NODE) return { ok: false, refusal: "transferring" }
  if (!isOwnTermCommitted(state) && !state.faults.has("configurationBeforeOwnTerm")) {
    return { ok: false, refusal: "termNotCommitted" }
  }
  const { index, configuration } = state.configurations.latest
  const isPending = index > state.log.commitIndex || isJoint(configuration)
  if (isPending && !state.faults.has("secondConfigurationWhilePending")) return { ok: false, refusal: "changePending" }
  const outcome = applyConfigurationChanges(configuration, changes)
  if (!outcome.ok) return { ok: false, refusal: "invalidChange" }
  const position = { index: state.log.lastIndex + 1, term: state.currentTerm }
  appendConfiguration(state, leadership, outcome.configuration)
  return { ok: true, ...position }
}

/** How far `voter` has our log durably: the leader counts itself like everybody else (pitfall 2). */
function matchIndexOf(state: RaftState, leadership: Leadership, voter: NodeId): LogIndex {
  if (voter !== state.nodeId) return leadership.progress.get(voter)?.matchIndex ?? 0
  return state.faults.has("selfCountBeforeSync") ? state.log.lastIndex : state.log.durableIndex
}

/** If the configuration in force is committed, the change it belongs to goes on or is complete. */
function continueChange(state: RaftState, leadership: Leadership): void {
  const { index, configuration } = state.configurations.latest
  if (index > state.log.commitIndex || !isOwnTermCommitted(state)) return
  if (isJoint(configuration)) {
    appendConfiguration(state, leadership, leaveJointConfiguration(configuration))
    return
  }
  if (leadership.progress.size > peerCount(state, configuration)) {
    // Who leaves hears that it is committed, as far as its window admits, and is forgotten.
    replicate(state, leadership)
    syncProgress(state, leadership)
  }
  if (isVoter(configuration, state.nodeId)) return
  // A leader that is not a voter any more has nothing left to do (Raft §6); it chooses who goes on.
  replicate(state, leadership)
  abdicate(state, leadership)
}

function appendConfiguration(state: RaftState, leadership: Leadership, configuration: Configuration): void {
  appendOwn(state, leadership, { kind: "configuration", data: [encodeConfiguration(configuration)] })
  state.configurations.append({ index: state.log.lastIndex, configuration })
  syncProgress(state, leadership)
  // The new configuration decides from now on, also about older entries.
  maybeCommit(state, leadership)
}

function peerCount(state: RaftState, configuration: Configuration): number {
  const members = [...configuration.voters, ...configuration.learners]
  return members.length - (members.includes(state.nodeId) ? 1 : 0)
}
