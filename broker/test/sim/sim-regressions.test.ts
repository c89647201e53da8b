import { expect, test } from "vitest"
import { runSeed } from "./run-seed.ts"
import { REGRESSIONS } from "./sim-regressions.ts"

for (const { name, seed, override } of REGRESSIONS) {
  test(name, () => {
    const { violation } = runSeed(override === undefined ? { seed } : { seed, override })
    expect(violation?.message).toBeUndefined()
  })
}
