/**
 * Names of bugs that tests put back into the machine on purpose, to see that they are found (reliability.md 4.1).
 *
 * Only the type is known to the machine. Nothing in `main.ts`, `cli/`, `node/` or the options can name one: they build
 * the machine with its limits alone, and no setting reaches the second argument of its constructor.
 */

/** One known bug. */
export type MachineMutant =
  | "deduplicationMissingInSnapshot"
  | "staleHandleDeletes"
  | "receiveCountNotInLog"
  | "deadLetterMoveAsTwoEntries"
  | "batchHalfApplied"
  | "retentionIgnoresNow"
  | "visibilityEndsEarly"
  | "rewindDropsFront"
  | "deliveryNumberReused"
  | "redriveCopies"
  | "redriveMissingInSnapshot"
  | "redriveNeverEnds"
  | "publishToNonMatching"
  | "matchingSkipped"
  | "freshOvertakesBacklog"
  | "backlogMissingInSnapshot"
  | "retryWithoutGap"
  | "dropWithoutCount"
  | "reportTakesOneTooMany"
  | "lateFailureCounts"
  | "halfMessageReceived"
  | "queryCountMissingInSnapshot"
  | "revokedKeyComesBack"
