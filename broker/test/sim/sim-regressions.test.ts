import { expect, test } from "vitest"
import { runSeed } from "./run-seed.ts"
import { REGRESSIONS } from "./sim-regressions.ts"

for (const { name, seed, override } of REGRESSIONS) {
  test(name, () => {
    // They were found before there were topics.
    const { violation } = runSeed({ seed, override: { ...override, workload: { topics: false } } })
    expect(violation?.message).toBeUndefined()
  })
}
