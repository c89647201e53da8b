// The tests bite: each known bug, put back, is noticed.
import { expect, test } from "vitest"
import type { RaftFault } from "../../src/core/raft/faults.ts"
import { seedsToKill, STORIES } from "./kit/mutant-stories.ts"

const STORY_LIST = Object.entries(STORIES) as [RaftFault, (faults: readonly RaftFault[]) => void][]

test.each(STORY_LIST)("%s is noticed by its story", (fault, story) => {
  expect(() => story([])).not.toThrow()
  expect(() => story([fault])).toThrow()
})

/** Those that show often enough to be found by chance within a second or two. */
const FOUND_BY_CHANCE: readonly RaftFault[] = [
  "selfCountBeforeSync",
  "voteNotPersisted",
  "termNotPersisted",
  "replyBeforeSync",
  "truncateWithoutConflict",
  "matchLoweredByLateReply",
  "readIndexBeforeNoOp",
  "secondConfigurationWhilePending",
  "configurationNotRolledBack",
]

test.each(FOUND_BY_CHANCE)("%s is found by the random network too", (fault) => {
  expect(seedsToKill(fault, 60)).toBeDefined()
})
