// Each known bug is put back and has to be noticed within its number of seeds. The canary has to be noticed at once.
import { expect, test } from "vitest"
import { MUTANTS, type Mutant } from "./mutants.ts"
import { runSeed } from "./run-seed.ts"

for (const mutant of MUTANTS) {
  test(`the mutant ${mutant.name} is noticed within ${String(mutant.maxSeeds)} seeds`, () => {
    let noticed: string | undefined
    for (let seed = 1; seed <= mutant.maxSeeds && noticed === undefined; seed++) {
      noticed = runSeed({ seed, mutation: mutant.mutation(), override: mutant.override }).violation?.message
    }
    expect(noticed).toBeDefined()
  })
}

test("without a mutant the same seeds are quiet", () => {
  const loud: string[] = []
  // Several mutants share their faults; each kind of seed is run once.
  const kinds = new Map(MUTANTS.map((mutant) => [shapeOf(mutant), mutant]))
  for (const mutant of kinds.values()) {
    const { violation } = runSeed({ seed: 1, override: mutant.override })
    if (violation !== undefined) loud.push(`${mutant.name}: ${violation.message}`)
  }
  expect(loud).toEqual([])
})

function shapeOf({ override }: Mutant): string {
  return JSON.stringify(override, (_, value: unknown) => (value instanceof Set ? [...value].sort() : value))
}
