/**
 * The seam for mutation tests: names of known bugs that tests put back to see whether they are noticed.
 *
 * In `src/` there is exactly one value of `FaultSwitches`, `NO_FAULTS`, and it answers "no" to everything. It is not an
 * option, a flag or an environment variable. A test that wants a mutant derives a class from `Raft`
 * (`broker/test/paper/mutant-raft.ts`) and replaces the field there.
 */

/** One deliberate bug each; what it breaks is said in `docs/raft-deviations.md`, "Mutants". */
export type RaftFault =
  | "selfCountBeforeSync"
  | "voteNotPersisted"
  | "termNotPersisted"
  | "upToDateOffByOne"
  | "commitOldTermByCount"
  | "truncateWithoutConflict"
  | "commitBeyondLastNew"
  | "matchLoweredByLateReply"
  | "readIndexWithoutRound"
  | "readIndexBeforeNoOp"
  | "secondConfigurationWhilePending"
  | "configurationBeforeOwnTerm"
  | "configurationNotRolledBack"
  | "suffixDroppedOnInstall"
  | "lateWriteAcknowledgesOverwritten"
  | "replyBeforeSync"
  | "noPreVote"
  | "noCheckQuorum"
  | "wipedNodeVotes"

/** Asked at each place where a bug can be put back. */
export interface FaultSwitches {
  has(fault: RaftFault): boolean
}

/** The only value in a product: no bug is switched on. */
export const NO_FAULTS: FaultSwitches = Object.freeze({ has: (): boolean => false })
