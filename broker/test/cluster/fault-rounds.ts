/** Rounds of the short black box as vitest tests: real processes, real faults, one round each. The long one is run.ts. */
import { tmpdir } from "node:os"
import { expect, test } from "vitest"
import { runScenario } from "./scenario-run.ts"
import type { Scenario } from "./scenarios.ts"

/** New each day, so that the days together see more than one order of events; printed when something fails. */
export const SEED_OF_THE_DAY = Math.floor(Date.now() / 86_400_000)

/** Makes a test for each scenario. */
export function testRounds(scenarios: readonly Scenario[]): void {
  for (const scenario of scenarios) {
    test(`nothing acknowledged is lost: ${scenario.summary}`, async (context) => {
      const reason = scenario.unavailable?.(tmpdir())
      if (reason !== undefined) {
        process.stderr.write(`\nSKIPPED ${scenario.name}: ${reason}\n`)
        context.skip(reason)
      }
      const result = await runScenario(scenario, { seed: SEED_OF_THE_DAY, seconds: 0, isSingleRound: true })
      const faults = result.faults.join("; ")
      const replay = `seed ${String(SEED_OF_THE_DAY)}, faults: ${faults}; kept: ${String(result.folder)}`
      expect(result.failures, replay).toEqual([])
    })
  }
}
