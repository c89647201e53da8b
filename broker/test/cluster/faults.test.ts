// The short black box: real processes, real faults, one round each. The long one is run.ts (docs/black-box.md).
import { tmpdir } from "node:os"
import { expect, test } from "vitest"
import { runScenario } from "./scenario-run.ts"
import { inTurn } from "./scenarios.ts"
import type { Scenario } from "./scenarios.ts"

const groups = [
  inTurn("short-kills", ["kill-leader", "kill-follower", "kill-two", "kill-all"]),
  inTurn("short-silence", ["pause-leader", "pause-follower", "cut-leader", "flapping"]),
  inTurn("short-restarts", ["rolling-sigterm", "restart-random"]),
  inTurn("short-full-disk", ["disk-full"]),
  inTurn("short-file-size-limit", ["file-size-limit"]),
  inTurn("short-data", ["wiped-follower", "damaged-file", "foreign-data"]),
]

// New each day, so that the days together see more than one order of events; printed when something fails.
const seed = Math.floor(Date.now() / 86_400_000)

for (const scenario of groups) {
  test(`nothing acknowledged is lost: ${scenario.summary}`, async (context) => {
    const reason = scenario.unavailable?.(tmpdir())
    if (reason !== undefined) {
      process.stderr.write(`\nSKIPPED ${scenario.name}: ${reason}\n`)
      context.skip(reason)
    }
    const result = await runScenario(scenario, { seed, seconds: 0, isSingleRound: true })
    const replay = `seed ${String(seed)}, faults: ${result.faults.join("; ")}; kept: ${String(result.folder)}`
    expect(result.failures, replay).toEqual([])
  })
}

test("the black box bites: brokers that keep nothing on disk are seen to lose what they acknowledged", async () => {
  const forgetful: Scenario = { ...inTurn("forgetful", ["kill-all"]), extraArguments: ["--in-memory"] }
  const result = await runScenario(forgetful, { seed, seconds: 0, isSingleRound: true, drainMs: 2_000, isKept: false })
  expect(result.judgement.counts.lost, result.failures.join("\n")).toBeGreaterThan(0)
})
