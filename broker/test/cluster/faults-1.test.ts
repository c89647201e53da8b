// Processes that die, and processes that fall silent.
import { expect, test } from "vitest"
import { SEED_OF_THE_DAY, testRounds } from "./fault-rounds.ts"
import { runScenario } from "./scenario-run.ts"
import { inTurn } from "./scenarios.ts"
import type { Scenario } from "./scenarios.ts"

testRounds([
  inTurn("short-kills", ["publish", "kill-follower", "kill-two", "kill-all"]),
  inTurn("short-silence", ["pause-leader", "pause-follower", "cut-leader", "flapping"]),
])

test("the black box bites: brokers that keep nothing on disk are seen to lose what they acknowledged", async () => {
  const forgetful: Scenario = { ...inTurn("forgetful", ["kill-all"]), extraArguments: ["--in-memory"] }
  const options = { seed: SEED_OF_THE_DAY, seconds: 0, isSingleRound: true, drainMs: 2_000, isKept: false }
  const result = await runScenario(forgetful, options)
  expect(result.judgement.counts.lost, result.failures.join("\n")).toBeGreaterThan(0)
})
