import { expect, test } from "vitest"
import { createRandom } from "../random.ts"
import { jointCommitIndex, majorityCommitIndex, majorityOf, majorityVoteResult, voteResult } from "./quorum.ts"
import type { Configuration } from "./types.ts"

const matchFrom = (matches: readonly number[]) => (voter: number) => matches[voter - 1] ?? 0
const idsOf = (matches: readonly number[]) => matches.map((_, place) => place + 1)

test.each([
  { matches: [], expected: Infinity },
  { matches: [7], expected: 7 },
  { matches: [7, 3], expected: 3 },
  { matches: [7, 3, 5], expected: 5 },
  { matches: [7, 0, 0], expected: 0 },
  { matches: [7, 7, 0, 0], expected: 0 },
  { matches: [4, 3, 2, 1], expected: 2 },
  { matches: [5, 4, 3, 2, 1], expected: 3 },
  { matches: [9, 9, 9, 1, 1], expected: 9 },
])("majority commit index of $matches is $expected", ({ matches, expected }) => {
  expect(majorityCommitIndex(idsOf(matches), matchFrom(matches))).toBe(expected)
})

test("majority commit index agrees with a slow model", () => {
  const random = createRandom(11)
  for (let round = 0; round < 500; round++) {
    const matches = Array.from({ length: 1 + random.nextInt(7) }, () => random.nextInt(10))
    const reached = (index: number): boolean =>
      matches.filter((match) => match >= index).length >= majorityOf(matches.length)
    let slow = 0
    while (reached(slow + 1)) slow++
    expect(majorityCommitIndex(idsOf(matches), matchFrom(matches))).toBe(slow)
  }
})

test.each([
  { voters: [1, 2, 3], votersOutgoing: [], matches: [5, 5, 1], expected: 5 },
  { voters: [1, 4, 5], votersOutgoing: [1, 2, 3], matches: [5, 1, 1, 5, 5], expected: 1 },
  { voters: [1, 4, 5], votersOutgoing: [1, 2, 3], matches: [5, 4, 1, 5, 5], expected: 4 },
  { voters: [1], votersOutgoing: [1, 2, 3], matches: [9, 8, 7], expected: 8 },
  { voters: [4, 5], votersOutgoing: [1, 2, 3], matches: [9, 9, 9, 3, 2], expected: 2 },
])("joint commit index of $matches in $voters and $votersOutgoing", ({ expected, matches, ...halves }) => {
  const configuration: Configuration = { ...halves, learners: [], learnersNext: [] }
  expect(jointCommitIndex(configuration, matchFrom(matches))).toBe(expected)
})

test.each([
  { voters: [], votes: "", expected: "won" },
  { voters: [1], votes: "?", expected: "pending" },
  { voters: [1], votes: "+", expected: "won" },
  { voters: [1], votes: "-", expected: "lost" },
  { voters: [1, 2], votes: "+?", expected: "pending" },
  { voters: [1, 2], votes: "+-", expected: "lost" },
  { voters: [1, 2, 3], votes: "++?", expected: "won" },
  { voters: [1, 2, 3], votes: "+-?", expected: "pending" },
  { voters: [1, 2, 3], votes: "--?", expected: "lost" },
  { voters: [1, 2, 3, 4], votes: "++??", expected: "pending" },
  { voters: [1, 2, 3, 4], votes: "++--", expected: "lost" },
  { voters: [1, 2, 3, 4, 5], votes: "+++--", expected: "won" },
])("a vote of $voters that stands $votes is $expected", ({ voters, votes, expected }) => {
  expect(majorityVoteResult(voters, votesOf(votes))).toBe(expected)
})

test.each([
  { votes: "++???", expected: "pending" },
  { votes: "++?+?", expected: "won" },
  { votes: "+??++", expected: "pending" },
  { votes: "+--++", expected: "lost" },
  { votes: "+++--", expected: "lost" },
  { votes: "---++", expected: "lost" },
])("a vote of the joint (1 4 5) and (1 2 3) that stands $votes is $expected", ({ votes, expected }) => {
  const configuration = { voters: [1, 4, 5], votersOutgoing: [1, 2, 3], learners: [], learnersNext: [] }
  expect(voteResult(configuration, votesOf(votes))).toBe(expected)
})

test("votes of strangers do not count", () => {
  expect(majorityVoteResult([1, 2, 3], new Map([7, 8, 9].map((id) => [id, true])))).toBe("pending")
})

function votesOf(votes: string): Map<number, boolean> {
  const known = [...votes].map((vote, place) => [place + 1, vote] as const).filter(([, vote]) => vote !== "?")
  return new Map(known.map(([id, vote]) => [id, vote === "+"]))
}
