/**
 * Arithmetic of memberships: who is in a configuration, what a list of changes makes of it, and its bytes in an entry.
 *
 * Pure functions over plain values. When a configuration takes effect is decided elsewhere (`configuration-history.ts`:
 * on append, as in the paper). Invariants of every configuration made here: lists ascending without repeats; nobody is both
 * voter and learner; `learnersNext` are outgoing voters that are not incoming ones.
 */
import { assert, unreachable } from "../assert.ts"
import type { Configuration, ConfigurationChange, NodeId } from "./types.ts"

/** Largest node id: fits the 16 bits a peer frame has for it. */
export const MAX_NODE_ID: NodeId = 65_535

/** Most members of a configuration, counting both halves and learners: keeps every loop over members short. */
export const MAX_MEMBERS = 64

/** Nobody: what a node knows that was started to join a set. */
export const EMPTY_CONFIGURATION: Configuration = Object.freeze({
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
})

/** Why a list of changes cannot be carried out. */
export type ChangeProblem =
  "alreadyJoint" | "badNodeId" | "duplicateNode" | "noVoters" | "nothingToDo" | "tooManyMembers" | "unknownNode"

/** The configuration that the changes lead to, or why they do not. */
export type ChangeOutcome =
  { readonly ok: true; readonly configuration: Configuration } | { readonly ok: false; readonly problem: ChangeProblem }

/** A configuration of voters (and learners) that is not joint. Lists may come in any order. */
export function simpleConfiguration(voters: readonly NodeId[], learners: readonly NodeId[] = []): Configuration {
  return { voters: sorted(voters), votersOutgoing: [], learners: sorted(learners), learnersNext: [] }
}

/** True while two majorities are needed. */
export function isJoint(configuration: Configuration): boolean {
  return configuration.votersOutgoing.length > 0
}

/** True for a voter of either half. */
export function isVoter(configuration: Configuration, nodeId: NodeId): boolean {
  return configuration.voters.includes(nodeId) || configuration.votersOutgoing.includes(nodeId)
}

/** Voters of both halves, ascending. */
export function allVoters(configuration: Configuration): readonly NodeId[] {
  if (!isJoint(configuration)) return configuration.voters
  return sorted([...configuration.voters, ...configuration.votersOutgoing])
}

/** Everybody who is replicated to, ascending. */
export function allMembers(configuration: Configuration): readonly NodeId[] {
  return sorted([...configuration.voters, ...configuration.votersOutgoing, ...configuration.learners])
}

/**
 * Carries out `changes`, all at once (Raft §6, thesis §4.3).
 *
 * When at most one voter comes or goes, the result is a simple configuration: old and new majorities overlap anyway. Else
 * it is joint, and `leaveJointConfiguration` follows when it is committed. Refused: anything while joint, a node
 * named twice, removal of a node that is not there, no voter left, and a list that changes nothing.
 */
export function applyConfigurationChanges(
  configuration: Configuration,
  changes: readonly ConfigurationChange[],
): ChangeOutcome {
  if (isJoint(configuration)) return { ok: false, problem: "alreadyJoint" }
  const voters = new Set(configuration.voters)
  const learners = new Set(configuration.learners)
  const problem = changeMembers({ voters, learners }, changes)
  if (problem !== undefined) return { ok: false, problem }
  if (voters.size === 0) return { ok: false, problem: "noVoters" }

  const outgoing = new Set(configuration.voters)
  const next = { voters: sorted([...voters]), learners: sorted([...learners]) }
  if (sameNodes(next.voters, configuration.voters) && sameNodes(next.learners, configuration.learners)) {
    return { ok: false, problem: "nothingToDo" }
  }
  if (new Set([...voters, ...learners, ...outgoing]).size > MAX_MEMBERS) return { ok: false, problem: "tooManyMembers" }

  const changedVoters =
    [...outgoing].filter((id) => !voters.has(id)).length + [...voters].filter((id) => !outgoing.has(id)).length
  const joint = changedVoters > 1
  const result: Configuration = {
    voters: next.voters,
    votersOutgoing: joint ? configuration.voters : [],
    learners: joint ? next.learners.filter((id) => !outgoing.has(id)) : next.learners,
    learnersNext: joint ? next.learners.filter((id) => outgoing.has(id)) : [],
  }
  checkConfiguration(result)
  return { ok: true, configuration: result }
}

/** The configuration that ends a joint one: only the incoming voters count, and demoted ones become learners. */
export function leaveJointConfiguration(configuration: Configuration): Configuration {
  assert(isJoint(configuration), "only a joint configuration is left")
  return simpleConfiguration(configuration.voters, [...configuration.learners, ...configuration.learnersNext])
}

/** Asserts the invariants named at the head of this file. */
export function checkConfiguration(configuration: Configuration): void {
  const { voters, votersOutgoing, learners, learnersNext } = configuration
  for (const list of [voters, votersOutgoing, learners, learnersNext]) {
    for (const [place, id] of list.entries()) {
      assert(Number.isInteger(id) && id >= 1 && id <= MAX_NODE_ID, "a node id is an integer from 1 to 65535")
      assert(place === 0 || (list[place - 1] ?? 0) < id, "members are ascending without repeats")
    }
  }
  assert(
    learners.every((id) => !voters.includes(id) && !votersOutgoing.includes(id)),
    "a learner is not a voter of either half",
  )
  assert(
    learnersNext.every((id) => votersOutgoing.includes(id) && !voters.includes(id)),
    "who becomes a learner is an outgoing voter and not an incoming one",
  )
  assert(voters.length > 0 || (votersOutgoing.length === 0 && learners.length === 0), "members need a voter")
}

/** True when both have the same members in the same parts. */
export function sameConfiguration(left: Configuration, right: Configuration): boolean {
  return (
    sameNodes(left.voters, right.voters) &&
    sameNodes(left.votersOutgoing, right.votersOutgoing) &&
    sameNodes(left.learners, right.learners) &&
    sameNodes(left.learnersNext, right.learnersNext)
  )
}

function changeMembers(
  members: { readonly voters: Set<NodeId>; readonly learners: Set<NodeId> },
  changes: readonly ConfigurationChange[],
): ChangeProblem | undefined {
  const { voters, learners } = members
  const named = new Set<NodeId>()
  for (const { kind, nodeId } of changes) {
    if (!Number.isInteger(nodeId) || nodeId < 1 || nodeId > MAX_NODE_ID) return "badNodeId"
    if (named.has(nodeId)) return "duplicateNode"
    named.add(nodeId)
    switch (kind) {
      case "addVoter":
        learners.delete(nodeId)
        voters.add(nodeId)
        break
      case "addLearner":
        voters.delete(nodeId)
        learners.add(nodeId)
        break
      case "remove":
        if (!voters.delete(nodeId) && !learners.delete(nodeId)) return "unknownNode"
        break
      default:
        return unreachable(kind)
    }
  }
  return undefined
}

function sorted(nodeIds: readonly NodeId[]): readonly NodeId[] {
  return [...new Set(nodeIds)].sort((left, right) => left - right)
}

function sameNodes(left: readonly NodeId[], right: readonly NodeId[]): boolean {
  return left.length === right.length && left.every((id, place) => id === right[place])
}
