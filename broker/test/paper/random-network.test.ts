import { expect, test } from "vitest"
import { RandomNetwork } from "./kit/random-network.ts"
import type { RandomNetworkOptions, RandomNetworkReport } from "./kit/random-network.ts"

const FIRST_SEED = Number(process.env["RAFT_SEED"] ?? 1)
const SEED_COUNT = Number(process.env["RAFT_SEEDS"] ?? 80)

function run(options: RandomNetworkOptions): RandomNetworkReport {
  try {
    return new RandomNetwork(options).run()
  } catch (error) {
    throw new Error(
      `seed ${options.seed} of ${JSON.stringify(options)}; replay with RAFT_SEED=${options.seed} RAFT_SEEDS=1`,
      {
        cause: error,
      },
    )
  }
}

const WORLDS = [
  { name: "three nodes", count: 3, steps: 6000 },
  { name: "five nodes", count: 5, steps: 12000 },
  { name: "five nodes with changes of the membership", count: 5, steps: 12000, membership: true },
  { name: "three nodes, one of which loses its disk", count: 3, steps: 6000, wipe: true },
]

test.each(WORLDS)("$name keep Raft's promises in a bad network", (world) => {
  const totals: Record<string, number> = {}
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEED_COUNT; seed++) {
    for (const [name, value] of Object.entries(run({ ...world, seed })))
      totals[name] = (totals[name] ?? 0) + Number(value)
  }
  if (SEED_COUNT < 50) return
  // The runs did something, or they prove nothing.
  expect(totals["committed"]).toBeGreaterThan(SEED_COUNT * 10)
  expect(totals["crashes"]).toBeGreaterThan(SEED_COUNT)
  expect(totals["reads"]).toBeGreaterThan(SEED_COUNT)
  expect(totals["snapshots"]).toBeGreaterThan(SEED_COUNT / 16)
})

test("equal seeds give equal runs", () => {
  const options = { seed: FIRST_SEED, count: 5, steps: 3000, membership: true }
  expect(run(options)).toEqual(run(options))
})
